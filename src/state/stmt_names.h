/*
 * stmt_names - one client's names for its prepared statements, the unnamed one included.
 * Owns:   its entries and a reference to each statement. An empty one owns no memory.
 * Bounds: n_max names; bytes_max for them and the statements together, a statement that several
 *         share being counted by each. One thread.
 */
#ifndef PGWEIR_STATE_STMT_NAMES_H
#define PGWEIR_STATE_STMT_NAMES_H

#include "state/stmts.h"

#define STMT_NAME_MAX 1024u /* bytes of a name; PostgreSQL has no limit of its own */

struct stmt_name {
	struct stmt *stmt;     /* held by the entry */
	uint64_t word;         /* the caller's: a cached verdict; 0 at first */
	struct stmt_seen seen; /* the caller's; zeroes at first */
	uint32_t serial;       /* another for each that is put */
	uint32_t name_len;
	char name[]; /* NUL-terminated */
};

struct stmt_names {
	struct stmt_table *table;
	struct map map;            /* of struct stmt_name, by name; "" is not in it */
	struct stmt_name *last;    /* named one that was found last, or NULL */
	struct stmt_name *unnamed; /* with a statement or kept for the next one; NULL: never used */
	uint32_t n_max;
	uint32_t n_sql; /* named ones that SQL's PREPARE has made; read only */
	uint32_t last_serial;
	size_t bytes;      /* of entries with their names */
	size_t text_bytes; /* of the statements of named ones */
	size_t bytes_max;  /* of both; SIZE_MAX at first, the owner's to set */
};

/* n_max: named statements at most. */
void stmt_names_init(struct stmt_names *n, struct stmt_table *t, uint32_t n_max);
void stmt_names_fini(struct stmt_names *n);

/* The entry, borrowed until it is removed or replaced; NULL if there is none. "" is the unnamed. */
struct stmt_name *stmt_names_find(const struct stmt_names *n, const char *name);

/*
 * Add; takes a reference of its own. "" replaces what it had.
 * Errors: E_EXISTS the name is taken (42P05), E_LIMIT n_max names, bytes_max or STMT_NAME_MAX,
 * E_NOMEM.
 */
enum status stmt_names_put(
	struct stmt_names *n, const char *name, struct stmt *s, struct stmt_name **out) MUST_USE;

/* The entry means the equal of its statement under other settings; takes a reference to `s`. */
void stmt_names_change(struct stmt_names *n, struct stmt_name *e, struct stmt *s);

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
enum status stmt_names_adopt(struct stmt_names *n, struct stmt_table *t) MUST_USE;

#endif
