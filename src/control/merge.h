/*
 * merge - sums of the workers' rows. Pure.
 */
#ifndef PGWEIR_CONTROL_MERGE_H
#define PGWEIR_CONTROL_MERGE_H

#include "worker/ask.h"

#define GATHER_BUCKETS 16u /* of a histogram: up to 4 µs, 16 µs … 4^16 µs (71 min) */

struct gather_hist {
	uint64_t le[GATHER_BUCKETS]; /* cumulative: at most gather_bucket_us(i) */
	uint64_t count;
	uint64_t sum_us;
};

/* Over all workers. node -1: the clients of (database, user); else the servers there. */
struct pool_sum {
	char database[NAME_LEN];
	char user[NAME_LEN];
	int32_t node;
	uint8_t pool_mode;
	uint32_t cl_active, cl_waiting, cl_active_cancel_req, cl_waiting_cancel_req;
	uint32_t cl_login, cl_idle;
	uint32_t sv_active, sv_active_cancel, sv_being_canceled, sv_idle, sv_used, sv_tested;
	uint32_t sv_login;
	uint32_t pinned;
	uint64_t busy_us, given;
	uint64_t maxwait_us, outstanding, latency_us, ejected_us, ejections[2];
	struct gather_hist wait, query;
};

uint64_t gather_bucket_us(unsigned i);

/* Add a worker's histogram, whose buckets are finer. */
void gather_hist_add(struct gather_hist *to, const struct hist_sum *from);

/* Add a worker's row; the first one gives the names. */
void pool_sum_add(struct pool_sum *to, const struct show_pool_row *from);

uint32_t pool_sum_servers(const struct pool_sum *p);
uint32_t pool_sum_clients(const struct pool_sum *p);

/* The one seen last gives client and address. */
void misuse_row_add(struct show_misuse_row *to, const struct show_misuse_row *from);

/* The first one gives the names. */
void wait_row_add(struct show_wait_row *to, const struct show_wait_row *from);

/* Add all counters of `from`; the name stays. */
void stats_row_add(struct show_stats_row *to, const struct show_stats_row *from);

#endif
