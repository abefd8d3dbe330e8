/*
 * stats - averages over stats_period: keeps the totals of each database at the ends of the last two
 * periods, and writes the totals to the log.
 * Owns:   the two sets of totals.
 * An average covers the time since the beginning of the last complete period, as PgBouncer's.
 */
#ifndef PGWEIR_CONTROL_STATS_H
#define PGWEIR_CONTROL_STATS_H

#include "control/env.h"
#include "control/gather.h"

struct stats;

struct stats_averages { /* counts and bytes per second, times in µs per piece */
	uint64_t server_assignment_count, xact_count, query_count, received, sent;
	uint64_t xact_time, query_time, wait_time;
	uint64_t client_parse_count, server_parse_count, bind_count, client_login_count;
};

/* own: the totals of the console's own database. Errors: E_NOMEM. */
enum status stats_new(struct env *env, struct gather *g,
	void (*own)(void *arg, struct show_stats_row *row), void *arg, struct stats **out) MUST_USE;
void stats_free(struct stats *s);         /* NULL is allowed */
void stats_conf_changed(struct stats *s); /* another stats_period */

/* The averages of a database whose totals are `now`; of all databases if its name is "". */
void stats_average(
	const struct stats *s, const struct show_stats_row *now, struct stats_averages *out);

/* Pure: from `then` to `now`, `us` apart. Counters that fell count as 0. */
void stats_average_of(const struct show_stats_row *then, const struct show_stats_row *now,
	uint64_t us, struct stats_averages *out);

#endif
