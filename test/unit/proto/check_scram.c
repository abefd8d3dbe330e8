#include "proto/scram.h"

#include <pthread.h>
#include <stdio.h>

#include "failing_crypto.h"
#include "scram_vector.h"

START_TEST(keys_of_the_rfc_example)
{
	struct scram_keys k = vector_keys();

	ck_assert_mem_eq(k.client_key,
		"\xa6\x0f\xc9\x23\xd6\x7e\x86\x44\xa9\x2d\x16\xb9\x6e\xda\x5e\xf4"
		"\x65\x6b\x0c\x72\x5c\x48\x43\x74\xbe\x25\x53\x55\x76\x99\x6e\x8b",
		SCRAM_KEY_LEN);
	ck_assert_mem_eq(k.server_key,
		"\xc1\xf3\xcb\xc1\xc1\x3a\x9d\x35\xa1\x4c\x09\x90\xee\xd9\x76\x29"
		"\xea\x22\x58\x63\xe5\x66\xa4\x31\x4a\xb9\x9f\x3f\x00\xe5\xd9\xd5",
		SCRAM_KEY_LEN);
}
END_TEST

START_TEST(verifier_is_read_and_written)
{
	struct scram_verifier v = vector_verifier();
	char text[SCRAM_VERIFIER_MAX];
	struct wr w = wr_of(text, sizeof text);

	ck_assert_uint_eq(v.salt.iterations, 4096);
	ck_assert_uint_eq(v.salt.len, 16);
	ck_assert(!v.mock);
	scram_verifier_put(&w, &v);
	ck_assert(!w.bad);
	ck_assert_str_eq(text, VECTOR_VERIFIER);
}
END_TEST

START_TEST(verifier_of_a_password_is_the_one_that_accepts_it)
{
	struct scram_verifier v = vector_verifier(), made;
	struct scram_keys keys;

	ck_assert_int_eq(scram_derive("pencil", &v.salt, &keys), OK);
	ck_assert_int_eq(scram_verifier_of(&keys, &v.salt, &made), OK);
	ck_assert_mem_eq(made.stored_key, v.stored_key, SCRAM_KEY_LEN);
	ck_assert_mem_eq(made.server_key, v.server_key, SCRAM_KEY_LEN);
	ck_assert(scram_salt_equal(&made.salt, &v.salt));
	ck_assert(scram_verifier_accepts(&v, &keys));
	ck_assert_int_eq(scram_derive("pencil ", &v.salt, &keys), OK);
	ck_assert(!scram_verifier_accepts(&v, &keys));
}
END_TEST

#define SALT   "AA=="
#define KEY_A  "TSwoWW43DY0d5IdmvbLZUpo+v2uSbBdNKpIfKw3oIQc="
#define KEY_B  "g65aodMI0TfNS+ufmV5Z2DpP7jbgkL+zdL/kMCJEd9Q="
#define KEY_31 "TSwoWW43DY0d5IdmvbLZUpo+v2uSbBdNKpIfKw3oIQ=="
#define KEY_33 "TSwoWW43DY0d5IdmvbLZUpo+v2uSbBdNKpIfKw3oIQcA"

START_TEST(other_secrets_are_no_verifier)
{
	static const char *const others[] = {"", "secret", "md54a0a68b43b6cd5cf266fa02f196e2371",
		"SCRAM-SHA-256", "SCRAM-SHA-1$1:" SALT "$" KEY_A ":" KEY_B,
		"scram-sha-256$1:" SALT "$" KEY_A ":" KEY_B};
	struct scram_verifier v;

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_int_eq(scram_verifier_read(others[i], &v), E_NOTFOUND);
}
END_TEST

START_TEST(malformed_verifier_is_refused)
{
	static const char *const bad[] = {"", "1", "1:", "1:" SALT, "1:" SALT "$" KEY_A,
		"1:" SALT "$" KEY_A ":", "1:" SALT ":" KEY_A ":" KEY_B,
		"1:" SALT "$" KEY_A "$" KEY_B, ":" SALT "$" KEY_A ":" KEY_B,
		"0:" SALT "$" KEY_A ":" KEY_B, "-1:" SALT "$" KEY_A ":" KEY_B,
		"+1:" SALT "$" KEY_A ":" KEY_B, "01:" SALT "$" KEY_A ":" KEY_B,
		"1 :" SALT "$" KEY_A ":" KEY_B, "1:$" KEY_A ":" KEY_B, "1:AA$" KEY_A ":" KEY_B,
		"1:" SALT "$" KEY_31 ":" KEY_B, "1:" SALT "$" KEY_33 ":" KEY_B,
		"1:" SALT "$" KEY_A ":" KEY_31, "1:" SALT "$" KEY_A ":" KEY_33,
		"1:" SALT "$" KEY_A ":" KEY_B " ", "1:" SALT "$" KEY_A ":" KEY_B "$"};
	struct scram_verifier v;
	char text[256];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "SCRAM-SHA-256$%s", bad[i]);
		ck_assert_msg(scram_verifier_read(text, &v) == E_PROTO, "%s", text);
	}
}
END_TEST

static enum status read_iterations(const char *iterations)
{
	struct scram_verifier v;
	char text[512];

	snprintf(text, sizeof text, "SCRAM-SHA-256$%s:" SALT "$" KEY_A ":" KEY_B, iterations);
	return scram_verifier_read(text, &v);
}

START_TEST(iterations_of_a_verifier_are_bounded)
{
	ck_assert_int_eq(read_iterations("1"), OK);
	ck_assert_int_eq(read_iterations("100001"), OK);
	ck_assert_int_eq(read_iterations("2147483646"), OK);
	ck_assert_int_eq(read_iterations("2147483647"), OK);
	ck_assert_int_eq(read_iterations("2147483648"), E_LIMIT);
	ck_assert_int_eq(read_iterations("21474836470"), E_LIMIT);
	ck_assert_int_eq(read_iterations("4294967297"), E_LIMIT);           /* 1 modulo 2^32 */
	ck_assert_int_eq(read_iterations("18446744073709551617"), E_LIMIT); /* 1 modulo 2^64 */
	ck_assert_int_eq(read_iterations("1000000000000000000000000000000000000000"), E_LIMIT);
}
END_TEST

START_TEST(salt_of_a_verifier_is_bounded)
{
	static const struct {
		size_t len;
		enum status want;
	} cases[] = {{1, OK}, {SCRAM_SALT_MAX - 1, OK}, {SCRAM_SALT_MAX, OK},
		{SCRAM_SALT_MAX + 1, E_LIMIT}, {10 * SCRAM_SALT_MAX, E_LIMIT}};
	static uint8_t salt[10 * SCRAM_SALT_MAX];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[4096], again[SCRAM_VERIFIER_MAX];
		struct wr w = wr_of(text, sizeof text);
		struct scram_verifier v;

		wr_str(&w, "SCRAM-SHA-256$2147483647:");
		base64_put(&w, salt, cases[i].len);
		wr_cstr(&w, "$" KEY_A ":" KEY_B);
		ck_assert_int_eq(scram_verifier_read(text, &v), cases[i].want);
		if (cases[i].want != OK)
			continue;
		ck_assert_uint_eq(v.salt.len, cases[i].len);
		w = wr_of(again, sizeof again);
		scram_verifier_put(&w, &v);
		ck_assert(!w.bad);
		ck_assert_str_eq(again, text);
	}
}
END_TEST

START_TEST(password_is_bounded)
{
	static const struct {
		size_t len;
		enum status want;
	} cases[] = {{0, OK}, {1023, OK}, {1024, OK}, {1025, OK}, {SCRAM_PASSWORD_MAX - 1, OK},
		{SCRAM_PASSWORD_MAX, OK}, {SCRAM_PASSWORD_MAX + 1, E_LIMIT},
		{10 * SCRAM_PASSWORD_MAX, E_LIMIT}};
	static char password[10 * SCRAM_PASSWORD_MAX + 1];
	struct scram_salt salt = {.iterations = 1, .len = 1};
	struct scram_keys out;

	memset(password, 'p', sizeof password);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		password[cases[i].len] = '\0';
		ck_assert_int_eq(scram_derive(password, &salt, &out), cases[i].want);
		password[cases[i].len] = 'p';
	}
}
END_TEST

START_TEST(empty_password_has_its_verifier)
{
	struct scram_salt salt = {.iterations = 1, .len = 1, .bytes = {0}};
	char text[SCRAM_VERIFIER_MAX];
	struct wr w = wr_of(text, sizeof text);
	struct scram_keys keys;
	struct scram_verifier v;

	ck_assert_int_eq(scram_derive("", &salt, &keys), OK);
	ck_assert_int_eq(scram_verifier_of(&keys, &salt, &v), OK);
	scram_verifier_put(&w, &v);
	ck_assert_str_eq(text, "SCRAM-SHA-256$1:" SALT "$" KEY_A ":" KEY_B);
}
END_TEST

START_TEST(too_many_iterations_are_not_even_begun)
{
	struct scram_salt salt = {.iterations = SCRAM_ITERATIONS_TOP + 1u, .len = 1};
	struct scram_keys out;

	ck_assert_int_eq(scram_derive("p", &salt, &out), E_LIMIT);
}
END_TEST

START_TEST(salts_are_equal_in_all_or_not)
{
	struct scram_salt a = vector_verifier().salt, b = a;

	ck_assert(scram_salt_equal(&a, &b));
	b.iterations++;
	ck_assert(!scram_salt_equal(&a, &b));
	b = a;
	b.len--;
	ck_assert(!scram_salt_equal(&a, &b));
	b = a;
	b.bytes[15] ^= 1;
	ck_assert(!scram_salt_equal(&a, &b));
	b = a;
	b.bytes[16] ^= 1; /* behind the salt */
	ck_assert(scram_salt_equal(&a, &b));
}
END_TEST

START_TEST(mock_salt_is_stable_per_name_and_secret)
{
	uint8_t secret[SCRAM_KEY_LEN] = {1, [16] = 2}, other_secret[SCRAM_KEY_LEN] = {2};
	struct scram_verifier a, b;

	scram_verifier_mock(secret, "alice", 4096, &a);
	ck_assert(a.mock);
	ck_assert_uint_eq(a.salt.len, SCRAM_SALT_LEN);
	ck_assert_uint_eq(a.salt.iterations, 4096);
	ck_assert_int_ne(memcmp(a.salt.bytes, a.salt.bytes + 8, 8), 0); /* two keys, two halves */
	scram_verifier_mock(secret, "alice", 4096, &b);
	ck_assert(scram_salt_equal(&a.salt, &b.salt));
	scram_verifier_mock(secret, "bob", 4096, &b);
	ck_assert(!scram_salt_equal(&a.salt, &b.salt));
	scram_verifier_mock(other_secret, "alice", 4096, &b);
	ck_assert(!scram_salt_equal(&a.salt, &b.salt));
}
END_TEST

START_TEST(mock_accepts_nothing)
{
	struct scram_keys keys = {.client_key = {0}};
	struct scram_verifier v;
	struct scram_salt salt = {.iterations = 1, .len = 1};

	ck_assert_int_eq(scram_verifier_of(&keys, &salt, &v), OK);
	ck_assert(scram_verifier_accepts(&v, &keys));
	v.mock = true;
	ck_assert(!scram_verifier_accepts(&v, &keys));
}
END_TEST

START_TEST(wiped_is_zero)
{
	uint8_t key[SCRAM_KEY_LEN], zero[SCRAM_KEY_LEN] = {0};

	memset(key, 'k', sizeof key);
	scram_wipe(key, sizeof key);
	ck_assert_mem_eq(key, zero, sizeof key);
}
END_TEST

/* A thread of its own has looked nothing up yet. */
static void *derive(void *arg)
{
	struct scram_salt salt = vector_verifier().salt;
	struct scram_keys keys;
	enum status *st = arg;

	*st = scram_derive("p", &salt, &keys);
	return NULL;
}

static enum status derive_elsewhere(void)
{
	enum status st = OK;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, derive, &st), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	return st;
}

START_TEST(without_openssl_there_are_no_keys)
{
	struct scram_salt salt = vector_verifier().salt;
	struct scram_keys keys = {.client_key = {0}};
	struct scram_verifier v;

	for (long n = 0; n < 6; n++) { /* PBKDF2, three to look up, HMAC for each key */
		failing_crypto_after(n);
		ck_assert_int_eq(derive_elsewhere(), E_NOMEM);
	}
	failing_crypto_after(6);
	ck_assert_int_eq(derive_elsewhere(), OK);
	failing_crypto_after(-1);
	ck_assert_int_eq(scram_derive("p", &salt, &keys), OK);
	for (long n = 0; n < 3; n++) {
		failing_crypto_after(n);
		ck_assert_int_eq(scram_verifier_of(&keys, &salt, &v), E_NOMEM);
	}
	failing_crypto_after(-1);
	ck_assert_int_eq(scram_verifier_of(&keys, &salt, &v), OK);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("scram");

	tcase_add_test(tc, keys_of_the_rfc_example);
	tcase_add_test(tc, verifier_is_read_and_written);
	tcase_add_test(tc, verifier_of_a_password_is_the_one_that_accepts_it);
	tcase_add_test(tc, other_secrets_are_no_verifier);
	tcase_add_test(tc, malformed_verifier_is_refused);
	tcase_add_test(tc, iterations_of_a_verifier_are_bounded);
	tcase_add_test(tc, salt_of_a_verifier_is_bounded);
	tcase_add_test(tc, password_is_bounded);
	tcase_add_test(tc, empty_password_has_its_verifier);
	tcase_add_test(tc, too_many_iterations_are_not_even_begun);
	tcase_add_test(tc, salts_are_equal_in_all_or_not);
	tcase_add_test(tc, mock_salt_is_stable_per_name_and_secret);
	tcase_add_test(tc, mock_accepts_nothing);
	tcase_add_test(tc, wiped_is_zero);
	tcase_add_test(tc, without_openssl_there_are_no_keys);
	return unit_run("scram", tc);
}
