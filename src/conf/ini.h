/*
 * ini - reads the text of one configuration file item by item, in PgBouncer's format: [section],
 * name = value to the end of the line, "quoted name" = value, %include path, and comments on lines
 * that start with ; or #. A value is taken as it is: no quotes, escapes, or comments behind it.
 * Owns:   nothing; items are slices of the text.
 * Bounds: INI_VALUE_MAX; what is longer, or holds a NUL, is an INI_BAD item. Never recurses.
 * Why not inih: ADR 0010.
 */
#ifndef PGWEIR_CONF_INI_H
#define PGWEIR_CONF_INI_H

#include "base/arena.h"
#include "base/status.h"

#define INI_VALUE_MAX 65535u /* bytes of a value or name */

enum ini_kind {
	INI_END,
	INI_SECTION, /* name */
	INI_PAIR,    /* name, value */
	INI_INCLUDE, /* value */
	INI_BAD,     /* name if known, and what was expected; the rest of the line is skipped */
};

struct ini {
	const char *p, *end;
	uint32_t line; /* of p, from 1 */
};

struct ini_item {
	enum ini_kind kind;
	uint32_t line;
	const char
		*name; /* as written: a quoted one still has its doubled quotes (ini_name_copy) */
	size_t name_len;
	bool is_quoted;
	const char *value; /* without the blanks around it */
	size_t value_len;
	const char *expected; /* of INI_BAD, fixed words */
};

struct ini ini_of(const char *text, size_t len);

/* The next item; INI_END at the end of the text, again and again. */
struct ini_item ini_next(struct ini *in);

/* The name with doubled quotes made single. NULL: no memory. */
char *ini_name_copy(const struct ini_item *item, struct arena *a) MUST_USE;

#endif
