#include "control/queries.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "control/exposition.h"

#define T  REPLY_TYPE_TEXT
#define I8 REPLY_TYPE_INT8

void query_row_add(struct show_query_row *to, const struct show_query_row *from)
{
	struct query_repeats *r = &to->repeats;

	if (to->sums.calls == 0 && to->text[0] == '\0') {
		*to = *from;
		return;
	}
	to->sums.calls += from->sums.calls;
	to->sums.errors += from->sums.errors;
	to->sums.rows += from->sums.rows;
	to->sums.queue_us += from->sums.queue_us;
	to->sums.server_us += from->sums.server_us;
	if (from->max_us > to->max_us)
		to->max_us = from->max_us;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		to->hist[i] += from->hist[i];
	if (from->repeats.at_us > r->at_us) { /* the last series is the example */
		r->client = from->repeats.client;
		r->at_us = from->repeats.at_us;
		memcpy(r->application_name, from->repeats.application_name, QUERY_WHO_MAX);
		memcpy(r->addr, from->repeats.addr, QUERY_WHO_MAX);
	}
	r->found += from->repeats.found;
	r->calls += from->repeats.calls;
	r->in_txn += from->repeats.in_txn;
	if (from->repeats.longest > r->longest)
		r->longest = from->repeats.longest;
}

static struct hist_sum times_of(const struct show_query_row *r)
{
	struct hist_sum s = {.sum_us = r->sums.server_us};

	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		s.n[i] = r->hist[i];
		s.count += r->hist[i];
	}
	return s;
}

uint64_t query_row_quantile_us(const struct show_query_row *r, double q)
{
	struct hist_sum s = times_of(r);

	return hist_quantile_us(&s, q);
}

static const char *fingerprint_text(const struct show_query_row *r, char buf[17])
{
	if (r->fingerprint == 0)
		return "";
	snprintf(buf, 17, "%016llx", (unsigned long long)r->fingerprint);
	return buf;
}

static const char *role_text(const struct show_query_row *r)
{
	return r->fingerprint == 0 ? "" : r->replica ? "replica" : "primary";
}

/* --- QUERIES: those that servers spent most time on come first --- */

static const struct reply_column queries_columns[] = {
	{"database", T},
	{"user", T},
	{"role", T},
	{"fingerprint", T},
	{"calls", I8},
	{"errors", I8},
	{"rows", I8},
	{"queue_time", I8},
	{"server_time", I8},
	{"mean", I8},
	{"p50", I8},
	{"p95", I8},
	{"p99", I8},
	{"max", I8},
	{"statement", T},
};

static size_t queries_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct show_query_row *r;
	char buf[17];

	if (pos >= in->gathered->n_queries)
		return SIZE_MAX;
	r = in->gathered->queries[pos];
	rows_begin(out);
	rows_text(out, r->database);
	rows_text(out, r->user);
	rows_text(out, role_text(r));
	rows_text(out, fingerprint_text(r, buf));
	rows_u64(out, r->sums.calls);
	rows_u64(out, r->sums.errors);
	rows_u64(out, r->sums.rows);
	rows_u64(out, r->sums.queue_us);
	rows_u64(out, r->sums.server_us);
	rows_u64(out, r->sums.calls != 0 ? r->sums.server_us / r->sums.calls : 0);
	rows_u64(out, query_row_quantile_us(r, 0.5));
	rows_u64(out, query_row_quantile_us(r, 0.95));
	rows_u64(out, query_row_quantile_us(r, 0.99));
	rows_u64(out, r->max_us);
	rows_text(out, r->fingerprint != 0 ? r->text : "(given up for others)");
	rows_end(out);
	return pos + 1;
}

/* --- NPLUSONE --- */

static const struct reply_column nplusone_columns[] = {
	{"database", T},
	{"user", T},
	{"role", T},
	{"fingerprint", T},
	{"series", I8},
	{"in_transaction", I8},
	{"calls", I8},
	{"longest", I8},
	{"server_time", I8},
	{"last_seen", T},
	{"application_name", T},
	{"client", I8},
	{"addr", T},
	{"statement", T},
	{"hint", T},
};

static const char *hint(const char *text)
{
	if (strncasecmp(text, "select", 6) == 0)
		return "Fetch all in one query: JOIN, or WHERE ... = ANY($1) (eager loading in an "
		       "ORM).";
	if (strncasecmp(text, "insert", 6) == 0)
		return "Insert many rows at once: several VALUES, unnest($1), or COPY.";
	if (strncasecmp(text, "update", 6) == 0 || strncasecmp(text, "delete", 6) == 0)
		return "Change many rows at once: WHERE ... = ANY($1), or FROM unnest($1, $2).";
	return "Do it once for all.";
}

static size_t nplusone_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct show_query_row *r;
	const struct query_repeats *x;
	char buf[17];

	if (pos >= in->gathered->n_queries)
		return SIZE_MAX;
	r = in->gathered->queries[pos];
	x = &r->repeats;
	if (x->found == 0)
		return pos + 1;
	rows_begin(out);
	rows_text(out, r->database);
	rows_text(out, r->user);
	rows_text(out, role_text(r));
	rows_text(out, fingerprint_text(r, buf));
	rows_u64(out, x->found);
	rows_u64(out, x->in_txn);
	rows_u64(out, x->calls);
	rows_u64(out, x->longest);
	rows_u64(out, r->sums.calls != 0 ? r->sums.server_us / r->sums.calls * x->calls : 0);
	rows_time(out, x->at_us);
	rows_text(out, x->application_name);
	rows_u64(out, x->client);
	rows_text(out, x->addr);
	rows_text(out, r->text);
	rows_text(out, hint(r->text));
	rows_end(out);
	return pos + 1;
}

/* --- metrics --- */

static uint64_t metric_value(const struct show_query_row *r, enum query_metric m)
{
	switch (m) {
	case QUERY_METRIC_CALLS:
		return r->sums.calls;
	case QUERY_METRIC_ERRORS:
		return r->sums.errors;
	case QUERY_METRIC_ROWS:
		return r->sums.rows;
	case QUERY_METRIC_QUEUE_US:
		return r->sums.queue_us;
	case QUERY_METRIC_SERVER_US:
		return r->sums.server_us;
	case QUERY_METRIC_NPLUSONE:
		return r->repeats.calls;
	case QUERY_METRIC_HIST:
		break; /* many values */
	}
	return 0;
}

static void put_hist(
	struct wr *w, const char *name, const struct labels *l, const struct show_query_row *r)
{
	struct gather_hist h = {.count = 0};
	struct hist_sum s = times_of(r);

	gather_hist_add(&h, &s);
	exposition_hist(w, name, l, &h);
}

size_t query_metric(
	const struct show_in *in, const char *name, enum query_metric m, size_t pos, struct wr *w)
{
	const struct show_query_row *r;
	struct labels l = {.n = 0};
	char buf[17];

	if (pos >= in->gathered->n_queries || pos >= env_conf(in->env)->query_stats_top)
		return SIZE_MAX;
	r = in->gathered->queries[pos];
	if (r->fingerprint == 0)
		return pos + 1;
	labels_add(&l, "database", r->database);
	labels_add(&l, "user", r->user);
	labels_add(&l, "role", role_text(r));
	labels_add(&l, "fingerprint", fingerprint_text(r, buf));
	if (m == QUERY_METRIC_HIST)
		put_hist(w, name, &l, r);
	else if (m == QUERY_METRIC_QUEUE_US || m == QUERY_METRIC_SERVER_US)
		exposition_seconds(w, name, &l, metric_value(r, m));
	else
		exposition_u64(w, name, &l, metric_value(r, m));
	return pos + 1;
}

const struct show_table show_queries = {"queries", SHOW_COLUMNS(queries_columns), GATHER_QUERIES,
	SHOW_NO_STREAM, NULL, queries_row, false};
const struct show_table show_nplusone = {"nplusone", SHOW_COLUMNS(nplusone_columns), GATHER_QUERIES,
	SHOW_NO_STREAM, NULL, nplusone_row, false};
