#include "control/resolve.h"

#include <netinet/in.h>
#include <sys/un.h>

#include "control_unit.h"
#include "net/resolver.h"

#define CONF                                                            \
	"[databases]\n"                                                 \
	"a = host=10.0.0.1,localhost,/var/run/pg port=6001,6002,6003\n" \
	"[pgweir]\nlisten_addr = 127.0.0.1\n"

static struct world w;
static struct resolve *r;
static unsigned n_changes[NODES_MAX];

static void on_change(void *arg, uint32_t node)
{
	(void)arg;
	n_changes[node]++;
}

static void on_name(void *arg, const char *host, const struct net_addr *addrs, size_t n)
{
	(void)arg;
	(void)addrs;
	ck_assert_str_eq(host, "localhost");
	ck_assert_uint_ne(n, 0);
}

static const struct resolve_ops ops = {on_change, on_name};

static void setup(void)
{
	world_init(&w, CONF, WORLD_USERS, 0);
	memset(n_changes, 0, sizeof n_changes);
	ck_assert_int_eq(resolve_new(&w.env, &ops, NULL, &r), OK);
	resolve_conf_changed(r);
}

static void teardown(void)
{
	resolve_free(r);
	world_fini(&w);
}

static const struct node_addr *addr(uint32_t node)
{
	return &atomic_load(&w.sh.addrs)->node[node];
}

START_TEST(literals_and_names_get_addresses)
{
	const struct sockaddr_in *in;

	world_turn_until(&w, addr(0)->n == 1 && addr(1)->n > 0 && addr(2)->n == 1);
	in = (const struct sockaddr_in *)(const void *)&addr(0)->addr[0];
	ck_assert_int_eq(in->sin_family, AF_INET);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0x0a000001);
	ck_assert_uint_eq(ntohs(in->sin_port), 6001);
	in = (const struct sockaddr_in *)(const void *)&addr(1)->addr[0];
	ck_assert_uint_eq(ntohs(in->sin_port), 6002); /* from the hosts file */
	ck_assert_str_eq(((const struct sockaddr_un *)(const void *)&addr(2)->addr[0])->sun_path,
		"/var/run/pg/.s.PGSQL.6003");
	ck_assert_uint_eq(n_changes[0], 1);
	ck_assert_uint_eq(n_changes[3], 0);
}
END_TEST

START_TEST(nodes_come_and_go_with_the_configuration)
{
	uint32_t generation;

	world_turn_until(&w, addr(0)->n == 1 && addr(1)->n > 0);
	generation = atomic_load(&w.sh.addrs)->generation;
	world_set_conf(&w, "[databases]\na = host=10.0.0.1,10.0.0.8 port=6001,6001\n"
			   "[pgweir]\nlisten_addr = x\n");
	resolve_conf_changed(r);
	world_turn_until(&w, addr(1)->n == 0 || n_changes[3] != 0);
	world_turn_until(&w, atomic_load(&w.sh.addrs)->generation > generation);
	ck_assert_uint_eq(addr(0)->n, 1);
	ck_assert_uint_eq(n_changes[0], 1); /* it was there before */
	resolve_again(r, 0);                /* a literal: nothing to do */
	resolve_again(r, 200);              /* no such node */
}
END_TEST

START_TEST(peers_have_addresses_too)
{
	const struct node_addr *p;
	const struct sockaddr_in *in;

	world_set_conf(&w, CONF "[peers]\n2 = host=10.0.0.2 port=7\n1 = host=/tmp/one\n");
	resolve_conf_changed(r);
	world_turn_until(&w, atomic_load(&w.sh.addrs)->peer[1].n == 1);
	p = atomic_load(&w.sh.addrs)->peer;
	in = (const struct sockaddr_in *)(const void *)&p[1].addr[0];
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0x0a000002);
	ck_assert_uint_eq(ntohs(in->sin_port), 7);
	ck_assert_str_eq(((const struct sockaddr_un *)(const void *)&p[0].addr[0])->sun_path,
		"/tmp/one/.s.PGSQL.6432");
	world_set_conf(&w, CONF "[peers]\n2 = host=10.0.0.2 port=7\n");
	resolve_conf_changed(r);
	world_turn_until(&w, atomic_load(&w.sh.addrs)->peer[1].n == 0);
	in = (const struct sockaddr_in *)(const void *)&atomic_load(&w.sh.addrs)->peer[0].addr[0];
	ck_assert_uint_eq(ntohs(in->sin_port), 7); /* now the first of them */
}
END_TEST

START_TEST(what_is_no_name_is_told_and_tried_again)
{
	char conf[512] = "[databases]\na = host=";

	memset(conf + strlen(conf), 'n', 255); /* more than a name of the DNS has */
	strcat(conf, " port=6001\n[pgweir]\nlisten_addr = x\n");
	world_set_conf(&w, conf);
	resolve_conf_changed(r);
	world_turn_until(&w, world_has_logged(&w, "1 host name not resolved host=nnn"));
	world_turn_until(&w, n_changes[3] == 1);
	ck_assert_str_eq(addr(3)->error, "not a host name");
	ck_assert_uint_eq(addr(3)->n, 0);
	world_forget_log(&w);
	for (unsigned i = 0; i < 10; i++)
		world_turn(&w, 150000);
	ck_assert(!world_has_logged(&w, "host name not resolved")); /* told once */
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("resolve");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, literals_and_names_get_addresses);
	tcase_add_test(tc, nodes_come_and_go_with_the_configuration);
	tcase_add_test(tc, peers_have_addresses_too);
	tcase_add_test(tc, what_is_no_name_is_told_and_tried_again);
	return unit_run("resolve", tc);
}
