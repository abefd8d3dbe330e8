/*
 * monitor - one connection to each node of every cluster: samples, roles, lag, health. Feeds
 * route/roles and publishes shared->topology.
 * Owns:    the connections, the judgement (struct roles), the published topology.
 * Bounds:  one query per node at a time, limited by node_timeout; an interval between them of
 *          lag_check_interval, MONITOR_FAST_US while marks are open, none while units stand
 *          and wait; back-off up to MONITOR_REST_MAX_US (MONITOR_REFUSED_MAX_US after a
 * refused login).
 */
#ifndef PGWEIR_CONTROL_MONITOR_H
#define PGWEIR_CONTROL_MONITOR_H

#include "control/env.h"
#include "route/topology.h"

#define MONITOR_FAST_US        10000u
#define MONITOR_FAST_HOLD_US   500000u /* stay fast for so long after a mark was seen open */
#define MONITOR_REST_MIN_US    50000u
#define MONITOR_REST_MAX_US    500000u
#define MONITOR_REFUSED_MAX_US 5000000u

#define MONITOR_AWAITED                                                          \
	(1u << 16) /* beside ROLES_*: units stand and wait for what is published \
		    */

struct monitor;

struct monitor_ops {
	/* After the topology was published: ROLES_* bits of a cluster's node, MONITOR_AWAITED. */
	void (*on_change)(void *arg, uint32_t cluster, unsigned bits);
	void (*on_unreachable)(void *arg, uint32_t node); /* maybe its address is another one */
};

/* Watches nothing before the first monitor_conf_changed. Errors: E_NOMEM. */
enum status monitor_new(
	struct env *env, const struct monitor_ops *ops, void *arg, struct monitor **out) MUST_USE;
void monitor_free(struct monitor *m); /* NULL is allowed */

/*
 * A new configuration, or new users, are published: watch its nodes, and log in anew where the
 * login changed. Errors: E_NOMEM, the old judgement goes on (call again).
 */
enum status monitor_conf_changed(struct monitor *m) MUST_USE;

void monitor_addrs_changed(struct monitor *m, uint32_t node);

/* A worker may want a sample (mark_clock_want): do not wait out lag_check_interval for it. */
void monitor_hurry(struct monitor *m);

/* What Patroni says of a node. */
void monitor_leader(struct monitor *m, uint32_t node, enum topo_leader leader);

void monitor_probe_now(struct monitor *m, uint32_t node); /* at most every MONITOR_FAST_US */

#endif
