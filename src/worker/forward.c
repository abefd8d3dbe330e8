#include "worker/forward.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/frontend.h"
#include "state/settings_diff.h"
#include "worker/activity.h"
#include "worker/effects.h"
#include "worker/judge.h"
#include "worker/notify.h"
#include "worker/relay.h"

#define NO_IDLE_TIMEOUT "SET idle_session_timeout = 0"
#define MISSING_NAME    "pgweir_missing" /* no server ever has a statement of this name */
#define HEAD_MAX        512u             /* rewritten head of a Parse or Bind, names included */

/* One message on its way, or its head and what has come of the rest. */
struct going {
	struct worker *w;
	struct client *c;
	struct server *s;
	const uint8_t *p; /* the message */
	size_t len;       /* bytes of it that are there */
	struct frame f;
	bool in_unit;      /* part of a complete unit */
	uint32_t unit_len; /* of that unit, for the entry that ends it */
};

static enum status owe(struct going *g, enum owed_kind kind, enum owed_who who, uint16_t tag,
	uint64_t no, void *ref)
{
	struct owed_entry e = {.kind = (uint8_t)kind, .who = (uint8_t)who, .tag = tag, .no = no};
	enum status st;

	e.ref = ref;
	if (owed_is_ignored(&g->s->owed, kind)) {
		relay_entry_lost(g->w, g->s, e);
		return OK;
	}
	st = owed_push(&g->s->owed, e);
	if (st != OK)
		relay_entry_lost(g->w, g->s, e);
	return st;
}

static void put(struct server *s, const struct wr *out)
{
	PANIC_IF(out->bad);
	conn_put_copy(s->conn, out->buf, out->len);
}

/* The message as it is, as far as it has come. */
static void put_verbatim(struct going *g)
{
	conn_put(g->s->conn, g->p, g->len);
}

enum status forward_hidden(struct server *s, const char *sql, enum owed_tag tag)
{
	uint8_t head[8];
	struct wr out = wr_of(head, sizeof head);
	size_t n = strlen(sql) + 1;
	enum status st = owed_push(&s->owed,
		(struct owed_entry){.kind = OWED_QUERY, .who = OWED_HIDDEN, .tag = (uint16_t)tag});

	if (st != OK)
		return st;
	wr_u8(&out, FRONTEND_QUERY);
	wr_u32(&out, (uint32_t)n + FRAME_LEN_MIN);
	put(s, &out);
	conn_put_copy(s->conn, sql, n);
	return OK;
}

/* --- what goes ahead --- */

static enum status put_settings(
	struct worker *w, struct server *s, struct settings *to, uint16_t tag)
{
	size_t cap, got;
	struct settings_diff d;
	uint8_t *buf;
	struct wr out;
	enum status st = OK;

	if (s->settings == to)
		return OK;
	cap = settings_diff_len_max(s->settings, to);
	buf = cap <= BUFPOOL_MAX ? bufpool_take(loop_bufpool(w->loop), cap, &got) : NULL;
	if (buf == NULL)
		return E_NOMEM;
	out = wr_of(buf, got);
	d = settings_diff_write(s->settings, to, &out);
	PANIC_IF(out.bad);
	for (unsigned i = 0; i < d.n_msgs && st == OK; i++)
		st = owed_push(&s->owed,
			(struct owed_entry){.kind = OWED_QUERY, .who = OWED_HIDDEN, .tag = tag});
	if (st == OK) {
		conn_put_copy(s->conn, buf, out.len);
		server_set_settings(w, s, to);
	}
	bufpool_give(loop_bufpool(w->loop), buf, got);
	return st;
}

static enum status put_bare(struct server *s)
{
	s->is_bare = false;
	return s->version_num >= 140000 ? forward_hidden(s, NO_IDLE_TIMEOUT, OWED_TAG_SETUP) : OK;
}

static enum status put_deferred(struct client *c, struct server *s)
{
	const char *sql = c->deferred->sql;
	enum status st = OK;

	for (uint32_t i = 0; i < c->deferred->n && st == OK; i++) {
		st = forward_hidden(s, sql, OWED_TAG_BEGIN);
		sql += strlen(sql) + 1;
	}
	c->begin_sent = true;
	c->block_differs = c->deferred->n > 1;
	return st;
}

enum status forward_prefix(struct worker *w, struct client *c)
{
	struct server *s = c->server;
	enum status st = OK;

	if (c->prefix_due) {
		c->prefix_due = false;
		if (s->is_bare)
			st = put_bare(s);
		if (st == OK)
			st = put_settings(
				w, s, c->set.current, c->rediff ? OWED_TAG_REDIFF : OWED_TAG_DIFF);
		c->rediff = false;
	}
	if (st == OK && c->txn == TXN_DEFERRED && !c->begin_sent)
		st = put_deferred(c, s);
	return st;
}

enum status forward_welcome(struct worker *w, struct client *c)
{
	struct server *s = c->server;
	enum status st = OK;

	if (s->is_bare)
		st = put_bare(s);
	if (st == OK && s->settings == c->set.current) {
		/* It has them already: take them back first, so that it tells what they come to. */
		struct settings *none = settings_empty(w->settings);

		st = put_settings(w, s, none, OWED_TAG_SETUP);
		settings_unref(w->settings, none);
	}
	if (st == OK)
		st = put_settings(w, s, c->set.current, OWED_TAG_WELCOME);
	conn_flush(s->conn);
	return st;
}

/* --- prepared statements --- */

static enum status put_close_hidden(struct going *g, uint64_t number)
{
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	char name[STMT_SERVER_NAME_MAX];

	stmt_server_name(number, name);
	frontend_put_close(&out, 'S', name);
	put(g->s, &out);
	return owe(g, OWED_CLOSE, OWED_HIDDEN, OWED_TAG_NONE, number, NULL);
}

/* Room for one more statement on the server; its number. */
static enum status lru_add(struct going *g, struct stmt *st, uint64_t *number)
{
	uint64_t victim;
	enum status rc = stmt_lru_add(&g->s->stmts, st, number, &victim);

	if (rc == OK && victim != 0)
		rc = put_close_hidden(g, victim);
	return rc;
}

/* A Parse of ours ahead of a message that needs the statement. */
static enum status put_parse_hidden(struct going *g, struct stmt *st, uint64_t *number)
{
	uint8_t head[HEAD_MAX];
	struct wr out = wr_of(head, sizeof head);
	char name[STMT_SERVER_NAME_MAX];
	uint8_t n_types[2] = {(uint8_t)(st->n_types >> 8), (uint8_t)st->n_types};
	enum status rc = lru_add(g, st, number);

	if (rc != OK)
		return rc;
	stmt_server_name(*number, name);
	wr_u8(&out, FRONTEND_PARSE);
	wr_u32(&out, (uint32_t)(FRAME_LEN_MIN + strlen(name) + 1 + st->query_len + 1 + 2 +
				st->n_types * 4u));
	wr_cstr(&out, name);
	put(g->s, &out);
	conn_put_copy(g->s->conn, st->query, st->query_len + 1u);
	conn_put_copy(g->s->conn, n_types, 2);
	conn_put_copy(g->s->conn, st->types, st->n_types * 4u);
	g->c->db->stats.server_parses++;
	return owe(g, OWED_PARSE, OWED_HIDDEN, OWED_TAG_PARSE_HIDDEN, *number, stmt_ref(st));
}

/* The number of `st` on the server, prepared there first if need be. */
static enum status need_stmt(struct going *g, struct stmt *st, uint64_t *number)
{
	*number = stmt_lru_use(&g->s->stmts, st);
	return *number != 0 ? OK : put_parse_hidden(g, st, number);
}

static void *name_note_new(const char *name, bool is_duplicate)
{
	size_t n = strlen(name) + 1;
	struct name_note *note = malloc(sizeof *note + n);

	if (note == NULL)
		return NULL;
	note->is_duplicate = is_duplicate;
	memcpy(note->name, name, n);
	return note;
}

static struct parse_note *parse_note_new(const char *name, struct stmt *st, uint64_t number)
{
	size_t n = strlen(name) + 1;
	struct parse_note *note = malloc(sizeof *note + n);

	if (note == NULL)
		return NULL;
	note->stmt = stmt_ref(st);
	note->number = number;
	note->good = 0;
	memcpy(note->name, name, n);
	return note;
}

enum status forward_intern(
	struct worker *w, struct client *c, const struct msg_parse *m, struct stmt **out)
{
	struct stmt_text text = {.query = m->sql,
		.query_len = m->sql_len,
		.n_types = m->n_types,
		.types = m->types,
		.parse = settings_parse_key(c->set.current)};

	return stmt_intern(w->stmts, &text, out);
}

/* The head of a Parse with another name, then the rest of the message as it is. */
static void put_parse_as(struct going *g, const struct msg_parse *m, const char *name)
{
	uint8_t head[HEAD_MAX];
	struct wr out = wr_of(head, sizeof head);

	frontend_put_parse_head(&out, m, frame_body_len(&g->f), name);
	put(g->s, &out);
	conn_put(g->s->conn, g->p + FRAME_HEAD_LEN + m->tail_at,
		g->len - FRAME_HEAD_LEN - m->tail_at);
}

/* The name is taken: let the server say so, in its own time and with all consequences. */
static enum status put_parse_duplicate(
	struct going *g, const struct msg_parse *m, struct stmt_name *taken)
{
	char name[STMT_SERVER_NAME_MAX];
	uint64_t number;
	void *note;
	enum status st = need_stmt(g, taken->stmt, &number);

	if (st != OK)
		return st;
	note = name_note_new(m->name, true);
	if (note == NULL)
		return E_NOMEM;
	stmt_server_name(number, name);
	put_parse_as(g, m, name);
	return owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
}

/*
 * Would another client's Parse have the same answer? Not if this one has something of its own (a
 * temporary table, SET LOCAL, what it has created and not committed), or if its server is a
 * replica, which may not know yet what was dropped.
 */
static bool parses_as_for_all(const struct client *c, const struct server *s)
{
	return !s->in_recovery && !c->block_differs && !c->schema_sent && !pins_any(&c->pins) &&
	       !(c->unit.flags & SQLV_SCHEMA);
}

static enum status put_parse_named(struct going *g, const struct msg_parse *m, struct stmt *st)
{
	char name[STMT_SERVER_NAME_MAX];
	struct parse_note *note;
	uint64_t number = stmt_lru_use(&g->s->stmts, st);
	bool is_there = number != 0;
	enum status rc = OK;

	if (!is_there)
		rc = lru_add(g, st, &number);
	if (rc != OK)
		return rc;
	note = parse_note_new(m->name, st, is_there ? 0 : number);
	if (note == NULL)
		return E_NOMEM;
	if (is_there)
		return owe(g, OWED_PARSE, OWED_SYNTH, OWED_TAG_PARSE_NAMED, number, note);
	if (parses_as_for_all(g->c, g->s))
		note->good = account_parse_mark(g->w, g->c->acc);
	stmt_server_name(number, name);
	put_parse_as(g, m, name);
	g->c->db->stats.server_parses++;
	return owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_PARSE_NAMED, number, note);
}

static COLD void pin_unjudged(struct going *g)
{
	static const char text[] = "a query too large to be judged";

	pins_add(&g->c->pins, &g->w->sh->pins, PIN_UNKNOWN, g->w->now_us, text, sizeof text - 1);
}

/*
 * The unnamed statement of a unit was judged with it; in a stream nobody has looked at it yet.
 * E_AGAIN: it is not complete.
 */
static COLD enum status judge_streamed(struct going *g)
{
	struct client *c = g->c;

	if (frame_body_len(&g->f) > UNNAMED_KEEP_MAX) {
		pin_unjudged(g);
		if (c->unnamed != NULL)
			c->unnamed->len = 0;
		return OK;
	}
	if (!frame_is_complete(&g->f, g->len))
		return E_AGAIN;
	judge_unnamed(g->w, c, frame_body(g->p, &g->f));
	return OK;
}

static enum status go_parse(struct going *g)
{
	struct client *c = g->c;
	struct stmt_name *name;
	struct msg_parse m;
	struct stmt *stmt;
	enum status st;

	if (g->len == FRAME_HEAD_LEN)
		return E_AGAIN; /* whether it has a name is not known yet */
	if (c->verbatim || g->p[FRAME_HEAD_LEN] == '\0') {
		if (!g->in_unit && !c->verbatim && (st = judge_streamed(g)) != OK)
			return st;
		c->db->stats.client_parses++;
		put_verbatim(g);
		g->c->unnamed_parsed = true;
		if (!c->verbatim)
			c->db->stats.server_parses++;
		return owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	if (!frame_is_complete(&g->f, g->len))
		return g->f.total <= g->w->client_limits.rx_keep_max ? E_AGAIN : E_LIMIT;
	c->db->stats.client_parses++;
	if (frontend_read_parse(frame_body(g->p, &g->f), &m) != OK)
		return E_PROTO;
	st = forward_intern(g->w, g->c, &m, &stmt);
	if (st != OK)
		return st;
	name = stmt_names_find(&c->names, m.name);
	if (name == NULL)
		st = stmt_names_put(&c->names, m.name, stmt, &name);
	else if (!c->force_primary || name->stmt != stmt) /* not this very Parse, run again */
		st = E_EXISTS;
	if (st == OK)
		st = put_parse_named(g, &m, stmt);
	else if (st == E_EXISTS)
		st = put_parse_duplicate(g, &m, name);
	stmt_unref(g->w->stmts, stmt);
	return st;
}

/* The effects of the statement that is bound go with the Execute that follows. */
static enum status bind_effects(struct going *g, const char *sql, size_t len, bool has_effects)
{
	struct client *c = g->c;
	struct sql_verdict v;

	effects_free(c->bound);
	c->bound = NULL;
	if (!has_effects)
		return OK;
	(void)judge_word(g->w, c, sql, len, &v);
	return effects_begin(g->w, c, g->s, sql, &v, &c->bound);
}

/* The unnamed statement of an earlier unit: it is kept as text, and prepared under a number. */
static enum status revive_unnamed(struct going *g, uint64_t *number)
{
	struct unnamed *u = g->c->unnamed;
	struct msg_parse m;
	struct stmt *stmt;
	enum status st;

	if (u == NULL || u->len == 0 || frontend_read_parse(rd_of(u->body, u->len), &m) != OK)
		return E_NOTFOUND;
	st = forward_intern(g->w, g->c, &m, &stmt);
	if (st != OK)
		return st;
	st = need_stmt(g, stmt, number);
	if (st == OK)
		st = bind_effects(g, m.sql, m.sql_len, judge_has_effects(u->word));
	stmt_unref(g->w->stmts, stmt);
	return st;
}

/*
 * What the client's statement `name` is called on this server, prepared if need be; "" if it goes
 * as it is. E_NOTFOUND: the client has no such statement.
 */
static enum status server_name_of(struct going *g, const char *name, char out[STMT_SERVER_NAME_MAX])
{
	struct client *c = g->c;
	struct stmt_name *entry;
	uint64_t number;
	enum status st;

	out[0] = '\0';
	if (c->verbatim)
		return OK;
	if (name[0] == '\0') {
		if (c->unnamed_parsed)
			return OK;
		st = revive_unnamed(g, &number);
	} else {
		entry = stmt_names_find(&c->names, name);
		if (entry == NULL)
			return E_NOTFOUND;
		st = need_stmt(g, entry->stmt, &number);
	}
	if (st == OK)
		stmt_server_name(number, out);
	return st;
}

/* Effects of what a Bind binds, when it is not the revived unnamed statement. */
static enum status effects_of_bind(struct going *g, const struct msg_bind *m)
{
	struct client *c = g->c;
	struct stmt_name *entry;
	struct msg_parse p;

	if (m->stmt_len == 0 && !c->unnamed_parsed && !c->verbatim)
		return OK; /* revive_unnamed did it */
	if (m->stmt_len == 0 || c->verbatim) {
		if (c->unnamed == NULL || c->unnamed->len == 0)
			return bind_effects(g, "", 0, false);
		if (!judge_has_effects(c->unnamed->word) ||
			frontend_read_parse(rd_of(c->unnamed->body, c->unnamed->len), &p) != OK)
			return bind_effects(g, "", 0, false);
		return bind_effects(g, p.sql, p.sql_len, true);
	}
	entry = stmt_names_find(&c->names, m->stmt);
	if (entry == NULL)
		return OK;
	return bind_effects(g, entry->stmt->query, entry->stmt->query_len,
		judge_has_effects(judge_stmt(g->w, c, entry)));
}

static void put_bind_as(struct going *g, const struct msg_bind *m, const char *name)
{
	uint8_t head[HEAD_MAX];
	struct wr out = wr_of(head, sizeof head);

	frontend_put_bind_head(&out, m, frame_body_len(&g->f), name);
	put(g->s, &out);
	conn_put(g->s->conn, g->p + FRAME_HEAD_LEN + m->tail_at,
		g->len - FRAME_HEAD_LEN - m->tail_at);
}

static enum status go_bind(struct going *g)
{
	char name[STMT_SERVER_NAME_MAX];
	struct msg_bind m;
	void *note;
	enum status st =
		frontend_read_bind(frame_body_part(g->p, &g->f, g->len), frame_body_len(&g->f), &m);

	if (st != OK)
		return st;
	if (m.portal_len > HEAD_MAX / 2)
		return E_LIMIT;
	g->c->db->stats.binds++;
	st = server_name_of(g, m.stmt, name);
	if (st == E_NOTFOUND) {
		note = name_note_new(m.stmt, false);
		if (note == NULL)
			return E_NOMEM;
		put_bind_as(g, &m, MISSING_NAME);
		return owe(g, OWED_BIND, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
	}
	if (st == OK)
		st = effects_of_bind(g, &m);
	if (st != OK)
		return st;
	if (name[0] == '\0')
		put_verbatim(g);
	else
		put_bind_as(g, &m, name);
	return owe(g, OWED_BIND, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
}

static enum status go_describe(struct going *g)
{
	char name[STMT_SERVER_NAME_MAX];
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	struct msg_target m;
	void *note;
	enum status st = frontend_read_target(frame_body(g->p, &g->f), &m);

	if (st != OK)
		return st;
	if (m.kind == 'P' || g->c->verbatim) {
		put_verbatim(g);
		return owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	st = server_name_of(g, m.name, name);
	if (st == E_NOTFOUND) {
		note = name_note_new(m.name, false);
		if (note == NULL)
			return E_NOMEM;
		frontend_put_describe(&out, 'S', MISSING_NAME);
		put(g->s, &out);
		return owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
	}
	if (st != OK)
		return st;
	if (name[0] == '\0') {
		put_verbatim(g);
	} else {
		frontend_put_describe(&out, 'S', name);
		put(g->s, &out);
	}
	return owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
}

static enum status go_close(struct going *g)
{
	struct msg_target m;
	char *name;
	enum status st = frontend_read_target(frame_body(g->p, &g->f), &m);

	if (st != OK)
		return st;
	if (m.kind == 'P' || g->c->verbatim) {
		put_verbatim(g);
		return owe(g, OWED_CLOSE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	name = strdup(m.name);
	if (name == NULL)
		return E_NOMEM;
	return owe(g, OWED_CLOSE, OWED_SYNTH, OWED_TAG_CLOSE_NAME, 0, name);
}

static enum status go_execute(struct going *g)
{
	struct effects *e = g->c->bound;

	g->c->bound = NULL;
	put_verbatim(g);
	return owe(
		g, OWED_EXECUTE, OWED_CLIENT, e != NULL ? OWED_TAG_EFFECTS : OWED_TAG_NONE, 0, e);
}

static enum status go_query(struct going *g)
{
	struct client *c = g->c;
	struct effects *e = NULL;
	struct sql_verdict v;
	struct msg_query m;
	enum status st = OK;

	if (!g->in_unit) {
		pin_unjudged(g);
	} else if (c->unit.has_effects) {
		if (frontend_read_query(frame_body(g->p, &g->f), &m) != OK)
			return E_PROTO;
		(void)judge_word(g->w, c, m.sql, m.sql_len, &v);
		st = effects_begin(g->w, c, g->s, m.sql, &v, &e);
		if (st != OK)
			return st;
	}
	put_verbatim(g);
	return owe(g, OWED_QUERY, OWED_CLIENT, e != NULL ? OWED_TAG_EFFECTS : OWED_TAG_NONE,
		g->unit_len, e);
}

static enum status go(struct going *g)
{
	struct server *s = g->s;

	/* The server would ignore it, and we must not note what it will not do. */
	if (s->owed.skipping && g->f.type != FRONTEND_SYNC &&
		frontend_infos[g->f.type].flags & FRONTEND_IS_EXTENDED)
		return OK;
	switch ((enum frontend_type)g->f.type) {
	case FRONTEND_QUERY:
		return go_query(g);
	case FRONTEND_PARSE:
		return go_parse(g);
	case FRONTEND_BIND:
		return go_bind(g);
	case FRONTEND_DESCRIBE:
		return go_describe(g);
	case FRONTEND_CLOSE:
		return go_close(g);
	case FRONTEND_EXECUTE:
		return go_execute(g);
	case FRONTEND_SYNC:
		put_verbatim(g);
		g->c->unnamed_parsed = false;
		return owe(g, OWED_SYNC, OWED_CLIENT, OWED_TAG_NONE, g->unit_len, NULL);
	case FRONTEND_FUNCTION_CALL:
		put_verbatim(g);
		return owe(g, OWED_FUNCTION, OWED_CLIENT, OWED_TAG_NONE, g->unit_len, NULL);
	case FRONTEND_COPY_DONE:
	case FRONTEND_COPY_FAIL:
		put_verbatim(g);
		return owe(g, OWED_COPY_END, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	case FRONTEND_FLUSH:
	case FRONTEND_COPY_DATA:
		put_verbatim(g);
		return OK;
	case FRONTEND_PASSWORD:
	case FRONTEND_TERMINATE:
		break;
	}
	return E_PROTO;
}

/*
 * What the server knows of sequences is another client's: this one's currval must not find it. In
 * a database where nobody has asked for one yet, advancing is left alone: every INSERT may.
 */
static enum status discard_sequences(struct client *c)
{
	struct server *s = c->server;

	if (s->seq_client == c->id || s->seq_client == 0 || s->txn_status == 'E' || c->verbatim)
		return OK;
	if (c->unit.flags & SQLV_MAY_ADVANCE && !c->db->seq_asked)
		return OK;
	s->seq_client = 0;
	return forward_hidden(s, "DISCARD SEQUENCES", OWED_TAG_SETUP);
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

enum status forward_unit(struct worker *w, struct client *c, const uint8_t *data)
{
	struct going g = {.w = w, .c = c, .s = c->server, .in_unit = true, .unit_len = c->unit.len};
	enum status st = OK;
	uint32_t at = 0;

	if (c->listening != NULL && notify_shows_channels(c, data))
		st = notify_put_channels(w, c);
	if (st == OK)
		st = forward_prefix(w, c);
	if (c->unit.flags & (SQLV_USES_SEQ | SQLV_MAY_ADVANCE) && st == OK)
		st = discard_sequences(c);
	c->unnamed_parsed = false;
	if (c->unit.has_effects && c->unit.cls != SQL_TXN)
		c->block_differs = true;
	if (c->unit.has_effects || c->txn == TXN_OPEN)
		settings_txn_begin(&c->set);
	while (at < c->unit.len && st == OK) {
		g.p = data + at;
		st = frame_peek(g.p, c->unit.len - at, FRAME_LEN_MAX, &g.f);
		if (st != OK)
			break;
		g.len = g.f.total;
		at += g.f.total;
		st = go(&g);
	}
	activity_keep(g.s, data, c->unit.len);
	begin_unit(w, c);
	conn_flush(g.s->conn);
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
	st = go(&g);
	if (st == E_AGAIN)
		return OK; /* the names of a Bind, or a named Parse, are not complete */
	if (st != OK)
		return st;
	if (g.f.type == FRONTEND_QUERY || g.f.type == FRONTEND_PARSE || g.f.type == FRONTEND_BIND)
		activity_keep(g.s, data, g.len);
	*used = g.len;
	c->body_left = (uint32_t)(g.f.total - g.len);
	g.s->in_message = c->body_left != 0;
	if (info->flags & FRONTEND_ENDS_UNIT)
		begin_unit(w, c);
	return OK;
}
