#include "route/choose.h"

#include <string.h>

/*
 * The replica of the last read is left for the primary, while marks keep the client from other
 * replicas, when it is so many times slower than both.
 */
#define STAY_FACTOR 4u

/* A node of which nothing is known because nothing is sent to it gets one unit in so many picks. */
#define PROBE_SHARE 32u

/* Bounds of what is multiplied, so that a product of all of it and of a weight fits 64 bits. */
#define OUTSTANDING_MAX 0xffffu
#define LATENCY_MAX_US  0xffffffu /* 16 s */

/* Why a node is not fit for a read; bits, to be gathered over nodes. */
enum {
	FIT = 0,
	UNFIT_OTHER = 1, /* not a replica, not up, not following */
	UNFIT_CONNECT = 2,
	UNFIT_LAG = 4,
	UNFIT_BEHIND = 8,
	UNFIT_WAITS = 16,
};

/* --- words --- */

static const char *const reason_names[CHOOSE_REASON_COUNT] = {
	[CHOOSE_BY_REPLICA_OK] = "replica_ok",
	[CHOOSE_BY_REPLICA_STAYS] = "replica_stays",
	[CHOOSE_BY_OTHER_ZONE] = "other_zone",
	[CHOOSE_BY_EJECTED] = "ejected",
	[CHOOSE_BY_PRIMARY_SHARE] = "primary_share",
	[CHOOSE_BY_NO_REPLICA] = "no_replica",
	[CHOOSE_BY_LAG] = "lag",
	[CHOOSE_BY_MARK_OPEN] = "mark_open",
	[CHOOSE_BY_MARK_BEHIND] = "mark_behind",
	[CHOOSE_BY_STRONG] = "strong",
	[CHOOSE_BY_WRITE] = "write",
	[CHOOSE_BY_UNKNOWN] = "unknown",
	[CHOOSE_BY_SESSION] = "session",
	[CHOOSE_BY_TRANSACTION] = "transaction",
	[CHOOSE_BY_STREAMED] = "streamed",
	[CHOOSE_BY_ROUTE_PRIMARY] = "route_primary",
	[CHOOSE_BY_ROUTE_REPLICA] = "route_replica",
	[CHOOSE_BY_ROUND_ROBIN] = "round_robin",
	[CHOOSE_BY_ONLY_NODE] = "only_node",
	[CHOOSE_BY_PINNED] = "pinned",
	[CHOOSE_BY_IN_TRANSACTION] = "in_transaction",
	[CHOOSE_BY_HINT] = "hint",
	[CHOOSE_BY_MOVED] = "moved",
	[CHOOSE_BY_REPLAY] = "replay",
};

const char *choose_reason_name(enum choose_reason r)
{
	return (unsigned)r < CHOOSE_REASON_COUNT ? reason_names[r] : "?";
}

const char *choose_hint_text(enum choose_hint h)
{
	switch (h) {
	case CHOOSE_HINT_NONE:
		return "";
	case CHOOSE_HINT_NO_PRIMARY:
		return "No primary is reachable at present; see SHOW NODES.";
	case CHOOSE_HINT_NEVER_PRIMARY:
		return "None of the database's hosts has been a primary since the start. If they "
		       "are "
		       "all replicas, set \"route = replica\" for this database.";
	case CHOOSE_HINT_MONITOR_REFUSED:
		return "A node refuses the monitor's login; check \"monitor_user\" and "
		       "\"monitor_password\".";
	case CHOOSE_HINT_PRIMARY_NOT_LISTED:
		return "The primary is not among the \"host\" list of this database.";
	case CHOOSE_HINT_NO_REPLICA:
		return "No replica is usable at present; see SHOW NODES. Only reads go to the "
		       "primary "
		       "with \"route = replica\".";
	case CHOOSE_HINT_MAX_LAG:
		return "All replicas are further behind than \"max_lag\" allows.";
	case CHOOSE_HINT_MARKS:
		return "No replica is known to have what this session has written or seen, as "
		       "\"consistency\" asks, and there is no primary.";
	case CHOOSE_HINT_CONNECT:
		return "The node cannot be connected to; see SHOW NODES.";
	case CHOOSE_HINT_NEVER:
		return "No replica is usable at present, and \"primary_reads = never\" keeps reads "
		       "off the primary; see SHOW NODES.";
	case CHOOSE_HINT_NEVER_MARKS:
		return "No replica is known to have what \"consistency\" asks for, and "
		       "\"primary_reads = never\" keeps reads off the primary.";
	}
	return "";
}

bool choose_reason_is_replica(uint8_t reason)
{
	return reason == CHOOSE_BY_REPLICA_OK || reason == CHOOSE_BY_REPLICA_STAYS ||
	       reason == CHOOSE_BY_ROUTE_REPLICA || reason == CHOOSE_BY_OTHER_ZONE ||
	       reason == CHOOSE_BY_EJECTED;
}

/* --- the primary --- */

static const struct topo_cluster *cluster(const struct choose_in *in)
{
	return topology_cluster_at(in->topo, in->cluster);
}

static void to_node(const struct choose_in *in, uint16_t index, struct choose_out *out)
{
	out->node = in->nodes[index];
	out->index = index;
	out->hint = CHOOSE_HINT_NONE;
}

/* The cluster's primary in the database's list; in->n_nodes if it is not there. */
static uint16_t primary_index(const struct choose_in *in)
{
	uint16_t primary = cluster(in)->primary, i = 0;

	if (primary == TOPO_NONE)
		return in->n_nodes;
	while (i < in->n_nodes && in->nodes[i] != primary)
		i++;
	return i;
}

static enum choose_hint primary_hint(const struct choose_in *in, uint16_t index)
{
	const struct topo_cluster *c = cluster(in);

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
	if (i < in->n_nodes && in->load[i].conn_ok)
		to_node(in, i, out);
	else
		out->hint = (uint8_t)primary_hint(in, i);
}

/* --- replicas --- */

static bool is_within_max_lag(const struct choose_in *in, const struct topo_node *n)
{
	uint64_t good_until_us = in->topo->published_us + in->sample_grace_us;
	uint64_t age_us = in->now_us > good_until_us ? in->now_us - good_until_us : 0;

	return n->lag_known && age_us <= in->max_lag_us && n->lag_us <= in->max_lag_us - age_us;
}

/* Has the replica what the client's consistency asks for? */
static enum mark_answer freshness(
	const struct choose_in *in, uint16_t node, const struct topo_node *n)
{
	switch (in->consistency) {
	case CHOOSE_EVENTUAL:
		break;
	case CHOOSE_SESSION_MARKS:
	case CHOOSE_DATABASE_MARKS:
		if (in->marks != NULL)
			return marks_check(in->marks, cluster(in), node, n);
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

static unsigned replica_check(const struct choose_in *in, uint16_t index)
{
	const struct topo_node *n = topology_node_at(in->topo, in->nodes[index]);

	if (n->health != TOPO_UP || n->role != TOPO_ROLE_REPLICA)
		return UNFIT_OTHER;
	if (!n->follows)
		return blind_check(in, index, n);
	if (!in->load[index].conn_ok)
		return UNFIT_CONNECT;
	if (!is_within_max_lag(in, n))
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

struct candidates {
	uint8_t fit[CHOOSE_NODES_MAX]; /* indexes into in->nodes */
	uint16_t n_fit;
	unsigned unfit;      /* bits of all that are not fit */
	uint16_t n_by_marks; /* that only a mark keeps from being fit */
	uint32_t w_by_marks; /* their weights */
	bool may_come;       /* … one of them is not so far behind that waiting is vain */
	bool others_come;    /* one that is not ejected is unfit for its lag or a mark only */
	uint16_t by_marks;   /* the cheapest of them */
};

static uint64_t at_most(uint64_t n, uint64_t max)
{
	return n < max ? n : max;
}

/* How long one more unit takes, as outstanding units and recent latency tell; no unit. */
static uint64_t cost(const struct choose_load *l)
{
	return (at_most(l->outstanding, OUTSTANDING_MAX) + 1) *
	       (at_most(l->latency_us, LATENCY_MAX_US) + 1);
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

static void candidates_find(const struct choose_in *in, struct candidates *c)
{
	c->n_fit = 0;
	c->unfit = 0;
	c->n_by_marks = 0;
	c->w_by_marks = 0;
	c->by_marks = 0;
	c->may_come = false;
	c->others_come = false;
	for (uint16_t i = 0; i < in->n_nodes; i++) {
		unsigned why = replica_check(in, i);

		c->unfit |= why;
		c->others_come =
			c->others_come || ((why & (UNFIT_LAG | UNFIT_WAITS | UNFIT_BEHIND)) != 0 &&
						  !in->load[i].is_ejected);
		c->may_come = c->may_come ||
			      ((why & (UNFIT_WAITS | UNFIT_BEHIND)) != 0 && catches_up(in, i));
		if ((why & (UNFIT_WAITS | UNFIT_BEHIND)) != 0)
			c->w_by_marks += in->load[i].weight;
		if (why == FIT)
			c->fit[c->n_fit++] = (uint8_t)i;
		else if ((why & (UNFIT_WAITS | UNFIT_BEHIND)) != 0 &&
			 (c->n_by_marks++ == 0 ||
				 cost(&in->load[c->by_marks]) > cost(&in->load[i])))
			c->by_marks = i;
	}
}

/* --- zones, ejected nodes, slow start: in->uneven --- */

#define SLOW_START_LEAST 26u /* of 256: a node that comes back has a tenth of its share */

uint8_t choose_held_256(uint64_t age_us, uint64_t slow_start_us)
{
	uint64_t share;

	if (age_us >= slow_start_us)
		return 0;
	share = (uint64_t)(256.0 * (double)age_us / (double)slow_start_us);
	return (uint8_t)(256u - (share > SLOW_START_LEAST ? share : SLOW_START_LEAST));
}

/* Chance anew for each node of each unit, whatever else the number is used for. */
static uint32_t chance_of(const struct choose_in *in, uint16_t index)
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

static bool is_not_held(const struct choose_in *in, uint16_t index)
{
	return chance_of(in, index) >> 24 >= in->load[index].held_256;
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

/*
 * An ejected node gets a read only where there is nothing else: neither the primary, nor another
 * replica that is usable, though not for this read.
 */
static void narrow(const struct choose_in *in, struct candidates *c, bool may_primary)
{
	if (!keep(in, c, is_not_ejected) && c->others_come && may_primary)
		c->n_fit = 0;
	if (c->n_fit > 1 && !is_own_zone_full(in, c))
		(void)keep(in, c, is_near);
	if (c->n_fit > 1)
		(void)keep(in, c, is_not_held);
}

/* --- the better of two random ones --- */

/* A fit node by chance and weight, `except` (an index into fit) left out. `chance`: 0..65535. */
static uint16_t pick(const struct choose_in *in, const struct candidates *c, uint32_t total,
	uint32_t chance, uint16_t except)
{
	uint32_t left = (uint32_t)((uint64_t)total * chance >> 16);
	uint16_t last = 0;

	for (uint16_t k = 0; k < c->n_fit; k++) {
		uint32_t weight = in->load[c->fit[k]].weight;

		if (k == except)
			continue;
		if (left < weight)
			return k;
		left -= weight;
		last = k;
	}
	return last;
}

/*
 * Whether `b` is to be preferred though chance took `a`: the cost of a is over one and a half of
 * b's. Of outstanding units each node is to bear its share by weight; without any the latency
 * decides, and chance has heeded the weights.
 */
static bool is_better(
	const struct choose_load *b, const struct choose_load *a, uint32_t total, uint16_t n_nodes)
{
	uint64_t units_a = at_most(a->outstanding, OUTSTANDING_MAX) * total + a->weight * n_nodes;
	uint64_t units_b = at_most(b->outstanding, OUTSTANDING_MAX) * total + b->weight * n_nodes;
	uint64_t latency_a = at_most(a->latency_us, LATENCY_MAX_US) + 1;
	uint64_t latency_b = at_most(b->latency_us, LATENCY_MAX_US) + 1;

	/* What is not known is neither better nor worse: one that comes back is not flooded. */
	if (a->latency_us == 0 || b->latency_us == 0)
		latency_a = latency_b = 1;
	if ((a->n_free == 0) != (b->n_free == 0))
		return a->n_free == 0;
	return 2 * units_a * latency_a * b->weight > 3 * units_b * latency_b * a->weight;
}

static uint16_t pick_better(const struct choose_in *in, const struct candidates *c)
{
	uint32_t total = 0;
	uint16_t a, b;
	const struct choose_load *la, *lb;

	if (c->n_fit == 1)
		return c->fit[0];
	for (uint16_t k = 0; k < c->n_fit; k++)
		total += in->load[c->fit[k]].weight;
	a = pick(in, c, total, in->random & 0xffff, CHOOSE_NODES_MAX);
	la = &in->load[c->fit[a]];
	b = pick(in, c, total - la->weight, in->random >> 16, a);
	lb = &in->load[c->fit[b]];
	/* What is known of an idle node may be old: now and then it is tried. */
	if (la->outstanding == 0 && la->n_free != 0 &&
		in->random * 0x9e3779b9u >> 16 < 0x10000u / PROBE_SHARE)
		return c->fit[a];
	return c->fit[is_better(lb, la, total, c->n_fit) ? b : a];
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
	return c->n_fit == 1 && c->n_by_marks != 0 && in->consistency != CHOOSE_STRONG &&
	       in->marks != NULL && in->nodes[c->fit[0]] == in->marks->read_node;
}

/* What has not been measured is no better than what is known. */
static bool is_much_cheaper(const struct choose_load *l, uint64_t here)
{
	return l->latency_us != 0 && here > STAY_FACTOR * cost(l);
}

/*
 * Whether the only fit replica is so slow that the primary is better until marks allow another.
 * route = replica is for keeping reads off the primary, so speed is no reason there.
 */
static bool leaves_replica(const struct choose_in *in, const struct candidates *c)
{
	uint16_t i = primary_index(in);
	uint64_t here = cost(&in->load[c->fit[0]]);

	return in->route == CHOOSE_ROUTE_AUTO && in->primary_reads != CHOOSE_PRIMARY_NEVER &&
	       i < in->n_nodes && in->load[i].conn_ok && is_much_cheaper(&in->load[i], here) &&
	       is_much_cheaper(&in->load[c->by_marks], here);
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
	uint32_t total = c->w_by_marks;

	if (i >= in->n_nodes || !p->conn_ok)
		return false;
	if (in->uneven && ((p->is_far && !l->is_far) || !is_not_held(in, i)))
		return false;
	total += p->weight;
	for (uint16_t k = 0; k < c->n_fit; k++)
		total += in->load[c->fit[k]].weight;
	if ((uint64_t)chance_of(in, CHOOSE_NODES_MAX) * total >= ((uint64_t)p->weight << 32))
		return false;
	return !is_better(l, p, (uint32_t)p->weight + l->weight, 2);
}

static enum choose_reason reason_of_node(
	const struct choose_in *in, uint16_t index, enum choose_reason why)
{
	if (in->nodes[index] == cluster(in)->primary)
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
		narrow(in, &c, may_primary);
	if (c.n_fit != 0 && !(bound && leaves_replica(in, &c))) {
		i = pick_better(in, &c);
		if (in->primary_reads == CHOOSE_PRIMARY_SHARE && in->route == CHOOSE_ROUTE_AUTO &&
			is_for_primary(in, &c, i))
			i = primary_index(in);
		to_node(in, i, out);
		out->reason = (uint8_t)reason_of_node(in, i, bound ? CHOOSE_BY_REPLICA_STAYS : why);
		return;
	}
	out->wants_sample = (c.unfit & UNFIT_WAITS) != 0;
	out->reason = (uint8_t)why;
	if (in->consistency == CHOOSE_STRONG && in->wait_us != 0 && c.may_come) {
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
		(!may_primary || (c.unfit > UNFIT_CONNECT && cluster(in)->ever_primary)))
		out->hint = (uint8_t)replica_hint(in, c.unfit);
}

/* --- all together --- */

static bool is_read(enum choose_kind k)
{
	return k == CHOOSE_READ || k == CHOOSE_READ_BLOCK || k == CHOOSE_TXN_READ;
}

static void choose_round_robin(const struct choose_in *in, struct choose_out *out)
{
	out->reason = in->n_nodes == 1 ? CHOOSE_BY_ONLY_NODE : CHOOSE_BY_ROUND_ROBIN;
	out->hint = CHOOSE_HINT_CONNECT;
	for (uint16_t k = 0; k < in->n_nodes; k++) {
		uint16_t i = (uint16_t)((in->random + k) % in->n_nodes);

		if (in->load[i].conn_ok) {
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
		choose_replica(in, is_read(in->kind) && in->primary_reads != CHOOSE_PRIMARY_NEVER,
			CHOOSE_BY_ROUTE_REPLICA, out);
		return;
	case CHOOSE_ROUTE_AUTO:
		break;
	}
	if (!is_read(in->kind))
		to_primary(in, reason_of(in->kind), out);
	else
		choose_replica(
			in, in->primary_reads != CHOOSE_PRIMARY_NEVER, CHOOSE_BY_REPLICA_OK, out);
}

/* Whether the unit must not go to a replica. */
static bool must_primary(const struct choose_in *in)
{
	if (in->route == CHOOSE_ROUTE_REPLICA)
		return false;
	return in->route == CHOOSE_ROUTE_PRIMARY || !is_read(in->kind);
}

bool choose_is_fit(const struct choose_in *in, uint16_t index)
{
	PANIC_IF(index >= in->n_nodes);
	if (in->route == CHOOSE_ROUTE_OFF)
		return in->load[index].conn_ok;
	if (index == primary_index(in)) {
		if (is_read(in->kind) && in->route != CHOOSE_ROUTE_PRIMARY &&
			in->primary_reads == CHOOSE_PRIMARY_NEVER)
			return false;
		return in->load[index].conn_ok &&
		       (in->route != CHOOSE_ROUTE_REPLICA || is_read(in->kind));
	}
	return !must_primary(in) && replica_check(in, index) == FIT;
}

const char *choose_unfit_text(const struct choose_in *in, uint16_t index)
{
	PANIC_IF(index >= in->n_nodes);
	switch (replica_check(in, index)) {
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
