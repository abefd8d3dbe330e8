/*
 * replication - a client that asks for `replication` in its start-up packet (a standby,
 * pg_basebackup, a subscriber) gets a server connection of its own: opened for it with its own
 * start-up parameters, its bytes passed on as they are in both directions, closed when it leaves.
 * It counts in the pool as a client in session mode does; query_timeout does not apply to it.
 * Source: PostgreSQL manual, "Streaming Replication Protocol". A physical walsender runs no SQL, so
 * nothing of ours may be sent ahead: what a client has set travels in the start-up packet.
 */
#ifndef PGWEIR_WORKER_REPLICATION_H
#define PGWEIR_WORKER_REPLICATION_H

#include "worker/server.h"

struct wr;

/* The start-up parameters of a private server: `replication`, and what its client has set. */
void replication_put_startup(struct wr *out, const struct server *s);

/* The server has logged in: it is linked to its client, which is greeted with what it told. */
void replication_ready(struct worker *w, struct server *s, const struct baseline *params);

/* The server was lost before that: the client is told why, and closed. */
COLD void replication_refused(struct worker *w, struct client *c, const struct server *s);

#endif
