#include "worker/unit.h"

#include <string.h>

#include "conf/conf.h"
#include "conf/effective.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "worker/advanced.h"
#include "worker/confirm.h"
#include "worker/dispatch.h"
#include "worker/forward.h"
#include "worker/judge.h"
#include "worker/local.h"
#include "worker/moving.h"
#include "worker/notify.h"
#include "worker/ours.h"
#include "worker/pass.h"
#include "worker/relay.h"
#include "worker/sequences.h"
#include "worker/server.h"
#include "worker/signals.h"
#include "worker/waits.h"

#define AHEAD_MAX 16384u /* bytes behind a unit that waits: what came with it, and little more */

/* One call's view of the client's bytes: [0, at) is done with; units begin at at +
 * c->busy->sent_len. */
struct feed {
	struct worker *w;
	struct client *c;
	const uint8_t *data;
	size_t len;
	size_t at;
	const struct feed *outer; /* another client's, in the midst of which this one runs */
};

static const uint8_t *next_byte(const struct feed *fd)
{
	return fd->data + fd->at + fd->c->busy->sent_len;
}

static size_t left(const struct feed *fd)
{
	return fd->len - fd->at - fd->c->busy->sent_len;
}

static COLD void protocol_error(struct feed *fd, const char *message)
{
	struct report r = report_of("FATAL", SQLSTATE_PROTOCOL_VIOLATION, message);

	client_fatal(fd->w, fd->c, &r, CLIENT_END_PROTOCOL);
}

static bool is_over(const struct feed *fd)
{
	return fd->c->state != CLIENT_IDLE && fd->c->state != CLIENT_ACTIVE;
}

static void reset_unit(struct client *c)
{
	c->busy->unit = (struct unit){0};
}

/* What forward could not do leaves server and client in an unknown state. */
static COLD void forward_failed(struct feed *fd, enum status st)
{
	struct report r = report_of("FATAL", SQLSTATE_OUT_OF_MEMORY, "out of memory");
	struct server *s = fd->c->server;

	if (st == E_PROTO) {
		r.sqlstate = SQLSTATE_PROTOCOL_VIOLATION;
		r.message = "malformed message";
	} else if (st == E_LIMIT) {
		r.sqlstate = SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED;
		r.message = "too much in flight, or a name that is too long";
	}
	if (s != NULL)
		s->in_message = true; /* it cannot be used again */
	client_fatal(fd->w, fd->c, &r, CLIENT_END_LIMIT);
}

/* What stands at the front has to wait for the server; relay wakes us. Always false. */
static bool stall(struct client *c)
{
	c->busy->stalled = true;
	return false;
}

/* --- streams --- */

static void body_goes_on(struct feed *fd)
{
	struct client *c = fd->c;
	size_t n = frame_part(c->busy->body_left, left(fd));

	if (!c->busy->body_dropped && c->server != NULL) {
		conn_put(c->server->conn, next_byte(fd), n);
		c->server->in_message = n < c->busy->body_left;
	}
	c->busy->body_left -= (uint32_t)n;
	fd->at += n;
}

/* Drop the message that begins here. */
static void drop_message(struct feed *fd, const struct frame *f)
{
	struct client *c = fd->c;

	c->busy->body_left = f->total;
	c->busy->body_dropped = true;
	body_goes_on(fd);
}

static void stream_ended(struct feed *fd)
{
	struct client *c = fd->c;

	c->busy->streaming = false;
	pins_undo(&c->busy->pins, &fd->w->sh->pins, PIN_UNDO_STREAM_END);
}

/*
 * Does the server owe so much already that the stream has to wait? Then it is asked to send what it
 * has: the client's Flush or Sync may be far behind.
 */
static bool is_far_ahead(struct worker *w, struct client *c)
{
	static const uint8_t flush[] = {FRONTEND_FLUSH, 0, 0, 0, FRAME_LEN_MIN};
	struct server *s = c->server;

	if (s->owed.n <= OWED_MAX / 2) {
		c->busy->asked_to_flush = false;
		return false;
	}
	if (!c->busy->asked_to_flush)
		conn_put_copy(s->conn, flush, sizeof flush);
	c->busy->asked_to_flush = true;
	relay_answer_synthetic(w, c);
	return s->owed.n > OWED_MAX / 2;
}

/* One message of a stream: a series with a Flush, a unit too large to hold, COPY data. */
static bool stream_message(struct feed *fd, const struct frame *f)
{
	struct worker *w = fd->w;
	struct client *c = fd->c;
	size_t used;
	enum status st;

	if (c->busy->checking)
		return stall(c);
	if (f->type == FRONTEND_BIND && frame_is_complete(f, left(fd)) &&
		notify_bind_waits(w, c, frame_body(next_byte(fd), f)))
		return false;
	if (!(frontend_infos[f->type].flags & FRONTEND_IS_COPY) && is_far_ahead(w, c))
		return stall(c);
	st = forward_message(w, c, next_byte(fd), left(fd), &used);
	if (st != OK) {
		forward_failed(fd, st);
		return false;
	}
	if (used == 0 && c->busy->checking)
		return stall(c);
	if (used == 0) {
		c->busy->wants_rest = true;
		return false;
	}
	fd->at += used;
	if (f->type == FRONTEND_FLUSH)
		relay_answer_synthetic(w, c);
	else if (frontend_infos[f->type].flags & FRONTEND_ENDS_UNIT && c->busy->streaming)
		stream_ended(fd);
	return true;
}

/* --- skipping after an error of ours --- */

static bool skip_message(struct feed *fd, const struct frame *f)
{
	struct client *c = fd->c;

	if (f->type == FRONTEND_SYNC) {
		if (!frame_is_complete(f, left(fd)))
			return false;
		c->busy->skip_to_sync = false;
		fd->at += f->total;
		client_put_ready(fd->w, c);
		return true;
	}
	if (f->type == FRONTEND_TERMINATE) {
		client_close(fd->w, c, CLIENT_END_TERMINATE);
		return false;
	}
	drop_message(fd, f);
	return true;
}

/* --- gathering --- */

static bool ends_unit(uint8_t type)
{
	return (frontend_infos[type].flags & FRONTEND_ENDS_UNIT) != 0;
}

/* Something that was sent is not answered yet. */
static bool is_in_flight(const struct client *c)
{
	return c->server != NULL && !owed_is_empty(&c->server->owed);
}

/*
 * COPY data goes to a server that has asked for it, small messages whole: a piece of one that the
 * server does not expect would swallow what comes next.
 */
static bool copy_message(struct feed *fd, const struct frame *f)
{
	struct client *c = fd->c;

	if (is_in_flight(c) && !c->server->owed.in_copy)
		return stall(c);
	if (!is_in_flight(c)) {
		drop_message(fd, f); /* as PostgreSQL does: what is left of a COPY that failed */
		return true;
	}
	if (f->total <= FRONTEND_SMALL_MAX && !frame_is_complete(f, left(fd)))
		return false;
	return stream_message(fd, f);
}

static bool is_between(uint8_t type)
{
	return type == FRONTEND_TERMINATE || frontend_infos[type].flags & FRONTEND_IS_COPY;
}

/* A message between units: Terminate, COPY data. Returns true if it was taken. */
static bool take_between(struct feed *fd, const struct frame *f, bool *go_on)
{
	struct client *c = fd->c;

	*go_on = true;
	if (f->type == FRONTEND_TERMINATE) {
		if (is_in_flight(c)) { /* what was sent before it is answered first */
			*go_on = stall(c);
			return true;
		}
		client_close(fd->w, c, CLIENT_END_TERMINATE);
		*go_on = false;
		return true;
	}
	if (!(frontend_infos[f->type].flags & FRONTEND_IS_COPY))
		return false;
	*go_on = copy_message(fd, f);
	return true;
}

/*
 * A series that only prepares, and ends in a Flush while its Sync is not in sight: outside a
 * transaction nothing of it is lost when the server is let go. A Sync of ours goes in place of the
 * Flush, and what is said of errors up to the client's own Sync is ours, too.
 */
static bool may_flush(const struct client *c)
{
	const struct unit *u = &c->busy->unit;

	return !u->runs && u->len <= UNNAMED_KEEP_MAX && c->txn == TXN_NONE &&
	       c->acc->mode != POOL_MODE_SESSION && !c->replication && !pins_any(&c->busy->pins);
}

static void begin_stream(struct client *c, const struct frame *f)
{
	c->busy->stream_is_query = c->busy->unit.len == 0 && ends_unit(f->type);
	c->busy->unit.cls = SQL_UNKNOWN;
	c->busy->unit.flags = 0;
	c->busy->unit.judged = true;
	c->busy->streaming = true;
}

/* What is held must fit half of the receive buffer: behind it comes the next unit. */
static size_t unit_max(const struct worker *w)
{
	size_t keep = w->client_limits.rx_keep_max / 2;

	return w->conf->max_unit_size < keep ? w->conf->max_unit_size : keep;
}

static bool only_prepares(uint8_t type)
{
	return type == FRONTEND_PARSE || type == FRONTEND_DESCRIBE || type == FRONTEND_CLOSE ||
	       type == FRONTEND_FLUSH || type == FRONTEND_SYNC;
}

/* Look at the next message of the unit. Returns false if more bytes are needed first. */
static bool gather_message(struct feed *fd, const struct frame *f)
{
	struct client *c = fd->c;
	struct unit *u = &c->busy->unit;
	size_t avail = left(fd) - u->len;

	if (u->len + (size_t)f->total > unit_max(fd->w)) {
		begin_stream(c, f);
		return true;
	}
	if (!frame_is_complete(f, avail))
		return false;
	if (f->type == FRONTEND_FLUSH && u->len == 0 && c->busy->sent_len == 0) {
		fd->at += f->total; /* there is nothing to flush */
		return true;
	}
	u->len += f->total;
	u->complete = ends_unit(f->type);
	u->runs = u->runs || !only_prepares(f->type);
	if (f->type == FRONTEND_FLUSH && avail == f->total) { /* it waits for answers now */
		if (may_flush(c))
			u->complete = u->ends_in_flush = true;
		else
			begin_stream(c, f);
	}
	return true;
}

/* Why check_message refuses what it refuses. */
static const char *refusal(const struct feed *fd, enum status st)
{
	switch (st) {
	case E_LIMIT:
		return fd->w->conf->max_packet_size <= FRAME_LEN_MAX
			       ? "message is malformed or larger than max_packet_size"
			       : "invalid message length";
	case E_INVALID:
		return "simple queries are not allowed here (disable_pqexec)";
	default:
		return "invalid frontend message type";
	}
}

/* Of what is not as it has to be: which of it. */
static COLD bool refuse_message(struct feed *fd, const uint8_t *p, size_t avail, struct frame *f)
{
	const struct conf *conf = fd->w->conf;
	enum status st = frame_peek(p, avail, conf_message_len_max(conf), f);

	if (st == E_AGAIN)
		return false;
	if (st == OK && frontend_infos[f->type].len_max == 0)
		st = E_PROTO;
	if (st == OK)
		st = frame_peek(p, avail, frontend_infos[f->type].len_max, f);
	if (st == OK && !(frontend_infos[f->type].flags & (FRONTEND_IN_SESSION | FRONTEND_IN_COPY)))
		st = E_PROTO;
	if (st == OK && f->type == FRONTEND_QUERY && conf->disable_pqexec)
		st = E_INVALID;
	if (is_in_flight(fd->c))
		return stall(fd->c); /* what was sent before it is answered first */
	protocol_error(fd, refusal(fd, st));
	return false;
}

static inline bool check_message(struct feed *fd, const uint8_t *p, size_t avail, struct frame *f)
{
	const struct frontend_info *info = &frontend_infos[*p];
	const struct conf *conf = fd->w->conf;
	uint32_t max = conf_message_len_max(conf);

	if (frame_peek(p, avail, info->len_max < max ? info->len_max : max, f) == OK &&
		info->flags & (FRONTEND_IN_SESSION | FRONTEND_IN_COPY) &&
		!(f->type == FRONTEND_QUERY && conf->disable_pqexec))
		return true;
	return refuse_message(fd, p, avail, f);
}

/* --- sending --- */

/* A plain read that may be lost with its primary, once, and run again: ADR 0024. */
static bool is_lone_read(const struct client *c)
{
	return c->busy->unit.flags & SQLV_REPLICA && c->busy->unit.pins == 0 &&
	       c->txn == TXN_NONE && c->busy->lost_us == 0 && c->acc->n_pools > 1 &&
	       !pins_any(&c->busy->pins) && c->acc->mode != POOL_MODE_SESSION &&
	       (c->busy->unit_retained || owed_is_empty(&c->server->owed));
}

/* A unit that has had no effect is kept until it is answered, so that it can run elsewhere. */
static bool is_retained(const struct client *c)
{
	if (c->busy->moves >= MOVES_REPLICA &&
		(c->busy->moves == MOVES_REPLICA || c->busy->block_answered))
		return moving_retains(c);
	if (c->busy->streaming || c->db->conf == NULL || !c->db->conf->routing ||
		(c->busy->sent_len != 0 && !c->busy->unit_retained))
		return false;
	if (!c->server->in_recovery)
		return is_lone_read(c);
	return !c->busy->block_answered && !c->busy->force_primary &&
	       (c->busy->unit.flags & SQLV_REPLICA || c->busy->block_read_only);
}

/* What follows has effects: what runs ahead of it is kept no longer. */
static void retain_no_more(struct feed *fd)
{
	struct client *c = fd->c;

	fd->at += c->busy->sent_len;
	c->busy->sent_len = 0;
	c->busy->unit_retained = false;
	pass_held(fd->w, c);
}

static void send_unit(struct feed *fd)
{
	struct client *c = fd->c;
	uint32_t n;
	bool retained = is_retained(c);
	enum status st;

	if (!(c->busy->unit.flags & SQLV_REPLICA) && c->busy->moves < MOVES_REPLICA) {
		c->busy->unit_writes = true;
		notify_note_writer(fd->w, c);
	}
	if (c->busy->unit.flags & SQLV_NOTIFY)
		c->busy->txn_notifies = true;
	if (retained) {
		c->busy->holding =
			c->busy->holding || (c->busy->sent_len == 0 && !moving_is_bound(c));
		c->busy->unit_retained = true;
	}
	if (c->txn == TXN_NONE && c->server->owed.n_client == 0)
		c->busy->txn_begun_us = fd->w->now_us;
	c->request_us = fd->w->now_us;
	waits_was_idle(fd->w, c);
	st = forward_unit(fd->w, c, next_byte(fd), &n);
	if (st != OK && st != E_AGAIN) {
		forward_failed(fd, st);
		return;
	}
	dispatch_sent(fd->w, c);
	c->busy->streaming = st == E_AGAIN;
	c->busy->flushed = st == OK && c->busy->unit.ends_in_flush;
	if (retained)
		c->busy->sent_len += n;
	else
		fd->at += n;
	if (retained && c->busy->streaming)
		retain_no_more(fd);
	reset_unit(c);
	relay_press_client(fd->w, c);
	client_watch(fd->w, c);
}

/* Of a client that listens, or is to. */
static COLD bool is_its_turn(struct feed *fd)
{
	struct client *c = fd->c;

	if (c->busy->unit.listens && notify_unit_waits(fd->w, c, next_byte(fd)))
		return false;
	if (c->listening != NULL && is_in_flight(c))
		return stall(c); /* what a unit has notified is told before its own answer */
	return true;
}

/* The unit needed no server. */
static void answered_here(struct feed *fd)
{
	struct client *c = fd->c;

	fd->at += c->busy->unit.len;
	c->request_us = fd->w->now_us;
	reset_unit(c);
	client_watch(fd->w, c);
}

/* A BEGIN at the front of a series, as pgjdbc sends it. */
static bool begins_ahead(struct feed *fd)
{
	struct client *c = fd->c;
	uint32_t len = c->busy->unit.len, n = local_begin_ahead(fd->w, c, next_byte(fd));

	if (n == 0)
		return false;
	fd->at += n;
	c->busy->unit = (struct unit){.len = len - n, .complete = true};
	return true;
}

/* The unit is complete (or begins a stream): judge it, find it a place. False: it waits. */
static bool launch(struct feed *fd)
{
	struct client *c = fd->c;

	if (!c->busy->unit.judged && judge_unit(fd->w, c, next_byte(fd)) != OK) {
		protocol_error(fd, "malformed message");
		return false;
	}
	if ((c->busy->unit.listens || c->listening != NULL) && !c->busy->streaming &&
		!is_its_turn(fd))
		return false;
	if (c->busy->unit.ours && !c->busy->streaming) {
		switch (ours_answer(fd->w, c, next_byte(fd))) {
		case OURS_NOT:
			break;
		case OURS_DONE:
			answered_here(fd);
			return true;
		case OURS_STALL:
			return stall(c);
		case OURS_WAITS:
			return false;
		case OURS_AGAIN:
			c->busy->unit = (struct unit){.len = c->busy->unit.len, .complete = true};
			return true; /* what is left of it is judged anew */
		}
	}
	if (c->busy->unit.signals && !c->busy->streaming && c->txn != TXN_FAILED &&
		c->txn != TXN_FAILED_ALONE && signals_wait(fd->w, c, next_byte(fd)))
		return stall(c);
	if (c->server == NULL && !c->busy->streaming && local_answer(fd->w, c, next_byte(fd))) {
		if (c->state == CLIENT_CLOSED)
			return false;
		answered_here(fd);
		return true;
	}
	if (c->db->moves && c->server == NULL && !c->busy->streaming && begins_ahead(fd))
		return true; /* what is left of it is judged anew */
	if (c->busy->moves >= MOVES_REPLICA && !moving_goes_on(fd->w, c, next_byte(fd)))
		return stall(c);
	if (c->server != NULL && c->busy->unit.flags & SQLV_USES_SEQ && c->busy->unit.runs &&
		!c->busy->streaming && advanced_waits(fd->w, c, next_byte(fd)))
		return stall(c);
	do {
		if (!dispatch_unit(fd->w, c)) /* in line, or behind what its server owes it */
			return c->state == CLIENT_ACTIVE && c->server != NULL && stall(c);
	} while ((c->db->moves || c->busy->moves == MOVES_CHOSEN) &&
		 !moving_begins(fd->w, c, next_byte(fd)));
	if (forward_settings_wait(fd->w, c))
		return stall(c);
	if (c->busy->moves == MOVES_SHADOW)
		moving_shadow(fd->w, c, next_byte(fd));
	if (c->busy->sent_len != 0 && !c->server->in_recovery && !is_retained(c))
		retain_no_more(fd);
	/* not between its messages; and nobody has looked at what it will do */
	if (c->busy->streaming && (forward_prefix(fd->w, c) != OK ||
					  sequences_ahead(fd->w, c, SQLV_USES_SEQ) != OK)) {
		forward_failed(fd, E_NOMEM);
		return false;
	}
	if (c->busy->streaming) { /* its messages go one by one from here on */
		dispatch_sent(fd->w, c);
		sequences_sent(fd->w, c, SQLV_MAY_ADVANCE);
		c->busy->unit_writes = true;
		c->busy->txn_notifies = true; /* for all that is known */
		notify_note_writer(fd->w, c);
		settings_txn_begin(&c->set);
		c->request_us = fd->w->now_us;
		reset_unit(c);
		return true;
	}
	if (c->busy->unit.signals && c->busy->signals != NULL)
		signals_write(fd->w, c, next_byte(fd));
	send_unit(fd);
	return true;
}

static bool step(struct feed *fd)
{
	struct client *c = fd->c;
	struct frame f;
	bool go_on;

	if (c->busy->flushed)
		return stall(c);
	if (c->busy->unit.complete || (c->busy->streaming && c->busy->unit.judged))
		return launch(fd);
	if (!check_message(fd, next_byte(fd) + c->busy->unit.len, left(fd) - c->busy->unit.len, &f))
		return false;
	if (c->busy->drop_next) {
		c->busy->drop_next = false;
		drop_message(fd, &f);
		return true;
	}
	if (c->busy->skip_to_sync)
		return skip_message(fd, &f);
	if (c->busy->streaming)
		return f.type == FRONTEND_TERMINATE ? take_between(fd, &f, &go_on) && go_on
						    : stream_message(fd, &f);
	if (is_between(f.type) && take_between(fd, &f, &go_on))
		return go_on;
	return gather_message(fd, &f);
}

static bool has_more(const struct feed *fd)
{
	const struct client *c = fd->c;

	return left(fd) > c->busy->unit.len || c->busy->unit.complete ||
	       (c->busy->streaming && c->busy->unit.judged);
}

/* Was the unit refused, or chosen anew, while it was being placed? */
static bool looks_again(struct feed *fd)
{
	struct client *c = fd->c;
	bool again = c->busy->look_again || c->busy->refused_len != 0;

	fd->at += c->busy->refused_len;
	c->busy->refused_len = 0;
	c->busy->look_again = false;
	return again;
}

/*
 * So many bytes are kept before reading stops. While a complete unit waits for its turn nothing
 * that comes behind it can help it: a client that sends on and on costs little.
 */
static size_t read_ahead(const struct worker *w, const struct client *c)
{
	return c->busy->unit.complete ? AHEAD_MAX : w->client_limits.rx_keep_max / 2;
}

size_t unit_on_data(struct worker *w, struct client *c, const uint8_t *data, size_t len)
{
	struct feed fd = {.w = w, .c = c, .data = data, .len = len, .outer = w->feed};

	if (!busy_is_lent(c->busy) && busy_begin(w, c) != OK) {
		client_close(w, c, CLIENT_END_MEMORY);
		return len;
	}
	c->busy->stalled = false;
	c->busy->wants_rest = false;
	PANIC_IF(c->busy->feeding);
	c->busy->feeding = true;
	w->feed = &fd;
	while (!is_over(&fd) && has_more(&fd)) {
		if (c->busy->body_left != 0)
			body_goes_on(&fd);
		else if (!step(&fd) && !looks_again(&fd))
			break;
	}
	c->busy->feeding = false;
	w->feed = fd.outer;
	if (c->state == CLIENT_CLOSED)
		return len;
	if (c->server != NULL) {
		conn_flush(c->server->conn);
		relay_press_client(w, c);
	}
	conn_flush(c->conn);
	if (c->server == NULL) /* else when the answer has come */
		client_count_bytes(c);
	if (len - fd.at > read_ahead(w, c) && !c->busy->wants_rest)
		conn_rx_pause(c->conn); /* enough is kept; go on when some of it is done */
	return fd.at;
}

void unit_go_on(struct worker *w, struct client *c)
{
	size_t n;

	if (c->busy->feeding) { /* a login that failed at once, say, while it was being placed */
		c->busy->look_again = true;
		return;
	}
	n = unit_on_data(w, c, conn_rx_data(c->conn), conn_rx_len(c->conn));
	if (c->state == CLIENT_CLOSED)
		return;
	conn_consume(c->conn, n);
	if (conn_rx_is_paused(c->conn) &&
		(c->busy->wants_rest || conn_rx_len(c->conn) <= read_ahead(w, c)) &&
		(c->server == NULL || conn_out_len(c->server->conn) <= w->conf->relay_buffer))
		conn_rx_resume(c->conn);
}

const uint8_t *unit_front(const struct worker *w, const struct client *c, size_t *len)
{
	struct feed all = {.data = conn_rx_data(c->conn), .len = conn_rx_len(c->conn)};
	const struct feed *fd = w->feed;
	size_t at;

	while (c->busy->feeding && fd->c != c)
		fd = fd->outer;
	if (!c->busy->feeding)
		fd = &all;
	at = fd->at + c->busy->sent_len < fd->len ? fd->at + c->busy->sent_len : fd->len;
	*len = c->busy->unit.len < fd->len - at ? c->busy->unit.len : fd->len - at;
	return *len != 0 ? fd->data + at : NULL;
}

void unit_look_anew(struct worker *w, struct client *c)
{
	if (c->busy->signals != NULL)
		signals_over(w, c);
	reset_unit(c);
}

void unit_refuse(struct worker *w, struct client *c, const struct report *r)
{
	if (c->busy->confirming) {
		confirm_refused(w, c, r);
		return;
	}
	client_put_error(w, c, r);
	if (c->busy->signals != NULL)
		signals_over(w, c);
	if (c->txn != TXN_NONE)
		c->txn = TXN_FAILED_ALONE;
	else
		ours_txn_ended(c, false); /* what its text began with */
	if (!c->busy->streaming) {
		c->busy->skip_to_sync = c->busy->unit.ends_in_flush;
		if (c->busy->feeding)
			c->busy->refused_len = c->busy->unit.len;
		else
			conn_consume(c->conn, c->busy->unit.len);
	} else if (c->busy->stream_is_query) {
		c->busy->drop_next = true;
	} else {
		c->busy->skip_to_sync = true;
	}
	if (!c->busy->skip_to_sync)
		client_put_ready(w, c);
	c->busy->streaming = false;
	c->busy->force_primary = false;
	c->busy->lost_us = 0;
	c->busy->avoid_node = NODES_MAX;
	reset_unit(c);
	conn_flush(c->conn);
	conn_rx_resume(c->conn);
}
