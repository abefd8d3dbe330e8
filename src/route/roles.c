#include "route/roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/lag.h"

#define LATENCY_SHARE 8u /* an answer counts for one eighth of the average */

struct node {
	struct topo_node pub; /* what lag it has is filled in by roles_snapshot */
	bool heard;           /* has answered or failed at least once */
	bool alive;           /* its last word was an answer, and not too long ago */
	bool login_refused;
	char error[TOPO_TEXT_MAX]; /* since its last answer */
};

struct cluster {
	struct topo_cluster pub;
	struct lag_history lag;
	bool settled; /* all nodes were heard, or were given the time */
	uint16_t n_members;
	uint16_t *members; /* node ids */
};

struct roles {
	uint16_t n_nodes, n_clusters;
	uint64_t node_timeout_us;
	uint64_t started_us;
	uint64_t generation;
	uint32_t last_identity;
	struct node *nodes;
	struct cluster *clusters;
	uint16_t *members; /* of all clusters */
};

static struct node *member(struct roles *r, const struct cluster *c, uint16_t i)
{
	return &r->nodes[c->members[i]];
}

static struct cluster *cluster_of(struct roles *r, uint16_t node)
{
	return &r->clusters[r->nodes[node].pub.cluster];
}

/* --- beginning and end --- */

static void init_nodes(struct roles *r, const struct roles_conf *conf)
{
	for (uint16_t i = 0; i < r->n_nodes; i++) {
		struct topo_node *p = &r->nodes[i].pub;

		PANIC_IF(conf->cluster_of[i] >= r->n_clusters);
		p->cluster = conf->cluster_of[i];
		snprintf(p->label, sizeof p->label, "%s", conf->label[i]);
	}
}

static void init_clusters(struct roles *r, uint64_t lag_span_us)
{
	uint16_t *members = r->members;

	for (uint16_t k = 0; k < r->n_clusters; k++) {
		struct cluster *c = &r->clusters[k];

		c->pub.primary = TOPO_NONE;
		c->pub.identity = ++r->last_identity;
		lag_init(&c->lag, lag_span_us);
		c->members = members;
		for (uint16_t i = 0; i < r->n_nodes; i++)
			if (r->nodes[i].pub.cluster == k)
				c->members[c->n_members++] = i;
		members += c->n_members;
	}
}

enum status roles_new(const struct roles_conf *conf, struct roles **out)
{
	struct roles *r = calloc(1, sizeof *r);

	if (r == NULL)
		return E_NOMEM;
	r->n_nodes = conf->n_nodes;
	r->n_clusters = conf->n_clusters;
	r->node_timeout_us = conf->node_timeout_us;
	r->started_us = conf->now_us;
	r->nodes = calloc(r->n_nodes + 1u, sizeof *r->nodes);
	r->clusters = calloc(r->n_clusters + 1u, sizeof *r->clusters);
	r->members = calloc(r->n_nodes + 1u, sizeof *r->members);
	if (r->nodes == NULL || r->clusters == NULL || r->members == NULL) {
		roles_free(r);
		return E_NOMEM;
	}
	init_nodes(r, conf);
	init_clusters(r, conf->lag_span_us);
	*out = r;
	return OK;
}

void roles_free(struct roles *r)
{
	if (r == NULL)
		return;
	free(r->members);
	free(r->nodes);
	free(r->clusters);
	free(r);
}

/* --- which system the cluster is --- */

/* How many members answer and are of system `id`. */
static unsigned n_of_system(struct roles *r, const struct cluster *c, uint64_t id)
{
	unsigned n = 0;

	for (uint16_t i = 0; i < c->n_members; i++)
		n += member(r, c, i)->alive && member(r, c, i)->pub.system_id == id;
	return n;
}

/* The system that more members answer for than for any other; 0 if there is no such. */
static uint64_t most_common_system(struct roles *r, const struct cluster *c, unsigned *n_best)
{
	uint64_t best = 0;
	bool tie = false;

	*n_best = 0;
	for (uint16_t i = 0; i < c->n_members; i++) {
		const struct node *n = member(r, c, i);
		unsigned n_same = n_of_system(r, c, n->pub.system_id);

		if (!n->alive || n->pub.system_id == best || n_same < *n_best)
			continue;
		tie = n_same == *n_best;
		*n_best = n_same;
		best = n->pub.system_id;
	}
	return tie ? 0 : best;
}

static void forget_samples(struct cluster *c)
{
	c->pub.n_samples = 0;
	lag_clear(&c->lag);
}

static void judge_system(struct roles *r, struct cluster *c)
{
	unsigned n_best;
	uint64_t best = most_common_system(r, c, &n_best);

	if (c->pub.system_id == 0) {
		c->pub.system_id = best;
	} else if (best != c->pub.system_id && n_best == c->n_members) {
		c->pub.system_id = best;
		c->pub.identity = ++r->last_identity;
		c->pub.timeline_max = 0;
		forget_samples(c);
	}
}

static bool is_of_cluster(const struct cluster *c, const struct node *n)
{
	return n->alive && c->pub.system_id != 0 && n->pub.system_id == c->pub.system_id;
}

/* --- which timeline, which primary --- */

static void judge_timeline(struct roles *r, struct cluster *c)
{
	uint32_t highest = c->pub.timeline_max;

	for (uint16_t i = 0; i < c->n_members; i++) {
		const struct node *n = member(r, c, i);

		if (is_of_cluster(c, n) && n->pub.timeline > highest)
			highest = n->pub.timeline;
	}
	if (highest != c->pub.timeline_max)
		forget_samples(c); /* positions of two timelines do not compare */
	c->pub.timeline_max = highest;
}

/* It says that it is the primary, and nothing speaks against it. */
static bool claims_primary(const struct cluster *c, const struct node *n)
{
	return is_of_cluster(c, n) && n->pub.role == TOPO_ROLE_PRIMARY &&
	       n->pub.timeline == c->pub.timeline_max && n->pub.timeline != 0;
}

/* Two host names may lead to one server. */
static bool is_same_server(const struct node *a, const struct node *b)
{
	return a->pub.system_id == b->pub.system_id &&
	       a->pub.postmaster_start_us == b->pub.postmaster_start_us &&
	       a->pub.timeline == b->pub.timeline;
}

static void judge_primary(struct roles *r, struct cluster *c)
{
	uint16_t found = TOPO_NONE;

	if (c->pub.primary != TOPO_NONE && claims_primary(c, &r->nodes[c->pub.primary]))
		return;
	c->pub.primary = TOPO_NONE;
	for (uint16_t i = 0; i < c->n_members; i++) {
		if (!claims_primary(c, member(r, c, i)))
			continue;
		if (found == TOPO_NONE)
			found = c->members[i];
		else if (!is_same_server(&r->nodes[found], member(r, c, i)))
			return; /* two, and no way to tell which is right */
	}
	c->pub.primary = found;
	if (found != TOPO_NONE)
		c->pub.ever_primary = true;
}

/* --- what follows for a node --- */

static const char *why_not(const struct cluster *c, const struct node *n)
{
	if (n->pub.health == TOPO_UP && n->pub.fenced)
		return n->pub.timeline < c->pub.timeline_max
			       ? "a primary on an old timeline"
			       : "there are two primaries on the highest timeline";
	if (n->pub.health == TOPO_REFUSED && n->alive)
		return c->pub.system_id != 0 ? "it is of another system than its cluster"
					     : "the nodes are of different systems";
	return n->error;
}

static void judge_node(struct roles *r, struct cluster *c, struct node *n)
{
	const struct node *primary = c->pub.primary != TOPO_NONE ? &r->nodes[c->pub.primary] : NULL;
	bool ok = is_of_cluster(c, n);

	n->pub.health = TOPO_UP;
	n->pub.follows = ok && n->pub.role == TOPO_ROLE_REPLICA && n->pub.timeline != 0 &&
			 n->pub.timeline == c->pub.timeline_max;
	n->pub.fenced = ok && n->pub.role == TOPO_ROLE_PRIMARY &&
			(primary == NULL || !is_same_server(primary, n));
	if (!n->alive)
		n->pub.health = n->login_refused ? TOPO_REFUSED : TOPO_DOWN;
	else if (!ok && c->settled)
		n->pub.health = TOPO_REFUSED;
	snprintf(n->pub.text, sizeof n->pub.text, "%s", why_not(c, n));
}

static void judge_nodes(struct roles *r, struct cluster *c)
{
	c->pub.monitor_refused = false;
	for (uint16_t i = 0; i < c->n_members; i++) {
		judge_node(r, c, member(r, c, i));
		c->pub.monitor_refused |= member(r, c, i)->login_refused;
	}
}

static bool all_heard(struct roles *r, const struct cluster *c)
{
	for (uint16_t i = 0; i < c->n_members; i++)
		if (!member(r, c, i)->heard)
			return false;
	return true;
}

/* Decide anew; returns what changed with the cluster. */
static unsigned judge(struct roles *r, struct cluster *c)
{
	const uint16_t primary = c->pub.primary;
	const uint32_t timeline = c->pub.timeline_max, identity = c->pub.identity;
	unsigned bits = 0;

	c->settled |= all_heard(r, c);
	if (c->settled) {
		judge_system(r, c);
		judge_timeline(r, c);
		judge_primary(r, c);
	}
	judge_nodes(r, c);
	if (c->pub.primary != primary)
		bits |= ROLES_PRIMARY;
	if (c->pub.timeline_max != timeline)
		bits |= ROLES_TIMELINE;
	if (c->pub.identity != identity)
		bits |= ROLES_IDENTITY;
	return bits;
}

/* judge, and what changed with `node`, which was `before`. */
static unsigned judge_after(struct roles *r, uint16_t node, const struct topo_node *before)
{
	struct cluster *c = cluster_of(r, node);
	const struct topo_node *now = &r->nodes[node].pub;
	unsigned bits = judge(r, c);

	if (now->health == TOPO_UP && before->health != TOPO_UP)
		bits |= ROLES_NODE_UP;
	if (now->health != TOPO_UP && before->health == TOPO_UP)
		bits |= ROLES_NODE_DOWN;
	if (now->role != before->role || now->fenced != before->fenced)
		bits |= ROLES_NODE_ROLE;
	if (now->fenced && !before->fenced && now->timeline == c->pub.timeline_max)
		bits |= ROLES_TWO_PRIMARIES;
	if (now->health == TOPO_REFUSED && before->health != TOPO_REFUSED &&
		!r->nodes[node].login_refused)
		bits |= ROLES_OTHER_SYSTEM;
	return bits;
}

/* --- what comes in --- */

static void node_take(struct node *n, const struct roles_answer *a)
{
	struct topo_node *p = &n->pub;
	uint64_t latency_us = a->answered_us - a->sent_us;
	bool same = p->epoch != 0 && p->system_id == a->system_id &&
		    p->postmaster_start_us == a->postmaster_start_us;

	n->heard = n->alive = true;
	n->login_refused = false;
	n->error[0] = '\0';
	/* A replica cut off from its primary cannot tell its timeline, but has kept it. */
	if (a->timeline != 0 || !same)
		p->timeline = a->timeline;
	p->epoch += !same;
	p->role = a->in_recovery ? TOPO_ROLE_REPLICA : TOPO_ROLE_PRIMARY;
	p->system_id = a->system_id;
	p->postmaster_start_us = a->postmaster_start_us;
	p->server_version_num = a->server_version_num;
	p->lsn = a->in_recovery ? a->lsn : lsn_round(a->lsn, &a->wal);
	p->sample_begun_us = a->sent_us;
	p->latency_us = (uint32_t)(p->answered_us == 0
					   ? latency_us
					   : (p->latency_us * (LATENCY_SHARE - 1u) + latency_us) /
						     LATENCY_SHARE);
	p->answered_us = a->answered_us;
}

static bool sample_add(struct cluster *c, const struct node *n, const struct roles_answer *a)
{
	struct topo_cluster *p = &c->pub;

	if (p->n_samples != 0 && a->number <= p->samples[0].number)
		return false;
	if (p->n_samples < TOPO_SAMPLES)
		p->n_samples++;
	memmove(&p->samples[1], &p->samples[0], (p->n_samples - 1u) * sizeof p->samples[0]);
	p->samples[0] = (struct topo_sample){
		.number = a->number,
		.at = {.timeline = n->pub.timeline, .lsn = n->pub.lsn},
	};
	lag_push(&c->lag, n->pub.lsn, a->sent_us);
	return true;
}

unsigned roles_node_answer(struct roles *r, uint16_t node, const struct roles_answer *a)
{
	struct topo_node before;
	struct node *n;
	unsigned bits;

	PANIC_IF(node >= r->n_nodes || a->answered_us < a->sent_us);
	n = &r->nodes[node];
	before = n->pub;
	node_take(n, a);
	bits = judge_after(r, node, &before);
	if (cluster_of(r, node)->pub.primary == node && sample_add(cluster_of(r, node), n, a))
		bits |= ROLES_SAMPLE;
	return bits;
}

unsigned roles_node_error(struct roles *r, uint16_t node, enum roles_error e, const char *text)
{
	struct topo_node before;
	struct node *n;

	PANIC_IF(node >= r->n_nodes);
	n = &r->nodes[node];
	before = n->pub;
	snprintf(n->error, sizeof n->error, "%s", text);
	switch (e) {
	case ROLES_ERR_LOST:
	case ROLES_ERR_TIMEOUT:
		break;
	case ROLES_ERR_LOGIN:
	case ROLES_ERR_CONNECT:
	case ROLES_ERR_STARTUP:
	case ROLES_ERR_QUERY:
		n->login_refused = e == ROLES_ERR_LOGIN;
		n->heard = true;
		n->alive = false;
		break;
	}
	return judge_after(r, node, &before);
}

/* Whether `since_us` is node_timeout ago. */
static bool is_overdue(const struct roles *r, uint64_t since_us, uint64_t now_us)
{
	return now_us >= since_us && now_us - since_us >= r->node_timeout_us;
}

/* A cluster whose nodes have had their time is judged by those that were heard. */
static unsigned settle_overdue(struct roles *r, uint64_t now_us, uint16_t *node)
{
	unsigned bits = 0;

	if (!is_overdue(r, r->started_us, now_us))
		return 0;
	for (uint16_t k = 0; k < r->n_clusters && bits == 0; k++) {
		struct cluster *c = &r->clusters[k];

		if (c->settled)
			continue;
		c->settled = true;
		bits = judge(r, c);
		*node = c->pub.primary != TOPO_NONE ? c->pub.primary : c->members[0];
	}
	return bits;
}

unsigned roles_tick(struct roles *r, uint64_t now_us, uint16_t *node)
{
	unsigned bits = settle_overdue(r, now_us, node);

	for (uint16_t i = 0; i < r->n_nodes && bits == 0; i++) {
		struct node *n = &r->nodes[i];
		const struct topo_node before = n->pub;

		if (!n->alive || !is_overdue(r, n->pub.answered_us, now_us))
			continue;
		n->alive = false;
		if (n->error[0] == '\0')
			snprintf(n->error, sizeof n->error, "no answer within node_timeout");
		bits = judge_after(r, i, &before);
		*node = i;
	}
	return bits;
}

/* --- reload --- */

static void carry_node(struct node *n, const struct node *from)
{
	const struct topo_node keep = n->pub;

	*n = *from;
	n->pub.cluster = keep.cluster;
	memcpy(n->pub.label, keep.label, sizeof keep.label);
}

static void carry_cluster(struct cluster *c, const struct cluster *from)
{
	uint64_t spacing_us = c->lag.spacing_us;

	c->pub = from->pub;
	c->pub.primary = TOPO_NONE; /* its id is another now: carry_primaries */
	c->lag = from->lag;
	c->lag.spacing_us = spacing_us;
	c->settled = from->settled;
}

static void carry_primaries(struct roles *r, const struct roles *from, const uint16_t *node_from)
{
	for (uint16_t i = 0; i < r->n_nodes; i++) {
		uint16_t old = node_from[i];

		if (old != TOPO_NONE &&
			from->clusters[from->nodes[old].pub.cluster].pub.primary == old)
			cluster_of(r, i)->pub.primary = i;
	}
}

void roles_carry(struct roles *r, const struct roles *from, const uint16_t *node_from)
{
	bool carried[TOPO_CLUSTERS_MAX] = {false};

	r->generation = from->generation;
	for (uint16_t k = 0; k < r->n_clusters; k++) /* those not carried below are new ones */
		r->clusters[k].pub.identity += from->last_identity;
	r->last_identity += from->last_identity;
	for (uint16_t i = 0; i < r->n_nodes; i++) {
		uint16_t k = r->nodes[i].pub.cluster, old = node_from[i];

		if (old == TOPO_NONE)
			continue;
		PANIC_IF(old >= from->n_nodes);
		carry_node(&r->nodes[i], &from->nodes[old]);
		if (!carried[k])
			carry_cluster(
				&r->clusters[k], &from->clusters[from->nodes[old].pub.cluster]);
		carried[k] = true;
	}
	carry_primaries(r, from, node_from);
	for (uint16_t k = 0; k < r->n_clusters; k++)
		(void)judge(r, &r->clusters[k]);
}

/* --- what goes out --- */

static void fill_lag(struct topo_node *p, const struct cluster *c)
{
	struct lag lag;

	if (p->role != TOPO_ROLE_REPLICA)
		return;
	lag = lag_of(&c->lag, p->lsn);
	p->lag_bytes = lag.bytes;
	p->lag_us = lag.us;
	p->lag_known = lag.known;
}

enum status roles_snapshot(struct roles *r, uint64_t now_us, struct topology **out)
{
	struct topology *t;
	enum status st = topology_new(r->n_nodes, r->n_clusters, &t);

	if (st != OK)
		return st;
	t->generation = ++r->generation;
	t->published_us = now_us;
	for (uint16_t k = 0; k < r->n_clusters; k++)
		t->clusters[k] = r->clusters[k].pub;
	for (uint16_t i = 0; i < r->n_nodes; i++) {
		t->nodes[i] = r->nodes[i].pub;
		fill_lag(&t->nodes[i], cluster_of(r, i));
	}
	*out = t;
	return OK;
}
