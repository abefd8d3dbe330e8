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

START_TEST(what_is_not_utf_8_stays_as_it_is)
{
	char out[64];

	ck_assert_int_eq(saslprep("\xff\xfe\x80", out, sizeof out), OK);
	ck_assert_str_eq(out, "\xff\xfe\x80");
	ck_assert_int_eq(saslprep("ab\xc3", out, sizeof out), OK);
	ck_assert_str_eq(out, "ab\xc3");
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
	tcase_add_test(tc, what_is_not_utf_8_stays_as_it_is);
	tcase_add_test(tc, result_is_bounded);
	return unit_run("saslprep", tc);
}
