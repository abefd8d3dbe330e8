/*
 * balance - replicas that are outliers are ejected: counts of each pool's reads over all workers,
 * judged by route/outlier about once a second, by whichever worker comes first.
 * Shared: share_pool's counters, each worker's in its own slot, and the judgement, published as
 *         atomics. Nothing is counted where there are no two replicas, or nobody is to be ejected.
 */
#ifndef PGWEIR_WORKER_BALANCE_H
#define PGWEIR_WORKER_BALANCE_H

#include "worker/dbase.h"

/* After the account was bound: are its pools' reads counted? */
void balance_bind(struct worker *w, struct account *acc);

/* About once a second. */
void balance_judge(struct worker *w, struct account *acc);

/* A unit has ended on a counted pool, after so long. */
void balance_count(struct worker *w, struct pool *p, uint64_t us);

/* A read runs elsewhere; why: its SQLSTATE, or REPLAY_LOST. What blames the read is no failure.
 */
void balance_count_failure(struct worker *w, struct pool *p, const char *why);

#endif
