/* Without memory everything in control/ says so, and nothing crashes or leaks. */
#include "control/control.h"

#include <signal.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "views_unit.h"

static void quiet(void *arg, enum log_level lv, const char *text, const char *kv)
{
	(void)arg;
	(void)lv;
	(void)text;
	(void)kv;
}

static enum status prepare(struct shared *sh, struct log *log)
{
	struct config_set set = {
		.conf = world_conf(WORLD_CONF, NULL), .users = world_users(WORLD_USERS)};
	enum status st;

	set.tls = calloc(1, sizeof *set.tls);
	memset(sh, 0, sizeof *sh);
	*log = (struct log){.sink = quiet};
	sh->log = log;
	snap_domain_init(&sh->snap);
	st = control_prepare(sh, &set);
	config_set_fini(&set);
	return st;
}

START_TEST(first_snapshots)
{
	static struct shared sh;
	struct config_set set;
	enum status st = E_NOMEM;

	for (long n = 0; st != OK; n++) {
		memset(&sh, 0, sizeof sh);
		set = (struct config_set){
			.conf = world_conf(WORLD_CONF, NULL), .users = world_users(WORLD_USERS)};
		failing_alloc_after(n);
		st = control_prepare(&sh, &set);
		failing_alloc_after(-1);
		ck_assert(st == OK || (st == E_NOMEM && set.conf != NULL));
		config_set_fini(&set);
		ck_assert_int_lt(n, 100);
	}
	snapshots_free(&sh);
}
END_TEST

START_TEST(the_whole_of_control)
{
	static struct shared sh;
	struct log log;
	struct control *control = NULL;
	struct control_args args = {.shared = &sh, .from.path = "none"};
	enum status st = E_NOMEM;

	for (long n = 0; st != OK; n++) {
		ck_assert_int_eq(prepare(&sh, &log), OK);
		failing_alloc_after(n);
		st = control_new(&args, &control);
		failing_alloc_after(-1);
		ck_assert_int_lt(n, 1000);
		if (st != OK)
			ck_assert_ptr_null(atomic_load(&sh.conf)); /* control_new has freed them */
		if (st != OK)
			snap_domain_fini(&sh.snap);
	}
	kill(getpid(), SIGQUIT);
	ck_assert_int_eq(control_run(control), OK);
	ck_assert(control_free(control));
	snap_domain_fini(&sh.snap);
}
END_TEST

static struct views v;
static struct console_client c;

static void setup(void)
{
	views_console_open(&v, &c, "none");
}

static void teardown(void)
{
	views_console_close(&v, &c);
}

static const char *const commands[] = {"SHOW STATS", "SHOW POOLS", "SHOW CLIENTS", "SHOW CONFIG",
	"SHOW NODES", "PAUSE app", "RESUME app", "RECONNECT", "DISABLE app", "RELOAD",
	"SET max_client_conn = 5"};

/* A turn in which `n` allocations of control's succeed. The world's own do not count. */
static void poor_turn(long n)
{
	enum status st;

	for (uint32_t i = 0; i < 2; i++)
		world_drain(&v.w.sh.workers[i].mailbox, &v.w, (int)i);
	failing_alloc_after(n);
	wheel_run(&v.w.env.wheel, env_now_us(&v.w.env), 1000, NULL);
	st = loop_turn(v.w.env.loop, env_now_us(&v.w.env) + 1000);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, OK);
}

/* The command is answered, by an error if need be, and the console goes on. */
START_TEST(commands_are_answered)
{
	for (long n = 0; n < 10; n++) {
		console_query(&c, "RESUME app");
		console_query(&c, "RESUME");
		console_forget(&c);
		console_ask(&c, commands[_i]);
		for (unsigned k = 0; k < 6; k++)
			poor_turn(n);
		console_wait(&c, 1);
		ck_assert(!c.is_closed);
	}
	console_query(&c, "SHOW STATE");
	ck_assert_uint_eq(console_count(&c, "C|SHOW"), 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("nomem"), *console = tcase_create("console");

	tcase_add_test(tc, first_snapshots);
	tcase_add_test(tc, the_whole_of_control);
	tcase_add_checked_fixture(console, setup, teardown);
	tcase_add_loop_test(console, commands_are_answered, 0, sizeof commands / sizeof *commands);
	return unit_run_two("nomem", tc, console);
}
