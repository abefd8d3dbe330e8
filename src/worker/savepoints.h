/*
 * savepoints - what a client had set when each savepoint of its transaction was made, so that
 * ROLLBACK TO brings it back.
 * Owns:   a reference to each set; nothing while there is no savepoint.
 * Bounds: SAVEPOINTS_MAX; beyond it savepoints_push reports E_LIMIT, and the client is pinned.
 */
#ifndef PGWEIR_WORKER_SAVEPOINTS_H
#define PGWEIR_WORKER_SAVEPOINTS_H

#include "state/settings_txn.h"

#define SAVEPOINTS_MAX 64u

struct savepoints {
	uint32_t n;
	struct savepoint {
		char name[64]; /* NAMEDATALEN of PostgreSQL */
		struct settings *set;
		uint32_t n_ops; /* notify_n_ops then */
	} at[SAVEPOINTS_MAX];
};

/* Errors: E_LIMIT, E_NOMEM. *s is made with the first. */
enum status savepoints_push(struct savepoints **s, const struct settings_txn *x, const char *name,
	uint32_t n_ops) MUST_USE;
/*
 * ROLLBACK TO name: x->current is what it was, *n_ops was given then. Unknown names are the
 * server's to refuse; nothing changes.
 */
void savepoints_rollback(
	struct savepoints *s, struct settings_txn *x, const char *name, uint32_t *n_ops);
void savepoints_release(struct savepoints *s, struct settings_txn *x, const char *name);
/*
 * What was set when the transaction began has been found out; nothing has been set in it yet: its
 * savepoints were made before it had a server.
 */
void savepoints_found(struct savepoints *s, const struct settings_txn *x);

/* The transaction has ended. */
void savepoints_clear(struct savepoints **s, struct settings_txn *x);

#endif
