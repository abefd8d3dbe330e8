#include "sql/fingerprint.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"

static uint64_t of(const char *text)
{
	return sql_fingerprint(text, strlen(text), SQL_STD_STRINGS);
}

START_TEST(what_does_not_matter_does_not_count)
{
	/* clang-format off */
	static const char *const same[][2] = {
		{"SELECT a FROM t WHERE id = 1", "select A\nfrom T where ID=22"},
		{"SELECT 'x'", "SELECT E'\\n'"},
		{"SELECT 'x'", "SELECT $1"},
		{"SELECT 1", "SELECT 1.5e3"},
		{"SELECT 1", "SELECT /* c */ 1 -- d"},
		{"SELECT 1", " SELECT 1 ; ;"},
		{"SELECT 1 WHERE a IN (1)", "SELECT 1 WHERE a IN (1, 2, 3)"},
		{"SELECT 1 WHERE a IN ($1,$2)", "SELECT 1 WHERE a IN ('a','b','c','d')"},
		{"SELECT ARRAY[1,2]", "SELECT ARRAY[1,2,3,4]"},
		{"INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (3, 'x')"},
		{"SELECT \"a\"", "SELECT a"},
		{"SELECT 1; SELECT 2", "SELECT 3;; SELECT 4;"},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		ck_assert_msg(of(same[i][0]) == of(same[i][1]), "%s", same[i][0]);
}
END_TEST

START_TEST(what_matters_counts)
{
	static const char *const texts[] = {"", "SELECT a FROM t", "SELECT b FROM t",
		"SELECT a FROM u", "SELECT a, b FROM t", "SELECT ab FROM t", "SELECT \"A\" FROM t",
		"SELECT a FROM t WHERE a = 1", "SELECT a FROM t WHERE a > 1", "SELECT 1",
		"SELECT 1, 2", "SELECT 1 2", "SELECT f(1)", "SELECT f(1, a)", "SELECT f(a, 1)",
		"SELECT f(1), 2", "SELECT 1; SELECT 2", "SELECT 1 SELECT 2", "SELECT (1, 2), 3",
		"SELECT a IN (1, 2) AND b", "SELECT a IN (1, b)", "DELETE FROM t", "SELECT -1"};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ck_assert_uint_ne(of(texts[i]), 0);
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(of(texts[i]) != of(texts[k]), "%s = %s", texts[i], texts[k]);
	}
}
END_TEST

START_TEST(any_bytes_have_a_fingerprint)
{
	char *text = malloc(SQL_LEN_MAX + 2);

	ck_assert_uint_ne(sql_fingerprint("\xff\xfe'", 3, 0), 0);
	ck_assert_uint_ne(sql_fingerprint("a\0b", 3, 0), 0);
	memset(text, 'a', SQL_LEN_MAX + 1);
	text[SQL_LEN_MAX + 1] = '\0';
	ck_assert_uint_ne(sql_fingerprint(text, SQL_LEN_MAX + 1, 0), 0);
	free(text);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("fingerprint");

	tcase_add_test(tc, what_does_not_matter_does_not_count);
	tcase_add_test(tc, what_matters_counts);
	tcase_add_test(tc, any_bytes_have_a_fingerprint);
	return unit_run("fingerprint", tc);
}
