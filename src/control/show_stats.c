#include "control/show.h"

#include <stdio.h>
#include <string.h>

#include "control/console.h"
#include "control/stats.h"
#include "proto/sqlstate.h"
#include "route/choose.h"

#define N REPLY_TYPE_NUMERIC

/*
 * What the tables of statistics have in common, in PgBouncer's order. The names differ from table
 * to table for no reason but history.
 */
#define COUNTS 12u

static void totals_of(const struct show_stats_row *r, uint64_t v[COUNTS])
{
	const uint64_t all[COUNTS] = {r->server_assignment_count, r->xact_count, r->query_count,
		r->received, r->sent, r->xact_time, r->query_time, r->wait_time,
		r->client_parse_count, r->server_parse_count, r->bind_count, r->client_login_count};

	memcpy(v, all, sizeof all);
}

static void averages_of(const struct stats_averages *a, uint64_t v[COUNTS])
{
	const uint64_t all[COUNTS] = {a->server_assignment_count, a->xact_count, a->query_count,
		a->received, a->sent, a->xact_time, a->query_time, a->wait_time,
		a->client_parse_count, a->server_parse_count, a->bind_count, a->client_login_count};

	memcpy(v, all, sizeof all);
}

/* The row at `pos`: the databases', then the console's own. NULL: no more. */
static const struct show_stats_row *row_at(
	const struct show_in *in, size_t pos, struct show_stats_row *own)
{
	if (pos < in->gathered->n_stats)
		return in->gathered->stats[pos];
	if (pos > in->gathered->n_stats)
		return NULL;
	consoles_stats(in->consoles, own);
	return own;
}

static void put_counts(struct rows *out, const uint64_t v[COUNTS])
{
	for (unsigned i = 0; i < COUNTS; i++)
		rows_u64(out, v[i]);
}

static const struct reply_column stats_columns[] = {
	{"database", REPLY_TYPE_TEXT},
	{"total_server_assignment_count", N},
	{"total_xact_count", N},
	{"total_query_count", N},
	{"total_received", N},
	{"total_sent", N},
	{"total_xact_time", N},
	{"total_query_time", N},
	{"total_wait_time", N},
	{"total_client_parse_count", N},
	{"total_server_parse_count", N},
	{"total_bind_count", N},
	{"total_client_login_count", N},
	{"avg_server_assignment_count", N},
	{"avg_xact_count", N},
	{"avg_query_count", N},
	{"avg_recv", N},
	{"avg_sent", N},
	{"avg_xact_time", N},
	{"avg_query_time", N},
	{"avg_wait_time", N},
	{"avg_client_parse_count", N},
	{"avg_server_parse_count", N},
	{"avg_bind_count", N},
	{"avg_client_login_count", N},
	/* the names before 1.8; with legacy_columns alone */
	{"total_requests", N},
	{"avg_req", N},
	{"avg_query", N},
};

#define LEGACY_STATS 3u

static size_t stats_row(const struct show_in *in, size_t pos, struct rows *out)
{
	struct show_stats_row own;
	const struct show_stats_row *r = row_at(in, pos, &own);
	struct stats_averages avg;
	uint64_t v[COUNTS];

	if (r == NULL)
		return SIZE_MAX;
	rows_begin(out);
	rows_text(out, r->database);
	totals_of(r, v);
	put_counts(out, v);
	stats_average(in->stats, r, &avg);
	averages_of(&avg, v);
	put_counts(out, v);
	if (out->n_columns == sizeof stats_columns / sizeof *stats_columns) {
		rows_u64(out, r->query_count);
		rows_u64(out, avg.query_count);
		rows_u64(out, avg.query_time);
	}
	rows_end(out);
	return pos + 1;
}

static const struct reply_column totals_columns[] = {
	{"database", REPLY_TYPE_TEXT},
	{"server_assignment_count", N},
	{"xact_count", N},
	{"query_count", N},
	{"bytes_received", N},
	{"bytes_sent", N},
	{"xact_time", N},
	{"query_time", N},
	{"wait_time", N},
	{"client_parse_count", N},
	{"server_parse_count", N},
	{"bind_count", N},
	{"client_login_count", N},
};

static size_t stats_totals_row(const struct show_in *in, size_t pos, struct rows *out)
{
	struct show_stats_row own;
	const struct show_stats_row *r = row_at(in, pos, &own);
	uint64_t v[COUNTS];

	if (r == NULL)
		return SIZE_MAX;
	totals_of(r, v);
	rows_begin(out);
	rows_text(out, r->database);
	put_counts(out, v);
	rows_end(out);
	return pos + 1;
}

static const struct reply_column averages_columns[] = {
	{"database", REPLY_TYPE_TEXT},
	{"server_assignment_count", N},
	{"xact_count", N},
	{"query_count", N},
	{"bytes_received", N},
	{"bytes_sent", N},
	{"xact_time", N},
	{"query_time", N},
	{"wait_time", N},
	{"avg_client_parse_count", N},
	{"avg_server_parse_count", N},
	{"avg_bind_count", N},
	{"avg_client_login_count", N},
};

static size_t stats_averages_row(const struct show_in *in, size_t pos, struct rows *out)
{
	struct show_stats_row own;
	const struct show_stats_row *r = row_at(in, pos, &own);
	struct stats_averages avg;
	uint64_t v[COUNTS];

	if (r == NULL)
		return SIZE_MAX;
	stats_average(in->stats, r, &avg);
	averages_of(&avg, v);
	rows_begin(out);
	rows_text(out, r->database);
	put_counts(out, v);
	rows_end(out);
	return pos + 1;
}

static const struct reply_column name_value_columns[] = {
	{"name", REPLY_TYPE_TEXT},
	{"value", N},
};

static const char *const totals_names[2 * COUNTS] = {
	"total_server_assignment_count",
	"total_xact_count",
	"total_query_count",
	"total_client_bytes",
	"total_server_bytes",
	"total_xact_time",
	"total_query_time",
	"total_wait_time",
	"total_ps_client_parse_count",
	"total_ps_server_parse_count",
	"total_ps_bind_count",
	"total_client_login_count",
	"avg_server_assignment_count",
	"avg_xact_count",
	"avg_query_count",
	"avg_client_bytes",
	"avg_server_bytes",
	"avg_xact_time",
	"avg_query_time",
	"avg_wait_time",
	"avg_ps_client_parse_count",
	"avg_ps_server_parse_count",
	"avg_ps_bind_count",
	"avg_client_login_count",
};

/* Rows are few and small: each is summed anew. */
static size_t totals_row(const struct show_in *in, size_t pos, struct rows *out)
{
	struct show_stats_row own, sum = {.database = ""};
	struct stats_averages avg;
	uint64_t v[2 * COUNTS];

	if (pos >= 2 * COUNTS)
		return SIZE_MAX;
	consoles_stats(in->consoles, &own);
	for (size_t i = 0; i < in->gathered->n_stats; i++)
		stats_row_add(&sum, in->gathered->stats[i]);
	stats_row_add(&sum, &own);
	sum.database[0] = '\0'; /* the averages' name for all of them */
	stats_average(in->stats, &sum, &avg);
	totals_of(&sum, v);
	averages_of(&avg, v + COUNTS);
	rows_begin(out);
	rows_text(out, totals_names[pos]);
	rows_u64(out, v[pos]);
	rows_end(out);
	return pos + 1;
}

static const struct reply_column routes_columns[] = {
	{"database", REPLY_TYPE_TEXT},
	{"verdict", REPLY_TYPE_TEXT},
	{"node", REPLY_TYPE_TEXT},
	{"reason", REPLY_TYPE_TEXT},
	{"units", N},
	{"server_time", N},
	{"mode", REPLY_TYPE_TEXT},
	{"broken_answers", N},
	{"broken_blocks", N},
};

static size_t routes_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct show_route_row *r;

	if (pos >= in->gathered->n_routes)
		return SIZE_MAX;
	r = in->gathered->routes[pos];
	rows_begin(out);
	rows_text(out, r->database);
	rows_text(out, show_verdict(r->verdict));
	rows_text(out, show_node_name(in->env, r->node));
	rows_text(out, choose_reason_name(r->reason));
	rows_u64(out, r->n);
	rows_u64(out, r->us);
	rows_text(out, r->shadow ? "shadow" : "on");
	rows_u64(out, r->broken_answers);
	rows_u64(out, r->broken_blocks);
	rows_end(out);
	return pos + 1;
}

/* TRANSACTION_READS: what became of transactions that began on a replica. */
static const struct reply_column transaction_reads_columns[] = {
	{"database", REPLY_TYPE_TEXT},
	{"event", REPLY_TYPE_TEXT},
	{"transactions", N},
};

#define EVENT_BEGAN  0u
#define EVENT_ENDED  1u
#define EVENT_MOVED  2u /* and the causes */
#define EVENTS_COUNT (EVENT_MOVED + MOVED_CAUSE_COUNT)

static void put_event(struct rows *out, const struct show_stats_row *r, unsigned event)
{
	char text[32];

	if (event == EVENT_BEGAN)
		snprintf(text, sizeof text, "began");
	else if (event == EVENT_ENDED)
		snprintf(text, sizeof text, "ended");
	else
		snprintf(text, sizeof text, "moved_%s",
			moved_cause_name((enum moved_cause)(event - EVENT_MOVED)));
	rows_begin(out);
	rows_text(out, r->database);
	rows_text(out, text);
	rows_u64(out, event == EVENT_BEGAN   ? r->moving_began
		      : event == EVENT_ENDED ? r->moving_ended
					     : r->moved[event - EVENT_MOVED]);
	rows_end(out);
}

static size_t transaction_reads_row(const struct show_in *in, size_t pos, struct rows *out)
{
	size_t i = pos / EVENTS_COUNT;
	const struct show_stats_row *r;

	if (i >= in->gathered->n_stats)
		return SIZE_MAX;
	r = in->gathered->stats[i];
	if (r->moving_began == 0)
		return (i + 1) * EVENTS_COUNT;
	put_event(out, r, (unsigned)(pos % EVENTS_COUNT));
	return pos + 1;
}

static const struct reply_column errors_columns[] = {
	{"database", REPLY_TYPE_TEXT},
	{"sqlstate", REPLY_TYPE_TEXT},
	{"class", REPLY_TYPE_TEXT},
	{"source", REPLY_TYPE_TEXT},
	{"errors", N},
	{"last_seen", REPLY_TYPE_TEXT},
};

static size_t errors_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct show_error_row *r;

	if (pos >= in->gathered->n_errors)
		return SIZE_MAX;
	r = in->gathered->errors[pos];
	rows_begin(out);
	rows_text(out, r->database);
	rows_text(out, r->sqlstate);
	rows_text(out, sqlstate_class_name(r->sqlstate));
	rows_text(out, error_source_name((enum error_source)r->source));
	rows_u64(out, r->n);
	rows_time(out, r->seen_wall_us);
	rows_end(out);
	return pos + 1;
}

const struct show_table show_stats = {"stats", SHOW_COLUMNS_BUT(stats_columns, LEGACY_STATS),
	GATHER_STATS, SHOW_NO_STREAM, NULL, stats_row, false};
const struct show_table show_stats_legacy = {
	"stats", SHOW_COLUMNS(stats_columns), GATHER_STATS, SHOW_NO_STREAM, NULL, stats_row, false};
const struct show_table show_stats_totals = {"stats_totals", SHOW_COLUMNS(totals_columns),
	GATHER_STATS, SHOW_NO_STREAM, NULL, stats_totals_row, false};
const struct show_table show_stats_averages = {"stats_averages", SHOW_COLUMNS(averages_columns),
	GATHER_STATS, SHOW_NO_STREAM, NULL, stats_averages_row, false};
const struct show_table show_totals = {"totals", SHOW_COLUMNS(name_value_columns), GATHER_STATS,
	SHOW_NO_STREAM, NULL, totals_row, false};
const struct show_table show_routes = {"routes", SHOW_COLUMNS(routes_columns), GATHER_ROUTES,
	SHOW_NO_STREAM, NULL, routes_row, false};
const struct show_table show_transaction_reads = {"transaction_reads",
	SHOW_COLUMNS(transaction_reads_columns), GATHER_STATS, SHOW_NO_STREAM, NULL,
	transaction_reads_row, false};
const struct show_table show_errors = {"errors", SHOW_COLUMNS(errors_columns), GATHER_ERRORS,
	SHOW_NO_STREAM, NULL, errors_row, false};
