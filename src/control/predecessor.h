/*
 * predecessor - the process that this one has taken over, until it has ended: its clients and
 * servers come, its server connections count as ours, and it asks before it opens one. Until it has
 * told of all that it has, nothing is opened here, and nobody accepted (shared.opens_nothing).
 * Owns:    the socket to it, the places that it holds.
 * Bounds:  one question of each of its workers and pools at a time; PREDECESSOR_COUNT_US from READY
 *          until it has told: then all goes on with what is known.
 */
#ifndef PGWEIR_CONTROL_PREDECESSOR_H
#define PGWEIR_CONTROL_PREDECESSOR_H

#include "control/env.h"
#include "control/takeover_wire.h"
#include "worker/ask.h"

/* What it has said before the threads start; read by main. */
struct takeover_from {
	int sock; /* to it; -1: there is none */
	struct takeover_hello hello;
	/* This process serves now, as that one is about to be told. In the control thread. */
	void (*serves)(void *arg);
	void *arg;
};

struct listenings;
struct predecessor;

#define PREDECESSOR_COUNT_US 5000000u

/*
 * Say that this process can serve, as soon as its databases can be served, and take in what comes.
 * from: borrowed, but its sock is moved. ls: borrowed; what its clients listen to comes there.
 * Errors: E_NOMEM, E_IO.
 */
enum status predecessor_new(struct env *env, struct takeover_from *from, struct listenings *ls,
	struct predecessor **out) MUST_USE;
/* This process ends in order: the old one is not to serve again. NULL is allowed. */
void predecessor_free(struct predecessor *old);

bool predecessor_is_there(const struct predecessor *old); /* NULL: there was none */

/* A cancel request that nobody here has the key of; moved. */
void predecessor_cancel(struct predecessor *old, struct ask_cancel *ask);

#endif
