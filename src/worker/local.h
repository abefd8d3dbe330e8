/*
 * local - units that are answered without a server: BEGIN and what may follow it before the first
 * statement, the end of a transaction that no server holds, an empty series.
 */
#ifndef PGWEIR_WORKER_LOCAL_H
#define PGWEIR_WORKER_LOCAL_H

#include "worker/client.h"

/*
 * Answer the complete, judged unit at `data` if that can be done here. Only for a client without a
 * server. Returns false if it needs one. Nothing is consumed, nothing is flushed.
 */
bool local_answer(struct worker *w, struct client *c, const uint8_t *data);

/*
 * A series that begins with BEGIN and goes on with reads: answer the BEGIN, so that the rest is the
 * first unit of a deferred block. Only for a client without a server. Returns the length of what
 * was answered; 0: nothing was.
 */
uint32_t local_begin_ahead(struct worker *w, struct client *c, const uint8_t *data);

#endif
