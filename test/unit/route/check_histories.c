/*
 * Random histories of a cluster of three nodes, its monitor and some clients, with roles, marks and
 * choose() as they are: whatever the order of events, no client reads on a replica less than it has
 * written or has read on a replica before; under `database` and `strong` no less than anybody's
 * write that was acknowledged before the read came.
 */
#include <string.h>

#include "../unit.h"
#include "route/choose.h"
#include "route/roles.h"

#define N_NODES     3u
#define N_CLIENTS   6u
#define N_STEPS     60000u
#define MAX_LAG_US  400000u
#define NUMBERS_MAX (N_STEPS + 1)

/* What a node is in truth. */
struct node {
	bool up, in_recovery;
	uint32_t timeline;
	uint64_t lsn; /* inserted or replayed */
	int64_t started;
	uint64_t paused_until_us; /* its replay */
	uint64_t conn_opened_us;  /* the worker's connection; 0: none */
	/* the monitor's query */
	enum { QUERY_NONE, QUERY_SENT, QUERY_RUN } query;
	struct roles_answer answer;
	bool answer_is_error;
};

struct client {
	struct marks marks;
	enum { OP_NONE, OP_SENT, OP_RUN } op;
	bool op_is_read;
	uint16_t op_node;
	uint32_t op_epoch;
	int64_t op_started; /* of the node, to notice that it went away */
	/* what it may not miss on a replica */
	uint64_t must_see;
	struct mark arrival;
	bool has_come;         /* the next operation is known, and when it came */
	uint64_t acknowledged; /* anybody's writes when it came */
	uint64_t wrote;        /* its write, until it is acknowledged */
};

struct history {
	struct roles *roles;
	struct topology *topo; /* what the workers see: may be older than what the monitor knows */
	struct mark_clock clock;
	struct node nodes[N_NODES];
	struct client clients[N_CLIENTS];
	uint64_t random, now_us;
	int64_t starts;
	uint32_t timeline; /* of the true primary's branch */
	bool fails_over;
	enum choose_consistency consistency;
	struct mark_board board;
	struct mark_of_all of_all[2]; /* two workers */
	uint64_t acknowledged;        /* the last write that a client was told of */
	/* commits on the true branch: when, and up to where; and when samples were sent */
	uint64_t commit_us[N_STEPS], commit_lsn[N_STEPS];
	uint64_t sent_us[NUMBERS_MAX];
	unsigned n_commits;
	/* what is counted */
	unsigned n_replica_reads, n_reads, n_stale, n_promotions;
};

static struct history h;

static uint64_t dice(uint64_t n)
{
	return (unit_random(&h.random) >> 8) % n;
}

static void node_start(struct node *n)
{
	n->up = true;
	n->started = ++h.starts;
	n->conn_opened_us = 0;
}

static void publish(void)
{
	topology_free(h.topo);
	ck_assert_int_eq(roles_snapshot(h.roles, h.now_us, &h.topo), OK);
}

static void history_begin(uint64_t seed, bool fails_over, enum choose_consistency consistency)
{
	static const uint16_t cluster_of[N_NODES];
	static const char *const labels[N_NODES] = {"a", "b", "c"};
	struct roles_conf conf = {.n_nodes = N_NODES,
		.n_clusters = 1,
		.cluster_of = cluster_of,
		.label = labels,
		.node_timeout_us = 300000,
		.lag_span_us = 4 * MAX_LAG_US,
		.now_us = 1};

	memset(&h, 0, sizeof h);
	h.random = seed;
	h.now_us = 1;
	h.timeline = 1;
	h.fails_over = fails_over;
	h.consistency = consistency;
	ck_assert_int_eq(roles_new(&conf, &h.roles), OK);
	for (unsigned i = 0; i < N_NODES; i++) {
		h.nodes[i] = (struct node){.in_recovery = i != 0, .timeline = 1, .lsn = 1000};
		node_start(&h.nodes[i]);
	}
	for (unsigned i = 0; i < N_CLIENTS; i++)
		marks_init(&h.clients[i].marks);
	publish();
}

static void history_end(void)
{
	topology_free(h.topo);
	roles_free(h.roles);
}

static struct node *true_primary(void)
{
	for (unsigned i = 0; i < N_NODES; i++)
		if (h.nodes[i].up && !h.nodes[i].in_recovery && h.nodes[i].timeline == h.timeline)
			return &h.nodes[i];
	return NULL;
}

/* --- the monitor: a query is sent, run by the node, and its answer is read, each in its time ---
 */

static void monitor_step(uint16_t i)
{
	struct node *n = &h.nodes[i];

	switch (n->query) {
	case QUERY_NONE:
		n->answer.number = mark_clock_begin(&h.clock);
		n->answer.sent_us = h.now_us;
		h.sent_us[n->answer.number] = h.now_us;
		n->query = QUERY_SENT;
		break;
	case QUERY_SENT:
		n->answer_is_error = !n->up;
		n->answer.in_recovery = n->in_recovery;
		n->answer.timeline = n->timeline;
		n->answer.lsn = n->lsn;
		n->answer.system_id = 7;
		n->answer.postmaster_start_us = n->started;
		n->query = QUERY_RUN;
		break;
	case QUERY_RUN:
		n->answer.answered_us = h.now_us;
		if (n->answer_is_error)
			roles_node_error(h.roles, i, ROLES_ERR_CONNECT, "refused");
		else
			roles_node_answer(h.roles, i, &n->answer);
		n->query = QUERY_NONE;
		break;
	}
}

static void monitor_tick(void)
{
	uint16_t about;

	while (roles_tick(h.roles, h.now_us, &about) != 0)
		;
}

/* --- clients --- */

static bool asks_for_others(void)
{
	return h.consistency == CHOOSE_DATABASE_MARKS || h.consistency == CHOOSE_STRONG;
}

static void client_choose(struct client *c, struct choose_out *out)
{
	struct marks marks;
	static const uint16_t nodes[N_NODES] = {0, 1, 2};
	struct choose_load load[N_NODES];
	struct choose_in in = {.topo = h.topo,
		.nodes = nodes,
		.load = load,
		.n_nodes = N_NODES,
		.kind = c->op_is_read ? CHOOSE_READ : CHOOSE_WRITE,
		.consistency = h.consistency,
		.marks = &c->marks,
		.max_lag_us = MAX_LAG_US,
		.now_us = h.now_us,
		.sample_grace_us = 1u << 30,
		.random = (uint32_t)(unit_random(&h.random) >> 16)};

	for (unsigned i = 0; i < N_NODES; i++) {
		struct node *n = &h.nodes[i];

		if (n->conn_opened_us == 0 && n->up)
			n->conn_opened_us = h.now_us;
		load[i] = (struct choose_load){.weight = 1, .has_free = true};
		if (n->conn_opened_us == 0 ||
			(h.topo->nodes[i].role != TOPO_ROLE_PRIMARY &&
				!topo_node_counts_for(&h.topo->nodes[i], n->conn_opened_us)))
			in.unreachable |= 1ull << i;
	}
	marks_settle(&c->marks, &h.topo->clusters[0]);
	if (h.consistency == CHOOSE_DATABASE_MARKS) {
		marks = c->marks;
		marks.write = *mark_of_all(
			&h.of_all[(c - h.clients) % 2], &h.board, &h.topo->clusters[0]);
		in.marks = &marks;
	}
	mark_settle(&c->arrival, &h.topo->clusters[0]);
	in.arrival = &c->arrival;
	in.wait_us = dice(50) != 0 ? MAX_LAG_US : 0;
	choose(&in, out);
}

/* No commit that is missing on the chosen replica is older than max_lag at the newest sample. */
static void check_lag(const struct node *n)
{
	const struct topo_cluster *c = &h.topo->clusters[0];
	uint64_t newest_us = h.sent_us[c->samples[0].number];

	for (unsigned i = h.n_commits; i-- > 0 && h.commit_lsn[i] > n->lsn;)
		ck_assert_uint_ge(h.commit_us[i] + MAX_LAG_US, newest_us);
}

static void client_begin(struct client *c)
{
	struct choose_out out;

	if (!c->has_come) {
		c->has_come = true;
		c->op_is_read = dice(4) != 0;
		c->acknowledged = h.acknowledged;
		c->arrival = mark_at(mark_clock_load(&h.clock));
	}
	client_choose(c, &out);
	if (out.node == TOPO_NONE)
		return;
	c->has_come = false;
	c->op_node = out.node;
	c->op_epoch = h.topo->nodes[out.node].epoch;
	c->op_started = h.nodes[out.node].started;
	c->op = OP_SENT;
	h.n_reads += c->op_is_read;
	if (h.topo->nodes[out.node].role == TOPO_ROLE_REPLICA && !h.fails_over)
		check_lag(&h.nodes[out.node]);
}

static void client_run(struct client *c)
{
	struct node *n = &h.nodes[c->op_node];
	bool on_replica = h.topo->nodes[c->op_node].role == TOPO_ROLE_REPLICA;

	c->op = OP_RUN;
	if (!n->up || n->started != c->op_started) {
		c->op = OP_NONE; /* the connection is gone with the node */
		return;
	}
	if (!c->op_is_read && !n->in_recovery) {
		n->lsn += 1 + dice(50);
		if (n->timeline ==
			h.timeline) { /* else it is lost: it was written to a dead branch */
			h.commit_us[h.n_commits] = h.now_us;
			h.commit_lsn[h.n_commits++] = n->lsn;
			c->must_see = c->wrote = n->lsn;
		}
	} else if (c->op_is_read && on_replica && n->in_recovery) {
		h.n_replica_reads++;
		h.n_stale +=
			n->lsn < c->must_see || (asks_for_others() && n->lsn < c->acknowledged);
		if (n->lsn > c->must_see)
			c->must_see = n->lsn;
	}
}

static void client_end(struct client *c)
{
	const struct topo_cluster *cluster = &h.topo->clusters[0];
	uint64_t number = mark_clock_load(&h.clock);

	if (!c->op_is_read) {
		marks_write(&c->marks, cluster, number);
		mark_board_write(&h.board, number);
		if (c->wrote > h.acknowledged)
			h.acknowledged = c->wrote;
		c->wrote = 0;
	} else if (c->op_node != cluster->primary) {
		marks_read(&c->marks, cluster, c->op_node, c->op_epoch, number);
	}
	c->op = OP_NONE;
}

static void client_step(struct client *c)
{
	switch (c->op) {
	case OP_NONE:
		client_begin(c);
		break;
	case OP_SENT:
		client_run(c);
		break;
	case OP_RUN:
		client_end(c);
		break;
	}
}

/* --- what happens to nodes --- */

static void replay(struct node *n)
{
	const struct node *p = true_primary();

	if (p == NULL || !n->up || !n->in_recovery || n->lsn > p->lsn ||
		h.now_us < n->paused_until_us)
		return;
	n->timeline = h.timeline;
	n->lsn += dice(p->lsn - n->lsn + 1);
}

/* Restarted, and a replica may have been cloned anew from an older backup. */
static void restart(struct node *n)
{
	if (n->in_recovery && dice(2) == 0)
		n->lsn -= dice(100);
	node_start(n);
}

/* The replica becomes primary; what it had not replayed is lost, and nobody can miss it. */
static void promote(struct node *n)
{
	uint64_t fork = n->lsn;

	if (!n->up || !n->in_recovery || n->timeline != h.timeline)
		return;
	n->in_recovery = false;
	n->timeline = ++h.timeline;
	h.n_promotions++;
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		if (h.clients[i].must_see > fork)
			h.clients[i].must_see = fork;
		if (h.clients[i].acknowledged > fork)
			h.clients[i].acknowledged = fork;
		h.clients[i].wrote = 0;
	}
	if (h.acknowledged > fork)
		h.acknowledged = fork;
	for (unsigned i = 0; i < N_NODES; i++) {
		struct node *other = &h.nodes[i];

		if (other == n || other->lsn <= fork)
			continue;
		if (other->in_recovery) { /* it is ahead of the fork: cloned anew */
			other->lsn = fork;
			node_start(other);
		}
	}
}

static void old_primary_rejoins(struct node *n)
{
	const struct node *p = true_primary();

	if (n->in_recovery || n->timeline == h.timeline || p == NULL)
		return;
	n->in_recovery = true;
	n->timeline = h.timeline;
	n->lsn = p->lsn - dice(10) < n->lsn ? p->lsn - dice(10) : n->lsn;
	node_start(n);
}

static void node_step(struct node *n)
{
	uint64_t what = dice(1000);

	if (what < 950)
		replay(n);
	else if (what < 975 && n->in_recovery)
		restart(n);
	else if (what < 980 && h.fails_over)
		n->up = !n->up ? (node_start(n), true) : (n->conn_opened_us = 0, false);
	else if (what < 982 && h.fails_over)
		promote(n);
	else if (what < 990)
		old_primary_rejoins(n);
	else if (what < 993)
		n->paused_until_us = h.now_us + dice(3 * MAX_LAG_US);
}

static void history_run(uint64_t seed, bool fails_over, enum choose_consistency consistency)
{
	history_begin(seed, fails_over, consistency);
	for (unsigned step = 0; step < N_STEPS; step++) {
		h.now_us += 1 + dice(2000);
		switch (dice(8)) {
		case 0:
		case 1:
			monitor_step((uint16_t)dice(N_NODES));
			break;
		case 2:
			publish();
			break;
		case 3:
			monitor_tick();
			node_step(&h.nodes[dice(N_NODES)]);
			break;
		default:
			client_step(&h.clients[dice(N_CLIENTS)]);
			break;
		}
	}
	history_end();
}

START_TEST(no_read_is_stale)
{
	history_run((uint64_t)_i + 1, false, CHOOSE_SESSION_MARKS);
	ck_assert_uint_eq(h.n_stale, 0);
	ck_assert_uint_gt(h.n_replica_reads, h.n_reads / 10);
}
END_TEST

START_TEST(no_read_is_stale_when_primaries_change)
{
	history_run((uint64_t)_i + 1, true, CHOOSE_SESSION_MARKS);
	ck_assert_uint_eq(h.n_stale, 0);
	ck_assert_uint_gt(h.n_replica_reads, 0);
	ck_assert_uint_gt(h.n_promotions, 0);
}
END_TEST

START_TEST(no_acknowledged_write_of_anybody_is_missed)
{
	static const enum choose_consistency modes[] = {CHOOSE_DATABASE_MARKS, CHOOSE_STRONG};

	history_run((uint64_t)_i + 1, _i >= 10, modes[_i % 2]);
	ck_assert_uint_eq(h.n_stale, 0);
	ck_assert_uint_gt(h.n_replica_reads, 20);
}
END_TEST

/* Without marks the same histories do show stale reads: the test can see them. */
START_TEST(without_marks_reads_are_stale)
{
	history_run((uint64_t)_i + 1, false, CHOOSE_EVENTUAL);
	ck_assert_uint_gt(h.n_stale, 100);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("histories");

	tcase_add_loop_test(tc, no_read_is_stale, 0, 10);
	tcase_add_loop_test(tc, no_read_is_stale_when_primaries_change, 0, 20);
	tcase_add_loop_test(tc, no_acknowledged_write_of_anybody_is_missed, 0, 20);
	tcase_add_loop_test(tc, without_marks_reads_are_stale, 0, 2);
	return unit_run("histories", tc);
}
