#include "state/clean.h"

#include <string.h>

#include "../unit.h"

#define EVERY (CLEANED_BY_DISCARD | CLEAN(SEED) | CLEAN(RESET_QUERY) | CLEAN(CLOSE))

START_TEST(every_kind_has_a_word_of_its_own)
{
	ck_assert_uint_eq(EVERY, (1u << CLEAN_KIND_COUNT) - 1);
	for (unsigned k = 0; k < CLEAN_KIND_COUNT; k++) {
		ck_assert_ptr_nonnull(clean_kind_name((enum clean_kind)k));
		for (unsigned i = 0; i < k; i++)
			ck_assert_str_ne(clean_kind_name((enum clean_kind)k),
				clean_kind_name((enum clean_kind)i));
	}
	ck_assert_str_eq(clean_kind_name(CLEAN_KIND_COUNT), "?");
}
END_TEST

START_TEST(only_what_is_needed_is_cleaned)
{
	static const struct {
		uint32_t mask;
		const char *sql;
	} cases[] = {
		{CLEAN(TEMP), "DISCARD TEMP;"},
		{CLEAN(LOCKS), "SELECT pg_catalog.pg_advisory_unlock_all();"},
		{CLEAN(STATEMENTS), "DEALLOCATE ALL;"},
		{CLEAN(SETTINGS), "RESET ALL;"},
		/* a cursor may read a temporary table */
		{CLEAN(TEMP) | CLEAN(CURSORS) | CLEAN(CHANNELS),
			"CLOSE ALL;UNLISTEN *;DISCARD TEMP;"},
		{CLEAN(SEED), "SELECT pg_catalog.setseed(-0.25000000000000000);"},
	};
	char sql[CLEAN_SQL_MAX];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_uint_eq(clean_sql(cases[i].mask, -0.25, sql), cases[i].mask);
		ck_assert_str_eq(sql, cases[i].sql);
	}
}
END_TEST

START_TEST(discard_all_runs_alone_and_leaves_the_seed)
{
	char sql[CLEAN_SQL_MAX];

	ck_assert_uint_eq(clean_sql(EVERY, 0.5, sql), CLEANED_BY_DISCARD);
	ck_assert_str_eq(sql, "DISCARD ALL");
	ck_assert_uint_eq(clean_sql(EVERY & ~CLEANED_BY_DISCARD, 0.5, sql), CLEAN(SEED));
}
END_TEST

START_TEST(all_kinds_fit)
{
	char sql[CLEAN_SQL_MAX];
	uint32_t all = (CLEANED_BY_DISCARD & ~CLEAN(ALL)) | CLEAN(SEED);

	ck_assert_uint_eq(clean_sql(all, -1, sql), all);
	ck_assert_ptr_nonnull(strstr(sql, "RESET ALL;"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("clean");

	tcase_add_test(tc, every_kind_has_a_word_of_its_own);
	tcase_add_test(tc, only_what_is_needed_is_cleaned);
	tcase_add_test(tc, discard_all_runs_alone_and_leaves_the_seed);
	tcase_add_test(tc, all_kinds_fit);
	return unit_run("clean", tc);
}
