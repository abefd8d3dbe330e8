#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/engine.h"
#include "net/tls.h"
#include "net/uring.h"

/* Waiting input that is thrown away at a close, so that TCP does not answer it with a reset. */
#define CLOSE_DISCARD_MAX (1u << 20)

static void conn_on_timer(void *ctx, struct wheel_timer *t);

/* --- states --- */

#define TO(state) (1u << (state))

static const uint16_t may_become[CONN_STATE_COUNT] = {
	[CONN_CONNECTING] = TO(CONN_OPEN) | TO(CONN_ENDED) | TO(CONN_LINGERING) | TO(CONN_DEAD),
	[CONN_OPEN] = TO(CONN_HANDSHAKE) | TO(CONN_ENDED) | TO(CONN_LINGERING) | TO(CONN_LEAVING) |
		      TO(CONN_DEAD),
	[CONN_HANDSHAKE] = TO(CONN_OPEN) | TO(CONN_ENDED) | TO(CONN_LINGERING) | TO(CONN_DEAD),
	[CONN_ENDED] = TO(CONN_LINGERING) | TO(CONN_DEAD),
	[CONN_LINGERING] = TO(CONN_DEAD),
	[CONN_LEAVING] = TO(CONN_AWAY) | TO(CONN_DEAD),
	[CONN_AWAY] = TO(CONN_OPEN),
	[CONN_DEAD] = 0,
};

void conn_become(struct conn *c, enum conn_state to)
{
	PANIC_IF((may_become[c->state] & TO(to)) == 0);
	c->state = (uint8_t)to;
}

/* --- life --- */

static struct conn *conn_alloc(struct loop *l, int fd, const struct conn_ops *ops, void *arg)
{
	struct conn *c = calloc(1, sizeof *c + loop_io_size());

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->fd = fd;
	c->ops = ops;
	c->arg = arg;
	c->pending_end = CONN_END_NONE;
	c->why = CONN_END_NONE;
	c->sock_drained = true; /* until an edge tells otherwise */
	list_init(&c->ready);   /* state: CONN_CONNECTING, zero */
	wheel_timer_init(&c->timer, conn_on_timer);
	l->n_conns++;
	return c;
}

/* Off the loop, but still there for the frames that are in its callbacks. */
static void conn_unhook(struct conn *c)
{
	conn_tx_push(c); /* what was flushed is not lost by a close */
	if (c->state != CONN_LEAVING && c->state != CONN_AWAY)
		loop_io_del(c);
	wheel_del(&c->loop->wheel, &c->timer);
	list_del(&c->ready);
	conn_tx_drop(c);
	if (loop_is_uring(c->loop))
		return; /* the descriptor outlives what is asked of it: uring_bury */
	close(c->fd);
	c->fd = -1;
}

static void conn_dispose(struct conn *c)
{
	conn_rx_release(c);
	tls_free(c->tls);
	free(c->ahead);
	free(c->named);
	c->loop->n_conns--;
	if (loop_is_uring(c->loop))
		uring_bury(c);
	else
		free(c);
}

/* One that no event could ever come for; its descriptor stays. */
static void conn_discard(struct conn *c)
{
	c->loop->n_conns--;
	free(c);
}

void conn_destroy(struct conn *c)
{
	conn_unhook(c);
	if (c->in_call)
		conn_become(c, CONN_DEAD);
	else
		conn_dispose(c);
}

bool conn_leave_call(struct conn *c)
{
	c->in_call = false;
	if (c->state != CONN_DEAD)
		return true;
	conn_dispose(c);
	return false;
}

static bool sock_is_unix(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t len = sizeof domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* A non-blocking, connected socket. Moves `fd`, also on error. */
static enum status conn_wrap(
	struct loop *l, int fd, bool is_unix, const struct conn_limits *limits, struct conn **out)
{
	enum status st = E_NOMEM;
	struct conn *c = conn_alloc(l, fd, NULL, NULL);

	if (c == NULL)
		goto fail;
	conn_set_limits(c, limits);
	conn_become(c, CONN_OPEN);
	c->is_unix = is_unix;
	if ((st = loop_io_add(c)) != OK)
		goto fail;
	*out = c;
	return OK;
fail:
	if (c != NULL)
		conn_discard(c);
	close(fd);
	return st;
}

enum status conn_new(struct loop *l, int fd, const struct conn_ops *ops, void *arg,
	const struct conn_limits *limits, struct conn **out)
{
	int on = 1;
	enum status st;

	if (ioctl(fd, FIONBIO, &on) != 0) {
		close(fd);
		return E_IO;
	}
	if ((st = conn_wrap(l, fd, sock_is_unix(fd), limits, out)) == OK)
		conn_set_owner(*out, ops, arg);
	return st;
}

enum status conn_accept(struct loop *l, int fd, const struct net_addr *from,
	const struct conn_limits *limits, struct conn **out)
{
	return conn_wrap(l, fd, net_addr_is_unix(from), limits, out);
}

void conn_expect(struct conn *c)
{
	if (loop_is_uring(c->loop)) /* which receives as soon as it is asked to */
		return;
	c->sock_drained = false;
	conn_make_ready(c);
}

enum status conn_connect(struct loop *l, const struct sockaddr *addr, socklen_t addr_len,
	const struct conn_ops *ops, void *arg, const struct conn_limits *limits, struct conn **out)
{
	enum status st = E_NOMEM;
	struct conn *c = NULL;
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return E_IO;
	if ((c = conn_alloc(l, fd, ops, arg)) == NULL)
		goto fail;
	conn_set_limits(c, limits);
	c->blocked = true; /* what is put already waits for the connection */
	c->is_unix = addr->sa_family == AF_UNIX;
	if (connect(fd, addr, addr_len) != 0 && errno != EINPROGRESS) {
		c->err = errno;
		conn_make_ready(c);
	}
	if ((st = loop_io_add(c)) != OK)
		goto fail;
	*out = c;
	return OK;
fail:
	if (c != NULL) {
		list_del(&c->ready);
		conn_discard(c);
	}
	close(fd);
	return st;
}

void conn_free(struct conn *c)
{
	if (c != NULL && c->state != CONN_DEAD)
		conn_destroy(c);
}

/*
 * Throw away what TCP has received. The loop's buffer says how much at a time; it may be lent at
 * the moment, and MSG_TRUNC leaves it as it is.
 * Source: tcp(7), MSG_TRUNC.
 */
static void conn_discard_input(struct conn *c)
{
	const size_t piece = c->loop->conf.rx_len;

	for (size_t n = 0; n < CLOSE_DISCARD_MAX; n += piece)
		if (recv(c->fd, c->loop->rx, piece, MSG_TRUNC | MSG_DONTWAIT) < (ssize_t)piece)
			return;
}

/*
 * Close a conn whose output has all been taken. Input that waits would make TCP reset the
 * connection, and the peer lose our last bytes with it.
 */
static void conn_close_politely(struct conn *c)
{
	if (!conn_is_unix(c))
		conn_discard_input(c);
	conn_destroy(c);
}

void conn_free_flushed(struct conn *c, uint32_t linger_ms)
{
	struct loop *l = c->loop;

	if (c->state == CONN_DEAD || c->state == CONN_LINGERING)
		return;
	conn_flush(c);
	if (c->tls != NULL && c->state != CONN_HANDSHAKE)
		conn_tls_goodbye(c);
	conn_tx_push(c);
	if (c->tx_off) {
		conn_destroy(c);
	} else if (c->out_len == 0) {
		conn_close_politely(c);
	} else {
		conn_become(c, CONN_LINGERING);
		list_del(&c->ready);
		list_push_back(&l->lingering, &c->ready);
		wheel_add(&l->wheel, &c->timer, l->now_us + (uint64_t)linger_ms * 1000u);
	}
}

/* --- the ready list, and ends --- */

void conn_make_ready(struct conn *c)
{
	if (c->state == CONN_LINGERING || c->state == CONN_DEAD || !list_is_empty(&c->ready))
		return;
	list_push_back(c->late ? &c->loop->late : &c->loop->ready, &c->ready);
}

void conn_end(struct conn *c, enum conn_end why, int err)
{
	list_del(&c->ready);
	wheel_del(&c->loop->wheel, &c->timer);
	conn_become(c, CONN_ENDED);
	c->why = (uint8_t)why;
	c->err = err;
	if (why != CONN_END_EOF) {
		conn_tx_push(c); /* a TLS alert */
		conn_tx_drop(c);
	}
	conn_enter_call(c);
	c->ops->on_end(c->arg, why);
	conn_leave_call(c);
}

static void conn_serve_open(struct conn *c)
{
	if (c->pending_end == CONN_END_LIMIT || c->pending_end == CONN_END_TLS)
		conn_end(c, c->pending_end, c->err);
	else
		conn_rx_run(c); /* to its end, if a send has failed */
}

static void conn_serve_connecting(struct conn *c)
{
	if (c->pending_end != CONN_END_NONE)
		conn_end(c, c->pending_end, c->err);
	else if (c->err != 0) /* it failed at once */
		conn_end(c, CONN_END_CONNECT, c->err);
}

void conn_serve(struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_CONNECTING:
		conn_serve_connecting(c);
		return;
	case CONN_OPEN:
		conn_serve_open(c);
		return;
	case CONN_HANDSHAKE:
		if (c->pending_end != CONN_END_NONE)
			conn_end(c, c->pending_end, c->err);
		else
			conn_tls_run(c);
		return;
	case CONN_LEAVING:
		if (!loop_is_uring(c->loop) || !uring_busy(c))
			conn_left(c);
		return;
	case CONN_ENDED:
	case CONN_LINGERING:
	case CONN_AWAY:
	case CONN_DEAD:
		return;
	}
}

/* --- events --- */

void conn_suspect(struct conn *c)
{
	if (c->hup || loop_is_uring(c->loop)) /* which tells a reset by itself */
		return;
	c->suspect = 1;
	if (!wheel_is_armed(&c->timer))
		wheel_add(&c->loop->wheel, &c->timer, c->loop->now_us + CONN_PROBE_US);
}

static int sock_error(const struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof err;

	return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err : errno;
}

static void conn_probe(struct conn *c)
{
	int err = sock_error(c);

	if (err == 0)
		return;
	c->err = err;
	c->hup = true;
	c->sock_drained = false;
	if (c->state == CONN_OPEN)
		conn_rx_run(c);
	else if (c->state == CONN_HANDSHAKE)
		conn_tls_run(c);
}

static void conn_on_timer(void *ctx, struct wheel_timer *t)
{
	struct loop *l = ctx;
	struct conn *c = list_entry(t, struct conn, timer);

	if (c->state == CONN_LINGERING) {
		conn_destroy(c);
	} else if (c->suspect == 1) {
		c->suspect = 2;
		wheel_add(&l->wheel, &c->timer, l->now_us + CONN_PROBE_US);
	} else if (c->suspect == 2) {
		c->suspect = 0;
		conn_probe(c);
	}
}

/* The answer to connect(2). Returns false if there is nothing more to do now. */
static bool conn_connected(struct conn *c)
{
	int err;

	if (c->err != 0) /* failed at once; the ready list tells */
		return false;
	if ((err = sock_error(c)) != 0) {
		conn_end(c, CONN_END_CONNECT, err);
		return false;
	}
	conn_become(c, CONN_OPEN);
	(void)conn_tx_drain(c);
	if (c->ops->on_ready == NULL)
		return true;
	conn_enter_call(c);
	c->ops->on_ready(c->arg);
	return conn_leave_call(c);
}

/* Returns false if the conn is gone. */
static bool conn_after_send(struct conn *c, bool drained)
{
	if (c->state == CONN_LINGERING) {
		if (c->tx_off)
			conn_destroy(c);
		else if (drained)
			conn_close_politely(c);
		return false;
	}
	if (!drained || c->state != CONN_OPEN || c->ops->on_drained == NULL)
		return true;
	conn_enter_call(c);
	c->ops->on_drained(c->arg);
	return conn_leave_call(c);
}

void conn_on_sent(struct conn *c)
{
	c->blocked = c->out_first != NULL;
	(void)conn_after_send(c, !c->blocked && !c->tx_off);
}

void conn_on_event(struct conn *c, int what)
{
	if ((what & (IO_READ | IO_CLOSED)) != 0)
		c->sock_drained = false;
	if ((what & IO_CLOSED) != 0)
		c->hup = true;
	if ((what & IO_ERROR) != 0 && c->err == 0)
		c->err = sock_error(c);
	if (c->state == CONN_CONNECTING && !conn_connected(c))
		return;
	if ((what & IO_WRITE) != 0 && c->blocked && !conn_after_send(c, conn_tx_drain(c)))
		return;
	if (c->state == CONN_OPEN && c->paused && (what & IO_READ) != 0)
		conn_suspect(c);
	if (c->late)
		conn_make_ready(c);
	else if (c->state == CONN_HANDSHAKE)
		conn_tls_run(c);
	else if (c->state == CONN_OPEN)
		conn_rx_run(c);
}

/* --- what the owner sets --- */

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *arg)
{
	c->ops = ops;
	c->arg = arg;
	c->new_owner = true;
	c->hup_told = false;
}

void conn_set_late(struct conn *c, bool late)
{
	c->late = late;
}

void conn_set_limits(struct conn *c, const struct conn_limits *limits)
{
	PANIC_IF(limits->rx_keep_max == 0 || limits->rx_keep_max > BUFPOOL_MAX);
	c->rx_keep_max = (uint32_t)limits->rx_keep_max;
	c->out_max = limits->out_max;
}

void conn_rx_pause(struct conn *c)
{
	c->paused = true;
	if (c->hup && !c->hup_told)
		conn_make_ready(c);
	if (loop_is_uring(c->loop))
		uring_flow_changed(c);
}

/* Is there anything for its owner that no event will tell? */
static bool rx_is_due(const struct conn *c)
{
	return loop_is_uring(c->loop) || c->state != CONN_OPEN || c->rx_len != 0 ||
	       !c->sock_drained || c->tls_more || c->hup || c->ahead != NULL;
}

void conn_rx_resume(struct conn *c)
{
	c->paused = false;
	c->present = true;
	if (rx_is_due(c)) /* what on_data leaves is seen after it: rx_present */
		conn_make_ready(c);
	if (loop_is_uring(c->loop))
		uring_flow_changed(c);
}

bool conn_rx_is_paused(const struct conn *c)
{
	return c->paused;
}

size_t conn_rx_len(const struct conn *c)
{
	return c->rx_len;
}

const uint8_t *conn_rx_data(const struct conn *c)
{
	return c->rx != NULL ? c->rx + c->rx_off : NULL;
}

void conn_consume(struct conn *c, size_t n)
{
	if (!c->in_data) {
		conn_rx_consume(c, n);
		return;
	}
	PANIC_IF(n > UINT32_MAX - c->rx_done);
	c->rx_done += (uint32_t)n;
}
