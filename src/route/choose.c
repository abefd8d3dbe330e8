#include "route/choose.h"

#include "route/better.h"
#include "route/candidates.h"

/*
 * The replica of the last read is left for the primary, while marks keep the client from other
 * replicas, when it is so many times slower than both.
 */
#define STAY_FACTOR 4u

#define SLOW_START_LEAST 26u /* of 256: a node that comes back has a tenth of its share */

/* --- the primary --- */

static void to_node(const struct choose_in *in, uint16_t index, struct choose_out *out)
{
	out->node = in->nodes[index];
	out->index = index;
	out->hint = CHOOSE_HINT_NONE;
}

/* The cluster's primary in the database's list; in->n_nodes if it is not there. */
static uint16_t primary_index(const struct choose_in *in)
{
	uint16_t primary = candidates_cluster(in)->primary, i = 0;

	if (primary == TOPO_NONE)
		return in->n_nodes;
	while (i < in->n_nodes && in->nodes[i] != primary)
		i++;
	return i;
}

static enum choose_hint primary_hint(const struct choose_in *in, uint16_t index)
{
	const struct topo_cluster *c = candidates_cluster(in);

	if (index < in->n_nodes)
		return CHOOSE_HINT_CONNECT;
	if (c->primary != TOPO_NONE)
		return CHOOSE_HINT_PRIMARY_NOT_LISTED;
	if (c->ever_primary)
		return CHOOSE_HINT_NO_PRIMARY;
	return c->monitor_refused ? CHOOSE_HINT_MONITOR_REFUSED : CHOOSE_HINT_NEVER_PRIMARY;
}

static void to_primary(const struct choose_in *in, enum choose_reason why, struct choose_out *out)
{
	uint16_t i = primary_index(in);

	out->reason = (uint8_t)why;
	if (i < in->n_nodes && choose_reaches(in, i))
		to_node(in, i, out);
	else
		out->hint = (uint8_t)primary_hint(in, i);
}

/* --- reads --- */

static enum choose_reason why_not_replica(const struct choose_in *in, unsigned unfit)
{
	if ((unfit & (UNFIT_WAITS | UNFIT_BEHIND)) != 0 && in->consistency == CHOOSE_STRONG)
		return CHOOSE_BY_STRONG;
	if ((unfit & UNFIT_WAITS) != 0)
		return CHOOSE_BY_MARK_OPEN;
	if ((unfit & UNFIT_BEHIND) != 0)
		return CHOOSE_BY_MARK_BEHIND;
	if ((unfit & UNFIT_LAG) != 0)
		return CHOOSE_BY_LAG;
	return CHOOSE_BY_NO_REPLICA;
}

static enum choose_hint replica_hint(const struct choose_in *in, unsigned unfit)
{
	bool never = in->route == CHOOSE_ROUTE_AUTO && in->primary_reads == CHOOSE_PRIMARY_NEVER;

	if ((unfit & (UNFIT_WAITS | UNFIT_BEHIND)) != 0)
		return never ? CHOOSE_HINT_NEVER_MARKS : CHOOSE_HINT_MARKS;
	if ((unfit & UNFIT_LAG) != 0)
		return CHOOSE_HINT_MAX_LAG;
	if ((unfit & UNFIT_CONNECT) != 0)
		return CHOOSE_HINT_CONNECT;
	return never ? CHOOSE_HINT_NEVER : CHOOSE_HINT_NO_REPLICA;
}

/* Marks keep the client from all replicas but that of its last read. */
static bool is_bound(const struct choose_in *in, const struct candidates *c)
{
	return c->fit != 0 && candidates_rest(c->fit) == 0 && c->by_marks != 0 &&
	       in->consistency != CHOOSE_STRONG && in->marks != NULL &&
	       in->nodes[candidates_first(c->fit)] == in->marks->read_node;
}

static bool is_much_cheaper(const struct choose_load *l, uint64_t here)
{
	return here > STAY_FACTOR * better_cost(l);
}

static const struct choose_load *cheapest(const struct choose_in *in, uint64_t set)
{
	const struct choose_load *best = &in->load[candidates_first(set)];

	while ((set = candidates_rest(set)) != 0) {
		const struct choose_load *l = &in->load[candidates_first(set)];

		if (better_cost(best) > better_cost(l))
			best = l;
	}
	return best;
}

/*
 * Whether the only fit replica is so slow that the primary is better until marks allow another: a
 * client that reads without a pause has no other way off it. The other has to be known to be
 * faster; a primary of which nothing is known has had nothing to do. route = replica is for keeping
 * reads off the primary, so speed is no reason there.
 */
static bool leaves_replica(const struct choose_in *in, const struct candidates *c)
{
	uint64_t here = better_cost(&in->load[candidates_first(c->fit)]);
	const struct choose_load *other;
	uint16_t i;

	if (in->route != CHOOSE_ROUTE_AUTO || in->primary_reads == CHOOSE_PRIMARY_NEVER ||
		in->asks_replica)
		return false;
	other = cheapest(in, c->by_marks);
	if (other->latency_us == 0 || !is_much_cheaper(other, here))
		return false;
	i = primary_index(in);
	return i < in->n_nodes && choose_reaches(in, i) && is_much_cheaper(&in->load[i], here);
}

/*
 * primary_reads = share: whether the primary gets the read instead of the replica at `index`, which
 * is the best. Never more than its share by weight, of which those have theirs that marks forbid
 * for the moment; less if it is the worse of the two. It has whatever must be seen.
 */
static bool is_for_primary(const struct choose_in *in, const struct candidates *c, uint16_t index)
{
	uint16_t i = primary_index(in);
	const struct choose_load *p = &in->load[i], *l = &in->load[index];
	uint32_t total;

	if (i >= in->n_nodes || !choose_reaches(in, i))
		return false;
	if (in->uneven && ((p->is_far && !l->is_far) || !candidates_is_not_held(in, i)))
		return false;
	total = p->weight + candidates_weight(in, c->fit | c->by_marks);
	if ((uint64_t)candidates_chance(in, CHOOSE_NODES_MAX) * total >=
		((uint64_t)p->weight << 32))
		return false;
	return !better_is(l, p, (uint32_t)p->weight + l->weight, 2);
}

/*
 * Can one of these replicas be expected to have the present soon enough? Its lag is known no finer
 * than the primary is sampled.
 */
static bool may_come(const struct choose_in *in, uint64_t set)
{
	for (; set != 0; set = candidates_rest(set)) {
		uint16_t node = in->nodes[candidates_first(set)];

		if (topology_node_at(in->topo, node)->lag_us <= in->wait_us + in->sample_grace_us)
			return true;
	}
	return false;
}

static enum choose_reason reason_of_node(
	const struct choose_in *in, uint16_t index, enum choose_reason why)
{
	if (in->nodes[index] == candidates_cluster(in)->primary)
		return CHOOSE_BY_PRIMARY_SHARE;
	if (in->load[index].is_ejected)
		return CHOOSE_BY_EJECTED;
	return in->load[index].is_far ? CHOOSE_BY_OTHER_ZONE : why;
}

/* A read, or any unit of a database with route = replica: that has no way out to the primary. */
static void choose_replica(const struct choose_in *in, bool may_primary, enum choose_reason why,
	struct choose_out *out)
{
	struct candidates c;
	uint16_t i;
	bool bound;

	candidates_find(in, &c);
	bound = is_bound(in, &c);
	if (in->uneven)
		candidates_narrow(in, &c, may_primary && !in->asks_replica);
	if (c.fit != 0 && !(bound && leaves_replica(in, &c))) {
		i = better_pick(in, &c);
		if (in->primary_reads == CHOOSE_PRIMARY_SHARE && in->route == CHOOSE_ROUTE_AUTO &&
			!in->asks_replica && is_for_primary(in, &c, i))
			i = primary_index(in);
		to_node(in, i, out);
		out->reason = (uint8_t)reason_of_node(in, i, bound ? CHOOSE_BY_REPLICA_STAYS : why);
		return;
	}
	out->wants_sample = (c.unfit & UNFIT_WAITS) != 0;
	out->reason = (uint8_t)why;
	if (in->consistency == CHOOSE_STRONG && in->wait_us != 0 && may_come(in, c.by_marks)) {
		out->waits = true;
		out->hint = CHOOSE_HINT_MARKS;
		return;
	}
	if (may_primary)
		to_primary(in, why_not_replica(in, c.unfit), out);
	/*
	 * What keeps the nearest replica away says more than that there is no primary; but where
	 * there never was one, no lag is known.
	 */
	if (out->node == TOPO_NONE &&
		(!may_primary || (c.unfit > UNFIT_CONNECT && candidates_cluster(in)->ever_primary)))
		out->hint = (uint8_t)replica_hint(in, c.unfit);
}

/* --- all together --- */

static void choose_round_robin(const struct choose_in *in, struct choose_out *out)
{
	out->reason = in->n_nodes == 1 ? CHOOSE_BY_ONLY_NODE : CHOOSE_BY_ROUND_ROBIN;
	out->hint = CHOOSE_HINT_CONNECT;
	for (uint16_t k = 0; k < in->n_nodes; k++) {
		uint16_t i = (uint16_t)((in->random + k) % in->n_nodes);

		if (choose_reaches(in, i)) {
			to_node(in, i, out);
			return;
		}
	}
}

static enum choose_reason reason_of(enum choose_kind k)
{
	switch (k) {
	case CHOOSE_READ:
	case CHOOSE_READ_BLOCK:
	case CHOOSE_TXN_READ:
		return CHOOSE_BY_REPLICA_OK;
	case CHOOSE_WRITE:
		return CHOOSE_BY_WRITE;
	case CHOOSE_UNKNOWN:
		return CHOOSE_BY_UNKNOWN;
	case CHOOSE_NO_CATALOG:
		return CHOOSE_BY_CATALOG;
	case CHOOSE_SESSION:
		return CHOOSE_BY_SESSION;
	case CHOOSE_TRANSACTION:
		return CHOOSE_BY_TRANSACTION;
	case CHOOSE_STREAMED:
		return CHOOSE_BY_STREAMED;
	}
	return CHOOSE_BY_UNKNOWN;
}

void choose(const struct choose_in *in, struct choose_out *out)
{
	PANIC_IF(in->n_nodes == 0 || in->n_nodes > CHOOSE_NODES_MAX);
	*out = (struct choose_out){.node = TOPO_NONE};
	switch (in->route) {
	case CHOOSE_ROUTE_OFF:
		choose_round_robin(in, out);
		return;
	case CHOOSE_ROUTE_PRIMARY:
		to_primary(in, CHOOSE_BY_ROUTE_PRIMARY, out);
		return;
	case CHOOSE_ROUTE_REPLICA:
		choose_replica(in,
			choose_is_read(in->kind) && in->primary_reads != CHOOSE_PRIMARY_NEVER,
			CHOOSE_BY_ROUTE_REPLICA, out);
		return;
	case CHOOSE_ROUTE_AUTO:
		break;
	}
	if (!choose_is_read(in->kind))
		to_primary(in, reason_of(in->kind), out);
	else
		choose_replica(
			in, in->primary_reads != CHOOSE_PRIMARY_NEVER, CHOOSE_BY_REPLICA_OK, out);
}

static bool is_any_replica_fit(const struct choose_in *in)
{
	struct candidates c;

	candidates_find(in, &c);
	return c.fit != 0;
}

/* The primary: for what must run there, and for reads that need not wait for a replica. */
static bool is_primary_fit(const struct choose_in *in, uint16_t index)
{
	if (!choose_reaches(in, index))
		return false;
	if (!choose_is_read(in->kind))
		return in->route != CHOOSE_ROUTE_REPLICA;
	if (in->route == CHOOSE_ROUTE_PRIMARY)
		return true;
	return in->primary_reads != CHOOSE_PRIMARY_NEVER &&
	       !(in->asks_replica && is_any_replica_fit(in));
}

bool choose_is_fit(const struct choose_in *in, uint16_t index)
{
	PANIC_IF(index >= in->n_nodes);
	if (in->route == CHOOSE_ROUTE_OFF)
		return choose_reaches(in, index);
	if (index == primary_index(in))
		return is_primary_fit(in, index);
	return choose_compares(in) && candidates_check(in, index) == FIT;
}

/* --- slow start, and what EXPLAIN ROUTE tells --- */

uint8_t choose_held_256(uint64_t age_us, uint64_t slow_start_us)
{
	uint64_t share;

	if (age_us >= slow_start_us)
		return 0;
	share = (uint64_t)(256.0 * (double)age_us / (double)slow_start_us);
	return (uint8_t)(256u - (share > SLOW_START_LEAST ? share : SLOW_START_LEAST));
}

const char *choose_unfit_text(const struct choose_in *in, uint16_t index)
{
	PANIC_IF(index >= in->n_nodes);
	if (!choose_compares(in))
		return "this is for the primary";
	switch (candidates_check(in, index)) {
	case FIT:
		if (in->load[index].is_ejected)
			return "it is ejected as an outlier";
		return "";
	case UNFIT_CONNECT:
		return "it cannot be connected to";
	case UNFIT_LAG:
		return topology_node_at(in->topo, in->nodes[index])->lag_known
			       ? "it is beyond max_lag"
			       : "its lag is not known";
	case UNFIT_BEHIND:
		return "it has not replayed what must be seen";
	case UNFIT_WAITS:
		return "no sample covers yet what must be seen";
	default:
		if (topology_node_at(in->topo, in->nodes[index])->blind)
			return "its position is not known: only consistency eventual may use it";
		return "it is not a usable replica";
	}
}
