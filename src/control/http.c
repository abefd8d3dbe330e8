#include "control/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "control/front.h"
#include "control/page.h"
#include "control/ready.h"
#include "control/stats_auth.h"
#include "net/listen.h"
#include "net/tls.h"

#define PIECE_LEN (2u * ROWS_BUF_MIN)
/* bytes; more than evhttp refuses a head for, so that it sees one that is too long */
#define INPUT_MAX (2u * HTTP_HEAD_MAX)

/*
 * A connection. evhttp says nothing when it ends one, so we hold a reference to its bufferevent,
 * which evhttp leaves without callbacks. The bufferevent owns the descriptor: evhttp would close it
 * at once, while our reference keeps the events alive, which would then stand for whatever gets the
 * same number next, in another thread perhaps.
 */
struct visit {
	struct list link;
	struct bufferevent *bev;
	uint64_t since_us; /* its last request, or that it came */
};

struct place;

/* A request, while its password is looked at, its page gathered and sent. */
struct answer {
	struct list link;
	struct http *of;
	struct evhttp_request *req;
	struct gather_request gather;
	struct page page;
	struct gathered *gathered;
	const struct place *place;
	struct stats_auth_request auth;
};

struct http {
	struct env *env;
	const struct show_tools *tools;
	struct evhttp *server;
	struct evconnlistener *listener; /* evhttp's */
	int fd;
	struct list visits, answers;
	uint32_t n_visits, n_answers;
	uint32_t n_came; /* since the last sweep */
	struct stats_auth *auth;
	struct wheel_timer sweep;
	struct front front;
	uint8_t *buf; /* PIECE_LEN bytes */
};

/* --- connections --- */

static bool is_left(struct bufferevent *bev)
{
	bufferevent_event_cb on_event;

	bufferevent_getcb(bev, NULL, NULL, &on_event, NULL);
	return on_event == NULL;
}

static void visit_free(struct http *h, struct visit *v)
{
	bufferevent_decref(v->bev);
	list_del(&v->link);
	h->n_visits--;
	free(v);
}

static void on_sweep(void *ctx, struct wheel_timer *t)
{
	struct http *h = list_entry(t, struct http, sweep);
	struct list *it, *tmp;

	(void)ctx;
	list_foreach_safe (it, tmp, &h->visits) {
		struct visit *v = list_entry(it, struct visit, link);

		if (is_left(v->bev))
			visit_free(h, v);
		else if (env_now_us(h->env) - v->since_us > HTTP_REQUEST_S * 1000000u)
			(void)shutdown(bufferevent_getfd(v->bev), SHUT_RDWR); /* evhttp ends it */
	}
	h->n_came = 0;
	if (h->n_visits < HTTP_CONNS_MAX)
		evconnlistener_enable(h->listener);
	if (h->n_visits != 0)
		env_timer(h->env, t, HTTP_SWEEP_US);
}

static void visit_goes_on(struct http *h, struct evhttp_request *req)
{
	const struct bufferevent *bev =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
	struct list *it;

	list_foreach (it, &h->visits) {
		struct visit *v = list_entry(it, struct visit, link);

		if (v->bev == bev)
			v->since_us = env_now_us(h->env);
	}
}

/* With TLS, if it is on now: what a reload changes holds for the connections that come after it. */
static struct bufferevent *new_bufferevent(struct http *h, struct event_base *base)
{
	const struct tls_set *tls =
		atomic_load_explicit(&h->env->shared->tls, memory_order_acquire);
	struct bufferevent *bev;
	struct ssl_st *ssl;

	if (tls == NULL || tls->stats == NULL)
		return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	ssl = tls_ctx_stream(tls->stats);
	if (ssl == NULL)
		return NULL;
	/* It frees the stream, also when it fails. */
	bev = bufferevent_openssl_socket_new(
		base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev != NULL)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

/*
 * evhttp asks for the bufferevent of a new connection. NULL makes it take one of its own: without
 * TLS, where one that expects TLS says nothing that it could read.
 */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct http *h = arg;
	struct visit *v;
	struct bufferevent *bev;

	loop_woke(h->env->loop);
	v = malloc(sizeof *v);
	bev = new_bufferevent(h, base);
	if (v == NULL || bev == NULL) {
		free(v);
		return bev;
	}
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	v->bev = bev;
	v->since_us = env_now_us(h->env);
	bufferevent_incref(bev);
	list_push_back(&h->visits, &v->link);
	if (++h->n_visits >= HTTP_CONNS_MAX || ++h->n_came >= HTTP_ACCEPTS_MAX)
		evconnlistener_disable(h->listener);
	if (!wheel_is_armed(&h->sweep))
		env_timer(h->env, &h->sweep, HTTP_SWEEP_US);
	return bev;
}

/* --- short answers --- */

static void add_header(struct evhttp_request *req, const char *name, const char *value)
{
	(void)evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static void reply_text(struct evhttp_request *req, int code, const char *reason, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	add_header(req, "Content-Type", "text/plain; charset=utf-8");
	add_header(req, "Cache-Control", "no-store");
	if (body != NULL)
		(void)evbuffer_add(body, text, strlen(text));
	evhttp_send_reply(req, code, reason, body);
	if (body != NULL)
		evbuffer_free(body);
}

static void reply_ready(struct http *h, struct evhttp_request *req)
{
	char why[4096];
	bool ok = ready_check(env_conf(h->env), env_topology(h->env),
		atomic_load_explicit(&h->env->shared->admin, memory_order_acquire), why,
		sizeof why);

	if (ok)
		reply_text(req, HTTP_OK, "OK", why);
	else
		reply_text(req, HTTP_SERVUNAVAIL, "Service Unavailable", why);
}

static void reply_front(struct http *h, struct evhttp_request *req)
{
	struct evbuffer *body = evbuffer_new();

	add_header(req, "Content-Type", "text/html; charset=utf-8");
	add_header(req, "Content-Security-Policy", h->front.policy);
	add_header(req, "X-Content-Type-Options", "nosniff");
	add_header(req, "Referrer-Policy", "no-referrer");
	add_header(req, "Cache-Control", "no-cache");
	if (body != NULL)
		(void)evbuffer_add(body, h->front.page, h->front.len);
	evhttp_send_reply(req, HTTP_OK, "OK", body);
	if (body != NULL)
		evbuffer_free(body);
}

static void reply_health(struct http *h, struct evhttp_request *req)
{
	(void)h;
	reply_text(req, HTTP_OK, "OK", "ok\n");
}

static void reply_nowhere(struct http *h, struct evhttp_request *req)
{
	(void)h;
	reply_text(req, HTTP_NOTFOUND, "Not Found",
		"/\n/metrics\n/stats.json\n/history.json\n/healthz\n/readyz\n");
}

static void reply_unauthorized(struct evhttp_request *req)
{
	add_header(req, "WWW-Authenticate", "Basic realm=\"pgweir\", charset=\"UTF-8\"");
	reply_text(req, 401, "Unauthorized", "user and password of stats_auth are needed\n");
}

static void reply_busy(struct evhttp_request *req, const char *text)
{
	add_header(req, "Retry-After", "1");
	reply_text(req, HTTP_SERVUNAVAIL, "Service Unavailable", text);
}

/* --- paths --- */

struct place {
	const char *path;
	/* what load balancers and orchestrators ask tells nothing that is worth a password */
	bool is_open;
	void (*reply)(struct http *h, struct evhttp_request *req); /* at once; else: a page */
	const char *content_type;
	bool (*write)(struct page *p, struct wr *w);
};

static const struct place places[] = {
	{"/", .reply = reply_front},
	{"/metrics", .content_type = METRICS_CONTENT_TYPE, .write = metrics_write},
	{"/stats.json", .content_type = "application/json", .write = json_write},
	{"/history.json", .content_type = "application/json", .write = history_write},
	{"/healthz", .is_open = true, .reply = reply_health},
	{"/readyz", .is_open = true, .reply = reply_ready},
};
static const struct place nowhere = {.reply = reply_nowhere};

static const struct place *find_place(const char *path)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (strcmp(path, places[i].path) == 0)
			return &places[i];
	return &nowhere;
}

/* --- pages --- */

static void answer_free(struct answer *a)
{
	struct http *h = a->of;
	struct evhttp_connection *conn = evhttp_request_get_connection(a->req);

	if (conn != NULL)
		evhttp_connection_set_closecb(conn, NULL, NULL);
	stats_auth_cancel(&a->auth);
	gather_cancel(&a->gather);
	gathered_release(h->tools->gather, a->gathered);
	list_del(&a->link);
	h->n_answers--;
	free(a);
}

/* The connection is closing under us; evhttp frees the request. */
static void on_close(struct evhttp_connection *conn, void *arg)
{
	struct answer *a = arg;

	(void)conn;
	loop_woke(a->of->env->loop);
	answer_free(a);
}

static void send_piece(struct evhttp_connection *conn, void *arg);

static bool next_piece(struct answer *a, struct evbuffer *out)
{
	struct wr w = wr_of(a->of->buf, PIECE_LEN);
	bool more = a->place->write(&a->page, &w);

	PANIC_IF(w.bad);
	(void)evbuffer_add(out, w.buf, w.len);
	return more;
}

static void send_end(struct evhttp_connection *conn, void *arg)
{
	struct answer *a = arg;
	struct evhttp_request *req = a->req;

	(void)conn;
	loop_woke(a->of->env->loop);
	answer_free(a);
	evhttp_send_reply_end(req);
}

/* The next piece, once the one before has left: a slow reader holds one piece. */
static void send_piece(struct evhttp_connection *conn, void *arg)
{
	struct answer *a = arg;
	struct evbuffer *out = evbuffer_new();
	bool more;

	(void)conn;
	loop_woke(a->of->env->loop);
	if (out == NULL) {
		send_end(NULL, a);
		return;
	}
	do /* evhttp neither sends an empty piece nor calls back for it */
		more = next_piece(a, out);
	while (more && evbuffer_get_length(out) == 0);
	if (evbuffer_get_length(out) == 0) {
		evbuffer_free(out);
		send_end(NULL, a);
		return;
	}
	evhttp_send_reply_chunk_with_cb(a->req, out, more ? send_piece : send_end, a);
	evbuffer_free(out);
}

static void on_gathered(struct gather_request *r, struct gathered *g, enum status st)
{
	struct answer *a = list_entry(r, struct answer, gather);
	struct evhttp_request *req = a->req;

	(void)st;
	if (g == NULL) {
		answer_free(a);
		reply_busy(req, "rows not gathered\n");
		return;
	}
	a->gathered = g;
	a->page.in = a->of->tools->in;
	a->page.in.gathered = g;
	add_header(req, "Content-Type", a->place->content_type);
	add_header(req, "Cache-Control", "no-store");
	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD) {
		answer_free(a);
		evhttp_send_reply(req, HTTP_OK, "OK", NULL);
		return;
	}
	evhttp_send_reply_start(req, HTTP_OK, "OK");
	send_piece(NULL, a);
}

static void gather_page(struct answer *a)
{
	a->gather.done = on_gathered;
	gather_ask(a->of->tools->gather, &a->gather, PAGE_GATHER);
}

static void admit(struct answer *a, enum stats_auth_verdict verdict)
{
	const struct place *place = a->place;
	struct evhttp_request *req = a->req;
	struct http *h = a->of;

	if (verdict == STATS_AUTH_YES && place->reply == NULL) {
		gather_page(a);
		return;
	}
	answer_free(a);
	if (verdict == STATS_AUTH_YES)
		place->reply(h, req);
	else if (verdict == STATS_AUTH_NO)
		reply_unauthorized(req);
	else
		reply_busy(req, "too many passwords are being looked at\n");
}

static void on_auth(struct stats_auth_request *r, enum stats_auth_verdict verdict)
{
	admit(list_entry(r, struct answer, auth), verdict);
}

static void begin_answer(struct http *h, struct evhttp_request *req, const struct place *place)
{
	struct answer *a = h->n_answers < HTTP_REQUESTS_MAX ? calloc(1, sizeof *a) : NULL;
	enum stats_auth_verdict verdict;

	if (a == NULL) {
		reply_busy(req, "too many requests\n");
		return;
	}
	a->of = h;
	a->req = req;
	a->place = place;
	a->auth.done = on_auth;
	list_init(&a->gather.link);
	list_push_back(&h->answers, &a->link);
	h->n_answers++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_close, a);
	verdict = stats_auth_check(h->auth,
		evhttp_find_header(evhttp_request_get_input_headers(req), "Authorization"),
		&a->auth);
	if (verdict != STATS_AUTH_LATER)
		admit(a, verdict);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	struct http *h = arg;
	const struct place *place;

	loop_woke(h->env->loop);
	visit_goes_on(h, req);
	if (path == NULL) {
		reply_text(req, HTTP_BADREQUEST, "Bad Request", "bad request\n");
		return;
	}
	place = find_place(path);
	if (place->is_open)
		place->reply(h, req);
	else
		begin_answer(h, req, place);
}

/* --- life --- */

static enum status open_socket(struct http *h)
{
	const struct conf *conf = env_conf(h->env);
	struct listen_opts opts = {.backlog = (int)HTTP_CONNS_MAX};
	char err[LISTEN_ERR_MAX], text[2 * LISTEN_ERR_MAX];
	struct net_addr addr;
	enum status st;
	size_t n;

	st = listen_resolve(conf->stats_addr, conf->stats_port, &addr, 1, &n, err);
	if (st == OK)
		st = listen_open(&addr, &opts, &h->fd, err);
	if (st != OK)
		log_error(h->env->shared->log, "stats port not opened", "addr=%s port=%u reason=%s",
			conf->stats_addr, conf->stats_port, log_q(text, sizeof text, err));
	return st;
}

static enum status start_server(struct http *h)
{
	struct evhttp_bound_socket *bound;

	struct event_base *base = loop_event_base(h->env->loop);

	h->server = base != NULL ? evhttp_new(base) : NULL;
	if (h->server == NULL)
		return E_NOMEM;
	evhttp_set_allowed_methods(h->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(h->server, HTTP_HEAD_MAX);
	evhttp_set_max_body_size(h->server, 0);
	evhttp_set_timeout(h->server, HTTP_TIMEOUT_S);
	evhttp_set_bevcb(h->server, on_connection, h);
	evhttp_set_gencb(h->server, on_request, h);
	bound = evhttp_accept_socket_with_handle(h->server, h->fd);
	if (bound == NULL)
		return E_NOMEM;
	h->fd = -1; /* evhttp's now */
	h->listener = evhttp_bound_socket_get_listener(bound);
	return OK;
}

int http_fd(const struct http *h)
{
	return evconnlistener_get_fd(h->listener);
}

enum status http_new(struct env *env, const struct show_tools *tools, int fd, struct http **out)
{
	struct http *h = calloc(1, sizeof *h);
	enum status st;

	if (h == NULL) {
		if (fd >= 0)
			close(fd);
		return E_NOMEM;
	}
	h->env = env;
	h->tools = tools;
	h->fd = fd > 0 ? fd : -1;
	list_init(&h->visits);
	list_init(&h->answers);
	wheel_timer_init(&h->sweep, on_sweep);
	h->buf = malloc(PIECE_LEN);
	st = h->buf != NULL ? front_init(&h->front) : E_NOMEM;
	if (st == OK)
		st = stats_auth_new(env, &h->auth);
	if (st == OK && h->fd < 0)
		st = open_socket(h);
	if (st == OK)
		st = start_server(h);
	if (st != OK) {
		http_free(h);
		return st;
	}
	*out = h;
	return OK;
}

void http_free(struct http *h)
{
	struct list *it, *tmp;

	if (h == NULL)
		return;
	list_foreach_safe (it, tmp, &h->answers)
		answer_free(list_entry(it, struct answer, link));
	if (h->server != NULL)
		evhttp_free(h->server);
	list_foreach_safe (it, tmp, &h->visits)
		visit_free(h, list_entry(it, struct visit, link));
	wheel_del(&h->env->wheel, &h->sweep);
	if (h->fd >= 0)
		close(h->fd);
	stats_auth_free(h->auth);
	front_fini(&h->front);
	free(h->buf);
	free(h);
}
