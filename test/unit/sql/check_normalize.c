#include "sql/normalize.h"

#include <string.h>

#include "../unit.h"

static const char *of(const char *sql, size_t cap)
{
	static char out[1024];

	ck_assert_uint_eq(sql_normalize(sql, strlen(sql), SQL_STD_STRINGS, out, cap), strlen(out));
	return out;
}

START_TEST(values_are_left_out)
{
	static const char *const cases[][2] = {
		{"SELECT date'2020-01-01', $U'x'", "SELECT date $1, $U $2"},
		{"SELECT * FROM t WHERE a = 'secret' AND b=-12",
			"SELECT * FROM t WHERE a = $1 AND b=-$2"},
		{"select 1 -- secret\n, /* secret */ E'\\n', $7", "select $1 , $2, $3"},
		{"SELECT a FROM t WHERE id IN (1, 2,3) OR x IN ($1)",
			"SELECT a FROM t WHERE id IN ($1, ...) OR x IN ($2)"},
		{"INSERT INTO t(a, b) VALUES (1,'x'),(2,'y')",
			"INSERT INTO t(a, b) VALUES ($1, ...),($2, ...)"},
		{"SELECT f(1, a, 2)", "SELECT f($1, a, $2)"},
		{"SELECT $q$secret$q$, B'1', 1.5e3", "SELECT $1, $2, $3"},
		{"SELECT 'secret", "SELECT..."},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_str_eq(of(cases[i][0], 256), cases[i][1]);
}
END_TEST

START_TEST(a_long_text_is_cut_between_tokens)
{
	ck_assert_str_eq(of("SELECT abcdefgh FROM t", 16), "SELECT ...");
	ck_assert_str_eq(of("SELECT abcd", 15), "SELECT abcd");
	ck_assert_str_eq(of("abcdefghijkl", 8), "...");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("normalize");

	tcase_add_test(tc, values_are_left_out);
	tcase_add_test(tc, a_long_text_is_cut_between_tokens);
	return unit_run("normalize", tc);
}
