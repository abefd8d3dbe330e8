#include "sql/weir.h"

#include <string.h>

#include "../unit.h"

static struct weir_stmt s;

static bool reads(const char *text)
{
	bool is = weir_read(text, strlen(text), SQL_STD_STRINGS | SQL_ENC_UTF8, &s);

	if (is)
		ck_assert_msg(weir_may_be(text, strlen(text)), "%s", text);
	return is;
}

START_TEST(statements_for_us_are_read)
{
	static const struct {
		const char *text;
		enum weir_kind kind;
		const char *name, *value;
		bool local;
	} cases[] = {
		{"SET pgweir.route = replica", WEIR_SET, "route", "replica", false},
		{"set session PGWEIR.Route to 'Replica'", WEIR_SET, "route", "Replica", false},
		{"SET LOCAL pgweir.max_lag=200", WEIR_SET, "max_lag", "200", true},
		{"SET pgweir.max_lag = 0.5;", WEIR_SET, "max_lag", "0.5", false},
		{"SET \"pgweir\".\"route\" = E'a\\x62'", WEIR_SET, "route", "ab", false},
		{"SET \"pgweir.route\" = $$x$$", WEIR_SET, "route", "x", false},
		{"SET U&\"pgweir\\002eroute\" = x", WEIR_SET, "route", "x", false},
		{" -- so\n/* or so */ SET pgweir.route = x", WEIR_SET, "route", "x", false},
		{"SET pgweir.route TO DEFAULT", WEIR_RESET, "route", "", false},
		{"SET LOCAL pgweir.route = DEFAULT", WEIR_RESET, "route", "", true},
		{"RESET pgweir.min_lsn", WEIR_RESET, "min_lsn", "", false},
		{"SHOW pgweir.last_lsn ; ", WEIR_SHOW, "last_lsn", "", false},
		{";show pgweir.x", WEIR_SHOW, "x", "", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(reads(cases[i].text), "%s", cases[i].text);
		ck_assert_int_eq(s.kind, cases[i].kind);
		ck_assert_str_eq(s.name, cases[i].name);
		ck_assert_str_eq(s.value, cases[i].value);
		ck_assert_int_eq(s.local, cases[i].local);
		ck_assert(!s.bad_syntax);
		ck_assert(s.is_only);
	}
}
END_TEST

START_TEST(other_statements_are_not_for_us)
{
	static const char *const cases[] = {"", "SELECT 1", "SET work_mem = 1", "SET pgweir = 1",
		"SET app.pgweir.x = 1", "SHOW ALL", "RESET ALL", "SET LOCAL work_mem = 1",
		"SELECT 1; SET pgweir.route = primary", "EXPLAIN SELECT 1", "EXPLAIN routes",
		"EXPLAIN \"route\" SELECT 1", "SET ROLE pgweir", "SET pgweirx.a = 1",
		"SET TIME ZONE 'pgweir.x'", "EXPLAIN ANALYZE SELECT 1"};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_msg(!reads(cases[i]), "%s", cases[i]);
	ck_assert(!weir_read("SET pgweir.x = 1", 16, SQL_ENC_UNSAFE, &s));
}
END_TEST

START_TEST(a_wrong_end_is_told)
{
	static const char *const cases[] = {"SET pgweir.x", "SET pgweir.x =", "SET pgweir.x = a b",
		"SET pgweir.x = a, b", "SHOW pgweir.x y", "RESET pgweir.x = 1", "SET pgweir.x = -1",
		"SET pgweir.x := 1"};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(reads(cases[i]), "%s", cases[i]);
		ck_assert_msg(s.bad_syntax, "%s", cases[i]);
	}
}
END_TEST

START_TEST(what_follows_begins_at_the_end)
{
	static const char text[] = "SET pgweir.route = 'a;b';; SELECT 1";

	ck_assert(reads(text));
	ck_assert(!s.is_only && !s.bad_syntax);
	ck_assert_str_eq(text + s.end, "SELECT 1");
}
END_TEST

START_TEST(explain_route_has_all_of_the_rest)
{
	static const char text[] = "explain ROUTE SELECT 1; SELECT 2 ";

	ck_assert(reads(text));
	ck_assert_int_eq(s.kind, WEIR_EXPLAIN_ROUTE);
	ck_assert_str_eq(text + s.inner.off, " SELECT 1; SELECT 2 ");
	ck_assert_uint_eq(s.inner.len, strlen(" SELECT 1; SELECT 2 "));
	ck_assert(s.is_only);
	ck_assert(reads("EXPLAIN /* c */ ROUTE SELECT 1"));
	ck_assert(reads("EXPLAIN -- c\nROUTE SELECT 1"));
	ck_assert(reads("EXPLAIN/**/ROUTE SELECT 1"));
	ck_assert(reads("EXPLAIN\troute SELECT 1"));
	ck_assert(reads("EXPLAIN  route SELECT 1"));
}
END_TEST

/* These need not be read to see that they are not for us. */
START_TEST(most_others_are_told_by_a_look)
{
	static const char *const cases[] = {"SELECT pgweir.x FROM t", "EXPLAIN SELECT 1",
		"EXPLAIN (ANALYZE) SELECT a.b", "SET statement_timeout = 1", "SHOW search_path"};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_msg(!weir_may_be(cases[i], strlen(cases[i])), "%s", cases[i]);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("weir");

	tcase_add_test(tc, statements_for_us_are_read);
	tcase_add_test(tc, other_statements_are_not_for_us);
	tcase_add_test(tc, a_wrong_end_is_told);
	tcase_add_test(tc, what_follows_begins_at_the_end);
	tcase_add_test(tc, explain_route_has_all_of_the_rest);
	tcase_add_test(tc, most_others_are_told_by_a_look);
	return unit_run("weir", tc);
}
