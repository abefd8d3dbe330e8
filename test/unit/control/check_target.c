#include "control/target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "control/pq_params.h"
#include "control_unit.h"

static struct world w;
static struct target t;

static void start(const char *db, const char *globals)
{
	char conf[1024];

	snprintf(conf, sizeof conf,
		"[databases]\napp = host=10.0.0.1,/sock port=6001,6002 %s\n"
		"[pgweir]\nlisten_addr = x\n%s\n",
		db, globals);
	world_init(&w, conf, WORLD_USERS, 0);
}

static struct node_addr *addr(uint32_t node)
{
	return &((struct node_addrs *)(uintptr_t)atomic_load(&w.sh.addrs))->node[node];
}

static void give(uint32_t node, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)&addr(node)->addr[i];

		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(0x0a000001 + i);
		addr(node)->addr_len[i] = sizeof *in;
	}
	addr(node)->n = n;
}

static enum status make(uint32_t node, uint32_t try_no, const char *dbname)
{
	const struct conf *conf = atomic_load(&w.sh.conf);

	return target_make(&w.env, &conf->clusters[0], conf->node_by_id[node], try_no, dbname, &t);
}

START_TEST(addresses_are_tried_in_turn)
{
	start("user=u password=p dbname=d", "");
	give(0, 2);
	ck_assert_int_eq(make(0, 0, NULL), OK);
	ck_assert_str_eq(t.pq.host, "10.0.0.1");
	ck_assert_str_eq(t.pq.hostaddr, "10.0.0.1");
	ck_assert_uint_eq(t.pq.port, 6001);
	ck_assert_str_eq(t.pq.dbname, "d");
	ck_assert_int_eq(make(0, 1, "other"), OK);
	ck_assert_str_eq(t.pq.hostaddr, "10.0.0.2");
	ck_assert_str_eq(t.pq.dbname, "other");
	ck_assert_int_eq(make(0, 2, NULL), OK);
	ck_assert_str_eq(t.pq.hostaddr, "10.0.0.1");
	world_fini(&w);
}
END_TEST

START_TEST(a_socket_has_no_numeric_address)
{
	struct sockaddr_un *un;

	start("user=u", "");
	un = (struct sockaddr_un *)(void *)&addr(1)->addr[0];
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, "/sock/.s.PGSQL.6002");
	addr(1)->addr_len[0] = sizeof *un;
	addr(1)->n = 1;
	ck_assert_int_eq(make(1, 0, NULL), OK);
	ck_assert_str_eq(t.pq.host, "/sock");
	ck_assert_str_eq(t.pq.hostaddr, "");
	world_fini(&w);
}
END_TEST

START_TEST(what_is_missing_is_told)
{
	start("", "");
	give(0, 1);
	ck_assert_int_eq(make(0, 0, NULL), E_NOTFOUND);
	ck_assert_ptr_nonnull(strstr(t.error, "monitor_user"));
	world_fini(&w);
	start("user=u", "");
	ck_assert_int_eq(make(0, 0, NULL), E_NOTFOUND);
	ck_assert_str_eq(t.error, "the name is being looked up");
	strcpy(addr(0)->error, "no such host name");
	ck_assert_int_eq(make(0, 0, NULL), E_NOTFOUND);
	ck_assert_str_eq(t.error, "no such host name");
	give(0, 1);
	addr(0)->addr[0].ss_family = AF_UNSPEC;
	ck_assert_int_eq(make(0, 0, NULL), E_NOTFOUND);
	world_fini(&w);
}
END_TEST

/* Settings, then the user that the monitor is, then its password. */
static const struct {
	const char *db, *globals, *user, *password;
} logins[] = {
	{"user=u password=p", "", "u", "p"},
	{"user=u password=p monitor_user=m", "", "m", ""},
	{"user=u password=p monitor_user=m monitor_password=mp", "", "m", "mp"},
	{"user=u password=p", "monitor_user=g\nmonitor_password=gp", "g", "gp"},
	{"user=plain", "", "plain", "pw"}, /* a plain line of auth_file */
	{"", "auth_user = plain", "plain", "pw"},
};

START_TEST(login_follows_the_configuration)
{
	start(logins[_i].db, logins[_i].globals);
	give(0, 1);
	ck_assert_int_eq(make(0, 0, NULL), OK);
	ck_assert_str_eq(t.pq.user, logins[_i].user);
	ck_assert_str_eq(t.pq.password, logins[_i].password);
	world_fini(&w);
}
END_TEST

static uint64_t hash_now(void)
{
	const struct conf *conf = atomic_load(&w.sh.conf);

	return target_hash(&w.env, &conf->clusters[0], &conf->nodes[0]);
}

START_TEST(hash_changes_with_the_login)
{
	static const char *const others[] = {"user=v password=p dbname=d",
		"user=u password=q dbname=d", "user=u password=p dbname=e",
		"user=u password=p dbname=d monitor_user=m"};
	char conf[512];
	uint64_t hash;

	start("user=u password=p dbname=d", "");
	hash = hash_now();
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(conf, sizeof conf,
			"[databases]\napp = host=10.0.0.1,/sock port=6001,6002 %s\n"
			"[pgweir]\nlisten_addr = x\n",
			others[i]);
		world_set_conf(&w, conf);
		ck_assert_uint_ne(hash_now(), hash);
	}
	world_set_conf(&w,
		"[databases]\nother = host=10.0.0.7 user=u\n"
		"app = host=10.0.0.1,/sock port=6001,6002 user=u password=p dbname=d pool_size=3\n"
		"[pgweir]\nlisten_addr = x\nserver_tls_sslmode = disable\n");
	ck_assert_uint_ne(hash_now(), hash);
	world_fini(&w);
}
END_TEST

static const char *param(const struct pq_params *p, const char *key)
{
	for (size_t i = 0; p->keys[i] != NULL; i++)
		if (strcmp(p->keys[i], key) == 0)
			return p->values[i];
	return NULL;
}

/* libpq verifies under "require" as soon as it has a root certificate: it must not get one. */
static const struct {
	enum tls_mode mode;
	const char *sslmode;
	bool has_root;
} modes[] = {
	{TLS_MODE_DISABLE, "disable", false},
	{TLS_MODE_ALLOW, "allow", false},
	{TLS_MODE_PREFER, "prefer", false},
	{TLS_MODE_REQUIRE, "require", false},
	{TLS_MODE_VERIFY_CA, "verify-ca", true},
	{TLS_MODE_VERIFY_FULL, "verify-full", true},
};

START_TEST(tls_settings_reach_libpq)
{
	struct conf_tls tls = {.sslmode = modes[_i].mode,
		.protocols = TLS_PROTOCOL_1_2 | TLS_PROTOCOL_1_3,
		.channel_binding = CHANNEL_BINDING_REQUIRE,
		.negotiation = TLS_NEGOTIATION_DIRECT,
		.ca_file = "/ca",
		.cert_file = "/cert",
		.key_file = "/key"};
	struct pq_target to = {.host = "h",
		.hostaddr = "",
		.port = 5,
		.dbname = "d",
		.user = "u",
		.password = "",
		.tls = &tls};
	struct pq_params p = {.n = 0};

	ck_assert_int_eq(pq_params_set(&p, &to, 150000), OK);
	ck_assert_ptr_null(param(&p, "sslnegotiation"));
	ck_assert_str_eq(param(&p, "sslmode"), modes[_i].sslmode);
	ck_assert_str_eq(param(&p, "channel_binding"), "require");
	ck_assert_str_eq(param(&p, "ssl_min_protocol_version"), "TLSv1.2");
	ck_assert_str_eq(param(&p, "ssl_max_protocol_version"), "TLSv1.3");
	ck_assert(modes[_i].has_root == (strcmp(param(&p, "sslrootcert"), "/ca") == 0));
	ck_assert_str_eq(param(&p, "sslcert"), "/cert");
	ck_assert_str_eq(param(&p, "sslkey"), "/key");
	ck_assert_ptr_null(param(&p, "hostaddr"));
	ck_assert_ptr_null(param(&p, "password"));
	ck_assert_str_eq(param(&p, "port"), "5");
	pq_params_fini(&p);
	ck_assert_ptr_null(p.keys[0]);
	tls.cert_file = "";
	tls.protocols = TLS_PROTOCOL_1_2;
	ck_assert_int_eq(pq_params_set(&p, &to, 170000), OK);
	ck_assert_str_eq(param(&p, "ssl_min_protocol_version"), "TLSv1.2");
	ck_assert_str_eq(param(&p, "ssl_max_protocol_version"), "TLSv1.2");
	ck_assert_str_eq(param(&p, "sslnegotiation"), "direct");
	ck_assert_str_ne(param(&p, "sslcert"), "/cert"); /* not the home directory's either */
	ck_assert_str_ne(param(&p, "sslcert"), "");
	pq_params_fini(&p);
	tls.protocols = TLS_PROTOCOL_1_3;
	ck_assert_int_eq(pq_params_set(&p, &to, 170000), OK);
	ck_assert_str_eq(param(&p, "ssl_min_protocol_version"), "TLSv1.3");
	pq_params_fini(&p);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("target");

	tcase_add_test(tc, addresses_are_tried_in_turn);
	tcase_add_test(tc, a_socket_has_no_numeric_address);
	tcase_add_test(tc, what_is_missing_is_told);
	tcase_add_loop_test(tc, login_follows_the_configuration, 0, sizeof logins / sizeof *logins);
	tcase_add_test(tc, hash_changes_with_the_login);
	tcase_add_loop_test(tc, tls_settings_reach_libpq, 0, sizeof modes / sizeof *modes);
	return unit_run("target", tc);
}
