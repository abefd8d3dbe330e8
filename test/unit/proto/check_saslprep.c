#include "proto/saslprep.h"

#include <string.h>

#include "../unit.h"

START_TEST(ascii_stays_as_it_is)
{
	char all[128], out[128];

	for (int i = 0; i < 127; i++)
		all[i] = (char)(i + 1); /* control characters too: PostgreSQL looks at none of it */
	all[127] = '\0';
	ck_assert_int_eq(saslprep(all, out, sizeof out), OK);
	ck_assert_str_eq(out, all);
	ck_assert_int_eq(saslprep("", out, sizeof out), OK);
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(composed_text_stays_as_it_is)
{
	static const char text[] = "p\xc3\xa4ssw\xc3\xb6rd \xe6\x97\xa5";
	char out[64];

	ck_assert_int_eq(saslprep(text, out, sizeof out), OK);
	ck_assert_str_eq(out, text);
}
END_TEST

START_TEST(characters_are_replaced_as_by_postgresql)
{
	static const char *const pairs[][2] = {
		{"\xe2\x85\xa8", "IX"}, /* ROMAN NUMERAL NINE */
		{"a\xc2\xa0"
		 "b",
			"a b"},                             /* NO-BREAK SPACE */
		{"\xe2\x80\x83", " "},                      /* EM SPACE */
		{"I\xc2\xadX", "IX"},                       /* SOFT HYPHEN goes */
		{"\xef\xac\x81", "fi"},                     /* a ligature */
		{"e\xcc\x81", "\xc3\xa9"},                  /* a decomposed accent */
		{"\xef\xbd\x81\xc2\xaa", "aa"},             /* FULLWIDTH a, FEMININE ORDINAL */
		{"\xd8\xa7 \xd8\xa8", "\xd8\xa7 \xd8\xa8"}, /* Arabic alone */
	};
	char out[64];

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		ck_assert_int_eq(saslprep(pairs[i][0], out, sizeof out), OK);
		ck_assert_str_eq(out, pairs[i][1]);
	}
}
END_TEST

START_TEST(what_cannot_be_prepared_stays_as_it_is)
{
	static const char *const texts[] = {
		"\xc2\xa0\x07",     /* a control character */
		"\xc2\xa0\xc8\xa1", /* U+0221, unassigned in Unicode 3.2 */
		("\xd8\xa7"
		 "1"),                  /* right to left, and does not end so */
		"\xc2\xad",             /* nothing would be left */
		"\xc2\xa0\xee\x80\x80", /* private use */
	};
	char out[64];

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		ck_assert_int_eq(saslprep(texts[i], out, sizeof out), OK);
		ck_assert_str_eq(out, texts[i]);
	}
}
END_TEST

START_TEST(what_is_not_utf_8_stays_as_it_is)
{
	char out[64];

	ck_assert_int_eq(saslprep("\xff\xfe\x80", out, sizeof out), OK);
	ck_assert_str_eq(out, "\xff\xfe\x80");
	ck_assert_int_eq(saslprep("ab\xc3", out, sizeof out), OK);
	ck_assert_str_eq(out, "ab\xc3");
	ck_assert_int_eq(saslprep("\xc2\xa0\xff", out, sizeof out), OK);
	ck_assert_str_eq(out, "\xc2\xa0\xff");
	ck_assert_int_eq(saslprep("\xed\xa0\x80\xc2\xa0", out, sizeof out), OK); /* a surrogate */
	ck_assert_str_eq(out, "\xed\xa0\x80\xc2\xa0");
	ck_assert_int_eq(saslprep("\xc0\xa0\xc2\xa0", out, sizeof out), OK); /* overlong */
	ck_assert_str_eq(out, "\xc0\xa0\xc2\xa0");
}
END_TEST

START_TEST(result_is_bounded)
{
	char out[16];

	ck_assert_int_eq(saslprep("", out, 0), E_LIMIT);
	ck_assert_int_eq(saslprep("", out, 1), OK);
	ck_assert_int_eq(saslprep("12345678901234", out, sizeof out), OK);
	ck_assert_int_eq(saslprep("123456789012345", out, sizeof out), OK);
	ck_assert_int_eq(saslprep("1234567890123456", out, sizeof out), E_LIMIT);
	ck_assert_int_eq(
		saslprep("1234567890123456123456789012345612345", out, sizeof out), E_LIMIT);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("saslprep");

	tcase_add_test(tc, ascii_stays_as_it_is);
	tcase_add_test(tc, composed_text_stays_as_it_is);
	tcase_add_test(tc, characters_are_replaced_as_by_postgresql);
	tcase_add_test(tc, what_cannot_be_prepared_stays_as_it_is);
	tcase_add_test(tc, what_is_not_utf_8_stays_as_it_is);
	tcase_add_test(tc, result_is_bounded);
	return unit_run("saslprep", tc);
}
