/*
 * entry - what was noted for a message of ours that a server owes an answer: kept when the answer
 * came, undone when it does not come any more.
 */
#ifndef PGWEIR_WORKER_ENTRY_H
#define PGWEIR_WORKER_ENTRY_H

#include "state/owed.h"
#include "worker/client.h"
#include "worker/server.h"

/* The entry was answered as it should be; frees what it holds. */
void entry_done(struct worker *w, struct owed_entry e);

/* It gets no answer (any more): undo what was noted for it, free what it holds. */
void entry_lost(struct worker *w, struct server *s, struct owed_entry e);

#endif
