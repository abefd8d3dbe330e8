/*
 * cancel - CancelRequests: a client's socket that brings one (client in CLIENT_CANCEL) stays open
 * until it was served; the victim's worker takes it out of the line, or sends the server's own key
 * to its node (cancel_conn.h). With [peers], a request for another process's client is passed on
 * to that, by one worker for each peer.
 * Bounds: cancel_conn.h; a request is passed on at most CANCEL_KEY_TTL times (cancel_key.h).
 */
#ifndef PGWEIR_WORKER_CANCEL_H
#define PGWEIR_WORKER_CANCEL_H

#include "proto/cancel_key.h"
#include "worker/ask.h"
#include "worker/client.h"
#include "worker/server.h"

struct cancel_key_scheme cancel_scheme(const struct worker *w);

/*
 * Make the client's key, as long as protocol `version` has it, and put the BackendKeyData that
 * tells it. Source: PostgreSQL manual, "Protocol Versions": 4 bytes in 3.0, PostgreSQL's own have
 * 32 in 3.2.
 */
void cancel_put_key(struct worker *w, struct client *c, uint32_t version, struct wr *out);

/* A client turned out to be a CancelRequest: find the victim's worker. */
void cancel_requested(
	struct worker *w, struct client *c, uint32_t pid, const uint8_t *key, uint32_t key_len);

/* TELL_CANCEL: a request for a client of this worker, or for a peer, or how far one of ours is. */
void cancel_told(struct worker *w, const struct tell_cancel *t);

/* Cancel what the server runs now, for nobody: its client is gone. */
void cancel_server(struct worker *w, struct server *s);

#endif
