#include "pool/budget.h"

void budget_init(struct budget *b, uint32_t limit)
{
	atomic_init(&b->n, 0);
	atomic_init(&b->limit, limit);
	atomic_init(&b->starved, 0);
}

void budget_note_starved(struct budget *b, unsigned worker)
{
	PANIC_IF(worker >= BUDGET_WORKERS_MAX);
	atomic_fetch_or(&b->starved, (uint64_t)1 << worker);
}

void budget_wake(struct budget *b, uint64_t *wake)
{
	if (atomic_load(&b->starved) != 0)
		*wake |= atomic_exchange(&b->starved, 0);
}

void budget_set_limit(struct budget *b, uint32_t limit, uint64_t *wake)
{
	atomic_store(&b->limit, limit);
	budget_wake(b, wake);
}

static bool take(struct budget *b, uint32_t extra)
{
	uint32_t n = atomic_load(&b->n);
	uint32_t limit;

	do {
		limit = atomic_load(&b->limit);
		if (limit != 0 && n >= (uint64_t)limit + extra)
			return false;
	} while (!atomic_compare_exchange_weak(&b->n, &n, n + 1));
	return true;
}

void budget_take_over(struct budget *b)
{
	atomic_fetch_add(&b->n, 1);
}

void budget_release(struct budget *b, uint64_t *wake)
{
	PANIC_IF(atomic_fetch_sub(&b->n, 1) == 0);
	budget_wake(b, wake);
}

int budget_try_acquire(const struct budget_want *set, size_t n_set, uint64_t *wake)
{
	PANIC_IF(n_set > BUDGET_SET_MAX);
	for (size_t i = 0; i < n_set; i++) {
		if (take(set[i].b, set[i].extra))
			continue;
		for (size_t k = 0; k < i; k++)
			budget_release(set[k].b, wake);
		return (int)i;
	}
	return -1;
}

int budget_acquire_or_wait(
	const struct budget_want *set, size_t n_set, unsigned worker, uint64_t *wake)
{
	unsigned noted = 0;

	for (;;) {
		int full = budget_try_acquire(set, n_set, wake);

		if (full < 0 || (noted >> full & 1u) != 0)
			return full; /* it was still full after the note */
		budget_note_starved(set[full].b, worker);
		noted |= 1u << full;
	}
}
