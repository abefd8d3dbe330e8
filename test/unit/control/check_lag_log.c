#include "control/lag_log.h"

#include <string.h>

#include "../unit.h"

static struct lag_log l;
static struct topology *t;
static bool watched[NODES_MAX];

static void begin(void)
{
	memset(&l, 0, sizeof l);
	memset(watched, 0, sizeof watched);
	watched[1] = true;
	ck_assert_int_eq(topology_new(2, 1, &t), OK);
	t->nodes[1] =
		(struct topo_node){.role = TOPO_ROLE_REPLICA, .health = TOPO_UP, .lag_known = true};
}

static void end(void)
{
	lag_log_fini(&l);
	topology_free(t);
}

static void note(uint64_t second, uint64_t lag_us)
{
	t->nodes[1].lag_us = lag_us;
	t->nodes[1].lag_bytes = lag_us / 2;
	lag_log_note(&l, t, watched, second * 1000000u);
}

START_TEST(the_last_minute_is_kept_newest_first)
{
	ck_assert_ptr_null(lag_log_at(&l, 1, 0));
	for (uint64_t s = 1; s <= 100; s++)
		note(s, s);
	ck_assert_uint_eq(lag_log_at(&l, 1, 0)->lag_us, 100);
	ck_assert_uint_eq(lag_log_at(&l, 1, 0)->lag_bytes, 50);
	ck_assert_uint_eq(lag_log_at(&l, 1, LAG_LOG_MAX - 1)->lag_us, 101 - LAG_LOG_MAX);
	ck_assert_ptr_null(lag_log_at(&l, 1, LAG_LOG_MAX));
	ck_assert_ptr_null(lag_log_at(&l, 0, 0)); /* nobody watches it */
	ck_assert_ptr_null(lag_log_at(&l, NODES_MAX, 0));
	ck_assert_uint_eq(lag_log_max_us(&l, 1), 100);
}
END_TEST

START_TEST(one_entry_a_second)
{
	note(1, 5);
	lag_log_note(&l, t, watched, 1999999);
	ck_assert_ptr_null(lag_log_at(&l, 1, 1));
	note(2, 6);
	ck_assert_ptr_nonnull(lag_log_at(&l, 1, 1));
}
END_TEST

START_TEST(an_unknown_lag_is_no_maximum)
{
	note(1, 5);
	t->nodes[1].lag_known = false;
	note(2, 1000);
	ck_assert(!lag_log_at(&l, 1, 0)->known);
	ck_assert_uint_eq(lag_log_max_us(&l, 1), 5);
}
END_TEST

START_TEST(a_node_that_is_watched_no_more_is_forgotten)
{
	note(1, 5);
	watched[1] = false;
	note(2, 5);
	ck_assert_ptr_null(lag_log_at(&l, 1, 0));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("lag_log");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, the_last_minute_is_kept_newest_first);
	tcase_add_test(tc, one_entry_a_second);
	tcase_add_test(tc, an_unknown_lag_is_no_maximum);
	tcase_add_test(tc, a_node_that_is_watched_no_more_is_forgotten);
	return unit_run("lag_log", tc);
}
