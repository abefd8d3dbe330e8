#include "conf/advice.h"

#include "fixture.h"

static struct advice_facts facts;
static struct conf *conf;

static void setup(void)
{
	fixture_init();
	memset(&facts, 0, sizeof facts);
	conf = NULL;
}

static void teardown(void)
{
	conf_free(conf);
	fixture_fini();
}

/* Advice on a file with these lines, in [pgweir], after one database; `db` is added to that. */
static void advise(const char *db, const char *lines)
{
	char text[2048];

	snprintf(text, sizeof text, "[databases]\na = host=h %s\n[pgweir]\n%s", db, lines);
	conf_free(conf);
	ck_assert_int_eq(fixture_load(text, NULL, &conf), OK);
	advice_check(conf, &facts, &fixture_found);
}

#define NETWORK  "listen_addr = *\n"
#define LOOPBACK "listen_addr = 127.0.0.1, ::1, localhost\n"

/* What is told of `bad`, where; and that `good` is told nothing of. */
static const struct {
	const char *db, *bad, *told, *good_db, *good;
} cases[] = {
	{"", NETWORK "auth_type = trust\n", "t.ini:5: auth_type = trust: asks for no password", "",
		LOOPBACK "auth_type = trust\n"},
	{"", NETWORK "auth_type = any\n", "t.ini:5: auth_type = any: asks for no password", "",
		NETWORK "auth_type = md5\n"},
	{"", LOOPBACK "stats_port = 9\nstats_addr = *\n",
		"t.ini:6: stats_addr = *: whoever reaches the stats port", "",
		LOOPBACK "stats_port = 9\n"},
	{"", LOOPBACK "stats_port = 9\nstats_addr = *\nstats_auth = a:b\n",
		"t.ini:6: stats_addr = *: the password of stats_auth crosses the network", "",
		LOOPBACK "stats_port = 9\nstats_addr = *\nstats_auth = a:b\n"
			 "stats_tls_cert_file = c\nstats_tls_key_file = k\n"},
	{"", NETWORK "auth_type = plain\n",
		"t.ini:5: auth_type = plain: passwords cross the network as they are", "",
		NETWORK "auth_type = plain\nclient_tls_sslmode = require\n"
			"client_tls_cert_file = c\nclient_tls_key_file = k\n"},
	{"", LOOPBACK "patroni_auth = a:b\n",
		"t.ini:5: patroni_auth = ***: the password crosses the network", "",
		LOOPBACK "patroni_auth = a:b\n"
			 "patroni_tls_ca_file = f\n"},
	{"", LOOPBACK "client_login_timeout = 0\n", "t.ini:5: client_login_timeout = 0: who", "",
		LOOPBACK "client_login_timeout = 1\n"},
	{"", NETWORK "tcp_keepalive = 0\n", "t.ini:5: tcp_keepalive = 0: clients whose", "",
		NETWORK "tcp_keepalive = 0\nclient_idle_timeout = 9\n"},
	{"", LOOPBACK "query_timeout = 9\ntransaction_timeout = 8\n",
		"t.ini:5: query_timeout = 9: never takes effect: transaction_timeout is shorter",
		"", LOOPBACK "query_timeout = 9\ntransaction_timeout = 9\n"},
	{"", LOOPBACK "idle_transaction_timeout = 9\ntransaction_timeout = 8\n",
		"t.ini:5: idle_transaction_timeout = 9: never takes effect", "",
		LOOPBACK "idle_transaction_timeout = 9\n"},
	{"", LOOPBACK "query_wait_notify = 9\nquery_wait_timeout = 8\n",
		"t.ini:5: query_wait_notify = 9: never takes effect", "",
		LOOPBACK "query_wait_timeout = 3\nserver_connect_timeout = 1\n"},
	{"", LOOPBACK "server_idle_timeout = 9\nserver_lifetime = 8\n",
		"t.ini:5: server_idle_timeout = 9: never takes effect", "",
		LOOPBACK "server_lifetime = 8\n"},
	{"", LOOPBACK "server_check_delay = 700\n",
		"t.ini:5: server_check_delay = 700: never takes effect", "",
		LOOPBACK "server_check_delay = 600\n"},
	{"", LOOPBACK "query_wait_timeout = 9\n",
		"server_connect_timeout = 15: is not below query_wait_timeout", "",
		LOOPBACK "query_wait_timeout = 16\n"},
	{"", LOOPBACK "reserve_pool_size = 1\nreserve_pool_timeout = 0\n",
		"t.ini:5: reserve_pool_size = 1: never used", "",
		LOOPBACK "reserve_pool_size = 1\n"},
	{"", LOOPBACK "reserve_pool_size = 1\nreserve_pool_timeout = 120\n",
		"t.ini:6: reserve_pool_timeout = 120: the reserve is never used", "",
		LOOPBACK "reserve_pool_timeout = 120\n"},
	{"", LOOPBACK "max_lag = 50ms\n", "t.ini:5: max_lag = 0.05: is below lag_check_interval",
		"", LOOPBACK "max_lag = 0.1\n"},
	{"", LOOPBACK "node_timeout = 1\nlag_check_interval = 0.6\n",
		"t.ini:5: node_timeout = 1: is below two", "",
		LOOPBACK "node_timeout = 1\nlag_check_interval = 0.5\n"},
	{"", LOOPBACK "eject_time = 60\neject_time_max = 50\n",
		"t.ini:6: eject_time_max = 50: is below eject_time", "",
		LOOPBACK "eject_time = 60\n"},
	{"", LOOPBACK "max_client_conn = 19\n",
		"t.ini:5: max_client_conn = 19: is below default_pool_size", "",
		LOOPBACK "max_client_conn = 20\n"},
	{"", LOOPBACK "max_node_connections = 19\n",
		"default_pool_size = 20: is above max_node_connections (19)", "",
		LOOPBACK "max_node_connections = 20\n"},
	{"", LOOPBACK "max_user_connections = 19\n",
		"default_pool_size = 20: is above max_user_connections (19)", "",
		LOOPBACK "max_user_connections = 20\n"},
	{"pool_size=3 min_pool_size=4", LOOPBACK,
		"t.ini:2: a: min_pool_size (4) is above its pool size (3)",
		"pool_size=3 min_pool_size=3", LOOPBACK},
	{"max_db_connections=19", LOOPBACK,
		"t.ini:2: a: its pool size (20) is above max_db_connections (19)",
		"max_db_connections=20", LOOPBACK},
};

START_TEST(what_is_unwise_is_told_with_its_reason)
{
	advise(cases[_i].db, cases[_i].bad);
	ck_assert_msg(fixture_has(FINDING_WARNING, cases[_i].told), "%s", cases[_i].told);
	ck_assert_uint_eq(fixture_found.n_errors, 0);
	advise(cases[_i].good_db, cases[_i].good);
	for (size_t i = 0; i < fixture_found.n; i++)
		ck_assert_msg(fixture_found.items[i].kind != FINDING_WARNING, "%s: %s",
			fixture_found.items[i].key, fixture_found.items[i].text);
}
END_TEST

START_TEST(what_the_system_gives_is_compared)
{
	facts.files_max = 183;
	advise("", LOOPBACK "max_client_conn = 100\n");
	ck_assert(fixture_has(FINDING_WARNING,
		"t.ini:5: max_client_conn = 100: with all servers up to 184 open files"));
	facts.files_max = 184;
	advise("", LOOPBACK "max_client_conn = 100\n");
	ck_assert(!fixture_has(FINDING_WARNING, "max_client_conn"));
	facts.auth_file_mode = 0644;
	advise("", LOOPBACK "auth_file = u\n");
	ck_assert(fixture_has(FINDING_WARNING, "t.ini:5: auth_file = u: everybody"));
	facts.auth_file_mode = 0640;
	advise("", LOOPBACK "auth_file = u\n");
	ck_assert(!fixture_has(FINDING_WARNING, "auth_file"));
	facts.config_mode = 0644;
	advise("", LOOPBACK "monitor_user = m\nmonitor_password = secret\n");
	ck_assert(fixture_has(FINDING_WARNING, "t.ini:6: monitor_password = ***: everybody"));
	advise("password=secret", LOOPBACK);
	ck_assert(fixture_has(FINDING_WARNING, "t.ini:2: a: everybody"));
	advise("", LOOPBACK);
	ck_assert(!fixture_has(FINDING_WARNING, "everybody"));
	facts.config_mode = 0640;
	advise("password=secret", LOOPBACK);
	ck_assert(!fixture_has(FINDING_WARNING, "everybody"));
}
END_TEST

START_TEST(pools_are_compared_with_what_a_node_has)
{
	facts.n_users = 3;
	advise("", LOOPBACK "reserve_pool_size = 5\n");
	ck_assert_uint_eq(conf->n_nodes, 1);
	ck_assert_uint_eq(advice_node_servers(conf, conf->nodes[0].id, 3), 75);
	facts.node_connections_max[conf->nodes[0].id] = 74;
	advise("", LOOPBACK "reserve_pool_size = 5\n");
	ck_assert(fixture_has(FINDING_WARNING, "default_pool_size = 20: node h:5432 has 74"));
	advise("", LOOPBACK "reserve_pool_size = 5\nmax_node_connections = 74\n");
	ck_assert(!fixture_has(FINDING_WARNING, "default_pool_size"));
	advise("max_db_connections = 74", LOOPBACK "reserve_pool_size = 5\n");
	ck_assert(!fixture_has(FINDING_WARNING, "default_pool_size"));
	advise("user=u", LOOPBACK "reserve_pool_size = 5\n");
	ck_assert(!fixture_has(FINDING_WARNING, "default_pool_size"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("advice");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
		tc, what_is_unwise_is_told_with_its_reason, 0, sizeof cases / sizeof *cases);
	tcase_add_test(tc, what_the_system_gives_is_compared);
	tcase_add_test(tc, pools_are_compared_with_what_a_node_has);
	return unit_run("advice", tc);
}
