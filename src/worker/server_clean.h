/*
 * server_clean - a server that its client has left is made fit for the next one: by the cheapest
 * means for each kind of state (state/clean), and by server_reset_query where the operator wants
 * it. Owns:   `dirt`, `cleaning` and `is_reset_done` of struct server. Bounds:
 * server_cancel_timeout for all of it; a cleaning that fails closes the server.
 */
#ifndef PGWEIR_WORKER_SERVER_CLEAN_H
#define PGWEIR_WORKER_SERVER_CLEAN_H

#include "worker/server.h"

/*
 * Send what the server needs next; server_clean_done is called when it is answered. The server is
 * quiet and outside a transaction. True: something is under way, or the server was closed. False:
 * it is clean.
 */
bool server_clean_next(struct worker *w, struct server *s);

/* A statement of the operator's query has ended with this command tag: what it did to the server.
 */
void server_clean_told(struct server *s, const char *tag);

/* The hidden query of a SERVER_RESET, or the cancel of a SERVER_CANCELED, is done. */
void server_clean_done(struct worker *w, struct server *s);

#endif
