#include "sql/catalog.h"

#include <stdio.h>
#include <string.h>

#include "sql/catalog_sql.h"
#include "sql/word.h"

#include "../failing_alloc.h"
#include "../unit.h"

static uint32_t find(const struct catalog *c, const char *name)
{
	return catalog_find(c, word_hash(name, strlen(name)));
}

static struct catalog_builder *builder(void)
{
	struct catalog_builder *b = catalog_builder_new();

	ck_assert_ptr_nonnull(b);
	ck_assert_int_eq(catalog_builder_add(b, "encoding", "UTF8"), OK);
	return b;
}

START_TEST(names_are_found_with_all_their_kinds)
{
	struct catalog_builder *b = builder();
	struct catalog *c;

	ck_assert_int_eq(catalog_builder_add(b, "function", "f"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "relation", "f"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "builtin", "g"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "view", "v"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "advances", "t"), OK);
	c = catalog_freeze(b);
	ck_assert_uint_eq(find(c, "f"), CATALOG_FUNCTION | CATALOG_RELATION | CATALOG_CODE);
	ck_assert_uint_eq(find(c, "g"), CATALOG_FUNCTION);
	ck_assert_uint_eq(find(c, "v"), CATALOG_RELATION | CATALOG_CODE);
	ck_assert_uint_eq(find(c, "t"), CATALOG_ADVANCES);
	ck_assert_uint_eq(find(c, "h"), 0);
	ck_assert_uint_eq(find(c, "F"), 0);
	ck_assert_uint_eq(find(c, ""), 0);
	ck_assert(!catalog_is_all_unsafe(c));
	ck_assert(catalog_is_utf8(c));
	ck_assert(!catalog_has_operators(c));
	catalog_free(c);
}
END_TEST

START_TEST(many_names_are_all_found_and_no_others)
{
	struct catalog_builder *b = builder();
	struct catalog *c;
	char name[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "n%d", i);
		unit_check(catalog_builder_add(b, "function", name) == OK);
	}
	c = catalog_freeze(b);
	ck_assert_uint_ge(catalog_n_names(c), 20000);
	ck_assert_uint_le(catalog_mem_bytes(c), 20000 * 70);
	for (int i = 0; i < 40000; i++) {
		snprintf(name, sizeof name, "n%d", i);
		unit_check((find(c, name) != 0) == (i < 20000));
	}
	catalog_free(c);
}
END_TEST

START_TEST(builtin_names_are_in_every_catalog)
{
	struct catalog *c = catalog_freeze(builder());

	ck_assert_uint_eq(find(c, "pg_is_in_recovery"), CATALOG_FUNCTION);
	ck_assert_uint_eq(find(c, "pg_promote"), CATALOG_FUNCTION);
	ck_assert_uint_eq(find(c, "txid_current"), CATALOG_FUNCTION);
	ck_assert_uint_eq(find(c, "pg_settings"), CATALOG_RELATION);
	ck_assert_uint_eq(find(c, "nextval"), CATALOG_SPECIAL);
	ck_assert_uint_eq(find(c, "random"), 0);
	ck_assert_uint_eq(find(c, "now"), 0);
	catalog_free(c);
}
END_TEST

START_TEST(rows_that_are_not_understood_are_refused)
{
	struct catalog_builder *b = builder();

	ck_assert_int_eq(catalog_builder_add(b, "thing", "x"), E_INVALID);
	ck_assert_int_eq(catalog_builder_add(b, "", "x"), E_INVALID);
	ck_assert_int_eq(catalog_builder_add(b, "function", ""), E_INVALID);
	ck_assert_int_eq(catalog_builder_add_primary(b, "s."), E_INVALID);
	catalog_builder_free(b);
	catalog_builder_free(NULL);
	catalog_free(NULL);
}
END_TEST

START_TEST(catalog_that_is_not_whole_trusts_nothing)
{
	struct catalog_builder *b = catalog_builder_new();
	struct catalog *c;

	ck_assert_int_eq(catalog_builder_add(b, "function", "f"), OK);
	c = catalog_freeze(b);
	ck_assert(catalog_is_all_unsafe(c));
	catalog_free(c);
	b = builder();
	ck_assert_int_eq(catalog_builder_add(b, "all", "cast"), OK);
	c = catalog_freeze(b);
	ck_assert(catalog_is_all_unsafe(c));
	catalog_free(c);
}
END_TEST

START_TEST(server_encoding_is_remembered)
{
	struct catalog_builder *b = catalog_builder_new();
	struct catalog *c;

	ck_assert_int_eq(catalog_builder_add(b, "encoding", "LATIN1"), OK);
	c = catalog_freeze(b);
	ck_assert(!catalog_is_all_unsafe(c));
	ck_assert(!catalog_is_utf8(c));
	catalog_free(c);
}
END_TEST

START_TEST(operators_lists_override_the_rows)
{
	struct catalog_builder *b = builder();
	struct catalog *c;

	ck_assert_int_eq(catalog_builder_add(b, "function", "f"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "attribute", "f"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "view", "v"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "function", "both"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "operator", "@!@"), OK);
	ck_assert_int_eq(catalog_builder_add_replica(b, "app.f"), OK);
	ck_assert_int_eq(catalog_builder_add_replica(b, "v"), OK);
	ck_assert_int_eq(catalog_builder_add_replica(b, "both"), OK);
	ck_assert_int_eq(catalog_builder_add_primary(b, "both"), OK);
	ck_assert_int_eq(catalog_builder_add_primary(b, "app.liar"), OK);
	ck_assert_int_eq(catalog_builder_add_replica(b, "nextval"), OK);
	c = catalog_freeze(b);
	ck_assert_uint_eq(find(c, "f"), 0);
	ck_assert_uint_eq(find(c, "v"), 0);
	ck_assert_uint_ne(find(c, "both") & CATALOG_FUNCTION, 0);
	ck_assert_uint_ne(find(c, "liar") & CATALOG_FUNCTION, 0);
	ck_assert_uint_ne(find(c, "liar") & CATALOG_RELATION, 0);
	ck_assert_uint_eq(find(c, "nextval"), CATALOG_SPECIAL);
	ck_assert(catalog_has_operators(c));
	catalog_free(c);
}
END_TEST

START_TEST(names_are_bounded)
{
	struct catalog_builder *b = builder();
	enum status st = OK;
	size_t n = 0;

	for (; st == OK && n <= CATALOG_NAMES_MAX; n++)
		st = catalog_builder_add(b, "function", "f");
	ck_assert_int_eq(st, E_LIMIT);
	ck_assert_int_eq(catalog_builder_add(b, "function", "g"), E_LIMIT);
	ck_assert_int_eq(catalog_builder_add(b, "all", "x"), OK);
	catalog_builder_free(b);
}
END_TEST

/* Every allocation on the way fails once; nothing leaks, nothing is half built. */
START_TEST(lack_of_memory_is_reported)
{
	for (long fail_at = 0;; fail_at++) {
		struct catalog_builder *b;
		struct catalog *c;
		enum status st = OK;
		char name[16];

		failing_alloc_after(fail_at);
		b = catalog_builder_new();
		for (int i = 0; b != NULL && st == OK && i < 2000; i++) {
			snprintf(name, sizeof name, "n%d", i);
			st = catalog_builder_add(b, "function", name);
		}
		c = b != NULL && st == OK ? catalog_freeze(b) : NULL;
		failing_alloc_after(-1);
		if (st != OK) {
			ck_assert_int_eq(st, E_NOMEM);
			catalog_builder_free(b);
		}
		if (c != NULL) {
			ck_assert_int_ge(fail_at, 3);
			ck_assert_uint_ne(find(c, "n1999"), 0);
			catalog_free(c);
			return;
		}
	}
}
END_TEST

/* Counts what stands in the text; a name or operator of pg_catalog has the schema before it. */
static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = strstr(text, what); p != NULL; p = strstr(p + 1, what))
		n++;
	return n;
}

START_TEST(catalog_query_is_safe_under_any_search_path)
{
	static const char *const relations[] = {"pg_proc", "pg_class", "pg_type", "pg_depend",
		"pg_rewrite", "pg_policy", "pg_constraint", "pg_language", "pg_aggregate",
		"pg_attribute", "pg_range", "pg_cast", "pg_opclass", "pg_amproc", "pg_amop",
		"pg_operator", "pg_inherits", "pg_trigger", "pg_database", "pg_settings",
		"regexp_matches", "lower(", "pg_get_keywords", "pg_encoding_to_char",
		"current_database(", "count(", "string_agg(", "unnest("};
	static const char *const operators[] = {
		" = ", " <> ", " >= ", " <= ", " - ", " ~ ", " LIKE ", " IN (", " BETWEEN "};
	const char *sql = catalog_sql(150000);
	char qualified[64];

	for (size_t i = 0; i < sizeof relations / sizeof relations[0]; i++) {
		snprintf(qualified, sizeof qualified, "FROM %s", relations[i]);
		ck_assert_uint_eq(count(sql, qualified), 0);
		snprintf(qualified, sizeof qualified, "pg_catalog.%s", relations[i]);
		ck_assert_msg(count(sql, qualified) > 0, "%s", relations[i]);
	}
	for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
		ck_assert_msg(count(sql, operators[i]) == 0, "%s", operators[i]);
	/* CASE x WHEN y looks for an operator =, and pg_get_viewdef runs SQL of its own */
	ck_assert_uint_eq(count(sql, "CASE "), count(sql, "CASE WHEN "));
	ck_assert_uint_eq(count(sql, "pg_get_viewdef"), 0);
}
END_TEST

START_TEST(catalog_query_fits_the_server)
{
	ck_assert_ptr_null(catalog_sql(0));
	ck_assert_ptr_null(catalog_sql(120015));
	ck_assert_ptr_null(strstr(catalog_sql(130000), "prosqlbody"));
	ck_assert_ptr_nonnull(strstr(catalog_sql(140000), "prosqlbody"));
	ck_assert_str_eq(catalog_sql(180000), catalog_sql(140000));
	ck_assert_str_eq(catalog_sql(990000), catalog_sql(180000));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("catalog");

	tcase_add_test(tc, names_are_found_with_all_their_kinds);
	tcase_add_test(tc, many_names_are_all_found_and_no_others);
	tcase_add_test(tc, builtin_names_are_in_every_catalog);
	tcase_add_test(tc, rows_that_are_not_understood_are_refused);
	tcase_add_test(tc, catalog_that_is_not_whole_trusts_nothing);
	tcase_add_test(tc, server_encoding_is_remembered);
	tcase_add_test(tc, operators_lists_override_the_rows);
	tcase_add_test(tc, names_are_bounded);
	tcase_add_test(tc, lack_of_memory_is_reported);
	tcase_add_test(tc, catalog_query_is_safe_under_any_search_path);
	tcase_add_test(tc, catalog_query_fits_the_server);
	return unit_run("catalog", tc);
}
