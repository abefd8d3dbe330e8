/*
 * stmts - prepared statements of the protocol: what was parsed (struct stmt, interned per worker),
 * what a client calls it (struct stmt_names), which server has it under what number (struct
 * stmt_lru).
 * Owns:    statements until the last reference goes; names and lru hold references.
 * Threads: one table per worker. Statements travel with connections: stmt_names_adopt and
 *          stmt_lru_adopt re-intern them in the receiver's table.
 * Bounds:  bytes of a table, names of a client, statements of a server: as given.
 */
#ifndef PGWEIR_STATE_STMTS_H
#define PGWEIR_STATE_STMTS_H

#include "base/list.h"
#include "state/intern.h"
#include "state/settings.h"

struct stmt_table;

/* Immutable. Read the fields, write none. */
struct stmt {
	struct interned in;
	struct settings *parse; /* settings_parse_key of the client that parsed it */
	uint32_t query_len;     /* without the NUL */
	uint16_t n_types;
	const char *query;    /* NUL-terminated */
	const uint8_t *types; /* n_types OIDs of 4 bytes in network order, as in Parse */
};

/*
 * key: secret for hashing (a filter only; equality is of the content). bytes_max: memory of all
 * statements together. st: the same worker's settings; outlives the table. Errors: E_NOMEM.
 */
enum status stmt_table_new(const struct hash_key *key, size_t bytes_max, struct settings_table *st,
	struct stmt_table **out) MUST_USE;
void stmt_table_free(struct stmt_table *t); /* when no other worker's thread runs any more */
size_t stmt_table_n(const struct stmt_table *t);
size_t stmt_table_bytes(const struct stmt_table *t);

/* What makes a statement: the three fields of Parse and the settings it is parsed under. */
struct stmt_text {
	const char *query; /* need not be NUL-terminated */
	uint32_t query_len;
	uint16_t n_types;
	const uint8_t *types;
	struct settings *parse; /* settings_parse_key, of the same worker */
};

/*
 * The statement equal to `text`, which is copied if it is new. The caller owns a reference.
 * Errors: E_LIMIT the table is full, E_NOMEM.
 */
enum status stmt_intern(
	struct stmt_table *t, const struct stmt_text *text, struct stmt **out) MUST_USE;
struct stmt *stmt_ref(struct stmt *s);
void stmt_unref(struct stmt_table *t, struct stmt *s); /* t: the caller's table. NULL ok */

/* Moves *s to table `t`: on OK it is t's equal; on an error as it was. Errors: as stmt_intern. */
enum status stmt_adopt(struct stmt_table *t, struct stmt **s) MUST_USE;

/* --- what a client calls its statements --- */

struct stmt_name {
	struct stmt *stmt; /* held by the entry */
	uint64_t word;     /* the caller's: a cached verdict; 0 at first */
	uint64_t shape;    /* the caller's: hash of the result shape the client was told; 0: none */
	uint32_t name_len;
	char name[]; /* NUL-terminated */
};

struct stmt_names {
	struct stmt_table *table;
	const struct hash_key *key;
	struct map map;            /* of struct stmt_name, by name; "" is not in it */
	struct stmt_name *unnamed; /* kept for the next unnamed Parse; stmt NULL: none */
	size_t n_max;
	size_t bytes; /* of names and entries */
};

/* key: borrowed, outlives it. n_max: named statements at most. An empty one owns no memory. */
void stmt_names_init(
	struct stmt_names *n, struct stmt_table *t, const struct hash_key *key, size_t n_max);
void stmt_names_fini(struct stmt_names *n);

/* The entry, borrowed until it is removed or replaced; NULL if there is none. "" is the unnamed. */
struct stmt_name *stmt_names_find(const struct stmt_names *n, const char *name);

/*
 * Add; takes a reference of its own. "" replaces what it had.
 * Errors: E_EXISTS the name is taken (42P05), E_LIMIT n_max names, E_NOMEM.
 */
enum status stmt_names_put(
	struct stmt_names *n, const char *name, struct stmt *s, struct stmt_name **out) MUST_USE;

/* Close, or a failed Parse. Returns false if there was none (no error in the protocol). */
bool stmt_names_remove(struct stmt_names *n, const char *name);
void stmt_names_clear(struct stmt_names *n); /* DEALLOCATE ALL, DISCARD ALL: named and unnamed */
static inline size_t stmt_names_n(const struct stmt_names *n)
{
	return n->map.n_items;
}
/* Next named entry at or after *pos; NULL at the end. Start with *pos = 0; no change meanwhile. */
struct stmt_name *stmt_names_next(const struct stmt_names *n, size_t *pos);
/* The client has moved to the worker of table `t`. Errors: as stmt_intern; close the client. */
enum status stmt_names_adopt(
	struct stmt_names *n, struct stmt_table *t, const struct hash_key *key) MUST_USE;

/* --- what a server has prepared --- */

struct stmt_lru_entry {
	struct stmt *stmt; /* NULL: free */
	uint64_t number;
	uint32_t newer, older; /* indexes; the least recently used is oldest */
};

struct stmt_lru {
	struct stmt_table *table;
	struct stmt_lru_entry *entries; /* n_slots of them, grows up to n_max */
	uint32_t *slots; /* index of an entry + 1, hashed by the statement's address */
	uint32_t slots_mask;
	uint32_t n, n_max;
	uint32_t newest, oldest;
	uint32_t free; /* head of the free entries */
	uint64_t last_number;
};

/* n_max: 1 to STMT_LRU_MAX statements at most. An empty one owns no memory. */
#define STMT_LRU_MAX (1u << 20)
void stmt_lru_init(struct stmt_lru *l, struct stmt_table *t, uint32_t n_max);
void stmt_lru_fini(struct stmt_lru *l);

/* Its number on this server, 1 or more, now most recently used; 0: the server does not have it. */
uint64_t stmt_lru_use(struct stmt_lru *l, const struct stmt *s);
uint64_t stmt_lru_find(const struct stmt_lru *l, const struct stmt *s); /* without using it */

/*
 * Add `s`, which is not in (else PANIC), under a new number; takes a reference. *victim is the
 * number of the statement that had to go for it (send Close ahead of Parse), or 0.
 * If the Parse fails or is skipped the caller removes `s`; if the victim's Close is skipped by an
 * error, the caller sends it again: the number is in use on the server until then.
 * Errors: E_NOMEM.
 */
enum status stmt_lru_add(
	struct stmt_lru *l, struct stmt *s, uint64_t *number, uint64_t *victim) MUST_USE;

/* Take out. Returns its number (send Close if it is still there), 0 if it was not in. */
uint64_t stmt_lru_remove(struct stmt_lru *l, const struct stmt *s);
/* Take out whatever has this number; false if none has. */
bool stmt_lru_remove_number(struct stmt_lru *l, uint64_t number);
void stmt_lru_clear(struct stmt_lru *l); /* DEALLOCATE ALL, DISCARD ALL; numbers go on */
/* Next, most recent first: start with NULL. Borrowed; no change meanwhile. */
const struct stmt_lru_entry *stmt_lru_next(
	const struct stmt_lru *l, const struct stmt_lru_entry *e);
/* The server has moved to the worker of table `t`. Errors: as stmt_intern; close the server. */
enum status stmt_lru_adopt(struct stmt_lru *l, struct stmt_table *t) MUST_USE;

/* The name of statement `number` on a server, NUL-terminated. */
#define STMT_SERVER_NAME_LEN 28u
void stmt_server_name(uint64_t number, char name[STMT_SERVER_NAME_LEN]);

#endif
