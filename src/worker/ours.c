#include "worker/ours.h"

#include <stdio.h>
#include <string.h>

#include "base/value.h"
#include "conf/conf.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "proto/reply.h"
#include "sql/weir.h"
#include "worker/explain.h"
#include "worker/fit.h"
#include "worker/forward.h"
#include "worker/line.h"
#include "worker/pick.h"
#include "worker/server.h"
#include "worker/worker.h"

#define SHOW_WAIT_MAX_US 10000000u /* of last_lsn, where query_wait_timeout is off */
#define MESSAGE_MAX      (WEIR_NAME_MAX + WEIR_VALUE_MAX + 80u)
#define REPLY_MAX        1024u

/* --- replies --- */

static void put(struct client *c, const struct wr *out)
{
	PANIC_IF(out->bad);
	conn_put_copy(c->conn, out->buf, out->len);
}

static bool in_txn(const struct client *c)
{
	return c->txn != TXN_NONE;
}

/*
 * An error of ours fails the client's transaction. That of its server, if it has one, by a
 * statement that has no other effect.
 */
static void refuse(struct worker *w, struct client *c, const struct report *r)
{
	client_put_error(w, c, r);
	if (c->txn == TXN_DEFERRED) {
		c->txn = TXN_FAILED_ALONE;
	} else if (c->txn == TXN_OPEN) {
		c->txn = TXN_FAILED;
		if (forward_hidden(c->server, "ROLLBACK TO SAVEPOINT " SERVER_NO_SAVEPOINT,
			    OWED_TAG_SETUP) != OK)
			c->server->in_message = true; /* it cannot be used again */
		conn_flush(c->server->conn);
	}
}

static struct report error_of(const char *sqlstate, const char *message, const char *hint)
{
	struct report r = report_of("ERROR", sqlstate, message);

	r.hint = *hint != '\0' ? hint : NULL;
	return r;
}

/* --- SHOW --- */

/* The value that holds, whoever asked for it. */
static void show_text(const struct client *c, enum ask_param p, char text[ASK_VALUE_MAX])
{
	const struct conf_db *db = c->db->conf;
	struct ask a = {
		.consistency = (uint8_t)(pick_configured(c) + 1),
		.route = (uint8_t)(pick_route(db) + 1),
		.has_max_lag = true,
		.max_lag_us = c->acc->max_lag_us,
	};

	if (a.route > CHOOSE_ROUTE_REPLICA + 1)
		a.route = CHOOSE_ROUTE_AUTO + 1;
	if (c->params != NULL)
		ask_merge(&a, params_now(c->params));
	ask_format(&a, p, text);
}

bool ours_waits(struct worker *w, struct client *c)
{
	const struct topo_cluster *cluster = c->acc != NULL ? fit_cluster(w, c->acc) : NULL;

	if (cluster == NULL)
		return false;
	marks_settle(&c->marks, cluster);
	return marks_is_open(&c->marks);
}

/* What covers all that the client has written, and read on replicas, and was asked to heed. */
static void last_lsn_text(struct worker *w, const struct client *c, char text[ASK_VALUE_MAX])
{
	struct wal_point at = {0, 0};

	if (c->params != NULL)
		at = params_now(c->params)->min_lsn;
	if (fit_cluster(w, c->acc) != NULL && c->marks.write.state == MARK_CLOSED)
		at = wal_point_max(at, mark_where(&c->marks.write));
	if (fit_cluster(w, c->acc) != NULL && c->marks.read.state == MARK_CLOSED)
		at = wal_point_max(at, mark_where(&c->marks.read));
	text[0] = '\0';
	if (at.lsn != 0)
		wal_point_format(at, text);
}

/* Wait for the sample that closes the client's marks. False: it has come, or will not. */
static bool wait_for_marks(struct worker *w, struct client *c)
{
	uint64_t timeout = c->acc->query_wait_timeout_us;

	if (c->server != NULL || !ours_waits(w, c))
		return false;
	if (timeout == 0 || timeout > SHOW_WAIT_MAX_US)
		timeout = SHOW_WAIT_MAX_US;
	if (c->busy->unit.arrived_us == 0)
		c->busy->unit.arrived_us = w->now_us;
	if (w->now_us >= c->busy->unit.arrived_us + timeout)
		return false;
	line_stand_fresh(w, c, c->busy->unit.arrived_us + timeout);
	return waiter_waits(&c->busy->waiter);
}

static void put_row(struct wr *out, const char *text)
{
	size_t mark = reply_row_begin(out, 1);

	reply_put_text(out, text);
	reply_row_end(out, mark);
}

static void put_description(struct client *c, const char *name)
{
	const struct reply_column column = {.name = name, .type_oid = REPLY_TYPE_TEXT};
	uint8_t buf[128];
	struct wr out = wr_of(buf, sizeof buf);

	reply_put_row_description(&out, &column, 1, 0);
	put(c, &out);
}

static const char *column_of(const struct weir_stmt *s)
{
	return s->kind == WEIR_EXPLAIN_ROUTE ? "QUERY PLAN" : ask_name(ask_find(s->name));
}

static bool has_rows(const struct weir_stmt *s)
{
	return s->kind == WEIR_SHOW || s->kind == WEIR_EXPLAIN_ROUTE;
}

static bool run_show(struct worker *w, struct client *c, enum ask_param p)
{
	struct report r = error_of(SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		"pgweir.last_lsn is not known",
		c->server != NULL ? "Ask for it after the end of the transaction."
				  : "No sample of the primary has come yet; see SHOW NODES.");
	char text[ASK_VALUE_MAX];
	uint8_t buf[REPLY_MAX];
	struct wr out = wr_of(buf, sizeof buf);

	if (p == ASK_LAST_LSN && ours_waits(w, c)) {
		refuse(w, c, &r);
		return false;
	}
	if (p == ASK_LAST_LSN)
		last_lsn_text(w, c, text);
	else
		show_text(c, p, text);
	put_row(&out, text);
	reply_put_command_complete(&out, "SHOW");
	put(c, &out);
	return true;
}

/* --- SET and RESET --- */

static bool has_params(struct client *c)
{
	if (c->params == NULL)
		c->params = params_new();
	return c->params != NULL;
}

static void warn_local(struct client *c)
{
	struct report r =
		report_of("WARNING", "25P01", "SET LOCAL can only be used in transaction blocks");
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);

	report_put(&out, 'N', &r);
	put(c, &out);
}

static bool run_set(struct worker *w, struct client *c, const struct weir_stmt *s, enum ask_param p)
{
	/* What follows in the same text is of one transaction with it. */
	bool decides_later = in_txn(c) || !s->is_only;
	uint8_t buf[32];
	struct wr out = wr_of(buf, sizeof buf);
	char message[MESSAGE_MAX];
	struct report r = error_of(
		SQLSTATE_INVALID_PARAMETER_VALUE, message, p != ASK_PARAMS ? ask_values(p) : "");
	enum status st = OK;

	snprintf(message, sizeof message, "invalid value for parameter \"%s\": \"%s\"", ask_name(p),
		s->value);
	if (p == ASK_LAST_LSN) {
		snprintf(
			message, sizeof message, "parameter \"%s\" cannot be changed", ask_name(p));
		r.sqlstate = "55P02";
		st = E_INVALID;
	} else if (!has_params(c)) {
		r = error_of(SQLSTATE_OUT_OF_MEMORY, "out of memory", "");
		st = E_NOMEM;
	} else if (s->kind == WEIR_RESET) {
		params_reset(c->params, p, s->local, decides_later);
	} else {
		st = params_set(c->params, p, s->value, s->local, decides_later);
	}
	if (st != OK) {
		refuse(w, c, &r);
		return false;
	}
	if (s->local && !decides_later)
		warn_local(c);
	reply_put_command_complete(&out, s->kind == WEIR_RESET && !s->is_set ? "RESET" : "SET");
	put(c, &out);
	return true;
}

/* --- one statement --- */

static const struct report *wrong(
	const struct weir_stmt *s, struct report *r, char message[MESSAGE_MAX])
{
	if (s->bad_syntax) {
		*r = error_of(SQLSTATE_SYNTAX_ERROR, "syntax error in a statement for pgweir",
			"SET pgweir.name = value; RESET pgweir.name; SHOW pgweir.name.");
		return r;
	}
	if (s->kind != WEIR_EXPLAIN_ROUTE && ask_find(s->name) == ASK_PARAMS) {
		snprintf(message, MESSAGE_MAX, "unrecognized configuration parameter \"pgweir.%s\"",
			s->name);
		*r = error_of("42704", message,
			"There are pgweir.consistency, last_lsn, max_lag, min_lsn and route.");
		return r;
	}
	return NULL;
}

/* Run it and put its rows and tag, or its error. False: an error. */
static bool run(struct worker *w, struct client *c, const struct weir_stmt *s, const char *text)
{
	char message[MESSAGE_MAX];
	struct report r;

	c->db->stats.queries++;
	c->db->stats.xacts += c->txn == TXN_NONE;
	if (wrong(s, &r, message) != NULL) {
		refuse(w, c, &r);
		return false;
	}
	switch ((enum weir_kind)s->kind) {
	case WEIR_SET:
	case WEIR_RESET:
		return run_set(w, c, s, ask_find(s->name));
	case WEIR_SHOW:
		return run_show(w, c, ask_find(s->name));
	case WEIR_EXPLAIN_ROUTE:
		explain_route(w, c, text + s->inner.off, s->inner.len);
		return true;
	}
	return true;
}

static bool is_last_lsn(const struct weir_stmt *s)
{
	return s->kind == WEIR_SHOW && !s->bad_syntax && ask_find(s->name) == ASK_LAST_LSN;
}

/* --- the simple protocol --- */

static enum ours_result answer_query(struct worker *w, struct client *c, struct rd body)
{
	struct weir_stmt s;
	struct msg_query m;
	char *text;
	bool ok;

	if (frontend_read_query(body, &m) != OK || !weir_read(m.sql, m.sql_len, c->sql_opts, &s))
		return OURS_NOT;
	if (is_last_lsn(&s) && wait_for_marks(w, c))
		return OURS_WAITS;
	if (has_rows(&s) && !s.bad_syntax &&
		(s.kind == WEIR_EXPLAIN_ROUTE || ask_find(s.name) != ASK_PARAMS) &&
		!(is_last_lsn(&s) && ours_waits(w, c)))
		put_description(c, column_of(&s));
	ok = run(w, c, &s, m.sql);
	if (!ok || s.is_only) {
		if (!in_txn(c))
			ours_txn_ended(c, ok);
		client_put_ready(w, c);
		return OURS_DONE;
	}
	/* The rest of the text is for the server; positions in its errors stay right. */
	text = (char *)(uintptr_t)m.sql;
	memset(text, ' ', s.end);
	return OURS_AGAIN;
}

/* --- the extended protocol --- */

/* What the messages of a series stand for, as far as it has been walked. */
struct series {
	const char *unnamed, *portal;
	size_t unnamed_len, portal_len;
	const char *name, *named; /* the statement parsed in it last, if it has a name */
	size_t named_len;
};

/* The text of the statement of that name; NULL: none of ours. */
static const char *text_of(struct client *c, const struct series *s, const char *name, size_t *len)
{
	const struct stmt_name *known;
	struct msg_parse m;

	if (name[0] == '\0') {
		*len = s->unnamed_len;
		if (s->unnamed != NULL || c->unnamed == NULL || c->unnamed->len == 0 ||
			frontend_read_parse(rd_of(c->unnamed->body, c->unnamed->len), &m) != OK)
			return s->unnamed;
		*len = m.sql_len;
		return m.sql;
	}
	if (s->name != NULL && strcmp(s->name, name) == 0) {
		*len = s->named_len;
		return s->named;
	}
	known = stmt_names_find(&c->names, name);
	if (known == NULL || known->stmt->is_sql)
		return NULL;
	*len = known->stmt->query_len;
	return known->stmt->query;
}

static bool read_only_one(
	const struct client *c, const char *text, size_t len, struct weir_stmt *out)
{
	return text != NULL && weir_read(text, len, c->sql_opts, out) && out->is_only;
}

static bool bind_text(struct client *c, struct series *s, struct rd body)
{
	struct msg_bind_tail tail;
	struct msg_bind m;

	if (frontend_read_bind(body, (uint32_t)body.left, &m) != OK || m.portal_len != 0)
		return false;
	s->portal = text_of(c, s, m.stmt, &s->portal_len);
	rd_skip(&body, m.tail_at);
	return s->portal != NULL && frontend_read_bind_tail(body, &tail) == OK &&
	       tail.n_values == 0;
}

static void parse_text(struct series *s, const struct msg_parse *m)
{
	if (m->name_len == 0) {
		s->unnamed = m->sql;
		s->unnamed_len = m->sql_len;
	} else {
		s->name = m->name;
		s->named = m->sql;
		s->named_len = m->sql_len;
	}
}

/* Does the message belong to a series of ours? `out` is the statement it is about. */
static bool understand(struct client *c, struct series *s, const struct frame *f, struct rd body,
	struct weir_stmt *out)
{
	struct msg_target target;
	struct msg_parse parse;
	const char *text;
	size_t len;

	switch ((enum frontend_type)f->type) {
	case FRONTEND_PARSE:
		if (frontend_read_parse(body, &parse) != OK)
			return false;
		parse_text(s, &parse);
		return read_only_one(c, parse.sql, parse.sql_len, out);
	case FRONTEND_BIND:
		return bind_text(c, s, body) && read_only_one(c, s->portal, s->portal_len, out);
	case FRONTEND_DESCRIBE:
		if (frontend_read_target(body, &target) != OK)
			return false;
		if (target.kind == 'P')
			return target.name_len == 0 &&
			       read_only_one(c, s->portal, s->portal_len, out);
		text = text_of(c, s, target.name, &len);
		return read_only_one(c, text, len, out);
	case FRONTEND_EXECUTE:
		return body.left != 0 && body.p[0] == '\0' &&
		       read_only_one(c, s->portal, s->portal_len, out);
	case FRONTEND_SYNC:
		return true;
	default:
		return false;
	}
}

/* A named one is kept under its name, for a Bind in another series. */
static bool keep_named(struct worker *w, struct client *c, struct rd body)
{
	struct stmt_name *entry;
	struct msg_parse m;
	struct stmt *stmt;
	bool kept;

	if (frontend_read_parse(body, &m) != OK || m.name_len == 0)
		return true;
	if (forward_intern(w, c, &m, &stmt) != OK)
		return false;
	kept = stmt_names_put(&c->names, m.name, stmt, &entry) == OK;
	stmt_unref(w->stmts, stmt);
	return kept;
}

static void describe(struct client *c, const struct weir_stmt *s, bool is_statement)
{
	uint8_t buf[32];
	struct wr out = wr_of(buf, sizeof buf);

	if (is_statement)
		reply_put_parameter_description(&out, NULL, 0);
	if (!has_rows(s) || (s->kind == WEIR_SHOW && ask_find(s->name) == ASK_PARAMS)) {
		reply_put_no_data(&out);
		put(c, &out);
		return;
	}
	put(c, &out);
	put_description(c, column_of(s));
}

/* Do what the message asks for. False: an error was put, the rest is skipped. */
static bool obey(struct worker *w, struct client *c, const struct series *s, const struct frame *f,
	struct rd body, const struct weir_stmt *stmt)
{
	struct report r =
		error_of("42P05", "prepared statement already exists, or there are too many", "");
	uint8_t buf[16];
	struct wr out = wr_of(buf, sizeof buf);

	switch ((enum frontend_type)f->type) {
	case FRONTEND_PARSE:
		if (!keep_named(w, c, body)) {
			refuse(w, c, &r);
			return false;
		}
		reply_put_parse_complete(&out);
		put(c, &out);
		return true;
	case FRONTEND_BIND:
		reply_put_bind_complete(&out);
		put(c, &out);
		return true;
	case FRONTEND_DESCRIBE:
		describe(c, stmt, body.left != 0 && body.p[0] == 'S');
		return true;
	case FRONTEND_EXECUTE:
		return run(w, c, stmt, s->portal);
	default:
		return true;
	}
}

static enum ours_result answer_series(struct worker *w, struct client *c, const uint8_t *data)
{
	struct series s = {0};
	struct weir_stmt stmt;
	struct frame f;
	bool shows_lsn = false;

	for (uint32_t at = 0; at < c->busy->unit.len; at += f.total) {
		if (frame_peek(data + at, c->busy->unit.len - at, FRAME_LEN_MAX, &f) != OK ||
			!understand(c, &s, &f, frame_body(data + at, &f), &stmt))
			return OURS_NOT;
		shows_lsn = shows_lsn || (f.type == FRONTEND_EXECUTE && is_last_lsn(&stmt));
	}
	if (shows_lsn && wait_for_marks(w, c))
		return OURS_WAITS;
	s = (struct series){0};
	for (uint32_t at = 0; at < c->busy->unit.len; at += f.total) {
		(void)frame_peek(data + at, c->busy->unit.len - at, FRAME_LEN_MAX, &f);
		if (!understand(c, &s, &f, frame_body(data + at, &f), &stmt) ||
			!obey(w, c, &s, &f, frame_body(data + at, &f), &stmt))
			break;
	}
	client_put_ready(w, c);
	return OURS_DONE;
}

/* Statements of ours and others in one series. */
static enum ours_result refuse_mixed(struct worker *w, struct client *c)
{
	struct report r = error_of(SQLSTATE_FEATURE_NOT_SUPPORTED,
		"a pgweir parameter cannot be used among other statements of one message series",
		"Send the statement as a message of its own.");

	refuse(w, c, &r);
	client_put_ready(w, c);
	return OURS_DONE;
}

enum ours_result ours_answer(struct worker *w, struct client *c, const uint8_t *data)
{
	enum ours_result result;
	struct frame f;

	if (c->txn == TXN_FAILED || c->txn == TXN_FAILED_ALONE || c->db->conf == NULL)
		return OURS_NOT; /* as any statement there */
	if (c->server != NULL && (!owed_is_empty(&c->server->owed) || c->busy->sent_len != 0))
		return OURS_STALL;
	if (!c->busy->unit.is_simple) {
		result = answer_series(w, c, data);
		return result == OURS_NOT ? refuse_mixed(w, c) : result;
	}
	if (frame_peek(data, c->busy->unit.len, FRAME_LEN_MAX, &f) != OK)
		return OURS_NOT;
	return answer_query(w, c, frame_body(data, &f));
}

/* --- start-up and transactions --- */

enum status ours_start(struct client *c, const char *name, const char *value)
{
	enum ask_param p = ask_find(name);

	if (p == ASK_PARAMS)
		return E_NOTFOUND;
	if (!has_params(c))
		return E_NOMEM;
	return params_start(c->params, p, value);
}

void ours_effect(struct client *c, enum sql_effect_kind kind, const char *name, bool rolled_back)
{
	if (c->params == NULL)
		return;
	switch (kind) {
	case EFFECT_COMMIT:
		ours_txn_ended(c, !rolled_back);
		break;
	case EFFECT_ROLLBACK:
		ours_txn_ended(c, false);
		break;
	case EFFECT_ROLLBACK_TO:
		params_rollback_to(c->params, name);
		break;
	case EFFECT_RELEASE:
		params_release(c->params, name);
		break;
	case EFFECT_SAVEPOINT:
		params_savepoint(c->params, name);
		break;
	case EFFECT_RESET_ALL:
	case EFFECT_DISCARD_ALL:
		params_reset_all(c->params, in_txn(c));
		break;
	default:
		break;
	}
}

void ours_txn_ended(struct client *c, bool committed)
{
	if (c->params == NULL)
		return;
	if (committed)
		params_commit(c->params);
	else
		params_rollback(c->params);
}
