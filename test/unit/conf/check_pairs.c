#include "conf/pairs.h"

#include <string.h>

#include "../unit.h"

static struct arena arena;

static void setup(void)
{
	arena_init(&arena);
}

static void teardown(void)
{
	arena_fini(&arena);
}

static void assert_next(const char **p, const char *key, const char *value)
{
	struct pair pair;

	ck_assert_int_eq(pairs_next(p, &pair), OK);
	ck_assert_str_eq(arena_strndup(&arena, pair.key, pair.key_len), key);
	ck_assert_str_eq(pairs_value_copy(&pair, &arena), value);
}

static void assert_end(const char **p)
{
	struct pair pair;

	ck_assert_int_eq(pairs_next(p, &pair), E_NOTFOUND);
}

START_TEST(pairs_are_apart_by_spaces)
{
	const char *p = "  host=a,b\tport = 5432   dbname= x ";

	assert_next(&p, "host", "a,b");
	assert_next(&p, "port", "5432");
	assert_next(&p, "dbname", "x");
	assert_end(&p);
	assert_end(&p);
	p = "";
	assert_end(&p);
}
END_TEST

START_TEST(quoted_values_hold_spaces_and_doubled_quotes)
{
	const char *p = "connect_query='SET x TO ''a b'';' password='' user=''''";

	assert_next(&p, "connect_query", "SET x TO 'a b';");
	assert_next(&p, "password", "");
	assert_next(&p, "user", "'");
	assert_end(&p);
}
END_TEST

START_TEST(quote_inside_a_plain_value_is_a_character)
{
	const char *p = "password=it's=me \"x\"=1";

	assert_next(&p, "password", "it's=me");
	assert_next(&p, "\"x\"", "1");
	assert_end(&p);
}
END_TEST

START_TEST(what_is_no_pair_is_refused_with_a_reason)
{
	static const char *const bad[][2] = {{"host", "key=value"}, {"host port=1", "key=value"},
		{"=1", "key=value"}, {"a='x", "closing '"}, {"a='x''", "closing '"},
		{"a='x'y", "space after"}};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *p = bad[i][0];
		struct pair pair;

		ck_assert_int_eq(pairs_next(&p, &pair), E_PROTO);
		ck_assert_msg(strstr(pair.expected, bad[i][1]) != NULL, "%s", pair.expected);
		assert_end(&p);
	}
}
END_TEST

START_TEST(equals_sign_without_a_value_takes_the_next_word)
{
	const char *p = "password= port=5433";

	assert_next(&p, "password", "port=5433"); /* as PgBouncer and libpq read it */
	assert_end(&p);
	p = "a=";
	assert_next(&p, "a", "");
	assert_end(&p);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pairs");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pairs_are_apart_by_spaces);
	tcase_add_test(tc, quoted_values_hold_spaces_and_doubled_quotes);
	tcase_add_test(tc, quote_inside_a_plain_value_is_a_character);
	tcase_add_test(tc, what_is_no_pair_is_refused_with_a_reason);
	tcase_add_test(tc, equals_sign_without_a_value_takes_the_next_word);
	return unit_run("pairs", tc);
}
