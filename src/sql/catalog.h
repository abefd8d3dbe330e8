/*
 * catalog - what a database's own objects make unsafe on a replica: an immutable set of names.
 * Owns:    the frozen set. Built on the control thread, read by every worker (a snapshot).
 * Touches: nothing else. Lookups allocate nothing.
 * Order:   catalog_builder_new, catalog_builder_add per row, catalog_freeze, …, catalog_free.
 * Bounds:  at most CATALOG_NAMES_MAX rows; catalog_builder_add reports E_LIMIT beyond it, and
 *          whoever loads then keeps the database on its primary.
 * Names are matched without their schema and without argument types; only a 48-bit hash of a
 * name is kept: two names with one hash can only send a read to the primary, never a write to a
 * replica.
 */
#ifndef PGWEIR_SQL_CATALOG_H
#define PGWEIR_SQL_CATALOG_H

#include "base/status.h"
#include "sql/namefilter.h"

#define CATALOG_NAMES_MAX (1u << 20)

/* What a name stands for; a name may be several. Bits, as catalog_find returns them. */
#define CATALOG_FUNCTION  0x01u /* dangerous when called: name( */
#define CATALOG_ATTRIBUTE 0x02u /* dangerous when written x.name: function of a row */
#define CATALOG_RELATION  0x04u /* dangerous when read: view, sequence, unlogged table … */
#define CATALOG_TYPE      0x08u /* dangerous wherever it is named: type, domain */
#define CATALOG_OPERATOR  0x10u /* dangerous when used */
#define CATALOG_CODE      0x20u /* with one of those: runs user's code, which may do anything */
#define CATALOG_ADVANCES  0x40u /* table whose UPDATE or DELETE may advance a sequence */
#define CATALOG_SPECIAL   0x80u /* known by name (category S of word.h); in every catalog */
/* What sets parameters out of sight; none of these is known against a replica by itself. */
#define CATALOG_SETS        0x100u /* function, when called */
#define CATALOG_SETS_CUSTOM 0x200u /* with one of the others: custom ones of unknown names, too */
#define CATALOG_SETS_USED   0x400u /* relation: a trigger of the table, a view's functions */

/* In a blind catalog alone: a function of PostgreSQL itself, which sets nothing. */
#define CATALOG_BUILTIN 0x800u

#define CATALOG_CUSTOM_NAMES_MAX 64u /* beyond it every CATALOG_SETS is taken for a _CUSTOM */

/* The frozen set; the fields are for catalog_find, which stands in every token's way. */
struct catalog {
	uint32_t shift; /* slot of a hash: its high bits */
	bool operators;
	bool all_unsafe;
	bool utf8;
	bool blind;
	char *custom_names; /* owned; NULL: none */
	size_t n_custom;
	bool custom_lost;
	size_t n_names; /* occupied slots */
	size_t mask;    /* number of slots - 1; behind them lie the filter's bits */
	/* the names, and the words that turn the walk */
	struct namefilter filter;
	uint64_t slots[]; /* at most a quarter in use; hash and bits, 0: free */
};

struct catalog_builder;

/* A builder that already holds the built-in names (builtin.h). NULL: no memory. */
struct catalog_builder *catalog_builder_new(void) MUST_USE;
void catalog_builder_free(struct catalog_builder *b); /* NULL is allowed */

/*
 * One row of the catalog query (catalog_sql.h).
 * kind:   "builtin" (function of pg_catalog), "function", "attribute", "relation" (a sequence,
 *         unlogged or foreign table …), "view" (a relation whose reading runs user's code),
 *         "type", "operator", "advances"; "sets", "relation_sets", both also with "_custom": see
 *         CATALOG_SETS; "custom_name" (a custom parameter that a body sets by name); "encoding"
 * (name: the server's encoding); "all" (what no text shows is dangerous: no statement of this
 * database is for a replica). The query always gives an "encoding"; a catalog without one is as if
 * "all" had been given. Errors: E_INVALID unknown kind or empty name; E_LIMIT; E_NOMEM. The builder
 * stays usable, but what it lacks then must not be frozen: give the load up.
 */
enum status catalog_builder_add(
	struct catalog_builder *b, const char *kind, const char *name) MUST_USE;

/*
 * The operator's lists (settings primary_functions, replica_functions): one function or relation
 * name each, folded already, matched without schema; what stands before a last '.' is ignored.
 * They override what the rows say, `primary` wins over `replica`. Functions with a session effect
 * of their own (sequences, advisory locks, set_config …) stay on the primary all the same.
 * Errors: as catalog_builder_add.
 */
enum status catalog_builder_add_primary(struct catalog_builder *b, const char *name) MUST_USE;
enum status catalog_builder_add_replica(struct catalog_builder *b, const char *name) MUST_USE;

/* Freeze; the builder is spent (owned and freed here in any case). NULL: no memory. */
struct catalog *catalog_freeze(struct catalog_builder *b) MUST_USE;
/*
 * The catalog of a database of which none is loaded: with it texts are judged as with none, where
 * every function that is called may do anything, and plain ones as fast as with any. A call of
 * what is not known as PostgreSQL's own (builtin_names.h) is noted as EFFECT_RUNS. NULL: no memory.
 */
struct catalog *catalog_new_blind(void) MUST_USE;

void catalog_free(void *catalog); /* void *: fits snap_retire; NULL is allowed */

#define CATALOG_BITS_MASK 0xffffu /* low bits of a slot; the rest is the name's hash */

/* CATALOG_* bits of the name whose word_hash is `hash`; 0 if nothing is known against it. */
static inline uint32_t catalog_find(const struct catalog *c, uint64_t hash)
{
	size_t i = (size_t)(hash >> c->shift);

	for (; c->slots[i] != 0; i = (i + 1) & c->mask)
		if (((c->slots[i] ^ hash) & ~(uint64_t)CATALOG_BITS_MASK) == 0)
			return (uint32_t)c->slots[i] & CATALOG_BITS_MASK;
	return 0;
}

/* No operator is known, nor anything that no text shows: names are all that matters. */
static inline bool catalog_is_plain(const struct catalog *c)
{
	return !c->operators && !c->all_unsafe;
}

/*
 * Custom parameters that function bodies set by name: n_custom names, each ended by a NUL,
 * borrowed. custom_lost: there are more.
 */
const char *catalog_custom_names(const struct catalog *c, size_t *n, bool *lost);

bool catalog_has_operators(const struct catalog *c); /* any name with CATALOG_OPERATOR */
bool catalog_is_all_unsafe(const struct catalog *c); /* a row "all", or none "encoding" */
bool catalog_is_utf8(const struct catalog *c);       /* a row "encoding" said UTF8 */
static inline bool catalog_is_blind(const struct catalog *c)
{
	return c->blind;
}

size_t catalog_n_names(const struct catalog *c);
size_t catalog_mem_bytes(const struct catalog *c);

#endif
