#include "control/front.h"

#include <string.h>

#include "../unit.h"

START_TEST(the_page_is_put_together)
{
	struct front f;

	ck_assert_int_eq(front_init(&f), OK);
	ck_assert_uint_eq(strncmp(f.page, "<!DOCTYPE html>", 15), 0);
	ck_assert_ptr_nonnull(memmem(f.page, f.len, "</html>", 7));
	ck_assert_ptr_null(memmem(f.page, f.len, "@STYLE@", 7));
	ck_assert_ptr_null(memmem(f.page, f.len, "@SCRIPT@", 8));
	ck_assert_ptr_nonnull(strstr(f.policy, "style-src 'sha256-"));
	ck_assert_ptr_nonnull(strstr(f.policy, "frame-ancestors 'none'"));
	front_fini(&f);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("front");

	tcase_add_test(tc, the_page_is_put_together);
	return unit_run("front", tc);
}
