#include "control/session.h"

#include "views_unit.h"

static struct views v;
static struct console_client c;
static char path[] = "/tmp/check_session_XXXXXX";

static void write_conf(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	int fd = mkstemp(path);

	close(fd);
	write_conf(WORLD_CONF);
	views_console_open(&v, &c, path);
}

static void teardown(void)
{
	views_console_close(&v, &c);
	unlink(path);
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
}

#define ck_text(want) ck_assert_str_eq(c.text, want)

START_TEST(welcome_is_pgbouncers)
{
	ck_text("R\nS|server_version=1.25.0/bouncer\nS|client_encoding=UTF8\n"
		"S|server_encoding=UTF8\nS|DateStyle=ISO\nS|TimeZone=GMT\n"
		"S|standard_conforming_strings=on\nS|is_superuser=on\nK\nZ|I\n");
}
END_TEST

START_TEST(unknown_words_are_an_error_and_no_more)
{
	console_query(&c, "SHOW ALL");
	ck_text("E|ERROR|08P01|invalid command 'SHOW ALL', use SHOW HELP;\nZ|I\n");
	console_query(&c, "BEGIN");
	ck_text("E|ERROR|08P01|invalid command 'BEGIN', use SHOW HELP;\nZ|I\n");
	console_query(&c, " ; ");
	ck_text("I\nZ|I\n");
	console_query(&c, "SHOW version");
	ck_assert_uint_eq(console_count(&c, "C|SHOW"), 1);
}
END_TEST

START_TEST(drivers_questions_are_answered)
{
	console_query(&c, "SHOW timezone");
	ck_text("T|timezone:25\nD|GMT\nC|SHOW\nZ|I\n");
	console_query(&c, "SET extra_float_digits = 3");
	ck_text("N|NOTICE|00000|SET ignored\nC|SET\nZ|I\n");
	console_query(&c, "SHOW HELP");
	ck_assert_ptr_nonnull(strstr(c.text, "N|NOTICE|00000|Console usage|"));
	ck_assert_ptr_nonnull(strstr(c.text, "\nC|SHOW\nZ|I\n"));
}
END_TEST

START_TEST(stats_users_may_only_show)
{
	static const char *const commands[] = {"PAUSE", "RESUME", "SUSPEND", "DISABLE app",
		"ENABLE app", "RECONNECT", "KILL app", "KILL_CLIENT 7", "WAIT_CLOSE", "RELOAD",
		"SHUTDOWN", "SHUTDOWN WAIT_FOR_CLIENTS", "SET verbose=1"};
	static struct console_client st;

	console_open(&st, &v, "st", false);
	console_wait(&st, 1);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		console_query(&st, commands[i]);
		ck_assert_str_eq(st.text, "E|ERROR|08P01|admin access needed\nZ|I\n");
	}
	console_query(&st, "SHOW POOLS");
	ck_assert_uint_eq(console_count(&st, "C|SHOW"), 1);
	ck_assert_uint_eq(v.n_shutdown + v.n_wait_clients + v.n_published, 0);
	ck_assert_uint_eq(v.w.workers[0].n_commands, 0);
	console_close(&st);
}
END_TEST

START_TEST(pause_answers_when_servers_are_released)
{
	v.w.workers[1].done.servers_in_use = 1;
	console_forget(&c);
	console_ask(&c, "PAUSE app");
	world_turn_until(&v.w, v.w.workers[1].n_commands == 3);
	console_read(&c);
	ck_text("");
	ck_assert_int_eq(v.w.workers[1].last.what, COMMAND_CLOSE_IDLE);
	ck_assert_str_eq(v.w.workers[1].last.database, "app");
	v.w.workers[1].done.servers_in_use = 0;
	console_wait(&c, 1);
	ck_text("C|PAUSE\nZ|I\n");
	console_query(&c, "RESUME app");
	ck_text("C|RESUME\nZ|I\n");
}
END_TEST

START_TEST(pause_that_is_undone_meanwhile_ends)
{
	static struct console_client other;

	v.w.workers[1].done.servers_in_use = 1;
	console_forget(&c);
	console_ask(&c, "PAUSE");
	world_turn_until(&v.w, v.w.workers[1].n_commands == 2);
	console_open(&other, &v, "adm", true);
	console_wait(&other, 1);
	console_query(&other, "RESUME");
	console_wait(&c, 1);
	ck_text("E|ERROR|08P01|resumed while it was being paused\nZ|I\n");
	console_close(&other);
}
END_TEST

START_TEST(wait_close_waits_for_outdated_servers)
{
	v.w.workers[0].done.servers_outdated = 2;
	console_query(&c, "RECONNECT app");
	ck_text("C|RECONNECT\nZ|I\n");
	console_forget(&c);
	console_ask(&c, "WAIT_CLOSE app");
	world_turn_until(&v.w, v.w.workers[0].n_commands == 3);
	console_read(&c);
	ck_text("");
	ck_assert_int_eq(v.w.workers[0].last.what, COMMAND_COUNT);
	v.w.workers[0].done.servers_outdated = 0;
	console_wait(&c, 1);
	ck_text("C|WAIT_CLOSE\nZ|I\n");
}
END_TEST

START_TEST(clients_are_killed_by_their_id)
{
	console_query(&c, "KILL_CLIENT 7");
	ck_text("E|ERROR|08P01|client not found\nZ|I\n");
	v.w.workers[1].done.n_hit = 1;
	console_query(&c, "KILL_CLIENT 7");
	ck_text("C|KILL_CLIENT\nZ|I\n");
	ck_assert_int_eq(v.w.workers[1].last.what, COMMAND_KILL_CLIENT);
	ck_assert_uint_eq(v.w.workers[1].last.id, 7);
	console_query(&c, "KILL_CLIENT -7");
	ck_assert_uint_eq(console_count(&c, "invalid client id"), 1);
	console_query(&c, "KILL_CLIENT 99999999999999999999");
	ck_assert_uint_eq(console_count(&c, "invalid client id"), 1);
	console_query(&c, "KILL app");
	ck_text("C|KILL\nZ|I\n");
	ck_assert_int_eq(v.w.workers[1].last.what, COMMAND_KILL_DB);
}
END_TEST

START_TEST(a_console_can_be_killed_even_by_itself)
{
	static struct console_client other;

	console_open(&other, &v, "adm", true);
	console_wait(&other, 1);
	ck_assert_uint_eq(consoles_n(v.consoles), 2);
	console_query(&c, "KILL_CLIENT 1"); /* the other's id is 1 or 2: ids count up */
	console_query(&c, "KILL_CLIENT 2");
	for (unsigned i = 0; i < 5; i++) {
		world_turn(&v.w, 1000);
		console_read(&other);
	}
	ck_assert(other.is_closed || c.is_closed);
	ck_assert_uint_lt(consoles_n(v.consoles), 2);
	close(other.fd);
}
END_TEST

START_TEST(reload_tells_what_is_wrong_and_changes_nothing)
{
	const struct conf *before = atomic_load(&v.w.sh.conf);

	console_query(&c, "RELOAD");
	ck_assert_ptr_nonnull(strstr(c.text, "C|RELOAD\nZ|I\n"));
	ck_assert_uint_eq(v.n_published, 1);
	ck_assert_ptr_ne(atomic_load(&v.w.sh.conf), before);
	write_conf("[databases]\napp = host=10.0.0.1\n[pgweir]\nlisten_prot = 1\n");
	before = atomic_load(&v.w.sh.conf);
	console_query(&c, "RELOAD");
	ck_assert_ptr_nonnull(strstr(c.text, "E|ERROR|F0000|"));
	ck_assert_ptr_nonnull(strstr(c.text, "listen_prot"));
	ck_assert_uint_eq(v.n_published, 1);
	ck_assert_ptr_eq(atomic_load(&v.w.sh.conf), before);
	ck_assert(world_has_logged(&v.w, "configuration error"));
}
END_TEST

START_TEST(reload_names_what_waits_for_a_restart)
{
	write_conf("[databases]\napp = host=10.0.0.1\n"
		   "[pgweir]\nlisten_addr = 127.0.0.1\nlisten_port = 7000\n");
	console_query(&c, "RELOAD");
	ck_assert_ptr_nonnull(strstr(c.text, "N|NOTICE|00000|"));
	ck_assert_ptr_nonnull(strstr(c.text, "listen_port"));
	ck_assert_ptr_nonnull(strstr(c.text, "C|RELOAD\nZ|I\n"));
	ck_assert_uint_eq(atomic_load(&v.w.sh.conf)->listen_port, 6432);
}
END_TEST

START_TEST(set_changes_one_key)
{
	console_query(&c, "SET max_client_conn = 77");
	ck_text("C|SET\nZ|I\n");
	ck_assert_uint_eq(atomic_load(&v.w.sh.conf)->max_client_conn, 77);
	console_query(&c, "SET max_client_conn = 'many'");
	ck_assert_ptr_nonnull(strstr(c.text, "E|ERROR|08P01|SET failed: "));
	console_query(&c, "SET nothing_such = 1");
	ck_assert_ptr_nonnull(strstr(c.text, "E|ERROR|08P01|SET failed: "));
	console_query(&c, "SET listen_port = 1");
	ck_assert_ptr_nonnull(strstr(c.text, "E|ERROR|08P01|SET failed: "));
	ck_assert_uint_eq(atomic_load(&v.w.sh.conf)->max_client_conn, 77);
}
END_TEST

START_TEST(shutdown_has_three_ways)
{
	console_query(&c, "SHUTDOWN WAIT_FOR_CLIENTS");
	ck_text("C|SHUTDOWN\nZ|I\n");
	console_query(&c, "SHUTDOWN wait_for_servers");
	console_query(&c, "SHUTDOWN");
	console_query(&c, "SHUTDOWN WAIT_FOR_NOBODY");
	ck_assert_uint_eq(console_count(&c, "E|ERROR|08P01|invalid command"), 1);
	ck_assert_uint_eq(v.n_wait_clients, 1);
	ck_assert_uint_eq(v.n_wait_servers, 1);
	ck_assert_uint_eq(v.n_shutdown, 1);
}
END_TEST

/* --- the extended protocol --- */

static void parse(const char *name, const char *sql)
{
	char body[512];
	int n = snprintf(body, sizeof body, "%s%c%s%c%c%c", name, 0, sql, 0, 0, 0);

	console_send(&c, 'P', body, (size_t)n);
}

static void bind_portal(const char *portal, const char *stmt)
{
	char body[512] = "";
	int n = snprintf(body, sizeof body, "%s%c%s%c", portal, 0, stmt, 0);

	console_send(&c, 'B', body, (size_t)n + 6);
}

static void target(char type, char kind, const char *name)
{
	char body[128];
	int n = snprintf(body, sizeof body, "%c%s%c", kind, name, 0);

	console_send(&c, type, body, (size_t)n);
}

static void execute(const char *portal, uint8_t rows_max)
{
	char body[128];
	int n = snprintf(body, sizeof body, "%s%c%c%c%c%c", portal, 0, 0, 0, 0, rows_max);

	console_send(&c, 'E', body, (size_t)n);
}

static const char *sync_and_wait(void)
{
	console_forget(&c);
	console_send(&c, 'S', "", 0);
	return console_wait(&c, 1);
}

START_TEST(extended_protocol_shows)
{
	parse("", "SHOW STATE");
	target('D', 'S', "");
	bind_portal("", "");
	target('D', 'P', "");
	execute("", 0);
	sync_and_wait();
	ck_text("1\nt|0\nT|key:25|value:25\n2\nT|key:25|value:25\n"
		"D|active|yes\nD|paused|no\nD|suspended|no\nC|SHOW\nZ|I\n");
}
END_TEST

START_TEST(extended_protocol_commands)
{
	parse("s", "DISABLE app");
	target('D', 'S', "s");
	bind_portal("p", "s");
	execute("p", 0);
	target('C', 'P', "p");
	target('C', 'S', "s");
	target('C', 'S', "never there");
	console_send(&c, 'H', "", 0);
	sync_and_wait();
	ck_text("1\nt|0\nn\n2\nC|DISABLE\n3\n3\n3\nZ|I\n");
	parse("", "");
	bind_portal("", "");
	execute("", 0);
	sync_and_wait();
	ck_text("1\n2\nI\nZ|I\n");
}
END_TEST

START_TEST(an_error_skips_to_sync)
{
	parse("", "nonsense");
	bind_portal("", "");
	execute("", 0);
	sync_and_wait();
	ck_text("E|ERROR|08P01|invalid command 'nonsense', use SHOW HELP;\nZ|I\n");
	parse("", "SHOW nothing");
	bind_portal("", "");
	execute("", 0);
	execute("", 0);
	sync_and_wait();
	ck_text("1\n2\nE|ERROR|08P01|invalid command 'SHOW nothing', use SHOW HELP;\nZ|I\n");
	bind_portal("", "no such");
	sync_and_wait();
	ck_text("E|ERROR|26000|there is no prepared statement of this name\nZ|I\n");
	execute("no such", 0);
	sync_and_wait();
	ck_text("E|ERROR|34000|there is no portal of this name\nZ|I\n");
	parse("s", "SHOW STATE");
	parse("s", "SHOW STATE");
	sync_and_wait();
	ck_assert_ptr_nonnull(strstr(c.text, "1\nE|ERROR|42P05|"));
}
END_TEST

START_TEST(parameters_and_binary_are_refused_politely)
{
	static const char one_param[] = "\0\0\0\0\0\1\0\0\0\1x\0\0";
	static const char binary[] = "\0\0\0\0\0\0\0\1\0\1";

	parse("", "SHOW STATE");
	console_send(&c, 'B', one_param, sizeof one_param - 1);
	sync_and_wait();
	ck_text("1\nE|ERROR|08P01|commands of the console take no parameters\nZ|I\n");
	parse("", "SHOW STATE");
	console_send(&c, 'B', binary, sizeof binary - 1);
	sync_and_wait();
	ck_text("1\nE|ERROR|0A000|the console sends values as text only\nZ|I\n");
}
END_TEST

START_TEST(portal_is_suspended_and_goes_on)
{
	parse("", "SHOW STATE");
	bind_portal("p", "");
	execute("p", 2);
	execute("p", 2);
	sync_and_wait();
	ck_text("1\n2\nD|active|yes\nD|paused|no\ns\nD|suspended|no\nC|SHOW\nZ|I\n");
	bind_portal("p", ""); /* a Sync has ended the portal of that name */
	execute("p", 1);
	sync_and_wait();
	ck_text("2\nD|active|yes\ns\nZ|I\n");
	execute("p", 1);
	sync_and_wait();
	ck_assert_ptr_nonnull(strstr(c.text, "E|ERROR|34000|"));
}
END_TEST

START_TEST(statements_are_bounded)
{
	char name[80];

	for (unsigned i = 0; i < SESSION_PREPARED_MAX; i++) {
		snprintf(name, sizeof name, "s%u", i);
		parse(name, "SHOW STATE");
	}
	sync_and_wait();
	ck_assert_uint_eq(console_count(&c, "1\n"), SESSION_PREPARED_MAX);
	parse("more", "SHOW STATE");
	sync_and_wait();
	ck_assert_ptr_nonnull(strstr(c.text, "E|ERROR|54000|"));
	target('C', 'S', "s0");
	memset(name, 'n', 79);
	name[79] = '\0';
	parse(name, "SHOW STATE");
	sync_and_wait();
	ck_assert_ptr_nonnull(strstr(c.text, "E|ERROR|54000|"));
}
END_TEST

START_TEST(pipelined_queries_are_answered_in_order)
{
	console_forget(&c);
	console_ask(&c, "SHOW STATE");
	console_ask(&c, "SHOW STATS_TOTALS"); /* asks the workers */
	console_ask(&c, "SHOW timezone");
	console_wait(&c, 3);
	ck_assert_ptr_nonnull(strstr(c.text, "D|suspended|no\nC|SHOW\nZ|I\nT|database:25|"));
	ck_assert_ptr_nonnull(strstr(c.text, "C|SHOW\nZ|I\nT|timezone:25\nD|GMT\nC|SHOW\nZ|I\n"));
}
END_TEST

/* --- the connection --- */

static void expect_closed(void)
{
	for (unsigned i = 0; i < 50 && !c.is_closed; i++) {
		world_turn(&v.w, 5000);
		console_read(&c);
	}
	ck_assert(c.is_closed);
	ck_assert_uint_eq(consoles_n(v.consoles), 0);
}

START_TEST(terminate_ends_it)
{
	console_send(&c, 'X', "", 0);
	expect_closed();
}
END_TEST

START_TEST(broken_protocol_is_fatal)
{
	static const struct {
		char type;
		const char *body;
		size_t len;
	} bad[] = {
		{'Q', "no end", 6},
		{'Q', "a\0b", 4},
		{'B', "\0", 1},
		{'B', "\0\0", 2},
		{'E', "\0", 1},
		{'D', "S", 1},
		{'C', "Sx", 2},
		{'P', "\0", 1},
		{'S', "x", 1},
		{'F', "", 0},
		{'?', "", 0},
	};

	console_forget(&c);
	console_send(&c, bad[_i].type, bad[_i].body, bad[_i].len);
	expect_closed();
	ck_text("E|FATAL|08P01|protocol violation\n");
}
END_TEST

START_TEST(messages_are_bounded)
{
	static const uint8_t at_limit[5] = {
		'Q', 0, 0, SESSION_MESSAGE_MAX >> 8, SESSION_MESSAGE_MAX & 255};
	static const uint8_t above[5] = {
		'Q', 0, 0, (SESSION_MESSAGE_MAX + 1) >> 8, (SESSION_MESSAGE_MAX + 1) & 255};
	static char body[SESSION_MESSAGE_MAX - 4];

	console_forget(&c);
	memset(body, ' ', sizeof body - 1);
	ck_assert_int_eq(send(c.fd, at_limit, 5, 0), 5);
	ck_assert_int_eq(send(c.fd, body, sizeof body, 0), (ssize_t)sizeof body);
	console_wait(&c, 1);
	ck_text("I\nZ|I\n");
	console_forget(&c);
	ck_assert_int_eq(send(c.fd, above, 5, 0), 5);
	expect_closed();
	ck_text("E|FATAL|08P01|message too long for the console\n");
}
END_TEST

START_TEST(client_that_leaves_while_it_waits_leaves_nothing)
{
	v.w.workers[1].done.servers_in_use = 1;
	console_ask(&c, "PAUSE app");
	world_turn_until(&v.w, v.w.workers[1].n_commands == 2);
	close(c.fd);
	world_turn_until(&v.w, consoles_n(v.consoles) == 0);
	console_open(&c, &v, "adm", true);
	console_wait(&c, 1);
	v.w.workers[0].is_silent = true;
	console_ask(&c, "SHOW STATS");
	for (unsigned i = 0; i < 5; i++)
		world_turn(&v.w, 1000);
	close(c.fd);
	world_turn_until(&v.w, consoles_n(v.consoles) == 0);
	v.w.workers[0].is_silent = false;
	console_open(&c, &v, "adm", true);
	console_wait(&c, 1);
	console_query(&c, "SHOW CLIENTS");
	ck_assert_uint_eq(console_count(&c, "C|SHOW"), 1);
}
END_TEST

/* A client that asks much and reads nothing is held back, not served into memory. */
START_TEST(output_is_bounded)
{
	const size_t most = SESSION_OUT_MAX + 3 * ROWS_BUF_MIN;
	static const uint8_t ask[] = {
		'Q', 0, 0, 0, 16, 'S', 'H', 'O', 'W', ' ', 'C', 'O', 'N', 'F', 'I', 'G', 0};
	struct session *s = list_entry(v.consoles->sessions.next, struct session, link);
	unsigned asked = 0, answered = 0;

	for (unsigned i = 0; i < 400; i++) {
		asked += send(c.fd, ask, sizeof ask, MSG_NOSIGNAL) == (ssize_t)sizeof ask;
		world_turn(&v.w, 0);
		ck_assert_uint_le(conn_out_len(s->conn), most);
	}
	ck_assert_uint_gt(asked, 100);
	ck_assert_uint_gt(conn_out_len(s->conn), SESSION_OUT_MAX);
	for (unsigned i = 0; i < 20000 && answered < asked; i++) {
		console_forget(&c);
		world_turn(&v.w, 1000);
		console_read(&c);
		answered += console_count(&c, "Z|I\n");
	}
	ck_assert_uint_eq(answered, asked);
	ck_assert_uint_eq(consoles_n(v.consoles), 1);
}
END_TEST

START_TEST(number_of_consoles_is_bounded)
{
	static struct console_client more[CONSOLES_MAX];

	for (unsigned i = 0; i < CONSOLES_MAX; i++) {
		console_open(&more[i], &v, "adm", true);
		for (unsigned k = 0; k < 3; k++)
			world_turn(&v.w, 0);
		console_read(&more[i]);
	}
	ck_assert_uint_eq(consoles_n(v.consoles), CONSOLES_MAX);
	ck_assert_str_eq(
		more[CONSOLES_MAX - 1].text, "E|FATAL|53300|too many clients on the console\n");
	for (unsigned i = 0; i < CONSOLES_MAX; i++)
		close(more[i].fd);
	world_turn_until(&v.w, consoles_n(v.consoles) == 1);
}
END_TEST

START_TEST(shutdown_drops_all_and_sends_what_waits)
{
	console_forget(&c);
	console_ask(&c, "SHOW STATE");
	world_turn(&v.w, 5000);
	consoles_shutdown(v.consoles);
	expect_closed();
	ck_assert_ptr_nonnull(strstr(c.text, "C|SHOW\nZ|I\n"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("session");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, welcome_is_pgbouncers);
	tcase_add_test(tc, unknown_words_are_an_error_and_no_more);
	tcase_add_test(tc, drivers_questions_are_answered);
	tcase_add_test(tc, stats_users_may_only_show);
	tcase_add_test(tc, pause_answers_when_servers_are_released);
	tcase_add_test(tc, pause_that_is_undone_meanwhile_ends);
	tcase_add_test(tc, wait_close_waits_for_outdated_servers);
	tcase_add_test(tc, clients_are_killed_by_their_id);
	tcase_add_test(tc, a_console_can_be_killed_even_by_itself);
	tcase_add_test(tc, reload_tells_what_is_wrong_and_changes_nothing);
	tcase_add_test(tc, reload_names_what_waits_for_a_restart);
	tcase_add_test(tc, set_changes_one_key);
	tcase_add_test(tc, shutdown_has_three_ways);
	tcase_add_test(tc, extended_protocol_shows);
	tcase_add_test(tc, extended_protocol_commands);
	tcase_add_test(tc, an_error_skips_to_sync);
	tcase_add_test(tc, parameters_and_binary_are_refused_politely);
	tcase_add_test(tc, portal_is_suspended_and_goes_on);
	tcase_add_test(tc, statements_are_bounded);
	tcase_add_test(tc, pipelined_queries_are_answered_in_order);
	tcase_add_test(tc, terminate_ends_it);
	tcase_add_loop_test(tc, broken_protocol_is_fatal, 0, 11);
	tcase_add_test(tc, messages_are_bounded);
	tcase_add_test(tc, client_that_leaves_while_it_waits_leaves_nothing);
	tcase_add_test(tc, output_is_bounded);
	tcase_add_test(tc, number_of_consoles_is_bounded);
	tcase_add_test(tc, shutdown_drops_all_and_sends_what_waits);
	return unit_run("session", tc);
}
