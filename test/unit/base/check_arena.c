#include "base/arena.h"

#include <string.h>

#include "../unit.h"

START_TEST(pieces_are_zeroed_aligned_and_apart)
{
	struct arena a;
	uint8_t *prev = NULL;

	arena_init(&a);
	for (size_t len = 0; len < 3000; len += 7) {
		uint8_t *p = arena_take(&a, len);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < len; i++)
			ck_assert_uint_eq(p[i], 0);
		memset(p, 0xff, len);
		ck_assert_ptr_ne(p, prev);
		prev = p;
	}
	arena_fini(&a);
}
END_TEST

START_TEST(large_piece_leaves_the_open_block_in_use)
{
	struct arena a;
	char *first, *second;

	arena_init(&a);
	first = arena_take(&a, 16);
	ck_assert_ptr_nonnull(arena_take(&a, 10 * ARENA_BLOCK));
	second = arena_take(&a, 16);
	ck_assert_ptr_eq(second, first + 16);
	ck_assert_uint_ge(a.total, 11 * ARENA_BLOCK);
	arena_fini(&a);
	ck_assert_uint_eq(a.total, 0);
}
END_TEST

START_TEST(strings_are_copied_whole)
{
	struct arena a;
	char big[9000];

	arena_init(&a);
	ck_assert_str_eq(arena_strndup(&a, "abcdef", 3), "abc");
	ck_assert_str_eq(arena_strndup(&a, NULL, 0), "");
	ck_assert_str_eq(arena_printf(&a, "%s:%d", "host", 5432), "host:5432");
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	ck_assert_str_eq(arena_strdup(&a, big), big);
	ck_assert_str_eq(arena_printf(&a, "%s", big), big);
	arena_fini(&a);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
	struct arena a;

	arena_init(&a);
	ck_assert_ptr_null(arena_take(&a, SIZE_MAX));
	ck_assert_ptr_null(arena_take_array(&a, SIZE_MAX / 2, 3));
	ck_assert_ptr_null(arena_strndup(&a, "", SIZE_MAX));
	ck_assert_ptr_nonnull(arena_take_array(&a, 3, 5));
	arena_fini(&a);
}
END_TEST

START_TEST(wipe_leaves_no_byte)
{
	struct arena a;
	char *small, *large;

	arena_init(&a);
	small = arena_strdup(&a, "secret");
	large = arena_take(&a, 3 * ARENA_BLOCK);
	memset(large, 's', 3 * ARENA_BLOCK);
	arena_wipe(&a);
	ck_assert_uint_eq(small[0], 0);
	ck_assert_uint_eq(small[5], 0);
	for (size_t i = 0; i < 3 * ARENA_BLOCK; i++)
		ck_assert_uint_eq(large[i], 0);
	arena_fini(&a);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("arena");

	tcase_add_test(tc, pieces_are_zeroed_aligned_and_apart);
	tcase_add_test(tc, large_piece_leaves_the_open_block_in_use);
	tcase_add_test(tc, strings_are_copied_whole);
	tcase_add_test(tc, impossible_sizes_are_refused);
	tcase_add_test(tc, wipe_leaves_no_byte);
	return unit_run("arena", tc);
}
