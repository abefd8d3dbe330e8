#include "worker/upkeep.h"

#include <string.h>

#include "conf/conf.h"
#include "worker/balance.h"
#include "worker/busy.h"
#include "worker/client.h"
#include "worker/dispatch.h"
#include "worker/fit.h"
#include "worker/line.h"
#include "worker/places.h"
#include "worker/worker.h"

#define JANITOR_SLOW_US 1000000u /* min_pool_size, places for others */
#define FAST_CLOSE_MAX  64u /* clients that server_fast_close ends in one round of the janitor */

static bool node_is_up(struct worker *w, uint32_t node)
{
	const struct topo_node *n = topology_node(w->topology, (uint16_t)node);

	return n != NULL && n->health == TOPO_UP;
}

/*
 * Idle connections are closed that are not what their node is now, or lead to what was there before
 * it restarted or was replaced.
 */
static void check_idle(struct worker *w, struct pool *p)
{
	const struct topo_cluster *cluster = fit_cluster(w, p->acc);
	bool is_primary = cluster != NULL && cluster->primary == p->node;
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &p->idle) {
		struct server *s = list_entry(it, struct server, pool_link);

		if (is_primary && (s->in_recovery || s->timeline < cluster->timeline_max))
			server_close(w, s, SERVER_END_ROLE);
		else if (server_is_outdated(w, s))
			server_close(w, s, SERVER_END_OUTDATED);
	}
}

/*
 * What runs there is given up: the replica says nothing any more, or it was a primary, and a higher
 * timeline is known. A primary that hangs may go on, as long as there is no other.
 */
static bool is_given_up(
	const struct topo_cluster *cluster, const struct topo_node *n, const struct server *s)
{
	if (s->in_recovery)
		return n->silent;
	return s->timeline != 0 && s->timeline < cluster->timeline_max;
}

static struct server *find_given_up(
	const struct topo_cluster *cluster, const struct topo_node *n, struct pool *p)
{
	struct list *it;

	list_foreach (it, &p->active) {
		struct server *s = list_entry(it, struct server, pool_link);

		if (s->client != NULL && !s->replication && is_given_up(cluster, n, s))
			return s;
	}
	return NULL;
}

/* Their clients' reads run elsewhere, where that can be; else they are told. */
static void give_up_units(struct worker *w, struct pool *p)
{
	const struct topo_cluster *cluster = fit_cluster(w, p->acc);
	const struct topo_node *n = topology_node(w->topology, (uint16_t)p->node);
	struct server *s;

	if (cluster == NULL || n == NULL)
		return;
	while ((s = find_given_up(cluster, n, p)) != NULL)
		server_close(w, s, s->in_recovery ? SERVER_END_LOST : SERVER_END_ROLE);
}

/* Did the last login fail because of the state that the node was in? */
static bool failed_for_the_node(const struct pool *p)
{
	return strncmp(p->last_sqlstate, "08", 2) == 0 || strncmp(p->last_sqlstate, "57P", 3) == 0;
}

static void account_topology_changed(struct worker *w, struct account *acc)
{
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		struct pool *p = acc->pools[i];

		check_idle(w, p);
		if (p->n_active != 0)
			give_up_units(w, p);
		/* The monitor sees the node accept connections: no need to wait longer. */
		if (p->retry_at_us > w->now_us && node_is_up(w, p->node) && failed_for_the_node(p))
			p->retry_at_us = w->now_us;
	}
}

void upkeep_topology_changed(struct worker *w)
{
	struct list *it, *ia, *tmp;

	list_foreach (it, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		if (db->conf == NULL || !db->conf->routing)
			continue;
		list_foreach (ia, &db->account_list)
			account_topology_changed(w, list_entry(ia, struct account, link));
	}
	if (waitq_len(&w->fresh) != 0)
		line_look_fresh(w);
	list_foreach_safe (it, tmp, &w->waiting_accounts)
		dispatch_recheck(w, &list_entry(it, struct account, nowhere_link)->nowhere, NULL);
	list_foreach_safe (it, tmp, &w->waiting_pools) {
		struct pool *p = list_entry(it, struct pool, waiting_link);

		if (p->acc->n_pools > 1)
			dispatch_recheck(w, &p->line, p);
		dispatch_look_pool(w, p); /* servers that were too young */
	}
}

void upkeep_addresses_changed(struct worker *w)
{
	struct list *it, *ia;

	list_foreach (it, &w->servers)
		server_check_address(w, list_entry(it, struct server, link));
	list_foreach (it, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		list_foreach (ia, &db->account_list) {
			struct account *acc = list_entry(ia, struct account, link);

			for (uint32_t i = 0; db->conf != NULL && i < acc->n_pools; i++)
				check_idle(w, acc->pools[i]);
		}
	}
}

static void janitor_slow(struct worker *w)
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		if (db->conf == NULL)
			continue;
		list_foreach (ia, &db->account_list) {
			struct account *acc = list_entry(ia, struct account, link);

			places_keep_min(w, acc);
			balance_judge(w, acc);
		}
	}
	dbase_forget_unused(w);
}

/* One of them: closing it may close others, so the walk begins anew behind it. */
static bool fast_close_one(struct worker *w)
{
	struct list *it;

	list_foreach (it, &w->servers)
		if (server_fast_close(w, list_entry(it, struct server, link)))
			return true;
	return false;
}

/* drain_rate: idle clients are closed, so that a load balancer takes them elsewhere. */
static void drain(struct worker *w)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->clients) {
		struct client *c = list_entry(it, struct client, link);

		if (c->state != CLIENT_IDLE || c->txn != TXN_NONE)
			continue;
		if (atomic_fetch_sub(&w->sh->drain_quota, 1) <= 0) {
			atomic_fetch_add(&w->sh->drain_quota, 1);
			return;
		}
		client_shutdown(w, c);
	}
}

void upkeep_janitor(struct worker *w)
{
	struct list *it, *tmp;

	if (atomic_load_explicit(&w->sh->drain_quota, memory_order_relaxed) > 0)
		drain(w);

	list_foreach_safe (it, tmp, &w->waiting_pools) {
		struct pool *p = list_entry(it, struct pool, waiting_link);

		line_expire(w, &p->pin_line, p);
		line_expire(w, &p->line, p);
		line_tell(w, &p->pin_line);
		line_tell(w, &p->line);
		dispatch_look_pool(w, p);
	}
	list_foreach_safe (it, tmp, &w->waiting_accounts) {
		struct account *acc = list_entry(it, struct account, nowhere_link);

		line_expire(w, &acc->nowhere, NULL);
		line_tell(w, &acc->nowhere);
		dispatch_recheck(w, &acc->nowhere, NULL);
	}
	places_give_back(w);
	busy_look(w);
	for (uint32_t n = 0; w->conf->server_fast_close && n < FAST_CLOSE_MAX; n++)
		if (!fast_close_one(w))
			break;
	if (w->now_us - w->janitor_slow_us >= JANITOR_SLOW_US) {
		w->janitor_slow_us = w->now_us;
		janitor_slow(w);
	}
}

void upkeep_check_timed_out(struct worker *w, struct server *s)
{
	struct pool *p = s->pool;
	struct list *it;

	server_close(w, s, SERVER_END_TIMEOUT);
	while ((it = p->idle.prev) != &p->idle &&
		server_needs_check(w, list_entry(it, struct server, pool_link)))
		server_close(w, list_entry(it, struct server, pool_link), SERVER_END_TIMEOUT);
	worker_probe(w, p->node);
}
