#include "route/topology.h"

#include <stdlib.h>

const char *topo_role_name(enum topo_role r)
{
	switch (r) {
	case TOPO_ROLE_UNKNOWN:
		return "unknown";
	case TOPO_ROLE_PRIMARY:
		return "primary";
	case TOPO_ROLE_REPLICA:
		return "replica";
	}
	return "?";
}

const char *topo_health_name(enum topo_health h)
{
	switch (h) {
	case TOPO_DOWN:
		return "down";
	case TOPO_UP:
		return "up";
	case TOPO_REFUSED:
		return "refused";
	}
	return "?";
}

const struct topo_node topology_unknown_node = {.role = TOPO_ROLE_UNKNOWN, .health = TOPO_DOWN};
const struct topo_cluster topology_unknown_cluster = {.primary = TOPO_NONE};

enum status topology_new(uint16_t n_nodes, uint16_t n_clusters, struct topology **out)
{
	size_t clusters_len = n_clusters * sizeof(struct topo_cluster);
	size_t nodes_len = n_nodes * sizeof(struct topo_node);
	struct topology *t = calloc(1, sizeof *t + clusters_len + nodes_len);

	if (t == NULL)
		return E_NOMEM;
	t->n_nodes = n_nodes;
	t->n_clusters = n_clusters;
	t->clusters = (struct topo_cluster *)&t[1];
	t->nodes = (struct topo_node *)&t->clusters[n_clusters];
	for (uint16_t i = 0; i < n_clusters; i++)
		t->clusters[i].primary = TOPO_NONE;
	*out = t;
	return OK;
}

void topology_free(void *topo)
{
	free(topo);
}

bool topo_cluster_accepts_primary(
	const struct topo_cluster *c, uint16_t node, uint32_t timeline, bool in_recovery)
{
	return !in_recovery && node == c->primary &&
	       (timeline >= c->timeline_max || (c->blind && timeline == 0));
}
