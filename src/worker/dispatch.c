#include "worker/dispatch.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "conf/effective.h"
#include "worker/ask.h"
#include "worker/fit.h"
#include "worker/forward.h"
#include "worker/handover.h"
#include "worker/login.h"
#include "worker/relay.h"
#include "worker/replication.h"
#include "worker/unit.h"

#define WAITERS_MAX      100000u  /* in one line; max_client_conn bounds it first */
#define JANITOR_SLOW_US  1000000u /* min_pool_size, places for others */
#define CHOOSE_TRIES     3u
#define FAST_CLOSE_MAX   64u /* clients that server_fast_close ends in one round of the janitor */
#define IDLE_LOOK_MAX    8u  /* idle servers looked at for one with the client's settings */
#define WAITERS_LOOK_MAX 64u /* waiters looked at per line when something changed */

/* --- small things --- */

const char *dispatch_node_name(struct worker *w, uint32_t node)
{
	const struct conf_node *n = node < CONF_NODES_MAX ? w->conf->node_by_id[node] : NULL;

	return n != NULL ? n->name : "-";
}

void dispatch_probe(struct worker *w, uint32_t node)
{
	struct ask_probe *ask = worker_mail(sizeof *ask, ASK_PROBE);

	if (ask == NULL)
		return;
	ask->node = node;
	worker_ask(w, &ask->mail);
}

void dispatch_wake_workers(struct worker *w, uint64_t mask)
{
	for (uint32_t i = 0; i < w->sh->n_workers && mask != 0; i++, mask >>= 1) {
		struct mail *m;

		if (!(mask & 1))
			continue;
		m = worker_mail(sizeof *m, TELL_WAITER);
		if (m != NULL)
			worker_tell(w, i, m);
	}
}

static struct client *client_of(struct waiter *x)
{
	return list_entry(x, struct client, waiter);
}

/* --- lines --- */

static void pool_waiters_changed(struct worker *w, struct pool *p)
{
	bool waits = waitq_len(&p->line) != 0 || waitq_len(&p->pin_line) != 0;
	uint64_t wake = 0;

	share_publish_waiter(p->share, w->index, waitq_oldest_us(&p->line));
	if (waitq_len(&p->line) == 0)
		share_sated(p->share, w->index, &wake);
	dispatch_wake_workers(w, wake);
	if (waits && list_is_empty(&p->waiting_link))
		list_push_back(&w->waiting_pools, &p->waiting_link);
	else if (!waits)
		list_del(&p->waiting_link);
}

static void nowhere_changed(struct worker *w, struct account *acc)
{
	if (waitq_len(&acc->nowhere) == 0)
		list_del(&acc->nowhere_link);
	else if (list_is_empty(&acc->nowhere_link))
		list_push_back(&w->waiting_accounts, &acc->nowhere_link);
}

/* Out of the line, the client's state stays. */
static void leave_line(struct worker *w, struct client *c)
{
	struct pool *p = c->line_pool;

	if (c->wanted != NULL) {
		c->wanted->wanted_by = NULL;
		c->wanted = NULL;
	}
	if (!waiter_waits(&c->waiter))
		return;
	waitq_remove(&c->waiter);
	c->line_pool = NULL;
	c->wants_pin = false;
	if (p != NULL)
		pool_waiters_changed(w, p);
	else
		nowhere_changed(w, c->acc);
}

void dispatch_forget(struct worker *w, struct client *c)
{
	if (c->acc == NULL)
		return;
	leave_line(w, c);
	if (c->pin_counted)
		dispatch_pin_released(w, c);
}

/* The client waits no more: it is linked, or chosen anew. */
static void stop_waiting(struct worker *w, struct client *c)
{
	leave_line(w, c);
	if (c->state == CLIENT_WAITING)
		client_transition(w, c, CLIENT_UNQUEUED);
}

static void refuse_full(struct worker *w, struct client *c)
{
	struct report r = report_of(
		"ERROR", SQLSTATE_TOO_MANY_CONNECTIONS, "too many units are waiting already");

	r.hint = "Raise the pool's size (pool_size), or lower query_wait_timeout.";
	if (c->state != CLIENT_WELCOME) {
		unit_refuse(w, c, &r);
		return;
	}
	r.severity = "FATAL";
	r.severity_v = "FATAL";
	client_fatal(w, c, &r, CLIENT_END_LIMIT);
}

static void stand_in_line(struct worker *w, struct client *c, struct pool *p, bool wants_pin)
{
	struct waitq *q = p == NULL ? &c->acc->nowhere : wants_pin ? &p->pin_line : &p->line;
	uint64_t since = c->wait_begun_us != 0 ? c->wait_begun_us : w->now_us;
	uint64_t timeout = c->acc->query_wait_timeout_us;

	c->wait_begun_us = since;
	if (waitq_push(q, &c->waiter, since, timeout != 0 ? since + timeout : UINT64_MAX) != OK) {
		refuse_full(w, c);
		return;
	}
	c->line_pool = p;
	c->wants_pin = wants_pin;
	if (c->state == CLIENT_IDLE)
		client_transition(w, c, CLIENT_QUEUED);
	if (p != NULL)
		pool_waiters_changed(w, p);
	else
		nowhere_changed(w, c->acc);
}

/* --- opening servers --- */

static bool may_open(struct worker *w, const struct pool *p)
{
	return p->index != POOL_RETIRED && p->acc->db->conf != NULL && !p->acc->db->paused &&
	       w->now_us >= p->retry_at_us && !w->stopping;
}

/* Close an idle server of another pool here that stands in the way. */
static bool make_room(struct worker *w, struct pool *wanting, enum share_full full)
{
	struct list *it;

	list_foreach (it, &w->servers) {
		struct server *s = list_entry(it, struct server, link);
		struct pool *p = s->pool;

		if (s->state != SERVER_IDLE || p == wanting || waitq_len(&p->line) != 0)
			continue;
		if ((full == SHARE_FULL_DATABASE && p->share->db != wanting->share->db) ||
			(full == SHARE_FULL_USER && p->share->user != wanting->share->user) ||
			(full == SHARE_FULL_NODE && p->share->node != wanting->share->node))
			continue;
		server_close(w, s, SERVER_END_BUDGET);
		return true;
	}
	return false;
}

static uint32_t reserve_now(struct worker *w, const struct pool *p)
{
	return share_reserve(p->acc->reserve_pool_size, w->conf->reserve_pool_timeout_us,
		waitq_oldest_us(&p->line), w->now_us);
}

/* Its own idle server that would be missed least. */
static bool make_room_here(struct worker *w, struct pool *p)
{
	if (list_is_empty(&p->idle))
		return false;
	server_close(w, list_entry(p->idle.prev, struct server, pool_link), SERVER_END_BUDGET);
	return true;
}

/*
 * One more server for the pool, if the limits allow it; else this worker is woken when they do.
 * only_for: as server_open; such a one may take the place of an idle one.
 */
static bool open_one(struct worker *w, struct pool *p, struct client *only_for)
{
	struct budget_want login = {.b = &p->share->node->logins};
	enum share_full full;
	uint64_t wake = 0;
	enum status st;

	if (budget_acquire_or_wait(&login, 1, w->index, &wake) >= 0) {
		dispatch_wake_workers(w, wake);
		return false;
	}
	st = share_open(p->share, w->index, reserve_now(w, p), &full, &wake);
	if (st == E_AGAIN && (full != SHARE_FULL_POOL ? make_room(w, p, full)
						      : only_for != NULL && make_room_here(w, p)))
		st = share_open(p->share, w->index, reserve_now(w, p), &full, &wake);
	if (st != OK)
		budget_release(&p->share->node->logins, &wake);
	dispatch_wake_workers(w, wake);
	return st == OK && server_open(w, p, only_for) == OK;
}

static void open_for_line(struct worker *w, struct pool *p)
{
	while (waitq_len(&p->line) > p->n_login + p->n_check && may_open(w, p))
		if (!open_one(w, p, NULL))
			return;
}

void dispatch_server_gone(struct worker *w, struct pool *p, bool login_counted)
{
	uint64_t wake = 0;

	if (login_counted)
		budget_release(&p->share->node->logins, &wake);
	share_close(p->share, &wake);
	dispatch_wake_workers(w, wake);
	if (waitq_len(&p->line) != 0)
		open_for_line(w, p);
}

void dispatch_login_ended(struct worker *w, struct pool *p)
{
	uint64_t wake = 0;

	budget_release(&p->share->node->logins, &wake);
	dispatch_wake_workers(w, wake);
}

void dispatch_idle_changed(struct worker *w, struct pool *p, int delta)
{
	/* Called while the counter changes: what will be seen by others is the new number. */
	(void)delta;
	share_publish_idle(p->share, w->index, p->n_idle);
}

bool dispatch_may_shrink(struct worker *w, const struct pool *p)
{
	(void)w;
	return p->acc->db->conf == NULL || p->index == POOL_RETIRED ||
	       budget_n(&p->share->open) > p->acc->min_pool_size;
}

/* --- linking --- */

static void note_wait(struct worker *w, struct client *c)
{
	uint64_t us = c->wait_begun_us != 0 ? w->now_us - c->wait_begun_us : 0;

	c->wait_begun_us = 0;
	c->wait_told = false;
	if (c->state == CLIENT_WELCOME)
		return; /* a login is no unit */
	hist_add(&c->acc->wait, us);
	c->db->stats.wait_us += us;
}

static void link_server(struct worker *w, struct client *c, struct server *s)
{
	const struct topo_node *n = topology_node(w->topology, (uint16_t)s->pool->node);

	note_wait(w, c);
	c->db->stats.server_assignments += c->state != CLIENT_WELCOME;
	c->server = s;
	c->prefix_due = true;
	c->rediff = false;
	c->deferred_failed = false;
	c->read_epoch = n != NULL ? n->epoch : 0;
	s->client = c;
	server_transition(w, s, SERVER_LINKED);
	if (c->state != CLIENT_WELCOME)
		client_transition(w, c, CLIENT_LINKED);
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
		x = account_welcome_add(w, c->acc, c->set.current, &c->learned);
	if (x != NULL) {
		struct server *s = c->server;

		relay_unlink(w, c);
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
	stop_waiting(w, c);
	link_server(w, c, s);
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
		if (s->settings == c->set.current)
			return s;
		if (fits == NULL || w->conf->server_round_robin)
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
	else if (w->sh->n_workers > 1 && !wheel_is_armed(&w->borrow))
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

/* --- choosing --- */

struct chooser {
	struct choose_in in;
	uint16_t nodes[CONF_DB_NODES_MAX];
	struct choose_load load[CONF_DB_NODES_MAX];
};

static bool is_read_only_block(const struct client *c)
{
	const struct sql_modes *m = &c->deferred->modes;
	uint8_t read_only = m->read_only, isolation = m->isolation;
	const char *v;

	if (m->needs_primary)
		return false;
	if (read_only == TRI_UNSET) {
		v = settings_get(c->set.current, "default_transaction_read_only");
		if (v == NULL)
			v = baseline_get(&c->acc->baseline, "default_transaction_read_only");
		read_only = v != NULL && strcasecmp(v, "on") == 0 ? TRI_YES : TRI_NO;
	}
	if (isolation == ISOLATION_UNSET) {
		v = settings_get(c->set.current, "default_transaction_isolation");
		if (v != NULL && strcasecmp(v, "serializable") == 0)
			isolation = ISOLATION_SERIALIZABLE;
	}
	return read_only == TRI_YES && isolation != ISOLATION_SERIALIZABLE;
}

static enum choose_kind kind_of(const struct client *c)
{
	const struct unit *u = &c->unit;

	if (c->streaming)
		return CHOOSE_STREAMED;
	if (c->force_primary || c->default_serializable)
		return CHOOSE_UNKNOWN;
	if (c->txn == TXN_DEFERRED) {
		/* A statement that only the primary answers rightly takes the block there. */
		bool fits = u->flags & SQLV_REPLICA || u->flags & SQLV_USES_CURSOR ||
			    (u->cls == SQL_SESSION && u->pins == 0);

		return is_read_only_block(c) && fits ? CHOOSE_READ_BLOCK : CHOOSE_TRANSACTION;
	}
	if (u->flags & SQLV_REPLICA && u->pins == 0)
		return CHOOSE_READ;
	switch ((enum sql_class)u->cls) {
	case SQL_WRITE:
		return CHOOSE_WRITE;
	case SQL_SESSION:
		return CHOOSE_SESSION;
	case SQL_TXN:
		return CHOOSE_TRANSACTION;
	case SQL_EMPTY:
	case SQL_READ:
	case SQL_UNKNOWN:
		break;
	}
	return CHOOSE_UNKNOWN;
}

static enum choose_route route_of(const struct conf_db *db)
{
	if (!db->routing)
		return CHOOSE_ROUTE_OFF;
	switch (db->route) {
	case ROUTE_PRIMARY:
		return CHOOSE_ROUTE_PRIMARY;
	case ROUTE_REPLICA:
		return CHOOSE_ROUTE_REPLICA;
	case ROUTE_AUTO:
		break;
	}
	return CHOOSE_ROUTE_AUTO;
}

static void fill_load(struct worker *w, const struct client *c, struct chooser *ch, uint32_t i)
{
	const struct pool *p = c->acc->pools[i];
	uint32_t open = budget_n(&p->share->open), size = p->acc->pool_size;
	uint64_t latency_us = pool_latency_us(p, w->now_us);

	ch->nodes[i] = (uint16_t)p->node;
	ch->load[i] = (struct choose_load){
		.outstanding = p->outstanding + (uint32_t)waitq_len(&p->line),
		.latency_us = latency_us < UINT32_MAX ? (uint32_t)latency_us : UINT32_MAX,
		.n_free = (uint16_t)(p->n_idle + (size > open ? size - open : 0)),
		.weight = (uint8_t)c->db->conf->nodes[i].weight,
		.conn_ok = w->now_us >= p->retry_at_us && p->node != c->avoid_node,
	};
}

/* Hosts that are equals: in turn, or one until it fails (load_balance_hosts). */
static bool keeps_host(const struct conf_db *db)
{
	return !db->routing && db->load_balance_hosts == HOST_BALANCE_DISABLE;
}

static uint32_t chooser_random(struct worker *w, const struct account *acc)
{
	if (acc->db->conf->routing)
		return (uint32_t)worker_random(w);
	return keeps_host(acc->db->conf) ? atomic_load(&acc->share_db->host) : acc->round_robin;
}

static void chooser_fill(
	struct worker *w, struct client *c, enum choose_kind kind, struct chooser *ch)
{
	const struct account *acc = c->acc;
	const struct conf_db *db = c->db->conf;
	const struct topo_cluster *cluster = fit_cluster(w, acc);

	for (uint32_t i = 0; i < acc->n_pools; i++)
		fill_load(w, c, ch, i);
	if (cluster != NULL)
		marks_settle(&c->marks, cluster);
	ch->in = (struct choose_in){
		.topo = w->topology,
		.nodes = ch->nodes,
		.load = ch->load,
		.n_nodes = (uint16_t)acc->n_pools,
		.cluster = (uint16_t)db->cluster_id,
		.kind = kind,
		.route = route_of(db),
		.consistency = acc->consistency == CONSISTENCY_EVENTUAL ? CHOOSE_EVENTUAL
									: CHOOSE_SESSION_MARKS,
		.marks = &c->marks,
		.max_lag_us = acc->max_lag_us,
		.now_us = w->now_us,
		.sample_grace_us = w->conf->lag_check_interval_us,
		.random = chooser_random(w, acc),
	};
}

static bool goes_to_replica(const struct choose_out *out)
{
	return out->reason == CHOOSE_BY_REPLICA_OK || out->reason == CHOOSE_BY_REPLICA_STAYS ||
	       out->reason == CHOOSE_BY_ROUTE_REPLICA;
}

static void want_sample(struct worker *w)
{
	struct mark_clock *clock = &w->sh->clock;
	uint64_t number = mark_clock_load(clock);
	bool wanted = mark_clock_is_wanted(clock, number);

	mark_clock_want(clock, number);
	if (!wanted)
		w->sh->control.wake(w->sh->control.wake_arg);
}

/* Where nothing is to be chosen: as choose_pool. */
static struct pool *only_pool(struct worker *w, struct client *c)
{
	struct pool *p = c->acc->pools[0];
	bool conn_ok = w->now_us >= p->retry_at_us && p->node != c->avoid_node;

	c->route_reason = CHOOSE_BY_ONLY_NODE;
	c->route_hint = conn_ok ? CHOOSE_HINT_NONE : CHOOSE_HINT_CONNECT;
	c->needs_primary = false;
	c->by_sample = false;
	c->block_read_only = false;
	return conn_ok ? p : NULL;
}

/* The node for the client's unit; NULL: none is fit now. */
static struct pool *choose_pool(struct worker *w, struct client *c, enum choose_kind kind)
{
	struct chooser ch;
	struct choose_out out;

	if (c->acc->n_pools == 1 && !c->db->conf->routing)
		return only_pool(w, c);
	chooser_fill(w, c, kind, &ch);
	choose(&ch.in, &out);
	c->route_reason = c->force_primary ? CHOOSE_BY_REPLAY : out.reason;
	c->route_hint = out.hint;
	c->needs_primary = !goes_to_replica(&out) && c->db->conf->routing &&
			   c->db->conf->route != ROUTE_REPLICA;
	c->by_sample = goes_to_replica(&out);
	c->block_read_only = kind == CHOOSE_READ_BLOCK && goes_to_replica(&out);
	if (out.wants_sample)
		want_sample(w);
	if (out.node == TOPO_NONE)
		return NULL;
	if (!c->db->conf->routing)
		c->acc->round_robin++;
	return c->acc->pools[out.index];
}

/* May the unit that waits elsewhere run on this pool's node? */
static bool is_fit(struct worker *w, struct client *c, const struct pool *p)
{
	struct chooser ch;
	struct choose_out out;

	if (c->state == CLIENT_WELCOME)
		return true;
	chooser_fill(w, c, kind_of(c), &ch);
	if (keeps_host(c->db->conf)) {
		choose(&ch.in, &out);
		return out.node == p->node;
	}
	return choose_is_fit(&ch.in, (uint16_t)p->index);
}

/* --- units --- */

/* On the server that the client has already, behind what is under way there? */
static bool may_follow(const struct client *c)
{
	const struct server *s = c->server;

	if (s->owed.n > OWED_MAX / 2)
		return false;
	if (s->owed.n_client == 0 && c->sent_len == 0)
		return true;
	if (c->txn == TXN_OPEN || c->txn == TXN_FAILED || pins_any(&c->pins) ||
		c->acc->mode == POOL_MODE_SESSION)
		return c->sent_len == 0;
	if (s->in_recovery)
		return c->unit_retained && c->unit.flags & SQLV_REPLICA && !c->streaming &&
		       c->unit.pins == 0 && !c->force_primary;
	return c->sent_len == 0;
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

	c->db->seq_asked = true;
	dbase_follow_sequences(w, c->db);
	c->route_reason = CHOOSE_BY_SESSION;
	c->needs_primary = c->db->conf->routing;
	if (s == NULL || s->seq_client != c->id || s->pool->acc != c->acc) {
		refuse_currval(w, c);
		return false;
	}
	if (s->state == SERVER_IDLE && !c->db->paused && !server_needs_check(w, s)) {
		link_server(w, c, s);
		return true;
	}
	s->wanted_by = c;
	c->wanted = s;
	stand_in_line(w, c, NULL, false);
	if (s->state == SERVER_IDLE && !c->db->paused)
		server_check(w, s);
	return false;
}

void dispatch_wanted_lost(struct worker *w, struct client *c, const struct server *s)
{
	c->wanted = NULL;
	stop_waiting(w, c);
	if (c->replication)
		replication_refused(w, c, s);
	else
		refuse_currval(w, c);
}

/* A place among the pinned of the pool; false: it waits for one, or the client is closed. */
static bool take_pin_place(struct worker *w, struct client *c, struct pool *p)
{
	struct budget_want want = {.b = &p->share->pinned};
	uint64_t wake = 0;
	int full;

	if (c->pin_counted || c->unit.pins == 0 || c->acc->mode == POOL_MODE_SESSION)
		return true;
	full = c->acc->pinned_max == 0 ? 0 : budget_acquire_or_wait(&want, 1, w->index, &wake);
	dispatch_wake_workers(w, wake);
	if (full >= 0) {
		stand_in_line(w, c, p, true);
		return false;
	}
	c->pin_counted = true;
	c->pin_pool = p;
	return true;
}

void dispatch_pin_released(struct worker *w, struct client *c)
{
	uint64_t wake = 0;

	if (!c->pin_counted)
		return;
	c->pin_counted = false;
	budget_release(&c->pin_pool->share->pinned, &wake);
	if (waitq_len(&c->pin_pool->pin_line) != 0)
		wake |= 1ull << w->index;
	dispatch_wake_workers(w, wake);
}

void dispatch_pin_found(struct worker *w, struct client *c)
{
	struct pool *p = c->server->pool;
	struct budget_want want = {.b = &p->share->pinned};
	uint64_t wake = 0;

	if (c->acc->mode == POOL_MODE_SESSION || c->streaming || c->replication)
		return;
	if (c->acc->pinned_max == 0 || budget_try_acquire(&want, 1, &wake) >= 0) {
		budget_take_over(&p->share->pinned);
		atomic_fetch_add_explicit(&w->sh->pins.over, 1, memory_order_relaxed);
	}
	dispatch_wake_workers(w, wake);
	c->pin_counted = true;
	c->pin_pool = p;
}

/* A place for as long as the client's next unit takes to come; there need not be one. */
static bool take_sequence_place(struct worker *w, struct client *c)
{
	struct pool *p = c->server->pool;
	struct budget_want want = {.b = &p->share->pinned};
	uint64_t wake = 0;

	if (c->pin_counted)
		return true;
	if (c->acc->pinned_max == 0 || budget_try_acquire(&want, 1, &wake) >= 0)
		return false;
	dispatch_wake_workers(w, wake);
	c->pin_counted = true;
	c->pin_pool = p;
	return true;
}

void dispatch_keep_sequence(struct worker *w, struct client *c)
{
	enum sequence_state state;

	if (!server_is_quiet(c->server) || c->server->txn_status != 'I' || c->db->conf == NULL)
		return;
	state = conf_sequence_state(w->conf, c->db->conf);
	if (!c->seq_advanced) {
		if (c->seq_kept)
			pins_remove(&c->pins, &w->sh->pins, PIN_SEQUENCE);
		c->seq_kept = false;
		return;
	}
	c->seq_advanced = false;
	if (c->acc->mode == POOL_MODE_SESSION || state == SEQUENCE_STATE_OFF ||
		pins_has(&c->pins, PIN_SEQUENCE))
		return;
	if (state == SEQUENCE_STATE_AFFINITY &&
		(server_is_outdated(w, c->server) || !take_sequence_place(w, c)))
		return;
	pins_add(&c->pins, &w->sh->pins, PIN_SEQUENCE, w->now_us, NULL, 0);
	c->seq_kept = state == SEQUENCE_STATE_AFFINITY;
}

static bool dispatch_to(struct worker *w, struct client *c, struct pool *p)
{
	struct server *s;

	if (c->unit.flags & SQLV_MAY_ADVANCE && c->db->seq_follows &&
		conf_sequence_state(w->conf, c->db->conf) == SEQUENCE_STATE_PIN)
		c->unit.pins |= 1u << PIN_SEQUENCE;
	if (!take_pin_place(w, c, p))
		return false;
	s = waitq_len(&p->line) == 0 ? take_idle(w, p, c) : NULL;
	if (s != NULL && !server_needs_check(w, s)) {
		link_server(w, c, s);
		return true;
	}
	stand_in_line(w, c, p, false);
	if (!waiter_waits(&c->waiter))
		return false;
	if (s != NULL)
		server_check(w, s);
	else
		borrow_soon(w, p);
	open_for_line(w, p);
	return false;
}

bool dispatch_unit(struct worker *w, struct client *c)
{
	enum choose_kind kind;
	uint16_t avoid = c->avoid_node;
	struct pool *p;

	if (c->server != NULL) {
		if (pins_any(&c->pins))
			c->route_reason = CHOOSE_BY_PINNED;
		else if (c->txn == TXN_OPEN || c->txn == TXN_FAILED)
			c->route_reason = CHOOSE_BY_IN_TRANSACTION;
		return may_follow(c);
	}
	if (c->db->conf == NULL) {
		client_shutdown(w, c);
		return false;
	}
	if (c->db->paused) {
		c->route_hint = CHOOSE_HINT_NONE;
		stand_in_line(w, c, NULL, false);
		return false;
	}
	if (c->unit.flags & SQLV_USES_SEQ && !(c->unit.flags & SQLV_MAY_ADVANCE) &&
		c->acc->mode == POOL_MODE_TRANSACTION &&
		(c->txn == TXN_NONE || c->txn == TXN_DEFERRED))
		return dispatch_currval(w, c);
	kind = kind_of(c);
	for (uint32_t i = 0; i < CHOOSE_TRIES; i++) {
		p = choose_pool(w, c, kind);
		/* Idle servers too young to be judged by the node's last sample: not there. */
		if (p == NULL || !c->by_sample || p->n_idle == 0 || take_idle(w, p, c) != NULL)
			break;
		c->avoid_node = (uint16_t)p->node;
	}
	if (p == NULL && c->avoid_node != avoid) { /* there is nowhere else: it waits for them */
		c->avoid_node = avoid;
		p = choose_pool(w, c, kind);
	}
	c->avoid_node = avoid;
	if (p == NULL) {
		stand_in_line(w, c, NULL, false);
		return false;
	}
	return dispatch_to(w, c, p);
}

void dispatch_sent(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	(void)w;
	dbase_count_route(c->db, c->unit.cls, c->route_reason, (int32_t)s->pool->index);
	if (c->unit.flags & SQLV_MAY_ADVANCE) {
		s->seq_client = c->id;
		c->seq_server_id = s->id;
		c->seq_advanced = true;
	}
	if (c->unit.flags & SQLV_DDL)
		c->ddl_sent = true;
	if (c->unit.flags & SQLV_SCHEMA)
		c->schema_sent = true;
}

/*
 * A server of its own for a replication client, on the primary unless the database's route says
 * otherwise; while there is no place for it, or no node, it waits and is looked at again.
 */
static void dispatch_private(struct worker *w, struct client *c)
{
	struct pool *p = c->db->paused ? NULL : choose_pool(w, c, CHOOSE_UNKNOWN);

	c->needs_primary = false;
	c->by_sample = false;
	stand_in_line(w, c, NULL, false);
	if (p != NULL && waiter_waits(&c->waiter) && may_open(w, p))
		(void)open_one(w, p, c);
}

void dispatch_private_ready(struct worker *w, struct server *s)
{
	struct client *c = s->wanted_by;

	stop_waiting(w, c);
	link_server(w, c, s);
	c->prefix_due = false;
	dispatch_look_pool(w, s->pool); /* it stood among the logins that others count on */
}

void dispatch_welcome(struct worker *w, struct client *c)
{
	struct pool *p;

	c->avoid_node = NODES_MAX;
	if (c->db->conf == NULL) {
		client_shutdown(w, c);
		return;
	}
	if (c->replication) {
		dispatch_private(w, c);
		return;
	}
	/* As the primary sees it; without one, as a replica does. */
	p = c->db->paused ? NULL : choose_pool(w, c, CHOOSE_UNKNOWN);
	if (p == NULL && !c->db->paused)
		p = choose_pool(w, c, CHOOSE_READ);
	c->needs_primary = false;
	c->by_sample = false;
	if (p == NULL) {
		stand_in_line(w, c, NULL, false);
		return;
	}
	if (dispatch_to(w, c, p))
		go_on(w, c);
}

/* --- a server is free --- */

/* The first in the pool's line that the server fits, chosen anew where it does not. */
static bool serve_line(struct worker *w, struct pool *p, struct server *s)
{
	struct waiter *x = waitq_first(&p->line);

	for (uint32_t i = 0; x != NULL && i < WAITERS_LOOK_MAX; i++) {
		struct client *c = client_of(x);

		if (fit_server(w, c, s)) {
			serve(w, c, s);
			return true;
		}
		x = waitq_next(&p->line, x);
	}
	return false;
}

/* A unit that stands in another node's line, or nowhere, may run here as well. */
static bool serve_others(struct worker *w, struct pool *p, struct server *s)
{
	struct account *acc = p->acc;
	struct waiter *x;

	for (uint32_t i = 0; i < acc->n_pools; i++) {
		struct pool *q = acc->pools[i];

		x = q != p ? waitq_first(&q->line) : NULL;
		if (x == NULL || !is_fit(w, client_of(x), p))
			continue;
		if (fit_server(w, client_of(x), s)) {
			serve(w, client_of(x), s);
			return true;
		}
	}
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
		if (s->seq_client == c->id)
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
	share_publish_load(p->share, w->index, p->n_active + 1 + (uint32_t)waitq_len(&p->line));
	who = share_whose_turn(p->share, w->index, w->now_us);
	if (who == SHARE_NONE) {
		if (p->acc->n_pools > 1)
			(void)serve_others(w, p, s);
	} else if (who != w->index) {
		handover_server_out(w, s, who);
	} else {
		(void)serve_line(w, p, s);
	}
}

void dispatch_look_pool(struct worker *w, struct pool *p)
{
	while (!list_is_empty(&p->idle) && waitq_len(&p->line) > p->n_check) {
		struct server *s = list_entry(p->idle.next, struct server, pool_link);

		if (!serve_line(w, p, s))
			break;
	}
	if (waitq_len(&p->line) != 0)
		borrow(w, p);
	open_for_line(w, p);
}

/* Chosen anew: another node, or the same one if it is still right. */
static void choose_anew(struct worker *w, struct client *c)
{
	stop_waiting(w, c);
	if (c->state == CLIENT_WELCOME)
		dispatch_welcome(w, c);
	else
		unit_go_on(w, c);
}

static void look_pin_line(struct worker *w, struct pool *p)
{
	struct waiter *x;

	while ((x = waitq_first(&p->pin_line)) != NULL) {
		struct client *c = client_of(x);

		choose_anew(w, c);
		if (c->state == CLIENT_WAITING && c->wants_pin)
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

static const char *wait_hint(const struct client *c, const struct pool *p)
{
	if (c->wants_pin)
		return "All places for pinned clients of the pool are taken: see max_pinned and "
		       "SHOW PINS.";
	if (c->db->paused)
		return "The database is paused; RESUME ends it.";
	if (p == NULL)
		return choose_hint_text(c->route_hint);
	return "No server of the pool became free within query_wait_timeout: see pool_size, "
	       "reserve_pool_size and SHOW POOLS.";
}

static void wait_timed_out(struct worker *w, struct client *c, struct pool *p)
{
	bool no_node = p == NULL || (p->last_error[0] != '\0' && p->n_active == 0);
	struct report r = report_of("ERROR",
		no_node ? SQLSTATE_CANNOT_CONNECT_NOW : SQLSTATE_TOO_MANY_CONNECTIONS,
		"query_wait_timeout");
	char detail[192];

	r.hint = wait_hint(c, p);
	if (p != NULL && p->last_error[0] != '\0') {
		snprintf(detail, sizeof detail, "The last login to %s failed: %s",
			dispatch_node_name(w, p->node), p->last_error);
		r.detail = detail;
	}
	c->db->stats.timeouts++;
	stop_waiting(w, c);
	note_wait(w, c);
	if (c->state == CLIENT_WELCOME) {
		r.severity = "FATAL";
		r.severity_v = "FATAL";
		client_fatal(w, c, &r, CLIENT_END_TIMEOUT);
	} else {
		unit_refuse(w, c, &r);
	}
}

static void expire(struct worker *w, struct waitq *q, struct pool *p)
{
	struct waiter *x;

	for (;;) {
		x = waitq_first(q);
		if (x == NULL || x->deadline_us > w->now_us)
			break;
		wait_timed_out(w, client_of(x), p);
	}
}

/* query_wait_notify: one notice in each wait. Before its greeting a client expects none. */
static void tell_who_waits(struct worker *w, struct waitq *q)
{
	uint64_t notify_us = w->conf->query_wait_notify_us;
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);
	struct report r = report_of("NOTICE", SQLSTATE_SUCCESSFUL_COMPLETION,
		"No server connection available in postgres backend, client being queued");

	r.hint = "See query_wait_notify, and SHOW POOLS on the console.";
	if (notify_us == 0)
		return;
	report_put(&out, 'N', &r);
	for (struct waiter *x = waitq_first(q); x != NULL; x = waitq_next(q, x)) {
		struct client *c = client_of(x);

		if (w->now_us - x->since_us < notify_us)
			break; /* the line is in order of age */
		if (c->wait_told || c->state != CLIENT_WAITING)
			continue;
		c->wait_told = true;
		conn_put_copy(c->conn, buf, out.len);
		conn_flush(c->conn);
	}
}

void dispatch_cancel(struct worker *w, struct client *c)
{
	struct report r = report_of(
		"ERROR", SQLSTATE_QUERY_CANCELED, "canceling statement due to user request");

	stop_waiting(w, c);
	note_wait(w, c);
	unit_refuse(w, c, &r);
}

/* load_balance_hosts = disable: the next host, unless somebody has gone on already. */
static void leave_host(struct pool *p)
{
	const struct conf_db *db = p->acc->db->conf;
	uint32_t here = p->index;

	if (db != NULL && keeps_host(db) && here != POOL_RETIRED)
		atomic_compare_exchange_strong(
			&p->acc->share_db->host, &here, (here + 1) % (uint32_t)db->n_nodes);
}

void dispatch_login_failed(struct worker *w, struct pool *p, bool refused)
{
	struct list *it, *tmp;
	uint64_t retry = w->conf->server_login_retry_us;
	struct report r = report_of("FATAL",
		p->last_sqlstate[0] != '\0' ? p->last_sqlstate : SQLSTATE_CONNECTION_FAILURE,
		p->last_error);

	leave_host(p);
	p->retry_at_us = w->now_us + retry + worker_random(w) % (retry / 8 + 1);
	dispatch_probe(w, p->node);
	/* Who logs in and has nothing to be greeted with gets the server's own refusal. */
	if (refused && !p->acc->has_baseline)
		list_foreach_safe (it, tmp, &p->line.line) {
			struct client *c = client_of(list_entry(it, struct waiter, link));

			if (c->state == CLIENT_WELCOME)
				client_fatal(w, c, &r, CLIENT_END_LOGIN);
		}
	/* The others may find another node. */
	if (p->acc->n_pools > 1)
		list_foreach_safe (it, tmp, &p->line.line)
			choose_anew(w, client_of(list_entry(it, struct waiter, link)));
}

/* --- events --- */

static bool node_is_up(struct worker *w, uint32_t node)
{
	const struct topo_node *n = topology_node(w->topology, (uint16_t)node);

	return n != NULL && n->health == TOPO_UP;
}

/*
 * Idle connections are closed that are not what their node is now, or lead to what was there before
 * it restarted or was replaced.
 */
static void check_idle(struct worker *w, struct pool *p)
{
	const struct topo_cluster *cluster = fit_cluster(w, p->acc);
	bool is_primary = cluster != NULL && cluster->primary == p->node;
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &p->idle) {
		struct server *s = list_entry(it, struct server, pool_link);

		if (is_primary && (s->in_recovery || s->timeline < cluster->timeline_max))
			server_close(w, s, SERVER_END_ROLE);
		else if (server_is_outdated(w, s))
			server_close(w, s, SERVER_END_OUTDATED);
	}
}

/* Did the last login fail because of the state that the node was in? */
static bool failed_for_the_node(const struct pool *p)
{
	return strncmp(p->last_sqlstate, "08", 2) == 0 || strncmp(p->last_sqlstate, "57P", 3) == 0;
}

static void account_topology_changed(struct worker *w, struct account *acc)
{
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		struct pool *p = acc->pools[i];

		check_idle(w, p);
		/* The monitor sees the node accept connections: no need to wait longer. */
		if (p->retry_at_us > w->now_us && node_is_up(w, p->node) && failed_for_the_node(p))
			p->retry_at_us = w->now_us;
	}
}

static void recheck_waiters(struct worker *w, struct waitq *q, const struct pool *p)
{
	struct waiter *x = waitq_first(q), *next;

	for (uint32_t i = 0; x != NULL && i < WAITERS_LOOK_MAX; i++, x = next) {
		next = waitq_next(q, x);
		if (client_of(x)->wanted != NULL)
			continue;
		if (p == NULL || !is_fit(w, client_of(x), p))
			choose_anew(w, client_of(x));
	}
}

void dispatch_topology_changed(struct worker *w)
{
	struct list *it, *ia, *tmp;

	list_foreach (it, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		if (db->conf == NULL || !db->conf->routing)
			continue;
		list_foreach (ia, &db->account_list)
			account_topology_changed(w, list_entry(ia, struct account, link));
	}
	list_foreach_safe (it, tmp, &w->waiting_accounts)
		recheck_waiters(w, &list_entry(it, struct account, nowhere_link)->nowhere, NULL);
	list_foreach_safe (it, tmp, &w->waiting_pools) {
		struct pool *p = list_entry(it, struct pool, waiting_link);

		if (p->acc->n_pools > 1)
			recheck_waiters(w, &p->line, p);
		dispatch_look_pool(w, p); /* servers that were too young */
	}
}

static void keep_min_pool_size(struct worker *w, struct account *acc)
{
	if (acc->min_pool_size == 0 || acc->n_clients == 0)
		return;
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		struct pool *p = acc->pools[i];

		while (budget_n(&p->share->open) < acc->min_pool_size && may_open(w, p))
			if (!open_one(w, p, NULL))
				break;
	}
}

/* Give back a place that somebody else, maybe on another worker, has a better claim to. */
static void give_places_back(struct worker *w, struct pool *p)
{
	struct server *s;

	if (list_is_empty(&p->idle) || waitq_len(&p->line) != 0)
		return;
	s = list_entry(p->idle.prev, struct server, pool_link);
	if (s->wanted_by == NULL &&
		(share_pool_gives_back(p->share) || budget_has_starved(&p->share->db->open) ||
			budget_has_starved(&p->share->user->open) ||
			budget_has_starved(&p->share->node->open) ||
			budget_is_over(&p->share->open)))
		server_close(w, s, SERVER_END_BUDGET);
}

static void give_all_places_back(struct worker *w)
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list)
		list_foreach (ia, &list_entry(it, struct dbase, link)->account_list) {
			struct account *acc = list_entry(ia, struct account, link);

			for (uint32_t i = 0; i < acc->n_pools; i++)
				give_places_back(w, acc->pools[i]);
		}
}

static void janitor_slow(struct worker *w)
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		if (db->conf == NULL)
			continue;
		list_foreach (ia, &db->account_list) {
			struct account *acc = list_entry(ia, struct account, link);

			keep_min_pool_size(w, acc);
		}
	}
	dbase_forget_unused(w);
}

/* One of them: closing it may close others, so the walk begins anew behind it. */
static bool fast_close_one(struct worker *w)
{
	struct list *it;

	list_foreach (it, &w->servers)
		if (server_fast_close(w, list_entry(it, struct server, link)))
			return true;
	return false;
}

void dispatch_janitor(struct worker *w)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->waiting_pools) {
		struct pool *p = list_entry(it, struct pool, waiting_link);

		expire(w, &p->pin_line, p);
		expire(w, &p->line, p);
		tell_who_waits(w, &p->pin_line);
		tell_who_waits(w, &p->line);
		dispatch_look_pool(w, p);
	}
	list_foreach_safe (it, tmp, &w->waiting_accounts) {
		struct account *acc = list_entry(it, struct account, nowhere_link);

		expire(w, &acc->nowhere, NULL);
		tell_who_waits(w, &acc->nowhere);
		recheck_waiters(w, &acc->nowhere, NULL);
	}
	give_all_places_back(w);
	for (uint32_t n = 0; w->conf->server_fast_close && n < FAST_CLOSE_MAX; n++)
		if (!fast_close_one(w))
			break;
	if (w->now_us - w->janitor_slow_us >= JANITOR_SLOW_US) {
		w->janitor_slow_us = w->now_us;
		janitor_slow(w);
	}
}

/* --- accounts --- */

void dispatch_pool_init(struct pool *p)
{
	waitq_init(&p->pin_line, WAITERS_MAX);
	waitq_init(&p->line, WAITERS_MAX);
	list_init(&p->waiting_link);
}

void dispatch_account_init(struct account *acc)
{
	waitq_init(&acc->nowhere, WAITERS_MAX);
	list_init(&acc->nowhere_link);
}

static void close_idle(struct worker *w, struct pool *p, enum server_end why)
{
	while (!list_is_empty(&p->idle))
		server_close(w, list_entry(p->idle.next, struct server, pool_link), why);
}

/* The others that are as old are not worth another wait each. */
void dispatch_check_timed_out(struct worker *w, struct server *s)
{
	struct pool *p = s->pool;
	struct list *it;

	server_close(w, s, SERVER_END_TIMEOUT);
	while ((it = p->idle.prev) != &p->idle &&
		server_needs_check(w, list_entry(it, struct server, pool_link)))
		server_close(w, list_entry(it, struct server, pool_link), SERVER_END_TIMEOUT);
	dispatch_probe(w, p->node);
}

void dispatch_pool_retire(struct worker *w, struct pool *p)
{
	struct waiter *x;

	p->index = POOL_RETIRED; /* servers in use are closed at release */
	close_idle(w, p, SERVER_END_OUTDATED);
	while ((x = waitq_first(&p->line)) != NULL)
		choose_anew(w, client_of(x));
	while ((x = waitq_first(&p->pin_line)) != NULL)
		choose_anew(w, client_of(x));
	/* The struct stays as long as a server refers to it; it is small, and nodes leave rarely.
	 */
}

void dispatch_account_gone(struct worker *w, struct account *acc)
{
	struct list *it, *tmp;

	for (uint32_t i = 0; i < acc->n_pools; i++)
		close_idle(w, acc->pools[i], SERVER_END_OUTDATED);
	list_foreach_safe (it, tmp, &w->clients) {
		struct client *c = list_entry(it, struct client, link);

		if (c->acc == acc)
			client_shutdown(w, c);
	}
}

void dispatch_account_changed(struct worker *w, struct account *acc)
{
	struct list *it, *tmp;

	for (uint32_t i = 0; i < acc->n_pools; i++) {
		struct pool *p = acc->pools[i];

		list_foreach_safe (it, tmp, &p->idle) {
			struct server *s = list_entry(it, struct server, pool_link);

			if (acc->db->paused || s->reconnect_no < acc->db->reconnect_no)
				server_close(w, s, SERVER_END_OUTDATED);
		}
		if (acc->db->paused)
			recheck_waiters(w, &p->line, NULL);
	}
	if (!acc->db->paused)
		recheck_waiters(w, &acc->nowhere, NULL);
}

void dispatch_account_moved(struct worker *w, struct account *acc)
{
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		acc->pools[i]->retry_at_us = 0; /* what was refused may be right now */
		close_idle(w, acc->pools[i], SERVER_END_OUTDATED);
	}
}

static bool over_limit(struct worker *w, struct client *c, const char *setting)
{
	char hint[64];
	struct report r = report_of("FATAL", SQLSTATE_TOO_MANY_CONNECTIONS, setting);

	snprintf(hint, sizeof hint, "Raise %s.", setting);
	r.hint = hint;
	client_fatal(w, c, &r, CLIENT_END_LIMIT);
	return false;
}

bool account_client_enters(struct worker *w, struct client *c)
{
	struct account *acc = c->acc;
	struct budget_want want[2] = {
		{.b = &acc->share_db->clients}, {.b = &acc->share_user->clients}};
	uint64_t wake = 0;
	int full = budget_try_acquire(want, 2, &wake);

	if (full >= 0) {
		c->acc = NULL;
		return over_limit(w, c,
			full == 0 ? "max_db_client_connections" : "max_user_client_connections");
	}
	acc->n_clients++;
	acc->db->n_clients++;
	return true;
}

void account_client_left(struct worker *w, struct client *c)
{
	uint64_t wake = 0;

	(void)w;
	budget_release(&c->acc->share_db->clients, &wake);
	budget_release(&c->acc->share_user->clients, &wake);
	c->acc->n_clients--;
	c->db->n_clients--;
}
