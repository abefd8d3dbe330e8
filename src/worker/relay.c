#include "worker/relay.h"

#include <string.h>

#include "conf/effective.h"
#include "proto/backend.h"
#include "proto/frame.h"
#include "proto/reply.h"
#include "proto/report.h"
#include "proto/tag.h"
#include "worker/effects.h"
#include "worker/entry.h"
#include "worker/forward.h"
#include "worker/hidden.h"
#include "worker/hold.h"
#include "worker/loss.h"
#include "worker/notify.h"
#include "worker/pass.h"
#include "worker/prepared.h"
#include "worker/queries.h"
#include "worker/reported.h"
#include "worker/server_clean.h"
#include "worker/server_error.h"
#include "worker/sqlstmt.h"
#include "worker/unit_end.h"
#include "worker/walk.h"

/* --- owed entries of ours --- */

/* Answer in the server's place what stands at the head, up to the first that the server answers. */
static void answer_synthetic(struct worker *w, struct server *s)
{
	struct owed_entry *head;
	uint8_t buf[8];

	while ((head = owed_head(&s->owed)) != NULL && head->who == OWED_SYNTH) {
		struct owed_entry e = owed_pop(&s->owed);
		struct wr out = wr_of(buf, sizeof buf);

		if (e.kind == OWED_PARSE)
			reply_put_parse_complete(&out);
		else
			reply_put_close_complete(&out);
		if (s->client != NULL && !s->client->busy->confirming) {
			pass_own(w, s->client, &out);
			sqlstmt_large_gone(w, s->client);
		}
		entry_done(w, e);
	}
}

void relay_answer_synthetic(struct worker *w, struct client *c)
{
	answer_synthetic(w, c->server);
	conn_flush(c->conn);
}

/* --- messages that matter --- */

static void command_completed(struct walk *k, const struct frame *f)
{
	struct owed_entry *head = owed_head(&k->s->owed);
	struct client *c = k->s->client;
	const char *tag;
	bool was_due;

	if (head != NULL && head->query != 0) {
		struct rd body = frame_body(k->data + k->at, f);

		queries_completed(k->s, head, body.p, body.left);
	}
	if (head == NULL || (head->tag != OWED_TAG_EFFECTS && head->tag != OWED_TAG_RESET))
		return;
	if (backend_read_command_complete(frame_body(k->data + k->at, f), &tag) != OK)
		tag = "";
	if (head->tag == OWED_TAG_RESET) {
		server_clean_told(k->s, tag);
		return;
	}
	if (c == NULL)
		return;
	was_due = c->busy->rediff;
	effects_complete(k->w, c, k->s, head->ref, tag_read(tag).tag == TAG_ROLLBACK);
	c->busy->tells_login = c->busy->tells_login || (c->busy->rediff && !was_due);
}

/* A RESET stands, as far as the unit goes: ReadyForQuery is next. */
static COLD void tell_login(struct walk *k, struct client *c)
{
	c->busy->tells_login = false;
	if (c->busy->unit_error)
		return;
	walk_pass(k);
	reported_put_login(k->w, c);
}

/* The client has sent a Flush, not a Sync: after an error it goes on with its Sync. */
static void flush_ready(struct walk *k, const struct frame *f)
{
	struct client *c = k->s->client;

	walk_skip(k, f->total);
	if (c == NULL)
		return;
	c->busy->flushed = false;
	c->busy->skip_to_sync = c->busy->unit_error;
}

static void ready_came(struct walk *k, const struct frame *f)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	struct owed_entry e;
	uint8_t status;

	if (backend_read_ready(frame_body(k->data + k->at, f), &status) != OK) {
		server_close(w, s, SERVER_END_PROTOCOL);
		return;
	}
	s->txn_status = status;
	e = owed_pop(&s->owed);
	if (e.query != 0 && e.kind == OWED_QUERY)
		queries_ended(w, s, &e);
	if (e.who == OWED_HIDDEN) {
		walk_skip(k, f->total);
		hidden_ready(w, s, e);
		return;
	}
	if (e.tag != OWED_TAG_FLUSH && s->client != NULL && s->client->busy->tells_login)
		tell_login(k, s->client);
	if (e.tag == OWED_TAG_FLUSH)
		flush_ready(k, f);
	else
		k->at += f->total;
	if (s->client == NULL) {
		walk_drop(k);
		if (s->pool->outstanding != 0)
			s->pool->outstanding--;
		entry_done(w, e);
		loss_drained(w, s);
		return;
	}
	entry_done(w, e);
	pass_ends(s->client);
	walk_pass(k);
	unit_end(k->w, k->s, e, (char)status);
}

static bool is_inspected(const struct server *s, uint8_t type, uint32_t total)
{
	const struct owed_entry *head = owed_head(&s->owed);

	if (type == BACKEND_DATA_ROW && head != NULL && head->tag == OWED_TAG_FOUND)
		return total <= RELAY_INSPECT_MAX;
	return type != BACKEND_DATA_ROW && type != BACKEND_COPY_DATA &&
	       type != BACKEND_FUNCTION_CALL_RESPONSE;
}

/* A transaction is over, its ReadyForQuery still to be passed on. */
static void put_notifications(struct walk *k, struct client *c)
{
	walk_pass(k);
	pass_held(k->w, c);
	if (c->busy->unit_error)
		notify_rollback(k->w, c);
	else
		notify_commit(k->w, c);
	notify_put_waiting(k->w, c);
}

/*
 * ReadyForQuery of a client that listens or has notified. If it ends a transaction it stays unread
 * as long as notifications of that transaction may be on their way; then they go ahead of it.
 */
static COLD bool ready_waits(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	struct client *c = s->client;
	const struct owed_entry *head;
	uint8_t status;

	walk_pass(k);
	answer_synthetic(k->w, s); /* what stands ahead of it */
	head = owed_head(&s->owed);
	if (head == NULL || head->who != OWED_CLIENT || c->state != CLIENT_ACTIVE ||
		backend_read_ready(frame_body(k->data + k->at, f), &status) != OK || status != 'I')
		return false;
	if (notify_ready_waits(k->w, c)) {
		conn_rx_pause(s->conn);
		return true;
	}
	if (c->listening != NULL)
		put_notifications(k, c);
	return false;
}

static bool hears(const struct client *c)
{
	return c != NULL && (c->listening != NULL || c->busy->txn_notifies);
}

/* The client listens by the shared connection; what its server says of the same is dropped. */
static bool is_doubled(struct walk *k, const struct frame *f)
{
	struct msg_notification m;

	return f->type == BACKEND_NOTIFICATION_RESPONSE && k->s->client != NULL &&
	       k->s->client->listening != NULL &&
	       backend_read_notification(frame_body(k->data + k->at, f), &m) == OK &&
	       notify_owns(k->s->client, m.channel);
}

/*
 * Of a server that listens for its client alone: the backend's number becomes the one that the
 * notifier's client knows. The head is ours then, the rest goes on as it is.
 */
static void put_notifier(struct walk *k, const struct frame *f)
{
	uint8_t head[FRAME_HEAD_LEN + 4];
	struct wr out = wr_of(head, sizeof head);
	struct msg_notification m;
	uint32_t pid;

	if (backend_read_notification(frame_body(k->data + k->at, f), &m) != OK)
		return;
	pid = backends_get(&k->w->sh->backends, k->s->pool->node, m.pid);
	if (pid == 0)
		return; /* nobody's of ours */
	walk_pass(k);
	wr_bytes(&out, k->data + k->at, FRAME_HEAD_LEN);
	wr_u32(&out, pid);
	pass_own(k->w, k->s->client, &out);
	k->run = k->at + sizeof head;
}

/* A description that tells something. False: the client has left, its unit runs elsewhere. */
static COLD bool described(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	struct owed_entry *e = owed_head(&s->owed);

	if (prepared_told(
		    k->w, s, e, f->type == BACKEND_ROW_DESCRIPTION, frame_body(k->data + k->at, f)))
		return true;
	walk_drop(k);
	loss_of_read(k->w, s->client, SQLSTATE_FEATURE_NOT_SUPPORTED);
	(void)owed_pop(&s->owed);
	walk_skip(k, f->total);
	return false;
}

/* A message that is complete, or need not be. Returns false if the walk is over. */
static bool message_came(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	size_t there = frame_part(f->total, k->len - k->at);
	enum owed_step step;
	bool ends;

	if (f->type != BACKEND_NOTICE_RESPONSE && f->type != BACKEND_NOTIFICATION_RESPONSE &&
		owed_head(&s->owed) != NULL && owed_head(&s->owed)->who == OWED_SYNTH) {
		walk_pass(k);
		answer_synthetic(k->w, s);
	}
	if (f->type == BACKEND_ERROR_RESPONSE && there == f->total) {
		if (server_error_waits(k, f))
			return false;
		server_error_came(k, f);
		return s->state != SERVER_CLOSED;
	}
	step = owed_on_reply(&s->owed, (char)f->type, &ends);
	if (step == OWED_BAD) {
		server_close(k->w, s, SERVER_END_PROTOCOL);
		return false;
	}
	if (f->type == BACKEND_READY_FOR_QUERY) {
		ready_came(k, f);
		return s->state != SERVER_CLOSED;
	}
	if (f->type == BACKEND_PARAMETER_STATUS) {
		reported_came(k, f, step);
		return s->state != SERVER_CLOSED;
	}
	if (f->type == BACKEND_COPY_IN_RESPONSE && s->client != NULL && s->client->busy->stalled)
		conn_rx_resume(s->client->conn); /* its data may go now */
	if (f->type == BACKEND_COPY_IN_RESPONSE && s->client == NULL) {
		loss_copy_begins(k->w, s);
		if (s->state == SERVER_CLOSED)
			return false;
	}
	if (f->type == BACKEND_DATA_ROW && step == OWED_DROP)
		hidden_row(k->w, s,
			there == f->total ? frame_body(k->data + k->at, f) : rd_of(NULL, 0));
	if (f->type == BACKEND_PORTAL_SUSPENDED && s->client != NULL && ends &&
		owed_head(&s->owed)->tag == OWED_TAG_EFFECTS)
		effects_unsure(k->w, s->client, owed_head(&s->owed)->ref, true);
	if (f->type == BACKEND_COMMAND_COMPLETE)
		command_completed(k, f);
	if (ends && owed_head(&s->owed)->tag == OWED_TAG_SHAPE && !described(k, f))
		return true;
	if (step == OWED_DROP || s->client == NULL || (there == f->total && is_doubled(k, f)))
		walk_skip(k, there);
	else {
		if (f->type == BACKEND_NOTIFICATION_RESPONSE)
			put_notifier(k, f);
		k->at += there;
	}
	s->body_left = (uint32_t)(f->total - there);
	s->body_passed = step == OWED_PASS && s->client != NULL;
	if (ends)
		entry_done(k->w, owed_pop(&s->owed));
	return true;
}

static void body_goes_on(struct walk *k)
{
	struct server *s = k->s;
	size_t n = frame_part(s->body_left, k->len - k->at);

	s->body_left -= (uint32_t)n;
	if (s->body_passed && s->client != NULL)
		k->at += n;
	else
		walk_skip(k, n);
}

static void too_large(struct walk *k)
{
	struct report r = report_of("FATAL", SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
		"a message of the server is larger than max_packet_size");

	walk_pass(k);
	server_keep_error(k->s, r.sqlstate, r.message); /* what loss_of_server tells the client */
	server_close(k->w, k->s, SERVER_END_PROTOCOL);
}

static bool walk_on(struct walk *k)
{
	struct server *s = k->s;
	struct frame f;
	enum status st;

	if (s->body_left != 0) {
		body_goes_on(k);
		return true;
	}
	if (s->client != NULL)
		k->at += owed_pass_run(&s->owed, k->data + k->at, k->len - k->at, k->len_max);
	st = frame_peek(k->data + k->at, k->len - k->at, k->len_max, &f);
	if (st == E_AGAIN)
		return false;
	if (st == E_LIMIT && k->len_max != FRAME_LEN_MAX) {
		too_large(k);
		return false;
	}
	if (st == OK && !frame_is_complete(&f, k->len - k->at) &&
		is_inspected(s, f.type, f.total)) {
		if (f.total <= RELAY_INSPECT_MAX)
			return false;
		if (f.type != BACKEND_ERROR_RESPONSE && f.type != BACKEND_NOTICE_RESPONSE)
			st = E_LIMIT;
	}
	if (st != OK || backend_flags[f.type] == 0) {
		server_close(k->w, s, SERVER_END_PROTOCOL);
		return false;
	}
	if (f.type == BACKEND_READY_FOR_QUERY && hears(s->client) && ready_waits(k, &f))
		return false;
	return message_came(k, &f);
}

static void end_of_chunk(struct walk *k)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	struct client *c;

	walk_pass(k);
	c = s->client;
	if (c == NULL || c->conn == NULL)
		return;
	if (c->busy->holding && c->busy->hold != NULL &&
		hold_keep(c->busy->hold, loop_bufpool(w->loop)) != OK) {
		pass_no_memory(w, c);
		return;
	}
	conn_flush(c->conn);
	client_count_bytes(c);
	if (conn_out_len(c->conn) > w->conf->relay_buffer)
		conn_rx_pause(s->conn);
	if (c->busy->stalled && c->busy->streaming && s->owed.n <= OWED_MAX / 4)
		conn_rx_resume(c->conn); /* it was far ahead */
}

size_t relay_server_data(struct worker *w, struct server *s, const uint8_t *data, size_t len)
{
	struct walk k = {
		.w = w, .s = s, .data = data, .len = len, .len_max = conf_message_len_max(w->conf)};

	while (k.at < len && walk_on(&k))
		;
	if (s->state == SERVER_CLOSED)
		return len;
	end_of_chunk(&k);
	return k.at;
}

/* --- back-pressure --- */

void relay_client_drained(struct worker *w, struct client *c)
{
	(void)w;
	if (conn_rx_is_paused(c->server->conn))
		conn_rx_resume(c->server->conn);
}

void relay_server_drained(struct worker *w, struct server *s)
{
	(void)w;
	if (conn_rx_is_paused(s->client->conn))
		conn_rx_resume(s->client->conn);
}

void relay_press_client(struct worker *w, struct client *c)
{
	if (c->server != NULL && conn_out_len(c->server->conn) > w->conf->relay_buffer)
		conn_rx_pause(c->conn);
}
