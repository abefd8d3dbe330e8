#include "conf/clusters.h"

#include "fixture.h"

static const struct conf_cluster *cluster(const struct conf *c, const char *db)
{
	return c->cluster_by_id[conf_find_db(c, db)->cluster_id];
}

START_TEST(routing_follows_the_database_then_the_global_key)
{
	static const struct {
		const char *global, *db;
		bool routing;
	} cases[] = {
		{"[pgweir]", "host=h,i", true}, {"[pgweir]", "host=h", false},
		{"[pgweir]", "host=h,i routing=off", false},
		{"[pgweir]", "host=h routing=on", true},
		{"[pgweir]\nrouting=off", "host=h,i", false},
		{"[pgweir]\nrouting=on", "host=h", true},
		{"[pgweir]\nrouting=on", "host=h,i routing=off", false},
		{"[pgbouncer]", "host=h,i", false}, {"[pgbouncer]", "host=h,i routing=on", true},
		{"[pgbouncer]\nrouting=auto", "host=h,i", true},
		{"[pgweir]", "host=h,h", false}, /* one node */
	};
	char text[200];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct conf *c;

		snprintf(text, sizeof text, "%s\n[databases]\na = %s\n", cases[i].global,
			cases[i].db);
		c = fixture_conf(text);
		ck_assert_msg(c->dbs[0].routing == cases[i].routing, "%s", text);
		ck_assert_uint_eq(c->n_clusters, cases[i].routing);
		ck_assert_uint_eq(c->nodes[0].cluster_id == CONF_NO_CLUSTER, !cases[i].routing);
		ck_assert_uint_eq(c->dbs[0].cluster_id == CONF_NO_CLUSTER, !cases[i].routing);
		conf_free(c);
	}
}
END_TEST

START_TEST(databases_that_share_a_node_share_a_cluster)
{
	struct conf *c = fixture_conf("[pgweir]\n[databases]\n"
				      "a = host=h1,h2\n"
				      "b = host=h3,h4\n"
				      "c = host=h4,h2\n" /* ties a's and b's together */
				      "d = host=h5,h6\n"
				      "e = host=h1,h5 routing=off\n" /* ties nothing */
				      "f = host=h7\n");

	ck_assert_uint_eq(c->n_clusters, 2);
	ck_assert_ptr_eq(cluster(c, "a"), cluster(c, "b"));
	ck_assert_ptr_eq(cluster(c, "a"), cluster(c, "c"));
	ck_assert_ptr_ne(cluster(c, "a"), cluster(c, "d"));
	ck_assert_uint_eq(cluster(c, "a")->n_nodes, 4);
	ck_assert_str_eq(cluster(c, "a")->nodes[0]->name, "h1:5432");
	ck_assert_str_eq(cluster(c, "a")->nodes[3]->name, "h4:5432");
	ck_assert_str_eq(cluster(c, "b")->db->name, "a");
	ck_assert_str_eq(cluster(c, "d")->db->name, "d");
	ck_assert_uint_eq(conf_find_db(c, "e")->cluster_id, CONF_NO_CLUSTER);
	ck_assert_uint_eq(conf_find_db(c, "f")->nodes[0].node->cluster_id, CONF_NO_CLUSTER);
	for (size_t i = 0; i + 1 < c->n_clusters; i++)
		ck_assert_uint_lt(c->clusters[i].id, c->clusters[i + 1].id);
	conf_free(c);
}
END_TEST

START_TEST(cluster_keeps_its_id_while_a_node_stays)
{
	struct conf *a = fixture_conf("[pgweir]\n[databases]\nx = host=h1,h2\ny = host=h3,h4\n");
	struct conf *b;

	ck_assert_int_eq(fixture_load("[pgweir]\n[databases]\n"
				      "n = host=h8,h9\ny = host=h5,h4\nx = host=h2,h6,h7\n",
				 a, &b),
		OK);
	ck_assert_uint_eq(cluster(b, "x")->id, cluster(a, "x")->id);
	ck_assert_uint_eq(cluster(b, "y")->id, cluster(a, "y")->id);
	ck_assert_uint_ne(cluster(b, "n")->id, cluster(a, "x")->id);
	ck_assert_uint_ne(cluster(b, "n")->id, cluster(a, "y")->id);
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(split_and_joined_clusters_have_ids_of_their_own)
{
	struct conf *a = fixture_conf("[pgweir]\n[databases]\nx = host=h1,h2,h3,h4\n"), *b, *c;

	ck_assert_int_eq(
		fixture_load("[pgweir]\n[databases]\nx = host=h1,h2\ny = host=h3,h4\n", a, &b), OK);
	ck_assert_uint_eq(b->n_clusters, 2);
	ck_assert_uint_eq(cluster(b, "x")->id, cluster(a, "x")->id);
	ck_assert_uint_ne(cluster(b, "y")->id, cluster(b, "x")->id);
	ck_assert_int_eq(fixture_load("[pgweir]\n[databases]\nz = host=h1,h4\n", b, &c), OK);
	ck_assert_uint_eq(c->n_clusters, 1);
	ck_assert_uint_eq(cluster(c, "z")->id, cluster(b, "x")->id);
	ck_assert_ptr_null(c->cluster_by_id[cluster(b, "y")->id]);
	conf_free(a);
	conf_free(b);
	conf_free(c);
}
END_TEST

START_TEST(ids_of_clusters_that_went_are_not_given_at_once)
{
	struct conf *a = fixture_conf("[pgweir]\n[databases]\nx = host=h1,h2\n"), *b;

	ck_assert_int_eq(fixture_load("[pgweir]\n[databases]\nx = host=h3,h4\n", a, &b), OK);
	ck_assert_uint_ne(cluster(a, "x")->id, cluster(b, "x")->id);
	conf_free(a);
	conf_free(b);
}
END_TEST

static void assert_consistent(const struct conf *c)
{
	size_t n_members = 0, n_routed = 0;

	for (size_t i = 0; i < c->n_clusters; i++) {
		const struct conf_cluster *cl = &c->clusters[i];

		ck_assert_ptr_eq(c->cluster_by_id[cl->id], cl);
		ck_assert_ptr_nonnull(cl->db);
		n_members += cl->n_nodes;
		for (size_t j = 0; j < cl->n_nodes; j++)
			ck_assert_uint_eq(cl->nodes[j]->cluster_id, cl->id);
	}
	for (size_t i = 0; i < c->n_nodes; i++)
		n_routed += c->nodes[i].cluster_id != CONF_NO_CLUSTER;
	ck_assert_uint_eq(n_members, n_routed);
	for (size_t i = 0; i < c->n_dbs; i++)
		for (size_t j = 0; c->dbs[i].routing && j < c->dbs[i].n_nodes; j++)
			ck_assert_uint_eq(
				c->dbs[i].nodes[j].node->cluster_id, c->dbs[i].cluster_id);
}

START_TEST(random_reloads_leave_nodes_databases_and_clusters_in_step)
{
	struct conf *a = fixture_conf("[pgweir]\n"), *b;
	uint64_t seed = 1;
	char text[4000];

	for (unsigned round = 0; round < 300; round++) {
		size_t len = (size_t)snprintf(text, sizeof text, "[pgweir]\n[databases]\n");

		for (unsigned d = 0; d < 12; d++)
			len += (size_t)snprintf(text + len, sizeof text - len,
				"d%u = host=h%u,h%u,h%u routing=%s\n", d,
				(unsigned)(unit_random(&seed) % 40),
				(unsigned)(unit_random(&seed) % 40),
				(unsigned)(unit_random(&seed) % 40),
				unit_random(&seed) % 4 != 0 ? "on" : "off");
		ck_assert_int_eq(fixture_load(text, a, &b), OK);
		assert_consistent(b);
		conf_free(a);
		a = b;
	}
	conf_free(a);
}
END_TEST

/* All nodes, in clusters of `size`. */
static void grouped(char *text, size_t cap, unsigned size)
{
	size_t len = (size_t)snprintf(text, cap, "[pgweir]\nrouting=on\n[databases]\n");

	for (unsigned i = 0; i < CONF_NODES_MAX; i++)
		len += (size_t)snprintf(
			text + len, cap - len, "d%u = host=h%u,h%u\n", i, i, i - i % size);
}

START_TEST(ids_of_clusters_never_run_out)
{
	static const unsigned sizes[] = {1, 2, 256, 3, 1, 256, 5, 2, 1};
	static char text[20000];
	struct conf *a = fixture_conf("[pgweir]\n"), *b;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		grouped(text, sizeof text, sizes[i]);
		ck_assert_int_eq(fixture_load(text, a, &b), OK);
		ck_assert_uint_eq(b->n_clusters, (CONF_NODES_MAX + sizes[i] - 1) / sizes[i]);
		assert_consistent(b);
		conf_free(a);
		a = b;
	}
	conf_free(a);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("clusters");

	tcase_add_checked_fixture(tc, fixture_init, fixture_fini);
	tcase_add_test(tc, routing_follows_the_database_then_the_global_key);
	tcase_add_test(tc, databases_that_share_a_node_share_a_cluster);
	tcase_add_test(tc, cluster_keeps_its_id_while_a_node_stays);
	tcase_add_test(tc, split_and_joined_clusters_have_ids_of_their_own);
	tcase_add_test(tc, ids_of_clusters_that_went_are_not_given_at_once);
	tcase_add_test(tc, random_reloads_leave_nodes_databases_and_clusters_in_step);
	tcase_add_test(tc, ids_of_clusters_never_run_out);
	return unit_run("clusters", tc);
}
