#include "control/gather.h"

#include "control/stats.h"
#include "control_unit.h"
#include "state/pins.h"

static struct world w;
static struct gather *g;

static void setup(void)
{
	world_init(&w, WORLD_CONF, WORLD_USERS, 2);
	ck_assert_int_eq(gather_new(&w.env, &w.collector, &g), OK);
}

static void teardown(void)
{
	gather_free(g);
	world_fini(&w);
}

static world_row *rows_of_worker(uint32_t i, enum show_what what, size_t n)
{
	world_row *rows = calloc(n, sizeof *rows);

	ck_assert_ptr_nonnull(rows);
	free(w.workers[i].rows[what]);
	w.workers[i].rows[what] = rows;
	w.workers[i].n[what] = n;
	return rows;
}

static void free_rows(void)
{
	for (uint32_t i = 0; i < 2; i++)
		for (unsigned k = 0; k <= SHOW_ROWS_WORKER; k++)
			free(w.workers[i].rows[k]);
}

struct want {
	struct gather_request r;
	struct gathered *got;
	enum status st;
	unsigned n;
};

static void done(struct gather_request *r, struct gathered *d, enum status st)
{
	struct want *want = list_entry(r, struct want, r);

	want->got = d;
	want->st = st;
	want->n++;
}

static struct want want_of(void)
{
	return (struct want){.r.done = done};
}

static void ask(struct want *want, uint32_t what)
{
	want->n = 0;
	gather_ask(g, &want->r, what);
}

static struct show_pool_row pool(const char *db, const char *user, int32_t node, uint32_t n)
{
	struct show_pool_row p = {.node = node, .pool_mode = POOL_MODE_TRANSACTION};

	strcpy(p.database, db);
	strcpy(p.user, user);
	if (node < 0) {
		p.cl_active = n;
		p.cl_waiting = 1;
	} else {
		p.sv_idle = n;
		p.cl_waiting = 1; /* the same clients, seen from the node */
	}
	p.maxwait_us = n * 10;
	return p;
}

START_TEST(pools_are_summed_and_sorted)
{
	struct want a = want_of();
	world_row *r = rows_of_worker(0, SHOW_ROWS_POOLS, 3);
	const struct gathered *d;

	r[0].pool = pool("b", "u", 1, 5);
	r[1].pool = pool("b", "u", -1, 2);
	r[2].pool = pool("a", "v", -1, 7);
	r = rows_of_worker(1, SHOW_ROWS_POOLS, 2);
	r[0].pool = pool("b", "u", -1, 3);
	r[1].pool = pool("b", "u", 1, 4);
	w.piece = 2; /* in several pieces */
	ask(&a, GATHER_POOLS);
	ck_assert_uint_eq(a.n, 0);
	world_turn_until(&w, a.n == 1);
	d = a.got;
	ck_assert_int_eq(a.st, OK);
	ck_assert_uint_eq(d->n_pools, 3);
	ck_assert_str_eq(d->pools[0]->database, "a");
	ck_assert_int_eq(d->pools[1]->node, -1);
	ck_assert_uint_eq(d->pools[1]->cl_active, 5);
	ck_assert_uint_eq(d->pools[1]->maxwait_us, 30);
	ck_assert_int_eq(d->pools[2]->node, 1);
	ck_assert_uint_eq(d->pools[2]->sv_idle, 9);
	ck_assert_uint_eq(gathered_database(d, "b").servers, 9);
	ck_assert_uint_eq(gathered_database(d, "b").clients, 7);
	ck_assert_uint_eq(gathered_user(d, "v").clients, 8);
	ck_assert_uint_eq(gathered_user(d, "nobody").clients, 0);
	gathered_release(g, a.got);
	free_rows();
}
END_TEST

START_TEST(histograms_become_powers_of_four)
{
	struct want a = want_of();
	world_row *r = rows_of_worker(0, SHOW_ROWS_POOLS, 1);
	struct hist h = {0};

	hist_add(&h, 1);
	hist_add(&h, 4);
	hist_add(&h, 5);
	hist_add(&h, 1000);
	hist_add(&h, UINT64_MAX / 2);
	r[0].pool = pool("a", "v", -1, 0);
	hist_sum_add(&r[0].pool.wait, &h);
	ask(&a, GATHER_POOLS);
	world_turn_until(&w, a.n == 1);
	ck_assert_uint_eq(gather_bucket_us(0), 4);
	ck_assert_uint_eq(gather_bucket_us(1), 16);
	ck_assert_uint_eq(gather_bucket_us(15), (uint64_t)1 << 32);
	ck_assert_uint_eq(a.got->pools[0]->wait.le[0], 2);
	ck_assert_uint_eq(a.got->pools[0]->wait.le[1], 3);
	ck_assert_uint_eq(a.got->pools[0]->wait.le[3], 3);
	ck_assert_uint_eq(a.got->pools[0]->wait.le[4], 4); /* up to 1024 µs */
	ck_assert_uint_eq(a.got->pools[0]->wait.count, 5);
	gathered_release(g, a.got);
	free_rows();
}
END_TEST

static void two_of_each(uint32_t worker)
{
	world_row *r = rows_of_worker(worker, SHOW_ROWS_STATS, 2);

	strcpy(r[0].stats.database, "z");
	r[0].stats.xact_count = 1;
	r[0].stats.timeouts = 2;
	strcpy(r[1].stats.database, "y");
	r = rows_of_worker(worker, SHOW_ROWS_ROUTES, 2);
	strcpy(r[0].route.database, "y");
	r[0].route.node = -1;
	r[0].route.n = 5;
	r[1].route = r[0].route;
	r[1].route.reason = 1;
	r = rows_of_worker(worker, SHOW_ROWS_ERRORS, 2);
	strcpy(r[0].error.database, "y");
	strcpy(r[0].error.sqlstate, "53300");
	r[0].error.source = ERROR_PGWEIR;
	r[0].error.n = 1;
	r[1].error = r[0].error;
	r[1].error.source = ERROR_SERVER;
	r = rows_of_worker(worker, SHOW_ROWS_WORKER, 1);
	r[0].worker.clients = worker + 1;
}

START_TEST(all_kinds_come_at_once)
{
	struct want a = want_of();
	const struct gathered *d;

	two_of_each(0);
	two_of_each(1);
	ask(&a, GATHER_STATS | GATHER_ROUTES | GATHER_ERRORS | GATHER_WORKERS);
	world_turn_until(&w, a.n == 1);
	d = a.got;
	ck_assert_uint_eq(d->n_stats, 2);
	ck_assert_str_eq(d->stats[1]->database, "z");
	ck_assert_uint_eq(d->stats[1]->xact_count, 2);
	ck_assert_uint_eq(d->stats[1]->timeouts, 4);
	ck_assert_uint_eq(d->n_routes, 2);
	ck_assert_uint_eq(d->routes[0]->n, 10);
	ck_assert_uint_eq(d->routes[1]->reason, 1);
	ck_assert_uint_eq(d->n_errors, 2);
	ck_assert_uint_eq(d->errors[0]->source, ERROR_SERVER);
	ck_assert_uint_eq(d->errors[1]->source, ERROR_PGWEIR);
	ck_assert_uint_eq(d->errors[1]->n, 2);
	ck_assert_uint_eq(d->workers[1].clients, 2);
	ck_assert_uint_eq(d->n_pools, 0);
	gathered_release(g, a.got);
	free_rows();
}
END_TEST

/* Held for `us` by client `client`, once, as it ended at `seen_wall_us`. */
static struct show_misuse_row misuse(
	enum misuse_kind kind, uint64_t us, uint64_t client, uint64_t seen_wall_us)
{
	struct show_misuse_row m = {.kind = (uint8_t)kind,
		.fingerprint = 0xf1,
		.n = 1,
		.us = us,
		.longest_us = us,
		.client = client,
		.seen_wall_us = seen_wall_us};

	strcpy(m.database, "app");
	strcpy(m.user, "u");
	strcpy(m.application_name, "shop");
	snprintf(m.addr, sizeof m.addr, "10.0.0.%u", (unsigned)client);
	return m;
}

START_TEST(misuse_is_summed_over_workers_and_who_was_seen_last_is_told)
{
	struct want a = want_of();
	world_row *r = rows_of_worker(0, SHOW_ROWS_MISUSE, 3);
	const struct show_misuse_row *m;

	r[0].misuse = misuse(MISUSE_IDLE_IN_TRANSACTION, 500, 1, 1000);
	r[0].misuse.n = 3; /* 200 was the longest of them */
	r[0].misuse.longest_us = 200;
	r[1].misuse = misuse(MISUSE_IDLE_IN_TRANSACTION, 700, 2, 3000);
	r[1].misuse.now = 1;
	r[2].misuse = misuse(MISUSE_LONG_TRANSACTION, 9000, 1, 1000);
	r = rows_of_worker(1, SHOW_ROWS_MISUSE, 2);
	r[0].misuse = misuse(MISUSE_IDLE_IN_TRANSACTION, 50, 3, 2000);
	r[0].misuse.now = 1;
	r[1].misuse = misuse(MISUSE_LONG_TRANSACTION, 9500, 4, 1000); /* as late as client 1 */
	w.piece = 2;
	ask(&a, GATHER_MISUSE);
	world_turn_until(&w, a.n == 1);
	ck_assert_int_eq(a.st, OK);
	ck_assert_uint_eq(a.got->n_misuse, 2);
	m = a.got->misuse[0]; /* 18500 µs: more than the other */
	ck_assert_uint_eq(m->kind, MISUSE_LONG_TRANSACTION);
	ck_assert_uint_eq(m->n, 2);
	ck_assert_uint_eq(m->now, 0);
	ck_assert_uint_eq(m->us, 18500);
	ck_assert_uint_eq(m->longest_us, 9500);
	ck_assert_uint_eq(m->client, 4);
	m = a.got->misuse[1];
	ck_assert_uint_eq(m->kind, MISUSE_IDLE_IN_TRANSACTION);
	ck_assert_uint_eq(m->n, 5);
	ck_assert_uint_eq(m->now, 2);
	ck_assert_uint_eq(m->us, 1250);
	ck_assert_uint_eq(m->longest_us, 700);
	ck_assert_uint_eq(m->client, 2);
	ck_assert_str_eq(m->addr, "10.0.0.2");
	ck_assert_uint_eq(m->seen_wall_us, 3000);
	ck_assert_str_eq(m->application_name, "shop");
	gathered_release(g, a.got);
	free_rows();
}
END_TEST

/* What differs in one thing from the first is a row of its own; the same on another worker not. */
START_TEST(misuse_is_kept_apart_by_who_how_and_what)
{
	enum { WAYS = 7 };
	struct want a = want_of();

	for (uint32_t i = 0; i < 2; i++) {
		world_row *r = rows_of_worker(i, SHOW_ROWS_MISUSE, WAYS);

		for (unsigned k = 0; k < WAYS; k++) {
			r[k].misuse = misuse(MISUSE_PIN, 1000 - 10 * k, i, 5);
			r[k].misuse.detail = PIN_TEMP;
		}
		strcpy(r[1].misuse.database, "other");
		strcpy(r[2].misuse.user, "v");
		strcpy(r[3].misuse.application_name, "job");
		r[4].misuse.kind = MISUSE_LONG_TRANSACTION;
		r[5].misuse.detail = PIN_ADVISORY_LOCK;
		r[6].misuse.fingerprint = 0xf2;
	}
	ask(&a, GATHER_MISUSE);
	world_turn_until(&w, a.n == 1);
	ck_assert_uint_eq(a.got->n_misuse, WAYS);
	for (unsigned k = 0; k < WAYS; k++) {
		ck_assert_uint_eq(a.got->misuse[k]->us, 2 * (1000 - 10 * k));
		ck_assert_uint_eq(a.got->misuse[k]->n, 2);
	}
	ck_assert_str_eq(a.got->misuse[1]->database, "other");
	ck_assert_str_eq(a.got->misuse[2]->user, "v");
	ck_assert_str_eq(a.got->misuse[3]->application_name, "job");
	ck_assert_uint_eq(a.got->misuse[4]->kind, MISUSE_LONG_TRANSACTION);
	ck_assert_uint_eq(a.got->misuse[5]->detail, PIN_ADVISORY_LOCK);
	ck_assert_uint_eq(a.got->misuse[6]->fingerprint, 0xf2);
	gathered_release(g, a.got);
	free_rows();
}
END_TEST

START_TEST(who_asks_meanwhile_shares_the_next_one)
{
	struct want a = want_of(), b = want_of(), c = want_of();

	two_of_each(0);
	two_of_each(1);
	ask(&a, GATHER_STATS);
	world_turn(&w, 0); /* it has begun */
	ask(&b, GATHER_STATS);
	ask(&c, GATHER_ROUTES);
	world_turn_until(&w, a.n == 1 && b.n == 1 && c.n == 1);
	ck_assert_ptr_ne(a.got, b.got);
	ck_assert_ptr_eq(b.got, c.got);
	ck_assert_uint_eq(b.got->n_stats, 2);
	ck_assert_uint_eq(b.got->n_routes, 2);
	gathered_release(g, a.got);
	gathered_release(g, b.got);
	gathered_release(g, c.got);
	free_rows();
}
END_TEST

START_TEST(results_held_are_bounded)
{
	struct want held[GATHERED_MAX], more = want_of();

	for (unsigned i = 0; i < GATHERED_MAX; i++) {
		held[i] = want_of();
		ask(&held[i], GATHER_STATS);
		world_turn_until(&w, held[i].n == 1);
	}
	ask(&more, GATHER_STATS);
	for (unsigned i = 0; i < 20; i++)
		world_turn(&w, 1000);
	ck_assert_uint_eq(more.n, 0);
	gathered_release(g, held[0].got);
	world_turn_until(&w, more.n == 1);
	gathered_release(g, more.got);
	for (unsigned i = 1; i < GATHERED_MAX; i++)
		gathered_release(g, held[i].got);
}
END_TEST

START_TEST(cancelled_request_hears_nothing)
{
	struct want a = want_of(), b = want_of();

	ask(&a, GATHER_STATS);
	ask(&b, GATHER_STATS);
	world_turn(&w, 0);
	gather_cancel(&a.r);
	world_turn_until(&w, b.n == 1);
	ck_assert_uint_eq(a.n, 0);
	gathered_release(g, b.got);
	ask(&a, GATHER_STATS);
	gather_cancel(&a.r);
	for (unsigned i = 0; i < 5; i++)
		world_turn(&w, 1000);
	ck_assert_uint_eq(a.n, 0);
}
END_TEST

START_TEST(number_of_rows_is_bounded)
{
	size_t n = GATHER_ROWS_MAX + 1;
	world_row *r = rows_of_worker(0, SHOW_ROWS_STATS, n);
	struct want a = want_of();

	for (size_t i = 0; i < n; i++)
		snprintf(r[i].stats.database, sizeof r[i].stats.database, "db%zu", i);
	ask(&a, GATHER_STATS);
	world_turn_until(&w, a.n == 1);
	ck_assert_int_eq(a.st, E_LIMIT);
	ck_assert_ptr_null(a.got);
	free_rows();
}
END_TEST

START_TEST(averages_are_per_second_and_per_piece)
{
	struct show_stats_row then = {.xact_count = 100, .xact_time = 1000, .wait_time = 70};
	struct show_stats_row now = {.xact_count = 130,
		.xact_time = 7000,
		.received = 1000,
		.server_assignment_count = 20,
		.wait_time = 90};
	struct stats_averages a;

	stats_average_of(&then, &now, 10000000, &a);
	ck_assert_uint_eq(a.xact_count, 3);
	ck_assert_uint_eq(a.xact_time, 200);
	ck_assert_uint_eq(a.received, 100);
	ck_assert_uint_eq(a.wait_time, 1);
	ck_assert_uint_eq(a.query_time, 0);
	stats_average_of(&now, &then, 10000000, &a); /* counters that fell */
	ck_assert_uint_eq(a.xact_count, 0);
	ck_assert_uint_eq(a.xact_time, 0);
	stats_average_of(&then, &now, 0, &a);
	ck_assert_uint_eq(a.xact_count, 0);
	now.received = UINT64_MAX; /* the product does not overflow */
	stats_average_of(&then, &now, 1000000, &a);
	ck_assert_uint_eq(a.received, UINT64_MAX);
}
END_TEST

static void own(void *arg, struct show_stats_row *row)
{
	(void)arg;
	memset(row, 0, sizeof *row);
	strcpy(row->database, "pgbouncer");
	row->query_count = 1000;
}

START_TEST(totals_are_logged_each_period)
{
	struct show_stats_row total = {.database = ""}, db = {.database = "z"};
	struct stats_averages avg;
	struct stats *s;

	world_set_conf(&w, "[databases]\napp = host=10.0.0.1\n"
			   "[pgweir]\nlisten_addr = x\nstats_period = 1\n");
	two_of_each(0);
	ck_assert_int_eq(stats_new(&w.env, g, own, NULL, &s), OK);
	world_turn_until(&w, world_has_logged(&w, "stats xacts_per_s="));
	world_forget_log(&w);
	world_turn_until(&w, world_has_logged(&w, "stats xacts_per_s="));
	total.query_count = 1000000; /* 999000 more than at the period's start, a second ago */
	stats_average(s, &total, &avg);
	ck_assert_uint_gt(avg.query_count, 400000);
	ck_assert_uint_lt(avg.query_count, 1100000);
	db.xact_count = 1; /* as it was */
	stats_average(s, &db, &avg);
	ck_assert_uint_eq(avg.xact_count, 0);
	stats_free(s);
	free_rows();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("gather");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pools_are_summed_and_sorted);
	tcase_add_test(tc, histograms_become_powers_of_four);
	tcase_add_test(tc, all_kinds_come_at_once);
	tcase_add_test(tc, misuse_is_summed_over_workers_and_who_was_seen_last_is_told);
	tcase_add_test(tc, misuse_is_kept_apart_by_who_how_and_what);
	tcase_add_test(tc, who_asks_meanwhile_shares_the_next_one);
	tcase_add_test(tc, results_held_are_bounded);
	tcase_add_test(tc, cancelled_request_hears_nothing);
	tcase_add_test(tc, number_of_rows_is_bounded);
	tcase_add_test(tc, averages_are_per_second_and_per_piece);
	tcase_add_test(tc, totals_are_logged_each_period);
	return unit_run("gather", tc);
}
