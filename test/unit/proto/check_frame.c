#include "proto/frame.h"

#include "bytes.h"

static enum status peek_len(uint32_t len, uint32_t limit, struct frame *f)
{
	uint8_t head[FRAME_HEAD_LEN];
	struct wr w = wr_of(head, sizeof head);

	wr_u8(&w, 'Q');
	wr_u32(&w, len);
	return frame_peek(head, sizeof head, limit, f);
}

START_TEST(head_gives_type_and_length_on_the_wire)
{
	struct frame f;

	ck_assert_int_eq(frame_peek(BYTES("D\x00\x01\x02\x03"
					  "ignored"),
				 FRAME_LEN_MAX, &f),
		OK);
	ck_assert_uint_eq(f.type, 'D');
	ck_assert_uint_eq(f.total, 0x10203 + 1);
	ck_assert_uint_eq(frame_body_len(&f), 0x10203 - 4);
}
END_TEST

START_TEST(less_than_a_head_is_not_enough)
{
	struct frame f = {.type = '?'};

	for (size_t n = 0; n < FRAME_HEAD_LEN; n++)
		ck_assert_int_eq(
			frame_peek((const uint8_t *)"S\0\0\0\4", n, FRAME_LEN_MAX, &f), E_AGAIN);
	ck_assert_uint_eq(f.type, '?');
}
END_TEST

START_TEST(length_counts_itself)
{
	struct frame f;

	for (uint32_t len = 0; len < FRAME_LEN_MIN; len++)
		ck_assert_int_eq(peek_len(len, FRAME_LEN_MAX, &f), E_PROTO);
	ck_assert_int_eq(peek_len(FRAME_LEN_MIN, FRAME_LEN_MAX, &f), OK);
	ck_assert_uint_eq(f.total, FRAME_HEAD_LEN);
	ck_assert_uint_eq(frame_body_len(&f), 0);
}
END_TEST

START_TEST(length_above_the_limit_is_refused)
{
	static const uint32_t limits[] = {4, 5, 10000, 65535, FRAME_LEN_MAX - 1, FRAME_LEN_MAX};
	struct frame f;

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		uint32_t limit = limits[i];

		if (limit > FRAME_LEN_MIN)
			ck_assert_int_eq(peek_len(limit - 1, limit, &f), OK);
		ck_assert_int_eq(peek_len(limit, limit, &f), OK);
		ck_assert_uint_eq(f.total, limit + 1);
		ck_assert_int_eq(peek_len(limit + 1, limit, &f), E_LIMIT);
		ck_assert_int_eq(peek_len(UINT32_MAX, limit, &f), E_LIMIT);
		ck_assert_int_eq(peek_len((uint32_t)INT32_MIN, limit, &f), E_LIMIT);
	}
	ck_assert_int_eq(peek_len(FRAME_LEN_MAX + 1, UINT32_MAX, &f), E_LIMIT);
}
END_TEST

START_TEST(message_is_complete_with_its_last_byte)
{
	struct frame f;

	ck_assert_int_eq(peek_len(9, FRAME_LEN_MAX, &f), OK);
	ck_assert(!frame_is_complete(&f, 9));
	ck_assert(frame_is_complete(&f, 10));
	ck_assert(frame_is_complete(&f, SIZE_MAX));
}
END_TEST

START_TEST(body_is_a_cursor_over_what_is_there)
{
	const uint8_t msg[] = "Q\0\0\0\x9"
			      "1234\0rest";
	struct frame f;
	struct rd r;

	ck_assert_int_eq(frame_peek(msg, sizeof msg, FRAME_LEN_MAX, &f), OK);
	r = frame_body(msg, &f);
	ck_assert_ptr_eq(r.p, msg + 5);
	ck_assert_uint_eq(r.left, 5);
	for (size_t avail = FRAME_HEAD_LEN; avail < sizeof msg; avail++) {
		r = frame_body_part(msg, &f, avail);
		ck_assert_ptr_eq(r.p, msg + 5);
		ck_assert_uint_eq(r.left, avail < f.total ? avail - 5 : 5);
	}
}
END_TEST

START_TEST(streamed_parts_add_up_to_the_message)
{
	uint32_t left = FRAME_LEN_MAX + 1, n_parts = 0;

	while (left > 0) {
		left -= frame_part(left, 65536);
		n_parts++;
	}
	ck_assert_uint_eq(n_parts, 16384);
	ck_assert_uint_eq(frame_part(7, SIZE_MAX), 7);
	ck_assert_uint_eq(frame_part(7, 7), 7);
	ck_assert_uint_eq(frame_part(7, 0), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("frame");

	tcase_add_test(tc, head_gives_type_and_length_on_the_wire);
	tcase_add_test(tc, less_than_a_head_is_not_enough);
	tcase_add_test(tc, length_counts_itself);
	tcase_add_test(tc, length_above_the_limit_is_refused);
	tcase_add_test(tc, message_is_complete_with_its_last_byte);
	tcase_add_test(tc, body_is_a_cursor_over_what_is_there);
	tcase_add_test(tc, streamed_parts_add_up_to_the_message);
	return unit_run("frame", tc);
}
