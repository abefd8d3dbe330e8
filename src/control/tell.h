/*
 * tell - a command to all workers, their answers summed.
 * Owns:    nothing; a run is its holder's, embedded in what it works for.
 * Bounds:  one command of a run is under way at a time, for at most TELL_TIMEOUT_US.
 */
#ifndef PGWEIR_CONTROL_TELL_H
#define PGWEIR_CONTROL_TELL_H

#include "base/list.h"
#include "control/env.h"
#include "worker/ask.h"

#define TELL_TIMEOUT_US (10u * 1000u * 1000u)

struct tellers {
	struct env *env;
	struct list runs;     /* under way */
	struct list explains; /* … explaining.h's */
	uint64_t token;       /* the last that was given */
};

struct tell_sum {
	uint64_t n_hit, servers_in_use, servers_outdated, clients, unsent;
	bool complete; /* every worker has answered */
};

struct tell_run {
	struct list link;
	struct wheel_timer timer;
	struct tellers *of;
	uint64_t token;
	uint32_t n_left;
	struct tell_sum sum;
	void (*done)(struct tell_run *run, const struct tell_sum *sum);
};

void tellers_init(struct tellers *t, struct env *env);
void tell_init(struct tell_run *run, struct tellers *t,
	void (*done)(struct tell_run *run, const struct tell_sum *sum));

/* `done` comes later, never from inside. database "": all. Not while one is under way. */
void tell_start(struct tell_run *run, enum command_what what, const char *database, uint64_t id);
void tell_cancel(struct tell_run *run); /* `done` does not come any more */

void tellers_take(struct tellers *t, struct ask_done *done); /* a mail ASK_DONE; moved */

/* A message without contents (TELL_REFRESH, TELL_STOP) to every worker. Errors: E_NOMEM. */
enum status tell_all(struct env *env, enum tell_kind kind) MUST_USE;

#endif
