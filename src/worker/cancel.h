/*
 * cancel - CancelRequests: a client's socket that brings one (client in CLIENT_CANCEL) stays open
 * until it was served; the victim's worker takes it out of the line, or opens a connection to the
 * server's node and sends the server's own key there. A server is not reused before that
 * connection has reached its end.
 * Owns:   its connections.
 * Bounds: one cancel under way per server; more for the same unit are dropped. At most CANCELS_MAX
 *         per worker. server_cancel_timeout.
 * Source: PostgreSQL manual, "Canceling Requests in Progress": nothing is answered, ever.
 */
#ifndef PGWEIR_WORKER_CANCEL_H
#define PGWEIR_WORKER_CANCEL_H

#include "worker/ask.h"
#include "worker/client.h"
#include "worker/server.h"

#define CANCELS_MAX 1024u

struct cancel;

/*
 * Make the client's key, as long as protocol `version` has it, and put the BackendKeyData that
 * tells it. Source: PostgreSQL manual, "Protocol Versions": 4 bytes in 3.0, PostgreSQL's own have
 * 32 in 3.2.
 */
void cancel_put_key(struct worker *w, struct client *c, uint32_t version, struct wr *out);

/* A client turned out to be a CancelRequest: find the victim's worker. */
void cancel_requested(
	struct worker *w, struct client *c, uint32_t pid, const uint8_t *key, uint32_t key_len);

/* TELL_CANCEL: a request for a client of this worker, or the word that one of ours was served. */
void cancel_told(struct worker *w, const struct tell_cancel *t);

/* Cancel what the server runs now, for nobody: its client is gone. */
void cancel_server(struct worker *w, struct server *s);

void cancel_server_gone(struct worker *w, struct server *s);
void cancel_client_gone(struct worker *w, struct client *c);
bool cancel_is_sent(const struct cancel *x);
void cancel_close_all(struct worker *w);

#endif
