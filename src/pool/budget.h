/*
 * budget - a number of things that all workers share, with a limit: servers of a pool, a database,
 * a user, a node; logins under way; pins.
 * Threads: any, lock-free.
 * Nobody starves unseen: who finds a budget full notes that in `starved` and then tries once more;
 * who gives back looks at `starved` after that. All sequentially consistent, so one of the two sees
 * the other.
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
	_Atomic uint64_t starved; /* bit per worker that has found it full since the last release */
};

void budget_init(struct budget *b, uint32_t limit);

/*
 * After a reload. Lowered below n it takes effect as things are given back (budget_is_over).
 * *wake: workers to wake, or'ed into it.
 */
void budget_set_limit(struct budget *b, uint32_t limit, uint64_t *wake);

static inline uint32_t budget_n(const struct budget *b)
{
	return atomic_load_explicit(&b->n, memory_order_relaxed);
}
static inline uint32_t budget_limit(const struct budget *b)
{
	return atomic_load_explicit(&b->limit, memory_order_relaxed);
}
static inline bool budget_is_over(const struct budget *b)
{
	return budget_limit(b) != 0 && budget_n(b) > budget_limit(b);
}
/* Some worker may wait for it: an idle thing is better given back. */
static inline bool budget_has_starved(const struct budget *b)
{
	return atomic_load_explicit(&b->starved, memory_order_relaxed) != 0;
}

/*
 * `worker` has found it full, and nothing has been given back since: to try again with no more
 * `extra` than before is vain. When something is given back, the worker is woken.
 */
static inline bool budget_is_starving(const struct budget *b, unsigned worker)
{
	return (atomic_load(&b->starved) >> worker & 1) != 0;
}

struct budget_want {
	struct budget *b;
	uint32_t extra; /* so many are allowed beyond the limit: the reserve pool */
};

/*
 * One of each in `set` (n_set up to BUDGET_SET_MAX, no budget twice), or none. Returns -1 on
 * success, else the index of one that is full. *wake: workers to wake, or'ed into it: a budget may
 * have been held for a moment and have looked full to them.
 */
int budget_try_acquire(const struct budget_want *set, size_t n_set, uint64_t *wake) MUST_USE;

/* One, whether there is one or not. */
void budget_take_over(struct budget *b);

/*
 * The same, for a worker that waits if it fails: it will be in a *wake when the full budget is
 * given back. A worker that is woken tries again for all that it waits for; it may be woken in
 * vain.
 */
int budget_acquire_or_wait(
	const struct budget_want *set, size_t n_set, unsigned worker, uint64_t *wake) MUST_USE;

/* Give one back. *wake: workers to wake, or'ed into it. */
void budget_release(struct budget *b, uint64_t *wake);

/* Note that `worker` waits; to be followed by another look. For budget_acquire_or_wait's like. */
void budget_note_starved(struct budget *b, unsigned worker);

/* All that are noted, taken out and or'ed into *wake. */
void budget_wake(struct budget *b, uint64_t *wake);

#endif
