/*
 * waitq - units waiting for a server of one pool on one worker, oldest first.
 * Owns:    the order; a waiter is borrowed from waitq_push until waitq_remove or waitq_pop.
 * Touches: nothing else; no I/O, no clock, one thread.
 * Bounds:  at most `limit` waiters; waitq_push reports E_LIMIT beyond it.
 * Order:   by waiting_since_us, so that a unit that comes from another line keeps its age.
 */
#ifndef PGWEIR_POOL_WAITQ_H
#define PGWEIR_POOL_WAITQ_H

#include "base/list.h"
#include "base/status.h"

struct waitq;

/* Embedded in what waits. */
struct waiter {
	struct list link;
	struct waitq *in; /* NULL: does not wait */
	uint64_t since_us;
	uint64_t deadline_us; /* UINT64_MAX: none */
};

struct waitq {
	struct list line; /* oldest first */
	size_t n, limit;
	uint64_t deadline_min_us; /* no waiter's deadline is before it */
};

void waitq_init(struct waitq *q, size_t limit);
void waiter_init(struct waiter *w);

static inline size_t waitq_len(const struct waitq *q)
{
	return q->n;
}
static inline bool waiter_waits(const struct waiter *w)
{
	return w->in != NULL;
}

/*
 * Put in line by age; O(1) for the youngest. since_us: when it began to wait, in whatever line.
 * Errors: E_LIMIT.
 */
enum status waitq_push(
	struct waitq *q, struct waiter *w, uint64_t since_us, uint64_t deadline_us) MUST_USE;

struct waiter *waitq_pop(struct waitq *q); /* the oldest, taken out; NULL if none waits */
struct waiter *waitq_first(const struct waitq *q);
struct waiter *waitq_next(const struct waitq *q, const struct waiter *w); /* NULL at the end */
void waitq_remove(struct waiter *w); /* out of its line, O(1); no-op if it does not wait */

/* One whose deadline is at or before now_us, taken out; NULL if there is none. */
struct waiter *waitq_pop_expired(struct waitq *q, uint64_t now_us);

/* Since when the oldest waits; 0 if none does. As share_publish_waiter wants it. */
uint64_t waitq_oldest_us(const struct waitq *q);

#endif
