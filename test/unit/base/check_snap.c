#include "base/snap.h"

#include <pthread.h>
#include <sched.h>

#include "../failing_alloc.h"
#include "../unit.h"

#define N_READERS   3u
#define N_SNAPSHOTS 20000u /* at least; on until each reader has met … */
#define N_MEETINGS  2000u  /* … so many */
#define ALIVE       0x600d600du

struct snapshot {
	unsigned alive;
	unsigned number;
};

static unsigned n_freed; /* by the writer alone */

static struct snapshot *snapshot_new(unsigned number)
{
	struct snapshot *s = malloc(sizeof *s);

	*s = (struct snapshot){.alive = ALIVE, .number = number};
	return s;
}

static void snapshot_free(void *p)
{
	struct snapshot *s = p;

	PANIC_IF(s->alive != ALIVE);
	s->alive = 0;
	n_freed++;
	free(s);
}

static void retire(struct snap_domain *d)
{
	snap_retire(d, snapshot_new(0), snapshot_free);
}

START_TEST(without_readers_what_is_retired_is_freed_at_once)
{
	struct snap_domain d;

	snap_domain_init(&d);
	retire(&d);
	snap_reclaim(&d);
	ck_assert_uint_eq(n_freed, 1);
	snap_domain_fini(&d);
}
END_TEST

START_TEST(online_reader_holds_it_back_until_it_has_passed)
{
	struct snap_domain d;
	struct snap_reader *r;

	snap_domain_init(&d);
	r = snap_register(&d);
	snap_online(&d, r);
	retire(&d);
	snap_reclaim(&d);
	ck_assert_uint_eq(n_freed, 0);
	snap_quiescent(&d, r);
	retire(&d); /* after the reader's look: still held */
	snap_reclaim(&d);
	ck_assert_uint_eq(n_freed, 1);
	snap_quiescent(&d, r);
	snap_quiescent(&d, r);
	snap_reclaim(&d);
	ck_assert_uint_eq(n_freed, 2);
	snap_offline(r);
	snap_domain_fini(&d);
}
END_TEST

START_TEST(sleeping_reader_counts_as_passed)
{
	struct snap_reader *awake, *asleep;
	struct snap_domain d;

	snap_domain_init(&d);
	awake = snap_register(&d);
	asleep = snap_register(&d);
	snap_online(&d, awake);
	snap_online(&d, asleep);
	retire(&d);
	snap_quiescent(&d, awake);
	snap_reclaim(&d);
	ck_assert_uint_eq(n_freed, 0);
	snap_offline(asleep);
	snap_reclaim(&d);
	ck_assert_uint_eq(n_freed, 1);
	snap_online(&d, asleep);
	retire(&d);
	snap_quiescent(&d, awake);
	snap_reclaim(&d);
	ck_assert_uint_eq(n_freed, 1);
	snap_offline(awake);
	snap_offline(asleep);
	snap_domain_fini(&d);
	ck_assert_uint_eq(n_freed, 2);
}
END_TEST

START_TEST(registration_ends_at_its_bound)
{
	struct snap_domain d;

	snap_domain_init(&d);
	for (unsigned i = 0; i < SNAP_READERS_MAX; i++)
		ck_assert_ptr_nonnull(snap_register(&d));
	ck_assert_ptr_null(snap_register(&d));
	ck_assert_ptr_null(snap_register(&d));
	retire(&d); /* all are offline as registered */
	snap_reclaim(&d);
	ck_assert_uint_eq(n_freed, 1);
	snap_domain_fini(&d);
}
END_TEST

struct world {
	struct snap_domain domain;
	_Atomic(struct snapshot *) current;
	_Atomic bool is_over;
	_Atomic unsigned n_meetings[N_READERS]; /* snapshots that a reader met for the first time */
};

struct reader {
	struct world *world;
	unsigned index;
	pthread_t thread;
};

/* Hold each snapshot for a while, then pass; sleep (offline) every few turns. */
static void *reader_run(void *arg)
{
	struct reader *me = arg;
	struct world *w = me->world;
	struct snap_reader *r = snap_register(&w->domain);
	uint64_t random = me->index + 1;
	unsigned newest = 0;

	while (!atomic_load(&w->is_over)) {
		snap_online(&w->domain, r);
		for (unsigned turns = unit_random(&random) % 8; turns > 0; turns--) {
			struct snapshot *s =
				atomic_load_explicit(&w->current, memory_order_acquire);

			if (unit_random(&random) % 4 == 0)
				sched_yield();
			PANIC_IF(s->alive != ALIVE);
			PANIC_IF(s->number < newest);
			if (s->number != newest)
				atomic_fetch_add(&w->n_meetings[me->index], 1);
			newest = s->number;
			snap_quiescent(&w->domain, r);
		}
		snap_offline(r);
	}
	return NULL;
}

static bool all_have_met(struct world *w)
{
	for (unsigned i = 0; i < N_READERS; i++)
		if (atomic_load(&w->n_meetings[i]) < N_MEETINGS)
			return false;
	return true;
}

static void publish(struct world *w, unsigned number)
{
	struct snapshot *s = snapshot_new(number);

	s = atomic_exchange_explicit(&w->current, s, memory_order_acq_rel);
	snap_retire(&w->domain, s, snapshot_free);
}

/* Under ASan or TSan a snapshot freed too early is reported; without, `alive` mostly tells. */
START_TEST(readers_never_meet_a_freed_snapshot)
{
	static struct world w;
	struct reader readers[N_READERS];
	unsigned n = 0;

	snap_domain_init(&w.domain);
	atomic_init(&w.current, snapshot_new(0));
	for (unsigned i = 0; i < N_READERS; i++) {
		readers[i] = (struct reader){.world = &w, .index = i};
		pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]);
	}
	while (n < N_SNAPSHOTS || !all_have_met(&w)) {
		publish(&w, ++n);
		snap_reclaim(&w.domain);
		if (n % 16 == 0)
			sched_yield();
	}
	atomic_store(&w.is_over, true);
	for (unsigned i = 0; i < N_READERS; i++)
		pthread_join(readers[i].thread, NULL);
	snap_reclaim(&w.domain);
	ck_assert(list_is_empty(&w.domain.retired));
	ck_assert_uint_eq(n_freed, n);
	free(atomic_load(&w.current));
	snap_domain_fini(&w.domain);
}
END_TEST

static void *slow_reader_run(void *arg)
{
	struct world *w = arg;
	struct snap_reader *r = snap_register(&w->domain);
	struct snapshot *s;

	snap_online(&w->domain, r);
	s = atomic_load(&w->current);
	atomic_store(&w->is_over, true); /* here: holds the snapshot */
	for (unsigned i = 0; i < 2000; i++) {
		sched_yield();
		PANIC_IF(s->alive != ALIVE);
	}
	snap_offline(r);
	return NULL;
}

START_TEST(without_memory_for_the_note_retire_waits_for_the_readers)
{
	static struct world w;
	struct snapshot *s = snapshot_new(0);
	pthread_t reader;

	snap_domain_init(&w.domain);
	atomic_init(&w.current, s);
	pthread_create(&reader, NULL, slow_reader_run, &w);
	while (!atomic_load(&w.is_over))
		sched_yield();
	atomic_store(&w.current, NULL);
	failing_alloc_after(0);
	snap_retire(&w.domain, s, snapshot_free);
	failing_alloc_after(-1);
	ck_assert_uint_eq(n_freed, 1);
	pthread_join(reader, NULL);
	snap_domain_fini(&w.domain);
}
END_TEST

START_TEST(end_of_the_domain_under_an_online_reader_is_a_bug)
{
	struct snap_domain d;

	snap_domain_init(&d);
	snap_online(&d, snap_register(&d));
	snap_domain_fini(&d);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("snap");

	tcase_add_test(tc, without_readers_what_is_retired_is_freed_at_once);
	tcase_add_test(tc, online_reader_holds_it_back_until_it_has_passed);
	tcase_add_test(tc, sleeping_reader_counts_as_passed);
	tcase_add_test(tc, registration_ends_at_its_bound);
	tcase_add_test(tc, readers_never_meet_a_freed_snapshot);
	tcase_add_test(tc, without_memory_for_the_note_retire_waits_for_the_readers);
	tcase_add_test_raise_signal(tc, end_of_the_domain_under_an_online_reader_is_a_bug, SIGABRT);
	return unit_run("snap", tc);
}
