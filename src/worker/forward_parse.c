#include <stdlib.h>
#include <string.h>

#include "worker/activity.h"
#include "worker/effects.h"
#include "worker/entry.h"
#include "worker/going.h"
#include "worker/prepared.h"

static enum status put_close_hidden(struct going *g, uint64_t number)
{
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	char name[STMT_SERVER_NAME_MAX];

	stmt_server_name(number, name);
	frontend_put_close(&out, 'S', name);
	going_put(g->s, &out);
	return going_owe(g, OWED_CLOSE, OWED_HIDDEN, OWED_TAG_NONE, number, NULL);
}

uint64_t going_ddl_now(const struct worker *w)
{
	return atomic_load(&w->sh->ddl_no) + 1;
}

/* The client's transaction has definitions, settings or statements of its own, not for others. */
static bool parses_for_itself(const struct going *g)
{
	const struct client *c = g->c;

	return c->busy->schema_sent || c->busy->unit.flags & SQLV_SCHEMA ||
	       c->busy->parse_differs || g->executes || pins_has(&c->busy->pins, PIN_TEMP);
}

/* Room for one more statement on the server; its number. */
static enum status lru_add(struct going *g, struct stmt *st, uint64_t *number)
{
	struct stmt_lru_entry *entry;
	uint64_t victim;
	enum status rc = stmt_lru_add(&g->s->stmts, st, &entry, &victim);

	if (rc != OK)
		return rc;
	entry->is.ddl = going_ddl_now(g->w);
	entry->is_odd = parses_for_itself(g);
	entry->executes = g->executes;
	g->s->has_odd = g->s->has_odd || entry->is_odd;
	*number = entry->number;
	return victim != 0 ? put_close_hidden(g, victim) : OK;
}

enum status going_renew(struct going *g, struct stmt *st)
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

	if (g->in_unit && !g->c->busy->unit.has_effects)
		return OK;
	(void)judge_word(g->w, g->c, sql, len, &v);
	return sqlstmt_ahead_of_parse(g->w, g->c, sql, &v, &g->executes);
}

enum status going_put_parse_hidden(struct going *g, struct stmt *st, uint64_t *number)
{
	uint8_t head[GOING_HEAD_MAX];
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
	going_put(g->s, &out);
	conn_put_copy(g->s->conn, st->query, st->query_len + 1u);
	conn_put_copy(g->s->conn, n_types, 2);
	conn_put_copy(g->s->conn, st->types, st->n_types * 4u);
	g->c->db->stats.server_parses++;
	return going_owe(g, OWED_PARSE, OWED_HIDDEN, OWED_TAG_PARSE_HIDDEN, *number, stmt_ref(st));
}

/* The number of `st` on the server, prepared there first if need be. */
static enum status need_stmt(struct going *g, struct stmt *st, uint64_t *number)
{
	const struct stmt_lru_entry *entry = stmt_lru_use(&g->s->stmts, st);

	if (entry == NULL)
		return going_put_parse_hidden(g, st, number);
	*number = entry->number;
	return OK;
}

void *going_name_note(const char *name, enum name_error error)
{
	size_t n = strlen(name) + 1;
	struct name_note *note = malloc(sizeof *note + n);

	if (note == NULL)
		return NULL;
	note->error = error;
	memcpy(note->name, name, n);
	return note;
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
	uint8_t head[GOING_HEAD_MAX];
	struct wr out = wr_of(head, sizeof head);

	frontend_put_parse_head(&out, m, frame_body_len(&g->f), name);
	going_put_head(g, &out, m->tail_at);
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
	note = going_name_note(m->name, NAME_IS_TAKEN);
	if (note == NULL)
		return E_NOMEM;
	stmt_server_name(number, name);
	put_parse_as(g, m, name);
	return going_owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
}

/*
 * Would another client's Parse have the same answer? Not if this one has something of its own (a
 * temporary table, SET LOCAL, what it has created and not committed), or if its server is a
 * replica, which may not know yet what was dropped.
 */
static bool parses_as_for_all(const struct client *c, const struct server *s)
{
	return !s->in_recovery && !c->busy->block_differs && !c->busy->schema_sent &&
	       !pins_any(&c->busy->pins) && !(c->busy->unit.flags & SQLV_SCHEMA);
}

static enum status put_parse_named(
	struct going *g, const struct msg_parse *m, const struct stmt_name *as)
{
	char name[STMT_SERVER_NAME_MAX];
	struct stmt *st = as->stmt;
	struct parse_note *note;
	const struct stmt_lru_entry *entry = stmt_lru_use(&g->s->stmts, st);
	/* In a failed transaction only the server knows what it still accepts. */
	bool is_there = entry != NULL && entry->is.ddl == going_ddl_now(g->w) &&
			!parses_for_itself(g) && g->c->txn != TXN_FAILED;
	uint64_t number = is_there ? entry->number : 0;
	enum status rc = OK;

	if (!is_there && entry != NULL)
		rc = going_renew(g, st);
	if (!is_there && rc == OK)
		rc = lru_add(g, st, &number);
	if (rc != OK)
		return rc;
	note = parse_note_new(as, st, is_there ? 0 : number);
	if (note == NULL)
		return E_NOMEM;
	if (is_there)
		return going_owe(g, OWED_PARSE, OWED_SYNTH, OWED_TAG_PARSE_NAMED, number, note);
	if (parses_as_for_all(g->c, g->s))
		note->good = account_parse_mark(g->w, g->c->acc);
	stmt_server_name(number, name);
	put_parse_as(g, m, name);
	g->c->db->stats.server_parses++;
	return going_owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_PARSE_NAMED, number, note);
}

/* A Parse that there is no room for: the server makes an error, which is replaced. */
static COLD enum status put_parse_refused(struct going *g, const char *name)
{
	static const char wrong[] = "(";
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	void *note = going_name_note(name, NAME_IS_TOO_MUCH);

	if (note == NULL)
		return E_NOMEM;
	frontend_put_parse(&out, GOING_MISSING_NAME, wrong, sizeof wrong - 1, NULL, 0);
	going_put(g->s, &out);
	return going_owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NAME_ERROR, 0, note);
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
	going_put_verbatim(g);
	if (st == E_EXISTS) {
		free(note);
		return going_owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
	}
	pins_add(&c->busy->pins, &g->w->sh->pins, PIN_LARGE_STATEMENT, g->w->now_us, text,
		sizeof text - 1);
	return going_owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_SQL, 0, note);
}

/*
 * The unnamed statement of a unit was judged with it; in a stream nobody has looked at it yet.
 * E_AGAIN: it is not complete.
 */
static COLD enum status judge_streamed(struct going *g)
{
	struct client *c = g->c;

	if (frame_body_len(&g->f) > UNNAMED_KEEP_MAX) {
		going_pin_unjudged(g);
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
 * the Binds that follow are, and those that nobody has judged, or a DISCARD ALL has taken away
 * since the unit came.
 */
static enum status judge_unnamed_again(struct going *g)
{
	struct client *c = g->c;

	if (c->verbatim)
		return g->in_unit && !c->busy->unit.has_effects ? OK : trace_verbatim(g);
	if (!g->in_unit)
		return judge_streamed(g);
	if ((c->busy->unit.has_effects && c->busy->unit.n_stmts > 1) || c->unnamed == NULL ||
		c->unnamed->len == 0)
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

enum status going_parse(struct going *g)
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
		going_put_verbatim(g);
		g->c->busy->unnamed_parsed = true;
		c->unnamed_serial++;
		if (c->unnamed != NULL) {
			c->unnamed->is_closed = false;
			c->unnamed->seen = (struct stmt_seen){.ddl = going_ddl_now(g->w)};
		}
		if (!c->verbatim)
			c->db->stats.server_parses++;
		return going_owe(g, OWED_PARSE, OWED_CLIENT, OWED_TAG_NONE, 0, NULL);
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
	else if (!client_runs_again(c) || name->stmt != stmt) /* not this very Parse, run again */
		st = E_EXISTS;
	if (st == OK) {
		name->seen.ddl = going_ddl_now(g->w);
		st = put_parse_named(g, &m, name);
	} else if (st == E_EXISTS) {
		st = put_parse_duplicate(g, &m, name);
	} else if (st == E_LIMIT) {
		st = put_parse_refused(g, m.name);
	}
	stmt_unref(g->w->stmts, stmt);
	return st;
}
