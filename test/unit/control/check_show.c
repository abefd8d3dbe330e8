#include "state/pins.h"
#include "views_unit.h"

static struct views v;
static struct console_client c;

static void setup(void)
{
	views_console_open(&v, &c, "none");
}

static void teardown(void)
{
	views_console_close(&v, &c);
}

/* The columns of a table, as "a b c", and their types, as "25 23 …". */
static void columns_of(const char *answer, char *names, char *types)
{
	char copy[8192], *save, *word;

	ck_assert_int_eq(answer[0], 'T');
	snprintf(copy, sizeof copy, "%.*s", (int)strcspn(answer + 2, "\n"), answer + 2);
	*names = *types = '\0';
	for (word = strtok_r(copy, "|", &save); word != NULL; word = strtok_r(NULL, "|", &save)) {
		char *colon = strchr(word, ':');

		*colon = '\0';
		sprintf(names + strlen(names), "%s%s", *names != '\0' ? " " : "", word);
		sprintf(types + strlen(types), "%s%s", *types != '\0' ? " " : "", colon + 1);
	}
}

#define OUR_NAMES " linked_id node statement pins" /* as "pgweir" the console is asked for */
#define SOCKET_NAMES                                                                         \
	"type user database replication state addr port local_addr local_port connect_time " \
	"request_time wait wait_us close_needed ptr link remote_pid tls application_name "   \
	"prepared_statements id"

/* PgBouncer 1.25's, in its order: monitoring tools go by them. */
static const struct {
	const char *table, *columns;
} tables[] = {
	{"STATS", "database total_server_assignment_count total_xact_count total_query_count "
		  "total_received total_sent total_xact_time total_query_time total_wait_time "
		  "total_client_parse_count total_server_parse_count total_bind_count "
		  "total_client_login_count avg_server_assignment_count avg_xact_count "
		  "avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time "
		  "avg_client_parse_count avg_server_parse_count avg_bind_count "
		  "avg_client_login_count"},
	{"STATS_TOTALS", "database server_assignment_count xact_count query_count bytes_received "
			 "bytes_sent xact_time query_time wait_time client_parse_count "
			 "server_parse_count bind_count client_login_count"},
	{"STATS_AVERAGES", "database server_assignment_count xact_count query_count bytes_received "
			   "bytes_sent xact_time query_time wait_time avg_client_parse_count "
			   "avg_server_parse_count avg_bind_count avg_client_login_count"},
	{"TOTALS", "name value"},
	{"SERVERS", SOCKET_NAMES OUR_NAMES},
	{"CLIENTS", SOCKET_NAMES OUR_NAMES},
	{"SOCKETS", SOCKET_NAMES " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail "
				 "send_avail"},
	{"ACTIVE_SOCKETS",
		SOCKET_NAMES " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail "
			     "send_avail"},
	{"POOLS", "database user cl_active cl_waiting cl_active_cancel_req "
		  "cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle "
		  "sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts"},
	{"PEER_POOLS",
		"peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login"},
	{"PEERS", "peer_id host port pool_size"},
	{"DATABASES", "name host port database force_user pool_size min_pool_size "
		      "reserve_pool_size server_lifetime pool_mode load_balance_hosts "
		      "max_connections current_connections max_client_connections "
		      "current_client_connections paused disabled"},
	{"USERS", "name pool_size reserve_pool_size pool_mode max_user_connections "
		  "current_connections max_user_client_connections current_client_connections"},
	{"LISTS", "list items"},
	{"CONFIG", "key value default changeable"},
	{"VERSION", "version"},
	{"STATE", "key value"},
	{"MEM", "name size used free memtotal"},
	{"DNS_HOSTS", "hostname ttl addrs"},
	{"DNS_ZONES", "zonename serial count"},
};

START_TEST(columns_are_pgbouncers)
{
	char names[8192], types[8192], sql[64];
	const char *answer;

	snprintf(sql, sizeof sql, "SHOW %s", tables[_i].table);
	answer = console_query(&c, sql);
	columns_of(answer, names, types);
	ck_assert_str_eq(names, tables[_i].columns);
	ck_assert_uint_eq(console_count(&c, "\nC|SHOW\nZ|I\n"), 1);
}
END_TEST

START_TEST(types_are_pgbouncers)
{
	char names[8192], types[8192];

	columns_of(console_query(&c, "SHOW STATS_TOTALS"), names, types);
	ck_assert_str_eq(types, "25 1700 1700 1700 1700 1700 1700 1700 1700 1700 1700 1700 1700");
	columns_of(console_query(&c, "SHOW LISTS"), names, types);
	ck_assert_str_eq(types, "25 23");
	columns_of(console_query(&c, "SHOW POOLS"), names, types);
	ck_assert_str_eq(types, "25 25 23 23 23 23 23 23 23 23 23 23 23 23 23 25 25");
}
END_TEST

static bool has_row(const char *row)
{
	char line[4096];

	snprintf(line, sizeof line, "\nD|%s\n", row);
	return strstr(c.text, line) != NULL;
}

#define ck_row(row) ck_assert_msg(has_row(row), "no row %s in\n%s", row, c.text)

START_TEST(pools_are_summed_over_nodes_and_workers)
{
	console_query(&c, "SHOW POOLS");
	ck_row("app|appuser|6|2|0|0|2|0|0|4|0|0|2|2|500001|transaction|round-robin");
	ck_row("pgbouncer|pgbouncer|1|0|0|0|0|0|0|0|0|0|0|0|0|statement|NULL");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 2);
	console_query(&c, "SHOW NODE_POOLS");
	ck_row("app|appuser|10.0.0.1:5432|unknown|2|0|0|4|0|0|0|0|0|2|2|20|2|300|0");
	ck_row("app|appuser|10.0.0.2:5432|unknown|0|0|0|0|0|0|2|0|0|0|0|20|0|0|0");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 2);
}
END_TEST

START_TEST(databases_have_their_limits_and_uses)
{
	console_query(&c, "SHOW DATABASES");
	ck_row("app|10.0.0.1,10.0.0.2,10.0.0.3|5432|app|appuser|20|0|0|3600|NULL|round-robin|0|8|"
	       "0|10|0|0");
	ck_row("one|10.0.0.9|6000|uno|NULL|7|0|0|3600|NULL|NULL|0|0|0|0|0|0");
	ck_row("pgbouncer|NULL|6432|pgbouncer|pgbouncer|2|0|0|0|statement|NULL|0|0|0|1|0|0");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 3);
	console_query(&c, "DISABLE one");
	console_query(&c, "KILL app");
	console_query(&c, "SHOW DATABASES");
	ck_row("one|10.0.0.9|6000|uno|NULL|7|0|0|3600|NULL|NULL|0|0|0|0|0|1");
	ck_assert_ptr_nonnull(strstr(c.text, "|0|10|1|0\n"));
}
END_TEST

START_TEST(databases_of_the_fallback_are_those_in_use)
{
	views_pool(&v, 0, "auto", "u", -1)->cl_active = 1;
	world_set_conf(&v.w, "[databases]\n* = host=10.0.0.1\n[pgweir]\nlisten_addr = x\n");
	console_query(&c, "SHOW DATABASES");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 3); /* app, auto, the console's */
	ck_assert_ptr_nonnull(strstr(c.text, "\nD|auto|10.0.0.1|5432|auto|"));
	console_query(&c, "SHOW LISTS");
	ck_row("databases|3");
	ck_row("pools|3");
}
END_TEST

START_TEST(users_are_those_of_all_sources)
{
	console_query(&c, "SHOW USERS");
	ck_row("adm|||NULL|0|0|0|0");
	ck_row("plain|||NULL|0|0|0|0");
	ck_row("big|       50||session|0|0|0|0");
	ck_row("appuser|||NULL|0|8|0|10");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 5);
}
END_TEST

START_TEST(statistics_are_summed)
{
	console_query(&c, "SHOW STATS_TOTALS");
	ck_row("app|2|4|6|8|10|12|14|16|18|20|22|24");
	ck_assert_ptr_nonnull(strstr(c.text, "\nD|pgbouncer|0|"));
	console_query(&c, "SHOW TOTALS");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 24);
	ck_row("total_wait_time|16");
	ck_row("total_ps_bind_count|22");
	console_query(&c, "SHOW STATS");
	ck_assert_ptr_nonnull(strstr(c.text, "\nD|app|2|4|6|8|10|12|14|16|18|20|22|24|"));
	console_query(&c, "SHOW STATS_AVERAGES");
	ck_assert_ptr_nonnull(strstr(c.text, "\nD|app|"));
}
END_TEST

START_TEST(clients_and_servers_are_listed)
{
	console_query(&c, "SHOW CLIENTS");
	ck_row("C|appuser|app|none|waiting|10.1.1.1|5000|10.1.1.2|6432|2026-01-01 00:00:00 UTC|"
	       "2026-01-01 00:00:01 UTC|2|500001|0|0x7|0x10|0||psql|3|7|16|NULL|NULL|NULL");
	ck_assert_ptr_nonnull(strstr(c.text, "\nD|C|adm|pgbouncer|none|active|"));
	ck_assert_uint_eq(console_count(&c, "\nD|"), 2); /* who logs in is not listed */
	console_query(&c, "SHOW SERVERS");
	ck_row("S|||none|active||0||0|NULL|NULL|0|0|1|0x8||4711|TLSv1.3||0|8|NULL|10.0.0.1:5432|"
	       "00000000000000ab|temp,listen");
	console_query(&c, "SHOW SOCKETS");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 3);
	ck_row("S|||none|active||0||0|NULL|NULL|0|0|1|0x8||4711|TLSv1.3||0|8|0|0|0|0|0|0|0");
	v.rows[0][SHOW_ROWS_CLIENTS][0].socket.state = SHOW_CL_IDLE;
	v.rows[1][SHOW_ROWS_SERVERS][0].socket.state = SHOW_SV_IDLE;
	console_query(&c, "SHOW ACTIVE_SOCKETS");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 1); /* this console */
}
END_TEST

START_TEST(lists_count)
{
	console_query(&c, "SHOW LISTS");
	ck_row("databases|3");
	ck_row("users|5");
	ck_row("pools|2");
	ck_row("used_clients|9");
	ck_row("login_clients|2");
	ck_row("used_servers|8");
	ck_row("free_clients|0");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 14);
}
END_TEST

START_TEST(our_own_tables)
{
	console_query(&c, "SHOW ROUTES");
	ck_row("app|read|10.0.0.2:5432|replica_ok|42|0|on|0|0");
	console_query(&c, "SHOW ERRORS");
	ck_row("app|53300|Insufficient Resources|pgweir|6|NULL");
	console_query(&c, "SHOW PINS");
	ck_row("7|8|app|appuser|10.0.0.1:5432|temp|2026-01-01 00:00:00 UTC|create temp table t()");
	console_query(&c, "SHOW WORKERS");
	ck_row("0|5|1|4|100|50|0|0|1024|2048|0|0|77|1500000|io_uring");
	console_query(&c, "SHOW MEM");
	ck_row("buffer_bytes|1|2048|4096|6144");
	console_query(&c, "SHOW NODES");
	ck_assert_uint_eq(console_count(&c, "\nD|"), 4);
	ck_row("10.0.0.9:6000|NULL|unknown|unwatched|NULL|NULL|NULL|NULL|NULL|NULL|NULL|0|0|0|"
	       "NULL|NULL|NULL|NULL|NULL|NULL|NULL|");
}
END_TEST

static struct show_misuse_row *held(enum misuse_kind kind, unsigned detail, uint64_t us)
{
	struct show_misuse_row *m = &views_row(&v, 0, SHOW_ROWS_MISUSE)->misuse;

	*m = (struct show_misuse_row){.kind = (uint8_t)kind,
		.detail = (uint8_t)detail,
		.n = 2,
		.us = us,
		.longest_us = us - 1,
		.client = 7,
		.seen_wall_us = 1767225600u * 1000000ull};
	strcpy(m->database, "app");
	strcpy(m->user, "appuser");
	strcpy(m->application_name, "shop");
	strcpy(m->addr, "10.1.1.1");
	return m;
}

#define HELD(kind, now, us, longest, fingerprint, statement, hint)                         \
	"app|appuser|shop|" kind "|" now "|2|" us "|" longest "|2026-01-01 00:00:00 UTC|7" \
	"|10.1.1.1|" fingerprint "|" statement "|" hint

START_TEST(misuse_has_a_word_and_a_hint_for_each_kind)
{
	struct show_misuse_row *m = held(MISUSE_IDLE_IN_TRANSACTION, 0, 9000);

	m->now = 1;
	m->fingerprint = 0xab;
	strcpy(m->text, "SELECT $1");
	strcpy(held(MISUSE_LONG_TRANSACTION, 0, 8000)->text, "DELETE FROM t");
	held(MISUSE_PIN, PIN_TEMP, 7000);
	held(MISUSE_PIN, PIN_ADVISORY_LOCK, 6000);
	held(MISUSE_PIN, PIN_WITH_HOLD, 5000);
	held(MISUSE_PIN, PIN_LISTEN, 4000);
	console_query(&c, "SHOW MISUSE");
	ck_row(HELD("idle_in_transaction", "1", "9000", "8999", "00000000000000ab", "SELECT $1",
		"After this statement it did nothing for long inside its transaction, and kept a "
		"server: commit before other work; idle_transaction_timeout ends such."));
	ck_row(HELD("long_transaction", "0", "8000", "7999", "", "DELETE FROM t",
		"A transaction with this as its last statement took long: make it smaller; "
		"transaction_timeout ends such."));
	ck_row(HELD("pin_temp", "0", "7000", "6999", "", "",
		"Temporary tables: create and drop them in one transaction (ON COMMIT DROP)."));
	ck_row(HELD("pin_advisory_lock", "0", "6000", "5999", "", "",
		"Session-level advisory locks: pg_advisory_xact_lock needs no pin."));
	ck_row(HELD("pin_with_hold", "0", "5000", "4999", "", "",
		"Cursors WITH HOLD: read them inside the transaction."));
	ck_row(HELD("pin_listen", "0", "4000", "3999", "", "",
		"What it has done cannot follow it to another server: see SHOW PINS."));
	ck_assert_uint_eq(console_count(&c, "\nD|"), 6);
}
END_TEST

START_TEST(nodes_show_what_the_monitor_knows)
{
	struct topology *t = (struct topology *)(uintptr_t)atomic_load(&v.w.sh.topology);
	struct topo_node *n = &t->nodes[0];

	t->clusters[0].primary = 0;
	n->role = TOPO_ROLE_PRIMARY;
	n->health = TOPO_UP;
	n->timeline = 3;
	n->lsn = 0x100000002;
	n->answered_us = env_now_us(&v.w.env);
	n->server_version_num = 150003;
	n->system_id = 77;
	n++;
	n->role = TOPO_ROLE_REPLICA;
	n->health = TOPO_REFUSED;
	n->follows = true;
	n->lag_bytes = 4096;
	n->lag_us = 12345;
	n->lag_known = true;
	n->answered_us = env_now_us(&v.w.env);
	strcpy(n->text, "password wrong");
	console_query(&c, "SHOW NODES");
	ck_assert_ptr_nonnull(strstr(
		c.text, "\nD|10.0.0.1:5432|0|primary|up|1|3|1/2|NULL|NULL|0|0|6|2|300|0|100|0|"));
	ck_assert_ptr_nonnull(strstr(c.text, "|15.3|77|NULL|\n"));
	ck_assert_ptr_nonnull(
		strstr(c.text, "\nD|10.0.0.2:5432|0|replica|refused|0|0|0/0|4096|12|1|0|2|"));
	ck_assert_ptr_nonnull(strstr(c.text, "|password wrong\n"));
}
END_TEST

START_TEST(config_and_version_are_what_tools_look_for)
{
	console_query(&c, "SHOW CONFIG");
	ck_row("listen_port|6432|6432|no");
	ck_row("max_client_conn|10000|10000|yes");
	ck_row("pool_mode|transaction|transaction|yes");
	ck_assert_ptr_nonnull(strstr(c.text, "\nD|max_user_connections|0|"));
	ck_assert_ptr_null(strstr(c.text, "\nD|monitor_password|mpw"));
	console_query(&c, "SHOW VERSION");
	ck_assert_ptr_nonnull(strstr(c.text, "\nD|PgBouncer 1.25.0 (pgweir "));
	console_query(&c, "SHOW STATE");
	ck_row("active|yes");
	ck_row("paused|no");
	ck_row("suspended|no");
}
END_TEST

START_TEST(long_tables_come_whole_and_in_pieces)
{
	for (unsigned i = 0; i < WORLD_ROWS_MAX - 1; i++) {
		struct show_socket_row *s = &views_row(&v, 0, SHOW_ROWS_CLIENTS)->socket;

		s->type = 'C';
		s->id = 1000 + i;
		memset(s->application_name, 'x', sizeof s->application_name - 1);
	}
	console_query(&c, "SHOW CLIENTS");
	ck_assert_uint_eq(console_count(&c, "\nD|"), WORLD_ROWS_MAX + 1);
	ck_assert_ptr_nonnull(strstr(c.text, "|1298|NULL|"));
}
END_TEST

START_TEST(a_worker_that_does_not_answer_is_an_error)
{
	v.w.workers[1].is_silent = true;
	console_query(&c, "SHOW STATS");
	ck_assert_ptr_nonnull(strstr(c.text, "E|ERROR|53000|a worker does not answer\nZ|I"));
	v.w.workers[1].is_silent = false;
	console_query(&c, "SHOW CLIENTS");
	ck_assert_uint_eq(console_count(&c, "C|SHOW"), 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("show");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, columns_are_pgbouncers, 0, sizeof tables / sizeof *tables);
	tcase_add_test(tc, types_are_pgbouncers);
	tcase_add_test(tc, pools_are_summed_over_nodes_and_workers);
	tcase_add_test(tc, databases_have_their_limits_and_uses);
	tcase_add_test(tc, databases_of_the_fallback_are_those_in_use);
	tcase_add_test(tc, users_are_those_of_all_sources);
	tcase_add_test(tc, statistics_are_summed);
	tcase_add_test(tc, clients_and_servers_are_listed);
	tcase_add_test(tc, lists_count);
	tcase_add_test(tc, our_own_tables);
	tcase_add_test(tc, misuse_has_a_word_and_a_hint_for_each_kind);
	tcase_add_test(tc, nodes_show_what_the_monitor_knows);
	tcase_add_test(tc, config_and_version_are_what_tools_look_for);
	tcase_add_test(tc, long_tables_come_whole_and_in_pieces);
	tcase_add_test(tc, a_worker_that_does_not_answer_is_an_error);
	return unit_run("show", tc);
}
