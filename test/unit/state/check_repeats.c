#include "state/repeats.h"

#include "../unit.h"

#define S UINT64_C(1000000)

static struct repeats table;

static uint32_t note(uint64_t client, uint64_t fingerprint, uint64_t txn_us, uint64_t now_us)
{
	return repeats_note(&table, client, fingerprint, txn_us, now_us, S);
}

START_TEST(a_series_is_of_one_client_and_one_statement)
{
	for (uint32_t i = 1; i <= 50; i++) {
		unit_check(note(1, 10, 0, 5 * S + i) == i);
		unit_check(note(1, 11, 0, 5 * S + i) == i);
		unit_check(note(2, 10, 0, 5 * S + i) == i);
	}
}
END_TEST

START_TEST(outside_of_transactions_it_ends_with_the_window)
{
	ck_assert_uint_eq(note(1, 10, 0, 10 * S), 1);
	ck_assert_uint_eq(note(1, 10, 0, 11 * S), 2);
	ck_assert_uint_eq(note(1, 10, 0, 11 * S + 1), 1);
	ck_assert_uint_eq(note(1, 10, 0, 11 * S + 2), 2);
}
END_TEST

START_TEST(inside_it_ends_with_the_transaction)
{
	ck_assert_uint_eq(note(1, 10, 20 * S, 20 * S), 1);
	ck_assert_uint_eq(note(1, 10, 20 * S, 90 * S), 2);
	ck_assert_uint_eq(note(1, 10, 91 * S, 91 * S), 1);
	ck_assert_uint_eq(note(1, 10, 0, 91 * S), 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("repeats");

	tcase_add_test(tc, a_series_is_of_one_client_and_one_statement);
	tcase_add_test(tc, outside_of_transactions_it_ends_with_the_window);
	tcase_add_test(tc, inside_it_ends_with_the_transaction);
	return unit_run("repeats", tc);
}
