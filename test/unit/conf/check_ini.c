#include "conf/ini.h"

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

static const char *name_of(const struct ini_item *item)
{
	return ini_name_copy(item, &arena);
}

static const char *value_of(const struct ini_item *item)
{
	return arena_strndup(&arena, item->value, item->value_len);
}

static void assert_pair(struct ini *in, uint32_t line, const char *name, const char *value)
{
	struct ini_item item = ini_next(in);

	ck_assert_int_eq(item.kind, INI_PAIR);
	ck_assert_uint_eq(item.line, line);
	ck_assert_str_eq(name_of(&item), name);
	ck_assert_str_eq(value_of(&item), value);
}

static void assert_section(struct ini *in, uint32_t line, const char *name)
{
	struct ini_item item = ini_next(in);

	ck_assert_int_eq(item.kind, INI_SECTION);
	ck_assert_uint_eq(item.line, line);
	ck_assert_str_eq(name_of(&item), name);
}

static void assert_bad(struct ini *in, uint32_t line, const char *part)
{
	struct ini_item item = ini_next(in);

	ck_assert_int_eq(item.kind, INI_BAD);
	ck_assert_uint_eq(item.line, line);
	ck_assert_msg(strstr(item.expected, part) != NULL, "%s", item.expected);
}

static struct ini of(const char *text)
{
	return ini_of(text, strlen(text));
}

START_TEST(sections_pairs_comments_and_blank_lines)
{
	struct ini in = of(";; comment\n"
			   "\n"
			   "[databases]\n"
			   "  # indented comment\n"
			   "app = host=h port=1\n"
			   "  indented=1\n"
			   "*=\n"
			   "a.b-c_9\t =\t x \t\r\n"
			   "[pgbouncer] ; comment behind\n"
			   "last = no newline");

	assert_section(&in, 3, "databases");
	assert_pair(&in, 5, "app", "host=h port=1");
	assert_pair(&in, 6, "indented", "1");
	assert_pair(&in, 7, "*", "");
	assert_pair(&in, 8, "a.b-c_9", "x");
	assert_section(&in, 9, "pgbouncer");
	assert_pair(&in, 10, "last", "no newline");
	ck_assert_int_eq(ini_next(&in).kind, INI_END);
	ck_assert_int_eq(ini_next(&in).kind, INI_END);
}
END_TEST

START_TEST(value_goes_to_the_end_of_the_line_as_it_is)
{
	struct ini in = of("server_reset_query = A ; B # C\n"
			   "q = 'x''y' = \"z\" : \\n\n"
			   "colon:key = 1\n");

	assert_pair(&in, 1, "server_reset_query", "A ; B # C");
	assert_pair(&in, 2, "q", "'x''y' = \"z\" : \\n");
	assert_bad(&in, 3, "expected = after the name");
	ck_assert_int_eq(ini_next(&in).kind, INI_END);
}
END_TEST

START_TEST(names_in_double_quotes_hold_any_character)
{
	struct ini in = of("\"my db\" = a\n"
			   "\"say \"\"hi\"\"\" = b\n"
			   "\"\" = c\n"
			   "\"open = d\n"
			   "\"x\"y = e\n");

	assert_pair(&in, 1, "my db", "a");
	assert_pair(&in, 2, "say \"hi\"", "b");
	assert_bad(&in, 3, "expected a name before =");
	assert_bad(&in, 4, "closing \"");
	assert_bad(&in, 5, "expected = after the name");
	ck_assert_int_eq(ini_next(&in).kind, INI_END);
}
END_TEST

START_TEST(include_names_a_file)
{
	struct ini in = of("%include /etc/other file.ini \n%include\n%includes = x\n");
	struct ini_item item = ini_next(&in);

	ck_assert_int_eq(item.kind, INI_INCLUDE);
	ck_assert_str_eq(value_of(&item), "/etc/other file.ini");
	assert_bad(&in, 2, "%include");
	assert_bad(&in, 3, "%include");
}
END_TEST

START_TEST(bad_line_does_not_hide_the_next)
{
	struct ini in = of("foo\n= bar\n[open\n$x = 1\nok = 1\n");

	assert_bad(&in, 1, "expected = after the name");
	assert_bad(&in, 2, "expected a name before =");
	assert_bad(&in, 3, "expected ]");
	assert_bad(&in, 4, "double quotes");
	assert_pair(&in, 5, "ok", "1");
}
END_TEST

START_TEST(text_may_end_anywhere)
{
	static const char *const ends[] = {
		"a", "a ", "[", "[a", "\"", "\"a", "\"a\"", "%include", "%"};

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		struct ini in = of(ends[i]);

		ck_assert_msg(ini_next(&in).kind == INI_BAD, "%s", ends[i]);
		ck_assert_int_eq(ini_next(&in).kind, INI_END);
	}
}
END_TEST

START_TEST(names_have_no_other_characters_without_quotes)
{
	for (int c = 1; c < 256; c++) {
		char text[] = "aX = 1";
		struct ini in = of(text);
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || c == '*' ||
			  c == ' ' || c == '\t' || c == '=';

		text[1] = (char)c;
		ck_assert_msg((ini_next(&in).kind == INI_PAIR) == ok, "%d", c);
	}
}
END_TEST

START_TEST(zero_bytes_are_refused)
{
	static const char text[] = "a = x\0y\n\"n\0m\" = z\nc\0 = 1\nb = 1";
	struct ini in = ini_of(text, sizeof text - 1);

	assert_bad(&in, 1, "zero byte");
	assert_bad(&in, 2, "zero byte");
	assert_bad(&in, 3, "expected =");
	assert_pair(&in, 4, "b", "1");
}
END_TEST

START_TEST(lines_are_long_but_bounded)
{
	static char text[INI_VALUE_MAX + 100];
	struct ini_item item;
	struct ini in;

	memset(text, 'v', sizeof text);
	memcpy(text, "key = ", 6);
	in = ini_of(text, 6 + 8192);
	item = ini_next(&in);
	ck_assert_int_eq(item.kind, INI_PAIR);
	ck_assert_uint_eq(item.value_len, 8192);
	in = ini_of(text, 6 + INI_VALUE_MAX);
	ck_assert_int_eq(ini_next(&in).kind, INI_PAIR);
	in = ini_of(text, 6 + INI_VALUE_MAX + 1);
	assert_bad(&in, 1, "65535");
	ck_assert_int_eq(ini_next(&in).kind, INI_END);
	text[INI_VALUE_MAX + 7] = '=';
	text[3] = text[4] = text[5] = 'k';
	in = ini_of(text, sizeof text);
	assert_bad(&in, 1, "expected a name before =");
	in = ini_of(NULL, 0);
	ck_assert_int_eq(ini_next(&in).kind, INI_END);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ini");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sections_pairs_comments_and_blank_lines);
	tcase_add_test(tc, value_goes_to_the_end_of_the_line_as_it_is);
	tcase_add_test(tc, names_in_double_quotes_hold_any_character);
	tcase_add_test(tc, include_names_a_file);
	tcase_add_test(tc, bad_line_does_not_hide_the_next);
	tcase_add_test(tc, text_may_end_anywhere);
	tcase_add_test(tc, names_have_no_other_characters_without_quotes);
	tcase_add_test(tc, zero_bytes_are_refused);
	tcase_add_test(tc, lines_are_long_but_bounded);
	return unit_run("ini", tc);
}
