/*
 * settings - what a client has set, relative to the login defaults of a server: interned, immutable
 * sets of (name, value). In one table equal content is one pointer, so "has this server the
 * client's settings?" is a comparison of pointers. Owns:    the sets, until the last reference
 * goes. Threads: a table belongs to one worker. A set may be held by two threads (it travels with a
 *          connection); the receiver calls settings_adopt, or settings_unref with its own table.
 * Bounds:  SETTINGS_*_MAX below; bytes of a table as given.
 * References: every `struct settings **out`, and settings_empty and settings_ref, give the caller a
 *          reference to drop with settings_unref; arguments are borrowed unless called moved.
 */
#ifndef PGWEIR_STATE_SETTINGS_H
#define PGWEIR_STATE_SETTINGS_H

#include "base/map.h"
#include "base/status.h"

#define SETTINGS_NAME_MAX  63u    /* bytes of a name: it is quoted as one identifier */
#define SETTINGS_VALUE_MAX 8192u  /* bytes of a value */
#define SETTINGS_N_MAX     256u   /* entries of a set */
#define SETTINGS_SET_MAX   65536u /* bytes of all names and values of a set */

struct settings;
struct settings_table;

/*
 * key: secret for hashing. bytes_max: memory of all sets together. Errors: E_NOMEM, E_LIMIT.
 */
enum status settings_table_new(
	const struct hash_key *key, size_t bytes_max, struct settings_table **out) MUST_USE;
void settings_table_free(
	struct settings_table *t); /* when no other worker's thread runs any more */
size_t settings_table_n(const struct settings_table *t);     /* sets alive */
size_t settings_table_bytes(const struct settings_table *t); /* their memory */

struct settings *settings_empty(struct settings_table *t);
struct settings *settings_ref(struct settings *s); /* returns s */
void settings_unref(
	struct settings_table *t, struct settings *s); /* t: the caller's table. NULL ok */

/*
 * `base` with name = value. Names are compared and kept in lower case. `value` is what the
 * parameter's string is, as SHOW would tell it: for a list of names "a, \"B c\"".
 * Errors: E_LIMIT a bound was met, E_NOMEM, E_INVALID: this cannot be carried to another server
 * (pin the client instead): an empty or non-ASCII name; a value with a backslash right behind a
 * non-ASCII byte (in SJIS and its like that may be one character); a new client_encoding while
 * another value has non-ASCII bytes (they would change their meaning).
 */
enum status settings_put(struct settings_table *t, const struct settings *base, const char *name,
	const char *value, struct settings **out) MUST_USE;

/* `base` without `name` (which need not be in). Errors: as settings_put. */
enum status settings_drop(struct settings_table *t, const struct settings *base, const char *name,
	struct settings **out) MUST_USE;

/*
 * The set of `t` that equals *s, which may be of another worker's table. Moves *s: on OK it is
 * replaced by the adopted one; on an error it is as it was. Errors: E_NOMEM, E_LIMIT.
 */
enum status settings_adopt(struct settings_table *t, struct settings **s) MUST_USE;

size_t settings_n(const struct settings *s);
/* Entry i of settings_n, in the order of names; both are borrowed from s. */
const char *settings_name(const struct settings *s, size_t i);
const char *settings_value(const struct settings *s, size_t i);
/* Value of `name` in any case of letters, borrowed from s; NULL if it is not in. */
const char *settings_get(const struct settings *s, const char *name);

/* Has it one that settings_class.h's settings_may_be_refused is true of? */
bool settings_has_refusable(const struct settings *s);

/*
 * A set may serve as a set of names, their values empty: the custom parameters that a server or a
 * client has seen. settings_has_names: does `s` have every name of `names`? settings_put_names:
 * `base` and all of `names`; errors as settings_put.
 */
bool settings_has_names(const struct settings *s, const struct settings *names);
enum status settings_put_names(struct settings_table *t, struct settings *base,
	const struct settings *names, struct settings **out) MUST_USE;

/*
 * The part of `s` that the parsing and planning of a prepared statement may depend on: a set of the
 * same table, borrowed from `s`. All settings count but those known to matter to execution, output
 * or logging alone (state/settings_class.h).
 */
struct settings *settings_parse_key(struct settings *s);

#endif
