/*
 * clusters - which nodes belong together: databases with routing that share a node have the same
 * primary. A cluster keeps its id as long as one of its nodes stays.
 */
#ifndef PGWEIR_CONF_CLUSTERS_H
#define PGWEIR_CONF_CLUSTERS_H

#include "conf/nodes.h"

/*
 * Group ns->list, set cluster_id of nodes and databases, fill the clusters of `c`.
 * dbs: in the order of the file. Errors: E_NOMEM.
 */
enum status clusters_build(struct nodes *ns, struct conf_db *const *dbs, size_t n_dbs,
	struct conf *c, const struct conf *previous) MUST_USE;

#endif
