#include "state/stmt_lru.h"

#include <stdio.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

#define N_STMTS 64u

static const struct hash_key key = {17, 18};
static struct settings_table *st;
static struct stmt_table *t;
static struct stmt *stmts[N_STMTS];

static struct stmt *get(struct stmt_table *table, struct settings *parse, unsigned id)
{
	char query[32];
	struct stmt_text x = {.query = query, .parse = parse};
	struct stmt *s;

	x.query_len = (uint32_t)snprintf(query, sizeof query, "SELECT %u", id);
	ck_assert_int_eq(stmt_intern(table, &x, &s), OK);
	return s;
}

static void begin(void)
{
	struct settings *none;

	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &st), OK);
	ck_assert_int_eq(stmt_table_new(&key, 1u << 20, st, &t), OK);
	none = settings_empty(st);
	for (unsigned i = 0; i < N_STMTS; i++)
		stmts[i] = get(t, none, i);
	settings_unref(st, none);
}

static void end(void)
{
	for (unsigned i = 0; i < N_STMTS; i++)
		stmt_unref(t, stmts[i]);
	ck_assert_uint_eq(stmt_table_n(t), 0);
	stmt_table_free(t);
	settings_table_free(st);
}

static uint64_t add(struct stmt_lru *l, unsigned i, uint64_t want_victim)
{
	struct stmt_lru_entry *e;
	uint64_t victim;

	ck_assert_int_eq(stmt_lru_add(l, stmts[i], &e, &victim), OK);
	ck_assert_uint_eq(victim, want_victim);
	ck_assert_ptr_eq(e->stmt, stmts[i]);
	ck_assert_uint_eq(e->is.shape + e->is.ddl + e->is_odd, 0);
	e->is = (struct stmt_seen){.shape = e->number, .ddl = 1};
	e->is_odd = true;
	return e->number;
}

/* As stmt_lru_use, but the number, 0: none. */
static uint64_t use(struct stmt_lru *l, unsigned i)
{
	const struct stmt_lru_entry *e = stmt_lru_use(l, stmts[i]);

	return e != NULL ? e->number : 0;
}

START_TEST(the_least_recently_used_goes)
{
	struct stmt_lru l;

	stmt_lru_init(&l, t, 3);
	ck_assert_uint_eq(use(&l, 0), 0);
	ck_assert_uint_eq(add(&l, 0, 0), 1);
	ck_assert_uint_eq(add(&l, 1, 0), 2);
	ck_assert_uint_eq(add(&l, 2, 0), 3);
	ck_assert_uint_eq(use(&l, 0), 1);
	ck_assert_uint_eq(stmt_lru_find(&l, stmts[1]), 2); /* looking is not using */
	ck_assert_uint_eq(add(&l, 3, 2), 4);
	ck_assert_uint_eq(stmt_lru_find(&l, stmts[1]), 0);
	ck_assert_uint_eq(add(&l, 1, 3), 5);
	stmt_lru_fini(&l);
}
END_TEST

START_TEST(one_place_is_enough)
{
	struct stmt_lru l;

	stmt_lru_init(&l, t, 1);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(add(&l, i, i), i + 1);
	ck_assert_uint_eq(stmt_lru_remove(&l, stmts[9]), 10);
	ck_assert_uint_eq(stmt_lru_remove(&l, stmts[9]), 0);
	ck_assert_ptr_null(stmt_lru_next(&l, NULL));
	stmt_lru_fini(&l);
}
END_TEST

START_TEST(removal_by_number_and_clear)
{
	struct stmt_lru l;

	stmt_lru_init(&l, t, 10);
	ck_assert(!stmt_lru_remove_number(&l, 1));
	for (unsigned i = 0; i < 10; i++)
		add(&l, i, 0);
	ck_assert_ptr_eq(stmt_lru_numbered(&l, 4)->stmt, stmts[3]);
	ck_assert_uint_eq(stmt_lru_numbered(&l, 4)->is.shape, 4);
	ck_assert(stmt_lru_remove_number(&l, 4));
	ck_assert_ptr_null(stmt_lru_numbered(&l, 4));
	ck_assert(!stmt_lru_remove_number(&l, 4));
	ck_assert_uint_eq(stmt_lru_find(&l, stmts[3]), 0);
	ck_assert_uint_eq(l.n, 9);
	stmt_lru_clear(&l);
	ck_assert_uint_eq(l.n, 0);
	ck_assert_uint_eq(use(&l, 0), 0);
	ck_assert_uint_eq(add(&l, 0, 0), 11); /* a number is never used again */
	stmt_lru_fini(&l);
}
END_TEST

/* The model keeps the order in an array, most recent first. */
struct model {
	unsigned id[N_STMTS];
	uint64_t number[N_STMTS];
	unsigned n;
};

static unsigned model_index(const struct model *m, unsigned id)
{
	unsigned i = 0;

	while (i < m->n && m->id[i] != id)
		i++;
	return i;
}

static void model_remove(struct model *m, unsigned i)
{
	m->n--;
	memmove(&m->id[i], &m->id[i + 1], (m->n - i) * sizeof m->id[0]);
	memmove(&m->number[i], &m->number[i + 1], (m->n - i) * sizeof m->number[0]);
}

static void model_push(struct model *m, unsigned id, uint64_t number)
{
	memmove(&m->id[1], &m->id[0], m->n * sizeof m->id[0]);
	memmove(&m->number[1], &m->number[0], m->n * sizeof m->number[0]);
	m->id[0] = id;
	m->number[0] = number;
	m->n++;
}

static void model_compare(const struct model *m, const struct stmt_lru *l)
{
	const struct stmt_lru_entry *e = NULL;
	unsigned i;

	ck_assert_uint_eq(l->n, m->n);
	for (i = 0; (e = stmt_lru_next(l, e)) != NULL; i++) {
		ck_assert_uint_lt(i, m->n);
		ck_assert_ptr_eq(e->stmt, stmts[m->id[i]]);
		ck_assert_uint_eq(e->number, m->number[i]);
	}
	ck_assert_uint_eq(i, m->n);
	for (unsigned id = 0; id < N_STMTS; id++) {
		i = model_index(m, id);
		ck_assert_uint_eq(
			stmt_lru_find(l, stmts[id]), i < m->n ? m->number[i] : (uint64_t)0);
	}
}

/* Use it or, if it is not in, add it. */
static void model_step_use(struct model *m, struct stmt_lru *l, unsigned id)
{
	unsigned i = model_index(m, id);
	uint64_t number = use(l, id), want_victim = 0;

	if (i < m->n) {
		ck_assert_uint_eq(number, m->number[i]);
		model_remove(m, i);
	} else {
		ck_assert_uint_eq(number, 0);
		if (m->n == l->n_max) {
			want_victim = m->number[m->n - 1];
			model_remove(m, m->n - 1);
		}
		number = add(l, id, want_victim);
	}
	model_push(m, id, number);
}

START_TEST(random_operations_agree_with_a_naive_model)
{
	static const uint32_t sizes[] = {1, 2, 7, 8, 9, 31, 64};
	uint64_t random = 23;

	for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
		struct model m = {.n = 0};
		struct stmt_lru l;

		stmt_lru_init(&l, t, sizes[k]);
		for (unsigned step = 0; step < 4000; step++) {
			uint64_t r = unit_random(&random);
			unsigned id = (r >> 8) % N_STMTS, i = model_index(&m, id);

			if (r % 1024 == 0) {
				stmt_lru_clear(&l);
				m.n = 0;
			} else if (r % 4 == 0) {
				ck_assert_uint_eq(stmt_lru_remove(&l, stmts[id]),
					i < m.n ? m.number[i] : (uint64_t)0);
				if (i < m.n)
					model_remove(&m, i);
			} else {
				model_step_use(&m, &l, id);
			}
			model_compare(&m, &l);
		}
		stmt_lru_fini(&l);
	}
}
END_TEST

START_TEST(no_memory_to_grow_keeps_what_is_there)
{
	struct stmt_lru l;
	struct stmt_lru_entry *e;
	uint64_t victim;

	stmt_lru_init(&l, t, N_STMTS);
	for (unsigned i = 0; i < N_STMTS; i++) {
		for (long fail_at = 0; fail_at < 2; fail_at++) {
			failing_alloc_after(fail_at);
			if (stmt_lru_add(&l, stmts[i], &e, &victim) == OK)
				stmt_lru_remove(&l, stmts[i]);
			failing_alloc_after(-1);
			ck_assert_uint_eq(l.n, i);
			if (i > 0)
				ck_assert_uint_ne(stmt_lru_find(&l, stmts[i - 1]), 0);
		}
		add(&l, i, 0);
	}
	stmt_lru_fini(&l);
}
END_TEST

START_TEST(all_move_to_another_table_in_their_order)
{
	struct settings_table *away_st;
	struct stmt_table *away;
	struct stmt_lru l;
	const struct stmt_lru_entry *e = NULL;
	unsigned i = 0;

	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &away_st), OK);
	ck_assert_int_eq(stmt_table_new(&key, 1u << 20, away_st, &away), OK);
	stmt_lru_init(&l, t, 20);
	ck_assert_int_eq(stmt_lru_adopt(&l, away), OK);
	ck_assert_int_eq(stmt_lru_adopt(&l, t), OK);
	for (i = 0; i < 20; i++)
		add(&l, i, 0);
	ck_assert_int_eq(stmt_lru_adopt(&l, away), OK);
	while ((e = stmt_lru_next(&l, e)) != NULL) {
		ck_assert_uint_eq(e->number, i--);
		ck_assert_str_eq(e->stmt->query, stmts[i]->query);
		ck_assert_ptr_ne(e->stmt, stmts[i]);
		ck_assert_uint_eq(stmt_lru_find(&l, e->stmt), e->number);
		ck_assert_uint_eq(stmt_lru_find(&l, stmts[i]), 0);
	}
	stmt_lru_fini(&l);
	ck_assert_uint_eq(stmt_table_n(away), 0);
	stmt_table_free(away);
	settings_table_free(away_st);
}
END_TEST

START_TEST(a_move_that_fails_halfway_can_be_ended)
{
	struct settings_table *away_st;
	struct stmt_table *away;
	struct stmt_lru l;

	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &away_st), OK);
	ck_assert_int_eq(stmt_table_new(&key, 500, away_st, &away), OK);
	stmt_lru_init(&l, t, 20);
	for (unsigned i = 0; i < 20; i++)
		add(&l, i, 0);
	ck_assert_int_eq(stmt_lru_adopt(&l, away), E_LIMIT);
	ck_assert_uint_gt(stmt_table_n(away), 0);
	stmt_lru_fini(&l);
	ck_assert_uint_eq(stmt_table_n(away), 0);
	stmt_table_free(away);
	settings_table_free(away_st);
}
END_TEST

START_TEST(names_on_a_server)
{
	char name[STMT_SERVER_NAME_MAX];

	ck_assert_uint_eq(stmt_server_name(1, name), 8);
	ck_assert_str_eq(name, "pgweir_1");
	stmt_server_name(0x1f0, name);
	ck_assert_str_eq(name, "pgweir_1f0");
	ck_assert_uint_eq(stmt_server_name(UINT64_MAX, name), STMT_SERVER_NAME_MAX - 1);
	ck_assert_str_eq(name, "pgweir_ffffffffffffffff");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stmt_lru");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, the_least_recently_used_goes);
	tcase_add_test(tc, one_place_is_enough);
	tcase_add_test(tc, removal_by_number_and_clear);
	tcase_add_test(tc, random_operations_agree_with_a_naive_model);
	tcase_add_test(tc, no_memory_to_grow_keeps_what_is_there);
	tcase_add_test(tc, all_move_to_another_table_in_their_order);
	tcase_add_test(tc, a_move_that_fails_halfway_can_be_ended);
	tcase_add_test(tc, names_on_a_server);
	return unit_run("stmt_lru", tc);
}
