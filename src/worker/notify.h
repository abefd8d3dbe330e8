/*
 * notify - LISTEN and NOTIFY for clients that share servers. One connection of the control thread
 * listens for all clients of a database (control/listening); here is which client of this worker
 * listens to what, what it has not read yet, and whose its own notifications are (ADR 0014).
 * Owns:    the worker's channels; of each client its subscriptions, the changes that its open
 *          transaction makes to them, and the notifications that wait for its transaction's end.
 * Bounds:  notify_queue bytes wait for a client, then it is ended; NOTIFY_PER_TURN deliveries in a
 *          turn; NOTIFY_CHANNELS_MAX channels of one client, NOTIFY_OPS_MAX changes of one
 *          transaction, beyond which LISTEN pins.
 */
#ifndef PGWEIR_WORKER_NOTIFY_H
#define PGWEIR_WORKER_NOTIFY_H

#include "worker/ask.h"
#include "worker/client.h"
#include "worker/server.h"

#define NOTIFY_PER_TURN     512u
#define NOTIFY_CHANNELS_MAX 4096u
#define NOTIFY_OPS_MAX      8192u

struct notify;

enum status notify_new(struct worker *w, struct notify **out) MUST_USE;
void notify_free(struct worker *w, struct notify *n);
/* TELL_LISTENING, TELL_NOTIFIED, TELL_BARRIER; moved. They are taken in their order. */
void notify_take(struct worker *w, struct mail *m);

/* --- a unit with LISTEN --- */

/* May LISTEN of this client go by the shared connection? Else it pins. */
bool notify_is_shared(struct worker *w, const struct client *c);
/*
 * The judged unit names channels that nobody has listened to yet: it waits, unsent, until the
 * shared connection does; unit_go_on comes then. After node_timeout it pins instead.
 */
bool notify_unit_waits(struct worker *w, struct client *c, const uint8_t *data);
/* The same for a Bind of a stream, whose client holds its server meanwhile. */
bool notify_bind_waits(struct worker *w, struct client *c, struct rd body);

/* LISTEN is about to be sent to the linked server. False: it is to pin the client. */
bool notify_follows(struct worker *w, struct client *c, const char *channel);

/*
 * A unit about to be sent may ask the server for the channels of its session: let it listen to the
 * client's for as long as it serves it. Errors: E_NOMEM, E_LIMIT.
 */
bool notify_shows_channels(const struct client *c, const uint8_t *data);
enum status notify_put_channels(struct worker *w, struct client *c) MUST_USE;

/* --- what a transaction does --- */
enum notify_op { NOTIFY_LISTEN, NOTIFY_UNLISTEN, NOTIFY_UNLISTEN_ALL };
void notify_note(struct worker *w, struct client *c, enum notify_op op, const char *channel);
uint32_t notify_n_ops(const struct client *c); /* for a savepoint, and to go back to it */
void notify_rollback_to(struct client *c, uint32_t n_ops);
void notify_commit(struct worker *w, struct client *c);
void notify_rollback(struct worker *w, struct client *c);
/* ReadyForQuery with `I`: what was wanted and has not come about is given up. */
void notify_txn_ended(struct worker *w, struct client *c);
void notify_client_gone(struct worker *w, struct client *c);

/* --- notifications --- */

/* A server of its own delivers it, too: the shared connection's is the one that counts. */
bool notify_owns(const struct client *c, const char *channel);
/* Put what waits for the client, which is between transactions. Nothing is flushed. */
void notify_put_waiting(struct worker *w, struct client *c);

/* The number in the client's BackendKeyData. */
static inline uint32_t notify_pid(const struct client *c)
{
	return c->number;
}

void notify_writer_changed(struct worker *w, struct server *s, uint32_t pid);

/* The linked client may be the next to commit something there. */
static inline void notify_note_writer(struct worker *w, struct client *c)
{
	if (c->server->notifier != notify_pid(c))
		notify_writer_changed(w, c->server, notify_pid(c));
}

void notify_server_gone(struct worker *w, struct server *s);
/*
 * ReadyForQuery of the client's transaction stands at the head. True: it must wait until the
 * notifications of that transaction have come; the server's conn is resumed then.
 */
bool notify_ready_waits(struct worker *w, struct client *c);

/* --- in a take-over (ADR 0037) --- */

/* Old process: will nothing be missed if the client, between transactions, goes now? */
bool notify_can_go(const struct client *c);
/* What it listens to, and how far it has heard. What waits for it is the caller's to put first. */
void notify_put_image(const struct client *c, struct wr *out);
/* The same into a client that listens to nothing. Errors: E_PROTO, E_NOMEM, E_LIMIT. */
enum status notify_read_image(struct worker *w, struct client *c, struct rd *in) MUST_USE;
/*
 * The client is settled: it gets what has come since it left the old process, or is told that this
 * is not known. It may be closed then, as any that reads too slowly.
 */
void notify_arrived(struct worker *w, struct client *c);

#endif
