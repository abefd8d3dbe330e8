#include <string.h>
#include <time.h>

#include "base/rd.h"
#include "control/rows.h"
#include "unit.h"

static uint8_t buf[ROWS_BUF_MIN];

static const struct reply_column columns[] = {
	{"t", REPLY_TYPE_TEXT}, {"n", REPLY_TYPE_INT8}, {"z", REPLY_TYPE_TEXT}};

static const char *json(const char *s)
{
	struct wr w = wr_of(buf, sizeof buf);

	rows_json_string(&w, s);
	ck_assert(!w.bad);
	wr_u8(&w, 0);
	return (const char *)buf;
}

START_TEST(json_strings_are_escaped)
{
	ck_assert_str_eq(
		json("plain \xc3\xa4 \xf0\x9f\x90\x98"), "\"plain \xc3\xa4 \xf0\x9f\x90\x98\"");
	ck_assert_str_eq(json("a\"b\\c\n\x01\x7f"), "\"a\\u0022b\\u005cc\\u000a\\u0001\\u007f\"");
	ck_assert_str_eq(json("\xff|\xc0\xaf|\xed\xa0\x80|\xf5\x80\x80\x80|\xc3"),
		"\"\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|"
		"\\ufffd\"");
	ck_assert_str_eq(json(""), "\"\"");
}
END_TEST

START_TEST(wire_rows_are_data_rows)
{
	struct wr w = wr_of(buf, sizeof buf);
	struct rows r = rows_of(&w, ROWS_WIRE, columns, 3);
	struct rd rd;

	rows_begin(&r);
	rows_text(&r, "abc");
	rows_i64(&r, -5);
	rows_text(&r, NULL);
	rows_end(&r);
	ck_assert(!w.bad);
	rd = rd_of(buf, w.len);
	ck_assert_int_eq(rd_u8(&rd), 'D');
	ck_assert_uint_eq(rd_u32(&rd), w.len - 1);
	ck_assert_uint_eq(rd_u16(&rd), 3);
	ck_assert_uint_eq(rd_u32(&rd), 3);
	ck_assert_mem_eq(rd_bytes(&rd, 3), "abc", 3);
	ck_assert_uint_eq(rd_u32(&rd), 2);
	ck_assert_mem_eq(rd_bytes(&rd, 2), "-5", 2);
	ck_assert_uint_eq(rd_u32(&rd), UINT32_MAX);
	ck_assert(!rd.bad && rd.left == 0);
	ck_assert_uint_eq(r.n, 1);
}
END_TEST

START_TEST(json_rows_are_objects)
{
	struct wr w = wr_of(buf, sizeof buf);
	struct rows r = rows_of(&w, ROWS_JSON, columns, 3);

	for (unsigned i = 0; i < 2; i++) {
		rows_begin(&r);
		rows_text(&r, "a");
		rows_u64(&r, UINT64_MAX);
		rows_hex(&r, i);
		rows_end(&r);
	}
	wr_u8(&w, 0);
	ck_assert_str_eq((char *)buf,
		"\n\t\t{\"t\": \"a\", \"n\": 18446744073709551615, \"z\": \"\"},"
		"\n\t\t{\"t\": \"a\", \"n\": 18446744073709551615, \"z\": \"0x1\"}");
}
END_TEST

START_TEST(times_have_seconds_and_zone)
{
	struct wr w = wr_of(buf, sizeof buf);
	struct rows r = rows_of(&w, ROWS_JSON, columns, 3);

	setenv("TZ", "UTC", 1);
	tzset();
	rows_begin(&r);
	rows_time(&r, 1767225661u * 1000000ull + 999999);
	rows_time(&r, 0);
	rows_text(&r, NULL);
	rows_end(&r);
	wr_u8(&w, 0);
	ck_assert_str_eq((char *)buf,
		"\n\t\t{\"t\": \"2026-01-01 00:01:01 UTC\", \"n\": null, \"z\": null}");
}
END_TEST

/* Longer values are cut at a character's start, in both formats. */
START_TEST(values_are_cut)
{
	static char s[2 * ROWS_VALUE_MAX];
	struct wr w = wr_of(buf, sizeof buf);
	struct rows r = rows_of(&w, ROWS_WIRE, columns, 1);
	struct rd rd;

	memset(s, 'x', sizeof s - 1);
	s[ROWS_VALUE_MAX - 1] = '\xc3';
	s[ROWS_VALUE_MAX] = '\xa4';
	rows_begin(&r);
	rows_text(&r, s);
	rows_end(&r);
	rd = rd_of(buf + 7, w.len - 7);
	ck_assert_uint_eq(rd_u32(&rd), ROWS_VALUE_MAX - 1);
	ck_assert_uint_eq(strlen(json(s)), ROWS_VALUE_MAX - 1 + 2);
	s[ROWS_VALUE_MAX] = '\0';
	s[ROWS_VALUE_MAX - 1] = 'x';
	ck_assert_uint_eq(strlen(json(s)), ROWS_VALUE_MAX + 2);
}
END_TEST

START_TEST(a_row_that_does_not_fit_is_told)
{
	uint8_t small[20];
	struct wr w = wr_of(small, sizeof small);
	struct rows r = rows_of(&w, ROWS_WIRE, columns, 1);

	rows_begin(&r);
	rows_text(&r, "a value longer than the buffer");
	rows_end(&r);
	ck_assert(w.bad);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("rows");

	tcase_add_test(tc, json_strings_are_escaped);
	tcase_add_test(tc, wire_rows_are_data_rows);
	tcase_add_test(tc, json_rows_are_objects);
	tcase_add_test(tc, times_have_seconds_and_zone);
	tcase_add_test(tc, values_are_cut);
	tcase_add_test(tc, a_row_that_does_not_fit_is_told);
	return unit_run("rows", tc);
}
