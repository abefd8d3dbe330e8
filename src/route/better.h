/*
 * better - of the nodes that are fit, the better of two random ones, by outstanding units and
 * recent latency; chance heeds the weights. For route/choose alone. Pure.
 */
#ifndef PGWEIR_ROUTE_BETTER_H
#define PGWEIR_ROUTE_BETTER_H

#include "route/candidates.h"

/* How long one more unit takes, as outstanding units and recent latency tell; no unit. */
uint64_t better_cost(const struct choose_load *l);

/*
 * Whether `b` is to be preferred though chance took `a`: the cost of a is over one and a half of
 * b's. Of outstanding units each node is to bear its share by weight; without any the latency
 * decides, and chance has heeded the weights.
 */
bool better_is(
	const struct choose_load *b, const struct choose_load *a, uint32_t total, uint16_t n_nodes);

/* The index into in->nodes of the one that is taken. c->fit is not empty. */
uint16_t better_pick(const struct choose_in *in, const struct candidates *c);

#endif
