/*
 * effects - what the statements of one message do to the session, noted when it is sent and
 * applied as the server reports each statement complete.
 * Owns:   its copies of names and values. Allocated only for statements that have such effects.
 * Source: PostgreSQL manual, SET, RESET, DISCARD, DEALLOCATE, UNLISTEN, CLOSE.
 */
#ifndef PGWEIR_WORKER_EFFECTS_H
#define PGWEIR_WORKER_EFFECTS_H

#include "proto/frontend.h"
#include "sql/verdict.h"
#include "worker/client.h"
#include "worker/server.h"

struct effects;

/* A statement that is about to be sent. */
struct effects_of {
	const char *sql;
	const struct sql_verdict *v; /* on `sql` */
	const struct msg_bind_tail
		*values; /* of its Bind; NULL: none, or not all of them are there */
};

/*
 * Note what the statement will have done; *out is NULL if there is nothing to follow. Pins and
 * doubts are set here, before it is sent. Errors: E_NOMEM.
 */
enum status effects_begin(struct worker *w, struct client *c, struct server *s,
	const struct effects_of *of, struct effects **out) MUST_USE;

/*
 * It did not come to its end, or it is not known when it will: what it may have set is asked of the
 * server when the transaction is over. value: not the traces of custom parameters alone, which is
 * all that an error leaves.
 */
void effects_unsure(struct worker *w, struct client *c, const struct effects *e, bool value);

/*
 * What is set on the server has changed, or was rolled back. If that was sent before a RESET was
 * answered, for which the client's settings are due, server.settings is wrong until they have gone
 * there.
 */
static inline void effects_behind(const struct client *c, struct server *s)
{
	if (c->busy->prefix_due)
		s->dirt |= CLEAN(ALL);
}

/* Session mode, where nothing else is followed: the custom parameters that the server gets to know.
 */
void effects_trace(struct worker *w, struct client *c, struct server *s, const char *sql,
	const struct sql_verdict *v);

/* A value that the server has told: does it pin? */
void effects_check_value(struct worker *w, struct client *c, const char *name, const char *value);

/*
 * The next statement of the message is complete: apply what it has done.
 * rolled_back: its tag is ROLLBACK, which is what a COMMIT says after an error.
 */
void effects_complete(
	struct worker *w, struct client *c, struct server *s, struct effects *e, bool rolled_back);

/* The client has made a savepoint: remember what it had set. */
void effects_savepoint(struct worker *w, struct client *c, const char *name);

/* Does it make or take away SQL's prepared statements? The client's names follow at its end. */
bool effects_touch_names(const struct effects *e);

/* Does it reset what the client's start-up packet has set? The server has to get that again. */
bool effects_reset(const struct client *c, const struct effects *e);

void effects_free(struct effects *e); /* NULL allowed */

#endif
