#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "../unit.h"

static struct log l;
static char text[LOG_LINE_MAX * 2], kv[LOG_LINE_MAX * 2];
static enum log_level level;
static unsigned n_lines;
static uint64_t second;

static void sink(void *arg, enum log_level lv, const char *event_text, const char *event_kv)
{
	ck_assert_ptr_eq(arg, &l);
	ck_assert_uint_lt(strlen(event_text) + 1 + strlen(event_kv), LOG_LINE_MAX);
	strcpy(text, event_text);
	strcpy(kv, event_kv);
	level = lv;
	n_lines++;
}

static uint64_t now_s(void)
{
	return second;
}

static void setup(void)
{
	l = (struct log){.sink = sink, .sink_arg = &l, .now_s = now_s};
	atomic_store(&l.level, LOG_INFO);
	second = 1000;
}

START_TEST(event_reaches_the_sink_with_its_values)
{
	log_info(&l, "server closed", "server=%u reason=%s", 7u, "idle");
	ck_assert_str_eq(text, "server closed");
	ck_assert_str_eq(kv, "server=7 reason=idle");
	ck_assert_int_eq(level, LOG_INFO);
	log_error(&l, "no memory", "");
	ck_assert_str_eq(kv, "");
	ck_assert_int_eq(level, LOG_ERROR);
	ck_assert_uint_eq(n_lines, 2);
}
END_TEST

static int count_call(int *n)
{
	return ++*n;
}

START_TEST(level_that_is_off_costs_no_evaluation)
{
	int n_calls = 0;

	log_debug(&l, "message", "n=%d", count_call(&n_calls));
	ck_assert_uint_eq(n_lines, 0);
	ck_assert_int_eq(n_calls, 0);
	atomic_store(&l.level, LOG_DEBUG);
	log_debug(&l, "message", "n=%d", count_call(&n_calls));
	ck_assert_str_eq(kv, "n=1");
	atomic_store(&l.level, LOG_ERROR);
	log_warn(&l, "message", "n=%d", count_call(&n_calls));
	ck_assert_uint_eq(n_lines, 1);
}
END_TEST

static void noisy(void)
{
	log_warn(&l, "noise", "key=%d", 1);
}

START_TEST(noisy_site_falls_silent_until_the_next_second_and_owns_up)
{
	for (unsigned i = 0; i < LOG_SITE_BURST + 7; i++)
		noisy();
	ck_assert_uint_eq(n_lines, LOG_SITE_BURST);
	log_warn(&l, "another site", "");
	ck_assert_uint_eq(n_lines, LOG_SITE_BURST + 1);
	second++;
	noisy();
	ck_assert_str_eq(kv, "key=1 left_out=7");
	noisy();
	ck_assert_str_eq(kv, "key=1");
	ck_assert_uint_eq(n_lines, LOG_SITE_BURST + 3);
	second++;
	noisy();
	ck_assert_str_eq(kv, "key=1");
}
END_TEST

static void noisy_without_values(void)
{
	log_warn(&l, "noise", "");
}

START_TEST(lines_left_out_are_told_alone_if_there_is_no_value)
{
	for (unsigned i = 0; i < LOG_SITE_BURST + 1; i++)
		noisy_without_values();
	second++;
	noisy_without_values();
	ck_assert_str_eq(kv, "left_out=1");
}
END_TEST

START_TEST(without_a_clock_no_site_falls_silent)
{
	l.now_s = NULL;
	for (unsigned i = 0; i < 10 * LOG_SITE_BURST; i++)
		noisy();
	ck_assert_uint_eq(n_lines, 10 * LOG_SITE_BURST);
}
END_TEST

/* Every length around the limit; the sink checks the bound. */
START_TEST(long_line_is_cut_at_its_bound)
{
	char value[LOG_LINE_MAX + 100];

	for (size_t len = LOG_LINE_MAX - 30; len < sizeof value; len++) {
		memset(value, 'v', len);
		value[len] = '\0';
		second++;
		log_info(&l, "text", "k=%s", value);
		ck_assert_uint_ge(strlen(kv), LOG_LINE_MAX - 60);
		ck_assert_int_eq(kv[strlen(kv) - 1], 'v');
	}
}
END_TEST

static void noisy_and_long(const char *value)
{
	log_info(&l, "text", "k=%s", value);
}

START_TEST(cut_line_still_owns_up)
{
	char value[LOG_LINE_MAX + 1];

	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (unsigned i = 0; i < LOG_SITE_BURST + 3; i++)
		noisy_and_long(value);
	second++;
	noisy_and_long(value);
	ck_assert_ptr_nonnull(strstr(kv, " left_out=3"));
}
END_TEST

START_TEST(cut_does_not_split_a_character)
{
	char value[LOG_LINE_MAX + 8];

	for (unsigned shift = 0; shift < 4; shift++) {
		size_t len = shift;

		memset(value, 'v', shift);
		for (; len + 4 < sizeof value; len += 4)
			memcpy(value + len, "\xf0\x9f\x90\x98", 4);
		value[len] = '\0';
		log_info(&l, "text", "%s", value);
		ck_assert_uint_eq((strlen(kv) - shift) % 4, 0);
		ck_assert_uint_ge(strlen(kv), LOG_LINE_MAX - 60);
	}
}
END_TEST

START_TEST(control_character_never_reaches_the_sink)
{
	log_info(&l, "text", "k=%s", "a\nERROR forged\r\x1b[2J\x7f");
	ck_assert_str_eq(kv, "k=a?ERROR forged??[2J?");
}
END_TEST

START_TEST(very_long_text_leaves_no_room_for_values)
{
	static char long_text[LOG_LINE_MAX - 1];

	memset(long_text, 't', sizeof long_text - 1);
	log_info(&l, long_text, "k=%d", 1);
	ck_assert_str_eq(kv, "");
}
END_TEST

static void check_q(const char *s, const char *want)
{
	char buf[64];

	ck_assert_ptr_eq(log_q(buf, sizeof buf, s), buf);
	ck_assert_str_eq(buf, want);
}

START_TEST(plain_value_stays_others_are_quoted)
{
	check_q("app_user-1@host/x:5432", "app_user-1@host/x:5432");
	check_q(NULL, "-");
	check_q("-", "\"-\"");
	check_q("", "\"\"");
	check_q("two words", "\"two words\"");
	check_q("a=b", "\"a=b\"");
	check_q("say \"hi\"", "\"say \\\"hi\\\"\"");
	check_q("back\\slash", "\"back\\\\slash\"");
	check_q("line\nend\x7f", "\"line\\x0aend\\x7f\"");
}
END_TEST

START_TEST(utf8_is_kept_what_is_none_is_escaped)
{
	check_q("Grüße", "Grüße");
	check_q("データベース", "データベース");
	check_q("\xf0\x9f\x90\x98", "\xf0\x9f\x90\x98");
	check_q("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
	check_q("\xff", "\"\\xff\"");
	check_q("a\xc3", "\"a\\xc3\"");                          /* cut by the end */
	check_q("\xe2\x82", "\"\\xe2\\x82\"");                   /* cut by the end */
	check_q("\xc0\xaf", "\"\\xc0\\xaf\"");                   /* overlong */
	check_q("\xe0\x9f\xbf", "\"\\xe0\\x9f\\xbf\"");          /* overlong */
	check_q("\xf0\x8f\xbf\xbf", "\"\\xf0\\x8f\\xbf\\xbf\""); /* overlong */
	check_q("\xed\xa0\x80", "\"\\xed\\xa0\\x80\"");          /* surrogate */
	check_q("\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\""); /* above U+10FFFF */
	check_q("\xc2\x9b", "\"\\xc2\\x9b\"");                   /* C1 control: CSI */
	check_q("\x80", "\"\\x80\"");
}
END_TEST

/* Whatever the size of the buffer: within it, ended, quotes closed, no escape or character cut. */
START_TEST(value_is_cut_at_what_fits)
{
	static const char *const values[] = {"plain_and_long_enough", "two words",
		"\x01\x02\x03\x04\x05", "ééééééééé", "\"\"\"\"\"\"\"", "é \x01é \x01é \x01"};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char full[64];

		log_q(full, sizeof full, values[i]);
		for (size_t cap = LOG_Q_MIN; cap < 30; cap++) {
			char buf[32];
			size_t len;

			memset(buf, '#', sizeof buf);
			log_q(buf, cap, values[i]);
			len = strnlen(buf, sizeof buf);
			ck_assert_uint_lt(len, cap);
			ck_assert_int_eq(buf[cap], '#');
			ck_assert_int_eq(buf[0] == '"', full[0] == '"');
			if (buf[0] == '"') {
				ck_assert_uint_ge(len, 2);
				ck_assert_int_eq(buf[--len], '"');
			}
			ck_assert_mem_eq(buf, full, len);
			if (len + 6 < cap) /* it was not cut */
				ck_assert_str_eq(buf, full);
			ck_assert_int_ne(full[len] & 0xc0, 0x80);
		}
	}
}
END_TEST

START_TEST(buffer_too_small_for_any_value_is_a_bug)
{
	char buf[LOG_Q_MIN];

	log_q(buf, LOG_Q_MIN - 1, "x");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("log");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, event_reaches_the_sink_with_its_values);
	tcase_add_test(tc, level_that_is_off_costs_no_evaluation);
	tcase_add_test(tc, noisy_site_falls_silent_until_the_next_second_and_owns_up);
	tcase_add_test(tc, lines_left_out_are_told_alone_if_there_is_no_value);
	tcase_add_test(tc, without_a_clock_no_site_falls_silent);
	tcase_add_test(tc, long_line_is_cut_at_its_bound);
	tcase_add_test(tc, cut_line_still_owns_up);
	tcase_add_test(tc, cut_does_not_split_a_character);
	tcase_add_test(tc, control_character_never_reaches_the_sink);
	tcase_add_test(tc, very_long_text_leaves_no_room_for_values);
	tcase_add_test(tc, plain_value_stays_others_are_quoted);
	tcase_add_test(tc, utf8_is_kept_what_is_none_is_escaped);
	tcase_add_test(tc, value_is_cut_at_what_fits);
	tcase_add_test_raise_signal(tc, buffer_too_small_for_any_value_is_a_bug, SIGABRT);
	return unit_run("log", tc);
}
