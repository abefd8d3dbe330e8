#include "state/stmts.h"

#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

static const struct hash_key key = {11, 12};
static const uint8_t types[] = {0, 0, 0, 23, 0, 0, 0, 25};
static struct settings_table *st;
static struct stmt_table *t;
static struct settings *none, *app; /* two settings to parse under */

static void begin(void)
{
	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &st), OK);
	ck_assert_int_eq(stmt_table_new(&key, 1u << 20, st, &t), OK);
	none = settings_empty(st);
	ck_assert_int_eq(settings_put(st, none, "search_path", "app", &app), OK);
}

static void end(void)
{
	settings_unref(st, app);
	settings_unref(st, none);
	ck_assert_uint_eq(stmt_table_n(t), 0);
	ck_assert_uint_eq(stmt_table_bytes(t), 0);
	ck_assert_uint_eq(settings_table_n(st), 1);
	stmt_table_free(t);
	settings_table_free(st);
}

static struct stmt_text text_of(const char *query, uint16_t n_types, struct settings *parse)
{
	return (struct stmt_text){.query = query,
		.query_len = (uint32_t)strlen(query),
		.n_types = n_types,
		.types = types,
		.parse = parse};
}

static struct stmt *get(const char *query, uint16_t n_types, struct settings *parse)
{
	struct stmt_text x = text_of(query, n_types, parse);
	struct stmt *s;

	ck_assert_int_eq(stmt_intern(t, &x, &s), OK);
	return s;
}

START_TEST(query_types_and_settings_make_a_statement)
{
	struct stmt *s[] = {
		get("SELECT 1", 0, none),
		get("SELECT 1", 1, none),
		get("SELECT 1", 2, none),
		get("SELECT 1", 0, app),
		get("SELECT 2", 0, none),
		get("", 0, none),
	};

	for (size_t i = 0; i < sizeof s / sizeof s[0]; i++)
		for (size_t k = 0; k < i; k++)
			ck_assert_ptr_ne(s[i], s[k]);
	for (size_t i = 0; i < sizeof s / sizeof s[0]; i++) {
		struct stmt *same = get(s[i]->query, s[i]->n_types, s[i]->parse);

		ck_assert_ptr_eq(same, s[i]);
		stmt_unref(t, same);
		stmt_unref(t, s[i]);
	}
}
END_TEST

START_TEST(a_statement_keeps_copies)
{
	char query[] = "SELECT $1, $2 garbage";
	struct stmt_text x = text_of(query, 2, app);
	struct stmt *s;

	x.query_len = 13; /* the rest is not its */
	ck_assert_int_eq(stmt_intern(t, &x, &s), OK);
	memset(query, 'x', sizeof query);
	ck_assert_str_eq(s->query, "SELECT $1, $2");
	ck_assert_uint_eq(s->query_len, 13);
	ck_assert_uint_eq(s->n_types, 2);
	ck_assert_mem_eq(s->types, types, 8);
	ck_assert_ptr_eq(s->parse, app);
	stmt_unref(t, s);
}
END_TEST

START_TEST(the_table_is_bounded_by_bytes)
{
	static char query[1024];
	struct stmt_text x = {.query = query, .query_len = sizeof query, .parse = none};
	struct stmt *s[2000];
	unsigned n = 0;
	enum status status = OK;

	while (n < 2000) {
		memcpy(query, &n, sizeof n);
		if ((status = stmt_intern(t, &x, &s[n])) != OK)
			break;
		n++;
	}
	ck_assert_int_eq(status, E_LIMIT);
	ck_assert_uint_gt(n, 800);
	ck_assert_uint_le(stmt_table_bytes(t), 1u << 20);
	stmt_unref(t, s[--n]);
	ck_assert_int_eq(stmt_intern(t, &x, &s[n]), OK);
	for (unsigned i = 0; i <= n; i++)
		stmt_unref(t, s[i]);
}
END_TEST

START_TEST(a_statement_is_adopted_with_its_settings)
{
	struct settings_table *away_st;
	struct stmt_table *away;
	struct stmt *s = get("SELECT $1", 1, app), *moved = stmt_ref(s), *same = stmt_ref(s);

	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &away_st), OK);
	ck_assert_int_eq(stmt_table_new(&key, 1u << 20, away_st, &away), OK);
	ck_assert_int_eq(stmt_adopt(t, &moved), OK);
	ck_assert_ptr_eq(moved, s); /* it is at home */
	ck_assert_int_eq(stmt_adopt(away, &moved), OK);
	ck_assert_int_eq(stmt_adopt(away, &same), OK);
	ck_assert_ptr_ne(moved, s);
	ck_assert_ptr_eq(moved, same);
	ck_assert_str_eq(moved->query, "SELECT $1");
	ck_assert_str_eq(settings_get(moved->parse, "search_path"), "app");
	ck_assert_ptr_ne(moved->parse, s->parse);
	stmt_unref(away, moved);
	stmt_unref(away, same);
	ck_assert_uint_eq(stmt_table_n(away), 0);
	ck_assert_uint_eq(settings_table_n(away_st), 1);
	stmt_table_free(away);
	settings_table_free(away_st);
	stmt_unref(t, s);
}
END_TEST

START_TEST(no_memory_anywhere_changes_nothing)
{
	struct settings_table *away_st;
	struct stmt_table *away;
	struct stmt *s = NULL, *moved;
	struct stmt_text x = text_of("SELECT 1", 1, app);
	enum status status = E_NOMEM;

	for (long fail_at = 0; status != OK; fail_at++) {
		failing_alloc_after(fail_at);
		status = stmt_intern(t, &x, &s);
		failing_alloc_after(-1);
		ck_assert_uint_eq(stmt_table_n(t), status == OK);
		ck_assert_int_lt(fail_at, 10);
	}
	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &away_st), OK);
	ck_assert_int_eq(stmt_table_new(&key, 1u << 20, away_st, &away), OK);
	status = E_NOMEM;
	moved = s;
	for (long fail_at = 0; status != OK; fail_at++) {
		failing_alloc_after(fail_at);
		status = stmt_adopt(away, &moved);
		failing_alloc_after(-1);
		ck_assert((moved == s) == (status != OK));
		ck_assert_uint_eq(stmt_table_n(away), status == OK);
		ck_assert_uint_eq(settings_table_n(away_st), status == OK ? 2 : 1);
		ck_assert_int_lt(fail_at, 20);
	}
	stmt_unref(away, moved);
	stmt_table_free(away);
	settings_table_free(away_st);
	s = get("SELECT 1", 1, app); /* dead at home until it is found again */
	stmt_unref(t, s);
}
END_TEST

START_TEST(tables_without_memory_are_refused)
{
	struct stmt_table *none_made;
	enum status status;

	failing_alloc_after(0);
	status = stmt_table_new(&key, 1, st, &none_made);
	failing_alloc_after(-1);
	ck_assert_int_eq(status, E_NOMEM);
	stmt_table_free(NULL);
	stmt_unref(t, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stmts");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, query_types_and_settings_make_a_statement);
	tcase_add_test(tc, a_statement_keeps_copies);
	tcase_add_test(tc, the_table_is_bounded_by_bytes);
	tcase_add_test(tc, a_statement_is_adopted_with_its_settings);
	tcase_add_test(tc, no_memory_anywhere_changes_nothing);
	tcase_add_test(tc, tables_without_memory_are_refused);
	return unit_run("stmts", tc);
}
