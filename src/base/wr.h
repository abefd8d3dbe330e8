/*
 * wr - builder of bytes in a borrowed, fixed buffer, with a sticky error. What does not fit sets
 * `bad` and is left out whole; the caller checks `bad` once at the end. Integers are written in
 * network order. A protocol message is bracketed by wr_msg and wr_end.
 */
#ifndef PGWEIR_BASE_WR_H
#define PGWEIR_BASE_WR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wr {
	uint8_t *buf;
	size_t len; /* bytes written */
	size_t cap;
	bool bad;
};

static inline struct wr wr_of(void *buf, size_t cap)
{
	return (struct wr){.buf = buf, .len = 0, .cap = cap, .bad = false};
}

static inline void wr_bytes(struct wr *w, const void *p, size_t n)
{
	if (w->bad || n > w->cap - w->len) {
		w->bad = true;
		return;
	}
	if (n != 0)
		memcpy(w->buf + w->len, p, n);
	w->len += n;
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

static inline void wr_u16(struct wr *w, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	wr_bytes(w, b, 2);
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	wr_bytes(w, b, 4);
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
	wr_u32(w, (uint32_t)(v >> 32));
	wr_u32(w, (uint32_t)v);
}

static inline void wr_str(struct wr *w, const char *s) /* without the NUL */
{
	wr_bytes(w, s, strlen(s));
}

static inline void wr_cstr(struct wr *w, const char *s) /* with the NUL */
{
	wr_bytes(w, s, strlen(s) + 1);
}

/* Begin a message: type byte and a place for the length. Returns the mark for wr_end. */
static inline size_t wr_msg(struct wr *w, char type)
{
	size_t mark = w->len + 1;

	wr_u8(w, (uint8_t)type);
	wr_u32(w, 0);
	return mark;
}

/* End the message begun at `mark`: the length counts itself, not the type byte. */
static inline void wr_end(struct wr *w, size_t mark)
{
	size_t n;

	if (w->bad)
		return;
	n = w->len - mark;
	w->buf[mark] = (uint8_t)(n >> 24);
	w->buf[mark + 1] = (uint8_t)(n >> 16);
	w->buf[mark + 2] = (uint8_t)(n >> 8);
	w->buf[mark + 3] = (uint8_t)n;
}

#endif
