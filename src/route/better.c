#include "route/better.h"

/* A node of which nothing is known because nothing is sent to it gets one unit in so many picks. */
#define PROBE_SHARE 32u

/* Bounds of what is multiplied, so that a product of all of it and of a weight fits 64 bits. */
#define OUTSTANDING_MAX 0x3fffu
#define LATENCY_MAX_US  0x3fffffu /* 4 s */
#define TOTAL_MAX       (16u * CHOOSE_WEIGHT_MAX)

_Static_assert((OUTSTANDING_MAX + 1ull) * TOTAL_MAX <=
		       UINT64_MAX / 3 / CHOOSE_WEIGHT_MAX / (LATENCY_MAX_US + 1ull),
	"what is compared fits 64 bits");

static uint64_t at_most(uint64_t n, uint64_t max)
{
	return n < max ? n : max;
}

uint64_t better_cost(const struct choose_load *l)
{
	return (at_most(l->outstanding, OUTSTANDING_MAX) + 1) *
	       (at_most(l->latency_us, LATENCY_MAX_US) + 1);
}

/* One of the set by chance and weight. total: its weight; chance: 0..65535. */
static uint16_t pick(const struct choose_in *in, uint64_t set, uint32_t total, uint32_t chance)
{
	uint32_t left = (uint32_t)((uint64_t)total * chance >> 16);

	for (; candidates_rest(set) != 0; set = candidates_rest(set)) {
		uint32_t weight = in->load[candidates_first(set)].weight;

		if (left < weight)
			break;
		left -= weight;
	}
	return candidates_first(set);
}

bool better_is(
	const struct choose_load *b, const struct choose_load *a, uint32_t total, uint16_t n_nodes)
{
	uint64_t units_a = at_most(a->outstanding, OUTSTANDING_MAX) * total + a->weight * n_nodes;
	uint64_t units_b = at_most(b->outstanding, OUTSTANDING_MAX) * total + b->weight * n_nodes;
	uint64_t latency_a = at_most(a->latency_us, LATENCY_MAX_US) + 1;
	uint64_t latency_b = at_most(b->latency_us, LATENCY_MAX_US) + 1;

	/* What is not known is neither better nor worse: one that comes back is not flooded. */
	if (a->latency_us == 0 || b->latency_us == 0)
		latency_a = latency_b = 1;
	if (a->has_free != b->has_free)
		return b->has_free;
	return 2 * units_a * latency_a * b->weight > 3 * units_b * latency_b * a->weight;
}

uint16_t better_pick(const struct choose_in *in, const struct candidates *c)
{
	uint32_t total;
	uint16_t a, b;
	const struct choose_load *la, *lb;

	if (candidates_rest(c->fit) == 0)
		return candidates_first(c->fit);
	total = candidates_weight(in, c->fit);
	a = pick(in, c->fit, total, in->random & 0xffff);
	la = &in->load[a];
	b = pick(in, c->fit & ~(1ull << a), total - la->weight, in->random >> 16);
	lb = &in->load[b];
	/* What is known of an idle node may be old: now and then it is tried. */
	if (la->outstanding == 0 && la->has_free &&
		in->random * 0x9e3779b9u >> 16 < 0x10000u / PROBE_SHARE)
		return a;
	return better_is(lb, la, total, (uint16_t)__builtin_popcountll(c->fit)) ? b : a;
}
