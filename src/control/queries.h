/*
 * queries - what the workers know of statements, summed, as tables and as metrics.
 * Owns: nothing.
 */
#ifndef PGWEIR_CONTROL_QUERIES_H
#define PGWEIR_CONTROL_QUERIES_H

#include "control/show.h"

/* Add a worker's row; the first one gives names and text. */
void query_row_add(struct show_query_row *to, const struct show_query_row *from);

/* The q-quantile of the row's times, as the upper bound of its bucket, in µs. */
uint64_t query_row_quantile_us(const struct show_query_row *r, double q);

enum query_metric {
	QUERY_METRIC_CALLS,
	QUERY_METRIC_ERRORS,
	QUERY_METRIC_ROWS,
	QUERY_METRIC_QUEUE_US,
	QUERY_METRIC_SERVER_US,
	QUERY_METRIC_NPLUSONE,
	QUERY_METRIC_HIST, /* of the server's time */
};

/* The samples of the statement at `pos`; those behind the first query_stats_top have none. */
size_t query_metric(
	const struct show_in *in, const char *name, enum query_metric m, size_t pos, struct wr *w);

extern const struct show_table show_queries, show_nplusone;

#endif
