/* conn_tls - a conn whose bytes go through a TLS stream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "net/engine.h"
#include "net/tls.h"

/* --- the stream's transport --- */

/* recv(2) that asks the kernel only when there may be something. */
static ssize_t transport_recv(void *arg, void *buf, size_t len)
{
	struct conn *c = arg;
	ssize_t n = -1;

	errno = EAGAIN;
	if (!c->sock_drained)
		n = conn_recv(c, buf, len);
	if (n < 0 && errno == EAGAIN && c->hup && conn_is_read_out(c))
		return 0;
	return n;
}

static void wire_flush(struct conn *c)
{
	struct loop *l = c->loop;
	struct iovec iov = {.iov_base = l->wire, .iov_len = l->wire_len};

	if (l->wire_len == 0)
		return;
	l->wire_len = 0;
	conn_tx_send(c, &iov, 1, iov.iov_len);
}

/* Gather records, so that a flush is one system call. */
static bool transport_send(void *arg, const void *p, size_t len)
{
	struct conn *c = arg;
	struct loop *l = c->loop;
	const uint8_t *from = p;

	while (len != 0 && !c->tx_off) {
		size_t room = LOOP_WIRE_LEN - l->wire_len;
		size_t n = len < room ? len : room;

		memcpy(l->wire + l->wire_len, from, n);
		l->wire_len += n;
		from += n;
		len -= n;
		if (l->wire_len == LOOP_WIRE_LEN)
			wire_flush(c);
	}
	if (!c->tx_off)
		return true;
	errno = EPIPE;
	return false;
}

/* --- the handshake --- */

static enum status tls_begin(struct conn *c, struct tls_ctx *ctx, const char *name)
{
	const struct tls_io io = {.recv = transport_recv, .send = transport_send, .arg = c};
	enum status st;

	conn_flush(c);
	if (c->tls != NULL || c->state != CONN_OPEN || (!c->in_data && c->rx_len != 0))
		return E_PROTO;
	if ((st = loop_need_wire(c->loop)) != OK)
		return st;
	if ((st = tls_new(ctx, name, &io, &c->tls)) != OK)
		return st;
	conn_become(c, CONN_HANDSHAKE);
	conn_make_ready(c);
	return OK;
}

enum status conn_tls_accept(struct conn *c, struct tls_ctx *ctx)
{
	return tls_begin(c, ctx, NULL);
}

/* Put bytes back in front of what the socket, or the engine, has. */
static enum status unread(struct conn *c, const uint8_t *p, size_t len)
{
	size_t have = c->ahead != NULL ? c->ahead->end - c->ahead->begin : 0;
	struct ahead *a = malloc(sizeof *a + len + have);

	if (a == NULL)
		return E_NOMEM;
	a->begin = 0;
	a->end = len + have;
	memcpy(a->bytes, p, len);
	if (have != 0)
		memcpy(a->bytes + len, c->ahead->bytes + c->ahead->begin, have);
	free(c->ahead);
	c->ahead = a;
	c->sock_drained = false;
	c->bytes_in -= len;
	return OK;
}

enum status conn_tls_accept_begun(struct conn *c, struct tls_ctx *ctx, const uint8_t *p, size_t len)
{
	enum status st;

	PANIC_IF(!c->in_data || len == 0);
	if (c->tls != NULL)
		return E_PROTO;
	if ((st = unread(c, p, len)) != OK)
		return st;
	return tls_begin(c, ctx, NULL);
}

enum status conn_tls_connect(struct conn *c, struct tls_ctx *ctx, const char *name)
{
	return tls_begin(c, ctx, name);
}

/* The handshake is done: the stream may have read bytes beyond it. */
static void tls_established(struct conn *c)
{
	conn_become(c, CONN_OPEN);
	c->tls_more = true;
	if (c->ops->on_ready != NULL) {
		conn_enter_call(c);
		c->ops->on_ready(c->arg);
		if (!conn_leave_call(c))
			return;
	}
	if (c->state == CONN_OPEN)
		conn_rx_run(c);
}

void conn_tls_run(struct conn *c)
{
	enum tls_result r;
	int err;

	if (c->stuffed) {
		conn_end(c, CONN_END_TLS, 0);
		return;
	}
	if (c->loop->batch != NULL)
		batch_send(c->loop->batch); /* this may take a millisecond */
	r = tls_handshake(c->tls);
	err = errno;
	wire_flush(c);
	switch (r) {
	case TLS_DONE:
		tls_established(c);
		return;
	case TLS_AGAIN:
		return;
	case TLS_EOF:
		conn_end(c, c->err != 0 ? CONN_END_RESET : CONN_END_EOF, c->err);
		return;
	case TLS_LOST:
		conn_end(c, CONN_END_RESET, c->err != 0 ? c->err : err);
		return;
	case TLS_ERROR:
		conn_end(c, CONN_END_TLS, 0);
		return;
	}
}

/* --- payload --- */

static bool may_hold_more(const struct conn *c)
{
	return !c->sock_drained || tls_has_more(c->tls);
}

enum status conn_tls_read(struct conn *c, uint8_t *buf, size_t cap, size_t *n)
{
	enum tls_result r;
	size_t got;
	int err;

	*n = 0;
	while ((r = tls_read(c->tls, buf + *n, cap - *n, &got)) == TLS_DONE && (*n += got) < cap &&
		may_hold_more(c))
		;
	err = errno;
	if (r == TLS_DONE && *n < cap)
		r = TLS_AGAIN; /* one more call would say so, and find out nothing else */
	c->tls_more = r == TLS_DONE;
	wire_flush(c); /* an alert, or the answer to a key update */
	errno = err;
	switch (r) {
	case TLS_DONE:
		return OK;
	case TLS_AGAIN:
		return E_AGAIN;
	case TLS_EOF:
		return E_CLOSED;
	case TLS_LOST:
		return E_IO;
	case TLS_ERROR:
		break;
	}
	return E_PROTO;
}

static bool tls_put(struct conn *c, const uint8_t *p, size_t len)
{
	if (c->tx_off || len == 0)
		return !c->tx_off;
	if (tls_write(c->tls, p, len) == TLS_DONE)
		return true;
	conn_tx_fail(c, CONN_END_TLS, 0);
	return false;
}

/* Small pieces are put together, so that each record but the last is full. */
void conn_tls_write(struct conn *c, const struct iovec *iov, unsigned n_iov)
{
	uint8_t rec[TLS_RECORD_MAX];
	size_t have = 0;

	for (unsigned i = 0; i < n_iov; i++) {
		const uint8_t *p = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left != 0) {
			size_t n = left < sizeof rec - have ? left : sizeof rec - have;

			if (have == 0 && left >= sizeof rec) { /* no need for a copy */
				n = left - left % sizeof rec;
				if (!tls_put(c, p, n))
					return;
			} else {
				memcpy(rec + have, p, n);
				have += n;
			}
			if (have == sizeof rec) {
				if (!tls_put(c, rec, have))
					return;
				have = 0;
			}
			p += n;
			left -= n;
		}
	}
	if (tls_put(c, rec, have))
		wire_flush(c);
}

void conn_tls_goodbye(struct conn *c)
{
	if (c->tx_off || c->state == CONN_ENDED)
		return;
	tls_close_notify(c->tls);
	wire_flush(c);
}
