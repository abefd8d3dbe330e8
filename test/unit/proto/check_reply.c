#include "proto/reply.h"

#include "bytes.h"
#include "proto/backend.h"

static uint8_t buf[1024];

START_TEST(login_messages_are_as_the_manual_says)
{
	struct wr w = wr_of(buf, sizeof buf);

	reply_put_auth_ok(&w);
	reply_put_auth_cleartext(&w);
	reply_put_auth_md5(&w, (const uint8_t *)"salt");
	ck_written(w, "R\0\0\0\x8\0\0\0\0R\0\0\0\x8\0\0\0\3R\0\0\0\x0c\0\0\0\5salt");
	w.len = 0;
	reply_put_auth_sasl(&w, false);
	ck_written(w, "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
	w.len = 0;
	reply_put_auth_sasl(&w, true);
	ck_written(w, "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
	w.len = 0;
	reply_put_auth_sasl_continue(&w, (const uint8_t *)"r=", 2);
	reply_put_auth_sasl_final(&w, (const uint8_t *)"v=", 2);
	ck_written(w, "R\0\0\0\x0a\0\0\0\x0br=R\0\0\0\x0a\0\0\0\x0cv=");
	w.len = 0;
	reply_put_key_data(&w, 0x01020304, (const uint8_t *)"keys", 4);
	reply_put_parameter_status(&w, "a", "b");
	ck_written(w, "K\0\0\0\x0c\1\2\3\4keysS\0\0\0\x8"
		      "a\0b\0");
}
END_TEST

START_TEST(session_messages_are_as_the_manual_says)
{
	static const uint32_t types[] = {23, 25};
	struct wr w = wr_of(buf, sizeof buf);

	reply_put_ready(&w, 'I');
	reply_put_command_complete(&w, "BEGIN");
	ck_written(w, "Z\0\0\0\5IC\0\0\0\x0a"
		      "BEGIN\0");
	w.len = 0;
	reply_put_command_complete_n(&w, "SELECT", 0);
	reply_put_command_complete_n(&w, "INSERT 0", UINT64_MAX);
	ck_written(w, "C\0\0\0\x0dSELECT 0\0C\0\0\0\x22INSERT 0 18446744073709551615\0");
	w.len = 0;
	reply_put_empty_query(&w);
	reply_put_parse_complete(&w);
	reply_put_bind_complete(&w);
	reply_put_close_complete(&w);
	reply_put_no_data(&w);
	reply_put_portal_suspended(&w);
	ck_written(w, "I\0\0\0\4"
		      "1\0\0\0\4"
		      "2\0\0\0\4"
		      "3\0\0\0\4n\0\0\0\4s\0\0\0\4");
	w.len = 0;
	reply_put_parameter_description(&w, types, 2);
	reply_put_parameter_description(&w, NULL, 0);
	ck_written(w, "t\0\0\0\x0e\0\2\0\0\0\x17\0\0\0\x19t\0\0\0\6\0\0");
	w.len = 0;
	reply_put_notification(&w, 7, "c", "p");
	ck_written(w, "A\0\0\0\x0c\0\0\0\7c\0p\0");
}
END_TEST

START_TEST(rows_are_as_the_manual_says)
{
	static const struct reply_column columns[] = {
		{"n", REPLY_TYPE_INT8}, {"t", REPLY_TYPE_TEXT}};
	struct wr w = wr_of(buf, sizeof buf);
	size_t mark;

	reply_put_row_description(&w, columns, 2, 0);
	ck_written(w, "T\0\0\0\x2e\0\2"
		      "n\0\0\0\0\0\0\0\0\0\0\x14\0\x8\xff\xff\xff\xff\0\0"
		      "t\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
	w.len = 0;
	mark = reply_row_begin(&w, 3);
	reply_put_text(&w, "12");
	reply_put_text(&w, NULL);
	reply_put_value(&w, "", 0);
	reply_row_end(&w, mark);
	ck_written(w, "D\0\0\0\x14\0\3\0\0\0\2"
		      "12\xff\xff\xff\xff\0\0\0\0");
}
END_TEST

START_TEST(row_description_is_read_back)
{
	static const struct reply_column columns[] = {{"b", REPLY_TYPE_BOOL},
		{"i", REPLY_TYPE_INT4}, {"l", REPLY_TYPE_INT8}, {"t", REPLY_TYPE_TEXT},
		{"d", REPLY_TYPE_NUMERIC}};
	static const int lens[] = {1, 4, 8, -1, -1};
	struct wr w = wr_of(buf, sizeof buf);
	struct msg_row_description m;
	struct msg_field f;

	reply_put_row_description(&w, columns, 5, 1);
	ck_assert(!w.bad);
	ck_assert_int_eq(backend_read_row_description(rd_of(buf + 5, w.len - 5), &m), OK);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert(backend_field_next(&m.fields, &f));
		ck_assert_str_eq(f.name, columns[i].name);
		ck_assert_uint_eq(f.type_oid, columns[i].type_oid);
		ck_assert_int_eq(f.type_len, lens[i]);
		ck_assert_int_eq(f.type_mod, -1);
		ck_assert_uint_eq(f.format, 1);
	}
}
END_TEST

START_TEST(row_that_does_not_fit_is_told)
{
	for (size_t cap = 0; cap < 16; cap++) {
		struct wr w = wr_of(buf, cap);
		size_t mark = reply_row_begin(&w, 1);

		reply_put_text(&w, "12345");
		reply_row_end(&w, mark);
		ck_assert(w.bad);
	}
}
END_TEST

START_TEST(value_above_int32_is_refused)
{
	struct wr w = wr_of(buf, sizeof buf);

	reply_put_value(&w, buf, (size_t)INT32_MAX + 1);
	ck_assert(w.bad);
}
END_TEST

START_TEST(unknown_transaction_status_is_a_bug)
{
	struct wr w = wr_of(buf, sizeof buf);

	reply_put_ready(&w, 'X');
}
END_TEST

START_TEST(cancel_key_out_of_bounds_is_a_bug)
{
	struct wr w = wr_of(buf, sizeof buf);

	reply_put_key_data(&w, 1, buf, 257);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("reply");

	tcase_add_test(tc, login_messages_are_as_the_manual_says);
	tcase_add_test(tc, session_messages_are_as_the_manual_says);
	tcase_add_test(tc, rows_are_as_the_manual_says);
	tcase_add_test(tc, row_description_is_read_back);
	tcase_add_test(tc, row_that_does_not_fit_is_told);
	tcase_add_test(tc, value_above_int32_is_refused);
	tcase_add_test_raise_signal(tc, unknown_transaction_status_is_a_bug, SIGABRT);
	tcase_add_test_raise_signal(tc, cancel_key_out_of_bounds_is_a_bug, SIGABRT);
	return unit_run("reply", tc);
}
