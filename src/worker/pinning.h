/*
 * pinning - places among the pinned clients of a pool (max_pinned), and how long a client stays on
 * the server where it advanced a sequence (sequence_state).
 * Touches: pool/budget (the pool's pinned, a shared atomic).
 */
#ifndef PGWEIR_WORKER_PINNING_H
#define PGWEIR_WORKER_PINNING_H

#include "worker/client.h"
#include "worker/dbase.h"

/* sequence_state = affinity: longest that a client keeps its server for its next unit. */
#define PINNING_SEQUENCE_KEEP_US 1000000u

/* A place for a unit that pins; false: it waits for one, or the client is closed. */
bool pinning_take(struct worker *w, struct client *c, struct pool *p);

/* The client stays pinned and has no place under max_pinned: it was found out too late to wait. */
COLD void pinning_found(struct worker *w, struct client *c);

void pinning_release(struct worker *w, struct client *c);

/* A unit of the client has ended: does it stay on its server for what is asked of a sequence? */
void pinning_keep_sequence(struct worker *w, struct client *c);

#endif
