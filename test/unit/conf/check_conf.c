#include "conf/conf.h"

#include "../failing_alloc.h"
#include "fixture.h"

/* The forms of the file that a distribution's package installs: most of it commented out. */
static const char packaged[] = ";;;\n"
			       ";;; a headline\n"
			       ";;;\n\n"
			       ";; database = connection string\n"
			       "[databases]\n\n"
			       ";; over a unix socket\n"
			       ";foodb =\n\n"
			       ";bardb = host=localhost dbname=bazdb\n"
			       "; barewords dbname= with spaces\n"
			       ";* = host=testserver\n\n"
			       "[users]\n\n"
			       ";user1 = pool_mode=transaction max_user_connections=10\n\n"
			       "[pgbouncer]\n\n"
			       ";;;\n"
			       "logfile = /var/log/postgresql/pgbouncer.log\n"
			       "pidfile = /var/run/postgresql/pgbouncer.pid\n\n"
			       "listen_addr = localhost\n"
			       "listen_port = 6432\n\n"
			       "unix_socket_dir = /var/run/postgresql\n\n"
			       ";client_tls_ca_file = <system default>\n"
			       "auth_type = md5\n"
			       "auth_file = /etc/pgbouncer/userlist.txt\n\n"
			       ";; with blanks before the name\n"
			       "; autodb_idle_timeout = 3600\n"
			       ";conffile\n"
			       ";%include /etc/pgbouncer/pgbouncer-other.ini\n";

START_TEST(packaged_pgbouncer_file_runs_unchanged)
{
	struct conf *c = fixture_conf(packaged);

	ck_assert(c->is_pgbouncer);
	ck_assert_str_eq(c->logfile, "/var/log/postgresql/pgbouncer.log");
	ck_assert_str_eq(c->pidfile, "/var/run/postgresql/pgbouncer.pid");
	ck_assert_uint_eq(c->listen_addr.n, 1);
	ck_assert_str_eq(c->listen_addr.items[0], "localhost");
	ck_assert_uint_eq(c->listen_port, 6432);
	ck_assert_str_eq(c->unix_socket_dir, "/var/run/postgresql");
	ck_assert_int_eq(c->auth_type, AUTH_TYPE_MD5);
	ck_assert_uint_eq(c->n_dbs, 0);
	ck_assert_uint_eq(fixture_found.n, 1); /* the note that there is no database */
	conf_free(c);
}
END_TEST

START_TEST(defaults_are_those_of_the_section)
{
	struct conf *c = fixture_conf("[pgbouncer]\n");

	ck_assert_int_eq(c->pool_mode, POOL_MODE_SESSION);
	ck_assert_int_eq(c->auth_type, AUTH_TYPE_MD5);
	ck_assert_uint_eq(c->max_client_conn, 100);
	ck_assert_int_eq(c->routing, ROUTING_OFF);
	conf_free(c);
	c = fixture_conf("[databases]\na = host=h,i\n[pgweir]\n");
	ck_assert_int_eq(c->pool_mode, POOL_MODE_TRANSACTION);
	ck_assert_int_eq(c->auth_type, AUTH_TYPE_SCRAM);
	ck_assert_uint_eq(c->max_client_conn, 10000);
	ck_assert_int_eq(c->routing, ROUTING_AUTO);
	ck_assert_uint_eq(c->query_wait_timeout_us, 120000000);
	ck_assert_uint_eq(c->max_lag_us, 1000000);
	ck_assert_uint_eq(c->lag_check_interval_us, 100000);
	ck_assert_uint_eq(c->node_timeout_us, 3000000);
	ck_assert_uint_eq(c->replay_window, 65536);
	ck_assert_uint_eq(c->max_server_logins, 8);
	ck_assert_uint_eq(c->scram_max_iterations, 100000);
	conf_free(c);
}
END_TEST

/* One key and value that differ from every default, for each key with effect. */
START_TEST(every_documented_form_is_read)
{
	struct conf *c = fixture_conf(
		"[databases]\n"
		"socket =\n"
		"forced = host=localhost port=300 user=baz password=foo client_encoding=UNICODE "
		"datestyle=ISO connect_query='SELECT ''1'''\n"
		"sized = pool_size=50 reserve_pool=10 min_pool_size=3 max_db_connections=60\n"
		"auth = auth_user=bar\n"
		"times = server_lifetime=60 query_wait_timeout=1.5 max_lag=200ms\n"
		"\"quoted name\" = dbname='other name'\n"
		"* = host=testserver\n"
		"[users]\n"
		"user1 = pool_mode=session max_user_connections=10 query_timeout=2\n"
		"\"user 2\" = pool_size=1 idle_transaction_timeout=30\n"
		"[pgbouncer]\n"
		"server_reset_query = DISCARD ALL; SELECT ';' ; SELECT '#'\n"
		"auth_file = f\n"
		"admin_users = user2, someadmin,otheradmin\n");
	const struct conf_db *db = conf_find_db(c, "forced");

	ck_assert_str_eq(c->server_reset_query, "DISCARD ALL; SELECT ';' ; SELECT '#'");
	ck_assert_uint_eq(c->admin_users.n, 3);
	ck_assert_str_eq(c->admin_users.items[1], "someadmin");
	ck_assert_uint_eq(c->n_dbs, 7);
	ck_assert_str_eq(db->user, "baz");
	ck_assert_str_eq(db->password, "foo");
	ck_assert_str_eq(db->client_encoding, "UNICODE");
	ck_assert_str_eq(db->connect_query, "SELECT '1'");
	ck_assert_str_eq(db->nodes[0].node->name, "localhost:300");
	db = conf_find_db(c, "socket");
	ck_assert_str_eq(db->nodes[0].node->host, "/tmp");
	ck_assert_uint_eq(db->nodes[0].node->port, 5432);
	ck_assert(db->nodes[0].node->is_unix);
	db = conf_find_db(c, "sized");
	ck_assert_uint_eq(db->pool_size, 50);
	ck_assert_uint_eq(db->reserve_pool_size, 10);
	ck_assert_uint_eq(db->min_pool_size, 3);
	ck_assert_uint_eq(db->max_db_connections, 60);
	ck_assert_uint_eq(db->max_pinned, CONF_UNSET);
	db = conf_find_db(c, "times");
	ck_assert_uint_eq(db->server_lifetime_us, 60000000);
	ck_assert_uint_eq(db->query_wait_timeout_us, 1500000);
	ck_assert_uint_eq(db->max_lag_us, 200000);
	ck_assert_str_eq(conf_find_db(c, "auth")->auth_user, "bar");
	ck_assert_str_eq(conf_find_db(c, "quoted name")->dbname, "other name");
	ck_assert_int_eq(conf_find_user(c, "user1")->pool_mode, POOL_MODE_SESSION);
	ck_assert_uint_eq(conf_find_user(c, "user1")->max_user_connections, 10);
	ck_assert_uint_eq(conf_find_user(c, "user1")->query_timeout_us, 2000000);
	ck_assert_uint_eq(conf_find_user(c, "user 2")->pool_size, 1);
	ck_assert_ptr_null(conf_find_user(c, "user3"));
	conf_free(c);
}
END_TEST

START_TEST(star_stands_for_databases_that_are_not_listed)
{
	struct conf *c =
		fixture_conf("[databases]\na=host=x\n*=host=y\nfixed=dbname=z\n[pgweir]\n");
	const struct conf_db *db = conf_find_db(c, "unheard");

	ck_assert_ptr_eq(db, c->fallback);
	ck_assert_str_eq(db->nodes[0].node->host, "y");
	ck_assert_str_eq(conf_dbname(db, "unheard"), "unheard");
	ck_assert_str_eq(conf_find_db(c, "a")->nodes[0].node->host, "x");
	ck_assert_str_eq(conf_dbname(conf_find_db(c, "a"), "a"), "a");
	ck_assert_str_eq(conf_dbname(conf_find_db(c, "fixed"), "fixed"), "z");
	conf_free(c);
	c = fixture_conf("[databases]\na=\n[pgweir]\n");
	ck_assert_ptr_null(conf_find_db(c, "unheard"));
	ck_assert_ptr_null(c->fallback);
	conf_free(c);
	c = fixture_conf("[pgweir]\n");
	ck_assert_ptr_null(conf_find_db(c, "unheard"));
	ck_assert_ptr_null(conf_find_user(c, "unheard"));
	conf_free(c);
}
END_TEST

START_TEST(all_errors_are_told_with_line_key_value_and_expectation)
{
	const char *lines = fixture_errors("[pgweir]\n"
					   "listen_prot = 6432\n"
					   "listen_port = 99999\n"
					   "nonsense\n"
					   "pool_size = 3\n"
					   "[databases]\n"
					   "a = host=h port=x\n"
					   "b = host=h pool_mode=tx frobnicate=1\n"
					   "c = host\n"
					   "pgbouncer = host=h\n"
					   "[users]\n"
					   "u = pool_size=0\n"
					   "[else]\n"
					   "ignored = 1\n");

	ck_assert_str_eq(lines,
		"t.ini:2: listen_prot: unknown key; expected listen_port?\n"
		"t.ini:3: listen_port = 99999: expected a port number from 1 to 65535\n"
		"t.ini:4: expected = after the name\n"
		"t.ini:5: pool_size: unknown key here; it belongs to [databases]\n"
		"t.ini:7: a: port = x: expected a port from 1 to 65535, or one for each host, "
		"joined by commas\n"
		"t.ini:8: b: pool_mode = tx: expected one of session, transaction, statement\n"
		"t.ini:8: b: frobnicate: unknown key; pgweir --help-config lists the known ones\n"
		"t.ini:9: c: expected key=value pairs apart by spaces\n"
		"t.ini:10: pgbouncer: expected another name: this one is the admin console's\n"
		"t.ini:12: u: pool_size = 0: expected a whole number from 1 to 1000000\n"
		"t.ini:13: unknown section [else]; expected [pgweir] or [pgbouncer], [databases], "
		"[users] or [peers]\n");
	ck_assert_uint_eq(fixture_found.n_errors, 11);
}
END_TEST

START_TEST(no_finding_shows_a_password)
{
	fixture_errors("[pgweir]\n"
		       "monitor_passwort = hidden0\n"
		       "[databases]\n"
		       "a = password=hidden1 pasword=hidden2 port=0\n"
		       "b = password='hidden3\n"
		       "c = user=u password='hidden4'x\n"
		       "d = hidden5\n"
		       "e = monitor_password=hidden6\n");
	ck_assert_msg(strstr(fixture_lines(), "hidden") == NULL, "%s", fixture_lines());
	ck_assert_uint_eq(fixture_found.n_errors, 6);
}
END_TEST

START_TEST(keys_without_effect_are_noted)
{
	struct conf *c = fixture_conf("[pgbouncer]\n"
				      "pkt_buf = 8192\n"
				      "service_name = x\n"
				      "[peers]\n"
				      "1 = host=h\n");

	ck_assert(fixture_has(FINDING_NOTE, "[peers]: no effect without peer_id"));

	ck_assert(fixture_has(FINDING_NOTE, "t.ini:2: pkt_buf = 8192: no effect: buffers"));
	ck_assert(fixture_has(FINDING_NOTE, "t.ini:3: service_name = x: no effect"));
	conf_free(c);
}
END_TEST

START_TEST(peers_are_sorted_by_id)
{
	struct conf *c = fixture_conf("[pgbouncer]\n"
				      "peer_id = 2\n"
				      "default_pool_size = 9\n"
				      "[peers]\n"
				      "10 = host=ten\n"
				      "2 = host=/tmp/two port=5555 pool_size=3\n"
				      "10 = host=other\n");

	ck_assert_uint_eq(c->peer_id, 2);
	ck_assert_uint_eq(c->n_peers, 2);
	ck_assert_uint_eq(c->peers[0].id, 2);
	ck_assert_str_eq(c->peers[0].host, "/tmp/two");
	ck_assert_uint_eq(c->peers[0].port, 5555);
	ck_assert_uint_eq(conf_peer_pool_size(c, &c->peers[0]), 3);
	ck_assert_str_eq(conf_find_peer(c, 10)->host, "other");
	ck_assert_uint_eq(conf_find_peer(c, 10)->port, 6432);
	ck_assert_uint_eq(conf_peer_pool_size(c, conf_find_peer(c, 10)), 9);
	ck_assert_ptr_null(conf_find_peer(c, 3));
	ck_assert(fixture_has(FINDING_NOTE, "t.ini:5: 10: given again in t.ini:7"));
	ck_assert(!fixture_has(FINDING_NOTE, "no effect without peer_id"));
	conf_free(c);
}
END_TEST

START_TEST(peers_need_an_id_and_one_host)
{
	fixture_errors("[pgweir]\n"
		       "peer_id = 65536\n"
		       "[peers]\n"
		       "0 = host=h\n"
		       "one = host=h\n"
		       "65536 = host=h\n"
		       "4 = port=1\n"
		       "5 = host=a,b\n"
		       "6 = host=h port=0\n"
		       "7 = host=h user=u\n");
	ck_assert_str_eq(fixture_lines(),
		"t.ini:2: peer_id = 65536: expected a whole number from 0 to 65535\n"
		"t.ini:4: 0: expected a peer_id from 1 to 65535\n"
		"t.ini:5: one: expected a peer_id from 1 to 65535\n"
		"t.ini:6: 65536: expected a peer_id from 1 to 65535\n"
		"t.ini:7: 4: expected host=: one name, address or socket directory\n"
		"t.ini:8: 5: expected host=: one name, address or socket directory\n"
		"t.ini:9: 6: port = 0: expected a port number from 1 to 65535\n"
		"t.ini:10: 7: user: unknown key here; it belongs to [pgweir]\n");
}
END_TEST

START_TEST(what_is_given_twice_counts_as_given_last)
{
	struct conf *c = fixture_conf("[pgweir]\n"
				      "max_client_conn = 1\n"
				      "max_client_conn = 2\n"
				      "[databases]\n"
				      "a = host=x\n"
				      "b = host=x\n"
				      "a = host=y port=1 port=2\n"
				      "[users]\n"
				      "u = pool_size=1\n"
				      "u = pool_size=2\n");

	ck_assert_uint_eq(c->max_client_conn, 2);
	ck_assert_uint_eq(c->n_dbs, 2);
	ck_assert_str_eq(conf_find_db(c, "a")->nodes[0].node->name, "y:2");
	ck_assert_uint_eq(c->n_users, 1);
	ck_assert_uint_eq(conf_find_user(c, "u")->pool_size, 2);
	ck_assert(fixture_has(FINDING_NOTE, "t.ini:2: max_client_conn: given again in t.ini:3"));
	ck_assert(fixture_has(FINDING_NOTE, "t.ini:5: a: given again in t.ini:7"));
	ck_assert(fixture_has(FINDING_NOTE, "t.ini:9: u: given again in t.ini:10"));
	conf_free(c);
}
END_TEST

START_TEST(sections_exclude_each_other_and_come_first)
{
	ck_assert_str_eq(fixture_errors("[pgweir]\n[pgbouncer]\n"),
		"t.ini:2: expected one of [pgweir] and [pgbouncer], found both\n");
	ck_assert_str_eq(fixture_errors("a = 1\n[pgweir]\n"),
		"t.ini:1: a: expected a [section] before it\n");
}
END_TEST

START_TEST(included_files_are_read_in_place)
{
	struct conf *c;

	fixture_files[1] =
		(struct fixture_file){"b.ini", "listen_port = 1\n[databases]\na=host=b\n"};
	fixture_files[2] = (struct fixture_file){"dir/c d.ini", "e = host=c"};
	c = fixture_conf("[pgweir]\n"
			 "%include b.ini\n"
			 "f = host=f\n"
			 "%include\tdir/c d.ini\n");
	ck_assert_uint_eq(c->listen_port, 1);
	ck_assert_uint_eq(c->n_dbs, 3); /* a section goes on behind the include that began it */
	ck_assert_str_eq(conf_find_db(c, "e")->nodes[0].node->host, "c");
	conf_free(c);
	fixture_files[1].text = "\nlisten_port = 0\n";
	ck_assert_str_eq(fixture_errors("[pgweir]\n%include b.ini\nworkers = 0\n"),
		"b.ini:2: listen_port = 0: expected a port number from 1 to 65535\n"
		"t.ini:3: workers = 0: expected a whole number of threads from 1 to 64, or auto\n");
}
END_TEST

START_TEST(files_that_cannot_be_read_are_told)
{
	struct conf *c;
	const struct conf_reader reader = {.read = fixture_read};

	ck_assert_str_eq(fixture_errors("[pgweir]\n%include none.ini\n"),
		"t.ini:2: %include: cannot read none.ini: No such file or directory\n");
	findings_fini(&fixture_found);
	findings_init(&fixture_found);
	ck_assert_int_eq(conf_load(&reader, "gone.ini", NULL, &c, &fixture_found), E_INVALID);
	ck_assert_str_eq(fixture_lines(), "cannot read gone.ini: No such file or directory\n");
}
END_TEST

START_TEST(include_without_a_name_is_an_error)
{
	ck_assert_str_eq(fixture_errors("[pgweir]\n%include \n"),
		"t.ini:2: %include: expected the name of a file\n");
}
END_TEST

START_TEST(file_that_includes_itself_is_an_error)
{
	fixture_errors("[pgweir]\n%include t.ini\n");
	ck_assert_uint_eq(fixture_found.n_errors, 1);
	ck_assert(fixture_has(FINDING_ERROR, "t.ini:2: %include: expected at most 64 files, 10"));
	fixture_errors("[pgweir]\n%include t.ini\n%include t.ini\n%include t.ini\n");
	ck_assert_uint_le(fixture_found.n_errors, 3 * CONF_FILES_MAX);
}
END_TEST

static enum status read_large(void *arg, const char *path, char **data, size_t *len)
{
	(void)arg;
	(void)path;
	*len = CONF_FILE_MAX + 1;
	*data = calloc(1, *len);
	return *data != NULL ? OK : E_NOMEM;
}

START_TEST(large_file_is_refused)
{
	const struct conf_reader reader = {.read = read_large};
	struct conf *c;

	ck_assert_int_eq(conf_load(&reader, "large", NULL, &c, &fixture_found), E_INVALID);
	ck_assert(fixture_has(FINDING_ERROR, "cannot read large: it is larger than 16 MB"));
}
END_TEST

START_TEST(lines_of_eight_thousand_bytes_are_read)
{
	static char text[10000];
	struct conf *c;
	int len = snprintf(text, sizeof text, "[pgweir]\nprimary_functions = f0");

	for (unsigned i = 1; len < 8000; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, ",f%u", i);
	c = fixture_conf(text);
	ck_assert_uint_gt(c->primary_functions.n, 1500);
	ck_assert_str_eq(c->primary_functions.items[1500], "f1500");
	conf_free(c);
}
END_TEST

/* It would start, and let nobody in. */
START_TEST(routing_without_a_user_to_ask_as_is_warned_of)
{
	static const char warned[] = "t.ini:2: app: routing has to ask the nodes who they are: ";
	static const struct {
		const char *db, *more;
		bool is_warned;
	} cases[] = {
		{"host=h,i", "", true},
		{"host=h,i", "monitor_user = m\n", false},
		{"host=h,i monitor_user=m", "", false},
		{"host=h,i user=u", "", false},
		{"host=h,i routing=off", "", false},
		{"host=h,i routing=shadow", "", true},
		{"host=h", "", false},
	};
	char text[256];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, "[databases]\napp = %s\n[pgweir]\n%s", cases[i].db,
			cases[i].more);
		conf_free(fixture_conf(text));
		ck_assert_int_eq(fixture_has(FINDING_WARNING, warned), cases[i].is_warned);
	}
}
END_TEST

START_TEST(settings_that_need_each_other_are_checked)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"unix_socket_dir =\n", "listen_addr: expected an address, or unix_socket_dir"},
		{"admin_port = 6432\n", "t.ini:2: admin_port: expected another port"},
		{"stats_port = 6432\n", "t.ini:2: stats_port: expected another port"},
		{"stats_port = 1\nadmin_port=1\n", "t.ini:2: stats_port: expected another port"},
		{"client_tls_sslmode = require\n",
			"t.ini:2: client_tls_sslmode: expected client_tls_cert_file and"},
		{"client_tls_sslmode = "
		 "verify-full\nclient_tls_cert_file=c\nclient_tls_key_file=k\n",
			"t.ini:2: client_tls_sslmode: expected client_tls_ca_file"},
		{"auth_query = SELECT 1, 2\n", "t.ini:2: auth_query: expected $1"},
		{"[databases]\na=host=h auth_query='SELECT 1'\n",
			"t.ini:3: a: expected $1 in auth"},
		{"server_tls_key_file = k\n", "t.ini:2: server_tls_key_file: expected"},
		{"server_tls_cert_file = k\n", "t.ini:2: server_tls_cert_file: expected"},
		{"server_channel_binding = require\n",
			"t.ini:2: server_channel_binding: expected server_tls_sslmode = require"},
		{"proxy_protocol = on\n",
			"t.ini:2: proxy_protocol: expected proxy_protocol_trusted"},
		{"proxy_protocol_trusted = 10.0.0.0/8, localhost\n",
			"t.ini:2: proxy_protocol_trusted = localhost: expected addresses"},
		{"server_tls_sslnegotiation = direct\n",
			"t.ini:2: server_tls_sslnegotiation: expected server_tls_sslmode = "},
		{"auth_type = hba\n", "t.ini:2: auth_type: expected auth_hba_file with hba"},
		{"auth_type = cert\n", "t.ini:2: auth_type: expected client_tls_sslmode = "},
		{"[databases]\na=host=h route=primary\n", "t.ini:3: a: expected routing=on"},
		{"routing=off\n[databases]\na=host=h,i route=replica\n",
			"t.ini:4: a: expected rout"},
		{"unix_socket_dir =\nlisten_addr=*\n[databases]\na=\n",
			"t.ini:5: a: host: expected a host, since unix_socket_dir is empty"},
	};
	char text[400];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(text, sizeof text, "[pgweir]\n%s", cases[i].text);
		ck_assert_msg(strstr(fixture_errors(text), cases[i].error) != NULL, "%s",
			fixture_lines());
		ck_assert_uint_eq(fixture_found.n_errors, 1);
	}
}
END_TEST

START_TEST(traps_are_noted)
{
	conf_free(fixture_conf("[pgweir]\n[databases]\na=host=h,i\nb=password=x\n"));
	ck_assert(fixture_has(FINDING_NOTE, "auth_file: not set: nobody can log in"));
	ck_assert(fixture_has(FINDING_NOTE, "t.ini:4: b: password has no effect without user"));
	conf_free(fixture_conf("[pgweir]\nauth_type=any\n[databases]\na=host=h\nb=user=u\n"));
	ck_assert(fixture_has(FINDING_NOTE, "t.ini:4: a: with auth_type any"));
	ck_assert(!fixture_has(FINDING_NOTE, "b: with auth_type any"));
	ck_assert(!fixture_has(FINDING_NOTE, "auth_file"));
}
END_TEST

static enum status load_log(const char *text, struct conf **out)
{
	static const struct conf_reader reader = {.read = fixture_read};

	fixture_files[0] = (struct fixture_file){"t.ini", text};
	return conf_load_log(&reader, "t.ini", out);
}

START_TEST(of_a_refused_file_is_read_where_to_log)
{
	struct conf *c;

	ck_assert_int_eq(load_log("[pgbouncer]\nnonsense\nlogfile = /l\npool_mode = never\n"
				  "verbose = 2\nuser = u\nsyslog = 1\n[databases]\na = host=\n",
				 &c),
		OK);
	ck_assert_str_eq(c->logfile, "/l");
	ck_assert_str_eq(c->user_name, "u");
	ck_assert_str_eq(c->syslog_ident, "pgbouncer");
	ck_assert_uint_eq(c->verbose, 2);
	ck_assert(c->syslog);
	ck_assert_int_eq(c->pool_mode, POOL_MODE_SESSION);
	ck_assert_uint_eq(c->n_dbs, 0);
	conf_free(c);
	ck_assert_int_eq(load_log("[pgweir]\nlogfile = /l\nlog_format = xml\n", &c), E_INVALID);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(load_log(NULL, &c), E_INVALID);
	ck_assert_ptr_null(c);
	ck_assert_uint_eq(fixture_found.n, 0);
}
END_TEST

START_TEST(reload_keeps_what_needs_a_restart)
{
	struct conf *a, *b, *c;

	a = fixture_conf("[pgweir]\nlisten_port = 1\nlisten_addr = x, y\nmax_client_conn = 5\n"
			 "unix_socket_dir = /a\n[databases]\nd =\n");
	ck_assert_int_eq(fixture_load("[pgweir]\nlisten_port = 2\nmax_client_conn = 6\n"
				      "unix_socket_dir = /b\n[databases]\nd =\n",
				 a, &b),
		OK);
	ck_assert_uint_eq(b->listen_port, 1);
	ck_assert_uint_eq(b->listen_addr.n, 2);
	ck_assert_str_eq(b->listen_addr.items[1], "y");
	ck_assert_uint_eq(b->max_client_conn, 6);
	ck_assert_str_eq(b->dbs[0].nodes[0].node->host, "/a");
	ck_assert(fixture_has(FINDING_RESTART,
		"t.ini:2: listen_port = 2: takes effect at the next start; until then it stays 1"));
	ck_assert(fixture_has(FINDING_RESTART, "listen_addr = : takes effect at the next start"));
	conf_free(a);
	/* what was kept is compared with, not what the file said before */
	ck_assert_int_eq(fixture_load("[pgweir]\nlisten_port = 1\nlisten_addr = x,y\n"
				      "unix_socket_dir = /a\n",
				 b, &c),
		OK);
	for (size_t i = 0; i < fixture_found.n; i++)
		ck_assert_int_ne(fixture_found.items[i].kind, FINDING_RESTART);
	conf_free(b);
	conf_free(c);
}
END_TEST

static enum status set(const struct conf *c, const char *key, const char *value, struct conf **out)
{
	findings_fini(&fixture_found);
	findings_init(&fixture_found);
	return conf_set(c, key, value, out, &fixture_found);
}

START_TEST(set_changes_one_key_of_a_new_snapshot)
{
	struct conf *a = fixture_conf("[pgweir]\nmax_client_conn = 5\n[databases]\nd = host=h\n");
	struct conf *b, *c;

	ck_assert_int_eq(set(a, "max_client_conn", "7", &b), OK);
	ck_assert_uint_eq(a->max_client_conn, 5);
	ck_assert_uint_eq(b->max_client_conn, 7);
	ck_assert_uint_eq(b->n_dbs, 1);
	ck_assert_uint_eq(fixture_found.n, 0); /* notes were told when the file was read */
	conf_free(a);
	ck_assert_int_eq(set(b, "pool_mode", "session", &c), OK);
	conf_free(b);
	ck_assert_uint_eq(c->max_client_conn, 7);
	ck_assert_int_eq(c->pool_mode, POOL_MODE_SESSION);
	ck_assert_int_eq(set(c, "max_client_conn", "8", &b), OK);
	conf_free(c);
	ck_assert_uint_eq(b->max_client_conn, 8);
	ck_assert_int_eq(b->pool_mode, POOL_MODE_SESSION);
	conf_free(b);
}
END_TEST

START_TEST(set_refuses_what_cannot_be_changed)
{
	struct conf *a = fixture_conf("[pgbouncer]\nlisten_port = 1\n"), *b;

	ck_assert_int_eq(set(a, "nothing", "7", &b), E_NOTFOUND);
	ck_assert_ptr_null(b);
	ck_assert_str_eq(fixture_lines(), "nothing: unknown key\n");
	ck_assert_int_eq(set(a, "listen_port", "7", &b), E_INVALID);
	ck_assert_str_eq(fixture_lines(), "listen_port: it cannot be changed while running\n");
	ck_assert_int_eq(set(a, "pkt_buf", "7", &b), E_INVALID);
	ck_assert_str_eq(fixture_lines(), "pkt_buf: it has no effect here\n");
	ck_assert_int_eq(set(a, "pool_mode", "x", &b), E_INVALID);
	ck_assert_str_eq(fixture_lines(),
		"pool_mode = x: expected one of session, transaction, statement\n");
	ck_assert_int_eq(set(a, "client_tls_sslmode", "require", &b), E_INVALID);
	ck_assert_ptr_null(b);
	ck_assert_uint_eq(fixture_found.n_errors, 1);
	conf_free(a);
}
END_TEST

/* The text of a file of the source tree; srcdir is set by make check. */
static const char *tree_file(const char *name)
{
	static char text[65536];
	const char *srcdir = getenv("srcdir");
	char path[4096];
	size_t len;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", srcdir != NULL ? srcdir : ".", name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	len = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[len] = '\0';
	return text;
}

START_TEST(installed_example_is_a_good_start)
{
	struct conf *c = fixture_conf(tree_file("etc/pgweir.ini"));

	ck_assert(!c->is_pgbouncer);
	ck_assert_str_eq(c->listen_addr.items[0], "localhost");
	ck_assert_str_eq(c->auth_file, "/etc/pgweir/userlist.txt");
	ck_assert_uint_eq(c->n_dbs, 0);
	ck_assert_uint_eq(fixture_found.n, 1); /* that there is no database yet */
	conf_free(c);
}
END_TEST

/* Each database and user that the example shows, commented out, is one that would load. */
START_TEST(commented_examples_would_load)
{
	static char text[65536];
	size_t len = 0, n = 0;
	char *rest = strdup(tree_file("etc/pgweir.ini")), *all = rest, *line;
	struct conf *c;

	ck_assert_ptr_nonnull(all);
	while ((line = strsep(&rest, "\n")) != NULL && strcmp(line, "[pgweir]") != 0) {
		bool shown = line[0] == ';' && line[1] != ';';

		n += shown;
		len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", line + shown);
	}
	free(all);
	snprintf(text + len, sizeof text - len, "[pgweir]\nmonitor_user = m\nauth_file = f\n");
	c = fixture_conf(text);
	ck_assert_uint_eq(n, 10);
	ck_assert_uint_eq(c->n_dbs, 5); /* app is shown in three ways */
	ck_assert_uint_eq(c->n_users, 1);
	ck_assert_uint_eq(c->n_peers, 2);
	ck_assert_uint_eq(conf_find_db(c, "app")->nodes[2].weight, 4);
	conf_free(c);
}
END_TEST

START_TEST(names_and_counts_are_bounded)
{
	static char text[400000];
	int len = snprintf(text, sizeof text, "[databases]\n%0127d = host=h\n", 0);
	struct conf *c = fixture_conf(text);

	ck_assert_uint_eq(strlen(c->dbs[0].name), CONF_NAME_MAX);
	conf_free(c);
	snprintf(text, sizeof text, "[users]\n%0128d =\n[databases]\n\"%0128d\" = host=h\n", 0, 0);
	fixture_errors(text);
	ck_assert_uint_eq(fixture_found.n_errors, 2);
	ck_assert(fixture_has(FINDING_ERROR, "expected a name of 1 to 127 bytes"));
	len = snprintf(text, sizeof text, "[databases]\n");
	for (unsigned i = 0; i <= CONF_DBS_MAX; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, "d%u = host=h\n", i);
	fixture_errors(text);
	ck_assert(fixture_has(FINDING_ERROR, "[databases]: expected at most 10000 entries"));
	*strstr(text, "d0 = host=h") = ';';
	c = fixture_conf(text);
	ck_assert_uint_eq(c->n_dbs, CONF_DBS_MAX);
	ck_assert_str_eq(conf_find_db(c, "d9876")->name, "d9876");
	conf_free(c);
}
END_TEST

/* A reload and a SET with every allocation failing in turn. */
static void fail_each_allocation(const struct conf *before, const char *text)
{
	struct conf *a = NULL, *b = NULL;
	enum status st = E_NOMEM;

	for (long n = 0; st != OK; n++) {
		failing_alloc_after(n);
		st = fixture_load(text, before, &a);
		failing_alloc_after(-1);
		ck_assert(st == OK || (st == E_NOMEM && a == NULL));
		ck_assert_int_lt(n, 10000);
	}
	st = E_NOMEM;
	for (long n = 0; st != OK; n++) {
		failing_alloc_after(n);
		st = conf_set(a, "max_client_conn", "3", &b, &fixture_found);
		failing_alloc_after(-1);
		ck_assert(st == OK || (st == E_NOMEM && b == NULL));
		ck_assert_int_lt(n, 10000);
	}
	ck_assert_uint_eq(b->max_client_conn, 3);
	conf_free(a);
	conf_free(b);
	a = NULL;
	st = E_NOMEM;
	for (long n = 0; st != OK; n++) {
		failing_alloc_after(n);
		st = load_log(text, &a);
		failing_alloc_after(-1);
		ck_assert(st == OK || (st == E_NOMEM && a == NULL));
		ck_assert_int_lt(n, 10000);
	}
	conf_free(a);
}

START_TEST(every_allocation_may_fail)
{
	static char text[5000];
	struct conf *before = fixture_conf("[pgweir]\nlisten_port = 1\nlisten_addr = a, b\n"
					   "[databases]\na = host=h,i user=u\n");

	fixture_files[1] = (struct fixture_file){"b.ini", "auth_file = f\n"};
	/* the padding moves the place where the arena asks for a new block through all of it */
	for (int pad = 1; pad < 4200; pad += 16) {
		snprintf(text, sizeof text,
			"[pgweir]\nsyslog_ident = %0*d\nadmin_users = a,b\nlisten_port = 2\n"
			"%%include b.ini\n[users]\nu = pool_size=2\n"
			"[databases]\na = host=h,i user=u\n* = host=j\n",
			pad, 0);
		fail_each_allocation(before, text);
	}
	conf_free(before);
	conf_free(NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("conf");

	tcase_add_checked_fixture(tc, fixture_init, fixture_fini);
	tcase_add_test(tc, packaged_pgbouncer_file_runs_unchanged);
	tcase_add_test(tc, defaults_are_those_of_the_section);
	tcase_add_test(tc, every_documented_form_is_read);
	tcase_add_test(tc, star_stands_for_databases_that_are_not_listed);
	tcase_add_test(tc, all_errors_are_told_with_line_key_value_and_expectation);
	tcase_add_test(tc, no_finding_shows_a_password);
	tcase_add_test(tc, keys_without_effect_are_noted);
	tcase_add_test(tc, peers_are_sorted_by_id);
	tcase_add_test(tc, peers_need_an_id_and_one_host);
	tcase_add_test(tc, what_is_given_twice_counts_as_given_last);
	tcase_add_test(tc, sections_exclude_each_other_and_come_first);
	tcase_add_test(tc, included_files_are_read_in_place);
	tcase_add_test(tc, files_that_cannot_be_read_are_told);
	tcase_add_test(tc, include_without_a_name_is_an_error);
	tcase_add_test(tc, file_that_includes_itself_is_an_error);
	tcase_add_test(tc, large_file_is_refused);
	tcase_add_test(tc, lines_of_eight_thousand_bytes_are_read);
	tcase_add_test(tc, routing_without_a_user_to_ask_as_is_warned_of);
	tcase_add_test(tc, settings_that_need_each_other_are_checked);
	tcase_add_test(tc, traps_are_noted);
	tcase_add_test(tc, of_a_refused_file_is_read_where_to_log);
	tcase_add_test(tc, reload_keeps_what_needs_a_restart);
	tcase_add_test(tc, set_changes_one_key_of_a_new_snapshot);
	tcase_add_test(tc, set_refuses_what_cannot_be_changed);
	tcase_add_test(tc, installed_example_is_a_good_start);
	tcase_add_test(tc, commented_examples_would_load);
	tcase_add_test(tc, names_and_counts_are_bounded);
	tcase_add_test(tc, every_allocation_may_fail);
	return unit_run("conf", tc);
}
