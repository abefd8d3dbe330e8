#include "control/console.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "control/session.h"
#include "net/tls.h"
#include "proto/report.h"

static void refuse(struct consoles *cs, struct ask_console *ask)
{
	static const struct conn_ops no_ops;
	struct report r = report_of(
		"FATAL", SQLSTATE_TOO_MANY_CONNECTIONS, "too many clients on the console");
	uint8_t buf[REPORT_OWN_MAX];
	struct wr w = wr_of(buf, sizeof buf);

	if (conn_attach(ask->conn, cs->conf.env->loop, &no_ops, NULL) != OK) {
		conn_free_detached(ask->conn);
		return;
	}
	report_put(&w, 'E', &r);
	conn_put_copy(ask->conn, buf, w.len);
	conn_free_flushed(ask->conn, SESSION_LINGER_MS);
}

void consoles_take(struct consoles *cs, struct ask_console *ask)
{
	struct session *s;

	if (cs->n >= CONSOLES_MAX) {
		refuse(cs, ask);
	} else if (session_new(cs, ask, &s) == OK) {
		cs->stats.client_login_count++;
		log_info(cs->conf.env->shared->log, "console login", "client=%llu admin=%d",
			(unsigned long long)s->id, s->is_admin);
	} else {
		conn_free_detached(ask->conn);
	}
	free(ask);
}

static struct session *session_at(const struct consoles *cs, size_t pos)
{
	struct list *it;

	list_foreach (it, &cs->sessions)
		if (pos-- == 0)
			return list_entry(it, struct session, link);
	return NULL;
}

bool consoles_kill(struct consoles *cs, uint64_t id)
{
	struct list *it;

	list_foreach (it, &cs->sessions) {
		struct session *s = list_entry(it, struct session, link);

		if (s->id != id)
			continue;
		env_timer(cs->conf.env, &s->stall, 0); /* it may be the one that asks */
		return true;
	}
	return false;
}

bool consoles_row(const struct consoles *cs, size_t pos, struct show_socket_row *out)
{
	const struct session *s = session_at(cs, pos);

	if (s == NULL)
		return false;
	memset(out, 0, sizeof *out);
	out->type = 'C';
	out->state = SHOW_CL_ACTIVE;
	out->id = out->ptr = s->id;
	out->node = -1;
	memcpy(out->user, s->user, sizeof out->user);
	text_copy(out->database, sizeof out->database, CONSOLE_DATABASE);
	memcpy(out->application_name, s->application_name, sizeof out->application_name);
	conn_remote(s->conn, out->addr, sizeof out->addr, &out->port);
	conn_local(s->conn, out->local_addr, sizeof out->local_addr, &out->local_port);
	out->remote_pid = conn_remote_pid(s->conn);
	out->connect_wall_us = s->connect_wall_us;
	out->request_wall_us = s->request_wall_us;
	out->prepared_statements = s->n_prepared;
	out->bytes_kept = conn_memory(s->conn);
	if (conn_tls(s->conn) != NULL)
		tls_describe(conn_tls(s->conn), out->tls, sizeof out->tls);
	return true;
}

void consoles_stats(const struct consoles *cs, struct show_stats_row *out)
{
	struct list *it;

	*out = cs->stats;
	text_copy(out->database, sizeof out->database, CONSOLE_DATABASE);
	list_foreach (it, &cs->sessions) {
		const struct session *s = list_entry(it, struct session, link);

		out->received += conn_bytes_in(s->conn);
		out->sent += conn_bytes_out(s->conn);
	}
}

uint32_t consoles_n(const struct consoles *cs)
{
	return cs->n;
}

void consoles_shutdown(struct consoles *cs)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &cs->sessions)
		session_end(list_entry(it, struct session, link));
}

enum status consoles_new(const struct consoles_conf *conf, struct consoles **out)
{
	struct consoles *cs = calloc(1, sizeof *cs);

	if (cs == NULL)
		return E_NOMEM;
	cs->conf = *conf;
	list_init(&cs->sessions);
	cs->buf = malloc(ROWS_BUF_MIN);
	if (cs->buf == NULL) {
		free(cs);
		return E_NOMEM;
	}
	*out = cs;
	return OK;
}

void consoles_free(struct consoles *cs)
{
	struct list *it, *tmp;

	if (cs == NULL)
		return;
	list_foreach_safe (it, tmp, &cs->sessions)
		session_free(list_entry(it, struct session, link));
	free(cs->buf);
	free(cs);
}
