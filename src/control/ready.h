/*
 * ready - whether clients can be served: what /readyz answers. Pure.
 */
#ifndef PGWEIR_CONTROL_READY_H
#define PGWEIR_CONTROL_READY_H

#include "conf/conf.h"
#include "route/topology.h"
#include "worker/shared.h"

/*
 * Ready: not shutting down, not paused, and every database that is not disabled or paused has a
 * fit node: a primary if route = primary, a replica if route = replica, else any that is up. A
 * database without routing always counts as served: nobody watches its nodes. `why` gets what is
 * missing, a line each, or "ready".
 */
bool ready_check(const struct conf *conf, const struct topology *t, const struct admin_state *admin,
	char *why, size_t cap);

#endif
