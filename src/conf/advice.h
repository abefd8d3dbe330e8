/*
 * advice - what is legal in a configuration, but unwise: told with the reason, and what to do.
 * Owns: nothing; one table of checks.
 */
#ifndef PGWEIR_CONF_ADVICE_H
#define PGWEIR_CONF_ADVICE_H

#include "conf/conf.h"

/* What is to be known of the world outside; 0: it is not known. */
struct advice_facts {
	uint64_t files_max;      /* open files that the system lets us have */
	uint32_t auth_file_mode; /* permission bits */
	uint32_t config_mode;    /* the same of the configuration's first file */
	uint32_t n_users;        /* in auth_file */
	/* by node: connections that PostgreSQL has for others than superusers */
	uint32_t node_connections_max[CONF_NODES_MAX];
};

/* Each piece of advice goes to `found` as FINDING_WARNING, with its line where there is one. */
void advice_check(const struct conf *c, const struct advice_facts *facts, struct findings *found);

/* Most server connections that all pools of a node can have, for n_users users (0: one). */
uint64_t advice_node_servers(const struct conf *c, uint32_t node, uint32_t n_users);

#endif
