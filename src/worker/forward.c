#include "worker/forward.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/frontend.h"
#include "state/settings_diff.h"
#include "worker/activity.h"
#include "worker/custom.h"
#include "worker/effects.h"
#include "worker/entry.h"
#include "worker/judge.h"
#include "worker/notify.h"
#include "worker/prepared.h"
#include "worker/relay.h"
#include "worker/sequences.h"
#include "worker/sqlstmt.h"

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
	const uint8_t *unit; /* the complete unit that it is of, unit_len bytes; or NULL */
	bool in_unit;        /* part of a complete unit */
	bool is_first;       /* nothing ahead of it in the unit has run, or is bound */
	bool is_numbered;    /* the first statement of the unit has a number on the server */
	uint32_t unit_len;   /* of that unit, for the entry that ends it */
	const struct msg_bind *bind; /* while a Bind is on its way */
	uint64_t in_use;             /* number of what it binds; 0: none */
	bool executes; /* what is parsed is an EXECUTE, which each client means otherwise */
};

static enum status owe(struct going *g, enum owed_kind kind, enum owed_who who, uint16_t tag,
	uint64_t no, void *ref)
{
	struct owed_entry e = {.kind = (uint8_t)kind, .who = (uint8_t)who, .tag = tag, .no = no};
	enum status st;

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
	put(s, &out);
	conn_put_copy(s->conn, sql, n);
	return OK;
}

/* --- what goes ahead --- */

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
	d = settings_diff_write(s->settings, to, &names, &out);
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
	const struct deferred *d = c->deferred;
	enum status st = OK;
	const char *sql;
	uint32_t at = 0;

	while (st == OK && (sql = journal_next(&d->journal, &at)) != NULL)
		st = forward_hidden(s, sql, OWED_TAG_BEGIN);
	if (st == OK && d->snapshot)
		st = forward_hidden(s, "SELECT 1", OWED_TAG_SETUP);
	if (st == OK && d->failed)
		st = forward_hidden(
			s, "ROLLBACK TO SAVEPOINT " SERVER_NO_SAVEPOINT, OWED_TAG_SETUP);
	c->begin_sent = true;
	c->block_differs = d->journal.n > 1;
	return st;
}

enum status forward_prefix(struct worker *w, struct client *c)
{
	struct server *s = c->server;
	enum status st = OK;

	if (c->txn == TXN_FAILED) /* nothing is accepted there but its end */
		return OK;
	if (s->is_bare)
		st = put_bare(s);
	if (st == OK && c->prefix_due) {
		c->prefix_due = false;
		st = put_settings(
			w, c, c->set.current, c->rediff ? OWED_TAG_REDIFF : OWED_TAG_DIFF);
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

/* Changes of definitions so far; what is parsed from now on knows them. */
static uint64_t ddl_now(const struct worker *w)
{
	return atomic_load(&w->sh->ddl_no) + 1;
}

/* The client's transaction has definitions, settings or statements of its own, not for others. */
static bool parses_for_itself(const struct going *g)
{
	const struct client *c = g->c;

	return c->schema_sent || c->unit.flags & SQLV_SCHEMA || c->parse_differs || g->executes;
}

/* Room for one more statement on the server; its number. */
static enum status lru_add(struct going *g, struct stmt *st, uint64_t *number)
{
	struct stmt_lru_entry *entry;
	uint64_t victim;
	enum status rc = stmt_lru_add(&g->s->stmts, st, &entry, &victim);

	if (rc != OK)
		return rc;
	entry->is.ddl = ddl_now(g->w);
	entry->is_odd = parses_for_itself(g);
	g->s->has_odd = g->s->has_odd || entry->is_odd;
	*number = entry->number;
	return victim != 0 ? put_close_hidden(g, victim) : OK;
}

/* The server's copy is too old: it gives its place to a new one. */
static enum status lru_renew(struct going *g, struct stmt *st)
{
	uint64_t old = stmt_lru_remove(&g->s->stmts, st);

	return old != 0 ? put_close_hidden(g, old) : OK;
}

/*
 * Ahead of a Parse: what an EXECUTE names has to be there, since the server then notes what its
 * result looks like.
 */
static enum status parse_ahead(struct going *g, const char *sql, size_t len)
{
	struct sql_verdict v;

	if (g->in_unit && !g->c->unit.has_effects)
		return OK;
	(void)judge_word(g->w, g->c, sql, len, &v);
	g->executes = sqlstmt_executes(&v);
	return g->executes ? sqlstmt_ahead_of_parse(g->w, g->c, sql, &v) : OK;
}

/* A Parse of ours ahead of a message that needs the statement. */
static enum status put_parse_hidden(struct going *g, struct stmt *st, uint64_t *number)
{
	uint8_t head[HEAD_MAX];
	struct wr out = wr_of(head, sizeof head);
	char name[STMT_SERVER_NAME_MAX];
	uint8_t n_types[2] = {(uint8_t)(st->n_types >> 8), (uint8_t)st->n_types};
	enum status rc = parse_ahead(g, st->query, st->query_len);

	if (rc == OK)
		rc = lru_add(g, st, number);
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
	const struct stmt_lru_entry *entry = stmt_lru_use(&g->s->stmts, st);

	if (entry == NULL)
		return put_parse_hidden(g, st, number);
	*number = entry->number;
	return OK;
}

static void *name_note_new(const char *name, enum name_error error)
{
	size_t n = strlen(name) + 1;
	struct name_note *note = malloc(sizeof *note + n);

	if (note == NULL)
		return NULL;
	note->error = error;
	memcpy(note->name, name, n);
	return note;
}

/* Ask what the statement's result looks like on the server; prepared_told hears the answer. */
static enum status put_describe_hidden(struct going *g, const char *client_name, uint64_t number)
{
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	char name[STMT_SERVER_NAME_MAX];
	void *note = prepared_note_new(g->c, client_name, "", number);

	if (note == NULL)
		return E_NOMEM;
	stmt_server_name(number, name);
	frontend_put_describe(&out, 'S', name);
	put(g->s, &out);
	return owe(g, OWED_DESCRIBE, OWED_HIDDEN, OWED_TAG_SHAPE, number, note);
}

static struct parse_note *parse_note_new(
	const struct stmt_name *entry, struct stmt *st, uint64_t number)
{
	size_t n = entry->name_len + 1u;
	struct parse_note *note = malloc(sizeof *note + n);

	if (note == NULL)
		return NULL;
	note->stmt = stmt_ref(st);
	note->number = number;
	note->good = 0;
	note->serial = entry->serial;
	memcpy(note->name, entry->name, n);
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
	note = name_note_new(m->name, NAME_IS_TAKEN);
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

static enum status put_parse_named(
	struct going *g, const struct msg_parse *m, const struct stmt_name *as)
{
	char name[STMT_SERVER_NAME_MAX];
	struct stmt *st = as->stmt;
	struct parse_note *note;
	const struct stmt_lru_entry *entry = stmt_lru_use(&g->s->stmts, st);
	/* In a failed transaction only the server knows what it still accepts. */
	bool is_there = entry != NULL && entry->is.ddl == ddl_now(g->w) && !parses_for_itself(g) &&
			g->c->txn != TXN_FAILED;
	uint64_t number = is_there ? entry->number : 0;
	enum status rc = OK;

	if (!is_there && entry != NULL)
		rc = lru_renew(g, st);
	if (!is_there && rc == OK)
		rc = lru_add(g, st, &number);
	if (rc != OK)
		return rc;
	note = parse_note_new(as, st, is_there ? 0 : number);
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

/* A Parse that there is no room for: the server makes an error, which is replaced. */
static COLD enum status put_parse_refused(struct going *g, const char *name)
{
	static const char wrong[] = "(";
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	void *note = name_note_new(name, NAME_IS_TOO_MUCH);

	if (note == NULL)
		return E_NOMEM;
	frontend_put_parse(&out, MISSING_NAME, wrong, sizeof wrong - 1, NULL, 0);
	put(g->s, &out);
	return owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
}

/*
 * A named statement too large to be kept: it goes to the server under its own name, and the client
 * stays with the server.
 */
static COLD enum status put_parse_large(struct going *g)
{
	static const char text[] = "a prepared statement too large to be kept";
	struct client *c = g->c;
	const char *name = (const char *)g->p + FRAME_HEAD_LEN;
	char *note;
	enum status st;

	if (memchr(name, '\0', g->len - FRAME_HEAD_LEN) == NULL)
		return g->len <= STMT_NAME_MAX + FRAME_HEAD_LEN ? E_AGAIN : E_LIMIT;
	if ((note = strdup(name)) == NULL)
		return E_NOMEM;
	st = sqlstmt_large(g->w, c, name);
	if (st != OK && st != E_EXISTS) {
		free(note);
		return st;
	}
	c->db->stats.client_parses++;
	c->db->stats.server_parses++;
	put_verbatim(g);
	if (st == E_EXISTS) {
		free(note);
		return owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	pins_add(&c->pins, &g->w->sh->pins, PIN_LARGE_STATEMENT, g->w->now_us, text,
		sizeof text - 1);
	return owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_SQL, 0, note);
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

/* Session mode: what the statement may leave in the server for ever. E_AGAIN: as judge_streamed. */
static COLD enum status trace_verbatim(struct going *g)
{
	struct sql_verdict v;
	struct msg_parse m;

	if (!frame_is_complete(&g->f, g->len)) {
		if (g->f.total <= g->w->client_limits.rx_keep_max)
			return E_AGAIN;
		g->s->dirt |= CLEAN(CLOSE);
		return OK;
	}
	if (frontend_read_parse(frame_body(g->p, &g->f), &m) != OK)
		return E_PROTO;
	(void)judge_word(g->w, g->c, m.sql, m.sql_len, &v);
	effects_trace(g->w, g->c, g->s, m.sql, &v);
	return OK;
}

/*
 * The last unnamed statement of a unit was judged with the unit; here are those before it, of which
 * the Binds that follow are, and those that nobody has judged.
 */
static enum status judge_unnamed_again(struct going *g)
{
	struct client *c = g->c;

	if (c->verbatim)
		return g->in_unit && !c->unit.has_effects ? OK : trace_verbatim(g);
	if (!g->in_unit)
		return judge_streamed(g);
	if (c->unit.has_effects && c->unit.n_stmts > 1)
		judge_unnamed(g->w, c, frame_body(g->p, &g->f));
	return OK;
}

static enum status parse_ahead_of_unnamed(struct going *g)
{
	const struct unnamed *u = g->c->unnamed;
	struct msg_parse m;

	if (g->c->verbatim || u == NULL || u->len == 0 || !judge_has_effects(u->word) ||
		frontend_read_parse(rd_of(u->body, u->len), &m) != OK)
		return OK;
	return parse_ahead(g, m.sql, m.sql_len);
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
		if ((st = judge_unnamed_again(g)) != OK || (st = parse_ahead_of_unnamed(g)) != OK)
			return st;
		c->db->stats.client_parses++;
		put_verbatim(g);
		g->c->unnamed_parsed = true;
		c->unnamed_serial++;
		if (c->unnamed != NULL) {
			c->unnamed->is_closed = false;
			c->unnamed->seen = (struct stmt_seen){.ddl = ddl_now(g->w)};
		}
		if (!c->verbatim)
			c->db->stats.server_parses++;
		return owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	if (!frame_is_complete(&g->f, g->len))
		return g->f.total <= g->w->client_limits.rx_keep_max ? E_AGAIN : put_parse_large(g);
	if (frontend_read_parse(frame_body(g->p, &g->f), &m) != OK)
		return E_PROTO;
	c->db->stats.client_parses++;
	if ((st = parse_ahead(g, m.sql, m.sql_len)) != OK)
		return st;
	st = forward_intern(g->w, g->c, &m, &stmt);
	if (st == E_LIMIT)
		return put_parse_refused(g, m.name);
	if (st != OK)
		return st;
	name = stmt_names_find(&c->names, m.name);
	if (name == NULL)
		st = stmt_names_put(&c->names, m.name, stmt, &name);
	else if (!c->force_primary || name->stmt != stmt) /* not this very Parse, run again */
		st = E_EXISTS;
	if (st == OK) {
		name->seen.ddl = ddl_now(g->w);
		st = put_parse_named(g, &m, name);
	} else if (st == E_EXISTS) {
		st = put_parse_duplicate(g, &m, name);
	} else if (st == E_LIMIT) {
		st = put_parse_refused(g, m.name);
	}
	stmt_unref(g->w->stmts, stmt);
	return st;
}

/* The values of the Bind on its way, if all of it is there. */
static bool read_values(const struct going *g, struct msg_bind_tail *out)
{
	struct rd tail;

	if (g->bind == NULL || !frame_is_complete(&g->f, g->len))
		return false;
	tail = frame_body(g->p, &g->f);
	rd_skip(&tail, g->bind->tail_at);
	return frontend_read_bind_tail(tail, out) == OK;
}

/* Is there more to a statement than to pass it on: before it, or when it has run? */
static bool has_ahead(const struct client *c, bool has_effects, uint32_t flags)
{
	return has_effects || ((flags & SQLV_BODY) != 0 && sqlstmt_code_needs(c));
}

static bool word_has_ahead(const struct client *c, uint64_t word)
{
	return has_ahead(c, judge_has_effects(word), judge_flags(word));
}

/*
 * The effects of the statement that is bound go with the Execute that follows; its word was judged.
 */
static enum status bind_effects(struct going *g, const char *sql, size_t len, uint64_t word)
{
	struct client *c = g->c;
	struct effects_of of = {.sql = sql};
	struct msg_bind_tail values;
	struct sql_verdict v;
	enum status st;

	if (c->bound != NULL) { /* its portal may be executed all the same */
		effects_unsure(g->w, c, c->bound, true);
		effects_free(c->bound);
		c->bound = NULL;
	}
	if (!word_has_ahead(c, word))
		return OK;
	(void)judge_word(g->w, c, sql, len, &v);
	of.v = &v;
	if (read_values(g, &values))
		of.values = &values;
	c->parse_differs = c->parse_differs || prepared_differs(sql, c->sql_opts, &v);
	st = sqlstmt_ahead(g->w, c, sql, &v, false, g->in_use);
	if (st == OK)
		st = effects_begin(g->w, c, g->s, &of, &c->bound);
	/* A named portal may be executed later, or not at all. */
	if (st == OK && c->bound != NULL && g->bind != NULL && g->bind->portal_len != 0)
		effects_unsure(g->w, c, c->bound, true);
	return st;
}

/* What a name means on this server. */
struct meant {
	char name[STMT_SERVER_NAME_MAX]; /* "": it goes as it is */
	uint64_t number;                 /* 0: none */
	bool is_untold; /* the client does not know yet what its result looks like there */
};

/* The statement as the client's present settings read it; what is shared must not differ. */
static enum status follow_settings(struct going *g, struct stmt_name *entry)
{
	const struct stmt *st = entry->stmt;
	struct stmt_text text = {.query = st->query,
		.query_len = st->query_len,
		.n_types = st->n_types,
		.is_sql = st->is_sql,
		.types = st->types,
		.parse = settings_parse_key(g->c->set.current)};
	struct stmt *now;
	enum status rc = stmt_intern(g->w->stmts, &text, &now);

	if (rc != OK)
		return rc;
	stmt_names_change(&g->c->names, entry, now);
	stmt_unref(g->w->stmts, now);
	return OK;
}

/*
 * The client knows what its result looks like, the server has just got the Parse: the unit goes on
 * when it has told. On a replica, where nothing of the answer is passed on yet, it goes on at once.
 */
static enum status await_shape(struct going *g, const char *client_name, uint64_t number)
{
	uint8_t buf[8];
	struct wr out = wr_of(buf, sizeof buf);
	enum status st = put_describe_hidden(g, client_name, number);

	if (st != OK || g->c->holding)
		return st;
	frontend_put_flush(&out);
	put(g->s, &out);
	conn_flush(g->s->conn);
	g->c->checking = true;
	return E_AGAIN;
}

/* The rest of find_numbered: the server's statement is not there, or not what the client knows. */
static COLD enum status make_numbered(struct going *g, struct stmt *st,
	const struct stmt_seen *seen, const char *client_name, struct meant *out)
{
	struct stmt_lru_entry *entry = stmt_lru_use(&g->s->stmts, st);
	bool trusts = g->f.type == FRONTEND_BIND && seen->shape != 0 &&
		      !prepared_describes(g->unit, g->unit_len, g->p);
	enum status rc = OK;

	out->is_untold = true;
	if (entry != NULL && (entry->is.ddl < seen->ddl || (trusts && entry->is.shape == 0))) {
		rc = lru_renew(g, st);
		entry = NULL;
	}
	if (rc == OK && entry == NULL) {
		rc = put_parse_hidden(g, st, &out->number);
		return rc == OK && trusts ? await_shape(g, client_name, out->number) : rc;
	}
	if (rc != OK)
		return rc;
	out->number = entry->number;
	if (!trusts || entry->is.shape == seen->shape)
		return OK;
	prepared_ddl_found(g->w, entry);
	return E_INVALID;
}

/* The client's statement `st` on this server, prepared if need be. E_INVALID: see server_stmt. */
static enum status find_numbered(struct going *g, struct stmt *st, const struct stmt_seen *seen,
	const char *client_name, struct meant *out)
{
	const struct stmt_lru_entry *entry = stmt_lru_use(&g->s->stmts, st);
	enum status rc = OK;

	if (entry != NULL && entry->is.shape == seen->shape && entry->is.ddl >= seen->ddl) {
		out->number = entry->number;
		out->is_untold = seen->shape == 0;
	} else {
		rc = make_numbered(g, st, seen, client_name, out);
	}
	if (rc == OK)
		stmt_server_name(out->number, out->name);
	g->in_use = out->number;
	return rc;
}

/* The unnamed statement of an earlier unit: it is kept as text, and prepared under a number. */
static enum status revive_unnamed(struct going *g, struct meant *out)
{
	struct unnamed *u = g->c->unnamed;
	struct msg_parse m;
	struct stmt *stmt;
	enum status st;

	if (u == NULL || u->len == 0 || u->is_closed ||
		frontend_read_parse(rd_of(u->body, u->len), &m) != OK)
		return E_NOTFOUND;
	st = forward_intern(g->w, g->c, &m, &stmt);
	if (st != OK)
		return st;
	st = find_numbered(g, stmt, &u->seen, "", out);
	if (st == OK && g->f.type == FRONTEND_BIND)
		st = bind_effects(g, m.sql, m.sql_len, u->word);
	stmt_unref(g->w->stmts, stmt);
	return st;
}

/*
 * What the client's statement `name` is on this server, prepared if need be. E_NOTFOUND: the client
 * has no such statement. E_INVALID: its result has changed since the client was told of it.
 * E_AGAIN: whether it has changed is being asked; c->checking is set.
 */
static enum status server_stmt(struct going *g, const char *name, struct meant *out)
{
	struct client *c = g->c;
	struct stmt_name *entry;
	enum status st = OK;

	out->name[0] = '\0';
	out->number = 0;
	out->is_untold = false;
	if (c->verbatim)
		return OK;
	if (name[0] == '\0')
		return c->unnamed_parsed ? OK : revive_unnamed(g, out);
	entry = stmt_names_find(&c->names, name);
	if (entry == NULL)
		return E_NOTFOUND;
	if (entry->stmt->parse != settings_parse_key(c->set.current) &&
		!sqlstmt_is_large(entry->stmt))
		st = follow_settings(g, entry);
	if (st == OK && entry->stmt->is_sql) /* it has its own name there */
		return sqlstmt_need(g->w, c, entry);
	return st == OK ? find_numbered(g, entry->stmt, &entry->seen, entry->name, out) : st;
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
			return bind_effects(g, "", 0, 0);
		if (!word_has_ahead(c, c->unnamed->word) ||
			frontend_read_parse(rd_of(c->unnamed->body, c->unnamed->len), &p) != OK)
			return bind_effects(g, "", 0, 0);
		return bind_effects(g, p.sql, p.sql_len, c->unnamed->word);
	}
	entry = stmt_names_find(&c->names, m->stmt);
	if (entry == NULL || entry->stmt->is_sql)
		return OK;
	return bind_effects(
		g, entry->stmt->query, entry->stmt->query_len, judge_stmt(g->w, c, entry));
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

/* A Bind of what the client has no statement for, or no longer has: the server makes the error. */
static COLD enum status put_bind_refused(
	struct going *g, const struct msg_bind *m, enum name_error error)
{
	void *note = name_note_new(m->stmt, error);

	if (note == NULL)
		return E_NOMEM;
	put_bind_as(g, m, MISSING_NAME);
	return owe(g, OWED_BIND, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
}

/* The number of a statement for the entry of the message that uses it. */
static uint64_t numbered(struct going *g, uint64_t number)
{
	if (number == 0 || !g->is_first)
		return number;
	g->is_numbered = true;
	return number | PREPARED_FIRST;
}

/* What a Describe of the portal will tell is news for the client. */
static COLD enum status expect_shape(struct going *g, const struct msg_bind *m, uint64_t number)
{
	g->c->expected = prepared_note_new(g->c, m->stmt, m->portal, number);
	return g->c->expected != NULL ? OK : E_NOMEM;
}

static enum status go_bind(struct going *g)
{
	struct meant to;
	struct msg_bind m;
	enum status st =
		frontend_read_bind(frame_body_part(g->p, &g->f, g->len), frame_body_len(&g->f), &m);

	if (st != OK)
		return st;
	if (m.portal_len > HEAD_MAX / 2)
		return E_LIMIT;
	g->bind = &m;
	st = server_stmt(g, m.stmt, &to);
	if (st == E_AGAIN)
		return st;
	g->c->db->stats.binds++;
	if (g->c->expected != NULL) {
		free(g->c->expected);
		g->c->expected = NULL;
	}
	if (st == E_NOTFOUND)
		return put_bind_refused(g, &m, NAME_IS_MISSING);
	if (st == E_INVALID)
		return put_bind_refused(g, &m, NAME_HAS_ANOTHER_RESULT);
	if (st == E_LIMIT)
		return put_bind_refused(g, &m, NAME_IS_TOO_MUCH);
	if (st == OK)
		st = effects_of_bind(g, &m);
	if (st == OK && to.is_untold)
		st = expect_shape(g, &m, to.number);
	if (st != OK)
		return st;
	if (to.number == 0)
		put_verbatim(g);
	else
		put_bind_as(g, &m, to.name);
	return owe(g, OWED_BIND, OWED_CLIENT, OWED_TAG_NONE, numbered(g, to.number), NULL);
}

static enum status describe_portal(struct going *g, const struct msg_target *m)
{
	struct prepared_note *note = g->c->expected;

	put_verbatim(g);
	if (note == NULL || strcmp(note->portal, m->name) != 0)
		return owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	g->c->expected = NULL;
	return owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_SHAPE, note->number, note);
}

/* The unnamed statement, parsed in this series: it may be bound in another, elsewhere. */
static enum status describe_unnamed(struct going *g)
{
	struct unnamed *u = g->c->unnamed;

	put_verbatim(g);
	return owe(g, OWED_DESCRIBE, OWED_CLIENT, u != NULL ? OWED_TAG_SHAPE : OWED_TAG_NONE,
		g->c->unnamed_serial, NULL);
}

static enum status go_describe(struct going *g)
{
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	struct meant to;
	struct msg_target m;
	void *note = NULL;
	enum status st = frontend_read_target(frame_body(g->p, &g->f), &m);

	if (st != OK)
		return st;
	if (m.kind == 'P' && !g->c->verbatim)
		return describe_portal(g, &m);
	if (m.kind == 'P' || g->c->verbatim) {
		put_verbatim(g);
		return owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	st = server_stmt(g, m.name, &to);
	if (st == E_NOTFOUND) {
		note = name_note_new(m.name, NAME_IS_MISSING);
		if (note == NULL)
			return E_NOMEM;
		frontend_put_describe(&out, 'S', MISSING_NAME);
		put(g->s, &out);
		return owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
	}
	if (st == OK && to.number == 0 && m.name_len != 0) { /* made by PREPARE */
		put_verbatim(g);
		return owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	if (st == OK && to.number == 0)
		return describe_unnamed(g);
	if (st == OK && to.is_untold &&
		(note = prepared_note_new(g->c, m.name, "", to.number)) == NULL)
		st = E_NOMEM;
	if (st != OK)
		return st;
	frontend_put_describe(&out, 'S', to.name);
	put(g->s, &out);
	return owe(g, OWED_DESCRIBE, OWED_CLIENT, note != NULL ? OWED_TAG_SHAPE : OWED_TAG_NONE,
		numbered(g, to.number), note);
}

static struct close_note *close_note_new(struct stmt_names *names, const char *name)
{
	size_t n = strlen(name) + 1;
	struct stmt_name *entry = stmt_names_find(names, name);
	struct close_note *note = calloc(1, sizeof *note + n);

	if (note == NULL)
		return NULL;
	memcpy(note->name, name, n);
	if (entry != NULL) {
		note->stmt = stmt_ref(entry->stmt);
		note->seen = entry->seen;
		stmt_names_remove(names, name);
	}
	return note;
}

static enum status go_close(struct going *g)
{
	struct client *c = g->c;
	struct msg_target m;
	void *note;
	enum status st = frontend_read_target(frame_body(g->p, &g->f), &m);

	if (st != OK)
		return st;
	if (m.kind == 'S' && m.name_len == 0 && !c->verbatim) {
		c->unnamed_parsed = false;
		if (c->unnamed != NULL)
			c->unnamed->is_closed = true;
	}
	if (m.kind == 'P' || c->verbatim || m.name_len == 0) {
		put_verbatim(g);
		return owe(g, OWED_CLOSE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	note = close_note_new(&c->names, m.name);
	if (note == NULL)
		return E_NOMEM;
	return owe(g, OWED_CLOSE, OWED_SYNTH, OWED_TAG_CLOSE_NAME, 0, note);
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
	struct effects_of of = {.sql = NULL};
	struct sql_verdict v;
	struct msg_query m;
	enum status st = OK;

	if (!g->in_unit) {
		pin_unjudged(g);
	} else if (has_ahead(c, c->unit.has_effects, c->unit.flags)) {
		if (frontend_read_query(frame_body(g->p, &g->f), &m) != OK)
			return E_PROTO;
		(void)judge_word(g->w, c, m.sql, m.sql_len, &v);
		c->parse_differs = c->parse_differs || prepared_differs(m.sql, c->sql_opts, &v);
		st = sqlstmt_ahead(g->w, c, m.sql, &v, true, 0);
		of.sql = m.sql;
		of.v = &v;
		if (st == OK)
			st = effects_begin(g->w, c, g->s, &of, &e);
		if (st != OK)
			return st;
	}
	put_verbatim(g);
	return owe(g, OWED_QUERY, OWED_CLIENT, e != NULL ? OWED_TAG_EFFECTS : OWED_TAG_NONE,
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
	put(g->s, &out);
	g->c->unnamed_parsed = false;
	return owe(g, OWED_SYNC, OWED_CLIENT, OWED_TAG_FLUSH, g->unit_len, NULL);
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
		if (ends_in_flush(g))
			return go_flush(g);
		put_verbatim(g);
		return OK;
	case FRONTEND_COPY_DATA:
		put_verbatim(g);
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
		.unit_len = c->unit.len};
	bool alone = c->txn == TXN_NONE && g.s->owed.n_client == 0 && !c->unit_retained;
	enum status st = OK;
	uint32_t at = 0;

	if (c->listening != NULL && notify_shows_channels(c, data))
		st = notify_put_channels(w, c);
	if (st == OK)
		st = forward_prefix(w, c);
	if (c->unit.flags & (SQLV_USES_SEQ | SQLV_MAY_ADVANCE) && c->unit.runs && st == OK)
		st = sequences_ahead(w, c, c->unit.flags);
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
		st = go(&g);
		if (st == E_AGAIN)
			break;
		if (g.is_first && !goes_ahead(g.f.type)) {
			g.is_first = false;
			g.s->kept_len = 0;
			if (g.is_numbered && alone)
				prepared_keep(g.s, data + at, c->unit.len - at);
		}
		at += g.f.total;
	}
	*sent = at;
	if (st == E_AGAIN) /* the rest follows as a stream */
		return st;
	activity_keep(g.s, data, c->unit.len);
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
	c->body_dropped = is_skipped(&g); /* what comes of it later, too */
	st = go(&g);
	if (st == E_AGAIN)
		return OK; /* the names of a Bind, or a named Parse, are not complete */
	if (st != OK)
		return st;
	if (g.f.type == FRONTEND_QUERY || g.f.type == FRONTEND_PARSE || g.f.type == FRONTEND_BIND)
		activity_keep(g.s, data, g.len);
	*used = g.len;
	c->body_left = (uint32_t)(g.f.total - g.len);
	g.s->in_message = c->body_left != 0 && !c->body_dropped;
	if (info->flags & FRONTEND_ENDS_UNIT)
		begin_unit(w, c);
	return OK;
}
