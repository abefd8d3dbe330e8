#include "base/map.h"

#include <stdio.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

#define N_ITEMS 500u

struct item {
	unsigned id;
	bool is_in; /* model */
};

static bool item_is(const void *item, const void *key)
{
	return ((const struct item *)item)->id == *(const unsigned *)key;
}

/* Three ways to hash: well, as a counter does, and so badly that most items collide. */
static uint64_t item_hash(unsigned id, int way)
{
	static const struct hash_key key = {1, 2};

	switch (way) {
	case 0:
		return hash_bytes(&key, &id, sizeof id);
	case 1:
		return id;
	default:
		return id % 3;
	}
}

static void model_compare(struct map *m, struct item *items, int way)
{
	unsigned n = 0, n_seen = 0, n_not_free = 0;
	struct item *it;

	for (unsigned i = 0; i < N_ITEMS; i++) {
		void *found = map_find(m, item_hash(i, way), item_is, &i);

		unit_check(found == (items[i].is_in ? &items[i] : NULL));
		n += items[i].is_in;
	}
	ck_assert_uint_eq(m->n_items, n);
	for (size_t i = 0; i < m->n_slots; i++)
		n_not_free += m->slots[i].item != NULL || m->slots[i].hash != 0;
	ck_assert_uint_eq(m->n_used, n_not_free);
	map_foreach (it, pos, m) {
		unit_check(it->is_in);
		it->is_in = false;
		n_seen++;
	}
	ck_assert_uint_eq(n_seen, n); /* each exactly once: it was marked out in passing */
	map_foreach (it, pos, m)
		it->is_in = true;
}

START_TEST(random_operations_agree_with_a_naive_model)
{
	struct item items[N_ITEMS];
	uint64_t random = 7;
	struct map m;

	for (unsigned i = 0; i < N_ITEMS; i++)
		items[i] = (struct item){.id = i};
	map_init(&m);
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t r = unit_random(&random);
		unsigned reach = step / 1000 % 2 == 0 ? N_ITEMS : 20; /* fills, then drains */
		struct item *it = &items[(r >> 32) % N_ITEMS];
		uint64_t hash = item_hash(it->id, _i);

		if (it->is_in || it->id >= reach) {
			unit_check(map_remove(&m, hash, it) == it->is_in);
			it->is_in = false;
		} else {
			unit_check(map_insert(&m, hash, it) == OK);
			it->is_in = true;
		}
		unit_check(4 * m.n_used <= 3 * m.n_slots); /* a probe always ends */
		if (step % 500 == 499)
			model_compare(&m, items, _i);
	}
	map_fini(&m);
}
END_TEST

START_TEST(empty_map_finds_removes_and_yields_nothing)
{
	struct item it = {.id = 1};
	size_t pos = 0;
	struct map m;

	map_init(&m);
	ck_assert_ptr_null(map_find(&m, 1, item_is, &it.id));
	ck_assert(!map_remove(&m, 1, &it));
	ck_assert_ptr_null(map_next(&m, &pos));
	map_fini(&m);
}
END_TEST

static bool never_asked(const void *item, const void *key)
{
	PANIC_IF(item != NULL || key != NULL);
	return false;
}

START_TEST(item_of_another_hash_is_not_compared)
{
	struct item items[5];
	struct map m;

	map_init(&m);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(map_insert(&m, item_hash(i, 0), &items[i]), OK);
	for (unsigned i = 5; i < 100; i++)
		ck_assert_ptr_null(map_find(&m, item_hash(i, 0), never_asked, NULL));
	map_fini(&m);
}
END_TEST

START_TEST(remove_takes_the_address_not_an_equal_item)
{
	struct item a = {.id = 1}, b = {.id = 1};
	struct map m;

	map_init(&m);
	ck_assert_int_eq(map_insert(&m, 5, &a), OK);
	ck_assert(!map_remove(&m, 5, &b));
	ck_assert(map_remove(&m, 5, &a));
	ck_assert(!map_remove(&m, 5, &a));
	map_fini(&m);
}
END_TEST

START_TEST(items_may_be_removed_while_iterating)
{
	struct item items[N_ITEMS], *it;
	unsigned n_seen = 0;
	struct map m;

	map_init(&m);
	for (unsigned i = 0; i < N_ITEMS; i++) {
		items[i] = (struct item){.id = i, .is_in = true};
		ck_assert_int_eq(map_insert(&m, item_hash(i, 0), &items[i]), OK);
	}
	map_foreach (it, pos, &m) {
		ck_assert(it->is_in);
		it->is_in = false;
		ck_assert(map_remove(&m, item_hash(it->id, 0), it));
		n_seen++;
	}
	ck_assert_uint_eq(n_seen, N_ITEMS);
	ck_assert_uint_eq(m.n_items, 0);
	map_fini(&m);
}
END_TEST

START_TEST(without_memory_insert_fails_and_changes_nothing)
{
	struct item items[N_ITEMS];
	unsigned n_failed = 0;
	struct map m;

	map_init(&m);
	for (unsigned i = 0; i < N_ITEMS; i++) {
		struct map before = m;
		enum status st;

		items[i] = (struct item){.id = i, .is_in = true};
		failing_alloc_after(0);
		st = map_insert(&m, item_hash(i, 0), &items[i]);
		failing_alloc_after(-1);
		if (st == OK)
			continue;
		ck_assert_int_eq(st, E_NOMEM);
		ck_assert_mem_eq(&m, &before, sizeof m);
		ck_assert_int_eq(map_insert(&m, item_hash(i, 0), &items[i]), OK);
		n_failed++;
	}
	ck_assert_uint_ge(n_failed, 5);  /* it does grow … */
	ck_assert_uint_le(n_failed, 10); /* … by doubling */
	model_compare(&m, items, 0);
	map_fini(&m);
}
END_TEST

START_TEST(sparse_map_shrinks_and_an_unwilling_allocator_does_not_hurt)
{
	struct item items[N_ITEMS];
	enum status st;
	struct map m;

	map_init(&m);
	for (unsigned i = 0; i < N_ITEMS; i++) {
		items[i] = (struct item){.id = i, .is_in = true};
		ck_assert_int_eq(map_insert(&m, item_hash(i, 0), &items[i]), OK);
	}
	ck_assert_uint_le(m.n_slots, 4 * N_ITEMS);
	for (unsigned i = 3; i < N_ITEMS; i++) {
		ck_assert(map_remove(&m, item_hash(i, 0), &items[i]));
		items[i].is_in = false;
	}
	failing_alloc_after(0);
	st = map_insert(&m, item_hash(3, 0), &items[3]);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, OK);
	ck_assert_int_eq(map_insert(&m, item_hash(4, 0), &items[4]), OK);
	items[3].is_in = items[4].is_in = true;
	ck_assert_uint_le(m.n_slots, 16);
	model_compare(&m, items, 0);
	map_fini(&m);
}
END_TEST

START_TEST(last_removal_gives_a_big_table_back)
{
	struct item items[N_ITEMS];
	struct map m;

	map_init(&m);
	for (unsigned i = 0; i < N_ITEMS; i++)
		ck_assert_int_eq(map_insert(&m, i, &items[i]), OK);
	for (unsigned i = 0; i < N_ITEMS; i++)
		ck_assert(map_remove(&m, i, &items[i]));
	ck_assert_ptr_null(m.slots);
	ck_assert_int_eq(map_insert(&m, 1, &items[1]), OK);
	map_fini(&m);
}
END_TEST

START_TEST(steady_come_and_go_allocates_nothing)
{
	struct item items[6];
	unsigned n_done = 0;
	struct map m;

	map_init(&m);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(map_insert(&m, item_hash(i, 0), &items[i]), OK);
	failing_alloc_after(0);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned id = 3 + i % 3;

		n_done += map_insert(&m, item_hash(id, 0), &items[id]) == OK &&
			  map_remove(&m, item_hash(id, 0), &items[id]);
	}
	failing_alloc_after(-1);
	ck_assert_uint_eq(n_done, 1000);
	map_fini(&m);
}
END_TEST

START_TEST(null_item_is_a_bug)
{
	struct map m;

	map_init(&m);
	ck_assert_int_eq(map_insert(&m, 1, NULL), OK);
}
END_TEST

/*
 * Computed by another implementation: CPython 3.11's hash() of bytes is SipHash-1-3, with the key
 * that PYTHONHASHSEED gives (0: all zero; n: bytes of a linear congruential generator).
 */
START_TEST(hash_agrees_with_another_implementation)
{
	static const struct {
		struct hash_key key;
		size_t len; /* of the bytes 0, 1, 2 … */
		uint64_t hash;
	} known[] = {
		{{0x0000000000000000u, 0x0000000000000000u}, 1, 0x68a914128e01e473u},
		{{0x0000000000000000u, 0x0000000000000000u}, 7, 0x2f098ab0c751325au},
		{{0x0000000000000000u, 0x0000000000000000u}, 8, 0xead411e67ebe2eeau},
		{{0x0000000000000000u, 0x0000000000000000u}, 16, 0x8972188433a5c5b7u},
		{{0x0000000000000000u, 0x0000000000000000u}, 31, 0x169739443111d49bu},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 1, 0xecd3e5afcecda4b9u},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 2, 0xbf360f1ea1745965u},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 7, 0xfd15e78052a69ddfu},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 8, 0xc0b5739e7e28dd01u},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 9, 0x208a1a5a0cbbf778u},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 15, 0xfa87985f39e97a53u},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 16, 0x12e9d283f9f37002u},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 17, 0x9f5bb4237f61907fu},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 63, 0x542052345bc68274u},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 64, 0x7e644b6edc375dc8u},
		{{0xaed66ce184be2329u, 0xebe9bbf1f1499052u}, 255, 0x523ab5ebe2e15f94u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 1, 0x45e8aedb829392e6u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 2, 0xd0eb70b4ba10c879u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 7, 0x3990ca76319e0858u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 8, 0xb19e59eaf2bc3c22u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 9, 0xc4d687976a3f24f4u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 15, 0xa992d7421f616793u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 16, 0x3294f72ea83895d8u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 17, 0xa926ea60beac6c4bu},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 63, 0xf7d3a7c86255326au},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 64, 0x9e726e5d4dc75522u},
		{{0x65121defe496063eu, 0xb30647aa540bb9c8u}, 255, 0xd005c56cc6869f37u},
	};
	uint8_t bytes[256];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		ck_assert_uint_eq(hash_bytes(&known[i].key, bytes, known[i].len), known[i].hash);
}
END_TEST

START_TEST(hash_depends_on_every_bit_of_key_and_input)
{
	struct hash_key key = {0x0123456789abcdefu, 0xfedcba9876543210u};
	uint8_t bytes[21] = "twenty-one bytes long";
	uint64_t hash = hash_bytes(&key, bytes, sizeof bytes);

	for (unsigned bit = 0; bit < 64; bit++) {
		struct hash_key k0 = {key.k0 ^ (uint64_t)1 << bit, key.k1};
		struct hash_key k1 = {key.k0, key.k1 ^ (uint64_t)1 << bit};

		ck_assert_uint_ne(hash_bytes(&k0, bytes, sizeof bytes), hash);
		ck_assert_uint_ne(hash_bytes(&k1, bytes, sizeof bytes), hash);
	}
	for (unsigned bit = 0; bit < 8 * sizeof bytes; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_uint_ne(hash_bytes(&key, bytes, sizeof bytes), hash);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_uint_ne(hash_bytes(&key, bytes, sizeof bytes - 1), hash);
	ck_assert_uint_eq(hash_bytes(&key, NULL, 0), hash_bytes(&key, bytes, 0));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("map");

	tcase_add_loop_test(tc, random_operations_agree_with_a_naive_model, 0, 3);
	tcase_add_test(tc, empty_map_finds_removes_and_yields_nothing);
	tcase_add_test(tc, item_of_another_hash_is_not_compared);
	tcase_add_test(tc, remove_takes_the_address_not_an_equal_item);
	tcase_add_test(tc, items_may_be_removed_while_iterating);
	tcase_add_test(tc, without_memory_insert_fails_and_changes_nothing);
	tcase_add_test(tc, sparse_map_shrinks_and_an_unwilling_allocator_does_not_hurt);
	tcase_add_test(tc, last_removal_gives_a_big_table_back);
	tcase_add_test(tc, steady_come_and_go_allocates_nothing);
	tcase_add_test_raise_signal(tc, null_item_is_a_bug, SIGABRT);
	tcase_add_test(tc, hash_agrees_with_another_implementation);
	tcase_add_test(tc, hash_depends_on_every_bit_of_key_and_input);
	return unit_run("map", tc);
}
