#include "control/lag_log.h"

#include <stdlib.h>

void lag_log_fini(struct lag_log *l)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		free(l->node[i]);
		l->node[i] = NULL;
	}
}

static void push(struct lag_log_node *n, const struct lag_log_entry *e)
{
	n->at[n->head] = *e;
	n->head = (n->head + 1) % LAG_LOG_MAX;
	if (n->n < LAG_LOG_MAX)
		n->n++;
}

void lag_log_note(
	struct lag_log *l, const struct topology *t, const bool watched[NODES_MAX], uint64_t now_us)
{
	if (l->last_us != 0 && now_us - l->last_us < LAG_LOG_EVERY_US)
		return;
	l->last_us = now_us;
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		const struct topo_node *n = topology_node(t, (uint16_t)i);

		if (!watched[i] || n == NULL) {
			free(l->node[i]);
			l->node[i] = NULL;
			continue;
		}
		if (l->node[i] == NULL)
			l->node[i] = calloc(1, sizeof *l->node[i]);
		if (l->node[i] == NULL)
			continue; /* no memory: this second is missing */
		push(l->node[i], &(struct lag_log_entry){.at_us = now_us,
					 .lag_us = n->lag_us,
					 .lag_bytes = n->lag_bytes,
					 .role = n->role,
					 .health = n->health,
					 .known = n->lag_known});
	}
}

const struct lag_log_entry *lag_log_at(const struct lag_log *l, uint32_t node, uint32_t back)
{
	const struct lag_log_node *n = node < NODES_MAX ? l->node[node] : NULL;

	if (n == NULL || back >= n->n)
		return NULL;
	return &n->at[(n->head + LAG_LOG_MAX - 1 - back) % LAG_LOG_MAX];
}

uint64_t lag_log_max_us(const struct lag_log *l, uint32_t node)
{
	const struct lag_log_entry *e;
	uint64_t max = 0;

	for (uint32_t back = 0; (e = lag_log_at(l, node, back)) != NULL; back++)
		if (e->known && e->lag_us > max)
			max = e->lag_us;
	return max;
}
