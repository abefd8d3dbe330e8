/*
 * line - where units stand and wait: in the line of the node that was chosen for them, in its line
 * for a place among the pinned, in the account's line of those for which no node is fit, or where
 * strong reads wait for samples. Ends
 * a wait that took query_wait_timeout, and tells who waits longer than query_wait_notify.
 * Touches: pool/share (the pool's oldest waiter, as other workers see it).
 * Bounds:  LINE_MAX units in one line; max_client_conn bounds it first.
 */
#ifndef PGWEIR_WORKER_LINE_H
#define PGWEIR_WORKER_LINE_H

#include "worker/client.h"
#include "worker/dbase.h"

#define LINE_MAX 100000u

/* The client that waits as `x`. */
struct client *line_client(struct waiter *x);

/*
 * Stand in the line of `p`, or for a place among its pinned, or (p NULL) nowhere; a unit that is
 * chosen anew keeps its age. If the line is full the unit is refused (53300): ask waiter_waits.
 */
void line_stand(struct worker *w, struct client *c, struct pool *p, bool wants_pin);

/*
 * Stand where units wait for the next samples (consistency = strong), until `deadline_us`: looked
 * at with each new topology, and chosen anew when the wait is over.
 */
void line_stand_fresh(struct worker *w, struct client *c, uint64_t deadline_us);

/* The topology has changed, or time has passed: who has waited long enough goes on. */
void line_look_fresh(struct worker *w);

void line_leave(struct worker *w, struct client *c); /* the client's state stays */
void line_stop(struct worker *w, struct client *c);  /* it is linked now, or chosen anew */

/* The wait is over: count how long it took. */
void line_note_wait(struct worker *w, struct client *c);

void line_expire(struct worker *w, struct waitq *q, struct pool *p); /* query_wait_timeout */
void line_tell(struct worker *w, struct waitq *q);                   /* query_wait_notify */

#endif
