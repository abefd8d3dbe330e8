#include "base/value.h"

#include "../unit.h"

static uint64_t time_us(const char *text)
{
	uint64_t us = 0;

	ck_assert_msg(value_parse_time(text, &us), "%s", text);
	return us;
}

START_TEST(times_are_seconds_unless_a_unit_says_otherwise)
{
	ck_assert_uint_eq(time_us("0"), 0);
	ck_assert_uint_eq(time_us("120"), 120000000);
	ck_assert_uint_eq(time_us("0.25"), 250000);
	ck_assert_uint_eq(time_us(".5"), 500000);
	ck_assert_uint_eq(time_us("0.000001"), 1);
	ck_assert_uint_eq(time_us("100ms"), 100000);
	ck_assert_uint_eq(time_us("1.5 ms"), 1500);
	ck_assert_uint_eq(time_us("7us"), 7);
	ck_assert_uint_eq(time_us("3s"), 3000000);
	ck_assert_uint_eq(time_us("2MIN"), 120000000);
	ck_assert_uint_eq(time_us("1h"), 3600000000u);
	ck_assert_uint_eq(time_us("1.5d"), 129600000000u);
	ck_assert_uint_eq(time_us("0.999999999d"), 86399999913u);
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	static const char *const bad[] = {"", "-1", "+1", "1x", "1 second", "1.", ".", "1.2.3", "s",
		" 1", "0x10", "1e3", "1.0000000001", "99999999999999999999", "18446744073710s",
		"213503982335d", "18446744073709.9"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint64_t us = 42;
		bool ok = value_parse_time(bad[i], &us);

		ck_assert_msg(!ok && us == 42, "%s", bad[i]);
	}
}
END_TEST

START_TEST(times_are_shown_in_seconds_and_read_back)
{
	static const uint64_t times[] = {0, 1, 10, 100000, 250000, 1000000, 1000001, 3600000000u,
		UINT64_C(2147483647000000)};
	char buf[VALUE_TEXT_MAX];

	ck_assert_str_eq(value_format_time(100000, buf), "0.1");
	ck_assert_str_eq(value_format_time(3600000000u, buf), "3600");
	ck_assert_str_eq(value_format_time(0, buf), "0");
	ck_assert_str_eq(value_format_time_unit(1500, buf), "1500us");
	ck_assert_str_eq(value_format_time_unit(100000, buf), "100ms");
	ck_assert_str_eq(value_format_time_unit(60000000, buf), "60s");
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		ck_assert_uint_eq(time_us(value_format_time(times[i], buf)), times[i]);
		ck_assert_uint_eq(time_us(value_format_time_unit(times[i], buf)), times[i]);
	}
	ck_assert_str_eq(value_format_time(UINT64_MAX, buf), "18446744073709.551615");
}
END_TEST

START_TEST(sizes_are_bytes_unless_a_unit_says_otherwise)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0}, {"4096", 4096}, {"64kB", 65536}, {"64KB", 65536}, {"1.5 MB", 1572864},
		{"2GB", UINT64_C(2) << 30}, {"12B", 12}};
	uint64_t v = 42;
	char buf[VALUE_TEXT_MAX];

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ck_assert(value_parse_size(good[i].text, &v));
		ck_assert_uint_eq(v, good[i].bytes);
	}
	ck_assert(!value_parse_size("1TB", &v));
	ck_assert(!value_parse_size("k", &v));
	ck_assert(!value_parse_size("17179869184GB", &v));
	ck_assert_str_eq(value_format_size(65536, buf), "64kB");
	ck_assert_str_eq(value_format_size(1000, buf), "1000");
	ck_assert_str_eq(value_format_size(UINT64_C(3) << 30, buf), "3GB");
	ck_assert_str_eq(value_format_size(0, buf), "0");
}
END_TEST

START_TEST(booleans_have_eight_words)
{
	bool b;

	ck_assert(value_parse_bool("1", &b) && b);
	ck_assert(value_parse_bool("ON", &b) && b);
	ck_assert(value_parse_bool("yes", &b) && b);
	ck_assert(value_parse_bool("True", &b) && b);
	ck_assert(value_parse_bool("0", &b) && !b);
	ck_assert(value_parse_bool("off", &b) && !b);
	ck_assert(value_parse_bool("no", &b) && !b);
	ck_assert(value_parse_bool("false", &b) && !b);
	ck_assert(!value_parse_bool("", &b));
	ck_assert(!value_parse_bool("2", &b));
	ck_assert(!value_parse_bool("on ", &b));
}
END_TEST

START_TEST(whole_numbers_and_octal_have_no_signs_or_tails)
{
	uint64_t v = 42;
	uint32_t o = 42;

	ck_assert(value_parse_uint("18446744073709551615", &v));
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert(!value_parse_uint("18446744073709551616", &v));
	ck_assert(!value_parse_uint("-1", &v));
	ck_assert(!value_parse_uint("1.0", &v));
	ck_assert(!value_parse_uint("", &v));
	ck_assert(value_parse_octal("0777", &o) && o == 0777);
	ck_assert(value_parse_octal("600", &o) && o == 0600);
	ck_assert(!value_parse_octal("0788", &o));
	ck_assert(!value_parse_octal("77777777777777", &o));
	ck_assert(!value_parse_octal("", &o));
	ck_assert(!value_parse_octal("8", &o));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("value");

	tcase_add_test(tc, times_are_seconds_unless_a_unit_says_otherwise);
	tcase_add_test(tc, what_is_no_time_is_refused);
	tcase_add_test(tc, times_are_shown_in_seconds_and_read_back);
	tcase_add_test(tc, sizes_are_bytes_unless_a_unit_says_otherwise);
	tcase_add_test(tc, booleans_have_eight_words);
	tcase_add_test(tc, whole_numbers_and_octal_have_no_signs_or_tails);
	return unit_run("value", tc);
}
