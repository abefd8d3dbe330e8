#include "base/status.h"

#include <string.h>

#include "../unit.h"

START_TEST(each_status_has_a_name_of_its_own)
{
	for (int a = OK; a <= E_AUTH; a++) {
		ck_assert_str_ne(status_name((enum status)a), "unknown");
		for (int b = OK; b < a; b++)
			ck_assert_str_ne(status_name((enum status)a), status_name((enum status)b));
	}
	ck_assert_str_eq(status_name(OK), "ok");
	ck_assert_str_eq(status_name(E_AUTH), "auth");
}
END_TEST

START_TEST(value_that_is_no_status_is_named_too)
{
	ck_assert_str_eq(status_name((enum status)(E_AUTH + 1)), "unknown");
}
END_TEST

START_TEST(panic_aborts_if_the_condition_holds)
{
	PANIC_IF(1 + 1 == 2);
}
END_TEST

START_TEST(panic_passes_if_it_does_not_and_looks_once)
{
	int n = 0;

	PANIC_IF(n++ != 0);
	ck_assert_int_eq(n, 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("status");

	tcase_add_test(tc, each_status_has_a_name_of_its_own);
	tcase_add_test(tc, value_that_is_no_status_is_named_too);
	tcase_add_test_raise_signal(tc, panic_aborts_if_the_condition_holds, SIGABRT);
	tcase_add_test(tc, panic_passes_if_it_does_not_and_looks_once);
	return unit_run("status", tc);
}
