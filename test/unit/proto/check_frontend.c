#include "proto/frontend.h"

#include "bytes.h"
#include "proto/frame.h"

#define READ_OK(call)  ck_assert_int_eq((call), OK)
#define READ_BAD(call) ck_assert_int_eq((call), E_PROTO)

/* Every prefix of a body, and the body with one byte more, must be refused. */
#define ck_exact(reader, out, lit)                                                          \
	do {                                                                                \
		static const uint8_t body_[] = lit "x";                                     \
		size_t len_ = sizeof body_ - 2;                                             \
                                                                                            \
		for (size_t n_ = 0; n_ < len_; n_++)                                        \
			ck_assert_msg(reader(rd_of(body_, n_), out) == E_PROTO, "%zu", n_); \
		ck_assert_int_eq(reader(rd_of(body_, len_), out), OK);                      \
		ck_assert_int_eq(reader(rd_of(body_, len_ + 1), out), E_PROTO);             \
	} while (0)

START_TEST(query_is_one_string)
{
	struct msg_query m;

	READ_OK(frontend_read_query(RD("select 1\0"), &m));
	ck_assert_str_eq(m.sql, "select 1");
	ck_assert_uint_eq(m.sql_len, 8);
	READ_OK(frontend_read_query(RD("\0"), &m));
	ck_assert_uint_eq(m.sql_len, 0);
	ck_exact(frontend_read_query, &m, "select 1\0");
	READ_BAD(frontend_read_query(RD("select 1\0; drop table t\0"), &m));
}
END_TEST

START_TEST(parse_has_name_text_and_types)
{
	struct msg_parse m;

	READ_OK(frontend_read_parse(RD("s1\0select $1\0\0\2\0\0\0\x17\0\0\0\x19"), &m));
	ck_assert_str_eq(m.name, "s1");
	ck_assert_uint_eq(m.name_len, 2);
	ck_assert_str_eq(m.sql, "select $1");
	ck_assert_uint_eq(m.sql_len, 9);
	ck_assert_uint_eq(m.n_types, 2);
	ck_assert_mem_eq(m.types, "\0\0\0\x17\0\0\0\x19", 8);
	ck_assert_uint_eq(m.tail_at, 3);
	ck_exact(frontend_read_parse, &m, "s1\0select $1\0\0\2\0\0\0\x17\0\0\0\x19");
	ck_exact(frontend_read_parse, &m, "\0\0\0\0");
	READ_BAD(frontend_read_parse(RD("\0x\0\xff\xff\0\0\0\x17"), &m));
}
END_TEST

START_TEST(name_of_a_partial_parse_is_read_when_it_is_there)
{
	static const uint8_t body[] = "name\0select a long text";
	struct msg_parse m;

	for (size_t n = 0; n < 5; n++)
		ck_assert_int_eq(frontend_read_parse_head(rd_of(body, n), 1000, &m), E_AGAIN);
	for (size_t n = 5; n < sizeof body; n++) {
		READ_OK(frontend_read_parse_head(rd_of(body, n), 1000, &m));
		ck_assert_str_eq(m.name, "name");
		ck_assert_uint_eq(m.name_len, 4);
		ck_assert_uint_eq(m.tail_at, 5);
	}
	READ_BAD(frontend_read_parse_head(rd_of(body, 4), 4, &m));
}
END_TEST

START_TEST(bind_names_are_read_when_they_are_there)
{
	static const uint8_t body[] = "po\0stm\0\0\0\0\0\0\0";
	struct msg_bind m;

	for (size_t n = 0; n < 7; n++)
		ck_assert_int_eq(frontend_read_bind(rd_of(body, n), 13, &m), E_AGAIN);
	for (size_t n = 7; n <= 13; n++) {
		READ_OK(frontend_read_bind(rd_of(body, n), 13, &m));
		ck_assert_str_eq(m.portal, "po");
		ck_assert_uint_eq(m.portal_len, 2);
		ck_assert_str_eq(m.stmt, "stm");
		ck_assert_uint_eq(m.stmt_len, 3);
		ck_assert_uint_eq(m.tail_at, 7);
	}
	READ_BAD(frontend_read_bind(rd_of(body, 6), 6, &m));
	READ_BAD(frontend_read_bind(rd_of(body, 0), 0, &m));
}
END_TEST

START_TEST(bind_tail_is_checked_to_the_end)
{
	struct msg_bind_tail t;

	ck_exact(frontend_read_bind_tail, &t, "\0\0\0\0\0\0");
	ck_exact(frontend_read_bind_tail, &t, "\0\1\0\1\0\2\0\0\0\2ab\xff\xff\xff\xff\0\1\0\1");
	READ_OK(frontend_read_bind_tail(
		RD("\0\2\0\1\0\0\0\2\0\0\0\2ab\xff\xff\xff\xff\0\1\0\1"), &t));
	ck_assert_uint_eq(t.n_formats, 2);
	ck_assert_mem_eq(t.formats, "\0\1\0\0", 4);
	ck_assert_uint_eq(t.n_values, 2);
	ck_assert_mem_eq(t.values, "\0\0\0\2ab\xff\xff\xff\xff", 10);
	ck_assert_uint_eq(t.n_result_formats, 1);
	ck_assert_mem_eq(t.result_formats, "\0\1", 2);
}
END_TEST

START_TEST(values_are_found_by_their_number)
{
	struct msg_bind_tail t;
	struct bind_value v;

	READ_OK(frontend_read_bind_tail(
		RD("\0\3\0\1\0\0\0\1\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\1c\0\0"), &t));
	v = frontend_bind_value(&t, 1);
	ck_assert(v.len == 2 && memcmp(v.p, "ab", 2) == 0 && v.binary);
	v = frontend_bind_value(&t, 2);
	ck_assert(v.p == NULL && v.len == 0);
	v = frontend_bind_value(&t, 3);
	ck_assert(v.len == 1 && *v.p == 'c' && v.binary);
	ck_assert_ptr_null(frontend_bind_value(&t, 0).p);
	ck_assert_ptr_null(frontend_bind_value(&t, 4).p);
	READ_OK(frontend_read_bind_tail(RD("\0\1\0\1\0\1\0\0\0\1x\0\0"), &t));
	ck_assert(frontend_bind_value(&t, 1).binary); /* one format for all */
}
END_TEST

START_TEST(lengths_of_values_cannot_reach_out)
{
	struct msg_bind_tail t;

	READ_BAD(frontend_read_bind_tail(RD("\0\0\0\1\xff\xff\xff\xfe\0\0"), &t)); /* -2 */
	READ_BAD(frontend_read_bind_tail(RD("\0\0\0\1\x80\0\0\0\0\0"), &t));
	READ_BAD(frontend_read_bind_tail(RD("\0\0\0\1\x7f\xff\xff\xff\0\0"), &t));
	READ_BAD(frontend_read_bind_tail(RD("\0\0\0\1\0\0\0\3ab\0\0"), &t));
	READ_BAD(frontend_read_bind_tail(RD("\0\0\xff\xff\xff\xff\xff\xff\0\0"), &t));
	READ_BAD(frontend_read_bind_tail(RD("\xff\xff\0\0\0\0"), &t));
	READ_BAD(frontend_read_bind_tail(RD("\0\0\0\0\xff\xff\0\0"), &t));
}
END_TEST

START_TEST(formats_are_none_one_or_one_each)
{
	struct msg_bind_tail t;

	READ_OK(frontend_read_bind_tail(RD("\0\1\0\1\0\0\0\0"), &t));
	READ_BAD(frontend_read_bind_tail(RD("\0\2\0\1\0\1\0\1\0\0\0\0\0\0"), &t));
	READ_BAD(frontend_read_bind_tail(RD("\0\2\0\1\0\1\0\0\0\0"), &t));
}
END_TEST

START_TEST(describe_and_close_name_a_statement_or_a_portal)
{
	struct msg_target m;

	READ_OK(frontend_read_target(RD("Sname\0"), &m));
	ck_assert_uint_eq(m.kind, 'S');
	ck_assert_str_eq(m.name, "name");
	ck_assert_uint_eq(m.name_len, 4);
	READ_OK(frontend_read_target(RD("P\0"), &m));
	ck_assert_uint_eq(m.kind, 'P');
	READ_BAD(frontend_read_target(RD("s\0"), &m));
	READ_BAD(frontend_read_target(RD("\0\0"), &m));
	ck_exact(frontend_read_target, &m, "Sname\0");
}
END_TEST

START_TEST(execute_names_a_portal_and_a_row_limit)
{
	struct msg_execute m;

	READ_OK(frontend_read_execute(RD("p\0\0\0\1\0"), &m));
	ck_assert_str_eq(m.portal, "p");
	ck_assert_uint_eq(m.portal_len, 1);
	ck_assert_uint_eq(m.rows_max, 256);
	ck_exact(frontend_read_execute, &m, "p\0\0\0\1\0");
}
END_TEST

START_TEST(function_call_is_checked_to_the_end)
{
	struct msg_function_call m;

	READ_OK(frontend_read_function_call(
		RD("\0\0\3\xe8\0\1\0\1\0\2\0\0\0\1a\xff\xff\xff\xff\0\1"), &m));
	ck_assert_uint_eq(m.oid, 1000);
	ck_assert_uint_eq(m.n_args, 2);
	ck_exact(frontend_read_function_call, &m,
		"\0\0\3\xe8\0\1\0\1\0\2\0\0\0\1a\xff\xff\xff\xff\0\1");
	READ_BAD(frontend_read_function_call(
		RD("\0\0\3\xe8\0\2\0\1\0\1\0\1\0\0\0\1a\0\1"), &m)); /* 2 formats, 1 value */
}
END_TEST

START_TEST(password_is_one_string_of_any_length)
{
	static const uint32_t lens[] = {
		0, 1, 1022, 1023, 1024, 1025, 10240, FRONTEND_PASSWORD_MAX - 5};
	static char body[FRONTEND_PASSWORD_MAX];
	const char *password;

	memset(body, 'x', sizeof body);
	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		body[lens[i]] = '\0';
		READ_OK(frontend_read_password(rd_of(body, lens[i] + 1), &password));
		ck_assert_uint_eq(strlen(password), lens[i]);
		READ_BAD(frontend_read_password(rd_of(body, lens[i]), &password));
		READ_BAD(frontend_read_password(rd_of(body, lens[i] + 2), &password));
		body[lens[i]] = 'x';
	}
}
END_TEST

START_TEST(sasl_initial_has_mechanism_and_maybe_data)
{
	struct msg_sasl_initial m;

	READ_OK(frontend_read_sasl_initial(RD("SCRAM-SHA-256\0\0\0\0\3n,,"), &m));
	ck_assert_str_eq(m.mechanism, "SCRAM-SHA-256");
	ck_assert_uint_eq(m.data_len, 3);
	ck_assert_mem_eq(m.data, "n,,", 3);
	READ_OK(frontend_read_sasl_initial(RD("X\0\xff\xff\xff\xff"), &m));
	ck_assert_ptr_null(m.data);
	ck_assert_uint_eq(m.data_len, 0);
	READ_OK(frontend_read_sasl_initial(RD("X\0\0\0\0\0"), &m));
	ck_assert_ptr_nonnull(m.data);
	READ_BAD(frontend_read_sasl_initial(RD("X\0\xff\xff\xff\xff"
					       "a"),
		&m));
	READ_BAD(frontend_read_sasl_initial(RD("X\0\xff\xff\xff\xfe"), &m));
	READ_BAD(frontend_read_sasl_initial(RD("X\0\x80\0\0\0"), &m));
	ck_exact(frontend_read_sasl_initial, &m, "SCRAM-SHA-256\0\0\0\0\3n,,");
}
END_TEST

START_TEST(copy_fail_has_a_reason)
{
	const char *reason;

	READ_OK(frontend_read_copy_fail(RD("why\0"), &reason));
	ck_assert_str_eq(reason, "why");
	ck_exact(frontend_read_copy_fail, &reason, "why\0");
}
END_TEST

START_TEST(types_have_their_phases_and_limits)
{
	static const char known[] = "BCDEFHPQSXcdfp";
	static const char small[] = "CDEHSXcf";
	static const char extended[] = "BCDEHPS";
	static const char in_copy[] = "dcfHSX";

	for (unsigned t = 0; t < 256; t++) {
		const struct frontend_info *i = &frontend_infos[t];
		bool is_known = t != 0 && strchr(known, (int)t) != NULL;

		ck_assert_int_eq(i->len_max != 0, is_known);
		ck_assert_int_eq(i->flags != 0, is_known);
		if (!is_known)
			continue;
		ck_assert_int_eq(
			(i->flags & FRONTEND_IS_SMALL) != 0, strchr(small, (int)t) != NULL);
		ck_assert_int_eq(i->len_max == FRONTEND_SMALL_MAX, strchr(small, (int)t) != NULL);
		ck_assert_int_eq(
			(i->flags & FRONTEND_IS_EXTENDED) != 0, strchr(extended, (int)t) != NULL);
		ck_assert_int_eq(
			(i->flags & FRONTEND_IN_COPY) != 0, strchr(in_copy, (int)t) != NULL);
		ck_assert_int_eq((i->flags & FRONTEND_IS_COPY) != 0, strchr("dcf", (int)t) != NULL);
		ck_assert_int_eq(
			(i->flags & FRONTEND_ENDS_UNIT) != 0, strchr("QFS", (int)t) != NULL);
		ck_assert_int_eq((i->flags & FRONTEND_IN_LOGIN) != 0, t == 'p');
		ck_assert_int_eq((i->flags & FRONTEND_IN_SESSION) != 0, t != 'p');
	}
}
END_TEST

START_TEST(messages_are_built_as_the_manual_says)
{
	uint8_t buf[256];
	struct wr w = wr_of(buf, sizeof buf);

	frontend_put_query(&w, "select 1");
	ck_written(w, "Q\0\0\0\x0dselect 1\0");
	w.len = 0;
	frontend_put_parse(&w, "s", "select $1 garbage", 9, (const uint8_t *)"\0\0\0\x17", 1);
	ck_written(w, "P\0\0\0\x16s\0select $1\0\0\1\0\0\0\x17");
	w.len = 0;
	frontend_put_parse(&w, "", "", 0, NULL, 0);
	ck_written(w, "P\0\0\0\x8\0\0\0\0");
	w.len = 0;
	frontend_put_describe(&w, 'S', "s");
	frontend_put_close(&w, 'P', "");
	ck_written(w, "D\0\0\0\x7Ss\0"
		      "C\0\0\0\x6P\0");
	w.len = 0;
	frontend_put_execute(&w, "p", 258);
	ck_written(w, "E\0\0\0\x0ap\0\0\0\1\2");
	w.len = 0;
	frontend_put_flush(&w);
	frontend_put_sync(&w);
	frontend_put_terminate(&w);
	ck_written(w, "H\0\0\0\4S\0\0\0\4X\0\0\0\4");
	w.len = 0;
	frontend_put_copy_fail(&w, "why");
	frontend_put_password(&w, "pw");
	ck_written(w, "f\0\0\0\x8why\0p\0\0\0\7pw\0");
	w.len = 0;
	frontend_put_sasl_initial(&w, "SCRAM", (const uint8_t *)"n,,", 3);
	ck_written(w, "p\0\0\0\x11SCRAM\0\0\0\0\3n,,");
	w.len = 0;
	frontend_put_sasl_initial(&w, "X", NULL, 0);
	ck_written(w, "p\0\0\0\x0aX\0\xff\xff\xff\xff");
	w.len = 0;
	frontend_put_sasl_response(&w, (const uint8_t *)"c=biws", 6);
	ck_written(w, "p\0\0\0\x0a"
		      "c=biws");
}
END_TEST

START_TEST(what_does_not_fit_is_told)
{
	uint8_t buf[64];

	for (size_t cap = 0; cap < 13; cap++) {
		struct wr w = wr_of(buf, cap);

		frontend_put_query(&w, "select 1");
		ck_assert(w.bad);
	}
}
END_TEST

/* The Bind `msg` (head and body) with another statement name. */
static struct wr rename_bind(
	uint8_t *buf, size_t cap, const uint8_t *msg, size_t len, const char *stmt)
{
	struct wr w = wr_of(buf, cap);
	struct msg_bind m;
	struct rd body = rd_of(msg + 5, len - 5);

	READ_OK(frontend_read_bind(body, (uint32_t)body.left, &m));
	frontend_put_bind_head(&w, &m, (uint32_t)body.left, stmt);
	wr_bytes(&w, body.p + m.tail_at, body.left - m.tail_at);
	return w;
}

START_TEST(renamed_bind_differs_in_the_name_alone)
{
	static const uint8_t bind[] = "B\0\0\0\x15portal\0old\0\0\0\0\0\0\0";
	uint8_t buf[256];
	struct wr w = rename_bind(buf, sizeof buf, bind, sizeof bind - 1, "a_longer_name");

	ck_written(w, "B\0\0\0\x1fportal\0a_longer_name\0\0\0\0\0\0\0");
	w = rename_bind(buf, sizeof buf, bind, sizeof bind - 1, "");
	ck_written(w, "B\0\0\0\x12portal\0\0\0\0\0\0\0\0");
	w = rename_bind(buf, sizeof buf, bind, sizeof bind - 1, "old");
	ck_assert_uint_eq(w.len, sizeof bind - 1);
	ck_assert_mem_eq(w.buf, bind, w.len);
}
END_TEST

START_TEST(renamed_parse_differs_in_the_name_alone)
{
	static const uint8_t body[] = "old\0select\0\0\0";
	uint8_t buf[64];
	struct wr w = wr_of(buf, sizeof buf);
	struct msg_parse m;

	READ_OK(frontend_read_parse(rd_of(body, sizeof body - 1), &m));
	frontend_put_parse_head(&w, &m, sizeof body - 1, "other");
	wr_bytes(&w, body + m.tail_at, sizeof body - 1 - m.tail_at);
	ck_written(w, "P\0\0\0\x13other\0select\0\0\0");
}
END_TEST

START_TEST(renamed_message_may_not_outgrow_the_limit)
{
	static const uint8_t names[] = "\0s\0";
	uint32_t body_len = FRAME_LEN_MAX - 4;
	uint8_t buf[64];
	struct wr w = wr_of(buf, sizeof buf);
	struct msg_bind m;
	struct msg_parse p = {.tail_at = 1};

	READ_OK(frontend_read_bind(rd_of(names, 3), body_len, &m));
	frontend_put_bind_head(&w, &m, body_len, "t");
	ck_written(w, "B\x3f\xff\xff\xff\0t\0");
	frontend_put_bind_head(&w, &m, body_len, "tt");
	ck_assert(w.bad);

	w = wr_of(buf, sizeof buf);
	frontend_put_parse_head(&w, &p, body_len, "");
	ck_written(w, "P\x3f\xff\xff\xff\0");
	frontend_put_parse_head(&w, &p, body_len, "x");
	ck_assert(w.bad);
}
END_TEST

START_TEST(more_of_a_body_than_the_body_is_a_bug)
{
	struct msg_bind m;

	(void)!frontend_read_bind(RD("\0\0"), 1, &m);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("frontend");

	tcase_add_test(tc, query_is_one_string);
	tcase_add_test(tc, parse_has_name_text_and_types);
	tcase_add_test(tc, name_of_a_partial_parse_is_read_when_it_is_there);
	tcase_add_test(tc, bind_names_are_read_when_they_are_there);
	tcase_add_test(tc, bind_tail_is_checked_to_the_end);
	tcase_add_test(tc, values_are_found_by_their_number);
	tcase_add_test(tc, lengths_of_values_cannot_reach_out);
	tcase_add_test(tc, formats_are_none_one_or_one_each);
	tcase_add_test(tc, describe_and_close_name_a_statement_or_a_portal);
	tcase_add_test(tc, execute_names_a_portal_and_a_row_limit);
	tcase_add_test(tc, function_call_is_checked_to_the_end);
	tcase_add_test(tc, password_is_one_string_of_any_length);
	tcase_add_test(tc, sasl_initial_has_mechanism_and_maybe_data);
	tcase_add_test(tc, copy_fail_has_a_reason);
	tcase_add_test(tc, types_have_their_phases_and_limits);
	tcase_add_test(tc, messages_are_built_as_the_manual_says);
	tcase_add_test(tc, what_does_not_fit_is_told);
	tcase_add_test(tc, renamed_bind_differs_in_the_name_alone);
	tcase_add_test(tc, renamed_parse_differs_in_the_name_alone);
	tcase_add_test(tc, renamed_message_may_not_outgrow_the_limit);
	tcase_add_test_raise_signal(tc, more_of_a_body_than_the_body_is_a_bug, SIGABRT);
	return unit_run("frontend", tc);
}
