#include "route/roles.h"

#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

#define TIMEOUT_US 3000000u
#define SYSTEM     77u

/* Nodes 0, 1, 2 are one cluster, node 3 another. */
static const uint16_t cluster_ids[] = {0, 0, 0, 1};
static const char *const labels[] = {"a:5432", "b:5432", "c:5432", "d:5432"};
static struct roles *r;
static struct topology *topo;
static uint64_t now_us, number;

static struct roles_conf conf(void)
{
	return (struct roles_conf){.n_nodes = 4,
		.n_clusters = 2,
		.cluster_of = cluster_ids,
		.label = labels,
		.node_timeout_us = TIMEOUT_US,
		.lag_span_us = 4000000,
		.now_us = now_us};
}

static void begin(void)
{
	struct roles_conf c;

	now_us = 1000000;
	number = 0;
	topo = NULL;
	c = conf();
	ck_assert_int_eq(roles_new(&c, &r), OK);
}

static void end(void)
{
	topology_free(topo);
	roles_free(r);
}

static const struct topology *snapshot(void)
{
	topology_free(topo);
	ck_assert_int_eq(roles_snapshot(r, now_us, &topo), OK);
	return topo;
}

static const struct topo_node *node(uint16_t id)
{
	return topology_node(snapshot(), id);
}

static const struct topo_cluster *cluster(void)
{
	return topology_cluster(snapshot(), 0);
}

static struct roles_answer answer_of(uint16_t id, bool in_recovery, uint32_t timeline, uint64_t lsn)
{
	now_us += 1000;
	return (struct roles_answer){.number = ++number,
		.sent_us = now_us - 500,
		.answered_us = now_us,
		.in_recovery = in_recovery,
		.timeline = timeline,
		.lsn = lsn,
		.system_id = SYSTEM,
		.postmaster_start_us = 1000 + id,
		.server_version_num = 150000,
		.wal = {.segment_size = 16u << 20, .block_size = 8192}};
}

static unsigned primary(uint16_t id, uint32_t timeline, uint64_t lsn)
{
	struct roles_answer a = answer_of(id, false, timeline, lsn);

	return roles_node_answer(r, id, &a);
}

static unsigned replica(uint16_t id, uint32_t timeline, uint64_t lsn)
{
	struct roles_answer a = answer_of(id, true, timeline, lsn);

	return roles_node_answer(r, id, &a);
}

static unsigned cut(uint16_t id)
{
	return roles_node_error(r, id, ROLES_ERR_CONNECT, "connection refused");
}

/* A healthy cluster: 0 is primary. */
static void start(void)
{
	replica(1, 1, 900);
	replica(2, 1, 900);
	primary(0, 1, 1000);
	ck_assert_uint_eq(cluster()->primary, 0);
}

START_TEST(who_is_named_not_the_leader_is_no_primary)
{
	start();
	ck_assert_uint_eq(roles_node_leader(r, 0, TOPO_LEADER_YES), 0);
	ck_assert_uint_eq(roles_node_leader(r, 1, TOPO_LEADER_NO), 0);
	ck_assert_uint_eq(cluster()->primary, 0);
	ck_assert_uint_eq(roles_node_leader(r, 0, TOPO_LEADER_NO), ROLES_PRIMARY | ROLES_NODE_ROLE);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert(node(0)->fenced);
	ck_assert_str_eq(node(0)->text, "Patroni does not name it the leader");
	ck_assert(node(1)->follows); /* reads go on */
	primary(0, 1, 1100);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert_uint_eq(
		roles_node_leader(r, 0, TOPO_LEADER_UNKNOWN), ROLES_PRIMARY | ROLES_NODE_ROLE);
	ck_assert_uint_eq(cluster()->primary, 0);
}
END_TEST

START_TEST(node_is_silent_when_it_has_not_even_said_an_error_for_node_timeout)
{
	uint16_t about;

	start();
	ck_assert(!node(1)->silent);
	cut(1);
	ck_assert(!node(1)->silent); /* its connections will tell */
	now_us += TIMEOUT_US;
	while (roles_tick(r, now_us, &about) != 0)
		;
	ck_assert(node(1)->silent && node(2)->silent);
	(void)!roles_node_error(r, 1, ROLES_ERR_QUERY, "too many connections");
	ck_assert(!node(1)->silent);
	(void)!roles_node_error(r, 1, ROLES_ERR_TIMEOUT, "no answer");
	ck_assert(node(1)->silent);
	replica(1, 1, 900);
	ck_assert(!node(1)->silent);
}
END_TEST

START_TEST(time_with_more_than_one_primary_is_counted)
{
	struct doubles d;

	start();
	d = cluster()->doubles;
	ck_assert_uint_eq(d.n_primaries, 1);
	ck_assert_uint_eq(d.n + d.promotions, 0);
	now_us += 400000;
	primary(1, 2, 1000); /* it was a replica at its last answer, 402 ms ago */
	d = cluster()->doubles;
	ck_assert_uint_eq(d.n_primaries, 2);
	ck_assert_uint_eq(d.n, 1);
	ck_assert_uint_eq(d.promotions, 1);
	ck_assert_uint_eq(d.unseen_us, 403000);
	now_us += 700000;
	ck_assert_uint_eq(doubles_us(&cluster()->doubles, now_us), 700000);
	cut(0);
	d = cluster()->doubles;
	ck_assert_uint_eq(d.n_primaries, 1);
	ck_assert_uint_eq(doubles_us(&d, now_us + 5), 700000);
	primary(0, 1, 1100); /* back again as it was */
	ck_assert_uint_eq(cluster()->doubles.n_primaries, 2);
	now_us += 300000;
	replica(0, 2, 1100);
	d = cluster()->doubles;
	ck_assert_uint_eq(d.n, 2);
	ck_assert_uint_eq(d.promotions, 1);
}
END_TEST

static unsigned blind(uint16_t id, bool in_recovery, uint64_t system_id)
{
	struct roles_answer a = answer_of(id, in_recovery, 0, 0);

	a.blind = true;
	a.system_id = system_id;
	return roles_node_answer(r, id, &a);
}

START_TEST(blind_replica_is_up_but_follows_nobody)
{
	start();
	blind(1, true, 0);
	ck_assert_int_eq(node(1)->health, TOPO_UP);
	ck_assert(node(1)->blind && !node(1)->follows);
	ck_assert(!node(2)->blind && node(2)->follows);
	replica(1, 1, 1000);
	ck_assert(!node(1)->blind && node(1)->follows);
}
END_TEST

START_TEST(blind_primary_is_taken_if_no_other_proves_to_be_one)
{
	blind(0, false, 0);
	replica(1, 1, 900);
	blind(2, true, SYSTEM);
	ck_assert_uint_eq(cluster()->primary, 0);
	ck_assert(cluster()->blind);
	ck_assert_uint_eq(cluster()->n_samples, 0);
	ck_assert(node(1)->blind && !node(1)->follows); /* how far behind it is nobody knows */
	ck_assert(topo_cluster_accepts_primary(cluster(), 0, 0, false));
	ck_assert(!topo_cluster_accepts_primary(cluster(), 0, 0, true));
	ck_assert(!topo_cluster_accepts_primary(cluster(), 1, 0, false));
	primary(1, 2, 1000); /* it tells its timeline */
	ck_assert_uint_eq(cluster()->primary, 1);
	ck_assert(node(0)->fenced);
	ck_assert(!cluster()->blind);
	ck_assert(!topo_cluster_accepts_primary(cluster(), 1, 0, false));
}
END_TEST

START_TEST(of_blind_primaries_the_present_one_stays)
{
	blind(0, false, 0);
	blind(1, true, 0);
	blind(2, true, 0);
	ck_assert_uint_eq(cluster()->primary, 0);
	blind(1, false, 0);
	ck_assert_uint_eq(cluster()->primary, 0);
	cut(0);
	ck_assert_uint_eq(cluster()->primary, 1);
	blind(0, false, 0);
	ck_assert_uint_eq(cluster()->primary, 1);
}
END_TEST

START_TEST(of_two_primaries_the_one_that_is_named_is_taken)
{
	start();
	ck_assert_uint_ne(primary(1, 1, 1000) & ROLES_TWO_PRIMARIES, 0);
	ck_assert_uint_eq(cluster()->primary, 0); /* it was there before */
	ck_assert_uint_ne(roles_node_leader(r, 1, TOPO_LEADER_YES) & ROLES_PRIMARY, 0);
	ck_assert_uint_eq(cluster()->primary, 1);
	ck_assert(node(0)->fenced && !node(1)->fenced);
	/* It does not make a lower timeline the present one. */
	primary(2, 2, 2000);
	ck_assert_uint_eq(cluster()->primary, 2);
	ck_assert(node(1)->fenced);
}
END_TEST

START_TEST(nothing_is_decided_until_all_were_heard)
{
	ck_assert_uint_eq(primary(0, 1, 1000), ROLES_NODE_UP | ROLES_NODE_ROLE);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert(!cluster()->ever_primary);
	ck_assert_uint_eq(replica(1, 1, 900), ROLES_NODE_UP | ROLES_NODE_ROLE);
	ck_assert(!node(1)->follows);
	ck_assert_uint_eq(cut(2) & ROLES_PRIMARY, ROLES_PRIMARY);
	ck_assert_uint_eq(cluster()->primary, 0);
	ck_assert_uint_eq(cluster()->n_samples, 0); /* its next answer is the first sample */
	ck_assert_uint_eq(primary(0, 1, 1000), ROLES_SAMPLE);
	ck_assert_uint_eq(cluster()->n_samples, 1);
	ck_assert(node(1)->follows);
	ck_assert_uint_eq(node(0)->role, TOPO_ROLE_PRIMARY);
	ck_assert_uint_eq(node(1)->role, TOPO_ROLE_REPLICA);
	ck_assert_uint_eq(node(2)->role, TOPO_ROLE_UNKNOWN);
	ck_assert_str_eq(node(2)->text, "connection refused");
	ck_assert_str_eq(node(1)->label, "b:5432");
}
END_TEST

START_TEST(a_node_that_is_never_heard_holds_up_the_start_for_its_timeout_only)
{
	uint16_t about = TOPO_NONE;

	primary(0, 1, 1000);
	replica(1, 1, 900);
	ck_assert_uint_eq(roles_tick(r, 1000000 + TIMEOUT_US - 1, &about), 0);
	now_us = 1000000 + TIMEOUT_US - 500; /* they go on answering */
	primary(0, 1, 1000);
	replica(1, 1, 900);
	ck_assert_uint_eq(roles_tick(r, now_us, &about), ROLES_PRIMARY | ROLES_TIMELINE);
	ck_assert_uint_eq(about, 0);
	ck_assert_uint_eq(cluster()->primary, 0);
	ck_assert_uint_eq(roles_tick(r, now_us, &about), 0);
}
END_TEST

START_TEST(the_quickest_of_two_primaries_does_not_win_the_start)
{
	primary(0, 1, 1000);
	primary(2, 3, 500);
	ck_assert_uint_eq(replica(1, 3, 400) & ROLES_PRIMARY, ROLES_PRIMARY);
	ck_assert_uint_eq(cluster()->primary, 2);
	ck_assert(node(0)->fenced);
	ck_assert_str_eq(node(0)->text, "a primary on an old timeline");
}
END_TEST

START_TEST(two_primaries_of_one_timeline_at_the_start_are_both_refused)
{
	primary(0, 1, 1000);
	primary(1, 1, 1000);
	replica(2, 1, 900);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert(node(0)->fenced);
	ck_assert(node(1)->fenced);
	ck_assert_str_eq(node(1)->text, "there are two primaries on the highest timeline");
	ck_assert_uint_eq(replica(1, 1, 900) & ROLES_PRIMARY, ROLES_PRIMARY); /* one steps back */
	ck_assert_uint_eq(cluster()->primary, 0);
}
END_TEST

START_TEST(a_second_primary_does_not_replace_the_first)
{
	start();
	ck_assert_uint_eq(primary(1, 1, 5000), ROLES_NODE_ROLE | ROLES_TWO_PRIMARIES);
	ck_assert_uint_eq(cluster()->primary, 0);
	ck_assert(node(1)->fenced);
	ck_assert(!node(0)->fenced);
	ck_assert_uint_eq(primary(1, 1, 5000), 0); /* told once */
	ck_assert_uint_eq(cut(0), ROLES_NODE_DOWN | ROLES_PRIMARY);
	ck_assert_uint_eq(cluster()->primary, 1);
	ck_assert_uint_eq(primary(0, 1, 1000) & ROLES_TWO_PRIMARIES, ROLES_TWO_PRIMARIES);
	ck_assert_uint_eq(cluster()->primary, 1);
}
END_TEST

START_TEST(promotion_fences_the_old_primary_at_the_first_sign)
{
	start();
	/* A replica already follows a primary that was not heard yet. */
	ck_assert_uint_eq(replica(2, 2, 1000), ROLES_TIMELINE | ROLES_PRIMARY);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert_uint_eq(cluster()->timeline_max, 2);
	ck_assert(node(0)->fenced);
	ck_assert(!node(1)->follows);
	ck_assert_uint_eq(cluster()->n_samples, 0);
	ck_assert_uint_eq(primary(1, 2, 1001), ROLES_NODE_ROLE | ROLES_PRIMARY | ROLES_SAMPLE);
	ck_assert_uint_eq(cluster()->primary, 1);
	ck_assert_uint_eq(primary(0, 1, 9000), 0); /* it comes back writable */
	ck_assert_uint_eq(cluster()->primary, 1);
	ck_assert(node(2)->follows);
	ck_assert_uint_eq(cut(1) & ROLES_PRIMARY, ROLES_PRIMARY);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE); /* never to a lower timeline again */
	ck_assert_uint_eq(replica(0, 2, 9000) & ROLES_NODE_ROLE, ROLES_NODE_ROLE);
	ck_assert(!node(0)->fenced && node(0)->follows);
}
END_TEST

/* Those that told of the higher timeline are all gone: what they told holds. */
START_TEST(an_old_primary_that_is_left_alone_stays_fenced)
{
	start();
	replica(2, 2, 1000);
	primary(1, 2, 1001);
	cut(1);
	cut(2);
	primary(0, 1, 9000);
	ck_assert_uint_eq(cluster()->timeline_max, 2);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert(node(0)->fenced);
	ck_assert(primary(0, 3, 9000) & ROLES_PRIMARY); /* unless it is promoted itself */
	ck_assert_uint_eq(cluster()->primary, 0);
}
END_TEST

START_TEST(a_primary_that_restarts_is_taken_back)
{
	struct roles_answer a;
	uint32_t epoch;

	start();
	epoch = node(0)->epoch;
	ck_assert_uint_eq(roles_node_error(r, 0, ROLES_ERR_STARTUP, "starting up"),
		ROLES_NODE_DOWN | ROLES_PRIMARY);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert(cluster()->ever_primary);
	ck_assert(node(1)->follows); /* reads go on */
	a = answer_of(0, false, 1, 2000);
	a.postmaster_start_us = 5;
	ck_assert_uint_eq(
		roles_node_answer(r, 0, &a), ROLES_NODE_UP | ROLES_PRIMARY | ROLES_SAMPLE);
	ck_assert_uint_ne(node(0)->epoch, epoch);
	ck_assert_str_eq(node(0)->text, "");
}
END_TEST

START_TEST(a_node_that_comes_back_or_is_added_is_told_from_one_found_at_the_start)
{
	struct roles_answer a;

	(void)primary(0, 1, 1000);
	(void)replica(1, 1, 1000);
	ck_assert_uint_eq(node(0)->back_us, 0);
	ck_assert_uint_eq(node(1)->back_us, 0);
	(void)roles_node_error(r, 1, ROLES_ERR_CONNECT, "refused");
	ck_assert_uint_eq(node(1)->back_us, 0);
	(void)replica(1, 1, 1000);
	ck_assert_uint_eq(node(1)->back_us, now_us);
	(void)replica(1, 1, 1000);
	ck_assert_uint_lt(node(1)->back_us, now_us);
	a = answer_of(1, true, 1, 1000);
	a.postmaster_start_us++; /* so quick a restart that it was never missed */
	(void)roles_node_answer(r, 1, &a);
	ck_assert_uint_eq(node(1)->back_us, now_us);
	now_us += TIMEOUT_US;
	(void)replica(2, 1, 1000); /* was not there at the start */
	ck_assert_uint_eq(node(2)->back_us, now_us);
}
END_TEST

START_TEST(silence_takes_a_node_out_and_an_answer_takes_it_in)
{
	uint16_t about;
	unsigned bits;

	start();
	now_us += TIMEOUT_US;
	replica(2, 1, 950);
	bits = roles_tick(r, now_us, &about);
	ck_assert_uint_eq(about, 0);
	ck_assert_uint_eq(bits, ROLES_NODE_DOWN | ROLES_PRIMARY);
	bits = roles_tick(r, now_us, &about);
	ck_assert_uint_eq(about, 1);
	ck_assert_uint_eq(bits, ROLES_NODE_DOWN);
	ck_assert_uint_eq(roles_tick(r, now_us, &about), 0);
	ck_assert_uint_eq(node(1)->health, TOPO_DOWN);
	ck_assert_str_eq(node(1)->text, "no answer within node_timeout");
	ck_assert_uint_eq(node(2)->health, TOPO_UP);
	ck_assert_uint_eq(primary(0, 1, 1000), ROLES_NODE_UP | ROLES_PRIMARY | ROLES_SAMPLE);
	ck_assert_uint_eq(replica(1, 1, 950), ROLES_NODE_UP);
}
END_TEST

START_TEST(a_lost_connection_alone_decides_nothing)
{
	uint16_t about;

	start();
	ck_assert_uint_eq(roles_node_error(r, 0, ROLES_ERR_LOST, "server closed"), 0);
	ck_assert_uint_eq(roles_node_error(r, 1, ROLES_ERR_TIMEOUT, "query timed out"), 0);
	ck_assert_uint_eq(cluster()->primary, 0);
	ck_assert_str_eq(node(1)->text, "query timed out");
	now_us += TIMEOUT_US;
	ck_assert_uint_ne(roles_tick(r, now_us, &about), 0);
	ck_assert_uint_ne(roles_tick(r, now_us, &about), 0);
	ck_assert_str_eq(node(1)->text, "query timed out"); /* says more than the timeout */
	replica(1, 1, 900);
	ck_assert_str_eq(node(1)->text, "");
}
END_TEST

START_TEST(a_refused_login_is_red_and_told)
{
	start();
	ck_assert_uint_eq(roles_node_error(r, 1, ROLES_ERR_LOGIN, "no such role"), ROLES_NODE_DOWN);
	ck_assert_uint_eq(node(1)->health, TOPO_REFUSED);
	ck_assert_str_eq(node(1)->text, "no such role");
	ck_assert(cluster()->monitor_refused);
	ck_assert_uint_eq(replica(1, 1, 900), ROLES_NODE_UP);
	ck_assert(!cluster()->monitor_refused);
}
END_TEST

START_TEST(a_node_of_another_system_is_refused)
{
	struct roles_answer a;

	start();
	a = answer_of(2, false, 9, 100);
	a.system_id = SYSTEM + 1;
	ck_assert_uint_eq(roles_node_answer(r, 2, &a),
		ROLES_NODE_DOWN | ROLES_NODE_ROLE | ROLES_OTHER_SYSTEM);
	ck_assert_uint_eq(node(2)->health, TOPO_REFUSED);
	ck_assert_str_eq(node(2)->text, "it is of another system than its cluster");
	ck_assert_uint_eq(cluster()->timeline_max, 1); /* its timeline is nobody's here */
	ck_assert_uint_eq(cluster()->primary, 0);
	ck_assert_uint_eq(roles_node_answer(r, 2, &a), 0); /* told once */
}
END_TEST

START_TEST(at_the_start_the_system_of_most_nodes_counts)
{
	struct roles_answer stray = answer_of(0, false, 1, 100);

	stray.system_id = SYSTEM + 1;
	roles_node_answer(r, 0, &stray);
	replica(1, 1, 900);
	primary(2, 1, 1000);
	ck_assert_uint_eq(cluster()->primary, 2);
	ck_assert_uint_eq(node(0)->health, TOPO_REFUSED);
}
END_TEST

START_TEST(at_a_tie_of_systems_none_is_used)
{
	struct roles_answer stray = answer_of(0, false, 1, 100);

	stray.system_id = SYSTEM + 1;
	roles_node_answer(r, 0, &stray);
	primary(1, 1, 1000);
	cut(2);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert_uint_eq(node(0)->health, TOPO_REFUSED);
	ck_assert_uint_eq(node(1)->health, TOPO_REFUSED);
	ck_assert_str_eq(node(1)->text, "the nodes are of different systems");
	replica(2, 1, 900);
	ck_assert_uint_eq(cluster()->primary, 1);
}
END_TEST

START_TEST(a_cluster_rebuilt_from_scratch_is_a_new_one)
{
	struct roles_answer a;
	uint32_t identity;

	start();
	replica(2, 5, 900);
	identity = cluster()->identity;
	for (uint16_t i = 0; i < 3; i++) {
		a = answer_of(i, i != 1, 1, 100);
		a.system_id = SYSTEM + 1;
		a.postmaster_start_us = 7000 + i;
		ck_assert_uint_eq(roles_node_answer(r, i, &a) & ROLES_IDENTITY,
			i == 2 ? (unsigned)ROLES_IDENTITY : 0u);
	}
	ck_assert_uint_ne(cluster()->identity, identity);
	ck_assert_uint_eq(cluster()->timeline_max, 1);
	ck_assert_uint_eq(cluster()->primary, 1);
}
END_TEST

START_TEST(two_names_of_one_server_are_one_primary)
{
	struct roles_answer a, b;

	a = answer_of(0, false, 1, 1000);
	b = answer_of(1, false, 1, 1000);
	b.postmaster_start_us = a.postmaster_start_us;
	roles_node_answer(r, 0, &a);
	roles_node_answer(r, 1, &b);
	replica(2, 1, 900);
	ck_assert_uint_eq(cluster()->primary, 0);
	ck_assert(!node(1)->fenced);
	cut(0);
	ck_assert_uint_eq(cluster()->primary, 1);
}
END_TEST

START_TEST(a_replica_cut_off_keeps_its_timeline)
{
	struct roles_answer a;

	start();
	replica(1, 0, 950);
	ck_assert(node(1)->follows);
	a = answer_of(1, true, 0, 950);
	a.postmaster_start_us = 4;
	roles_node_answer(r, 1, &a); /* but not across a restart */
	ck_assert(!node(1)->follows);
	ck_assert_uint_eq(node(1)->health, TOPO_UP);
}
END_TEST

START_TEST(samples_are_rounded_numbered_and_newest_first)
{
	struct roles_answer a;

	start();
	primary(0, 1, 0x2018);
	ck_assert_uint_eq(cluster()->samples[0].at.lsn, 0x2000);
	a = answer_of(0, false, 1, 0x3000);
	a.number = 1; /* overtaken */
	ck_assert_uint_eq(roles_node_answer(r, 0, &a), 0);
	for (unsigned i = 0; i < 2 * TOPO_SAMPLES; i++)
		ck_assert_uint_eq(primary(0, 1, 0x4000 + 8 * i), ROLES_SAMPLE);
	ck_assert_uint_eq(cluster()->n_samples, TOPO_SAMPLES);
	for (unsigned i = 0; i < TOPO_SAMPLES; i++) {
		ck_assert_uint_eq(topo->clusters[0].samples[i].number, number - i);
		ck_assert_uint_eq(topo->clusters[0].samples[i].at.lsn,
			0x4000 + 8 * (2 * TOPO_SAMPLES - 1 - i));
		ck_assert_uint_eq(topo->clusters[0].samples[i].at.timeline, 1);
	}
}
END_TEST

START_TEST(lag_is_measured_against_the_newest_sample)
{
	start();
	primary(0, 1, 2000);
	replica(1, 1, 1500);
	ck_assert(node(1)->lag_known);
	ck_assert_uint_eq(node(1)->lag_bytes, 500);
	ck_assert_uint_eq(node(1)->lag_us, 1000);
	now_us += 99000;
	primary(0, 1, 2100); /* the replica's answer gets older: its lag grows */
	ck_assert_uint_eq(node(1)->lag_us, 102000);
	replica(1, 1, 2100);
	ck_assert_uint_eq(node(1)->lag_us, 0);
	ck_assert(!node(2)->lag_known); /* it has not come to the first sample */
}
END_TEST

START_TEST(what_nobody_flushes_makes_no_replica_lag)
{
	struct roles_answer a;

	start();
	for (unsigned i = 0; i < 20; i++) { /* inserted up to 1500, flushed up to 1000 */
		now_us += 1000000;
		a = answer_of(0, false, 1, 1500);
		a.flushed_lsn = 1000;
		a.wal_writer_delay_us = 200000;
		(void)!roles_node_answer(r, 0, &a);
		replica(1, 1, 1000);
		replica(2, 1, 999);
	}
	ck_assert(node(1)->lag_known);
	ck_assert_uint_eq(node(1)->lag_us, 600000);
	ck_assert_uint_eq(node(1)->lag_bytes, 500);
	ck_assert(!node(2)->lag_known || node(2)->lag_us > 4000000);
}
END_TEST

START_TEST(a_server_connection_counts_if_it_was_there_before_the_sample)
{
	start();
	replica(1, 1, 950);
	ck_assert(topo_node_counts_for(node(1), now_us - 501));
	ck_assert(!topo_node_counts_for(node(1), now_us - 500));
	ck_assert(!topo_node_counts_for(node(1), now_us));
}
END_TEST

START_TEST(new_connections_to_a_primary_are_checked)
{
	start();
	ck_assert(topo_cluster_accepts_primary(cluster(), 0, 1, false));
	ck_assert(topo_cluster_accepts_primary(cluster(), 0, 2, false));
	ck_assert(!topo_cluster_accepts_primary(cluster(), 0, 1, true));
	ck_assert(!topo_cluster_accepts_primary(cluster(), 1, 1, false));
	replica(2, 2, 1000);
	primary(0, 2, 1000);
	ck_assert(!topo_cluster_accepts_primary(cluster(), 0, 1, false));
}
END_TEST

START_TEST(latency_is_averaged)
{
	struct roles_answer a;

	start();
	ck_assert_uint_eq(node(0)->latency_us, 500);
	a = answer_of(0, false, 1, 1000);
	a.sent_us = now_us - 8500;
	roles_node_answer(r, 0, &a);
	ck_assert_uint_eq(node(0)->latency_us, 1500);
}
END_TEST

/* --- reload --- */

START_TEST(a_reload_keeps_what_is_known)
{
	/* Node 0 is new, the others have moved up; clusters have changed places. */
	static const uint16_t ids[] = {1, 1, 1, 1, 0};
	static const char *const names[] = {"n:1", "a:1", "b:1", "c:1", "e:1"};
	static const uint16_t from[] = {TOPO_NONE, 0, 1, 2, TOPO_NONE};
	struct roles_conf c = conf();
	struct roles *old = r;
	uint32_t identity, other_identity;
	uint64_t generation;

	start();
	primary(0, 1, 2000);
	identity = cluster()->identity;
	other_identity = topo->clusters[1].identity;
	generation = topo->generation;
	c.n_nodes = 5;
	c.cluster_of = ids;
	c.label = names;
	ck_assert_int_eq(roles_new(&c, &r), OK);
	roles_carry(r, old, from);
	roles_free(old);
	snapshot();
	ck_assert_uint_gt(topo->generation, generation);
	ck_assert_uint_eq(topo->clusters[1].primary, 1);
	ck_assert_uint_eq(topo->clusters[1].identity, identity);
	ck_assert_uint_eq(topo->clusters[1].samples[0].at.lsn, 2000);
	ck_assert_uint_ne(topo->clusters[0].identity, identity);
	ck_assert_uint_ne(topo->clusters[0].identity, other_identity);
	ck_assert_uint_eq(topo->nodes[2].role, TOPO_ROLE_REPLICA);
	ck_assert_str_eq(topo->nodes[2].label, "b:1");
	ck_assert_uint_eq(topo->nodes[2].cluster, 1);
	ck_assert_uint_eq(topo->nodes[0].health, TOPO_DOWN);
	ck_assert_uint_eq(primary(1, 1, 2100), ROLES_SAMPLE);
}
END_TEST

START_TEST(a_primary_that_leaves_the_configuration_is_gone)
{
	static const uint16_t ids[] = {0, 0};
	static const uint16_t from[] = {1, 2};
	struct roles_conf c = conf();
	struct roles *old = r;

	start();
	c.n_nodes = 2;
	c.n_clusters = 1;
	c.cluster_of = ids;
	ck_assert_int_eq(roles_new(&c, &r), OK);
	roles_carry(r, old, from);
	roles_free(old);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert(cluster()->ever_primary);
	ck_assert_uint_eq(cluster()->timeline_max, 1);
}
END_TEST

START_TEST(no_memory_is_told)
{
	const struct roles_conf c = conf();
	struct roles *other;
	struct topology *t;
	enum status st;

	for (long fail_at = 0; fail_at < 4; fail_at++) {
		failing_alloc_after(fail_at);
		st = roles_new(&c, &other);
		failing_alloc_after(-1);
		ck_assert_int_eq(st, E_NOMEM);
	}
	failing_alloc_after(0);
	st = roles_snapshot(r, now_us, &t);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	roles_free(NULL);
}
END_TEST

START_TEST(words_and_bounds_of_a_snapshot)
{
	ck_assert_str_eq(topo_role_name(TOPO_ROLE_UNKNOWN), "unknown");
	ck_assert_str_eq(topo_role_name(TOPO_ROLE_PRIMARY), "primary");
	ck_assert_str_eq(topo_role_name(TOPO_ROLE_REPLICA), "replica");
	ck_assert_str_eq(topo_health_name(TOPO_DOWN), "down");
	ck_assert_str_eq(topo_health_name(TOPO_UP), "up");
	ck_assert_str_eq(topo_health_name(TOPO_REFUSED), "refused");
	snapshot();
	ck_assert_ptr_nonnull(topology_node(topo, 3));
	ck_assert_ptr_null(topology_node(topo, 4));
	ck_assert_ptr_null(topology_node(topo, TOPO_NONE));
	ck_assert_ptr_nonnull(topology_cluster(topo, 1));
	ck_assert_ptr_null(topology_cluster(topo, 2));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("roles");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, nothing_is_decided_until_all_were_heard);
	tcase_add_test(tc, time_with_more_than_one_primary_is_counted);
	tcase_add_test(tc, who_is_named_not_the_leader_is_no_primary);
	tcase_add_test(tc, of_two_primaries_the_one_that_is_named_is_taken);
	tcase_add_test(tc, blind_replica_is_up_but_follows_nobody);
	tcase_add_test(tc, blind_primary_is_taken_if_no_other_proves_to_be_one);
	tcase_add_test(tc, of_blind_primaries_the_present_one_stays);
	tcase_add_test(tc, node_is_silent_when_it_has_not_even_said_an_error_for_node_timeout);
	tcase_add_test(tc, a_node_that_is_never_heard_holds_up_the_start_for_its_timeout_only);
	tcase_add_test(tc, the_quickest_of_two_primaries_does_not_win_the_start);
	tcase_add_test(tc, two_primaries_of_one_timeline_at_the_start_are_both_refused);
	tcase_add_test(tc, a_second_primary_does_not_replace_the_first);
	tcase_add_test(tc, promotion_fences_the_old_primary_at_the_first_sign);
	tcase_add_test(tc, an_old_primary_that_is_left_alone_stays_fenced);
	tcase_add_test(tc, a_primary_that_restarts_is_taken_back);
	tcase_add_test(tc, a_node_that_comes_back_or_is_added_is_told_from_one_found_at_the_start);
	tcase_add_test(tc, silence_takes_a_node_out_and_an_answer_takes_it_in);
	tcase_add_test(tc, a_lost_connection_alone_decides_nothing);
	tcase_add_test(tc, a_refused_login_is_red_and_told);
	tcase_add_test(tc, a_node_of_another_system_is_refused);
	tcase_add_test(tc, at_the_start_the_system_of_most_nodes_counts);
	tcase_add_test(tc, at_a_tie_of_systems_none_is_used);
	tcase_add_test(tc, a_cluster_rebuilt_from_scratch_is_a_new_one);
	tcase_add_test(tc, two_names_of_one_server_are_one_primary);
	tcase_add_test(tc, a_replica_cut_off_keeps_its_timeline);
	tcase_add_test(tc, samples_are_rounded_numbered_and_newest_first);
	tcase_add_test(tc, lag_is_measured_against_the_newest_sample);
	tcase_add_test(tc, what_nobody_flushes_makes_no_replica_lag);
	tcase_add_test(tc, a_server_connection_counts_if_it_was_there_before_the_sample);
	tcase_add_test(tc, new_connections_to_a_primary_are_checked);
	tcase_add_test(tc, latency_is_averaged);
	tcase_add_test(tc, a_reload_keeps_what_is_known);
	tcase_add_test(tc, a_primary_that_leaves_the_configuration_is_gone);
	tcase_add_test(tc, no_memory_is_told);
	tcase_add_test(tc, words_and_bounds_of_a_snapshot);
	return unit_run("roles", tc);
}
