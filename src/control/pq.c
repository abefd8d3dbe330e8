#include "control/pq.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/env.h"
#include "control/helpers.h"
#include "control/pq_params.h"

enum pq_state {
	PQ_STEPPING,        /* a helper runs a step of the login */
	PQ_STEPPING_FAILED, /* the same, but the time is over and the owner knows */
	PQ_STEPPING_FREED,  /* the same, and the owner has gone: the end comes with the step's */
	PQ_WAITING,         /* the login waits for the server */
	PQ_IDLE,            /* logged in, nothing asked */
	PQ_ASKED,           /* a query is under way */
	PQ_FAILED,          /* the owner knows */
	PQ_FREED,           /* by a callback, which has not returned yet */
};

struct pq {
	struct job step;
	enum pq_state state;
	unsigned n_calls; /* callbacks of the owner that have not returned */
	struct env *env;
	const struct pq_ops *ops;
	void *arg;

	PGconn *conn; /* the helper's while stepping */
	PostgresPollingStatusType poll;
	struct loop_watch *watch;
	int watching; /* LOOP_* bits */
	int fd;       /* what is watched: a duplicate of libpq's socket; -1: nothing is */
	struct wheel_timer deadline;
	struct wheel_timer more;    /* libpq holds rows that no event of the socket will tell of */
	PGresult *last;             /* the end of the answer, until the server is ready again */
	struct pq_failure farewell; /* what the server said last, unasked */

	struct pq_params params; /* until the first step */

	struct list orphan; /* in the env's list while PQ_STEPPING_FREED */
	uint64_t place;     /* hash of host and port */
};

/* --- the process --- */

void pq_prepare_process(void)
{
	/* These steer libpq without being connection options. */
	static const char *const others[] = {"PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR",
		"PGLOCALEDIR", "PGDATESTYLE", "PGTZ", "PGGEQO"};
	PQconninfoOption *options;

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		unsetenv(others[i]);
	options = PQconndefaults();
	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
		if (o->envvar != NULL)
			unsetenv(o->envvar);
	PQconninfoFree(options);
}

/* --- the end --- */

static void pq_destroy(struct pq *c)
{
	pq_params_fini(&c->params);
	PQclear(c->last);
	PQfinish(c->conn);
	free(c);
}

static void unwatch(struct pq *c)
{
	loop_unwatch(c->watch);
	c->watch = NULL;
	c->watching = 0;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void disarm(struct pq *c)
{
	unwatch(c);
	wheel_del(&c->env->wheel, &c->deadline);
	wheel_del(&c->env->wheel, &c->more);
}

void pq_free(struct pq *c)
{
	if (c == NULL)
		return;
	disarm(c);
	if (c->state == PQ_STEPPING || c->state == PQ_STEPPING_FAILED) {
		c->state = PQ_STEPPING_FREED;
		list_push_back(&c->env->pq_orphans, &c->orphan);
		return;
	}
	c->state = PQ_FREED;
	if (c->n_calls == 0)
		pq_destroy(c);
}

/* Around every callback. leave returns false if the owner has freed `c`. */
static void enter(struct pq *c)
{
	c->n_calls++;
}

static bool leave(struct pq *c)
{
	if (--c->n_calls == 0 && c->state == PQ_FREED) {
		pq_destroy(c);
		return false;
	}
	return c->state != PQ_FREED && c->state != PQ_STEPPING_FREED;
}

/* --- failures --- */

static void copy_line(char *to, size_t cap, const char *from)
{
	size_t n = strcspn(from, "\r\n");

	if (n >= cap)
		n = cap - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

/*
 * From libpq's text with verbose errors, "… FATAL:  28P01: message\nLOCATION: …", take SQLSTATE
 * and message. libpq has no other way to tell the SQLSTATE of a failed login.
 */
static bool split_sqlstate(const char *text, struct pq_failure *f)
{
	const char *p = text;

	while ((p = strstr(p, ":  ")) != NULL) {
		p += 3;
		if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5 ||
			strncmp(p + 5, ": ", 2) != 0)
			continue;
		memcpy(f->sqlstate, p, 5);
		copy_line(f->text, sizeof f->text, p + 7);
		return true;
	}
	return false;
}

static void fail(struct pq *c, const struct pq_failure *f)
{
	disarm(c);
	c->state = c->state == PQ_STEPPING ? PQ_STEPPING_FAILED : PQ_FAILED;
	enter(c);
	c->ops->on_failed(c->arg, f);
	(void)leave(c);
}

static void fail_lost(struct pq *c)
{
	struct pq_failure f = c->farewell;
	const char *text = PQerrorMessage(c->conn);

	if (*f.sqlstate == '\0') {
		f.kind = split_sqlstate(text, &f) ? PQ_FAILED_REFUSED : PQ_FAILED_UNREACHABLE;
		if (f.kind == PQ_FAILED_UNREACHABLE)
			copy_line(f.text, sizeof f.text, text);
	}
	fail(c, &f);
}

static void fail_as(struct pq *c, enum pq_failure_kind kind, const char *text)
{
	struct pq_failure f = {.kind = kind};

	copy_line(f.text, sizeof f.text, text);
	fail(c, &f);
}

static void on_deadline(void *ctx, struct wheel_timer *t)
{
	struct pq *c = list_entry(t, struct pq, deadline);

	(void)ctx;
	fail_as(c, PQ_FAILED_TIMEOUT,
		c->state == PQ_ASKED ? "no answer in time" : "no login in time");
}

/* Keeps what a server says on its own: so it announces that it ends the session. */
static void on_notice(void *arg, const PGresult *r)
{
	struct pq *c = arg;
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (severity == NULL || strcmp(severity, "FATAL") != 0 || sqlstate == NULL)
		return;
	c->farewell.kind = PQ_FAILED_REFUSED;
	copy_line(c->farewell.sqlstate, sizeof c->farewell.sqlstate, sqlstate);
	copy_line(c->farewell.text, sizeof c->farewell.text, text != NULL ? text : "");
}

/* --- answers --- */

static void answer_done(struct pq *c)
{
	PGresult *r = c->last;

	c->last = NULL;
	wheel_del(&c->env->wheel, &c->deadline);
	c->state = PQ_IDLE;
	enter(c);
	c->ops->on_done(c->arg, (const struct pq_result *)(const void *)r);
	PQclear(r);
	(void)leave(c);
}

/* Returns false if the owner has ended it. */
static bool take_notices(struct pq *c)
{
	PGnotify *n;

	if (c->ops->on_notify == NULL)
		return true;
	enter(c);
	while (c->state != PQ_FREED && (n = PQnotifies(c->conn)) != NULL) {
		c->ops->on_notify(c->arg, &(struct pq_notice){.channel = n->relname,
						  .payload = n->extra,
						  .pid = (uint32_t)n->be_pid});
		PQfreemem(n);
	}
	return leave(c);
}

/* Take in one result: a row, or the end of the answer. Returns false if this was the last. */
static bool take_one(struct pq *c)
{
	PGresult *r = PQgetResult(c->conn);
	ExecStatusType st = PQresultStatus(r);

	if (PQstatus(c->conn) == CONNECTION_BAD) {
		PQclear(r);
		fail_lost(c);
		return false;
	}
	if (r == NULL && c->last != NULL) {
		if (take_notices(c)) /* what came ahead of the answer's end is told before it */
			answer_done(c);
		return false;
	}
	if (st == PGRES_SINGLE_TUPLE) {
		enter(c);
		c->ops->on_row(c->arg, (const struct pq_result *)(const void *)r);
		PQclear(r);
		return leave(c);
	}
	PQclear(c->last);
	c->last = r;
	if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK || st == PGRES_FATAL_ERROR)
		return true;
	fail_as(c, PQ_FAILED_REFUSED, "an answer that was not asked for");
	return false;
}

static void take_answer(struct pq *c)
{
	for (unsigned n = 0; n < PQ_ROWS_PER_TURN; n++)
		if (PQisBusy(c->conn) || !take_one(c))
			return;
	wheel_add(&c->env->wheel, &c->more, 0);
}

static void on_more(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	take_answer(list_entry(t, struct pq, more));
}

/*
 * A TLS record may be larger than the room that libpq has at the moment; what OpenSSL keeps of it
 * makes no event of the socket. So read until it must be out: a record is 16 kB, the room 8 kB.
 */
static bool consume(struct pq *c)
{
	for (unsigned i = 0; i < 3; i++) {
		if (PQconsumeInput(c->conn) == 0)
			return false;
		if (!PQisBusy(c->conn) && c->ops->on_notify == NULL)
			break;
	}
	return PQstatus(c->conn) != CONNECTION_BAD;
}

static enum status step_start(struct pq *c);
static enum status watch_for(struct pq *c, int what);

static void on_socket(void *arg, int what)
{
	struct pq *c = arg;
	int left;

	if (c->state == PQ_WAITING) {
		if (step_start(c) != OK)
			fail_as(c, PQ_FAILED_LOCAL, "the helpers are busy");
		return;
	}
	if ((what & LOOP_WRITE) != 0) {
		left = PQflush(c->conn);
		if (left < 0 || (left == 0 && watch_for(c, LOOP_READ) != OK)) {
			fail_lost(c);
			return;
		}
	}
	if ((what & LOOP_READ) == 0 || wheel_is_armed(&c->more))
		return;
	if (!consume(c))
		fail_lost(c);
	else if (take_notices(c) && c->state == PQ_ASKED)
		take_answer(c);
}

static enum status query_sent(struct pq *c, uint64_t timeout_us)
{
	int left;

	if (PQsetSingleRowMode(c->conn) == 0)
		return E_IO;
	left = PQflush(c->conn);
	if (left < 0 || watch_for(c, left == 0 ? LOOP_READ : LOOP_READ | LOOP_WRITE) != OK)
		return E_IO;
	c->state = PQ_ASKED;
	env_timer(c->env, &c->deadline, timeout_us);
	return OK;
}

enum status pq_query(struct pq *c, const char *sql, uint64_t timeout_us)
{
	PANIC_IF(c->state != PQ_IDLE);
	return PQsendQuery(c->conn, sql) != 0 ? query_sent(c, timeout_us) : E_IO;
}

enum status pq_query_with(struct pq *c, const char *sql, const char *value, uint64_t timeout_us)
{
	PANIC_IF(c->state != PQ_IDLE);
	return PQsendQueryParams(c->conn, sql, 1, NULL, &value, NULL, NULL, 0) != 0
		       ? query_sent(c, timeout_us)
		       : E_IO;
}

/* --- login --- */

/*
 * libpq closes its socket as soon as it is broken, and a worker may have its number before
 * unwatch: the duplicate's is ours until then.
 */
static enum status watch_for(struct pq *c, int what)
{
	if (c->watching == what)
		return OK;
	unwatch(c);
	c->fd = fcntl(PQsocket(c->conn), F_DUPFD_CLOEXEC, 0);
	if (c->fd < 0 || loop_watch(c->env->loop, c->fd, what, on_socket, c, &c->watch) != OK)
		return E_IO;
	c->watching = what;
	return OK;
}

static void watch_or_fail(struct pq *c, int what)
{
	if (watch_for(c, what) != OK)
		fail_as(c, PQ_FAILED_LOCAL, "cannot watch the socket");
}

static void login_done(struct pq *c)
{
	PQsetnonblocking(c->conn, 1);
	wheel_del(&c->env->wheel, &c->deadline);
	c->state = PQ_IDLE;
	if (watch_for(c, LOOP_READ) != OK) {
		fail_as(c, PQ_FAILED_LOCAL, "cannot watch the socket");
		return;
	}
	enter(c);
	c->ops->on_ready(c->arg);
	(void)leave(c);
}

/* On a helper. */
static void step_run(struct job *j)
{
	struct pq *c = list_entry(j, struct pq, step);

	if (c->conn != NULL) {
		c->poll = PQconnectPoll(c->conn);
		return;
	}
	c->poll = PGRES_POLLING_FAILED;
	c->conn = PQconnectStartParams(c->params.keys, (const char *const *)c->params.values, 0);
	pq_params_fini(&c->params);
	if (c->conn == NULL)
		return;
	PQsetErrorVerbosity(c->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(c->conn, on_notice, c);
	if (PQstatus(c->conn) != CONNECTION_BAD)
		c->poll = PGRES_POLLING_WRITING; /* as libpq's manual has it */
}

static void step_taken(struct pq *c)
{
	c->state = PQ_WAITING;
	if (c->conn == NULL)
		fail_as(c, PQ_FAILED_LOCAL, "no memory");
	else if (c->poll == PGRES_POLLING_OK)
		login_done(c);
	else if (c->poll == PGRES_POLLING_READING)
		watch_or_fail(c, LOOP_READ);
	else if (c->poll == PGRES_POLLING_WRITING)
		watch_or_fail(c, LOOP_WRITE);
	else
		fail_lost(c);
}

static void step_done(struct job *j)
{
	struct pq *c = list_entry(j, struct pq, step);

	if (c->state == PQ_STEPPING_FREED) {
		list_del(&c->orphan);
		pq_destroy(c);
	} else if (c->state == PQ_STEPPING_FAILED) {
		c->state = PQ_FAILED;
	} else {
		step_taken(c);
	}
}

static enum status step_start(struct pq *c)
{
	enum status st;

	unwatch(c); /* the helper may close the socket and open another */
	st = helpers_submit(c->env->helpers, &c->step);
	if (st == OK)
		c->state = PQ_STEPPING;
	return st;
}

static uint64_t place_of(const struct env *env, const struct pq_target *t)
{
	return hash_bytes(&env->shared->hash_key, t->host, strlen(t->host)) ^ t->port;
}

static bool has_orphan(struct env *env, uint64_t place)
{
	struct list *it;

	list_foreach (it, &env->pq_orphans)
		if (list_entry(it, struct pq, orphan)->place == place)
			return true;
	return false;
}

enum status pq_connect(struct env *env, const struct pq_target *t, uint64_t timeout_us,
	const struct pq_ops *ops, void *arg, struct pq **out)
{
	uint64_t place = place_of(env, t);
	struct pq *c;
	enum status st;

	if (has_orphan(env, place))
		return E_AGAIN;
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return E_NOMEM;
	c->place = place;
	c->fd = -1;
	list_init(&c->orphan);
	c->state = PQ_WAITING;
	c->env = env;
	c->ops = ops;
	c->arg = arg;
	c->step = (struct job){.run = step_run, .done = step_done, .slow = true};
	wheel_timer_init(&c->deadline, on_deadline);
	wheel_timer_init(&c->more, on_more);
	if ((st = pq_params_set(&c->params, t, PQlibVersion())) != OK ||
		(st = step_start(c)) != OK) {
		pq_destroy(c);
		return st;
	}
	env_timer(env, &c->deadline, timeout_us);
	*out = c;
	return OK;
}

int pq_server_version(const struct pq *c)
{
	return PQserverVersion(c->conn);
}

bool pq_in_recovery(const struct pq *c)
{
	const char *says = PQparameterStatus(c->conn, "in_hot_standby");

	return says != NULL && strcmp(says, "on") == 0;
}

/* --- results: struct pq_result is a PGresult --- */

static const PGresult *of(const struct pq_result *r)
{
	return (const PGresult *)(const void *)r;
}

bool pq_result_ok(const struct pq_result *r)
{
	return PQresultStatus(of(r)) != PGRES_FATAL_ERROR;
}

static const char *error_field(const struct pq_result *r, int code)
{
	const char *s = PQresultErrorField(of(r), code);

	return s != NULL ? s : "";
}

const char *pq_result_sqlstate(const struct pq_result *r)
{
	return error_field(r, PG_DIAG_SQLSTATE);
}

const char *pq_result_error(const struct pq_result *r)
{
	return error_field(r, PG_DIAG_MESSAGE_PRIMARY);
}

size_t pq_result_columns(const struct pq_result *r)
{
	return (size_t)PQnfields(of(r));
}

const char *pq_result_value(const struct pq_result *r, size_t column)
{
	int i = (int)column;

	if (column >= pq_result_columns(r) || PQntuples(of(r)) == 0 || PQgetisnull(of(r), 0, i))
		return NULL;
	return PQgetvalue(of(r), 0, i);
}

/* --- without a loop --- */

static void ignore_notice(void *arg, const PGresult *r)
{
	(void)arg;
	(void)r;
}

/* The whole answer has come. */
static bool wait_answer(PGconn *conn, unsigned timeout_s)
{
	struct pollfd p = {.fd = PQsocket(conn), .events = POLLIN};

	while (PQisBusy(conn))
		if (poll(&p, 1, (int)timeout_s * 1000) <= 0 || PQconsumeInput(conn) == 0)
			return false;
	return true;
}

static enum status ask_value(
	PGconn *conn, unsigned timeout_s, const char *sql, char *value, size_t cap, char *err)
{
	PGresult *r = NULL;
	enum status st = E_IO;

	if (PQstatus(conn) != CONNECTION_OK) {
		copy_line(err, PQ_TEXT_MAX, PQerrorMessage(conn));
	} else if (PQsendQuery(conn, sql) != 1 || !wait_answer(conn, timeout_s)) {
		copy_line(err, PQ_TEXT_MAX, "no answer");
	} else {
		r = PQgetResult(conn);
		st = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 ? OK : E_INVALID;
		copy_line(err, PQ_TEXT_MAX, PQresultErrorMessage(r));
		copy_line(value, cap, st == OK ? PQgetvalue(r, 0, 0) : "");
	}
	PQclear(r);
	return st;
}

enum status pq_ask(const struct pq_target *t, unsigned timeout_s, const char *sql, char *value,
	size_t cap, char *err)
{
	struct pq_params p = {.n = 0};
	PGconn *conn = NULL;
	char seconds[12];
	enum status st;

	copy_line(err, PQ_TEXT_MAX, "no memory");
	snprintf(seconds, sizeof seconds, "%u", timeout_s);
	st = pq_params_set(&p, t, PQlibVersion());
	if (st == OK)
		st = pq_params_add(&p, "connect_timeout", seconds);
	if (st == OK)
		conn = PQconnectdbParams(p.keys, (const char *const *)p.values, 0);
	pq_params_fini(&p);
	if (conn == NULL)
		return E_NOMEM;
	PQsetNoticeReceiver(conn, ignore_notice, NULL);
	st = ask_value(conn, timeout_s, sql, value, cap, err);
	PQfinish(conn);
	return st;
}
