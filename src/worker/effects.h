/*
 * effects - what the statements of one message do to the session, noted when it is sent and
 * applied as the server reports each statement complete.
 * Owns:   its copies of names and values. Allocated only for statements that have such effects.
 * Source: PostgreSQL manual, SET, RESET, DISCARD, DEALLOCATE, UNLISTEN, CLOSE.
 */
#ifndef PGWEIR_WORKER_EFFECTS_H
#define PGWEIR_WORKER_EFFECTS_H

#include "sql/verdict.h"
#include "worker/client.h"
#include "worker/server.h"

struct effects;

/*
 * Note what `v`, the verdict on `sql`, will have done; *out is NULL if there is nothing to follow.
 * Pins are set here, before the statement is sent. Errors: E_NOMEM.
 */
enum status effects_begin(struct worker *w, struct client *c, struct server *s, const char *sql,
	const struct sql_verdict *v, struct effects **out) MUST_USE;

/*
 * The next statement of the message is complete: apply what it has done.
 * rolled_back: its tag is ROLLBACK, which is what a COMMIT says after an error.
 */
void effects_complete(
	struct worker *w, struct client *c, struct server *s, struct effects *e, bool rolled_back);

/* The client has made a savepoint: remember what it had set. */
void effects_savepoint(struct worker *w, struct client *c, const char *name);

void effects_free(struct effects *e); /* NULL allowed */

#endif
