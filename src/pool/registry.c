#include "pool/registry.h"

#include <stdlib.h>

/* Entries beyond the capacity that adding threads may come to at the same moment. */
#define OVERSHOOT_MAX 128u

enum status registry_init(struct registry *g, const struct registry_kind *kind, size_t capacity)
{
	g->kind = kind;
	g->capacity = capacity;
	g->n_slots = 1;
	while (g->n_slots < 2 * (capacity + OVERSHOOT_MAX))
		g->n_slots *= 2;
	atomic_init(&g->n, 0);
	g->slots = calloc(g->n_slots, sizeof *g->slots);
	return g->slots != NULL ? OK : E_NOMEM;
}

void registry_fini(struct registry *g)
{
	void *entry;

	for (size_t pos = 0; g->slots != NULL && (entry = registry_next(g, &pos)) != NULL;)
		g->kind->free(entry);
	free(g->slots);
	g->slots = NULL;
}

enum status registry_get(struct registry *g, uint64_t hash, const void *key, void **out)
{
	size_t i = (size_t)hash & (g->n_slots - 1);
	void *made = NULL, *there;
	enum status st;

	for (;; i = (i + 1) & (g->n_slots - 1)) {
		there = atomic_load_explicit(&g->slots[i], memory_order_acquire);
		if (there == NULL && made == NULL) {
			if (atomic_load(&g->n) >= g->capacity)
				return E_LIMIT;
			if ((st = g->kind->make(key, &made)) != OK)
				return st;
		}
		if (there == NULL && atomic_compare_exchange_strong(&g->slots[i], &there, made)) {
			atomic_fetch_add(&g->n, 1);
			*out = made;
			return OK;
		}
		/* Taken, maybe this very moment, in which case `there` tells by what. */
		if (g->kind->equals(there, key))
			break;
	}
	if (made != NULL)
		g->kind->free(made);
	*out = there;
	return OK;
}

void *registry_next(const struct registry *g, size_t *pos)
{
	while (*pos < g->n_slots) {
		void *entry = atomic_load_explicit(&g->slots[(*pos)++], memory_order_acquire);

		if (entry != NULL)
			return entry;
	}
	return NULL;
}
