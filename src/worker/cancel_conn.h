/*
 * cancel_conn - a connection of ours that carries one CancelRequest: to the node of a server, with
 * the server's own key, or to a peer, with the key that came. Over when the other side closes it:
 * PostgreSQL has sent its signal then. Until that the server gets no other client.
 * Owns:   its connections, and those that wait for a place among a peer's pool_size.
 * Bounds: one under way per server; CANCELS_MAX per worker, half of them for peers;
 *         cancel_wait_timeout until it is sent, server_cancel_timeout from then on. After that
 *         nobody knows what may still come: the server is closed when it is free.
 * Source: PostgreSQL manual, "Canceling Requests in Progress": nothing is answered, ever.
 */
#ifndef PGWEIR_WORKER_CANCEL_CONN_H
#define PGWEIR_WORKER_CANCEL_CONN_H

#include "worker/ask.h"
#include "worker/server.h"

#define CANCELS_MAX 1024u

struct account;

/*
 * Cancel what the server runs now. from: who is told when it is sent and when it is over; NULL:
 * nobody. Errors: E_EXISTS one is under way; E_LIMIT; E_NOTFOUND no key or address; E_NOMEM, E_IO.
 */
enum status cancel_conn_to_server(
	struct worker *w, struct server *s, const struct cancel_from *from) MUST_USE;

/* Pass the request on to the peer that it names. Errors: E_LIMIT; E_NOTFOUND no such peer; E_NOMEM.
 */
enum status cancel_conn_to_peer(struct worker *w, const struct tell_cancel *t) MUST_USE;

/* Tell who has brought a request how far it is. */
void cancel_conn_tell(struct worker *w, const struct cancel_from *from, enum cancel_step step);

void cancel_conn_server_gone(struct worker *w, struct server *s);
void cancel_conn_close_all(struct worker *w);

/* Clients' requests that concern the account: not yet sent, and sent. */
void cancel_conn_count(
	const struct worker *w, const struct account *acc, uint32_t *n_waiting, uint32_t *n_active);
/* The same of those for a peer, and how many of its connections are not ready yet. */
void cancel_conn_show_peer(const struct worker *w, struct show_peer_row *row);

#endif
