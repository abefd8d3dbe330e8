#include "base/bufpool.h"

#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

#define KEEP_MAX (64u * 1024u)

START_TEST(size_is_the_next_power_of_two)
{
	static const size_t lens[] = {0, 1, 1023, 1024, 1025, 2048, 2049, 4096, 65535, 65536, 65537,
		BUFPOOL_MAX / 2 + 1, BUFPOOL_MAX - 1, BUFPOOL_MAX};
	struct bufpool p;

	bufpool_init(&p, 0);
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		size_t cap = 0, want = BUFPOOL_MIN;
		uint8_t *buf = bufpool_take(&p, lens[i], &cap);

		while (want < lens[i])
			want *= 2;
		ck_assert_ptr_nonnull(buf);
		ck_assert_uint_eq(cap, want);
		ck_assert_uint_eq(p.used_bytes, cap);
		memset(buf, 0xff, cap);
		bufpool_give(&p, buf, cap);
	}
	ck_assert_uint_eq(p.used_bytes, 0);
	bufpool_fini(&p);
}
END_TEST

START_TEST(more_than_the_largest_is_refused)
{
	struct bufpool p;
	size_t cap = 7;

	bufpool_init(&p, KEEP_MAX);
	ck_assert_ptr_null(bufpool_take(&p, BUFPOOL_MAX + 1u, &cap));
	ck_assert_ptr_null(bufpool_take(&p, SIZE_MAX, &cap));
	ck_assert_uint_eq(cap, 7);
	ck_assert_uint_eq(p.used_bytes, 0);
	bufpool_fini(&p);
}
END_TEST

START_TEST(given_buffer_is_taken_again_without_allocating)
{
	uint8_t *first, *again;
	struct bufpool p;
	size_t cap;

	bufpool_init(&p, KEEP_MAX);
	first = bufpool_take(&p, 3000, &cap);
	bufpool_give(&p, first, cap);
	ck_assert_uint_eq(p.free_bytes, 4096);
	failing_alloc_after(0);
	again = bufpool_take(&p, 4096, &cap);
	failing_alloc_after(-1);
	ck_assert_ptr_eq(again, first);
	ck_assert_uint_eq(p.free_bytes, 0);
	memset(again, 0, cap);
	bufpool_give(&p, again, cap);
	bufpool_fini(&p);
}
END_TEST

START_TEST(at_most_keep_max_bytes_are_kept)
{
	uint8_t *bufs[40];
	struct bufpool p;
	size_t cap;

	bufpool_init(&p, KEEP_MAX);
	for (unsigned i = 0; i < 40; i++)
		ck_assert_ptr_nonnull(bufs[i] = bufpool_take(&p, 4096, &cap));
	ck_assert_uint_eq(p.used_bytes, 40u * 4096u);
	for (unsigned i = 0; i < 40; i++) {
		bufpool_give(&p, bufs[i], cap);
		ck_assert_uint_le(p.free_bytes, KEEP_MAX);
	}
	ck_assert_uint_eq(p.free_bytes, KEEP_MAX);
	ck_assert_uint_eq(p.used_bytes, 0);
	bufs[0] = bufpool_take(&p, 2 * KEEP_MAX, &cap);
	bufpool_give(&p, bufs[0], cap); /* larger than all that may be kept */
	ck_assert_uint_eq(p.free_bytes, KEEP_MAX);
	bufpool_fini(&p);
	ck_assert_uint_eq(p.free_bytes, 0);
}
END_TEST

START_TEST(without_memory_take_yields_null_and_nothing_changes)
{
	struct bufpool p;
	uint8_t *buf;
	size_t cap = 7;

	bufpool_init(&p, KEEP_MAX);
	failing_alloc_after(0);
	buf = bufpool_take(&p, 100, &cap);
	failing_alloc_after(-1);
	ck_assert_ptr_null(buf);
	ck_assert_uint_eq(cap, 7);
	ck_assert_uint_eq(p.used_bytes, 0);
	bufpool_give(&p, NULL, 0);
	bufpool_fini(&p);
}
END_TEST

START_TEST(cap_that_was_never_told_is_a_bug)
{
	struct bufpool p;
	size_t cap;

	bufpool_init(&p, KEEP_MAX);
	bufpool_give(&p, bufpool_take(&p, 3000, &cap), 3000);
}
END_TEST

START_TEST(giving_more_than_was_taken_is_a_bug)
{
	uint8_t *buf = malloc(1024);
	struct bufpool p;

	bufpool_init(&p, KEEP_MAX);
	bufpool_give(&p, buf, 1024);
}
END_TEST

START_TEST(end_of_the_pool_with_a_buffer_out_is_a_bug)
{
	struct bufpool p;
	size_t cap;

	bufpool_init(&p, KEEP_MAX);
	ck_assert_ptr_nonnull(bufpool_take(&p, 1, &cap));
	bufpool_fini(&p);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("bufpool");

	tcase_add_test(tc, size_is_the_next_power_of_two);
	tcase_add_test(tc, more_than_the_largest_is_refused);
	tcase_add_test(tc, given_buffer_is_taken_again_without_allocating);
	tcase_add_test(tc, at_most_keep_max_bytes_are_kept);
	tcase_add_test(tc, without_memory_take_yields_null_and_nothing_changes);
	tcase_add_test_raise_signal(tc, cap_that_was_never_told_is_a_bug, SIGABRT);
	tcase_add_test_raise_signal(tc, giving_more_than_was_taken_is_a_bug, SIGABRT);
	tcase_add_test_raise_signal(tc, end_of_the_pool_with_a_buffer_out_is_a_bug, SIGABRT);
	return unit_run("bufpool", tc);
}
