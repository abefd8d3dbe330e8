#include "worker/cancel_conn.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "net/addr.h"
#include "net/tls.h"
#include "proto/startup.h"
#include "worker/server_clean.h"

struct cancel {
	struct worker *w;
	struct list link;  /* worker's cancels */
	struct conn *conn; /* NULL: it waits for a place */
	struct cancel_from from;
	struct wheel_timer timer;
	bool is_sent;

	/* to a server */
	struct server *server; /* whose unit it is meant for; NULL: gone */
	uint64_t units;        /* … this very unit */
	bool asked_tls;
	bool sslmode_tls;

	/* to a peer */
	uint32_t peer; /* 0: to a server */
	uint32_t pid;
	uint32_t key_len;
	uint8_t key[STARTUP_KEY_MAX];
};

static const struct conn_ops cancel_ops;
static const struct cancel_from nobody = {.worker = WORKERS_MAX};
static const struct conn_limits limits = {.rx_keep_max = 1024, .out_max = 65536};

void cancel_conn_tell(struct worker *w, const struct cancel_from *from, enum cancel_step step)
{
	struct tell_cancel *t;

	if (from->worker == WORKERS_MAX)
		return;
	t = worker_mail(sizeof *t, TELL_CANCEL);
	if (t == NULL)
		return; /* cancel_wait_timeout ends it */
	t->step = step;
	t->from = *from;
	worker_tell(w, from->worker, &t->mail);
}

/* --- life --- */

static void peer_next(struct worker *w, uint32_t peer);

static void forget_server(struct cancel *x)
{
	if (x->server != NULL)
		x->server->cancel = NULL;
	x->server = NULL;
}

static void cancel_free(struct worker *w, struct cancel *x)
{
	struct server *s = x->server;
	uint32_t peer = x->peer;

	forget_server(x);
	list_del(&x->link);
	w->n_cancels--;
	wheel_del(&w->wheel, &x->timer);
	conn_free(x->conn);
	cancel_conn_tell(w, &x->from, CANCEL_SERVED);
	free(x);
	if (s != NULL && s->state == SERVER_CANCELED && !server_is_held(s))
		server_clean_done(w, s);
	if (peer != 0)
		peer_next(w, peer);
}

/* The signal may still come, whenever: it must not meet another client. */
static void give_up_server(struct worker *w, struct cancel *x)
{
	struct server *s = x->server;

	forget_server(x);
	if (s == NULL)
		return;
	s->close_needed = true;
	if (s->state == SERVER_CANCELED)
		server_close(w, s, SERVER_END_TIMEOUT);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct worker *w = ctx;
	struct cancel *x = list_entry(t, struct cancel, timer);

	log_info(w->log, "cancel request given up", "to=%s reason=\"%s\"",
		x->peer != 0 ? "peer" : "server",
		x->is_sent ? "server_cancel_timeout" : "cancel_wait_timeout");
	if (x->is_sent)
		give_up_server(w, x);
	cancel_free(w, x);
}

static void watch(struct cancel *x, uint64_t timeout_us)
{
	if (timeout_us != 0)
		wheel_add(&x->w->wheel, &x->timer, x->w->now_us + timeout_us);
	else
		wheel_del(&x->w->wheel, &x->timer);
}

static struct cancel *cancel_new(struct worker *w, const struct cancel_from *from)
{
	struct cancel *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->w = w;
	x->from = *from;
	wheel_timer_init(&x->timer, on_timer);
	list_push_back(&w->cancels, &x->link);
	w->n_cancels++;
	watch(x, w->conf->cancel_wait_timeout_us);
	return x;
}

/* --- the connection --- */

/* Is the unit that it is meant for still under way? */
static bool is_wanted(const struct cancel *x)
{
	const struct server *s = x->server;

	return x->peer != 0 || (s != NULL && s->units == x->units && !owed_is_empty(&s->owed));
}

static void send_request(struct cancel *x)
{
	uint8_t buf[STARTUP_KEY_MAX + 16];
	struct wr out = wr_of(buf, sizeof buf);
	const struct server *s = x->server;

	if (!is_wanted(x)) {
		cancel_free(x->w, x);
		return;
	}
	if (x->peer != 0)
		startup_put_cancel(&out, x->pid, x->key, x->key_len);
	else
		startup_put_cancel(&out, s->backend_pid, s->backend_key, s->backend_key_len);
	x->is_sent = true;
	watch(x, x->w->conf->server_cancel_timeout_us);
	cancel_conn_tell(x->w, &x->from, CANCEL_SENT);
	conn_put_copy(x->conn, buf, out.len);
	conn_flush(x->conn);
}

/* To a server, as its own connection did; the cancel is freed if that cannot be. */
static void begin_tls(struct cancel *x)
{
	const struct worker *w = x->w;
	struct tls_ctx *ctx = w->tls != NULL ? w->tls->server : NULL;
	const struct conf_node *node =
		x->server != NULL ? w->conf->node_by_id[x->server->pool->node] : NULL;

	if (ctx == NULL || conn_tls_connect(x->conn, ctx, node != NULL ? node->host : NULL) != OK)
		cancel_free(x->w, x);
}

static void on_ready(void *arg)
{
	struct cancel *x = arg;
	uint8_t buf[16];
	struct wr out = wr_of(buf, sizeof buf);

	if (x->sslmode_tls && !x->asked_tls) {
		x->asked_tls = true;
		if (x->w->conf->server_tls.negotiation == TLS_NEGOTIATION_DIRECT) {
			begin_tls(x);
			return;
		}
		startup_put_ssl_request(&out);
		conn_put_copy(x->conn, buf, out.len);
		conn_flush(x->conn);
		return;
	}
	send_request(x);
}

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
	struct cancel *x = arg;
	struct worker *w = x->w;

	if (!x->asked_tls || x->is_sent || len != 1) {
		cancel_free(w, x); /* PostgreSQL says nothing here */
		return len;
	}
	if (data[0] == 'S') {
		begin_tls(x);
		return len;
	}
	if (data[0] == 'N' && w->conf->server_tls.sslmode < TLS_MODE_REQUIRE)
		send_request(x);
	else
		cancel_free(w, x);
	return len;
}

static void on_end(void *arg, enum conn_end why)
{
	struct cancel *x = arg;

	if (x->peer != 0 && !x->is_sent)
		log_warn(x->w->log, "cancel request not passed on", "peer=%u error=\"%s\"", x->peer,
			conn_error_text(x->conn));
	(void)why; /* EOF: PostgreSQL has sent its signal */
	cancel_free(x->w, x);
}

static const struct conn_ops cancel_ops = {
	.on_data = on_data, .on_ready = on_ready, .on_end = on_end};

static enum status connect_to(struct cancel *x, const struct sockaddr *addr, socklen_t len)
{
	return conn_connect(x->w->loop, addr, len, &cancel_ops, x, &limits, &x->conn);
}

/* --- to a server --- */

enum status cancel_conn_to_server(
	struct worker *w, struct server *s, const struct cancel_from *from)
{
	struct net_addr addr;
	struct cancel *x;
	enum status st;

	if (s->cancel != NULL)
		return E_EXISTS;
	if (w->n_cancels >= CANCELS_MAX)
		return E_LIMIT;
	if (s->backend_key_len == 0 || conn_remote_addr(s->conn, &addr) != OK)
		return E_NOTFOUND;
	if ((x = cancel_new(w, from != NULL ? from : &nobody)) == NULL)
		return E_NOMEM;
	x->sslmode_tls = conn_tls(s->conn) != NULL;
	if ((st = connect_to(x, &addr.u.sa, addr.len)) != OK) {
		x->from = nobody; /* the caller tells */
		cancel_free(w, x);
		return st;
	}
	x->server = s;
	x->units = s->units;
	s->cancel = x;
	return OK;
}

/* Nothing is left that the request could end: who has brought it need not wait for its way. */
void cancel_conn_server_gone(struct worker *w, struct server *s)
{
	struct cancel *x = s->cancel;

	if (x == NULL)
		return;
	forget_server(x);
	cancel_conn_tell(w, &x->from, CANCEL_SERVED);
	x->from = nobody;
}

/* --- to a peer --- */

static uint32_t count_peer(const struct worker *w, uint32_t peer, bool connected)
{
	struct list *it;
	uint32_t n = 0;

	list_foreach (it, &w->cancels) {
		const struct cancel *x = list_entry(it, struct cancel, link);

		n += x->peer == peer && (x->conn != NULL || !connected);
	}
	return n;
}

/* It has a place now. */
static enum status peer_connect(struct cancel *x)
{
	struct worker *w = x->w;
	const struct conf_peer *p = conf_find_peer(w->conf, x->peer);
	const struct node_addr *a;
	uint32_t i;

	if (p == NULL)
		return E_NOTFOUND;
	a = &w->addrs->peer[p - w->conf->peers];
	if (a->n == 0) {
		log_warn(w->log, "cancel request not passed on", "peer=%u error=\"%s\"", x->peer,
			a->error[0] != '\0' ? a->error : "the host's name is not resolved yet");
		return E_NOTFOUND;
	}
	i = (uint32_t)(worker_random(w) % a->n);
	return connect_to(x, (const struct sockaddr *)&a->addr[i], a->addr_len[i]);
}

/* A place has become free: for who has waited longest. */
static void peer_next(struct worker *w, uint32_t peer)
{
	struct list *it;

	list_foreach (it, &w->cancels) {
		struct cancel *x = list_entry(it, struct cancel, link);

		if (x->peer != peer || x->conn != NULL)
			continue;
		if (peer_connect(x) != OK)
			cancel_free(w, x); /* and on to the next one, there */
		return;
	}
}

enum status cancel_conn_to_peer(struct worker *w, const struct tell_cancel *t)
{
	const struct conf_peer *p = conf_find_peer(w->conf, t->peer);
	struct cancel *x;
	enum status st;
	bool has_place;

	if (p == NULL)
		return E_NOTFOUND;
	if (w->n_cancels >= CANCELS_MAX || count_peer(w, t->peer, false) >= CANCELS_MAX / 2)
		return E_LIMIT;
	has_place = count_peer(w, t->peer, true) < conf_peer_pool_size(w->conf, p);
	if ((x = cancel_new(w, &t->from)) == NULL)
		return E_NOMEM;
	x->peer = t->peer;
	x->pid = t->pid;
	x->key_len = t->key_len;
	memcpy(x->key, t->key, t->key_len);
	if (!has_place || (st = peer_connect(x)) == OK)
		return OK;
	x->from = nobody;
	cancel_free(w, x);
	return st;
}

/* --- all of them --- */

void cancel_conn_close_all(struct worker *w)
{
	struct list *it;

	list_foreach (it, &w->cancels) {
		struct cancel *x = list_entry(it, struct cancel, link);

		forget_server(x);
		x->from = nobody;
		x->peer = 0; /* nobody follows it */
	}
	while (!list_is_empty(&w->cancels))
		cancel_free(w, list_entry(w->cancels.next, struct cancel, link));
}

void cancel_conn_count(
	const struct worker *w, const struct account *acc, uint32_t *n_waiting, uint32_t *n_active)
{
	struct list *it;

	list_foreach (it, &w->cancels) {
		const struct cancel *x = list_entry(it, struct cancel, link);

		if (x->server == NULL || x->server->pool->acc != acc ||
			x->from.worker == WORKERS_MAX)
			continue;
		*n_active += x->is_sent;
		*n_waiting += !x->is_sent;
	}
}

void cancel_conn_show_peer(const struct worker *w, struct show_peer_row *row)
{
	struct list *it;

	list_foreach (it, &w->cancels) {
		const struct cancel *x = list_entry(it, struct cancel, link);

		if (x->peer != row->id)
			continue;
		row->cl_active_cancel_req += x->is_sent;
		row->cl_waiting_cancel_req += !x->is_sent;
		row->sv_login += x->conn != NULL && !x->is_sent;
	}
}
