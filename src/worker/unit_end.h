/*
 * unit_end - ReadyForQuery of a unit of a client: what the unit was counts, its transaction and the
 * settings in it take effect or not, its mark is left, and the server is free where nothing keeps
 * the client on it.
 */
#ifndef PGWEIR_WORKER_UNIT_END_H
#define PGWEIR_WORKER_UNIT_END_H

#include "state/owed.h"
#include "worker/client.h"
#include "worker/server.h"

/* Everything before ReadyForQuery has been passed on; `status` is what it said. */
void unit_end(struct worker *w, struct server *s, struct owed_entry e, char status);

/*
 * Leave the client's mark of what has run on `s`, its server: the unit has ended, or was lost with
 * the primary, which may have committed it.
 */
void unit_end_mark(struct worker *w, struct client *c, const struct server *s);

/* What the client has done to definitions has ended: nothing is known of what parses now. */
void unit_end_schema(struct worker *w, struct client *c);

#endif
