#include "state/stmt_names.h"

#include <stdio.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

#define N_MAX 100u

static const struct hash_key key = {13, 14};
static struct settings_table *st;
static struct stmt_table *t;
static struct settings *none;
static struct stmt_names n;

static void begin(void)
{
	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &st), OK);
	ck_assert_int_eq(stmt_table_new(&key, 1u << 20, st, &t), OK);
	none = settings_empty(st);
	stmt_names_init(&n, t, N_MAX);
}

static void end(void)
{
	stmt_names_fini(&n);
	settings_unref(st, none);
	ck_assert_uint_eq(stmt_table_n(n.table), 0);
	stmt_table_free(t);
	settings_table_free(st);
}

static struct stmt *get(unsigned id)
{
	char query[32];
	struct stmt_text x = {.query = query, .parse = none};
	struct stmt *s;

	x.query_len = (uint32_t)snprintf(query, sizeof query, "SELECT %u", id);
	ck_assert_int_eq(stmt_intern(t, &x, &s), OK);
	return s;
}

/* Put statement `id` under `name`; the table's reference is all that is kept. */
static enum status put(const char *name, unsigned id, struct stmt_name **out)
{
	struct stmt *s = get(id);
	enum status status = stmt_names_put(&n, name, s, out);

	stmt_unref(t, s);
	return status;
}

START_TEST(a_name_is_found_with_the_callers_words)
{
	struct stmt_name *e;

	ck_assert_int_eq(put("S_1", 1, &e), OK);
	ck_assert_uint_eq(e->word, 0);
	e->word = 42;
	e->seen.shape = 43;
	ck_assert_ptr_eq(stmt_names_find(&n, "S_1"), e);
	ck_assert_str_eq(e->name, "S_1");
	ck_assert_str_eq(e->stmt->query, "SELECT 1");
	ck_assert_uint_eq(e->word, 42);
	ck_assert_ptr_null(stmt_names_find(&n, "S_2"));
	ck_assert_ptr_null(stmt_names_find(&n, "s_1"));
}
END_TEST

START_TEST(a_taken_name_is_refused_until_it_is_closed)
{
	struct stmt_name *e;

	ck_assert_int_eq(put("S_1", 1, &e), OK);
	ck_assert_int_eq(put("S_1", 1, &e), E_EXISTS);
	ck_assert_int_eq(put("S_1", 2, &e), E_EXISTS);
	ck_assert(stmt_names_remove(&n, "S_1"));
	ck_assert(!stmt_names_remove(&n, "S_1"));
	ck_assert_uint_eq(stmt_table_n(t), 0);
	ck_assert_uint_eq(n.bytes, 0);
	ck_assert_int_eq(put("S_1", 2, &e), OK);
	ck_assert_str_eq(e->stmt->query, "SELECT 2");
}
END_TEST

START_TEST(a_name_may_come_to_mean_another_statement)
{
	struct stmt_name *e;
	struct stmt *s;

	ck_assert_int_eq(put("S_1", 1, &e), OK);
	e->word = 42;
	e->seen = (struct stmt_seen){7, 8};
	s = stmt_ref(e->stmt);
	stmt_names_change(&n, e, s); /* the same: nothing is freed */
	stmt_unref(t, s);
	ck_assert_str_eq(e->stmt->query, "SELECT 1");
	ck_assert_int_eq(put("other", 2, &e), OK);
	s = stmt_ref(e->stmt);
	e = stmt_names_find(&n, "S_1");
	stmt_names_change(&n, e, s);
	stmt_unref(t, s);
	ck_assert_uint_eq(stmt_table_n(t), 1);
	ck_assert_str_eq(e->stmt->query, "SELECT 2");
	ck_assert_uint_eq(e->word, 0);
	ck_assert_uint_eq(e->seen.shape, 7);
	ck_assert_uint_eq(e->seen.ddl, 8);
}
END_TEST

START_TEST(the_unnamed_statement_is_replaced)
{
	struct stmt_name *e;

	ck_assert_ptr_null(stmt_names_find(&n, ""));
	ck_assert(!stmt_names_remove(&n, ""));
	ck_assert_int_eq(put("", 1, &e), OK);
	e->word = 1;
	e->seen = (struct stmt_seen){2, 3};
	ck_assert_int_eq(put("", 1, &e), OK);
	ck_assert_uint_eq(e->word, 0);
	ck_assert_uint_eq(e->seen.shape + e->seen.ddl, 0);
	ck_assert_int_eq(put("", 2, &e), OK);
	ck_assert_uint_eq(stmt_table_n(t), 1);
	ck_assert_str_eq(stmt_names_find(&n, "")->stmt->query, "SELECT 2");
	ck_assert_uint_eq(stmt_names_n(&n), 0);
	ck_assert(stmt_names_remove(&n, ""));
	ck_assert_ptr_null(stmt_names_find(&n, ""));
	ck_assert_uint_eq(stmt_table_n(t), 0);
}
END_TEST

START_TEST(names_are_bounded_in_number_and_length)
{
	static char name[STMT_NAME_MAX + 2];
	struct stmt_name *e;

	for (unsigned i = 0; i < N_MAX; i++) {
		snprintf(name, sizeof name, "S_%u", i);
		ck_assert_int_eq(put(name, 1, &e), OK);
	}
	ck_assert_int_eq(put("one_more", 1, &e), E_LIMIT);
	ck_assert_int_eq(put("", 1, &e), OK);
	ck_assert(stmt_names_remove(&n, "S_0"));
	memset(name, 'x', STMT_NAME_MAX + 1);
	ck_assert_int_eq(put(name, 1, &e), E_LIMIT);
	ck_assert_int_eq(put(name + 1, 1, &e), OK);
}
END_TEST

START_TEST(clear_takes_named_and_unnamed)
{
	struct stmt_name *e;

	ck_assert_int_eq(put("", 1, &e), OK);
	ck_assert_int_eq(put("S_1", 1, &e), OK);
	ck_assert_int_eq(put("S_2", 2, &e), OK);
	stmt_names_clear(&n);
	ck_assert_uint_eq(stmt_names_n(&n), 0);
	ck_assert_uint_eq(stmt_table_n(t), 0);
	ck_assert_ptr_null(stmt_names_find(&n, "S_1"));
	ck_assert_ptr_null(stmt_names_find(&n, ""));
	ck_assert_int_eq(put("S_1", 1, &e), OK);
}
END_TEST

START_TEST(random_operations_agree_with_a_naive_model)
{
	unsigned model[40] = {0}; /* statement + 1 */
	uint64_t random = 19;
	struct stmt_name *e;
	char name[8];

	for (unsigned step = 0; step < 30000; step++) {
		uint64_t r = unit_random(&random);
		unsigned i = r % 40, id = (r >> 8) % 5, n_named = 0;
		size_t pos = 0;

		snprintf(name, sizeof name, i == 0 ? "" : "S%u", i);
		if (r >> 62 == 0) {
			ck_assert_int_eq(stmt_names_remove(&n, name), model[i] != 0);
			model[i] = 0;
		} else {
			enum status want = i != 0 && model[i] != 0 ? E_EXISTS : OK;

			ck_assert_int_eq(put(name, id, &e), want);
			if (want == OK)
				model[i] = id + 1;
		}
		for (i = 1; i < 40; i++)
			n_named += model[i] != 0;
		ck_assert_uint_eq(stmt_names_n(&n), n_named);
		while ((e = stmt_names_next(&n, &pos)) != NULL)
			ck_assert_int_eq(e->stmt->query[7] - '0' + 1, model[atoi(e->name + 1)]);
	}
}
END_TEST

START_TEST(names_move_to_another_table)
{
	struct settings_table *away_st;
	struct stmt_table *away;
	static const struct hash_key away_key = {15, 16};
	struct stmt_name *e;
	char name[16];

	ck_assert_int_eq(settings_table_new(&away_key, 1u << 20, &away_st), OK);
	ck_assert_int_eq(stmt_table_new(&away_key, 1u << 20, away_st, &away), OK);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, i == 0 ? "" : "S_%u", i);
		ck_assert_int_eq(put(name, i, &e), OK);
		e->word = i;
	}
	ck_assert_int_eq(stmt_names_adopt(&n, away), OK);
	ck_assert_uint_eq(stmt_names_n(&n), 49);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, i == 0 ? "" : "S_%u", i);
		e = stmt_names_find(&n, name);
		ck_assert_ptr_nonnull(e);
		ck_assert_uint_eq(e->word, i);
		ck_assert_int_eq(atoi(e->stmt->query + 7), (int)i);
	}
	ck_assert_uint_eq(stmt_table_n(away), 50);
	stmt_names_fini(&n);
	ck_assert_uint_eq(stmt_table_n(away), 0);
	stmt_table_free(away);
	settings_table_free(away_st);
	stmt_names_init(
		&n, t, N_MAX); /* for the fixture; dead ones at home are found and dropped */
	for (unsigned i = 0; i < 50; i++)
		stmt_unref(t, get(i));
}
END_TEST

START_TEST(a_move_that_fails_halfway_can_be_ended)
{
	struct stmt_name *e;
	enum status status = E_NOMEM;

	for (long fail_at = 0; status != OK; fail_at++) {
		struct settings_table *away_st;
		struct stmt_table *away;

		ck_assert_int_eq(settings_table_new(&key, 1u << 20, &away_st), OK);
		ck_assert_int_eq(stmt_table_new(&key, 1u << 20, away_st, &away), OK);
		ck_assert_int_eq(put("", 0, &e), OK);
		ck_assert_int_eq(put("S_1", 1, &e), OK);
		ck_assert_int_eq(put("S_2", 2, &e), OK);
		failing_alloc_after(fail_at);
		status = stmt_names_adopt(&n, away);
		failing_alloc_after(-1);
		stmt_names_fini(&n);
		ck_assert_uint_eq(stmt_table_n(away), 0);
		stmt_table_free(away);
		settings_table_free(away_st);
		stmt_names_init(&n, t, N_MAX);
		ck_assert_int_lt(fail_at, 20);
	}
	for (unsigned i = 0; i < 3; i++)
		stmt_unref(t, get(i));
}
END_TEST

START_TEST(no_memory_for_a_name_changes_nothing)
{
	struct stmt *s = get(1);
	struct stmt_name *e;
	enum status named, unnamed;

	for (long fail_at = 0; fail_at < 2; fail_at++) {
		failing_alloc_after(fail_at);
		named = stmt_names_put(&n, "S_1", s, &e);
		failing_alloc_after(-1);
		ck_assert_int_eq(named, E_NOMEM);
	}
	failing_alloc_after(0);
	unnamed = stmt_names_put(&n, "", s, &e);
	failing_alloc_after(-1);
	ck_assert_int_eq(unnamed, E_NOMEM);
	ck_assert_uint_eq(n.bytes, 0);
	ck_assert_ptr_null(stmt_names_find(&n, "S_1"));
	stmt_unref(t, s);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stmt_names");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, a_name_is_found_with_the_callers_words);
	tcase_add_test(tc, a_taken_name_is_refused_until_it_is_closed);
	tcase_add_test(tc, a_name_may_come_to_mean_another_statement);
	tcase_add_test(tc, the_unnamed_statement_is_replaced);
	tcase_add_test(tc, names_are_bounded_in_number_and_length);
	tcase_add_test(tc, clear_takes_named_and_unnamed);
	tcase_add_test(tc, random_operations_agree_with_a_naive_model);
	tcase_add_test(tc, names_move_to_another_table);
	tcase_add_test(tc, a_move_that_fails_halfway_can_be_ended);
	tcase_add_test(tc, no_memory_for_a_name_changes_nothing);
	return unit_run("stmt_names", tc);
}
