/* conn_tx - the sending half of conn: gathering, one system call a flush, and what is left over. */
#include <errno.h>
#include <string.h>

#include "net/conn.h"
#include "net/engine.h"
#include "net/uring.h"

_Static_assert(OUT_PIECE_MAX <= BUFPOOL_MAX, "a piece is one pool buffer");

#define OUT_SMALL (BUFPOOL_MIN - sizeof(struct out_buf)) /* bytes in the smallest buffer */

/* --- what waits --- */

static void out_pop(struct conn *c)
{
	struct out_buf *b = c->out_first;

	c->out_first = b->next;
	if (c->out_first == NULL)
		c->out_last = NULL;
	bufpool_give(&c->loop->bufs, (uint8_t *)b, b->cap);
}

void conn_tx_drop(struct conn *c)
{
	struct gather *g = &c->loop->gather;

	if (g->conn == c)
		g->conn = NULL;
	if (loop_is_uring(c->loop) && c->out_first != NULL && uring_is_sending(c)) {
		uring_hold(c, c->out_first);
		c->out_first = NULL;
		c->out_last = NULL;
	}
	while (c->out_first != NULL)
		out_pop(c);
	c->out_len = 0;
	c->tx_off = true;
}

void conn_tx_let_go(struct loop *l, struct out_buf *b)
{
	while (b != NULL) {
		struct out_buf *next = b->next;

		bufpool_give(&l->bufs, (uint8_t *)b, b->cap);
		b = next;
	}
}

void conn_tx_fail(struct conn *c, enum conn_end why, int err)
{
	conn_tx_drop(c);
	if (c->pending_end != CONN_END_NONE || c->state == CONN_ENDED)
		return;
	c->pending_end = (uint8_t)why;
	c->err = err;
	if (why == CONN_END_RESET) { /* what the peer sent before is read to its end */
		c->hup = true;
		c->sock_drained = false;
		if (loop_is_uring(c->loop)) /* the receive that is asked for finds its end */
			(void)shutdown(c->fd, SHUT_RD);
	}
	conn_make_ready(c);
}

static struct out_buf *out_grow(struct conn *c, size_t len)
{
	size_t want = len < OUT_PIECE_MAX - sizeof(struct out_buf) ? len + sizeof(struct out_buf)
								   : OUT_PIECE_MAX;
	size_t cap;
	struct out_buf *b = (void *)bufpool_take(&c->loop->bufs, want, &cap);

	if (b == NULL)
		return NULL;
	b->next = NULL;
	b->cap = (uint32_t)cap;
	b->begin = sizeof *b;
	b->end = sizeof *b;
	if (c->out_last != NULL)
		c->out_last->next = b;
	else
		c->out_first = b;
	c->out_last = b;
	return b;
}

static bool out_append(struct conn *c, const uint8_t *p, size_t len)
{
	while (len != 0) {
		struct out_buf *b = c->out_last;
		size_t n;

		if ((b == NULL || b->end == b->cap) && (b = out_grow(c, len)) == NULL)
			return false;
		n = len < b->cap - b->end ? len : b->cap - b->end;
		memcpy((uint8_t *)b + b->end, p, n);
		b->end += (uint32_t)n;
		c->out_len += (uint32_t)n;
		p += n;
		len -= n;
	}
	return true;
}

/* Queue all but the first `skip` bytes of the pieces. */
static void out_queue(
	struct conn *c, const struct iovec *iov, unsigned n_iov, size_t len, size_t skip)
{
	if (len - skip > c->out_max - (c->out_len < c->out_max ? c->out_len : c->out_max)) {
		conn_tx_fail(c, CONN_END_LIMIT, 0);
		return;
	}
	for (unsigned i = 0; i < n_iov; i++) {
		const uint8_t *p = iov[i].iov_base;
		size_t n = iov[i].iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		if (!out_append(c, p + skip, n - skip)) {
			conn_tx_fail(c, CONN_END_LIMIT, 0);
			return;
		}
		skip = 0;
	}
}

/* --- the socket --- */

/* So many of `len` bytes were taken. */
static void tx_note_taken(struct conn *c, size_t n, size_t len)
{
	c->blocked = n < len;
	if (c->blocked && !loop_io_ask_out(c))
		conn_tx_fail(c, CONN_END_LIMIT, errno);
}

/*
 * One system call. Returns bytes taken; fewer than `len` means that the socket is full, and a WRITE
 * edge will tell when it is not. An error ends the sending half.
 */
static size_t tx_write(struct conn *c, struct iovec *iov, unsigned n_iov, size_t len)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
	ssize_t n;

	do {
		n = n_iov == 1 ? send(c->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
			       : sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		conn_tx_fail(c, CONN_END_RESET, errno);
		return 0;
	}
	if (n > 0)
		c->suspect = 0; /* a reset socket would not have taken it */
	else
		n = 0;
	tx_note_taken(c, (size_t)n, len);
	return (size_t)n;
}

/* The usual case of out_queue: nothing waits, and it fits the smallest buffer. */
static void out_start(struct conn *c, const struct iovec *iov, unsigned n_iov, size_t len)
{
	struct out_buf *b = out_grow(c, len);
	uint8_t *to;

	if (b == NULL) {
		conn_tx_fail(c, CONN_END_LIMIT, 0);
		return;
	}
	to = (uint8_t *)b + b->begin;
	for (unsigned i = 0; i < n_iov; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	b->end += (uint32_t)len;
	c->out_len = (uint32_t)len;
}

/* Little is copied, and goes with the output of all conns when the kernel is entered. */
static void tx_send_uring(struct conn *c, struct iovec *iov, unsigned n_iov, size_t len)
{
	size_t sent = 0;

	if (c->out_first == NULL && len <= OUT_SMALL && len <= c->out_max) {
		out_start(c, iov, n_iov, len);
		uring_later(c);
		return;
	}
	if (c->out_len + len > URING_COPY_MAX) {
		conn_tx_push(c);
		if (!c->blocked && !c->tx_off)
			sent = tx_write(c, iov, n_iov, len);
	}
	if (sent < len && !c->tx_off)
		out_queue(c, iov, n_iov, len, sent);
	uring_later(c);
}

static void tx_send_now(struct conn *c, struct iovec *iov, unsigned n_iov, size_t len)
{
	size_t sent = 0;

	if (!c->blocked)
		sent = tx_write(c, iov, n_iov, len);
	if (sent < len && !c->tx_off)
		out_queue(c, iov, n_iov, len, sent);
}

/* A turn of epoll that has brought more than one event: little is copied, and goes with the rest.
 */
static void tx_send_batched(struct conn *c, struct iovec *iov, unsigned n_iov, size_t len)
{
	struct batch *b = c->loop->batch;

	if (batch_has_room(b, c, len)) {
		batch_add(b, c, iov, n_iov, len);
		return;
	}
	batch_send(b);
	if (c->tx_off)
		return;
	if (!c->blocked && batch_has_room(b, c, len))
		batch_add(b, c, iov, n_iov, len);
	else
		tx_send_now(c, iov, n_iov, len);
}

void conn_tx_send(struct conn *c, struct iovec *iov, unsigned n_iov, size_t len)
{
	const struct loop *l = c->loop;

	if (c->tx_off)
		return;
	if (loop_is_uring(l))
		tx_send_uring(c, iov, n_iov, len);
	else if (l->n_events > 1 && l->batch != NULL && !c->blocked)
		tx_send_batched(c, iov, n_iov, len);
	else
		tx_send_now(c, iov, n_iov, len);
}

void conn_tx_tried(struct conn *c, uint8_t *p, size_t len, int64_t taken)
{
	struct iovec iov = {.iov_base = p, .iov_len = len};

	if (c->tx_off)
		return;
	if (taken < 0 && taken != -EAGAIN) {
		conn_tx_fail(c, CONN_END_RESET, (int)-taken);
		return;
	}
	if (taken > 0)
		c->suspect = 0;
	else
		taken = 0;
	tx_note_taken(c, (size_t)taken, len);
	if (c->blocked && !c->tx_off)
		out_queue(c, &iov, 1, len, (size_t)taken);
}

static void out_advance(struct conn *c, size_t n)
{
	if (n == c->out_len && c->out_first == c->out_last && n != 0) {
		c->out_len = 0;
		out_pop(c);
		return;
	}
	c->out_len -= (uint32_t)n;
	while (n != 0) {
		struct out_buf *b = c->out_first;
		size_t here = b->end - b->begin;

		if (n < here) {
			b->begin += (uint32_t)n;
			return;
		}
		n -= here;
		out_pop(c);
	}
}

bool conn_tx_drain(struct conn *c)
{
	bool waited = c->out_first != NULL;

	c->blocked = false;
	while (c->out_first != NULL && !c->blocked) {
		struct iovec iov[OUT_IOV_MAX];
		unsigned n_iov = 0;
		size_t len = 0;

		for (struct out_buf *b = c->out_first; b != NULL && n_iov < OUT_IOV_MAX;
			b = b->next) {
			iov[n_iov].iov_base = (uint8_t *)b + b->begin;
			iov[n_iov].iov_len = b->end - b->begin;
			len += iov[n_iov++].iov_len;
		}
		len = tx_write(c, iov, n_iov, len);
		if (c->tx_off)
			return false;
		out_advance(c, len);
	}
	return waited && c->out_first == NULL;
}

void conn_tx_push(struct conn *c)
{
	if (c->batched)
		batch_send(c->loop->batch);
	if (c->loop != NULL && loop_is_uring(c->loop) && !c->blocked && c->out_first != NULL)
		(void)conn_tx_drain(c);
}

void conn_tx_sent(struct conn *c, size_t n, int err)
{
	out_advance(c, n);
	if (err != 0)
		conn_tx_fail(c, CONN_END_RESET, err);
}

/* --- gathering --- */

static bool tx_is_open(const struct conn *c)
{
	return !c->tx_off &&
	       (c->state == CONN_OPEN || c->state == CONN_CONNECTING || c->state == CONN_ENDED);
}

/* The loop's gather, holding nothing or bytes of `c`, with room for one more piece. */
static struct gather *gather_for(struct conn *c)
{
	struct gather *g = &c->loop->gather;

	if (g->conn != NULL && (g->conn != c || g->n_iov == CONN_GATHER_PIECES))
		conn_flush(g->conn);
	if (g->conn == NULL) {
		g->conn = c;
		g->len = 0;
		g->copy_len = 0;
		g->n_iov = 0;
	}
	return g;
}

void conn_put(struct conn *c, const void *p, size_t len)
{
	struct gather *g = &c->loop->gather;
	struct iovec *last = g->n_iov != 0 ? &g->iov[g->n_iov - 1] : NULL;

	/* Messages of one unit follow each other where they were received. */
	if (g->conn == c && last != NULL && (uint8_t *)last->iov_base + last->iov_len == p) {
		last->iov_len += len;
		g->len += len;
		return;
	}
	if (len == 0 || !tx_is_open(c))
		return;
	g = gather_for(c);
	g->iov[g->n_iov].iov_base = (void *)(uintptr_t)p; /* only read from */
	g->iov[g->n_iov++].iov_len = len;
	g->len += len;
}

static void put_copied(struct conn *c, const uint8_t *p, size_t len)
{
	struct gather *g = gather_for(c);
	uint8_t *at = g->copy + g->copy_len;
	struct iovec *last = g->n_iov != 0 ? &g->iov[g->n_iov - 1] : NULL;

	memcpy(at, p, len);
	g->copy_len += len;
	if (last == NULL || (uint8_t *)last->iov_base + last->iov_len != at) {
		conn_put(c, at, len);
		return;
	}
	last->iov_len += len;
	g->len += len;
}

void conn_put_copy(struct conn *c, const void *p, size_t len)
{
	const uint8_t *from = p;

	while (len != 0 && tx_is_open(c)) {
		struct gather *g = gather_for(c);
		size_t room = sizeof g->copy - g->copy_len;
		size_t n = len < room ? len : room;

		if (n == 0) {
			conn_flush(c);
			continue;
		}
		put_copied(c, from, n);
		from += n;
		len -= n;
	}
}

void conn_flush(struct conn *c)
{
	struct gather *g = &c->loop->gather;

	if (g->conn != c)
		return;
	g->conn = NULL;
	c->bytes_out += g->len;
	if (c->tls != NULL)
		conn_tls_write(c, g->iov, g->n_iov);
	else
		conn_tx_send(c, g->iov, g->n_iov, g->len);
}

size_t conn_out_len(const struct conn *c)
{
	const struct gather *g = c->loop != NULL ? &c->loop->gather : NULL;

	/* until the kernel is entered, what it will be given counts as sent */
	size_t waits = c->loop != NULL && loop_is_uring(c->loop) && !c->blocked ? 0 : c->out_len;

	return waits + (g != NULL && g->conn == c ? g->len : 0);
}
