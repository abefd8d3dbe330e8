#include "route/doubles.h"

#include "../unit.h"

START_TEST(seen_time_is_from_the_second_primary_to_the_last_but_one)
{
	struct doubles d = {.n = 0};

	doubles_see(&d, 1, 100);
	ck_assert_uint_eq(doubles_us(&d, 200), 0);
	doubles_see(&d, 2, 200);
	doubles_see(&d, 3, 300);
	ck_assert_uint_eq(d.n, 1);
	ck_assert_uint_eq(doubles_us(&d, 350), 150);
	doubles_see(&d, 0, 400);
	ck_assert_uint_eq(doubles_us(&d, 1000), 200);
	doubles_see(&d, 2, 2000);
	doubles_see(&d, 1, 2001);
	ck_assert_uint_eq(d.n, 2);
	ck_assert_uint_eq(doubles_us(&d, 3000), 201);
}
END_TEST

START_TEST(unseen_time_is_added_up)
{
	struct doubles d = {.n = 0};

	doubles_promoted(&d, 70);
	doubles_promoted(&d, 30);
	ck_assert_uint_eq(d.promotions, 2);
	ck_assert_uint_eq(d.unseen_us, 100);
	ck_assert_uint_eq(d.last_unseen_us, 30);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("doubles");

	tcase_add_test(tc, seen_time_is_from_the_second_primary_to_the_last_but_one);
	tcase_add_test(tc, unseen_time_is_added_up);
	return unit_run("doubles", tc);
}
