#include "conf/fields.h"

#include <stdio.h>
#include <string.h>

#include "../unit.h"

static struct arena arena;
static char shown[4096];

static void setup(void)
{
	arena_init(&arena);
}

static void teardown(void)
{
	arena_fini(&arena);
}

/* All lines as "1:a,b c|3:…", a quoted token in [], a wrong line as "!". */
static const char *read_all(const char *text)
{
	struct fields f = fields_of(text, strlen(text), &arena);
	struct fields_line line;
	char *to = shown;

	*to = '\0';
	while (fields_next(&f, &line) == OK) {
		to += sprintf(to, "%s%u:", to != shown ? "|" : "", line.line);
		if (line.wrong != NULL) {
			to = stpcpy(to, "!");
			continue;
		}
		for (struct fields_field *x = line.first; x != NULL; x = x->next) {
			for (struct fields_token *t = x->first; t != NULL; t = t->next)
				to += sprintf(to, t->is_quoted ? "[%s]%s" : "%s%s", t->text,
					t->next != NULL ? "," : "");
			to = stpcpy(to, x->next != NULL ? " " : "");
		}
	}
	return shown;
}

START_TEST(blanks_part_fields_and_commas_part_tokens)
{
	ck_assert_str_eq(read_all("local all  all\ttrust\n"), "1:local all all trust");
	ck_assert_str_eq(read_all("a,b, c d ,e,,f\n"), "1:a,b,c d e,f");
	ck_assert_str_eq(read_all("a,\nb"), "1:a|2:b");
	ck_assert_str_eq(read_all("a b\r\nc\r\n"), "1:a b|2:c");
	ck_assert_str_eq(read_all("a\n\n  \n# c\nb # c\n#"), "1:a|5:b");
	ck_assert_str_eq(read_all(""), "");
}
END_TEST

START_TEST(quotes_keep_what_they_hold)
{
	ck_assert_str_eq(read_all("\"all\" \"a b\",\"c,d\" \"#\""), "1:[all] [a b],[c,d] [#]");
	ck_assert_str_eq(read_all("\"a\"\"b\" \"\""), "1:[a\"b] []");
	ck_assert_str_eq(read_all("x=\"a b\" y"), "1:x=a b y");
	ck_assert_str_eq(read_all("\"a b\nc"), "1:!|2:c");
	ck_assert_str_eq(read_all(",a\n,\n"), "1:a");
}
END_TEST

START_TEST(a_backslash_joins_lines_and_keeps_the_first_number)
{
	ck_assert_str_eq(read_all("a \\\nb\nc"), "1:a b|3:c");
	ck_assert_str_eq(read_all("a\\\r\nb\n"), "1:ab");
	ck_assert_str_eq(read_all("# a\\\nb\nc"), "3:c");
	ck_assert_str_eq(read_all("a\\"), "1:a");
	ck_assert_str_eq(read_all("a\\b c\\\\d"), "1:a\\b c\\\\d");
}
END_TEST

START_TEST(zero_bytes_and_long_lines_are_wrong)
{
	static char longest[FIELDS_LINE_MAX + 3];
	struct fields f = fields_of("a\0b\nc", 5, &arena);
	struct fields_line line;

	ck_assert_int_eq(fields_next(&f, &line), OK);
	ck_assert_ptr_nonnull(line.wrong);
	ck_assert_int_eq(fields_next(&f, &line), OK);
	ck_assert_str_eq(line.first->first->text, "c");
	memset(longest, 'x', FIELDS_LINE_MAX + 1);
	ck_assert_str_eq(read_all(longest), "1:!");
	longest[FIELDS_LINE_MAX] = '\n';
	f = fields_of(longest, FIELDS_LINE_MAX + 1, &arena);
	ck_assert_int_eq(fields_next(&f, &line), OK);
	ck_assert_ptr_null(line.wrong);
	ck_assert_uint_eq(strlen(line.first->first->text), FIELDS_LINE_MAX);
}
END_TEST

START_TEST(memory_grows_with_the_text_alone)
{
	static char text[60001];

	for (size_t i = 0; i < 60000; i += 2)
		memcpy(text + i, "a ", 2);
	{
		struct fields f = fields_of(text, 60000, &arena);
		struct fields_line line;

		ck_assert_int_eq(fields_next(&f, &line), OK);
		ck_assert_ptr_null(line.wrong);
	}
	ck_assert_uint_lt(arena.total, 8u << 20);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("fields");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, blanks_part_fields_and_commas_part_tokens);
	tcase_add_test(tc, quotes_keep_what_they_hold);
	tcase_add_test(tc, a_backslash_joins_lines_and_keeps_the_first_number);
	tcase_add_test(tc, zero_bytes_and_long_lines_are_wrong);
	tcase_add_test(tc, memory_grows_with_the_text_alone);
	return unit_run("fields", tc);
}
