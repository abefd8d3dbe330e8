/*
 * settings_txn - one client's settings through its transactions: what it logged in with, what is
 * committed, what holds now. Begin, commit and rollback move pointers. SET LOCAL is not seen here:
 * it is the server's until the transaction ends. One thread.
 * Owns:   a reference to each of its three sets.
 * Not:    savepoints; worker/savepoints keeps what was set when each was made.
 */
#ifndef PGWEIR_STATE_SETTINGS_TXN_H
#define PGWEIR_STATE_SETTINGS_TXN_H

#include "state/settings.h"

struct settings_txn {
	struct settings_table *table;
	struct settings *login;     /* RESET goes back to it */
	struct settings *committed; /* ROLLBACK goes back to it */
	struct settings *current;   /* what a statement sees */
	bool in_txn;
};

/* login: from the start-up packet; moved. */
void settings_txn_init(struct settings_txn *x, struct settings_table *t, struct settings **login);
void settings_txn_fini(struct settings_txn *x);

/* SET name TO value, RESET name (also SET … TO DEFAULT), RESET ALL. Errors: as settings_put;
 * nothing changed. */
enum status settings_txn_set(struct settings_txn *x, const char *name, const char *value) MUST_USE;
enum status settings_txn_reset(struct settings_txn *x, const char *name) MUST_USE;
void settings_txn_reset_all(struct settings_txn *x); /* not of the roles, as the server */

/*
 * What RESET ALL leaves of `s`: role and session_authorization. Without memory, nothing. A new
 * reference.
 */
struct settings *settings_roles_of(struct settings_table *t, const struct settings *s);

/* Between transactions the server has told what holds: `s` is what is current and committed. */
void settings_txn_found(struct settings_txn *x, struct settings *s);

/*
 * BEGIN, COMMIT, ROLLBACK; a COMMIT of a failed transaction is a rollback. Each may come when it
 * changes nothing (BEGIN in a transaction, COMMIT outside one). A multi-statement simple query is a
 * transaction of its own: bracket it by begin and commit or rollback as ReadyForQuery tells.
 */
void settings_txn_begin(struct settings_txn *x);
void settings_txn_commit(struct settings_txn *x);
void settings_txn_rollback(struct settings_txn *x);

/* The client has moved to the worker of table `t`. Errors: E_NOMEM, E_LIMIT: close the client. */
enum status settings_txn_adopt(struct settings_txn *x, struct settings_table *t) MUST_USE;

#endif
