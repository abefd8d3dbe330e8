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

#endif
