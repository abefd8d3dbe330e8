#include "sql/calls.h"

#include <string.h>

#include "../unit.h"

#define OPTS (SQL_STD_STRINGS | SQL_ENC_UTF8)

/* The first call of the text; its argument must be `arg`, NULL: it is not plain. */
static void ck_call(const char *text, enum sql_call_of of, const char *arg)
{
	struct sql_call call;
	struct lexer lx;
	enum status st;

	lexer_init(&lx, text, strlen(text), OPTS);
	st = sql_call_next(&lx, &call);
	ck_assert_msg(st == (arg != NULL ? OK : E_INVALID), "%s: %d", text, (int)st);
	if (st != OK)
		return;
	ck_assert_int_eq(call.of, of);
	ck_assert_msg(
		call.arg.len == strlen(arg) && memcmp(text + call.arg.off, arg, call.arg.len) == 0,
		"%s: %.*s", text, (int)call.arg.len, text + call.arg.off);
}

START_TEST(plain_arguments_are_found)
{
	ck_call("SELECT currval('s')", CALL_CURRVAL, "'s'");
	ck_call("SELECT CURRVAL ( 's' :: regclass )", CALL_CURRVAL, "'s' :: regclass");
	ck_call("SELECT pg_catalog.\"currval\"($1)", CALL_CURRVAL, "$1");
	ck_call("select currval(pg_get_serial_sequence('\"t\"', 'id'))", CALL_CURRVAL,
		"pg_get_serial_sequence('\"t\"', 'id')");
	ck_call("SELECT lastval()", CALL_LASTVAL, "");
	ck_call("SELECT /* currval(1) */ pg_cancel_backend(12 /* c */)", CALL_CANCEL_BACKEND, "12");
	ck_call("SELECT pg_terminate_backend($1::int, 5000)", CALL_TERMINATE_BACKEND, "$1::int");
	ck_call("INSERT INTO t VALUES (1, currval('s'))", CALL_CURRVAL, "'s'");
}
END_TEST

START_TEST(what_is_computed_is_not_plain)
{
	static const char *const texts[] = {"SELECT currval('a' || 'b')", "SELECT currval(f('a'))",
		"SELECT currval(s) FROM t", "SELECT currval((SELECT 's'))", "SELECT currval('s'",
		"SELECT U&\"currval\"('s')", "SELECT 'not ended", "SELECT currval(U&'s')",
		"SELECT pg_cancel_backend(pid) FROM pg_stat_activity", "SELECT currval(-1)"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		ck_call(texts[i], CALL_CURRVAL, NULL);
}
END_TEST

START_TEST(calls_come_one_after_the_other)
{
	static const char text[] = "SELECT currval('a'), currval, x.lastval, lastval(); SELECT 1";
	struct sql_call call;
	struct lexer lx;

	lexer_init(&lx, text, sizeof text - 1, OPTS);
	ck_assert_int_eq(sql_call_next(&lx, &call), OK);
	ck_assert_int_eq(call.of, CALL_CURRVAL);
	ck_assert_int_eq(sql_call_next(&lx, &call), OK);
	ck_assert_int_eq(call.of, CALL_LASTVAL);
	ck_assert_int_eq(sql_call_next(&lx, &call), E_NOTFOUND);
}
END_TEST

static enum status number(const char *text, struct token *out)
{
	struct sql_call call;
	struct lexer lx;

	lexer_init(&lx, text, strlen(text), OPTS);
	ck_assert_int_eq(sql_call_next(&lx, &call), OK);
	return sql_call_number(text, OPTS, &call, out);
}

START_TEST(an_argument_is_one_number_or_not)
{
	struct token t;

	ck_assert_int_eq(number("SELECT pg_cancel_backend(123)", &t), OK);
	ck_assert(t.kind == TOKEN_INTEGER && t.len == 3);
	ck_assert_int_eq(number("SELECT pg_cancel_backend($12::int)", &t), OK);
	ck_assert(t.kind == TOKEN_PARAM);
	ck_assert_int_eq(sql_param_number("SELECT pg_cancel_backend($12::int)", &t), 12);
	ck_assert_int_eq(number("SELECT pg_cancel_backend('123')", &t), E_INVALID);
	ck_assert_int_eq(number("SELECT pg_cancel_backend((123))", &t), E_INVALID);
	ck_assert_int_eq(number("SELECT pg_cancel_backend()", &t), E_INVALID);
	ck_assert_int_eq(number("SELECT pg_cancel_backend($99999)", &t), OK);
	ck_assert_int_eq(sql_param_number("SELECT pg_cancel_backend($99999)", &t), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("calls");

	tcase_add_test(tc, plain_arguments_are_found);
	tcase_add_test(tc, what_is_computed_is_not_plain);
	tcase_add_test(tc, calls_come_one_after_the_other);
	tcase_add_test(tc, an_argument_is_one_number_or_not);
	return unit_run("calls", tc);
}
