#include "conf/clusters.h"

#include <stdlib.h>
#include <string.h>

#include "conf/own.h"

#define NONE UINT32_MAX

/* Nodes are named by their place in ns->list. */
struct grouping {
	uint32_t parent[CONF_NODES_MAX]; /* union-find; NONE: no database routes over it */
};

static uint32_t root_of(const struct grouping *g, uint32_t i)
{
	while (g->parent[i] != i)
		i = g->parent[i];
	return i;
}

/* The smaller place becomes the root: a cluster's first node in the file. */
static void join(struct grouping *g, uint32_t a, uint32_t b)
{
	a = root_of(g, a);
	b = root_of(g, b);
	if (a < b)
		g->parent[b] = a;
	else
		g->parent[a] = b;
}

static uint32_t place_of(const struct nodes *ns, const struct conf_node *node)
{
	return (uint32_t)(node - ns->list);
}

static void group(const struct nodes *ns, struct conf_db *const *dbs, size_t n, struct grouping *g)
{
	memset(g->parent, 0xff, sizeof g->parent);
	for (size_t i = 0; i < n; i++) {
		const struct conf_db *db = dbs[i];

		for (size_t j = 0; db->routing && j < db->n_nodes; j++) {
			uint32_t place = place_of(ns, db->nodes[j].node);

			if (g->parent[place] == NONE)
				g->parent[place] = place;
			join(g, place, place_of(ns, db->nodes[0].node));
		}
	}
}

static bool is_in(const struct grouping *g, uint32_t place, uint32_t root)
{
	return g->parent[place] != NONE && root_of(g, place) == root;
}

/* The id that one of the cluster's nodes had before, if no other cluster has it by now. */
static uint32_t previous_id(const struct nodes *ns, const struct grouping *g, uint32_t root,
	const struct conf *c, const struct conf *previous)
{
	for (uint32_t place = root; place < ns->n; place++) {
		const struct conf_node *before;

		if (!is_in(g, place, root))
			continue;
		before = previous->node_by_id[ns->list[place].id];
		if (before != NULL && before->cluster_id != CONF_NO_CLUSTER &&
			c->cluster_by_id[before->cluster_id] == NULL)
			return before->cluster_id;
	}
	return NONE;
}

static uint32_t new_id(const struct conf *c, const struct conf *previous, uint32_t *next)
{
	bool taken[CONF_NODES_MAX];

	for (uint32_t id = 0; id < CONF_NODES_MAX; id++)
		taken[id] = c->cluster_by_id[id] != NULL ||
			    (previous != NULL && previous->cluster_by_id[id] != NULL);
	return nodes_free_id(taken, next);
}

static enum status fill(
	struct nodes *ns, const struct grouping *g, uint32_t root, struct conf_cluster *cl)
{
	const struct conf_node **members = arena_take_array(ns->a, ns->n, sizeof(void *));

	if (members == NULL)
		return E_NOMEM;
	for (uint32_t place = root; place < ns->n; place++) {
		if (!is_in(g, place, root))
			continue;
		members[cl->n_nodes++] = &ns->list[place];
		ns->list[place].cluster_id = cl->id;
	}
	cl->nodes = members;
	return OK;
}

/*
 * Clusters take their former ids before new ones are given. There is always one left: each cluster
 * can be told by its first node, and each former one that lost its id by a node that is gone or not
 * first any more (as first, it would have brought the id along); all these nodes are different, and
 * nodes_finish saw that there are at most CONF_NODES_MAX, those that went included.
 */
static enum status make(struct nodes *ns, const struct grouping *g, struct conf_cluster *list,
	struct conf *c, const struct conf *previous, bool with_new_id)
{
	for (uint32_t root = 0; root < ns->n; root++) {
		struct conf_cluster *cl = &list[c->n_clusters];
		uint32_t id = NONE;

		if (g->parent[root] != root || ns->list[root].cluster_id != CONF_NO_CLUSTER)
			continue;
		if (with_new_id)
			id = new_id(c, previous, &c->own->next_cluster_id);
		else if (previous != NULL)
			id = previous_id(ns, g, root, c, previous);
		if (id == NONE)
			continue;
		PANIC_IF(id == CONF_NODES_MAX);
		cl->id = id;
		if (fill(ns, g, root, cl) != OK)
			return E_NOMEM;
		c->cluster_by_id[id] = cl;
		c->n_clusters++;
	}
	return OK;
}

static int compare_ids(const void *a, const void *b)
{
	const struct conf_cluster *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void sort(struct conf_cluster *list, struct conf *c)
{
	qsort(list, c->n_clusters, sizeof *list, compare_ids);
	for (size_t i = 0; i < c->n_clusters; i++)
		c->cluster_by_id[list[i].id] = &list[i];
	c->clusters = list;
}

/* What databases know of their cluster, and the other way round. */
static void link_dbs(struct conf_cluster *list, struct conf_db *const *dbs, size_t n, size_t n_list)
{
	for (size_t i = 0; i < n; i++) {
		struct conf_db *db = dbs[i];

		db->cluster_id = CONF_NO_CLUSTER;
		if (!db->routing || db->n_nodes == 0)
			continue;
		db->cluster_id = db->nodes[0].node->cluster_id;
		for (size_t j = 0; j < n_list; j++)
			if (list[j].id == db->cluster_id && list[j].db == NULL)
				list[j].db = db;
	}
}

enum status clusters_build(struct nodes *ns, struct conf_db *const *dbs, size_t n_dbs,
	struct conf *c, const struct conf *previous)
{
	struct conf_cluster *list = arena_take_array(ns->a, ns->n, sizeof *list);
	struct grouping g;

	if (list == NULL)
		return E_NOMEM;
	group(ns, dbs, n_dbs, &g);
	if (make(ns, &g, list, c, previous, false) != OK ||
		make(ns, &g, list, c, previous, true) != OK)
		return E_NOMEM;
	sort(list, c);
	link_dbs(list, dbs, n_dbs, c->n_clusters);
	return OK;
}
