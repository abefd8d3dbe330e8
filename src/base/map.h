/*
 * map - hash table of borrowed items, open addressing. The item holds its own key; the caller
 * gives hash and equality. Hashes of peers' bytes come from hash_bytes with a secret key, so
 * that nobody can choose collisions.
 * Owns:   its slots. map_insert grows them by doubling and shrinks them when sparse; map_remove
 *         moves no item, so that a map_foreach may remove any, but must not insert.
 * Bounds: the caller's, MAP_ITEMS_MAX at most; else map_insert fails only for lack of memory.
 */
#ifndef PGWEIR_BASE_MAP_H
#define PGWEIR_BASE_MAP_H

#include "base/status.h"

#define MAP_ITEMS_MAX (1u << 28)

struct map_slot {
	uint64_t hash;
	void *item; /* NULL: free or deleted */
};

struct map {
	struct map_slot *slots;
	uint32_t n_slots; /* power of two, or 0 */
	uint32_t n_items;
	uint32_t n_used; /* items and tombstones */
};

struct hash_key {
	uint64_t k0, k1;
};

/* SipHash-1-3 of `len` bytes. */
uint64_t hash_bytes(const struct hash_key *key, const void *p, size_t len);

void map_init(struct map *m);
void map_fini(struct map *m); /* frees the slots, not the items */

/* The item with `hash` for which eq(item, key) is true, or NULL. */
void *map_find(const struct map *m, uint64_t hash, bool (*eq)(const void *item, const void *key),
	const void *key);

/* Add; the caller has made sure that no equal item is in. Errors: E_NOMEM, nothing changed. */
enum status map_insert(struct map *m, uint64_t hash, void *item) MUST_USE;

/* Remove exactly this item (by address). Returns false if it was not in. */
bool map_remove(struct map *m, uint64_t hash, const void *item);

/* Next item at or after slot *pos, advancing *pos past it; NULL at the end. Start with 0. */
void *map_next(const struct map *m, size_t *pos);

/* for (size_t pos = 0; (it = map_next(m, &pos)) != NULL;) as a loop header. */
#define map_foreach(it, pos, m) for (size_t pos = 0; ((it) = map_next((m), &pos)) != NULL;)

#endif
