#include "worker/fit.h"

#include <string.h>

#include "../unit.h"
#include "conf/conf.h"
#include "route/topology.h"

#define SAMPLE_US 5000u
#define START_US  77

static struct worker w;
static struct conf_db conf;
static struct dbase db;
static struct account acc;
static struct pool pool;
static struct client c;
static struct busy lent;
static struct server s;
static struct topo_node node;
static struct topo_cluster cluster;
static struct topology topology;

/* A read that goes to a replica, and a connection that the last sample speaks for. */
static void begin(void)
{
	memset(&w, 0, sizeof w);
	conf = (struct conf_db){.routing = true};
	db = (struct dbase){.conf = &conf};
	memset(&acc, 0, sizeof acc);
	acc.db = &db;
	acc.login_hash = 1;
	memset(&pool, 0, sizeof pool);
	pool.acc = &acc;
	node = (struct topo_node){
		.sample_begun_us = SAMPLE_US, .postmaster_start_us = START_US, .system_id = 9};
	cluster = (struct topo_cluster){.timeline_max = 3};
	topology = (struct topology){
		.n_nodes = 1, .n_clusters = 1, .nodes = &node, .clusters = &cluster};
	w.topology = &topology;
	w.now_us = 6000;
	acc.server_lifetime_us = 1000000;
	lent = (struct busy){.by_sample = true};
	c = (struct client){.db = &db, .acc = &acc, .state = CLIENT_IDLE, .busy = &lent};
	s = (struct server){.pool = &pool,
		.in_recovery = true,
		.timeline = 3,
		.login_hash = 1,
		.ready_us = SAMPLE_US - 1,
		.node_start_us = START_US,
		.node_system_id = 9};
}

START_TEST(a_connection_that_the_last_sample_speaks_for_serves_reads)
{
	ck_assert(fit_server(&w, &c, &s));
}
END_TEST

/* Whatever the consistency: max_lag too is judged by the sample. */
START_TEST(a_connection_younger_than_the_last_sample_serves_no_read)
{
	s.ready_us = SAMPLE_US;
	ck_assert(!fit_server(&w, &c, &s));
	node.sample_begun_us++;
	ck_assert(fit_server(&w, &c, &s));
}
END_TEST

START_TEST(when_it_was_begun_does_not_count)
{
	s.opened_us = 1;
	s.ready_us = SAMPLE_US + 1;
	ck_assert(!fit_server(&w, &c, &s));
}
END_TEST

START_TEST(a_connection_to_what_the_node_was_before_serves_nobody)
{
	node.postmaster_start_us++; /* restarted */
	ck_assert(server_is_outdated(&w, &s));
	ck_assert(!fit_server(&w, &c, &s));
	node.postmaster_start_us--;
	node.system_id++; /* another one has its address */
	ck_assert(server_is_outdated(&w, &s));
	ck_assert(!fit_server(&w, &c, &s));
}
END_TEST

START_TEST(a_node_that_was_not_known_yet_is_no_other_one)
{
	s.node_start_us = 0;
	s.node_system_id = 0;
	ck_assert(fit_server(&w, &c, &s));
}
END_TEST

START_TEST(a_login_needs_no_sample)
{
	c.state = CLIENT_WELCOME;
	s.ready_us = SAMPLE_US + 1;
	ck_assert(fit_server(&w, &c, &s));
}
END_TEST

START_TEST(a_write_needs_the_primary_on_the_highest_timeline)
{
	c.busy->needs_primary = true;
	ck_assert(!fit_server(&w, &c, &s));
	s.in_recovery = false;
	ck_assert(fit_server(&w, &c, &s));
	s.timeline = 2;
	ck_assert(!fit_server(&w, &c, &s));
}
END_TEST

/* One that waits for a replica may get a server of the primary first. */
START_TEST(a_read_on_the_primary_needs_the_highest_timeline_too)
{
	s.in_recovery = false;
	s.ready_us = SAMPLE_US;
	ck_assert(fit_server(&w, &c, &s));
	s.timeline = 2;
	ck_assert(!fit_server(&w, &c, &s));
}
END_TEST

START_TEST(what_logged_in_with_something_else_serves_nobody)
{
	c.state = CLIENT_WELCOME;
	acc.login_hash = 2;
	ck_assert(!fit_server(&w, &c, &s));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("fit");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, a_connection_that_the_last_sample_speaks_for_serves_reads);
	tcase_add_test(tc, a_connection_younger_than_the_last_sample_serves_no_read);
	tcase_add_test(tc, when_it_was_begun_does_not_count);
	tcase_add_test(tc, a_connection_to_what_the_node_was_before_serves_nobody);
	tcase_add_test(tc, a_node_that_was_not_known_yet_is_no_other_one);
	tcase_add_test(tc, a_login_needs_no_sample);
	tcase_add_test(tc, a_write_needs_the_primary_on_the_highest_timeline);
	tcase_add_test(tc, a_read_on_the_primary_needs_the_highest_timeline_too);
	tcase_add_test(tc, what_logged_in_with_something_else_serves_nobody);
	return unit_run("fit", tc);
}
