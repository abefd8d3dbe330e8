/*
 * guc - names of configuration parameters (GUCs) and the assignments in the start-up packet's
 * `options`. Pure arithmetic on bytes.
 * Source: PostgreSQL src/backend/utils/misc/guc.c, utils/init/postinit.c (pg_split_opts), and
 *         ParseLongOption; the manual's sections "Setting Parameters" and "Start-up Message".
 */
#ifndef PGWEIR_SQL_GUC_H
#define PGWEIR_SQL_GUC_H

#include "base/status.h"

#define GUC_NAME_MAX 127u /* bytes; two identifiers of 63 and a dot */

/*
 * A parameter name in lower case (the server compares them without regard to ASCII case).
 * buf: GUC_NAME_MAX + 1 bytes, NUL-terminated on OK. Errors: E_INVALID not a valid name (see
 * guc_name_is_valid); E_LIMIT longer than GUC_NAME_MAX.
 */
enum status guc_name_fold(const char *name, size_t len, char *buf) MUST_USE;

/* Letters, digits, _, $, bytes >= 0x80; parts joined by '.', none starting with a digit or $. */
bool guc_name_is_valid(const char *name, size_t len);

/* What a parameter belongs to; of a folded name. */
enum guc_scope {
	GUC_SESSION,
	GUC_TRANSACTION, /* transaction_isolation, _read_only, _deferrable: end with it */
	GUC_CUSTOM,      /* the name has a dot */
	GUC_ROLE,        /* role, session_authorization */
	GUC_SEED,        /* seed: an action, not a value */
};
enum guc_scope guc_scope_of(const char *name);

/*
 * Does SHOW or current_setting of it give the same on every server that has the client's
 * settings? Not the ones that tell the server's role, host or start-up. Folded name.
 */
bool guc_is_same_everywhere(const char *name);

/* Its value is a list whose items the server quotes as identifiers (GUC_LIST_QUOTE). Folded name.
 */
bool guc_is_list_quoted(const char *name);

/* One assignment of `options`; views are NUL-terminated and lie in the caller's buffer. */
struct guc_option {
	const char *name; /* folded, '-' turned into '_' */
	const char *value;
};

/* State of an iteration over `options`: "-c name=value --name=value", backslash escapes. */
struct guc_options {
	const char *p; /* rest of the options string, NUL-terminated */
};

/*
 * The next assignment; its text is unescaped into buf.
 * Errors: E_NOTFOUND no more; E_INVALID another switch than -c and --, no '=', or a wrong name;
 *         E_LIMIT does not fit `cap`. After an error other than E_NOTFOUND iteration is over.
 */
enum status guc_options_next(
	struct guc_options *it, char *buf, size_t cap, struct guc_option *out) MUST_USE;

#endif
