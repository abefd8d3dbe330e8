/*
 * fields - reads the text of a pg_hba.conf or pg_ident.conf line by line: fields between blanks,
 * each a list of tokens joined by commas, double quotes around either, # begins a comment, a
 * backslash at the end of a line joins it with the next.
 * Owns:   nothing; tokens are copied into the caller's arena.
 * Bounds: FIELDS_LINE_MAX.
 * Source: PostgreSQL manual, "The pg_hba.conf File".
 */
#ifndef PGWEIR_CONF_FIELDS_H
#define PGWEIR_CONF_FIELDS_H

#include "base/arena.h"
#include "base/status.h"

#define FIELDS_LINE_MAX 65535u /* bytes of a line with those that continue it */

struct fields_token {
	struct fields_token *next;
	const char *text;
	bool is_quoted; /* it begins with a quote: a keyword is a name then */
};

struct fields_field {
	struct fields_field *next;
	struct fields_token *first; /* one at least */
};

struct fields_line {
	uint32_t line; /* from 1, of its first line */
	struct fields_field *first;
	const char *wrong; /* what was expected; NULL: the line is well formed */
};

struct fields {
	const char *p, *end;
	uint32_t line; /* of p */
	struct arena *a;
};

struct fields fields_of(const char *text, size_t len, struct arena *a);

/* The next line that has a field. Errors: E_NOTFOUND the text ends; E_NOMEM. */
enum status fields_next(struct fields *f, struct fields_line *out) MUST_USE;

#endif
