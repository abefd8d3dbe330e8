#include "sql/skeleton.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "sql/fingerprint.h"

/* In a buffer of its very size, for the sanitizer. */
static uint64_t of_opts(const char *text, uint32_t opts)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);
	uint64_t h;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len + 1);
	h = sql_skeleton(copy, len, opts);
	free(copy);
	return h;
}

static uint64_t of(const char *text)
{
	return of_opts(text, SQL_STD_STRINGS);
}

static uint64_t fingerprint(const char *text)
{
	return sql_fingerprint(text, strlen(text), SQL_STD_STRINGS);
}

START_TEST(values_and_comments_do_not_count)
{
	/* clang-format off */
	static const char *const same[][2] = {
		{"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 1234567890"},
		{"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 'it''s -- 1'"},
		{"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = $1"},
		{"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = $x$ ' $x$"},
		{"SELECT a FROM t WHERE id=1::int", "SELECT a FROM t WHERE id='2'::int"},
		{"SELECT 1", "SELECT 1.5e3"}, {"SELECT 1", "SELECT .5"}, {"SELECT 1", "SELECT 0x1f"},
		{"SELECT E'\\''", "SELECT E'b'"}, {"SELECT x'1f'", "SELECT x''"},
		{"SELECT n'1'", "SELECT n'b' \n 'c'"},
		{"SELECT a IN (1)", "SELECT a IN (1, 2,3 , 'x', $4, 5.5)"},
		{"SELECT a IN (\n1)", "SELECT a IN (\n1,\n'x' /* two */, 5 -- three\n, E'\\'')"},
		{"SELECT a IN (1, 2, b)", "SELECT a IN ('1', b)"},
		{"SELECT ARRAY[1,2]", "SELECT ARRAY[1,2,3,4]"},
		{"SELECT 1 /*traceparent='00-1'*/", "SELECT 1 /*traceparent='00-2' /* in */ */"},
		{"SELECT 1 -- a", "SELECT 1 -- it's"}, {"SELECT/* a */b", "SELECT/**/b"},
		{"SELECT a.b, 'x' FROM \"it's\"", "SELECT a.b, 7 FROM \"it's\""},
		{"1", "2"}, {"'a' b", "$1 b"}, {"a  'b'", "a  'c'"}, {"abcdefg 1", "abcdefg 23456"},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		ck_assert_uint_ne(of(same[i][0]), 0);
		ck_assert_msg(of(same[i][0]) == of(same[i][1]), "%s", same[i][1]);
		ck_assert_msg(fingerprint(same[i][0]) == fingerprint(same[i][1]), "%s", same[i][1]);
	}
}
END_TEST

START_TEST(everything_else_counts)
{
	static const char *const texts[] = {"", " ", "a", "SELECT a FROM t", "SELECT b FROM t",
		"SELECT a FROM u", "SELECT a, b FROM t", "SELECT ab FROM t", "SELECT \"A\" FROM t",
		"SELECT a1 FROM t", "SELECT a2 FROM t", "SELECT a$1 FROM t", "SELECT a$2 FROM t",
		"SELECT a FROM t WHERE a = 1", "SELECT a FROM t WHERE a > 1", "SELECT 1",
		"SELECT 1, 2", "SELECT 1 2", "SELECT f(1)", "SELECT f(1, a)", "SELECT f(a, 1)",
		"SELECT f(1), 2", "SELECT 1; SELECT 2", "SELECT 1 SELECT 2", "SELECT (1, 2), 3",
		"SELECT a IN (1, 2) AND b", "SELECT a IN (1, b)", "DELETE FROM t", "SELECT -1",
		"SELECT - 1", "SELECT a'1'", "SELECT a0", "SELECT e'1'", "SELECT e '1'",
		"SELECT \"1\"", "SELECT \"a\"\"\"", "SELECT \"a\"", "SELECT (/* ( */1, 2)",
		"SELECT ?", "SELECT a.b", "SELECT a/b", "SELECT a-b", "SELECT a- -b",
		"SELECT a /b/* */", "SELECT \xc3\xa4", "SELECT \xc3\xa5", "SELECT \xc3\xa4 1"};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ck_assert_msg(of(texts[i]) != 0, "%s", texts[i]);
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(of(texts[i]) != of(texts[k]), "%s = %s", texts[i], texts[k]);
	}
}
END_TEST

START_TEST(how_strings_are_read_counts)
{
	const char *text = "SELECT 'a\\' , b, 'c'";

	ck_assert_uint_ne(of(text), 0);
	ck_assert_uint_ne(of(text), of_opts(text, 0));
	ck_assert_uint_eq(of("SELECT 'a\\' , b, 'c'"), of("SELECT 'b' , b, 'c'"));
	ck_assert_uint_eq(of_opts("SELECT 'a\\' , b'", 0), of_opts("SELECT 1", 0));
}
END_TEST

START_TEST(what_is_rare_or_broken_has_none)
{
	static const char *const texts[] = {"SELECT 'a", "SELECT \"a", "SELECT /* a", "SELECT $a",
		"SELECT $a$ b", "SELECT u&'a'", "SELECT e'\\'", "SELECT a.5", "SELECT 1..5"};
	char *text = calloc(1, SQL_LEN_MAX + 2);

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		ck_assert_msg(of(texts[i]) == 0, "%s", texts[i]);
	ck_assert_ptr_nonnull(text);
	memset(text, 'a', SQL_LEN_MAX + 1);
	ck_assert_uint_eq(sql_skeleton(text, SQL_LEN_MAX + 1, 0), 0);
	text[SQL_LEN_MAX] = '\0';
	ck_assert_uint_ne(sql_skeleton(text, SQL_LEN_MAX, 0), 0);
	free(text);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("skeleton");

	tcase_add_test(tc, values_and_comments_do_not_count);
	tcase_add_test(tc, everything_else_counts);
	tcase_add_test(tc, how_strings_are_read_counts);
	tcase_add_test(tc, what_is_rare_or_broken_has_none);
	return unit_run("skeleton", tc);
}
