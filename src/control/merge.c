#include "control/merge.h"

#include <string.h>

_Static_assert(HIST_BUCKETS == 8 * GATHER_BUCKETS, "a power of four is eight buckets of hist");

uint64_t gather_bucket_us(unsigned i)
{
	return hist_bucket_max_us(8 * i + 7);
}

uint32_t pool_sum_servers(const struct pool_sum *p)
{
	return p->sv_active + p->sv_active_cancel + p->sv_being_canceled + p->sv_idle + p->sv_used +
	       p->sv_tested + p->sv_login;
}

uint32_t pool_sum_clients(const struct pool_sum *p)
{
	if (p->node >= 0)
		return 0; /* those that wait there are among the clients already */
	return p->cl_active + p->cl_waiting + p->cl_login;
}

void gather_hist_add(struct gather_hist *to, const struct hist_sum *from)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GATHER_BUCKETS; i++) {
		for (unsigned j = 0; j < 8; j++)
			n += from->n[8 * i + j];
		to->le[i] += n;
	}
	to->count += from->count;
	to->sum_us += from->sum_us;
}

/* Latencies of workers are averaged by what they had under way. */
static uint64_t latency_merge(const struct pool_sum *to, const struct show_pool_row *from)
{
	uint64_t a = to->outstanding + 1, b = from->outstanding + 1;

	if (to->latency_us == 0 || from->latency_us == 0)
		return to->latency_us + from->latency_us;
	return (to->latency_us * a + from->latency_us * b) / (a + b);
}

void pool_sum_add(struct pool_sum *to, const struct show_pool_row *from)
{
	memcpy(to->database, from->database, sizeof to->database);
	memcpy(to->user, from->user, sizeof to->user);
	to->node = from->node;
	to->pool_mode = from->pool_mode;
	to->cl_active += from->cl_active;
	to->cl_waiting += from->cl_waiting;
	to->cl_active_cancel_req += from->cl_active_cancel_req;
	to->cl_waiting_cancel_req += from->cl_waiting_cancel_req;
	to->cl_login += from->cl_login;
	to->cl_idle += from->cl_idle;
	to->sv_active += from->sv_active;
	to->sv_active_cancel += from->sv_active_cancel;
	to->sv_being_canceled += from->sv_being_canceled;
	to->sv_idle += from->sv_idle;
	to->sv_used += from->sv_used;
	to->sv_tested += from->sv_tested;
	to->sv_login += from->sv_login;
	to->pinned += from->pinned;
	if (from->maxwait_us > to->maxwait_us)
		to->maxwait_us = from->maxwait_us;
	to->latency_us = latency_merge(to, from);
	if (from->ejected_us > to->ejected_us)
		to->ejected_us = from->ejected_us;
	for (unsigned i = 0; i < 2; i++) /* each worker tells the sum of all */
		if (from->ejections[i] > to->ejections[i])
			to->ejections[i] = from->ejections[i];
	to->outstanding += from->outstanding;
	to->busy_us += from->busy_us;
	to->given += from->given;
	gather_hist_add(&to->wait, &from->wait);
	gather_hist_add(&to->query, &from->query);
}

void stats_row_add(struct show_stats_row *to, const struct show_stats_row *from)
{
	to->server_assignment_count += from->server_assignment_count;
	to->xact_count += from->xact_count;
	to->query_count += from->query_count;
	to->received += from->received;
	to->sent += from->sent;
	to->xact_time += from->xact_time;
	to->query_time += from->query_time;
	to->wait_time += from->wait_time;
	to->client_parse_count += from->client_parse_count;
	to->server_parse_count += from->server_parse_count;
	to->bind_count += from->bind_count;
	to->client_login_count += from->client_login_count;
	to->timeouts += from->timeouts;
	to->errors_sent += from->errors_sent;
	to->moving_began += from->moving_began;
	to->moving_ended += from->moving_ended;
	for (unsigned i = 0; i < MOVED_CAUSE_COUNT; i++)
		to->moved[i] += from->moved[i];
	for (unsigned i = 0; i < REPLAYED_CAUSES; i++)
		to->replays[i] += from->replays[i];
}

void misuse_row_add(struct show_misuse_row *to, const struct show_misuse_row *from)
{
	struct show_misuse_row sum = from->seen_wall_us >= to->seen_wall_us ? *from : *to;

	sum.n = to->n + from->n;
	sum.now = to->now + from->now;
	sum.us = to->us + from->us;
	sum.longest_us = to->longest_us > from->longest_us ? to->longest_us : from->longest_us;
	*to = sum;
}

void wait_row_add(struct show_wait_row *to, const struct show_wait_row *from)
{
	memcpy(to->database, from->database, sizeof to->database);
	to->cause = from->cause;
	to->now += from->now;
	if (from->oldest_us > to->oldest_us)
		to->oldest_us = from->oldest_us;
	if (from->max_us > to->max_us)
		to->max_us = from->max_us;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		to->hist.n[i] += from->hist.n[i];
	to->hist.sum_us += from->hist.sum_us;
	to->hist.count += from->hist.count;
}
