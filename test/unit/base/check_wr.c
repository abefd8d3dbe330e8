#include "base/wr.h"

#include "../unit.h"

START_TEST(integers_are_written_in_network_order)
{
	static const uint8_t want[] = {1, 2, 3, 4, 5, 6, 7};
	uint8_t buf[7];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, 0x01);
	wr_u16(&w, 0x0203);
	wr_u32(&w, 0x04050607);
	ck_assert(!w.bad);
	ck_assert_uint_eq(w.len, sizeof want);
	ck_assert_mem_eq(buf, want, sizeof want);
}
END_TEST

START_TEST(strings_go_with_or_without_their_nul)
{
	char buf[8];
	struct wr w = wr_of(buf, sizeof buf);

	wr_str(&w, "ab");
	wr_cstr(&w, "cd");
	wr_cstr(&w, "");
	wr_bytes(&w, NULL, 0);
	ck_assert(!w.bad);
	ck_assert_uint_eq(w.len, 6);
	ck_assert_mem_eq(buf, "abcd\0", 6);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_whole_and_all_after_it)
{
	char buf[9] = "........";
	struct wr w = wr_of(buf, 8);

	wr_str(&w, "123456");
	wr_u32(&w, 0);
	ck_assert(w.bad);
	wr_u8(&w, 'x'); /* would fit */
	ck_assert(w.bad);
	ck_assert_uint_eq(w.len, 6);
	ck_assert_str_eq(buf, "123456..");
}
END_TEST

START_TEST(buffer_may_be_filled_to_its_last_byte_and_not_beyond)
{
	volatile size_t wraps = SIZE_MAX; /* unknown to the compiler, which would warn */
	char buf[5] = "....";
	struct wr w = wr_of(buf, 4);

	wr_str(&w, "1234");
	ck_assert(!w.bad);
	wr_bytes(&w, "", 0);
	ck_assert(!w.bad);
	wr_bytes(&w, "x", wraps);
	ck_assert(w.bad);
	ck_assert_str_eq(buf, "1234");
	w = wr_of(NULL, 0);
	wr_u8(&w, 1);
	ck_assert(w.bad);
}
END_TEST

START_TEST(length_of_a_message_counts_itself_but_not_the_type)
{
	static const char want[] = "Q\0\0\0\x0dselect 1\0Z\0\0\0\x05I";
	char buf[64];
	struct wr w = wr_of(buf, sizeof buf);
	size_t mark = wr_msg(&w, 'Q');

	wr_cstr(&w, "select 1");
	wr_end(&w, mark);
	mark = wr_msg(&w, 'Z');
	wr_u8(&w, 'I');
	wr_end(&w, mark);
	ck_assert(!w.bad);
	ck_assert_uint_eq(w.len, sizeof want - 1);
	ck_assert_mem_eq(buf, want, sizeof want - 1);
}
END_TEST

START_TEST(long_message_has_all_bytes_of_its_length)
{
	static uint8_t buf[0x12345 + 1], body[0x12345 - 4];
	struct wr w = wr_of(buf, sizeof buf);
	size_t mark = wr_msg(&w, 'd');

	wr_bytes(&w, body, sizeof body);
	wr_end(&w, mark);
	ck_assert(!w.bad);
	ck_assert_mem_eq(buf, "d\0\x01\x23\x45", 5);
}
END_TEST

/* At every capacity short of enough the error is set and nothing beyond it is touched. */
START_TEST(message_that_is_cut_anywhere_is_bad)
{
	for (size_t cap = 0; cap < 8; cap++) {
		char buf[16] = "................";
		struct wr w = wr_of(buf, cap);
		size_t mark = wr_msg(&w, 'S');

		wr_cstr(&w, "ab");
		wr_end(&w, mark);
		ck_assert_int_eq(w.bad, cap < 8);
		for (size_t i = cap; i < sizeof buf; i++)
			ck_assert_int_eq(buf[i], '.');
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("wr");

	tcase_add_test(tc, integers_are_written_in_network_order);
	tcase_add_test(tc, strings_go_with_or_without_their_nul);
	tcase_add_test(tc, what_does_not_fit_is_left_out_whole_and_all_after_it);
	tcase_add_test(tc, buffer_may_be_filled_to_its_last_byte_and_not_beyond);
	tcase_add_test(tc, length_of_a_message_counts_itself_but_not_the_type);
	tcase_add_test(tc, long_message_has_all_bytes_of_its_length);
	tcase_add_test(tc, message_that_is_cut_anywhere_is_bad);
	return unit_run("wr", tc);
}
