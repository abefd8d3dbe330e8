/*
 * hist - histogram of durations with logarithmic buckets: 4 per power of two, so that a quantile
 * is within 19 % of the truth. One thread adds; any thread may read (relaxed atomics).
 * Range: 1 µs to 2^32 µs (71 minutes); below and above go to the end buckets.
 */
#ifndef PGWEIR_BASE_HIST_H
#define PGWEIR_BASE_HIST_H

#include <stdatomic.h>

#include "base/status.h"

#define HIST_BUCKETS 128u

struct hist {
	_Atomic uint64_t n[HIST_BUCKETS];
	_Atomic uint64_t sum_us;
};

/* Plain copy that several histograms are summed into. */
struct hist_sum {
	uint64_t n[HIST_BUCKETS];
	uint64_t sum_us;
	uint64_t count;
};

/* The bucket for a duration, 0..HIST_BUCKETS-1. */
unsigned hist_bucket(uint64_t us);

void hist_add(struct hist *h, uint64_t us);
void hist_sum_add(struct hist_sum *into, const struct hist *h);

/* Upper bound in µs of bucket i, 0..HIST_BUCKETS-1. */
uint64_t hist_bucket_max_us(unsigned i);

/* The q-quantile (0 < q < 1) in µs, as the upper bound of its bucket; 0 if empty. */
uint64_t hist_quantile_us(const struct hist_sum *s, double q);

#endif
