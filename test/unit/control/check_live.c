/*
 * check_live - monitor, resolver and catalog loader on real PostgreSQL: a primary and its replicas.
 * Needs a configuration whose first cluster is up, in PGWEIR_LIVE_INI; else it is skipped.
 */
#include <stdio.h>

#include "conf/effective.h"
#include "control/catalog_load.h"
#include "control/monitor.h"
#include "control/resolve.h"
#include "control_unit.h"
#include "route/roles.h"
#include "sql/catalog.h"

#define SKIPPED 77

static struct world w;
static struct resolve *resolve;
static struct monitor *monitor;
static struct catalog_load *catalogs;

static void on_addr(void *arg, uint32_t node)
{
	(void)arg;
	monitor_addrs_changed(monitor, node);
}

static void on_topology(void *arg, uint32_t cluster, unsigned bits)
{
	(void)arg;
	if ((bits & ROLES_PRIMARY) != 0)
		catalog_load_primary_changed(catalogs, cluster);
}

static void on_unreachable(void *arg, uint32_t node)
{
	(void)arg;
	resolve_again(resolve, node);
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_gt(fread(text, 1, 65535, f), 0);
	fclose(f);
	return text;
}

static void setup(void)
{
	static const struct resolve_ops resolve_ops = {on_addr, NULL};
	static const struct monitor_ops monitor_ops = {on_topology, on_unreachable};
	char *text = read_text(getenv("PGWEIR_LIVE_INI"));

	world_init(&w, text, WORLD_USERS, 0);
	free(text);
	world_add_helpers(&w, 2);
	ck_assert_int_eq(monitor_new(&w.env, &monitor_ops, NULL, &monitor), OK);
	ck_assert_int_eq(resolve_new(&w.env, &resolve_ops, NULL, &resolve), OK);
	ck_assert_int_eq(catalog_load_new(&w.env, &catalogs), OK);
	resolve_conf_changed(resolve);
	ck_assert_int_eq(monitor_conf_changed(monitor), OK);
}

static void teardown(void)
{
	catalog_load_free(catalogs);
	monitor_free(monitor);
	resolve_free(resolve);
	world_fini(&w);
}

static const struct topology *topology(void)
{
	return atomic_load(&w.sh.topology);
}

static const struct conf_cluster *cluster(void)
{
	return &atomic_load(&w.sh.conf)->clusters[0];
}

static unsigned n_replicas(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < cluster()->n_nodes; i++) {
		const struct topo_node *node =
			topology_node(topology(), (uint16_t)cluster()->nodes[i]->id);

		n += node->role == TOPO_ROLE_REPLICA && node->health == TOPO_UP && node->follows &&
		     node->lag_known;
	}
	return n;
}

static bool has_primary(void)
{
	const struct topo_cluster *c = topology_cluster(topology(), (uint16_t)cluster()->id);

	return c != NULL && c->primary != TOPO_NONE;
}

START_TEST(roles_and_lag_are_found)
{
	world_turn_until(&w, has_primary() && n_replicas() == cluster()->n_nodes - 1);
	printf("%s", w.logged);
}
END_TEST

START_TEST(samples_go_on_fast_while_a_mark_is_open)
{
	uint16_t c = (uint16_t)cluster()->id;
	uint64_t first, from, us;

	world_turn_until(&w, has_primary());
	first = topology_cluster(topology(), c)->samples[0].number;
	mark_clock_want(&w.sh.clock, mark_clock_load(&w.sh.clock));
	from = env_now_us(&w.env);
	world_turn_until(&w, topology_cluster(topology(), c)->samples[0].number > first + 20);
	us = env_now_us(&w.env) - from;
	printf("20 samples of all nodes in %llu us\n", (unsigned long long)us);
	ck_assert_uint_lt(us, 5000000);
}
END_TEST

START_TEST(catalog_is_loaded_from_the_primary)
{
	const struct catalogs *all;
	const char *dbname = conf_monitor_dbname(atomic_load(&w.sh.conf), cluster()->db);
	uint64_t from;

	catalog_load_want(catalogs, cluster()->id, dbname, false);
	world_turn_until(&w, has_primary());
	from = env_now_us(&w.env);
	world_turn_until(&w, atomic_load(&w.sh.catalogs)->n == 1);
	all = atomic_load(&w.sh.catalogs);
	printf("%zu names, %zu bytes, %llu us\n", catalog_n_names(all->entry[0].catalog),
		catalog_mem_bytes(all->entry[0].catalog),
		(unsigned long long)(env_now_us(&w.env) - from));
	ck_assert_str_eq(all->entry[0].dbname, dbname);
	ck_assert_uint_gt(catalog_n_names(all->entry[0].catalog), 0);
	ck_assert(!catalog_is_all_unsafe(all->entry[0].catalog));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("live");

	if (getenv("PGWEIR_LIVE_INI") == NULL)
		return SKIPPED;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, roles_and_lag_are_found);
	tcase_add_test(tc, samples_go_on_fast_while_a_mark_is_open);
	tcase_add_test(tc, catalog_is_loaded_from_the_primary);
	return unit_run("live", tc);
}
