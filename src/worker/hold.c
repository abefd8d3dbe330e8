#include "worker/hold.h"

#include <string.h>

static enum status hold_grow(struct hold *h, struct bufpool *pool, size_t more)
{
	size_t cap;
	uint8_t *buf;

	if (h->cap - h->len >= more)
		return OK;
	buf = bufpool_take(pool, h->len + more, &cap);
	if (buf == NULL)
		return E_NOMEM;
	if (h->len != 0)
		memcpy(buf, h->buf, h->len);
	bufpool_give(pool, h->buf, h->cap);
	h->buf = buf;
	h->cap = cap;
	return OK;
}

enum status hold_keep(struct hold *h, struct bufpool *pool)
{
	enum status st;

	if (h->n_pieces == 0)
		return OK;
	st = hold_grow(h, pool, h->borrowed_len);
	if (st != OK)
		return st;
	for (uint32_t i = 0; i < h->n_pieces; i++) {
		memcpy(h->buf + h->len, h->pieces[i].p, h->pieces[i].len);
		h->len += h->pieces[i].len;
	}
	h->n_pieces = 0;
	h->borrowed_len = 0;
	return OK;
}

enum status hold_put(struct hold *h, struct bufpool *pool, const uint8_t *p, size_t len)
{
	enum status st;

	if (h->n_pieces == HOLD_PIECES && (st = hold_keep(h, pool)) != OK)
		return st;
	h->pieces[h->n_pieces++] = (struct hold_piece){p, len};
	h->borrowed_len += len;
	return OK;
}

enum status hold_put_copy(struct hold *h, struct bufpool *pool, const void *p, size_t len)
{
	enum status st = hold_keep(h, pool);

	if (st == OK)
		st = hold_grow(h, pool, len);
	if (st != OK)
		return st;
	memcpy(h->buf + h->len, p, len);
	h->len += len;
	return OK;
}

void hold_drop(struct hold *h, struct bufpool *pool)
{
	bufpool_give(pool, h->buf, h->cap);
	h->buf = NULL; /* what the pieces say has no meaning then */
	h->cap = 0;
	h->len = 0;
	h->borrowed_len = 0;
	h->n_pieces = 0;
}

void hold_pass(struct hold *h, struct bufpool *pool, struct conn *to)
{
	if (h->len != 0) {
		conn_put(to, h->buf, h->len);
		for (uint32_t i = 0; i < h->n_pieces; i++)
			conn_put(to, h->pieces[i].p, h->pieces[i].len);
		conn_flush(to); /* what was lent goes back to the pool */
	} else {
		for (uint32_t i = 0; i < h->n_pieces; i++)
			conn_put(to, h->pieces[i].p, h->pieces[i].len);
	}
	hold_drop(h, pool);
}
