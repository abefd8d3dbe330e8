/*
 * frame - the header that every message after start-up has, in both directions: a type byte and a
 * length that counts itself but not the type. Bodies are not looked at.
 * Owns:   nothing.
 * Bounds: a message is at most FRAME_LEN_MAX + 1 bytes on the wire.
 * Source: PostgreSQL manual, "Message Formats": Byte1 type, Int32 length including itself.
 */
#ifndef PGWEIR_PROTO_FRAME_H
#define PGWEIR_PROTO_FRAME_H

#include "base/rd.h"
#include "base/status.h"

#define FRAME_HEAD_LEN 5u                /* type and length, bytes */
#define FRAME_LEN_MIN  4u                /* the length field counts itself */
#define FRAME_LEN_MAX  ((1u << 30) - 1u) /* length field; PostgreSQL's MaxAllocSize */

struct frame {
	uint8_t type;
	uint32_t total; /* bytes on the wire, head included: FRAME_HEAD_LEN..FRAME_LEN_MAX + 1 */
};

/*
 * Look at the head of the message that begins at `p`, of which `avail` bytes are there; nothing is
 * consumed. The body may be incomplete: compare `avail` with out->total, or stream it with
 * frame_part. On an error *out is left alone.
 * limit:  largest accepted length field, FRAME_LEN_MIN..FRAME_LEN_MAX.
 * Errors: E_AGAIN the head is not complete; E_PROTO length below 4; E_LIMIT above `limit` (lengths
 *         that are negative as Int32 among them).
 */
static inline enum status frame_peek(
	const uint8_t *p, size_t avail, uint32_t limit, struct frame *out)
{
	uint32_t len;

	if (avail < FRAME_HEAD_LEN)
		return E_AGAIN;
	len = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	if (__builtin_expect(len < FRAME_LEN_MIN, 0))
		return E_PROTO;
	if (__builtin_expect(len > limit || len > FRAME_LEN_MAX, 0))
		return E_LIMIT;
	out->type = p[0];
	out->total = len + 1u;
	return OK;
}

/* Bytes of the body: 0..FRAME_LEN_MAX - 4. */
static inline uint32_t frame_body_len(const struct frame *f)
{
	return f->total - FRAME_HEAD_LEN;
}

/* Is the whole message among `avail` bytes? */
static inline bool frame_is_complete(const struct frame *f, size_t avail)
{
	return avail >= f->total;
}

/* Of a message of which `left` bytes are still to come, how many are among `avail`. */
static inline uint32_t frame_part(uint32_t left, size_t avail)
{
	return avail < left ? (uint32_t)avail : left;
}

/* Cursor over the body of a message that begins at `p` and is complete. */
static inline struct rd frame_body(const uint8_t *p, const struct frame *f)
{
	return rd_of(p + FRAME_HEAD_LEN, frame_body_len(f));
}

/*
 * Cursor over what is there of the body: `avail` bytes of the message were received, its head
 * (FRAME_HEAD_LEN) at least.
 */
static inline struct rd frame_body_part(const uint8_t *p, const struct frame *f, size_t avail)
{
	return rd_of(p + FRAME_HEAD_LEN, frame_part(f->total, avail) - FRAME_HEAD_LEN);
}

#endif
