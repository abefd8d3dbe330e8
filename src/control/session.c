#include "control/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/frontend.h"
#include "proto/report.h"

/* --- sending --- */

struct wr session_wr(struct session *s)
{
	return wr_of(s->of->buf, ROWS_BUF_MIN);
}

void session_send(struct session *s, const struct wr *w)
{
	struct env *env = s->of->conf.env;

	PANIC_IF(w->bad);
	conn_put(s->conn, w->buf, w->len);
	conn_flush(s->conn); /* the buffer is shared */
	if (conn_out_len(s->conn) != 0 && !wheel_is_armed(&s->stall))
		env_timer(env, &s->stall, SESSION_STALL_US);
}

static void read_on(struct session *s)
{
	s->state = SESSION_READY;
	conn_rx_resume(s->conn);
}

void session_answered(struct session *s)
{
	struct wr w = session_wr(s);

	PANIC_IF(s->state != SESSION_ANSWERING);
	s->portal = NULL;
	if (!s->is_extended) {
		reply_put_ready(&w, 'I');
		session_send(s, &w);
	}
	read_on(s);
}

void session_complete(struct session *s, const char *tag)
{
	struct wr w = session_wr(s);

	reply_put_command_complete(&w, tag);
	session_send(s, &w);
	session_answered(s);
}

void session_error_as(struct session *s, const char *sqlstate, const char *message)
{
	struct report r = report_of("ERROR", sqlstate, message);
	struct wr w = session_wr(s);

	report_put(&w, 'E', &r);
	if (s->state == SESSION_ANSWERING && !s->is_extended)
		reply_put_ready(&w, 'I');
	session_send(s, &w);
	s->portal = NULL;
	if (s->state != SESSION_ANSWERING || s->is_extended)
		s->state = SESSION_SKIPPING;
	else
		s->state = SESSION_READY;
	conn_rx_resume(s->conn);
}

void session_error(struct session *s, const char *fmt, ...)
{
	char text[REPORT_FIELD_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	session_error_as(s, SQLSTATE_PROTOCOL_VIOLATION, text);
}

/* The protocol is broken: say so and close. */
static void fatal(struct session *s, const char *message)
{
	struct report r = report_of("FATAL", SQLSTATE_PROTOCOL_VIOLATION, message);
	struct wr w = session_wr(s);

	report_put(&w, 'E', &r);
	session_send(s, &w);
	session_end(s);
}

/* --- messages; each returns E_PROTO if it is malformed --- */

static void begin_command(struct session *s, bool is_extended)
{
	s->state = SESSION_ANSWERING;
	s->is_extended = is_extended;
	s->rows_left = UINT64_MAX;
	s->request_wall_us = env_wall_us(s->of->conf.env);
	s->of->stats.query_count++;
	s->of->stats.xact_count++;
}

static enum status on_query(struct session *s, struct rd body)
{
	struct msg_query m;
	struct wr w;

	if (frontend_read_query(body, &m) != OK)
		return E_PROTO;
	prepared_drop_all(s, 'P');
	begin_command(s, false);
	if (grammar_read(m.sql, &s->command) != OK) {
		session_error(s, SESSION_INVALID, s->command.text);
	} else if (s->command.verb == VERB_EMPTY) {
		w = session_wr(s);
		reply_put_empty_query(&w);
		session_send(s, &w);
		session_answered(s);
	} else {
		session_run(s, true);
	}
	return OK;
}

static enum status on_parse(struct session *s, struct rd body)
{
	struct console_command command;
	struct prepared *p;
	struct msg_parse m;
	struct wr w;

	if (frontend_read_parse(body, &m) != OK)
		return E_PROTO;
	s->of->stats.client_parse_count++;
	if (grammar_read(m.sql, &command) != OK) {
		session_error(s, SESSION_INVALID, command.text);
		return OK;
	}
	p = prepared_add(s, 'S', m.name);
	if (p == NULL)
		return OK;
	p->command = command;
	w = session_wr(s);
	reply_put_parse_complete(&w);
	session_send(s, &w);
	return OK;
}

static bool wants_text(const struct msg_bind_tail *t)
{
	for (size_t i = 0; i < t->n_result_formats; i++)
		if (t->result_formats[2 * i] != 0 || t->result_formats[2 * i + 1] != 0)
			return false;
	return true;
}

static enum status on_bind(struct session *s, struct rd body)
{
	struct prepared *stmt, *portal;
	struct msg_bind_tail tail;
	struct msg_bind m;
	struct wr w;

	if (frontend_read_bind(body, (uint32_t)body.left, &m) != OK)
		return E_PROTO;
	if (frontend_read_bind_tail(rd_of(body.p + m.tail_at, body.left - m.tail_at), &tail) != OK)
		return E_PROTO;
	s->of->stats.bind_count++;
	stmt = prepared_get(s, 'S', m.stmt);
	if (stmt == NULL)
		return OK;
	if (tail.n_values != 0) {
		session_error(s, "commands of the console take no parameters");
		return OK;
	}
	if (!wants_text(&tail)) {
		session_error_as(
			s, SQLSTATE_FEATURE_NOT_SUPPORTED, "the console sends values as text only");
		return OK;
	}
	portal = prepared_add(s, 'P', m.portal);
	if (portal == NULL)
		return OK;
	portal->command = stmt->command;
	w = session_wr(s);
	reply_put_bind_complete(&w);
	session_send(s, &w);
	return OK;
}

static enum status on_describe(struct session *s, struct rd body)
{
	const struct prepared *p;
	struct msg_target m;
	struct wr w;

	if (frontend_read_target(body, &m) != OK)
		return E_PROTO;
	p = prepared_get(s, (char)m.kind, m.name);
	if (p == NULL)
		return OK;
	w = session_wr(s);
	if (m.kind == 'S')
		reply_put_parameter_description(&w, NULL, 0);
	if (!session_describe(s, &p->command, &w))
		reply_put_no_data(&w);
	session_send(s, &w);
	return OK;
}

static enum status on_execute(struct session *s, struct rd body)
{
	struct msg_execute m;
	struct prepared *p;
	struct wr w;

	if (frontend_read_execute(body, &m) != OK)
		return E_PROTO;
	p = prepared_get(s, 'P', m.portal);
	if (p == NULL)
		return OK;
	begin_command(s, true);
	s->portal = p;
	if (m.rows_max != 0 && m.rows_max <= INT32_MAX)
		s->rows_left = m.rows_max;
	if (p->is_suspended) {
		session_go_on(s);
		return OK;
	}
	s->command = p->command;
	if (s->command.verb == VERB_EMPTY) {
		w = session_wr(s);
		reply_put_empty_query(&w);
		session_send(s, &w);
		session_answered(s);
	} else {
		session_run(s, false);
	}
	return OK;
}

static enum status on_close(struct session *s, struct rd body)
{
	struct msg_target m;
	struct wr w;

	if (frontend_read_target(body, &m) != OK)
		return E_PROTO;
	prepared_drop(s, prepared_find(s, (char)m.kind, m.name));
	w = session_wr(s);
	reply_put_close_complete(&w);
	session_send(s, &w);
	return OK;
}

static enum status on_sync(struct session *s, struct rd body)
{
	struct wr w = session_wr(s);

	if (body.left != 0)
		return E_PROTO;
	prepared_drop_all(s, 'P');
	s->state = SESSION_READY;
	reply_put_ready(&w, 'I');
	session_send(s, &w);
	return OK;
}

/* Returns E_CLOSED for Terminate; E_PROTO. */
static enum status on_message(struct session *s, uint8_t type, struct rd body)
{
	if (type == FRONTEND_TERMINATE)
		return E_CLOSED;
	if (s->state == SESSION_SKIPPING && type != FRONTEND_SYNC)
		return OK;
	switch (type) {
	case FRONTEND_QUERY:
		return on_query(s, body);
	case FRONTEND_PARSE:
		return on_parse(s, body);
	case FRONTEND_BIND:
		return on_bind(s, body);
	case FRONTEND_DESCRIBE:
		return on_describe(s, body);
	case FRONTEND_EXECUTE:
		return on_execute(s, body);
	case FRONTEND_CLOSE:
		return on_close(s, body);
	case FRONTEND_SYNC:
		return on_sync(s, body);
	case FRONTEND_FLUSH:
	case FRONTEND_COPY_DATA: /* outside COPY these are dropped, as PostgreSQL does */
	case FRONTEND_COPY_DONE:
	case FRONTEND_COPY_FAIL:
		return OK;
	default: /* FunctionCall, a password, or no message at all */
		return E_PROTO;
	}
}

/* --- the connection --- */

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
	struct session *s = arg;
	enum status st = OK;
	struct frame f;
	size_t at = 0;

	while (s->state != SESSION_ANSWERING && conn_out_len(s->conn) <= SESSION_OUT_MAX) {
		st = frame_peek(data + at, len - at, SESSION_MESSAGE_MAX, &f);
		if (st == E_AGAIN || (st == OK && !frame_is_complete(&f, len - at)))
			return at;
		if (st == OK)
			st = on_message(s, f.type, frame_body(data + at, &f));
		if (st == E_CLOSED) {
			session_free(s);
			return 0;
		}
		if (st != OK) {
			fatal(s, st == E_LIMIT ? "message too long for the console"
					       : "protocol violation");
			return 0;
		}
		at += f.total;
	}
	conn_rx_pause(s->conn);
	return at;
}

static void on_drained(void *arg)
{
	struct session *s = arg;

	wheel_del(&s->of->conf.env->wheel, &s->stall);
	if (s->state == SESSION_ANSWERING)
		session_drained(s);
	else
		conn_rx_resume(s->conn);
}

/* It left while a command was under way; what the workers were told they do all the same. */
static void on_hangup(void *arg)
{
	session_free(arg);
}

static void on_end(void *arg, enum conn_end why)
{
	(void)why;
	session_free(arg);
}

static const struct conn_ops session_ops = {
	.on_data = on_data,
	.on_drained = on_drained,
	.on_hangup = on_hangup,
	.on_end = on_end,
};

static void on_stall(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	session_free(list_entry(t, struct session, stall));
}

/* --- life --- */

static void put_welcome(struct wr *w)
{
	static const uint8_t no_key[4]; /* a console's query cannot be cancelled */
	static const char *const params[][2] = {
		{"server_version", SHOW_SERVER_VERSION},
		{"client_encoding", "UTF8"},
		{"server_encoding", "UTF8"},
		{"DateStyle", "ISO"},
		{"TimeZone", "GMT"},
		{"standard_conforming_strings", "on"},
		{"is_superuser", "on"},
	};

	reply_put_auth_ok(w);
	for (size_t i = 0; i < sizeof params / sizeof *params; i++)
		reply_put_parameter_status(w, params[i][0], params[i][1]);
	reply_put_key_data(w, 0, no_key, sizeof no_key);
	reply_put_ready(w, 'I');
}

enum status session_new(struct consoles *cs, struct ask_console *ask, struct session **out)
{
	static const struct conn_limits limits = {
		.rx_keep_max = SESSION_MESSAGE_MAX + FRAME_HEAD_LEN,
		.out_max = SESSION_OUT_MAX + 4 * ROWS_BUF_MIN,
	};
	struct session *s = calloc(1, sizeof *s);
	struct wr w;

	if (s == NULL)
		return E_NOMEM;
	s->of = cs;
	s->id = ask->id;
	s->is_admin = ask->is_admin;
	s->connect_wall_us = ask->connect_wall_us;
	s->request_wall_us = ask->connect_wall_us;
	memcpy(s->user, ask->user, sizeof s->user);
	memcpy(s->database, ask->database, sizeof s->database);
	memcpy(s->application_name, ask->application_name, sizeof s->application_name);
	list_init(&s->link);
	list_init(&s->prepared);
	wheel_timer_init(&s->stall, on_stall);
	session_command_init(s);
	conn_set_limits(ask->conn, &limits);
	if (conn_attach(ask->conn, cs->conf.env->loop, &session_ops, s) != OK) {
		free(s);
		return E_NOMEM;
	}
	s->conn = ask->conn;
	ask->conn = NULL;
	list_push_back(&cs->sessions, &s->link);
	cs->n++;
	w = session_wr(s);
	put_welcome(&w);
	session_send(s, &w);
	*out = s;
	return OK;
}

/* All but the connection. */
static struct conn *session_fini(struct session *s)
{
	struct consoles *cs = s->of;
	struct conn *conn = s->conn;

	session_command_cancel(s);
	prepared_drop_all(s, '\0');
	wheel_del(&cs->conf.env->wheel, &s->stall);
	cs->stats.received += conn_bytes_in(conn);
	cs->stats.sent += conn_bytes_out(conn);
	list_del(&s->link);
	cs->n--;
	free(s);
	return conn;
}

void session_free(struct session *s)
{
	conn_free(session_fini(s));
}

void session_end(struct session *s)
{
	conn_free_flushed(session_fini(s), SESSION_LINGER_MS);
}
