#include "route/choose.h"

#include <string.h>

#include "../unit.h"

#define N_NODES 3u

/* Node 0 is primary, 1 and 2 are replicas that have caught up. */
static struct topology *topo;
static struct topo_cluster *c;
static struct marks marks;
static uint16_t nodes[] = {0, 1, 2};
static struct choose_load load[N_NODES];
static struct choose_in in;
static struct choose_out out;

static void begin(void)
{
	ck_assert_int_eq(topology_new(N_NODES, 1, &topo), OK);
	c = &topo->clusters[0];
	c->identity = 1;
	c->primary = 0;
	c->ever_primary = true;
	c->timeline_max = 1;
	topo->published_us = 5000000;
	for (uint16_t i = 0; i < N_NODES; i++) {
		topo->nodes[i] =
			(struct topo_node){.role = i == 0 ? TOPO_ROLE_PRIMARY : TOPO_ROLE_REPLICA,
				.health = TOPO_UP,
				.follows = i != 0,
				.lag_known = true,
				.timeline = 1,
				.epoch = 1,
				.lsn = 1000};
		load[i] = (struct choose_load){.latency_us = 200, .has_free = true, .weight = 1};
	}
	marks_init(&marks);
	in = (struct choose_in){.topo = topo,
		.nodes = nodes,
		.load = load,
		.n_nodes = N_NODES,
		.kind = CHOOSE_READ,
		.consistency = CHOOSE_SESSION_MARKS,
		.marks = &marks,
		.max_lag_us = 1000000,
		.now_us = 5050000,
		.sample_grace_us = 100000,
		.random = 0x12345678};
}

static void end(void)
{
	topology_free(topo);
}

static void check(uint16_t node, enum choose_reason reason, enum choose_hint hint)
{
	choose(&in, &out);
	ck_assert_uint_eq(out.node, node);
	ck_assert_str_eq(
		choose_reason_name((enum choose_reason)out.reason), choose_reason_name(reason));
	ck_assert_uint_eq(out.hint, hint);
	if (node != TOPO_NONE) {
		ck_assert_uint_eq(in.nodes[out.index], node);
		if (in.route != CHOOSE_ROUTE_OFF)
			ck_assert(choose_is_fit(&in, out.index));
	} else {
		for (uint16_t i = 0; i < in.n_nodes; i++)
			ck_assert(!choose_is_fit(&in, i) || (out.waits && i == c->primary));
	}
}

static void check_replica(enum choose_reason reason)
{
	choose(&in, &out);
	ck_assert(out.node == 1 || out.node == 2);
	ck_assert_uint_eq(out.reason, reason);
}

static void samples(uint64_t number, uint64_t lsn)
{
	c->n_samples = 1;
	c->samples[0] = (struct topo_sample){.number = number, .at = {.timeline = 1, .lsn = lsn}};
	marks_settle(&marks, c);
}

START_TEST(reads_go_to_replicas_and_all_else_to_the_primary)
{
	static const struct {
		enum choose_kind kind;
		enum choose_reason reason;
	} cases[] = {
		{CHOOSE_WRITE, CHOOSE_BY_WRITE},
		{CHOOSE_UNKNOWN, CHOOSE_BY_UNKNOWN},
		{CHOOSE_NO_CATALOG, CHOOSE_BY_CATALOG},
		{CHOOSE_SESSION, CHOOSE_BY_SESSION},
		{CHOOSE_TRANSACTION, CHOOSE_BY_TRANSACTION},
		{CHOOSE_STREAMED, CHOOSE_BY_STREAMED},
	};

	check_replica(CHOOSE_BY_REPLICA_OK);
	in.kind = CHOOSE_READ_BLOCK;
	check_replica(CHOOSE_BY_REPLICA_OK);
	in.kind = CHOOSE_TXN_READ;
	check_replica(CHOOSE_BY_REPLICA_OK);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		in.kind = cases[i].kind;
		check(0, cases[i].reason, CHOOSE_HINT_NONE);
		ck_assert(!choose_is_fit(&in, 1));
	}
}
END_TEST

START_TEST(route_says_what_the_database_is_for)
{
	in.route = CHOOSE_ROUTE_PRIMARY;
	check(0, CHOOSE_BY_ROUTE_PRIMARY, CHOOSE_HINT_NONE);
	in.route = CHOOSE_ROUTE_REPLICA;
	check_replica(CHOOSE_BY_ROUTE_REPLICA);
	in.kind = CHOOSE_WRITE; /* the replica will refuse it: that is the client's answer */
	check_replica(CHOOSE_BY_ROUTE_REPLICA);
	topo->nodes[1].health = topo->nodes[2].health = TOPO_DOWN;
	check(TOPO_NONE, CHOOSE_BY_ROUTE_REPLICA, CHOOSE_HINT_NO_REPLICA);
	in.kind = CHOOSE_READ;
	check(0, CHOOSE_BY_NO_REPLICA, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(only_where_nodes_are_compared_more_than_a_connection_is_asked_of_them)
{
	static const enum choose_route routes[] = {
		CHOOSE_ROUTE_AUTO, CHOOSE_ROUTE_PRIMARY, CHOOSE_ROUTE_REPLICA, CHOOSE_ROUTE_OFF};

	for (size_t r = 0; r < sizeof routes / sizeof *routes; r++) {
		for (unsigned k = CHOOSE_READ; k <= CHOOSE_STREAMED; k++) {
			in.route = routes[r];
			in.kind = (enum choose_kind)k;
			ck_assert_int_eq(choose_compares(&in),
				in.route == CHOOSE_ROUTE_REPLICA ||
					(in.route == CHOOSE_ROUTE_AUTO && k <= CHOOSE_TXN_READ));
			if (choose_compares(&in))
				continue;
			in = (struct choose_in){.topo = topo,
				.nodes = nodes,
				.load = load,
				.n_nodes = N_NODES,
				.kind = (enum choose_kind)k,
				.route = routes[r]};
			for (uint16_t i = 0; i < N_NODES; i++)
				load[i] = (struct choose_load){.is_ejected = true, .held_256 = 255};
			choose(&in, &out);
			ck_assert_uint_eq(out.node, 0);
			ck_assert(choose_is_fit(&in, 0));
			ck_assert_int_eq(choose_is_fit(&in, 1), in.route == CHOOSE_ROUTE_OFF);
		}
	}
}
END_TEST

START_TEST(with_routing_off_nodes_take_turns)
{
	in.route = CHOOSE_ROUTE_OFF;
	in.topo = NULL;
	in.kind = CHOOSE_WRITE;
	for (uint32_t i = 0; i < 9; i++) {
		in.random = i;
		check((uint16_t)(i % 3), CHOOSE_BY_ROUND_ROBIN, CHOOSE_HINT_NONE);
	}
	in.unreachable |= 1u << 1;
	in.random = 1;
	check(2, CHOOSE_BY_ROUND_ROBIN, CHOOSE_HINT_NONE);
	ck_assert(!choose_is_fit(&in, 1));
	in.unreachable |= 1u << 0 | 1u << 2;
	check(TOPO_NONE, CHOOSE_BY_ROUND_ROBIN, CHOOSE_HINT_CONNECT);
	in.n_nodes = 1;
	in.unreachable &= ~(1ull << 0);
	check(0, CHOOSE_BY_ONLY_NODE, CHOOSE_HINT_NONE);
}
END_TEST

/* A strong read that came when 5 samples had been begun. */
static struct mark arrival;

static void strong(bool may_wait)
{
	in.consistency = CHOOSE_STRONG;
	arrival = mark_at(5);
	in.arrival = &arrival;
	in.wait_us = may_wait ? 50000 : 0;
}

START_TEST(a_strong_read_waits_for_the_next_sample_and_for_a_replica_that_has_it)
{
	strong(true);
	samples(5, 1000); /* begun before it came */
	mark_settle(&arrival, c);
	check(TOPO_NONE, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_MARKS);
	ck_assert(out.waits && out.wants_sample);
	samples(6, 1001);
	mark_settle(&arrival, c);
	check(TOPO_NONE, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_MARKS);
	ck_assert(out.waits && !out.wants_sample);
	topo->nodes[2].lsn = 1001;
	check(2, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
	ck_assert(!out.waits);
}
END_TEST

START_TEST(a_strong_read_that_has_waited_goes_to_the_primary)
{
	strong(false);
	check(0, CHOOSE_BY_STRONG, CHOOSE_HINT_NONE);
	samples(6, 1001);
	mark_settle(&arrival, c);
	check(0, CHOOSE_BY_STRONG, CHOOSE_HINT_NONE);
	ck_assert(!out.waits);
}
END_TEST

/* A reload has brought nodes that the monitor has not published yet. */
START_TEST(nodes_and_clusters_that_are_not_known_yet_are_not_used)
{
	static const uint16_t newer[] = {0, 1, N_NODES, N_NODES + 7};

	in.nodes = newer;
	in.n_nodes = N_NODES;
	for (uint32_t i = 0; i < 64; i++) {
		in.random = i * 0x9e3779b9u;
		check(1, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
	}
	ck_assert_str_eq(choose_unfit_text(&in, 2), "it is not a usable replica");
	ck_assert(!choose_is_fit(&in, 2));
	in.cluster = 1;
	in.kind = CHOOSE_WRITE;
	check(TOPO_NONE, CHOOSE_BY_WRITE, CHOOSE_HINT_NEVER_PRIMARY);
}
END_TEST

START_TEST(a_strong_read_does_not_wait_in_vain)
{
	strong(true);
	topo->nodes[1].health = TOPO_DOWN;
	topo->nodes[2].follows = false;
	check(0, CHOOSE_BY_NO_REPLICA, CHOOSE_HINT_NONE);
	ck_assert(!out.waits);
	in.kind = CHOOSE_WRITE;
	check(0, CHOOSE_BY_WRITE, CHOOSE_HINT_NONE);
	ck_assert(!out.waits);
	in.kind = CHOOSE_READ;
	topo->nodes[2].follows = true;
	topo->nodes[2].lag_us = 150001; /* strong_wait and the interval of samples are less */
	check(0, CHOOSE_BY_STRONG, CHOOSE_HINT_NONE);
	topo->nodes[2].lag_us = 150000;
	choose(&in, &out);
	ck_assert(out.waits);
}
END_TEST

/* What a client has read on a replica does not bind a strong read: its arrival is later. */
START_TEST(a_strong_read_is_not_bound_to_a_replica)
{
	marks_read(&marks, c, 2, 1, 5);
	strong(true);
	samples(6, 1001);
	mark_settle(&arrival, c);
	topo->nodes[1].lsn = 1001;
	check(1, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(a_floor_keeps_reads_from_replicas_below_it)
{
	in.floor = (struct wal_point){.timeline = 1, .lsn = 1001};
	check(0, CHOOSE_BY_MARK_BEHIND, CHOOSE_HINT_NONE);
	in.consistency = CHOOSE_EVENTUAL;
	check(0, CHOOSE_BY_MARK_BEHIND, CHOOSE_HINT_NONE);
	in.floor.timeline = 2;
	topo->nodes[1].lsn = 5000; /* of a history that the floor is not of */
	check(0, CHOOSE_BY_MARK_BEHIND, CHOOSE_HINT_NONE);
	topo->nodes[1].timeline = 2;
	check(1, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
	in.floor = (struct wal_point){.timeline = 0, .lsn = 1000};
	check_replica(CHOOSE_BY_REPLICA_OK);
}
END_TEST

START_TEST(why_a_replica_is_not_fit_can_be_told)
{
	ck_assert_str_eq(choose_unfit_text(&in, 1), "");
	ck_assert_str_eq(choose_unfit_text(&in, 0), "it is not a usable replica");
	marks_write(&marks, c, 5);
	ck_assert_str_eq(choose_unfit_text(&in, 1), "no sample covers yet what must be seen");
	samples(6, 1001);
	ck_assert_str_eq(choose_unfit_text(&in, 1), "it has not replayed what must be seen");
	topo->nodes[1].lag_us = 2000000;
	ck_assert_str_eq(choose_unfit_text(&in, 1), "it is beyond max_lag");
	topo->nodes[1].lag_known = false;
	ck_assert_str_eq(choose_unfit_text(&in, 1), "its lag is not known");
	in.unreachable |= 1u << 1;
	ck_assert_str_eq(choose_unfit_text(&in, 1), "it cannot be connected to");
}
END_TEST

/* Only replica 1 is good; each case spoils it. */
START_TEST(what_is_for_the_primary_is_for_no_replica)
{
	in.kind = CHOOSE_WRITE;
	ck_assert_str_eq(choose_unfit_text(&in, 1), "this is for the primary");
	in.kind = CHOOSE_READ;
	ck_assert_str_eq(choose_unfit_text(&in, 1), "");
	in.route = CHOOSE_ROUTE_PRIMARY;
	ck_assert_str_eq(choose_unfit_text(&in, 1), "this is for the primary");
}
END_TEST

START_TEST(what_makes_a_replica_unfit)
{
	topo->nodes[2].health = TOPO_DOWN;
	check(1, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
	topo->nodes[1].health = TOPO_REFUSED;
	check(0, CHOOSE_BY_NO_REPLICA, CHOOSE_HINT_NONE);
	topo->nodes[1].health = TOPO_UP;
	topo->nodes[1].follows = false;
	check(0, CHOOSE_BY_NO_REPLICA, CHOOSE_HINT_NONE);
	topo->nodes[1].follows = true;
	in.unreachable |= 1u << 1;
	check(0, CHOOSE_BY_NO_REPLICA, CHOOSE_HINT_NONE);
	in.unreachable &= ~(1ull << 1);
	topo->nodes[1].lag_us = 1000001;
	check(0, CHOOSE_BY_LAG, CHOOSE_HINT_NONE);
	topo->nodes[1].lag_us = 1000000;
	check(1, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
	topo->nodes[1].lag_known = false;
	check(0, CHOOSE_BY_LAG, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(an_old_snapshot_counts_as_lag)
{
	in.now_us = topo->published_us + 1100000;
	check_replica(CHOOSE_BY_REPLICA_OK);
	in.now_us++;
	check(0, CHOOSE_BY_LAG, CHOOSE_HINT_NONE);
	in.now_us = topo->published_us + 600000;
	topo->nodes[1].lag_us = topo->nodes[2].lag_us = 500001;
	check(0, CHOOSE_BY_LAG, CHOOSE_HINT_NONE);
	topo->nodes[2].lag_us = 500000;
	check(2, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
	in.now_us = 0; /* the worker's clock is read once a turn: it may be behind */
	check_replica(CHOOSE_BY_REPLICA_OK);
}
END_TEST

START_TEST(own_writes_are_read_on_the_primary_until_a_replica_has_them)
{
	marks_write(&marks, c, 5);
	check(0, CHOOSE_BY_MARK_OPEN, CHOOSE_HINT_NONE);
	ck_assert(out.wants_sample);
	samples(6, 1500);
	check(0, CHOOSE_BY_MARK_BEHIND, CHOOSE_HINT_NONE);
	ck_assert(!out.wants_sample);
	topo->nodes[2].lsn = 1500;
	check(2, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
	topo->nodes[2].lsn = 1000;
	in.consistency = CHOOSE_EVENTUAL;
	check_replica(CHOOSE_BY_REPLICA_OK);
}
END_TEST

START_TEST(a_reader_stays_on_its_replica_until_another_is_as_far)
{
	marks_read(&marks, c, 2, 1, 5);
	for (unsigned i = 0; i < 100; i++) {
		in.random = i * 0x9e3779b9u;
		check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
	}
	samples(6, 1000);
	check_replica(CHOOSE_BY_REPLICA_OK);
	samples(6, 1001);
	marks_read(&marks, c, 2, 1, 5);
	samples(6, 1001);
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
	topo->nodes[2].health = TOPO_DOWN;
	check(0, CHOOSE_BY_MARK_BEHIND, CHOOSE_HINT_NONE);
	topo->nodes[1].lsn = 1001;
	check(1, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(a_reader_leaves_a_replica_that_has_stopped)
{
	marks_read(&marks, c, 2, 1, 5);
	load[2].outstanding = 2;
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
	load[2].outstanding = 4;
	check(0, CHOOSE_BY_MARK_OPEN, CHOOSE_HINT_NONE);
	ck_assert(out.wants_sample);
	load[0].outstanding = 4; /* the primary is no better */
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
	load[0].outstanding = 0;
	load[1].outstanding = 4; /* nor is the other replica: nothing would be won for long */
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
	load[1].outstanding = 0;
	in.unreachable |= 1u << 0;
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
	in.unreachable &= ~(1ull << 0);
	load[0].latency_us = 0; /* it has had nothing to do */
	check(0, CHOOSE_BY_MARK_OPEN, CHOOSE_HINT_NONE);
	load[1].latency_us = 0; /* but where the client is to go from there has to be known */
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
	load[1].latency_us = load[2].latency_us;
	in.route = CHOOSE_ROUTE_REPLICA; /* keeps the primary free */
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(without_a_primary_reads_go_on_and_writes_wait)
{
	c->primary = TOPO_NONE;
	check_replica(CHOOSE_BY_REPLICA_OK);
	in.kind = CHOOSE_WRITE;
	check(TOPO_NONE, CHOOSE_BY_WRITE, CHOOSE_HINT_NO_PRIMARY);
	c->ever_primary = false;
	check(TOPO_NONE, CHOOSE_BY_WRITE, CHOOSE_HINT_NEVER_PRIMARY);
	c->monitor_refused = true;
	check(TOPO_NONE, CHOOSE_BY_WRITE, CHOOSE_HINT_MONITOR_REFUSED);
}
END_TEST

START_TEST(a_hint_names_what_keeps_a_unit_waiting)
{
	in.kind = CHOOSE_WRITE;
	in.unreachable |= 1u << 0;
	check(TOPO_NONE, CHOOSE_BY_WRITE, CHOOSE_HINT_CONNECT);
	in.unreachable &= ~(1ull << 0);
	in.nodes = nodes + 1;
	in.load = load + 1;
	in.n_nodes = 2;
	check(TOPO_NONE, CHOOSE_BY_WRITE, CHOOSE_HINT_PRIMARY_NOT_LISTED);
	in.kind = CHOOSE_READ;
	topo->nodes[1].lag_us = topo->nodes[2].lag_us = UINT64_MAX;
	check(TOPO_NONE, CHOOSE_BY_LAG, CHOOSE_HINT_MAX_LAG);
	topo->nodes[1].lag_us = 0;
	marks_write(&marks, c, 5);
	check(TOPO_NONE, CHOOSE_BY_MARK_OPEN, CHOOSE_HINT_MARKS);
	ck_assert(out.wants_sample);
	in.route = CHOOSE_ROUTE_REPLICA;
	in.kind = CHOOSE_WRITE;
	check(TOPO_NONE, CHOOSE_BY_ROUTE_REPLICA, CHOOSE_HINT_MARKS);
	in.unreachable = 1u << 0 | 1u << 1; /* of the two that are left */
	check(TOPO_NONE, CHOOSE_BY_ROUTE_REPLICA, CHOOSE_HINT_CONNECT);
	for (unsigned h = CHOOSE_HINT_NO_PRIMARY; h <= CHOOSE_HINT_NEVER_MARKS; h++)
		ck_assert_uint_gt(strlen(choose_hint_text((enum choose_hint)h)), 20);
	ck_assert_str_eq(choose_hint_text(CHOOSE_HINT_NONE), "");
}
END_TEST

START_TEST(every_reason_has_a_word_of_its_own)
{
	for (unsigned r = 0; r < CHOOSE_REASON_COUNT; r++) {
		ck_assert_ptr_nonnull(choose_reason_name((enum choose_reason)r));
		for (unsigned k = 0; k < r; k++)
			ck_assert_str_ne(choose_reason_name((enum choose_reason)r),
				choose_reason_name((enum choose_reason)k));
	}
}
END_TEST

/* --- balance --- */

/* Of 100000 choices, how many go to each node. */
static void count_choices(unsigned n[N_NODES])
{
	uint64_t random = 37;

	memset(n, 0, N_NODES * sizeof *n);
	for (unsigned i = 0; i < 100000; i++) {
		in.random = (uint32_t)(unit_random(&random) >> 16);
		choose(&in, &out);
		n[out.node]++;
	}
}

START_TEST(idle_replicas_share_by_weight)
{
	unsigned n[N_NODES];

	count_choices(n);
	ck_assert_uint_eq(n[0], 0);
	ck_assert_int_le(abs((int)n[1] - 50000), 1000);
	load[1].weight = 3;
	count_choices(n);
	ck_assert_int_le(abs((int)n[1] - 75000), 1000);
	load[1].weight = 100;
	load[2].weight = 1;
	count_choices(n);
	ck_assert_int_le(abs((int)n[1] - 99010), 300);
	load[2].latency_us = 250; /* so little says nothing */
	count_choices(n);
	ck_assert_int_le(abs((int)n[1] - 99010), 300);
}
END_TEST

START_TEST(the_one_with_less_to_do_is_preferred)
{
	unsigned n[N_NODES];

	load[1].outstanding = 1;
	count_choices(n);
	ck_assert_uint_eq(n[1], 0); /* nothing is won by trying it: it has an answer to give */
	load[1].outstanding = 0;
	load[1].latency_us = 2000;
	count_choices(n);
	ck_assert_uint_gt(n[1], 1000); /* tried now and then */
	ck_assert_uint_lt(n[1], 3000);
	load[1].latency_us = 200;
	load[1].has_free = false;
	load[2].outstanding = 3;
	count_choices(n);
	ck_assert_uint_eq(n[1], 0); /* it would wait */
	load[2].has_free = false;
	count_choices(n);
	ck_assert_uint_gt(n[1], 90000);
}
END_TEST

START_TEST(loaded_replicas_bear_their_share)
{
	unsigned n[N_NODES];

	load[1].weight = 3;
	load[1].outstanding = 30;
	load[2].outstanding = 10;
	count_choices(n);
	ck_assert_int_le(abs((int)n[1] - 75000), 1000); /* in balance */
	load[1].outstanding = 60;
	count_choices(n);
	ck_assert_uint_eq(n[1], 0);
	load[1].outstanding = 10;
	count_choices(n);
	ck_assert_uint_eq(n[2], 0);
	load[1].outstanding = UINT32_MAX; /* no overflow */
	load[1].latency_us = UINT32_MAX;
	count_choices(n);
	ck_assert_uint_eq(n[1], 0);
}
END_TEST

START_TEST(the_primary_takes_its_share_only_if_asked_to)
{
	unsigned n[N_NODES];

	in.primary_reads = CHOOSE_PRIMARY_SHARE;
	count_choices(n);
	for (unsigned i = 0; i < N_NODES; i++)
		ck_assert_int_le(abs((int)n[i] - 33333), 1000);
	marks_read(&marks, c, 2, 1, 5); /* bound to one of them: it stands for both */
	count_choices(n);
	ck_assert_uint_eq(n[1], 0);
	ck_assert_int_le(abs((int)n[0] - 33333), 1000);
	marks_init(&marks);
	load[1].weight = load[2].weight = 5;
	count_choices(n);
	ck_assert_int_le(abs((int)n[0] - 9091), 600);
	load[0].outstanding = 10; /* writes */
	count_choices(n);
	ck_assert_uint_eq(n[0], 0);
	load[1].outstanding = load[2].outstanding = 100;
	load[0].outstanding = 0;
	count_choices(n);
	ck_assert_int_le(abs((int)n[0] - 9091), 600); /* never more than its share */
	topo->nodes[1].health = topo->nodes[2].health = TOPO_DOWN;
	check(0, CHOOSE_BY_NO_REPLICA, CHOOSE_HINT_NONE);
	topo->nodes[1].health = TOPO_UP;
	in.kind = CHOOSE_WRITE;
	check(0, CHOOSE_BY_WRITE, CHOOSE_HINT_NONE);
	in.kind = CHOOSE_READ;
	in.route = CHOOSE_ROUTE_REPLICA;
	check(1, CHOOSE_BY_ROUTE_REPLICA, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(a_strong_read_waits_though_the_primary_shares)
{
	in.primary_reads = CHOOSE_PRIMARY_SHARE;
	strong(true);
	check(TOPO_NONE, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_MARKS);
	ck_assert(out.waits);
	in.consistency = CHOOSE_SESSION_MARKS;
	marks_write(&marks, c, 5);
	check(0, CHOOSE_BY_MARK_OPEN, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(reads_wait_for_a_replica_if_the_primary_takes_none)
{
	in.primary_reads = CHOOSE_PRIMARY_NEVER;
	check_replica(CHOOSE_BY_REPLICA_OK);
	ck_assert(!choose_is_fit(&in, 0));
	marks_write(&marks, c, 5);
	check(TOPO_NONE, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NEVER_MARKS);
	ck_assert(out.wants_sample);
	samples(6, 1000);
	check_replica(CHOOSE_BY_REPLICA_OK);
	topo->nodes[1].lag_us = topo->nodes[2].lag_us = 2000000;
	check(TOPO_NONE, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_MAX_LAG);
	topo->nodes[1].health = topo->nodes[2].health = TOPO_DOWN;
	check(TOPO_NONE, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NEVER);
	in.kind = CHOOSE_READ_BLOCK;
	check(TOPO_NONE, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NEVER);
	in.kind = CHOOSE_UNKNOWN; /* what a replica has refused */
	check(0, CHOOSE_BY_UNKNOWN, CHOOSE_HINT_NONE);
	in.kind = CHOOSE_READ;
	in.route = CHOOSE_ROUTE_PRIMARY; /* the client has asked for it */
	check(0, CHOOSE_BY_ROUTE_PRIMARY, CHOOSE_HINT_NONE);
	in.route = CHOOSE_ROUTE_REPLICA;
	check(TOPO_NONE, CHOOSE_BY_ROUTE_REPLICA, CHOOSE_HINT_NO_REPLICA);
}
END_TEST

START_TEST(a_reader_does_not_leave_for_a_primary_that_takes_no_reads)
{
	marks_read(&marks, c, 2, 1, 5);
	load[2].outstanding = 4;
	check(0, CHOOSE_BY_MARK_OPEN, CHOOSE_HINT_NONE);
	in.primary_reads = CHOOSE_PRIMARY_NEVER;
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(who_asks_for_a_replica_gets_it_where_one_is_fit)
{
	unsigned n[N_NODES];

	ck_assert(choose_is_fit(&in, 0)); /* all the same: what waits may run on the primary */
	in.asks_replica = true;
	ck_assert(!choose_is_fit(&in, 0));
	ck_assert(choose_is_fit(&in, 1));
	in.primary_reads = CHOOSE_PRIMARY_SHARE;
	count_choices(n);
	ck_assert_uint_eq(n[0], 0);
	in.primary_reads = CHOOSE_PRIMARY_FALLBACK;
	marks_read(&marks, c, 2, 1, 5);
	load[2].outstanding = 4; /* slow as it may be */
	check(2, CHOOSE_BY_REPLICA_STAYS, CHOOSE_HINT_NONE);
	marks_init(&marks);
	in.uneven = true;
	load[1].is_ejected = true;
	topo->nodes[2].lag_us = 2000000;
	check(1, CHOOSE_BY_EJECTED, CHOOSE_HINT_NONE);
	topo->nodes[1].lag_us = 2000000; /* none: the primary answers */
	check(0, CHOOSE_BY_LAG, CHOOSE_HINT_NONE);
	in.kind = CHOOSE_WRITE;
	check(0, CHOOSE_BY_WRITE, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(reads_stay_in_the_zone_while_they_can)
{
	unsigned n[N_NODES];

	in.uneven = true;
	load[2].is_far = true;
	load[0].is_far = true;
	load[1].outstanding = 100; /* far away is not better for that */
	count_choices(n);
	ck_assert_uint_eq(n[1], 100000);
	load[1].has_free = false;
	check(2, CHOOSE_BY_OTHER_ZONE, CHOOSE_HINT_NONE);
	load[2].has_free = false; /* a line for a line: the own zone's */
	check(1, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
	load[1].has_free = load[2].has_free = true;
	topo->nodes[1].lag_us = 2000000;
	check(2, CHOOSE_BY_OTHER_ZONE, CHOOSE_HINT_NONE);
	topo->nodes[1].lag_us = 0;
	topo->nodes[1].health = TOPO_DOWN;
	check(2, CHOOSE_BY_OTHER_ZONE, CHOOSE_HINT_NONE);
	topo->nodes[2].health = TOPO_DOWN;
	check(0, CHOOSE_BY_NO_REPLICA, CHOOSE_HINT_NONE);
	topo->nodes[1].health = topo->nodes[2].health = TOPO_UP;
	in.primary_reads = CHOOSE_PRIMARY_SHARE; /* from the own zone only */
	count_choices(n);
	ck_assert_uint_eq(n[1], 100000);
	load[0].is_far = false;
	load[1].outstanding = 0;
	count_choices(n);
	ck_assert_int_le(abs((int)n[0] - 50000), 1000);
	ck_assert_uint_eq(n[2], 0);
}
END_TEST

START_TEST(a_node_that_is_back_gets_its_share_by_and_by)
{
	unsigned n[N_NODES];

	ck_assert_uint_eq(choose_held_256(0, 0), 0);
	ck_assert_uint_eq(choose_held_256(30, 30), 0);
	ck_assert_uint_eq(choose_held_256(0, 30), 230);
	ck_assert_uint_eq(choose_held_256(15, 30), 128);
	ck_assert_uint_eq(choose_held_256(UINT64_MAX / 2, UINT64_MAX), 128);
	in.uneven = true;
	load[2].latency_us = 0; /* not measured: it is not flooded for that */
	load[2].held_256 = choose_held_256(0, 30);
	count_choices(n);
	ck_assert_int_le(abs((int)n[2] - 5078), 400); /* a tenth of a half */
	load[2].held_256 = choose_held_256(15, 30);
	count_choices(n);
	ck_assert_int_le(abs((int)n[2] - 25000), 800);
	load[1].held_256 = load[2].held_256 = 230; /* both: somebody has to do it */
	count_choices(n);
	ck_assert_int_le(abs((int)n[2] - 50000), 1000);
	ck_assert_uint_eq(n[0], 0);
	topo->nodes[1].health = TOPO_DOWN;
	check(2, CHOOSE_BY_REPLICA_OK, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(an_ejected_node_is_the_last_resort)
{
	unsigned n[N_NODES];

	in.uneven = true;
	load[1].is_ejected = true;
	count_choices(n);
	ck_assert_uint_eq(n[2], 100000);
	ck_assert_str_eq(choose_unfit_text(&in, 1), "it is ejected as an outlier");
	topo->nodes[2].lag_us = 2000000; /* it will be back at once: the primary helps out */
	check(0, CHOOSE_BY_LAG, CHOOSE_HINT_NONE);
	in.primary_reads = CHOOSE_PRIMARY_NEVER;
	check(1, CHOOSE_BY_EJECTED, CHOOSE_HINT_NONE);
	in.primary_reads = CHOOSE_PRIMARY_FALLBACK;
	topo->nodes[2].health = TOPO_DOWN; /* never all out */
	check(1, CHOOSE_BY_EJECTED, CHOOSE_HINT_NONE);
	topo->nodes[2].health = TOPO_UP;
	topo->nodes[2].lag_us = 0;
	load[2].is_far = true; /* rather far away than ejected */
	check(2, CHOOSE_BY_OTHER_ZONE, CHOOSE_HINT_NONE);
	load[2].is_ejected = true;
	check(1, CHOOSE_BY_EJECTED, CHOOSE_HINT_NONE);
}
END_TEST

START_TEST(many_replicas_are_all_used)
{
	enum { N = CHOOSE_NODES_MAX };
	static uint16_t ids[N];
	static struct choose_load loads[N];
	unsigned n[N] = {0};
	uint64_t random = 41;
	struct topology *big;

	ck_assert_int_eq(topology_new(N, 1, &big), OK);
	big->published_us = topo->published_us;
	for (uint16_t i = 0; i < N; i++) {
		ids[i] = i;
		loads[i] = load[1];
		big->nodes[i] = topo->nodes[1];
	}
	in.topo = big;
	in.nodes = ids;
	in.load = loads;
	in.n_nodes = N;
	for (unsigned i = 0; i < 64000; i++) {
		in.random = (uint32_t)(unit_random(&random) >> 16);
		choose(&in, &out);
		ck_assert_uint_lt(out.node, N);
		n[out.node]++;
	}
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_gt(n[i], 850);
		ck_assert_uint_lt(n[i], 1150);
	}
	topology_free(big);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("choose");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, reads_go_to_replicas_and_all_else_to_the_primary);
	tcase_add_test(tc, nodes_and_clusters_that_are_not_known_yet_are_not_used);
	tcase_add_test(tc, route_says_what_the_database_is_for);
	tcase_add_test(tc, only_where_nodes_are_compared_more_than_a_connection_is_asked_of_them);
	tcase_add_test(tc, with_routing_off_nodes_take_turns);
	tcase_add_test(tc, a_strong_read_waits_for_the_next_sample_and_for_a_replica_that_has_it);
	tcase_add_test(tc, a_strong_read_that_has_waited_goes_to_the_primary);
	tcase_add_test(tc, a_strong_read_does_not_wait_in_vain);
	tcase_add_test(tc, a_strong_read_is_not_bound_to_a_replica);
	tcase_add_test(tc, a_floor_keeps_reads_from_replicas_below_it);
	tcase_add_test(tc, why_a_replica_is_not_fit_can_be_told);
	tcase_add_test(tc, what_is_for_the_primary_is_for_no_replica);
	tcase_add_test(tc, what_makes_a_replica_unfit);
	tcase_add_test(tc, an_old_snapshot_counts_as_lag);
	tcase_add_test(tc, own_writes_are_read_on_the_primary_until_a_replica_has_them);
	tcase_add_test(tc, a_reader_stays_on_its_replica_until_another_is_as_far);
	tcase_add_test(tc, a_reader_leaves_a_replica_that_has_stopped);
	tcase_add_test(tc, without_a_primary_reads_go_on_and_writes_wait);
	tcase_add_test(tc, a_hint_names_what_keeps_a_unit_waiting);
	tcase_add_test(tc, every_reason_has_a_word_of_its_own);
	tcase_add_test(tc, idle_replicas_share_by_weight);
	tcase_add_test(tc, the_one_with_less_to_do_is_preferred);
	tcase_add_test(tc, loaded_replicas_bear_their_share);
	tcase_add_test(tc, the_primary_takes_its_share_only_if_asked_to);
	tcase_add_test(tc, a_strong_read_waits_though_the_primary_shares);
	tcase_add_test(tc, reads_wait_for_a_replica_if_the_primary_takes_none);
	tcase_add_test(tc, a_reader_does_not_leave_for_a_primary_that_takes_no_reads);
	tcase_add_test(tc, who_asks_for_a_replica_gets_it_where_one_is_fit);
	tcase_add_test(tc, reads_stay_in_the_zone_while_they_can);
	tcase_add_test(tc, a_node_that_is_back_gets_its_share_by_and_by);
	tcase_add_test(tc, an_ejected_node_is_the_last_resort);
	tcase_add_test(tc, many_replicas_are_all_used);
	return unit_run("choose", tc);
}
