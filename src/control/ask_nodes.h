/*
 * ask_nodes - what only PostgreSQL itself can tell about a configuration, for pgweir -t
 * --ask-nodes: each node is asked how many connections it has for clients. Blocks; for a process
 * without a loop. Owns:   nothing. Bounds: ASK_NODES_TIMEOUT_S for each node.
 */
#ifndef PGWEIR_CONTROL_ASK_NODES_H
#define PGWEIR_CONTROL_ASK_NODES_H

#include "auth/users.h"
#include "conf/advice.h"

#define ASK_NODES_TIMEOUT_S 5u

/*
 * facts->node_connections_max of every node that answers, asked as the monitor's user of the first
 * database that has it. One that does not answer is told in `found` as FINDING_WARNING.
 */
void ask_nodes(const struct conf *conf, const struct auth_users *users, struct advice_facts *facts,
	struct findings *found);

#endif
