#include "state/intern.h"

#include <pthread.h>
#include <stdlib.h>

#include "../failing_alloc.h"
#include "../unit.h"

struct thing {
	struct interned in;
	unsigned id;
};

static const struct hash_key key = {3, 4};
static unsigned n_freed;

static void thing_free(void *arg, struct interned *o)
{
	(*(unsigned *)arg)++;
	free(o);
}

static bool thing_is(const void *item, const void *wanted)
{
	return ((const struct thing *)item)->id == *(const unsigned *)wanted;
}

static uint64_t thing_hash(unsigned id)
{
	return hash_bytes(&key, &id, sizeof id);
}

/* Find or add; NULL when intern_add refuses. */
static struct interned *thing_get(struct intern *in, unsigned id)
{
	struct interned *o = intern_find(in, thing_hash(id), thing_is, &id);
	struct thing *t;

	if (o != NULL)
		return o;
	t = calloc(1, sizeof *t);
	ck_assert_ptr_nonnull(t);
	t->id = id;
	if (intern_add(in, thing_hash(id), &t->in, 100) == OK)
		return &t->in;
	free(t);
	return NULL;
}

static void begin(struct intern *in, size_t bytes_max)
{
	n_freed = 0;
	intern_init(in, &key, bytes_max, thing_free, &n_freed);
}

START_TEST(equal_content_is_one_object_until_its_last_reference)
{
	struct intern in;
	struct interned *a, *b;

	begin(&in, 1000);
	a = thing_get(&in, 1);
	b = thing_get(&in, 1);
	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, thing_get(&in, 2));
	ck_assert_uint_eq(in.bytes, 200);
	intern_unref(&in, a);
	ck_assert_uint_eq(n_freed, 0);
	intern_unref(&in, b);
	ck_assert_uint_eq(n_freed, 1);
	ck_assert_uint_eq(in.bytes, 100);
	intern_fini(&in);
	ck_assert_uint_eq(n_freed, 2);
}
END_TEST

START_TEST(a_full_table_refuses_until_something_is_dropped)
{
	struct intern in;
	struct interned *a;

	begin(&in, 250);
	a = thing_get(&in, 1);
	ck_assert_ptr_nonnull(thing_get(&in, 2));
	ck_assert_ptr_null(thing_get(&in, 3));
	ck_assert_ptr_nonnull(thing_get(&in, 2));
	intern_unref(&in, a);
	ck_assert_ptr_nonnull(thing_get(&in, 3));
	intern_fini(&in);
}
END_TEST

START_TEST(no_memory_leaves_the_table_as_it_was)
{
	struct intern in;
	struct thing t = {.id = 1};
	enum status st;

	begin(&in, 1000);
	failing_alloc_after(0);
	st = intern_add(&in, 1, &t.in, 100);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	ck_assert_uint_eq(in.bytes, 0);
	intern_fini(&in);
	ck_assert_uint_eq(n_freed, 0);
}
END_TEST

START_TEST(what_another_table_drops_is_freed_at_home_when_room_is_needed)
{
	struct intern home, away;

	begin(&home, 500);
	intern_init(&away, &key, 500, thing_free, &n_freed);
	for (unsigned i = 0; i < 5; i++)
		intern_unref(&away, thing_get(&home, i));
	ck_assert_uint_eq(n_freed, 0);
	ck_assert_ptr_nonnull(thing_get(&home, 5));
	ck_assert_uint_eq(n_freed, 5);
	ck_assert_uint_eq(home.map.n_items, 1);
	intern_fini(&home);
	intern_fini(&away);
}
END_TEST

START_TEST(a_dead_object_that_is_found_lives_again)
{
	struct intern home, away;
	struct interned *a;

	begin(&home, 100);
	intern_init(&away, &key, 100, thing_free, &n_freed);
	a = thing_get(&home, 1);
	intern_unref(&away, a);
	ck_assert_ptr_eq(thing_get(&home, 1), a);
	ck_assert_ptr_null(thing_get(&home, 2)); /* swept, but `a` is in use */
	ck_assert_uint_eq(n_freed, 0);
	intern_unref(&home, a);
	ck_assert_uint_eq(n_freed, 1);
	intern_fini(&home);
	intern_fini(&away);
}
END_TEST

START_TEST(many_dead_objects_are_swept_without_a_full_table)
{
	struct intern home, away;

	begin(&home, 1u << 30);
	intern_init(&away, &key, 100, thing_free, &n_freed);
	for (unsigned i = 0; i < 1000; i++) {
		intern_unref(&away, thing_get(&home, i));
		ck_assert_uint_le(home.map.n_items, 20);
	}
	intern_fini(&home);
	intern_fini(&away);
}
END_TEST

/* --- two threads pass objects to and fro --- */

#define N_PASSED 20000u
#define RING     64u

struct ring {
	_Atomic(struct interned *) cells[RING];
};

static void ring_put(struct ring *r, unsigned i, struct interned *o)
{
	while (atomic_load(&r->cells[i % RING]) != NULL)
		;
	atomic_store(&r->cells[i % RING], o);
}

static struct interned *ring_take(struct ring *r, unsigned i)
{
	struct interned *o;

	while ((o = atomic_load(&r->cells[i % RING])) == NULL)
		;
	atomic_store(&r->cells[i % RING], NULL);
	return o;
}

static void *receive(void *arg)
{
	struct ring *r = arg;
	struct intern away;
	unsigned n = 0;

	intern_init(&away, &key, 1u << 20, thing_free, &n);
	for (unsigned i = 0; i < N_PASSED; i++) {
		struct interned *o = ring_take(r, i);

		intern_ref(o);
		intern_unref(&away, o);
		intern_unref(&away, o);
	}
	intern_fini(&away);
	return NULL;
}

START_TEST(objects_dropped_by_another_thread_are_freed_once)
{
	static struct ring ring;
	struct intern home;
	struct interned *held[20];
	pthread_t thread;
	uint64_t random = 5;

	begin(&home, 20 * 100);
	ck_assert_int_eq(pthread_create(&thread, NULL, receive, &ring), 0);
	for (unsigned i = 0; i < N_PASSED;) {
		struct interned *o = thing_get(&home, (unsigned)(unit_random(&random) % 64));

		if (o != NULL)
			ring_put(&ring, i++, o);
	}
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 20; i++) { /* all are dead: there is room for as many others */
		held[i] = thing_get(&home, 1000 + i);
		ck_assert_ptr_nonnull(held[i]);
	}
	for (unsigned i = 0; i < 20; i++)
		intern_unref(&home, held[i]);
	ck_assert_uint_eq(home.map.n_items, 0);
	ck_assert_uint_eq(home.bytes, 0);
	intern_fini(&home);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("intern");

	tcase_add_test(tc, equal_content_is_one_object_until_its_last_reference);
	tcase_add_test(tc, a_full_table_refuses_until_something_is_dropped);
	tcase_add_test(tc, no_memory_leaves_the_table_as_it_was);
	tcase_add_test(tc, what_another_table_drops_is_freed_at_home_when_room_is_needed);
	tcase_add_test(tc, a_dead_object_that_is_found_lives_again);
	tcase_add_test(tc, many_dead_objects_are_swept_without_a_full_table);
	tcase_add_test(tc, objects_dropped_by_another_thread_are_freed_once);
	return unit_run("intern", tc);
}
