#include "base/snap.h"

#include <sched.h>
#include <stdlib.h>

#define EPOCH_OFFLINE UINT64_MAX

struct retired {
	struct list link;
	uint64_t epoch; /* no reader that has seen this one can hold `p` */
	void *p;
	void (*free_fn)(void *p);
};

void snap_domain_init(struct snap_domain *d)
{
	atomic_init(&d->epoch, 1);
	atomic_init(&d->n_readers, 0);
	for (unsigned i = 0; i < SNAP_READERS_MAX; i++)
		atomic_init(&d->readers[i].seen, EPOCH_OFFLINE);
	list_init(&d->retired);
}

struct snap_reader *snap_register(struct snap_domain *d)
{
	uint32_t n = atomic_load(&d->n_readers);

	do {
		if (n == SNAP_READERS_MAX)
			return NULL;
	} while (!atomic_compare_exchange_weak(&d->n_readers, &n, n + 1));
	return &d->readers[n];
}

/*
 * Whoever has seen an epoch has, by acquire, also seen the exchange of the pointer that was made
 * before the epoch was raised: it cannot load the retired one again.
 */
void snap_quiescent(struct snap_domain *d, struct snap_reader *r)
{
	uint64_t epoch = atomic_load_explicit(&d->epoch, memory_order_acquire);

	if (atomic_load_explicit(&r->seen, memory_order_relaxed) != epoch)
		atomic_store_explicit(&r->seen, epoch, memory_order_release);
}

void snap_offline(struct snap_reader *r)
{
	atomic_store_explicit(&r->seen, EPOCH_OFFLINE, memory_order_release);
}

/*
 * The writer might read `seen` before it sees us come back. If the epoch is unchanged after our
 * store, then in the one order of sequentially consistent operations the store is before its
 * next raise, hence before that look at `seen`; else we take the new epoch and try again.
 */
void snap_online(struct snap_domain *d, struct snap_reader *r)
{
	uint64_t epoch;

	do {
		epoch = atomic_load(&d->epoch);
		atomic_store(&r->seen, epoch);
	} while (atomic_load(&d->epoch) != epoch);
}

/* The oldest epoch that a reader may still be in; EPOCH_OFFLINE if all sleep. */
static uint64_t oldest_seen(struct snap_domain *d)
{
	uint32_t n = atomic_load(&d->n_readers);
	uint64_t oldest = EPOCH_OFFLINE;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t seen = atomic_load(&d->readers[i].seen);

		if (seen < oldest)
			oldest = seen;
	}
	return oldest;
}

static void free_up_to(struct snap_domain *d, uint64_t epoch)
{
	while (!list_is_empty(&d->retired)) {
		struct retired *x = list_entry(d->retired.next, struct retired, link);

		if (x->epoch > epoch)
			return;
		list_del(&x->link);
		x->free_fn(x->p);
		free(x);
	}
}

void snap_reclaim(struct snap_domain *d)
{
	if (!list_is_empty(&d->retired))
		free_up_to(d, oldest_seen(d));
}

void snap_retire(struct snap_domain *d, void *p, void (*free_fn)(void *p))
{
	uint64_t epoch = atomic_fetch_add(&d->epoch, 1) + 1;
	struct retired *x = malloc(sizeof *x);

	PANIC_IF(free_fn == NULL);
	if (x == NULL) {
		while (oldest_seen(d) < epoch)
			sched_yield();
		free_fn(p);
		return;
	}
	*x = (struct retired){.epoch = epoch, .p = p, .free_fn = free_fn};
	list_push_back(&d->retired, &x->link);
}

void snap_domain_fini(struct snap_domain *d)
{
	PANIC_IF(oldest_seen(d) != EPOCH_OFFLINE);
	free_up_to(d, EPOCH_OFFLINE);
}
