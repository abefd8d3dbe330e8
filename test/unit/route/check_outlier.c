#include "route/outlier.h"

#include <string.h>

#include "../unit.h"

#define N      4u /* node 0 is the primary */
#define SECOND 1000000u

static struct outlier of[N];
static struct outlier *nodes[N];
static struct outlier_counts counts[N];
static enum outlier_event events[N];
static struct outlier_conf conf;
static uint64_t now_us;

static void begin(void)
{
	memset(of, 0, sizeof of);
	memset(counts, 0, sizeof counts);
	for (uint32_t i = 0; i < N; i++) {
		nodes[i] = &of[i];
		counts[i].usable = i != 0;
	}
	conf = (struct outlier_conf){
		.errors = 5, .latency = 10, .time_us = 30 * SECOND, .time_max_us = 100 * SECOND};
	now_us = 1000 * SECOND;
}

static void reads(uint32_t i, uint32_t n, uint64_t us)
{
	counts[i].units = n;
	counts[i].log_sum = n * outlier_log(us);
}

static void round_ends(void)
{
	now_us += SECOND;
	outlier_judge(&conf, N, nodes, counts, now_us, events);
}

static void nothing_happens(uint32_t rounds)
{
	while (rounds-- > 0) {
		round_ends();
		for (uint32_t i = 0; i < N; i++)
			ck_assert_int_eq(events[i], OUTLIER_NONE);
	}
}

START_TEST(logarithms_are_in_sixteenths)
{
	ck_assert_uint_eq(outlier_log(0), 0);
	ck_assert_uint_eq(outlier_log(1), 0);
	ck_assert_uint_eq(outlier_log(2), 16);
	ck_assert_uint_eq(outlier_log(3), 24);
	ck_assert_uint_eq(outlier_log(1024), 160);
	ck_assert_uint_eq(outlier_log(1536), 168);
	for (uint64_t us = 1; us < 1u << 20; us++)
		ck_assert_uint_ge(outlier_log(us + 1), outlier_log(us));
	ck_assert_uint_eq(outlier_log(UINT64_MAX), 63 * 16 + 15);
}
END_TEST

START_TEST(failures_in_a_row_eject_and_few_among_good_reads_do_not)
{
	reads(1, 1000, 100);
	counts[1].failures = 50;
	nothing_happens(100);
	reads(1, 0, 0);
	counts[1].failures = 4;
	of[1].fails = of[1].oks = 0;
	nothing_happens(1);
	counts[1].failures = 1; /* the fifth */
	round_ends();
	ck_assert_int_eq(events[1], OUTLIER_ERRORS);
	ck_assert_uint_eq(of[1].until_us, now_us + 30 * SECOND);
	nothing_happens(29);
	counts[1].failures = 0;
	round_ends();
	ck_assert_int_eq(events[1], OUTLIER_BACK);
	ck_assert_uint_eq(of[1].until_us, 0);
	ck_assert_uint_eq(of[1].back_us, now_us);
	nothing_happens(10);
}
END_TEST

START_TEST(a_round_of_good_reads_forgives)
{
	counts[1].failures = 4;
	nothing_happens(1);
	counts[1].failures = 0;
	reads(1, 1, 100);
	nothing_happens(1);
	reads(1, 0, 0);
	counts[1].failures = 4;
	nothing_happens(1);
}
END_TEST

START_TEST(each_time_is_twice_as_long_until_it_is_forgotten)
{
	static const uint64_t times[] = {30, 60, 100, 100};

	counts[1].failures = 5;
	for (size_t k = 0; k < sizeof times / sizeof times[0]; k++) {
		round_ends(); /* the first of all, or the one that takes it back and sees it fail */
		ck_assert_int_eq(events[1], OUTLIER_ERRORS);
		ck_assert_uint_eq(of[1].until_us - now_us, times[k] * SECOND);
		nothing_happens((uint32_t)times[k] - 1);
	}
	counts[1].failures = 0;
	round_ends();
	ck_assert_int_eq(events[1], OUTLIER_BACK);
	nothing_happens(101);
	counts[1].failures = 5;
	round_ends();
	ck_assert_uint_eq(of[1].until_us - now_us, 30 * SECOND);
}
END_TEST

START_TEST(one_that_has_restarted_is_taken_back)
{
	counts[1].failures = 5;
	round_ends();
	ck_assert_int_eq(events[1], OUTLIER_ERRORS);
	counts[1].failures = 0;
	counts[1].usable = false;
	nothing_happens(3);
	counts[1].usable = true;
	counts[1].came_back_us = now_us;
	round_ends();
	ck_assert_int_eq(events[1], OUTLIER_BACK);
}
END_TEST

START_TEST(much_slower_than_the_others_for_three_rounds)
{
	for (uint32_t i = 1; i < N; i++)
		reads(i, 100, 2000);
	nothing_happens(3);
	reads(2, 100, 25000);
	nothing_happens(2); /* what was before counts half */
	for (unsigned k = 0; k < 5 && events[2] == OUTLIER_NONE; k++)
		round_ends();
	ck_assert_int_eq(events[2], OUTLIER_LATENCY);
	ck_assert_int_eq(events[1], OUTLIER_NONE);
	ck_assert_int_eq(events[3], OUTLIER_NONE);
}
END_TEST

START_TEST(slow_is_no_reason_where_all_are_or_little_is_known)
{
	for (uint32_t i = 1; i < N; i++)
		reads(i, 100, 500000); /* all of them */
	nothing_happens(10);
	reads(2, 100, 4000000); /* not ten times */
	nothing_happens(10);
	begin();
	for (uint32_t i = 1; i < N; i++)
		reads(i, 100, 100);
	reads(2, 100, 9000); /* ninety times, but quick enough */
	nothing_happens(10);
	reads(2, 5, 10000000); /* five reads of ten seconds */
	of[2].n_units = of[2].log_sum = 0;
	nothing_happens(10);
	reads(2, 100, 100);
	counts[2].log_sum += 5 * outlier_log(10000000); /* some among many */
	counts[2].units += 5;
	nothing_happens(10);
	conf.latency = 0;
	reads(2, 100, 10000000);
	nothing_happens(10);
}
END_TEST

START_TEST(at_least_half_stay)
{
	for (uint32_t i = 1; i < N; i++)
		counts[i].failures = 100;
	round_ends();
	ck_assert_int_eq(events[1], OUTLIER_ERRORS);
	ck_assert_int_eq(events[2], OUTLIER_NONE);
	ck_assert_int_eq(events[3], OUTLIER_NONE);
	nothing_happens(20);
	begin();
	counts[3].usable = false;
	counts[2].failures = 5;
	round_ends();
	ck_assert_int_eq(events[2], OUTLIER_ERRORS);
	counts[1].failures = 100;
	nothing_happens(20);
	begin();
	counts[2].usable = counts[3].usable = false; /* alone */
	counts[1].failures = 100;
	counts[0].failures = 100; /* nor the primary */
	nothing_happens(20);
}
END_TEST

START_TEST(switched_off_all_are_taken_back)
{
	counts[1].failures = 5;
	round_ends();
	conf.errors = conf.latency = 0;
	round_ends();
	ck_assert_int_eq(events[1], OUTLIER_BACK);
	nothing_happens(5);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("outlier");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, logarithms_are_in_sixteenths);
	tcase_add_test(tc, failures_in_a_row_eject_and_few_among_good_reads_do_not);
	tcase_add_test(tc, a_round_of_good_reads_forgives);
	tcase_add_test(tc, each_time_is_twice_as_long_until_it_is_forgotten);
	tcase_add_test(tc, one_that_has_restarted_is_taken_back);
	tcase_add_test(tc, much_slower_than_the_others_for_three_rounds);
	tcase_add_test(tc, slow_is_no_reason_where_all_are_or_little_is_known);
	tcase_add_test(tc, at_least_half_stay);
	tcase_add_test(tc, switched_off_all_are_taken_back);
	return unit_run("outlier", tc);
}
