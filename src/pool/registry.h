/*
 * registry - hash table to which entries are only added: look-up and addition are lock-free, and an
 * entry found stays valid as long as the registry.
 * Owns:    its entries, freed by registry_fini.
 * Threads: any; init and fini when no other thread uses it.
 * Bounds:  `capacity` entries, to within one per thread that adds at the same moment.
 */
#ifndef PGWEIR_POOL_REGISTRY_H
#define PGWEIR_POOL_REGISTRY_H

#include <stdatomic.h>

#include "base/status.h"

/* What is registered; `key` is the caller's of registry_get. */
struct registry_kind {
	bool (*equals)(const void *entry, const void *key);
	enum status (*make)(const void *key, void **entry);
	void (*free)(void *entry);
};

struct registry {
	const struct registry_kind *kind;
	_Atomic(void *) *slots; /* linear probing; NULL: free */
	size_t n_slots;         /* power of two */
	size_t capacity;
	_Atomic size_t n;
};

/* Errors: E_NOMEM. */
enum status registry_init(
	struct registry *g, const struct registry_kind *kind, size_t capacity) MUST_USE;
void registry_fini(struct registry *g);

/*
 * The entry that equals `key`, made if there is none. When two threads make it at the same time
 * both get the same one and the other is freed. Errors: E_LIMIT, and what `make` returns.
 */
enum status registry_get(struct registry *g, uint64_t hash, const void *key, void **out) MUST_USE;

/* Next entry at or after slot *pos, advancing *pos past it; NULL at the end. Start with 0. */
void *registry_next(const struct registry *g, size_t *pos);

#endif
