#include "base/hist.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "../unit.h"

/* The bucket that one value goes to. */
static unsigned bucket_of(uint64_t us)
{
	static struct hist h;
	struct hist_sum s = {0};

	memset(&h, 0, sizeof h);
	hist_add(&h, us);
	hist_sum_add(&s, &h);
	unit_check(s.count == 1);
	unit_check(s.sum_us == us);
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		if (s.n[i] == 1)
			return i;
	ck_abort_msg("no bucket has it");
	return 0;
}

static unsigned bucket_by_search(uint64_t us)
{
	unsigned i = 0;

	while (i < HIST_BUCKETS - 1 && hist_bucket_max_us(i) < us)
		i++;
	return i;
}

START_TEST(bucket_bounds_are_quarter_powers_of_two)
{
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		ck_assert_uint_eq(hist_bucket_max_us(i), (uint64_t)exp2((i + 1) / 4.0));
}
END_TEST

START_TEST(value_goes_to_the_first_bucket_that_reaches_it)
{
	uint64_t random = 99;

	for (uint64_t us = 0; us < 5000; us++)
		unit_check(bucket_of(us) == bucket_by_search(us));
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		for (uint64_t us = hist_bucket_max_us(i) - 1; us < hist_bucket_max_us(i) + 2; us++)
			unit_check(bucket_of(us) == bucket_by_search(us));
	for (unsigned n = 0; n < 5000; n++) {
		uint64_t us = unit_random(&random) >> (n % 64);

		unit_check(bucket_of(us) == bucket_by_search(us));
	}
}
END_TEST

START_TEST(values_out_of_range_go_to_the_end_buckets)
{
	ck_assert_uint_eq(bucket_of(0), 0);
	ck_assert_uint_eq(bucket_of(1), 0);
	ck_assert_uint_eq(bucket_of((uint64_t)1 << 32), HIST_BUCKETS - 1);
	ck_assert_uint_eq(bucket_of(((uint64_t)1 << 32) + 1), HIST_BUCKETS - 1);
	ck_assert_uint_eq(bucket_of(UINT64_MAX), HIST_BUCKETS - 1);
}
END_TEST

START_TEST(quantile_is_within_19_percent)
{
	static const double q[] = {0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999};
	static struct hist h;
	struct hist_sum s = {0};
	const uint64_t n = 20000;

	for (uint64_t i = 1; i <= n; i++)
		hist_add(&h, i * 7); /* the q-quantile is known: 7 q n */
	hist_sum_add(&s, &h);
	for (unsigned i = 0; i < sizeof q / sizeof *q; i++) {
		double truth = ceil(q[i] * (double)n) * 7;
		double told = (double)hist_quantile_us(&s, q[i]);

		ck_assert_double_ge(told, truth);
		ck_assert_double_le(told, truth * 1.1893);
	}
}
END_TEST

START_TEST(quantile_of_few_values_is_one_of_them)
{
	static struct hist h;
	struct hist_sum s = {0};

	ck_assert_uint_eq(hist_quantile_us(&s, 0.5), 0);
	hist_add(&h, 1);
	hist_add(&h, 2);
	hist_add(&h, 1024);
	hist_sum_add(&s, &h);
	ck_assert_uint_eq(hist_quantile_us(&s, 0.01), 1);
	ck_assert_uint_eq(hist_quantile_us(&s, 0.33), 1);
	ck_assert_uint_eq(hist_quantile_us(&s, 0.5), 2);
	ck_assert_uint_eq(hist_quantile_us(&s, 0.67), 1024);
	ck_assert_uint_eq(hist_quantile_us(&s, 0.99), 1024);
	s = (struct hist_sum){0};
	hist_add(&h, 1);
	hist_sum_add(&s, &h);
	ck_assert_uint_eq(hist_quantile_us(&s, 0.5), 1); /* two of four are at or below it */
}
END_TEST

START_TEST(several_histograms_sum_up)
{
	static struct hist a, b;
	struct hist_sum s = {0};

	hist_add(&a, 10);
	hist_add(&b, 10);
	hist_add(&b, 5000);
	hist_sum_add(&s, &a);
	hist_sum_add(&s, &b);
	ck_assert_uint_eq(s.count, 3);
	ck_assert_uint_eq(s.sum_us, 5020);
	ck_assert_uint_eq(s.n[bucket_by_search(10)], 2);
}
END_TEST

static void *add_many(void *arg)
{
	for (uint64_t i = 0; i < 50000; i++)
		hist_add(arg, i);
	return NULL;
}

START_TEST(another_thread_may_read_meanwhile)
{
	static struct hist h;
	struct hist_sum s = {0};
	uint64_t before = 0;
	pthread_t t;

	pthread_create(&t, NULL, add_many, &h);
	do {
		s = (struct hist_sum){0};
		hist_sum_add(&s, &h);
		ck_assert_uint_ge(s.count, before);
		before = s.count;
	} while (s.count < 50000);
	pthread_join(t, NULL);
}
END_TEST

START_TEST(bound_of_a_bucket_that_is_none_is_a_bug)
{
	ck_assert_uint_eq(hist_bucket_max_us(HIST_BUCKETS), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("hist");

	tcase_add_test(tc, bucket_bounds_are_quarter_powers_of_two);
	tcase_add_test(tc, value_goes_to_the_first_bucket_that_reaches_it);
	tcase_add_test(tc, values_out_of_range_go_to_the_end_buckets);
	tcase_add_test(tc, quantile_is_within_19_percent);
	tcase_add_test(tc, quantile_of_few_values_is_one_of_them);
	tcase_add_test(tc, several_histograms_sum_up);
	tcase_add_test(tc, another_thread_may_read_meanwhile);
	tcase_add_test_raise_signal(tc, bound_of_a_bucket_that_is_none_is_a_bug, SIGABRT);
	return unit_run("hist", tc);
}
