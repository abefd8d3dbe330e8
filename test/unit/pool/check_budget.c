#include "pool/budget.h"

#include <pthread.h>
#include <sched.h>

#include "../unit.h"
#include "meet.h"

static struct budget a, b;
static uint64_t wake;

static void begin(void)
{
	budget_init(&a, 2);
	budget_init(&b, 1);
	wake = 0;
}

static int acquire_a(uint32_t extra)
{
	const struct budget_want set[] = {{.b = &a, .extra = extra}};

	return budget_try_acquire(set, 1, &wake);
}

static int acquire_both_or_wait(unsigned worker)
{
	const struct budget_want set[] = {{.b = &a}, {.b = &b}};

	return budget_acquire_or_wait(set, 2, worker, &wake);
}

START_TEST(a_budget_is_taken_up_to_its_limit)
{
	ck_assert_int_eq(acquire_a(0), -1);
	ck_assert_int_eq(acquire_a(0), -1);
	ck_assert_int_eq(acquire_a(0), 0);
	ck_assert_int_eq(acquire_a(1), -1); /* the reserve */
	ck_assert(budget_is_over(&a));
	ck_assert_int_eq(acquire_a(1), 0);
	ck_assert_uint_eq(budget_n(&a), 3);
	budget_release(&a, &wake);
	ck_assert(!budget_is_over(&a));
	ck_assert_int_eq(acquire_a(0), 0);
	ck_assert_uint_eq(wake, 0);
}
END_TEST

START_TEST(a_limit_of_zero_is_none)
{
	budget_init(&a, 0);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(acquire_a(0), -1);
	ck_assert(!budget_is_over(&a));
	ck_assert_uint_eq(budget_limit(&a), 0);
}
END_TEST

START_TEST(all_or_nothing)
{
	ck_assert_int_eq(acquire_both_or_wait(0), -1);
	ck_assert_int_eq(acquire_both_or_wait(1), 1);
	ck_assert_uint_eq(budget_n(&a), 1);
	ck_assert_uint_eq(budget_n(&b), 1);
}
END_TEST

START_TEST(who_waits_is_woken_by_who_gives_back)
{
	ck_assert_int_eq(acquire_both_or_wait(0), -1);
	ck_assert_int_eq(acquire_both_or_wait(3), 1);
	ck_assert_int_eq(acquire_both_or_wait(63), 1);
	ck_assert(budget_has_starved(&b));
	ck_assert(!budget_has_starved(&a));
	ck_assert(budget_is_starving(&b, 3) && budget_is_starving(&b, 63));
	ck_assert(!budget_is_starving(&b, 4) && !budget_is_starving(&a, 3));
	budget_release(&a, &wake);
	ck_assert_uint_eq(wake, 0); /* a was not what they waited for */
	budget_release(&b, &wake);
	ck_assert_uint_eq(wake, (uint64_t)1 << 3 | (uint64_t)1 << 63);
	ck_assert(!budget_has_starved(&b));
	ck_assert(!budget_is_starving(&b, 3) && !budget_is_starving(&b, 63));
}
END_TEST

START_TEST(what_was_held_for_a_moment_wakes_too)
{
	ck_assert_int_eq(acquire_both_or_wait(0), -1);
	budget_note_starved(&a, 5); /* it found `a` full while another try held it */
	ck_assert_int_eq(acquire_both_or_wait(1), 1);
	ck_assert_uint_eq(wake, 1u << 5);
}
END_TEST

START_TEST(a_raised_limit_wakes)
{
	ck_assert_int_eq(acquire_both_or_wait(0), -1);
	ck_assert_int_eq(acquire_both_or_wait(1), 1);
	budget_set_limit(&b, 2, &wake);
	ck_assert_uint_eq(wake, 1u << 1);
	ck_assert(!budget_is_starving(&b, 1));
	ck_assert_int_eq(acquire_both_or_wait(1), -1);
	budget_set_limit(&b, 1, &wake);
	ck_assert(budget_is_over(&b));
}
END_TEST

/* --- threads: a lost wake-up hangs, and the test's timeout ends it --- */

#define N_THREADS 4u
#define N_ROUNDS  3000u

static _Atomic bool woken[N_THREADS];
static _Atomic uint32_t n_in, n_done;

static void wake_all(uint64_t who)
{
	for (unsigned i = 0; i < N_THREADS; i++)
		if ((who >> i & 1u) != 0)
			atomic_store(&woken[i], true);
}

/* What a worker does: waits until it is woken, and never looks again by itself. */
static void acquire_waiting(const struct budget_want *set, unsigned self)
{
	for (;;) {
		uint64_t who = 0;
		int full = budget_acquire_or_wait(set, 2, self, &who);

		wake_all(who);
		if (full < 0)
			return;
		while (!atomic_load(&woken[self]))
			sched_yield();
		atomic_store(&woken[self], false);
	}
}

static void *run_worker(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	/* in two orders, so that they stand in each other's way */
	const struct budget_want ab[] = {{.b = &a}, {.b = &b}}, ba[] = {{.b = &b}, {.b = &a}};

	for (unsigned i = 0; i < N_ROUNDS; i++) {
		uint64_t who = 0;

		acquire_waiting(self % 2 == 0 ? ab : ba, self);
		ck_assert_uint_lt(atomic_fetch_add(&n_in, 1), 2);
		if (i % 16 == 0)
			sched_yield();
		atomic_fetch_sub(&n_in, 1);
		budget_release(&a, &who);
		budget_release(&b, &who);
		wake_all(who);
	}
	atomic_fetch_add(&n_done, 1);
	return NULL;
}

START_TEST(no_wake_up_is_lost)
{
	pthread_t threads[N_THREADS];

	budget_init(&b, 3); /* `a`, of 2, is the narrow one */
	for (uintptr_t i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_worker, (void *)i), 0);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(n_done, N_THREADS);
	ck_assert_uint_eq(budget_n(&a), 0);
	ck_assert_uint_eq(budget_n(&b), 0);
}
END_TEST

/* --- two threads: one gives the last back while the other finds none --- */

#define N_MEETINGS 30000u

static struct meet rounds;
static uint64_t told[N_MEETINGS];
static int found[N_MEETINGS];

static void *run_giver(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < N_MEETINGS; i++) {
		meet(&rounds, 0, 2 * i);
		budget_release(&b, &told[i]);
		meet(&rounds, 0, 2 * i + 1);
	}
	return NULL;
}

static void *run_taker(void *arg)
{
	const struct budget_want set[] = {{.b = &b}};
	uint64_t who = 0;

	(void)arg;
	for (unsigned i = 0; i < N_MEETINGS; i++) {
		meet(&rounds, 1, 2 * i);
		found[i] = budget_acquire_or_wait(set, 1, 1, &who);
		meet(&rounds, 1, 2 * i + 1);
		/* in either case it is taken again when the next round begins */
		if (found[i] >= 0)
			ck_assert_int_eq(budget_try_acquire(set, 1, &who), -1);
	}
	return NULL;
}

START_TEST(who_finds_none_while_one_is_given_back_is_woken)
{
	pthread_t giver, taker;

	ck_assert_int_eq(budget_try_acquire((const struct budget_want[]){{.b = &b}}, 1, &wake), -1);
	ck_assert_int_eq(pthread_create(&giver, NULL, run_giver, NULL), 0);
	ck_assert_int_eq(pthread_create(&taker, NULL, run_taker, NULL), 0);
	pthread_join(giver, NULL);
	pthread_join(taker, NULL);
	for (unsigned i = 0; i < N_MEETINGS; i++)
		ck_assert(found[i] < 0 || told[i] == 1u << 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("budget");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, a_budget_is_taken_up_to_its_limit);
	tcase_add_test(tc, a_limit_of_zero_is_none);
	tcase_add_test(tc, all_or_nothing);
	tcase_add_test(tc, who_waits_is_woken_by_who_gives_back);
	tcase_add_test(tc, what_was_held_for_a_moment_wakes_too);
	tcase_add_test(tc, a_raised_limit_wakes);
	tcase_add_test(tc, no_wake_up_is_lost);
	tcase_add_test(tc, who_finds_none_while_one_is_given_back_is_woken);
	return unit_run("budget", tc);
}
