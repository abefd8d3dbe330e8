/*
 * unit - from a client's bytes to units: gathers one simple Query or an extended series up to its
 * Sync, has it judged, answers what needs no server (a deferred BEGIN, a failed transaction), and
 * hands the rest to dispatch and forward. Units that follow in the same read and may go to the same
 * server go at once.
 * Bounds: a unit is held up to max_unit_size bytes; a larger one is streamed to the primary.
 */
#ifndef PGWEIR_WORKER_UNIT_H
#define PGWEIR_WORKER_UNIT_H

#include "worker/client.h"

/* conn_ops.on_data of a logged-in client: CLIENT_IDLE, _ACTIVE. */
size_t unit_on_data(struct worker *w, struct client *c, const uint8_t *data, size_t len);

/* A server was linked to a client that waited: go on with what it keeps. */
void unit_go_on(struct worker *w, struct client *c);

/* What is here of the unit at the front, *len bytes, NULL if none is; borrowed until bytes are
 * consumed or read. */
const uint8_t *unit_front(const struct worker *w, const struct client *c, size_t *len);

/*
 * The units that were sent run again, or once more elsewhere: what was gathered behind them is
 * looked at anew, else the first of them would be taken for it.
 */
COLD void unit_look_anew(struct worker *w, struct client *c);

/*
 * The unit that waits gets this error instead of a server; the client stays, skips to its Sync, and
 * is in a failed transaction if it was in one.
 */
COLD void unit_refuse(struct worker *w, struct client *c, const struct report *r);

#endif
