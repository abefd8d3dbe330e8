#include "control/catalog_load.h"

#include <netinet/in.h>

#include "control_unit.h"
#include "fake_pq.h"
#include "sql/catalog.h"
#include "sql/catalog_sql.h"

#define CONF                                                                                \
	"[databases]\n"                                                                     \
	"app = host=10.0.0.1,10.0.0.2 port=6001,6002 monitor_user=mon monitor_password=p\n" \
	"plain = host=10.0.0.3,10.0.0.4 port=6003,6004 routing=off monitor_user=mon\n"      \
	"nobody = host=10.0.0.5 port=6005 routing=off\n"                                    \
	"[pgweir]\nlisten_addr = 127.0.0.1\ncatalog_refresh_interval = %s\n"                \
	"primary_functions = %s\n"

static struct world w;
static struct catalog_load *l;

/* Node 0 or 1 is the primary, or none. */
static void set_primary(uint16_t node)
{
	struct topology *t = (struct topology *)(uintptr_t)atomic_load(&w.sh.topology);

	t->clusters[0].primary = node;
}

static void setup_with(const char *refresh, const char *functions)
{
	struct node_addrs *a;
	char conf[1024];

	snprintf(conf, sizeof conf, CONF, refresh, functions);
	world_init(&w, conf, WORLD_USERS, 1);
	a = (struct node_addrs *)(uintptr_t)atomic_load(&w.sh.addrs);
	for (unsigned i = 0; i < 5; i++) {
		((struct sockaddr_in *)(void *)&a->node[i].addr[0])->sin_family = AF_INET;
		a->node[i].addr_len[0] = sizeof(struct sockaddr_in);
		a->node[i].n = 1;
	}
	fake_pq_n = 0;
	fake_pq_status = OK;
	set_primary(0);
	ck_assert_int_eq(catalog_load_new(&w.env, &l), OK);
}

static void setup(void)
{
	setup_with("3600", "");
}

static void teardown(void)
{
	catalog_load_free(l);
	ck_assert_uint_eq(fake_pq_n_in_use(), 0);
	world_fini(&w);
}

static const struct catalogs *now(void)
{
	return atomic_load(&w.sh.catalogs);
}

static void turns(unsigned n)
{
	while (n-- != 0)
		world_turn(&w, 2000);
}

static void load_with(struct pq *c, const char *name)
{
	const char *row[] = {"function", name};

	ck_assert_ptr_nonnull(c);
	fake_pq_ready(c);
	ck_assert_str_eq(c->sql, catalog_sql(150003));
	fake_pq_row(c, row, 2);
	fake_pq_done(c);
}

START_TEST(catalog_is_loaded_once_from_the_primary)
{
	catalog_load_want(l, 0, "db", false);
	catalog_load_want(l, 0, "db", false);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	ck_assert_str_eq(fake_pq_to(6001)->dbname, "db");
	ck_assert_str_eq(fake_pq_to(6001)->user, "mon");
	load_with(fake_pq_to(6001), "danger");
	ck_assert_uint_eq(now()->n, 1);
	ck_assert_str_eq(now()->entry[0].dbname, "db");
	ck_assert_uint_eq(now()->entry[0].owner, 0);
	ck_assert_uint_ne(now()->entry[0].generation, 0);
	ck_assert_uint_ge(catalog_n_names(now()->entry[0].catalog), 1);
	turns(10);
	ck_assert_uint_eq(fake_pq_n, 1); /* and the connection is closed */
	ck_assert_uint_eq(fake_pq_n_in_use(), 0);
	ck_assert(world_has_logged(&w, "catalog loaded cluster=0 db=db"));
}
END_TEST

/* Whose catalog it is where the first host has this port. */
static uint32_t owner_of(uint16_t port)
{
	const struct conf *conf = atomic_load(&w.sh.conf);

	for (uint32_t i = 0; i < conf->n_nodes; i++)
		if (conf->node_by_id[i] != NULL && conf->node_by_id[i]->port == port)
			return CATALOG_OF_NODE + i;
	ck_abort_msg("no node has port %u", port);
}

START_TEST(without_routing_the_host_that_is_a_primary_is_read)
{
	catalog_load_want(l, owner_of(6003), "db", false);
	world_turn_until(&w, fake_pq_to(6003) != NULL);
	ck_assert_str_eq(fake_pq_to(6003)->user, "mon");
	ck_assert_str_eq(fake_pq_to(6003)->dbname, "db");
	fake_pq_to(6003)->in_recovery = true;
	fake_pq_ready(fake_pq_to(6003));
	world_turn_until(&w, fake_pq_to(6004) != NULL);
	load_with(fake_pq_to(6004), "danger");
	ck_assert_uint_eq(now()->n, 1);
	ck_assert_uint_eq(now()->entry[0].owner, owner_of(6003));
	ck_assert(world_has_logged(&w, "catalog loaded db=db"));
	turns(10);
	ck_assert_uint_eq(fake_pq_n_in_use(), 0);
}
END_TEST

START_TEST(without_routing_and_a_primary_the_first_host_is_read)
{
	catalog_load_want(l, owner_of(6003), "db", false);
	for (uint16_t port = 6003; port <= 6004; port++) {
		world_turn_until(&w, fake_pq_to(port) != NULL);
		fake_pq_to(port)->in_recovery = true;
		fake_pq_ready(fake_pq_to(port));
	}
	world_turn_until(&w, fake_pq_to(6003) != NULL);
	fake_pq_to(6003)->in_recovery = true;
	load_with(fake_pq_to(6003), "danger");
	ck_assert_uint_eq(now()->n, 1);
}
END_TEST

START_TEST(without_routing_a_host_that_fails_is_passed_over)
{
	catalog_load_want(l, owner_of(6003), "db", false);
	world_turn_until(&w, fake_pq_to(6003) != NULL);
	fake_pq_fail(fake_pq_to(6003), PQ_FAILED_REFUSED, "28P01", "no");
	ck_assert(world_has_logged(&w, "catalog not loaded db=db sqlstate=28P01"));
	world_turn_until(&w, fake_pq_to(6004) != NULL);
	load_with(fake_pq_to(6004), "danger");
	ck_assert_uint_eq(now()->n, 1);
}
END_TEST

START_TEST(without_routing_and_a_user_nothing_is_asked)
{
	catalog_load_want(l, owner_of(6005), "db", false);
	world_turn_until(&w, world_has_logged(&w, "catalog not loaded db=db sqlstate=-"));
	turns(5);
	ck_assert_uint_eq(fake_pq_n, 0);
}
END_TEST

START_TEST(unknown_clusters_are_ignored)
{
	catalog_load_want(l, 7, "db", false);
	catalog_load_want(l, CATALOG_OF_NODE + 77, "db", false);
	catalog_load_want(l, CATALOG_OF_NODE + CONF_NODES_MAX, "db", false);
	catalog_load_want(l, 100000, "db", false);
	turns(5);
	ck_assert_uint_eq(fake_pq_n, 0);
}
END_TEST

START_TEST(without_a_primary_it_waits_for_one)
{
	set_primary(TOPO_NONE);
	catalog_load_want(l, 0, "db", false);
	turns(5);
	ck_assert_uint_eq(fake_pq_n, 0);
	set_primary(1);
	catalog_load_primary_changed(l, 0);
	world_turn_until(&w, fake_pq_to(6002) != NULL);
}
END_TEST

START_TEST(ddl_loads_again_but_not_at_once)
{
	uint64_t from;

	catalog_load_want(l, 0, "db", false);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	load_with(fake_pq_to(6001), "a");
	from = env_now_us(&w.env);
	for (unsigned i = 0; i < 100; i++)
		catalog_load_want(l, 0, "db", true);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	ck_assert_uint_ge(env_now_us(&w.env) - from, CATALOG_SETTLE_US);
	ck_assert_uint_eq(fake_pq_n, 2);
	ck_assert_uint_eq(now()->n, 0); /* the old one does not know what was made */
	/* DDL while it is loading: what comes may be too old. */
	catalog_load_want(l, 0, "db", true);
	load_with(fake_pq_to(6001), "b");
	ck_assert_uint_eq(now()->n, 0);
	world_turn_until(&w, fake_pq_n == 3);
	load_with(fake_pq_to(6001), "c");
	ck_assert_uint_eq(now()->n, 1);
}
END_TEST

START_TEST(failed_load_after_ddl_is_tried_again_without_the_old_one)
{
	catalog_load_want(l, 0, "db", false);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	load_with(fake_pq_to(6001), "a");
	catalog_load_want(l, 0, "db", true);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	fake_pq_fail(fake_pq_to(6001), PQ_FAILED_REFUSED, "3D000", "no such database");
	ck_assert(world_has_logged(&w, "catalog not loaded cluster=0 db=db sqlstate=3D000"));
	ck_assert_uint_eq(now()->n, 0); /* nothing is judged by what is older than the DDL */
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	fake_pq_ready(fake_pq_to(6001));
	fake_pq_error(fake_pq_to(6001), "57014", "too slow");
	ck_assert_uint_eq(now()->n, 0);
}
END_TEST

START_TEST(rows_that_make_no_sense_spoil_the_load)
{
	const char *bad[] = {"nonsense", "x"}, *null[] = {"function", NULL};

	catalog_load_want(l, 0, "db", false);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	fake_pq_ready(fake_pq_to(6001));
	fake_pq_row(fake_pq_to(6001), bad, 2);
	fake_pq_done(fake_pq_to(6001));
	ck_assert_uint_eq(now()->n, 0);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	fake_pq_ready(fake_pq_to(6001));
	fake_pq_row(fake_pq_to(6001), null, 2);
	fake_pq_done(fake_pq_to(6001));
	ck_assert_uint_eq(now()->n, 0);
}
END_TEST

START_TEST(old_servers_are_refused)
{
	catalog_load_want(l, 0, "db", false);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	fake_pq_to(6001)->version = 120000;
	fake_pq_ready(fake_pq_to(6001));
	ck_assert_uint_eq(fake_pq_n_in_use(), 0);
	ck_assert(world_has_logged(&w, "older than PostgreSQL 13"));
}
END_TEST

START_TEST(few_loads_run_at_once)
{
	char name[16];

	for (unsigned i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "db%u", i);
		catalog_load_want(l, 0, name, false);
	}
	turns(5);
	ck_assert_uint_eq(fake_pq_n_in_use(), CATALOG_AT_ONCE);
	load_with(fake_pq_to(6001), "a");
	turns(5);
	ck_assert_uint_eq(fake_pq_n, CATALOG_AT_ONCE + 1);
	for (unsigned done = 1; done < 10; done++) {
		world_turn_until(&w, fake_pq_to(6001) != NULL);
		load_with(fake_pq_to(6001), "a");
	}
	ck_assert_uint_eq(now()->n, 10);
}
END_TEST

START_TEST(number_of_databases_is_bounded)
{
	char name[16];

	set_primary(TOPO_NONE);
	for (unsigned i = 0; i <= CATALOG_LOADS_MAX; i++) {
		snprintf(name, sizeof name, "db%u", i);
		catalog_load_want(l, 0, name, false);
	}
	ck_assert(world_has_logged(&w, "too many databases"));
}
END_TEST

START_TEST(catalogs_of_a_cluster_that_has_gone_are_dropped)
{
	catalog_load_want(l, 0, "db", false);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	load_with(fake_pq_to(6001), "a");
	world_set_conf(&w, "[databases]\nx = host=10.0.0.7\n[pgweir]\nlisten_addr = 127.0.0.1\n");
	catalog_load_conf_changed(l);
	ck_assert_uint_eq(now()->n, 0);
}
END_TEST

START_TEST(it_is_refreshed_on_a_timer)
{
	teardown();
	setup_with("1", "my_function");
	catalog_load_want(l, 0, "db", false);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	load_with(fake_pq_to(6001), "a");
	ck_assert_uint_ne(catalog_n_names(now()->entry[0].catalog), 0);
	world_turn_until(&w, fake_pq_n == 2);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("catalog_load");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, catalog_is_loaded_once_from_the_primary);
	tcase_add_test(tc, without_routing_the_host_that_is_a_primary_is_read);
	tcase_add_test(tc, without_routing_and_a_primary_the_first_host_is_read);
	tcase_add_test(tc, without_routing_a_host_that_fails_is_passed_over);
	tcase_add_test(tc, without_routing_and_a_user_nothing_is_asked);
	tcase_add_test(tc, unknown_clusters_are_ignored);
	tcase_add_test(tc, without_a_primary_it_waits_for_one);
	tcase_add_test(tc, ddl_loads_again_but_not_at_once);
	tcase_add_test(tc, failed_load_after_ddl_is_tried_again_without_the_old_one);
	tcase_add_test(tc, rows_that_make_no_sense_spoil_the_load);
	tcase_add_test(tc, old_servers_are_refused);
	tcase_add_test(tc, few_loads_run_at_once);
	tcase_add_test(tc, number_of_databases_is_bounded);
	tcase_add_test(tc, catalogs_of_a_cluster_that_has_gone_are_dropped);
	tcase_add_test(tc, it_is_refreshed_on_a_timer);
	return unit_run("catalog_load", tc);
}
