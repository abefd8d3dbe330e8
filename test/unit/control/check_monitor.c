#include "control/monitor.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "control/probe.h"
#include "control_unit.h"
#include "fake_pq.h"
#include "route/roles.h"

#define CONF                                                                   \
	"[databases]\n"                                                        \
	"app = host=10.0.0.1,10.0.0.2 port=6001,6002 user=appuser password=s " \
	"monitor_user=mon monitor_password=mpw dbname=appdb\n"                 \
	"[pgweir]\nlisten_addr = 127.0.0.1\nlag_check_interval = 30ms\nnode_timeout = 300ms\n"

static struct world w;
static struct monitor *m;
static unsigned seen_bits, n_unreachable;

static void on_change(void *arg, uint32_t cluster, unsigned bits)
{
	(void)arg;
	ck_assert_uint_eq(cluster, 0);
	seen_bits |= bits;
}

static void on_unreachable(void *arg, uint32_t node)
{
	(void)arg;
	(void)node;
	n_unreachable++;
}

static const struct monitor_ops ops = {on_change, on_unreachable};

/* As resolve publishes it. */
static void give_addrs(void)
{
	struct node_addrs *a = (struct node_addrs *)(uintptr_t)atomic_load(&w.sh.addrs);

	for (unsigned i = 0; i < 2; i++) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a->node[i].addr[0];

		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)(6001 + i));
		in->sin_addr.s_addr = htonl(0x0a000001 + i);
		a->node[i].addr_len[0] = sizeof *in;
		a->node[i].n = 1;
	}
}

static void setup(void)
{
	world_init(&w, CONF, WORLD_USERS, 1);
	give_addrs();
	fake_pq_n = 0;
	fake_pq_status = OK;
	seen_bits = n_unreachable = 0;
	ck_assert_int_eq(monitor_new(&w.env, &ops, NULL, &m), OK);
	ck_assert_int_eq(monitor_conf_changed(m), OK);
}

static void teardown(void)
{
	monitor_free(m);
	ck_assert_uint_eq(fake_pq_n_in_use(), 0);
	world_fini(&w);
}

static const struct topo_node *node(uint16_t i)
{
	return topology_node(atomic_load(&w.sh.topology), i);
}

static const struct topo_cluster *cluster(void)
{
	return topology_cluster(atomic_load(&w.sh.topology), 0);
}

static void identify(struct pq *c)
{
	const char *v[] = {"77", "1000", "16777216", "8192", "19"};

	ck_assert_ptr_nonnull(c);
	fake_pq_ready(c);
	ck_assert_ptr_eq(c->sql, probe_identity_sql);
	fake_pq_row(c, v, 5);
	fake_pq_done(c);
	ck_assert_ptr_eq(c->sql, probe_sample_sql);
}

static void answer(struct pq *c, bool rec, const char *lsn, unsigned timeline)
{
	char tl[32];
	const char *v[] = {rec ? "t" : "f", lsn, tl, "f", rec ? NULL : lsn, "200ms"};

	if (rec)
		snprintf(tl, sizeof tl, "%u", timeline);
	else
		snprintf(tl, sizeof tl, "%08X0000000000000001", timeline);
	ck_assert_ptr_nonnull(c);
	fake_pq_row(c, v, 6);
	fake_pq_done(c);
}

/* Both nodes connected and answered once: 6001 is the primary. */
static void settle(void)
{
	world_turn_until(&w, fake_pq_to(6001) != NULL && fake_pq_to(6002) != NULL);
	identify(fake_pq_to(6001));
	answer(fake_pq_to(6001), false, "0/3000100", 1);
	identify(fake_pq_to(6002));
	answer(fake_pq_to(6002), true, "0/3000100", 1);
	world_turn_until(&w, cluster()->primary == 0 && node(1)->health == TOPO_UP);
}

START_TEST(nodes_are_watched_as_the_monitors_user)
{
	settle();
	ck_assert_str_eq(fake_pq_to(6001)->host, "10.0.0.1");
	ck_assert_str_eq(fake_pq_to(6001)->hostaddr, "10.0.0.1");
	ck_assert_str_eq(fake_pq_to(6001)->user, "mon");
	ck_assert_str_eq(fake_pq_to(6001)->password, "mpw");
	ck_assert_str_eq(fake_pq_to(6001)->dbname, "appdb");
	ck_assert_uint_eq(fake_pq_to(6001)->timeout_us, 300000);
	ck_assert_int_eq(node(0)->role, TOPO_ROLE_PRIMARY);
	ck_assert_int_eq(node(1)->role, TOPO_ROLE_REPLICA);
	ck_assert(node(1)->follows);
	ck_assert((seen_bits & ROLES_PRIMARY) != 0);
	ck_assert(
		world_has_logged(&w, "primary found cluster=0 node=10.0.0.1:6001 timeline=1 "
				     "reason=\"it is not in recovery, on the highest timeline\""));
	ck_assert(world_has_logged(&w, "node is up node=10.0.0.2:6002"));
	ck_assert(world_has_logged(&w, "reason=\"its first answer\""));
	ck_assert(world_has_logged(&w,
		"pools may want more connections than the node has node=10.0.0.1:6001 wanted=20 "
		"has=19"));
}
END_TEST

START_TEST(sample_is_counted_before_it_is_sent)
{
	uint64_t before;
	struct pq *c;

	settle();
	c = fake_pq_to(6001);
	before = mark_clock_load(&w.sh.clock);
	fake_pq_clock = &w.sh.clock;
	world_turn_until(&w, c->sql != NULL);
	fake_pq_clock = NULL;
	ck_assert_uint_gt(mark_clock_load(&w.sh.clock), before);
	answer(c, false, "0/3000200", 1);
	world_turn_until(&w, cluster()->samples[0].at.lsn == 0x3000200);
	ck_assert_uint_gt(cluster()->samples[0].number, before);
	ck_assert_uint_le(cluster()->samples[0].number, c->clock_then);
}
END_TEST

/* How long five samples take while a mark is open. */
static uint64_t five_samples_us(struct pq *c)
{
	uint64_t from;

	world_turn_until(&w, c->sql != NULL);
	mark_clock_want(&w.sh.clock, mark_clock_load(&w.sh.clock));
	answer(c, false, "0/3000200", 1);
	from = env_now_us(&w.env);
	for (unsigned i = 0; i < 5; i++) {
		world_turn_until(&w, c->sql != NULL);
		answer(c, false, "0/3000200", 1);
	}
	return env_now_us(&w.env) - from;
}

START_TEST(samples_are_faster_while_a_mark_is_open)
{
	uint64_t us = UINT64_MAX;

	settle();
	/* Five usual intervals; a busy machine may take longer at times. */
	for (unsigned i = 0; i < 20 && us >= 5 * 30000; i++)
		us = five_samples_us(fake_pq_to(6001));
	ck_assert_uint_lt(us, 5 * 30000);
}
END_TEST

START_TEST(lost_node_is_down_and_comes_back)
{
	settle();
	fake_pq_fail(fake_pq_to(6002), PQ_FAILED_UNREACHABLE, "", "it broke");
	world_turn_until(&w, node(1)->health == TOPO_DOWN);
	ck_assert_str_eq(node(1)->text, "it broke");
	ck_assert((seen_bits & ROLES_NODE_DOWN) != 0);
	ck_assert_uint_eq(n_unreachable, 1);
	ck_assert(world_has_logged(&w, "node is down node=10.0.0.2:6002"));
	world_turn_until(&w, fake_pq_to(6002) != NULL);
	identify(fake_pq_to(6002));
	answer(fake_pq_to(6002), true, "0/3000100", 1);
	world_turn_until(&w, node(1)->health == TOPO_UP);
	ck_assert(world_has_logged(&w, "reason=\"it answers again\""));
}
END_TEST

START_TEST(back_off_is_bounded_and_probe_ends_it)
{
	uint64_t from;
	unsigned n;

	settle();
	for (unsigned i = 0; i < 6; i++) {
		world_turn_until(&w, fake_pq_to(6002) != NULL);
		fake_pq_fail(fake_pq_to(6002), PQ_FAILED_UNREACHABLE, "", "still broken");
	}
	n = fake_pq_n;
	from = env_now_us(&w.env);
	monitor_probe_now(m, 1);
	world_turn_until(&w, fake_pq_to(6002) != NULL);
	ck_assert_uint_lt(env_now_us(&w.env) - from, MONITOR_REST_MAX_US * 4 / 5);
	ck_assert_uint_eq(fake_pq_n, n + 1);
	monitor_probe_now(m, 200); /* no such node */
}
END_TEST

START_TEST(refused_login_is_an_error_that_is_told_once)
{
	settle();
	fake_pq_fail(fake_pq_to(6002), PQ_FAILED_REFUSED, "28P01", "password wrong");
	world_turn_until(&w, node(1)->health == TOPO_REFUSED);
	ck_assert_str_eq(node(1)->text, "password wrong");
	ck_assert(cluster()->monitor_refused);
	ck_assert(world_has_logged(&w, "0 monitor is refused node=10.0.0.2:6002 user=mon "
				       "sqlstate=28P01 reason=\"password wrong\""));
	world_forget_log(&w);
	world_turn_until(&w, fake_pq_to(6002) != NULL);
	fake_pq_fail(fake_pq_to(6002), PQ_FAILED_REFUSED, "28P01", "password wrong");
	ck_assert(!world_has_logged(&w, "monitor is refused"));
}
END_TEST

START_TEST(silent_node_is_taken_out)
{
	settle();
	/* Nobody answers any more; pq would tell a timeout, too. */
	world_turn_until(&w, node(0)->health == TOPO_DOWN);
	ck_assert_uint_eq(cluster()->primary, TOPO_NONE);
	ck_assert(world_has_logged(&w, "cluster has no primary cluster=0 was=10.0.0.1:6001 "
				       "reason=\"no answer within node_timeout\""));
}
END_TEST

START_TEST(promotion_moves_the_primary)
{
	settle();
	fake_pq_fail(fake_pq_to(6001), PQ_FAILED_UNREACHABLE, "", "gone");
	world_turn_until(&w, fake_pq_to(6002)->sql != NULL);
	answer(fake_pq_to(6002), false, "0/3000300", 2);
	world_turn_until(&w, cluster()->primary == 1);
	ck_assert_uint_eq(cluster()->timeline_max, 2);
	/* The old one is back as it was: never again. */
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	identify(fake_pq_to(6001));
	answer(fake_pq_to(6001), false, "0/3000200", 1);
	world_turn_until(&w, node(0)->fenced);
	ck_assert_uint_eq(cluster()->primary, 1);
}
END_TEST

START_TEST(failed_query_ends_the_connection)
{
	struct pq *c;

	settle();
	c = fake_pq_to(6002);
	world_turn_until(&w, c->sql != NULL);
	fake_pq_error(c, "57014", "statement timeout");
	ck_assert(!c->in_use);
	world_turn_until(&w, fake_pq_to(6002) != NULL);
	fake_pq_ready(fake_pq_to(6002));
	{
		const char *v[] = {"77", "now", "16777216", "8192"};

		fake_pq_row(fake_pq_to(6002), v, 4);
		fake_pq_done(fake_pq_to(6002));
	}
	ck_assert_ptr_null(fake_pq_to(6002));
	world_turn_until(&w, fake_pq_to(6002) != NULL); /* and it goes on */
}
END_TEST

START_TEST(trouble_of_our_own_says_nothing_about_the_node)
{
	settle();
	fake_pq_status = E_LIMIT;
	fake_pq_fail(fake_pq_to(6002), PQ_FAILED_LOCAL, "", "no memory");
	world_turn(&w, 1000);
	world_turn(&w, 1000);
	ck_assert_int_eq(node(1)->health, TOPO_UP);
}
END_TEST

START_TEST(unresolved_name_is_waited_for)
{
	struct node_addrs *a = (struct node_addrs *)(uintptr_t)atomic_load(&w.sh.addrs);

	a->node[1].n = 0;
	strcpy(a->node[1].error, "no such host name");
	world_turn_until(&w, fake_pq_to(6001) != NULL && n_unreachable > 0);
	ck_assert_ptr_null(fake_pq_to(6002));
	world_turn_until(&w, strcmp(node(1)->text, "no such host name") == 0);
	a->node[1].n = 1;
	monitor_addrs_changed(m, 1);
	world_turn_until(&w, fake_pq_to(6002) != NULL);
}
END_TEST

START_TEST(hidden_timeline_is_told_once)
{
	const char *v[] = {"t", "0/3000100", "1", "t", NULL, "200ms"};

	settle();
	for (unsigned i = 0; i < 2; i++) {
		world_turn_until(&w, fake_pq_to(6002)->sql != NULL);
		fake_pq_row(fake_pq_to(6002), v, 6);
		fake_pq_done(fake_pq_to(6002));
		ck_assert(world_has_logged(&w, "cannot see a replica's timeline") == (i == 0));
		world_forget_log(&w);
	}
}
END_TEST

START_TEST(reload_keeps_what_is_known_and_follows_the_login)
{
	struct pq *a, *b;

	settle();
	a = fake_pq_to(6001);
	b = fake_pq_to(6002);
	world_set_conf(&w,
		"[databases]\napp = host=10.0.0.1 port=6001 user=appuser password=s routing=on "
		"monitor_user=mon monitor_password=mpw dbname=appdb\n"
		"[pgweir]\nlisten_addr = 127.0.0.1\n");
	ck_assert_int_eq(monitor_conf_changed(m), OK);
	ck_assert(a->in_use && !b->in_use);
	world_turn(&w, 1000);
	ck_assert_uint_eq(cluster()->primary, 0);
	world_set_conf(&w,
		"[databases]\napp = host=10.0.0.1 port=6001 user=appuser password=s routing=on "
		"monitor_user=other monitor_password=mpw dbname=appdb\n"
		"[pgweir]\nlisten_addr = 127.0.0.1\n");
	ck_assert_int_eq(monitor_conf_changed(m), OK);
	ck_assert(!a->in_use);
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	ck_assert_str_eq(fake_pq_to(6001)->user, "other");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("monitor");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nodes_are_watched_as_the_monitors_user);
	tcase_add_test(tc, sample_is_counted_before_it_is_sent);
	tcase_add_test(tc, samples_are_faster_while_a_mark_is_open);
	tcase_add_test(tc, lost_node_is_down_and_comes_back);
	tcase_add_test(tc, back_off_is_bounded_and_probe_ends_it);
	tcase_add_test(tc, refused_login_is_an_error_that_is_told_once);
	tcase_add_test(tc, silent_node_is_taken_out);
	tcase_add_test(tc, promotion_moves_the_primary);
	tcase_add_test(tc, failed_query_ends_the_connection);
	tcase_add_test(tc, trouble_of_our_own_says_nothing_about_the_node);
	tcase_add_test(tc, unresolved_name_is_waited_for);
	tcase_add_test(tc, hidden_timeline_is_told_once);
	tcase_add_test(tc, reload_keeps_what_is_known_and_follows_the_login);
	return unit_run("monitor", tc);
}
