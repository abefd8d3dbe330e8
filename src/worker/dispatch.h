/*
 * dispatch - where a unit runs: on the node that was picked for it, on one of the pool's servers:
 * one idle here, one idle on another worker, a new one within the limits, or after a place in line.
 * Lines are first come, first served; a unit that is chosen anew keeps its age.
 * Touches: pool/share (what other workers see of the pools).
 */
#ifndef PGWEIR_WORKER_DISPATCH_H
#define PGWEIR_WORKER_DISPATCH_H

#include "worker/client.h"
#include "worker/dbase.h"
#include "worker/server.h"

/* --- clients --- */

/*
 * Find a server for the client's judged unit. True: c->server is linked and the unit may be sent to
 * it now. False: it waits (in line, or until what is under way has been answered), or it was
 * refused, or the client is closed.
 */
bool dispatch_unit(struct worker *w, struct client *c);

/* Find a server that tells what the settings of a client that logs in come to. */
void dispatch_welcome(struct worker *w, struct client *c);

void dispatch_sent(struct worker *w, struct client *c);   /* its unit was forwarded */
void dispatch_forget(struct worker *w, struct client *c); /* take it out of every line */
void dispatch_cancel(struct worker *w, struct client *c); /* its waiting unit gets 57014 */

/* Who waits is chosen anew: for another node, or the same one if it is still right. */
void dispatch_choose_anew(struct worker *w, struct client *c);

/* The same for the first of a line; with a pool only those that its node does not fit any more. */
void dispatch_recheck(struct worker *w, struct waitq *q, const struct pool *p);

/* --- servers --- */

void dispatch_server_free(struct worker *w, struct server *s); /* it is SERVER_IDLE now */
void dispatch_login_failed(struct worker *w, struct pool *p, bool refused);

/* A server opened for one client has logged in: link the two. */
void dispatch_private_ready(struct worker *w, struct server *s);

/* The very server that the client waits for (wanted) will not do. */
void dispatch_wanted_lost(struct worker *w, struct client *c, const struct server *s);

/* --- the worker's own events --- */

void dispatch_look(struct worker *w); /* woken: something that was full has room */
void dispatch_look_pool(struct worker *w, struct pool *p);

/* Ask other workers for idle servers where units have waited a little. */
void dispatch_borrow(struct worker *w);

#endif
