#include "base/wheel.h"

#include <string.h>

#include "../unit.h"

#define TICK     ((uint64_t)WHEEL_TICK_US)
#define N_TIMERS 64u

/* What the callbacks see: which timers fired, in order, and what the naive model expects. */
struct probe {
	struct wheel wheel;
	struct wheel_timer timers[N_TIMERS];
	bool is_armed[N_TIMERS];     /* model */
	uint64_t deadline[N_TIMERS]; /* model */
	bool armed_in_run[N_TIMERS]; /* model: not due before the next run */
	uint64_t now_us;
	uint64_t last_tick; /* of the timer fired last in this run */
	unsigned n_fired;
	unsigned fired[N_TIMERS];
	uint64_t random; /* 0: callbacks do nothing else */
};

static void probe_add(struct probe *p, unsigned i, uint64_t deadline_us)
{
	wheel_add(&p->wheel, &p->timers[i], deadline_us);
	p->is_armed[i] = true;
	p->deadline[i] = deadline_us;
	p->armed_in_run[i] = true;
}

static void probe_del(struct probe *p, unsigned i)
{
	wheel_del(&p->wheel, &p->timers[i]);
	p->is_armed[i] = false;
}

/* A deadline of any magnitude, now and then in the past or far beyond the wheel. */
static uint64_t probe_deadline(struct probe *p)
{
	uint64_t r = unit_random(&p->random);
	uint64_t delta = unit_random(&p->random) >> (64 - 1 - r % 50);

	if (r % 11 == 0)
		return p->now_us - delta % p->now_us;
	if (r % 97 == 0)
		return UINT64_MAX - delta;
	return p->now_us + delta;
}

static void probe_act(struct probe *p)
{
	uint64_t r = unit_random(&p->random);
	unsigned i = (unsigned)(r >> 32) % N_TIMERS;

	if (r % 3 == 0)
		probe_del(p, i);
	else
		probe_add(p, i, probe_deadline(p));
}

static void probe_on_timer(void *ctx, struct wheel_timer *t)
{
	struct probe *p = ctx;
	unsigned i = (unsigned)(t - p->timers);

	unit_check(!wheel_is_armed(t));
	unit_check(p->is_armed[i]);
	unit_check(p->deadline[i] <= p->now_us);
	unit_check(!p->armed_in_run[i]);
	p->is_armed[i] = false;
	if (p->n_fired < N_TIMERS)
		p->fired[p->n_fired] = i;
	p->n_fired++;
	if (p->random != 0 && unit_random(&p->random) % 2 == 0) {
		probe_act(p);
		if (unit_random(&p->random) % 4 == 0)
			probe_add(p, i, probe_deadline(p));
	}
}

static struct probe *probe_new(uint64_t now_us)
{
	struct probe *p = calloc(1, sizeof *p);

	ck_assert_ptr_nonnull(p);
	p->now_us = now_us;
	wheel_init(&p->wheel, now_us);
	for (unsigned i = 0; i < N_TIMERS; i++)
		wheel_timer_init(&p->timers[i], probe_on_timer);
	return p;
}

static size_t probe_run(struct probe *p, uint64_t now_us, size_t max)
{
	p->now_us = now_us;
	p->n_fired = 0;
	memset(p->armed_in_run, 0, sizeof p->armed_in_run);
	return wheel_run(&p->wheel, now_us, max, p);
}

START_TEST(fires_at_the_first_tick_at_or_after_the_deadline)
{
	static const uint64_t delta_ticks[] = {1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 8192,
		262143, 262144, 262145, 16777216, 16777217, 1073741824, 1073741825};
	static const uint64_t starts[] = {0, 1, 63, 64, 4095, 4096, 262143, 16777215, 1073741823,
		((uint64_t)1 << 36) - 1, ((uint64_t)1 << 36) - 4097, (uint64_t)1 << 40};

	for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
		for (size_t d = 0; d < sizeof delta_ticks / sizeof *delta_ticks; d++) {
			uint64_t due = (starts[s] + delta_ticks[d]) * TICK;
			struct probe *p = probe_new(starts[s] * TICK + 17);

			probe_add(p, 0, due - 999); /* just after the tick before */
			probe_add(p, 1, due);
			probe_add(p, 2, due + 1);
			ck_assert_uint_eq(probe_run(p, due - 1, 10), 0);
			ck_assert_uint_eq(probe_run(p, due, 10), 2);
			ck_assert_uint_eq(probe_run(p, due + TICK - 1, 10), 0);
			ck_assert_uint_eq(probe_run(p, due + TICK, 10), 1);
			ck_assert_uint_eq(p->wheel.n_armed, 0);
			free(p);
		}
	}
}
END_TEST

START_TEST(deadline_in_the_past_fires_at_the_next_run_without_time_passing)
{
	struct probe *p = probe_new(5000000);

	probe_add(p, 0, 0);
	probe_add(p, 1, 5000000);
	ck_assert_uint_le(wheel_next_us(&p->wheel), 5000000);
	ck_assert_uint_eq(probe_run(p, 5000000, 10), 2);
	probe_add(p, 0, 4999999);
	ck_assert_uint_eq(probe_run(p, 5000000, 10), 1);
	free(p);
}
END_TEST

START_TEST(at_most_max_fire_and_the_rest_keeps_its_turn)
{
	struct probe *p = probe_new(0);

	for (unsigned i = 0; i < 10; i++)
		probe_add(p, i, (10 - i) * TICK);
	ck_assert_uint_eq(probe_run(p, 10 * TICK, 0), 0);
	ck_assert_uint_eq(probe_run(p, 10 * TICK, 4), 4);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(p->fired[i], 9 - i);
	ck_assert_uint_le(wheel_next_us(&p->wheel), 10 * TICK);
	probe_add(p, 9, 0); /* due already, but behind those that wait */
	ck_assert_uint_eq(probe_run(p, 10 * TICK, 6), 6);
	ck_assert_uint_eq(p->fired[0], 5);
	ck_assert_uint_eq(p->fired[5], 0);
	ck_assert_uint_eq(probe_run(p, 10 * TICK, 6), 1);
	ck_assert_uint_eq(p->fired[0], 9);
	free(p);
}
END_TEST

static void arm_last_as_due(void *ctx, struct wheel_timer *t)
{
	struct probe *p = ctx;

	probe_on_timer(ctx, t);
	if (!p->is_armed[N_TIMERS - 1])
		probe_add(p, N_TIMERS - 1, 0);
}

START_TEST(what_a_callback_arms_as_due_stands_behind_those_left_over)
{
	struct probe *p = probe_new(0);

	wheel_timer_init(&p->timers[0], arm_last_as_due);
	for (unsigned i = 0; i < 3; i++)
		probe_add(p, i, (i + 1) * TICK);
	ck_assert_uint_eq(probe_run(p, 3 * TICK, 2), 2);
	ck_assert_uint_eq(probe_run(p, 3 * TICK, SIZE_MAX), 2);
	ck_assert_uint_eq(p->fired[0], 2);
	ck_assert_uint_eq(p->fired[1], N_TIMERS - 1);
	probe_add(p, 0, 0);
	ck_assert_uint_eq(probe_run(p, 3 * TICK, SIZE_MAX), 1); /* its arming is for the next */
	ck_assert_uint_eq(probe_run(p, 3 * TICK, SIZE_MAX), 1);
	free(p);
}
END_TEST

START_TEST(timer_moved_or_deleted_does_not_fire_at_its_old_time)
{
	struct probe *p = probe_new(0);

	probe_add(p, 0, 100 * TICK);
	probe_add(p, 1, 100 * TICK);
	ck_assert(wheel_is_armed(&p->timers[0]));
	probe_add(p, 0, 200 * TICK);
	probe_del(p, 1);
	probe_del(p, 1); /* no-op */
	ck_assert(!wheel_is_armed(&p->timers[1]));
	ck_assert_uint_eq(p->wheel.n_armed, 1);
	ck_assert_uint_gt(wheel_next_us(&p->wheel), 100 * TICK);
	ck_assert_uint_eq(probe_run(p, 199 * TICK, 10), 0);
	ck_assert_uint_eq(probe_run(p, 200 * TICK, 10), 1);
	ck_assert_uint_eq(wheel_next_us(&p->wheel), UINT64_MAX);
	free(p);
}
END_TEST

START_TEST(deadline_beyond_the_wheel_fires_when_it_comes_not_before)
{
	const uint64_t range = (uint64_t)1 << 36; /* ticks */
	struct probe *p = probe_new(123 * TICK);

	probe_add(p, 0, (range * 3 + 5) * TICK);
	probe_add(p, 1, UINT64_MAX);
	for (unsigned i = 1; i <= 12; i++)
		ck_assert_uint_eq(probe_run(p, range / 4 * i * TICK, 10), 0);
	ck_assert_uint_eq(probe_run(p, (range * 3 + 4) * TICK, 10), 0);
	ck_assert_uint_eq(probe_run(p, (range * 3 + 5) * TICK, 10), 1);
	ck_assert(wheel_is_armed(&p->timers[1]));
	free(p);
}
END_TEST

START_TEST(time_that_goes_backwards_is_ignored)
{
	struct probe *p = probe_new(1000 * TICK);

	probe_add(p, 0, 1010 * TICK);
	ck_assert_uint_eq(probe_run(p, 5 * TICK, 10), 0);
	ck_assert_uint_eq(probe_run(p, 1010 * TICK, 10), 1);
	free(p);
}
END_TEST

/* A loop that sleeps until wheel_next_us wakes a few times per timer, and each is in time. */
START_TEST(sleeping_until_next_wakes_in_time_and_seldom)
{
	struct probe *p = probe_new(777);
	unsigned n_wakes = 0;
	uint64_t random = 42;

	for (unsigned i = 0; i < N_TIMERS; i++)
		probe_add(p, i, 777 + (unit_random(&random) >> (24 + i % 40)));
	while (p->wheel.n_armed != 0) {
		uint64_t next = wheel_next_us(&p->wheel);

		ck_assert_uint_ne(next, UINT64_MAX);
		probe_run(p, next > p->now_us ? next : p->now_us, SIZE_MAX);
		for (unsigned i = 0; i < p->n_fired; i++)
			ck_assert_uint_lt(p->now_us - p->deadline[p->fired[i]], 2 * TICK);
		ck_assert_uint_gt(wheel_next_us(&p->wheel), p->now_us);
		n_wakes++;
	}
	ck_assert_uint_le(n_wakes, N_TIMERS * (WHEEL_LEVELS + 1));
	free(p);
}
END_TEST

START_TEST(few_timers_wake_nobody_before_they_are_due)
{
	struct probe *p = probe_new(777);

	for (unsigned i = 0; i < 30; i++) {
		uint64_t deadline = p->now_us + ((uint64_t)1 << i);
		uint64_t fires = (deadline + TICK - 1) / TICK * TICK;

		probe_add(p, 1, deadline + TICK);
		probe_add(p, 0, deadline);
		ck_assert_uint_eq(wheel_next_us(&p->wheel), fires);
		ck_assert_uint_eq(probe_run(p, fires, 10), 1);
		ck_assert_uint_eq(wheel_next_us(&p->wheel), fires + TICK);
		ck_assert_uint_eq(probe_run(p, fires + TICK, 10), 1);
	}
	free(p);
}
END_TEST

static void model_compare(struct probe *p, size_t max)
{
	uint64_t earliest_us = UINT64_MAX;
	size_t n_armed = 0;

	for (unsigned i = 0; i < N_TIMERS; i++) {
		unit_check(wheel_is_armed(&p->timers[i]) == p->is_armed[i]);
		if (!p->is_armed[i])
			continue;
		n_armed++;
		if (p->deadline[i] < earliest_us)
			earliest_us = p->deadline[i];
		if (p->n_fired < max && !p->armed_in_run[i]) {
			uint64_t tick = p->deadline[i] / TICK + (p->deadline[i] % TICK != 0);

			unit_check(tick > p->now_us / TICK);
		}
	}
	unit_check(p->wheel.n_armed == n_armed);
	if (n_armed == 0)
		unit_check(wheel_next_us(&p->wheel) == UINT64_MAX);
	else if (earliest_us > p->now_us && earliest_us < UINT64_MAX - TICK)
		unit_check(wheel_next_us(&p->wheel) < earliest_us + TICK);
}

START_TEST(random_operations_agree_with_a_naive_model)
{
	struct probe *p = probe_new(unit_random(&(uint64_t){_i + 1}) >> 20);

	p->random = 0x9e3779b9u + (uint64_t)_i;
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t r = unit_random(&p->random);
		size_t max = r % 5 == 0 ? r % 7 : SIZE_MAX;

		if (r % 2 == 0) {
			probe_act(p);
			continue;
		}
		probe_run(p, p->now_us + (unit_random(&p->random) >> (63 - r % 40)), max);
		model_compare(p, max);
	}
	free(p);
}
END_TEST

START_TEST(timer_without_a_function_is_a_bug)
{
	struct wheel_timer t;

	wheel_timer_init(&t, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("wheel");

	tcase_add_test(tc, fires_at_the_first_tick_at_or_after_the_deadline);
	tcase_add_test(tc, deadline_in_the_past_fires_at_the_next_run_without_time_passing);
	tcase_add_test(tc, at_most_max_fire_and_the_rest_keeps_its_turn);
	tcase_add_test(tc, what_a_callback_arms_as_due_stands_behind_those_left_over);
	tcase_add_test(tc, timer_moved_or_deleted_does_not_fire_at_its_old_time);
	tcase_add_test(tc, deadline_beyond_the_wheel_fires_when_it_comes_not_before);
	tcase_add_test(tc, time_that_goes_backwards_is_ignored);
	tcase_add_test(tc, sleeping_until_next_wakes_in_time_and_seldom);
	tcase_add_test(tc, few_timers_wake_nobody_before_they_are_due);
	tcase_add_loop_test(tc, random_operations_agree_with_a_naive_model, 0, 8);
	tcase_add_test_raise_signal(tc, timer_without_a_function_is_a_bug, SIGABRT);
	return unit_run("wheel", tc);
}
