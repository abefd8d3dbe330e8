#include "sql/txn_time.h"

#include <string.h>

#include "../unit.h"

#define UTF8 (SQL_STD_STRINGS | SQL_ENC_UTF8)

static bool is_named(const char *text, uint32_t opts)
{
	return txn_time_is_named(text, strlen(text), opts);
}

START_TEST(what_depends_on_the_begin_is_found)
{
	static const char *const texts[] = {"SELECT now()", "select NOW ()", "SELECT now/* c */()",
		"SELECT pg_catalog.now()", "SELECT \"now\"()", "SELECT transaction_timestamp()",
		"SELECT CURRENT_TIMESTAMP", "SELECT current_date + 1", "SELECT current_time(2)",
		"SELECT localtime", "SELECT localtimestamp(0)", "SELECT age(xmin) FROM t",
		"SELECT age(timestamp '2000-01-01')", "SELECT mxid_age('1')", "SELECT 'now'::date",
		"SELECT date 'today'", "SELECT date ' ToDay 10:00'", "SELECT $$tomorrow$$::date",
		"SELECT '[yesterday,now)'::tsrange", "SELECT E'n\\x6fw'::date",
		"SELECT U&'\\006eow'::date", "SELECT U&\"no\\0077\"()", "SELECT N'now'",
		"SELECT 1; SELECT now()", "SELECT 'not ended", "SELECT (SELECT 1 WHERE now() > a)"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		ck_assert_msg(is_named(texts[i], UTF8), "%s", texts[i]);
}
END_TEST

START_TEST(what_does_not_is_left_alone)
{
	static const char *const texts[] = {"", "SELECT 1", "SELECT now FROM t", "SELECT age, 1",
		"SELECT \"age\" FROM person", "SELECT clock_timestamp()",
		"SELECT statement_timestamp()", "SELECT 'knowledge'", "SELECT 'snow, nowhere'",
		"SELECT \"current_date\"", "-- now()\nSELECT 1", "SELECT /* current_date */ 1",
		"SELECT average(1)", "SELECT E'plain'", "SELECT B'01', X'1f', 1.5, $1",
		"SELECT \"now\" FROM t"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		ck_assert_msg(!is_named(texts[i], UTF8), "%s", texts[i]);
}
END_TEST

START_TEST(what_cannot_be_told_counts_as_named)
{
	static char large[SQL_LEN_MAX + 2];

	ck_assert(!is_named("SELECT '\xc3\xa4'", UTF8));
	ck_assert(!is_named("SELECT '\xc3\xa4'", SQL_STD_STRINGS));
	ck_assert(is_named("SELECT '\x83\x5c'", SQL_STD_STRINGS | SQL_ENC_UNSAFE | SQL_ENC_SJIS));
	ck_assert(!is_named("SELECT 1", SQL_STD_STRINGS | SQL_ENC_UNSAFE | SQL_ENC_SJIS));
	ck_assert(is_named("SELECT 'it\\'s'", SQL_ENC_UTF8)); /* strings with escapes */
	memset(large, ' ', sizeof large - 1);
	ck_assert(txn_time_is_named(large, sizeof large - 1, UTF8));
	large[SQL_LEN_MAX] = '\0';
	ck_assert(!txn_time_is_named(large, SQL_LEN_MAX, UTF8));
}
END_TEST

START_TEST(what_takes_no_snapshot)
{
	static const char *const none[] = {
		"", " ; ", "SHOW x", "show x; SHOW y;", "/* SELECT */ SHOW x", "SHOW TIME ZONE"};
	static const char *const some[] = {"SELECT 1", "SHOW x; SELECT 1", "SELECT 1; SHOW x",
		"\"show\" x", "VALUES (1)", "EXPLAIN SELECT 1", "(SELECT 1)"};

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		ck_assert_msg(txn_time_shows_only(none[i], strlen(none[i]), UTF8), "%s", none[i]);
	for (size_t i = 0; i < sizeof some / sizeof *some; i++)
		ck_assert_msg(!txn_time_shows_only(some[i], strlen(some[i]), UTF8), "%s", some[i]);
	ck_assert(!txn_time_shows_only(
		"SHOW \x83x", 7, SQL_STD_STRINGS | SQL_ENC_UNSAFE | SQL_ENC_SJIS));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("txn_time");

	tcase_add_test(tc, what_depends_on_the_begin_is_found);
	tcase_add_test(tc, what_does_not_is_left_alone);
	tcase_add_test(tc, what_cannot_be_told_counts_as_named);
	tcase_add_test(tc, what_takes_no_snapshot);
	return unit_run("txn_time", tc);
}
