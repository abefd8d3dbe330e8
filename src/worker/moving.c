#include "worker/moving.h"

#include <string.h>

#include "proto/frame.h"
#include "proto/frontend.h"
#include "sql/txn_time.h"
#include "state/settings_class.h"
#include "worker/confirm.h"
#include "worker/judge.h"
#include "worker/link.h"
#include "worker/loss.h"
#include "worker/pick.h"
#include "worker/single.h"
#include "worker/worker.h"

/* What is under way on the replica, to be done to the journal when it has succeeded. */
enum moving_op {
	OP_NONE,
	OP_PUT, /* it stands there; to be taken off if it fails */
	OP_ROLLBACK_TO,
	OP_RELEASE,
	OP_CHAIN,
};

const char *moved_cause_name(enum moved_cause why)
{
	static const char *const names[MOVED_CAUSE_COUNT] = {
		[MOVED_WRITE] = "write",
		[MOVED_SESSION] = "session",
		[MOVED_TIME] = "time",
		[MOVED_CURSOR] = "cursor",
		[MOVED_UNKNOWN] = "unknown",
		[MOVED_STREAM] = "streamed",
		[MOVED_ASKED] = "hint",
		[MOVED_NODE] = "node",
		[MOVED_FAILED] = "failed",
		[MOVED_LOST] = "lost",
	};

	return (unsigned)why < MOVED_CAUSE_COUNT ? names[why] : "?";
}

/* --- what a unit is --- */

/* A read behind which its server has nothing that another lacks. */
static bool leaves_nothing(const struct unit *u)
{
	return u->flags & SQLV_REPLICA && u->pins == 0 && !u->has_effects && !u->keeps_portal;
}

static bool is_plain_read(const struct unit *u)
{
	return leaves_nothing(u) && (u->flags & SQLV_TXN_TIME) == 0;
}

/* Nothing is executed or prepared in it: Sync alone, Close, Describe. */
static bool is_idle_unit(const struct unit *u)
{
	return u->n_stmts == 0 && !u->keeps_portal && !u->uses_portal;
}

bool moving_may_begin(const struct client *c)
{
	const struct sql_modes *m = &c->busy->deferred->modes;
	enum sql_isolation isolation = pick_isolation(c);

	if (!is_plain_read(&c->busy->unit) || c->busy->moves == MOVES_DONE || m->needs_primary ||
		pick_block_is_read_only(c) || pick_sees_others(c))
		return false;
	if (isolation == ISOLATION_UNSET)
		return c->acc->plain_isolation;
	return isolation <= ISOLATION_READ_COMMITTED;
}

/* Is the deferred block's snapshot one for all of it? plain: by default it is not. */
static bool has_one_snapshot(const struct client *c, bool plain)
{
	enum sql_isolation isolation = pick_isolation(c);

	return isolation > ISOLATION_READ_COMMITTED || (isolation == ISOLATION_UNSET && !plain);
}

bool moving_has_one_snapshot(const struct client *c, const struct server *s)
{
	return c->busy->deferred != NULL && has_one_snapshot(c, s->plain_isolation);
}

static bool is_read_in(const struct client *c, bool read_only)
{
	if (read_only) /* one that takes it as it is there */
		return !c->busy->streaming &&
		       (leaves_nothing(&c->busy->unit) || is_idle_unit(&c->busy->unit));
	return !c->busy->streaming &&
	       (is_plain_read(&c->busy->unit) || is_idle_unit(&c->busy->unit)) &&
	       !pick_asks_primary(c) && !pick_sees_others(c);
}

bool moving_confirms(const struct client *c)
{
	return is_read_in(c, true);
}

bool moving_is_read(const struct client *c)
{
	return is_read_in(c, c->busy->block_read_only);
}

enum moved_cause moving_cause_of(const struct client *c)
{
	const struct unit *u = &c->busy->unit;

	if (c->busy->streaming)
		return MOVED_STREAM;
	if (u->cls == SQL_WRITE)
		return MOVED_WRITE;
	if (u->keeps_portal || u->flags & SQLV_USES_CURSOR)
		return MOVED_CURSOR;
	if (u->flags & SQLV_TXN_TIME)
		return MOVED_TIME;
	if (u->cls == SQL_SESSION || u->cls == SQL_TXN || u->has_effects)
		return MOVED_SESSION;
	if (u->flags & SQLV_REPLICA)
		return MOVED_ASKED;
	return MOVED_UNKNOWN;
}

void moving_judge(struct client *c, const uint8_t *data)
{
	struct unit *u = &c->busy->unit;
	struct frame f;

	for (uint32_t at = 0; at < u->len; at += f.total) {
		struct rd body;

		if (frame_peek(data + at, u->len - at, FRAME_LEN_MAX, &f) != OK)
			return;
		if (f.type != FRONTEND_BIND && f.type != FRONTEND_EXECUTE)
			continue;
		body = frame_body(data + at, &f);
		if (*rd_cstr(&body) != '\0' || (f.type == FRONTEND_EXECUTE && rd_u32(&body) != 0))
			u->keeps_portal = true;
	}
}

/* --- control of the block --- */

/*
 * SET LOCAL of a parameter or a role, in words that another server understands as well. What a
 * custom parameter leaves is the client's when the statement is complete, see effects.h.
 */
static bool sets_locally(const struct client *c, const struct single *u)
{
	const struct sql_effect *e = &u->verdict.effects[0];
	const uint8_t how = e->flags & (SQL_EFFECT_LOCAL | SQL_EFFECT_UNTRACKED);
	char name[SETTINGS_NAME_MAX + 1];

	if (sql_verdict_is(&u->verdict, EFFECT_ROLE))
		return how == SQL_EFFECT_LOCAL && e->implied == IMPLIED_ROLE;
	if (!sql_verdict_is(&u->verdict, EFFECT_SET))
		return false;
	if (e->flags & SQL_EFFECT_CUSTOM)
		return how == SQL_EFFECT_LOCAL;
	return single_sets_locally(c, u, name) && settings_class_of(name) != SETTINGS_TXN;
}

/* Is it a statement that controls the block, and that runs where the block is? */
static bool is_control(const struct client *c, const struct single *u)
{
	if (sql_verdict_is(&u->verdict, EFFECT_COMMIT) ||
		sql_verdict_is(&u->verdict, EFFECT_ROLLBACK) ||
		sql_verdict_is(&u->verdict, EFFECT_ROLLBACK_TO))
		return true;
	if (c->txn == TXN_FAILED) /* it is refused there, as anywhere */
		return u->verdict.n_stmts == 1;
	if (sql_verdict_is(&u->verdict, EFFECT_SAVEPOINT) ||
		sql_verdict_is(&u->verdict, EFFECT_RELEASE))
		return true;
	return sets_locally(c, u);
}

/* What it will do to the journal. False: it cannot be followed, so it runs elsewhere. */
static bool note_control(struct client *c, const struct single *u)
{
	struct deferred *d = c->busy->deferred;
	const struct sql_effect *e = &u->verdict.effects[0];
	bool sets = e->kind == EFFECT_SET || e->kind == EFFECT_ROLE;
	enum journal_kind kind = sets ? JOURNAL_SET : JOURNAL_SAVEPOINT;
	size_t len;

	d->op = OP_NONE;
	d->op_len = d->journal.len;
	if (e->kind == EFFECT_COMMIT || e->kind == EFFECT_ROLLBACK) {
		d->op = e->flags & SQL_EFFECT_CHAIN ? OP_CHAIN : OP_NONE;
		return true;
	}
	if (c->txn == TXN_FAILED && e->kind != EFFECT_ROLLBACK_TO)
		return true;
	d->op_name[0] = '\0';
	if (!sets &&
		sql_effect_name(u->sql, c->sql_opts, e, d->op_name, sizeof d->op_name, &len) != OK)
		return false;
	if (e->kind == EFFECT_ROLLBACK_TO)
		d->op = OP_ROLLBACK_TO;
	else if (e->kind == EFFECT_RELEASE)
		d->op = OP_RELEASE;
	else if (journal_put(&d->journal, kind, u->sql, u->sql_len, d->op_name) == OK)
		d->op = OP_PUT;
	else
		return false;
	return true;
}

static enum moved_cause cause_of_single(const struct client *c, const struct single *u)
{
	return sql_verdict_is(&u->verdict, EFFECT_DECLARE) ? MOVED_CURSOR : moving_cause_of(c);
}

/* Is the unit at `data`, which is no plain read, control of the block? *u is what it says; *why it
 * would move the block if not. */
static bool read_control(struct worker *w, struct client *c, const uint8_t *data, struct single *u,
	enum moved_cause *why)
{
	*why = moving_cause_of(c);
	if (c->busy->streaming || !c->busy->unit.has_effects || !single_read(c, data, u))
		return false;
	(void)judge_word(w, c, u->sql, u->sql_len, &u->verdict);
	*why = cause_of_single(c, u);
	return is_control(c, u);
}

/* The unit is no plain read. Does it run where the block is all the same? If not, *why. */
static bool stays(struct worker *w, struct client *c, const uint8_t *data, enum moved_cause *why)
{
	struct single u;

	return read_control(w, c, data, &u, why) && note_control(c, &u);
}

/* --- moving --- */

static void note_snapshot(struct client *c)
{
	if (c->busy->unit.flags & SQLV_SNAPSHOT)
		c->busy->deferred->snapshot = true;
}

/* The same for a READ ONLY block: what is judged anywhere does not tell. */
static void note_snapshot_of(struct client *c, const uint8_t *data)
{
	struct deferred *d = c->busy->deferred;
	struct single u;

	d->snapshot =
		d->snapshot || (c->busy->unit.n_stmts != 0 &&
				       !(single_read(c, data, &u) &&
					       txn_time_shows_only(u.sql, u.sql_len, c->sql_opts)));
}

/* A READ ONLY block gets what no other server can be given: it cannot leave its replica. */
static void bind_block(struct client *c)
{
	if (c->txn != TXN_DEFERRED) /* else it is still to be said */
		journal_clear(&c->busy->deferred->journal);
	c->busy->deferred->op = OP_NONE;
	c->busy->moves = MOVES_NOT;
}

static void leave(struct worker *w, struct client *c, enum moved_cause why)
{
	struct server *s = c->server;

	log_debug(w->log, "a transaction moves", "client=%lu server=%lu node=%s reason=%s",
		(unsigned long)c->id, (unsigned long)s->id, worker_node_name(w, s->pool->node),
		moved_cause_name(why));
	link_leave(w, c);
	moving_left(c, why);
	loss_drained(w, s);
}

/*
 * The unit of a READ ONLY block is no read, nor control of the block. Does it run on the replica
 * all the same, and bind the block? What the client wants there does, a cursor, too; and all, where
 * the entry is for replicas. Anything else might fail there, or differ, or leave what no other
 * server has.
 */
static bool binds(const struct client *c, enum moved_cause why)
{
	const struct conf_db *db = c->db->conf;

	return db == NULL || pick_route(db) != CHOOSE_ROUTE_AUTO || c->busy->unit.asks_replica ||
	       (why == MOVED_CURSOR && pick_asks_replica(c));
}

/*
 * The next unit of a READ ONLY block, with nothing under way before it unless it is a read. False:
 * it is one for the primary, for this cause.
 */
static bool follow_read_only(
	struct worker *w, struct client *c, const uint8_t *data, bool reads, enum moved_cause *why)
{
	if (reads) {
		note_snapshot_of(c, data);
		return true;
	}
	if (stays(w, c, data, why))
		return true;
	if (!binds(c, *why))
		return false;
	bind_block(c);
	return true;
}

/*
 * Effects of a statement that make no difference to what the block's other statements read, or that
 * any server is given: settings of the session, prepared statements.
 */
static bool are_harmless(const struct sql_verdict *v)
{
	for (uint32_t i = 0; i < v->n_effects; i++) {
		const struct sql_effect *e = &v->effects[i];
		bool is_set = e->kind == EFFECT_SET && (e->flags & SQL_EFFECT_LOCAL) == 0;

		if (!is_set && e->kind != EFFECT_DECLARE && e->kind != EFFECT_CLOSE &&
			e->kind != EFFECT_CLOSE_ALL && e->kind != EFFECT_PREPARE &&
			e->kind != EFFECT_EXECUTE && e->kind != EFFECT_DEALLOCATE)
			return false;
	}
	return (v->flags & SQLV_LOST) == 0;
}

/* The text of a Query or Parse, or of the statement that a Bind names. */
static bool text_of(
	const struct client *c, const uint8_t *p, const struct frame *f, struct single *u)
{
	struct rd body = frame_body(p, f);
	const struct stmt_name *name;
	struct msg_parse parse;
	struct msg_query query;
	struct msg_bind bind;

	if (f->type == FRONTEND_QUERY && frontend_read_query(body, &query) == OK) {
		u->sql = query.sql;
		u->sql_len = query.sql_len;
		return true;
	}
	if (f->type == FRONTEND_PARSE && frontend_read_parse(body, &parse) == OK) {
		u->sql = parse.sql;
		u->sql_len = parse.sql_len;
		return true;
	}
	if (f->type != FRONTEND_BIND ||
		frontend_read_bind(body, (uint32_t)body.left, &bind) != OK || bind.stmt_len == 0 ||
		(name = stmt_names_find(&c->names, bind.stmt)) == NULL)
		return false;
	u->sql = name->stmt->query;
	u->sql_len = name->stmt->query_len;
	return true;
}

/* Is all that the unit, which is not control of the block, has of effects harmless? */
static bool is_harmless(struct worker *w, struct client *c, const uint8_t *data)
{
	bool parsed = false;
	struct single u;
	struct frame f;

	for (uint32_t at = 0; at < c->busy->unit.len; at += f.total) {
		if (frame_peek(data + at, c->busy->unit.len - at, FRAME_LEN_MAX, &f) != OK)
			return false;
		if (f.type != FRONTEND_QUERY && f.type != FRONTEND_PARSE && f.type != FRONTEND_BIND)
			continue;
		if (!text_of(c, data + at, &f, &u)) {
			if (!parsed)
				return false; /* a Bind of what was parsed before */
			continue;
		}
		parsed = true;
		(void)judge_word(w, c, u.sql, u.sql_len, &u.verdict);
		if (!are_harmless(&u.verdict))
			return false;
	}
	return true;
}

/*
 * The next unit of a block that its snapshot binds: it stays, and the journal follows it as far as
 * it can; behind what it cannot follow the primary is not asked any more. False: as moving_goes_on.
 */
static bool follow_bound(struct worker *w, struct client *c, const uint8_t *data)
{
	enum moved_cause why;
	struct single u;

	if (c->busy->confirming)
		return confirm_goes_on(w, c);
	if (moving_confirms(c) || (!c->busy->streaming && !c->busy->unit.has_effects))
		return true;
	if (!owed_is_empty(&c->server->owed) || c->busy->sent_len != 0)
		return false;
	if (read_control(w, c, data, &u, &why) ? !note_control(c, &u)
					       : c->busy->streaming || !is_harmless(w, c, data))
		bind_block(c);
	return true;
}

bool moving_goes_on(struct worker *w, struct client *c, const uint8_t *data)
{
	enum moved_cause why = MOVED_NODE;
	struct server *s = c->server;
	bool is_idle, reads;

	if (c->busy->moves == MOVES_BOUND)
		return follow_bound(w, c, data);
	is_idle = owed_is_empty(&s->owed) && c->busy->sent_len == 0;
	reads = c->txn == TXN_FAILED ? !c->busy->streaming && !c->busy->unit.has_effects
				     : moving_is_read(c);
	if (c->busy->block_read_only) {
		if (!reads && !is_idle)
			return false;
		if (!follow_read_only(w, c, data, reads, &why))
			leave(w, c, why);
		return true;
	}
	/* Others are under way: whether it may follow them is dispatch's to say. */
	if (reads && (!is_idle || c->txn == TXN_FAILED || c->busy->unit.n_stmts == 0 ||
			     pick_is_fit(w, c, s->pool))) {
		note_snapshot(c);
		return true;
	}
	if (!reads) {
		if (!is_idle)
			return false;
		if (stays(w, c, data, &why))
			return true;
	}
	leave(w, c, why);
	return true;
}

static bool begins_elsewhere(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	c->busy->moves = MOVES_DONE;
	link_break(w, c);
	server_release(w, s);
	return false;
}

bool moving_begins(struct worker *w, struct client *c, const uint8_t *data)
{
	struct server *s = c->server;
	enum moved_cause why;

	if (c->txn != TXN_DEFERRED || c->busy->begin_sent)
		return true;
	if (!s->in_recovery)
		c->acc->plain_isolation = s->plain_isolation;
	if (c->busy->moves != MOVES_CHOSEN)
		return true;
	if (!s->in_recovery) { /* the primary had a server sooner */
		c->busy->moves = MOVES_NOT;
		return true;
	}
	if (has_one_snapshot(c, s->plain_isolation)) { /* READ ONLY: it is of this replica alone */
		c->busy->moves = c->busy->block_read_only ? MOVES_BOUND : MOVES_NOT;
		return c->busy->block_read_only ? follow_bound(w, c, data) : begins_elsewhere(w, c);
	}
	c->busy->moves = MOVES_REPLICA;
	if (c->busy->block_read_only)
		return follow_read_only(w, c, data, moving_is_read(c), &why) ||
		       begins_elsewhere(w, c);
	note_snapshot(c);
	c->db->stats.moving_began++;
	return true;
}

bool moving_survives(const struct client *c, const struct server *s)
{
	/* It was idle for too long, or has taken too long: so it would have been anywhere. */
	bool is_late = strcmp(s->fatal_sqlstate, SQLSTATE_IDLE_IN_TRANSACTION_TIMEOUT) == 0 ||
		       strcmp(s->fatal_sqlstate, SQLSTATE_TRANSACTION_TIMEOUT) == 0;

	return c->busy->moves == MOVES_REPLICA && c->txn == TXN_OPEN && s->owed.n_client == 0 &&
	       c->busy->sent_len == 0 && !c->busy->streaming && !is_late;
}

void moving_left(struct client *c, enum moved_cause why)
{
	struct deferred *d = c->busy->deferred;

	PANIC_IF(c->busy->moves < MOVES_REPLICA);
	d->failed = c->txn == TXN_FAILED;
	if (d->op == OP_PUT)
		journal_cut(&d->journal, d->op_len);
	d->op = OP_NONE;
	if (c->busy->moves == MOVES_BOUND) { /* not answered yet: it begins elsewhere */
		c->busy->moves = MOVES_NOT;
		return;
	}
	c->txn = TXN_DEFERRED;
	c->busy->begin_sent = false;
	c->busy->end_sent = EFFECT_NONE;
	c->busy->end_unsure = false;
	c->busy->end_bound = false;
	c->busy->moves = MOVES_DONE;
	c->db->stats.moving_began += c->busy->block_read_only; /* counted only where it moves */
	c->db->stats.moved[why]++;
}

void moving_abandoned(struct client *c)
{
	if (c->busy->moves == MOVES_REPLICA && !c->busy->block_read_only)
		c->db->stats.moving_ended++;
	c->busy->moves = MOVES_NOT;
}

/* --- the end of a unit --- */

static void follow_journal(struct client *c, enum moving_op op, bool done)
{
	struct deferred *d = c->busy->deferred;

	switch (op) {
	case OP_NONE:
		break;
	case OP_PUT:
		if (!done)
			journal_cut(&d->journal, d->op_len);
		break;
	case OP_ROLLBACK_TO:
		if (done)
			journal_rollback_to(&d->journal, d->op_name);
		break;
	case OP_RELEASE:
		if (done)
			journal_release(&d->journal, d->op_name);
		break;
	case OP_CHAIN:
		if (!done)
			break;
		journal_chain(&d->journal);
		d->snapshot = false;
		c->db->stats.moving_ended += !c->busy->block_read_only;
		c->db->stats.moving_began += !c->busy->block_read_only;
		break;
	}
}

void moving_unit_ended(struct client *c, char status)
{
	struct deferred *d = c->busy->deferred;
	enum moving_op op = (enum moving_op)d->op;

	d->op = OP_NONE;
	if (c->busy->moves >= MOVES_REPLICA)
		follow_journal(c, op, status == 'T');
	if (c->busy->moves == MOVES_BOUND)
		c->busy->holding = false; /* of what follows its first answer nothing is held */
	if (status != 'I')
		return;
	journal_clear(&d->journal);
	moving_abandoned(c);
}

/* --- routing = shadow --- */

/* As moving_begins and moving_goes_on have it; nothing is noted. */
static bool shadow_stays(struct worker *w, struct client *c, const uint8_t *data)
{
	bool read_only = pick_block_is_read_only(c);
	enum moved_cause why;
	struct single u;

	if (read_only && has_one_snapshot(c, c->acc->plain_isolation))
		return true;
	if (c->txn == TXN_FAILED) /* it has moved with the statement that failed */
		return false;
	if (is_read_in(c, read_only))
		return read_only || c->busy->unit.n_stmts == 0 || pick_shadow_is_fit(w, c);
	if (read_control(w, c, data, &u, &why))
		return true;
	if (!read_only || !binds(c, why))
		return false;
	c->busy->moves = MOVES_NOT; /* bound: the block is counted there to its end */
	return true;
}

void moving_shadow(struct worker *w, struct client *c, const uint8_t *data)
{
	if (shadow_stays(w, c, data))
		return;
	c->busy->moves = MOVES_NOT;
	c->busy->shadow_index = -1;
	if (c->txn != TXN_FAILED)
		c->busy->route_reason = CHOOSE_BY_MOVED;
}

const char *moving_explain(struct worker *w, struct client *c, const char *sql, size_t len)
{
	struct single u = {.sql = sql, .sql_len = (uint32_t)len};
	enum moved_cause why;

	if (c->txn != TXN_FAILED && moving_is_read(c))
		return c->busy->block_read_only || pick_is_fit(w, c, c->server->pool)
			       ? NULL
			       : moved_cause_name(MOVED_NODE);
	(void)judge_word(w, c, sql, len, &u.verdict);
	why = cause_of_single(c, &u);
	if (is_control(c, &u) || (c->busy->block_read_only && binds(c, why)))
		return NULL;
	return moved_cause_name(why);
}
