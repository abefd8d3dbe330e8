#include "base/rd.h"

#include "../unit.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xff};

START_TEST(integers_are_read_in_network_order)
{
	struct rd r = rd_of(bytes, sizeof bytes);

	ck_assert_uint_eq(rd_u8(&r), 0x01);
	ck_assert_uint_eq(rd_u16(&r), 0x0203);
	ck_assert_uint_eq(rd_u32(&r), 0x04050607);
	ck_assert_uint_eq(rd_u64(&r), 0x08090a0b0c0d0e0fu);
	ck_assert_uint_eq(rd_u8(&r), 0xff);
	ck_assert(!r.bad);
	ck_assert_uint_eq(r.left, 0);
}
END_TEST

START_TEST(high_bits_do_not_spread)
{
	static const uint8_t ones[15] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff};
	struct rd r = rd_of(ones, sizeof ones);

	ck_assert_uint_eq(rd_u8(&r), 0xff);
	ck_assert_uint_eq(rd_u16(&r), 0xffff);
	ck_assert_uint_eq(rd_u32(&r), 0xffffffffu);
	ck_assert_uint_eq(rd_u64(&r), UINT64_MAX);
}
END_TEST

/* Every length from none to one too few, for every size of integer. */
START_TEST(integer_cut_by_the_end_is_zero_and_bad)
{
	for (size_t left = 0; left < 8; left++) {
		struct rd r = rd_of(bytes, left);

		ck_assert_uint_eq(rd_u64(&r), 0);
		ck_assert(r.bad);
		ck_assert_uint_eq(r.left, 0);
		ck_assert_ptr_eq(r.p, bytes + left);
		if (left >= 4)
			continue;
		r = rd_of(bytes, left);
		ck_assert_uint_eq(rd_u32(&r), 0);
		ck_assert(r.bad);
		if (left >= 2)
			continue;
		r = rd_of(bytes, left);
		ck_assert_uint_eq(rd_u16(&r), 0);
		ck_assert(r.bad);
		if (left >= 1)
			continue;
		ck_assert_uint_eq(rd_u8(&r), 0);
		ck_assert(r.bad);
	}
}
END_TEST

START_TEST(error_stays_and_everything_after_it_is_empty)
{
	struct rd r = rd_of(bytes, sizeof bytes);

	rd_skip(&r, sizeof bytes + 1);
	ck_assert(r.bad);
	ck_assert_uint_eq(rd_u8(&r), 0);
	ck_assert_str_eq(rd_cstr(&r), "");
	ck_assert_ptr_null(rd_bytes(&r, 1));
	ck_assert_ptr_nonnull(rd_bytes(&r, 0));
	ck_assert(r.bad);
}
END_TEST

START_TEST(bytes_are_borrowed_up_to_the_very_end)
{
	struct rd r = rd_of(bytes, sizeof bytes);

	ck_assert_ptr_eq(rd_bytes(&r, 10), bytes);
	ck_assert_ptr_eq(rd_bytes(&r, 0), bytes + 10);
	ck_assert_ptr_eq(rd_bytes(&r, 6), bytes + 10);
	ck_assert(!r.bad);
	r = rd_of(bytes, 4);
	ck_assert_ptr_null(rd_bytes(&r, SIZE_MAX)); /* a length that would wrap a sum */
	ck_assert(r.bad);
}
END_TEST

START_TEST(string_ends_at_its_nul_and_needs_one)
{
	static const char text[] = "one\0\0three";
	struct rd r = rd_of(text, sizeof text);

	ck_assert_ptr_eq(rd_cstr(&r), text);
	ck_assert_ptr_eq(rd_cstr(&r), text + 4);
	ck_assert_str_eq(rd_cstr(&r), "three");
	ck_assert_uint_eq(r.left, 0);
	ck_assert(!r.bad);
	r = rd_of(text + 5, 5); /* without its NUL */
	ck_assert_str_eq(rd_cstr(&r), "");
	ck_assert(r.bad);
	ck_assert_uint_eq(r.left, 0);
}
END_TEST

START_TEST(no_bytes_at_all_may_be_null)
{
	struct rd r = rd_of(NULL, 0);

	ck_assert_ptr_nonnull(rd_bytes(&r, 0));
	ck_assert(!r.bad);
	ck_assert_str_eq(rd_cstr(&r), "");
	ck_assert(r.bad);
	r = rd_of(NULL, 0);
	ck_assert_uint_eq(rd_u32(&r), 0);
	ck_assert(r.bad);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("rd");

	tcase_add_test(tc, integers_are_read_in_network_order);
	tcase_add_test(tc, high_bits_do_not_spread);
	tcase_add_test(tc, integer_cut_by_the_end_is_zero_and_bad);
	tcase_add_test(tc, error_stays_and_everything_after_it_is_empty);
	tcase_add_test(tc, bytes_are_borrowed_up_to_the_very_end);
	tcase_add_test(tc, string_ends_at_its_nul_and_needs_one);
	tcase_add_test(tc, no_bytes_at_all_may_be_null);
	return unit_run("rd", tc);
}
