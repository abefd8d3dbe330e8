/*
 * lag_log - how far each node was behind in the last minute: SHOW LAG.
 * Owns:    its entries. One thread (control).
 * Bounds:  LAG_LOG_MAX entries a node, one every LAG_LOG_EVERY_US; a node that is not watched has
 *          none.
 */
#ifndef PGWEIR_CONTROL_LAG_LOG_H
#define PGWEIR_CONTROL_LAG_LOG_H

#include "route/topology.h"
#include "worker/shared.h"

#define LAG_LOG_MAX      60u
#define LAG_LOG_EVERY_US 1000000u

struct lag_log_entry {
	uint64_t at_us; /* monotonic */
	uint64_t lag_us, lag_bytes;
	uint8_t role, health; /* enum topo_role, topo_health */
	bool known;           /* lag_us is */
};

struct lag_log_node {
	uint32_t n, head; /* ring; the newest is the one before head */
	struct lag_log_entry at[LAG_LOG_MAX];
};

struct lag_log {
	uint64_t last_us;
	struct lag_log_node *node[NODES_MAX]; /* NULL: none yet */
};

void lag_log_fini(struct lag_log *l);

/* Note what the topology says, if it is time. watched[i]: node i is asked. */
void lag_log_note(struct lag_log *l, const struct topology *t, const bool watched[NODES_MAX],
	uint64_t now_us);

/* The entry `back` places before the newest one (0); NULL: there is none. */
const struct lag_log_entry *lag_log_at(const struct lag_log *l, uint32_t node, uint32_t back);

/* The longest known lag of the node in its entries. */
uint64_t lag_log_max_us(const struct lag_log *l, uint32_t node);

#endif
