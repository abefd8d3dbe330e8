#include "state/stmt_lru.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 8u
#define HEAD    0u /* entry */

void stmt_lru_init(struct stmt_lru *l, struct stmt_table *t, uint32_t n_max)
{
	PANIC_IF(n_max == 0 || n_max > STMT_LRU_MAX);
	*l = (struct stmt_lru){.table = t, .n_max = n_max};
}

void stmt_lru_fini(struct stmt_lru *l)
{
	stmt_lru_clear(l);
	free(l->entries);
	free(l->slots);
}

/* --- slots: statement to entry --- */

static uint32_t slot_home(const struct stmt_lru *l, const struct stmt *s)
{
	/* The low bits of an address are alike; a product's high half depends on all of them. */
	return (uint32_t)((uint64_t)(uintptr_t)s * 0x9e3779b97f4a7c15u >> 32) & l->slots_mask;
}

/* The slot of `s`, or the free slot where it would be. There is one: half of them are free. */
static uint32_t slot_find(const struct stmt_lru *l, const struct stmt *s)
{
	uint32_t i = slot_home(l, s);

	while (l->slots[i] != 0 && l->entries[l->slots[i]].stmt != s)
		i = (i + 1) & l->slots_mask;
	return i;
}

/* Free slot i and move up what was pushed past it. */
static void slot_free(struct stmt_lru *l, uint32_t i)
{
	uint32_t hole = i;

	for (i = (i + 1) & l->slots_mask; l->slots[i] != 0; i = (i + 1) & l->slots_mask) {
		uint32_t home = slot_home(l, l->entries[l->slots[i]].stmt);

		if (((i - home) & l->slots_mask) < ((i - hole) & l->slots_mask))
			continue; /* it would come to stand before its home */
		l->slots[hole] = l->slots[i];
		hole = i;
	}
	l->slots[hole] = 0;
}

static void slots_fill(struct stmt_lru *l)
{
	memset(l->slots, 0, (l->slots_mask + 1u) * sizeof *l->slots);
	for (uint32_t e = l->n != 0 ? l->entries[HEAD].older : HEAD; e != HEAD;
		e = l->entries[e].older)
		l->slots[slot_find(l, l->entries[e].stmt)] = e;
}

/* --- entries: order of use --- */

static void entry_unlink(struct stmt_lru *l, uint32_t e)
{
	struct stmt_lru_entry *x = &l->entries[e];

	l->entries[x->newer].older = x->older;
	l->entries[x->older].newer = x->newer;
}

static void entry_link_newest(struct stmt_lru *l, uint32_t e)
{
	struct stmt_lru_entry *head = &l->entries[HEAD];

	l->entries[e].newer = HEAD;
	l->entries[e].older = head->older;
	l->entries[head->older].newer = e;
	head->older = e;
}

static void entries_chain_free(struct stmt_lru *l, uint32_t first, uint32_t last)
{
	for (uint32_t e = last; e >= first; e--) {
		l->entries[e].stmt = NULL;
		l->entries[e].older = l->free;
		l->free = e;
	}
}

/* Twice the room, up to n_max. Errors: E_NOMEM, nothing changed but for unused memory. */
static enum status lru_grow(struct stmt_lru *l)
{
	uint32_t cap = l->cap == 0 ? CAP_MIN : 2 * l->cap;
	uint32_t n_slots = 2 * CAP_MIN;
	struct stmt_lru_entry *entries;
	uint32_t *slots;

	if (cap > l->n_max)
		cap = l->n_max;
	while (n_slots < 2 * cap)
		n_slots *= 2;
	if ((entries = realloc(l->entries, (cap + 1u) * sizeof *entries)) == NULL)
		return E_NOMEM;
	if (l->entries == NULL)
		entries[HEAD] = (struct stmt_lru_entry){.newer = HEAD, .older = HEAD};
	l->entries = entries;
	if ((slots = malloc(n_slots * sizeof *slots)) == NULL)
		return E_NOMEM;
	free(l->slots);
	l->slots = slots;
	l->slots_mask = n_slots - 1;
	slots_fill(l);
	entries_chain_free(l, l->cap + 1, cap);
	l->cap = cap;
	return OK;
}

/* --- the interface --- */

/* Entry of `s`, or HEAD. */
static inline uint32_t entry_of(const struct stmt_lru *l, const struct stmt *s)
{
	return l->n != 0 ? l->slots[slot_find(l, s)] : HEAD;
}

uint64_t stmt_lru_find(const struct stmt_lru *l, const struct stmt *s)
{
	uint32_t e = entry_of(l, s);

	return e != HEAD ? l->entries[e].number : 0;
}

struct stmt_lru_entry *stmt_lru_use(struct stmt_lru *l, const struct stmt *s)
{
	uint32_t e = entry_of(l, s);

	if (e == HEAD)
		return NULL;
	if (l->entries[HEAD].older != e) {
		entry_unlink(l, e);
		entry_link_newest(l, e);
	}
	return &l->entries[e];
}

/* Take out entry e, which becomes free; returns its number. */
static uint64_t entry_remove(struct stmt_lru *l, uint32_t e)
{
	struct stmt_lru_entry *x = &l->entries[e];

	slot_free(l, slot_find(l, x->stmt));
	entry_unlink(l, e);
	stmt_unref(l->table, x->stmt);
	x->stmt = NULL;
	x->older = l->free;
	l->free = e;
	l->n--;
	return x->number;
}

enum status stmt_lru_add(
	struct stmt_lru *l, struct stmt *s, struct stmt_lru_entry **out, uint64_t *victim)
{
	uint32_t e;

	PANIC_IF(entry_of(l, s) != HEAD);
	*victim = 0;
	if (l->n == l->n_max)
		*victim = entry_remove(l, l->entries[HEAD].newer);
	else if (l->n == l->cap && lru_grow(l) != OK)
		return E_NOMEM;
	e = l->free;
	l->free = l->entries[e].older;
	l->entries[e].stmt = stmt_ref(s);
	l->entries[e].number = ++l->last_number;
	l->entries[e].is = (struct stmt_seen){0};
	l->entries[e].is_odd = false;
	l->entries[e].executes = false;
	entry_link_newest(l, e);
	l->slots[slot_find(l, s)] = e;
	l->n++;
	*out = &l->entries[e];
	return OK;
}

uint64_t stmt_lru_remove(struct stmt_lru *l, const struct stmt *s)
{
	uint32_t e = entry_of(l, s);

	return e != HEAD ? entry_remove(l, e) : 0;
}

struct stmt_lru_entry *stmt_lru_numbered(const struct stmt_lru *l, uint64_t number)
{
	const struct stmt_lru_entry *x = NULL;

	while ((x = stmt_lru_next(l, x)) != NULL)
		if (x->number == number)
			return &l->entries[x - l->entries];
	return NULL;
}

bool stmt_lru_remove_number(struct stmt_lru *l, uint64_t number)
{
	const struct stmt_lru_entry *x = stmt_lru_numbered(l, number);

	if (x == NULL)
		return false;
	(void)entry_remove(l, (uint32_t)(x - l->entries));
	return true;
}

void stmt_lru_clear(struct stmt_lru *l)
{
	while (l->n != 0)
		(void)entry_remove(l, l->entries[HEAD].older);
}

const struct stmt_lru_entry *stmt_lru_next(const struct stmt_lru *l, const struct stmt_lru_entry *x)
{
	uint32_t e;

	if (l->n == 0)
		return NULL;
	e = x != NULL ? x->older : l->entries[HEAD].older;
	return e != HEAD ? &l->entries[e] : NULL;
}

enum status stmt_lru_adopt(struct stmt_lru *l, struct stmt_table *t)
{
	enum status st = OK;

	l->table = t; /* what is not adopted below is dropped with this table as well */
	for (uint32_t e = l->n != 0 ? l->entries[HEAD].older : HEAD; e != HEAD && st == OK;
		e = l->entries[e].older)
		st = stmt_adopt(t, &l->entries[e].stmt);
	if (l->n != 0)
		slots_fill(l); /* the addresses are others; also when not all could be adopted */
	return st;
}

size_t stmt_server_name(uint64_t number, char name[STMT_SERVER_NAME_MAX])
{
	static const char prefix[] = STMT_SERVER_NAME_PREFIX;
	size_t len = sizeof prefix - 1;
	unsigned shift = 60;

	memcpy(name, prefix, len);
	while (shift != 0 && number >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		name[len++] = "0123456789abcdef"[number >> shift & 15];
		if (shift == 0)
			break;
	}
	name[len] = '\0';
	return len;
}
