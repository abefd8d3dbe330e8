/*
 * stmt_lru - what one server has prepared: statement to the number that is its name there, least
 * recently used first out.
 * Owns:   a reference to each statement. An empty one owns no memory.
 * Bounds: n_max statements. One thread.
 * Speed:  a look-up hashes the statement's address: no text is compared, nothing allocated.
 */
#ifndef PGWEIR_STATE_STMT_LRU_H
#define PGWEIR_STATE_STMT_LRU_H

#include "state/stmts.h"

#define STMT_LRU_MAX (1u << 20)

struct stmt_lru_entry {
	struct stmt *stmt; /* NULL: free */
	uint64_t number;
	/* the caller's, zeroes at first: its result there (0: not known), and as of which change of
	 * definitions it was parsed (0: it must be parsed again) */
	struct stmt_seen is;
	bool is_odd;           /* the caller's, false at first */
	bool executes;         /* the same: it is an EXECUTE, its result what the name has */
	uint32_t newer, older; /* entries; in a free one `older` is the next free */
};

struct stmt_lru {
	struct stmt_table *table;
	/* [0] is the head: its `older` is the most recently used, its `newer` the least. */
	struct stmt_lru_entry *entries;
	uint32_t *slots; /* entry by the hash of its statement's address, linear probing; 0: free */
	uint32_t slots_mask;
	uint32_t cap; /* entries that there is memory for, the head not counted; grows to n_max */
	uint32_t n, n_max;
	uint32_t free; /* first free entry, 0: none */
	uint64_t last_number;
};

/* n_max: 1..STMT_LRU_MAX. */
void stmt_lru_init(struct stmt_lru *l, struct stmt_table *t, uint32_t n_max);
void stmt_lru_fini(struct stmt_lru *l);

/* Its entry, now most recently used; NULL: the server does not have it. Borrowed until a change. */
struct stmt_lru_entry *stmt_lru_use(struct stmt_lru *l, const struct stmt *s);
uint64_t stmt_lru_find(const struct stmt_lru *l, const struct stmt *s); /* without using it */

/*
 * Add `s`, which is not in (else PANIC), under a new number; takes a reference. *out is its entry,
 * borrowed until a change. *victim is the
 * number of the statement that had to go for it (send Close ahead of Parse), or 0.
 * If the Parse fails or is skipped the caller removes `s`; if the victim's Close is skipped by an
 * error, the caller sends it again: the number is in use on the server until then.
 * Errors: E_NOMEM.
 */
enum status stmt_lru_add(
	struct stmt_lru *l, struct stmt *s, struct stmt_lru_entry **out, uint64_t *victim) MUST_USE;

/* Take out. Returns its number (send Close if it is still there), 0 if it was not in. */
uint64_t stmt_lru_remove(struct stmt_lru *l, const struct stmt *s);
/* What has this number, borrowed until a change; NULL: nothing. Walks over all. */
struct stmt_lru_entry *stmt_lru_numbered(const struct stmt_lru *l, uint64_t number);
/* Take out whatever has this number; false if none has. */
bool stmt_lru_remove_number(struct stmt_lru *l, uint64_t number);
void stmt_lru_clear(struct stmt_lru *l); /* DEALLOCATE ALL, DISCARD ALL; numbers go on */
/* Next, most recent first: start with NULL. Borrowed; no change meanwhile. */
const struct stmt_lru_entry *stmt_lru_next(
	const struct stmt_lru *l, const struct stmt_lru_entry *e);
/* The server has moved to the worker of table `t`. Errors: as stmt_intern; close the server. */
enum status stmt_lru_adopt(struct stmt_lru *l, struct stmt_table *t) MUST_USE;

/* The name of statement `number` on a server, NUL-terminated; returns its length without the NUL.
 */
#define STMT_SERVER_NAME_MAX    24u
#define STMT_SERVER_NAME_PREFIX "pgweir_"
size_t stmt_server_name(uint64_t number, char name[STMT_SERVER_NAME_MAX]);

#endif
