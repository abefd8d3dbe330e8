#include "proto/backend.h"

#include "bytes.h"
#include "proto/startup.h"

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

START_TEST(ready_tells_the_transaction_status)
{
	uint8_t s = 0;

	for (unsigned c = 0; c < 256; c++) {
		uint8_t body[2] = {(uint8_t)c, 'I'};
		bool ok = c == 'I' || c == 'T' || c == 'E';

		s = '?';
		ck_assert_int_eq(backend_read_ready(rd_of(body, 1), &s), ok ? OK : E_PROTO);
		ck_assert_uint_eq(s, ok ? c : '?');
		READ_BAD(backend_read_ready(rd_of(body, 2), &s));
	}
	READ_BAD(backend_read_ready(rd_of("", 0), &s));
}
END_TEST

START_TEST(parameter_status_is_a_pair)
{
	struct msg_parameter_status m;

	READ_OK(backend_read_parameter_status(RD("TimeZone\0UTC\0"), &m));
	ck_assert_str_eq(m.name, "TimeZone");
	ck_assert_str_eq(m.value, "UTC");
	ck_exact(backend_read_parameter_status, &m, "a\0\0");
}
END_TEST

START_TEST(command_complete_has_a_tag)
{
	const char *tag;

	READ_OK(backend_read_command_complete(RD("SELECT 1\0"), &tag));
	ck_assert_str_eq(tag, "SELECT 1");
	ck_exact(backend_read_command_complete, &tag, "SELECT 1\0");
}
END_TEST

START_TEST(cancel_key_has_4_to_256_bytes)
{
	static const struct {
		size_t len;
		enum status want;
	} cases[] = {{0, E_PROTO}, {3, E_PROTO}, {4, OK}, {5, OK}, {32, OK}, {255, OK}, {256, OK},
		{257, E_LIMIT}, {2560, E_LIMIT}};
	uint8_t body[4 + 2560] = {0, 0, 1, 0, 'k'};
	struct msg_key_data m;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_int_eq(
			backend_read_key_data(rd_of(body, 4 + cases[i].len), &m), cases[i].want);
		if (cases[i].want != OK)
			continue;
		ck_assert_uint_eq(m.pid, 256);
		ck_assert_ptr_eq(m.key, body + 4);
		ck_assert_uint_eq(m.key_len, cases[i].len);
	}
	READ_BAD(backend_read_key_data(rd_of(body, 2), &m));
}
END_TEST

START_TEST(authentication_requests_are_told_apart)
{
	struct msg_authentication m;

	READ_OK(backend_read_authentication(RD("\0\0\0\0"), &m));
	ck_assert_uint_eq(m.request, AUTH_OK);
	READ_OK(backend_read_authentication(RD("\0\0\0\3"), &m));
	ck_assert_uint_eq(m.request, AUTH_CLEARTEXT_PASSWORD);
	READ_OK(backend_read_authentication(RD("\0\0\0\5salt"), &m));
	ck_assert_uint_eq(m.request, AUTH_MD5_PASSWORD);
	ck_assert_mem_eq(m.data, "salt", 4);
	READ_OK(backend_read_authentication(RD("\0\0\0\x0br=nonce"), &m));
	ck_assert_uint_eq(m.request, AUTH_SASL_CONTINUE);
	ck_assert_uint_eq(m.data_len, 7);
	ck_assert_mem_eq(m.data, "r=nonce", 7);
	READ_OK(backend_read_authentication(RD("\0\0\0\7"), &m));
	ck_assert_uint_eq(m.request, AUTH_GSS);
	READ_OK(backend_read_authentication(RD("\0\0\0\x63"), &m));
	ck_assert_uint_eq(m.request, 99);
}
END_TEST

START_TEST(authentication_of_the_wrong_size_is_refused)
{
	struct msg_authentication m;

	ck_exact(backend_read_authentication, &m, "\0\0\0\0");
	ck_exact(backend_read_authentication, &m, "\0\0\0\3");
	ck_exact(backend_read_authentication, &m, "\0\0\0\5salt");
	ck_exact(backend_read_authentication, &m, "\0\0\0\x0aSCRAM-SHA-256\0\0");
}
END_TEST

START_TEST(mechanisms_that_we_know_are_found)
{
	struct msg_authentication m;

	READ_OK(backend_read_authentication(
		RD("\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), &m));
	ck_assert(m.has_scram && m.has_scram_plus);
	READ_OK(backend_read_authentication(RD("\0\0\0\x0aOAUTHBEARER\0SCRAM-SHA-256\0\0"), &m));
	ck_assert(m.has_scram && !m.has_scram_plus);
	READ_OK(backend_read_authentication(RD("\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"), &m));
	ck_assert(!m.has_scram && m.has_scram_plus);
	READ_OK(backend_read_authentication(RD("\0\0\0\x0aSCRAM-SHA-256-\0SCRAM-SHA-25\0\0"), &m));
	ck_assert(!m.has_scram && !m.has_scram_plus);
	READ_OK(backend_read_authentication(RD("\0\0\0\x0a\0"), &m));
	ck_assert(!m.has_scram && !m.has_scram_plus);
}
END_TEST

START_TEST(negotiation_lists_what_the_server_does_not_know)
{
	struct msg_negotiate m;

	READ_OK(backend_read_negotiate(RD("\0\3\0\0\0\0\0\2_pq_.a\0_pq_.b\0"), &m));
	ck_assert_uint_eq(m.version, STARTUP_V3_0);
	ck_assert_uint_eq(m.n_names, 2);
	ck_exact(backend_read_negotiate, &m, "\0\3\0\0\0\0\0\2_pq_.a\0_pq_.b\0");
	READ_BAD(backend_read_negotiate(RD("\0\3\0\0\xff\xff\xff\xff"
					   "a\0"),
		&m));
}
END_TEST

START_TEST(notification_has_channel_and_payload)
{
	struct msg_notification m;

	READ_OK(backend_read_notification(RD("\0\0\0\x2a"
					     "chan\0load\0"),
		&m));
	ck_assert_uint_eq(m.pid, 42);
	ck_assert_str_eq(m.channel, "chan");
	ck_assert_str_eq(m.payload, "load");
	ck_exact(backend_read_notification, &m,
		"\0\0\0\x2a"
		"c\0l\0");
}
END_TEST

START_TEST(parameter_description_counts_its_types)
{
	struct msg_parameter_description m;

	READ_OK(backend_read_parameter_description(RD("\0\2\0\0\0\x17\0\0\0\x19"), &m));
	ck_assert_uint_eq(m.n_types, 2);
	ck_assert_mem_eq(m.types, "\0\0\0\x17\0\0\0\x19", 8);
	ck_exact(backend_read_parameter_description, &m, "\0\2\0\0\0\x17\0\0\0\x19");
	ck_exact(backend_read_parameter_description, &m, "\0\0");
}
END_TEST

#define FIELD_A "a\0\0\0\1\0\0\2\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
#define FIELD_B "bc\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\x0c\0\1"

START_TEST(row_description_lists_its_fields)
{
	struct msg_row_description m;
	struct msg_field f;
	struct rd it;

	READ_OK(backend_read_row_description(RD("\0\2" FIELD_A FIELD_B), &m));
	ck_assert_uint_eq(m.n_fields, 2);
	it = m.fields;
	ck_assert(backend_field_next(&it, &f));
	ck_assert_str_eq(f.name, "a");
	ck_assert_uint_eq(f.table_oid, 256);
	ck_assert_uint_eq(f.column, 2);
	ck_assert_uint_eq(f.type_oid, 23);
	ck_assert_int_eq(f.type_len, 4);
	ck_assert_int_eq(f.type_mod, -1);
	ck_assert_uint_eq(f.format, 0);
	ck_assert(backend_field_next(&it, &f));
	ck_assert_str_eq(f.name, "bc");
	ck_assert_int_eq(f.type_len, -1);
	ck_assert_int_eq(f.type_mod, 12);
	ck_assert_uint_eq(f.format, 1);
	ck_assert(!backend_field_next(&it, &f));
}
END_TEST

START_TEST(row_description_must_have_as_many_fields_as_it_says)
{
	struct msg_row_description m;

	ck_exact(backend_read_row_description, &m, "\0\1" FIELD_A);
	ck_exact(backend_read_row_description, &m, "\0\0");
	READ_BAD(backend_read_row_description(RD("\0\1" FIELD_A FIELD_B), &m));
	READ_BAD(backend_read_row_description(RD("\0\3" FIELD_A FIELD_B), &m));
	READ_BAD(backend_read_row_description(RD("\xff\xff" FIELD_A), &m));
}
END_TEST

START_TEST(types_have_their_phases)
{
	static const char login[] = "REKvNSZ";
	static const char session[] = "23CWdcGHDIEVnNAtS1sZT";

	for (unsigned t = 0; t < 256; t++) {
		unsigned f = backend_flags[t];

		ck_assert_int_eq(
			(f & BACKEND_IN_LOGIN) != 0, t != 0 && strchr(login, (int)t) != NULL);
		ck_assert_int_eq(
			(f & BACKEND_IN_SESSION) != 0, t != 0 && strchr(session, (int)t) != NULL);
		ck_assert_int_eq(
			(f & BACKEND_IS_ASYNC) != 0, t != 0 && strchr("NAS", (int)t) != NULL);
		ck_assert_int_eq(
			(f & BACKEND_IS_DATA) != 0, t != 0 && strchr("Dd", (int)t) != NULL);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("backend");

	tcase_add_test(tc, ready_tells_the_transaction_status);
	tcase_add_test(tc, parameter_status_is_a_pair);
	tcase_add_test(tc, command_complete_has_a_tag);
	tcase_add_test(tc, cancel_key_has_4_to_256_bytes);
	tcase_add_test(tc, authentication_requests_are_told_apart);
	tcase_add_test(tc, authentication_of_the_wrong_size_is_refused);
	tcase_add_test(tc, mechanisms_that_we_know_are_found);
	tcase_add_test(tc, negotiation_lists_what_the_server_does_not_know);
	tcase_add_test(tc, notification_has_channel_and_payload);
	tcase_add_test(tc, parameter_description_counts_its_types);
	tcase_add_test(tc, row_description_lists_its_fields);
	tcase_add_test(tc, row_description_must_have_as_many_fields_as_it_says);
	tcase_add_test(tc, types_have_their_phases);
	return unit_run("backend", tc);
}
