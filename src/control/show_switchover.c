/* Table SWITCHOVER: which replica can be promoted without a loss. */
#include "control/show.h"

#include "conf/conf.h"
#include "control/switchover.h"
#include "route/topology.h"

#define I4 REPLY_TYPE_INT4
#define I8 REPLY_TYPE_INT8
#define T  REPLY_TYPE_TEXT

static const struct reply_column switchover_columns[] = {
	{"cluster", I4},
	{"primary", T},
	{"node", T},
	{"health", T},
	{"paused", I4},
	{"servers", I4},
	{"primary_lsn", T},
	{"replay_lsn", T},
	{"missing_bytes", I8},
	{"safe", I4},
	{"reason", T},
};

/* Connections to nodes of the cluster, of all databases that route over it. */
static uint64_t servers_of(const struct show_in *in, uint32_t cluster)
{
	const struct conf *conf = env_conf(in->env);
	uint64_t n = 0;

	for (size_t i = 0; i < in->gathered->n_pools; i++) {
		const struct pool_sum *p = in->gathered->pools[i];
		const struct conf_node *node = p->node >= 0 && p->node < (int32_t)CONF_NODES_MAX
						       ? conf->node_by_id[p->node]
						       : NULL;

		if (node != NULL && node->cluster_id == cluster)
			n += pool_sum_servers(p);
	}
	return n;
}

static const char *why_not(bool paused, uint64_t servers, uint64_t missing)
{
	if (missing == UINT64_MAX)
		return "it is not known to follow a primary";
	if (!paused)
		return "not all databases of the cluster are paused";
	if (servers != 0)
		return "server connections are still in use";
	if (missing != 0)
		return "it has not replayed all that the primary has written";
	return "";
}

static void put_node(const struct show_in *in, const struct conf_node *node, struct rows *out)
{
	const struct topology *t = env_topology(in->env);
	const struct topo_node *n = topology_node(t, (uint16_t)node->id);
	const struct topo_cluster *c = topology_cluster(t, (uint16_t)node->cluster_id);
	bool paused = switchover_is_paused(in->env, node->cluster_id);
	uint64_t servers = servers_of(in, node->cluster_id);
	uint64_t missing = switchover_missing(in->env, node->cluster_id, n);
	const char *reason = why_not(paused, servers, missing);
	char lsn[LSN_TEXT_MAX];

	rows_begin(out);
	rows_u64(out, node->cluster_id);
	rows_text(out, c->primary != TOPO_NONE ? show_node_name(in->env, c->primary) : NULL);
	rows_text(out, node->name);
	rows_text(out, topo_health_name((enum topo_health)n->health));
	rows_u64(out, paused);
	rows_u64(out, servers);
	if (c->n_samples != 0)
		lsn_format(c->samples[0].at.lsn, lsn);
	rows_text(out, c->n_samples != 0 ? lsn : NULL);
	lsn_format(n->lsn, lsn);
	rows_text(out, lsn);
	if (missing != UINT64_MAX)
		rows_u64(out, missing);
	else
		rows_text(out, NULL);
	rows_u64(out, *reason == '\0');
	rows_text(out, reason);
	rows_end(out);
}

static size_t switchover_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	const struct topology *t = env_topology(in->env);
	const struct conf_node *node;
	const struct topo_cluster *c;

	if (pos >= conf->n_nodes)
		return SIZE_MAX;
	node = &conf->nodes[pos];
	c = node->cluster_id != CONF_NO_CLUSTER ? topology_cluster(t, (uint16_t)node->cluster_id)
						: NULL;
	if (c != NULL && c->primary != node->id && topology_node(t, (uint16_t)node->id) != NULL)
		put_node(in, node, out);
	return pos + 1;
}

const struct show_table show_switchover = {"switchover", SHOW_COLUMNS(switchover_columns),
	GATHER_POOLS, SHOW_NO_STREAM, NULL, switchover_row, false};
