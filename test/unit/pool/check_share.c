#include "pool/share.h"

#include <stdio.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

static const struct hash_key key = {21, 22};
static struct share *s;
static struct share_pool *p;
static uint64_t wake;
static enum share_full full;

static void begin(void)
{
	ck_assert_int_eq(share_new(3, 100, &key, &s), OK);
	ck_assert_int_eq(share_pool_get(s, "app", "joe", 0, &p), OK);
	wake = 0;
}

static void end(void)
{
	share_free(s);
}

static struct share_pool *pool(const char *db, const char *user, uint16_t node)
{
	struct share_pool *out;

	ck_assert_int_eq(share_pool_get(s, db, user, node, &out), OK);
	return out;
}

static enum status open_one(struct share_pool *x, unsigned self)
{
	return share_open(x, self, 0, &full, &wake);
}

static void limit(struct budget *b, uint32_t n)
{
	budget_set_limit(b, n, &wake);
}

/* --- the registry --- */

START_TEST(a_pool_is_database_user_and_node)
{
	struct share_database *db;
	struct share_user *user;
	size_t pos = 0, n = 0;

	ck_assert_ptr_eq(pool("app", "joe", 0), p);
	ck_assert_ptr_ne(pool("app", "joe", 1), p);
	ck_assert_ptr_ne(pool("app", "ann", 0), p);
	ck_assert_ptr_ne(pool("joe", "app", 0), p);
	ck_assert_int_eq(share_database_get(s, "app", &db), OK);
	ck_assert_int_eq(share_user_get(s, "joe", &user), OK);
	ck_assert_ptr_eq(p->db, db);
	ck_assert_ptr_eq(p->user, user);
	ck_assert_ptr_eq(p->node, share_node_get(s, 0));
	ck_assert_str_eq(p->db->name, "app");
	ck_assert_str_eq(p->user->name, "joe");
	while (share_pool_next(s, &pos) != NULL)
		n++;
	ck_assert_uint_eq(n, 4);
}
END_TEST

START_TEST(names_and_numbers_are_bounded)
{
	char name[SHARE_NAME_MAX + 1];
	struct share_pool *x;
	struct share_user *u;

	memset(name, 'n', SHARE_NAME_MAX);
	name[SHARE_NAME_MAX] = '\0';
	ck_assert_int_eq(share_pool_get(s, name, "joe", 0, &x), E_LIMIT);
	ck_assert_int_eq(share_pool_get(s, "app", name, 0, &x), E_LIMIT);
	ck_assert_int_eq(share_pool_get(s, name + 1, name + 1, 0, &x), OK);
	ck_assert_str_eq(x->db->name, name + 1);
	for (unsigned i = 0; i < 98; i++) {
		snprintf(name, sizeof name, "user%u", i);
		ck_assert_int_eq(share_user_get(s, name, &u), OK);
	}
	ck_assert_int_eq(share_user_get(s, "one_more", &u), E_LIMIT);
	ck_assert_int_eq(share_user_get(s, "joe", &u), OK);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct share *other;
	struct share_database *db;
	enum status st;

	for (long fail_at = 0; fail_at < 4; fail_at++) {
		failing_alloc_after(fail_at);
		st = share_new(1, 10, &key, &other);
		failing_alloc_after(-1);
		ck_assert_int_eq(st, E_NOMEM);
	}
	failing_alloc_after(0);
	st = share_database_get(s, "new", &db);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	share_free(NULL);
}
END_TEST

/* --- budgets --- */

START_TEST(each_budget_can_be_the_full_one)
{
	struct budget *budgets[] = {&p->open, &p->db->open, &p->user->open, &p->node->open};

	for (unsigned i = 0; i < 4; i++) {
		limit(budgets[i], 1);
		ck_assert_int_eq(open_one(p, 0), OK);
		ck_assert_int_eq(open_one(p, 1), E_AGAIN);
		ck_assert_int_eq(full, i);
		for (unsigned k = 0; k < 4; k++)
			ck_assert_uint_eq(budget_n(budgets[k]), 1);
		wake = 0;
		share_sated(p, 1, &wake);
		share_close(p, &wake);
		ck_assert_uint_eq(wake, 1u << 1);
		limit(budgets[i], 0);
	}
	ck_assert_int_eq(p->node->n_pools, 0);
	ck_assert_int_eq(p->claims, 0);
}
END_TEST

START_TEST(the_reserve_goes_beyond_the_pool_alone)
{
	limit(&p->open, 1);
	ck_assert_int_eq(open_one(p, 0), OK);
	ck_assert_int_eq(share_open(p, 0, 1, &full, &wake), OK);
	ck_assert_int_eq(share_open(p, 0, 1, &full, &wake), E_AGAIN);
	limit(&p->db->open, 2);
	ck_assert_int_eq(share_open(p, 0, 9, &full, &wake), E_AGAIN);
	ck_assert_int_eq(full, SHARE_FULL_DATABASE);
}
END_TEST

START_TEST(the_reserve_opens_after_its_timeout)
{
	ck_assert_uint_eq(share_reserve(5, 1000, 500, 1499), 0);
	ck_assert_uint_eq(share_reserve(5, 1000, 500, 1500), 5);
	ck_assert_uint_eq(share_reserve(5, 1000, 0, 9999), 0);    /* nobody waits */
	ck_assert_uint_eq(share_reserve(5, 0, 500, 9999), 0);     /* off */
	ck_assert_uint_eq(share_reserve(5, 1000, 2000, 1500), 0); /* clocks of two threads */
}
END_TEST

START_TEST(logins_are_tried_again_at_different_times)
{
	uint64_t seen = 0;

	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t us = share_retry_us(800, i * 7919);

		ck_assert_uint_ge(us, 800);
		ck_assert_uint_le(us, 900);
		seen |= 1ull << ((us - 800) / 10);
	}
	ck_assert_uint_eq(seen, (1u << 11) - 1); /* every tenth of the range, and its end */
	ck_assert_uint_eq(share_retry_us(0, UINT64_MAX), 0);
	ck_assert_uint_eq(share_retry_us(7, UINT64_MAX), 7);
}
END_TEST

/* --- fair shares --- */

START_TEST(fair_shares)
{
	static const struct {
		struct share_fair f;
		uint32_t n_open;
		bool below, gives_back;
	} cases[] = {
		{{10, 2, 1}, 4, true, false},
		{{10, 2, 1}, 5, false, false},
		{{10, 2, 1}, 6, false, true},
		{{10, 2, 0}, 6, false, false}, /* nobody is hungry */
		{{0, 2, 1}, 6, false, false},  /* no limit */
		{{10, 3, 1}, 3, false, false},
		{{10, 3, 1}, 4, false, true},
		{{2, 3, 1}, 0, true, false}, /* more pools than places: they take turns */
		{{2, 3, 1}, 1, false, true},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_int_eq(share_is_below(&cases[i].f, cases[i].n_open), cases[i].below);
		ck_assert_int_eq(
			share_gives_back(&cases[i].f, cases[i].n_open), cases[i].gives_back);
	}
}
END_TEST

START_TEST(a_pool_above_its_share_gives_back_to_a_hungry_one)
{
	struct share_pool *q = pool("other", "ann", 0);

	limit(&p->node->open, 4);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(open_one(p, 0), OK);
	ck_assert(!share_pool_gives_back(p));
	ck_assert_uint_eq(wake, 0);
	ck_assert_int_eq(open_one(q, 1), E_AGAIN);
	ck_assert_int_eq(full, SHARE_FULL_NODE);
	ck_assert_uint_eq(wake, 7); /* all workers: any of them may have an idle server */
	ck_assert(share_pool_gives_back(p));
	wake = 0;
	share_close(p, &wake);
	ck_assert_uint_eq(wake, 1u << 1);
	ck_assert_int_eq(open_one(p, 0), E_AGAIN); /* it has its share: it does not take it back */
	ck_assert_int_eq(full, SHARE_FULL_NODE);
	wake = 0;
	ck_assert_int_eq(open_one(q, 1), OK);
	ck_assert_uint_eq(wake, 1u << 0); /* nobody is hungry any more */
	ck_assert(!share_pool_gives_back(p));
}
END_TEST

START_TEST(hunger_ends_when_nobody_waits)
{
	struct share_pool *q = pool("other", "ann", 0);

	limit(&p->node->open, 2);
	ck_assert_int_eq(open_one(p, 0), OK);
	ck_assert_int_eq(open_one(p, 0), OK);
	ck_assert_int_eq(open_one(q, 0), E_AGAIN);
	ck_assert_int_eq(open_one(q, 1), E_AGAIN);
	ck_assert_int_eq(p->node->n_pools, 2);
	share_sated(q, 0, &wake);
	ck_assert(share_pool_gives_back(p)); /* its other worker is hungry still */
	share_sated(q, 1, &wake);
	share_sated(q, 1, &wake);
	ck_assert(!share_pool_gives_back(p));
	ck_assert_int_eq(p->node->n_pools, 1);
	ck_assert_int_eq(p->node->n_hungry, 0);
}
END_TEST

/*
 * Pools with different demands on one node, workers that do what share.h tells them: when nothing
 * moves any more every pool has what it wants or at least its share, and no place is left over.
 */
#define N_POOLS   5u
#define N_WORKERS 3u

struct demand {
	struct share_pool *pool;
	unsigned want;            /* servers it could use */
	unsigned open[N_WORKERS]; /* all of them busy */
};

static struct demand demands[N_POOLS];

static unsigned demand_open(const struct demand *d)
{
	return d->open[0] + d->open[1] + d->open[2];
}

static void worker_try(unsigned w)
{
	for (unsigned i = 0; i < N_POOLS; i++) {
		struct demand *d = &demands[i];

		while (demand_open(d) < d->want && open_one(d->pool, w) == OK)
			d->open[w]++;
		if (demand_open(d) >= d->want)
			share_sated(d->pool, w, &wake);
	}
}

static void workers_run_until_quiet(void)
{
	while (wake != 0) {
		unsigned w = (unsigned)__builtin_ctzll(wake);

		wake &= wake - 1;
		worker_try(w);
	}
}

/* A unit ends: its server goes to the next unit of its pool, or is given back. */
static void release_one(struct demand *d, unsigned w)
{
	bool too_many = demand_open(d) > d->want;

	if (d->open[w] == 0 || !(too_many || share_pool_gives_back(d->pool)))
		return;
	d->open[w]--;
	share_close(d->pool, &wake);
}

static void check_fair(uint32_t node_limit)
{
	unsigned n_open = 0, n_want = 0, n_pools = 0, share;

	for (unsigned i = 0; i < N_POOLS; i++) {
		n_open += demand_open(&demands[i]);
		n_want += demands[i].want;
		n_pools += demands[i].want != 0;
	}
	share = n_pools != 0 ? node_limit / n_pools : 0;
	ck_assert_uint_eq(n_open, n_want < node_limit ? n_want : node_limit);
	for (unsigned i = 0; i < N_POOLS; i++)
		ck_assert_uint_ge(demand_open(&demands[i]),
			share < demands[i].want ? share : demands[i].want);
}

START_TEST(every_pool_comes_to_its_share)
{
	uint64_t random = 47;

	for (unsigned i = 0; i < N_POOLS; i++)
		demands[i] = (struct demand){
			.pool = pool("app", (const char[]){'u', (char)('0' + i), 0}, 0)};
	for (unsigned round = 0; round < 300; round++) {
		uint32_t node_limit = 5 + (uint32_t)(unit_random(&random) % 20);

		limit(&p->node->open, node_limit);
		for (unsigned i = 0; i < N_POOLS; i++)
			demands[i].want =
				unit_random(&random) % 4 == 0 ? 0 : unit_random(&random) % 15;
		wake = 7;
		for (unsigned step = 0; step < 3000; step++) {
			struct demand *d = &demands[unit_random(&random) % N_POOLS];
			unsigned w = unit_random(&random) % N_WORKERS;

			workers_run_until_quiet();
			release_one(d, w);
			if (budget_is_over(&p->node->open) && d->open[w] > 0) {
				d->open[w]--;
				share_close(d->pool, &wake);
			}
		}
		workers_run_until_quiet();
		check_fair(node_limit);
	}
}
END_TEST

/* --- looking for each other --- */

START_TEST(an_idle_server_of_another_worker_is_found)
{
	ck_assert_uint_eq(share_find_idle(p, 0), SHARE_NONE);
	share_publish_idle(p, 0, 2);
	ck_assert_uint_eq(share_find_idle(p, 0), SHARE_NONE);
	ck_assert_uint_eq(share_find_idle(p, 1), 0);
	share_publish_idle(p, 2, 1);
	ck_assert_uint_eq(share_find_idle(p, 1), 2);
	ck_assert_uint_eq(share_n_idle(p), 3);
	share_publish_idle(p, 2, 0);
	ck_assert_uint_eq(share_find_idle(p, 1), 0);
}
END_TEST

#define NOW 1000000u

static void set_load(unsigned worker, uint32_t n_servers, uint32_t n_units)
{
	static uint64_t now_us = NOW;

	share_publish_servers(p, worker, n_servers);
	for (unsigned i = 0; i < 100u * SHARE_LOAD_INERTIA; i++)
		share_publish_load(p, worker, n_units, now_us += SHARE_LOAD_EVERY_US);
}

START_TEST(who_has_no_line_keeps_its_servers_for_the_next_burst)
{
	set_load(0, 8, 20);
	set_load(1, 8, 20);
	ck_assert_uint_eq(share_whose_turn(p, 0, NOW), SHARE_NONE);
	share_publish_waiter(p, 1, 10000);
	ck_assert_uint_eq(share_whose_turn(p, 0, 9999 + SHARE_LULL_US), SHARE_NONE);
	ck_assert_uint_eq(share_whose_turn(p, 0, 10000 + SHARE_LULL_US), 1);
	ck_assert(!share_lends(p, 0, 1, SHARE_PATIENCE_US - 1, 10001));
	ck_assert(share_lends(p, 0, 1, SHARE_PATIENCE_US, 10001)); /* the burst has not come */
	share_publish_waiter(p, 1, 0);
	ck_assert(!share_lends(p, 0, 1, SHARE_PATIENCE_US, NOW)); /* nobody waits */
}
END_TEST

START_TEST(the_longest_waiter_goes_first_but_for_a_little_patience)
{
	uint64_t age_us = 4000;

	set_load(1, 8, 20);
	set_load(2, 8, 20);
	share_publish_waiter(p, 1, NOW - age_us);
	ck_assert_uint_eq(share_whose_turn(p, 1, NOW), 1);
	share_publish_waiter(p, 2, NOW - age_us - SHARE_PATIENCE_US);
	ck_assert_uint_eq(share_whose_turn(p, 1, NOW), 1);
	share_publish_waiter(p, 2, NOW - 2 * age_us - SHARE_UNFAIR_US);
	ck_assert_uint_eq(share_whose_turn(p, 1, NOW), 1);
	share_publish_waiter(p, 2, NOW - 2 * age_us - SHARE_UNFAIR_US - 1);
	ck_assert_uint_eq(share_whose_turn(p, 1, NOW), 2);
	ck_assert_uint_eq(share_oldest_waiter_us(p), NOW - 2 * age_us - SHARE_UNFAIR_US - 1);
	share_coming(p, 2, 1);
	ck_assert_uint_eq(share_whose_turn(p, 1, NOW), 1); /* one at a time */
	share_publish_waiter(p, 1, 0);
	share_publish_waiter(p, 2, 0);
	ck_assert_uint_eq(share_whose_turn(p, 1, NOW), SHARE_NONE);
	ck_assert_uint_eq(share_oldest_waiter_us(p), 0);
}
END_TEST

START_TEST(servers_go_to_who_has_few_for_its_load)
{
	set_load(1, 10, 25);
	set_load(2, 8, 25);
	share_publish_waiter(p, 1, 14000);
	share_publish_waiter(p, 2, 10000);
	ck_assert_uint_eq(share_whose_turn(p, 1, 14000), 2); /* at once: 9 and 9 */
	share_coming(p, 2, 1);
	ck_assert_uint_eq(share_whose_turn(p, 1, 14000), 1); /* one is on its way already */
	share_coming(p, 2, -1);
	set_load(2, 10, 25);
	ck_assert_uint_eq(share_whose_turn(p, 1, 14000), 1); /* its own will do */
	set_load(2, 0, 0);
	ck_assert_uint_eq(share_whose_turn(p, 1, 14000), 2); /* it has none at all */
	set_load(1, 1, 25);
	ck_assert_uint_eq(share_whose_turn(p, 1, 14000), 1); /* nor would this one then */
	share_publish_waiter(p, 1, 0);
	set_load(1, 10, 0);
	set_load(2, 10, 25);
	ck_assert_uint_eq(share_whose_turn(p, 1, 10001), 2); /* nothing to do here */
}
END_TEST

START_TEST(a_short_burst_is_no_load)
{
	uint64_t now_us = 100 * NOW;

	set_load(1, 10, 20);
	set_load(2, 8, 19);
	share_publish_waiter(p, 1, 14000);
	share_publish_waiter(p, 2, 10000);
	for (unsigned i = 0; i < 1000; i++)
		share_publish_load(p, 2, 40, now_us + i % SHARE_LOAD_EVERY_US);
	ck_assert_uint_eq(share_whose_turn(p, 1, 14000), 1);
	for (unsigned i = 1; i < SHARE_LOAD_INERTIA; i++)
		share_publish_load(p, 2, 40, now_us + i * SHARE_LOAD_EVERY_US);
	ck_assert_uint_eq(share_whose_turn(p, 1, 14000), 2);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("share");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, a_pool_is_database_user_and_node);
	tcase_add_test(tc, names_and_numbers_are_bounded);
	tcase_add_test(tc, no_memory_is_told);
	tcase_add_test(tc, each_budget_can_be_the_full_one);
	tcase_add_test(tc, the_reserve_goes_beyond_the_pool_alone);
	tcase_add_test(tc, the_reserve_opens_after_its_timeout);
	tcase_add_test(tc, logins_are_tried_again_at_different_times);
	tcase_add_test(tc, fair_shares);
	tcase_add_test(tc, a_pool_above_its_share_gives_back_to_a_hungry_one);
	tcase_add_test(tc, hunger_ends_when_nobody_waits);
	tcase_add_test(tc, every_pool_comes_to_its_share);
	tcase_add_test(tc, an_idle_server_of_another_worker_is_found);
	tcase_add_test(tc, who_has_no_line_keeps_its_servers_for_the_next_burst);
	tcase_add_test(tc, the_longest_waiter_goes_first_but_for_a_little_patience);
	tcase_add_test(tc, servers_go_to_who_has_few_for_its_load);
	tcase_add_test(tc, a_short_burst_is_no_load);
	return unit_run("share", tc);
}
