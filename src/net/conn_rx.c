/* conn_rx - the receiving half of conn: from the socket to on_data, and what is kept. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "net/engine.h"
#include "net/uring.h"

/* Where a read goes: `have` kept bytes lie at `at` already, `room` more fit behind them. */
struct rx_place {
	uint8_t *at;
	size_t have;
	size_t room;
	bool shared; /* in the loop's buffer */
};

void conn_rx_release(struct conn *c)
{
	bufpool_give(&c->loop->bufs, c->rx, c->rx_cap);
	c->rx = NULL;
	c->rx_cap = 0;
	c->rx_off = 0;
	c->rx_len = 0;
}

/* Much larger than what it holds: few bytes shall not occupy a megabyte for long. */
static bool rx_is_loose(const struct conn *c, size_t len)
{
	return c->rx_cap > BUFPOOL_MIN && c->rx_cap / CONN_LOOSE >= len;
}

/* Replace what is kept by these bytes, len > 0, which may lie in the kept buffer itself. */
static enum status rx_keep(struct conn *c, const uint8_t *p, size_t len)
{
	uint8_t *buf = NULL;
	size_t cap;

	if (len > c->rx_cap || rx_is_loose(c, len))
		buf = bufpool_take(&c->loop->bufs, len, &cap);
	if (buf != NULL) {
		memcpy(buf, p, len);
		conn_rx_release(c);
		c->rx = buf;
		c->rx_cap = (uint32_t)cap;
	} else if (len <= c->rx_cap) {
		memmove(c->rx, p, len);
	} else {
		return E_NOMEM;
	}
	c->rx_off = 0;
	c->rx_len = (uint32_t)len;
	return OK;
}

void conn_rx_consume(struct conn *c, size_t n)
{
	PANIC_IF(n > c->rx_len);
	c->rx_off += (uint32_t)n;
	c->rx_len -= (uint32_t)n;
	if (c->rx_len == 0)
		conn_rx_release(c);
	else if (n != 0 && rx_is_loose(c, c->rx_len))
		(void)rx_keep(c, c->rx + c->rx_off, c->rx_len); /* without memory it stays loose */
}

enum status conn_unread(struct conn *c, const void *p, size_t len)
{
	PANIC_IF(c->rx_len != 0 || c->in_call);
	return len != 0 ? rx_keep(c, p, len) : OK;
}

/* Make room behind many kept bytes: twice their number is the size to have. */
static enum status rx_grow(struct conn *c)
{
	size_t want = c->rx_len < c->rx_keep_max / 2 ? 2 * (size_t)c->rx_len : c->rx_keep_max;
	size_t cap;
	uint8_t *buf;

	if (c->rx_off + want <= c->rx_cap)
		return OK;
	if (want <= c->rx_cap)
		return rx_keep(c, c->rx + c->rx_off, c->rx_len);
	buf = bufpool_take(&c->loop->bufs, want, &cap);
	if (buf == NULL)
		return E_NOMEM;
	memcpy(buf, c->rx + c->rx_off, c->rx_len);
	bufpool_give(&c->loop->bufs, c->rx, c->rx_cap);
	c->rx = buf;
	c->rx_cap = (uint32_t)cap;
	c->rx_off = 0;
	return OK;
}

/*
 * Choose the place. Never more room than rx_keep_max leaves, so that whatever the owner is not done
 * with can be kept; no room at all still lets one byte tell that there is more.
 */
static enum status rx_place(struct conn *c, struct rx_place *pl)
{
	struct loop *l = c->loop;
	size_t allowed = c->rx_len < c->rx_keep_max ? c->rx_keep_max - c->rx_len : 0;

	pl->have = c->rx_len;
	pl->shared = c->rx_len <= CONN_FOLD_MAX || allowed == 0;
	if (allowed == 0) {
		pl->at = l->rx;
		pl->have = 0;
		pl->room = 1;
		return OK;
	}
	if (pl->shared) {
		if (c->rx_len != 0)
			memcpy(l->rx, c->rx + c->rx_off, c->rx_len);
		pl->at = l->rx;
		pl->room = l->conf.rx_len - c->rx_len;
	} else {
		if (rx_grow(c) != OK)
			return E_NOMEM;
		pl->at = c->rx + c->rx_off;
		pl->room = c->rx_cap - c->rx_off - c->rx_len;
	}
	if (pl->room > allowed)
		pl->room = allowed;
	return OK;
}

static ssize_t ahead_take(struct conn *c, void *buf, size_t len)
{
	struct ahead *a = c->ahead;
	size_t n = a->end - a->begin < len ? a->end - a->begin : len;

	memcpy(buf, a->bytes + a->begin, n);
	a->begin += n;
	if (a->begin == a->end) {
		free(a);
		c->ahead = NULL;
	}
	return (ssize_t)n;
}

ssize_t conn_recv(struct conn *c, void *buf, size_t len)
{
	ssize_t n;

	if (c->ahead != NULL)
		return ahead_take(c, buf, len);
	if (loop_is_uring(c->loop)) {
		n = uring_recv(c, buf, len);
	} else {
		do {
			n = recv(c->fd, buf, len, 0);
		} while (n < 0 && errno == EINTR);
	}
	if (n > 0) {
		c->sock_drained = (size_t)n < len && !(loop_is_uring(c->loop) && uring_is_bulk(c));
		if (c->sock_drained)
			conn_suspect(c);
	} else if (n < 0 && errno == EAGAIN) {
		c->sock_drained = true;
	}
	return n;
}

bool conn_is_read_out(const struct conn *c)
{
	return !loop_is_uring(c->loop) || uring_ended(c);
}

/* As conn_tls_read, from the bare socket. */
static enum status sock_read(struct conn *c, uint8_t *buf, size_t cap, size_t *n)
{
	ssize_t r = conn_recv(c, buf, cap);

	*n = r > 0 ? (size_t)r : 0;
	if (r == 0)
		return E_CLOSED;
	if (r < 0)
		return errno == EAGAIN ? E_AGAIN : E_IO;
	return OK;
}

/*
 * Call on_data with `len` bytes at `p` and keep what it leaves. Returns false if the conn is not to
 * be read any further now: gone, ended, or not this owner's.
 */
static bool rx_present(struct conn *c, const uint8_t *p, size_t len, bool shared)
{
	size_t used;

	c->present = false;
	conn_enter_call(c);
	c->in_data = true;
	c->rx_done = 0;
	used = c->ops->on_data(c->arg, p, len);
	c->in_data = false;
	if (!conn_leave_call(c))
		return false;
	if (c->state != CONN_OPEN && c->state != CONN_HANDSHAKE && c->state != CONN_LEAVING) {
		conn_rx_release(c);
		return false;
	}
	PANIC_IF(used > len || c->rx_done > len - used);
	used = c->new_owner || c->state == CONN_LEAVING ? 0 : used + c->rx_done;
	if (!shared) {
		conn_rx_consume(c, used);
	} else if (used == len) {
		conn_rx_release(c);
	} else if (rx_keep(c, p + used, len - used) != OK) {
		conn_rx_release(c);
		if (c->state == CONN_LEAVING)
			c->pending_end = CONN_END_LIMIT;
		else
			conn_end(c, CONN_END_LIMIT, ENOMEM);
		return false;
	}
	if (c->state == CONN_HANDSHAKE)
		c->stuffed = c->rx_len != 0;
	if (c->new_owner && c->state == CONN_OPEN) {
		c->present = true;
		conn_make_ready(c);
		return false;
	}
	if (c->present && !c->paused && c->rx_len != 0) /* paused and resumed in it */
		conn_make_ready(c);
	return c->state == CONN_OPEN;
}

/* What reading found, after its bytes have been presented. Returns whether to go on. */
static bool rx_verdict(struct conn *c, enum status st)
{
	int err = errno;

	switch (st) {
	case OK:
	case E_AGAIN:
		return true;
	case E_CLOSED:
		conn_end(c, c->err != 0 ? CONN_END_RESET : CONN_END_EOF, c->err);
		return false;
	case E_PROTO:
		conn_end(c, CONN_END_TLS, 0);
		return false;
	default:
		conn_end(c, CONN_END_RESET, c->err != 0 ? c->err : err);
		return false;
	}
}

void conn_rx_lent(struct conn *c, const uint8_t *p, size_t len)
{
	c->bytes_in += len;
	(void)rx_present(c, p, len, true);
}

/* What the engine has received is presented where it lies, if nothing is kept. */
static bool rx_take(struct conn *c, struct rx_place *pl, size_t *n, unsigned *id)
{
	if (!loop_is_uring(c->loop) || c->rx_len != 0 || c->tls != NULL || c->ahead != NULL)
		return false;
	pl->at = (uint8_t *)(uintptr_t)uring_take(c, c->rx_keep_max, n, id); /* only read from */
	pl->have = 0;
	pl->shared = true;
	return pl->at != NULL;
}

/* One read and its on_data; `*budget` shrinks by what came. Returns whether to go on. */
static bool rx_step(struct conn *c, size_t *budget)
{
	struct uring *u = c->loop->uring;
	struct rx_place pl;
	enum status st;
	unsigned id;
	size_t n;
	int err;

	if (rx_take(c, &pl, &n, &id)) {
		bool go_on;

		*budget -= n < *budget ? n : *budget;
		c->bytes_in += n;
		go_on = rx_present(c, pl.at, n, true);
		uring_give_back(u, id);
		return go_on;
	}
	if (rx_place(c, &pl) != OK) {
		conn_end(c, CONN_END_LIMIT, ENOMEM);
		return false;
	}
	if (pl.room > *budget)
		pl.room = *budget;
	st = c->tls != NULL ? conn_tls_read(c, pl.at + pl.have, pl.room, &n)
			    : sock_read(c, pl.at + pl.have, pl.room, &n);
	err = errno;
	if (n != 0) {
		*budget -= n < *budget ? n : *budget;
		c->bytes_in += n;
		if (c->rx_len >= c->rx_keep_max) {
			conn_end(c, CONN_END_LIMIT, 0);
			return false;
		}
		if (!pl.shared)
			c->rx_len += (uint32_t)n;
		if (!rx_present(c, pl.at, pl.have + n, pl.shared))
			return false;
	}
	if (c->paused && st != OK && st != E_AGAIN) {
		c->hup = true; /* the end is found again when reading goes on */
		if (st == E_IO)
			c->err = err;
		return true;
	}
	errno = err;
	return rx_verdict(c, st);
}

/* An owner that has paused hears of a known end: once, or for good if nothing can be sent. */
static void rx_tell_hangup(struct conn *c)
{
	if (!c->hup || !c->paused || c->state != CONN_OPEN)
		return;
	if (c->pending_end != CONN_END_NONE) {
		conn_end(c, c->pending_end, c->err);
		return;
	}
	if (c->hup_told)
		return;
	c->hup_told = true;
	if (c->ops->on_hangup == NULL)
		return;
	conn_enter_call(c);
	c->ops->on_hangup(c->arg);
	conn_leave_call(c);
}

void conn_rx_run(struct conn *c)
{
	size_t budget = c->loop->conf.turn_budget;

	if (c->present && !c->paused && c->state == CONN_OPEN) {
		c->present = false;
		if (c->rx_len != 0 && !rx_present(c, c->rx + c->rx_off, c->rx_len, false))
			return;
	}
	while (c->state == CONN_OPEN && !c->paused) {
		if (c->sock_drained && !c->tls_more) {
			if (c->hup && conn_is_read_out(c))
				rx_verdict(c, E_CLOSED);
			return;
		}
		if (budget == 0) {
			conn_make_ready(c);
			return;
		}
		if (!rx_step(c, &budget))
			return;
	}
	rx_tell_hangup(c);
}
