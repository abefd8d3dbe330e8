#include "worker/keys.h"

#include <stdio.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"
#include "worker/ask.h"

static const struct hash_key key = {3, 4};
static struct keys *k;

static void begin(void)
{
	ck_assert_int_eq(keys_new(&key, &k), OK);
}

static void end(void)
{
	keys_free(k);
}

static struct scram_salt salt_of(unsigned n)
{
	struct scram_salt s = {.iterations = 4096, .len = 16};

	memcpy(s.bytes, &n, sizeof n);
	return s;
}

static void put(const char *password, unsigned salt, uint8_t value)
{
	struct scram_salt s = salt_of(salt);
	struct scram_keys keys;

	memset(&keys, value, sizeof keys);
	keys_put(k, password, &s, &keys);
}

/* The first byte of what is known, or -1. */
static int find(const char *password, unsigned salt)
{
	struct scram_salt s = salt_of(salt);
	struct scram_keys keys;

	if (!keys_find(k, password, &s, &keys))
		return -1;
	unit_check(keys.server_key[SCRAM_KEY_LEN - 1] == keys.client_key[0]);
	return keys.client_key[0];
}

START_TEST(found_by_password_and_salt)
{
	struct scram_salt s = salt_of(1);
	struct scram_keys keys;

	put("secret", 1, 10);
	put("secret", 2, 20);
	put("other", 1, 30);
	ck_assert_int_eq(find("secret", 1), 10);
	ck_assert_int_eq(find("secret", 2), 20);
	ck_assert_int_eq(find("other", 1), 30);
	ck_assert_int_eq(find("other", 2), -1);
	ck_assert_int_eq(find("secret ", 1), -1);
	s.iterations++;
	ck_assert(!keys_find(k, "secret", &s, &keys));
}
END_TEST

START_TEST(first_result_stays)
{
	put("secret", 1, 10);
	put("secret", 1, 11);
	ck_assert_int_eq(find("secret", 1), 10);
}
END_TEST

START_TEST(least_recently_used_goes_first)
{
	for (unsigned i = 0; i < KEYS_MAX; i++)
		put("secret", i, (uint8_t)i);
	ck_assert_int_eq(find("secret", 0), 0); /* used: 1 is the oldest now */
	put("secret", KEYS_MAX, 7);
	ck_assert_int_eq(find("secret", 1), -1);
	ck_assert_int_eq(find("secret", 0), 0);
	ck_assert_int_eq(find("secret", 2), 2);
	ck_assert_int_eq(find("secret", KEYS_MAX), 7);
}
END_TEST

START_TEST(answer_of_a_helper_is_remembered)
{
	static struct ask_derive d;
	struct scram_salt s = salt_of(5);

	d.iterations = s.iterations;
	d.salt_len = s.len;
	memcpy(d.salt, s.bytes, s.len);
	memset(&d.keys, 50, sizeof d.keys);
	snprintf(d.password, sizeof d.password, "secret");
	d.status = E_LIMIT;
	keys_take(k, &d);
	ck_assert_int_eq(find("secret", 5), -1);
	d.status = OK;
	keys_take(k, &d);
	ck_assert_int_eq(find("secret", 5), 50);
}
END_TEST

START_TEST(without_memory_nothing_is_remembered)
{
	for (long n = 0; n < 2; n++) {
		failing_alloc_after(n); /* the entry, then the map */
		put("secret", 1, 10);
		failing_alloc_after(-1);
		ck_assert_int_eq(find("secret", 1), -1);
	}
	put("secret", 1, 10);
	ck_assert_int_eq(find("secret", 1), 10);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("keys");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, found_by_password_and_salt);
	tcase_add_test(tc, first_result_stays);
	tcase_add_test(tc, least_recently_used_goes_first);
	tcase_add_test(tc, answer_of_a_helper_is_remembered);
	tcase_add_test(tc, without_memory_nothing_is_remembered);
	return unit_run("keys", tc);
}
