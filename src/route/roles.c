#include "route/roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/judge.h"

/* PostgreSQL's manual, "Asynchronous Commit": at most three times wal_writer_delay. */
#define FLUSH_DELAYS  3u
#define LATENCY_SHARE 8u /* an answer counts for one eighth of the average */

struct roles {
	uint16_t n_nodes, n_clusters;
	uint64_t node_timeout_us;
	uint64_t started_us;
	bool carried; /* the start is over: what is new was added */
	uint64_t generation;
	uint32_t last_identity;
	struct judge_node *nodes;
	struct judge_cluster *clusters;
	uint16_t *members; /* of all clusters */
};

static struct judge_cluster *cluster_of(struct roles *r, uint16_t node)
{
	return &r->clusters[r->nodes[node].pub.cluster];
}

/* Whether `since_us` is node_timeout ago. */
static bool is_overdue(const struct roles *r, uint64_t since_us, uint64_t now_us)
{
	return now_us >= since_us && now_us - since_us >= r->node_timeout_us;
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
		struct judge_cluster *c = &r->clusters[k];

		c->pub.primary = TOPO_NONE;
		c->pub.identity = ++r->last_identity;
		lag_init(&c->lag, lag_span_us);
		c->nodes = r->nodes;
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

/* --- judging --- */

/* judge_cluster, and what changed with `node`, which was `before`. */
static unsigned judge_after(struct roles *r, uint16_t node, const struct topo_node *before)
{
	struct judge_cluster *c = cluster_of(r, node);
	const struct topo_node *now = &r->nodes[node].pub;
	unsigned bits = judge_cluster(c, &r->last_identity);

	if (now->health == TOPO_UP && before->health != TOPO_UP)
		bits |= ROLES_NODE_UP;
	if (now->health != TOPO_UP && before->health == TOPO_UP)
		bits |= ROLES_NODE_DOWN;
	if (now->role != before->role || now->fenced != before->fenced)
		bits |= ROLES_NODE_ROLE;
	if (now->fenced && !before->fenced && now->timeline == c->pub.timeline_max &&
		now->leader != TOPO_LEADER_NO)
		bits |= ROLES_TWO_PRIMARIES;
	if (now->health == TOPO_REFUSED && before->health != TOPO_REFUSED &&
		!r->nodes[node].login_refused)
		bits |= ROLES_OTHER_SYSTEM;
	return bits;
}

/* --- what comes in --- */

static void node_take(struct judge_node *n, const struct roles_answer *a)
{
	struct topo_node *p = &n->pub;
	uint64_t latency_us = a->answered_us - a->sent_us;
	bool same = p->epoch != 0 && p->system_id == a->system_id &&
		    p->postmaster_start_us == a->postmaster_start_us;

	n->heard = n->alive = true;
	n->login_refused = n->spoke = false;
	n->error[0] = '\0';
	/* A replica cut off from its primary cannot tell its timeline, but has kept it. */
	if (a->timeline != 0 || !same)
		p->timeline = a->timeline;
	if (p->epoch != 0 && !same)
		n->was_up = false; /* it has restarted unseen */
	p->epoch += !same;
	n->blind = a->blind;
	p->role = a->in_recovery ? TOPO_ROLE_REPLICA : TOPO_ROLE_PRIMARY;
	p->system_id = a->system_id;
	p->postmaster_start_us = a->postmaster_start_us;
	p->server_version_num = a->server_version_num;
	p->lsn = a->in_recovery || a->blind ? a->lsn : lsn_round(a->lsn, &a->wal);
	p->sample_begun_us = a->sent_us;
	p->latency_us = (uint32_t)(p->answered_us == 0
					   ? latency_us
					   : (p->latency_us * (LATENCY_SHARE - 1u) + latency_us) /
						     LATENCY_SHARE);
	p->answered_us = a->answered_us;
}

static bool sample_add(
	struct judge_cluster *c, const struct judge_node *n, const struct roles_answer *a)
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
		.flushed = {.timeline = n->pub.timeline, .lsn = a->flushed_lsn},
	};
	p->flush_delay_us = FLUSH_DELAYS * a->wal_writer_delay_us;
	lag_push(&c->lag, n->pub.lsn, a->sent_us);
	return true;
}

/* A replica is the primary now: since when is not known, but for its last answer. */
static void note_promotion(struct judge_cluster *c, uint16_t node, const struct topo_node *before,
	const struct roles_answer *a)
{
	if (c->pub.primary == node && before->role == TOPO_ROLE_REPLICA && before->answered_us != 0)
		doubles_promoted(&c->pub.doubles, a->answered_us - before->answered_us);
}

unsigned roles_node_answer(struct roles *r, uint16_t node, const struct roles_answer *a)
{
	struct topo_node before;
	struct judge_node *n;
	unsigned bits;

	PANIC_IF(node >= r->n_nodes || a->answered_us < a->sent_us);
	n = &r->nodes[node];
	before = n->pub;
	node_take(n, a);
	bits = judge_after(r, node, &before);
	if ((bits & ROLES_PRIMARY) != 0)
		note_promotion(cluster_of(r, node), node, &before, a);
	if (cluster_of(r, node)->pub.primary == node && !a->blind &&
		sample_add(cluster_of(r, node), n, a))
		bits |= ROLES_SAMPLE;
	return bits;
}

unsigned roles_node_leader(struct roles *r, uint16_t node, enum topo_leader leader)
{
	struct topo_node before;

	PANIC_IF(node >= r->n_nodes);
	before = r->nodes[node].pub;
	r->nodes[node].pub.leader = (uint8_t)leader;
	return judge_after(r, node, &before);
}

unsigned roles_node_error(struct roles *r, uint16_t node, enum roles_error e, const char *text)
{
	struct topo_node before;
	struct judge_node *n;

	PANIC_IF(node >= r->n_nodes);
	n = &r->nodes[node];
	before = n->pub;
	snprintf(n->error, sizeof n->error, "%s", text);
	switch (e) {
	case ROLES_ERR_LOST:
	case ROLES_ERR_TIMEOUT:
		n->spoke = false;
		break;
	case ROLES_ERR_LOGIN:
	case ROLES_ERR_CONNECT:
	case ROLES_ERR_STARTUP:
	case ROLES_ERR_QUERY:
		n->login_refused = e == ROLES_ERR_LOGIN;
		n->spoke = e != ROLES_ERR_CONNECT;
		n->heard = true;
		n->alive = false;
		break;
	}
	return judge_after(r, node, &before);
}

/* A cluster whose nodes have had their time is judged by those that were heard. */
static unsigned settle_overdue(struct roles *r, uint64_t now_us, uint16_t *node)
{
	unsigned bits = 0;

	if (!is_overdue(r, r->started_us, now_us))
		return 0;
	for (uint16_t k = 0; k < r->n_clusters && bits == 0; k++) {
		struct judge_cluster *c = &r->clusters[k];

		if (c->settled)
			continue;
		c->settled = true;
		bits = judge_cluster(c, &r->last_identity);
		*node = c->pub.primary != TOPO_NONE ? c->pub.primary : c->members[0];
	}
	return bits;
}

unsigned roles_tick(struct roles *r, uint64_t now_us, uint16_t *node)
{
	unsigned bits = settle_overdue(r, now_us, node);

	for (uint16_t i = 0; i < r->n_nodes && bits == 0; i++) {
		struct judge_node *n = &r->nodes[i];
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

static void carry_node(struct judge_node *n, const struct judge_node *from)
{
	const struct topo_node keep = n->pub;

	*n = *from;
	n->pub.cluster = keep.cluster;
	memcpy(n->pub.label, keep.label, sizeof keep.label);
}

static void carry_cluster(struct judge_cluster *c, const struct judge_cluster *from)
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
	r->carried = from->carried || is_overdue(from, from->started_us, r->started_us);
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
		(void)judge_cluster(&r->clusters[k], &r->last_identity);
}

/* --- what goes out --- */

/*
 * What is inserted and not flushed reaches no replica, and nobody may flush it for a long time: it
 * is of transactions that are open, or of no transaction. Who has all that was flushed lacks only
 * commits that are not, and for these there is a bound.
 */
static void limit_lag(struct lag *lag, const struct topo_node *p, const struct topo_cluster *c)
{
	if (c->n_samples == 0 || c->samples[0].flushed.lsn == 0 || !p->follows ||
		p->lsn < c->samples[0].flushed.lsn)
		return;
	if (!lag->known || lag->us > c->flush_delay_us)
		lag->us = c->flush_delay_us;
	lag->known = true;
}

static void fill_lag(struct topo_node *p, const struct judge_cluster *c)
{
	struct lag lag;

	if (p->role != TOPO_ROLE_REPLICA)
		return;
	lag = lag_of(&c->lag, p->lsn);
	limit_lag(&lag, p, &c->pub);
	p->lag_bytes = lag.bytes;
	p->lag_us = lag.us;
	p->lag_known = lag.known;
}

/* A node that is up and was not comes back, unless that is how we found it. */
static void note_back(struct roles *r, struct judge_node *n, uint64_t now_us)
{
	bool is_up = n->pub.health == TOPO_UP;

	if (is_up && !n->was_up && (n->known || r->carried || is_overdue(r, r->started_us, now_us)))
		n->pub.back_us = now_us;
	n->was_up = is_up;
	n->known = n->known || is_up;
}

static bool is_silent(const struct roles *r, const struct judge_node *n, uint64_t now_us)
{
	return n->pub.health == TOPO_DOWN && n->pub.answered_us != 0 && !n->spoke &&
	       is_overdue(r, n->pub.answered_us, now_us);
}

/* How many say that they are the primary; two names of one server are one. */
static uint16_t n_primaries(const struct judge_cluster *c)
{
	uint16_t n = c->pub.primary != TOPO_NONE && c->nodes[c->pub.primary].alive;

	for (uint16_t i = 0; i < c->n_members; i++)
		n = (uint16_t)(n + judge_member(c, i)->pub.fenced);
	return n;
}

enum status roles_snapshot(struct roles *r, uint64_t now_us, struct topology **out)
{
	struct topology *t;
	enum status st = topology_new(r->n_nodes, r->n_clusters, &t);

	if (st != OK)
		return st;
	t->generation = ++r->generation;
	t->published_us = now_us;
	for (uint16_t k = 0; k < r->n_clusters; k++) {
		doubles_see(&r->clusters[k].pub.doubles, n_primaries(&r->clusters[k]), now_us);
		t->clusters[k] = r->clusters[k].pub;
	}
	for (uint16_t i = 0; i < r->n_nodes; i++) {
		note_back(r, &r->nodes[i], now_us);
		r->nodes[i].pub.silent = is_silent(r, &r->nodes[i], now_us);
		t->nodes[i] = r->nodes[i].pub;
		fill_lag(&t->nodes[i], cluster_of(r, i));
	}
	*out = t;
	return OK;
}
