/*
 * confirm - a read has failed on the replica where its block is bound by its snapshot (REPEATABLE
 * READ READ ONLY, behind its first answer): would the primary have given that error as well? Only
 * the primary can tell, for the replica's state is an older one (ADR 0039).
 *
 *   The replica's ErrorResponse stays unread, its connection paused. The client, which its replica
 * keeps, gets a server of the primary as for any unit that runs again (moving, dispatch, forward):
 * the same block is begun there, from its journal, the failed unit runs, and all that it answers is
 * dropped. Then the primary is left, where the block is rolled back, and the replica is read on:
 * its error is told as it is if the primary has given the same SQLSTATE, else as 40001.
 *
 *   If it cannot be found out (no primary within query_wait_timeout, the primary is lost, the bound
 * of time), nobody knows that the error is the statement's own: 40001 as well.
 *
 * Owns:   client.confirm from confirm_begin until the verdict is taken or the client is closed.
 * Bounds: the primary has as long as the replica had, and CONFIRM_GRACE_US more; waiting for a
 *         server of it is bounded by query_wait_timeout.
 * Cost:   without such an error, nothing.
 */
#ifndef PGWEIR_WORKER_CONFIRM_H
#define PGWEIR_WORKER_CONFIRM_H

#include "worker/client.h"
#include "worker/server.h"

#define CONFIRM_GRACE_US 10000000u /* a primary's caches may be cold for what replicas read */

enum confirm_verdict {
	CONFIRM_NONE,     /* nobody was asked */
	CONFIRM_OWN,      /* the primary gives the same */
	CONFIRM_STALE,    /* it does not, or could not be asked */
	CONFIRM_CANCELED, /* the client has cancelled the statement meanwhile */
};

/*
 * The unit at the front of what is kept has failed on c->server with `sqlstate`, which may be of
 * the replica's state. Ask the primary. False: it cannot be asked of this block.
 */
COLD bool confirm_begin(struct worker *w, struct client *c, const char *sqlstate);

/* The unit to be confirmed is judged again, and about to be placed or sent. False: not now. */
bool confirm_goes_on(struct worker *w, struct client *c);

/* The server of the primary has begun to answer: nothing of it is the client's. */
void confirm_hide(struct server *s);

/* It has given this error for the unit, or has answered it. It has no client any more. */
COLD void confirm_failed(struct worker *w, struct client *c, const char *sqlstate);
void confirm_succeeded(struct worker *w, struct client *c);

/* The unit has no server, and will have none: this would be told of any other. */
COLD void confirm_refused(struct worker *w, struct client *c, const struct report *r);

/* The client wants its statement to be cancelled. */
COLD void confirm_cancel(struct worker *w, struct client *c);

/* The replica's error is read again: the verdict. */
enum confirm_verdict confirm_take(struct client *c);

/*
 * `s` is lost, and c->server no more. True: it was the primary's, and that is all; false: it was
 * the replica's, which the client has again, as a lost one.
 */
COLD bool confirm_lost(struct worker *w, struct client *c, struct server *s);

/* The client is being closed: it has its replica again, if it was without. */
COLD void confirm_client_gone(struct worker *w, struct client *c);

#endif
