#include "proto/options.h"

#include <stdio.h>

#include "bytes.h"

/* The settings of `text` as "name=value|name=value|", then how it ended. */
static const char *read_all(const char *text)
{
	static char out[512];
	char buf[256];
	struct options o;
	const char *name, *value;
	size_t n = 0;
	enum status st;

	options_init(&o, text, buf, strlen(text) + 1);
	while ((st = options_next(&o, &name, &value)) == OK)
		n += snprintf(out + n, sizeof out - n, "%s=%s|", name, value);
	if (st == E_INVALID)
		snprintf(out + n, sizeof out - n, "bad %s", name);
	else
		snprintf(out + n, sizeof out - n, "%s", status_name(st));
	return out;
}

START_TEST(settings_come_in_order)
{
	ck_assert_str_eq(read_all("-c geqo=off -c statement_timeout=5min"),
		"geqo=off|statement_timeout=5min|notfound");
	ck_assert_str_eq(read_all("--search_path=a,b"), "search_path=a,b|notfound");
	ck_assert_str_eq(read_all("-cwork_mem=4MB --x.y=z"), "work_mem=4MB|x.y=z|notfound");
}
END_TEST

START_TEST(nothing_gives_nothing)
{
	ck_assert_str_eq(read_all(""), "notfound");
	ck_assert_str_eq(read_all(" \t\n\v\f\r "), "notfound");
}
END_TEST

START_TEST(any_white_space_separates)
{
	ck_assert_str_eq(read_all("\t-c\na=1\v\f--b=2\r"), "a=1|b=2|notfound");
}
END_TEST

START_TEST(backslash_keeps_the_next_character)
{
	ck_assert_str_eq(read_all("-c search_path=a,\\ b"), "search_path=a, b|notfound");
	ck_assert_str_eq(read_all("-c a=b\\\\c"), "a=b\\c|notfound");
	ck_assert_str_eq(
		read_all("-c DateStyle=ISO,\\ MDY --a=\\1"), "DateStyle=ISO, MDY|a=1|notfound");
	ck_assert_str_eq(read_all("-c a=b\\"), "a=b|notfound");
	ck_assert_str_eq(read_all("\\-c a=b"), "a=b|notfound");
}
END_TEST

START_TEST(dash_in_a_name_is_an_underscore_but_not_in_a_value)
{
	ck_assert_str_eq(read_all("--statement-timeout=-1"), "statement_timeout=-1|notfound");
	ck_assert_str_eq(read_all("-c lock-timeout=a-b=c"), "lock_timeout=a-b=c|notfound");
}
END_TEST

START_TEST(value_may_be_empty)
{
	ck_assert_str_eq(read_all("-c search_path="), "search_path=|notfound");
}
END_TEST

START_TEST(other_switches_are_told_and_end_it)
{
	ck_assert_str_eq(read_all("-c a=1 -e -c b=2"), "a=1|bad -e");
	ck_assert_str_eq(read_all("word"), "bad word");
	ck_assert_str_eq(read_all("-"), "bad -");
	ck_assert_str_eq(read_all("\\"), "bad ");
	ck_assert_str_eq(read_all("-c"), "bad -c");
	ck_assert_str_eq(read_all("-c "), "bad -c");
	ck_assert_str_eq(read_all("-c novalue"), "bad novalue");
	ck_assert_str_eq(read_all("--novalue"), "bad --novalue");
	ck_assert_str_eq(read_all("--"), "bad --");
}
END_TEST

START_TEST(end_stays_the_end)
{
	struct options o;
	const char *name, *value;
	char buf[16];

	options_init(&o, "x -ca=1", buf, sizeof buf);
	ck_assert_int_eq(options_next(&o, &name, &value), E_INVALID);
	ck_assert_str_eq(name, "x");
	ck_assert_int_eq(options_next(&o, &name, &value), E_INVALID);
	ck_assert_str_eq(name, "");
	ck_assert_str_eq(value, "");
}
END_TEST

START_TEST(earlier_results_stay_valid)
{
	struct options o;
	const char *name[2], *value[2];
	char buf[64];

	options_init(&o, "-c a=1 --b=2", buf, sizeof buf);
	ck_assert_int_eq(options_next(&o, &name[0], &value[0]), OK);
	ck_assert_int_eq(options_next(&o, &name[1], &value[1]), OK);
	ck_assert_str_eq(name[0], "a");
	ck_assert_str_eq(value[0], "1");
	ck_assert_str_eq(name[1], "b");
	ck_assert_str_eq(value[1], "2");
}
END_TEST

START_TEST(buffer_that_is_too_small_is_told)
{
	const char *name, *value;
	struct options o;
	char buf[8];

	for (size_t cap = 0; cap < 6; cap++) {
		options_init(&o, "-cab=1", buf, cap);
		ck_assert_int_eq(options_next(&o, &name, &value), E_LIMIT);
	}
	options_init(&o, "-c ab=1", buf, 7); /* room for "-c" and for half of the rest */
	ck_assert_int_eq(options_next(&o, &name, &value), E_LIMIT);
	options_init(&o, "-cab=1", buf, 7);
	ck_assert_int_eq(options_next(&o, &name, &value), OK);
	options_init(&o, "-cab=1", buf, 6);
	ck_assert_int_eq(options_next(&o, &name, &value), E_LIMIT);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("options");

	tcase_add_test(tc, settings_come_in_order);
	tcase_add_test(tc, nothing_gives_nothing);
	tcase_add_test(tc, any_white_space_separates);
	tcase_add_test(tc, backslash_keeps_the_next_character);
	tcase_add_test(tc, dash_in_a_name_is_an_underscore_but_not_in_a_value);
	tcase_add_test(tc, value_may_be_empty);
	tcase_add_test(tc, other_switches_are_told_and_end_it);
	tcase_add_test(tc, end_stays_the_end);
	tcase_add_test(tc, earlier_results_stay_valid);
	tcase_add_test(tc, buffer_that_is_too_small_is_told);
	return unit_run("options", tc);
}
