#include "worker/client.h"
#include "route/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/door.h"
#include "base/text.h"
#include "conf/effective.h"
#include "net/tls.h"
#include "proto/reply.h"
#include "sql/encoding.h"
#include "sql/lexer.h"
#include "worker/account.h"
#include "worker/activity.h"
#include "worker/admit.h"
#include "worker/ask.h"
#include "worker/confirm.h"
#include "worker/dispatch.h"
#include "worker/external.h"
#include "worker/handover.h"
#include "worker/link.h"
#include "worker/login.h"
#include "worker/loss.h"
#include "worker/notify.h"
#include "worker/pinning.h"
#include "worker/prove.h"
#include "worker/relay.h"
#include "worker/server.h"
#include "worker/signals.h"
#include "worker/unit.h"

static const char *const client_end_words[] = {
	[CLIENT_END_TERMINATE] = "client close request",
	[CLIENT_END_EOF] = "client unexpected eof",
	[CLIENT_END_RESET] = "client connection reset",
	[CLIENT_END_TLS] = "tls error",
	[CLIENT_END_PROTOCOL] = "protocol violation",
	[CLIENT_END_LOGIN] = "login refused",
	[CLIENT_END_TIMEOUT] = "timeout",
	[CLIENT_END_LIMIT] = "limit",
	[CLIENT_END_KILLED] = "killed by administrator",
	[CLIENT_END_SHUTDOWN] = "shutdown",
	[CLIENT_END_SERVER] = "server lost",
	[CLIENT_END_MEMORY] = "out of memory",
	[CLIENT_END_CANCEL] = "cancel request done",
	[CLIENT_END_CONSOLE] = "handed to the console",
};

static const uint8_t next_state[CLIENT_STATE_COUNT][CLIENT_EVENT_COUNT] = {
	[CLIENT_STARTUP] = {[CLIENT_GOT_TLS] = CLIENT_TLS,
		[CLIENT_CHALLENGED] = CLIENT_AUTH,
		[CLIENT_NEEDS_KEY] = CLIENT_DERIVE,
		[CLIENT_NEEDS_SECRET] = CLIENT_LOOKUP,
		[CLIENT_NEEDS_DELAY] = CLIENT_REFUSED,
		[CLIENT_PROVED] = CLIENT_WELCOME,
		[CLIENT_IS_CANCEL] = CLIENT_CANCEL,
		[CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_TLS] = {[CLIENT_TLS_DONE] = CLIENT_STARTUP, [CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_AUTH] = {[CLIENT_CHALLENGED] = CLIENT_AUTH,
		[CLIENT_NEEDS_KEY] = CLIENT_DERIVE,
		[CLIENT_NEEDS_SECRET] = CLIENT_LOOKUP,
		[CLIENT_NEEDS_DELAY] = CLIENT_REFUSED,
		[CLIENT_PROVED] = CLIENT_WELCOME,
		[CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_DERIVE] = {[CLIENT_CHALLENGED] = CLIENT_AUTH,
		[CLIENT_NEEDS_SECRET] = CLIENT_LOOKUP,
		[CLIENT_NEEDS_DELAY] = CLIENT_REFUSED,
		[CLIENT_PROVED] = CLIENT_WELCOME,
		[CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_LOOKUP] = {[CLIENT_CHALLENGED] = CLIENT_AUTH,
		[CLIENT_NEEDS_DELAY] = CLIENT_REFUSED,
		[CLIENT_NEEDS_KEY] = CLIENT_DERIVE,
		[CLIENT_PROVED] = CLIENT_WELCOME,
		[CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_REFUSED] = {[CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_MOVING] = {[CLIENT_ARRIVED] = CLIENT_WELCOME, [CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_WELCOME] = {[CLIENT_HANDED_OVER] = CLIENT_MOVING,
		[CLIENT_GREETED] = CLIENT_IDLE,
		[CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_IDLE] = {[CLIENT_HANDED_OVER] = CLIENT_MOVING,
		[CLIENT_QUEUED] = CLIENT_WAITING,
		[CLIENT_LINKED] = CLIENT_ACTIVE,
		[CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_WAITING] = {[CLIENT_UNQUEUED] = CLIENT_IDLE,
		[CLIENT_LINKED] = CLIENT_ACTIVE,
		[CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_ACTIVE] = {[CLIENT_UNLINKED] = CLIENT_IDLE, [CLIENT_GONE] = CLIENT_CLOSED},
	[CLIENT_CANCEL] = {[CLIENT_GONE] = CLIENT_CLOSED},
};

static bool is_logging_in(enum client_state st)
{
	return st >= CLIENT_STARTUP && st <= CLIENT_WELCOME;
}

static bool is_half_open(enum client_state st)
{
	return st >= CLIENT_STARTUP && st <= CLIENT_REFUSED;
}

/* Those that wait are counted by their lines; what is left of the account's clients logs in. */
static void count_state(struct client *c, enum client_state st, int by)
{
	struct account *acc = c->acc;

	if (acc != NULL && st == CLIENT_IDLE)
		acc->n_idle += (uint32_t)by;
	else if (acc != NULL && st == CLIENT_ACTIVE)
		acc->n_active += (uint32_t)by;
}

void client_transition(struct worker *w, struct client *c, enum client_event ev)
{
	enum client_state from = c->state, to = next_state[from][ev];

	PANIC_IF(to == CLIENT_BAD);
	if (is_logging_in(from) && !is_logging_in(to))
		w->n_clients_login--;
	if (is_half_open(from) && !is_half_open(to))
		door_leave(w->sh->door, c->door);
	count_state(c, from, -1);
	count_state(c, to, 1);
	c->state = to;
	c->state_since_us = w->now_us;
}

/* --- timers --- */

static uint64_t after(uint64_t since_us, uint64_t timeout_us)
{
	return timeout_us != 0 ? since_us + timeout_us : UINT64_MAX;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A time of the client's own settings (ms without a unit); 0: off or not set. */
static uint64_t setting_time_us(const struct client *c, const char *name)
{
	const char *v = settings_get(c->set.current, name);
	char *unit;
	double n;

	if (v == NULL)
		return 0;
	n = strtod(v, &unit);
	if (n <= 0)
		return 0;
	while (*unit == ' ')
		unit++;
	if (strcmp(unit, "us") == 0)
		return (uint64_t)n;
	if (strcmp(unit, "s") == 0)
		return (uint64_t)(n * 1e6);
	if (strcmp(unit, "min") == 0)
		return (uint64_t)(n * 60e6);
	if (strcmp(unit, "h") == 0)
		return (uint64_t)(n * 3600e6);
	if (strcmp(unit, "d") == 0)
		return (uint64_t)(n * 86400e6);
	return (uint64_t)(n * 1e3);
}

/* It has asked for nothing since. On a server: since that has answered. */
static uint64_t idle_since_us(const struct client *c)
{
	uint64_t us = c->state_since_us > c->request_us ? c->state_since_us : c->request_us;

	return c->server != NULL && c->server->unit_begun_us > us ? c->server->unit_begun_us : us;
}

/* When the client has been in its transaction, or idle in it, for too long. */
static uint64_t txn_deadline_us(const struct client *c, bool is_idle)
{
	uint64_t d = after(c->busy->txn_begun_us, c->acc->transaction_timeout_us);

	if (!is_idle)
		return d;
	d = min_u64(d, after(idle_since_us(c), c->acc->idle_transaction_timeout_us));
	if (c->server == NULL) /* else PostgreSQL itself watches */
		d = min_u64(d, after(c->state_since_us,
				       setting_time_us(c, "idle_in_transaction_session_timeout")));
	return d;
}

static bool is_quiet(const struct client *c)
{
	return c->server == NULL || server_is_quiet(c->server);
}

/* It is idle on its server. */
static uint64_t pin_deadline_us(struct worker *w, const struct client *c)
{
	uint64_t d = c->busy->seq_kept ? idle_since_us(c) + PINNING_SEQUENCE_KEEP_US : UINT64_MAX;

	if (c->acc->mode == POOL_MODE_SESSION || c->replication ||
		(c->busy->seq_kept && !pins_hold_state(&c->busy->pins)) ||
		!pins_any(&c->busy->pins))
		return d;
	return min_u64(d, after(idle_since_us(c), w->conf->pin_idle_timeout_us));
}

static uint64_t client_deadline_us(struct worker *w, const struct client *c)
{
	switch (c->state) {
	case CLIENT_STARTUP:
	case CLIENT_TLS:
	case CLIENT_AUTH:
	case CLIENT_DERIVE:
	case CLIENT_LOOKUP:
	case CLIENT_MOVING:
	case CLIENT_WELCOME:
		return after(c->connected_us, w->conf->client_login_timeout_us);
	case CLIENT_REFUSED:
		return c->state_since_us + w->conf->login_failure_delay_us;
	case CLIENT_IDLE:
		if (c->txn != TXN_NONE)
			return txn_deadline_us(c, true);
		return after(c->state_since_us, c->acc->client_idle_timeout_us);
	case CLIENT_ACTIVE:
		if (c->txn != TXN_NONE)
			return txn_deadline_us(c, is_quiet(c));
		if (is_quiet(c))
			return min_u64(after(idle_since_us(c), c->acc->client_idle_timeout_us),
				pin_deadline_us(w, c));
		return UINT64_MAX;
	case CLIENT_CANCEL:
		return after(c->connected_us, w->conf->cancel_wait_timeout_us);
	case CLIENT_WAITING: /* the line's timer */
	case CLIENT_CLOSED:
	case CLIENT_BAD:
	case CLIENT_STATE_COUNT:
		break;
	}
	return UINT64_MAX;
}

void client_watch(struct worker *w, struct client *c)
{
	uint64_t d = client_deadline_us(w, c);

	if (d != UINT64_MAX && (!wheel_is_armed(&c->timer) || c->timer.deadline_us > d))
		wheel_add(&w->wheel, &c->timer, d);
}

static void pin_timed_out(struct worker *w, struct client *c)
{
	char message[PIN_TEXT_MAX + 128];
	struct report r = report_of("FATAL", SQLSTATE_IDLE_SESSION_TIMEOUT, message);
	const struct pins *p = &c->busy->pins;

	snprintf(message, sizeof message,
		"terminating connection that was idle and kept its server for itself: %s%s%s%s",
		pin_cause_name((enum pin_cause)p->first), p->text[0] != '\0' ? " (" : "", p->text,
		p->text[0] != '\0' ? ")" : "");
	r.hint = "See pin_idle_timeout, and SHOW PINS on the console.";
	client_fatal(w, c, &r, CLIENT_END_TIMEOUT);
}

static void client_timed_out(struct worker *w, struct client *c)
{
	struct report r = report_of("FATAL", SQLSTATE_IDLE_SESSION_TIMEOUT, "client_idle_timeout");

	if (c->db != NULL)
		c->db->stats.timeouts++;
	if (c->state == CLIENT_CANCEL) {
		client_close(w, c, CLIENT_END_TIMEOUT);
		return;
	}
	if (c->state == CLIENT_REFUSED) {
		prove_refuse(w, c);
		return;
	}
	if (is_logging_in(c->state)) {
		r = report_of(
			"FATAL", SQLSTATE_SQLSERVER_REJECTED_CONNECTION, "client_login_timeout");
		r.hint = "The login took longer than client_login_timeout.";
	} else if (c->txn != TXN_NONE &&
		   w->now_us >= after(c->busy->txn_begun_us, c->acc->transaction_timeout_us)) {
		r = report_of("FATAL", SQLSTATE_TRANSACTION_TIMEOUT,
			"terminating connection due to transaction timeout");
		r.hint = "The transaction took longer than transaction_timeout.";
	} else if (c->txn != TXN_NONE) {
		r = report_of("FATAL", SQLSTATE_IDLE_IN_TRANSACTION_TIMEOUT,
			"terminating connection due to idle-in-transaction timeout");
		r.hint = "See idle_transaction_timeout and idle_in_transaction_session_timeout.";
	} else if (c->state == CLIENT_ACTIVE && pins_any(&c->busy->pins) &&
		   w->now_us >= pin_deadline_us(w, c)) {
		pin_timed_out(w, c);
		return;
	} else {
		r.message = "terminating connection due to idle-session timeout";
		r.hint = "The client was idle for longer than client_idle_timeout.";
	}
	client_fatal(w, c, &r, CLIENT_END_TIMEOUT);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct worker *w = ctx;
	struct client *c = list_entry(t, struct client, timer);

	if (c->busy->seq_kept && is_quiet(c) &&
		w->now_us >= idle_since_us(c) + PINNING_SEQUENCE_KEEP_US)
		link_let_go(w, c);
	if (w->now_us >= client_deadline_us(w, c))
		client_timed_out(w, c);
	else
		client_watch(w, c);
}

/* --- callbacks of the conn --- */

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
	struct client *c = arg;
	struct worker *w = c->w;

	switch (c->state) {
	case CLIENT_STARTUP:
	case CLIENT_AUTH:
		return login_on_data(w, c, data, len);
	case CLIENT_IDLE:
	case CLIENT_ACTIVE:
		if (!w->suspended)
			return unit_on_data(w, c, data, len);
		conn_rx_pause(c->conn);
		return 0;
	case CLIENT_TLS:
	case CLIENT_DERIVE:
	case CLIENT_LOOKUP:
	case CLIENT_REFUSED:
	case CLIENT_MOVING:
	case CLIENT_WELCOME:
	case CLIENT_WAITING:
		conn_rx_pause(c->conn);
		return 0;
	case CLIENT_CANCEL: /* nothing more is expected, nothing is answered */
	case CLIENT_CLOSED:
	case CLIENT_BAD:
	case CLIENT_STATE_COUNT:
		break;
	}
	return len;
}

static void on_drained(void *arg)
{
	struct client *c = arg;

	if (c->server != NULL)
		relay_client_drained(c->w, c);
}

static void on_ready(void *arg)
{
	struct client *c = arg;

	if (c->state == CLIENT_TLS)
		login_on_tls_ready(c->w, c);
}

static void on_hangup(void *arg)
{
	struct client *c = arg;

	client_close(c->w, c, CLIENT_END_EOF);
}

static void on_end(void *arg, enum conn_end why)
{
	struct client *c = arg;
	enum client_end end = CLIENT_END_RESET;

	switch (why) {
	case CONN_END_EOF:
		end = CLIENT_END_EOF;
		break;
	case CONN_END_TLS:
		end = CLIENT_END_TLS;
		log_info(c->w->log, "client tls error", "client=%lu error=\"%s\"",
			(unsigned long)c->id, conn_error_text(c->conn));
		break;
	case CONN_END_LIMIT:
		end = CLIENT_END_LIMIT;
		break;
	case CONN_END_RESET:
	case CONN_END_CONNECT:
		break;
	}
	client_close(c->w, c, end);
}

const struct conn_ops client_ops = {
	.on_data = on_data,
	.on_drained = on_drained,
	.on_ready = on_ready,
	.on_hangup = on_hangup,
	.on_end = on_end,
};

/* --- life --- */

/* Which place of the door an address has. */
static uint32_t door_of(const struct worker *w, const struct net_addr *from)
{
	if (net_addr_is_unix(from))
		return DOOR_NOWHERE;
	if (from->u.sa.sa_family == AF_INET)
		return door_place(&w->sh->hash_key, (const uint8_t *)&from->u.in4.sin_addr,
			sizeof from->u.in4.sin_addr);
	return door_place(&w->sh->hash_key, (const uint8_t *)&from->u.in6.sin6_addr,
		sizeof from->u.in6.sin6_addr);
}

static void refuse_half_open(struct worker *w, struct client *c)
{
	struct report r = report_of("FATAL", SQLSTATE_TOO_MANY_CONNECTIONS,
		"too many connections that have not logged in yet");

	atomic_fetch_add(&w->sh->logins[LOGINS_TOO_MANY_OPEN], 1);
	c->door = DOOR_NOWHERE; /* it was not counted */
	r.hint = "See max_half_open and max_half_open_per_address.";
	client_fatal(w, c, &r, CLIENT_END_LIMIT);
}

enum status client_new(struct worker *w, struct conn *conn, bool is_admin_port, struct client **out)
{
	struct client *c = calloc(1, sizeof *c);
	enum status st = E_NOMEM;
	struct settings *login;

	if (c == NULL || (st = busy_begin(w, c)) != OK ||
		(st = worker_slot_take(w, c, &c->slot)) != OK) {
		if (c != NULL && c->busy != NULL)
			busy_end(w, c);
		free(c);
		conn_free(conn);
		return st;
	}
	c->w = w;
	c->conn = conn;
	c->is_admin_port = is_admin_port;
	c->id = atomic_fetch_add(&w->sh->next_id, 1);
	c->state = CLIENT_STARTUP;
	c->connected_us = w->now_us;
	c->state_since_us = w->now_us;
	login = settings_empty(w->settings);
	settings_txn_init(&c->set, w->settings, &login);
	c->custom = settings_empty(w->settings);
	stmt_names_init(&c->names, w->stmts, CLIENT_STATEMENTS_MAX);
	c->names.bytes_max = w->conf->max_statement_memory / 4;
	marks_init(&c->marks);
	wheel_timer_init(&c->timer, on_timer);
	list_push_back(&w->clients, &c->link);
	w->n_clients++;
	w->n_clients_login++;
	conn_set_owner(conn, &client_ops, c);
	*out = c;
	c->door = DOOR_NOWHERE;
	if (atomic_fetch_add(&w->sh->n_clients, 1) >= w->conf->max_client_conn + CLIENTS_SPARE) {
		struct report r = report_of("FATAL", SQLSTATE_TOO_MANY_CONNECTIONS,
			"no more connections allowed (max_client_conn)");

		r.hint = "Raise max_client_conn.";
		client_fatal(w, c, &r, CLIENT_END_LIMIT);
		return OK;
	}
	client_watch(w, c);
	return OK;
}

/* A trusted proxy has no limits: those that it speaks for have them. */
static bool is_proxy(const struct worker *w, const struct client *c)
{
	struct cidr_addr from;

	if (w->conf->proxy_protocol == PROXY_PROTOCOL_OFF || c->is_admin_port)
		return false;
	from = admit_address(c);
	return conf_trusts_proxy(w->conf, &from);
}

void client_meet_door(struct worker *w, struct client *c, const struct net_addr *from)
{
	if (c->state == CLIENT_CLOSED || is_proxy(w, c))
		return;
	c->door = door_of(w, from);
	if (door_enter(w->sh->door, c->door, w->conf->max_half_open,
		    w->conf->max_half_open_per_address) != OK)
		refuse_half_open(w, c);
}

void client_count_bytes(struct client *c)
{
	if (c->db != NULL && c->conn != NULL)
		conn_take_bytes(c->conn, &c->db->stats.received, &c->db->stats.sent);
}

static void client_log_end(struct worker *w, const struct client *c, enum client_end why)
{
	bool is_login = is_logging_in(c->state) || c->state == CLIENT_CANCEL;

	if (!w->conf->log_disconnections || (is_login && why == CLIENT_END_EOF))
		return;
	log_info(w->log, "client closed", "client=%lu db=%s user=%s reason=\"%s\" age_s=%lu",
		(unsigned long)c->id, LOG_Q(c->db != NULL ? c->db->name : "-"),
		LOG_Q(c->acc != NULL ? c->acc->user : "-"), client_end_words[why],
		(unsigned long)((w->now_us - c->connected_us) / 1000000));
}

static void client_end(struct worker *w, struct client *c, enum client_end why, bool flushed)
{
	if (c->state == CLIENT_CLOSED)
		return;
	client_log_end(w, c, why);
	client_count_bytes(c);
	if (c->state == CLIENT_MOVING)
		handover_client_closed(w, c);
	if (c->state == CLIENT_DERIVE)
		external_client_gone(w, c);
	dispatch_forget(w, c);
	if (c->busy->confirm != NULL)
		confirm_client_gone(w, c);
	if (c->server != NULL)
		loss_of_client(w, c);
	if (c->busy->signals != NULL)
		signals_over(w, c);
	notify_client_gone(w, c);
	if (busy_is_lent(c->busy))
		pins_clear(&c->busy->pins, &w->sh->pins);
	wheel_del(&w->wheel, &c->timer);
	if (c->acc != NULL)
		account_client_left(w, c);
	client_transition(w, c, CLIENT_GONE);
	if (flushed)
		conn_free_flushed(c->conn, CLIENT_LINGER_MS);
	else
		conn_free(c->conn);
	c->conn = NULL;
	worker_slot_give(w, c->slot);
	atomic_fetch_sub(&w->sh->n_clients, 1);
	w->n_clients--;
	list_del(&c->link);
	list_push_back(&w->dead_clients, &c->link);
}

void client_close(struct worker *w, struct client *c, enum client_end why)
{
	client_end(w, c, why, false);
}

void client_free(struct worker *w, struct client *c)
{
	login_free(c->login);
	busy_end(w, c);
	settings_unref(w->settings, c->custom);
	settings_txn_fini(&c->set);
	stmt_names_fini(&c->names);
	params_free(c->params);
	free(c->unnamed);
	free(c);
}

void client_fatal(struct worker *w, struct client *c, const struct report *r, enum client_end why)
{
	if (c->state == CLIENT_CLOSED)
		return;
	client_put_error(w, c, r);
	client_end(w, c, why, true);
}

void client_shutdown(struct worker *w, struct client *c)
{
	struct report r = report_of("FATAL", SQLSTATE_ADMIN_SHUTDOWN,
		"terminating connection due to administrator command");

	client_fatal(w, c, &r, CLIENT_END_SHUTDOWN);
}

void client_note_error(
	struct worker *w, struct client *c, const struct report *r, const char *trace)
{
	if (c->db != NULL) {
		c->db->stats.errors++;
		dbase_count_error(w, c->db, r->sqlstate, ERROR_PGWEIR);
	}
	if (w->conf->log_pooler_errors)
		log_info(w->log, "error sent to client",
			"client=%lu db=%s user=%s sqlstate=%s message=%s traceparent=%s",
			(unsigned long)c->id, LOG_Q(c->db != NULL ? c->db->name : "-"),
			LOG_Q(c->acc != NULL ? c->acc->user : "-"), r->sqlstate,
			LOG_Q_LONG(r->message), trace[0] != '\0' ? trace : "-");
}

void client_put_error_of(
	struct worker *w, struct client *c, const struct report *r, const char *trace)
{
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);

	report_put(&out, 'E', r);
	PANIC_IF(out.bad);
	conn_put_copy(c->conn, buf, out.len);
	client_note_error(w, c, r, trace);
}

void client_put_error(struct worker *w, struct client *c, const struct report *r)
{
	char trace[TRACE_SIZE] = "";

	if (c->acc != NULL)
		activity_trace(w, c, trace);
	client_put_error_of(w, c, r, trace);
}

void client_put_ready(struct worker *w, struct client *c)
{
	uint8_t buf[6];
	struct wr out = wr_of(buf, sizeof buf);
	char status = 'I';

	if (c->txn == TXN_DEFERRED || c->txn == TXN_OPEN)
		status = 'T';
	else if (c->txn != TXN_NONE)
		status = 'E';
	else
		notify_put_waiting(w, c);
	reply_put_ready(&out, status);
	conn_put_copy(c->conn, buf, out.len);
}

/* How the lexer has to read the client's statements. */
void client_settings_changed(struct worker *w, struct client *c)
{
	const char *strings = settings_get(c->set.current, "standard_conforming_strings");
	const char *enc = settings_get(c->set.current, "client_encoding");
	const char *isolation = settings_get(c->set.current, "default_transaction_isolation");
	uint32_t opts = 0;

	server_note_settings(w, c->set.current);
	if (strings == NULL && c->acc != NULL)
		strings = baseline_get(&c->acc->baseline, "standard_conforming_strings");
	if (enc == NULL && c->acc != NULL)
		enc = baseline_get(&c->acc->baseline, "client_encoding");
	if (strings == NULL || strcasecmp(strings, "off") != 0)
		opts |= SQL_STD_STRINGS;
	c->sql_opts = opts | encoding_opts(enc);
	c->default_serializable = TRI_UNSET;
	if (isolation != NULL)
		c->default_serializable =
			strcasecmp(isolation, "serializable") == 0 ? TRI_YES : TRI_NO;
}

/* --- SHOW CLIENTS --- */

static uint8_t show_state(const struct client *c)
{
	switch (c->state) {
	case CLIENT_WAITING:
		return SHOW_CL_WAITING;
	case CLIENT_ACTIVE:
		return SHOW_CL_ACTIVE;
	case CLIENT_IDLE:
		return SHOW_CL_IDLE;
	case CLIENT_CANCEL:
		return c->cancel_sent ? SHOW_CL_ACTIVE_CANCEL_REQ : SHOW_CL_WAITING_CANCEL_REQ;
	case CLIENT_STARTUP:
	case CLIENT_TLS:
	case CLIENT_AUTH:
	case CLIENT_DERIVE:
	case CLIENT_LOOKUP:
	case CLIENT_REFUSED:
	case CLIENT_MOVING:
	case CLIENT_WELCOME:
	case CLIENT_CLOSED:
	case CLIENT_BAD:
	case CLIENT_STATE_COUNT:
		break;
	}
	return SHOW_CL_LOGIN;
}

static const char *client_application(const struct client *c)
{
	const char *v = settings_get(c->set.current, "application_name");

	return v != NULL ? v : "";
}

void client_show(struct worker *w, const struct client *c, struct show_socket_row *row)
{
	struct tls *tls = conn_tls(c->conn);

	*row = (struct show_socket_row){
		.id = c->id,
		.type = 'C',
		.state = show_state(c),
		.connect_wall_us = worker_wall_us(w, c->connected_us),
		.request_wall_us = worker_wall_us(w, c->request_us),
		.wait_us =
			waiter_waits(&c->busy->waiter) ? w->now_us - c->busy->waiter.since_us : 0,
		.ptr = c->id,
		.link = c->server != NULL ? c->server->id : 0,
		.remote_pid = conn_remote_pid(c->conn),
		.prepared_statements = (uint32_t)stmt_names_n(&c->names),
		.node = c->server != NULL ? (int32_t)c->server->pool->node : -1,
		.worker = w->index,
		.pins = c->busy->pins.causes,
		.replication = c->replication,
		.statement = activity_fingerprint(c),
		.bytes_kept = sizeof *c + conn_memory(c->conn) + c->names.bytes,
		.fd = conn_fd(c->conn),
	};
	if (c->db != NULL)
		text_copy(row->database, sizeof row->database, c->db->name);
	if (c->acc != NULL)
		text_copy(row->user, sizeof row->user, c->acc->user);
	else if (c->login != NULL)
		text_copy(row->user, sizeof row->user, c->login->user);
	conn_remote(c->conn, row->addr, sizeof row->addr, &row->port);
	conn_local(c->conn, row->local_addr, sizeof row->local_addr, &row->local_port);
	text_copy(row->application_name, sizeof row->application_name, client_application(c));
	if (tls != NULL)
		tls_describe(tls, row->tls, sizeof row->tls);
}

/* --- a name for a helper's answer --- */

uint64_t client_token(const struct client *c)
{
	return c->id << WORKER_SLOT_BITS | c->slot;
}

struct client *client_of_token(struct worker *w, uint64_t token)
{
	uint32_t slot = (uint32_t)token & (WORKER_SLOTS_MAX - 1);
	struct client *c = slot < w->n_slots ? w->slots[slot] : NULL;

	return c != NULL && c->id == token >> WORKER_SLOT_BITS ? c : NULL;
}
