#include "control/judgement.h"

#include "conf/effective.h"

#define LAG_SPAN_MIN_US (10u * 1000u * 1000u)

/*
 * Nodes that nobody routes over need a cluster, too: one that is not used. There always is one if
 * there is such a node, for every cluster has a node of its own.
 */
static uint16_t spare_cluster(const struct conf *conf)
{
	for (uint16_t i = 0; i < TOPO_CLUSTERS_MAX; i++)
		if (conf->cluster_by_id[i] == NULL)
			return i;
	return 0;
}

/* History to look a replica's position up in: several times what it may lag. */
static uint64_t lag_span_us(const struct conf *conf)
{
	uint64_t max = LAG_SPAN_MIN_US / 4;

	for (size_t i = 0; i < conf->n_dbs; i++)
		if (conf_max_lag_us(conf, &conf->dbs[i], NULL) > max)
			max = conf_max_lag_us(conf, &conf->dbs[i], NULL);
	return 4 * max;
}

enum status judgement_new(const struct conf *conf, const struct roles *old,
	const bool known[NODES_MAX], uint64_t now_us, struct roles **out)
{
	uint16_t cluster_ids[NODES_MAX], from[NODES_MAX], spare = spare_cluster(conf);
	const char *labels[NODES_MAX];
	struct roles_conf rc = {
		.n_nodes = 1,
		.n_clusters = (uint16_t)(spare + 1),
		.cluster_of = cluster_ids,
		.label = labels,
		.node_timeout_us = conf->node_timeout_us,
		.lag_span_us = lag_span_us(conf),
		.now_us = now_us,
	};
	enum status st;

	for (uint32_t i = 0; i < NODES_MAX; i++) {
		const struct conf_node *node = conf->node_by_id[i];
		bool used = node != NULL && node->cluster_id != CONF_NO_CLUSTER;

		cluster_ids[i] = used ? (uint16_t)node->cluster_id : spare;
		labels[i] = node != NULL ? node->name : "";
		from[i] = used && known[i] ? (uint16_t)i : TOPO_NONE;
		if (used)
			rc.n_nodes = (uint16_t)(i + 1);
		if (cluster_ids[i] >= rc.n_clusters)
			rc.n_clusters = (uint16_t)(cluster_ids[i] + 1);
	}
	st = roles_new(&rc, out);
	if (st == OK && old != NULL)
		roles_carry(*out, old, from);
	return st;
}
