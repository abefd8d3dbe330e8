/*
 * probe - which of a client's pins still hold: asked of the server after a statement that may have
 * undone one (the last of several locks, a temporary table dropped), when no transaction is open.
 * Bounds: one hidden query per such statement.
 */
#ifndef PGWEIR_WORKER_PROBE_H
#define PGWEIR_WORKER_PROBE_H

#include "worker/client.h"
#include "worker/server.h"

/* The same of a client that is pinned, whose server has a state of its own. */
bool probe_may_undo(
	const struct client *c, const struct sql_verdict *v, const char *sql, size_t len);

/* May the statement have undone a pin that the client has? `sql` need not be one that does. */
static inline bool probe_is_due(
	const struct client *c, const struct sql_verdict *v, const char *sql, size_t len)
{
	return pins_hold_state(&c->busy->pins) && probe_may_undo(c, v, sql, len);
}

/* Ask, if it is due and the server is quiet. False: nothing was sent. */
bool probe_send(struct worker *w, struct client *c);

/* The DataRow of the answer; `body` is its body. It tells nothing of what was sent meanwhile. */
void probe_row(struct worker *w, struct client *c, struct rd body);

#endif
