#include "worker/loss.h"

#include <stdio.h>
#include <string.h>

#include "proto/frontend.h"
#include "worker/advanced.h"
#include "worker/balance.h"
#include "worker/cancel.h"
#include "worker/confirm.h"
#include "worker/dispatch.h"
#include "worker/effects.h"
#include "worker/fit.h"
#include "worker/forward.h"
#include "worker/found_out.h"
#include "worker/hold.h"
#include "worker/link.h"
#include "worker/moving.h"
#include "worker/notify.h"
#include "worker/pick.h"
#include "worker/pinning.h"
#include "worker/replayed.h"
#include "worker/savepoints.h"
#include "worker/server_clean.h"
#include "worker/signals.h"
#include "worker/unit.h"
#include "worker/unit_end.h"
#include "worker/worker.h"

/*
 * The primary knows best. While there is none, or where the entry is for replicas, what a lost
 * replica ran can run on another; once, for it may be what has brought that one down.
 */
static bool is_for_primary(
	struct worker *w, const struct client *c, const struct server *s, const char *why)
{
	const struct topo_cluster *cluster = fit_cluster(w, c->acc);
	bool is_gone = strcmp(why, REPLAY_LOST) == 0 || strncmp(why, "57P", 3) == 0;
	bool can_stay = cluster != NULL && (cluster->primary == TOPO_NONE ||
						   pick_route(c->db->conf) == CHOOSE_ROUTE_REPLICA);

	return s->in_recovery && (!is_gone || c->busy->lost_us != 0 || !can_stay);
}

static void count_elsewhere(
	struct worker *w, struct client *c, const struct server *s, const char *why)
{
	log_debug(w->log, "a read runs elsewhere", "client=%lu server=%lu node=%s reason=%s",
		(unsigned long)c->id, (unsigned long)s->id, worker_node_name(w, s->pool->node),
		why);
	c->db->stats.replays[replay_cause_of(why)]++;
	dbase_count_error(w, c->db, strlen(why) == SQLSTATE_LEN ? why : SQLSTATE_CONNECTION_FAILURE,
		ERROR_REPLAYED);
}

/*
 * The client goes on without its server, on which nothing has had an effect. What was to be
 * canceled there is canceled, what came behind it runs.
 */
static COLD void run_elsewhere(
	struct worker *w, struct client *c, struct server *s, const char *why)
{
	c->busy->canceled = server_is_canceled(s);
	if (!c->busy->canceled)
		count_elsewhere(w, c, s, why);
	if (c->busy->moves >= MOVES_REPLICA)
		moving_left(c, MOVED_FAILED);
	balance_count_failure(w, s->pool, why);
	if (c->busy->hold != NULL)
		hold_drop(c->busy->hold, loop_bufpool(w->loop));
	effects_free(c->busy->bound);
	c->busy->bound = NULL;
	c->busy->sent_len = 0;
	c->busy->flushed = false;
	unit_look_anew(w, c);
	if (is_for_primary(w, c, s, why)) {
		c->busy->force_primary = true;
		c->busy->avoid_node = (uint16_t)s->pool->node;
	} else {
		c->busy->lost_us = w->now_us;
		c->busy->lost_node = s->pool->node;
	}
	c->busy->unit_error = false;
	conn_rx_resume(c->conn);
}

void loss_of_read(struct worker *w, struct client *c, const char *sqlstate)
{
	struct server *s = c->server;

	link_leave(w, c);
	run_elsewhere(w, c, s, sqlstate);
}

static void rollback_left(struct worker *w, struct server *s)
{
	if (forward_hidden(s, "ROLLBACK", OWED_TAG_RESET) != OK)
		server_close(w, s, SERVER_END_MEMORY);
	else
		conn_flush(s->conn);
}

void loss_drained(struct worker *w, struct server *s)
{
	if (s->state != SERVER_RESET || !server_is_quiet(s))
		return;
	if (s->txn_status != 'I')
		rollback_left(w, s);
	else
		server_clean_done(w, s);
}

/* End what the client has begun, so that ReadyForQuery comes. */
static enum status end_series(struct server *s, bool is_open)
{
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	enum status st = OK;

	if (s->owed.in_copy) {
		frontend_put_copy_fail(&out, "client has gone");
		st = owed_push(&s->owed, (struct owed_entry){.kind = OWED_COPY_END});
	}
	if (st == OK && is_open) {
		frontend_put_sync(&out);
		st = owed_push(&s->owed, (struct owed_entry){.kind = OWED_SYNC});
	}
	if (out.len != 0)
		conn_put_copy(s->conn, buf, out.len);
	conn_flush(s->conn);
	return st;
}

void loss_copy_begins(struct worker *w, struct server *s)
{
	if (!s->owed.in_copy)
		return;
	if (s->owed.n != 1 || owed_head(&s->owed)->kind != OWED_QUERY)
		server_close(w, s, SERVER_END_CLIENT);
	else if (end_series(s, false) != OK)
		server_close(w, s, SERVER_END_MEMORY);
}

void loss_of_client(struct worker *w, struct client *c)
{
	struct server *s = c->server;
	bool was_quiet = server_is_quiet(s), in_copy = s->owed.in_copy;

	unit_end_schema(w, c);
	moving_abandoned(c);
	if (s->txn_status != 'I' || !was_quiet) { /* what is open now will be rolled back */
		effects_behind(c, s);
		settings_txn_rollback(&c->set);
	}
	if (c->busy->unit.has_effects && !was_quiet)
		s->dirt |= CLEAN(ALL);
	for (uint32_t i = 0; i < s->owed.n; i++)
		if (owed_at(&s->owed, i)->tag == OWED_TAG_EFFECTS)
			s->dirt |= CLEAN(ALL);
	if (s->in_message || s->replication) { /* nobody will end that message */
		link_break(w, c);
		server_close(w, s, SERVER_END_CLIENT);
		return;
	}
	if (was_quiet && s->txn_status == 'I' && !c->busy->streaming) {
		link_break(w, c);
		server_release(w, s);
		return;
	}
	link_leave(w, c);
	if (end_series(s, c->busy->streaming || (in_copy && s->owed.n_client == 0)) != OK)
		server_close(w, s, SERVER_END_MEMORY);
	else if (owed_is_empty(&s->owed))
		loss_drained(w, s);
	else
		cancel_server(w, s);
}

bool loss_is_servers_own(const char *sqlstate)
{
	static const char *const classes[] = {"08", "40", "53", "55P03", "57P", "58", "XX"};

	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strncmp(sqlstate, classes[i], strlen(classes[i])) == 0)
			return true;
	return false;
}

enum route_broken loss_count_block(struct client *c)
{
	c->had_broken = true;
	dbase_count_broken(c->db, c->busy->route_counted, BROKEN_BLOCK);
	return BROKEN_BLOCK;
}

enum route_broken loss_count_broken(struct client *c, const struct server *s, const char *sqlstate)
{
	enum route_broken what = BROKEN_COUNT;

	if (!s->in_recovery || (sqlstate != NULL && !loss_is_servers_own(sqlstate)))
		return BROKEN_COUNT;
	if (c->busy->unit_retained && !c->busy->holding && c->busy->moves != MOVES_BOUND)
		what = BROKEN_ANSWER;
	else if (c->busy->block_read_only && c->busy->block_answered && c->txn == TXN_OPEN)
		what = BROKEN_BLOCK;
	if (what == BROKEN_BLOCK)
		c->had_broken = sqlstate != NULL; /* another replica is as good as a lost one was */
	if (what != BROKEN_COUNT)
		dbase_count_broken(c->db, c->busy->route_counted, what);
	return what;
}

struct report loss_block_report(const char *sqlstate, char text[LOSS_TEXT_MAX])
{
	struct report r = report_of("ERROR", SQLSTATE_SERIALIZATION_FAILURE,
		"the transaction cannot go on, because its replica was lost");

	if (sqlstate != NULL) {
		snprintf(text, LOSS_TEXT_MAX,
			"the transaction cannot go on, because its replica failed with SQLSTATE "
			"%.5s",
			sqlstate);
		r.message = text;
	}
	r.hint = "The transaction was rolled back; run it again.";
	return r;
}

/* The end of a transaction was under way, or may have been: what has become of it? */
static void put_unknown_end(struct report *r, enum sql_effect_kind end)
{
	r->sqlstate = SQLSTATE_TRANSACTION_RESOLUTION_UNKNOWN;
	if (end == EFFECT_PREPARE_TXN) {
		r->message = "the connection to the server was lost during PREPARE TRANSACTION";
		r->hint = "Whether the transaction was prepared is not known; it is not repeated.";
	} else if (end == EFFECT_END_PREPARED) {
		r->message = "the connection to the server was lost during COMMIT PREPARED or "
			     "ROLLBACK PREPARED";
		r->hint = "Whether it was carried out is not known; it is not repeated. "
			  "pg_prepared_xacts tells.";
	} else {
		r->message = end == EFFECT_COMMIT
				     ? "the connection to the server was lost during COMMIT"
				     : "the connection to the server was lost";
		r->hint = "Whether the transaction was committed is not known; it is not repeated.";
	}
}

static struct report lost_report(const struct client *c, const struct server *s)
{
	struct report r = report_of(
		"ERROR", SQLSTATE_CONNECTION_FAILURE, "the connection to the server was lost");

	if (s->fatal_sqlstate[0] != '\0') {
		r.sqlstate = s->fatal_sqlstate;
		r.message = s->fatal_message;
	}
	if (c->busy->end_sent != EFFECT_NONE || (c->txn != TXN_NONE && c->busy->end_unsure))
		put_unknown_end(&r, (enum sql_effect_kind)c->busy->end_sent);
	else if (c->txn != TXN_NONE)
		r.hint = "The transaction was rolled back; run it again.";
	else if (c->busy->unit_writes)
		r.hint = "Whether the statement was carried out is not known; it is not repeated.";
	return r;
}

/* Every unit under way gets an error and, where its end was sent, ReadyForQuery. */
static void answer_lost_units(
	struct worker *w, struct client *c, struct server *s, const struct report *r)
{
	uint32_t n_ready = s->owed.n_client;

	for (uint32_t i = 0; i < n_ready; i++) {
		client_put_error_of(w, c, r, s->trace);
		if (i + 1 < n_ready || !c->busy->flushed)
			client_put_ready(w, c);
	}
	c->busy->skip_to_sync = c->busy->flushed;
	c->busy->flushed = false;
	if (c->busy->streaming && c->busy->settings_wait) {
		unit_refuse(w, c, r); /* nothing of it was sent */
	} else if (c->busy->streaming) {
		if (n_ready == 0 || c->busy->streaming)
			client_put_error_of(w, c, r, s->trace);
		c->busy->streaming = false;
		c->busy->skip_to_sync = true;
	}
}

/* What it has set was committed there, and was just being found out. */
static bool was_asked(const struct server *s)
{
	for (uint32_t i = 0; i < s->owed.n; i++)
		if (owed_at(&s->owed, i)->tag == OWED_TAG_FOUND)
			return true;
	return false;
}

static bool loss_is_fatal(const struct client *c, const struct server *s)
{
	return was_asked(s) || pins_hold_state(&c->busy->pins) ||
	       c->acc->mode == POOL_MODE_SESSION || c->busy->body_left != 0;
}

/* What was under way may have been committed: it is to be found as if it had been acknowledged. */
static void mark_lost(struct worker *w, struct client *c, const struct server *s)
{
	if (s->in_recovery || !c->busy->unit_writes)
		return;
	mark_board_write(c->acc->board, mark_clock_load(&w->sh->clock));
	unit_end_mark(w, c, s);
}

void loss_of_server(struct worker *w, struct client *c, struct server *s, enum server_end why)
{
	bool terminated = signals_end_client(w, s, s->fatal_sqlstate);
	enum route_broken broken = BROKEN_COUNT;
	char text[LOSS_TEXT_MAX];
	struct report r;

	(void)why;
	if (c->server == s)
		c->server = NULL;
	if (c->busy->confirm != NULL && confirm_lost(w, c, s)) {
		if (terminated)
			client_shutdown(w, c);
		return;
	}
	c->server = NULL;
	c->busy->checking = false;
	c->busy->seq_check = ADVANCED_UNKNOWN;
	if (c->state == CLIENT_WELCOME) {
		dispatch_welcome(w, c);
		return;
	}
	if (c->state == CLIENT_CLOSED)
		return;
	if (c->busy->holding && c->busy->unit_retained && !terminated) {
		c->busy->holding = false;
		c->busy->unit_retained = false;
		c->busy->begin_sent = false;
		client_transition(w, c, CLIENT_UNLINKED);
		if (c->busy->moves == MOVES_REPLICA)
			moving_left(c, MOVED_LOST);
		run_elsewhere(w, c, s, REPLAY_LOST);
		return;
	}
	if (moving_survives(c, s) && !terminated) {
		client_transition(w, c, CLIENT_UNLINKED);
		moving_left(c, MOVED_LOST);
		client_watch(w, c);
		conn_rx_resume(c->conn);
		return;
	}
	mark_lost(w, c, s);
	if (!terminated)
		broken = loss_count_broken(c, s, NULL);
	moving_abandoned(c);
	if (s->body_left != 0 && s->body_passed) { /* an error would be read as the row's bytes */
		client_close(w, c, CLIENT_END_SERVER);
		return;
	}
	r = broken == BROKEN_BLOCK ? loss_block_report(NULL, text) : lost_report(c, s);
	if (terminated || loss_is_fatal(c, s)) {
		r.severity = "FATAL";
		r.severity_v = "FATAL";
		client_fatal(w, c, &r, CLIENT_END_SERVER);
		return;
	}
	savepoints_clear(&c->busy->savepoints, &c->set);
	settings_txn_rollback(&c->set);
	found_out_forget(w, c);
	notify_rollback(w, c);
	notify_txn_ended(w, c);
	c->busy->txn_notifies = false;
	client_settings_changed(w, c);
	client_transition(w, c, CLIENT_UNLINKED);
	pins_clear(&c->busy->pins, &w->sh->pins); /* none that held anything */
	pinning_release(w, c);
	c->busy->seq_kept = false;
	if (c->busy->sent_len != 0) {
		conn_consume(c->conn, c->busy->sent_len);
		c->busy->sent_len = 0;
	}
	c->busy->force_primary = false;
	c->busy->lost_us = 0;
	c->busy->holding = false;
	c->busy->unit_retained = false;
	c->busy->begin_sent = false;
	c->busy->unit_writes = false;
	c->busy->end_sent = EFFECT_NONE;
	c->busy->end_unsure = false;
	c->busy->end_bound = false;
	if (c->busy->signals != NULL)
		signals_over(w, c);
	if (c->txn != TXN_NONE) {
		c->busy->txn_lost = s->owed.n_client == 0 && !c->busy->streaming;
		c->busy->block_lost = broken == BROKEN_BLOCK;
		c->txn = TXN_FAILED_ALONE;
	}
	answer_lost_units(w, c, s, &r);
	conn_flush(c->conn);
	client_watch(w, c);
	if (conn_rx_len(c->conn) != 0 || conn_rx_is_paused(c->conn))
		conn_rx_resume(c->conn);
}
