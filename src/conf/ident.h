/*
 * ident - auth_ident_file, in the syntax of PostgreSQL's pg_ident.conf: which names of the system
 * (of a certificate, of a peer on a unix socket) may log in as which users.
 *     map  system-name  database-user
 * A system name that begins with / is a regular expression; \1 in the user is then what its first
 * group matched. `all` as user is any user; a user that begins with / is an expression, too.
 * Owns:    all it points to, until ident_free.
 * Threads: built by one; read by any.
 * Bounds:  IDENT_LINES_MAX; those of conf/fields.h and conf/pattern.h.
 */
#ifndef PGWEIR_CONF_IDENT_H
#define PGWEIR_CONF_IDENT_H

#include "conf/findings.h"

#define IDENT_LINES_MAX 10000u

struct ident;

/* All of it is read, also after an error. Errors: E_INVALID `found` has new errors; E_NOMEM. */
enum status ident_parse(const char *text, size_t len, const char *file, struct ident **out,
	struct findings *found) MUST_USE;
void ident_free(struct ident *m); /* NULL allowed */

bool ident_has_map(const struct ident *m, const char *map);

/* May `system_name` log in as `user`? Without a map ("") if the names are equal. */
bool ident_allows(
	const struct ident *m, const char *map, const char *system_name, const char *user);

#endif
