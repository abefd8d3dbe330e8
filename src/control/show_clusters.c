/* Table CLUSTERS: who is the primary of each, and for how long there were two. */
#include "control/show.h"

#include "conf/conf.h"
#include "route/topology.h"

#define I4 REPLY_TYPE_INT4
#define I8 REPLY_TYPE_INT8
#define T  REPLY_TYPE_TEXT

static const struct reply_column clusters_columns[] = {
	{"cluster", I4},
	{"primary", T},
	{"timeline", I8},
	{"nodes", I4},
	{"nodes_up", I4},
	{"primaries", I4},
	{"promotions", I8},
	{"unseen_ms", I8},
	{"doubles", I8},
	{"double_ms", I8},
};

static size_t clusters_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct topology *t = env_topology(in->env);
	const struct topo_cluster *c;
	uint64_t n = 0, n_up = 0;

	if (t == NULL || pos >= t->n_clusters)
		return SIZE_MAX;
	if (env_conf(in->env)->cluster_by_id[pos] == NULL)
		return pos + 1;
	c = &t->clusters[pos];
	for (uint16_t i = 0; i < t->n_nodes; i++) {
		bool is_member = t->nodes[i].cluster == pos &&
				 env_conf(in->env)->node_by_id[i] != NULL &&
				 env_conf(in->env)->node_by_id[i]->cluster_id == pos;

		n += is_member;
		n_up += is_member && t->nodes[i].health == TOPO_UP;
	}
	rows_begin(out);
	rows_u64(out, pos);
	rows_text(out, c->primary != TOPO_NONE ? show_node_name(in->env, c->primary) : NULL);
	rows_u64(out, c->timeline_max);
	rows_u64(out, n);
	rows_u64(out, n_up);
	rows_u64(out, c->doubles.n_primaries);
	rows_u64(out, c->doubles.promotions);
	rows_u64(out, c->doubles.unseen_us / 1000u);
	rows_u64(out, c->doubles.n);
	rows_u64(out, doubles_us(&c->doubles, env_now_us(in->env)) / 1000u);
	rows_end(out);
	return pos + 1;
}

const struct show_table show_clusters = {
	"clusters", SHOW_COLUMNS(clusters_columns), 0, SHOW_NO_STREAM, NULL, clusters_row, false};
