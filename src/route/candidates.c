#include "route/candidates.h"

/* --- which are fit --- */

/* What is the same for all nodes. */
struct common {
	const struct topo_cluster *cluster;
	uint64_t age_us; /* of the snapshot, beyond the time for which it is as good as new */
};

static inline struct common common_of(const struct choose_in *in)
{
	uint64_t good_until_us = in->topo->published_us + in->sample_grace_us;

	return (struct common){.cluster = candidates_cluster(in),
		.age_us = in->now_us > good_until_us ? in->now_us - good_until_us : 0};
}

static inline bool is_within_max_lag(
	const struct choose_in *in, const struct topo_node *n, uint64_t age_us)
{
	return n->lag_known && age_us <= in->max_lag_us && n->lag_us <= in->max_lag_us - age_us;
}

/* Has the replica what the client's consistency asks for? */
static inline enum mark_answer freshness(const struct choose_in *in,
	const struct topo_cluster *cluster, uint16_t node, const struct topo_node *n)
{
	switch (in->consistency) {
	case CHOOSE_EVENTUAL:
		break;
	case CHOOSE_SESSION_MARKS:
	case CHOOSE_DATABASE_MARKS:
		if (in->marks != NULL)
			return marks_check(in->marks, cluster, node, n);
		break;
	case CHOOSE_STRONG:
		/* All that the client has written or seen was acknowledged before it came. */
		return in->arrival != NULL ? mark_check(in->arrival, n) : MARK_OK;
	}
	return MARK_OK;
}

/* A replica of which no lag is known: for who does not care how old an answer is. */
static unsigned blind_check(const struct choose_in *in, uint16_t index, const struct topo_node *n)
{
	if (!n->blind || in->consistency != CHOOSE_EVENTUAL || in->floor.lsn != 0)
		return UNFIT_OTHER;
	return choose_reaches(in, index) ? FIT : UNFIT_CONNECT;
}

static inline unsigned check(const struct choose_in *in, uint16_t index, struct common all)
{
	const struct topo_node *n = topology_node_at(in->topo, in->nodes[index]);

	if (n->health != TOPO_UP || n->role != TOPO_ROLE_REPLICA)
		return UNFIT_OTHER;
	if (!n->follows)
		return blind_check(in, index, n);
	if (!choose_reaches(in, index))
		return UNFIT_CONNECT;
	if (!is_within_max_lag(in, n, all.age_us))
		return UNFIT_LAG;
	if (in->floor.lsn != 0 &&
		!wal_point_covers((struct wal_point){n->timeline, n->lsn}, in->floor))
		return UNFIT_BEHIND;
	switch (freshness(in, all.cluster, in->nodes[index], n)) {
	case MARK_OK:
		return FIT;
	case MARK_BEHIND:
		return UNFIT_BEHIND;
	case MARK_WAITS:
		break;
	}
	return UNFIT_WAITS;
}

unsigned candidates_check(const struct choose_in *in, uint16_t index)
{
	return check(in, index, common_of(in));
}

void candidates_find(const struct choose_in *in, struct candidates *c)
{
	const struct common all = common_of(in);
	struct candidates found = {0};

	for (uint16_t i = 0; i < in->n_nodes; i++) {
		unsigned why = check(in, i, all);
		uint64_t bit = 1ull << i;

		found.unfit |= why;
		if (why == FIT)
			found.fit |= bit;
		else if (why == UNFIT_LAG)
			found.lagging |= bit;
		else if (why == UNFIT_WAITS || why == UNFIT_BEHIND)
			found.by_marks |= bit;
	}
	*c = found;
}

uint32_t candidates_weight(const struct choose_in *in, uint64_t set)
{
	uint32_t total = 0;

	for (; set != 0; set = candidates_rest(set))
		total += in->load[candidates_first(set)].weight;
	return total;
}

/* --- zones, ejected nodes, slow start: in->uneven --- */

uint32_t candidates_chance(const struct choose_in *in, uint16_t index)
{
	uint32_t x = in->random ^ (index + 1u) * 0x9e3779b9u;

	x = (x ^ x >> 16) * 0x85ebca6bu;
	x = (x ^ x >> 13) * 0xc2b2ae35u;
	return x ^ x >> 16;
}

static bool is_not_ejected(const struct choose_in *in, uint16_t index)
{
	return !in->load[index].is_ejected;
}

static bool is_near(const struct choose_in *in, uint16_t index)
{
	return !in->load[index].is_far;
}

static bool has_free(const struct choose_in *in, uint16_t index)
{
	return in->load[index].has_free;
}

bool candidates_is_not_held(const struct choose_in *in, uint16_t index)
{
	return candidates_chance(in, index) >> 24 >= in->load[index].held_256;
}

/* Those of the set of which this is true. */
static uint64_t those(const struct choose_in *in, uint64_t set,
	bool (*is_true)(const struct choose_in *, uint16_t))
{
	uint64_t kept = 0;

	for (; set != 0; set = candidates_rest(set))
		if (is_true(in, candidates_first(set)))
			kept |= set & -set;
	return kept;
}

/* The own zone is left for another only when all its servers are busy, and not all of the other. */
static bool is_own_zone_full(const struct choose_in *in, uint64_t fit)
{
	uint64_t near = those(in, fit, is_near);

	return those(in, near, has_free) == 0 && those(in, fit & ~near, has_free) != 0;
}

/* Keep the fit of which this is true, if there are any. */
static void prefer(const struct choose_in *in, struct candidates *c,
	bool (*is_true)(const struct choose_in *, uint16_t))
{
	uint64_t kept = those(in, c->fit, is_true);

	if (kept != 0)
		c->fit = kept;
}

void candidates_narrow(const struct choose_in *in, struct candidates *c, bool may_primary)
{
	if (those(in, c->fit, is_not_ejected) == 0 && may_primary &&
		those(in, c->lagging | c->by_marks, is_not_ejected) != 0)
		c->fit = 0;
	prefer(in, c, is_not_ejected);
	if (!is_own_zone_full(in, c->fit))
		prefer(in, c, is_near);
	prefer(in, c, candidates_is_not_held);
}
