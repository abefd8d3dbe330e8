#include "route/judge.h"

#include <stdio.h>

#include "route/roles.h"

/* --- which system the cluster is --- */

/* How many members answer and are of system `id`. */
static unsigned n_of_system(const struct judge_cluster *c, uint64_t id)
{
	unsigned n = 0;

	for (uint16_t i = 0; i < c->n_members; i++)
		n += judge_member(c, i)->alive && judge_member(c, i)->pub.system_id == id;
	return n;
}

/* The system that more members answer for than for any other; 0 if there is no such. */
static uint64_t most_common_system(const struct judge_cluster *c, unsigned *n_best)
{
	uint64_t best = 0;
	bool tie = false;

	*n_best = 0;
	for (uint16_t i = 0; i < c->n_members; i++) {
		const struct judge_node *n = judge_member(c, i);
		unsigned n_same = n_of_system(c, n->pub.system_id);

		if (!n->alive || n->pub.system_id == 0 || n->pub.system_id == best ||
			n_same < *n_best)
			continue;
		tie = n_same == *n_best;
		*n_best = n_same;
		best = n->pub.system_id;
	}
	return tie ? 0 : best;
}

static void forget_samples(struct judge_cluster *c)
{
	c->pub.n_samples = 0;
	lag_clear(&c->lag);
}

static void judge_system(struct judge_cluster *c, uint32_t *last_identity)
{
	unsigned n_best;
	uint64_t best = most_common_system(c, &n_best);

	if (best == 0 && n_best == 0)
		return; /* nobody has told */
	if (c->pub.system_id == 0) {
		c->pub.system_id = best;
	} else if (best != c->pub.system_id && n_best == c->n_members) {
		c->pub.system_id = best;
		c->pub.identity = ++*last_identity;
		c->pub.timeline_max = 0;
		forget_samples(c);
	}
}

static bool is_of_cluster(const struct judge_cluster *c, const struct judge_node *n)
{
	if (n->blind && n->pub.system_id == 0)
		return n->alive; /* it does not tell */
	return n->alive && c->pub.system_id != 0 && n->pub.system_id == c->pub.system_id;
}

/* --- which timeline, which primary --- */

static void judge_timeline(struct judge_cluster *c)
{
	uint32_t highest = c->pub.timeline_max;

	for (uint16_t i = 0; i < c->n_members; i++) {
		const struct judge_node *n = judge_member(c, i);

		if (is_of_cluster(c, n) && n->pub.timeline > highest)
			highest = n->pub.timeline;
	}
	if (highest != c->pub.timeline_max)
		forget_samples(c); /* positions of two timelines do not compare */
	c->pub.timeline_max = highest;
}

/* It says that it is the primary, on the highest timeline, and nothing speaks against it. */
static bool proves_primary(const struct judge_cluster *c, const struct judge_node *n)
{
	return is_of_cluster(c, n) && n->pub.role == TOPO_ROLE_PRIMARY && !n->blind &&
	       n->pub.leader != TOPO_LEADER_NO && n->pub.timeline == c->pub.timeline_max &&
	       n->pub.timeline != 0;
}

/* The same, or, where no node does, that it says so without telling its timeline. */
static bool claims_primary(const struct judge_cluster *c, const struct judge_node *n)
{
	if (!n->blind)
		return proves_primary(c, n);
	for (uint16_t i = 0; i < c->n_members; i++)
		if (proves_primary(c, judge_member(c, i)))
			return false;
	return is_of_cluster(c, n) && n->pub.role == TOPO_ROLE_PRIMARY &&
	       n->pub.leader != TOPO_LEADER_NO;
}

/* Two host names may lead to one server. */
static bool is_same_server(const struct judge_node *a, const struct judge_node *b)
{
	return a->pub.system_id == b->pub.system_id &&
	       a->pub.postmaster_start_us == b->pub.postmaster_start_us &&
	       a->pub.timeline == b->pub.timeline;
}

/* One that claims to be the primary is named the leader. */
static bool has_named(const struct judge_cluster *c)
{
	for (uint16_t i = 0; i < c->n_members; i++)
		if (judge_member(c, i)->pub.leader == TOPO_LEADER_YES &&
			claims_primary(c, judge_member(c, i)))
			return true;
	return false;
}

static void judge_primary(struct judge_cluster *c)
{
	bool named = has_named(c);
	uint16_t found = TOPO_NONE;

	if (c->pub.primary != TOPO_NONE && claims_primary(c, &c->nodes[c->pub.primary]) &&
		(!named || c->nodes[c->pub.primary].pub.leader == TOPO_LEADER_YES))
		return;
	c->pub.primary = TOPO_NONE;
	for (uint16_t i = 0; i < c->n_members; i++) {
		if (!claims_primary(c, judge_member(c, i)) ||
			(named && judge_member(c, i)->pub.leader != TOPO_LEADER_YES))
			continue;
		if (found == TOPO_NONE)
			found = c->members[i];
		else if (!is_same_server(&c->nodes[found], judge_member(c, i)))
			return; /* two, and no way to tell which is right */
	}
	c->pub.primary = found;
	if (found != TOPO_NONE)
		c->pub.ever_primary = true;
}

/* --- what follows for a node --- */

static const char *why_not(const struct judge_cluster *c, const struct judge_node *n)
{
	if (n->pub.health == TOPO_UP && n->pub.fenced && n->pub.leader == TOPO_LEADER_NO)
		return "Patroni does not name it the leader";
	if (n->pub.health == TOPO_UP && n->pub.fenced)
		return n->pub.timeline < c->pub.timeline_max
			       ? "a primary on an old timeline"
			       : "there are two primaries on the highest timeline";
	if (n->pub.health == TOPO_REFUSED && n->alive)
		return c->pub.system_id != 0 ? "it is of another system than its cluster"
					     : "the nodes are of different systems";
	if (n->pub.health == TOPO_UP && n->blind)
		return "it refuses to tell its position: for reads of consistency eventual alone";
	return n->error;
}

static void judge_node(struct judge_cluster *c, struct judge_node *n)
{
	const struct judge_node *primary =
		c->pub.primary != TOPO_NONE ? &c->nodes[c->pub.primary] : NULL;
	bool ok = is_of_cluster(c, n);

	n->pub.health = TOPO_UP;
	n->pub.blind = n->blind || (primary != NULL && primary->blind);
	n->pub.follows = ok && n->pub.role == TOPO_ROLE_REPLICA && n->pub.timeline != 0 &&
			 n->pub.timeline == c->pub.timeline_max && !n->pub.blind;
	n->pub.fenced = ok && n->pub.role == TOPO_ROLE_PRIMARY &&
			(primary == NULL || !is_same_server(primary, n));
	if (!n->alive)
		n->pub.health = n->login_refused ? TOPO_REFUSED : TOPO_DOWN;
	else if (!ok && c->settled)
		n->pub.health = TOPO_REFUSED;
	snprintf(n->pub.text, sizeof n->pub.text, "%s", why_not(c, n));
}

static void judge_nodes(struct judge_cluster *c)
{
	c->pub.monitor_refused = false;
	c->pub.blind = c->pub.primary != TOPO_NONE && c->nodes[c->pub.primary].blind;
	for (uint16_t i = 0; i < c->n_members; i++) {
		judge_node(c, judge_member(c, i));
		c->pub.monitor_refused |= judge_member(c, i)->login_refused;
	}
}

static bool all_heard(const struct judge_cluster *c)
{
	for (uint16_t i = 0; i < c->n_members; i++)
		if (!judge_member(c, i)->heard)
			return false;
	return true;
}

unsigned judge_cluster(struct judge_cluster *c, uint32_t *last_identity)
{
	const uint16_t primary = c->pub.primary;
	const uint32_t timeline = c->pub.timeline_max, identity = c->pub.identity;
	unsigned bits = 0;

	c->settled |= all_heard(c);
	if (c->settled) {
		judge_system(c, last_identity);
		judge_timeline(c);
		judge_primary(c);
	}
	judge_nodes(c);
	if (c->pub.primary != primary)
		bits |= ROLES_PRIMARY;
	if (c->pub.timeline_max != timeline)
		bits |= ROLES_TIMELINE;
	if (c->pub.identity != identity)
		bits |= ROLES_IDENTITY;
	return bits;
}
