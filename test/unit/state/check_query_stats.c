#include "state/query_stats.h"

#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

static int owner_a, owner_b;

static struct query_stats *stats_new(uint32_t limit)
{
	struct query_stats *q;

	ck_assert_int_eq(query_stats_new(&q), OK);
	query_stats_limit(q, limit);
	return q;
}

static void count(struct query_stats *q, uint32_t handle, uint64_t us, uint64_t now_us)
{
	struct query_sums once = {.calls = 1, .rows = 2, .server_us = us};

	ck_assert_ptr_nonnull(query_stats_get(q, handle));
	query_record_count(query_stats_get(q, handle), &once, now_us);
}

START_TEST(owner_and_role_tell_records_apart)
{
	struct query_stats *q = stats_new(100);
	uint32_t a = query_stats_add(q, 7, &owner_a, false, 1);
	uint32_t b = query_stats_add(q, 7, &owner_b, false, 1);
	uint32_t c = query_stats_add(q, 7, &owner_a, true, 1);

	ck_assert(a != b && b != c && a != c);
	ck_assert_uint_eq(query_stats_find(q, 7, &owner_a, false), a);
	ck_assert_uint_eq(query_stats_find(q, 7, &owner_b, false), b);
	ck_assert_uint_eq(query_stats_find(q, 7, &owner_a, true), c);
	ck_assert_uint_eq(query_stats_find(q, 8, &owner_a, false), 0);
	count(q, a, 10, 2);
	count(q, a, 30, 3);
	ck_assert_uint_eq(query_stats_get(q, a)->sums.calls, 2);
	ck_assert_uint_eq(query_stats_get(q, a)->sums.server_us, 40);
	ck_assert_uint_eq(query_stats_get(q, a)->max_us, 30);
	ck_assert_uint_eq(query_stats_get(q, b)->sums.calls, 0);
	query_stats_forget(q, &owner_a);
	ck_assert_ptr_null(query_stats_get(q, a));
	ck_assert_ptr_null(query_stats_get(q, c));
	ck_assert_ptr_nonnull(query_stats_get(q, b));
	ck_assert_uint_eq(query_stats_n(q), 1);
	query_stats_free(q);
}
END_TEST

START_TEST(what_is_used_stays_and_the_sum_is_kept)
{
	struct query_stats *q = stats_new(10);
	uint32_t hot = query_stats_add(q, 1, &owner_a, false, 1), pos = 0;
	const struct query_record *r;
	uint64_t calls = 0;

	for (uint64_t i = 0; i < 1000; i++) {
		count(q, query_stats_add(q, 100 + i, &owner_a, false, 2 * i), 5, 2 * i);
		count(q, hot, 5, 2 * i + 1);
	}
	ck_assert_uint_eq(query_stats_n(q), 10);
	ck_assert_uint_eq(query_stats_get(q, hot)->sums.calls, 1000);
	while ((r = query_stats_next(q, &pos)) != NULL)
		calls += r->sums.calls;
	ck_assert_uint_eq(calls + query_stats_others(q)->calls, 2000);
	ck_assert_uint_eq(query_stats_others(q)->rows, 2 * query_stats_others(q)->calls);
	query_stats_free(q);
}
END_TEST

START_TEST(a_handle_dies_with_its_record)
{
	struct query_stats *q = stats_new(1);
	uint32_t first = query_stats_add(q, 1, &owner_a, false, 1);
	uint32_t second = query_stats_add(q, 2, &owner_a, false, 2);

	ck_assert_ptr_null(query_stats_get(q, first));
	ck_assert_ptr_nonnull(query_stats_get(q, second));
	ck_assert_ptr_null(query_stats_get(q, 0));
	ck_assert_ptr_null(query_stats_get(q, 0xffffffff));
	query_stats_reset(q);
	ck_assert_ptr_null(query_stats_get(q, second));
	ck_assert_uint_eq(query_stats_others(q)->calls, 0);
	ck_assert_uint_eq(query_stats_n(q), 0);
	query_stats_limit(q, 0);
	ck_assert_uint_eq(query_stats_add(q, 1, &owner_a, false, 3), 0);
	query_stats_free(q);
}
END_TEST

START_TEST(repeats_are_forgotten_alone)
{
	struct query_stats *q = stats_new(4);
	uint32_t pos = 0, n = 0;
	const struct query_record *r;

	for (uint64_t i = 1; i <= 4; i++) {
		uint32_t handle = query_stats_add(q, i, &owner_a, false, i);

		count(q, handle, 10, i);
		query_stats_get(q, handle)->repeats.found = i;
	}
	query_stats_forget_repeats(q);
	for (; (r = query_stats_next(q, &pos)) != NULL; n++) {
		ck_assert_uint_eq(r->repeats.found, 0);
		ck_assert_uint_eq(r->sums.calls, 1);
	}
	ck_assert_uint_eq(n, 4);
	query_stats_free(q);
}
END_TEST

START_TEST(many_are_found_again)
{
	struct query_stats *q = stats_new(QUERY_STATS_MAX);

	for (uint64_t i = 0; i < 3 * QUERY_STATS_MAX; i++)
		(void)query_stats_add(q, i << 20, &owner_a, false, i);
	ck_assert_uint_eq(query_stats_n(q), QUERY_STATS_MAX);
	for (uint64_t i = 2 * QUERY_STATS_MAX + 8; i < 3 * QUERY_STATS_MAX; i++)
		unit_check(query_stats_get(q, query_stats_find(q, i << 20, &owner_a, false))
				   ->fingerprint == i << 20);
	query_stats_free(q);
}
END_TEST

START_TEST(without_memory_nothing_is_counted)
{
	struct query_stats *q;
	enum status st;
	uint32_t handle;

	failing_alloc_after(0);
	st = query_stats_new(&q);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	q = stats_new(5);
	failing_alloc_after(0);
	handle = query_stats_add(q, 1, &owner_a, false, 1);
	failing_alloc_after(-1);
	ck_assert_uint_eq(handle, 0);
	ck_assert_uint_eq(query_stats_n(q), 0);
	query_stats_free(q);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("query_stats");

	tcase_add_test(tc, owner_and_role_tell_records_apart);
	tcase_add_test(tc, what_is_used_stays_and_the_sum_is_kept);
	tcase_add_test(tc, a_handle_dies_with_its_record);
	tcase_add_test(tc, repeats_are_forgotten_alone);
	tcase_add_test(tc, many_are_found_again);
	tcase_add_test(tc, without_memory_nothing_is_counted);
	return unit_run("query_stats", tc);
}
