#include "worker/confirm.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "worker/cancel.h"
#include "worker/forward.h"
#include "worker/found_out.h"
#include "worker/line.h"
#include "worker/link.h"
#include "worker/loss.h"
#include "worker/moving.h"
#include "worker/unit.h"
#include "worker/worker.h"

/* What is asked, and what the client had when it began. */
struct confirm {
	struct client *client;
	struct server *replica; /* paused; its client still */
	enum confirm_verdict verdict;
	char sqlstate[6];
	bool block_differs;
	uint8_t route_reason;
	uint32_t route_counted, read_epoch;
	uint32_t sent_len;
	uint64_t limit_us; /* that the primary has */
	struct wheel_timer timer;
};

static void on_timer(void *ctx, struct wheel_timer *t);

static void forget(struct client *c)
{
	free(c->busy->confirm);
	c->busy->confirm = NULL;
	c->busy->confirming = false;
}

/* Does nothing but the unit itself show what the block is, but for what the journal tells? */
static bool can_be_begun_again(const struct client *c)
{
	return c->busy->moves == MOVES_BOUND && c->busy->block_answered && c->txn == TXN_OPEN &&
	       c->busy->unit_retained && !c->busy->streaming && c->busy->body_left == 0 &&
	       !pins_any(&c->busy->pins) && !found_out_is_due(c);
}

bool confirm_begin(struct worker *w, struct client *c, const char *sqlstate)
{
	struct server *s = c->server;
	struct confirm *cf;

	if (!can_be_begun_again(c) || (cf = calloc(1, sizeof *cf)) == NULL)
		return false;
	*cf = (struct confirm){.client = c,
		.replica = s,
		.block_differs = c->busy->block_differs,
		.route_reason = c->busy->route_reason,
		.route_counted = c->busy->route_counted,
		.read_epoch = c->busy->read_epoch,
		.sent_len = c->busy->sent_len,
		.limit_us = w->now_us - s->unit_begun_us + CONFIRM_GRACE_US};
	text_copy(cf->sqlstate, sizeof cf->sqlstate, sqlstate);
	wheel_timer_init(&cf->timer, on_timer);
	wheel_add(&w->wheel, &cf->timer, w->now_us + cf->limit_us);
	c->busy->confirm = cf;
	c->busy->confirming = true;
	conn_rx_pause(s->conn);
	c->server = NULL;
	client_transition(w, c, CLIENT_UNLINKED);
	c->txn = TXN_DEFERRED;
	c->busy->sent_len = 0;
	c->busy->unit_retained = false;
	c->busy->begin_sent = false;
	c->busy->force_primary = true;
	c->busy->avoid_node = (uint16_t)s->pool->node;
	unit_look_anew(w, c);
	log_debug(w->log, "a replica's error is asked of the primary",
		"client=%lu server=%lu node=%s sqlstate=%s", (unsigned long)c->id,
		(unsigned long)s->id, worker_node_name(w, s->pool->node), sqlstate);
	conn_rx_resume(c->conn);
	return true;
}

/* The client is between its servers, or in line: it has its replica, as it was. */
static void take_replica(struct worker *w, struct client *c)
{
	const struct confirm *cf = c->busy->confirm;

	line_stop(w, c);
	c->server = cf->replica;
	c->txn = TXN_OPEN;
	c->busy->confirming = false;
	c->busy->sent_len = cf->sent_len;
	c->busy->unit_retained = true;
	c->busy->begin_sent = false;
	c->busy->force_primary = false;
	c->busy->avoid_node = NODES_MAX;
	c->busy->block_read_only = true;
	c->busy->block_differs = cf->block_differs;
	c->busy->prefix_due = false;
	c->busy->rediff = false;
	c->busy->settings_wait = false;
	c->busy->deferred_failed = false;
	c->busy->route_reason = cf->route_reason;
	c->busy->route_counted = cf->route_counted;
	c->busy->read_epoch = cf->read_epoch;
	unit_look_anew(w, c);
}

/* The primary, if it has one of its servers, goes on without the client, and rolls back. */
static void leave_primary(struct worker *w, struct client *c, bool stop)
{
	struct server *s = c->server;

	wheel_del(&w->wheel, &c->busy->confirm->timer);
	if (s == NULL)
		return;
	stop = stop && !server_is_quiet(s);
	confirm_hide(s);
	link_leave(w, c);
	if (stop)
		cancel_server(w, s);
	else
		loss_drained(w, s);
}

/* stop: what runs on the primary has not ended. */
static void go_back(struct worker *w, struct client *c, enum confirm_verdict verdict, bool stop)
{
	leave_primary(w, c, stop);
	take_replica(w, c);
	c->busy->confirm->verdict = verdict;
	client_transition(w, c, CLIENT_LINKED);
	client_watch(w, c);
	conn_rx_resume(c->server->conn);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct worker *w = ctx;
	struct confirm *cf = list_entry(t, struct confirm, timer);
	struct client *c = cf->client;
	/* While it waits for a server the line's timer watches. */
	uint64_t since_us = c->server != NULL ? c->server->unit_begun_us : w->now_us;

	if (w->now_us < since_us + cf->limit_us)
		wheel_add(&w->wheel, t, since_us + cf->limit_us);
	else
		go_back(w, c, CONFIRM_STALE, true);
}

bool confirm_goes_on(struct worker *w, struct client *c)
{
	if (c->busy->sent_len != 0)
		return false; /* it is what comes behind it */
	if (moving_confirms(c))
		return true;
	go_back(w, c, CONFIRM_STALE,
		false); /* it is judged otherwise by now: it may have effects */
	return false;
}

void confirm_hide(struct server *s)
{
	if (s->owed.n_client == 0)
		return;
	s->pool->outstanding -= s->pool->outstanding != 0;
	owed_hide_client(&s->owed, OWED_TAG_CONFIRM);
}

void confirm_failed(struct worker *w, struct client *c, const char *sqlstate)
{
	bool is_wish =
		strcmp(sqlstate, SQLSTATE_QUERY_CANCELED) == 0 && server_is_canceled(c->server);
	bool is_same = strcmp(sqlstate, c->busy->confirm->sqlstate) == 0;

	go_back(w, c, is_wish ? CONFIRM_CANCELED : is_same ? CONFIRM_OWN : CONFIRM_STALE, false);
}

void confirm_succeeded(struct worker *w, struct client *c)
{
	go_back(w, c, CONFIRM_STALE, false);
}

void confirm_refused(struct worker *w, struct client *c, const struct report *r)
{
	go_back(w, c, report_has(r, SQLSTATE_QUERY_CANCELED) ? CONFIRM_CANCELED : CONFIRM_STALE,
		false);
}

void confirm_cancel(struct worker *w, struct client *c)
{
	go_back(w, c, CONFIRM_CANCELED, true);
}

enum confirm_verdict confirm_take(struct client *c)
{
	enum confirm_verdict verdict;

	if (c->busy->confirm == NULL)
		return CONFIRM_NONE;
	verdict = c->busy->confirm->verdict;
	forget(c);
	return verdict;
}

bool confirm_lost(struct worker *w, struct client *c, struct server *s)
{
	bool is_replica = c->busy->confirm->replica == s;

	if (is_replica && c->busy->confirming) {
		leave_primary(w, c, true);
		take_replica(w, c);
		client_transition(w, c, CLIENT_LINKED);
	}
	if (is_replica) {
		forget(c);
		return false;
	}
	client_transition(w, c, CLIENT_UNLINKED);
	go_back(w, c, CONFIRM_STALE, false);
	return true;
}

void confirm_client_gone(struct worker *w, struct client *c)
{
	if (c->busy->confirming) {
		leave_primary(w, c, true);
		take_replica(w, c);
	}
	forget(c);
}
