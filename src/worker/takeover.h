/*
 * takeover - a worker's part when another process takes this one over (upgrade without loss), and
 * when this one has taken over. The old process's workers stop accepting and send every client on
 * that an image can tell all about (image.h), as soon as it is between units; TLS clients and
 * pinned ones stay until they leave. Of server connections both have together what one may have.
 * With TELL_LEAVE each worker of the old one stops opening, tells of each that it has, and then of
 * each that it closes; it asks before it opens. One that is on its way between two workers is told
 * of by the first that has begun (server.is_told), and is waited for (shared.n_untold). The new
 * process opens none until all have told. Owns:    the old one's timer. Touches: the control
 * thread, which has the socket between the two (control/takeover.h). Bounds: TAKEOVER_SWEEP_MAX
 * clients in one sweep; a pool asks for one server at a time.
 */
#ifndef PGWEIR_WORKER_TAKEOVER_H
#define PGWEIR_WORKER_TAKEOVER_H

#include "worker/ask.h"
#include "worker/dbase.h"

#define TAKEOVER_SWEEP_US     10000u
#define TAKEOVER_SWEEP_MAX    256u
#define TAKEOVER_UNREAD_MAX   16384u   /* bytes that a client which goes on may have sent */
#define TAKEOVER_IDLE_US      1000000u /* a server that no client here has used for so long goes */
#define TAKEOVER_ASK_AGAIN_US 100000u

/* --- the old process --- */
void takeover_begin(struct worker *w, const struct tell_leave *t); /* also its being over */
/* The old process, and the new one lives: a server is opened only where one was granted. */
bool takeover_rations(const struct worker *w);
void takeover_end_turn(struct worker *w); /* who was let go in this turn may go on at once */
void takeover_free(struct worker *w);
/* The client has no server any more: it is looked at when the turn ends. */
void takeover_unlinked(struct worker *w, const struct client *c);
/* A server of the pool that was told of is gone: its place is the other process's. */
void takeover_place_gone(struct worker *w, const struct share_pool *share);
/* It sets out for another worker (+1), or does not (-1). Also before a take-over has begun. */
void takeover_on_its_way(struct worker *w, const struct server *s, int by);
/* It has come from there: if nobody has told of it, this worker does, now or in takeover_begin. */
void takeover_came(struct worker *w, struct server *s, const struct share_pool *share);
void takeover_granted(struct worker *w, const struct ask_place *t); /* TELL_PLACE */
/* To the control thread, when all have left that are on their way in this moment; moved. */
void takeover_ask_when_all_left(struct worker *w, struct mail *m);
/* The client's conn has left the loop. Moves both. */
void takeover_left(struct worker *w, struct conn *conn, struct ask_leaves *ask);

/* --- the new process --- */
void takeover_arrive(struct worker *w, struct mail *m); /* TELL_ARRIVE; moved */

#endif
