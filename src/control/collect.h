/*
 * collect - asks the workers for their rows, one worker and one piece after the other.
 * Owns:    nothing; a run is its holder's, embedded in what it works for.
 * Bounds:  one piece (SHOW_ROWS_MAX rows) of a run is under way at a time; the holder asks for the
 *          next one when it has room.
 */
#ifndef PGWEIR_CONTROL_COLLECT_H
#define PGWEIR_CONTROL_COLLECT_H

#include "base/list.h"
#include "control/env.h"
#include "worker/ask.h"

#define COLLECT_TIMEOUT_US (10u * 1000u * 1000u) /* for one piece; a worker's turn is short */

struct collector {
	struct env *env;
	struct list runs; /* a piece is under way */
	uint64_t token;   /* the last that was given */
};

struct collect_run {
	struct list link;
	struct wheel_timer timer;
	struct collector *of;
	enum show_what what;
	uint64_t token;
	uint64_t cursor;
	uint32_t worker; /* the one to ask next */
	/* The piece asked for (moved; free it), or NULL: the worker has not answered in time. */
	void (*on_piece)(struct collect_run *run, struct ask_rows *rows);
};

void collector_init(struct collector *c, struct env *env);

void collect_init(struct collect_run *run, struct collector *c,
	void (*on_piece)(struct collect_run *run, struct ask_rows *rows));

/* From the first worker on; a piece under way is forgotten. */
void collect_start(struct collect_run *run, enum show_what what);

/*
 * Ask for the next piece; on_piece comes later, never from inside. Not while one is under way.
 * Returns false if there is none: all workers have answered.
 */
bool collect_next(struct collect_run *run);

void collect_cancel(struct collect_run *run); /* on_piece does not come any more */

/* A mail of kind ASK_ROWS has come; moved. */
void collector_take(struct collector *c, struct ask_rows *rows);

#endif
