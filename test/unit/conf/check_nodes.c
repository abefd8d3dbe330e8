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
	tcase_add_test(tc, ids_stay_when_hosts_are_moved_about);
	tcase_add_test(tc, ids_of_nodes_that_went_are_reused_late);
	tcase_add_test(tc, nodes_are_bounded_in_all_and_over_a_reload);
	tcase_add_test(tc, free_ids_are_searched_round);
	return unit_run("nodes", tc);
}
