/*
 * hold - the answer of a replica, or the part of it that has come, kept back until it is certain
 * that the replica does not refuse the unit.
 * Owns:   a pool buffer with what came in earlier chunks. Pieces of the present chunk are borrowed
 *         until hold_keep or hold_pass, at the latest before the receive callback returns.
 * Bounds: the caller asks hold_len and passes on what is more than replay_window.
 */
#ifndef PGWEIR_WORKER_HOLD_H
#define PGWEIR_WORKER_HOLD_H

#include "base/bufpool.h"
#include "net/conn.h"

#define HOLD_PIECES 16u

struct hold {
	uint8_t *buf; /* NULL: nothing was kept yet */
	size_t cap, len;
	size_t borrowed_len;
	uint32_t n_pieces;
	struct hold_piece {
		const uint8_t *p;
		size_t len;
	} pieces[HOLD_PIECES];
};

static inline size_t hold_len(const struct hold *h)
{
	return h->len + h->borrowed_len;
}

/* Errors: E_NOMEM. */
enum status hold_put(struct hold *h, struct bufpool *pool, const uint8_t *p, size_t len) MUST_USE;
enum status hold_put_copy(struct hold *h, struct bufpool *pool, const void *p, size_t len) MUST_USE;
/* Copy what is borrowed. */
enum status hold_keep(struct hold *h, struct bufpool *pool) MUST_USE;
/* Put all of it to the conn, and be empty. */
void hold_pass(struct hold *h, struct bufpool *pool, struct conn *to);
void hold_drop(struct hold *h, struct bufpool *pool); /* be empty */

#endif
