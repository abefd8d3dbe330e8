#include "worker/queries.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "proto/frontend.h"
#include "route/choose.h"
#include "sql/fingerprint.h"
#include "sql/normalize.h"
#include "sql/skeleton.h"
#include "state/query_stats.h"
#include "state/repeats.h"

#define KNOWN 2048u /* power of two */

/* The fingerprint of a text, by its skeleton. */
struct known {
	uint64_t skeleton, fingerprint;
};

struct queries {
	struct query_stats *stats;
	struct known known[KNOWN];
	struct repeats repeats;
	struct misuse_table misuse; /* waits.c's */
	/* the log of slow and failed queries, this second */
	uint64_t second;
	uint32_t n_logged;
	uint64_t n_left_out;
};

enum status queries_new(struct queries **out)
{
	struct queries *q = calloc(1, sizeof *q);
	enum status st;

	if (q == NULL)
		return E_NOMEM;
	if ((st = query_stats_new(&q->stats)) != OK) {
		free(q);
		return st;
	}
	*out = q;
	return OK;
}

void queries_free(struct queries *q)
{
	if (q == NULL)
		return;
	query_stats_free(q->stats);
	free(q);
}

void queries_apply_conf(struct worker *w)
{
	const struct conf *conf = w->conf;
	struct queries *q = w->queries;

	query_stats_limit(q->stats, conf->query_stats ? conf->query_stats_max : 0);
	if (conf->nplusone_threshold == 0)
		query_stats_forget_repeats(q->stats);
	if (conf->misuse_idle_us == 0) {
		misuse_forget_kind(&q->misuse, MISUSE_IDLE_IN_TRANSACTION);
		misuse_forget_kind(&q->misuse, MISUSE_PIN);
	}
	if (conf->misuse_transaction_us == 0)
		misuse_forget_kind(&q->misuse, MISUSE_LONG_TRANSACTION);
}

void queries_account_gone(struct worker *w, const struct account *acc)
{
	if (w->queries != NULL) {
		query_stats_forget(w->queries->stats, acc);
		misuse_forget(&w->queries->misuse, acc);
	}
}

void queries_reset(struct worker *w)
{
	query_stats_reset(w->queries->stats);
	memset(&w->queries->repeats, 0, sizeof w->queries->repeats);
	w->queries->misuse.n = 0;
}

/* --- a statement is sent --- */

static COLD uint32_t add(
	struct worker *w, struct client *c, uint64_t fingerprint, const char *sql, size_t len)
{
	struct query_stats *q = w->queries->stats;
	uint32_t handle =
		query_stats_add(q, fingerprint, c->acc, c->server->in_recovery, w->now_us);

	if (handle != 0)
		(void)sql_normalize(
			sql, len, c->sql_opts, query_stats_get(q, handle)->text, QUERY_TEXT_MAX);
	return handle;
}

static uint32_t find(struct worker *w, struct client *c, uint64_t fingerprint)
{
	return query_stats_find(w->queries->stats, fingerprint, c->acc, c->server->in_recovery);
}

/* Computed at the first sight of a text; then, as long as its place is not taken, looked up. */
static uint64_t fingerprint_of(
	struct worker *w, const struct client *c, const char *sql, size_t len)
{
	uint64_t skeleton = sql_skeleton(sql, len, c->sql_opts);
	struct known *k = &w->queries->known[skeleton >> 20 & (KNOWN - 1)];
	uint64_t fingerprint;

	if (skeleton != 0 && k->skeleton == skeleton)
		return k->fingerprint;
	fingerprint = sql_fingerprint(sql, len, c->sql_opts & SQL_STD_STRINGS);
	if (skeleton != 0)
		*k = (struct known){skeleton, fingerprint};
	return fingerprint;
}

uint32_t queries_of_simple(struct worker *w, struct client *c, const char *sql, size_t len)
{
	uint64_t fingerprint;
	uint32_t handle;

	if (!w->conf->query_stats)
		return 0;
	fingerprint = fingerprint_of(w, c, sql, len);
	handle = find(w, c, fingerprint);
	return handle != 0 ? handle : add(w, c, fingerprint, sql, len);
}

uint32_t queries_of_stmt(struct worker *w, struct client *c, struct stmt *st)
{
	uint32_t handle;

	if (!w->conf->query_stats)
		return 0;
	if (st->fingerprint == 0) {
		st->fingerprint = fingerprint_of(w, c, st->query, st->query_len);
		st->has_trace = trace_read(st->query, st->query_len, c->server->trace);
	} else if (st->has_trace) {
		(void)trace_read(st->query, st->query_len, c->server->trace);
	}
	handle = find(w, c, st->fingerprint);
	return handle != 0 ? handle : add(w, c, st->fingerprint, st->query, st->query_len);
}

uint32_t queries_of_unnamed(struct worker *w, struct client *c, struct unnamed *u)
{
	struct msg_parse m = {.sql = NULL};
	uint32_t handle;

	if (!w->conf->query_stats || u == NULL || u->len == 0)
		return 0;
	handle = u->fingerprint != 0 ? find(w, c, u->fingerprint) : 0;
	if (handle != 0 && !u->has_trace)
		return handle;
	if (frontend_read_parse(rd_of(u->body, u->len), &m) != OK)
		return 0;
	u->has_trace = trace_read(m.sql, m.sql_len, c->server->trace);
	if (u->fingerprint == 0)
		u->fingerprint = fingerprint_of(w, c, m.sql, m.sql_len);
	handle = find(w, c, u->fingerprint);
	return handle != 0 ? handle : add(w, c, u->fingerprint, m.sql, m.sql_len);
}

/* --- a statement has ended --- */

static const char *application(const struct client *c)
{
	const char *v = settings_get(c->set.current, "application_name");

	return v != NULL ? v : "";
}

/* Of all workers together at most slow_query_rate lines a second. */
static bool may_log(struct worker *w)
{
	struct queries *q = w->queries;
	uint64_t second = w->now_us / 1000000u;
	uint32_t max = w->conf->slow_query_rate / w->sh->n_workers;

	if (second != q->second) {
		q->second = second;
		q->n_logged = 0;
	}
	if (q->n_logged >= (max != 0 ? max : 1)) {
		q->n_left_out++;
		return false;
	}
	q->n_logged++;
	return true;
}

static COLD void log_statement(struct worker *w, struct server *s, const struct query_record *r,
	const struct query_sums *once, const char *sqlstate)
{
	struct client *c = s->client;
	char app[96], addr[80], host[64], text[QUERY_TEXT_MAX + 32] = "";
	char quoted[QUERY_TEXT_MAX + 16];
	uint16_t port = 0;

	if (!may_log(w))
		return;
	conn_remote(c->conn, host, sizeof host, &port);
	snprintf(addr, sizeof addr, "%s:%u", host, port);
	if (w->conf->slow_query_text)
		snprintf(text, sizeof text, " text=%s", log_q(quoted, sizeof quoted, r->text));
	log_info(w->log,
		*sqlstate != '\0' && w->conf->log_query_errors ? "query failed" : "slow query",
		"fingerprint=%016llx queue_ms=%llu.%03llu server_ms=%llu.%03llu rows=%llu "
		"sqlstate=%s node=%s role=%s reason=%s client=%lu addr=%s db=%s user=%s "
		"application_name=%s traceparent=%s left_out=%llu%s",
		(unsigned long long)r->fingerprint, (unsigned long long)once->queue_us / 1000,
		(unsigned long long)once->queue_us % 1000,
		(unsigned long long)once->server_us / 1000,
		(unsigned long long)once->server_us % 1000, (unsigned long long)once->rows,
		*sqlstate != '\0' ? sqlstate : SQLSTATE_SUCCESSFUL_COMPLETION,
		worker_node_name(w, s->pool->node), s->in_recovery ? "replica" : "primary",
		choose_reason_name(c->busy->route_reason), (unsigned long)c->id, addr, c->db->name,
		c->acc->user, log_q(app, sizeof app, application(c)),
		s->trace[0] != '\0' ? s->trace : "-", (unsigned long long)w->queries->n_left_out,
		text);
	w->queries->n_left_out = 0;
}

static COLD void series_found(
	struct worker *w, struct client *c, struct query_record *r, uint32_t n, bool in_txn)
{
	struct query_repeats *x = &r->repeats;
	uint16_t port;

	if (n > x->longest)
		x->longest = n;
	if (n != w->conf->nplusone_threshold) {
		x->calls++;
		return;
	}
	x->found++;
	x->calls += n;
	x->in_txn += in_txn;
	x->client = c->id;
	x->at_us = w->now_us;
	text_copy(x->application_name, sizeof x->application_name, application(c));
	conn_remote(c->conn, x->addr, sizeof x->addr, &port);
}

static void note_repeat(struct worker *w, struct client *c, struct query_record *r)
{
	bool in_txn = c->txn == TXN_OPEN || c->txn == TXN_DEFERRED;
	uint32_t n = repeats_note(&w->queries->repeats, c->id, r->fingerprint,
		in_txn ? c->busy->txn_begun_us : 0, w->now_us, w->conf->nplusone_window_us);

	if (n >= w->conf->nplusone_threshold)
		series_found(w, c, r, n, in_txn);
}

static void finish(
	struct worker *w, struct server *s, uint32_t handle, uint64_t rows, const char *sqlstate)
{
	struct client *c = s->client;
	struct query_record *r = query_stats_get(w->queries->stats, handle);
	const struct conf *conf = w->conf;
	struct query_sums once = {.calls = 1, .errors = *sqlstate != '\0', .rows = rows};

	once.server_us = w->now_us - s->stmt_begun_us;
	s->stmt_begun_us = w->now_us;
	if (c == NULL || r == NULL)
		return;
	once.queue_us = c->busy->queued_us;
	c->busy->queued_us = 0;
	c->busy->last_query = r->fingerprint;
	query_record_count(r, &once, w->now_us);
	if ((conf->slow_query_threshold_us != 0 &&
		    once.queue_us + once.server_us >= conf->slow_query_threshold_us) ||
		(conf->log_query_errors && *sqlstate != '\0'))
		log_statement(w, s, r, &once, sqlstate);
	if (conf->nplusone_threshold != 0)
		note_repeat(w, c, r);
}

/* The number at the end of a CommandComplete's tag: "INSERT 0 5", "SELECT 1"; none: 0. */
static uint64_t rows_of_tag(const uint8_t *tag, size_t len)
{
	uint64_t n = 0, digit = 1;

	while (len != 0 && tag[len - 1] == '\0')
		len--;
	for (; len != 0 && tag[len - 1] >= '0' && tag[len - 1] <= '9'; len--, digit *= 10)
		n += digit * (uint64_t)(tag[len - 1] - '0');
	return n;
}

void queries_completed(void *arg, const struct owed_entry *e, const uint8_t *body, size_t len)
{
	struct server *s = arg;
	uint64_t rows = rows_of_tag(body, len);

	if (e->kind == OWED_QUERY)
		s->query_rows += rows; /* others may follow, until ReadyForQuery */
	else
		finish(s->w, s, e->query, rows, "");
}

void queries_ended(struct worker *w, struct server *s, const struct owed_entry *e)
{
	finish(w, s, e->query, s->query_rows, s->query_error);
	s->query_rows = 0;
	s->query_error[0] = '\0';
}

void queries_failed(struct worker *w, struct server *s, const char *sqlstate)
{
	const struct owed_entry *e = NULL;

	for (uint32_t i = 0; i < s->owed.n; i++) {
		e = owed_at(&s->owed, i);
		if (e->query != 0 || e->kind == OWED_SYNC || e->kind == OWED_QUERY)
			break;
	}
	if (e == NULL || e->query == 0)
		return;
	if (e->kind == OWED_QUERY)
		text_copy(s->query_error, sizeof s->query_error, sqlstate);
	else
		finish(w, s, e->query, 0, sqlstate);
}

/* --- SHOW --- */

static void put_names(struct show_query_row *row, const struct account *acc)
{
	text_copy(row->database, sizeof row->database, acc->db->name);
	text_copy(row->user, sizeof row->user, acc->user);
}

struct misuse_table *queries_misuse(struct worker *w)
{
	return &w->queries->misuse;
}

void queries_text(
	struct worker *w, uint64_t fingerprint, const struct account *acc, char *to, size_t cap)
{
	struct query_stats *q = w->queries->stats;
	const struct query_record *r =
		query_stats_get(q, query_stats_find(q, fingerprint, acc, false));

	if (r == NULL)
		r = query_stats_get(q, query_stats_find(q, fingerprint, acc, true));
	text_copy(to, cap, r != NULL ? r->text : "");
}

bool queries_next(struct worker *w, uint32_t *pos, struct show_query_row *row)
{
	struct query_stats *q = w->queries->stats;
	const struct query_record *r;

	memset(row, 0, sizeof *row);
	if (*pos == 0) { /* first what those have counted that were given up */
		*pos = 1;
		row->sums = *query_stats_others(q);
		if (row->sums.calls != 0)
			return true;
	}
	(*pos)--;
	r = query_stats_next(q, pos);
	(*pos)++;
	if (r == NULL)
		return false;
	put_names(row, r->owner);
	row->fingerprint = r->fingerprint;
	row->replica = r->replica;
	row->sums = r->sums;
	row->max_us = r->max_us;
	memcpy(row->hist, r->hist, sizeof row->hist);
	row->repeats = r->repeats;
	row->repeats.at_us = worker_wall_us(w, r->repeats.at_us);
	memcpy(row->text, r->text, sizeof row->text);
	return true;
}
