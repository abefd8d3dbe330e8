/*
 * waits - what clients wait for and have waited for, by database and cause; and which of them hold
 * servers that they do not use (state/misuse.h). Owns:   a dbase's counters, made at its first
 * wait. Thread: its worker's. wait_stats = 0: nothing is counted, or told.
 */
#ifndef PGWEIR_WORKER_WAITS_H
#define PGWEIR_WORKER_WAITS_H

#include "base/hist.h"
#include "worker/ask.h"
#include "worker/client.h"

struct pool;

const char *wait_cause_name(enum wait_cause cause);

struct waits {
	struct hist of[WAIT_CAUSE_COUNT];
	uint64_t max_us[WAIT_CAUSE_COUNT];
};

/* The client has joined a line: of `p`, or NULL. What it waited for before this is counted apart.
 */
void waits_begin(struct worker *w, struct client *c, const struct pool *p);
/* Its wait is over. */
void waits_end(struct worker *w, struct client *c);

/* SHOW: a row for each cause that anybody waits or has waited for; false at the end of the dbase's.
 */
bool waits_next(
	struct worker *w, const struct dbase *db, unsigned *cause, struct show_wait_row *row);

/* --- misuse --- */

/* The client's next unit is sent while its server is in its transaction, or it leaves it like that.
 */
void waits_was_idle(struct worker *w, struct client *c);
/* Its transaction block has ended. */
void waits_block_ended(struct worker *w, struct client *c, uint64_t us);
/* It gives up its place under max_pinned. */
void waits_unpinned(struct worker *w, struct client *c);

/* SHOW MISUSE's row number i; false: there is none. */
bool waits_misuse_at(struct worker *w, uint32_t i, struct show_misuse_row *row);
/* The same of what a server's client does right now. False: it does not. */
bool waits_misuse_now(struct worker *w, const struct server *s, enum misuse_kind kind,
	struct show_misuse_row *row);

#endif
