#include "control/headroom.h"

#include <math.h>

#include "../unit.h"

/* Values of Erlang's formula C from tables. */
START_TEST(the_chance_to_wait_is_erlangs)
{
	ck_assert_double_eq_tol(headroom_wait_chance(1, 0.5), 0.5, 1e-9);
	ck_assert_double_eq_tol(headroom_wait_chance(2, 1.0), 1.0 / 3, 1e-9);
	ck_assert_double_eq_tol(headroom_wait_chance(10, 8.0), 0.40918, 1e-4);
	ck_assert_double_eq(headroom_wait_chance(10, 0), 0);
	ck_assert_double_eq(headroom_wait_chance(10, 10), 1);
	ck_assert_double_le(headroom_wait_chance(5000, 4900), 1);
}
END_TEST

START_TEST(the_size_is_the_smallest_that_meets_the_goal)
{
	for (double load = 0.1; load < 200; load *= 1.7)
		for (double goal = 0.001; goal < 20; goal *= 5) {
			uint32_t n = headroom_size_for(load, 0.95, goal);

			unit_check(headroom_wait_quantile(n, load, 0.95) <= goal);
			unit_check(n == (uint32_t)load + 1 ||
				   headroom_wait_quantile(n - 1, load, 0.95) > goal);
		}
	ck_assert_uint_eq(headroom_size_for(0, 0.95, 1), 1);
	ck_assert_uint_eq(headroom_size_for(1e9, 0.95, 1), HEADROOM_SIZE_MAX);
}
END_TEST

START_TEST(a_steady_growth_is_told_from_noise)
{
	float rising[60], noise[60], flat[60];
	uint64_t state = 7;
	struct headroom_trend t;

	for (unsigned i = 0; i < 60; i++) {
		rising[i] = 5 + 0.1f * (float)i;
		noise[i] = (float)(unit_random(&state) % 100);
		flat[i] = 5;
	}
	t = headroom_trend_of(rising, 60, 10);
	ck_assert(t.is_steady);
	ck_assert_double_eq_tol(t.now, 10.9, 0.01);
	ck_assert_double_eq_tol(headroom_seconds_to(&t, 20), 910, 1);
	ck_assert_double_eq(headroom_seconds_to(&t, 10), 0);
	t = headroom_trend_of(noise, 60, 10);
	ck_assert(!t.is_steady);
	t = headroom_trend_of(flat, 60, 10);
	ck_assert_double_eq(headroom_seconds_to(&t, 20), -1);
	t = headroom_trend_of(flat, 2, 10);
	ck_assert_double_eq(headroom_seconds_to(&t, 20), -1);
	t = headroom_trend_of(flat, 0, 10);
	ck_assert_double_eq(t.now, 0);
}
END_TEST

/* 30, 32 … 48, one each 60 s: 48 now and 2 a minute, so 100 is 26 minutes away. */
START_TEST(a_limit_is_as_far_away_as_the_line_says)
{
	float samples[10];
	struct headroom_trend t;

	for (unsigned i = 0; i < 10; i++)
		samples[i] = 30 + 2 * (float)i;
	t = headroom_trend_of(samples, 10, 60);
	ck_assert(t.is_steady);
	ck_assert_double_eq_tol(t.now, 48, 1e-9);
	ck_assert_double_eq_tol(t.per_s * 3600, 120, 1e-9);
	ck_assert_double_eq_tol(headroom_seconds_to(&t, 100), 26 * 60, 1e-6);
	ck_assert_double_eq_tol(headroom_seconds_to(&t, 48.5), 15, 1e-6);
	ck_assert_double_eq(headroom_seconds_to(&t, 48), 0);
	ck_assert_double_eq(headroom_seconds_to(&t, 40), 0);
	/* One that is off does not count as the last alone: the least squares of 0 0 0 3 are
	 * -0.6 + 0.9 i. */
	t = headroom_trend_of((float[]){0, 0, 0, 3}, 4, 1);
	ck_assert_double_eq_tol(t.now, 2.1, 1e-9);
	ck_assert_double_eq_tol(t.per_s, 0.9, 1e-9);
	ck_assert_double_eq_tol(headroom_seconds_to(&t, 3), 1, 1e-9);
}
END_TEST

START_TEST(what_falls_or_barely_grows_never_gets_there)
{
	float falling[10], slow[10];
	struct headroom_trend t;

	for (unsigned i = 0; i < 10; i++) {
		falling[i] = 48 - 2 * (float)i;
		slow[i] = 100 + 0.5f * (float)i; /* by 5 of 102.25: less than a tenth */
	}
	t = headroom_trend_of(falling, 10, 60);
	ck_assert(t.is_steady);
	ck_assert_double_eq_tol(t.per_s * 3600, -120, 1e-9);
	ck_assert_double_eq(headroom_seconds_to(&t, 100), -1);
	ck_assert_double_eq(headroom_seconds_to(&t, 30), 0);
	t = headroom_trend_of(slow, 10, 60);
	ck_assert(!t.is_steady);
	ck_assert_double_eq_tol(t.per_s, 0.5 / 60, 1e-9);
	ck_assert_double_eq(headroom_seconds_to(&t, 200), -1);
	for (unsigned i = 0; i < 10; i++)
		slow[i] = 40 + 0.5f * (float)i; /* by 5 of 42.25: more than a tenth */
	t = headroom_trend_of(slow, 10, 60);
	ck_assert(t.is_steady);
}
END_TEST

/* Two samples make a line, but no trend. */
START_TEST(two_samples_foretell_nothing)
{
	struct headroom_trend t = headroom_trend_of((float[]){1, 2}, 2, 1);

	ck_assert(!t.is_steady);
	ck_assert_double_eq(t.now, 2);
	ck_assert_double_eq(headroom_seconds_to(&t, 3), -1);
	ck_assert_double_eq(headroom_seconds_to(&t, 2), 0);
	t = headroom_trend_of((float[]){1, 2, 3}, 3, 1);
	ck_assert_double_eq_tol(headroom_seconds_to(&t, 5), 2, 1e-9);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("headroom");

	tcase_add_test(tc, the_chance_to_wait_is_erlangs);
	tcase_add_test(tc, the_size_is_the_smallest_that_meets_the_goal);
	tcase_add_test(tc, a_steady_growth_is_told_from_noise);
	tcase_add_test(tc, a_limit_is_as_far_away_as_the_line_says);
	tcase_add_test(tc, what_falls_or_barely_grows_never_gets_there);
	tcase_add_test(tc, two_samples_foretell_nothing);
	return unit_run("headroom", tc);
}
