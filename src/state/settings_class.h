/*
 * settings_class - what is known of parameters by name: which can follow a client, which matter to
 * a prepared statement, which are lists of names. Pure tables; names in any case of letters.
 */
#ifndef PGWEIR_STATE_SETTINGS_CLASS_H
#define PGWEIR_STATE_SETTINGS_CLASS_H

#include "base/status.h"

/* What the pooler can do with a parameter that a client sets for its session. */
enum settings_class {
	SETTINGS_CARRIED, /* kept in a set, follows the client */
	SETTINGS_TXN,     /* of a transaction alone (transaction_isolation …): never in a set */
	SETTINGS_ROLE,    /* role, session_authorization: kept in a set, given in an order */
	SETTINGS_SEED,    /* seed: can be neither read back nor undone: pins */
	SETTINGS_CUSTOM,  /* has a dot: kept in a set, leaves a trace in the server */
};
enum settings_class settings_class_of(const char *name);

/*
 * Whether the parsing or planning of a statement may depend on it: true for every parameter that
 * is not known to matter to execution, output or logging alone. Custom ones are read by what runs.
 */
bool settings_is_for_parsing(const char *name);

/* Whether only a superuser may set it (PGC_SUSET): a role may have been needed for that. */
bool settings_needs_superuser(const char *name);

/*
 * Whether a server that knows the parameter may refuse a value, or its RESET, that another one of
 * the same login has accepted: who the session is, what a superuser has to grant, what names an
 * object, what a session can be too late for. Custom parameters are left out: what has no library
 * is refused nowhere.
 */
bool settings_may_be_refused(const char *name);

/*
 * Whether its string is a list of quoted names, which SET … TO 'string' would take for one name.
 * Source: PostgreSQL, guc.h: GUC_LIST_QUOTE.
 */
bool settings_is_quoted_list(const char *name);

#endif
