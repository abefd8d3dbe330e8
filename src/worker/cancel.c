#include "worker/cancel.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "net/tls.h"
#include "proto/reply.h"
#include "proto/startup.h"
#include "worker/dispatch.h"

/* A connection of ours that carries one CancelRequest to a node. */
struct cancel {
	struct worker *w;
	struct list link; /* worker's cancels */
	struct conn *conn;
	struct server *server; /* whose unit it is meant for; NULL: gone */
	uint64_t units;        /* … this very unit */
	bool is_sent;
	bool asked_tls;
	bool sslmode_tls;
	uint32_t from_worker; /* who waits for its end; WORKERS_MAX: nobody */
	uint64_t from_id;
	uint32_t from_slot;
};

bool cancel_is_sent(const struct cancel *x)
{
	return x != NULL && x->is_sent;
}

/* --- keys --- */

void cancel_put_key(struct worker *w, struct client *c, uint32_t version, struct wr *out)
{
	/* The number says where the client lives; the key proves that a cancel is its own. */
	uint32_t pid = (w->index + 1) << WORKER_SLOT_BITS | c->slot;
	uint8_t len = version >= STARTUP_V3_2 ? CANCEL_KEY_MAX : STARTUP_KEY_MIN;

	c->key_len = RAND_bytes(c->key, len) == 1 ? len : 0; /* 0: no cancel fits it */
	reply_put_key_data(out, pid, c->key, len);
}

/* --- the requesting side --- */

void cancel_requested(
	struct worker *w, struct client *c, uint32_t pid, const uint8_t *key, uint32_t key_len)
{
	uint32_t to = (pid >> WORKER_SLOT_BITS) - 1;
	struct tell_cancel *t;

	client_transition(w, c, CLIENT_IS_CANCEL);
	client_watch(w, c);
	if (to >= w->sh->n_workers || key_len > sizeof t->key) {
		client_close(w, c, CLIENT_END_CANCEL);
		return;
	}
	t = worker_mail(sizeof *t, TELL_CANCEL);
	if (t == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	t->pid = pid;
	t->key_len = key_len;
	memcpy(t->key, key, key_len);
	t->from_worker = w->index;
	t->from_id = c->id;
	t->from_slot = c->slot;
	worker_tell(w, to, &t->mail);
}

static void served(struct worker *w, uint32_t from_worker, uint64_t from_id, uint32_t from_slot)
{
	struct tell_cancel *t;

	if (from_worker == WORKERS_MAX)
		return;
	t = worker_mail(sizeof *t, TELL_CANCEL);
	if (t == NULL)
		return; /* cancel_wait_timeout ends it */
	t->is_served = true;
	t->from_id = from_id;
	t->from_slot = from_slot;
	worker_tell(w, from_worker, &t->mail);
}

static void take_served(struct worker *w, const struct tell_cancel *t)
{
	struct client *c = t->from_slot < w->n_slots ? w->slots[t->from_slot] : NULL;

	if (c != NULL && c->id == t->from_id && c->state == CLIENT_CANCEL)
		client_close(w, c, CLIENT_END_CANCEL);
}

void cancel_client_gone(struct worker *w, struct client *c)
{
	(void)w;
	(void)c; /* a request that is under way goes on; nobody waits for it any more */
}

/* --- the connection to the node --- */

static void cancel_free(struct worker *w, struct cancel *x)
{
	struct server *s = x->server;

	list_del(&x->link);
	w->n_cancels--;
	conn_free(x->conn);
	served(w, x->from_worker, x->from_id, x->from_slot);
	free(x);
	if (s == NULL)
		return;
	s->cancel = NULL;
	if (s->state == SERVER_CANCELED)
		server_was_reset(w, s);
}

/* Is the unit that it is meant for still under way? */
static bool is_wanted(const struct cancel *x)
{
	const struct server *s = x->server;

	return s != NULL && s->units == x->units && !owed_is_empty(&s->owed);
}

static void send_request(struct cancel *x)
{
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	struct server *s = x->server;

	if (!is_wanted(x)) {
		cancel_free(x->w, x);
		return;
	}
	startup_put_cancel(&out, s->backend_pid, s->backend_key, s->backend_key_len);
	x->is_sent = true;
	conn_put_copy(x->conn, buf, out.len);
	conn_flush(x->conn);
}

static void on_ready(void *arg)
{
	struct cancel *x = arg;
	uint8_t buf[16];
	struct wr out = wr_of(buf, sizeof buf);

	if (x->sslmode_tls && !x->asked_tls) {
		x->asked_tls = true;
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
	if (data[0] == 'S' && w->tls != NULL && w->tls->server != NULL) {
		if (conn_tls_connect(x->conn, w->tls->server, NULL) != OK)
			cancel_free(w, x);
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

	(void)why; /* EOF: PostgreSQL has sent its signal */
	cancel_free(x->w, x);
}

static const struct conn_ops cancel_ops = {
	.on_data = on_data, .on_ready = on_ready, .on_end = on_end};

static enum status cancel_open(struct worker *w, struct server *s, struct cancel **out)
{
	const struct node_addr *a = &w->addrs->node[s->pool->node];
	static const struct conn_limits limits = {.rx_keep_max = 1024, .out_max = 65536};
	struct cancel *x;
	enum status st;

	if (w->n_cancels >= CANCELS_MAX || a->n == 0 || s->backend_key_len == 0)
		return E_LIMIT;
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return E_NOMEM;
	x->w = w;
	x->server = s;
	x->units = s->units;
	x->from_worker = WORKERS_MAX;
	x->sslmode_tls = conn_tls(s->conn) != NULL;
	st = conn_connect(w->loop, (const struct sockaddr *)&a->addr[0], a->addr_len[0],
		&cancel_ops, x, &limits, &x->conn);
	if (st != OK) {
		free(x);
		return st;
	}
	list_push_back(&w->cancels, &x->link);
	w->n_cancels++;
	s->cancel = x;
	*out = x;
	return OK;
}

void cancel_server(struct worker *w, struct server *s)
{
	struct cancel *x;

	if (s->cancel == NULL && cancel_open(w, s, &x) != OK)
		server_close(w, s, SERVER_END_CLIENT);
}

void cancel_server_gone(struct worker *w, struct server *s)
{
	(void)w;
	if (s->cancel == NULL)
		return;
	s->cancel->server = NULL;
	s->cancel = NULL;
}

void cancel_close_all(struct worker *w)
{
	while (!list_is_empty(&w->cancels)) {
		struct cancel *x = list_entry(w->cancels.next, struct cancel, link);

		x->from_worker = WORKERS_MAX;
		if (x->server != NULL)
			x->server->cancel = NULL;
		x->server = NULL;
		cancel_free(w, x);
	}
}

/* --- the victim's side --- */

static struct client *victim_of(struct worker *w, const struct tell_cancel *t)
{
	uint32_t slot = t->pid & (WORKER_SLOTS_MAX - 1);
	struct client *c = slot < w->n_slots ? w->slots[slot] : NULL;

	if (c == NULL || !client_is_logged_in(c) || t->key_len != c->key_len ||
		CRYPTO_memcmp(t->key, c->key, c->key_len) != 0)
		return NULL;
	return c;
}

void cancel_told(struct worker *w, const struct tell_cancel *t)
{
	struct client *c;
	struct cancel *x;

	if (t->is_served) {
		take_served(w, t);
		return;
	}
	c = victim_of(w, t);
	if (c != NULL && c->state == CLIENT_WAITING) {
		dispatch_cancel(w, c);
	} else if (c != NULL && c->state == CLIENT_ACTIVE && c->server->owed.n_client != 0 &&
		   c->server->cancel == NULL && cancel_open(w, c->server, &x) == OK) {
		x->from_worker = t->from_worker;
		x->from_id = t->from_id;
		x->from_slot = t->from_slot;
		return; /* told when it has ended */
	}
	served(w, t->from_worker, t->from_id, t->from_slot);
}
