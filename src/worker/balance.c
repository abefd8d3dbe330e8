#include "worker/balance.h"

#include <string.h>

#include "conf/conf.h"

#define JUDGE_US 900000u /* the worker that comes first within a second judges */

static void add(_Atomic uint32_t *n, uint32_t more)
{
	/* Only this worker writes it. */
	atomic_store_explicit(
		n, atomic_load_explicit(n, memory_order_relaxed) + more, memory_order_relaxed);
}

void balance_count(struct worker *w, struct pool *p, uint64_t us)
{
	struct share_slot *slot = &p->share->slots[w->index];

	add(&slot->n_units, 1);
	add(&slot->log_sum, outlier_log(us));
}

void balance_count_failure(struct worker *w, struct pool *p, const char *why)
{
	static const char *const classes[] = {REPLAY_LOST, "08", "53", "57P", "58", "XX"};

	if (!p->counts)
		return;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strncmp(why, classes[i], strlen(classes[i])) == 0) {
			add(&p->share->slots[w->index].n_failures, 1);
			return;
		}
}

void balance_bind(struct worker *w, struct account *acc)
{
	bool on = w->conf->eject_errors != 0 || w->conf->eject_latency != 0;

	for (uint32_t i = 0; i < acc->n_pools; i++)
		acc->pools[i]->counts = acc->db->conf->routing && acc->n_pools > 2 && on;
}

static struct outlier_counts take_counts(struct worker *w, struct share_pool *s)
{
	const struct topo_node *n = topology_node(w->topology, s->node_id);
	struct outlier_counts c = {0};
	uint32_t units = 0, failures = 0, log_sum = 0;

	for (uint32_t i = 0; i < s->n_workers; i++) {
		units += atomic_load_explicit(&s->slots[i].n_units, memory_order_relaxed);
		failures += atomic_load_explicit(&s->slots[i].n_failures, memory_order_relaxed);
		log_sum += atomic_load_explicit(&s->slots[i].log_sum, memory_order_relaxed);
	}
	c.units = units - s->seen_units;
	c.failures = failures - s->seen_failures;
	c.log_sum = log_sum - s->seen_log_sum;
	s->seen_units = units;
	s->seen_failures = failures;
	s->seen_log_sum = log_sum;
	if (n != NULL) {
		c.usable = n->health == TOPO_UP && n->role == TOPO_ROLE_REPLICA && n->follows;
		c.came_back_us = n->back_us;
	}
	return c;
}

static void publish(struct worker *w, struct pool *p, enum outlier_event e)
{
	struct share_pool *s = p->share;
	const struct outlier *o = &s->outlier;

	atomic_store_explicit(&s->back_us, o->back_us, memory_order_relaxed);
	atomic_store_explicit(&s->ejected_us, o->until_us, memory_order_relaxed);
	atomic_fetch_add(&p->acc->share_db->verdicts, 1); /* who sees it sees these two */
	if (e != OUTLIER_BACK)
		atomic_fetch_add(&s->ejections[e == OUTLIER_LATENCY], 1);
	if (e == OUTLIER_BACK)
		log_info(w->log, "node is taken in again",
			"node=%s db=%s user=%s reason=\"its time is over\"",
			worker_node_name(w, p->node), LOG_Q(p->acc->db->name), LOG_Q(p->acc->user));
	else
		log_warn(w->log, "node is ejected", "node=%s db=%s user=%s reason=%s time_s=%lu",
			worker_node_name(w, p->node), LOG_Q(p->acc->db->name), LOG_Q(p->acc->user),
			e == OUTLIER_ERRORS ? "errors" : "latency",
			(unsigned long)((o->until_us - o->since_us) / 1000000u));
}

static void judge(struct worker *w, struct account *acc)
{
	const struct outlier_conf conf = {
		.errors = w->conf->eject_errors,
		.latency = w->conf->eject_latency,
		.time_us = w->conf->eject_time_us,
		.time_max_us = w->conf->eject_time_max_us,
	};
	struct outlier *nodes[OUTLIER_NODES_MAX];
	struct outlier_counts counts[OUTLIER_NODES_MAX];
	enum outlier_event events[OUTLIER_NODES_MAX];

	for (uint32_t i = 0; i < acc->n_pools; i++) {
		nodes[i] = &acc->pools[i]->share->outlier;
		counts[i] = take_counts(w, acc->pools[i]->share);
		acc->pools[i]->share->judged_us = w->now_us;
	}
	outlier_judge(&conf, acc->n_pools, nodes, counts, w->now_us, events);
	for (uint32_t i = 0; i < acc->n_pools; i++)
		if (events[i] != OUTLIER_NONE)
			publish(w, acc->pools[i], events[i]);
}

/* All pools are claimed: after a reload workers may differ in what the account's nodes are. */
void balance_judge(struct worker *w, struct account *acc)
{
	uint32_t n = 0;

	if (acc->n_pools < 3 || !acc->db->conf->routing)
		return;
	while (n < acc->n_pools && !atomic_exchange_explicit(&acc->pools[n]->share->judging, true,
					   memory_order_acquire))
		n++;
	if (n == acc->n_pools && w->now_us >= acc->pools[0]->share->judged_us + JUDGE_US)
		judge(w, acc);
	while (n-- > 0)
		atomic_store_explicit(&acc->pools[n]->share->judging, false, memory_order_release);
}
