#include "state/errors.h"

#include <stdio.h>
#include <string.h>

#include "../unit.h"

static uint64_t count(const struct errors *t, const char *sqlstate, enum error_source source)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (strcmp(t->at[i].sqlstate, sqlstate) == 0 && t->at[i].source == source)
			n += t->at[i].n;
	return n;
}

START_TEST(each_state_and_source_is_counted_by_itself)
{
	struct errors t = {.n = 0};

	for (uint64_t i = 0; i < 6; i++)
		errors_note(&t, i % 2 == 0 ? "23505" : "23503", ERROR_SERVER, i);
	errors_note(&t, "23505", ERROR_PGWEIR, 7);
	errors_note(&t, "23505", ERROR_REPLAYED, 8);
	ck_assert_uint_eq(t.n, 4);
	ck_assert_uint_eq(count(&t, "23505", ERROR_SERVER), 3);
	ck_assert_uint_eq(count(&t, "23503", ERROR_SERVER), 3);
	ck_assert_uint_eq(count(&t, "23505", ERROR_PGWEIR), 1);
	ck_assert_uint_eq(count(&t, "23505", ERROR_REPLAYED), 1);
	ck_assert_uint_eq(t.at[0].seen_us, 4);
	ck_assert_uint_eq(t.at[1].seen_us, 5);
}
END_TEST

START_TEST(what_is_no_sqlstate_is_other)
{
	static const char *const wrong[] = {"", "1", "2350", "235055", "2350 ", "2350a", "23\n05"};
	struct errors t = {.n = 0};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		errors_note(&t, wrong[i], ERROR_SERVER, 1);
	ck_assert_uint_eq(t.n, 1);
	ck_assert_uint_eq(count(&t, "other", ERROR_SERVER), sizeof wrong / sizeof wrong[0]);
}
END_TEST

START_TEST(the_table_is_bounded_and_the_sum_is_right)
{
	struct errors t = {.n = 0};
	uint64_t sum = 0;
	char state[12];

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(state, sizeof state, "%05u", i);
		errors_note(&t, state, (enum error_source)(i % ERROR_SOURCES), 1);
	}
	ck_assert_uint_eq(t.n, ERRORS_MAX + ERROR_SOURCES);
	for (uint32_t i = 0; i < t.n; i++)
		sum += t.at[i].n;
	ck_assert_uint_eq(sum, 3000);
	for (int i = 0; i < ERROR_SOURCES; i++) {
		ck_assert_uint_gt(count(&t, "other", (enum error_source)i), 900);
		ck_assert_uint_gt(strlen(error_source_name((enum error_source)i)), 0);
	}
	errors_note(&t, "00000", ERROR_SERVER, 2);
	ck_assert_uint_eq(count(&t, "00000", ERROR_SERVER), 2);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("errors");

	tcase_add_test(tc, each_state_and_source_is_counted_by_itself);
	tcase_add_test(tc, what_is_no_sqlstate_is_other);
	tcase_add_test(tc, the_table_is_bounded_and_the_sum_is_right);
	return unit_run("errors", tc);
}
