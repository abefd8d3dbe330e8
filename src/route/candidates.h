/*
 * candidates - which nodes may run a read: those that are fit, why the others are not, and, of
 * the fit, those that zones, ejection and slow start leave. For route/choose alone. Pure.
 */
#ifndef PGWEIR_ROUTE_CANDIDATES_H
#define PGWEIR_ROUTE_CANDIDATES_H

#include "route/choose.h"

/* Why a node is not fit for a read; bits, to be gathered over nodes. */
enum unfit {
	FIT = 0,
	UNFIT_OTHER = 1, /* not a replica, not up, not following */
	UNFIT_CONNECT = 2,
	UNFIT_LAG = 4,
	UNFIT_BEHIND = 8,
	UNFIT_WAITS = 16,
};

/* Sets of nodes: a bit for each index of in->nodes. */
struct candidates {
	uint64_t fit;
	uint64_t lagging;  /* of the others: too far behind, */
	uint64_t by_marks; /* or only a mark keeps them from being fit */
	unsigned unfit;    /* enum unfit, of all that are not fit */
};
_Static_assert(CHOOSE_NODES_MAX <= 64, "a bit for each node");

/* To go through a set: its first, and the set without it. */
static inline uint16_t candidates_first(uint64_t set)
{
	return (uint16_t)__builtin_ctzll(set);
}
static inline uint64_t candidates_rest(uint64_t set)
{
	return set & (set - 1);
}

/* The sum of their weights. */
uint32_t candidates_weight(const struct choose_in *in, uint64_t set);

/* Why the replica at `index` of in->nodes is not fit: one of enum unfit. */
unsigned candidates_check(const struct choose_in *in, uint16_t index);

void candidates_find(const struct choose_in *in, struct candidates *c);

/*
 * in->uneven: leave those of the fit that are preferred. An ejected node gets a read only where
 * there is nothing else: neither the primary, nor another replica that is usable, though not for
 * this read.
 */
void candidates_narrow(const struct choose_in *in, struct candidates *c, bool may_primary);

/* Chance anew for each node of each unit, whatever else the number is used for. */
uint32_t candidates_chance(const struct choose_in *in, uint16_t index);

/* Does slow start leave the node among the candidates, this time? */
bool candidates_is_not_held(const struct choose_in *in, uint16_t index);

static inline const struct topo_cluster *candidates_cluster(const struct choose_in *in)
{
	return topology_cluster_at(in->topo, in->cluster);
}

#endif
