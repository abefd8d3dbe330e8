#include "worker/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "proto/reply.h"
#include "state/settings_class.h"
#include "worker/effects.h"
#include "worker/forward.h"
#include "worker/judge.h"
#include "worker/loss.h"
#include "worker/moving.h"
#include "worker/ours.h"
#include "worker/prepared.h"
#include "worker/savepoints.h"
#include "worker/single.h"

/* --- answers --- */

static void put(struct client *c, const struct wr *out)
{
	PANIC_IF(out->bad);
	conn_put_copy(c->conn, out->buf, out->len);
}

/* What the server would say to the statement, without ReadyForQuery. */
static void answer_open(struct client *c, const struct single *u, const char *tag)
{
	uint8_t buf[128];
	struct wr out = wr_of(buf, sizeof buf);

	if (u->is_extended) {
		if (!u->is_prepared)
			reply_put_parse_complete(&out);
		reply_put_bind_complete(&out);
		if (u->describes_stmt)
			reply_put_parameter_description(&out, NULL, 0);
		if (u->describes_stmt || u->describes_portal)
			reply_put_no_data(&out);
	}
	reply_put_command_complete(&out, tag);
	put(c, &out);
	c->db->stats.queries++;
}

/* … up to ReadyForQuery. */
static void answer(struct worker *w, struct client *c, const struct single *u, const char *tag)
{
	answer_open(c, u, tag);
	client_put_ready(w, c);
}

static void leave_txn(struct client *c, bool committed)
{
	ours_txn_ended(c, committed);
	c->txn = TXN_NONE;
	c->busy->block_read_only = false;
	c->busy->block_answered = false;
	c->busy->block_differs = false;
	c->busy->parse_differs = false;
	c->busy->moves = MOVES_NOT;
	if (c->busy->deferred != NULL) {
		journal_clear(&c->busy->deferred->journal);
		c->busy->deferred->ask = (struct ask){0};
	}
	savepoints_clear(&c->busy->savepoints, &c->set);
	settings_txn_rollback(&c->set); /* nothing ran in it */
}

/* --- the deferred block --- */

static bool keep_deferred(
	struct client *c, const struct single *u, enum journal_kind kind, const char *name)
{
	struct deferred *d = c->busy->deferred;

	if (d == NULL) {
		d = c->busy->deferred = calloc(1, sizeof *d);
		if (d == NULL)
			return false;
	}
	if (d->journal.n == 0)
		d->ask = (struct ask){0};
	ask_merge(&d->ask, &c->busy->unit.ask);
	return journal_put(&d->journal, kind, u->sql, u->sql_len, name) == OK;
}

static void merge_modes(struct sql_modes *into, const struct sql_modes *m)
{
	if (m->isolation != ISOLATION_UNSET)
		into->isolation = m->isolation;
	if (m->read_only != TRI_UNSET)
		into->read_only = m->read_only;
	if (m->deferrable != TRI_UNSET)
		into->deferrable = m->deferrable;
	into->needs_primary = into->needs_primary || m->needs_primary;
}

/* The block begins, with nothing said of it yet. False: it is for the server. */
static bool begin_deferred(struct worker *w, struct client *c, const struct single *u)
{
	if (c->acc->mode != POOL_MODE_TRANSACTION || !keep_deferred(c, u, JOURNAL_BEGIN, ""))
		return false;
	c->busy->deferred->modes = u->verdict.effects[0].modes;
	c->busy->deferred->snapshot = false;
	c->busy->deferred->failed = false;
	c->busy->deferred->op = 0;
	c->txn = TXN_DEFERRED;
	c->busy->txn_begun_us = w->now_us;
	c->state_since_us = w->now_us;
	settings_txn_begin(&c->set);
	return true;
}

static const char *begin_tag(const struct single *u)
{
	return u->verdict.effects[0].flags & SQL_EFFECT_START ? "START TRANSACTION" : "BEGIN";
}

static bool begin(struct worker *w, struct client *c, const struct single *u)
{
	if (c->acc->mode == POOL_MODE_STATEMENT) {
		struct report r = report_of("FATAL", SQLSTATE_PROTOCOL_VIOLATION,
			"transaction blocks not allowed in statement pooling mode");

		r.hint = "See pool_mode.";
		client_fatal(w, c, &r, CLIENT_END_PROTOCOL);
		return true;
	}
	if (!begin_deferred(w, c, u))
		return false;
	answer(w, c, u, begin_tag(u));
	return true;
}

uint32_t local_begin_ahead(struct worker *w, struct client *c, const uint8_t *data)
{
	struct single u;
	uint32_t len;

	if (c->txn != TXN_NONE || c->busy->unit.cls != SQL_TXN || c->busy->unit.n_stmts < 2 ||
		(len = single_read_first(c, data, &u)) == 0)
		return 0;
	(void)judge_word(w, c, u.sql, u.sql_len, &u.verdict);
	if (!sql_verdict_is(&u.verdict, EFFECT_BEGIN) || !begin_deferred(w, c, &u))
		return 0;
	answer_open(c, &u, begin_tag(&u));
	return len;
}

static bool end_deferred(
	struct worker *w, struct client *c, const struct single *u, const char *tag)
{
	if (u->verdict.effects[0].flags & SQL_EFFECT_CHAIN) {
		/* The next block has the modes of this one; what was set inside is gone. */
		c->busy->txn_begun_us = w->now_us;
		if (c->busy->deferred->journal.n > 1 || c->busy->moves == MOVES_DONE)
			return false;
		answer(w, c, u, tag);
		return true;
	}
	leave_txn(c, u->verdict.effects[0].kind == EFFECT_COMMIT);
	c->db->stats.xacts++;
	answer(w, c, u, tag);
	return true;
}

static bool answer_deferred(struct worker *w, struct client *c, const struct single *u)
{
	const struct sql_verdict *v = &u->verdict;
	char name[SETTINGS_NAME_MAX + 1];
	size_t len;

	if (sql_verdict_is(v, EFFECT_COMMIT))
		return end_deferred(w, c, u, "COMMIT");
	if (sql_verdict_is(v, EFFECT_ROLLBACK))
		return end_deferred(w, c, u, "ROLLBACK");
	if (c->busy->moves ==
		MOVES_DONE) /* it is of a block that has run: its errors are due now */
		return false;
	if (sql_verdict_is(v, EFFECT_SET_TRANSACTION) && keep_deferred(c, u, JOURNAL_BEGIN, "")) {
		merge_modes(&c->busy->deferred->modes, &v->effects[0].modes);
		answer(w, c, u, "SET");
		return true;
	}
	if (sql_verdict_is(v, EFFECT_SET) && single_sets_locally(c, u, name) &&
		keep_deferred(c, u, JOURNAL_SET, "")) {
		if (settings_class_of(name) == SETTINGS_TXN) /* transaction_isolation … */
			c->busy->deferred->modes.needs_primary = true;
		c->busy->parse_differs =
			c->busy->parse_differs || prepared_differs(u->sql, c->sql_opts, v);
		answer(w, c, u, "SET");
		return true;
	}
	if (sql_verdict_is(v, EFFECT_SAVEPOINT) &&
		sql_effect_name(
			u->sql, c->sql_opts, &v->effects[0], name, SQL_NAME_MAX + 1, &len) == OK &&
		keep_deferred(c, u, JOURNAL_SAVEPOINT, name)) {
		effects_savepoint(w, c, name);
		ours_effect(c, EFFECT_SAVEPOINT, name, false);
		answer(w, c, u, "SAVEPOINT");
		return true;
	}
	return false;
}

/* --- a failed block without a server --- */

static void answer_failed(
	struct worker *w, struct client *c, const struct single *u, bool is_single)
{
	struct report r = report_of("ERROR", SQLSTATE_IN_FAILED_SQL_TRANSACTION,
		"current transaction is aborted, commands ignored until end of transaction block");
	char text[LOSS_TEXT_MAX];

	if (c->busy->txn_lost) {
		c->busy->txn_lost = false;
		if (c->busy->block_lost)
			r = loss_block_report(NULL, text);
		else
			r = report_of("ERROR", SQLSTATE_CONNECTION_FAILURE,
				"the connection to the server was lost inside the transaction");
		r.hint = "The transaction was rolled back; run it again.";
	} else if (is_single && (sql_verdict_is(&u->verdict, EFFECT_ROLLBACK) ||
					sql_verdict_is(&u->verdict, EFFECT_COMMIT))) {
		leave_txn(c, false);
		answer(w, c, u, "ROLLBACK");
		return;
	}
	client_put_error(w, c, &r);
	client_put_ready(w, c);
}

/* --- without a transaction --- */

/* After a Flush the client's own Sync is still to come. */
static void end_series(struct worker *w, struct client *c)
{
	if (!c->busy->unit.ends_in_flush)
		client_put_ready(w, c);
}

/* The series Parse - Sync of a named statement, or Parse - Flush. */
static bool read_lone_parse(const struct client *c, const uint8_t *data, struct msg_parse *m)
{
	struct frame f;
	uint32_t len = c->busy->unit.len;

	if (c->busy->unit.is_simple || c->busy->unit.n_stmts != 1 || data[0] != FRONTEND_PARSE ||
		data[FRAME_HEAD_LEN] == '\0')
		return false;
	if (frame_peek(data, len, FRAME_LEN_MAX, &f) != OK ||
		frontend_read_parse(frame_body(data, &f), m) != OK)
		return false;
	return f.total < len && (data[f.total] == FRONTEND_SYNC || data[f.total] == FRONTEND_FLUSH);
}

/*
 * A Parse of what was parsed well before, by anybody here, needs no server: whichever server
 * executes it gets it first. A client of one thread that prepares for many connections in turn
 * would else wait for a server that its other connections hold.
 */
static bool answer_parse(struct worker *w, struct client *c, const uint8_t *data)
{
	bool in_block = c->txn == TXN_DEFERRED &&
			c->busy->deferred->journal.n == 1 && /* BEGIN, no SET LOCAL */
			!c->busy->confirming;
	struct stmt_name *name;
	struct msg_parse m;
	struct stmt *stmt;
	uint8_t buf[8];
	struct wr out = wr_of(buf, sizeof buf);
	bool known;

	if (c->verbatim || (c->txn != TXN_NONE && !in_block) || !read_lone_parse(c, data, &m) ||
		stmt_names_find(&c->names, m.name) != NULL || forward_intern(w, c, &m, &stmt) != OK)
		return false;
	known = stmt->good == account_parse_mark(w, c->acc) &&
		stmt_names_put(&c->names, m.name, stmt, &name) == OK;
	stmt_unref(w->stmts, stmt);
	if (!known)
		return false;
	name->seen.ddl = atomic_load(&w->sh->ddl_no) + 1;
	reply_put_parse_complete(&out);
	put(c, &out);
	end_series(w, c);
	c->db->stats.client_parses++;
	c->db->stats.queries++;
	c->db->stats.xacts += c->txn == TXN_NONE;
	return true;
}

/* A series of Close (statement) and Sync alone. */
static bool answer_closes(struct worker *w, struct client *c, const uint8_t *data)
{
	struct msg_target target;
	struct frame f;
	uint8_t buf[8];

	for (uint32_t at = 0; at < c->busy->unit.len; at += f.total) {
		if (frame_peek(data + at, c->busy->unit.len - at, FRAME_LEN_MAX, &f) != OK)
			return false;
		if (f.type != FRONTEND_CLOSE && f.type != FRONTEND_SYNC && f.type != FRONTEND_FLUSH)
			return false;
		if (f.type == FRONTEND_CLOSE &&
			(frontend_read_target(frame_body(data + at, &f), &target) != OK ||
				target.kind != 'S' || c->verbatim))
			return false;
	}
	for (uint32_t at = 0; at < c->busy->unit.len; at += f.total) {
		struct wr out = wr_of(buf, sizeof buf);

		(void)frame_peek(data + at, c->busy->unit.len - at, FRAME_LEN_MAX, &f);
		if (f.type != FRONTEND_CLOSE ||
			frontend_read_target(frame_body(data + at, &f), &target) != OK)
			continue;
		if (target.name_len != 0)
			stmt_names_remove(&c->names, target.name);
		else if (c->unnamed != NULL)
			c->unnamed->len = 0;
		reply_put_close_complete(&out);
		put(c, &out);
	}
	end_series(w, c);
	return true;
}

static void answer_empty(struct worker *w, struct client *c)
{
	uint8_t buf[8];
	struct wr out = wr_of(buf, sizeof buf);

	reply_put_empty_query(&out);
	put(c, &out);
	client_put_ready(w, c);
	c->db->stats.queries++;
}

bool local_answer(struct worker *w, struct client *c, const uint8_t *data)
{
	struct single u;
	bool is_single;

	if (answer_parse(w, c, data))
		return true;
	if (c->txn == TXN_NONE && !c->busy->unit.has_effects) {
		if (c->busy->unit.is_simple && c->busy->unit.cls == SQL_EMPTY) {
			answer_empty(w, c);
			return true;
		}
		return c->busy->unit.n_stmts == 0 && !c->busy->unit.may_name_later &&
		       answer_closes(w, c, data);
	}
	if (c->txn == TXN_NONE && c->busy->unit.cls != SQL_TXN)
		return false;
	is_single = c->busy->unit.has_effects && single_read(c, data, &u);
	if (is_single)
		(void)judge_word(w, c, u.sql, u.sql_len, &u.verdict);
	if (c->txn == TXN_FAILED_ALONE) {
		answer_failed(w, c, &u, is_single);
		return true;
	}
	if (!is_single)
		return false;
	if (c->txn == TXN_NONE && sql_verdict_is(&u.verdict, EFFECT_BEGIN))
		return begin(w, c, &u);
	return c->txn == TXN_DEFERRED && answer_deferred(w, c, &u);
}
