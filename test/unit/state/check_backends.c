#include "state/backends.h"

#include <stdlib.h>

#include "../unit.h"

static struct backends *b;

static void begin(void)
{
	b = malloc(sizeof *b);
	ck_assert_ptr_nonnull(b);
	backends_init(b);
}

static void end(void)
{
	free(b);
}

START_TEST(the_last_client_of_a_backend_is_known)
{
	ck_assert_uint_eq(backends_get(b, 0, 4711), 0);
	backends_put(b, 0, 4711, 5);
	backends_put(b, 1, 4711, 6);
	backends_put(b, 0, 4711, 7);
	ck_assert_uint_eq(backends_get(b, 0, 4711), 7);
	ck_assert_uint_eq(backends_get(b, 1, 4711), 6);
	backends_drop(b, 0, 4711);
	ck_assert_uint_eq(backends_get(b, 0, 4711), 0);
	ck_assert_uint_eq(backends_get(b, 1, 4711), 6);
	backends_drop(b, 0, 4711);
}
END_TEST

START_TEST(what_is_out_of_range_is_not_known)
{
	backends_put(b, 256, 1, 5);
	backends_put(b, 0, BACKENDS_PID_MAX, 5);
	backends_put(b, 0, 2, 0);
	ck_assert_uint_eq(backends_get(b, 256, 1), 0);
	ck_assert_uint_eq(backends_get(b, 0, BACKENDS_PID_MAX), 0);
	ck_assert_uint_eq(backends_get(b, 0, 2), 0);
	backends_drop(b, 256, 1);
	backends_drop(b, 0, BACKENDS_PID_MAX);
}
END_TEST

/* As many as a large pool has come and go; none is ever taken for another. */
START_TEST(a_crowd_of_backends)
{
	uint32_t known = 0;

	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t pid = 1; pid <= 2000; pid++)
			backends_put(b, round % 3, round * 2000 + pid, pid);
		known = 0;
		for (uint32_t pid = 1; pid <= 2000; pid++) {
			uint32_t got = backends_get(b, round % 3, round * 2000 + pid);

			ck_assert(got == 0 || got == pid);
			known += got != 0;
		}
		ck_assert_uint_ge(known, 1990);
		for (uint32_t pid = 1; pid <= 2000; pid++)
			backends_drop(b, round % 3, round * 2000 + pid);
	}
}
END_TEST

/* More than there is room for: those that found no place are not known, the others are. */
START_TEST(too_many_backends)
{
	for (uint32_t pid = 1; pid <= BACKENDS_MAX * 2; pid++)
		backends_put(b, 0, pid, pid);
	for (uint32_t pid = 1; pid <= BACKENDS_MAX * 2; pid++) {
		uint32_t got = backends_get(b, 0, pid);

		ck_assert(got == 0 || got == pid);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("backends");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, the_last_client_of_a_backend_is_known);
	tcase_add_test(tc, what_is_out_of_range_is_not_known);
	tcase_add_test(tc, a_crowd_of_backends);
	tcase_add_test(tc, too_many_backends);
	return unit_run("backends", tc);
}
