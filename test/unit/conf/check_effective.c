#include "conf/effective.h"

#include "fixture.h"

static struct conf *conf;

static void setup(void)
{
	fixture_init();
	conf = fixture_conf(
		"[pgweir]\n"
		"pool_mode=statement\ndefault_pool_size=20\nmin_pool_size=1\nreserve_pool_size=2\n"
		"max_db_connections=100\nmax_db_client_connections=101\n"
		"max_user_connections=102\nmax_user_client_connections=103\n"
		"server_lifetime=10\nquery_wait_timeout=11\nquery_timeout=12\n"
		"idle_transaction_timeout=13\ntransaction_timeout=14\nclient_idle_timeout=15\n"
		"max_lag=2\nauth_user=au\n"
		"[databases]\n"
		"plain = host=h\n"
		"own = host=h pool_mode=session pool_size=5 min_pool_size=0 reserve_pool_size=0 "
		"max_db_connections=6 max_db_client_connections=7 server_lifetime=0 "
		"query_wait_timeout=0 max_lag=3 consistency=eventual max_pinned=99\n"
		"zero = host=h max_db_connections=0 max_db_client_connections=0 max_pinned=0\n"
		"[users]\n"
		"u = pool_mode=transaction pool_size=3 reserve_pool_size=4 max_user_connections=8 "
		"max_user_client_connections=9 query_timeout=1 idle_transaction_timeout=2 "
		"transaction_timeout=3 client_idle_timeout=4 query_wait_timeout=5 "
		"consistency=session\n"
		"z = max_user_connections=0 query_timeout=0 idle_transaction_timeout=0 "
		"transaction_timeout=0 client_idle_timeout=0\n");
}

static void teardown(void)
{
	conf_free(conf);
	fixture_fini();
}

#define S UINT64_C(1000000)

START_TEST(user_is_over_database_is_over_global)
{
	const struct conf_db *plain = conf_find_db(conf, "plain"), *own = conf_find_db(conf, "own");
	const struct conf_user *u = conf_find_user(conf, "u"), *z = conf_find_user(conf, "z");

	ck_assert_int_eq(conf_pool_mode(conf, plain, NULL), POOL_MODE_STATEMENT);
	ck_assert_int_eq(conf_pool_mode(conf, own, NULL), POOL_MODE_SESSION);
	ck_assert_int_eq(conf_pool_mode(conf, own, z), POOL_MODE_SESSION);
	ck_assert_int_eq(conf_pool_mode(conf, own, u), POOL_MODE_TRANSACTION);
	ck_assert_uint_eq(conf_pool_size(conf, plain, NULL), 20);
	ck_assert_uint_eq(conf_pool_size(conf, own, z), 5);
	ck_assert_uint_eq(conf_pool_size(conf, own, u), 3);
	ck_assert_uint_eq(conf_reserve_pool_size(conf, plain, z), 2);
	ck_assert_uint_eq(conf_reserve_pool_size(conf, own, NULL), 0);
	ck_assert_uint_eq(conf_reserve_pool_size(conf, own, u), 4);
	ck_assert_uint_eq(conf_min_pool_size(conf, plain), 1);
	ck_assert_uint_eq(conf_min_pool_size(conf, own), 0);
	ck_assert_uint_eq(conf_query_wait_timeout_us(conf, plain, NULL), 11 * S);
	ck_assert_uint_eq(conf_query_wait_timeout_us(conf, own, z), 0);
	ck_assert_uint_eq(conf_query_wait_timeout_us(conf, own, u), 5 * S);
	ck_assert_uint_eq(conf_server_lifetime_us(conf, plain), 10 * S);
	ck_assert_uint_eq(conf_server_lifetime_us(conf, own), 0);
	ck_assert_uint_eq(conf_max_lag_us(conf, plain, NULL), 2 * S);
	ck_assert_uint_eq(conf_max_lag_us(conf, own, NULL), 3 * S);
	ck_assert_int_eq(conf_consistency(conf, plain, NULL), CONSISTENCY_SESSION);
	ck_assert_int_eq(conf_consistency(conf, own, z), CONSISTENCY_EVENTUAL);
	ck_assert_int_eq(conf_consistency(conf, own, u), CONSISTENCY_SESSION);
}
END_TEST

START_TEST(limit_of_zero_falls_back_to_the_global_one)
{
	const struct conf_db *own = conf_find_db(conf, "own"), *zero = conf_find_db(conf, "zero");
	const struct conf_user *u = conf_find_user(conf, "u"), *z = conf_find_user(conf, "z");

	ck_assert_uint_eq(conf_max_db_connections(conf, own), 6);
	ck_assert_uint_eq(conf_max_db_connections(conf, zero), 100);
	ck_assert_uint_eq(conf_max_db_client_connections(conf, own), 7);
	ck_assert_uint_eq(conf_max_db_client_connections(conf, zero), 101);
	ck_assert_uint_eq(conf_max_user_connections(conf, NULL), 102);
	ck_assert_uint_eq(conf_max_user_connections(conf, z), 102);
	ck_assert_uint_eq(conf_max_user_connections(conf, u), 8);
	ck_assert_uint_eq(conf_max_user_client_connections(conf, z), 103);
	ck_assert_uint_eq(conf_max_user_client_connections(conf, u), 9);
	ck_assert_uint_eq(conf_query_timeout_us(conf, NULL), 12 * S);
	ck_assert_uint_eq(conf_query_timeout_us(conf, z), 12 * S);
	ck_assert_uint_eq(conf_query_timeout_us(conf, u), 1 * S);
	ck_assert_uint_eq(conf_idle_transaction_timeout_us(conf, z), 13 * S);
	ck_assert_uint_eq(conf_idle_transaction_timeout_us(conf, u), 2 * S);
	ck_assert_uint_eq(conf_transaction_timeout_us(conf, z), 14 * S);
	ck_assert_uint_eq(conf_transaction_timeout_us(conf, u), 3 * S);
	ck_assert_uint_eq(conf_client_idle_timeout_us(conf, z), 15 * S);
	ck_assert_uint_eq(conf_client_idle_timeout_us(conf, u), 4 * S);
}
END_TEST

START_TEST(one_server_of_a_pool_stays_unpinned)
{
	struct conf *c;

	ck_assert_uint_eq(conf_max_pinned(conf, conf_find_db(conf, "plain"), NULL), 10);
	ck_assert_uint_eq(conf_max_pinned(conf, conf_find_db(conf, "own"), NULL), 4);
	ck_assert_uint_eq(
		conf_max_pinned(conf, conf_find_db(conf, "own"), conf_find_user(conf, "u")), 2);
	ck_assert_uint_eq(conf_max_pinned(conf, conf_find_db(conf, "zero"), NULL), 0);
	c = fixture_conf("[pgweir]\nmax_pinned = 3\n[databases]\na=\nb=pool_size=1\n");
	ck_assert_uint_eq(conf_max_pinned(c, conf_find_db(c, "a"), NULL), 3);
	ck_assert_uint_eq(conf_max_pinned(c, conf_find_db(c, "b"), NULL), 0);
	conf_free(c);
}
END_TEST

START_TEST(monitor_logs_in_as_the_nearest_user_with_its_password)
{
	static const struct {
		const char *global, *db, *user, *password, *dbname;
	} cases[] = {
		{"", "a = host=h", "", "", "a"},
		{"auth_user=au", "a = host=h dbname=d", "au", "", "d"},
		{"auth_user=au", "a = host=h auth_user=bu", "bu", "", "a"},
		{"auth_user=au", "a = host=h user=u password=p", "u", "p", "a"},
		{"monitor_user=m\nmonitor_password=mp", "a = host=h user=u password=p", "m", "mp",
			"a"},
		{"monitor_user=m", "a = host=h user=u password=p", "m", "", "a"},
		{"monitor_user=u", "a = host=h user=u password=p", "u", "p", "a"},
		{"monitor_user=m\nmonitor_password=mp", "a = monitor_user=n monitor_password=np",
			"n", "np", "a"},
		{"monitor_user=m\nmonitor_password=mp", "a = monitor_user=n", "n", "", "a"},
		{"monitor_dbname=md", "a = host=h dbname=d", "", "", "md"},
		{"monitor_dbname=md", "a = monitor_dbname=x dbname=d", "", "", "x"},
		{"", "* = host=h", "", "", "postgres"},
		{"", "* = host=h dbname=one", "", "", "one"},
	};
	char text[300];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct conf *c;

		snprintf(text, sizeof text, "[pgweir]\n%s\n[databases]\n%s\n", cases[i].global,
			cases[i].db);
		c = fixture_conf(text);
		ck_assert_str_eq(conf_monitor_user(c, c->dbs), cases[i].user);
		ck_assert_str_eq(conf_monitor_password(c, c->dbs), cases[i].password);
		ck_assert_str_eq(conf_monitor_dbname(c, c->dbs), cases[i].dbname);
		conf_free(c);
	}
}
END_TEST

START_TEST(proxies_are_trusted_by_their_networks)
{
	struct conf *c = fixture_conf("[pgweir]\nproxy_protocol_trusted = 10.0.0.0/8, ::1\n");
	struct cidr_addr in, out, none = cidr_addr_of(NULL, 0);

	ck_assert_int_eq(cidr_addr_parse("10.7.7.7", &in), OK);
	ck_assert_int_eq(cidr_addr_parse("11.7.7.7", &out), OK);
	ck_assert(conf_trusts_proxy(c, &in));
	ck_assert(!conf_trusts_proxy(c, &out));
	ck_assert(!conf_trusts_proxy(c, &none));
	conf_free(c);
}
END_TEST

START_TEST(auth_query_is_the_databases_else_the_global_one)
{
	struct conf *c =
		fixture_conf("[pgweir]\nauth_user = g\nauth_dbname = gd\n"
			     "auth_query = SELECT 1, $1\n[databases]\n"
			     "a = host=h\n"
			     "b = host=h auth_user=bu auth_dbname=bd auth_query='SELECT $1'\n");
	const struct conf_db *a = conf_find_db(c, "a"), *b = conf_find_db(c, "b");

	ck_assert_str_eq(conf_auth_user(c, a), "g");
	ck_assert_str_eq(conf_auth_query(c, a), "SELECT 1, $1");
	ck_assert_str_eq(conf_auth_dbname(c, a, "a"), "gd");
	ck_assert_str_eq(conf_auth_user(c, b), "bu");
	ck_assert_str_eq(conf_auth_query(c, b), "SELECT $1");
	ck_assert_str_eq(conf_auth_dbname(c, b, "b"), "bd");
	ck_assert_str_eq(conf_auth_user(c, NULL), "g");
	ck_assert_str_eq(conf_auth_dbname(c, NULL, ""), "gd");
	conf_free(c);
	c = fixture_conf("[databases]\n* = host=h\n");
	ck_assert_str_eq(conf_auth_user(c, c->dbs), "");
	ck_assert_str_eq(conf_auth_dbname(c, c->dbs, "x"), "x");
	ck_assert_str_eq(conf_auth_dbname(c, NULL, ""), "");
	ck_assert_ptr_nonnull(strstr(conf_auth_query(c, c->dbs), "rolvaliduntil"));
	conf_free(c);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("effective");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, auth_query_is_the_databases_else_the_global_one);
	tcase_add_test(tc, user_is_over_database_is_over_global);
	tcase_add_test(tc, limit_of_zero_falls_back_to_the_global_one);
	tcase_add_test(tc, one_server_of_a_pool_stays_unpinned);
	tcase_add_test(tc, monitor_logs_in_as_the_nearest_user_with_its_password);
	tcase_add_test(tc, proxies_are_trusted_by_their_networks);
	return unit_run("effective", tc);
}
