/*
 * judge - the rules of route/roles.h, applied to what the nodes of one cluster have said last.
 * For route/roles alone. Pure.
 */
#ifndef PGWEIR_ROUTE_JUDGE_H
#define PGWEIR_ROUTE_JUDGE_H

#include "route/lag.h"
#include "route/topology.h"

struct judge_node {
	/* what it has said, and, by judge_cluster: health, follows, fenced, text */
	struct topo_node pub;
	bool heard; /* has answered or failed at least once */
	bool alive; /* its last word was an answer, and not too long ago */
	bool login_refused;
	bool blind;                /* it does not tell timeline and position itself */
	bool spoke;                /* its last word was an error that a living node says */
	bool was_up;               /* at the last snapshot */
	bool known;                /* has been up */
	char error[TOPO_TEXT_MAX]; /* since its last answer */
};

struct judge_cluster {
	struct topo_cluster pub;
	struct lag_history lag; /* forgotten with the samples at a new timeline */
	bool settled;           /* all nodes were heard, or were given the time */
	uint16_t n_members;
	uint16_t *members;        /* ids into `nodes`; borrowed */
	struct judge_node *nodes; /* of all clusters; borrowed */
};

static inline struct judge_node *judge_member(const struct judge_cluster *c, uint16_t i)
{
	return &c->nodes[c->members[i]];
}

/*
 * Decide anew. Returns what changed with the cluster: ROLES_PRIMARY, ROLES_TIMELINE,
 * ROLES_IDENTITY, or'ed. *last_identity: counted up when the cluster gets a new one.
 */
unsigned judge_cluster(struct judge_cluster *c, uint32_t *last_identity);

#endif
