#include <stdlib.h>
#include <string.h>

#include "worker/effects.h"
#include "worker/going.h"
#include "worker/prepared.h"
#include "worker/queries.h"

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
	going_put(g->s, &out);
	return going_owe(g, OWED_DESCRIBE, OWED_HIDDEN, OWED_TAG_SHAPE, number, note);
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

static bool word_has_ahead(const struct client *c, uint64_t word)
{
	return going_has_ahead(c, judge_has_effects(word), judge_flags(word));
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

	if (c->busy->bound != NULL) { /* its portal may be executed all the same */
		effects_unsure(g->w, c, c->busy->bound, true);
		effects_free(c->busy->bound);
		c->busy->bound = NULL;
	}
	if (!word_has_ahead(c, word))
		return OK;
	(void)judge_word(g->w, c, sql, len, &v);
	of.v = &v;
	if (read_values(g, &values))
		of.values = &values;
	c->busy->parse_differs = c->busy->parse_differs || prepared_differs(sql, c->sql_opts, &v);
	st = sqlstmt_ahead(g->w, c, sql, &v, false, g->in_use);
	if (st == OK)
		st = effects_begin(g->w, c, g->s, &of, &c->busy->bound);
	/* A named portal may be executed later, or not at all. */
	if (st == OK && c->busy->bound != NULL && g->bind != NULL && g->bind->portal_len != 0)
		effects_unsure(g->w, c, c->busy->bound, true);
	return st;
}

/* What a name means on this server. */
struct meant {
	char name[STMT_SERVER_NAME_MAX]; /* "": it goes as it is */
	uint64_t number;                 /* 0: none */
	struct stmt_name *entry;         /* the client's; NULL: the unnamed one */
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

	if (st != OK || (g->c->busy->holding && g->s->in_recovery))
		return st;
	frontend_put_flush(&out);
	going_put(g->s, &out);
	conn_flush(g->s->conn);
	g->c->busy->checking = true;
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
		rc = going_renew(g, st);
		entry = NULL;
	}
	if (rc == OK && entry == NULL) {
		rc = going_put_parse_hidden(g, st, &out->number);
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
 * E_AGAIN: whether it has changed is being asked; c->busy->checking is set.
 */
static enum status server_stmt(struct going *g, const char *name, struct meant *out)
{
	struct client *c = g->c;
	struct stmt_name *entry;
	enum status st = OK;

	out->name[0] = '\0';
	out->number = 0;
	out->is_untold = false;
	out->entry = NULL;
	if (c->verbatim)
		return OK;
	if (name[0] == '\0')
		return c->busy->unnamed_parsed ? OK : revive_unnamed(g, out);
	entry = stmt_names_find(&c->names, name);
	if (entry == NULL)
		return E_NOTFOUND;
	out->entry = entry;
	if (entry->stmt->parse != settings_parse_key(c->set.current) &&
		!sqlstmt_is_large(entry->stmt))
		st = follow_settings(g, entry);
	if (st == OK && entry->stmt->is_sql) /* it has its own name there */
		return sqlstmt_need(g->w, c, entry);
	return st == OK ? find_numbered(g, entry->stmt, &entry->seen, entry->name, out) : st;
}

/* The text of what is bound is not kept; of a text of the same unit the unit's word tells. */
static bool may_end_txn(const struct going *g, const struct msg_bind *m)
{
	return !g->in_unit || m->stmt_len != 0 || !g->c->busy->unnamed_parsed ||
	       g->c->busy->unit.has_effects;
}

/* Effects of what a Bind binds, when it is not the revived unnamed statement. */
static enum status effects_of_bind(struct going *g, const struct msg_bind *m)
{
	struct client *c = g->c;
	struct stmt_name *entry;
	struct msg_parse p;

	if (m->stmt_len == 0 && !c->busy->unnamed_parsed && !c->verbatim)
		return OK; /* revive_unnamed did it */
	if (m->stmt_len == 0 || c->verbatim) {
		if (c->unnamed == NULL || c->unnamed->len == 0) {
			if (may_end_txn(g, m))
				c->busy->end_unsure = true;
			return bind_effects(g, "", 0, 0);
		}
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
	uint8_t head[GOING_HEAD_MAX];
	struct wr out = wr_of(head, sizeof head);

	frontend_put_bind_head(&out, m, frame_body_len(&g->f), name);
	going_put_head(g, &out, m->tail_at);
}

/* A Bind of what the client has no statement for, or no longer has: the server makes the error. */
static COLD enum status put_bind_refused(
	struct going *g, const struct msg_bind *m, enum name_error error)
{
	void *note = going_name_note(m->stmt, error);

	if (note == NULL)
		return E_NOMEM;
	put_bind_as(g, m, GOING_MISSING_NAME);
	return going_owe(g, OWED_BIND, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
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
	g->c->busy->expected = prepared_note_new(g->c, m->stmt, m->portal, number);
	return g->c->busy->expected != NULL ? OK : E_NOMEM;
}

/* The statement that an Execute of this portal will run. */
static void note_query(struct going *g, const struct meant *to)
{
	struct client *c = g->c;

	if (to->entry != NULL)
		c->busy->bound_query = queries_of_stmt(g->w, c, to->entry->stmt);
	else
		c->busy->bound_query = c->verbatim ? 0 : queries_of_unnamed(g->w, c, c->unnamed);
}

enum status going_bind(struct going *g)
{
	struct meant to;
	struct msg_bind m;
	enum status st =
		frontend_read_bind(frame_body_part(g->p, &g->f, g->len), frame_body_len(&g->f), &m);

	if (st != OK)
		return st;
	if (m.portal_len > GOING_HEAD_MAX / 2)
		return E_LIMIT;
	g->bind = &m;
	st = server_stmt(g, m.stmt, &to);
	if (st == E_AGAIN)
		return st;
	g->c->db->stats.binds++;
	if (g->c->busy->expected != NULL) {
		free(g->c->busy->expected);
		g->c->busy->expected = NULL;
	}
	if (st == E_NOTFOUND)
		return put_bind_refused(g, &m, NAME_IS_MISSING);
	if (st == E_INVALID)
		return put_bind_refused(g, &m, NAME_HAS_ANOTHER_RESULT);
	if (st == E_LIMIT)
		return put_bind_refused(g, &m, NAME_IS_TOO_MUCH);
	if (st == OK)
		st = effects_of_bind(g, &m);
	if (m.portal_len != 0 && (g->c->busy->end_sent != EFFECT_NONE || g->c->busy->end_unsure))
		g->c->busy->end_bound = true;
	if (st == OK && to.is_untold)
		st = expect_shape(g, &m, to.number);
	if (st != OK)
		return st;
	note_query(g, &to);
	if (to.number == 0)
		going_put_verbatim(g);
	else
		put_bind_as(g, &m, to.name);
	return going_owe(g, OWED_BIND, OWED_CLIENT, OWED_TAG_NONE, numbered(g, to.number), NULL);
}

static enum status describe_portal(struct going *g, const struct msg_target *m)
{
	struct prepared_note *note = g->c->busy->expected;

	going_put_verbatim(g);
	if (note == NULL || strcmp(note->portal, m->name) != 0)
		return going_owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	g->c->busy->expected = NULL;
	return going_owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_SHAPE, note->number, note);
}

/* The unnamed statement, parsed in this series: it may be bound in another, elsewhere. */
static enum status describe_unnamed(struct going *g)
{
	struct unnamed *u = g->c->unnamed;

	going_put_verbatim(g);
	return going_owe(g, OWED_DESCRIBE, OWED_CLIENT, u != NULL ? OWED_TAG_SHAPE : OWED_TAG_NONE,
		g->c->unnamed_serial, NULL);
}

enum status going_describe(struct going *g)
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
		going_put_verbatim(g);
		return going_owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	st = server_stmt(g, m.name, &to);
	if (st == E_NOTFOUND) {
		note = going_name_note(m.name, NAME_IS_MISSING);
		if (note == NULL)
			return E_NOMEM;
		frontend_put_describe(&out, 'S', GOING_MISSING_NAME);
		going_put(g->s, &out);
		return going_owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
	}
	if (st == OK && to.number == 0 && m.name_len != 0) { /* made by PREPARE */
		going_put_verbatim(g);
		return going_owe(g, OWED_DESCRIBE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	if (st == OK && to.number == 0)
		return describe_unnamed(g);
	if (st == OK && to.is_untold &&
		(note = prepared_note_new(g->c, m.name, "", to.number)) == NULL)
		st = E_NOMEM;
	if (st != OK)
		return st;
	frontend_put_describe(&out, 'S', to.name);
	going_put(g->s, &out);
	return going_owe(g, OWED_DESCRIBE, OWED_CLIENT,
		note != NULL ? OWED_TAG_SHAPE : OWED_TAG_NONE, numbered(g, to.number), note);
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
		note->serial = entry->serial;
		stmt_names_remove(names, name);
	}
	return note;
}

enum status going_close(struct going *g)
{
	struct client *c = g->c;
	struct msg_target m;
	void *note;
	enum status st = frontend_read_target(frame_body(g->p, &g->f), &m);

	if (st != OK)
		return st;
	if (m.kind == 'S' && m.name_len == 0 && !c->verbatim) {
		c->busy->unnamed_parsed = false;
		if (c->unnamed != NULL)
			c->unnamed->is_closed = true;
	}
	if (m.kind == 'P' || c->verbatim || m.name_len == 0) {
		going_put_verbatim(g);
		return going_owe(g, OWED_CLOSE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	note = close_note_new(&c->names, m.name);
	if (note == NULL)
		return E_NOMEM;
	return going_owe(g, OWED_CLOSE, OWED_SYNTH, OWED_TAG_CLOSE_NAME, 0, note);
}
