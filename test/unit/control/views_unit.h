/*
 * views_unit - for the tests of what is seen: a world with all that tables are made from, some
 * rows in its workers, and a connection to the console.
 */
#ifndef PGWEIR_TEST_VIEWS_UNIT_H
#define PGWEIR_TEST_VIEWS_UNIT_H

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rd.h"
#include "conf/access.h"
#include "control/console.h"
#include "control/resolve.h"
#include "control/show_run.h"
#include "control/stats.h"
#include "control_unit.h"
#include "net/conn.h"

struct views {
	struct world w;
	struct gather *gather;
	struct resolve *resolve;
	struct stats *stats;
	struct reload *reload;
	struct consoles *consoles;
	struct show_tools tools;
	unsigned n_shutdown, n_wait_clients, n_wait_servers, n_published;
	world_row rows[2][SHOW_ROWS_WORKER + 1][WORLD_ROWS_MAX];
};

static inline void views_on_addr(void *arg, uint32_t node)
{
	(void)arg;
	(void)node;
}

static inline void views_own(void *arg, struct show_stats_row *row)
{
	struct views *v = arg;

	consoles_stats(v->consoles, row);
}

static inline void views_shutdown(void *arg)
{
	((struct views *)arg)->n_shutdown++;
}

static inline void views_shutdown_wait(void *arg, bool wait_servers)
{
	struct views *v = arg;

	v->n_wait_servers += wait_servers;
	v->n_wait_clients += !wait_servers;
}

/* What control.c does, as far as the views care. */
static inline void views_publish(void *arg, struct config_set *set)
{
	struct views *v = arg;
	struct shared *sh = &v->w.sh;

	snap_retire(&sh->snap, (void *)(uintptr_t)atomic_exchange(&sh->conf, set->conf),
		snapshots_free_conf);
	snap_retire(&sh->snap, (void *)(uintptr_t)atomic_exchange(&sh->users, set->users),
		snapshots_free_users);
	snap_retire(&sh->snap, (void *)(uintptr_t)atomic_exchange(&sh->access, set->access),
		access_free);
	snap_retire(
		&sh->snap, (void *)(uintptr_t)atomic_exchange(&sh->tls, set->tls), config_tls_free);
	memset(set, 0, sizeof *set);
	v->n_published++;
}

/* All clocks stand at 2026-01-01 00:00:00 UTC. */
static inline void views_init(struct views *v, const char *conf)
{
	static const struct resolve_ops resolve_ops = {views_on_addr, NULL};
	static const struct reload_ops reload_ops = {.publish = views_publish};
	static const struct consoles_ops consoles_ops = {views_shutdown, views_shutdown_wait};
	struct consoles_conf cc = {.env = &v->w.env,
		.tellers = &v->w.tellers,
		.tools = &v->tools,
		.ops = &consoles_ops,
		.arg = v};

	memset(v, 0, sizeof *v);
	setenv("TZ", "UTC", 1);
	tzset();
	world_init(&v->w, conf, WORLD_USERS, 2);
	world_add_helpers(&v->w, 1);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k <= SHOW_ROWS_WORKER; k++)
			v->w.workers[i].rows[k] = v->rows[i][k];
	ck_assert_int_eq(gather_new(&v->w.env, &v->w.collector, &v->gather), OK);
	ck_assert_int_eq(resolve_new(&v->w.env, &resolve_ops, NULL, &v->resolve), OK);
	ck_assert_int_eq(reload_new(&v->w.env, &(struct config_from){.path = "none"}, &reload_ops,
				 v, &v->reload),
		OK);
	cc.reload = v->reload;
	ck_assert_int_eq(consoles_new(&cc, &v->consoles), OK);
	ck_assert_int_eq(stats_new(&v->w.env, v->gather, views_own, v, &v->stats), OK);
	v->tools = (struct show_tools){.gather = v->gather,
		.collector = &v->w.collector,
		.in = {.env = &v->w.env,
			.resolve = v->resolve,
			.stats = v->stats,
			.consoles = v->consoles}};
}

static inline void views_fini(struct views *v)
{
	consoles_free(v->consoles);
	stats_free(v->stats);
	reload_free(v->reload);
	resolve_free(v->resolve);
	gather_free(v->gather);
	world_fini(&v->w);
}

/* --- rows of the workers --- */

static inline world_row *views_row(struct views *v, uint32_t worker, enum show_what what)
{
	size_t *n = &v->w.workers[worker].n[what];

	ck_assert_uint_lt(*n, WORLD_ROWS_MAX);
	return &v->rows[worker][what][(*n)++];
}

static inline struct show_pool_row *views_pool(
	struct views *v, uint32_t worker, const char *db, const char *user, int32_t node)
{
	struct show_pool_row *p = &views_row(v, worker, SHOW_ROWS_POOLS)->pool;

	strcpy(p->database, db);
	strcpy(p->user, user);
	p->node = node;
	p->pool_mode = POOL_MODE_TRANSACTION;
	return p;
}

/* app/appuser on both workers and two nodes; a used statistics, route, error and pin row. */
static inline void views_fill(struct views *v)
{
	struct show_socket_row *s;

	for (uint32_t i = 0; i < 2; i++) {
		struct show_pool_row *p = views_pool(v, i, "app", "appuser", -1);
		struct show_stats_row *t = &views_row(v, i, SHOW_ROWS_STATS)->stats;
		struct show_worker_row *k = &views_row(v, i, SHOW_ROWS_WORKER)->worker;

		p->cl_active = 3;
		p->cl_idle = 2;
		p->cl_waiting = 1;
		p->cl_login = 1;
		p->maxwait_us = 2500000 + i;
		p->wait.count = 1;
		p->wait.n[0] = 1;
		p = views_pool(v, i, "app", "appuser", 0);
		p->sv_active = 1;
		p->sv_idle = 2;
		p->cl_waiting = 1;
		p->outstanding = 1;
		p->latency_us = 300;
		p->pinned = 1;
		p = views_pool(v, i, "app", "appuser", 1);
		p->sv_login = 1;
		strcpy(t->database, "app");
		t->server_assignment_count = 1;
		t->xact_count = 2;
		t->query_count = 3;
		t->received = 4;
		t->sent = 5;
		t->xact_time = 6;
		t->query_time = 7;
		t->wait_time = 8;
		t->client_parse_count = 9;
		t->server_parse_count = 10;
		t->bind_count = 11;
		t->client_login_count = 12;
		t->replays[REPLAYED_LOST] = 1;
		t->timeouts = 2;
		k->clients = 5;
		k->login_clients = 1;
		k->servers = 4;
		k->turns = 100 + i;
		k->units = 50;
		k->bytes_kept = 1024;
		k->buffers_free = 2048;
		k->cpu_us = 1500000;
		k->io_engine = "io_uring";
		k->statement_bytes = 77;
	}
	{
		struct show_route_row *r = &views_row(v, 1, SHOW_ROWS_ROUTES)->route;
		struct show_error_row *e = &views_row(v, 0, SHOW_ROWS_ERRORS)->error;
		struct show_pin_row *p = &views_row(v, 0, SHOW_ROWS_PINS)->pin;

		strcpy(r->database, "app");
		r->verdict = 1; /* read */
		r->node = 1;
		r->n = 42;
		strcpy(e->database, "app");
		strcpy(e->sqlstate, "53300");
		e->source = ERROR_PGWEIR;
		e->n = 6;
		*p = (struct show_pin_row){.client = 7, .server = 8, .cause = 0, .node = 0};
		p->since_wall_us = 1767225600u * 1000000ull;
		strcpy(p->database, "app");
		strcpy(p->user, "appuser");
		strcpy(p->statement, "create temp table t()");
	}
	s = &views_row(v, 0, SHOW_ROWS_CLIENTS)->socket;
	*s = (struct show_socket_row){.id = 7,
		.type = 'C',
		.state = SHOW_CL_WAITING,
		.port = 5000,
		.local_port = 6432,
		.connect_wall_us = 1767225600u * 1000000ull,
		.request_wall_us = 1767225601u * 1000000ull,
		.wait_us = 2500001,
		.ptr = 7,
		.link = 0x10,
		.prepared_statements = 3,
		.node = -1};
	strcpy(s->user, "appuser");
	strcpy(s->database, "app");
	strcpy(s->addr, "10.1.1.1");
	strcpy(s->local_addr, "10.1.1.2");
	strcpy(s->application_name, "psql");
	s = &views_row(v, 1, SHOW_ROWS_CLIENTS)->socket;
	*s = (struct show_socket_row){.id = 9, .type = 'C', .state = SHOW_CL_LOGIN, .node = -1};
	s = &views_row(v, 1, SHOW_ROWS_SERVERS)->socket;
	*s = (struct show_socket_row){.id = 8,
		.type = 'S',
		.state = SHOW_SV_ACTIVE,
		.close_needed = true,
		.remote_pid = 4711,
		.ptr = 8,
		.statement = 0xab,
		.pins = 1u << PIN_TEMP | 1u << PIN_LISTEN,
		.node = 0};
	strcpy(s->tls, "TLSv1.3");
}

/* --- a console client --- */

struct console_client {
	struct views *v;
	int fd;
	char text[1 << 20]; /* all that came, as text: see console_read */
	size_t len;
	uint8_t raw[65536];
	size_t raw_len;
	bool is_closed;
};

static inline void views_detached(void *arg, struct conn *conn)
{
	*(struct conn **)arg = conn;
}

/* As a worker hands it over. */
static inline void console_open(
	struct console_client *c, struct views *v, const char *user, bool is_admin)
{
	static const struct conn_ops no_ops;
	static const struct conn_limits limits = {.rx_keep_max = 1024, .out_max = 1024};
	struct ask_console *ask = calloc(1, sizeof *ask);
	struct conn *conn, *detached = NULL;
	int fds[2];

	memset(c, 0, sizeof *c);
	c->v = v;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	c->fd = fds[0];
	ck_assert_int_eq(conn_new(v->w.env.loop, fds[1], &no_ops, NULL, &limits, &conn), OK);
	conn_detach(conn, views_detached, &detached);
	world_turn_until(&v->w, detached != NULL);
	ask->conn = detached;
	ask->id = atomic_fetch_add(&v->w.sh.next_id, 1);
	ask->is_admin = is_admin;
	ask->connect_wall_us = v->w.sh.start_wall_us;
	strcpy(ask->user, user);
	strcpy(ask->database, "pgweir");
	strcpy(ask->application_name, "test");
	consoles_take(v->consoles, ask);
}

static inline void console_close(struct console_client *c)
{
	close(c->fd);
	for (unsigned i = 0; i < 5; i++)
		world_turn(&c->v->w, 1000);
}

static inline void console_add(struct console_client *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static inline void console_add(struct console_client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	c->len += (size_t)vsnprintf(c->text + c->len, sizeof c->text - c->len, fmt, ap);
	va_end(ap);
	ck_assert_uint_lt(c->len, sizeof c->text);
}

/* T a b|D 1 2|C SHOW|Z I: a line per message, values separated by "|". */
static inline void console_message(struct console_client *c, uint8_t type, struct rd r)
{
	console_add(c, "%c", type);
	if (type == 'T') {
		for (uint16_t n = rd_u16(&r); n > 0; n--) {
			const char *name = rd_cstr(&r);

			rd_skip(&r, 6);
			console_add(c, "|%s:%u", name, rd_u32(&r));
			rd_skip(&r, 8);
		}
	} else if (type == 'D') {
		for (uint16_t n = rd_u16(&r); n > 0; n--) {
			uint32_t len = rd_u32(&r);

			if (len == UINT32_MAX)
				console_add(c, "|NULL");
			else
				console_add(c, "|%.*s", (int)len, (const char *)rd_bytes(&r, len));
		}
	} else if (type == 'E' || type == 'N') {
		for (uint8_t field = rd_u8(&r); field != 0; field = rd_u8(&r)) {
			const char *value = rd_cstr(&r);

			if (strchr("SCMD", field) != NULL)
				console_add(c, "|%s", value);
		}
	} else if (type == 'C') {
		console_add(c, "|%s", rd_cstr(&r));
	} else if (type == 'S') {
		const char *name = rd_cstr(&r);

		console_add(c, "|%s=%s", name, rd_cstr(&r));
	} else if (type == 'Z') {
		console_add(c, "|%c", rd_u8(&r));
	} else if (type == 't') {
		console_add(c, "|%u", rd_u16(&r));
	} else {
		rd_skip(&r, r.left);
	}
	ck_assert(!r.bad && r.left == 0);
	console_add(c, "\n");
}

/* Take in what there is. */
static inline void console_read(struct console_client *c)
{
	ssize_t n = read(c->fd, c->raw + c->raw_len, sizeof c->raw - c->raw_len);
	size_t at = 0;

	c->is_closed = c->is_closed || n == 0 || (n < 0 && errno == ECONNRESET);
	if (n > 0)
		c->raw_len += (size_t)n;
	while (c->raw_len - at >= 5) {
		struct rd r = rd_of(c->raw + at + 1, 4);
		uint32_t len = rd_u32(&r);

		if (c->raw_len - at < len + 1)
			break;
		console_message(c, c->raw[at], rd_of(c->raw + at + 5, len - 4));
		at += len + 1;
	}
	memmove(c->raw, c->raw + at, c->raw_len - at);
	c->raw_len -= at;
}

static inline unsigned console_count(const struct console_client *c, const char *what)
{
	unsigned n = 0;

	for (const char *p = c->text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* Until `n` ReadyForQuery have come since the last forget. */
static inline const char *console_wait(struct console_client *c, unsigned n)
{
	uint64_t give_up = env_now_us(&c->v->w.env) + WORLD_WAIT_US;

	while (console_count(c, "Z|I\n") < n && !c->is_closed) {
		ck_assert_msg(env_now_us(&c->v->w.env) < give_up, "only got: %s", c->text);
		world_turn(&c->v->w, 5000);
		console_read(c);
	}
	return c->text;
}

static inline void console_forget(struct console_client *c)
{
	c->len = 0;
	c->text[0] = '\0';
}

static inline void console_send(struct console_client *c, char type, const void *body, size_t n)
{
	uint8_t head[5] = {(uint8_t)type, 0, 0, (uint8_t)((n + 4) >> 8), (uint8_t)(n + 4)};

	ck_assert_int_eq(send(c->fd, head, 5, MSG_NOSIGNAL), 5);
	ck_assert_int_eq(send(c->fd, body, n, MSG_NOSIGNAL), (ssize_t)n);
}

static inline void console_ask(struct console_client *c, const char *sql)
{
	console_send(c, 'Q', sql, strlen(sql) + 1);
}

/* One simple query and its answer. */
static inline const char *console_query(struct console_client *c, const char *sql)
{
	console_forget(c);
	console_ask(c, sql);
	return console_wait(c, 1);
}

/*
 * The views of WORLD_CONF, filled, and an administrator's console that has been greeted. A reload
 * reads `path`.
 */
static inline void views_console_open(struct views *v, struct console_client *c, const char *path)
{
	char conf[4096];

	snprintf(conf, sizeof conf, "%sconffile = %s\n", WORLD_CONF, path);
	views_init(v, conf);
	views_fill(v);
	console_open(c, v, "adm", true);
	console_wait(c, 1);
}

static inline void views_console_close(struct views *v, struct console_client *c)
{
	console_close(c);
	views_fini(v);
}

#endif
