#include "conf/nodes.h"

#include "fixture.h"

static const struct conf_node *node(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (strcmp(c->nodes[i].name, name) == 0)
			return &c->nodes[i];
	return NULL;
}

START_TEST(hosts_are_nodes_with_ports_and_weights)
{
	struct conf *c = fixture_conf("[pgweir]\n[databases]\n"
				      "a = host=h1,h2,h3 port=1,2,3 weight=5,1,100\n"
				      "b = host='h1 , /run/pg,@abstract,::1' port=1 weight=7\n");
	const struct conf_db *a = conf_find_db(c, "a"), *b = conf_find_db(c, "b");

	ck_assert_uint_eq(c->n_nodes, 6);
	ck_assert_uint_eq(a->n_nodes, 3);
	ck_assert_str_eq(a->nodes[2].node->name, "h3:3");
	ck_assert_uint_eq(a->nodes[0].weight, 5);
	ck_assert_uint_eq(a->nodes[2].weight, 100);
	ck_assert(!a->nodes[0].node->is_unix);
	ck_assert_uint_eq(b->n_nodes, 4);
	ck_assert_ptr_eq(b->nodes[0].node, a->nodes[0].node);
	ck_assert_uint_eq(b->nodes[0].weight, 7);
	ck_assert(b->nodes[1].node->is_unix);
	ck_assert_str_eq(b->nodes[1].node->name, "/run/pg:1");
	ck_assert(b->nodes[2].node->is_unix);
	ck_assert_str_eq(b->nodes[3].node->name, "[::1]:1");
	conf_free(c);
}
END_TEST

START_TEST(same_host_on_another_port_is_another_node)
{
	struct conf *c = fixture_conf("[pgweir]\n[databases]\na = host=h,h,h port=1,2,3\n");

	ck_assert_uint_eq(c->n_nodes, 3);
	ck_assert_uint_eq(c->dbs[0].n_nodes, 3);
	conf_free(c);
}
END_TEST

START_TEST(hosts_have_zones)
{
	struct conf *c = fixture_conf("[pgweir]\nzone = b\n[databases]\n"
				      "a1 = host=h1,h2,h3 zone=a,b,c\n"
				      "a2 = host=h1,h2 zone='b'\n"
				      "a3 = host=h1,h2\n");

	ck_assert(c->dbs[0].zoned);
	ck_assert(c->dbs[0].nodes[0].is_far);
	ck_assert(!c->dbs[0].nodes[1].is_far);
	ck_assert(c->dbs[0].nodes[2].is_far);
	ck_assert(!c->dbs[1].zoned && !c->dbs[2].zoned);
	conf_free(c);
	c = fixture_conf("[pgweir]\n[databases]\na1 = host=h1,h2,h3 zone=a,b,c\n");
	ck_assert(!c->dbs[0].zoned); /* nobody has said where we are */
	conf_free(c);
}
END_TEST

START_TEST(node_listed_twice_has_the_weight_of_both)
{
	struct conf *c = fixture_conf("[pgweir]\n[databases]\na = host=h,i,h weight=2,1,3\n");

	ck_assert_uint_eq(c->dbs[0].n_nodes, 2);
	ck_assert_uint_eq(c->dbs[0].nodes[0].weight, 5);
	ck_assert_uint_eq(c->dbs[0].nodes[1].weight, 1);
	conf_free(c);
}
END_TEST

START_TEST(lists_that_do_not_fit_are_refused)
{
	static const char *const bad[] = {"host=a,b port=1,2,3", "host=a,,b", "host=,a", "host=a,",
		"host=a port=0", "host=a port=65536", "host=a port=x", "host=a port=1,", "port=1,2",
		"host=a weight=0", "host=a weight=101", "host=a,b weight=1,2,3", "host='a b'",
		"host=a port=111111111111111111111111111111111111",
		"host=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
	char text[300];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "[pgweir]\n[databases]\na = %s\n", bad[i]);
		fixture_errors(text);
		ck_assert_msg(fixture_found.n_errors == 1, "%s", bad[i]);
	}
	snprintf(text, sizeof text, "[databases]\na = host=%0256d\n", 0);
	fixture_errors(text);
	snprintf(text, sizeof text, "[databases]\na = host=/%090d\n", 0);
	fixture_errors(text);
	snprintf(text, sizeof text, "[databases]\na = host=/%089d,%0100d\n", 0, 0);
	conf_free(fixture_conf(text));
}
END_TEST

static struct conf_spreads spreads_of(const char *host, size_t n)
{
	struct conf_spreads s = {.n = 1};

	snprintf(s.of[0].host, sizeof s.of[0].host, "%s", host);
	s.of[0].n_addrs = n;
	for (size_t i = 0; i < n; i++)
		snprintf(s.of[0].addr[i], sizeof s.of[0].addr[i], "10.0.0.%zu", i + 1);
	return s;
}

START_TEST(each_address_of_a_name_is_a_node_where_a_database_routes)
{
	struct conf *a = fixture_conf("[pgweir]\n[databases]\n"
				      "a1 = host=svc routing=on weight=3\n"
				      "a2 = host=svc\na3 = host=svc,h2 port=5432\n"
				      "a4 = host=other routing=on\n");
	struct conf_spreads s = spreads_of("svc", 3);
	struct conf *b, *c;

	ck_assert_int_eq(conf_set_spreads(a, &s, &b, &fixture_found), OK);
	ck_assert_uint_eq(b->dbs[0].n_nodes, 3);
	ck_assert_str_eq(b->dbs[0].nodes[1].node->name, "svc[10.0.0.2]:5432");
	ck_assert_str_eq(b->dbs[0].nodes[1].node->host, "svc");
	ck_assert_str_eq(b->dbs[0].nodes[1].node->address, "10.0.0.2");
	ck_assert_uint_eq(b->dbs[0].nodes[1].weight, 3);
	ck_assert_str_eq(b->dbs[1].nodes[0].node->name, "svc:5432"); /* it does not route */
	ck_assert_uint_eq(b->dbs[1].n_nodes, 1);
	ck_assert(!b->dbs[1].routing);
	ck_assert_uint_eq(b->dbs[2].n_nodes, 4);
	ck_assert_uint_eq(b->dbs[0].cluster_id, b->dbs[2].cluster_id);
	/* SET and a reload keep it; without a database that has use for it, it is forgotten. */
	ck_assert_int_eq(conf_set(b, "verbose", "1", &c, &fixture_found), OK);
	ck_assert_uint_eq(c->dbs[0].n_nodes, 3);
	ck_assert_uint_eq(c->spreads->n, 1);
	conf_free(a);
	ck_assert_int_eq(fixture_load("[pgweir]\n[databases]\na1 = host=svc\n", c, &a), OK);
	ck_assert_uint_eq(a->dbs[0].n_nodes, 1);
	ck_assert(a->spreads == NULL || a->spreads->n == 0);
	conf_free(a);
	conf_free(b);
	conf_free(c);
}
END_TEST

START_TEST(name_that_is_spread_keeps_its_cluster_and_first_id)
{
	struct conf *a = fixture_conf("[pgweir]\n[databases]\na = host=svc routing=on\n"), *b, *c;
	struct conf_spreads s = spreads_of("svc", 3);
	uint32_t ids[3];

	ck_assert_int_eq(conf_set_spreads(a, &s, &b, &fixture_found), OK);
	ck_assert_uint_eq(b->dbs[0].nodes[0].node->id, a->nodes[0].id);
	ck_assert_uint_eq(b->dbs[0].cluster_id, a->dbs[0].cluster_id);
	for (size_t i = 0; i < 3; i++)
		ids[i] = b->dbs[0].nodes[i].node->id;
	ck_assert(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
	snprintf(s.of[0].addr[0], sizeof s.of[0].addr[0], "10.0.0.9"); /* one went, one came */
	ck_assert_int_eq(conf_set_spreads(b, &s, &c, &fixture_found), OK);
	ck_assert_uint_eq(c->dbs[0].nodes[1].node->id, ids[1]);
	ck_assert_uint_eq(c->dbs[0].nodes[2].node->id, ids[2]);
	ck_assert_uint_ne(c->dbs[0].nodes[0].node->id, ids[0]);
	ck_assert_uint_eq(c->dbs[0].cluster_id, b->dbs[0].cluster_id);
	conf_free(a);
	conf_free(b);
	conf_free(c);
}
END_TEST

START_TEST(addresses_beyond_what_a_database_may_have_are_left_out)
{
	struct conf *a = fixture_conf("[pgweir]\n[databases]\na = host=h1,svc,h2\n"), *b;
	struct conf_spreads s = spreads_of("svc", CONF_DB_NODES_MAX);

	ck_assert_int_eq(conf_set_spreads(a, &s, &b, &fixture_found), OK);
	ck_assert_uint_eq(b->dbs[0].n_nodes, CONF_DB_NODES_MAX);
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(ids_stay_when_hosts_are_moved_about)
{
	struct conf *a = fixture_conf("[pgweir]\n[databases]\nx = host=h1,h2\ny = host=h3\n"), *b;

	ck_assert_int_eq(fixture_load("[pgweir]\n[databases]\n"
				      "z = host=h4,h3\ny = host=h2\n",
				 a, &b),
		OK);
	ck_assert_uint_eq(node(b, "h3:5432")->id, node(a, "h3:5432")->id);
	ck_assert_uint_eq(node(b, "h2:5432")->id, node(a, "h2:5432")->id);
	ck_assert_ptr_eq(b->node_by_id[node(b, "h4:5432")->id], node(b, "h4:5432"));
	for (size_t i = 0; i < a->n_nodes; i++)
		ck_assert_uint_ne(node(b, "h4:5432")->id, a->nodes[i].id);
	ck_assert_ptr_null(b->node_by_id[node(a, "h1:5432")->id]);
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(ids_of_nodes_that_went_are_reused_late)
{
	struct conf *a = fixture_conf("[databases]\nx = host=h0\n"), *b;
	uint32_t last_seen[CONF_NODES_MAX] = {0};
	char text[64];

	for (uint32_t i = 1; i < 1000; i++) {
		uint32_t id;

		snprintf(text, sizeof text, "[databases]\nx = host=h%u\n", i);
		ck_assert_int_eq(fixture_load(text, a, &b), OK);
		id = b->nodes[0].id;
		ck_assert_uint_lt(id, CONF_NODES_MAX);
		ck_assert(last_seen[id] == 0 || i - last_seen[id] >= CONF_NODES_MAX - 1);
		last_seen[id] = i;
		conf_free(a);
		a = b;
	}
	conf_free(a);
}
END_TEST

static void many_hosts(char *text, size_t cap, unsigned from, unsigned n)
{
	size_t len = (size_t)snprintf(text, cap, "[databases]\n");

	for (unsigned i = from; i < from + n; i++)
		len += (size_t)snprintf(text + len, cap - len, "d%u = host=h%u\n", i, i);
}

START_TEST(nodes_are_bounded_in_all_and_over_a_reload)
{
	static char text[20000];
	struct conf *a, *b;

	many_hosts(text, sizeof text, 0, CONF_NODES_MAX + 1);
	fixture_errors(text);
	ck_assert(fixture_has(FINDING_ERROR, "d256: host = h256: expected at most 256 hosts"));
	many_hosts(text, sizeof text, 0, CONF_NODES_MAX);
	a = fixture_conf(text);
	ck_assert_uint_eq(a->n_nodes, CONF_NODES_MAX);
	many_hosts(text, sizeof text, 1, CONF_NODES_MAX);
	ck_assert_int_eq(fixture_load(text, a, &b), E_INVALID);
	ck_assert(fixture_has(FINDING_ERROR, "h256:5432: expected at most 256 hosts, those that"));
	many_hosts(text, sizeof text, 1, CONF_NODES_MAX - 1);
	ck_assert_int_eq(fixture_load(text, a, &b), OK);
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(free_ids_are_searched_round)
{
	bool taken[CONF_NODES_MAX] = {false};
	uint32_t next = CONF_NODES_MAX - 1;

	ck_assert_uint_eq(nodes_free_id(taken, &next), CONF_NODES_MAX - 1);
	ck_assert_uint_eq(nodes_free_id(taken, &next), 0);
	ck_assert_uint_eq(nodes_free_id(taken, &next), 1);
	memset(taken, true, sizeof taken);
	ck_assert_uint_eq(nodes_free_id(taken, &next), CONF_NODES_MAX);
	taken[0] = false;
	ck_assert_uint_eq(nodes_free_id(taken, &next), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("nodes");

	tcase_add_checked_fixture(tc, fixture_init, fixture_fini);
	tcase_add_test(tc, hosts_are_nodes_with_ports_and_weights);
	tcase_add_test(tc, same_host_on_another_port_is_another_node);
	tcase_add_test(tc, hosts_have_zones);
	tcase_add_test(tc, node_listed_twice_has_the_weight_of_both);
	tcase_add_test(tc, lists_that_do_not_fit_are_refused);
	tcase_add_test(tc, each_address_of_a_name_is_a_node_where_a_database_routes);
	tcase_add_test(tc, name_that_is_spread_keeps_its_cluster_and_first_id);
	tcase_add_test(tc, addresses_beyond_what_a_database_may_have_are_left_out);
	tcase_add_test(tc, ids_stay_when_hosts_are_moved_about);
	tcase_add_test(tc, ids_of_nodes_that_went_are_reused_late);
	tcase_add_test(tc, nodes_are_bounded_in_all_and_over_a_reload);
	tcase_add_test(tc, free_ids_are_searched_round);
	return unit_run("nodes", tc);
}
