/* Unit tests of worker/entropy. */
#include "worker/entropy.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"

#define LEN 18u
#define N   1000u

static bool is_zero(const uint8_t *p, size_t n)
{
	while (n != 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, LEN);
}

START_TEST(nothing_is_given_twice_or_kept)
{
	static uint8_t got[N][LEN];
	struct entropy e = {0};

	for (unsigned i = 0; i < N; i++) {
		ck_assert_int_eq(entropy_take(&e, got[i], LEN), OK);
		ck_assert(is_zero(e.bytes + e.left, ENTROPY_LEN - e.left));
	}
	qsort(got, N, LEN, compare);
	for (unsigned i = 1; i < N; i++)
		ck_assert_int_ne(memcmp(got[i - 1], got[i], LEN), 0);
}
END_TEST

START_TEST(as_much_as_there_ever_is)
{
	uint8_t got[ENTROPY_LEN + 1] = {0};
	struct entropy e = {0};

	ck_assert_int_eq(entropy_take(&e, got, 0), OK);
	ck_assert_int_eq(entropy_take(&e, got, ENTROPY_LEN), OK);
	ck_assert(!is_zero(got, ENTROPY_LEN / 2));
	ck_assert(!is_zero(got + ENTROPY_LEN / 2, ENTROPY_LEN / 2));
	ck_assert_uint_eq(got[ENTROPY_LEN], 0);
	ck_assert_uint_eq(e.left, 0);
	ck_assert_int_eq(entropy_take(&e, got, 200), OK);
	ck_assert_int_eq(entropy_take(&e, got, 200), OK); /* 56 of the first are not enough */
	ck_assert_uint_eq(e.left, 56);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("entropy");

	tcase_add_test(tc, nothing_is_given_twice_or_kept);
	tcase_add_test(tc, as_much_as_there_ever_is);
	return unit_run("entropy", tc);
}
