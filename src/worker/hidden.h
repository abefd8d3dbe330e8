/*
 * hidden - the answer to a query of ours that no client knows of: what was to come of it (settings
 * are given, a block is begun, the server is checked or cleaned …) has, or has failed. Nothing of
 * it is passed on.
 */
#ifndef PGWEIR_WORKER_HIDDEN_H
#define PGWEIR_WORKER_HIDDEN_H

#include "base/rd.h"
#include "state/owed.h"
#include "worker/server.h"

/* A DataRow of it, at the head of what is owed; body: empty if not all of it has come yet. */
void hidden_row(struct worker *w, struct server *s, struct rd body);

/*
 * Its ReadyForQuery has been left out, and `e`, its entry, popped. s->hidden_failed tells whether
 * an ERROR came to it, and is taken back. The server may be closed then, or have another client or
 * none.
 */
void hidden_ready(struct worker *w, struct server *s, struct owed_entry e);

#endif
