#include "worker/effects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"
#include "sql/classify.h"
#include "sql/lexer.h"
#include "worker/custom.h"
#include "worker/found_out.h"
#include "worker/savepoints.h"
#include "worker/shared.h"

static struct hash_key key = {1, 2};
static struct shared sh;
static struct worker w;
static struct dbase db;
static struct account acc;
static struct client c;
static struct busy lent;
static struct server s;

static void begin(void)
{
	struct settings *login;

	memset(&sh, 0, sizeof sh);
	memset(&w, 0, sizeof w);
	memset(&db, 0, sizeof db);
	memset(&acc, 0, sizeof acc);
	memset(&c, 0, sizeof c);
	memset(&s, 0, sizeof s);
	w.sh = &sh;
	w.now_us = 1;
	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &w.settings), OK);
	ck_assert_int_eq(stmt_table_new(&key, 1u << 20, w.settings, &w.stmts), OK);
	ck_assert_int_eq(baseline_put(&acc.baseline, "TimeZone", "Etc/UTC"), OK);
	ck_assert_int_eq(baseline_put(&acc.baseline, "client_encoding", "UTF8"), OK);
	lent = busy_none;
	c.busy = &lent;
	c.db = &db;
	c.acc = &acc;
	c.sql_opts = SQL_STD_STRINGS | SQL_ENC_UTF8;
	login = settings_empty(w.settings);
	settings_txn_init(&c.set, w.settings, &login);
	stmt_names_init(&c.names, w.stmts, 10);
	s.settings = settings_empty(w.settings);
	s.names = settings_empty(w.settings);
	s.made = settings_empty(w.settings);
	c.custom = settings_empty(w.settings);
	c.server = &s;
	stmt_lru_init(&s.stmts, w.stmts, 10);
}

static void end(void)
{
	savepoints_clear(&c.busy->savepoints, &c.set);
	settings_txn_fini(&c.set);
	stmt_names_fini(&c.names);
	stmt_lru_fini(&s.stmts);
	settings_unref(w.settings, s.settings);
	settings_unref(w.settings, s.names);
	settings_unref(w.settings, s.made);
	settings_unref(w.settings, c.custom);
	found_out_forget(&w, &c);
	baseline_fini(&acc.baseline);
	stmt_table_free(w.stmts);
	settings_table_free(w.settings);
}

static struct effects *noted(const char *sql)
{
	struct effects *e;
	struct sql_verdict v;
	struct effects_of of = {.sql = sql, .v = &v};

	sql_classify(sql, strlen(sql), c.sql_opts, NULL, &v);
	ck_assert_int_eq(effects_begin(&w, &c, &s, &of, &e), OK);
	return e;
}

/* The message is sent, and the server reports its first `n` statements complete. */
static void run_some(const char *sql, unsigned n, bool rolled_back)
{
	struct effects *e = noted(sql);

	for (unsigned i = 0; i < n && e != NULL; i++)
		effects_complete(&w, &c, &s, e, rolled_back);
	effects_free(e);
}

static void run(const char *sql)
{
	run_some(sql, 10, false);
}

static void set_is(const char *name, const char *value)
{
	const char *got = settings_get(c.set.current, name);

	if (value == NULL)
		ck_assert_ptr_null(got);
	else
		ck_assert_str_eq(got != NULL ? got : "(not set)", value);
}

START_TEST(nothing_is_allocated_for_a_plain_statement)
{
	ck_assert_ptr_null(noted("SELECT 1"));
	ck_assert_ptr_null(noted("INSERT INTO t VALUES (1)"));
	ck_assert_ptr_null(noted("COMMIT")); /* nothing was set */
}
END_TEST

START_TEST(set_counts_when_its_statement_is_complete)
{
	struct effects *e = noted("SET work_mem = '5MB'; SET lock_timeout = 7");

	set_is("work_mem", NULL);
	effects_complete(&w, &c, &s, e, false);
	set_is("work_mem", "5MB");
	set_is("lock_timeout", NULL);
	effects_complete(&w, &c, &s, e, false);
	set_is("lock_timeout", "7");
	effects_free(e);
}
END_TEST

START_TEST(what_failed_has_no_effect)
{
	run_some("SET work_mem = '5MB'; SELECT 1/0; SET lock_timeout = 7", 1, false);
	set_is("work_mem", "5MB"); /* ReadyForQuery will undo it */
	set_is("lock_timeout", NULL);
}
END_TEST

START_TEST(reported_parameters_are_left_to_parameter_status)
{
	run("SET TimeZone = 'Asia/Tokyo'");
	set_is("timezone", NULL);
	ck_assert(!pins_any(&c.busy->pins));
}
END_TEST

START_TEST(set_local_is_the_servers)
{
	ck_assert_ptr_null(noted("SET LOCAL work_mem = '5MB'"));
	ck_assert(!pins_any(&c.busy->pins));
}
END_TEST

START_TEST(what_cannot_follow_pins_before_it_is_sent)
{
	static const struct {
		const char *sql;
		enum pin_cause cause;
	} t[] = {{"LISTEN x", PIN_LISTEN}, {"CREATE TEMP TABLE t (a int)", PIN_TEMP},
		{"SELECT pg_advisory_lock(1)", PIN_ADVISORY_LOCK}, {"LOAD 'x'", PIN_LOAD},
		{"SELECT set_config(a, b, false) FROM t", PIN_SET_CONFIG}};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct effects *e = noted(t[i].sql);

		if (!pins_has(&c.busy->pins, t[i].cause))
			ck_abort_msg("%s: %x", t[i].sql, c.busy->pins.causes);
		effects_free(e);
		pins_clear(&c.busy->pins, &sh.pins);
	}
}
END_TEST

START_TEST(what_undoes_a_pin_does_so_when_it_is_complete)
{
	struct effects *e;

	run("SELECT pg_advisory_lock(1)");
	e = noted("SELECT pg_advisory_unlock_all()");
	ck_assert(pins_has(&c.busy->pins, PIN_ADVISORY_LOCK));
	effects_complete(&w, &c, &s, e, false);
	ck_assert(!pins_any(&c.busy->pins));
	effects_free(e);
}
END_TEST

/* ROLLBACK gives all back. */
START_TEST(what_a_rollback_undoes_is_asked_about)
{
	static const char *const t[][2] = {
		{"LISTEN x", "UNLISTEN *"}, {"CREATE TEMP TABLE t (a int)", "DISCARD TEMP"}};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		c.busy->probe_due = false;
		run(t[i][0]);
		run(t[i][1]);
		ck_assert(pins_any(&c.busy->pins));
		ck_assert(c.busy->probe_due);
		pins_clear(&c.busy->pins, &sh.pins);
	}
}
END_TEST

START_TEST(reset_goes_back_to_the_default)
{
	run("SET work_mem = '5MB'; SET lock_timeout = 7");
	run("RESET work_mem");
	set_is("work_mem", NULL);
	set_is("lock_timeout", "7");
	run("RESET ALL");
	set_is("lock_timeout", NULL);
	ck_assert(s.is_bare); /* our own set-up has gone with it */
}
END_TEST

START_TEST(reset_goes_back_to_the_login)
{
	struct settings *login;

	run("SET work_mem = '5MB'");
	login = settings_ref(c.set.current);
	settings_txn_fini(&c.set);
	settings_txn_init(&c.set, w.settings, &login);
	server_set_settings(&w, &s, c.set.current);
	run("SET work_mem = '6MB'");
	run("RESET work_mem");
	set_is("work_mem", "5MB");
	/* The server has gone back to its own default: it is told again. */
	ck_assert_ptr_null(settings_get(s.settings, "work_mem"));
	ck_assert(c.busy->prefix_due && c.busy->rediff);
}
END_TEST

START_TEST(commit_keeps_and_a_commit_that_says_rollback_does_not)
{
	settings_txn_begin(&c.set);
	run("SET work_mem = '5MB'; COMMIT");
	ck_assert_int_eq(c.busy->end_sent, EFFECT_COMMIT);
	ck_assert_str_eq(settings_get(c.set.committed, "work_mem"), "5MB");
	run("SET work_mem = '6MB'");
	run_some("COMMIT", 1, true);
	set_is("work_mem", "5MB");
	run("SET work_mem = '7MB'; ROLLBACK");
	set_is("work_mem", "5MB");
}
END_TEST

START_TEST(rollback_to_a_savepoint_brings_back_what_was_set_there)
{
	settings_txn_begin(&c.set);
	run("SET work_mem = '5MB'; SAVEPOINT a; SET work_mem = '6MB'; SAVEPOINT b; "
	    "SET work_mem = '7MB'");
	run("ROLLBACK TO b");
	set_is("work_mem", "6MB");
	run("SET lock_timeout = 7; ROLLBACK TO a");
	set_is("work_mem", "5MB");
	set_is("lock_timeout", NULL);
	run("SET work_mem = '8MB'; RELEASE a; ROLLBACK TO a"); /* the server refuses the last */
	set_is("work_mem", "8MB");
	ck_assert(!pins_any(&c.busy->pins));
}
END_TEST

START_TEST(more_savepoints_than_are_kept_are_found_out)
{
	for (unsigned i = 0; i < SAVEPOINTS_MAX; i++)
		run("SAVEPOINT a");
	ck_assert(!found_out_is_due(&c));
	run("SAVEPOINT a");
	ck_assert(!pins_any(&c.busy->pins) && c.busy->doubt_all);
}
END_TEST

static bool has_name(const struct settings *names, const char *name)
{
	return settings_get(names, name) != NULL;
}

START_TEST(a_custom_parameter_is_the_servers_when_sent_and_the_clients_when_complete)
{
	struct effects *e = noted("SET App.B = 'c'");

	ck_assert(has_name(s.names, "app.b") && !has_name(s.made, "app.b"));
	ck_assert(!has_name(c.custom, "app.b"));
	effects_complete(&w, &c, &s, e, false);
	effects_free(e);
	ck_assert(has_name(s.made, "app.b") && has_name(c.custom, "app.b"));
	set_is("app.b", "c");
	run("RESET app.b");
	set_is("app.b", NULL);
	ck_assert(has_name(c.custom, "app.b"));
	run("SET LOCAL app.l = 'c'");
	set_is("app.l", NULL);
	ck_assert(has_name(c.custom, "app.l") && !pins_any(&c.busy->pins));
	ck_assert_ptr_null(noted("SET LOCAL app.l = 'd'")); /* nothing to follow any more */
}
END_TEST

START_TEST(a_role_is_a_setting_that_reset_all_leaves)
{
	run("SET ROLE joe");
	set_is("role", "joe");
	run("RESET ALL");
	set_is("role", "joe");
	run("SET SESSION AUTHORIZATION jim");
	set_is("session_authorization", "jim");
	set_is("role", NULL); /* it resets the role */
	ck_assert(found_out_is_due(&c));
	run("DISCARD ALL");
	set_is("session_authorization", NULL);
	run("SET LOCAL ROLE joe");
	set_is("role", NULL);
}
END_TEST

START_TEST(set_config_is_a_set_where_it_surely_runs_once)
{
	run("SELECT set_config('work_mem', '5MB', false), set_config('app.b', 'c', true)");
	set_is("work_mem", "5MB");
	set_is("app.b", NULL);
	ck_assert(has_name(c.custom, "app.b") && !found_out_is_due(&c));
	run("SELECT set_config('app.c', 'd', false) FROM t");
	ck_assert(has_name(c.busy->doubt_names, "app.c") && !has_name(c.custom, "app.c"));
	ck_assert(!c.busy->doubt_all);
	run("SELECT set_config('work_mem', x, false) FROM t");
	ck_assert(c.busy->doubt_all && !pins_any(&c.busy->pins));
}
END_TEST

/* A Bind of text values. */
static struct effects *bound(const char *sql, const uint8_t *tail, size_t len)
{
	struct msg_bind_tail values;
	struct sql_verdict v;
	struct effects_of of = {.sql = sql, .v = &v, .values = &values};
	struct effects *e;

	ck_assert_int_eq(frontend_read_bind_tail(rd_of(tail, len), &values), OK);
	sql_classify(sql, strlen(sql), c.sql_opts, NULL, &v);
	ck_assert_int_eq(effects_begin(&w, &c, &s, &of, &e), OK);
	return e;
}

START_TEST(set_config_of_parameters_is_told_by_their_bind)
{
	static const uint8_t two[] = "\0\0\0\3\0\0\0\5App.B\0\0\0\1x\0\0\0\1f\0\0";
	static const uint8_t local[] = "\0\0\0\3\0\0\0\5app.l\0\0\0\1x\0\0\0\4true\0\0";
	static const uint8_t null[] = "\0\0\0\3\0\0\0\5app.n\xff\xff\xff\xff\0\0\0\1f\0\0";
	static const char sql[] = "SELECT set_config($1, $2::text, $3)";
	struct effects *e = bound(sql, two, sizeof two - 1);

	effects_complete(&w, &c, &s, e, false);
	effects_free(e);
	set_is("app.b", "x");
	e = bound(sql, local, sizeof local - 1);
	effects_complete(&w, &c, &s, e, false);
	effects_free(e);
	set_is("app.l", NULL);
	ck_assert(has_name(c.custom, "app.l") && !found_out_is_due(&c));
	e = bound(sql, null, sizeof null - 1); /* which resets: the server is asked */
	effects_free(e);
	ck_assert(has_name(c.busy->doubt_names, "app.n") && !pins_any(&c.busy->pins));
	effects_free(noted(sql)); /* without a Bind */
	ck_assert(pins_has(&c.busy->pins, PIN_SET_CONFIG));
}
END_TEST

START_TEST(search_path_for_a_transaction_pins_where_it_names_pg_temp)
{
	static const struct {
		const char *sql;
		bool pins, doubts;
	} cases[] = {
		{"SELECT set_config('search_path', 'a, pg_temp', true)", true, false},
		{"SELECT set_config('Search_Path', 'PG_TEMP', true)", true, false},
		{"SELECT set_config('search_path', 'Pg_Temp', a) FROM t", true, true},
		{"SELECT set_config('search_path', 'public', a)", false, true},
		{"SELECT set_config('search_path', 'public', true)", false, false},
		{"SELECT set_config('search_path', a, true) FROM t", false, false},
		{"SELECT set_config('search_path', 'pg_temp', false) FROM t", false, true},
		{"SELECT set_config('work_mem', 'pg_temp', true)", false, false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		c.busy->probe_due = c.busy->doubt_all = false;
		run(cases[i].sql);
		ck_assert_int_eq(pins_has(&c.busy->pins, PIN_TEMP), cases[i].pins);
		ck_assert_int_eq(c.busy->probe_due, cases[i].pins);
		ck_assert_int_eq(c.busy->doubt_all, cases[i].doubts);
		ck_assert(!pins_has(&c.busy->pins, PIN_SET_CONFIG));
		pins_clear(&c.busy->pins, &sh.pins);
	}
	set_is("search_path", NULL);
}
END_TEST

START_TEST(a_value_that_names_pg_temp_pins_in_any_case)
{
	run("SELECT set_config('search_path', 'PG_TEMP', false)");
	ck_assert(pins_has(&c.busy->pins, PIN_SET_CONFIG));
	set_is("search_path", NULL);
}
END_TEST

START_TEST(what_did_not_complete_may_have_left_a_trace)
{
	struct effects *e = noted("SET app.b = 'c'");

	effects_unsure(&w, &c, e, false);
	effects_free(e);
	ck_assert(has_name(c.busy->doubt_names, "app.b") && !has_name(c.custom, "app.b"));
}
END_TEST

START_TEST(more_custom_parameters_than_are_kept_pin)
{
	char sql[64];

	for (unsigned i = 0; i <= CUSTOM_NAMES_MAX; i++) {
		ck_assert(!pins_any(&c.busy->pins));
		snprintf(sql, sizeof sql, "SET app.x%u = '1'", i);
		run(sql);
	}
	ck_assert(pins_has(&c.busy->pins, PIN_CUSTOM_PARAMETER));
}
END_TEST

START_TEST(discard_all_leaves_nothing)
{
	struct stmt_text text = {.query = "SELECT 1", .query_len = 8, .parse = c.set.current};
	struct stmt_name *name;
	struct stmt_lru_entry *entry;
	struct stmt *stmt;
	uint64_t victim;

	ck_assert_int_eq(stmt_intern(w.stmts, &text, &stmt), OK);
	ck_assert_int_eq(stmt_names_put(&c.names, "p", stmt, &name), OK);
	ck_assert_int_eq(stmt_lru_add(&s.stmts, stmt, &entry, &victim), OK);
	stmt_unref(w.stmts, stmt);
	run("SET work_mem = '5MB'");
	run("LISTEN x");
	c.seq_server_id = 7;
	run("DISCARD ALL");
	set_is("work_mem", NULL);
	ck_assert(!pins_any(&c.busy->pins));
	ck_assert_uint_eq(stmt_names_n(&c.names), 0);
	ck_assert_uint_eq(s.stmts.n, 0);
	ck_assert_uint_eq(c.seq_server_id, 0);
}
END_TEST

START_TEST(without_memory_it_is_an_error_or_a_pin_and_never_a_lie)
{
	static const char sql[] = "SET work_mem = '5MB'; SAVEPOINT a; SET lock_timeout = 7";
	struct sql_verdict v;
	struct effects_of of = {.sql = sql, .v = &v};
	struct effects *e;

	sql_classify(sql, strlen(sql), c.sql_opts, NULL, &v);
	for (unsigned n = 0; n < 20; n++) {
		enum status st;

		failing_alloc_after(n);
		st = effects_begin(&w, &c, &s, &of, &e);
		for (unsigned i = 0; i < 3 && st == OK && e != NULL; i++)
			effects_complete(&w, &c, &s, e, false);
		failing_alloc_after(-1);
		unit_check(st == OK || st == E_NOMEM);
		unit_check(st == E_NOMEM || pins_any(&c.busy->pins) ||
			   settings_get(c.set.current, "lock_timeout") != NULL);
		if (st == OK)
			effects_free(e);
		pins_clear(&c.busy->pins, &sh.pins);
		savepoints_clear(&c.busy->savepoints, &c.set);
		settings_txn_reset_all(&c.set);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("effects");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, nothing_is_allocated_for_a_plain_statement);
	tcase_add_test(tc, set_counts_when_its_statement_is_complete);
	tcase_add_test(tc, what_failed_has_no_effect);
	tcase_add_test(tc, reported_parameters_are_left_to_parameter_status);
	tcase_add_test(tc, set_local_is_the_servers);
	tcase_add_test(tc, what_cannot_follow_pins_before_it_is_sent);
	tcase_add_test(tc, what_undoes_a_pin_does_so_when_it_is_complete);
	tcase_add_test(tc, what_a_rollback_undoes_is_asked_about);
	tcase_add_test(tc, reset_goes_back_to_the_default);
	tcase_add_test(tc, reset_goes_back_to_the_login);
	tcase_add_test(tc, commit_keeps_and_a_commit_that_says_rollback_does_not);
	tcase_add_test(tc, rollback_to_a_savepoint_brings_back_what_was_set_there);
	tcase_add_test(tc, more_savepoints_than_are_kept_are_found_out);
	tcase_add_test(
		tc, a_custom_parameter_is_the_servers_when_sent_and_the_clients_when_complete);
	tcase_add_test(tc, a_role_is_a_setting_that_reset_all_leaves);
	tcase_add_test(tc, set_config_is_a_set_where_it_surely_runs_once);
	tcase_add_test(tc, set_config_of_parameters_is_told_by_their_bind);
	tcase_add_test(tc, search_path_for_a_transaction_pins_where_it_names_pg_temp);
	tcase_add_test(tc, a_value_that_names_pg_temp_pins_in_any_case);
	tcase_add_test(tc, what_did_not_complete_may_have_left_a_trace);
	tcase_add_test(tc, more_custom_parameters_than_are_kept_pin);
	tcase_add_test(tc, discard_all_leaves_nothing);
	tcase_add_test(tc, without_memory_it_is_an_error_or_a_pin_and_never_a_lie);
	return unit_run("effects", tc);
}
