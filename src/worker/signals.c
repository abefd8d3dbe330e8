#include "worker/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "sql/calls.h"
#include "worker/cancel.h"
#include "worker/dispatch.h"
#include "worker/server_clean.h"
#include "worker/unit.h"
#include "worker/unit_stmts.h"

#define NUMBER_MIN (1u << CANCEL_KEY_SLOT_BITS) /* smaller ones are process ids */
#define DIGITS_MAX 10u

struct target {
	uint32_t number;
	uint32_t worker; /* the victim's */
	uint32_t node;
	uint32_t pid; /* 0: none */
	uint64_t server;
	bool in_recovery;
};

struct signals {
	uint64_t asked_us;
	uint32_t n, n_pending;
	bool is_sent;
	struct target at[SIGNALS_MAX];
};

/* --- the calls of a unit --- */

/* Where a call's number stands in the unit. */
struct place {
	uint8_t *p;
	uint32_t len;
	bool binary;
	bool terminates;
};

/* The number there as unsigned; 0: none of a client. */
static uint32_t read_number(const struct place *at)
{
	uint64_t n = 0;

	if (at->binary && at->len != 4 && at->len != 8)
		return 0;
	if (!at->binary && (at->len == 0 || at->len > DIGITS_MAX))
		return 0;
	for (uint32_t i = 0; i < at->len; i++) {
		if (at->binary)
			n = n << 8 | at->p[i];
		else if (at->p[i] < '0' || at->p[i] > '9')
			return 0;
		else
			n = n * 10 + (at->p[i] - '0');
	}
	return n >= NUMBER_MIN && n <= INT32_MAX ? (uint32_t)n : 0;
}

/* A process id is smaller than what stood there: blanks fill the place. */
static void write_number(const struct place *at, uint32_t pid)
{
	char text[DIGITS_MAX + 1];

	if (!at->binary) {
		snprintf(text, sizeof text, "%*u", (int)at->len, pid);
		memcpy(at->p, text, at->len);
		return;
	}
	for (uint32_t i = at->len; i-- > 0; pid >>= 8)
		at->p[i] = (uint8_t)pid;
}

struct walk {
	const struct client *c;
	struct unit_stmts stmts;
	struct unit_stmt u;
	struct lexer lx;
	bool is_open; /* lx is in u */
};

static bool find_place(const struct walk *k, const struct sql_call *call, struct place *out)
{
	struct bind_value v;
	struct token t;

	if (call->of != CALL_CANCEL_BACKEND && call->of != CALL_TERMINATE_BACKEND)
		return false;
	if (sql_call_number(k->u.sql, k->c->sql_opts, call, &t) != OK)
		return false;
	*out = (struct place){.terminates = call->of == CALL_TERMINATE_BACKEND};
	if (t.kind == TOKEN_INTEGER) {
		out->p = (uint8_t *)(uintptr_t)k->u.sql + t.off;
		out->len = t.len;
		return k->u.in_unit; /* what is kept under a name is run again later */
	}
	if (!k->u.bound)
		return false;
	v = frontend_bind_value(&k->u.values, sql_param_number(k->u.sql, &t));
	out->p = (uint8_t *)(uintptr_t)v.p;
	out->len = v.len;
	out->binary = v.binary;
	return v.p != NULL;
}

/* The next call whose number is a client's. */
static bool next_call(struct walk *k, struct place *out)
{
	struct sql_call call;
	enum status st;

	for (;;) {
		if (!k->is_open) {
			if (!unit_stmts_next(&k->stmts, &k->u))
				return false;
			lexer_init(&k->lx, k->u.sql, k->u.len, k->c->sql_opts);
			k->is_open = true;
		}
		st = sql_call_next(&k->lx, &call);
		if (st == E_NOTFOUND)
			k->is_open = false;
		else if (st == OK && find_place(k, &call, out) && read_number(out) != 0)
			return true;
	}
}

/* --- the caller's side --- */

static bool is_superuser(const struct client *c)
{
	const char *is = baseline_get(&c->acc->baseline, "is_superuser");

	return is != NULL && strcmp(is, "on") == 0;
}

/* Nothing but its login says what it may. */
static bool has_plain_role(const struct client *c)
{
	return settings_get(c->set.current, "role") == NULL &&
	       settings_get(c->set.current, "session_authorization") == NULL;
}

/* Whose number is it? False: no client's of this process. */
static bool address(struct worker *w, struct tell_signal *t, uint32_t *to)
{
	struct cancel_key_scheme scheme = cancel_scheme(w);
	struct cancel_key_place at = cancel_key_find(&scheme, t->number);

	if (scheme.peer_id != 0 && cancel_key_peer(t->number) != scheme.peer_id)
		return false;
	t->first_slot = at.first;
	t->slot_step = at.step;
	*to = at.worker;
	return at.worker < w->sh->n_workers;
}

static void ask(struct worker *w, struct client *c, const struct place *at)
{
	struct signals *s = c->busy->signals;
	struct tell_signal *t = worker_mail(sizeof *t, TELL_SIGNAL);
	uint32_t to;

	if (t == NULL)
		return;
	t->step = SIGNAL_ASKED;
	t->from = (struct cancel_from){.worker = w->index, .slot = c->slot, .id = c->id};
	t->number = read_number(at);
	t->terminates = at->terminates;
	t->index = s->n;
	if (has_plain_role(c)) {
		t->is_superuser = is_superuser(c);
		snprintf(t->user, sizeof t->user, "%s", c->acc->user);
	}
	if (!address(w, t, &to)) {
		free(t);
		return;
	}
	s->at[s->n++] = (struct target){.number = t->number, .worker = to};
	s->n_pending++;
	worker_tell(w, to, &t->mail);
}

static void ask_all(struct worker *w, struct client *c, const uint8_t *data)
{
	struct walk k = {.c = c, .stmts = unit_stmts_of(c, data)};
	struct place at;

	while (next_call(&k, &at) && c->busy->signals->n < SIGNALS_MAX)
		ask(w, c, &at);
}

bool signals_wait(struct worker *w, struct client *c, const uint8_t *data)
{
	if (c->server != NULL && !server_is_quiet(c->server))
		return true;
	if (c->busy->signals == NULL && (c->sql_opts & SQL_ENC_UNSAFE) == 0) {
		c->busy->signals = calloc(1, sizeof *c->busy->signals);
		if (c->busy->signals != NULL) {
			c->busy->signals->asked_us = w->now_us;
			ask_all(w, c, data);
		}
	}
	if (c->busy->signals == NULL || c->busy->signals->n == 0) {
		c->busy->unit.signals = false;
		signals_over(w, c);
		return false;
	}
	return c->busy->signals->n_pending != 0;
}

struct pool *signals_pool(const struct client *c)
{
	const struct account *acc = c->acc;

	for (uint32_t i = 0; i < c->busy->signals->n && c->txn == TXN_NONE; i++) {
		const struct target *t = &c->busy->signals->at[i];

		if (t->pid == 0 || !t->in_recovery)
			continue;
		for (uint32_t j = 0; j < acc->n_pools; j++)
			if (acc->pools[j]->node == t->node)
				return acc->pools[j];
	}
	return NULL;
}

/* When what began then is not to be expected any more. */
static uint64_t ends_us(const struct worker *w, uint64_t since_us)
{
	uint64_t timeout_us = w->conf->server_cancel_timeout_us;

	return timeout_us != 0 ? since_us + timeout_us : UINT64_MAX;
}

/* The process of that server, if it can still be that. */
static uint32_t pid_of(struct worker *w, const struct client *c, uint32_t number)
{
	const struct signals *s = c->busy->signals;

	if (w->now_us > ends_us(w, s->asked_us))
		return 0;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->at[i].number == number && s->at[i].node == c->server->pool->node)
			return s->at[i].pid;
	return 0;
}

void signals_write(struct worker *w, struct client *c, const uint8_t *data)
{
	struct walk k = {.c = c, .stmts = unit_stmts_of(c, data)};
	struct place at;

	while (next_call(&k, &at)) {
		uint32_t pid = pid_of(w, c, read_number(&at));

		if (pid != 0)
			write_number(&at, pid);
	}
	c->busy->signals->is_sent = true;
}

static void let_go(struct worker *w, const struct target *at)
{
	struct tell_signal *t = at->server != 0 ? worker_mail(sizeof *t, TELL_SIGNAL) : NULL;

	if (t == NULL)
		return; /* server_cancel_timeout ends it */
	t->step = SIGNAL_OVER;
	t->server = at->server;
	worker_tell(w, at->worker, &t->mail);
}

COLD void signals_over(struct worker *w, struct client *c)
{
	struct signals *s = c->busy->signals;

	for (uint32_t i = 0; s != NULL && i < s->n; i++)
		let_go(w, &s->at[i]);
	free(s);
	c->busy->signals = NULL;
}

static void take_answer(struct worker *w, const struct tell_signal *t)
{
	struct client *c = t->from.slot < w->n_slots ? w->slots[t->from.slot] : NULL;
	struct target at = {.number = t->number,
		.worker = t->worker,
		.node = t->node,
		.pid = t->pid,
		.server = t->server,
		.in_recovery = t->in_recovery};

	if (c == NULL || c->id != t->from.id || c->busy->signals == NULL ||
		t->index >= c->busy->signals->n ||
		c->busy->signals->at[t->index].number != t->number ||
		c->busy->signals->n_pending == 0) {
		let_go(w, &at); /* it has left, or does something else */
		return;
	}
	c->busy->signals->at[t->index] = at;
	if (--c->busy->signals->n_pending == 0)
		unit_go_on(w, c);
}

/* --- the victim's side --- */

/* Several clients may have the number where there are peers: then it means none. */
static struct client *find_victim(struct worker *w, const struct tell_signal *t)
{
	struct client *found = NULL;

	for (uint32_t i = t->first_slot; i < w->n_slots; i += t->slot_step) {
		struct client *c = w->slots[i];

		if (c == NULL || c->number != t->number || !client_is_logged_in(c))
			continue;
		if (found != NULL)
			return NULL;
		found = c;
	}
	return found;
}

/* PostgreSQL's rule, as far as it is known here. */
static bool is_allowed(const struct tell_signal *t, const struct client *victim)
{
	return t->is_superuser ||
	       (strcmp(t->user, victim->acc->user) == 0 && !is_superuser(victim));
}

static void meet(struct worker *w, struct tell_signal *t, struct client *victim)
{
	struct server *s = victim->server;

	if (s != NULL && victim->state == CLIENT_ACTIVE && s->backend_pid != 0 &&
		s->n_holds < UINT8_MAX) {
		s->n_holds++;
		if (t->terminates)
			s->ends_client_until_us = UINT64_MAX;
		else
			s->canceled_unit = s->units;
		t->server = s->id;
		t->pid = s->backend_pid;
		t->node = s->pool->node;
		t->in_recovery = s->in_recovery;
	} else if (!is_allowed(t, victim)) {
		return;
	} else if (t->terminates) {
		client_shutdown(w, victim);
	} else if (victim->state == CLIENT_WAITING) {
		dispatch_cancel(w, victim);
	}
}

static void end_hold(struct worker *w, uint64_t server)
{
	struct list *it;

	list_foreach (it, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		if (s->id != server)
			continue;
		if (s->n_holds != 0)
			s->n_holds--;
		if (s->n_holds == 0 && s->ends_client_until_us == UINT64_MAX)
			s->ends_client_until_us = ends_us(w, w->now_us);
		if (s->state == SERVER_CANCELED && !server_is_held(s))
			server_clean_done(w, s);
		return;
	}
}

bool signals_end_client(const struct worker *w, const struct server *s, const char *sqlstate)
{
	return w->now_us < s->ends_client_until_us &&
	       strcmp(sqlstate, SQLSTATE_ADMIN_SHUTDOWN) == 0;
}

void signals_told(struct worker *w, struct tell_signal *t)
{
	struct client *victim;

	switch (t->step) {
	case SIGNAL_ASKED:
		victim = find_victim(w, t);
		if (victim != NULL)
			meet(w, t, victim);
		t->step = SIGNAL_ANSWERED;
		t->worker = w->index;
		worker_tell(w, t->from.worker, &t->mail);
		return;
	case SIGNAL_ANSWERED:
		take_answer(w, t);
		break;
	case SIGNAL_OVER:
		end_hold(w, t->server);
		break;
	}
	free(t);
}
