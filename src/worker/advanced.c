#include "worker/advanced.h"

#include <string.h>

#include "sql/calls.h"
#include "worker/forward.h"
#include "worker/sequences.h"
#include "worker/unit_stmts.h"
#include "worker/worker.h"

#define TEXT_MAX  4096u /* bytes of the query */
#define CALLS_MAX 8u    /* calls in one unit */

#define EQUALS " OPERATOR(pg_catalog.=) "

/* A lock of this transaction's on a relation. */
#define OWN_LOCK                                                                            \
	"l.locktype" EQUALS "'relation' AND l.pid" EQUALS "pg_catalog.pg_backend_pid() AND" \
	" l.mode" EQUALS "'RowExclusiveLock'"

static const char is_own[] =
	" AND EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE " OWN_LOCK " AND l.relation" EQUALS;

/* lastval() is the value of one of the transaction's own. */
static const char last_is_own[] =
	" AND EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE CASE WHEN " OWN_LOCK
	" AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid" EQUALS
	"l.relation AND c.relkind" EQUALS
	"'S') THEN pg_catalog.currval(l.relation::pg_catalog.regclass)" EQUALS
	"pg_catalog.lastval() ELSE false END)";

/* A value of a Bind as a literal. */
static bool put_value(struct wr *out, const struct bind_value *v)
{
	if (v->p == NULL || v->binary || memchr(v->p, '\\', v->len) != NULL ||
		memchr(v->p, '\0', v->len) != NULL)
		return false;
	wr_u8(out, '\'');
	for (uint32_t i = 0; i < v->len; i++) {
		if (v->p[i] == '\'')
			wr_u8(out, '\'');
		wr_u8(out, v->p[i]);
	}
	wr_u8(out, '\'');
	return true;
}

/* The argument of a call, its parameters replaced. */
static bool put_argument(struct wr *out, const struct client *c, const struct unit_stmt *u,
	const struct sql_call *call)
{
	struct lexer lx;
	struct token t;

	lexer_init_view(&lx, u->sql, call->arg, c->sql_opts);
	for (lexer_next(&lx, &t); lexer_is_inside(&lx, &t); lexer_next(&lx, &t)) {
		struct bind_value v;

		wr_u8(out, ' ');
		if (t.kind != TOKEN_PARAM) {
			wr_bytes(out, u->sql + t.off, t.len);
			continue;
		}
		v = frontend_bind_value(&u->values, sql_param_number(u->sql, &t));
		if (!u->bound || !put_value(out, &v))
			return false;
	}
	return true;
}

static bool put_call(struct wr *out, const struct client *c, const struct unit_stmt *u,
	const struct sql_call *call)
{
	if (call->of == CALL_LASTVAL) {
		wr_str(out, last_is_own);
		return true;
	}
	if (call->of != CALL_CURRVAL || call->arg.len == 0)
		return call->of != CALL_CURRVAL;
	wr_str(out, is_own);
	wr_u8(out, '(');
	if (!put_argument(out, c, u, call))
		return false;
	wr_str(out, ")::pg_catalog.regclass::pg_catalog.oid)");
	return true;
}

/* A query that gives a row if all that the unit asks for is its transaction's own. */
static bool put_query(struct wr *out, const struct client *c, const uint8_t *data)
{
	struct unit_stmts all = unit_stmts_of(c, data);
	enum status st = E_NOTFOUND;
	struct unit_stmt u;
	uint32_t n = 0;

	if ((c->sql_opts & SQL_ENC_UNSAFE) != 0)
		return false;
	wr_str(out, "SELECT WHERE true");
	while (unit_stmts_next(&all, &u)) {
		struct sql_call call;
		struct lexer lx;

		lexer_init(&lx, u.sql, u.len, c->sql_opts);
		while ((st = sql_call_next(&lx, &call)) == OK)
			if (n++ >= CALLS_MAX || !put_call(out, c, &u, &call))
				return false;
		if (st != E_NOTFOUND)
			return false;
	}
	wr_u8(out, 0);
	return n != 0 && !out->bad;
}

/* Several clients have advanced something there, this one in the transaction that is open. */
static bool is_mixed(const struct client *c)
{
	const struct server *s = c->server;

	return s->seq_mixed && s->seq_client == c->id && c->busy->seq_advanced && !s->seq_set &&
	       s->txn_status == 'T' && !c->verbatim;
}

bool advanced_waits(struct worker *w, struct client *c, const uint8_t *data)
{
	char text[TEXT_MAX];
	struct wr out = wr_of(text, sizeof text);

	if (c->busy->seq_check == ADVANCED_ASKED)
		return true;
	if (c->busy->seq_check != ADVANCED_UNKNOWN || !c->server->seq_mixed)
		return false;
	if (!server_is_quiet(c->server))
		return true; /* what is under way may be what advances */
	if (!is_mixed(c) || !put_query(&out, c, data) ||
		forward_hidden(c->server, text, OWED_TAG_ADVANCED) != OK) {
		c->busy->seq_check = ADVANCED_OTHER;
		return false;
	}
	sequences_asked(c->acc);
	c->busy->seq_check = ADVANCED_ASKED;
	conn_flush(c->server->conn);
	client_watch(w, c);
	return true;
}

void advanced_row(struct client *c)
{
	if (c->busy->seq_check == ADVANCED_ASKED)
		c->busy->seq_check = ADVANCED_OWN;
}

void advanced_done(struct client *c, bool failed)
{
	if (c->busy->seq_check == ADVANCED_ASKED)
		c->busy->seq_check = ADVANCED_OTHER;
	if (failed)
		c->busy->deferred_failed = true; /* its own statement would have failed so */
}
