/*
 * show - a worker's answers to TELL_SHOW: rows about its own objects, in pieces of SHOW_ROWS_MAX.
 * The cursor counts objects; what changes between two pieces may be missed or told twice.
 */
#ifndef PGWEIR_WORKER_SHOW_H
#define PGWEIR_WORKER_SHOW_H

#include "worker/ask.h"
#include "worker/dbase.h"
#include "worker/worker.h"

/* The clients of one account here, from counters alone: O(nodes). */
void show_account(struct worker *w, const struct account *acc, struct show_pool_row *row);

void show_answer(struct worker *w, const struct tell_show *t);

#endif
