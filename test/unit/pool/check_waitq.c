#include "pool/waitq.h"

#include "../unit.h"

#define N 40u

static struct waitq q;
static struct waiter w[N];

static void begin(void)
{
	waitq_init(&q, N);
	for (unsigned i = 0; i < N; i++)
		waiter_init(&w[i]);
}

static void push(unsigned i, uint64_t since_us, uint64_t deadline_us)
{
	ck_assert_int_eq(waitq_push(&q, &w[i], since_us, deadline_us), OK);
}

START_TEST(first_come_first_served)
{
	ck_assert_ptr_null(waitq_pop(&q));
	ck_assert_ptr_null(waitq_first(&q));
	ck_assert_uint_eq(waitq_oldest_us(&q), 0);
	push(0, 10, 100);
	push(1, 10, 100);
	push(2, 11, 100);
	ck_assert_uint_eq(waitq_oldest_us(&q), 10);
	ck_assert_ptr_eq(waitq_pop(&q), &w[0]);
	ck_assert(!waiter_waits(&w[0]));
	ck_assert_ptr_eq(waitq_pop(&q), &w[1]);
	ck_assert_uint_eq(waitq_oldest_us(&q), 11);
	ck_assert_ptr_eq(waitq_pop(&q), &w[2]);
	ck_assert_uint_eq(waitq_len(&q), 0);
}
END_TEST

START_TEST(one_from_another_line_keeps_its_age)
{
	push(0, 10, 100);
	push(1, 30, 100);
	push(2, 20, 100);
	push(3, 5, 100);
	ck_assert_ptr_eq(waitq_pop(&q), &w[3]);
	ck_assert_ptr_eq(waitq_pop(&q), &w[0]);
	ck_assert_ptr_eq(waitq_pop(&q), &w[2]);
	ck_assert_ptr_eq(waitq_pop(&q), &w[1]);
}
END_TEST

START_TEST(the_line_is_bounded)
{
	waitq_init(&q, 2);
	push(0, 1, 9);
	push(1, 1, 9);
	ck_assert_int_eq(waitq_push(&q, &w[2], 1, 9), E_LIMIT);
	ck_assert(!waiter_waits(&w[2]));
	waitq_remove(&w[0]);
	waitq_remove(&w[0]);
	push(2, 1, 9);
}
END_TEST

START_TEST(deadlines_are_found_in_any_order)
{
	push(0, 1, 50);
	push(1, 2, 20);
	push(2, 3, UINT64_MAX);
	push(3, 4, 30);
	ck_assert_ptr_null(waitq_pop_expired(&q, 19));
	ck_assert_ptr_eq(waitq_pop_expired(&q, 35), &w[1]);
	ck_assert_ptr_eq(waitq_pop_expired(&q, 35), &w[3]);
	ck_assert_ptr_null(waitq_pop_expired(&q, 35));
	ck_assert_uint_eq(q.deadline_min_us, 50); /* until then nobody is looked at */
	ck_assert_ptr_eq(waitq_pop_expired(&q, 50), &w[0]);
	ck_assert_ptr_null(waitq_pop_expired(&q, UINT64_MAX - 1));
	ck_assert_uint_eq(waitq_len(&q), 1);
}
END_TEST

/* The model: the waiters' own fields, searched. */
static struct waiter *model_first(void)
{
	struct waiter *first = NULL;

	for (unsigned i = 0; i < N; i++)
		if (waiter_waits(&w[i]) && (first == NULL || w[i].since_us < first->since_us))
			first = &w[i];
	return first;
}

static unsigned model_n(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++)
		n += waiter_waits(&w[i]);
	return n;
}

static bool model_has_expired(uint64_t now_us)
{
	for (unsigned i = 0; i < N; i++)
		if (waiter_waits(&w[i]) && w[i].deadline_us <= now_us)
			return true;
	return false;
}

START_TEST(random_operations_agree_with_a_naive_model)
{
	uint64_t random = 43, now_us = 1000;

	for (unsigned step = 0; step < 50000; step++) {
		uint64_t r = unit_random(&random);
		struct waiter *x = &w[(r >> 8) % N], *got, *first = model_first();

		now_us += r >> 40 & 3;
		if (r % 16 < 8 && !waiter_waits(x)) {
			/* equal ages do not occur, so that the model need not keep order */
			push((unsigned)(x - w), (now_us - (r >> 20 & 63)) << 20 | step,
				now_us + (r >> 30 & 127));
		} else if (r % 16 == 8) {
			waitq_remove(x);
		} else if (r % 16 < 11) {
			ck_assert_ptr_eq(waitq_pop(&q), first);
		} else if (r % 16 < 13) {
			bool any = model_has_expired(now_us);

			got = waitq_pop_expired(&q, now_us);
			ck_assert_int_eq(got != NULL, any);
			if (got != NULL)
				ck_assert_uint_le(got->deadline_us, now_us);
		}
		first = model_first();
		ck_assert_uint_eq(waitq_len(&q), model_n());
		ck_assert_ptr_eq(waitq_first(&q), first);
		ck_assert_uint_eq(waitq_oldest_us(&q), first != NULL ? first->since_us : 0);
		for (got = first; got != NULL && waitq_next(&q, got) != NULL;
			got = waitq_next(&q, got))
			ck_assert_uint_lt(got->since_us, waitq_next(&q, got)->since_us);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("waitq");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, first_come_first_served);
	tcase_add_test(tc, one_from_another_line_keeps_its_age);
	tcase_add_test(tc, the_line_is_bounded);
	tcase_add_test(tc, deadlines_are_found_in_any_order);
	tcase_add_test(tc, random_operations_agree_with_a_naive_model);
	return unit_run("waitq", tc);
}
