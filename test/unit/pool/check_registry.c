#include "pool/registry.h"

#include <pthread.h>
#include <stdlib.h>

#include "../failing_alloc.h"
#include "../unit.h"

#define N_KEYS    500u
#define N_THREADS 4u

static struct registry g;
static _Atomic unsigned n_made, n_freed;

static bool equals(const void *entry, const void *key)
{
	return *(const unsigned *)entry == *(const unsigned *)key;
}

static enum status make(const void *key, void **entry)
{
	unsigned *e = malloc(sizeof *e);

	if (e == NULL)
		return E_NOMEM;
	*e = *(const unsigned *)key;
	atomic_fetch_add(&n_made, 1);
	*entry = e;
	return OK;
}

static void release(void *entry)
{
	atomic_fetch_add(&n_freed, 1);
	free(entry);
}

static const struct registry_kind kind = {equals, make, release};

static void begin(void)
{
	ck_assert_int_eq(registry_init(&g, &kind, N_KEYS), OK);
}

static void end(void)
{
	registry_fini(&g);
	ck_assert_uint_eq(n_made, n_freed);
}

static enum status get(unsigned key, unsigned **out)
{
	void *entry = NULL;
	enum status st = registry_get(&g, key % 7, &key, &entry); /* most collide */

	*out = entry;
	return st;
}

START_TEST(a_key_has_one_entry)
{
	unsigned *first[100], *again;
	size_t pos = 0, n = 0;

	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(get(i, &first[i]), OK);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(get(i, &again), OK);
		ck_assert_ptr_eq(again, first[i]);
		ck_assert_uint_eq(*again, i);
	}
	while (registry_next(&g, &pos) != NULL)
		n++;
	ck_assert_uint_eq(n, 100);
	ck_assert_uint_eq(n_made, 100);
}
END_TEST

START_TEST(capacity_is_the_bound)
{
	unsigned *e;

	for (unsigned i = 0; i < N_KEYS; i++)
		ck_assert_int_eq(get(i, &e), OK);
	ck_assert_int_eq(get(N_KEYS, &e), E_LIMIT);
	ck_assert_int_eq(get(3, &e), OK);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct registry other;
	enum status st;
	unsigned *e;

	failing_alloc_after(0);
	st = registry_init(&other, &kind, 10);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	registry_fini(&other);
	failing_alloc_after(0);
	st = get(1, &e);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	ck_assert_int_eq(get(1, &e), OK);
}
END_TEST

static void *get_all(void *arg)
{
	unsigned **found = arg;

	for (unsigned i = 0; i < N_KEYS; i++)
		ck_assert_int_eq(get(i, &found[i]), OK);
	return NULL;
}

START_TEST(threads_get_the_same_entries)
{
	static unsigned *found[N_THREADS][N_KEYS];
	pthread_t threads[N_THREADS];

	for (unsigned i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, get_all, found[i]), 0);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < N_THREADS; i++) {
		for (unsigned k = 0; k < N_KEYS; k++) {
			ck_assert_ptr_eq(found[i][k], found[0][k]);
			ck_assert_uint_eq(*found[i][k], k);
		}
	}
	ck_assert_uint_eq(n_made - n_freed, N_KEYS);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("registry");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, a_key_has_one_entry);
	tcase_add_test(tc, capacity_is_the_bound);
	tcase_add_test(tc, no_memory_is_told);
	tcase_add_test(tc, threads_get_the_same_entries);
	return unit_run("registry", tc);
}
