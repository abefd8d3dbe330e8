#include "proto/startup.h"

#include "bytes.h"

#define KEY_OF_4 "\xde\xad\xbe\xef"

static uint8_t packet[2 * STARTUP_LEN_MAX];

/* Read all of what was built. */
static enum status read_built(const struct wr *w, struct startup *s)
{
	uint32_t len = 0;
	enum status st = startup_read(w->buf, w->len, s, &len);

	if (st == OK)
		ck_assert_uint_eq(len, w->len);
	return st;
}

/* A StartupMessage of these pairs: name, value, …, NULL. */
static struct startup message(uint32_t version, const char *const *pairs)
{
	struct wr w = wr_of(packet, sizeof packet);
	size_t mark = startup_begin(&w, version);
	struct startup s;

	for (; *pairs != NULL; pairs += 2)
		startup_put_param(&w, pairs[0], pairs[1]);
	startup_end(&w, mark);
	ck_assert(!w.bad);
	ck_assert_int_eq(read_built(&w, &s), OK);
	ck_assert_int_eq(s.kind, STARTUP_MESSAGE);
	return s;
}

#define MESSAGE(...) message(STARTUP_V3_0, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(message_names_user_and_database)
{
	struct startup s = MESSAGE("user", "alice", "database", "shop", "options", "-c a=b");

	ck_assert_uint_eq(startup_major(&s), 3);
	ck_assert_uint_eq(startup_minor(&s), 0);
	ck_assert_str_eq(s.user, "alice");
	ck_assert_str_eq(s.database, "shop");
	ck_assert_str_eq(s.options, "-c a=b");
	ck_assert_int_eq(s.replication, STARTUP_REPLICATION_OFF);
}
END_TEST

START_TEST(database_defaults_to_user)
{
	struct startup s = MESSAGE("user", "alice");

	ck_assert_str_eq(s.database, "alice");
	s = MESSAGE("database", "", "user", "alice");
	ck_assert_str_eq(s.database, "alice");
}
END_TEST

START_TEST(missing_strings_are_empty)
{
	struct startup s = MESSAGE("application_name", "x");

	ck_assert_str_eq(s.user, "");
	ck_assert_str_eq(s.database, "");
	ck_assert_str_eq(s.options, "");
	ck_assert_str_eq(s.replication_text, "");
}
END_TEST

START_TEST(last_of_a_repeated_name_counts)
{
	struct startup s = MESSAGE("user", "a", "user", "b", "database", "c", "database", "d");

	ck_assert_str_eq(s.user, "b");
	ck_assert_str_eq(s.database, "d");
}
END_TEST

START_TEST(replication_is_read_as_postgres_does)
{
	static const struct {
		const char *text;
		enum startup_replication want;
	} cases[] = {
		{"database", STARTUP_REPLICATION_DATABASE},
		{"DATABASE", STARTUP_REPLICATION_INVALID},
		{"true", STARTUP_REPLICATION_PHYSICAL},
		{"T", STARTUP_REPLICATION_PHYSICAL},
		{"yes", STARTUP_REPLICATION_PHYSICAL},
		{"oN", STARTUP_REPLICATION_PHYSICAL},
		{"1", STARTUP_REPLICATION_PHYSICAL},
		{"false", STARTUP_REPLICATION_OFF},
		{"n", STARTUP_REPLICATION_OFF},
		{"of", STARTUP_REPLICATION_OFF},
		{"0", STARTUP_REPLICATION_OFF},
		{"o", STARTUP_REPLICATION_INVALID},
		{"", STARTUP_REPLICATION_INVALID},
		{"2", STARTUP_REPLICATION_INVALID},
		{"truer", STARTUP_REPLICATION_INVALID},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct startup s = MESSAGE("user", "a", "replication", cases[i].text);

		ck_assert_msg(s.replication == cases[i].want, "%s", cases[i].text);
		ck_assert_str_eq(s.replication_text, cases[i].text);
	}
}
END_TEST

START_TEST(parameters_come_in_order_with_their_kind)
{
	struct startup s = MESSAGE("user", "a", "DateStyle", "ISO", "_pq_.x", "1", "app.v", "",
		"replication", "off", "_pq_", "2");
	static const char *const names[] = {
		"user", "DateStyle", "_pq_.x", "app.v", "replication", "_pq_"};
	static const enum startup_param_kind kinds[] = {STARTUP_PARAM_LOGIN, STARTUP_PARAM_SETTING,
		STARTUP_PARAM_PQ, STARTUP_PARAM_SETTING, STARTUP_PARAM_LOGIN,
		STARTUP_PARAM_SETTING};
	struct rd it = s.params;
	struct startup_param p;

	for (size_t i = 0; i < 6; i++) {
		ck_assert(startup_param_next(&it, &p));
		ck_assert_str_eq(p.name, names[i]);
		ck_assert_int_eq(p.kind, kinds[i]);
	}
	ck_assert_str_eq(p.value, "2");
	ck_assert(!startup_param_next(&it, &p));
	ck_assert(!startup_param_next(&it, &p));
	ck_assert_uint_eq(s.n_pq, 1);
}
END_TEST

START_TEST(incomplete_packet_waits_for_the_rest)
{
	static const uint8_t p[] = "\0\0\0\x10\0\3\0\0user\0a\0";
	struct startup s;
	uint32_t len;

	for (size_t n = 0; n < 16; n++)
		ck_assert_int_eq(startup_read(p, n, &s, &len), E_AGAIN);
	ck_assert_int_eq(startup_read(p, 16, &s, &len), OK);
}
END_TEST

START_TEST(bytes_after_the_packet_are_left)
{
	struct startup s;
	uint32_t len;

	ck_assert_int_eq(
		startup_read(BYTES("\0\0\0\x8\x04\xd2\x16\x2f\x16\x03\x01"), &s, &len), OK);
	ck_assert_int_eq(s.kind, STARTUP_SSL_REQUEST);
	ck_assert_uint_eq(len, 8);
}
END_TEST

START_TEST(layout_must_be_exact)
{
	static const struct {
		const char *body;
		size_t len;
		enum status want;
	} cases[] = {
		{"", 0, E_PROTO},
		{"\0", 1, OK},
		{"\0\0", 2, E_PROTO},
		{"user", 4, E_PROTO},
		{"user\0", 5, E_PROTO},
		{"user\0a", 6, E_PROTO},
		{"user\0a\0", 7, E_PROTO},
		{"user\0a\0\0", 8, OK},
		{"user\0a\0\0x", 9, E_PROTO},
		{"user\0a\0\0b\0c\0\0", 13, E_PROTO},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wr w = wr_of(packet, sizeof packet);
		size_t mark = startup_begin(&w, STARTUP_V3_0);
		struct startup s;

		wr_bytes(&w, cases[i].body, cases[i].len);
		wr_end(&w, mark);
		ck_assert_msg(read_built(&w, &s) == cases[i].want, "case %zu", i);
	}
}
END_TEST

START_TEST(requests_are_told_apart)
{
	struct startup s;
	uint32_t len;

	ck_assert_int_eq(startup_read(BYTES("\0\0\0\x8\x04\xd2\x16\x30"), &s, &len), OK);
	ck_assert_int_eq(s.kind, STARTUP_GSSENC_REQUEST);
	ck_assert_int_eq(startup_read(BYTES("\0\0\0\x9\x04\xd2\x16\x30x"), &s, &len), E_PROTO);
	ck_assert_int_eq(startup_read(BYTES("\0\0\0\x9\x04\xd2\x16\x2fx"), &s, &len), E_PROTO);
	ck_assert_int_eq(startup_read(BYTES("\0\0\0\x8\x04\xd2\x16\x31"), &s, &len), E_INVALID);
}
END_TEST

START_TEST(other_major_versions_are_told)
{
	struct startup_param p;
	struct startup s;
	uint32_t len;

	ck_assert_int_eq(startup_read(BYTES("\0\0\0\x8\0\2\0\0"), &s, &len), E_INVALID);
	ck_assert_uint_eq(s.version, 0x20000);
	ck_assert_int_eq(startup_read(BYTES("\0\0\0\x8\0\4\0\7"), &s, &len), E_INVALID);
	ck_assert_uint_eq(startup_major(&s), 4);
	ck_assert_uint_eq(startup_minor(&s), 7);
	ck_assert_str_eq(s.user, "");
	ck_assert(!startup_param_next(&s.params, &p));
}
END_TEST

START_TEST(length_of_a_packet_is_bounded)
{
	static const struct {
		uint32_t len;
		enum status want;
	} cases[] = {{0, E_PROTO}, {3, E_PROTO}, {7, E_PROTO}, {8, OK}, {9, OK},
		{STARTUP_LEN_MAX - 1, OK}, {STARTUP_LEN_MAX, OK}, {STARTUP_LEN_MAX + 1, E_LIMIT},
		{10 * STARTUP_LEN_MAX, E_LIMIT}, {0x80000000u, E_LIMIT}, {UINT32_MAX, E_LIMIT}};
	uint8_t head[4];
	uint32_t len;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wr w = wr_of(head, sizeof head);

		wr_u32(&w, cases[i].len);
		for (size_t n = 0; n < 4; n++)
			ck_assert_int_eq(startup_peek(head, n, &len), E_AGAIN);
		ck_assert_int_eq(startup_peek(head, 4, &len), cases[i].want);
		if (cases[i].want == OK)
			ck_assert_uint_eq(len, cases[i].len);
	}
}
END_TEST

START_TEST(other_protocols_end_at_the_length)
{
	uint32_t len;

	ck_assert_int_eq(startup_peek(BYTES("GET / HTTP/1.1\r\n"), &len), E_LIMIT);
	ck_assert_int_eq(startup_peek(BYTES("\x16\x03\x01\x02\x00\x01"), &len), E_LIMIT);
}
END_TEST

/* A message whose length field is `len`: one long value. */
static enum status message_of_len(uint32_t len, struct startup *s)
{
	struct wr w = wr_of(packet, sizeof packet);
	size_t mark = startup_begin(&w, STARTUP_V3_0);

	wr_cstr(&w, "user");
	while (w.len < len - 2)
		wr_u8(&w, 'u');
	wr_u8(&w, 0);
	wr_u8(&w, 0);
	wr_end(&w, mark);
	return read_built(&w, s);
}

START_TEST(names_may_fill_the_packet_but_not_more)
{
	struct startup s;

	ck_assert_int_eq(message_of_len(STARTUP_LEN_MAX - 1, &s), OK);
	ck_assert_int_eq(message_of_len(STARTUP_LEN_MAX, &s), OK);
	ck_assert_uint_eq(strlen(s.user), STARTUP_LEN_MAX - 8 - 5 - 2);
	ck_assert_int_eq(message_of_len(STARTUP_LEN_MAX + 1, &s), E_LIMIT);
}
END_TEST

START_TEST(cancel_carries_a_key_of_4_to_256_bytes)
{
	static const struct {
		uint32_t key_len;
		enum status want;
	} cases[] = {{0, E_PROTO}, {3, E_PROTO}, {4, OK}, {5, OK}, {32, OK}, {255, OK}, {256, OK},
		{257, E_PROTO}, {2560, E_PROTO}};
	uint8_t key[2560];
	struct startup s;

	memset(key, 'k', sizeof key);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wr w = wr_of(packet, sizeof packet);
		size_t mark = startup_begin(&w, STARTUP_VERSION(1234, 5678));

		wr_u32(&w, 0xfffefdfc);
		wr_bytes(&w, key, cases[i].key_len);
		wr_end(&w, mark);
		ck_assert_int_eq(read_built(&w, &s), cases[i].want);
		if (cases[i].want != OK)
			continue;
		ck_assert_int_eq(s.kind, STARTUP_CANCEL_REQUEST);
		ck_assert_uint_eq(s.cancel_pid, 0xfffefdfc);
		ck_assert_uint_eq(s.cancel_key_len, cases[i].key_len);
		ck_assert_mem_eq(s.cancel_key, key, s.cancel_key_len);
	}
}
END_TEST

START_TEST(cancel_without_a_pid_is_refused)
{
	struct startup s;
	uint32_t len;

	ck_assert_int_eq(startup_read(BYTES("\0\0\0\xa\x04\xd2\x16\x2e\0\0"), &s, &len), E_PROTO);
}
END_TEST

START_TEST(requests_are_built_as_the_manual_says)
{
	struct wr w = wr_of(packet, sizeof packet);

	startup_put_ssl_request(&w);
	startup_put_cancel(&w, 0x01020304, (const uint8_t *)KEY_OF_4, 4);
	ck_written(w, "\0\0\0\x8\x04\xd2\x16\x2f\0\0\0\x10\x04\xd2\x16\x2e\1\2\3\4" KEY_OF_4);
}
END_TEST

START_TEST(built_message_is_exact)
{
	struct wr w = wr_of(packet, sizeof packet);
	size_t mark = startup_begin(&w, STARTUP_V3_2);

	startup_put_param(&w, "user", "u");
	startup_end(&w, mark);
	ck_written(w, "\0\0\0\x10\0\3\0\2user\0u\0\0");
}
END_TEST

START_TEST(built_message_is_bounded)
{
	static char value[STARTUP_LEN_MAX];
	struct wr w = wr_of(packet, sizeof packet);
	size_t mark = startup_begin(&w, STARTUP_V3_0);

	memset(value, 'v', STARTUP_LEN_MAX - 8 - 2 - 1 - 1);
	startup_put_param(&w, "n", value);
	startup_end(&w, mark);
	ck_assert(!w.bad);
	ck_assert_uint_eq(w.len, STARTUP_LEN_MAX);

	strcat(value, "v");
	w = wr_of(packet, sizeof packet);
	mark = startup_begin(&w, STARTUP_V3_0);
	startup_put_param(&w, "n", value);
	startup_end(&w, mark);
	ck_assert(w.bad);
}
END_TEST

START_TEST(empty_name_would_end_the_list_and_is_refused)
{
	struct wr w = wr_of(packet, sizeof packet);
	size_t mark = startup_begin(&w, STARTUP_V3_0);

	startup_put_param(&w, "", "v");
	startup_end(&w, mark);
	ck_assert(w.bad);
}
END_TEST

START_TEST(message_after_other_bytes_has_its_own_length)
{
	struct wr w = wr_of(packet, sizeof packet);
	size_t mark;

	startup_put_ssl_request(&w);
	mark = startup_begin(&w, STARTUP_V3_0);
	startup_end(&w, mark);
	ck_written(w, "\0\0\0\x8\x04\xd2\x16\x2f\0\0\0\x9\0\3\0\0\0");
}
END_TEST

START_TEST(newer_minor_or_pq_option_needs_negotiation)
{
	const char *const plain[] = {"user", "a", NULL};
	const char *const with_pq[] = {"user", "a", "_pq_.b", "1", "x", "y", "_pq_.c", "2", NULL};
	struct startup s = message(STARTUP_V3_0, plain);
	struct wr w;
	uint8_t buf[64];

	ck_assert(!startup_needs_negotiation(&s, STARTUP_V3_0));
	ck_assert(!startup_needs_negotiation(&s, STARTUP_V3_2));

	s = message(STARTUP_VERSION(3, 9999), plain);
	ck_assert(startup_needs_negotiation(&s, STARTUP_V3_2));
	w = wr_of(buf, sizeof buf);
	startup_put_negotiation(&w, &s, STARTUP_V3_2);
	ck_written(w, "v\0\0\0\x0c\0\3\0\2\0\0\0\0");

	s = message(STARTUP_V3_0, with_pq);
	ck_assert(startup_needs_negotiation(&s, STARTUP_V3_2));
	w = wr_of(buf, sizeof buf);
	startup_put_negotiation(&w, &s, STARTUP_V3_2); /* never above what was asked for */
	ck_written(w, "v\0\0\0\x1a\0\3\0\0\0\0\0\2_pq_.b\0_pq_.c\0");
}
END_TEST

START_TEST(key_of_our_own_out_of_bounds_is_a_bug)
{
	struct wr w = wr_of(packet, sizeof packet);

	startup_put_cancel(&w, 1, (const uint8_t *)"abc", 3);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("startup");

	tcase_add_test(tc, message_names_user_and_database);
	tcase_add_test(tc, database_defaults_to_user);
	tcase_add_test(tc, missing_strings_are_empty);
	tcase_add_test(tc, last_of_a_repeated_name_counts);
	tcase_add_test(tc, replication_is_read_as_postgres_does);
	tcase_add_test(tc, parameters_come_in_order_with_their_kind);
	tcase_add_test(tc, incomplete_packet_waits_for_the_rest);
	tcase_add_test(tc, bytes_after_the_packet_are_left);
	tcase_add_test(tc, layout_must_be_exact);
	tcase_add_test(tc, requests_are_told_apart);
	tcase_add_test(tc, other_major_versions_are_told);
	tcase_add_test(tc, length_of_a_packet_is_bounded);
	tcase_add_test(tc, other_protocols_end_at_the_length);
	tcase_add_test(tc, names_may_fill_the_packet_but_not_more);
	tcase_add_test(tc, cancel_carries_a_key_of_4_to_256_bytes);
	tcase_add_test(tc, cancel_without_a_pid_is_refused);
	tcase_add_test(tc, requests_are_built_as_the_manual_says);
	tcase_add_test(tc, built_message_is_exact);
	tcase_add_test(tc, built_message_is_bounded);
	tcase_add_test(tc, empty_name_would_end_the_list_and_is_refused);
	tcase_add_test(tc, message_after_other_bytes_has_its_own_length);
	tcase_add_test(tc, newer_minor_or_pq_option_needs_negotiation);
	tcase_add_test_raise_signal(tc, key_of_our_own_out_of_bounds_is_a_bug, SIGABRT);
	return unit_run("startup", tc);
}
