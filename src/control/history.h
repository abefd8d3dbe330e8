/*
 * history - HISTORY_SAMPLES samples, one each history_period (10 s: an hour in all): of the whole
 * process for the page and /history.json, and of each pool for SHOW HEADROOM. Owns:    its samples
 * and what they are made of. Bounds:  HISTORY_SAMPLES; HISTORY_POOLS pools, further ones are not
 * followed. Touches: the gathering of pools, routes, errors and workers, once for each sample. When
 * history_period changes, the samples begin anew; with history = 0 there are none, and nothing is
 * gathered for them.
 */
#ifndef PGWEIR_CONTROL_HISTORY_H
#define PGWEIR_CONTROL_HISTORY_H

#include "control/env.h"
#include "control/gather.h"
#include "control/headroom.h"

#define HISTORY_SAMPLES 360u
#define HISTORY_POOLS   256u
#define HISTORY_SOME    6u /* samples before anything is said of a pool */

enum history_column {
	HISTORY_TRANSACTIONS, /* a second; so the next ones */
	HISTORY_QUERIES,
	HISTORY_ON_PRIMARY,
	HISTORY_ON_REPLICAS,
	HISTORY_ERRORS,
	HISTORY_QUERY_P50, /* ms */
	HISTORY_QUERY_P95,
	HISTORY_QUERY_P99,
	HISTORY_WAIT_P50,
	HISTORY_WAIT_P95,
	HISTORY_WAIT_P99,
	HISTORY_CLIENTS,
	HISTORY_WAITING,
	HISTORY_SERVERS,
	HISTORY_BUSY, /* servers held by clients, on average */
	HISTORY_PINNED,
	HISTORY_LAG, /* ms, of the replica that is furthest behind */
	HISTORY_CPU, /* cores of the workers */
	HISTORY_COLUMNS
};

const char *history_column_name(enum history_column c);

enum history_hist { HISTORY_HIST_QUERY, HISTORY_HIST_WAIT, HISTORY_HISTS };

/* What a limit is about. */
enum headroom_of { HEADROOM_POOL, HEADROOM_WORKERS, HEADROOM_CLIENTS };

struct headroom_row {
	enum headroom_of of;
	const char *database, *user; /* of a pool; valid until the next sample */
	int32_t node;
	uint32_t limit;
	double used, peak, rate, service_us; /* in use on average now; most; assignments a second */
	uint64_t wait_p50_us, wait_p95_us, wait_p99_us; /* of the last half hour to hour */
	uint32_t size_for_goal;
	bool enough;                       /* samples to tell the rest from */
	double growth_per_hour, full_in_s; /* negative: not at the present growth */
};

struct history;

enum status history_new(struct env *env, struct gather *g, struct history **out) MUST_USE;
void history_free(struct history *h); /* NULL is allowed */

double history_every_s(const struct history *h); /* that samples are apart */
uint32_t history_n(const struct history *h);     /* 0 while it is switched off */
/* Sample i, 0 is the oldest. */
const float *history_at(const struct history *h, uint32_t i);
uint64_t history_wall_us(const struct history *h); /* when the newest was taken */

/*
 * How many queries, or waits, of the time that the samples cover are in bucket i, below
 * GATHER_BUCKETS: at most gather_bucket_us(i) long, and longer than those of i - 1.
 */
uint64_t history_bucket(const struct history *h, enum history_hist hist, unsigned i);

/* What is nearest to its limit comes first. */
uint32_t history_n_headroom(const struct history *h);
const struct headroom_row *history_headroom(const struct history *h, uint32_t i);

/* The q-quantile of what was added to a histogram, in µs; within a bucket all are taken to be
 * spread evenly by their logarithm. */
uint64_t history_quantile_us(
	const struct gather_hist *then, const struct gather_hist *now, double q);

#endif
