/*
 * lag - how far a replica is behind, without comparing clocks: samples of the primary's insert LSN
 * are kept with our own monotonic time, and a replica's replay LSN is looked up among them.
 * Owns:    the history of one cluster. One thread (the monitor).
 * Bounds:  LAG_SAMPLES samples, thinned so that together they span at least `span_us`.
 */
#ifndef PGWEIR_ROUTE_LAG_H
#define PGWEIR_ROUTE_LAG_H

#include "base/status.h"

#define LAG_SAMPLES 256u

struct lag_sample {
	uint64_t lsn;     /* rounded */
	uint64_t sent_us; /* monotonic, when the query was sent */
};

struct lag_history {
	struct lag_sample s[LAG_SAMPLES]; /* ring; oldest at head */
	uint32_t head, n;
	uint64_t spacing_us;
};

/* span_us: time to look back at least, for example four times the largest max_lag. */
void lag_init(struct lag_history *h, uint64_t span_us);

/* A primary's sample, in the order of sending. One older or lower than the newest is ignored. */
void lag_push(struct lag_history *h, uint64_t lsn, uint64_t sent_us);
void lag_clear(struct lag_history *h); /* a new timeline */

struct lag {
	uint64_t bytes; /* newest sample's LSN - replay LSN, or 0 */
	/*
	 * Commits older than this at the time of the newest sample have been replayed: newest
	 * sample's time - time of the latest sample at or below the replay LSN. 0: caught up.
	 */
	uint64_t us;
	bool known; /* false: no sample yet, or replay LSN is below the history: us is a lower bound
		     */
};

struct lag lag_of(const struct lag_history *h, uint64_t replay_lsn);

#endif
