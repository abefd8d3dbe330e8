/*
 * collect - asks the workers for their rows, one worker and one piece after the other.
 * Owns:    a run until it has ended; a piece is moved to the run's holder, who frees it (free).
 * Bounds:  one piece (SHOW_ROWS_MAX rows) of a run is under way or held; the holder asks for the
 *          next one when it has room: collect_next.
 */
#ifndef PGWEIR_CONTROL_COLLECT_H
#define PGWEIR_CONTROL_COLLECT_H

#include "base/list.h"
#include "control/env.h"
#include "worker/ask.h"

#define COLLECT_TIMEOUT_US (10u * 1000u * 1000u) /* for one piece: a worker's turn is short */

struct collector;

struct collect_run {
	struct list link; /* in the collector while a piece is under way */
	struct wheel_timer timer;
	struct collector *of;
	enum show_what what;
	uint64_t token;
	uint64_t cursor;
	uint32_t worker; /* the one that is asked */
	/*
	 * A piece of rows has come (moved), or NULL: all workers have answered, or `failed` tells
	 * that one did not in time.
	 */
	void (*on_piece)(struct collect_run *run, struct ask_rows *rows, bool failed);
};

enum status collector_new(struct env *env, struct collector **out) MUST_USE;
void collector_free(struct collector *c); /* no run is under way */

/* Begin; the first piece is asked for at once. on_piece never comes from inside. */
void collect_start(struct collector *c, struct collect_run *run, enum show_what what);
void collect_next(struct collect_run *run);   /* after a piece, outside or inside on_piece */
void collect_cancel(struct collect_run *run); /* at any time, also when not started */

/* A mail ASK_ROWS has come; takes it. */
void collector_take(struct collector *c, struct ask_rows *rows);

#endif
