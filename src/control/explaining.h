/*
 * explaining - EXPLAIN ROUTE of the console: a worker is asked, for it knows what a client's unit
 * would be given.
 * Owns:    nothing; a run is its holder's, embedded in what it works for.
 * Bounds:  one question of a run is under way at a time, for at most TELL_TIMEOUT_US.
 */
#ifndef PGWEIR_CONTROL_EXPLAINING_H
#define PGWEIR_CONTROL_EXPLAINING_H

#include "control/tell.h"

struct explain_run {
	struct list link;
	struct wheel_timer timer;
	struct tellers *of;
	uint64_t token;
	/* `answer` is borrowed for the call; NULL: the worker does not answer. */
	void (*done)(struct explain_run *run, const struct ask_explained *answer);
};

void explaining_init(struct explain_run *run, struct tellers *t,
	void (*done)(struct explain_run *run, const struct ask_explained *answer));

/*
 * Ask where `sql` would go that a client of the [databases] entry sent which has just logged in as
 * `user`, unless the entry has a user of its own. `done` comes later, never from inside.
 */
void explaining_start(
	struct explain_run *run, const char *database, const char *user, const char *sql);
void explaining_cancel(struct explain_run *run); /* `done` does not come any more */

void explaining_take(struct tellers *t, struct ask_explained *answer); /* a mail; moved */

#endif
