/*
 * kept - in a take-over, what the listening connection of the new process has heard since the
 * marker (ADR 0037): a listening client that comes has heard a part of it in the old process, and
 * gets the rest from here.
 * Owns:    the messages; one window for each database.
 * Touches: nothing else; no I/O, no clock, one thread.
 * Bounds:  KEPT_MAX bytes of a database. With more its window is given up, and so are those who
 *          come for it: they are told that they may have missed something.
 */
#ifndef PGWEIR_WORKER_KEPT_H
#define PGWEIR_WORKER_KEPT_H

#include "base/list.h"
#include "worker/ask.h"

#define KEPT_MAX (16u << 20) /* bytes; the control thread asks for a new marker long before */

struct kept {
	struct list windows;
};

/* The number of a notification: a marker's round, and how many the channel has had since. */
#define KEPT_ROUND_BITS 32u
static inline uint64_t kept_first(uint64_t round)
{
	return round << KEPT_ROUND_BITS;
}

void kept_init(struct kept *k);
void kept_fini(struct kept *k);

/*
 * The marker of `round` has come: a new window of the database, in place of one that is there.
 * since: given back by kept_since. Errors: E_NOMEM: there is none.
 */
enum status kept_begin(
	struct kept *k, const char *database, uint64_t round, uint64_t since) MUST_USE;
/* Nothing is known any more of what has come, or nobody wants it. */
void kept_end(struct kept *k, const char *database);
/* Moved; freed unless there is a window that it is of. */
void kept_add(struct kept *k, struct tell_notified *t);

/* Is there a window since the marker after which `number` was given? *since: as it was begun. */
bool kept_covers(const struct kept *k, const char *database, uint64_t number, uint64_t *since);
/* In their order. NULL for `after`: the first; NULL returned: there are no more. Borrowed. */
const struct tell_notified *kept_next(
	const struct kept *k, const char *database, const struct tell_notified *after);

#endif
