#include "control/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "control/front.h"
#include "control/page.h"
#include "control/ready.h"
#include "net/listen.h"

#define PIECE_LEN (2u * ROWS_BUF_MIN)
#define SWEEP_US  200000u
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
};

/* A request for a page, while it is gathered and sent. */
struct answer {
	struct list link;
	struct http *of;
	struct evhttp_request *req;
	struct gather_request gather;
	struct page page;
	struct gathered *gathered;
	const char *content_type;
	bool (*write)(struct page *p, struct wr *w);
};

struct http {
	struct env *env;
	const struct show_tools *tools;
	struct evhttp *server;
	struct evconnlistener *listener; /* evhttp's */
	int fd;
	struct list visits, answers;
	uint32_t n_visits, n_answers;
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
	}
	if (h->n_visits < HTTP_CONNS_MAX)
		evconnlistener_enable(h->listener);
	if (h->n_visits != 0)
		env_timer(h->env, t, SWEEP_US);
}

/* evhttp asks for the bufferevent of a new connection. NULL makes it take one of its own. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct http *h = arg;
	struct visit *v;
	struct bufferevent *bev;

	loop_woke(h->env->loop);
	v = malloc(sizeof *v);
	bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (v == NULL || bev == NULL) {
		free(v);
		return bev;
	}
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	v->bev = bev;
	bufferevent_incref(bev);
	list_push_back(&h->visits, &v->link);
	if (++h->n_visits >= HTTP_CONNS_MAX)
		evconnlistener_disable(h->listener);
	if (!wheel_is_armed(&h->sweep))
		env_timer(h->env, &h->sweep, SWEEP_US);
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

static void reply_unauthorized(struct evhttp_request *req)
{
	add_header(req, "WWW-Authenticate", "Basic realm=\"pgweir\", charset=\"UTF-8\"");
	reply_text(req, 401, "Unauthorized", "user and password of stats_auth are needed\n");
}

/* What load balancers and orchestrators ask tells nothing that is worth a password. */
static bool is_open(const char *path)
{
	return strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0;
}

static bool is_allowed(struct http *h, struct evhttp_request *req)
{
	return front_is_allowed(env_conf(h->env)->stats_auth,
		evhttp_find_header(evhttp_request_get_input_headers(req), "Authorization"));
}

/* --- pages --- */

static void answer_free(struct answer *a)
{
	struct http *h = a->of;
	struct evhttp_connection *conn = evhttp_request_get_connection(a->req);

	if (conn != NULL)
		evhttp_connection_set_closecb(conn, NULL, NULL);
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
	bool more = a->write(&a->page, &w);

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
		reply_text(req, HTTP_SERVUNAVAIL, "Service Unavailable", "rows not gathered\n");
		return;
	}
	a->gathered = g;
	a->page.in = a->of->tools->in;
	a->page.in.gathered = g;
	add_header(req, "Content-Type", a->content_type);
	add_header(req, "Cache-Control", "no-store");
	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD) {
		answer_free(a);
		evhttp_send_reply(req, HTTP_OK, "OK", NULL);
		return;
	}
	evhttp_send_reply_start(req, HTTP_OK, "OK");
	send_piece(NULL, a);
}

static void reply_page(struct http *h, struct evhttp_request *req, const char *content_type,
	bool (*write)(struct page *p, struct wr *w))
{
	struct answer *a = h->n_answers < HTTP_REQUESTS_MAX ? calloc(1, sizeof *a) : NULL;

	if (a == NULL) {
		reply_text(req, HTTP_SERVUNAVAIL, "Service Unavailable", "too many requests\n");
		return;
	}
	a->of = h;
	a->req = req;
	a->content_type = content_type;
	a->write = write;
	a->gather.done = on_gathered;
	list_init(&a->gather.link);
	list_push_back(&h->answers, &a->link);
	h->n_answers++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_close, a);
	gather_ask(h->tools->gather, &a->gather, PAGE_GATHER);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	struct http *h = arg;

	loop_woke(h->env->loop);
	if (path == NULL)
		reply_text(req, HTTP_BADREQUEST, "Bad Request", "bad request\n");
	else if (!is_open(path) && !is_allowed(h, req))
		reply_unauthorized(req);
	else if (strcmp(path, "/") == 0)
		reply_front(h, req);
	else if (strcmp(path, "/history.json") == 0)
		reply_page(h, req, "application/json", history_write);
	else if (strcmp(path, "/metrics") == 0)
		reply_page(h, req, METRICS_CONTENT_TYPE, metrics_write);
	else if (strcmp(path, "/stats.json") == 0)
		reply_page(h, req, "application/json", json_write);
	else if (strcmp(path, "/healthz") == 0)
		reply_text(req, HTTP_OK, "OK", "ok\n");
	else if (strcmp(path, "/readyz") == 0)
		reply_ready(h, req);
	else
		reply_text(req, HTTP_NOTFOUND, "Not Found",
			"/\n/metrics\n/stats.json\n/history.json\n/healthz\n/readyz\n");
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

	h->server = evhttp_new(loop_event_base(h->env->loop));
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
	front_fini(&h->front);
	free(h->buf);
	free(h);
}
