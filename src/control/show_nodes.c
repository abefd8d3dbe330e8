#include "control/show.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "route/choose.h"
#include "route/topology.h"

#define I4 REPLY_TYPE_INT4
#define I8 REPLY_TYPE_INT8
#define T  REPLY_TYPE_TEXT

/* NODES: one row per node of the configuration. */
static const struct reply_column nodes_columns[] = {
	{"node", T},
	{"cluster", I4},
	{"role", T},
	{"health", T},
	{"is_primary", I4},
	{"timeline", I8},
	{"lsn", T},
	{"lag_bytes", I8},
	{"lag_ms", I8},
	{"follows", I4},
	{"fenced", I4},
	{"servers", I4},
	{"outstanding", I8},
	{"latency_us", I8},
	{"probe_latency_us", I8},
	{"share_percent", I4},
	{"ejected", I4},
	{"answered_ms_ago", I8},
	{"server_version", T},
	{"system_id", T},
	{"patroni", T},
	{"reason", T},
};

struct node_load {
	uint64_t servers, outstanding, latency_us;
	uint64_t n_ejected; /* pools in which it is */
};

/* Over all pools of the node; the latency is weighted by what each has under way. */
static struct node_load load_of(const struct gathered *g, uint32_t node, uint64_t now_us)
{
	struct node_load l = {.servers = 0};
	uint64_t weights = 0, weighted = 0;

	for (size_t i = 0; i < g->n_pools; i++) {
		const struct pool_sum *p = g->pools[i];

		if (p->node != (int32_t)node)
			continue;
		l.servers += pool_sum_servers(p);
		l.outstanding += p->outstanding;
		l.n_ejected += p->ejected_us > now_us;
		if (p->latency_us == 0)
			continue;
		weights += p->outstanding + 1;
		weighted += p->latency_us * (p->outstanding + 1);
	}
	l.latency_us = weights != 0 ? weighted / weights : 0;
	return l;
}

static void put_version(struct rows *out, uint32_t num)
{
	char buf[16] = "";

	if (num != 0)
		snprintf(buf, sizeof buf, "%u.%u", num / 10000u, num % 10000u);
	rows_text(out, buf);
}

static const char *leader_word(unsigned leader)
{
	switch ((enum topo_leader)leader) {
	case TOPO_LEADER_UNKNOWN:
		return "no answer";
	case TOPO_LEADER_YES:
		return "leader";
	case TOPO_LEADER_NO:
		break;
	}
	return "not leader";
}

/* A node that no database routes over: nobody asks it who it is. */
static void put_unwatched(struct rows *out, const struct conf_node *node, struct node_load l)
{
	rows_text(out, node->name);
	rows_text(out, NULL); /* cluster */
	rows_text(out, topo_role_name(TOPO_ROLE_UNKNOWN));
	rows_text(out, "unwatched");
	for (unsigned i = 0; i < 7; i++) /* is_primary … fenced */
		rows_text(out, NULL);
	rows_u64(out, l.servers);
	rows_u64(out, l.outstanding);
	rows_u64(out, l.latency_us);
	for (unsigned i = 0; i < 7; i++) /* probe_latency_us … patroni */
		rows_text(out, NULL);
	rows_text(out, "");
}

unsigned node_share_percent(const struct show_in *in, const struct topo_node *n)
{
	uint64_t slow_us = env_conf(in->env)->slow_start_us, now_us = env_now_us(in->env);

	if (n->back_us == 0)
		return 100;
	return (256u - choose_held_256(now_us > n->back_us ? now_us - n->back_us : 0, slow_us)) *
	       100u / 256u;
}

static void put_lag(struct rows *out, const struct topo_node *n)
{
	if (n->role != TOPO_ROLE_REPLICA || n->answered_us == 0) {
		rows_text(out, NULL);
		rows_text(out, NULL);
		return;
	}
	rows_u64(out, n->lag_bytes);
	if (n->lag_known)
		rows_u64(out, n->lag_us / 1000u);
	else
		rows_text(out, NULL);
}

static void put_watched(const struct show_in *in, struct rows *out, const struct conf_node *node,
	struct node_load l)
{
	const struct topology *t = env_topology(in->env);
	const struct topo_node *n = topology_node(t, (uint16_t)node->id);
	const struct topo_cluster *c = topology_cluster(t, (uint16_t)node->cluster_id);
	char lsn[LSN_TEXT_MAX], system_id[24];

	lsn_format(n->lsn, lsn);
	snprintf(system_id, sizeof system_id, "%llu", (unsigned long long)n->system_id);
	rows_text(out, node->name);
	rows_u64(out, node->cluster_id);
	rows_text(out, topo_role_name(n->role));
	rows_text(out, topo_health_name(n->health));
	rows_u64(out, c != NULL && c->primary == node->id);
	rows_u64(out, n->timeline);
	rows_text(out, lsn);
	put_lag(out, n);
	rows_u64(out, n->follows);
	rows_u64(out, n->fenced);
	rows_u64(out, l.servers);
	rows_u64(out, l.outstanding);
	rows_u64(out, l.latency_us);
	rows_u64(out, n->latency_us);
	rows_u64(out, node_share_percent(in, n));
	rows_u64(out, l.n_ejected);
	if (n->answered_us == 0)
		rows_text(out, NULL);
	else
		rows_u64(out, (env_now_us(in->env) - n->answered_us) / 1000u);
	put_version(out, n->server_version_num);
	rows_text(out, system_id);
	rows_text(out, node->patroni_port != 0 ? leader_word(n->leader) : NULL);
	rows_text(out, n->text);
}

static size_t nodes_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	const struct conf_node *node;
	struct node_load l;

	if (pos >= conf->n_nodes)
		return SIZE_MAX;
	node = &conf->nodes[pos];
	l = load_of(in->gathered, node->id, env_now_us(in->env));
	rows_begin(out);
	if (node->cluster_id == CONF_NO_CLUSTER ||
		topology_node(env_topology(in->env), (uint16_t)node->id) == NULL)
		put_unwatched(out, node, l);
	else
		put_watched(in, out, node, l);
	rows_end(out);
	return pos + 1;
}

const struct show_table show_nodes = {
	"nodes", SHOW_COLUMNS(nodes_columns), GATHER_POOLS, SHOW_NO_STREAM, NULL, nodes_row, false};
