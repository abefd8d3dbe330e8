#include "worker/account.h"

#include <stdio.h>
#include <stdlib.h>

#include "worker/dispatch.h"
#include "worker/line.h"
#include "worker/server.h"
#include "worker/worker.h"

void account_pool_init(struct pool *p)
{
	waitq_init(&p->pin_line, LINE_MAX);
	waitq_init(&p->line, LINE_MAX);
	list_init(&p->waiting_link);
	list_init(&p->retired_link);
}

void account_init(struct account *acc)
{
	waitq_init(&acc->nowhere, LINE_MAX);
	list_init(&acc->nowhere_link);
}

static void close_idle(struct worker *w, struct pool *p, enum server_end why)
{
	while (!list_is_empty(&p->idle))
		server_close(w, list_entry(p->idle.next, struct server, pool_link), why);
}

void account_pool_retire(struct worker *w, struct pool *p)
{
	struct waiter *x;

	p->index = POOL_RETIRED; /* servers in use are closed at release */
	close_idle(w, p, SERVER_END_OUTDATED);
	while ((x = waitq_first(&p->line)) != NULL)
		dispatch_choose_anew(w, line_client(x));
	while ((x = waitq_first(&p->pin_line)) != NULL)
		dispatch_choose_anew(w, line_client(x));
	list_push_back(&w->retired_pools, &p->retired_link);
}

static bool is_referred_to(struct worker *w, const struct pool *p)
{
	struct list *it;

	if (waitq_len(&p->line) != 0 || waitq_len(&p->pin_line) != 0)
		return true;
	list_foreach (it, &w->servers)
		if (list_entry(it, struct server, link)->pool == p)
			return true;
	return false;
}

void account_bury_pools(struct worker *w)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->retired_pools) {
		struct pool *p = list_entry(it, struct pool, retired_link);

		if (is_referred_to(w, p))
			continue;
		list_del(it);
		free(p);
	}
}

void account_forget_retired(struct worker *w, const struct account *acc)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->retired_pools) {
		struct pool *p = list_entry(it, struct pool, retired_link);

		if (p->acc != acc)
			continue;
		list_del(it);
		free(p);
	}
}

void account_gone(struct worker *w, struct account *acc)
{
	struct list *it, *tmp;

	for (uint32_t i = 0; i < acc->n_pools; i++)
		close_idle(w, acc->pools[i], SERVER_END_OUTDATED);
	list_foreach_safe (it, tmp, &w->clients) {
		struct client *c = list_entry(it, struct client, link);

		if (c->acc == acc)
			client_shutdown(w, c);
	}
}

void account_changed(struct worker *w, struct account *acc)
{
	struct list *it, *tmp;

	for (uint32_t i = 0; i < acc->n_pools; i++) {
		struct pool *p = acc->pools[i];

		list_foreach_safe (it, tmp, &p->idle) {
			struct server *s = list_entry(it, struct server, pool_link);

			if (acc->db->paused || s->reconnect_no < acc->db->reconnect_no)
				server_close(w, s, SERVER_END_OUTDATED);
		}
		if (acc->db->paused)
			dispatch_recheck(w, &p->line, NULL);
	}
	if (!acc->db->paused)
		dispatch_recheck(w, &acc->nowhere, NULL);
}

void account_moved(struct worker *w, struct account *acc)
{
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		acc->pools[i]->retry_at_us = 0; /* what was refused may be right now */
		close_idle(w, acc->pools[i], SERVER_END_OUTDATED);
	}
}

static bool over_limit(struct worker *w, struct client *c, const char *setting)
{
	char hint[64];
	struct report r = report_of("FATAL", SQLSTATE_TOO_MANY_CONNECTIONS, setting);

	snprintf(hint, sizeof hint, "Raise %s.", setting);
	r.hint = hint;
	client_fatal(w, c, &r, CLIENT_END_LIMIT);
	return false;
}

bool account_client_enters(struct worker *w, struct client *c)
{
	struct account *acc = c->acc;
	struct budget_want want[2] = {
		{.b = &acc->share_db->clients}, {.b = &acc->share_user->clients}};
	uint64_t wake = 0;
	int full = budget_try_acquire(want, 2, &wake);

	if (full >= 0) {
		c->acc = NULL;
		return over_limit(w, c,
			full == 0 ? "max_db_client_connections" : "max_user_client_connections");
	}
	acc->n_clients++;
	acc->db->n_clients++;
	return true;
}

void account_client_left(struct worker *w, struct client *c)
{
	uint64_t wake = 0;

	(void)w;
	budget_release(&c->acc->share_db->clients, &wake);
	budget_release(&c->acc->share_user->clients, &wake);
	c->acc->n_clients--;
	c->db->n_clients--;
}
