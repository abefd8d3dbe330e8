#include "proto/report.h"

#include "bytes.h"

START_TEST(fields_of_a_server_are_found)
{
	struct report r;

	ck_assert_int_eq(report_read(RD("SFEHLER\0VERROR\0C42P01\0Mno table\0Ddd\0Hhh\0P15\0p1\0"
					"qqq\0Www\0sss\0ttt\0ccc\0ddd\0nnn\0Ff.c\0L77\0Rrr\0\0"),
				 'E', &r),
		OK);
	ck_assert_str_eq(r.severity, "FEHLER");
	ck_assert_str_eq(r.severity_v, "ERROR");
	ck_assert_str_eq(r.sqlstate, "42P01");
	ck_assert_str_eq(r.message, "no table");
	ck_assert_str_eq(r.detail, "dd");
	ck_assert_str_eq(r.hint, "hh");
	ck_assert_str_eq(r.position, "15");
	ck_assert_str_eq(r.internal_position, "1");
	ck_assert_str_eq(r.internal_query, "qq");
	ck_assert_str_eq(r.where, "ww");
	ck_assert_str_eq(r.schema, "ss");
	ck_assert_str_eq(r.table, "tt");
	ck_assert_str_eq(r.column, "cc");
	ck_assert_str_eq(r.data_type, "dd");
	ck_assert_str_eq(r.constraint, "nn");
	ck_assert_str_eq(r.file, "f.c");
	ck_assert_str_eq(r.line, "77");
	ck_assert_str_eq(r.routine, "rr");
}
END_TEST

START_TEST(every_field_may_be_missing)
{
	struct report r;

	ck_assert_int_eq(report_read(RD("\0"), 'E', &r), OK);
	ck_assert_str_eq(r.severity, "ERROR");
	ck_assert_str_eq(r.severity_v, "ERROR");
	ck_assert_str_eq(r.sqlstate, "XX000");
	ck_assert_str_eq(r.message, "");
	ck_assert_ptr_null(r.detail);
	ck_assert_ptr_null(r.hint);
	ck_assert_ptr_null(r.routine);
	ck_assert_int_eq(report_read(RD("\0"), 'N', &r), OK);
	ck_assert_str_eq(r.severity, "NOTICE");
	ck_assert_str_eq(r.sqlstate, "00000");
}
END_TEST

START_TEST(severity_without_v_is_its_own_v)
{
	struct report r;

	ck_assert_int_eq(report_read(RD("SFATAL\0\0"), 'E', &r), OK);
	ck_assert_str_eq(r.severity_v, "FATAL");
	ck_assert(report_is_fatal(&r));
}
END_TEST

START_TEST(sqlstate_of_another_length_is_none)
{
	struct report r;

	ck_assert_int_eq(report_read(RD("C\0\0"), 'E', &r), OK);
	ck_assert_str_eq(r.sqlstate, "XX000");
	ck_assert_int_eq(report_read(RD("C2500\0\0"), 'E', &r), OK);
	ck_assert_str_eq(r.sqlstate, "XX000");
	ck_assert_int_eq(report_read(RD("C250066\0\0"), 'E', &r), OK);
	ck_assert_str_eq(r.sqlstate, "XX000");
	ck_assert_int_eq(report_read(RD("C25006\0\0"), 'E', &r), OK);
	ck_assert(report_has(&r, SQLSTATE_READ_ONLY_SQL_TRANSACTION));
	ck_assert(!report_has(&r, SQLSTATE_INTERNAL_ERROR));
}
END_TEST

START_TEST(unknown_fields_are_skipped)
{
	struct report r;

	ck_assert_int_eq(report_read(RD("Zzz\0\xffzz\0Mm\0\0"), 'E', &r), OK);
	ck_assert_str_eq(r.message, "m");
}
END_TEST

START_TEST(last_of_a_repeated_field_counts)
{
	struct report r;

	ck_assert_int_eq(report_read(RD("Ma\0Mb\0\0"), 'E', &r), OK);
	ck_assert_str_eq(r.message, "b");
}
END_TEST

START_TEST(truncated_report_is_refused_but_usable)
{
	static const uint8_t body[] = "SERROR\0C57P01\0Mbye\0\0x";
	struct report r;

	for (size_t n = 0; n < sizeof body - 2; n++) {
		ck_assert_int_eq(report_read(rd_of(body, n), 'E', &r), E_PROTO);
		ck_assert_str_eq(r.severity, "ERROR");
		ck_assert_uint_eq(strlen(r.sqlstate), SQLSTATE_LEN);
		ck_assert_ptr_nonnull(r.message);
	}
	ck_assert_str_eq(r.message, "bye");
	ck_assert_int_eq(report_read(rd_of(body, sizeof body - 2), 'E', &r), OK);
	ck_assert_int_eq(report_read(rd_of(body, sizeof body - 1), 'E', &r), E_PROTO);
}
END_TEST

START_TEST(fatal_and_panic_end_the_connection)
{
	static const char *const severities[] = {"PANIC", "FATAL", "ERROR", "WARNING", "FATALE"};

	for (size_t i = 0; i < sizeof severities / sizeof severities[0]; i++) {
		struct report r = report_of(severities[i], SQLSTATE_INTERNAL_ERROR, "m");

		ck_assert_int_eq(report_is_fatal(&r), i < 2);
	}
}
END_TEST

START_TEST(ours_names_us_as_the_routine)
{
	struct report r = report_of("FATAL", SQLSTATE_PROTOCOL_VIOLATION, "bad");
	uint8_t buf[256];
	struct wr w = wr_of(buf, sizeof buf);

	r.detail = "d";
	r.hint = "h";
	report_put(&w, 'E', &r);
	ck_written(w, "E\0\0\0\x2dSFATAL\0VFATAL\0C08P01\0Mbad\0Dd\0Hh\0Rpgweir\0\0");
	w.len = 0;
	report_put(&w, 'N', &(struct report){.message = ""});
	ck_written(w, "N\0\0\0\7M\0\0");
}
END_TEST

/* Length of the message field after a message of `len` bytes of `c` went out. */
static size_t sent_len(size_t len, const char *tail)
{
	static uint8_t buf[8 * REPORT_FIELD_MAX];
	static char text[4 * REPORT_FIELD_MAX];
	struct wr w = wr_of(buf, sizeof buf);
	struct report r;

	memset(text, 'm', len);
	strcpy(text + len, tail);
	r = report_of("ERROR", SQLSTATE_INTERNAL_ERROR, text);
	report_put(&w, 'E', &r);
	ck_assert(!w.bad);
	ck_assert_int_eq(report_read(rd_of(buf + 5, w.len - 5), 'E', &r), OK);
	ck_assert_str_eq(r.routine, "pgweir");
	return strlen(r.message);
}

START_TEST(long_texts_are_cut)
{
	ck_assert_uint_eq(sent_len(REPORT_FIELD_MAX - 1, ""), REPORT_FIELD_MAX - 1);
	ck_assert_uint_eq(sent_len(REPORT_FIELD_MAX, ""), REPORT_FIELD_MAX);
	ck_assert_uint_eq(sent_len(REPORT_FIELD_MAX + 1, ""), REPORT_FIELD_MAX);
	ck_assert_uint_eq(sent_len(3 * REPORT_FIELD_MAX, ""), REPORT_FIELD_MAX);
}
END_TEST

START_TEST(cut_leaves_whole_characters)
{
	ck_assert_uint_eq(sent_len(REPORT_FIELD_MAX - 2, "\xc3\xa4"), REPORT_FIELD_MAX);
	ck_assert_uint_eq(sent_len(REPORT_FIELD_MAX - 1, "\xc3\xa4"), REPORT_FIELD_MAX - 1);
	ck_assert_uint_eq(sent_len(REPORT_FIELD_MAX - 3, "\xf0\x9f\x90\x98"), REPORT_FIELD_MAX - 3);
	/* not UTF-8: cut anywhere near the limit */
	ck_assert_uint_ge(sent_len(REPORT_FIELD_MAX - 5, "\x80\x80\x80\x80\x80\x80\x80\x80"),
		REPORT_FIELD_MAX - 3);
}
END_TEST

START_TEST(longest_of_ours_fits_its_bound)
{
	static char text[2 * REPORT_FIELD_MAX];
	uint8_t buf[REPORT_OWN_MAX];
	struct wr w = wr_of(buf, sizeof buf);
	struct report r = report_of("WARNING", SQLSTATE_INTERNAL_ERROR, text);

	memset(text, 't', sizeof text - 1);
	r.detail = r.hint = text;
	report_put(&w, 'E', &r);
	ck_assert(!w.bad);
	ck_assert_uint_gt(w.len, 3 * REPORT_FIELD_MAX);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("report");

	tcase_add_test(tc, fields_of_a_server_are_found);
	tcase_add_test(tc, every_field_may_be_missing);
	tcase_add_test(tc, severity_without_v_is_its_own_v);
	tcase_add_test(tc, sqlstate_of_another_length_is_none);
	tcase_add_test(tc, unknown_fields_are_skipped);
	tcase_add_test(tc, last_of_a_repeated_field_counts);
	tcase_add_test(tc, truncated_report_is_refused_but_usable);
	tcase_add_test(tc, fatal_and_panic_end_the_connection);
	tcase_add_test(tc, ours_names_us_as_the_routine);
	tcase_add_test(tc, long_texts_are_cut);
	tcase_add_test(tc, cut_leaves_whole_characters);
	tcase_add_test(tc, longest_of_ours_fits_its_bound);
	return unit_run("report", tc);
}
