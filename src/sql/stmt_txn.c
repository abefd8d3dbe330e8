/* Transaction control. Only forms that are read whole are told as effects. */
#include "sql/stmt.h"
#include "sql/walk.h"

static bool take_isolation(struct scan *s, struct sql_modes *m)
{
	if (!scan_accept(s, WORD_LEVEL))
		return false;
	if (scan_accept(s, WORD_SERIALIZABLE)) {
		m->isolation = ISOLATION_SERIALIZABLE;
		m->needs_primary = true;
		return true;
	}
	if (scan_accept(s, WORD_REPEATABLE)) {
		m->isolation = ISOLATION_REPEATABLE_READ;
		return scan_accept(s, WORD_READ);
	}
	if (!scan_accept(s, WORD_READ))
		return false;
	m->isolation = ISOLATION_READ_COMMITTED;
	if (scan_accept(s, WORD_COMMITTED))
		return true;
	m->isolation = ISOLATION_READ_UNCOMMITTED;
	return scan_accept(s, WORD_UNCOMMITTED);
}

static bool take_mode(struct scan *s, struct sql_modes *m)
{
	if (scan_accept(s, WORD_ISOLATION))
		return take_isolation(s, m);
	if (scan_accept(s, WORD_READ)) {
		m->read_only = TRI_YES;
		if (scan_accept(s, WORD_ONLY))
			return true;
		m->read_only = TRI_NO;
		m->needs_primary = true;
		return scan_accept(s, WORD_WRITE);
	}
	m->deferrable = scan_accept(s, WORD_NOT) ? TRI_NO : TRI_YES;
	return scan_accept(s, WORD_DEFERRABLE);
}

bool stmt_take_modes(struct scan *s, struct sql_modes *m)
{
	do {
		if (!take_mode(s, m))
			return false;
		if (scan_accept_char(s, ',') && scan_at_end(s))
			return false;
	} while (!scan_at_end(s));
	return true;
}

static void accept_noise(struct scan *s)
{
	if (!scan_accept(s, WORD_TRANSACTION))
		scan_accept(s, WORD_WORK);
}

/* A transaction is for a replica if it says READ ONLY, and nothing that a standby refuses. */
static void open_txn(struct scan *s, const struct sql_modes *m)
{
	if (m->read_only != TRI_YES || m->needs_primary)
		scan_object(s, CAUSE_TXN);
	s->txn_open = true;
}

void stmt_begin(struct scan *s)
{
	bool start = scan_is(s, WORD_START);
	struct sql_modes m = {0};
	struct sql_effect *e;

	scan_next(s);
	if (start && !scan_accept(s, WORD_TRANSACTION)) {
		scan_unclear(s);
		return;
	}
	if (!start)
		accept_noise(s);
	if (!scan_at_end(s) && !stmt_take_modes(s, &m)) {
		scan_unclear(s);
		return;
	}
	scan_class(s, SQL_TXN);
	e = scan_effect(s, EFFECT_BEGIN);
	e->modes = m;
	e->flags = start ? SQL_EFFECT_START : 0;
	open_txn(s, &m);
}

/* The end of a transaction: of one begun in this text, or of one from before it. */
static void close_txn(struct scan *s, bool chain)
{
	if (!s->txn_open) {
		scan_object(s, CAUSE_TXN);
		scan_flag(s, SQLV_ENDS_TXN);
	}
	s->txn_open = chain;
}

/* [AND [NO] CHAIN]; *chain tells. False: something else follows. */
static bool take_chain(struct scan *s, bool *chain)
{
	*chain = false;
	if (scan_accept(s, WORD_AND)) {
		*chain = !scan_accept(s, WORD_NO);
		if (!scan_accept(s, WORD_CHAIN))
			return false;
	}
	return scan_at_end(s);
}

static void finish_txn(struct scan *s, enum sql_effect_kind kind)
{
	bool chain;

	if (!take_chain(s, &chain)) {
		scan_unclear(s);
		return;
	}
	scan_class(s, SQL_TXN);
	scan_effect(s, kind)->flags = chain ? SQL_EFFECT_CHAIN : 0;
	close_txn(s, chain);
}

/* COMMIT PREPARED 'id', ROLLBACK PREPARED 'id'. */
static void end_prepared(struct scan *s)
{
	struct sql_effect *e = scan_effect(s, EFFECT_END_PREPARED);

	scan_object(s, CAUSE_VERB);
	scan_class(s, SQL_WRITE);
	scan_flag(s, SQLV_NO_TXN);
	if (scan_take_string(s, &e->name))
		scan_finish(s);
	else
		scan_unclear(s);
}

void stmt_commit(struct scan *s)
{
	bool end = scan_is(s, WORD_END);

	scan_next(s);
	if (!end && scan_accept(s, WORD_PREPARED)) {
		end_prepared(s);
		return;
	}
	accept_noise(s);
	finish_txn(s, EFFECT_COMMIT);
}

/* Savepoints are harmless inside a transaction of this very text. */
static void savepoint(struct scan *s, enum sql_effect_kind kind)
{
	struct sql_view name;

	if (!s->txn_open)
		scan_object(s, CAUSE_TXN);
	if (!scan_take_name(s, &name)) {
		scan_unclear(s);
		return;
	}
	scan_class(s, SQL_TXN);
	scan_effect(s, kind)->name = name;
	scan_finish(s);
}

void stmt_rollback(struct scan *s)
{
	bool abort_ = scan_is(s, WORD_ABORT);

	scan_next(s);
	if (!abort_ && scan_accept(s, WORD_PREPARED)) {
		end_prepared(s);
		return;
	}
	accept_noise(s);
	if (abort_ || !scan_accept(s, WORD_TO)) {
		finish_txn(s, EFFECT_ROLLBACK);
		return;
	}
	scan_accept(s, WORD_SAVEPOINT);
	savepoint(s, EFFECT_ROLLBACK_TO);
}

void stmt_savepoint(struct scan *s)
{
	scan_next(s);
	savepoint(s, EFFECT_SAVEPOINT);
}

void stmt_release(struct scan *s)
{
	scan_next(s);
	scan_accept(s, WORD_SAVEPOINT);
	savepoint(s, EFFECT_RELEASE);
}
