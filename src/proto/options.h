/*
 * options - the start-up parameter `options`: command line switches for the session, such as
 * `-c statement_timeout=5s --search_path=a,b`.
 * Owns:   nothing.
 * Knows:  -c NAME=VALUE, -cNAME=VALUE, --NAME=VALUE; a backslash keeps the character after it. The
 *         other switches of a PostgreSQL backend (-e, -S …) are not for settings: E_INVALID.
 * Bounds: the caller's buffer; nothing is longer than the string itself.
 * Source: PostgreSQL manual, "libpq Parameter Key Words", options; pg_split_opts in postinit.c,
 *         process_postgres_switches in postgres.c, ParseLongOption in guc.c.
 */
#ifndef PGWEIR_PROTO_OPTIONS_H
#define PGWEIR_PROTO_OPTIONS_H

#include "base/status.h"

struct options {
	const char *next; /* what is not read yet; borrowed */
	char *buf;        /* where the next word goes; borrowed */
	size_t cap;
	enum status end; /* OK until there is nothing more to read */
};

/* Begin to read `text`. A buffer of strlen(text) + 1 bytes is always large enough. */
void options_init(struct options *o, const char *text, char *buf, size_t cap);

/*
 * Next setting, in order; *name and *value stay valid as long as the buffer. In names `-` is read
 * as `_`, as PostgreSQL does; neither name nor value is checked otherwise.
 * Errors: E_NOTFOUND the end; E_INVALID a word that is no such switch, or one without a value
 *         (*name is the word then; PostgreSQL answers 42601); E_LIMIT the buffer is full.
 *         After an error every call gives it again.
 */
enum status options_next(struct options *o, const char **name, const char **value) MUST_USE;

#endif
