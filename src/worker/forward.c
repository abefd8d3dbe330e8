#include "worker/forward.h"

#include <stdlib.h>
#include <string.h>

#include "state/settings_diff.h"
#include "worker/activity.h"
#include "worker/custom.h"
#include "worker/effects.h"
#include "worker/entry.h"
#include "worker/going.h"
#include "worker/notify.h"
#include "worker/prepared.h"
#include "worker/queries.h"
#include "worker/sequences.h"

#define NO_IDLE_TIMEOUT "SET idle_session_timeout = 0"

enum status going_owe(struct going *g, enum owed_kind kind, enum owed_who who, uint16_t tag,
	uint64_t no, void *ref)
{
	struct owed_entry e = {.kind = (uint8_t)kind, .who = (uint8_t)who, .tag = tag, .no = no};
	enum status st;

	if (owed_is_empty(&g->s->owed))
		g->s->stmt_begun_us = g->w->now_us;
	e.query = g->query;
	g->query = 0;
	e.ref = ref;
	if (owed_is_ignored(&g->s->owed, kind)) {
		entry_lost(g->w, g->s, e);
		return OK;
	}
	st = owed_push(&g->s->owed, e);
	if (st != OK)
		entry_lost(g->w, g->s, e);
	return st;
}

void going_put(struct server *s, const struct wr *out)
{
	PANIC_IF(out->bad);
	conn_put_copy(s->conn, out->buf, out->len);
}

void going_put_head(struct going *g, const struct wr *head, size_t tail_at)
{
	going_put(g->s, head);
	conn_put(g->s->conn, g->p + FRAME_HEAD_LEN + tail_at, g->len - FRAME_HEAD_LEN - tail_at);
}

void going_put_verbatim(struct going *g)
{
	conn_put(g->s->conn, g->p, g->len);
}

enum status forward_hidden(struct server *s, const char *sql, enum owed_tag tag)
{
	return forward_hidden_ref(s, sql, tag, NULL);
}

enum status forward_hidden_ref(struct server *s, const char *sql, enum owed_tag tag, void *ref)
{
	uint8_t head[8];
	struct wr out = wr_of(head, sizeof head);
	size_t n = strlen(sql) + 1;
	enum status st = owed_push(&s->owed,
		(struct owed_entry){
			.kind = OWED_QUERY, .who = OWED_HIDDEN, .tag = (uint16_t)tag, .ref = ref});

	if (st != OK)
		return st;
	wr_u8(&out, FRONTEND_QUERY);
	wr_u32(&out, (uint32_t)n + FRAME_LEN_MIN);
	going_put(s, &out);
	conn_put_copy(s->conn, sql, n);
	return OK;
}

/* --- what goes ahead --- */

/*
 * The unit behind settings that fail, by a cancel request say, must not run without them: it is
 * sent before they are answered, unless it waits. In a block that has failed nothing runs. On a
 * replica nothing is written, and the read runs elsewhere.
 */
static bool goes_in_block(const struct client *c, const struct server *s, uint16_t tag)
{
	return (tag == OWED_TAG_DIFF || tag == OWED_TAG_REDIFF) && s->txn_status == 'I' &&
	       s->owed.n_client == 0 && !c->busy->begin_sent && !s->in_recovery &&
	       !c->busy->settings_wait;
}

/* The server of client `c` gets `to`, and the custom parameters that the client has seen. */
static enum status put_settings(
	struct worker *w, struct client *c, struct settings *to, uint16_t tag)
{
	struct server *s = c->server;
	const struct settings_names names = {.made = s->made, .want = c->custom};
	size_t cap, got;
	struct settings_diff d;
	uint8_t *buf;
	struct wr out;
	enum status st = OK;

	if (s->settings == to && !custom_is_due(c, s))
		return OK;
	cap = settings_diff_len_max(s->settings, to, &names);
	buf = cap <= BUFPOOL_MAX ? bufpool_take(loop_bufpool(w->loop), cap, &got) : NULL;
	if (buf == NULL)
		return E_NOMEM;
	out = wr_of(buf, got);
	d = settings_diff_write(s->settings, to, &names, goes_in_block(c, s, tag), &out);
	PANIC_IF(out.bad);
	for (unsigned i = 0; i < d.n_msgs && st == OK; i++)
		st = owed_push(&s->owed,
			(struct owed_entry){.kind = OWED_QUERY, .who = OWED_HIDDEN, .tag = tag});
	if (st == OK) {
		conn_put_copy(s->conn, buf, out.len);
		server_set_settings(w, s, to);
		custom_given(w, c, s);
	}
	bufpool_give(loop_bufpool(w->loop), buf, got);
	return st;
}

static enum status put_bare(struct server *s)
{
	s->is_bare = false;
	return s->version_num >= 140000 ? forward_hidden(s, NO_IDLE_TIMEOUT, OWED_TAG_SETUP) : OK;
}

/*
 * Of a block that has run elsewhere the server is told so: what has to come before the first query
 * is refused, and if it had failed it fails.
 */
static enum status put_deferred(struct client *c, struct server *s)
{
	const struct deferred *d = c->busy->deferred;
	/* What the unit itself has put there is not said twice. */
	const uint32_t end = d->op != 0 ? d->op_len : d->journal.len;
	enum status st = OK;
	const char *sql;
	uint32_t at = 0;

	while (st == OK && at < end && (sql = journal_next(&d->journal, &at)) != NULL)
		st = forward_hidden(s, sql, OWED_TAG_BEGIN);
	if (st == OK && d->snapshot)
		st = forward_hidden(s, "SELECT 1", OWED_TAG_SETUP);
	if (st == OK && d->failed)
		st = forward_hidden(
			s, "ROLLBACK TO SAVEPOINT " SERVER_NO_SAVEPOINT, OWED_TAG_SETUP);
	c->busy->begin_sent = true;
	c->had_broken = false;
	c->busy->block_differs = d->journal.n > 1;
	return st;
}

static inline enum status put_first(struct worker *w, struct client *c)
{
	enum status st = OK;

	if (c->server->is_bare)
		st = put_bare(c->server);
	if (st == OK && c->busy->prefix_due) {
		c->busy->prefix_due = false;
		st = put_settings(
			w, c, c->set.current, c->busy->rediff ? OWED_TAG_REDIFF : OWED_TAG_DIFF);
		c->busy->rediff = false;
	}
	return st;
}

bool forward_settings_ahead(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	if (c->busy->prefix_due && !s->in_recovery && c->txn != TXN_FAILED &&
		settings_diff_may_be_refused(s->settings, c->set.current)) {
		c->busy->settings_wait = true;
		if (put_first(w, c) != OK) {
			c->busy->prefix_due = true; /* forward_prefix meets the same */
			c->busy->settings_wait = false;
			return false;
		}
		conn_flush(s->conn);
		s->unit_begun_us = w->now_us;
		server_watch(w, s);
	}
	if (c->busy->settings_wait && server_is_quiet(s))
		c->busy->settings_wait = false;
	return c->busy->settings_wait;
}

enum status forward_prefix(struct worker *w, struct client *c)
{
	struct server *s = c->server;
	enum status st;

	if (c->txn == TXN_FAILED) /* nothing is accepted there but its end */
		return OK;
	st = put_first(w, c);
	if (st == OK && c->txn == TXN_DEFERRED && !c->busy->begin_sent)
		st = put_deferred(c, s);
	return st;
}

enum status forward_welcome(struct worker *w, struct client *c)
{
	struct server *s = c->server;
	enum status st = OK;

	if (s->is_bare)
		st = put_bare(s);
	if (st == OK) {
		/* What it has already is taken back first, so that it tells all that they come to.
		 */
		struct settings *none = settings_empty(w->settings);

		st = put_settings(w, c, none, OWED_TAG_SETUP);
		settings_unref(w->settings, none);
	}
	if (st == OK)
		st = put_settings(w, c, c->set.current, OWED_TAG_WELCOME);
	conn_flush(s->conn);
	return st;
}

COLD void going_pin_unjudged(struct going *g)
{
	static const char text[] = "a query too large to be judged";

	pins_add(&g->c->busy->pins, &g->w->sh->pins, PIN_UNKNOWN, g->w->now_us, text,
		sizeof text - 1);
}

static enum status go_execute(struct going *g)
{
	struct effects *e = g->c->busy->bound;

	if (g->len > FRAME_HEAD_LEN && g->p[FRAME_HEAD_LEN] != '\0')
		g->c->busy->end_unsure = g->c->busy->end_unsure || g->c->busy->end_bound;
	g->c->busy->bound = NULL;
	g->query = g->c->busy->bound_query;
	going_put_verbatim(g);
	return going_owe(
		g, OWED_EXECUTE, OWED_CLIENT, e != NULL ? OWED_TAG_EFFECTS : OWED_TAG_NONE, 0, e);
}

static enum status go_query(struct going *g)
{
	struct client *c = g->c;
	struct effects *e = NULL;
	struct effects_of of = {.sql = NULL};
	struct sql_verdict v;
	struct msg_query m;
	enum status st = OK;

	if (g->in_unit && frontend_read_query(frame_body(g->p, &g->f), &m) == OK) {
		g->query = queries_of_simple(g->w, c, m.sql, m.sql_len);
		if (trace_may_be(m.sql, m.sql_len))
			(void)trace_read(m.sql, m.sql_len, g->s->trace);
	}
	if (!g->in_unit) {
		c->busy->end_unsure = true;
		going_pin_unjudged(g);
	} else if (going_has_ahead(c, c->busy->unit.has_effects, c->busy->unit.flags)) {
		if (frontend_read_query(frame_body(g->p, &g->f), &m) != OK)
			return E_PROTO;
		(void)judge_word(g->w, c, m.sql, m.sql_len, &v);
		c->busy->parse_differs =
			c->busy->parse_differs || prepared_differs(m.sql, c->sql_opts, &v);
		st = sqlstmt_ahead(g->w, c, m.sql, &v, true, 0);
		of.sql = m.sql;
		of.v = &v;
		if (st == OK)
			st = effects_begin(g->w, c, g->s, &of, &e);
		if (st != OK)
			return st;
	}
	going_put_verbatim(g);
	return going_owe(g, OWED_QUERY, OWED_CLIENT, e != NULL ? OWED_TAG_EFFECTS : OWED_TAG_NONE,
		g->unit_len, e);
}

static bool ends_in_flush(const struct going *g)
{
	return g->f.type == FRONTEND_FLUSH && g->unit != NULL &&
	       g->p + g->len == g->unit + g->unit_len;
}

/* A Flush that ends its unit: the server is let go when it has answered. */
static enum status go_flush(struct going *g)
{
	uint8_t buf[8];
	struct wr out = wr_of(buf, sizeof buf);

	frontend_put_sync(&out);
	going_put(g->s, &out);
	g->c->busy->unnamed_parsed = false;
	return going_owe(g, OWED_SYNC, OWED_CLIENT, OWED_TAG_FLUSH, g->unit_len, NULL);
}

/* The server would ignore it, and we must not note what it will not do: it is not sent. */
static bool is_skipped(const struct going *g)
{
	return g->s->owed.skipping && g->f.type != FRONTEND_SYNC && !ends_in_flush(g) &&
	       frontend_infos[g->f.type].flags & FRONTEND_IS_EXTENDED;
}

static enum status go(struct going *g)
{
	if (is_skipped(g))
		return OK;
	g->bind = NULL;
	g->in_use = 0;
	g->executes = false;
	switch ((enum frontend_type)g->f.type) {
	case FRONTEND_QUERY:
		return go_query(g);
	case FRONTEND_PARSE:
		return going_parse(g);
	case FRONTEND_BIND:
		return going_bind(g);
	case FRONTEND_DESCRIBE:
		return going_describe(g);
	case FRONTEND_CLOSE:
		return going_close(g);
	case FRONTEND_EXECUTE:
		return go_execute(g);
	case FRONTEND_SYNC:
		going_put_verbatim(g);
		g->c->busy->unnamed_parsed = false;
		return going_owe(g, OWED_SYNC, OWED_CLIENT, OWED_TAG_NONE, g->unit_len, NULL);
	case FRONTEND_FUNCTION_CALL:
		going_put_verbatim(g);
		return going_owe(g, OWED_FUNCTION, OWED_CLIENT, OWED_TAG_NONE, g->unit_len, NULL);
	case FRONTEND_COPY_DONE:
	case FRONTEND_COPY_FAIL:
		going_put_verbatim(g);
		return going_owe(g, OWED_COPY_END, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	case FRONTEND_FLUSH:
		if (ends_in_flush(g))
			return go_flush(g);
		going_put_verbatim(g);
		return OK;
	case FRONTEND_COPY_DATA:
		going_put_verbatim(g);
		return OK;
	case FRONTEND_PASSWORD:
	case FRONTEND_TERMINATE:
		break;
	}
	return E_PROTO;
}

static void begin_unit(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	s->units++;
	s->unit_begun_us = w->now_us;
	s->pool->outstanding++;
	w->counts.units++;
	server_watch(w, s);
}

/* What may stand ahead of the first statement of a unit that can be sent again without it. */
static bool goes_ahead(uint8_t type)
{
	return type == FRONTEND_PARSE || type == FRONTEND_CLOSE;
}

enum status forward_unit(struct worker *w, struct client *c, const uint8_t *data, uint32_t *sent)
{
	struct going g = {.w = w,
		.c = c,
		.s = c->server,
		.unit = data,
		.in_unit = true,
		.is_first = true,
		.unit_len = c->busy->unit.len};
	bool alone = c->txn == TXN_NONE && g.s->owed.n_client == 0 &&
		     (!c->busy->unit_retained || !g.s->in_recovery);
	enum status st = OK;
	uint32_t at = 0;

	if (c->listening != NULL && notify_shows_channels(c, data))
		st = notify_put_channels(w, c);
	if (st == OK)
		st = forward_prefix(w, c);
	if (c->busy->unit.flags & (SQLV_USES_SEQ | SQLV_MAY_ADVANCE) && c->busy->unit.runs &&
		st == OK)
		st = sequences_ahead(w, c, c->busy->unit.flags);
	c->busy->unnamed_parsed = false;
	g.s->trace[0] = '\0';
	if (c->busy->unit.has_effects && c->busy->unit.cls != SQL_TXN)
		c->busy->block_differs = true;
	if (c->busy->unit.has_effects || c->txn == TXN_OPEN)
		settings_txn_begin(&c->set);
	while (at < c->busy->unit.len && st == OK) {
		g.p = data + at;
		st = frame_peek(g.p, c->busy->unit.len - at, FRAME_LEN_MAX, &g.f);
		if (st != OK)
			break;
		g.len = g.f.total;
		st = go(&g);
		if (st == E_AGAIN)
			break;
		if (g.is_first && !goes_ahead(g.f.type)) {
			g.is_first = false;
			g.s->kept_len = 0;
			if (g.is_numbered && alone)
				prepared_keep(g.s, data + at, c->busy->unit.len - at);
		}
		at += g.f.total;
	}
	*sent = at;
	if (st == E_AGAIN) /* the rest follows as a stream */
		return st;
	activity_keep(g.s, data, c->busy->unit.len);
	begin_unit(w, c);
	conn_flush(g.s->conn);
	return st;
}

enum status forward_again(struct worker *w, struct client *c)
{
	struct server *s = c->server;
	uint32_t len = s->kept_len, at = 0;
	struct going g = {
		.w = w, .c = c, .s = s, .unit = s->kept, .in_unit = true, .unit_len = len};
	enum status st = OK;

	s->kept_len = 0; /* once */
	while (at < len && st == OK) {
		g.p = s->kept + at;
		st = frame_peek(g.p, len - at, FRAME_LEN_MAX, &g.f);
		if (st != OK)
			break;
		g.len = g.f.total;
		at += g.f.total;
		st = go(&g);
	}
	conn_flush(s->conn);
	return st;
}

enum status forward_message(
	struct worker *w, struct client *c, const uint8_t *data, size_t len, size_t *used)
{
	struct going g = {.w = w, .c = c, .s = c->server, .p = data};
	const struct frontend_info *info;
	enum status st = frame_peek(data, len, FRAME_LEN_MAX, &g.f);

	*used = 0;
	if (st != OK)
		return st == E_AGAIN ? OK : st;
	info = &frontend_infos[g.f.type];
	if (info->flags & FRONTEND_IS_SMALL && !frame_is_complete(&g.f, len))
		return OK; /* forwarded whole or not at all */
	g.len = frame_part(g.f.total, len);
	c->busy->body_dropped = is_skipped(&g); /* what comes of it later, too */
	st = go(&g);
	if (st == E_AGAIN)
		return OK; /* the names of a Bind, or a named Parse, are not complete */
	if (st != OK)
		return st;
	if (g.f.type == FRONTEND_QUERY || g.f.type == FRONTEND_PARSE || g.f.type == FRONTEND_BIND)
		activity_keep(g.s, data, g.len);
	*used = g.len;
	c->busy->body_left = (uint32_t)(g.f.total - g.len);
	g.s->in_message = c->busy->body_left != 0 && !c->busy->body_dropped;
	if (info->flags & FRONTEND_ENDS_UNIT)
		begin_unit(w, c);
	return OK;
}
