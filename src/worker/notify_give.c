#include "worker/notify_own.h"

#include <stdlib.h>
#include <string.h>

#include "proto/backend.h"
#include "proto/frame.h"
#include "worker/server.h"

/* Is it between transactions, and nothing of an answer half said? */
static bool is_between(const struct client *c)
{
	const struct server *s = c->server;

	if (c->txn != TXN_NONE || c->busy->streaming || c->busy->skip_to_sync || c->busy->feeding)
		return false;
	return c->state == CLIENT_IDLE || (c->state == CLIENT_ACTIVE && server_is_quiet(s) &&
						  s->txn_status == 'I' && s->body_left == 0);
}

static void overflow(struct worker *w, struct client *c)
{
	struct report r = report_of("FATAL", SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED,
		"too many notifications wait for this client");

	r.hint = "It stays in a transaction or does not read, and more than notify_queue waits; "
		 "connect again, and LISTEN again.";
	atomic_fetch_add_explicit(&w->sh->notify.overflows, 1, memory_order_relaxed);
	client_fatal(w, c, &r, CLIENT_END_LIMIT);
}

static bool queue_put(struct listening *l, const uint8_t *p, size_t len)
{
	size_t cap = l->queue_cap != 0 ? l->queue_cap : 512;
	uint8_t *q;

	while (cap < l->queue_len + len)
		cap *= 2;
	if (cap != l->queue_cap) {
		q = realloc(l->queue, cap);
		if (q == NULL)
			return false;
		l->queue = q;
		l->queue_cap = cap;
	}
	memcpy(l->queue + l->queue_len, p, len);
	l->queue_len += len;
	return true;
}

static bool is_heard(const struct client *c, const uint8_t *p, const struct frame *f)
{
	struct msg_notification m;
	const struct sub *s;

	if (f->type != BACKEND_NOTIFICATION_RESPONSE ||
		backend_read_notification(frame_body(p, f), &m) != OK)
		return true;
	s = notify_sub_find(c, m.channel);
	return s != NULL && s->is_on;
}

/* What came before an UNLISTEN, and one's own of what one does not listen to, is not told. */
static void drop_unheard(struct client *c)
{
	struct listening *l = c->listening;
	size_t to = 0;
	struct frame f;

	for (size_t at = 0; at < l->queue_len; at += f.total) {
		PANIC_IF(frame_peek(l->queue + at, l->queue_len - at, FRAME_LEN_MAX, &f) != OK);
		if (!is_heard(c, l->queue + at, &f))
			continue;
		memmove(l->queue + to, l->queue + at, f.total);
		to += f.total;
	}
	l->queue_len = to;
	l->recheck = false;
}

void notify_put_waiting(struct worker *w, struct client *c)
{
	struct listening *l = c->listening;

	(void)w;
	if (l == NULL || l->queue_len == 0)
		return;
	if (l->recheck)
		drop_unheard(c);
	conn_put_copy(c->conn, l->queue, l->queue_len);
	free(l->queue);
	l->queue = NULL;
	l->queue_len = l->queue_cap = 0;
}

static void give(struct worker *w, struct client *c, const uint8_t *p, size_t len)
{
	struct listening *l = c->listening;

	atomic_fetch_add_explicit(&w->sh->notify.delivered, 1, memory_order_relaxed);
	if (l->queue_len + conn_out_len(c->conn) + len > w->conf->notify_queue) {
		overflow(w, c);
		return;
	}
	if (!is_between(c)) {
		if (!queue_put(l, p, len))
			client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	notify_put_waiting(w, c);
	conn_put_copy(c->conn, p, len);
	conn_flush(c->conn);
	client_count_bytes(c);
}

static void give_notice(struct worker *w, struct client *c, const struct report *r)
{
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);

	report_put(&out, 'N', r);
	PANIC_IF(out.bad);
	give(w, c, out.buf, out.len);
}

/* Its text is the database's, and the client reads another: that is said, not garbled. */
static void put_unreadable(struct worker *w, struct client *c)
{
	struct report r = report_of("WARNING", SQLSTATE_UNTRANSLATABLE_CHARACTER,
		"a notification could not be converted to client_encoding");

	r.hint = "SET client_encoding before LISTEN.";
	give_notice(w, c, &r);
}

/*
 * One's own may come before the answer that tells whether one listens by then: that is looked at
 * when the answer's end has come.
 */
void notify_give(struct worker *w, struct sub *s, const struct tell_notified *t)
{
	struct client *c = s->c;

	if (!s->is_on && (t->pid != notify_pid(c) || is_between(c)))
		return;
	if (!s->is_on)
		c->listening->recheck = true;
	if (t->is_ascii || notify_reads_encoding(c))
		give(w, c, t->message, t->len);
	else
		put_unreadable(w, c);
}

void notify_put_lost(struct worker *w, struct client *c)
{
	struct report r = report_of("NOTICE", SQLSTATE_SUCCESSFUL_COMPLETION,
		"notifications may have been missed: the listening connection was lost");

	r.hint = "It listens again; look at what the notifications would have told.";
	give_notice(w, c, &r);
}
