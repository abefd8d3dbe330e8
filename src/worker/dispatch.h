/*
 * dispatch - where a unit runs: the choice of a node, then a server of the pool to it: one idle
 * here, one idle on another worker, a new one within the limits, or a place in line. Lines are
 * first come, first served; a unit that is chosen anew keeps its age.
 * Touches: pool/share (what other workers see of the pools).
 * Bounds:  query_wait_timeout in a line; as many logins at once as units wait, at most
 *          max_server_logins per node.
 */
#ifndef PGWEIR_WORKER_DISPATCH_H
#define PGWEIR_WORKER_DISPATCH_H

#include "worker/client.h"
#include "worker/dbase.h"
#include "worker/server.h"

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

/* sequence_state = affinity: longest that a client keeps its server for its next unit. */
#define DISPATCH_SEQUENCE_KEEP_US 1000000u

/* A unit of the client has ended: does it stay on its server for what is asked of a sequence? */
void dispatch_keep_sequence(struct worker *w, struct client *c);

/* The client stays pinned and has no place under max_pinned: it was found out too late to wait. */
COLD void dispatch_pin_found(struct worker *w, struct client *c);

/* The unit that waits is cancelled (57014). */
void dispatch_cancel(struct worker *w, struct client *c);

/* --- clients and accounts --- */
/* Takes the client's place in the limits on clients. False: refused (and closed). */
bool account_client_enters(struct worker *w, struct client *c);
void account_client_left(struct worker *w, struct client *c);
void dispatch_account_init(struct account *acc);
void dispatch_account_changed(struct worker *w, struct account *acc); /* admin_state */
void dispatch_account_gone(struct worker *w, struct account *acc);    /* not configured any more */
/* Its servers have logged in with something else than they would now: see login_hash. */
void dispatch_account_moved(struct worker *w, struct account *acc);
void dispatch_pool_init(struct pool *p);
void dispatch_pool_retire(struct worker *w, struct pool *p); /* its node has left the database */

/* --- servers --- */
void dispatch_server_free(struct worker *w, struct server *s); /* it is SERVER_IDLE now */
/* One is gone, or was never opened; its places in the budgets are given back. */
void dispatch_server_gone(struct worker *w, struct pool *p, bool login_counted);
void dispatch_idle_changed(struct worker *w, struct pool *p, int delta); /* before it happens */
void dispatch_check_timed_out(struct worker *w, struct server *s);       /* closes it */
void dispatch_login_ended(struct worker *w, struct pool *p);
void dispatch_login_failed(struct worker *w, struct pool *p, bool refused);
/* A server opened for one client has logged in: link the two. */
void dispatch_private_ready(struct worker *w, struct server *s);

void dispatch_wanted_lost(struct worker *w, struct client *c, const struct server *s);
bool dispatch_may_shrink(struct worker *w, const struct pool *p); /* above min_pool_size */

/* --- pins --- */
void dispatch_pin_released(struct worker *w, struct client *c);

/* --- the worker's own events --- */
void dispatch_topology_changed(struct worker *w);
void dispatch_look(struct worker *w); /* woken: something that was full has room */
void dispatch_look_pool(struct worker *w, struct pool *p);
void dispatch_janitor(struct worker *w);

/* Ask other workers for idle servers where units have waited a little. */
void dispatch_borrow(struct worker *w);
void dispatch_wake_workers(struct worker *w, uint64_t mask);
void dispatch_probe(struct worker *w, uint32_t node);
const char *dispatch_node_name(struct worker *w, uint32_t node);

#endif
