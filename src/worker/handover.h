/*
 * handover - connections that change their thread: a client that has proved itself goes to the
 * worker where its pool lives, or to the console; an idle server goes to the worker whose unit has
 * waited longest.
 * Leaving happens at the end of the turn (handover_flush), never inside a callback of the conn.
 * Bounds: one message under way per moving connection; requests for servers at most one per unit
 *         that waits.
 */
#ifndef PGWEIR_WORKER_HANDOVER_H
#define PGWEIR_WORKER_HANDOVER_H

#include "worker/ask.h"
#include "worker/client.h"
#include "worker/server.h"

/* Begin to move a proved client to a worker of its pool. False: it is there already. */
bool handover_client_home(struct worker *w, struct client *c);
void handover_console(struct worker *w, struct client *c);
/* To the process that takes over (takeover.h): `ask` is moved. False: no memory, it stays. */
bool handover_client_out(struct worker *w, struct client *c, struct ask_leaves *ask) MUST_USE;
bool handover_server_on(struct worker *w, struct server *s, struct ask_leaves *ask) MUST_USE;
void handover_server_out(struct worker *w, struct server *s, uint32_t to);
void handover_flush(struct worker *w); /* let go what was marked in this turn */
/* One that was marked is closed before the end of the turn: it does not leave. */
void handover_client_closed(struct worker *w, const struct client *c);
void handover_server_closed(struct worker *w, const struct server *s);

/* Ask worker `from` for an idle server of the pool. */
void handover_ask(struct worker *w, struct pool *p, uint32_t from);

/* Mail: each takes the memory, handover_look excepted. */
void handover_client_in(struct worker *w, struct mail *m);
void handover_server_in(struct worker *w, struct mail *m);
void handover_borrow(struct worker *w, struct mail *m);
void handover_look(struct worker *w, const struct mail *m);
void handover_drop_client(struct worker *w, struct client *c);
/* All workers have ended: free what the message carries. */
void handover_discard(struct worker *w, struct mail *m);

#endif
