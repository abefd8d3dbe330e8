/*
 * fit - may this server connection run the client's unit? What the choice of a node has found
 * must hold for the connection too: it may be older, or younger, than what is known of the node.
 * Owns:   nothing; reads the client's choice (needs_primary, by_sample) and the topology.
 */
#ifndef PGWEIR_WORKER_FIT_H
#define PGWEIR_WORKER_FIT_H

#include "conf/conf.h"
#include "route/topology.h"
#include "worker/client.h"
#include "worker/server.h"
#include "worker/worker.h"

/* The cluster that the account's database routes over; NULL: none. */
static inline const struct topo_cluster *fit_cluster(
	const struct worker *w, const struct account *acc)
{
	const struct conf_db *db = acc->db->conf;

	if (db == NULL || !db->routing || w->topology == NULL)
		return NULL;
	return topology_cluster(w->topology, (uint16_t)db->cluster_id);
}

bool fit_server(struct worker *w, const struct client *c, const struct server *s);

#endif
