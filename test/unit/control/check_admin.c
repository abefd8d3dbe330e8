#include "control/admin.h"

#include "control/ending.h"
#include "control_unit.h"

static struct world w;
static struct admin_error err;

static void setup(void)
{
	world_init(&w, WORLD_CONF, WORLD_USERS, 2);
}

static void teardown(void)
{
	world_fini(&w);
}

static const struct admin_state *now(void)
{
	return atomic_load(&w.sh.admin);
}

START_TEST(pause_and_resume_all)
{
	uint32_t generation = now()->generation;

	ck_assert_int_eq(admin_pause(&w.env, "", &err), OK);
	ck_assert(now()->paused_all && now()->generation > generation);
	ck_assert(admin_is_paused_all(&w.env) && admin_is_paused(&w.env, "app"));
	ck_assert_int_eq(admin_pause(&w.env, "", &err), E_INVALID);
	ck_assert_str_eq(err.text, "already suspended/paused");
	ck_assert_int_eq(admin_resume(&w.env, "", &err), OK);
	ck_assert(!now()->paused_all);
	ck_assert_int_eq(admin_resume(&w.env, "", &err), E_INVALID);
	ck_assert_str_eq(err.text, "pooler is not paused/suspended");
	world_turn(&w, 0);
	ck_assert_uint_eq(w.workers[0].n_refresh, 2);
	ck_assert_uint_eq(w.workers[1].n_refresh, 2);
}
END_TEST

START_TEST(suspend_and_pause_of_all_exclude_each_other)
{
	ck_assert_int_eq(admin_suspend(&w.env, "", &err), OK);
	ck_assert(now()->suspended && !now()->paused_all && admin_is_suspended(&w.env));
	ck_assert_int_eq(admin_suspend(&w.env, "", &err), E_INVALID);
	ck_assert_str_eq(err.text, "already suspended/paused");
	ck_assert_int_eq(admin_pause(&w.env, "", &err), E_INVALID);
	ck_assert_int_eq(admin_resume(&w.env, "", &err), OK);
	ck_assert(!now()->suspended);
	ck_assert_int_eq(admin_pause(&w.env, "", &err), OK);
	ck_assert_int_eq(admin_suspend(&w.env, "", &err), E_INVALID);
	ck_assert_int_eq(admin_resume(&w.env, "", &err), OK);
	/* who is waited for has to be able to leave */
	ck_assert_int_eq(admin_suspend(&w.env, "", &err), OK);
	ck_assert_int_eq(admin_shutdown(&w.env, false), OK);
	ck_assert(!now()->suspended);
	ck_assert_int_eq(admin_suspend(&w.env, "", &err), E_INVALID);
	ck_assert_str_eq(err.text, "pooler is shutting down");
}
END_TEST

START_TEST(one_database_is_paused_and_disabled)
{
	ck_assert_int_eq(admin_pause(&w.env, "app", &err), OK);
	ck_assert_int_eq(admin_disable(&w.env, "app", &err), OK);
	ck_assert_int_eq(admin_disable(&w.env, "one", &err), OK);
	ck_assert(admin_is_paused(&w.env, "app") && !admin_is_paused(&w.env, "one"));
	ck_assert(admin_is_disabled(&w.env, "app") && admin_is_disabled(&w.env, "one"));
	ck_assert_uint_eq(now()->n, 2);
	ck_assert_int_eq(admin_resume(&w.env, "app", &err), OK);
	ck_assert_int_eq(admin_resume(&w.env, "app", &err), E_INVALID);
	ck_assert_str_eq(err.text, "database app is not paused");
	ck_assert_int_eq(admin_enable(&w.env, "app", &err), OK);
	ck_assert_int_eq(admin_enable(&w.env, "one", &err), OK);
	ck_assert_int_eq(admin_pause(&w.env, "", &err), OK);
	ck_assert_uint_eq(now()->n, 0); /* what has no flag is forgotten */
}
END_TEST

START_TEST(what_is_not_possible_is_refused_in_pgbouncers_words)
{
	ck_assert_int_eq(admin_pause(&w.env, "nodb", &err), E_NOTFOUND);
	ck_assert_str_eq(err.text, "no such database: nodb");
	ck_assert_int_eq(admin_pause(&w.env, "pgbouncer", &err), E_INVALID);
	ck_assert_str_eq(err.text, "cannot pause admin db: pgbouncer");
	ck_assert_int_eq(admin_kill(&w.env, "pgweir", &err), E_INVALID);
	ck_assert_str_eq(err.text, "cannot kill admin db: pgweir");
	ck_assert_int_eq(admin_disable(&w.env, "", &err), E_INVALID);
	ck_assert_str_eq(err.text, "a database is required");
	ck_assert_int_eq(admin_enable(&w.env, "", &err), E_INVALID);
	ck_assert_int_eq(admin_check(&w.env, "nodb", &err), E_NOTFOUND);
	ck_assert_int_eq(admin_check(&w.env, "", &err), OK);
	ck_assert_int_eq(admin_check(&w.env, "app", &err), OK);
}
END_TEST

START_TEST(reconnect_counts_up)
{
	uint64_t first;

	ck_assert_int_eq(admin_reconnect(&w.env, "", &err), OK);
	first = now()->reconnect_all;
	ck_assert_uint_eq(first, atomic_load(&w.sh.reconnect_no));
	ck_assert_int_eq(admin_reconnect(&w.env, "app", &err), OK);
	ck_assert_uint_eq(now()->reconnect_all, first);
	ck_assert_uint_eq(now()->db[0].reconnect, first + 1);
}
END_TEST

START_TEST(kill_pauses)
{
	ck_assert_int_eq(admin_kill(&w.env, "app", &err), OK);
	ck_assert(admin_is_paused(&w.env, "app") && !admin_is_paused_all(&w.env));
	ck_assert_int_eq(admin_kill(&w.env, "", &err), OK);
	ck_assert(admin_is_paused_all(&w.env));
	ck_assert_int_eq(admin_kill(&w.env, "", &err), OK); /* again is no error */
}
END_TEST

START_TEST(number_of_databases_is_bounded)
{
	char name[32];

	world_set_conf(&w, "[databases]\n* = host=10.0.0.1\n[pgweir]\nlisten_addr = x\n");
	for (unsigned i = 0; i < ADMIN_DBS_MAX; i++) {
		snprintf(name, sizeof name, "db%u", i);
		ck_assert_int_eq(admin_disable(&w.env, name, &err), OK);
		for (unsigned k = 0; i % 100 == 0 && k < 3; k++)
			world_turn(&w, 0);
	}
	ck_assert_int_eq(admin_disable(&w.env, "more", &err), E_LIMIT);
	ck_assert_int_eq(admin_pause(&w.env, "db7", &err), OK);
}
END_TEST

/* --- tell --- */

static struct tell_sum sum;
static unsigned n_told;

static void on_told(struct tell_run *run, const struct tell_sum *s)
{
	(void)run;
	sum = *s;
	n_told++;
}

START_TEST(answers_of_all_workers_are_summed)
{
	struct tell_run run;

	n_told = 0;
	w.workers[0].done.servers_in_use = 3;
	w.workers[1].done.servers_in_use = 4;
	w.workers[1].done.n_hit = 1;
	tell_init(&run, &w.tellers, on_told);
	tell_start(&run, COMMAND_KILL_CLIENT, "app", 17);
	ck_assert_uint_eq(n_told, 0);
	world_turn_until(&w, n_told == 1);
	ck_assert(sum.complete);
	ck_assert_uint_eq(sum.servers_in_use, 7);
	ck_assert_uint_eq(sum.n_hit, 1);
	ck_assert_int_eq(w.workers[1].last.what, COMMAND_KILL_CLIENT);
	ck_assert_str_eq(w.workers[1].last.database, "app");
	ck_assert_uint_eq(w.workers[1].last.id, 17);
	tell_start(&run, COMMAND_COUNT, "", 0); /* and once more */
	world_turn_until(&w, n_told == 2);
	tell_start(&run, COMMAND_COUNT, "", 0);
	tell_cancel(&run); /* late answers find nobody */
	for (unsigned i = 0; i < 5; i++)
		world_turn(&w, 1000);
	ck_assert_uint_eq(n_told, 2);
}
END_TEST

/* --- ending --- */

static unsigned n_stopping;

static void on_stopping(void *arg)
{
	(void)arg;
	n_stopping++;
}

static void begin(struct ending *e)
{
	ending_init(e, &w.env, &w.tellers);
	e->on_stopping = on_stopping;
	n_stopping = 0;
}

START_TEST(ending_waits_for_clients)
{
	struct ending e;

	begin(&e);
	atomic_store(&w.sh.n_clients, 1);
	ending_wait(&e, false);
	ck_assert(now()->shutdown_wait_clients && !now()->shutdown_wait_servers);
	ck_assert(admin_is_shutting_down(&w.env));
	for (unsigned i = 0; i < 10; i++)
		world_turn(&w, 20000);
	ck_assert_uint_eq(n_stopping, 0);
	atomic_store(&w.sh.n_clients, 0);
	world_turn_until(&w, w.workers[0].n_stop == 1 && w.workers[1].n_stop == 1);
	ck_assert_uint_eq(n_stopping, 1);
	ck_assert(!ending_is_over(&e));
	ending_worker_stopped(&e);
	ck_assert(!ending_is_over(&e));
	ending_worker_stopped(&e);
	ck_assert(ending_is_over(&e));
	ending_fini(&e);
}
END_TEST

START_TEST(ending_of_a_drain_is_called_off)
{
	struct ending e;

	begin(&e);
	ck_assert(!ending_go_on(&e));
	atomic_store(&w.sh.n_clients, 1);
	ending_drain(&e, 50000);
	ck_assert(ending_go_on(&e));
	atomic_store(&w.sh.n_clients, 0);
	for (unsigned i = 0; i < 10; i++)
		world_turn(&w, 20000);
	ck_assert_uint_eq(n_stopping, 0);
	ending_drain(&e, 50000);
	world_turn_until(&w, n_stopping == 1);
	ck_assert(!ending_go_on(&e)); /* too late */
	ending_worker_stopped(&e);
	ending_worker_stopped(&e);
	ending_fini(&e);
}
END_TEST

START_TEST(ending_waits_for_servers)
{
	struct ending e;

	begin(&e);
	w.workers[1].done.servers_in_use = 1;
	ending_wait(&e, true);
	ck_assert(now()->shutdown_wait_servers);
	ck_assert_int_eq(admin_resume(&w.env, "", &err), E_INVALID);
	world_turn_until(&w, w.workers[1].n_commands == 3);
	ck_assert_int_eq(w.workers[1].last.what, COMMAND_CLOSE_IDLE);
	ck_assert_uint_eq(n_stopping, 0);
	w.workers[1].done.servers_in_use = 0;
	world_turn_until(&w, n_stopping == 1);
	ending_fini(&e);
}
END_TEST

START_TEST(second_request_ends_at_once)
{
	struct ending e;

	begin(&e);
	atomic_store(&w.sh.n_clients, 1);
	ending_wait(&e, false);
	ending_wait(&e, true);
	ck_assert_uint_eq(n_stopping, 0); /* a console that asks lives on in this call */
	ending_soon(&e);                  /* and a third changes nothing */
	world_turn_until(&w, n_stopping == 1);
	ending_soon(&e);
	world_turn(&w, 0);
	ck_assert_uint_eq(w.workers[0].n_stop, 1);
	ending_fini(&e);
}
END_TEST

START_TEST(a_worker_that_ends_by_itself_ends_all)
{
	struct ending e;

	begin(&e);
	ending_worker_stopped(&e);
	ck_assert_uint_eq(n_stopping, 1);
	ck_assert(world_has_logged(&w, "0 a worker has ended by itself"));
	ending_worker_stopped(&e);
	ck_assert(ending_is_over(&e));
	ending_fini(&e);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("admin");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pause_and_resume_all);
	tcase_add_test(tc, suspend_and_pause_of_all_exclude_each_other);
	tcase_add_test(tc, one_database_is_paused_and_disabled);
	tcase_add_test(tc, what_is_not_possible_is_refused_in_pgbouncers_words);
	tcase_add_test(tc, reconnect_counts_up);
	tcase_add_test(tc, kill_pauses);
	tcase_add_test(tc, number_of_databases_is_bounded);
	tcase_add_test(tc, answers_of_all_workers_are_summed);
	tcase_add_test(tc, ending_waits_for_clients);
	tcase_add_test(tc, ending_of_a_drain_is_called_off);
	tcase_add_test(tc, ending_waits_for_servers);
	tcase_add_test(tc, second_request_ends_at_once);
	tcase_add_test(tc, a_worker_that_ends_by_itself_ends_all);
	return unit_run("admin", tc);
}
