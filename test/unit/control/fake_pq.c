#include "fake_pq.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct pq fake_pqs[FAKE_PQ_MAX];
unsigned fake_pq_n;
const struct mark_clock *fake_pq_clock;
enum status fake_pq_status = OK;

struct pq_result {
	const char *const *values;
	unsigned n;
	const char *sqlstate, *error;
};

enum status pq_connect(struct env *env, const struct pq_target *t, uint64_t timeout_us,
	const struct pq_ops *ops, void *arg, struct pq **out)
{
	struct pq *c;

	(void)env;
	if (fake_pq_status != OK)
		return fake_pq_status;
	ck_assert_uint_lt(fake_pq_n, FAKE_PQ_MAX);
	c = &fake_pqs[fake_pq_n++];
	memset(c, 0, sizeof *c);
	c->in_use = true;
	snprintf(c->host, sizeof c->host, "%s", t->host);
	snprintf(c->hostaddr, sizeof c->hostaddr, "%s", t->hostaddr);
	snprintf(c->user, sizeof c->user, "%s", t->user);
	snprintf(c->password, sizeof c->password, "%s", t->password);
	snprintf(c->dbname, sizeof c->dbname, "%s", t->dbname);
	snprintf(c->application, sizeof c->application, "%s",
		t->application != NULL ? t->application : PQ_APPLICATION);
	c->port = t->port;
	c->timeout_us = timeout_us;
	c->ops = ops;
	c->arg = arg;
	c->version = 150003;
	*out = c;
	return OK;
}

enum status pq_query(struct pq *c, const char *sql, uint64_t timeout_us)
{
	(void)timeout_us;
	ck_assert(c->in_use && c->sql == NULL);
	c->sql = sql;
	snprintf(c->asked, sizeof c->asked, "%s", sql);
	c->n_queries++;
	c->clock_then = fake_pq_clock != NULL ? mark_clock_load(fake_pq_clock) : 0;
	return OK;
}

enum status pq_query_with(struct pq *c, const char *sql, const char *value, uint64_t timeout_us)
{
	snprintf(c->value, sizeof c->value, "%s", value);
	return pq_query(c, sql, timeout_us);
}

void pq_free(struct pq *c)
{
	if (c != NULL)
		c->in_use = false;
}

int pq_server_version(const struct pq *c)
{
	return c->version;
}

bool pq_in_recovery(const struct pq *c)
{
	return c->in_recovery;
}

bool pq_result_ok(const struct pq_result *r)
{
	return r->error == NULL;
}

const char *pq_result_sqlstate(const struct pq_result *r)
{
	return r->error != NULL ? r->sqlstate : "";
}

const char *pq_result_error(const struct pq_result *r)
{
	return r->error != NULL ? r->error : "";
}

size_t pq_result_columns(const struct pq_result *r)
{
	return r->n;
}

const char *pq_result_value(const struct pq_result *r, size_t column)
{
	return column < r->n ? r->values[column] : NULL;
}

struct pq *fake_pq_to(uint16_t port)
{
	for (unsigned i = fake_pq_n; i-- > 0;)
		if (fake_pqs[i].in_use && fake_pqs[i].port == port)
			return &fake_pqs[i];
	return NULL;
}

unsigned fake_pq_n_in_use(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_pq_n; i++)
		n += fake_pqs[i].in_use;
	return n;
}

void fake_pq_ready(struct pq *c)
{
	ck_assert(c->in_use);
	c->ops->on_ready(c->arg);
}

void fake_pq_row(struct pq *c, const char *const *values, unsigned n)
{
	struct pq_result r = {.values = values, .n = n};

	ck_assert(c->in_use && c->sql != NULL);
	c->ops->on_row(c->arg, &r);
}

void fake_pq_done(struct pq *c)
{
	static const char *const nothing[FAKE_PQ_COLUMNS];
	struct pq_result r = {.values = nothing, .n = FAKE_PQ_COLUMNS};

	ck_assert(c->in_use && c->sql != NULL);
	c->sql = NULL;
	c->ops->on_done(c->arg, &r);
}

void fake_pq_error(struct pq *c, const char *sqlstate, const char *text)
{
	struct pq_result r = {.sqlstate = sqlstate, .error = text};

	ck_assert(c->in_use && c->sql != NULL);
	c->sql = NULL;
	c->ops->on_done(c->arg, &r);
}

void fake_pq_notify(struct pq *c, const char *channel, const char *payload, uint32_t pid)
{
	struct pq_notice n = {.channel = channel, .payload = payload, .pid = pid};

	ck_assert(c->in_use);
	c->ops->on_notify(c->arg, &n);
}

void fake_pq_fail(struct pq *c, enum pq_failure_kind kind, const char *sqlstate, const char *text)
{
	struct pq_failure f = {.kind = kind};

	ck_assert(c->in_use);
	snprintf(f.sqlstate, sizeof f.sqlstate, "%s", sqlstate);
	snprintf(f.text, sizeof f.text, "%s", text);
	c->ops->on_failed(c->arg, &f);
}
