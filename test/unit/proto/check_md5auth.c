#include "proto/md5auth.h"

#include <signal.h>
#include <string.h>

#include "../unit.h"
#include "failing_crypto.h"

/* Computed with md5sum: md5("secret" "alice"), then md5(its digits + salt 01 02 03 04). */
#define HASH     "md54a0a68b43b6cd5cf266fa02f196e2371"
#define RESPONSE "md598a0412b9c31436fc53776e863350083"

static const uint8_t salt[] = {1, 2, 3, 4};

START_TEST(hash_is_that_of_pg_authid)
{
	struct md5auth h;

	ck_assert_int_eq(md5auth_hash("secret", "alice", &h), OK);
	ck_assert_str_eq(h.text, HASH);
	ck_assert(md5auth_is_hash(h.text));
}
END_TEST

START_TEST(response_covers_the_salt)
{
	struct md5auth r, s;

	ck_assert_int_eq(md5auth_response(HASH, salt, &r), OK);
	ck_assert_str_eq(r.text, RESPONSE);
	ck_assert_int_eq(md5auth_response(HASH, (const uint8_t *)"\1\2\3\5", &s), OK);
	ck_assert_str_ne(s.text, r.text);
}
END_TEST

START_TEST(hashes_are_told_from_passwords)
{
	ck_assert(!md5auth_is_hash(""));
	ck_assert(!md5auth_is_hash("md5"));
	ck_assert(!md5auth_is_hash("secret"));
	ck_assert(!md5auth_is_hash("md54a0a68b43b6cd5cf266fa02f196e237"));
	ck_assert(!md5auth_is_hash("md54a0a68b43b6cd5cf266fa02f196e2371a"));
	ck_assert(!md5auth_is_hash("md54a0a68b43b6cd5cf266fa02f196e237G"));
	ck_assert(!md5auth_is_hash("md54A0A68B43B6CD5CF266FA02F196E2371"));
	ck_assert(!md5auth_is_hash("MD54a0a68b43b6cd5cf266fa02f196e2371"));
}
END_TEST

START_TEST(only_the_whole_response_is_equal)
{
	struct md5auth r;
	char got[400];

	ck_assert_int_eq(md5auth_response(HASH, salt, &r), OK);
	ck_assert(md5auth_equal(&r, RESPONSE));
	ck_assert(!md5auth_equal(&r, ""));
	for (size_t i = 0; i < MD5AUTH_LEN; i++) {
		strcpy(got, RESPONSE);
		got[i] ^= 1;
		ck_assert(!md5auth_equal(&r, got));
		got[i] = '\0';
		ck_assert(!md5auth_equal(&r, got));
	}
	strcpy(got, RESPONSE "0");
	ck_assert(!md5auth_equal(&r, got));
	memset(got, '0', sizeof got - 1);
	got[sizeof got - 1] = '\0';
	ck_assert(!md5auth_equal(&r, got));
}
END_TEST

START_TEST(passwords_of_any_length_are_hashed)
{
	static const size_t lens[] = {0, 1, 1023, 1024, 1025, 10240};
	static char password[10241];
	struct md5auth h;

	memset(password, 'p', sizeof password);
	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		password[lens[i]] = '\0';
		ck_assert_int_eq(md5auth_hash(password, "u", &h), OK);
		ck_assert(md5auth_is_hash(h.text));
		password[lens[i]] = 'p';
	}
}
END_TEST

START_TEST(response_to_no_hash_is_a_bug)
{
	struct md5auth r;

	(void)!md5auth_response("secret", salt, &r);
}
END_TEST

START_TEST(without_openssl_there_is_no_hash)
{
	static const enum status want[] = {E_NOMEM, E_INVALID, E_INVALID, E_INVALID, E_INVALID, OK};
	struct md5auth h;

	for (long n = 0; n < 6; n++) {
		enum status st;

		failing_crypto_after(n);
		st = md5auth_hash("secret", "alice", &h);
		failing_crypto_after(-1);
		ck_assert_int_eq(st, want[n]);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("md5auth");

	tcase_add_test(tc, hash_is_that_of_pg_authid);
	tcase_add_test(tc, response_covers_the_salt);
	tcase_add_test(tc, hashes_are_told_from_passwords);
	tcase_add_test(tc, only_the_whole_response_is_equal);
	tcase_add_test(tc, passwords_of_any_length_are_hashed);
	tcase_add_test_raise_signal(tc, response_to_no_hash_is_a_bug, SIGABRT);
	tcase_add_test(tc, without_openssl_there_is_no_hash);
	return unit_run("md5auth", tc);
}
