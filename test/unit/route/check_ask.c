#include "route/ask.h"

#include <string.h>

#include "../unit.h"

static struct ask a;
static char unknown[ASK_VALUE_MAX];

static bool hints(const char *sql)
{
	bool found = ask_read_hints(sql, strlen(sql), &a, unknown);

	if (found)
		ck_assert(ask_may_have_hints(sql, strlen(sql)));
	return found;
}

START_TEST(values_are_read_and_written)
{
	static const struct {
		enum ask_param p;
		const char *text, *shown;
	} good[] = {
		{ASK_CONSISTENCY, "Strong", "strong"},
		{ASK_CONSISTENCY, "session", "session"},
		{ASK_CONSISTENCY, "eventual", "eventual"},
		{ASK_CONSISTENCY, "DATABASE", "database"},
		{ASK_ROUTE, "auto", "auto"},
		{ASK_ROUTE, "primary", "primary"},
		{ASK_ROUTE, "replica", "replica"},
		{ASK_MAX_LAG, "0.2", "200ms"},
		{ASK_MAX_LAG, "200ms", "200ms"},
		{ASK_MIN_LSN, "0/16@3", "0/16@3"},
		{ASK_MIN_LSN, "", ""},
	};
	static const struct {
		enum ask_param p;
		const char *text;
	} bad[] = {{ASK_CONSISTENCY, ""}, {ASK_CONSISTENCY, "strongest"}, {ASK_ROUTE, "off"},
		{ASK_MAX_LAG, "x"}, {ASK_MAX_LAG, "-1"}, {ASK_MIN_LSN, "1"}, {ASK_LAST_LSN, "0/1"}};
	char text[ASK_VALUE_MAX];

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		a = (struct ask){0};
		ck_assert_int_eq(ask_put(&a, good[i].p, good[i].text), OK);
		ask_format(&a, good[i].p, text);
		ck_assert_str_eq(text, good[i].shown);
	}
	a = (struct ask){0};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_int_eq(ask_put(&a, bad[i].p, bad[i].text), E_INVALID);
	for (unsigned p = 0; p < ASK_PARAMS; p++) {
		ask_format(&a, (enum ask_param)p, text);
		ck_assert_str_eq(text, "");
		ck_assert_uint_eq(ask_find(ask_name((enum ask_param)p) + 7), p);
	}
	ck_assert_uint_eq(ask_find("colour"), ASK_PARAMS);
}
END_TEST

START_TEST(hints_stand_in_a_comment_ahead)
{
	static const char *const none[] = {"SELECT 1", "", "/", "/*", "/* x */ SELECT 1",
		"SELECT 1 /* pgweir: primary */", "/* pgweir primary */", "-- pgweir: primary\n",
		"/* see pgweir: primary */ SELECT 1", "/* pgweir: primary",
		"/*/* pgweir:primary*/*/ x"};

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		ck_assert_msg(!hints(none[i]), "%s", none[i]);
	ck_assert(hints("/* pgweir: primary */ SELECT 1"));
	ck_assert_uint_eq(a.route, CHOOSE_ROUTE_PRIMARY + 1);
	ck_assert_str_eq(unknown, "");
	ck_assert(hints(
		" /* a /* nested */ one */\n/*PGWEIR:replica,consistency=strong max_lag=2s*/"));
	ck_assert_uint_eq(a.route, CHOOSE_ROUTE_REPLICA + 1);
	ck_assert_uint_eq(a.consistency, CHOOSE_STRONG + 1);
	ck_assert(a.has_max_lag);
	ck_assert_uint_eq(a.max_lag_us, 2000000);
	ck_assert(hints("/*pgweir:*/SELECT 1"));
}
END_TEST

START_TEST(the_first_unknown_word_is_told)
{
	ck_assert(hints("/* pgweir: fast, primary, consistency=x */"));
	ck_assert_str_eq(unknown, "fast");
	ck_assert_uint_eq(a.route, CHOOSE_ROUTE_PRIMARY + 1);
	ck_assert(hints("/* pgweir: consistency=x */"));
	ck_assert_str_eq(unknown, "consistency=x");
	ck_assert(hints("/* pgweir: min_lsn=0/1 */")); /* a client's, no statement's */
	ck_assert_str_eq(unknown, "min_lsn=0/1");
	ck_assert_uint_eq(a.min_lsn.lsn, 0);
}
END_TEST

START_TEST(what_is_nearer_goes_before)
{
	struct ask over;

	ck_assert(hints("/* pgweir: primary, max_lag=1s */"));
	over = a;
	ck_assert(hints("/* pgweir: replica, consistency=strong */"));
	ask_merge(&a, &over);
	ck_assert_uint_eq(a.route, CHOOSE_ROUTE_PRIMARY + 1);
	ck_assert_uint_eq(a.consistency, CHOOSE_STRONG + 1);
	ck_assert_uint_eq(a.max_lag_us, 1000000);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ask");

	tcase_add_test(tc, values_are_read_and_written);
	tcase_add_test(tc, hints_stand_in_a_comment_ahead);
	tcase_add_test(tc, the_first_unknown_word_is_told);
	tcase_add_test(tc, what_is_nearer_goes_before);
	return unit_run("ask", tc);
}
