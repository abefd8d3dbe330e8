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
#include "worker/ask.h"

#define LISTENING_APPLICATION "pgweir-listen"
#define LISTENING_MAX         1024u
#define LISTENING_BATCH       200u
#define LISTENING_BEAT_US     10000000u
#define LISTENING_REST_MIN_US 50000u
#define LISTENING_REST_MAX_US 2000000u

struct listenings;

enum status listenings_new(struct env *env, struct listenings **out) MUST_USE; /* E_NOMEM */
void listenings_free(struct listenings *ls);                                   /* NULL is allowed */

void listenings_take(struct listenings *ls, struct ask_listen *ask);          /* moved */
void listenings_take_barrier(struct listenings *ls, struct ask_barrier *ask); /* moved */

void listenings_conf_changed(struct listenings *ls);
void listenings_primary_changed(struct listenings *ls); /* of some cluster */

/* One connection, for SHOW LISTENERS. */
struct listening_row {
	const char *database, *state; /* borrowed */
	int32_t node;                 /* -1: none */
	uint64_t channels, received, losses;
};
/* The one at *pos, which goes on to the next; false at the end. */
bool listenings_next(const struct listenings *ls, size_t *pos, struct listening_row *out);

#endif
