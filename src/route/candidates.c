#include "route/candidates.h"

#include <string.h>

#include "route/better.h"

/* --- which are fit --- */

/* How old the snapshot is, beyond the time for which it is as good as new. */
static inline uint64_t snapshot_age_us(const struct choose_in *in)
{
	uint64_t good_until_us = in->topo->published_us + in->sample_grace_us;

	return in->now_us > good_until_us ? in->now_us - good_until_us : 0;
}

static inline bool is_within_max_lag(
	const struct choose_in *in, const struct topo_node *n, uint64_t age_us)
{
	return n->lag_known && age_us <= in->max_lag_us && n->lag_us <= in->max_lag_us - age_us;
}

/* Has the replica what the client's consistency asks for? */
static inline enum mark_answer freshness(
	const struct choose_in *in, uint16_t node, const struct topo_node *n)
{
	switch (in->consistency) {
	case CHOOSE_EVENTUAL:
		break;
	case CHOOSE_SESSION_MARKS:
	case CHOOSE_DATABASE_MARKS:
		if (in->marks != NULL)
			return marks_check(in->marks, candidates_cluster(in), node, n);
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
	return in->load[index].conn_ok ? FIT : UNFIT_CONNECT;
}

static inline unsigned check(const struct choose_in *in, uint16_t index, uint64_t age_us)
{
	const struct topo_node *n = topology_node_at(in->topo, in->nodes[index]);

	if (n->health != TOPO_UP || n->role != TOPO_ROLE_REPLICA)
		return UNFIT_OTHER;
	if (!n->follows)
		return blind_check(in, index, n);
	if (!in->load[index].conn_ok)
		return UNFIT_CONNECT;
	if (!is_within_max_lag(in, n, age_us))
		return UNFIT_LAG;
	if (in->floor.lsn != 0 &&
		!wal_point_covers((struct wal_point){n->timeline, n->lsn}, in->floor))
		return UNFIT_BEHIND;
	switch (freshness(in, in->nodes[index], n)) {
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
	return check(in, index, snapshot_age_us(in));
}

/*
 * Can the replica be expected to have the present soon enough? Its lag is known no finer than the
 * primary is sampled.
 */
static bool catches_up(const struct choose_in *in, uint16_t index)
{
	return topology_node_at(in->topo, in->nodes[index])->lag_us <=
	       in->wait_us + in->sample_grace_us;
}

/* A mark alone keeps it from being fit. */
static void add_by_marks(const struct choose_in *in, struct candidates *c, uint16_t index)
{
	const struct choose_load *l = &in->load[index];

	c->may_come = c->may_come || catches_up(in, index);
	c->w_by_marks += l->weight;
	if (c->n_by_marks++ == 0 || better_cost(&in->load[c->by_marks]) > better_cost(l))
		c->by_marks = index;
}

void candidates_find(const struct choose_in *in, struct candidates *c)
{
	const uint64_t age_us = snapshot_age_us(in);

	c->n_fit = 0;
	c->unfit = 0;
	c->n_by_marks = 0;
	c->w_by_marks = 0;
	c->by_marks = 0;
	c->may_come = false;
	c->others_come = false;
	for (uint16_t i = 0; i < in->n_nodes; i++) {
		unsigned why = check(in, i, age_us);

		c->unfit |= why;
		if (why == FIT)
			c->fit[c->n_fit++] = (uint8_t)i;
		if ((why & (UNFIT_LAG | UNFIT_WAITS | UNFIT_BEHIND)) == 0)
			continue;
		c->others_come = c->others_come || !in->load[i].is_ejected;
		if ((why & (UNFIT_WAITS | UNFIT_BEHIND)) != 0)
			add_by_marks(in, c, i);
	}
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

bool candidates_is_not_held(const struct choose_in *in, uint16_t index)
{
	return candidates_chance(in, index) >> 24 >= in->load[index].held_256;
}

/* Keep the fit of which this is true, if there are any. */
static bool keep(const struct choose_in *in, struct candidates *c,
	bool (*is_kept)(const struct choose_in *, uint16_t))
{
	uint8_t kept[CHOOSE_NODES_MAX];
	uint16_t n = 0;

	for (uint16_t k = 0; k < c->n_fit; k++)
		if (is_kept(in, c->fit[k]))
			kept[n++] = c->fit[k];
	if (n == 0)
		return false;
	memcpy(c->fit, kept, n);
	c->n_fit = n;
	return true;
}

/* The own zone is left for another only when all its servers are busy, and not all of the other. */
static bool is_own_zone_full(const struct choose_in *in, const struct candidates *c)
{
	bool far_free = false;

	for (uint16_t k = 0; k < c->n_fit; k++) {
		const struct choose_load *l = &in->load[c->fit[k]];

		if (!l->is_far && l->n_free != 0)
			return false;
		far_free = far_free || (l->is_far && l->n_free != 0);
	}
	return far_free;
}

void candidates_narrow(const struct choose_in *in, struct candidates *c, bool may_primary)
{
	if (!keep(in, c, is_not_ejected) && c->others_come && may_primary)
		c->n_fit = 0;
	if (c->n_fit > 1 && !is_own_zone_full(in, c))
		(void)keep(in, c, is_near);
	if (c->n_fit > 1)
		(void)keep(in, c, candidates_is_not_held);
}
