#include "worker/places.h"

#include "conf/conf.h"
#include "worker/custom.h"
#include "worker/server.h"
#include "worker/takeover.h"
#include "worker/worker.h"

bool places_may_open(struct worker *w, const struct pool *p)
{
	if (takeover_rations(w) && p->granted == 0)
		return false;
	if (atomic_load(&w->sh->opens_nothing))
		return false;
	return p->index != POOL_RETIRED && p->acc->db->conf != NULL && !p->acc->db->paused &&
	       w->now_us >= p->retry_at_us && !w->stopping;
}

/* Close an idle server of another pool here that stands in the way. */
static bool make_room(struct worker *w, struct pool *wanting, enum share_full full)
{
	struct list *it;

	list_foreach (it, &w->servers) {
		struct server *s = list_entry(it, struct server, link);
		struct pool *p = s->pool;

		if (s->state != SERVER_IDLE || p == wanting || waitq_len(&p->line) != 0)
			continue;
		if ((full == SHARE_FULL_DATABASE && p->share->db != wanting->share->db) ||
			(full == SHARE_FULL_USER && p->share->user != wanting->share->user) ||
			(full == SHARE_FULL_NODE && p->share->node != wanting->share->node))
			continue;
		server_close(w, s, SERVER_END_BUDGET);
		return true;
	}
	return false;
}

static uint32_t reserve_now(struct worker *w, const struct pool *p)
{
	return share_reserve(p->acc->reserve_pool_size, w->conf->reserve_pool_timeout_us,
		waitq_oldest_us(&p->line), w->now_us);
}

/*
 * Its own idle server that would be missed least: for a client that must have a new one, or is to
 * get none that is outdated, or knows custom parameters which it does not (custom.h).
 */
static bool make_room_here(struct worker *w, struct pool *p, bool any)
{
	struct server *misfit;
	bool outdated;

	if (list_is_empty(&p->idle))
		return false;
	if (!any) {
		misfit = custom_misfit(w, p);
		if (misfit == NULL)
			return false;
		outdated = server_is_outdated(w, misfit);
		w->counts.custom_closed += !outdated;
		server_close(w, misfit, outdated ? SERVER_END_OUTDATED : SERVER_END_CUSTOM);
		return true;
	}
	server_close(w, list_entry(p->idle.prev, struct server, pool_link), SERVER_END_BUDGET);
	return true;
}

bool places_open_one(struct worker *w, struct pool *p, struct client *only_for)
{
	struct budget_want login = {.b = &p->share->node->logins};
	enum share_full full;
	uint64_t wake = 0;
	enum status st;

	if (budget_acquire_or_wait(&login, 1, w->index, &wake) >= 0) {
		worker_wake(w, wake);
		return false;
	}
	st = share_open(p->share, w->index, reserve_now(w, p), &full, &wake);
	if (st == E_AGAIN && (full != SHARE_FULL_POOL ? make_room(w, p, full)
						      : make_room_here(w, p, only_for != NULL)))
		st = share_open(p->share, w->index, reserve_now(w, p), &full, &wake);
	if (st != OK)
		budget_release(&p->share->node->logins, &wake);
	worker_wake(w, wake);
	if (st == OK && takeover_rations(w))
		p->granted--;
	return st == OK && server_open(w, p, only_for) == OK;
}

/* Who makes a place in it wakes this worker. None of its own is in the way, nor grows a reserve. */
static bool is_known_full(const struct worker *w, const struct pool *p)
{
	return budget_is_starving(&p->share->open, w->index) && list_is_empty(&p->idle) &&
	       p->acc->reserve_pool_size == 0;
}

void places_open_for_line(struct worker *w, struct pool *p)
{
	if (is_known_full(w, p))
		return;
	while (waitq_len(&p->line) > p->n_login + p->n_check && places_may_open(w, p))
		if (!places_open_one(w, p, NULL))
			return;
}

void places_server_gone(struct worker *w, struct pool *p, bool login_counted)
{
	uint64_t wake = 0;

	if (login_counted)
		budget_release(&p->share->node->logins, &wake);
	share_close(p->share, &wake);
	worker_wake(w, wake);
	if (waitq_len(&p->line) != 0)
		places_open_for_line(w, p);
}

void places_login_ended(struct worker *w, struct pool *p)
{
	uint64_t wake = 0;

	budget_release(&p->share->node->logins, &wake);
	worker_wake(w, wake);
}

void places_idle_changed(struct worker *w, struct pool *p, int delta)
{
	/* Called while the counter changes: what will be seen by others is the new number. */
	(void)delta;
	share_publish_idle(p->share, w->index, p->n_idle);
}

bool places_may_shrink(struct worker *w, const struct pool *p)
{
	(void)w;
	return p->acc->db->conf == NULL || p->index == POOL_RETIRED ||
	       budget_n(&p->share->open) > p->acc->min_pool_size;
}

void places_keep_min(struct worker *w, struct account *acc)
{
	if (acc->min_pool_size == 0 || acc->n_clients == 0)
		return;
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		struct pool *p = acc->pools[i];

		while (budget_n(&p->share->open) < acc->min_pool_size && places_may_open(w, p))
			if (!places_open_one(w, p, NULL))
				break;
	}
}

/* Give back a place that somebody else, maybe on another worker, has a better claim to. */
static void give_back(struct worker *w, struct pool *p)
{
	struct server *s;

	if (list_is_empty(&p->idle) || waitq_len(&p->line) != 0)
		return;
	s = list_entry(p->idle.prev, struct server, pool_link);
	if (s->wanted_by == NULL &&
		(share_pool_gives_back(p->share) || budget_has_starved(&p->share->db->open) ||
			budget_has_starved(&p->share->user->open) ||
			budget_has_starved(&p->share->node->open) ||
			budget_is_over(&p->share->open)))
		server_close(w, s, SERVER_END_BUDGET);
}

void places_give_back(struct worker *w)
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list)
		list_foreach (ia, &list_entry(it, struct dbase, link)->account_list) {
			struct account *acc = list_entry(ia, struct account, link);

			for (uint32_t i = 0; i < acc->n_pools; i++)
				give_back(w, acc->pools[i]);
		}
}
