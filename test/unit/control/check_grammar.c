#include <string.h>

#include "control/grammar.h"
#include "unit.h"

struct want {
	const char *sql;
	enum status st;
	enum verb verb;
	const char *name, *value;
};

static const struct want wants[] = {
	{"SHOW STATS", OK, VERB_SHOW, "stats", ""},
	{"show\tstats_totals ;", OK, VERB_SHOW, "stats_totals", ""},
	{"  /* x */ Show -- y\n Pools;;", OK, VERB_SHOW, "pools", ""},
	{"SELECT pools", OK, VERB_SHOW, "pools", ""},
	{"SELECT 1", OK, VERB_SHOW, "1", ""},
	{"SHOW", E_INVALID, 0, NULL, NULL},
	{"SHOW a b", E_INVALID, 0, NULL, NULL},
	{"", OK, VERB_EMPTY, "", ""},
	{" ; -- nothing", OK, VERB_EMPTY, "", ""},
	{"PAUSE", OK, VERB_PAUSE, "", ""},
	{"PAUSE App", OK, VERB_PAUSE, "app", ""},
	{"PAUSE \"App\"\"x\"", OK, VERB_PAUSE, "App\"x", ""},
	{"PAUSE \"App", E_INVALID, 0, NULL, NULL},
	{"PAUSE \"\"", E_INVALID, 0, NULL, NULL},
	{"PAUSE my-db", OK, VERB_PAUSE, "my-db", ""},
	{"PAUSE db--comment", OK, VERB_PAUSE, "db", ""},
	{"RESUME app", OK, VERB_RESUME, "app", ""},
	{"SUSPEND", OK, VERB_SUSPEND, "", ""},
	{"SUSPEND x", E_INVALID, 0, NULL, NULL},
	{"DISABLE app", OK, VERB_DISABLE, "app", ""},
	{"ENABLE", OK, VERB_ENABLE, "", ""},
	{"RECONNECT", OK, VERB_RECONNECT, "", ""},
	{"KILL app", OK, VERB_KILL, "app", ""},
	{"KILL_CLIENT 12", OK, VERB_KILL_CLIENT, "12", ""},
	{"KILL_CLIENT", E_INVALID, 0, NULL, NULL},
	{"WAIT_CLOSE", OK, VERB_WAIT_CLOSE, "", ""},
	{"RELOAD", OK, VERB_RELOAD, "", ""},
	{"RELOAD x", E_INVALID, 0, NULL, NULL},
	{"RELOAD Dry Run ;", OK, VERB_RELOAD, "dry run", ""},
	{"RELOAD DRY", E_INVALID, 0, NULL, NULL},
	{"RELOAD DRY RUNS", E_INVALID, 0, NULL, NULL},
	{"RELOAD DRY RUN x", E_INVALID, 0, NULL, NULL},
	{"RELOAD DRYRUN", E_INVALID, 0, NULL, NULL},
	{"SHUTDOWN", OK, VERB_SHUTDOWN, "", ""},
	{"SHUTDOWN WAIT_FOR_CLIENTS", OK, VERB_SHUTDOWN, "wait_for_clients", ""},
	{"SWITCHOVER", OK, VERB_SWITCHOVER, "", ""},
	{"Switchover App", OK, VERB_SWITCHOVER, "app", ""},
	{"SWITCHOVER a b", E_INVALID, 0, NULL, NULL},
	{"SET a=1", OK, VERB_SET, "a", "1"},
	{"SET a = 'x y''z' ;", OK, VERB_SET, "a", "x y'z"},
	{"SET a TO on", OK, VERB_SET, "a", "on"},
	{"SET a tomorrow", E_INVALID, 0, NULL, NULL},
	{"SET server_reset_query = DISCARD ALL; ", OK, VERB_SET, "server_reset_query",
		"DISCARD ALL"},
	{"SET a =", E_INVALID, 0, NULL, NULL},
	{"SET a = ''", OK, VERB_SET, "a", ""},
	{"SET a", E_INVALID, 0, NULL, NULL},
	{"BEGIN", E_INVALID, 0, NULL, NULL},
	{"\"SHOW\" pools", E_INVALID, 0, NULL, NULL},
	{"SHOW pools /* open", OK, VERB_SHOW, "pools", ""},
	{"averyveryverylongword x", E_LIMIT, 0, NULL, NULL},
	{"SHOW \xc3\xa4", OK, VERB_SHOW, "\xc3\xa4", ""},
	{"SHOW (x)", E_INVALID, 0, NULL, NULL},
	{"EXPLAIN SELECT 1", E_INVALID, 0, NULL, NULL},
	{"EXPLAIN ROUTE", E_INVALID, 0, NULL, NULL},
	{"EXPLAIN ROUTE ;", E_INVALID, 0, NULL, NULL},
	{"EXPLAIN ROUTE IN app", E_INVALID, 0, NULL, NULL},
	{"EXPLAIN ROUTE IN SELECT", E_INVALID, 0, NULL, NULL},
	{"EXPLAIN ROUTED SELECT 1", E_INVALID, 0, NULL, NULL},
};

START_TEST(command_is_read)
{
	const struct want *want = &wants[_i];
	struct console_command got;
	enum status st = grammar_read(want->sql, &got);

	if (want->st != OK) {
		ck_assert_msg(st != OK, "%s: accepted", want->sql);
		return;
	}
	ck_assert_msg(st == OK, "%s: %s", want->sql, status_name(st));
	ck_assert_int_eq(got.verb, want->verb);
	ck_assert_str_eq(got.name, want->name);
	ck_assert_str_eq(got.value, want->value);
}
END_TEST

START_TEST(what_explain_route_is_asked_about_is_kept_as_it_is)
{
	static const struct {
		const char *sql, *name, *inner;
	} all[] = {
		{"EXPLAIN ROUTE SELECT 'It''s', \"A\"", "", "SELECT 'It''s', \"A\""},
		{"explain route in App  SELECT 1; UPDATE t SET a = 1", "app",
			"SELECT 1; UPDATE t SET a = 1"},
		{"EXPLAIN ROUTE IN \"My Db\" /* pgweir: primary */ SELECT 1", "My Db",
			"/* pgweir: primary */ SELECT 1"},
		{"EXPLAIN ROUTE INSERT INTO t VALUES (1)", "", "INSERT INTO t VALUES (1)"},
		{"EXPLAIN /* why */ ROUTE -- here\n SELECT 1", "", "-- here\n SELECT 1"},
	};
	struct console_command got;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		ck_assert_int_eq(grammar_read(all[i].sql, &got), OK);
		ck_assert_int_eq(got.verb, VERB_EXPLAIN);
		ck_assert_str_eq(got.name, all[i].name);
		ck_assert_str_eq(got.sql, all[i].inner);
	}
}
END_TEST

static void name_of(char *sql, size_t n)
{
	memcpy(sql, "PAUSE ", 6);
	memset(sql + 6, 'a', n);
	sql[6 + n] = '\0';
}

START_TEST(names_and_values_are_bounded)
{
	struct console_command got;
	char sql[2 * GRAMMAR_SQL_MAX] = "SET a = ";

	name_of(sql, GRAMMAR_NAME_MAX - 1);
	ck_assert_int_eq(grammar_read(sql, &got), OK);
	ck_assert_uint_eq(strlen(got.name), GRAMMAR_NAME_MAX - 1);
	name_of(sql, GRAMMAR_NAME_MAX);
	ck_assert_int_eq(grammar_read(sql, &got), E_LIMIT);
	name_of(sql, 10 * GRAMMAR_NAME_MAX);
	ck_assert_int_eq(grammar_read(sql, &got), E_LIMIT);
	ck_assert_uint_eq(strlen(got.text), GRAMMAR_TEXT_MAX - 1);

	strcpy(sql, "SET a = ");
	memset(sql + 8, 'v', GRAMMAR_VALUE_MAX);
	sql[8 + GRAMMAR_VALUE_MAX] = '\0';
	ck_assert_int_eq(grammar_read(sql, &got), E_LIMIT);
	sql[8 + GRAMMAR_VALUE_MAX - 1] = '\0';
	ck_assert_int_eq(grammar_read(sql, &got), OK);

	strcpy(sql, "EXPLAIN ROUTE ");
	memset(sql + 14, 'x', GRAMMAR_SQL_MAX);
	sql[14 + GRAMMAR_SQL_MAX] = '\0';
	ck_assert_int_eq(grammar_read(sql, &got), E_LIMIT);
	sql[14 + GRAMMAR_SQL_MAX - 1] = '\0';
	ck_assert_int_eq(grammar_read(sql, &got), OK);
}
END_TEST

START_TEST(every_verb_has_its_tag)
{
	ck_assert_str_eq(verb_tag(VERB_SHOW), "SHOW");
	ck_assert_str_eq(verb_tag(VERB_KILL_CLIENT), "KILL_CLIENT");
	ck_assert_str_eq(verb_tag(VERB_EMPTY), "");
	for (int v = VERB_SHOW; v <= VERB_SHUTDOWN; v++)
		ck_assert_str_ne(verb_tag((enum verb)v), "");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("grammar");

	tcase_add_loop_test(tc, command_is_read, 0, sizeof wants / sizeof *wants);
	tcase_add_test(tc, names_and_values_are_bounded);
	tcase_add_test(tc, what_explain_route_is_asked_about_is_kept_as_it_is);
	tcase_add_test(tc, every_verb_has_its_tag);
	return unit_run("grammar", tc);
}
