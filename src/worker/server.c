#include "worker/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "net/tls.h"
#include "proto/frontend.h"
#include "worker/activity.h"
#include "worker/ask.h"
#include "worker/cancel_conn.h"
#include "worker/client.h"
#include "worker/dispatch.h"
#include "worker/entry.h"
#include "worker/forward.h"
#include "worker/handover.h"
#include "worker/loss.h"
#include "worker/notify.h"
#include "worker/places.h"
#include "worker/queries.h"
#include "worker/relay.h"
#include "worker/server_clean.h"
#include "worker/takeover.h"
#include "worker/upkeep.h"

#define CHECK_HOLDS_US 1000000u /* so long a check counts with server_check_delay = 0 */

static const char *const server_end_words[] = {
	[SERVER_END_IDLE_TIMEOUT] = "server idle timeout",
	[SERVER_END_LIFETIME] = "server lifetime over",
	[SERVER_END_CONNECT] = "connect failed",
	[SERVER_END_LOGIN] = "login failed",
	[SERVER_END_PLAIN] = "refused without tls, trying with tls",
	[SERVER_END_ROLE] = "wrong role or timeline",
	[SERVER_END_LOST] = "server conn crashed?",
	[SERVER_END_SHUTDOWN] = "server shut it down",
	[SERVER_END_PROTOCOL] = "out of step with the protocol",
	[SERVER_END_CLIENT] = "left by its client in the middle",
	[SERVER_END_TIMEOUT] = "timeout",
	[SERVER_END_CHECK] = "server_check_query failed",
	[SERVER_END_OUTDATED] = "outdated",
	[SERVER_END_BUDGET] = "place needed by another pool",
	[SERVER_END_CUSTOM] = "custom parameters that its next client has not",
	[SERVER_END_PIN] = "session state that cannot be undone",
	[SERVER_END_CLEAN] = "cleaning failed",
	[SERVER_END_MEMORY] = "out of memory",
	[SERVER_END_STOP] = "shutdown",
};

static const uint8_t next_state[SERVER_STATE_COUNT][SERVER_EVENT_COUNT] = {
	[SERVER_CONNECTING] = {[SERVER_CONNECTED] = SERVER_LOGIN, [SERVER_LOST] = SERVER_CLOSED},
	[SERVER_LOGIN] = {[SERVER_LOGGED_IN] = SERVER_SETUP, [SERVER_LOST] = SERVER_CLOSED},
	[SERVER_SETUP] = {[SERVER_READY] = SERVER_IDLE, [SERVER_LOST] = SERVER_CLOSED},
	[SERVER_IDLE] = {[SERVER_LINKED] = SERVER_ACTIVE,
		[SERVER_DOUBTED] = SERVER_CHECK,
		[SERVER_HANDED_OVER] = SERVER_MOVING,
		[SERVER_LOST] = SERVER_CLOSED},
	[SERVER_CHECK] = {[SERVER_READY] = SERVER_IDLE, [SERVER_LOST] = SERVER_CLOSED},
	[SERVER_ACTIVE] = {[SERVER_RELEASED] = SERVER_IDLE,
		[SERVER_LEFT] = SERVER_RESET,
		[SERVER_CANCEL_PENDING] = SERVER_CANCELED,
		[SERVER_LOST] = SERVER_CLOSED},
	[SERVER_RESET] = {[SERVER_READY] = SERVER_IDLE,
		[SERVER_LEFT] = SERVER_RESET,
		[SERVER_CANCEL_PENDING] = SERVER_CANCELED,
		[SERVER_LOST] = SERVER_CLOSED},
	[SERVER_CANCELED] = {[SERVER_READY] = SERVER_IDLE,
		[SERVER_LEFT] = SERVER_RESET,
		[SERVER_LOST] = SERVER_CLOSED},
	[SERVER_MOVING] = {[SERVER_ARRIVED] = SERVER_IDLE, [SERVER_LOST] = SERVER_CLOSED},
};

/* The pool's list and counter for a state. */
static struct list *state_list(struct pool *p, enum server_state st, uint32_t **count)
{
	switch (st) {
	case SERVER_CONNECTING:
	case SERVER_LOGIN:
	case SERVER_SETUP:
		*count = &p->n_login;
		return &p->logins;
	case SERVER_IDLE:
		*count = &p->n_idle;
		return &p->idle;
	case SERVER_CHECK:
		*count = &p->n_check;
		return &p->checks;
	case SERVER_ACTIVE:
	case SERVER_RESET:
	case SERVER_CANCELED:
		*count = &p->n_active;
		return &p->active;
	case SERVER_MOVING:
	case SERVER_CLOSED:
	case SERVER_BAD:
	case SERVER_STATE_COUNT:
		break;
	}
	*count = NULL;
	return NULL;
}

static void pool_publish_servers(struct worker *w, struct pool *p)
{
	share_publish_servers(
		p->share, w->index, p->n_login + p->n_idle + p->n_check + p->n_active);
}

static void pool_server_moved(struct pool *p, struct server *s, enum server_state to)
{
	bool was;
	uint32_t *count;
	struct list *l = state_list(p, s->state, &count);

	if (l != NULL) {
		list_del(&s->pool_link);
		--*count;
	}
	was = l != NULL;
	l = state_list(p, to, &count);
	if (l != NULL) {
		if (l == &p->idle && s->w->conf->server_round_robin)
			list_push_back(l, &s->pool_link);
		else
			list_push_front(l, &s->pool_link); /* the last used is taken first */
		++*count;
	}
	if (was != (l != NULL))
		pool_publish_servers(s->w, p);
}

void server_transition(struct worker *w, struct server *s, enum server_event ev)
{
	enum server_state to = next_state[s->state][ev];

	PANIC_IF(to == SERVER_BAD);
	pool_server_moved(s->pool, s, to);
	if (s->state == SERVER_ACTIVE)
		s->pool->busy_us += w->now_us - s->state_since_us;
	s->pool->given += to == SERVER_ACTIVE;
	if (s->state == SERVER_IDLE || to == SERVER_IDLE)
		places_idle_changed(w, s->pool,
			(s->state == SERVER_IDLE ? -1 : 0) + (to == SERVER_IDLE ? 1 : 0));
	s->state = to;
	s->state_since_us = w->now_us;
}

bool server_is_quiet(const struct server *s)
{
	return owed_is_empty(&s->owed) && s->body_left == 0 && !s->in_message &&
	       !s->owed.skipping && !s->owed.in_copy;
}

void server_set_settings(struct worker *w, struct server *s, struct settings *set)
{
	struct settings *old = s->settings;

	if (old == set)
		return;
	s->settings = settings_ref(set);
	settings_unref(w->settings, old);
}

void server_keep_error(struct server *s, const char *sqlstate, const char *message)
{
	text_copy(s->fatal_sqlstate, sizeof s->fatal_sqlstate, sqlstate);
	text_copy(s->fatal_message, sizeof s->fatal_message, message);
}

/* --- timers --- */

static uint64_t after(uint64_t since_us, uint64_t timeout_us)
{
	return timeout_us != 0 ? since_us + timeout_us : UINT64_MAX;
}

static uint64_t server_deadline_us(struct worker *w, const struct server *s)
{
	const struct account *acc = s->pool->acc;
	uint64_t d, e;

	switch (s->state) {
	case SERVER_CONNECTING:
	case SERVER_LOGIN:
	case SERVER_SETUP:
		return after(s->opened_us, w->conf->server_connect_timeout_us);
	case SERVER_IDLE:
		d = after(s->kept_us > s->used_us ? s->kept_us : s->used_us,
			w->conf->server_idle_timeout_us);
		e = after(s->opened_us, acc->server_lifetime_us);
		return d < e ? d : e;
	case SERVER_CHECK:
		return after(s->state_since_us, w->conf->node_timeout_us);
	case SERVER_ACTIVE:
		if (s->client != NULL && !s->replication && !server_is_quiet(s))
			return after(s->unit_begun_us, acc->query_timeout_us);
		return UINT64_MAX;
	case SERVER_RESET:
	case SERVER_CANCELED:
		return after(s->state_since_us, w->conf->server_cancel_timeout_us);
	case SERVER_MOVING:
	case SERVER_CLOSED:
	case SERVER_BAD:
	case SERVER_STATE_COUNT:
		break;
	}
	return UINT64_MAX;
}

void server_watch(struct worker *w, struct server *s)
{
	uint64_t d = server_deadline_us(w, s);

	if (d != UINT64_MAX && (!wheel_is_armed(&s->timer) || s->timer.deadline_us > d))
		wheel_add(&w->wheel, &s->timer, d);
}

static void query_timed_out(struct worker *w, struct server *s)
{
	struct report r = report_of(
		"FATAL", SQLSTATE_QUERY_CANCELED, "canceling statement due to query_timeout");

	r.hint = "The statement took longer than query_timeout.";
	s->pool->acc->db->stats.timeouts++;
	client_fatal(w, s->client, &r, CLIENT_END_TIMEOUT);
}

static void server_timed_out(struct worker *w, struct server *s)
{
	switch (s->state) {
	case SERVER_CONNECTING:
	case SERVER_LOGIN:
	case SERVER_SETUP:
		server_login_timed_out(w, s);
		break;
	case SERVER_IDLE:
		if (w->now_us >= after(s->opened_us, s->pool->acc->server_lifetime_us))
			server_close(w, s, SERVER_END_LIFETIME);
		else if (places_may_shrink(w, s->pool))
			server_close(w, s, SERVER_END_IDLE_TIMEOUT);
		else
			s->kept_us = w->now_us;
		break;
	case SERVER_CHECK:
		upkeep_check_timed_out(w, s);
		break;
	case SERVER_ACTIVE:
		query_timed_out(w, s);
		break;
	case SERVER_RESET:
	case SERVER_CANCELED:
		server_close(w, s, SERVER_END_TIMEOUT);
		break;
	case SERVER_MOVING:
	case SERVER_CLOSED:
	case SERVER_BAD:
	case SERVER_STATE_COUNT:
		break;
	}
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct worker *w = ctx;
	struct server *s = list_entry(t, struct server, timer);

	if (w->now_us >= server_deadline_us(w, s))
		server_timed_out(w, s);
	if (s->state != SERVER_CLOSED)
		server_watch(w, s);
}

/* --- callbacks of the conn --- */

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
	struct server *s = arg;

	switch (s->state) {
	case SERVER_CONNECTING:
	case SERVER_LOGIN:
	case SERVER_SETUP:
		return server_login_on_data(s->w, s, data, len);
	case SERVER_IDLE:
	case SERVER_CHECK:
	case SERVER_ACTIVE:
	case SERVER_RESET:
	case SERVER_CANCELED:
		if (!s->w->suspended)
			return relay_server_data(s->w, s, data, len);
		conn_rx_pause(s->conn);
		return 0;
	case SERVER_MOVING:
	case SERVER_CLOSED:
	case SERVER_BAD:
	case SERVER_STATE_COUNT:
		break;
	}
	return len;
}

static void on_drained(void *arg)
{
	struct server *s = arg;

	if (s->client != NULL)
		relay_server_drained(s->w, s);
}

static void on_ready(void *arg)
{
	struct server *s = arg;

	server_login_on_ready(s->w, s);
}

static void on_end(void *arg, enum conn_end why)
{
	struct server *s = arg;

	if (s->login != NULL) {
		server_login_on_end(s->w, s, why);
		return;
	}
	server_close(s->w, s, why == CONN_END_LIMIT ? SERVER_END_MEMORY : SERVER_END_LOST);
}

const struct conn_ops server_ops = {
	.on_data = on_data,
	.on_drained = on_drained,
	.on_ready = on_ready,
	.on_hangup = NULL, /* what is unread is read first; then on_end comes */
	.on_end = on_end,
};

/* --- life --- */

struct server *server_new(struct worker *w, struct pool *p)
{
	struct server *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->w = w;
	s->pool = p;
	s->id = atomic_fetch_add(&w->sh->next_id, 1);
	s->reconnect_no = atomic_load(&w->sh->reconnect_no);
	s->login_hash = p->acc->login_hash;
	s->state = SERVER_CONNECTING;
	s->opened_us = w->now_us;
	list_init(&s->link);
	list_init(&s->pool_link);
	list_init(&s->barrier_link);
	s->used_us = w->now_us;
	s->state_since_us = w->now_us;
	s->txn_status = 'I';
	s->settings = settings_empty(w->settings);
	s->names = settings_empty(w->settings);
	s->made = settings_empty(w->settings);
	owed_init(&s->owed);
	s->owed.completed = queries_completed;
	s->owed.arg = s;
	server_init_timer(s);
	stmt_lru_init(&s->stmts, w->stmts,
		w->conf->max_prepared_statements != 0 ? w->conf->max_prepared_statements : 1);
	stmt_names_init(&s->real, w->stmts, 2 * CLIENT_STATEMENTS_MAX);
	return s;
}

/* Replicas may have defaults of their own: one must not keep reads from the others. */
void server_tell_isolation(const struct server *s)
{
	struct account *acc = s->pool->acc;

	if (s->in_recovery) {
		acc->serializable |= s->serializable && !acc->isolation_told;
		return;
	}
	acc->isolation_told = true;
	acc->plain_isolation = s->plain_isolation;
	acc->serializable = s->serializable;
}

void server_arrived(struct worker *w, struct server *s)
{
	server_tell_isolation(s);
	s->state = SERVER_MOVING;
	list_push_back(&w->servers, &s->link);
	w->n_servers++;
	server_transition(w, s, SERVER_ARRIVED);
	server_check_address(w, s);
	dispatch_server_free(w, s);
}

enum status server_open(struct worker *w, struct pool *p, struct client *only_for)
{
	struct server *s = server_new(w, p);

	if (s == NULL) {
		if (w->takeover != NULL)
			takeover_place_gone(w, p->share);
		places_server_gone(w, p, true);
		return E_NOMEM;
	}
	s->login_counted = true;
	s->is_told = w->takeover != NULL; /* it was granted */
	if (only_for != NULL) {
		s->wanted_by = only_for;
		only_for->busy->wanted = s;
		s->replication = only_for->replication;
	}
	list_push_back(&w->servers, &s->link);
	list_push_front(&p->logins, &s->pool_link);
	p->n_login++;
	pool_publish_servers(w, p);
	w->n_servers++;
	server_login_begin(w, s);
	return OK;
}

void server_init_timer(struct server *s)
{
	wheel_timer_init(&s->timer, on_timer);
}

void server_login_uncount(struct worker *w, struct server *s)
{
	if (!s->login_counted)
		return;
	s->login_counted = false;
	places_login_ended(w, s->pool);
}

static void server_log_end(struct worker *w, const struct server *s, enum server_end why)
{
	bool was_new = s->state == SERVER_CONNECTING || s->state == SERVER_LOGIN ||
		       s->state == SERVER_SETUP;

	if ((was_new && why != SERVER_END_PLAIN) || why == SERVER_END_PROTOCOL ||
		why == SERVER_END_LOST)
		log_warn(w->log, "server closed",
			"server=%lu node=%s db=%s user=%s reason=\"%s\" state=%s",
			(unsigned long)s->id, worker_node_name(w, s->pool->node),
			LOG_Q(s->pool->acc->db->name), LOG_Q(s->pool->acc->user),
			server_end_words[why], server_state_word(s->state));
	else
		log_info(w->log, "server closed", "server=%lu node=%s db=%s user=%s reason=\"%s\"",
			(unsigned long)s->id, worker_node_name(w, s->pool->node),
			LOG_Q(s->pool->acc->db->name), LOG_Q(s->pool->acc->user),
			server_end_words[why]);
}

static void put_terminate(struct server *s)
{
	uint8_t buf[8];
	struct wr out = wr_of(buf, sizeof buf);

	frontend_put_terminate(&out);
	conn_put_copy(s->conn, buf, out.len);
}

void server_close(struct worker *w, struct server *s, enum server_end why)
{
	struct pool *p = s->pool;
	struct client *c = s->client, *wanted_by = s->wanted_by;
	bool polite;

	if (s->state == SERVER_CLOSED)
		return;
	server_log_end(w, s, why);
	server_login_uncount(w, s);
	if (s->state == SERVER_MOVING)
		handover_server_closed(w, s);
	polite = s->state != SERVER_CONNECTING && !s->in_message && why != SERVER_END_LOST;
	server_transition(w, s, SERVER_LOST);
	s->client = NULL;
	s->wanted_by = NULL;
	p->outstanding -= p->outstanding < s->owed.n_client ? p->outstanding : s->owed.n_client;
	cancel_conn_server_gone(w, s);
	notify_server_gone(w, s);
	wheel_del(&w->wheel, &s->timer);
	if (s->conn != NULL) {
		if (polite)
			put_terminate(s);
		conn_free_flushed(s->conn, 0);
		s->conn = NULL;
	}
	w->n_servers--;
	list_del(&s->link);
	list_push_back(&w->dead_servers, &s->link);
	if (c != NULL)
		loss_of_server(w, c, s, why);
	if (wanted_by != NULL)
		dispatch_wanted_lost(w, wanted_by, s);
	if (s->is_told)
		takeover_place_gone(w, p->share);
	places_server_gone(w, p, false);
}

void server_free(struct worker *w, struct server *s)
{
	while (!owed_is_empty(&s->owed))
		entry_lost(w, s, owed_pop(&s->owed));
	owed_fini(&s->owed);
	stmt_lru_fini(&s->stmts);
	stmt_names_fini(&s->real);
	free(s->kept);
	settings_unref(w->settings, s->settings);
	settings_unref(w->settings, s->names);
	settings_unref(w->settings, s->made);
	server_login_free(s->login);
	free(s);
}

/* --- release --- */

/* The replica that it is connected to has restarted since, or given its address to another. */
static bool server_is_of_the_past(struct worker *w, const struct server *s)
{
	const struct topo_node *n;

	if (!s->in_recovery || s->node_start_us == 0 || !s->pool->acc->db->conf->routing)
		return false;
	n = topology_node(w->topology, (uint16_t)s->pool->node);
	return n != NULL &&
	       (n->postmaster_start_us != s->node_start_us || n->system_id != s->node_system_id);
}

void server_check_address(struct worker *w, struct server *s)
{
	const struct node_addr *a = w->addrs != NULL ? &w->addrs->node[s->pool->node] : NULL;

	if (a == NULL || a->n == 0 || s->addr_len == 0)
		return;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->addr_len[i] == s->addr_len &&
			memcmp(&a->addr[i], &s->addr, s->addr_len) == 0)
			return;
	s->close_needed = true;
}

/* As PgBouncer's close_needed: not that it is merely old. */
static bool server_is_replaced(struct worker *w, const struct server *s)
{
	const struct pool *p = s->pool;

	return s->close_needed || p->index == POOL_RETIRED || p->acc->db->conf == NULL ||
	       s->reconnect_no < p->acc->db->reconnect_no || s->login_hash != p->acc->login_hash ||
	       server_is_of_the_past(w, s);
}

static const char temp_buffers[] = "temp_buffers";

void server_note_setting(struct worker *w, const char *name)
{
	if (strcmp(name, temp_buffers) == 0)
		atomic_store_explicit(&w->sh->temp_buffers, true, memory_order_relaxed);
}

void server_note_settings(struct worker *w, const struct settings *set)
{
	if (settings_has_refusable(set) && settings_get(set, temp_buffers) != NULL)
		server_note_setting(w, temp_buffers);
}

bool server_is_outdated(struct worker *w, const struct server *s)
{
	const struct pool *p = s->pool;

	return server_is_replaced(w, s) ||
	       (s->had_temp && atomic_load_explicit(&w->sh->temp_buffers, memory_order_relaxed)) ||
	       (p->acc->server_lifetime_us == 0 && s->units != 0) ||
	       (p->acc->server_lifetime_us != 0 &&
		       w->now_us - s->opened_us >= p->acc->server_lifetime_us);
}

bool server_fast_close(struct worker *w, struct server *s)
{
	struct client *c = s->client;
	struct report r = report_of("FATAL", SQLSTATE_ADMIN_SHUTDOWN,
		"terminating connection because its server connection is replaced");

	if (!w->conf->server_fast_close || c == NULL || c->state != CLIENT_ACTIVE ||
		c->busy->streaming || (c->busy->seq_kept && !pins_hold_state(&c->busy->pins)) ||
		c->busy->body_left != 0 || s->txn_status != 'I' || !server_is_quiet(s) ||
		!server_is_replaced(w, s))
		return false;
	r.hint = "Connect again; see server_fast_close.";
	client_fatal(w, c, &r, CLIENT_END_SERVER);
	return true;
}

void server_release(struct worker *w, struct server *s)
{
	PANIC_IF(s->client != NULL);
	if (s->replication || !server_is_quiet(s) || s->txn_status != 'I') {
		server_close(w, s, SERVER_END_CLIENT);
		return;
	}
	s->used_us = w->now_us;
	if (server_is_outdated(w, s)) {
		server_close(w, s, SERVER_END_OUTDATED);
	} else if (share_pool_gives_back(s->pool->share)) {
		server_close(w, s, SERVER_END_BUDGET);
	} else if (server_is_held(s)) { /* it may hit whatever comes next */
		server_transition(w, s, SERVER_CANCEL_PENDING);
		server_watch(w, s);
	} else if (!server_clean_next(w, s)) {
		server_transition(w, s, s->state == SERVER_ACTIVE ? SERVER_RELEASED : SERVER_READY);
		dispatch_server_free(w, s);
	}
}

/* --- does it still answer? --- */

bool server_needs_check(struct worker *w, const struct server *s)
{
	uint64_t delay_us = w->conf->server_check_delay_us, since_us = s->used_us;

	if (w->conf->server_check_query[0] == '\0')
		return false;
	if (s->checked_us > s->used_us) { /* else a delay of 0 would ask for ever */
		since_us = s->checked_us;
		delay_us = delay_us > CHECK_HOLDS_US ? delay_us : CHECK_HOLDS_US;
	}
	return w->now_us >= since_us && w->now_us - since_us >= delay_us;
}

void server_check(struct worker *w, struct server *s)
{
	const char *sql = w->conf->server_check_query;

	server_transition(w, s, SERVER_DOUBTED);
	if (forward_hidden(s, strcmp(sql, "<empty>") == 0 ? "" : sql, OWED_TAG_CHECK) != OK) {
		server_close(w, s, SERVER_END_MEMORY);
		return;
	}
	conn_flush(s->conn);
	server_watch(w, s);
}

void server_was_checked(struct worker *w, struct server *s, bool failed)
{
	s->checked_us = w->now_us;
	if (failed || s->txn_status != 'I') {
		server_close(w, s, SERVER_END_CHECK);
	} else if (server_is_outdated(w, s)) {
		server_close(w, s, SERVER_END_OUTDATED);
	} else {
		server_transition(w, s, SERVER_READY);
		dispatch_server_free(w, s);
	}
}

/* --- SHOW SERVERS --- */

const char *server_state_word(enum server_state st)
{
	static const char *const words[SERVER_STATE_COUNT] = {
		[SERVER_CONNECTING] = "new",
		[SERVER_LOGIN] = "new",
		[SERVER_SETUP] = "new",
		[SERVER_IDLE] = "idle",
		[SERVER_CHECK] = "tested",
		[SERVER_ACTIVE] = "active",
		[SERVER_RESET] = "tested",
		[SERVER_CANCELED] = "being_canceled",
		[SERVER_MOVING] = "active",
	};

	return words[st] != NULL ? words[st] : "closed";
}

static uint8_t show_state(struct worker *w, const struct server *s)
{
	switch (s->state) {
	case SERVER_IDLE:
		return server_needs_check(w, s) ? SHOW_SV_USED : SHOW_SV_IDLE;
	case SERVER_ACTIVE:
		return s->cancel != NULL ? SHOW_SV_ACTIVE_CANCEL : SHOW_SV_ACTIVE;
	case SERVER_MOVING:
		return SHOW_SV_ACTIVE;
	case SERVER_CHECK:
	case SERVER_RESET:
		return SHOW_SV_TESTED;
	case SERVER_CANCELED:
		return SHOW_SV_BEING_CANCELED;
	case SERVER_CONNECTING:
	case SERVER_LOGIN:
	case SERVER_SETUP:
	case SERVER_CLOSED:
	case SERVER_BAD:
	case SERVER_STATE_COUNT:
		break;
	}
	return SHOW_SV_NEW;
}

void server_show(struct worker *w, const struct server *s, struct show_socket_row *row)
{
	const char *app = settings_get(s->settings, "application_name");
	struct tls *tls = s->conn != NULL ? conn_tls(s->conn) : NULL;

	*row = (struct show_socket_row){
		.id = s->id,
		.type = 'S',
		.state = show_state(w, s),
		.close_needed = server_is_outdated(w, s),
		.replication = s->replication,
		.connect_wall_us = worker_wall_us(w, s->opened_us),
		.request_wall_us = worker_wall_us(w, s->unit_begun_us),
		.ptr = s->id,
		.link = s->client != NULL ? s->client->id : 0,
		.remote_pid = s->backend_pid,
		.prepared_statements = s->stmts.n,
		.node = (int32_t)s->pool->node,
		.worker = w->index,
		.pins = s->client != NULL ? s->client->busy->pins.causes : 0,
		.statement = s->client != NULL ? activity_fingerprint(s->client) : 0,
		.bytes_kept = sizeof *s + (s->conn != NULL ? conn_memory(s->conn) : 0),
		.fd = s->conn != NULL ? conn_fd(s->conn) : -1,
	};
	text_copy(row->database, sizeof row->database, s->pool->acc->db->name);
	text_copy(row->user, sizeof row->user, s->pool->acc->user);
	if (app != NULL)
		text_copy(row->application_name, sizeof row->application_name, app);
	if (s->conn != NULL) {
		conn_remote(s->conn, row->addr, sizeof row->addr, &row->port);
		conn_local(s->conn, row->local_addr, sizeof row->local_addr, &row->local_port);
	}
	if (tls != NULL)
		tls_describe(tls, row->tls, sizeof row->tls);
}
