#include "worker/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "sql/txn_time.h"
#include "sql/weir.h"
#include "worker/learned.h"
#include "worker/moving.h"
#include "worker/notify.h"
#include "worker/pick.h"
#include "worker/probe.h"

/* Layout of a word. */
#define WORD_EFFECTS    (1ull << 63)
#define WORD_CLS_SHIFT  60u /* 3 bits */
#define WORD_PINS_SHIFT 42u /* 18 bits: enum pin_cause */
/* JUDGE_FLAG_SHIFT: 18 bits, SQLV_* */
#define WORD_PINS_MASK 0x3ffffu
#define WORD_OURS      (1ull << 23) /* for pgweir itself, see ours.h */
#define WORD_HINTS     (1ull << 22) /* it may begin with hints */
#define WORD_SIGNALS   (1ull << 21) /* see signals.h */
#define WORD_GEN_MASK  0x001fffffull
_Static_assert(PIN_CAUSE_COUNT <= 18, "pins fit their bits");
_Static_assert(
	(SQLV_SNAPSHOT | SQLV_TXN_TIME | SQLV_SCHEMA) <= JUDGE_FLAG_MASK, "flags fit their bits");
_Static_assert(SQL_UNKNOWN < 8, "classes fit their bits");

static enum pin_cause pin_of_set(const struct sql_effect *e)
{
	if (e->kind == EFFECT_SET_CONFIG) /* a name that nobody can tell */
		return e->name.len == 0 && e->name_param == 0 ? PIN_SET_CONFIG : PIN_CAUSE_COUNT;
	if (e->kind == EFFECT_SET && (e->flags & SQL_EFFECT_PG_TEMP) != 0)
		return (e->flags & SQL_EFFECT_LOCAL) != 0 ? PIN_TEMP : PIN_SET_CONFIG;
	return PIN_CAUSE_COUNT;
}

enum pin_cause judge_pin(const struct sql_effect *e)
{
	switch ((enum sql_effect_kind)e->kind) {
	case EFFECT_SET:
	case EFFECT_SET_CONFIG:
	case EFFECT_RESET:
		return pin_of_set(e);
	case EFFECT_RUNS:
		return e->flags & SQL_EFFECT_CUSTOM ? PIN_SET_CONFIG : PIN_CAUSE_COUNT;
	case EFFECT_TEMP:
		return PIN_TEMP;
	case EFFECT_ADVISORY_LOCK:
		return PIN_ADVISORY_LOCK;
	case EFFECT_LISTEN:
		return PIN_LISTEN;
	case EFFECT_DECLARE:
		return e->flags & SQL_EFFECT_HOLD ? PIN_WITH_HOLD : PIN_CAUSE_COUNT;
	case EFFECT_LOAD:
		return PIN_LOAD;
	case EFFECT_SETSEED:
		return PIN_SETSEED;
	case EFFECT_DBLINK:
		return PIN_DBLINK;
	case EFFECT_SLOT:
	case EFFECT_UNKNOWN:
		return PIN_UNKNOWN;
	case EFFECT_NONE:
	case EFFECT_BEGIN:
	case EFFECT_COMMIT:
	case EFFECT_ROLLBACK:
	case EFFECT_SAVEPOINT:
	case EFFECT_RELEASE:
	case EFFECT_ROLLBACK_TO:
	case EFFECT_SET_TRANSACTION:
	case EFFECT_SET_CHARACTERISTICS:
	case EFFECT_SET_SNAPSHOT:
	case EFFECT_SET_CONSTRAINTS:
	case EFFECT_PREPARE_TXN:
	case EFFECT_END_PREPARED:
	case EFFECT_ROLE:
	case EFFECT_RESET_ALL:
	case EFFECT_DISCARD_ALL:
	case EFFECT_DISCARD_PLANS:
	case EFFECT_DISCARD_TEMP:
	case EFFECT_DISCARD_SEQUENCES:
	case EFFECT_ADVISORY_UNLOCK:
	case EFFECT_ADVISORY_UNLOCK_ALL:
	case EFFECT_UNLISTEN:
	case EFFECT_UNLISTEN_ALL:
	case EFFECT_CLOSE:
	case EFFECT_CLOSE_ALL:
	case EFFECT_PREPARE: /* see sqlstmt.h */
	case EFFECT_EXECUTE:
	case EFFECT_DEALLOCATE:
	case EFFECT_DEALLOCATE_ALL:
	case EFFECT_STATEMENTS:
	case EFFECT_DEFAULTS:
	case EFFECT_SETVAL:
	case EFFECT_SIGNAL:
	case EFFECT_COUNT:
		break;
	}
	return PIN_CAUSE_COUNT;
}

static uint32_t verdict_pins(const struct sql_verdict *v)
{
	uint32_t pins = 0;

	for (uint8_t i = 0; i < v->n_effects; i++) {
		enum pin_cause p = judge_pin(&v->effects[i]);

		if (p != PIN_CAUSE_COUNT && v->effects[i].kind != EFFECT_UNKNOWN)
			pins |= 1u << p;
	}
	return pins;
}

static bool has_effect(const struct sql_verdict *v, enum sql_effect_kind kind)
{
	for (uint8_t i = 0; i < v->n_effects; i++)
		if (v->effects[i].kind == kind)
			return true;
	return false;
}

static uint32_t catalog_bits(const struct client *c)
{
	/* What was learned counts as the catalog does. */
	return (uint32_t)((c->db->catalog_generation + (uint64_t)c->db->learn_no * 0x10001u) &
			  WORD_GEN_MASK);
}

static bool is_ours(const struct client *c, const char *sql, size_t len)
{
	struct weir_stmt s;

	return weir_may_be(sql, len) && weir_read(sql, len, c->sql_opts, &s);
}

/* What matters of a read where its block may move. */
static void judge_in_block(const char *sql, size_t len, uint32_t opts, struct sql_verdict *v)
{
	if (txn_time_is_named(sql, len, opts))
		v->flags |= SQLV_TXN_TIME;
	if (!txn_time_shows_only(sql, len, opts))
		v->flags |= SQLV_SNAPSHOT;
}

/* Ahead of the choice of a server: see server_note_setting. */
static void note_set(
	struct worker *w, const struct client *c, const char *sql, const struct sql_effect *e)
{
	char name[SETTINGS_NAME_MAX + 1];
	size_t len;

	if ((e->kind == EFFECT_SET || e->kind == EFFECT_SET_CONFIG) && e->name.len != 0 &&
		sql_effect_name(sql, c->sql_opts, e, name, sizeof name, &len) == OK)
		server_note_setting(w, name);
}

uint64_t judge_word(
	struct worker *w, struct client *c, const char *sql, size_t len, struct sql_verdict *v)
{
	dbase_want_catalog(w, c->db);
	sql_classify(
		sql, len, c->sql_opts, c->db->catalog != NULL ? c->db->catalog : w->no_catalog, v);
	if (c->db->learned != NULL && v->flags & SQLV_REPLICA)
		learned_apply(c->db, sql, len, c->sql_opts, v);
	if (c->db->moves && v->flags & SQLV_REPLICA)
		judge_in_block(sql, len, c->sql_opts, v);
	for (uint8_t i = 0; i < v->n_effects; i++)
		note_set(w, c, sql, &v->effects[i]);
	return (is_ours(c, sql, len) ? WORD_OURS : 0) |
	       (ask_may_have_hints(sql, len) ? WORD_HINTS : 0) |
	       (has_effect(v, EFFECT_SIGNAL) ? WORD_SIGNALS : 0) |
	       (v->n_effects != 0 || v->flags & SQLV_LOST ? WORD_EFFECTS : 0) |
	       (uint64_t)v->cls << WORD_CLS_SHIFT | (uint64_t)verdict_pins(v) << WORD_PINS_SHIFT |
	       (uint64_t)(v->flags & JUDGE_FLAG_MASK) << JUDGE_FLAG_SHIFT | catalog_bits(c);
}

uint64_t judge_stmt(struct worker *w, struct client *c, struct stmt_name *name)
{
	struct sql_verdict v;

	if (name->word == 0 || (name->word & WORD_GEN_MASK) != catalog_bits(c))
		name->word = judge_word(w, c, name->stmt->query, name->stmt->query_len, &v);
	return name->word;
}

const char *judge_executed(struct worker *w, struct client *c, const struct stmt *st, size_t *len,
	struct sql_verdict *out)
{
	const char *sql = st->query;

	*len = st->query_len;
	(void)judge_word(w, c, sql, *len, out);
	if (!st->is_sql || out->n_effects == 0 || out->effects[0].kind != EFFECT_PREPARE)
		return sql;
	sql += out->effects[0].value.off;
	*len -= out->effects[0].value.off; /* to the end: the lexer wants a NUL there */
	(void)judge_word(w, c, sql, *len, out);
	return sql;
}

static void unit_add_word(struct unit *u, uint64_t word)
{
	uint32_t flags = judge_flags(word);
	uint8_t cls = (word >> WORD_CLS_SHIFT) & 7u;

	bool replica = flags & SQLV_REPLICA && (u->n_stmts == 0 || u->flags & SQLV_REPLICA);

	u->flags = ((u->flags | flags) & ~SQLV_REPLICA) | (replica ? SQLV_REPLICA : 0) |
		   (cls == SQL_UNKNOWN ? SQLV_MAY_ADVANCE : 0);
	if (cls > u->cls)
		u->cls = cls;
	u->pins |= (uint32_t)(word >> WORD_PINS_SHIFT) & WORD_PINS_MASK;
	u->has_effects |= judge_has_effects(word);
	u->ours |= (word & WORD_OURS) != 0;
	u->signals |= (word & WORD_SIGNALS) != 0;
	u->n_stmts++;
}

/* A word of a hint is not known, or its value is wrong: once a client, it is told. */
static COLD void hint_is_unknown(struct worker *w, struct client *c, const char *word)
{
	char message[ASK_VALUE_MAX + 64];
	struct report r = report_of("WARNING", "01000", message);
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);

	if (c->hint_told || c->server != NULL) /* not into the middle of an answer */
		return;
	c->hint_told = true;
	snprintf(message, sizeof message, "pgweir does not know the hint \"%s\"", word);
	r.hint = "Hints are primary, replica, auto, consistency=… and max_lag=….";
	report_put(&out, 'N', &r);
	conn_put_copy(c->conn, buf, out.len);
	log_info(w->log, "unknown hint", "client=%lu db=%s", (unsigned long)c->id,
		LOG_Q(c->db->name));
}

/* The hints of a statement of the unit. */
static COLD void take_hints(struct worker *w, struct client *c, const char *sql, size_t len)
{
	char unknown[ASK_VALUE_MAX];
	struct ask hints;

	if (!ask_read_hints(sql, len, &hints, unknown))
		return;
	ask_merge(&c->busy->unit.ask, &hints);
	if (unknown[0] != '\0')
		hint_is_unknown(w, c, unknown);
}

/*
 * The client says that a replica can run what is not proved. It is believed about the functions,
 * views and other objects of the database, and about what differs from server to server; not about
 * what the text itself tells to write or to leave something in the session.
 */
bool judge_may_ask_replica(struct worker *w, const struct client *c, const char *sql, size_t len)
{
	const uint32_t never = ~(uint32_t)(SQLV_REPLICA | SQLV_COPY_OUT | SQLV_BODY);
	struct sql_verdict v;

	if (w->plain_catalog == NULL)
		return false;
	sql_classify(sql, len, c->sql_opts, w->plain_catalog, &v);
	if (v.n_effects != 0 || (v.flags & never) != 0)
		return false;
	switch ((enum sql_cause)v.cause) {
	case CAUSE_NONE:
	case CAUSE_SERVER:
	case CAUSE_FUNCTION:
	case CAUSE_RELATION:
	case CAUSE_OPERATOR:
	case CAUSE_TYPE:
	case CAUSE_NAME:
		return v.cls == SQL_READ || v.cause == CAUSE_FUNCTION;
	default:
		return false;
	}
}

/* May there be something to heed about a statement with this word? */
static bool is_heeded(const struct client *c, uint64_t word)
{
	return (word & WORD_HINTS) != 0 || c->params != NULL || c->txn == TXN_DEFERRED ||
	       c->busy->unit.ask.route != 0;
}

/* What the client asks for about one statement of its unit. */
static void heed(struct worker *w, struct client *c, const char *sql, size_t len)
{
	struct unit *u = &c->busy->unit;
	bool is_first = u->n_stmts <= 1;

	if (ask_may_have_hints(sql, len))
		take_hints(w, c, sql, len);
	if ((u->flags & SQLV_REPLICA) == 0 && pick_asks_replica(c))
		u->asks_replica =
			(is_first || u->asks_replica) && judge_may_ask_replica(w, c, sql, len);
}

static void unit_is_unknown(struct unit *u)
{
	u->flags = (u->flags & ~SQLV_REPLICA) | SQLV_MAY_ADVANCE;
	u->cls = SQL_UNKNOWN;
	u->n_stmts++;
}

/* Keep the Parse of the unnamed statement: it may be bound again in a later unit. */
static void keep_unnamed(struct client *c, struct rd body, uint64_t word)
{
	struct unnamed *u = c->unnamed;

	if (body.left > UNNAMED_KEEP_MAX) {
		if (u != NULL)
			u->len = 0;
		return;
	}
	if (u == NULL || u->cap < body.left || (u->cap > UNNAMED_LARGE && body.left < u->cap / 4)) {
		uint32_t cap = 256;

		while (cap < body.left)
			cap *= 2;
		free(u);
		c->unnamed = u = malloc(sizeof *u + cap);
		if (u == NULL)
			return;
		u->seen = (struct stmt_seen){0};
		u->is_closed = false;
		u->cap = cap;
	}
	u->word = word;
	u->fingerprint = 0;
	u->has_trace = false;
	u->sql_opts = c->sql_opts;
	u->len = (uint32_t)body.left;
	memcpy(u->body, body.p, body.left);
}

/* Drivers send the same unnamed Parse again and again: what is known of it still holds. */
static bool is_kept_unnamed(const struct client *c, struct rd body)
{
	const struct unnamed *u = c->unnamed;

	return u != NULL && u->len == body.left && u->len != 0 && !c->verbatim &&
	       !pins_any(&c->busy->pins) && u->sql_opts == c->sql_opts &&
	       !judge_has_effects(u->word) && (u->word & WORD_GEN_MASK) == catalog_bits(c) &&
	       memcmp(u->body, body.p, body.left) == 0;
}

/* A pinned client runs a statement that was parsed before: may that undo the pin? */
static void note_probe(struct worker *w, struct client *c, const struct stmt_name *name)
{
	struct sql_verdict v;

	if (c->busy->probe_due || !pins_hold_state(&c->busy->pins))
		return;
	(void)judge_word(w, c, name->stmt->query, name->stmt->query_len, &v);
	c->busy->probe_due = probe_is_due(c, &v, name->stmt->query, name->stmt->query_len);
}

static enum status judge_parse(struct worker *w, struct client *c, struct rd body)
{
	struct unit *u = &c->busy->unit;
	struct sql_verdict v;
	struct msg_parse m;
	uint64_t word;

	if (is_kept_unnamed(c, body)) {
		dbase_want_catalog(w, c->db);
		unit_add_word(u, c->unnamed->word);
		if (is_heeded(c, c->unnamed->word) && frontend_read_parse(body, &m) == OK)
			heed(w, c, m.sql, m.sql_len);
		return OK;
	}
	if (frontend_read_parse(body, &m) != OK)
		return E_PROTO;
	word = judge_word(w, c, m.sql, m.sql_len, &v);
	c->busy->probe_due = c->busy->probe_due || probe_is_due(c, &v, m.sql, m.sql_len);
	if (m.name_len == 0 && !c->verbatim)
		keep_unnamed(c, body, word);
	unit_add_word(u, word);
	if (is_heeded(c, word))
		heed(w, c, m.sql, m.sql_len);
	return OK;
}

COLD void judge_unnamed(struct worker *w, struct client *c, struct rd body)
{
	struct sql_verdict v;
	struct msg_parse m;

	if (frontend_read_parse(body, &m) == OK)
		keep_unnamed(c, body, judge_word(w, c, m.sql, m.sql_len, &v));
}

static enum status judge_bind(
	struct worker *w, struct client *c, struct rd body, bool unnamed_parsed)
{
	struct stmt_name *name;
	struct msg_bind m;

	if (frontend_read_bind(body, (uint32_t)body.left, &m) != OK)
		return E_PROTO;
	if (m.stmt_len != 0 && c->verbatim && stmt_names_find(&c->names, m.stmt) != NULL)
		c->busy->unit.ours = true; /* the server's names are its own, but for ours */
	if (m.stmt_len == 0) {
		if (unnamed_parsed)
			return OK;
		if (c->unnamed != NULL && c->unnamed->len != 0 &&
			(c->unnamed->word & WORD_GEN_MASK) == catalog_bits(c))
			unit_add_word(&c->busy->unit, c->unnamed->word);
		else
			unit_is_unknown(&c->busy->unit);
		return OK;
	}
	name = c->verbatim ? NULL : stmt_names_find(&c->names, m.stmt);
	if (name != NULL && name->stmt->is_sql) {
		unit_is_unknown(&c->busy->unit); /* as its EXECUTE */
	} else if (name != NULL) {
		uint64_t word = judge_stmt(w, c, name);

		unit_add_word(&c->busy->unit, word);
		if (is_heeded(c, word))
			heed(w, c, name->stmt->query, name->stmt->query_len);
		note_probe(w, c, name);
	} else {
		c->busy->unit.may_name_later = true; /* parsed in this very unit, or unknown */
	}
	return OK;
}

static enum status judge_simple(struct worker *w, struct client *c, struct rd body)
{
	struct sql_verdict v;
	struct msg_query m;
	uint64_t word;

	if (frontend_read_query(body, &m) != OK)
		return E_PROTO;
	word = judge_word(w, c, m.sql, m.sql_len, &v);
	unit_add_word(&c->busy->unit, word);
	if (is_heeded(c, word))
		heed(w, c, m.sql, m.sql_len);
	c->busy->probe_due = c->busy->probe_due || probe_is_due(c, &v, m.sql, m.sql_len);
	return OK;
}

/* Is the unit of a block that moves, or that may come to be one? */
static bool may_move(const struct client *c)
{
	return c->db->moves || c->busy->moves >= MOVES_REPLICA || c->busy->moves == MOVES_SHADOW ||
	       (c->txn == TXN_DEFERRED && c->db->conf != NULL && c->db->conf->routing);
}

enum status judge_unit(struct worker *w, struct client *c, const uint8_t *data)
{
	struct unit *u = &c->busy->unit;
	bool unnamed_parsed = false, parsed = false;
	uint32_t at = 0, n_msgs = 0;
	enum status st = OK;
	struct frame f;

	if (c->replication) { /* commands of the walsender, among others; its server is its own */
		unit_is_unknown(u);
		u->judged = true;
		return OK;
	}
	while (at < u->len && st == OK) {
		st = frame_peek(data + at, u->len - at, FRAME_LEN_MAX, &f);
		if (st != OK)
			break;
		switch (f.type) {
		case FRONTEND_QUERY:
			st = judge_simple(w, c, frame_body(data + at, &f));
			u->is_simple = n_msgs == 0;
			break;
		case FRONTEND_PARSE:
			st = judge_parse(w, c, frame_body(data + at, &f));
			parsed = true;
			unnamed_parsed = unnamed_parsed || data[at + FRAME_HEAD_LEN] == '\0';
			break;
		case FRONTEND_BIND:
			st = judge_bind(w, c, frame_body(data + at, &f), unnamed_parsed);
			break;
		case FRONTEND_FUNCTION_CALL:
			unit_is_unknown(u);
			break;
		case FRONTEND_EXECUTE:
			if (data[at + FRAME_HEAD_LEN] != '\0')
				u->uses_portal = true;
			break;
		default:
			break;
		}
		n_msgs++;
		at += f.total;
	}
	if (u->may_name_later && !parsed)
		unit_is_unknown(
			u); /* 26000 comes from the server; any will do, the primary is safe */
	if (u->n_stmts == 0 && u->uses_portal)
		unit_is_unknown(u);
	if ((u->pins >> PIN_LISTEN & 1u) != 0 && notify_is_shared(w, c)) {
		u->pins &= ~(1u << PIN_LISTEN);
		u->listens = true;
	}
	if (may_move(c))
		moving_judge(c, data);
	u->judged = true;
	return st;
}
