/*
 * fit - may this server connection run the client's unit? What the choice of a node has found
 * must hold for the connection too: it may be older, or younger, than what is known of the node.
 * Owns:   nothing; reads the client's choice (needs_primary, by_sample) and the topology.
 */
#ifndef PGWEIR_WORKER_FIT_H
#define PGWEIR_WORKER_FIT_H

#include "worker/client.h"
#include "worker/server.h"

/* The cluster that the account's database routes over; NULL: none. */
const struct topo_cluster *fit_cluster(struct worker *w, const struct account *acc);

bool fit_server(struct worker *w, const struct client *c, const struct server *s);

#endif
