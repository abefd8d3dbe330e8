#include "sql/literal.h"

#include <string.h>

#include "../unit.h"

#define X10 "xxxxxxxxxx"

struct sample {
	const char *text;
	const char *value; /* NULL: E_INVALID */
	char uescape;      /* 0: a backslash */
};

static struct token first(const char *text, uint32_t opts)
{
	struct lexer lx;
	struct token t;

	lexer_init(&lx, text, strlen(text), opts);
	lexer_next(&lx, &t);
	return t;
}

/* clang-format off */
static const struct sample names[] = {
	{"Abc_1$", "abc_1$", 0},
	{"\xc3\x89t\xc3\xa9", "\xc3\x89t\xc3\xa9", 0},
	{"\"Abc\"", "Abc", 0},
	{"\"a\"\"b\"", "a\"b", 0},
	{"\"\"", NULL, 0},
	{"\"a\\b\"", "a\\b", 0},
	{"U&\"d\\0061t\\+000061\"", "data", 0},
	{"u&\"d!0061t!!\"", "dat!", '!'},
	{"U&\"\\00e9\\20ac\\d83d\\de00\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 0},
	{"U&\"a\"\"b\"", "a\"b", 0},
	{"U&\"\"", NULL, 0},
	{"U&\"\\006\"", NULL, 0},
	{"U&\"\\006g\"", NULL, 0},
	{"U&\"\\+00006\"", NULL, 0},
	{"U&\"\\+110000\"", NULL, 0},
	{"U&\"\\0000\"", NULL, 0},
	{"U&\"\\d83d\"", NULL, 0},
	{"U&\"\\d83dx\"", NULL, 0},
	{"U&\"\\de00\"", NULL, 0},
	{"U&\"\\d83d\\d83d\"", NULL, 0},
	{"U&\"x\\\"", NULL, 0},
	{"1", NULL, 0},
	{"'a'", NULL, 0},
	/* cut at 63 bytes, between characters */
	{X10 X10 X10 X10 X10 X10 "123", X10 X10 X10 X10 X10 X10 "123", 0},
	{X10 X10 X10 X10 X10 X10 "1234", X10 X10 X10 X10 X10 X10 "123", 0},
	{X10 X10 X10 X10 X10 X10 "12345678901234567890", X10 X10 X10 X10 X10 X10 "123", 0},
	{X10 X10 X10 X10 X10 X10 "12\xc3\xa9", X10 X10 X10 X10 X10 X10 "12", 0},
	{X10 X10 X10 X10 X10 X10 "1\xe2\x82\xac", X10 X10 X10 X10 X10 X10 "1", 0},
	{X10 X10 X10 X10 X10 X10 "1\xc3\xa9", X10 X10 X10 X10 X10 X10 "1\xc3\xa9", 0},
	{"\"" X10 X10 X10 X10 X10 X10 "123\"\"\"", X10 X10 X10 X10 X10 X10 "123", 0},
	{"\"" X10 X10 X10 X10 X10 X10 "\"\"\"\"\"\"\"\"\"", X10 X10 X10 X10 X10 X10 "\"\"\"", 0},
};

static const struct sample strings[] = {
	{"'a''b'", "a'b", 0},
	{"''", "", 0},
	{"'a\\n'", "a\\n", 0},
	{"N'a'", "a", 0},
	{"'a'\n'b' --x\n 'c''d'", "abc'd", 0},
	{"'a' -- it's\n 'b'", "ab", 0},
	{"E'a\\n\\t\\b\\f\\r\\\\\\'\\z'", "a\n\t\b\f\r\\'z", 0},
	{"E'\\101\\7\\1234'", "A\aS4", 0},
	{"E'\\x41\\x4g\\xz'", "A\x04gxz", 0},
	{"E'\\u00e9\\U0001F600'", "\xc3\xa9\xf0\x9f\x98\x80", 0},
	{"E'\\ud83d\\ude00'", "\xf0\x9f\x98\x80", 0},
	{"E'a'\n'\\x41'", "aA", 0},
	{"E'it''s'", "it's", 0},
	{"E'\\0'", NULL, 0},
	{"E'\\400'", NULL, 0},
	{"E'\\x00'", NULL, 0},
	{"E'\\u12'", NULL, 0},
	{"E'\\U00110000'", NULL, 0},
	{"E'\\ud83d'", NULL, 0},
	{"E'\\ud83d\\n'", NULL, 0},
	{"U&'\\0041b\\\\'", "Ab\\", 0},
	{"U&'!0041b''c'", "Ab'c", '!'},
	{"U&'\\zzzz'", NULL, 0},
	{"$$a'b$$", "a'b", 0},
	{"$x$$$x$", "$", 0},
	{"$x$$x$", "", 0},
	{"1", NULL, 0},
	{"\"a\"", NULL, 0},
	{"B'1'", NULL, 0},
};
/* clang-format on */

START_TEST(names_are_those_of_the_server)
{
	const struct sample *s = &names[_i];
	struct token t = first(s->text, SQL_STD_STRINGS);
	char buf[SQL_NAME_MAX + 1];
	size_t len;
	enum status st = literal_name(s->text, &t, s->uescape != 0 ? s->uescape : '\\', buf, &len);

	ck_assert_int_eq(st, s->value != NULL ? OK : E_INVALID);
	if (st == OK) {
		ck_assert_str_eq(buf, s->value);
		ck_assert_uint_eq(len, strlen(s->value));
	}
}
END_TEST

START_TEST(strings_are_those_of_the_server)
{
	const struct sample *s = &strings[_i];
	struct token t = first(s->text, SQL_STD_STRINGS);
	char buf[64];
	size_t len;
	enum status st = literal_string(
		s->text, &t, s->uescape != 0 ? s->uescape : '\\', buf, sizeof buf, &len);

	ck_assert_int_eq(st, s->value != NULL ? OK : E_INVALID);
	if (st == OK) {
		ck_assert_str_eq(buf, s->value);
		ck_assert_uint_eq(len, strlen(s->value));
	}
}
END_TEST

START_TEST(backslashes_escape_without_standard_strings)
{
	struct token t = first("'a\\n'", 0);
	char buf[8];
	size_t len;

	ck_assert_int_eq(literal_string("'a\\n'", &t, '\\', buf, sizeof buf, &len), OK);
	ck_assert_str_eq(buf, "a\n");
}
END_TEST

START_TEST(string_that_does_not_fit_is_refused_whole)
{
	struct token t = first("'abcd'", SQL_STD_STRINGS);
	char buf[5];
	size_t len;

	for (size_t cap = 0; cap < sizeof buf; cap++)
		ck_assert_int_eq(literal_string("'abcd'", &t, '\\', buf, cap, &len), E_LIMIT);
	ck_assert_int_eq(literal_string("'abcd'", &t, '\\', buf, sizeof buf, &len), OK);
	ck_assert_str_eq(buf, "abcd");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("literal");

	tcase_add_loop_test(
		tc, names_are_those_of_the_server, 0, (int)(sizeof names / sizeof names[0]));
	tcase_add_loop_test(
		tc, strings_are_those_of_the_server, 0, (int)(sizeof strings / sizeof strings[0]));
	tcase_add_test(tc, backslashes_escape_without_standard_strings);
	tcase_add_test(tc, string_that_does_not_fit_is_refused_whole);
	return unit_run("literal", tc);
}
