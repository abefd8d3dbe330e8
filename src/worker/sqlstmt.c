#include "worker/sqlstmt.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frontend.h"
#include "sql/word.h"
#include "worker/entry.h"
#include "worker/forward.h"
#include "worker/judge.h"

#define OUR_NAME "pgweir_sql" /* of a statement that is a PREPARE, while it runs */

/* What goes ahead of one message. */
struct ahead {
	struct worker *w;
	struct client *c;
	struct server *s;
	bool is_query;
	uint64_t in_use; /* number of the statement of ours that is about to be bound; 0: none */
	bool any;        /* something has gone */
};

/* --- messages --- */

static enum status owe(struct ahead *a, enum owed_kind kind, enum owed_tag tag, void *ref)
{
	struct owed_entry e = {.kind = (uint8_t)kind,
		.who = OWED_HIDDEN,
		.tag = (uint16_t)tag,
		.no = a->is_query ? SQLSTMT_BEFORE_QUERY : 0};
	enum status st = OK;

	e.ref = ref;
	if (!owed_is_ignored(&a->s->owed, kind)) {
		st = owed_push(&a->s->owed, e);
		if (st == OK)
			return OK;
	}
	entry_lost(a->w, a->s, e);
	return st;
}

static void put(struct ahead *a, const struct wr *out)
{
	PANIC_IF(out->bad);
	conn_put_copy(a->s->conn, out->buf, out->len);
	a->any = true;
}

static void put_parse(struct ahead *a, const char *name, const char *sql, uint32_t sql_len,
	const struct stmt *types)
{
	uint8_t head[STMT_NAME_MAX + 16];
	struct wr out = wr_of(head, sizeof head);
	uint16_t n = types != NULL ? types->n_types : 0;
	uint8_t n_types[2] = {(uint8_t)(n >> 8), (uint8_t)n};

	wr_u8(&out, FRONTEND_PARSE);
	wr_u32(&out, (uint32_t)(4 + strlen(name) + 1 + sql_len + 1 + 2 + n * 4u));
	wr_cstr(&out, name);
	put(a, &out);
	conn_put_copy(a->s->conn, sql, sql_len);
	conn_put_copy(a->s->conn, "", 1);
	conn_put_copy(a->s->conn, n_types, 2);
	if (n != 0)
		conn_put_copy(a->s->conn, types->types, n * 4u);
}

static enum status put_close(struct ahead *a, uint8_t kind, const char *name)
{
	uint8_t buf[STMT_NAME_MAX + 16];
	struct wr out = wr_of(buf, sizeof buf);

	frontend_put_close(&out, kind, name);
	put(a, &out);
	return owe(a, OWED_CLOSE, OWED_TAG_NONE, NULL);
}

/*
 * Run the PREPARE: in a series, since a Query would end the transaction that a series is. The name
 * is closed ahead, too: behind a PREPARE that failed its Close was skipped.
 */
static enum status put_run(struct ahead *a, const struct stmt *st, void *note)
{
	uint8_t buf[128];
	struct wr out = wr_of(buf, sizeof buf);
	size_t mark;
	enum status rc = put_close(a, 'S', OUR_NAME);

	if (rc != OK) {
		free(note);
		return rc;
	}
	put_parse(a, OUR_NAME, st->query, st->query_len, NULL);
	mark = wr_msg(&out, FRONTEND_BIND);
	wr_cstr(&out, OUR_NAME);
	wr_cstr(&out, OUR_NAME);
	wr_u16(&out, 0);
	wr_u16(&out, 0);
	wr_u16(&out, 0);
	wr_end(&out, mark);
	frontend_put_execute(&out, OUR_NAME, 0);
	put(a, &out);
	if ((rc = owe(a, OWED_PARSE, OWED_TAG_SQL, NULL)) != OK ||
		(rc = owe(a, OWED_BIND, OWED_TAG_SQL, NULL)) != OK) {
		free(note);
		return rc;
	}
	if ((rc = owe(a, OWED_EXECUTE, OWED_TAG_SQL, note)) != OK ||
		(rc = put_close(a, 'P', OUR_NAME)) != OK)
		return rc;
	return put_close(a, 'S', OUR_NAME);
}

/* --- names --- */

/*
 * A Close of ours was skipped behind an error, and nothing has been cleaned since: the server may
 * have names that server.real lacks.
 */
static bool has_unknown(const struct server *s)
{
	return (s->dirt & CLEAN(STATEMENTS)) != 0;
}

/* The server no longer has the name. */
static enum status drop_real(struct ahead *a, const char *name)
{
	enum status st = put_close(a, 'S', name);

	stmt_names_remove(&a->s->real, name);
	return st;
}

/* One that is not the client's own; NULL: there is none. */
static const struct stmt_name *find_strange(const struct ahead *a)
{
	const struct stmt_name *e;
	size_t pos = 0;

	while ((e = stmt_names_next(&a->s->real, &pos)) != NULL)
		if (stmt_names_find(&a->c->names, e->name) == NULL)
			return e;
	return NULL;
}

/* For one more name: those that are not the client's own give their place. */
static enum status make_room(struct ahead *a)
{
	const struct stmt_name *e;
	char name[STMT_NAME_MAX + 1];
	enum status st = OK;

	while (st == OK && stmt_names_n(&a->s->real) >= a->w->conf->max_prepared_statements &&
		(e = find_strange(a)) != NULL) {
		memcpy(name, e->name, e->name_len + 1u);
		st = drop_real(a, name);
	}
	return st;
}

/* Make `st` on the server under its real name, which is free there. */
static enum status make_real(struct ahead *a, const char *name, struct stmt *st, uint64_t ddl)
{
	struct stmt_name *e;
	char *note = strdup(name);
	enum status rc = OK;

	if (note == NULL)
		return E_NOMEM;
	if (has_unknown(a->s))
		rc = put_close(a, 'S', name);
	if (rc != OK || (rc = make_room(a)) != OK ||
		(rc = stmt_names_put(&a->s->real, name, st, &e)) != OK) {
		free(note);
		return rc;
	}
	e->seen.ddl = ddl;
	a->c->db->stats.server_parses++;
	if (st->is_sql)
		return put_run(a, st, note);
	put_parse(a, name, st->query, st->query_len, st);
	return owe(a, OWED_PARSE, OWED_TAG_SQL, note);
}

/* Something must have the name, so that the client's statement finds it taken, or to remove. */
static enum status make_stub(struct ahead *a, const char *name)
{
	struct stmt_text text = {.query = "", .parse = settings_parse_key(a->c->set.current)};
	struct stmt *st;
	enum status rc = stmt_intern(a->w->stmts, &text, &st);

	if (rc != OK)
		return rc;
	rc = make_real(a, name, st, 0);
	stmt_unref(a->w->stmts, st);
	return rc;
}

static bool is_right(const struct stmt_name *there, const struct stmt_name *mine)
{
	return sqlstmt_is_large(mine->stmt) ||
	       (there->stmt == mine->stmt && there->seen.ddl >= mine->seen.ddl);
}

/* What the client's own statement says, as its present settings read it. */
static enum status need(struct ahead *a, struct stmt_name *mine)
{
	struct stmt_name *there = stmt_names_find(&a->s->real, mine->name);
	enum status st = OK;

	if (there != NULL && is_right(there, mine))
		return OK;
	if (there != NULL)
		st = drop_real(a, mine->name);
	return st == OK ? make_real(a, mine->name, mine->stmt, atomic_load(&a->w->sh->ddl_no) + 1)
			: st;
}

/*
 * A name that looks like one of ours: the client must not meet what we have there. One that it
 * gives itself would be in our way: it keeps the server, which is closed at the end.
 */
static COLD enum status clear_ours(struct ahead *a, const char *name, enum sql_effect_kind kind)
{
	const struct stmt_lru_entry *e = NULL;
	char ours[STMT_SERVER_NAME_MAX];

	if (kind == EFFECT_PREPARE) {
		pins_add(&a->c->busy->pins, &a->w->sh->pins, PIN_SQL_PREPARE, a->w->now_us, name,
			strlen(name));
		a->s->dirt |= CLEAN(CLOSE);
	}
	while ((e = stmt_lru_next(&a->s->stmts, e)) != NULL) {
		stmt_server_name(e->number, ours);
		if (strcmp(ours, name) == 0) {
			stmt_lru_remove_number(&a->s->stmts, e->number);
			return put_close(a, 'S', name);
		}
	}
	return OK;
}

static enum status ahead_of(struct ahead *a, const char *name, enum sql_effect_kind kind)
{
	struct stmt_name *mine = stmt_names_find(&a->c->names, name);
	bool is_there = stmt_names_find(&a->s->real, name) != NULL;
	enum status st = OK;

	if (strncmp(name, STMT_SERVER_NAME_PREFIX, sizeof STMT_SERVER_NAME_PREFIX - 1) == 0 &&
		(st = clear_ours(a, name, kind)) != OK)
		return st;
	if (mine == NULL) {
		if (is_there || has_unknown(a->s))
			st = drop_real(a, name);
		return st == OK && kind == EFFECT_PREPARE ? make_room(a) : st;
	}
	if (kind == EFFECT_EXECUTE)
		return need(a, mine);
	return is_there ? OK : make_stub(a, name);
}

/* A name on the server that means something else to the client, or nothing. */
static const struct stmt_name *find_wrong(const struct ahead *a, struct stmt_name **mine)
{
	const struct stmt_name *e;
	size_t pos = 0;

	while ((e = stmt_names_next(&a->s->real, &pos)) != NULL) {
		*mine = stmt_names_find(&a->c->names, e->name);
		if (*mine == NULL || !is_right(e, *mine))
			return e;
	}
	return NULL;
}

/* Close those of ours, which no client has heard of; others prepare theirs again. */
static enum status close_ours(struct ahead *a)
{
	const struct stmt_lru_entry *e = NULL;
	char name[STMT_SERVER_NAME_MAX];
	enum status st = OK;

	while (st == OK && (e = stmt_lru_next(&a->s->stmts, e)) != NULL) {
		uint64_t number = e->number;

		if (number == a->in_use)
			continue;
		stmt_server_name(number, name);
		stmt_lru_remove_number(&a->s->stmts, number);
		e = NULL; /* from the start: it was removed */
		st = put_close(a, 'S', name);
	}
	return st;
}

/*
 * Code that no text shows may EXECUTE any name: the server has the client's, as far as they are
 * SQL's, and nobody else's. With `all`, who looks sees what the client has, and nothing else.
 */
static enum status ahead_of_code(struct ahead *a, bool all)
{
	char name[STMT_NAME_MAX + 1];
	const struct stmt_name *e;
	struct stmt_name *mine;
	enum status st = OK;
	size_t pos = 0;

	while (st == OK && (e = find_wrong(a, &mine)) != NULL) {
		memcpy(name, e->name, e->name_len + 1u);
		st = mine != NULL ? need(a, mine) : drop_real(a, name);
	}
	if (a->c->names.n_sql == 0 && !all)
		return st;
	while (st == OK && (mine = stmt_names_next(&a->c->names, &pos)) != NULL)
		if (mine->stmt->is_sql || all)
			st = need(a, mine);
	return st == OK && all ? close_ours(a) : st;
}

/* Does the statement that EXECUTE names run such code? */
static bool runs_code(const struct ahead *a, const char *name)
{
	const struct stmt_name *mine = stmt_names_find(&a->c->names, name);
	struct sql_verdict v;
	size_t len;

	if (mine == NULL || !sqlstmt_code_needs(a->c))
		return false;
	(void)judge_executed(a->w, a->c, mine->stmt, &len, &v);
	return (v.flags & SQLV_BODY) != 0;
}

bool sqlstmt_code_needs(const struct client *c)
{
	return (c->names.n_sql != 0 || stmt_names_n(&c->server->real) != 0) && !c->verbatim;
}

enum status sqlstmt_ahead_of_parse(struct worker *w, struct client *c, const char *sql,
	const struct sql_verdict *v, bool *executes)
{
	struct ahead a = {.w = w, .c = c, .s = c->server};
	char name[SQL_NAME_MAX + 1];
	enum status st = OK;
	size_t len;

	*executes = false;
	for (uint8_t i = 0; i < v->n_effects && st == OK; i++) {
		if (v->effects[i].kind != EFFECT_EXECUTE)
			continue;
		*executes = true;
		if (sql_effect_name(sql, c->sql_opts, &v->effects[i], name, sizeof name, &len) ==
			OK)
			st = ahead_of(&a, name, EFFECT_EXECUTE);
	}
	return st;
}

enum status sqlstmt_ahead(struct worker *w, struct client *c, const char *sql,
	const struct sql_verdict *v, bool is_query, uint64_t in_use)
{
	struct ahead a = {.w = w, .c = c, .s = c->server, .is_query = is_query, .in_use = in_use};
	bool code = (v->flags & SQLV_BODY) != 0, all = false;
	char name[SQL_NAME_MAX + 1];
	uint8_t buf[8];
	struct wr out = wr_of(buf, sizeof buf);
	enum status st = OK;
	size_t len;

	if (c->verbatim)
		return OK;
	for (uint8_t i = 0; i < v->n_effects && st == OK; i++) {
		const struct sql_effect *e = &v->effects[i];

		code = code || e->kind == EFFECT_RUNS;
		all = all || e->kind == EFFECT_STATEMENTS;
		if (e->kind != EFFECT_PREPARE && e->kind != EFFECT_EXECUTE &&
			e->kind != EFFECT_DEALLOCATE)
			continue;
		if (sql_effect_name(sql, c->sql_opts, e, name, sizeof name, &len) != OK)
			continue;
		st = ahead_of(&a, name, (enum sql_effect_kind)e->kind);
		code = code || (e->kind == EFFECT_EXECUTE && runs_code(&a, name));
	}
	if ((code || all) && st == OK)
		st = ahead_of_code(&a, all);
	if (st != OK || !a.any || !is_query)
		return st;
	frontend_put_sync(&out);
	put(&a, &out);
	return owe(&a, OWED_SYNC, OWED_TAG_SETUP, NULL);
}

enum status sqlstmt_need(struct worker *w, struct client *c, struct stmt_name *mine)
{
	struct ahead a = {.w = w, .c = c, .s = c->server};

	return need(&a, mine);
}

enum status sqlstmt_large(struct worker *w, struct client *c, const char *name)
{
	struct ahead a = {.w = w, .c = c, .s = c->server};
	struct stmt_text text = {
		.query = "", .is_sql = true, .parse = settings_parse_key(c->set.current)};
	struct stmt_name *mine, *there;
	struct stmt *st;
	enum status rc = ahead_of(&a, name, EFFECT_PREPARE);

	if (rc != OK)
		return rc;
	if (stmt_names_find(&c->names, name) != NULL)
		return E_EXISTS;
	if ((rc = stmt_intern(w->stmts, &text, &st)) != OK)
		return rc;
	if ((rc = stmt_names_put(&c->names, name, st, &mine)) == OK &&
		(rc = stmt_names_put(&a.s->real, name, st, &there)) != OK)
		stmt_names_remove(&c->names, name);
	stmt_unref(w->stmts, st);
	return rc;
}

/* --- what becomes of it --- */

struct sql_view sqlstmt_text(const char *sql, size_t len, uint32_t opts, const struct sql_effect *e)
{
	struct sql_view at = {0, 0};
	struct token t;
	struct lexer lx;
	bool begins = true, is_prepare = false;
	int depth = 0;

	lexer_init(&lx, sql, len, opts);
	do {
		lexer_next(&lx, &t);
		if (t.kind == TOKEN_END || (t.c == ';' && t.kind == TOKEN_PUNCT && depth == 0)) {
			if (e->name.off < t.off) {
				if (t.kind != TOKEN_END) /* PostgreSQL shows it, too */
					at.len = t.off + t.len - at.off;
				break;
			}
			begins = true;
			continue;
		}
		if (begins) {
			at.off = t.off;
			is_prepare = t.kind == TOKEN_WORD && t.word == WORD_PREPARE;
			begins = false;
		}
		at.len = t.off + t.len - at.off;
		if (t.kind == TOKEN_PUNCT)
			depth += (t.c == '(') - (t.c == ')');
	} while (t.kind != TOKEN_END);
	if (!is_prepare || e->name.off < at.off || begins)
		at.len = 0;
	return at;
}

bool sqlstmt_made(
	struct worker *w, struct client *c, struct server *s, const char *name, const char *text)
{
	struct stmt_text x = {.query = text,
		.query_len = (uint32_t)strlen(text),
		.is_sql = true,
		.parse = settings_parse_key(c->set.current)};
	struct stmt_name *mine, *there;
	struct stmt *st;
	bool done;

	if (c->verbatim)
		return true;
	if (stmt_intern(w->stmts, &x, &st) != OK)
		return false;
	stmt_names_remove(&c->names, name); /* what is left of one that is gone there */
	stmt_names_remove(&s->real, name);
	done = stmt_names_put(&c->names, name, st, &mine) == OK;
	if (done) {
		mine->seen.ddl = atomic_load(&w->sh->ddl_no) + 1;
		if (stmt_names_put(&s->real, name, st, &there) == OK)
			there->seen = mine->seen;
	}
	stmt_unref(w->stmts, st);
	return done && !c->busy->parse_differs;
}

void sqlstmt_large_gone(struct worker *w, struct client *c)
{
	const struct stmt_name *e;
	size_t pos = 0;

	if (!pins_has(&c->busy->pins, PIN_LARGE_STATEMENT))
		return;
	while ((e = stmt_names_next(&c->names, &pos)) != NULL)
		if (sqlstmt_is_large(e->stmt))
			return;
	pins_remove(&c->busy->pins, &w->sh->pins, PIN_LARGE_STATEMENT);
}

void sqlstmt_gone(struct client *c, struct server *s, const char *name)
{
	if (c->verbatim)
		return;
	if (name != NULL) {
		stmt_names_remove(&c->names, name);
		stmt_names_remove(&s->real, name);
		sqlstmt_large_gone(s->w, c);
		return;
	}
	stmt_names_clear(&c->names);
	stmt_names_clear(&s->real);
}

void sqlstmt_lost(struct server *s, struct owed_entry *e)
{
	if (e->ref != NULL)
		stmt_names_remove(&s->real, e->ref);
	if (e->ref != NULL && e->who == OWED_CLIENT && s->client != NULL)
		stmt_names_remove(&s->client->names, e->ref);
	if (s->client != NULL)
		sqlstmt_large_gone(s->w, s->client);
	free(e->ref);
	e->ref = NULL;
}
