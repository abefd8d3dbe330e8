/*
 * rd - cursor over borrowed bytes with a sticky error. Reads past the end set `bad`, yield zero
 * and consume all; the caller checks `bad` once at the end. Integers are in network order.
 */
#ifndef PGWEIR_BASE_RD_H
#define PGWEIR_BASE_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

/* A cursor at the start of `len` bytes; NULL is allowed if there are none. */
static inline struct rd rd_of(const void *p, size_t len)
{
	return (struct rd){.p = p != NULL ? p : "", .left = len, .bad = false};
}

/* Nothing that is left can be read: `bad` is set, all is consumed. */
static inline void rd_fail(struct rd *r)
{
	r->bad = true;
	r->p += r->left;
	r->left = 0;
}

static inline bool rd_need(struct rd *r, size_t n)
{
	if (n <= r->left)
		return true;
	rd_fail(r);
	return false;
}

/* Pointer to the next `n` bytes, which are consumed; NULL (and bad) if there are fewer. */
static inline const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (!rd_need(r, n))
		return NULL;
	r->p += n;
	r->left -= n;
	return p;
}

static inline void rd_skip(struct rd *r, size_t n)
{
	(void)rd_bytes(r, n);
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p != NULL ? p[0] : 0;
}

static inline uint16_t rd_u16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);

	return (uint16_t)(p != NULL ? p[0] << 8 | p[1] : 0);
}

static inline uint32_t rd_u32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);

	return p != NULL ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
			 : 0;
}

static inline uint64_t rd_u64(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 8);
	struct rd word = rd_of(p, p != NULL ? 8 : 0);
	uint64_t hi = rd_u32(&word);

	return hi << 32 | rd_u32(&word);
}

/* NUL-terminated string, borrowed; "" (and bad) if the terminator is missing. Never NULL. */
static inline const char *rd_cstr(struct rd *r)
{
	const uint8_t *p = r->p;
	const uint8_t *nul = NULL;

	if (r->left != 0) /* most names in messages are empty */
		nul = *p == '\0' ? p : memchr(p, 0, r->left);
	if (nul == NULL) {
		rd_fail(r);
		return "";
	}
	rd_skip(r, (size_t)(nul - p) + 1);
	return (const char *)p;
}

#endif
