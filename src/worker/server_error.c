#include "worker/server_error.h"

#include <stdio.h>
#include <string.h>

#include "proto/report.h"
#include "worker/confirm.h"
#include "worker/effects.h"
#include "worker/entry.h"
#include "worker/fit.h"
#include "worker/forward.h"
#include "worker/learned.h"
#include "worker/loss.h"
#include "worker/moving.h"
#include "worker/pick.h"
#include "worker/prepared.h"
#include "worker/queries.h"
#include "worker/replayed.h"
#include "worker/signals.h"
#include "worker/sqlstmt.h"
#include "worker/worker.h"

/* --- whose error it is --- */

/*
 * Errors that a standby gives and a primary would not, that say that the server is going, or that
 * it lacks something now: the read runs elsewhere. Classes: connection, resources, system.
 */
static bool is_of_standby(const char *sqlstate)
{
	static const char *const classes[] = {"08", "53", "58"};
	static const char *const states[] = {SQLSTATE_READ_ONLY_SQL_TRANSACTION,
		SQLSTATE_FEATURE_NOT_SUPPORTED, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		SQLSTATE_LOCK_NOT_AVAILABLE, SQLSTATE_INTERNAL_ERROR, SQLSTATE_DATA_CORRUPTED,
		SQLSTATE_INDEX_CORRUPTED, "42P01", "42883", "42703", "42704", "3F000",
		SQLSTATE_SERIALIZATION_FAILURE, SQLSTATE_DEADLOCK_DETECTED, SQLSTATE_ADMIN_SHUTDOWN,
		SQLSTATE_CRASH_SHUTDOWN, SQLSTATE_CANNOT_CONNECT_NOW, SQLSTATE_DATABASE_DROPPED,
		SQLSTATE_IDLE_SESSION_TIMEOUT};

	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return true;
	return false;
}

/*
 * Any other error may come of what the replica has not replayed yet: a GRANT, another type of a
 * column, a row; or of what holds it up there: replay that has a lock, for a timeout. Only the
 * primary can tell. What the text alone has caused has nothing to do with it.
 */
static bool may_be_stale(struct worker *w, const struct client *c, const char *sqlstate)
{
	const struct topo_cluster *cluster = fit_cluster(w, c->acc);

	return cluster != NULL && cluster->primary != TOPO_NONE &&
	       pick_route(c->db->conf) == CHOOSE_ROUTE_AUTO &&
	       strcmp(sqlstate, SQLSTATE_SYNTAX_ERROR) != 0;
}

/*
 * 25006 is what a READ ONLY block is told everywhere, but for what only a standby refuses: LISTEN,
 * say. The message's words may be in any language.
 * Source: PostgreSQL, src/backend/tcop/utility.c.
 */
static bool is_of_read_only(const struct report *r)
{
	return report_has(r, SQLSTATE_READ_ONLY_SQL_TRANSACTION) &&
	       (r->routine == NULL || strcmp(r->routine, "PreventCommandDuringRecovery") != 0);
}

/* Nothing of the answer has been passed on: does the read run on another node, for this error? */
static bool runs_elsewhere(struct worker *w, const struct client *c, const struct report *r)
{
	if (c->busy->block_read_only && is_of_read_only(r))
		return false; /* so it would have been on the primary */
	if (report_has(r, SQLSTATE_QUERY_CANCELED) && server_is_canceled(c->server))
		return false; /* as was wished */
	if (signals_end_client(w, c->server, r->sqlstate))
		return false; /* the same */
	return is_of_standby(r->sqlstate) || may_be_stale(w, c, r->sqlstate);
}

/*
 * The same, of what the primary cannot be asked about, for it is not proved to be a read, or its
 * block cannot be begun again: does the error come of the replica's state, and not of the
 * statement, for all that can be told by its code? Where the client has not chosen the replica
 * itself.
 */
static COLD bool is_of_replica(
	const struct client *c, const struct server *s, const struct report *r)
{
	if (!s->in_recovery || !c->busy->block_read_only || !c->busy->block_answered ||
		c->txn != TXN_OPEN || is_of_read_only(r) ||
		pick_route(c->db->conf) != CHOOSE_ROUTE_AUTO || !moving_has_one_snapshot(c, s))
		return false;
	if (report_has(r, SQLSTATE_QUERY_CANCELED))
		return !server_is_canceled(c->server);
	return is_of_standby(r->sqlstate) || report_has(r, SQLSTATE_INSUFFICIENT_PRIVILEGE);
}

/* An error that is the client's, for a message of its own or one that its message needs. */
static bool is_for_client(const struct owed_entry *e)
{
	return e->who != OWED_HIDDEN || e->tag == OWED_TAG_PARSE_HIDDEN ||
	       e->tag == OWED_TAG_SHAPE ||
	       (e->tag == OWED_TAG_SQL && e->no != SQLSTMT_BEFORE_QUERY);
}

/* --- it waits --- */

/*
 * Of a block that is bound to its replica by its snapshot: is the error, which stays unread, asked
 * of the primary? What the node says of itself, and not of the statement, is not.
 */
bool server_error_waits(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	struct client *c = s->client;
	const struct owed_entry *head = owed_head(&s->owed);
	struct report r;

	if (c == NULL || c->busy->moves != MOVES_BOUND || !s->in_recovery ||
		pick_route(c->db->conf) != CHOOSE_ROUTE_AUTO)
		return false;
	if (c->busy->confirming) { /* it was read on by somebody else */
		conn_rx_pause(s->conn);
		return true;
	}
	if (c->busy->confirm != NULL || c->busy->holding || head == NULL || !is_for_client(head) ||
		head->tag == OWED_TAG_NAME_ERROR ||
		report_read(frame_body(k->data + k->at, f), 'E', &r) != OK || report_is_fatal(&r) ||
		loss_is_servers_own(r.sqlstate) || !runs_elsewhere(k->w, c, &r))
		return false;
	walk_pass(k);
	if (!confirm_begin(k->w, c, r.sqlstate))
		return false;
	c->db->stats.replays[replay_cause_of(r.sqlstate)]++;
	conn_flush(c->conn);
	return true;
}

/* --- it is read --- */

/* The server names its own statement in the error; the client shall read its own name. */
static void put_name_error(struct worker *w, struct client *c, const struct name_note *note)
{
	static const char *const states[] = {
		[NAME_IS_TAKEN] = SQLSTATE_DUPLICATE_PREPARED_STATEMENT,
		[NAME_IS_MISSING] = SQLSTATE_INVALID_SQL_STATEMENT_NAME,
		[NAME_HAS_ANOTHER_RESULT] = SQLSTATE_FEATURE_NOT_SUPPORTED,
		[NAME_IS_TOO_MUCH] = SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED,
	};
	char message[256];
	struct report r = report_of("ERROR", states[note->error], message);

	if (note->error == NAME_HAS_ANOTHER_RESULT) {
		r.message = "cached plan must not change result type";
		r.file = "plancache.c"; /* drivers know this error by where it comes from */
		r.routine = "RevalidateCachedQuery";
	} else if (note->error == NAME_IS_TOO_MUCH) {
		r.message = "too many prepared statements, or too large ones";
		r.hint = "Close those that are not needed, or raise max_statement_memory.";
	} else if (note->name[0] == '\0') {
		snprintf(message, sizeof message, "unnamed prepared statement does not exist");
	} else {
		snprintf(message, sizeof message, "prepared statement \"%.150s\" %s", note->name,
			note->error == NAME_IS_TAKEN ? "already exists" : "does not exist");
	}
	pass_report(w, c, &r);
}

/* After an error in a series nothing up to its Sync is answered any more. */
static void drop_skipped(struct worker *w, struct server *s)
{
	struct owed_entry e;

	while (owed_pop_skipped(&s->owed, &e))
		entry_lost(w, s, e);
}

static void fatal_error(struct walk *k, const struct report *r, size_t total)
{
	struct server *s = k->s;

	server_keep_error(s, r->sqlstate, r->message);
	walk_skip(k, total); /* loss_of_server tells the client, in words of ours */
	if (s->state == SERVER_IDLE)
		server_close(k->w, s, SERVER_END_SHUTDOWN);
	else
		server_close(k->w, s, SERVER_END_LOST);
}

/* The unit that the error has ended runs once more; its statement is prepared anew. */
static COLD void run_again(struct walk *k, size_t total)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	bool ends;

	(void)owed_on_reply(&s->owed, 'E', &ends);
	drop_skipped(w, s);
	owed_hide_head(&s->owed, OWED_TAG_SETUP);
	walk_skip(k, total);
	log_debug(w->log, "a unit runs again", "client=%lu server=%lu reason=changed_result",
		(unsigned long)s->client->id, (unsigned long)s->id);
	if (forward_again(w, s->client) != OK)
		server_close(w, s, SERVER_END_MEMORY);
}

/* The primary's answer to what is asked of it about a replica's error. */
static COLD void confirm_came(struct walk *k, const struct report *r, size_t total)
{
	struct server *s = k->s;
	bool ends;

	confirm_failed(k->w, s->client, r->sqlstate);
	(void)owed_on_reply(&s->owed, 'E', &ends);
	drop_skipped(k->w, s);
	walk_skip(k, total);
}

/* A hidden query: what it was for is not done. */
static void note_hidden_failure(struct server *s, const struct owed_entry *e)
{
	if (e->kind == OWED_QUERY && e->who == OWED_HIDDEN)
		s->hidden_failed = true;
}

/*
 * The read that a replica has refused, or what goes ahead of it there, goes to another node; a
 * 25006 teaches the classifier. head: NULL if nothing is owed.
 */
static void refused(
	struct walk *k, const struct owed_entry *head, const struct report *r, size_t total)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	struct client *c = s->client;
	bool ends;

	if (head != NULL)
		note_hidden_failure(s, head);
	(void)owed_on_reply(&s->owed, 'E', &ends);
	drop_skipped(w, s);
	if (report_has(r, SQLSTATE_READ_ONLY_SQL_TRANSACTION))
		learned_teach(w, c);
	walk_drop(k);
	loss_of_read(w, c, r->sqlstate);
	if (report_is_fatal(r))
		server_close(w, s, SERVER_END_SHUTDOWN);
	else
		walk_skip(k, total);
}

/*
 * Is it told to nobody: what the primary says of what it is asked about, or the end of a unit that
 * runs again? Then that is done. head: NULL if nothing is owed.
 */
static bool is_untold(
	struct walk *k, const struct owed_entry *head, const struct report *r, size_t total)
{
	struct server *s = k->s;
	struct client *c = s->client;
	bool holds = c->busy->holding && s->in_recovery;

	if (c->busy->confirming && head != NULL && !report_is_fatal(r) &&
		(head->kind != OWED_QUERY || head->tag == OWED_TAG_CONFIRM)) {
		confirm_came(k, r, total);
		return true;
	}
	if (head != NULL && prepared_is_stale(k->w, s, head, r) && !holds &&
		prepared_may_resend(c, s, head)) {
		run_again(k, total);
		return true;
	}
	if (!holds || !runs_elsewhere(k->w, c, r))
		return false;
	refused(k, head, r, total);
	return true;
}

/* What the error makes of the message that it answers, and of its unit. */
static void note_failure(struct walk *k, const struct owed_entry *e, const struct report *r)
{
	struct server *s = k->s;
	struct client *c = s->client;

	note_hidden_failure(s, e);
	if (c == NULL)
		return;
	if (s->hidden_failed && !c->busy->deferred_failed) /* else it has failed for that */
		server_keep_error(s, r->sqlstate, r->message);
	if (e->tag == OWED_TAG_SQL && e->no == SQLSTMT_BEFORE_QUERY) {
		server_keep_error(s, r->sqlstate, r->message); /* of the Query that follows */
		c->busy->deferred_failed = true;
	}
	if (e->tag == OWED_TAG_EFFECTS && e->kind == OWED_QUERY)
		effects_unsure(k->w, c, e->ref, false);
	if (e->tag != OWED_TAG_FOUND && e->tag != OWED_TAG_PROBE)
		c->busy->unit_error = true;
	if (is_for_client(e))
		queries_failed(k->w, s, r->sqlstate);
}

/* Is the client about to be told what a primary would not have told it? It is counted. */
static enum route_broken count_broken(struct walk *k, const struct owed_entry *e,
	const struct report *r, enum confirm_verdict verdict)
{
	struct client *c = k->s->client;
	enum route_broken broken;

	if (verdict == CONFIRM_STALE)
		return loss_count_block(c);
	if (!is_for_client(e))
		return BROKEN_COUNT;
	broken = loss_count_broken(c, k->s, r->sqlstate);
	if (verdict == CONFIRM_NONE && broken == BROKEN_COUNT && is_of_replica(c, k->s, r))
		broken = loss_count_block(c);
	return broken;
}

/* The client is told something else. */
static void put_instead(struct walk *k, struct client *c, size_t total, const struct report *r)
{
	walk_skip(k, total);
	pass_report(k->w, c, r);
}

/* The client is told in words of ours, if the server's are not for it. False: they are. */
static bool put_own(
	struct walk *k, const struct owed_entry *e, const struct report *r, size_t total)
{
	struct server *s = k->s;
	struct client *c = s->client;
	enum confirm_verdict verdict = confirm_take(c);
	enum route_broken broken = count_broken(k, e, r, verdict);
	char text[LOSS_TEXT_MAX];
	struct report own;

	if (verdict == CONFIRM_CANCELED) {
		own = report_of("ERROR", SQLSTATE_QUERY_CANCELED,
			"canceling statement due to user request");
		put_instead(k, c, total, &own);
	} else if (broken == BROKEN_BLOCK && !report_has(r, SQLSTATE_SERIALIZATION_FAILURE)) {
		own = loss_block_report(r->sqlstate, text);
		put_instead(k, c, total, &own);
	} else if (e->who == OWED_CLIENT && c->busy->deferred_failed) {
		/* What failed was answered before it ran: this is its error. */
		c->busy->deferred_failed = false;
		own = report_of("ERROR", s->fatal_sqlstate, s->fatal_message);
		put_instead(k, c, total, &own);
	} else if (e->tag == OWED_TAG_NAME_ERROR) {
		walk_skip(k, total);
		put_name_error(k->w, c, e->ref);
	} else {
		return false;
	}
	return true;
}

static void tell(struct walk *k, const struct owed_entry *e, const struct report *r,
	enum owed_step step, size_t total)
{
	struct client *c = k->s->client;

	if (c != NULL && put_own(k, e, r, total))
		return;
	if (step == OWED_DROP && !is_for_client(e)) {
		walk_skip(k, total);
		return;
	}
	k->at += total;
	if (c != NULL && is_for_client(e))
		dbase_count_error(k->w, c->db, r->sqlstate, ERROR_SERVER);
}

void server_error_came(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	const struct owed_entry *head = owed_head(&s->owed);
	struct owed_entry e = head != NULL ? *head : (struct owed_entry){0};
	enum owed_step step;
	struct report r;
	bool ends;

	if (report_read(frame_body(k->data + k->at, f), 'E', &r) != OK)
		r.message = "malformed ErrorResponse";
	if (s->client != NULL && is_untold(k, head, &r, f->total))
		return;
	if (report_is_fatal(&r)) {
		fatal_error(k, &r, f->total);
		return;
	}
	step = owed_on_reply(&s->owed, 'E', &ends);
	if (head == NULL) { /* an ERROR that nobody is owed: the server is confused */
		server_close(k->w, s, SERVER_END_PROTOCOL);
		return;
	}
	note_failure(k, &e, &r);
	tell(k, &e, &r, step, f->total);
	drop_skipped(k->w, s);
}
