#include "base/map.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 8u

/* hash of a slot without an item: a chain of probes ends at FREE and goes on past DELETED. */
enum { SLOT_FREE = 0, SLOT_DELETED = 1 };

/* --- SipHash-1-3: one round per word, three at the end --- */

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	s->v0 ^= m;
}

static inline uint64_t load_le64(const uint8_t *p, size_t len)
{
	uint64_t m = 0;

	memcpy(&m, p, len);
	return le64toh(m);
}

uint64_t hash_bytes(const struct hash_key *key, const void *p, size_t len)
{
	const uint8_t *in = p;
	size_t left = len;
	struct sip s = {
		.v0 = key->k0 ^ 0x736f6d6570736575u,
		.v1 = key->k1 ^ 0x646f72616e646f6du,
		.v2 = key->k0 ^ 0x6c7967656e657261u,
		.v3 = key->k1 ^ 0x7465646279746573u,
	};

	for (; left >= 8; in += 8, left -= 8)
		sip_word(&s, load_le64(in, 8));
	sip_word(&s, (uint64_t)len << 56 | (left != 0 ? load_le64(in, left) : 0));
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* --- the table --- */

/* First slot to look at: the top bits of a product, so that plain counters spread as well. */
static size_t slot_of(uint64_t hash, size_t n_slots)
{
	return (size_t)(hash * 0x9e3779b97f4a7c15u >> (64 - __builtin_ctzll(n_slots)));
}

void map_init(struct map *m)
{
	*m = (struct map){0};
}

void map_fini(struct map *m)
{
	free(m->slots);
	map_init(m);
}

/* Put where no equal item and a free slot is known to be. */
static void put(struct map *m, uint64_t hash, void *item)
{
	size_t mask = m->n_slots - 1;
	size_t i = slot_of(hash, m->n_slots);

	while (m->slots[i].item != NULL)
		i = (i + 1) & mask;
	if (m->slots[i].hash == SLOT_FREE)
		m->n_used++;
	m->slots[i] = (struct map_slot){.hash = hash, .item = item};
	m->n_items++;
}

/* Move all into a table that `n_items` and one more fill to a half at most; no tombstones. */
static enum status rehash(struct map *m)
{
	struct map old = *m, new = {0};
	uint32_t n = SLOTS_MIN;

	if (m->n_items >= MAP_ITEMS_MAX)
		return E_NOMEM;
	while (n < 2 * (m->n_items + 1))
		n *= 2;
	if ((new.slots = calloc(n, sizeof *new.slots)) == NULL)
		return E_NOMEM;
	new.n_slots = n;
	for (size_t i = 0; i < old.n_slots; i++)
		if (old.slots[i].item != NULL)
			put(&new, old.slots[i].hash, old.slots[i].item);
	free(old.slots);
	*m = new;
	return OK;
}

void *map_find(const struct map *m, uint64_t hash, bool (*eq)(const void *item, const void *key),
	const void *key)
{
	size_t mask = m->n_slots - 1;

	if (m->n_items == 0)
		return NULL;
	for (size_t i = slot_of(hash, m->n_slots);; i = (i + 1) & mask) {
		const struct map_slot *s = &m->slots[i];

		if (s->item == NULL && s->hash == SLOT_FREE)
			return NULL;
		if (s->item != NULL && s->hash == hash && eq(s->item, key))
			return s->item;
	}
}

enum status map_insert(struct map *m, uint64_t hash, void *item)
{
	bool full = 4 * ((uint64_t)m->n_used + 1) > 3 * (uint64_t)m->n_slots;
	bool sparse = m->n_slots > SLOTS_MIN && 8 * ((uint64_t)m->n_items + 1) < m->n_slots;

	PANIC_IF(item == NULL);
	if ((full || sparse) && rehash(m) != OK && full)
		return E_NOMEM;
	put(m, hash, item);
	return OK;
}

/* Empty slot i. Tombstones that no chain of probes needs any more become free with it. */
static void vacate(struct map *m, size_t i)
{
	size_t mask = m->n_slots - 1;
	const struct map_slot *next = &m->slots[(i + 1) & mask];

	m->slots[i] = (struct map_slot){.hash = SLOT_DELETED, .item = NULL};
	m->n_items--;
	if (next->item != NULL || next->hash != SLOT_FREE)
		return;
	for (; m->slots[i].item == NULL && m->slots[i].hash == SLOT_DELETED; i = (i - 1) & mask) {
		m->slots[i].hash = SLOT_FREE;
		m->n_used--;
	}
}

bool map_remove(struct map *m, uint64_t hash, const void *item)
{
	size_t mask = m->n_slots - 1;
	size_t i;

	PANIC_IF(item == NULL);
	if (m->n_items == 0)
		return false;
	for (i = slot_of(hash, m->n_slots); m->slots[i].item != item; i = (i + 1) & mask)
		if (m->slots[i].item == NULL && m->slots[i].hash == SLOT_FREE)
			return false;
	vacate(m, i);
	if (m->n_items == 0 && m->n_slots > SLOTS_MIN)
		map_fini(m);
	return true;
}

void *map_next(const struct map *m, size_t *pos)
{
	while (*pos < m->n_slots) {
		void *item = m->slots[(*pos)++].item;

		if (item != NULL)
			return item;
	}
	return NULL;
}
