/*
 * listening - for each database that a client listens in, one connection to its primary that
 * listens for all of them. What it receives goes to the workers whose clients listen to the
 * channel, with the process id that the notifier's client knows as its own (ADR 0014). Owns:    the
 * connections; of each channel, which workers want it. Bounds:  LISTENING_MAX databases;
 * LISTENING_BATCH channels a query, one query at a time, limited by node_timeout; back-off up to
 * LISTENING_REST_MAX_US; a look after LISTENING_BEAT_US of silence, and a connection that nobody
 * needs ends then.
 */
#ifndef PGWEIR_CONTROL_LISTENING_H
#define PGWEIR_CONTROL_LISTENING_H

#include "control/env.h"
#include "control/takeover_wire.h"
#include "worker/ask.h"

#define LISTENING_APPLICATION "pgweir-listen"
#define LISTENING_MAX         1024u
#define LISTENING_BATCH       200u
#define LISTENING_BEAT_US     10000000u
#define LISTENING_REST_MIN_US 50000u
#define LISTENING_REST_MAX_US 2000000u

#define MARKING_CHANNEL  "pgweir_takeover"
#define MARKING_LOOK_US  50000u     /* old process: how often it looks whether a marker is needed */
#define MARKING_AGAIN_US 200000u    /* … and how soon it may be sent again */
#define MARKING_RETRY_US 2000000u   /* … and when another one is sent if it has not come */
#define MARKING_HELD_MAX 65536u     /* channels of a database that are taken over */
#define MARKING_KEPT_MAX (4u << 20) /* bytes kept since a marker: then another one is wanted */

struct listenings;

enum status listenings_new(struct env *env, struct listenings **out) MUST_USE; /* E_NOMEM */
void listenings_free(struct listenings *ls);                                   /* NULL is allowed */

void listenings_take(struct listenings *ls, struct ask_listen *ask);          /* moved */
void listenings_take_barrier(struct listenings *ls, struct ask_barrier *ask); /* moved */

void listenings_conf_changed(struct listenings *ls);
void listenings_primary_changed(struct listenings *ls); /* of some cluster */

/* --- in a take-over (ADR 0037, marking.c) --- */

/* Records to the other process (control/takeover_wire.h); `w` is borrowed for the call. */
struct listenings_link {
	void (*send)(void *arg, const struct wr *w);
	void *arg;
};

/* Old process: who listens may go, as soon as the new one is sure to miss nothing. */
void listenings_hand_on(struct listenings *ls, const struct listenings_link *to);
/* … or stays, since there is no new one any more. */
void listenings_stay(struct listenings *ls);
void listenings_take_unmarked(struct listenings *ls, struct ask_unmarked *ask); /* moved */
/* TAKEOVER_MARKED and TAKEOVER_FULL, behind the letter. */
void listenings_hear_new(struct listenings *ls, enum takeover_record what, struct rd *in);

/* New process: TAKEOVER_CHANNEL and TAKEOVER_MARK, behind the letter; answers go by `to`. */
void listenings_hear_old(struct listenings *ls, const struct listenings_link *to,
	enum takeover_record what, struct rd *in);
/* Nobody comes any more. */
void listenings_settle(struct listenings *ls);

/* One connection, for SHOW LISTENERS. */
struct listening_row {
	const char *database, *state; /* borrowed */
	int32_t node;                 /* -1: none */
	uint64_t channels, received, losses;
};
/* The one at *pos, which goes on to the next; false at the end. */
bool listenings_next(const struct listenings *ls, size_t *pos, struct listening_row *out);

#endif
