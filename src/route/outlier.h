/*
 * outlier - which replicas of a pool's nodes are taken out for a while, because reads on them fail,
 * or take much longer than on the others.
 * Pure: counts of about a second come in, for all nodes at once; times are monotonic, in µs.
 * Rules:
 * - Errors: as many failed reads as `errors`, and no fewer than there were good ones, since the
 * last round in which all were good.
 * - Latency: for OUTLIER_ROUNDS rounds the typical (geometric mean) time of a read was `latency`
 *   times that of the others (their median), and OUTLIER_SLOW_US at least.
 * - At least half of the replicas that are usable stay; so one alone always does.
 * - A node is out for `time`, doubled with each time up to `time_max`; once it has been in for
 *   time_max that is forgotten. One that has restarted in between is taken back at once.
 */
#ifndef PGWEIR_ROUTE_OUTLIER_H
#define PGWEIR_ROUTE_OUTLIER_H

#include <stdbool.h>
#include <stdint.h>

#define OUTLIER_NODES_MAX 16u
#define OUTLIER_ROUNDS    3u
#define OUTLIER_UNITS_MIN 20u    /* reads of late, or a node's typical time is not known */
#define OUTLIER_SLOW_US   10000u /* what is quicker is no outlier, whatever the others are */

struct outlier_conf {
	uint32_t errors;  /* 0: not for errors */
	uint32_t latency; /* 0: not for latency; else 2 or more */
	uint64_t time_us, time_max_us;
};

/* What is kept of one node; zeroed at the beginning. */
struct outlier {
	uint32_t fails, oks;       /* since the last round without failures */
	uint64_t n_units, log_sum; /* of late: half of what was, and the last round */
	uint32_t slow_rounds, level;
	uint64_t since_us, until_us; /* when it was ejected, and until when; 0: it is in */
	uint64_t back_us;            /* when it was taken back; 0: never */
};

/* One node's round. */
struct outlier_counts {
	uint32_t units, failures;
	uint32_t log_sum;      /* of outlier_log of each unit's time */
	bool usable;           /* a replica that is up and follows; others are not judged */
	uint64_t came_back_us; /* topo_node.back_us */
};

enum outlier_event { OUTLIER_NONE, OUTLIER_ERRORS, OUTLIER_LATENCY, OUTLIER_BACK };

/* The logarithm to base 2 in sixteenths, of a time in us; 0 counts as 1. */
static inline uint32_t outlier_log(uint64_t us)
{
	unsigned top = 63u - (unsigned)__builtin_clzll(us | 1);

	return top * 16u + (uint32_t)((top >= 4 ? us >> (top - 4) : us << (4 - top)) & 15u);
}

/* A round is over. events[i]: what becomes of node i. n: 1..OUTLIER_NODES_MAX. */
void outlier_judge(const struct outlier_conf *conf, uint32_t n, struct outlier *const *nodes,
	const struct outlier_counts *counts, uint64_t now_us, enum outlier_event *events);

#endif
