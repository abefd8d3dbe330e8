/*
 * upkeep - what is looked after apart from any unit: a new topology, waits that are over, servers
 * that are no longer what their node is, and places that others wait for.
 */
#ifndef PGWEIR_WORKER_UPKEEP_H
#define PGWEIR_WORKER_UPKEEP_H

#include "worker/server.h"

void upkeep_topology_changed(struct worker *w);
void upkeep_addresses_changed(struct worker *w);
void upkeep_janitor(struct worker *w);                           /* from the worker's timer */
void upkeep_check_timed_out(struct worker *w, struct server *s); /* closes it */

#endif
