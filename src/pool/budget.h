/*
 * budget - a number of things that all workers share, with a limit: servers of a pool, a database,
 * a user, a node; logins under way; pins.
 * Threads: any, lock-free.
 * Nobody starves unseen: who finds a budget full says so (its bit in `starved`) and tries once
 * more; who gives back looks at the bits and wakes those workers. All sequentially consistent.
 */
#ifndef PGWEIR_POOL_BUDGET_H
#define PGWEIR_POOL_BUDGET_H

#include <stdatomic.h>

#include "base/status.h"

#define BUDGET_WORKERS_MAX 64u
#define BUDGET_SET_MAX     8u

struct budget {
	_Atomic uint32_t n;
	_Atomic uint32_t limit;   /* 0: none */
	_Atomic uint64_t starved; /* bit per worker that waits for it */
};

void budget_init(struct budget *b, uint32_t limit);

/* A reload. Lowered below n, it takes effect as things are given back. Raised: wake *wake. */
void budget_set_limit(struct budget *b, uint32_t limit, uint64_t *wake);
static inline uint32_t budget_n(const struct budget *b)
{
	return atomic_load_explicit(&b->n, memory_order_relaxed);
}
static inline uint32_t budget_limit(const struct budget *b)
{
	return atomic_load_explicit(&b->limit, memory_order_relaxed);
}
bool budget_is_over(const struct budget *b); /* n above the limit: give back what is released */

struct budget_want {
	struct budget *b;
	uint32_t extra; /* allowed beyond the limit: the reserve pool */
};

/*
 * One of each in `set` (n_set up to BUDGET_SET_MAX, no budget twice), or none. Returns -1 on
 * success, else the index of a budget that is full. *wake: workers to be woken because a budget
 * was held for a moment and given back (or'ed into it).
 */
int budget_try_acquire(const struct budget_want *set, size_t n_set, uint64_t *wake) MUST_USE;

/*
 * The same, for a worker that will wait if it fails: it is then noted in the full budget, and has
 * looked again after that.
 */
int budget_acquire_or_wait(
	const struct budget_want *set, size_t n_set, unsigned worker, uint64_t *wake) MUST_USE;

/* Give one back. *wake: workers that starve for it (or'ed into it); their bits are taken. */
void budget_release(struct budget *b, uint64_t *wake);

/* The worker does not wait for it any more. */
void budget_forget(struct budget *b, unsigned worker);

static inline bool budget_has_starved(const struct budget *b)
{
	return atomic_load_explicit(&b->starved, memory_order_relaxed) != 0;
}

#endif
