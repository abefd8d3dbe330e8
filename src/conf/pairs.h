/*
 * pairs - reads the connection string of a [databases] or [users] line: key=value pairs apart by
 * spaces; spaces may stand around =; a value in single quotes may hold spaces, a quote doubled.
 * Owns:   nothing; pairs are slices of the text, which has no NUL inside.
 */
#ifndef PGWEIR_CONF_PAIRS_H
#define PGWEIR_CONF_PAIRS_H

#include "base/arena.h"
#include "base/status.h"

struct pair {
	const char *key;
	size_t key_len;
	const char *value; /* as written, without the quotes around it */
	size_t value_len;
	bool is_quoted;
	const char *expected; /* of E_PROTO, fixed words */
};

/*
 * The next pair at *p, which moves behind it.
 * Errors: E_NOTFOUND at the end; E_PROTO, out->expected says why, *p is at the end.
 */
enum status pairs_next(const char **p, struct pair *out) MUST_USE;

/* The value with doubled quotes made single. NULL: no memory. */
char *pairs_value_copy(const struct pair *pair, struct arena *a) MUST_USE;

#endif
