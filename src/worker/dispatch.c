#include "worker/dispatch.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "conf/effective.h"
#include "worker/ask.h"
#include "worker/effects.h"
#include "worker/fit.h"
#include "worker/forward.h"
#include "worker/handover.h"
#include "worker/line.h"
#include "worker/link.h"
#include "worker/login.h"
#include "worker/moving.h"
#include "worker/pick.h"
#include "worker/pinning.h"
#include "worker/places.h"
#include "worker/replication.h"
#include "worker/sequences.h"
#include "worker/signals.h"
#include "worker/unit.h"
#include "worker/waits.h"

#define CHOOSE_TRIES     3u
#define IDLE_LOOK_MAX    8u  /* idle servers looked at for one with the client's settings */
#define WAITERS_LOOK_MAX 64u /* waiters looked at per line when something changed */

void dispatch_forget(struct worker *w, struct client *c)
{
	if (c->acc == NULL)
		return;
	line_leave(w, c);
	if (c->busy->pin_counted)
		pinning_release(w, c);
}

/* A client that stood in line has its server now: go on with it. */
static void go_on(struct worker *w, struct client *c)
{
	const struct welcome *x;

	if (c->state != CLIENT_WELCOME) {
		unit_go_on(w, c);
		return;
	}
	x = c->acc->has_baseline ? account_welcome(c->acc, c->set.current) : NULL;
	if (x == NULL && settings_n(c->set.current) == 0)
		x = account_welcome_add(w, c->acc, c->set.current, &c->busy->learned);
	if (x != NULL) {
		struct server *s = c->server;

		link_break(w, c);
		server_release(w, s);
		login_greet(w, c, x);
	} else if (forward_welcome(w, c) != OK) {
		client_close(w, c, CLIENT_END_MEMORY);
	}
}

static void serve(struct worker *w, struct client *c, struct server *s)
{
	if (server_needs_check(w, s)) {
		server_check(w, s); /* the client stays where it waits, and is served then */
		return;
	}
	if (choose_reason_is_replica(c->busy->route_reason) && !s->in_recovery && !c->db->shadow)
		c->busy->route_reason = CHOOSE_BY_BUSY;
	line_stop(w, c);
	link_make(w, c, s);
	go_on(w, c);
}

/*
 * An idle server for the client: one with its settings if there is one among the first. If there is
 * none that can be used at once, one that has to be checked first.
 */
static struct server *take_idle(struct worker *w, struct pool *p, const struct client *c)
{
	struct server *fits = NULL, *doubted = NULL;
	struct list *it;
	uint32_t n = 0;

	list_foreach (it, &p->idle) {
		struct server *s = list_entry(it, struct server, pool_link);

		if (n++ >= IDLE_LOOK_MAX && (fits != NULL || doubted != NULL))
			break;
		if (s->wanted_by != NULL || !fit_server(w, c, s))
			continue;
		if (server_needs_check(w, s)) {
			doubted = doubted != NULL ? doubted : s;
			continue;
		}
		if (s->settings == c->set.current && s->made == c->custom)
			return s;
		if (fits == NULL || (s->names == c->custom && fits->names != c->custom))
			fits = s;
	}
	return fits != NULL ? fits : doubted;
}

/* Ask another worker for its idle server. */
static void borrow(struct worker *w, struct pool *p)
{
	unsigned from = share_find_idle(p->share, w->index);

	if (from != SHARE_NONE && p->borrowing < waitq_len(&p->line))
		handover_ask(w, p, from);
}

/*
 * The same for a unit that has just queued. Under load a server is idle elsewhere for the rest of a
 * turn only, and is in use again when the question arrives; one of our own may be free as soon.
 */
static void borrow_soon(struct worker *w, struct pool *p)
{
	if (p->n_active == 0)
		borrow(w, p);
	if (w->sh->n_workers > 1 && !wheel_is_armed(&w->borrow))
		wheel_add(&w->wheel, &w->borrow, w->now_us + SHARE_PATIENCE_US);
}

void dispatch_borrow(struct worker *w)
{
	struct list *it;

	list_foreach (it, &w->waiting_pools)
		borrow(w, list_entry(it, struct pool, waiting_link));
	if (!list_is_empty(&w->waiting_pools))
		wheel_add(&w->wheel, &w->borrow, w->now_us + SHARE_PATIENCE_US);
}

/* --- units --- */

/* Hints and parameters are heeded where a node is chosen. */
static bool has_own_wish(const struct client *c)
{
	return c->params != NULL || c->busy->unit.ask.route != 0 || c->busy->unit.ask.has_max_lag;
}

/*
 * An error in what is under way would give names back, or leave statements unmade; PREPARE,
 * DEALLOCATE and DISCARD ALL are noted when they are answered, and what RESET has taken of the
 * login's settings is given back then.
 */
static bool names_are_open(const struct client *c, const struct server *s)
{
	for (uint32_t i = 0; i < s->owed.n; i++)
		switch (owed_at(&s->owed, i)->tag) {
		case OWED_TAG_EFFECTS:
			if (effects_touch_names(owed_at(&s->owed, i)->ref) ||
				effects_reset(c, owed_at(&s->owed, i)->ref))
				return true;
			break;
		case OWED_TAG_PARSE_NAMED:
		case OWED_TAG_PARSE_HIDDEN:
		case OWED_TAG_CLOSE_NAME:
		case OWED_TAG_SQL:
			return true;
		default:
			break;
		}
	return false;
}

/* On the server that the client has already, behind what is under way there? */
static bool may_follow(const struct client *c)
{
	const struct server *s = c->server;

	if (s->owed.n > OWED_MAX / 2)
		return false;
	if (s->owed.n_client == 0 && c->busy->sent_len == 0)
		return true;
	if (names_are_open(c, s))
		return false;
	if (c->busy->moves == MOVES_BOUND) /* … or be asked about */
		return moving_confirms(c) ? c->busy->unit_retained : c->busy->sent_len == 0;
	if (c->busy->moves == MOVES_REPLICA) /* what runs there may have to run again */
		return c->busy->holding && c->busy->unit_retained && moving_is_read(c);
	if (c->txn == TXN_OPEN || c->txn == TXN_FAILED || pins_any(&c->busy->pins) ||
		c->acc->mode == POOL_MODE_SESSION)
		return c->busy->sent_len == 0;
	if (s->in_recovery) /* a unit that must see what others wrote is chosen for on its own */
		return pick_consistency(c) <= CHOOSE_SESSION_MARKS && !has_own_wish(c) &&
		       c->busy->unit_retained && c->busy->unit.flags & SQLV_REPLICA &&
		       !c->busy->streaming && c->busy->unit.pins == 0 && !c->busy->force_primary;
	return true; /* on the primary what is kept is let go where need be */
}

static void refuse_currval(struct worker *w, struct client *c)
{
	struct report r = report_of("ERROR", SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		"currval is not yet defined in this session, or its server connection has moved "
		"on");

	r.hint = "Use INSERT ... RETURNING, or nextval and currval in one transaction.";
	unit_refuse(w, c, &r);
}

static struct server *find_server(struct worker *w, uint64_t id)
{
	struct list *it;

	list_foreach (it, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		if (s->id == id)
			return s;
	}
	return NULL;
}

/* currval and lastval run where the client's last sequence advance was, or not at all. */
static bool dispatch_currval(struct worker *w, struct client *c)
{
	struct server *s = c->seq_server_id != 0 ? find_server(w, c->seq_server_id) : NULL;

	c->busy->route_reason = CHOOSE_BY_SESSION;
	c->busy->needs_primary = c->db->conf->routing;
	if (s == NULL || !sequences_are_own(c, s) || s->pool->acc != c->acc) {
		refuse_currval(w, c);
		return false;
	}
	if (s->state == SERVER_IDLE && !c->db->paused && !server_needs_check(w, s)) {
		link_make(w, c, s);
		return true;
	}
	s->wanted_by = c;
	c->busy->wanted = s;
	line_stand(w, c, NULL, false);
	if (s->state == SERVER_IDLE && !c->db->paused)
		server_check(w, s);
	return false;
}

void dispatch_wanted_lost(struct worker *w, struct client *c, const struct server *s)
{
	c->busy->wanted = NULL;
	line_stop(w, c);
	if (c->replication)
		replication_refused(w, c, s);
	else
		refuse_currval(w, c);
}

/* s: an idle server there that fits the client; NULL: it is not known whether there is one. */
static bool dispatch_to(struct worker *w, struct client *c, struct pool *p, struct server *s)
{
	if (c->busy->unit.flags & SQLV_MAY_ADVANCE && c->db->seq_follows &&
		conf_sequence_state(w->conf, c->db->conf) == SEQUENCE_STATE_PIN)
		c->busy->unit.pins |= 1u << PIN_SEQUENCE;
	if (!pinning_take(w, c, p))
		return false;
	if (waitq_len(&p->line) != 0)
		s = NULL;
	else if (s == NULL)
		s = take_idle(w, p, c);
	if (s != NULL && !server_needs_check(w, s)) {
		link_make(w, c, s);
		return true;
	}
	line_stand(w, c, p, false);
	if (!waiter_waits(&c->busy->waiter))
		return false;
	if (s != NULL)
		server_check(w, s);
	else
		borrow_soon(w, p);
	places_open_for_line(w, p);
	if (waiter_waits(&c->busy->waiter))
		waits_begin(w, c, p); /* a login may be under way now */
	return false;
}

/*
 * routing = shadow, and the client has a server: where would its unit go? Of a block the first unit
 * has told (moving_shadow goes on), of one that has stood in line for this server its choice then.
 */
static COLD void follow_shadow(struct worker *w, struct client *c)
{
	const struct conf_db *conf = c->db->conf;
	bool is_kept = pins_any(&c->busy->pins) || c->acc->mode == POOL_MODE_SESSION;

	if (c->txn != TXN_NONE || (!is_kept && c->server->owed.n_client == 0))
		return;
	c->busy->shadow_index = -1;
	if (!is_kept && conf != NULL && conf->shadow)
		(void)pick_pool(w, c, pick_kind(c));
}

static COLD void refuse_canceled(struct worker *w, struct client *c)
{
	struct report r = report_of(
		"ERROR", SQLSTATE_QUERY_CANCELED, "canceling statement due to user request");

	c->busy->canceled = false;
	unit_refuse(w, c, &r);
}

bool dispatch_unit(struct worker *w, struct client *c)
{
	enum choose_kind kind;
	uint16_t avoid = c->busy->avoid_node;
	struct server *s = NULL;
	struct pool *p;

	if (c->server == NULL || !c->db->shadow)
		c->busy->shadow_index = -1;
	else
		follow_shadow(w, c);
	if (c->busy->unit.flags & SQLV_USES_SEQ)
		sequences_asked(c->acc);
	if (c->server != NULL) {
		if (pins_any(&c->busy->pins))
			c->busy->route_reason = CHOOSE_BY_PINNED;
		else if (c->txn == TXN_OPEN || c->txn == TXN_FAILED)
			c->busy->route_reason = CHOOSE_BY_IN_TRANSACTION;
		return may_follow(c);
	}
	if (c->db->conf == NULL) {
		client_shutdown(w, c);
		return false;
	}
	if (c->busy->canceled) {
		refuse_canceled(w, c);
		return false;
	}
	if (c->db->paused) {
		c->busy->route_hint = CHOOSE_HINT_NONE;
		line_stand(w, c, NULL, false);
		return false;
	}
	if (c->busy->signals != NULL && (p = signals_pool(c)) != NULL) {
		c->busy->needs_primary = false;
		c->busy->by_sample = false;
		c->busy->route_reason = CHOOSE_BY_SESSION;
		return dispatch_to(w, c, p, NULL);
	}
	/* Who has advanced nothing gets PostgreSQL's own error, wherever. */
	if (c->busy->unit.flags & SQLV_USES_SEQ && c->busy->unit.runs && c->seq_server_id != 0 &&
		!(c->busy->unit.flags & SQLV_MAY_ADVANCE) &&
		c->acc->mode == POOL_MODE_TRANSACTION &&
		(c->txn == TXN_NONE || c->txn == TXN_DEFERRED))
		return dispatch_currval(w, c);
	kind = pick_kind(c);
	for (uint32_t i = 0; i < CHOOSE_TRIES; i++) {
		p = pick_pool(w, c, kind);
		/* Idle servers too young to be judged by the node's last sample: not there. */
		if (p == NULL || !c->busy->by_sample || p->n_idle == 0 ||
			(s = take_idle(w, p, c)) != NULL)
			break;
		c->busy->avoid_node = (uint16_t)p->node;
	}
	if (p == NULL &&
		c->busy->avoid_node != avoid) { /* there is nowhere else: it waits for them */
		c->busy->avoid_node = avoid;
		p = pick_pool(w, c, kind);
	}
	if (p == NULL && avoid != NODES_MAX && pick_route(c->db->conf) == CHOOSE_ROUTE_REPLICA) {
		avoid = c->busy->avoid_node = NODES_MAX; /* what the only one says is the answer */
		p = pick_pool(w, c, kind);
	}
	c->busy->avoid_node = avoid;
	if (p == NULL) {
		if (c->busy->waits_fresh)
			line_stand_fresh(w, c, c->busy->unit.arrived_us + w->conf->strong_wait_us);
		else
			line_stand(w, c, NULL, false);
		return false;
	}
	return dispatch_to(w, c, p, s);
}

void dispatch_sent(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	c->busy->route_counted = dbase_count_route(c->db, c->busy->unit.cls, c->busy->route_reason,
		c->busy->shadow_index >= 0 ? c->busy->shadow_index : (int32_t)s->pool->index);
	if (c->busy->unit.flags & (SQLV_MAY_ADVANCE | SQLV_DDL) && c->busy->unit.runs)
		sequences_sent(w, c, c->busy->unit.flags);
	if (c->busy->unit.flags & SQLV_DDL)
		c->busy->ddl_sent = true;
	if (c->busy->unit.flags & SQLV_SCHEMA)
		c->busy->schema_sent = true;
}

/*
 * A server of its own for a replication client, on the primary unless the database's route says
 * otherwise; while there is no place for it, or no node, it waits and is looked at again.
 */
static void dispatch_private(struct worker *w, struct client *c)
{
	struct pool *p = c->db->paused ? NULL : pick_pool(w, c, CHOOSE_UNKNOWN);

	c->busy->needs_primary = false;
	c->busy->by_sample = false;
	line_stand(w, c, NULL, false);
	if (p != NULL && waiter_waits(&c->busy->waiter) && places_may_open(w, p))
		(void)places_open_one(w, p, c);
}

void dispatch_private_ready(struct worker *w, struct server *s)
{
	struct client *c = s->wanted_by;

	line_stop(w, c);
	link_make(w, c, s);
	c->busy->prefix_due = false;
	dispatch_look_pool(w, s->pool); /* it stood among the logins that others count on */
}

void dispatch_welcome(struct worker *w, struct client *c)
{
	struct pool *p;

	c->busy->avoid_node = NODES_MAX;
	if (c->db->conf == NULL) {
		client_shutdown(w, c);
		return;
	}
	if (c->replication) {
		dispatch_private(w, c);
		return;
	}
	/* As the primary sees it; without one, as a replica does. */
	p = c->db->paused ? NULL : pick_pool(w, c, CHOOSE_UNKNOWN);
	if (p == NULL && !c->db->paused)
		p = pick_pool(w, c, CHOOSE_READ);
	c->busy->needs_primary = false;
	c->busy->by_sample = false;
	if (p == NULL) {
		line_stand(w, c, NULL, false);
		return;
	}
	if (dispatch_to(w, c, p, NULL))
		go_on(w, c);
}

/* --- a server is free --- */

/* The first in the pool's line that the server fits, chosen anew where it does not. */
static bool serve_line(struct worker *w, struct pool *p, struct server *s)
{
	struct waiter *x = waitq_first(&p->line);

	for (uint32_t i = 0; x != NULL && i < WAITERS_LOOK_MAX; i++) {
		struct client *c = line_client(x);

		if (fit_server(w, c, s)) {
			serve(w, c, s);
			return true;
		}
		x = waitq_next(&p->line, x);
	}
	return false;
}

/* One of the idle servers that fits somebody in the line. */
static bool serve_line_any(struct worker *w, struct pool *p)
{
	struct list *it;

	list_foreach (it, &p->idle)
		if (serve_line(w, p, list_entry(it, struct server, pool_link)))
			return true;
	return false;
}

/* The first in another pool's line, if it may run here; who insists on a replica is passed over. */
static bool serve_other_line(struct worker *w, struct pool *q, struct server *s)
{
	struct waiter *x = waitq_first(&q->line);

	for (uint32_t i = 0; x != NULL && i < WAITERS_LOOK_MAX; i++, x = waitq_next(&q->line, x)) {
		struct client *c = line_client(x);

		if (pick_is_fit(w, c, s->pool) && fit_server(w, c, s)) {
			serve(w, c, s);
			return true;
		}
		if (!pick_asks_replica(c))
			return false;
	}
	return false;
}

/*
 * A unit that stands in another node's line may run here as well; not if this node is ejected, or
 * it would be kept busy by whoever waits for a better one.
 */
static bool serve_others(struct worker *w, struct pool *p, struct server *s)
{
	if (pool_is_ejected(p, w->now_us))
		return false;
	for (uint32_t i = 0; i < p->acc->n_pools; i++)
		if (p->acc->pools[i] != p && serve_other_line(w, p->acc->pools[i], s))
			return true;
	return false;
}

void dispatch_server_free(struct worker *w, struct server *s)
{
	struct pool *p = s->pool;
	struct client *c = s->wanted_by;
	unsigned who;

	if (server_is_outdated(w, s)) { /* became so while it logged in, or on its way here */
		server_close(w, s, SERVER_END_OUTDATED);
		return;
	}
	server_watch(w, s);
	if (c != NULL) {
		if (sequences_are_own(c, s))
			serve(w, c, s);
		else {
			s->wanted_by = NULL;
			dispatch_wanted_lost(w, c, s);
		}
		if (s->state != SERVER_IDLE)
			return;
	}
	if (p->acc->db->paused) {
		server_close(w, s, SERVER_END_OUTDATED);
		return;
	}
	/* The idle one was published by the transition; now look who waits. */
	share_publish_load(
		p->share, w->index, p->n_active + 1 + (uint32_t)waitq_len(&p->line), w->now_us);
	who = share_whose_turn(p->share, w->index, w->now_us);
	if (who == SHARE_NONE) {
		if (p->acc->n_pools > 1)
			(void)serve_others(w, p, s);
	} else if (who != w->index) {
		handover_server_out(w, s, who);
	} else if (!serve_line(w, p, s)) {
		places_open_for_line(w, p); /* in its place, maybe: custom.h */
	}
}

void dispatch_look_pool(struct worker *w, struct pool *p)
{
	while (waitq_len(&p->line) > p->n_check && serve_line_any(w, p))
		;
	if (waitq_len(&p->line) != 0)
		borrow(w, p);
	places_open_for_line(w, p);
}

/* Chosen anew: another node, or the same one if it is still right. */
void dispatch_choose_anew(struct worker *w, struct client *c)
{
	line_stop(w, c);
	if (c->state == CLIENT_WELCOME)
		dispatch_welcome(w, c);
	else
		unit_go_on(w, c);
}

static void look_pin_line(struct worker *w, struct pool *p)
{
	struct waiter *x;

	while ((x = waitq_first(&p->pin_line)) != NULL) {
		struct client *c = line_client(x);

		dispatch_choose_anew(w, c);
		if (c->state == CLIENT_WAITING && c->busy->wants_pin)
			break; /* still no place */
	}
}

void dispatch_look(struct worker *w)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->waiting_pools) {
		struct pool *p = list_entry(it, struct pool, waiting_link);

		look_pin_line(w, p);
		dispatch_look_pool(w, p);
	}
}

/* --- nothing came in time --- */

void dispatch_cancel(struct worker *w, struct client *c)
{
	line_stop(w, c);
	line_note_wait(w, c);
	refuse_canceled(w, c);
}

void dispatch_login_failed(struct worker *w, struct pool *p, bool refused)
{
	struct list *it, *tmp;
	struct report r = report_of("FATAL",
		p->last_sqlstate[0] != '\0' ? p->last_sqlstate : SQLSTATE_CONNECTION_FAILURE,
		p->last_error);

	pick_leave_host(p);
	p->retry_at_us =
		w->now_us + share_retry_us(w->conf->server_login_retry_us, worker_random(w));
	if (p->acc->retry_at_us < p->retry_at_us)
		p->acc->retry_at_us = p->retry_at_us;
	worker_probe(w, p->node);
	/* Who logs in and has nothing to be greeted with gets the server's own refusal. */
	if (refused && !p->acc->has_baseline)
		list_foreach_safe (it, tmp, &p->line.line) {
			struct client *c = line_client(list_entry(it, struct waiter, link));

			if (c->state == CLIENT_WELCOME)
				client_fatal(w, c, &r, CLIENT_END_LOGIN);
		}
	/* The others may find another node. */
	if (p->acc->n_pools > 1)
		list_foreach_safe (it, tmp, &p->line.line)
			dispatch_choose_anew(w, line_client(list_entry(it, struct waiter, link)));
}

/* --- events --- */

void dispatch_recheck(struct worker *w, struct waitq *q, const struct pool *p)
{
	struct waiter *x = waitq_first(q), *next;

	for (uint32_t i = 0; x != NULL && i < WAITERS_LOOK_MAX; i++, x = next) {
		next = waitq_next(q, x);
		if (line_client(x)->busy->wanted != NULL)
			continue;
		if (p == NULL || !pick_is_fit(w, line_client(x), p))
			dispatch_choose_anew(w, line_client(x));
	}
}
