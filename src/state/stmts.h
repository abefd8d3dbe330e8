/*
 * stmts - prepared statements of the protocol, interned per worker: what was parsed, whoever did.
 * What a client calls one is in state/stmt_names.h, which server has it in state/stmt_lru.h.
 * Owns:    statements until the last reference goes.
 * Threads: one table per worker. Statements travel with connections and are adopted by the
 *          receiver's table.
 * Bounds:  bytes of a table, as given.
 */
#ifndef PGWEIR_STATE_STMTS_H
#define PGWEIR_STATE_STMTS_H

#include "state/intern.h"
#include "state/settings.h"

struct stmt_table;

/* Immutable, but for what is the caller's. */
struct stmt {
	struct interned in;
	struct settings *parse; /* settings_parse_key of the client that parsed it; held */
	const char *query;      /* NUL-terminated */
	uint32_t query_len;     /* without the NUL */
	uint16_t n_types;
	bool is_sql;          /* the text is a PREPARE, which makes the statement; else of Parse */
	bool has_trace;       /* the caller's, with the fingerprint: it carries a trace context */
	const uint8_t *types; /* n_types OIDs of 4 bytes in network order, as in Parse */
	uint64_t fingerprint; /* the caller's: of the text; 0: not known yet */
	uint64_t good;        /* the caller's: for whom it was last parsed well; 0: for nobody */
};

/*
 * key: secret for hashing (a filter only; equality is of the content). bytes_max: memory of all
 * statements together. st: the same worker's settings; outlives the table. Errors: E_NOMEM.
 */
enum status stmt_table_new(const struct hash_key *key, size_t bytes_max, struct settings_table *st,
	struct stmt_table **out) MUST_USE;
void stmt_table_free(struct stmt_table *t); /* when no other worker's thread runs any more */
void stmt_table_limit(struct stmt_table *t, size_t bytes_max); /* from now on */
size_t stmt_table_n(const struct stmt_table *t);
size_t stmt_table_bytes(const struct stmt_table *t);
const struct hash_key *stmt_table_key(const struct stmt_table *t); /* for names of its clients */

/*
 * What a client knows of its statement. `shape` is a hash of its result's columns (proto/shape.h).
 * `ddl` counts changes of definitions: a server that has parsed it before does not have what the
 * client has parsed.
 */
struct stmt_seen {
	uint64_t shape; /* as the client was told; 0: it was not */
	uint64_t ddl;   /* when the client parsed it; 1 or more */
};

/* What makes a statement: the three fields of Parse and the settings it is parsed under. */
struct stmt_text {
	const char *query; /* need not be NUL-terminated */
	uint32_t query_len;
	uint16_t n_types;
	bool is_sql; /* see struct stmt */
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

#endif
