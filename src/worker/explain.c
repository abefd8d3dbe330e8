#include "worker/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/value.h"
#include "conf/conf.h"
#include "proto/reply.h"
#include "sql/classify.h"
#include "worker/fit.h"
#include "worker/judge.h"
#include "worker/learned.h"
#include "worker/moving.h"
#include "worker/pick.h"
#include "worker/worker.h"

#define LINE_TEXT_MAX 256u
#define WORD_TEXT_MAX 64u /* of a token that is shown */

/* The answer under construction. */
struct lines {
	struct client *c;
	unsigned n;
	void (*put)(struct lines *l, const char *text);
	/* on the console */
	struct ask_explained *answer;
	size_t len;
};

static void put_row(struct lines *l, const char *text)
{
	uint8_t buf[LINE_TEXT_MAX + 32];
	struct wr out = wr_of(buf, sizeof buf);
	size_t mark = reply_row_begin(&out, 1);

	reply_put_text(&out, text);
	reply_row_end(&out, mark);
	PANIC_IF(out.bad);
	conn_put_copy(l->c->conn, out.buf, out.len);
}

static void put_answer(struct lines *l, const char *text)
{
	size_t n = strlen(text) + 1;

	memcpy(l->answer->lines + l->len, text, n);
	l->len += n;
	l->answer->n_lines++;
}

static void say(struct lines *l, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct lines *l, const char *format, ...)
{
	char text[LINE_TEXT_MAX];
	va_list ap;

	if (l->n >= EXPLAIN_LINES_MAX)
		return;
	l->n++;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	l->put(l, text);
}

/* --- the statement --- */

/* What is known of the name, in words; "": the cause says it all. */
static const char *fact_of(const struct sql_objection *o)
{
	switch ((enum sql_cause)o->cause) {
	case CAUSE_FUNCTION:
		return o->runs_code ? ": in the catalog as volatile, or as reaching what is"
				    : ": PostgreSQL's own, volatile or another on each server";
	case CAUSE_RELATION:
		return o->runs_code
			       ? ": in the catalog as running such functions (a view, a policy)"
			       : ": in the catalog as a sequence, unlogged, foreign, or another on "
				 "each server";
	case CAUSE_TYPE:
		return ": in the catalog as having volatile code of its own";
	case CAUSE_OPERATOR:
		return ": in the catalog as calling a volatile function";
	default:
		return "";
	}
}

static void say_objections(struct lines *l, const char *sql, const struct sql_verdict *v,
	const struct sql_objections *all)
{
	for (uint8_t i = 0; i < all->n; i++) {
		const struct sql_objection *o = &all->at[i];
		int n = (int)(o->at.len < WORD_TEXT_MAX ? o->at.len : WORD_TEXT_MAX);

		say(l, "  Not for a replica: %s, \"%.*s\" at byte %u%s",
			sql_cause_text((enum sql_cause)o->cause), n, sql + o->at.off,
			(unsigned)o->at.off + 1, fact_of(o));
	}
	if (all->n == 0 && v->cause != CAUSE_NONE)
		say(l, "  Not for a replica: %s", sql_cause_text((enum sql_cause)v->cause));
	for (uint8_t i = 0; i < v->n_effects; i++)
		say(l, "  Effect on the session: %s",
			sql_effect_kind_name((enum sql_effect_kind)v->effects[i].kind));
}

static void say_statement(struct worker *w, struct lines *l, const char *sql, size_t len)
{
	struct client *c = l->c;
	struct sql_objections all;
	struct sql_verdict v;

	(void)w;
	sql_classify_objections(sql, len, c->sql_opts, c->db->catalog, &v, &all);
	say(l, "Statement: %s%s", sql_class_name((enum sql_class)v.cls),
		v.flags & SQLV_REPLICA ? ", proved to run on a replica" : "");
	say_objections(l, sql, &v, &all);
	if (c->db->learned != NULL && v.flags & SQLV_REPLICA) {
		learned_apply(c->db, sql, len, c->sql_opts, &v);
		if (!(v.flags & SQLV_REPLICA))
			say(l, "  Not for a replica: one has refused it (SHOW LEARNED)");
	}
	if (c->db->catalog == NULL)
		say(l, "  Catalog of \"%s\": not loaded yet", c->db->dbname);
	else
		say(l, "  Catalog of \"%s\": %zu names, generation %" PRIu64, c->db->dbname,
			catalog_n_names(c->db->catalog), c->db->catalog_generation);
}

/* --- what must be seen --- */

static void say_mark(struct lines *l, const char *what, const struct mark *k)
{
	char text[WAL_POINT_TEXT_MAX];

	if (k->state == MARK_NONE)
		return;
	wal_point_format(mark_where(k), text);
	say(l, "  Must have: %s (%s)",
		k->state == MARK_CLOSED ? text : "a sample later than those that there are", what);
}

static void say_demands(struct lines *l, const struct pick_view *v)
{
	char lag[VALUE_TEXT_MAX], floor[WAL_POINT_TEXT_MAX];
	const struct choose_in *in = &v->in;

	say(l, "Consistency: %s%s; max_lag %s%s", ask_consistency_name(in->consistency),
		v->asked.consistency != 0 ? " (asked for)" : "",
		value_format_time_unit(in->max_lag_us, lag),
		v->asked.has_max_lag ? " (asked for)" : "");
	if (in->consistency == CHOOSE_STRONG) {
		say_mark(l, "all that was acknowledged until now", in->arrival);
	} else if (in->consistency != CHOOSE_EVENTUAL) {
		say_mark(l,
			in->consistency == CHOOSE_DATABASE_MARKS ? "the last write of any client"
								 : "this client's last write",
			&in->marks->write);
		say_mark(l, "this client's last read on another replica", &in->marks->read);
	}
	if (in->floor.lsn != 0) {
		wal_point_format(in->floor, floor);
		say(l, "  Must have: %s (pgweir.min_lsn)", floor);
	}
}

/* --- nodes --- */

static void say_node(struct worker *w, struct lines *l, const struct pick_view *v, uint16_t i)
{
	const struct topo_node *n = topology_node_at(v->in.topo, v->in.nodes[i]);
	const struct topo_cluster *cluster = topology_cluster_at(v->in.topo, v->in.cluster);
	bool chosen = v->out.node != TOPO_NONE && v->out.index == i;
	bool is_primary = cluster->primary == v->in.nodes[i];
	const char *name = worker_node_name(w, v->in.nodes[i]);
	const char *why = is_primary || n->role != TOPO_ROLE_REPLICA
				  ? is_primary ? "primary" : n->text
				  : choose_unfit_text(&v->in, i);
	char at[WAL_POINT_TEXT_MAX], lag[VALUE_TEXT_MAX];

	wal_point_format((struct wal_point){n->timeline, n->lsn}, at);
	say(l, "%s Node %s: %s, %s, at %s, lag %s, %" PRIu64 " bytes", chosen ? "->" : "  ", name,
		topo_role_name((enum topo_role)n->role),
		topo_health_name((enum topo_health)n->health), at,
		n->role != TOPO_ROLE_REPLICA ? "0"
		: n->lag_known               ? value_format_time_unit(n->lag_us, lag)
					     : "unknown",
		n->lag_bytes);
	say(l, "     %s; %u units outstanding, %u us, weight %u%s%s",
		chosen         ? "chosen"
		: *why == '\0' ? "fit, another was preferred"
		: is_primary && v->in.primary_reads == CHOOSE_PRIMARY_NEVER
			? "the primary: primary_reads = never"
		: is_primary ? "the primary: not needed"
			     : why,
		v->in.load[i].outstanding, v->in.load[i].latency_us, v->in.load[i].weight,
		v->in.load[i].is_far ? ", in another zone" : "",
		v->in.load[i].held_256 != 0 ? ", back for less than slow_start" : "");
}

/* The block is on a server: the statement runs there, unless the block moves with it. */
static void say_block(
	struct worker *w, struct client *c, struct lines *l, const char *sql, size_t len)
{
	const char *node = worker_node_name(w, c->server->pool->node);
	const char *why = c->busy->moves == MOVES_REPLICA ? moving_explain(w, c, sql, len) : NULL;

	if (pins_any(&c->busy->pins))
		say(l, "Route: stays on %s (pinned)", node);
	else if (why != NULL)
		say(l, "Route: moves from %s to the primary (%s)", node, why);
	else
		say(l, "Route: stays on %s (in_transaction)", node);
	if (c->busy->moves == MOVES_REPLICA && c->busy->block_read_only)
		say(l, "  The transaction is READ ONLY: it goes on elsewhere if the replica "
		       "cannot");
	else if (c->busy->moves == MOVES_REPLICA)
		say(l, "  The transaction began there: transaction_reads = replica");
	else if (c->busy->moves == MOVES_DONE)
		say(l, "  The transaction has moved there from a replica");
}

static void say_route(struct worker *w, struct client *c, struct lines *l)
{
	struct pick_view v;

	if (!c->db->conf->routing) {
		say(l, "Route: any host, in turn (routing is off for this database)");
		return;
	}
	pick_look(w, c, &v);
	say(l, "Route: %s (%s)",
		v.out.node == TOPO_NONE ? "waits, no node is fit" : worker_node_name(w, v.out.node),
		choose_reason_name((enum choose_reason)v.reason));
	if (c->txn == TXN_DEFERRED && c->busy->moves == MOVES_DONE)
		say(l, "  The transaction has left its replica");
	else if (c->txn == TXN_DEFERRED && c->db->moves)
		say(l, "  The transaction %s with this: transaction_reads = replica",
			moving_may_begin(c) ? "may begin on a replica"
					    : "does not begin on a replica");
	if (v.out.node == TOPO_NONE)
		say(l, "  Hint: %s", choose_hint_text((enum choose_hint)v.out.hint));
	say_demands(l, &v);
	for (uint16_t i = 0; i < v.in.n_nodes; i++)
		say_node(w, l, &v, i);
}

/* --- all of it --- */

/* Judge the text as a simple query of the client's. */
static void judge_text(struct worker *w, struct client *c, const char *sql, size_t len)
{
	uint8_t *msg = malloc(len + 6);
	struct wr out;

	c->busy->unit = (struct unit){0};
	if (msg == NULL)
		return;
	out = wr_of(msg, len + 6);
	wr_u8(&out, FRONTEND_QUERY);
	wr_u32(&out, (uint32_t)len + 5);
	wr_bytes(&out, sql, len);
	wr_u8(&out, '\0');
	c->busy->unit.len = (uint32_t)out.len;
	if (judge_unit(w, c, msg) != OK)
		c->busy->unit.cls = SQL_UNKNOWN;
	free(msg);
}

/* All lines about the text. */
static void explain(struct worker *w, struct lines *l, const char *sql, size_t len)
{
	struct client *c = l->c;
	const struct unit kept = c->busy->unit;
	bool probe_due = c->busy->probe_due;
	char *text;

	for (; len != 0 && strchr(" \t\n\r\f\v", *sql) != NULL; len--)
		sql++;
	text = strndup(sql, len); /* ends where the statement does */
	if (text != NULL) {
		judge_text(w, c, text, strlen(text));
		if (c->server != NULL)
			say_block(w, c, l, text, strlen(text));
		else
			say_route(w, c, l);
		say_statement(w, l, text, strlen(text));
		free(text);
	}
	c->busy->unit = kept;
	c->busy->probe_due = probe_due;
}

void explain_route(struct worker *w, struct client *c, const char *sql, size_t len)
{
	struct lines l = {.c = c, .put = put_row};
	uint8_t buf[32];
	struct wr out = wr_of(buf, sizeof buf);

	explain(w, &l, sql, len);
	reply_put_command_complete(&out, "EXPLAIN");
	conn_put_copy(c->conn, out.buf, out.len);
}

/* --- on the console --- */

/* Nobody's client: one that has just logged in, and has set nothing. */
static void explain_for(struct worker *w, struct lines *l, struct account *acc, const char *sql)
{
	struct settings *login = settings_empty(w->settings);
	struct client *c = calloc(1, sizeof *c);

	if (c == NULL || busy_begin(w, c) != OK) {
		free(c);
		l->answer->status = E_NOMEM;
		settings_unref(w->settings, login);
		return;
	}
	c->w = w;
	c->db = acc->db;
	c->acc = acc;
	c->state = CLIENT_IDLE;
	c->hint_told = true;
	settings_txn_init(&c->set, w->settings, &login);
	marks_init(&c->marks);
	client_settings_changed(w, c);
	l->c = c;
	explain(w, l, sql, strlen(sql));
	busy_end(w, c);
	settings_txn_fini(&c->set);
	free(c);
}

void explain_ask(struct worker *w, const struct tell_explain *t)
{
	struct ask_explained *a =
		worker_mail(sizeof *a + EXPLAIN_LINES_MAX * LINE_TEXT_MAX, ASK_EXPLAINED);
	struct lines l = {.answer = a, .put = put_answer};
	struct account *acc;
	struct dbase *db;

	if (a == NULL)
		return;
	a->token = t->token;
	a->status = dbase_find(w, t->database, &db);
	if (a->status == OK)
		a->status = account_look(
			w, db, db->conf->user[0] != '\0' ? db->conf->user : t->user, &acc);
	if (a->status == OK) {
		explain_for(w, &l, acc, t->sql);
		account_looked(w, acc);
	}
	worker_ask(w, &a->mail);
}
