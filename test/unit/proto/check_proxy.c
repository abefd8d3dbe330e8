#include "proto/proxy.h"

#include <string.h>

#include "../unit.h"

static struct proxy_header h;

static enum status text(const char *s)
{
	return proxy_read((const uint8_t *)s, strlen(s), &h);
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define TCP4                \
	V2 "\x21\x11\0\x0c" \
	   "\x0a\x01\x02\x03\x0a\0\0\x01\x9c\x40\x15\x38"

static enum status bytes(const char *s, size_t len)
{
	return proxy_read((const uint8_t *)s, len, &h);
}

/* A literal without the NUL at its end. */
#define read_bytes(s) bytes(s, sizeof(s) - 1)

START_TEST(text_header_names_the_client)
{
	static const uint8_t v4[4] = {10, 1, 2, 3}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 7};

	ck_assert_int_eq(text("PROXY TCP4 10.1.2.3 10.0.0.1 40000 5432\r\nrest"), OK);
	ck_assert_int_eq(h.kind, PROXY_TCP4);
	ck_assert_int_eq(memcmp(h.source, v4, 4), 0);
	ck_assert_uint_eq(h.source_port, 40000);
	ck_assert_uint_eq(h.len, strlen("PROXY TCP4 10.1.2.3 10.0.0.1 40000 5432\r\n"));
	ck_assert_int_eq(text("PROXY TCP6 2001:db8::7 ::1 65535 0\r\n"), OK);
	ck_assert_int_eq(h.kind, PROXY_TCP6);
	ck_assert_int_eq(memcmp(h.source, v6, 16), 0);
	ck_assert_int_eq(text("PROXY UNKNOWN\r\n"), OK);
	ck_assert_int_eq(h.kind, PROXY_OWN);
	ck_assert_int_eq(text("PROXY UNKNOWN whatever it says\r\n"), OK);
	ck_assert_int_eq(h.kind, PROXY_OWN);
}
END_TEST

START_TEST(wrong_text_headers_are_refused)
{
	static const char *const wrong[] = {"PROXY \r\n", "PROXY \n",
		"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
		"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
		"PROXY TCP4 1.1.1.1 1.1.1.1 99999999999999999999 1\r\n",
		"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
		"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 x\r\n", "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
		"PROXY TCP4 ::1 ::1 1 1\r\n", "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
		"PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n",
		"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", "PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n"};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_msg(text(wrong[i]) == E_PROTO, "%s", wrong[i]);
}
END_TEST

START_TEST(the_longest_text_header_is_read_and_no_longer_one)
{
	char line[PROXY_V1_MAX + 2];

	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY UNKNOWN ", 14);
	line[PROXY_V1_MAX] = '\0';
	ck_assert_int_eq(text(line), E_LIMIT);
	line[PROXY_V1_MAX - 1] = '\0';
	ck_assert_int_eq(text(line), E_AGAIN);
	memcpy(line + PROXY_V1_MAX - 2, "\r\n", 3);
	ck_assert_int_eq(text(line), OK);
	ck_assert_uint_eq(h.len, PROXY_V1_MAX);
}
END_TEST

START_TEST(binary_header_names_the_client)
{
	static const uint8_t v4[4] = {10, 1, 2, 3};

	ck_assert_int_eq(read_bytes(TCP4 "rest"), OK);
	ck_assert_int_eq(h.kind, PROXY_TCP4);
	ck_assert_int_eq(memcmp(h.source, v4, 4), 0);
	ck_assert_uint_eq(h.source_port, 40000);
	ck_assert_uint_eq(h.len, 28);
	ck_assert_int_eq(read_bytes(V2 "\x21\x21\0\x24"
				       "AAAAAAAAAAAAAAAA"
				       "BBBBBBBBBBBBBBBB"
				       "\0\x01\0\x02"),
		OK);
	ck_assert_int_eq(h.kind, PROXY_TCP6);
	ck_assert_int_eq(memcmp(h.source, "AAAAAAAAAAAAAAAA", 16), 0);
	ck_assert_uint_eq(h.source_port, 1);
}
END_TEST

START_TEST(a_proxys_own_connection_keeps_its_address)
{
	ck_assert_int_eq(read_bytes(V2 "\x20\0\0\0"), OK);
	ck_assert_int_eq(h.kind, PROXY_OWN);
	ck_assert_int_eq(read_bytes(V2 "\x20\x11\0\x03xyz"), OK);
	ck_assert_int_eq(h.kind, PROXY_OWN);
	ck_assert_uint_eq(h.len, 19);
	ck_assert_int_eq(read_bytes(V2 "\x21\0\0\0"), OK);
	ck_assert_int_eq(h.kind, PROXY_OWN);
}
END_TEST

START_TEST(what_follows_the_addresses_is_skipped_within_bounds)
{
	ck_assert_int_eq(read_bytes(V2 "\x21\x11\0\x11"
				       "ssssddddPPpp"
				       "\x04\0\x02"
				       "ab"),
		OK);
	ck_assert_int_eq(h.kind, PROXY_TCP4);
	ck_assert_uint_eq(h.len, 33);
	ck_assert_int_eq(read_bytes(V2 "\x21\x11\0\x11"
				       "ssssddddPPpp"
				       "\x04\0\x03"
				       "ab"),
		E_PROTO);
	ck_assert_int_eq(read_bytes(V2 "\x21\x11\0\x0e"
				       "ssssddddPPpp"
				       "\x04\0"),
		E_PROTO);
}
END_TEST

START_TEST(wrong_binary_headers_are_refused)
{
	ck_assert_int_eq(read_bytes(V2 "\x11\x11\0\x0c"), E_PROTO);
	ck_assert_int_eq(read_bytes(V2 "\x22\x11\0\x0c"), E_PROTO);
	ck_assert_int_eq(read_bytes(V2 "\x21\x12\0\x00"), E_PROTO);
	ck_assert_int_eq(read_bytes(V2 "\x21\x31\0\x01x"), E_PROTO);
	ck_assert_int_eq(read_bytes(V2 "\x21\x11\0\x0b"
				       "ssssddddPPp"),
		E_PROTO);
	ck_assert_int_eq(read_bytes(V2 "\x21\x11\x0f\xf1"), E_LIMIT);
	ck_assert_int_eq(read_bytes(V2 "\x21\x11\x0f\xf0"), E_AGAIN);
	ck_assert_int_eq(read_bytes(V2 "\x21\x11\xff\xff"), E_LIMIT);
}
END_TEST

START_TEST(every_part_of_a_header_is_incomplete)
{
	static const char v1[] = "PROXY TCP4 10.1.2.3 10.0.0.1 40000 5432\r\n";

	for (size_t i = 0; i < sizeof v1 - 1; i++)
		ck_assert_int_eq(bytes(v1, i), E_AGAIN);
	for (size_t i = 0; i < sizeof TCP4 - 1; i++)
		ck_assert_int_eq(bytes(TCP4, i), E_AGAIN);
}
END_TEST

START_TEST(other_bytes_begin_no_header)
{
	ck_assert_int_eq(read_bytes("\0\0\0\x08\x04\xd2\x16\x2f"), E_NOTFOUND);
	ck_assert_int_eq(read_bytes("\x16\x03\x01"), E_NOTFOUND);
	ck_assert_int_eq(read_bytes("PROXX"), E_NOTFOUND);
	ck_assert_int_eq(read_bytes("\r\n\r\n\r"), E_NOTFOUND);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("proxy");

	tcase_add_test(tc, text_header_names_the_client);
	tcase_add_test(tc, wrong_text_headers_are_refused);
	tcase_add_test(tc, the_longest_text_header_is_read_and_no_longer_one);
	tcase_add_test(tc, binary_header_names_the_client);
	tcase_add_test(tc, a_proxys_own_connection_keeps_its_address);
	tcase_add_test(tc, what_follows_the_addresses_is_skipped_within_bounds);
	tcase_add_test(tc, wrong_binary_headers_are_refused);
	tcase_add_test(tc, every_part_of_a_header_is_incomplete);
	tcase_add_test(tc, other_bytes_begin_no_header);
	return unit_run("proxy", tc);
}
