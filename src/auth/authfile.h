/*
 * authfile - reads the text of an auth_file, PgBouncer's userlist.txt, line by line:
 * "user" "secret", a quote in either doubled, what stands behind on the line ignored. Empty lines
 * and lines that start with ; or # are skipped.
 * Owns: nothing; items are slices of the text.
 */
#ifndef PGWEIR_AUTH_AUTHFILE_H
#define PGWEIR_AUTH_AUTHFILE_H

#include "base/arena.h"
#include "base/status.h"

enum authfile_kind {
	AUTHFILE_END,
	AUTHFILE_USER,
	AUTHFILE_BAD, /* user if known, and what was expected; the rest of the line is skipped */
};

struct authfile {
	const char *p, *end;
	uint32_t line; /* of p, from 1 */
};

struct authfile_item {
	enum authfile_kind kind;
	uint32_t line;
	const char *user; /* as written, without the quotes around it */
	size_t user_len;
	const char *secret;
	size_t secret_len;
	const char *expected; /* of AUTHFILE_BAD, fixed words */
};

struct authfile authfile_of(const char *text, size_t len);

/* The next item; AUTHFILE_END at the end of the text, again and again. */
struct authfile_item authfile_next(struct authfile *f);

#endif
