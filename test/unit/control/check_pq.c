#include "control/pq.h"

#include <sys/syscall.h>

#include "control_unit.h"
#include "fake_server.h"

static struct world w;
static struct fake_server server;
static struct pq *pq;
static unsigned n_ready, n_rows, n_done, n_failed;
static struct pq_failure failure;
static char value[64], sqlstate[8], error[128];
static bool ok;
static bool free_in_callback;
static uint64_t longest_turn_us;

static void on_ready(void *arg)
{
	(void)arg;
	n_ready++;
	if (free_in_callback) {
		pq_free(pq);
		pq = NULL;
	}
}

static void on_row(void *arg, const struct pq_result *r)
{
	const char *v = pq_result_value(r, 0);

	(void)arg;
	n_rows++;
	snprintf(value, sizeof value, "%s", v != NULL ? v : "(null)");
	ck_assert_ptr_null(pq_result_value(r, 99));
	if (free_in_callback) {
		pq_free(pq);
		pq = NULL;
	}
}

static void on_done(void *arg, const struct pq_result *r)
{
	(void)arg;
	n_done++;
	ok = pq_result_ok(r);
	snprintf(sqlstate, sizeof sqlstate, "%s", pq_result_sqlstate(r));
	snprintf(error, sizeof error, "%s", pq_result_error(r));
}

static void on_failed(void *arg, const struct pq_failure *f)
{
	(void)arg;
	n_failed++;
	failure = *f;
	if (free_in_callback) {
		pq_free(pq);
		pq = NULL;
	}
}

static const struct pq_ops ops = {
	.on_ready = on_ready, .on_row = on_row, .on_done = on_done, .on_failed = on_failed};

static void setup(void)
{
	world_init(&w, WORLD_CONF, WORLD_USERS, 0);
	world_add_helpers(&w, 3);
	n_ready = n_rows = n_done = n_failed = 0;
	free_in_callback = false;
	longest_turn_us = 0;
	memset(&failure, 0, sizeof failure);
}

static void teardown(void)
{
	fake_server_stop(&server);
	pq_free(pq);
	pq = NULL;
	world_fini(&w);
}

/* To the server that was started last. */
static enum status try_connect(uint64_t timeout_us)
{
	static struct conf_tls tls;
	struct pq_target t = {.host = "localhost",
		.hostaddr = "127.0.0.1",
		.dbname = "db",
		.user = "mon",
		.password = "pw",
		.tls = &tls,
		.statement_timeout_us = 1500000};

	tls = atomic_load(&w.sh.conf)->server_tls;
	tls.sslmode = TLS_MODE_PREFER;
	t.port = server.port;
	return pq_connect(&w.env, &t, timeout_us, &ops, NULL, &pq);
}

static void connect_to(void (*script)(struct fake_server *s), uint64_t timeout_us)
{
	fake_server_start(&server, script);
	ck_assert_int_eq(try_connect(timeout_us), OK);
}

static void login_only(struct fake_server *s)
{
	fake_login(s);
	fake_wait(s);
}

START_TEST(login_is_under_fixed_parameters)
{
	setenv("PGOPTIONS", "-c search_path=evil", 1);
	setenv("PGAPPNAME", "evil", 1);
	setenv("PGSERVICE", "evil", 1);
	pq_prepare_process();
	connect_to(login_only, 5000000);
	ck_assert_uint_eq(n_ready, 0); /* not from inside */
	world_turn_until(&w, n_ready == 1);
	ck_assert_int_eq(pq_server_version(pq), 160002);
	ck_assert_ptr_nonnull(strstr(server.startup, "user\nmon\n"));
	ck_assert_ptr_nonnull(strstr(server.startup, "application_name\npgweir-monitor\n"));
	ck_assert_ptr_nonnull(strstr(server.startup, "client_encoding\nSQL_ASCII\n"));
	ck_assert_ptr_nonnull(strstr(server.startup, "search_path=pg_catalog"));
	ck_assert_ptr_nonnull(strstr(server.startup, "statement_timeout=1500"));
	ck_assert_ptr_null(strstr(server.startup, "evil"));
}
END_TEST

static void one_answer(struct fake_server *s)
{
	char sql[64];

	fake_login(s);
	fake_query(s, sql, sizeof sql);
	fake_columns(s, 1);
	fake_row(s, sql);
	fake_complete(s, "SELECT 1");
	fake_ready(s);
	fake_query(s, sql, sizeof sql);
	fake_error(s, "ERROR", "57014", "canceling");
	fake_ready(s);
	fake_wait(s);
}

START_TEST(rows_and_errors_come_back)
{
	connect_to(one_answer, 5000000);
	world_turn_until(&w, n_ready == 1);
	ck_assert_int_eq(pq_query(pq, "ask", 5000000), OK);
	world_turn_until(&w, n_done == 1);
	ck_assert(ok && n_rows == 1);
	ck_assert_str_eq(value, "ask");
	ck_assert_int_eq(pq_query(pq, "again", 5000000), OK);
	world_turn_until(&w, n_done == 2);
	ck_assert(!ok && n_rows == 1);
	ck_assert_str_eq(sqlstate, "57014");
	ck_assert_str_eq(error, "canceling");
	ck_assert_uint_eq(n_failed, 0);
}
END_TEST

#define MANY 20000u

static void many_rows(struct fake_server *s)
{
	char sql[64];

	fake_login(s);
	fake_query(s, sql, sizeof sql);
	fake_columns(s, 1);
	for (unsigned i = 0; i < MANY; i++)
		fake_row(s, "a row");
	fake_complete(s, "SELECT");
	fake_ready(s);
	fake_wait(s);
}

START_TEST(many_rows_come_in_bounded_turns)
{
	unsigned before, most = 0;

	connect_to(many_rows, 5000000);
	world_turn_until(&w, n_ready == 1);
	ck_assert_int_eq(pq_query(pq, "ask", 20000000), OK);
	while (n_done == 0) {
		before = n_rows;
		world_turn(&w, 20000);
		if (n_rows - before > most)
			most = n_rows - before;
	}
	ck_assert_uint_eq(n_rows, MANY);
	ck_assert_uint_le(most, 2 * PQ_ROWS_PER_TURN); /* the socket and the timer */
}
END_TEST

static void refuse(struct fake_server *s)
{
	fake_startup(s);
	fake_error(s, "FATAL", "28P01", "password authentication failed for user \"mon\"");
}

START_TEST(refused_login_tells_its_sqlstate)
{
	connect_to(refuse, 5000000);
	world_turn_until(&w, n_failed == 1);
	ck_assert_int_eq(failure.kind, PQ_FAILED_REFUSED);
	ck_assert_str_eq(failure.sqlstate, "28P01");
	ck_assert_str_eq(failure.text, "password authentication failed for user \"mon\"");
}
END_TEST

static void say_nothing(struct fake_server *s)
{
	fake_startup(s);
	fake_wait(s);
}

START_TEST(silence_ends_at_the_deadline)
{
	connect_to(say_nothing, 100000);
	world_turn_until(&w, n_failed == 1);
	ck_assert_int_eq(failure.kind, PQ_FAILED_TIMEOUT);
	ck_assert_str_eq(failure.sqlstate, "");
}
END_TEST

static void no_answer(struct fake_server *s)
{
	char sql[64];

	fake_login(s);
	fake_query(s, sql, sizeof sql);
	fake_wait(s);
}

START_TEST(unanswered_query_ends_at_its_deadline)
{
	connect_to(no_answer, 5000000);
	world_turn_until(&w, n_ready == 1);
	ck_assert_int_eq(pq_query(pq, "ask", 100000), OK);
	world_turn_until(&w, n_failed == 1);
	ck_assert_int_eq(failure.kind, PQ_FAILED_TIMEOUT);
	ck_assert_uint_eq(n_done, 0);
}
END_TEST

static void say_farewell(struct fake_server *s)
{
	fake_login(s);
	fake_wait(s);
	fake_error(s, "FATAL", "57P01", "terminating connection");
}

START_TEST(end_of_an_idle_session_is_noticed_with_its_reason)
{
	connect_to(say_farewell, 5000000);
	world_turn_until(&w, n_ready == 1);
	atomic_store(&server.may_go_on, true);
	world_turn_until(&w, n_failed == 1);
	ck_assert_int_eq(failure.kind, PQ_FAILED_REFUSED);
	ck_assert_str_eq(failure.sqlstate, "57P01");
	ck_assert_str_eq(failure.text, "terminating connection");
}
END_TEST

static void vanish(struct fake_server *s)
{
	char sql[64];

	fake_login(s);
	fake_query(s, sql, sizeof sql);
}

START_TEST(lost_connection_fails)
{
	connect_to(vanish, 5000000);
	world_turn_until(&w, n_ready == 1);
	ck_assert_int_eq(pq_query(pq, "ask", 5000000), OK);
	world_turn_until(&w, n_failed == 1);
	ck_assert_int_eq(failure.kind, PQ_FAILED_UNREACHABLE);
	ck_assert_str_ne(failure.text, "");
}
END_TEST

/* --- libpq closes a broken socket itself --- */

static atomic_uint n_closed, n_closed_watched;

static bool epoll_watches(int epoll, int fd)
{
	char path[64], line[128];
	bool found = false;
	FILE *f;
	int tfd;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
	f = fopen(path, "r");
	while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
		found = sscanf(line, "tfd: %d", &tfd) == 1 && tfd == fd;
	if (f != NULL)
		fclose(f);
	return found;
}

/* In the place of libc's, for libpq too: does the loop watch what is being closed? */
int close(int fd)
{
	n_closed++;
	for (int i = 0; i < 64; i++)
		if (i != fd && epoll_watches(i, fd))
			n_closed_watched++;
	return (int)syscall(SYS_close, fd);
}

START_TEST(no_watched_socket_is_closed)
{
	connect_to(vanish, 5000000);
	world_turn_until(&w, n_ready == 1);
	n_closed = n_closed_watched = 0;
	ck_assert_int_eq(pq_query(pq, "SELECT 1", 5000000), OK);
	world_turn_until(&w, n_failed == 1);
	ck_assert_uint_ge(n_closed, 2); /* libpq's and ours */
	ck_assert_uint_eq(n_closed_watched, 0);
}
END_TEST

static void copy_out(struct fake_server *s)
{
	char sql[64];

	fake_login(s);
	fake_query(s, sql, sizeof sql);
	fake_message(s, 'H', "\0\0\0", 3);
	fake_wait(s);
}

START_TEST(an_answer_of_another_kind_fails)
{
	connect_to(copy_out, 5000000);
	world_turn_until(&w, n_ready == 1);
	ck_assert_int_eq(pq_query(pq, "ask", 5000000), OK);
	world_turn_until(&w, n_failed == 1);
	ck_assert_int_eq(failure.kind, PQ_FAILED_REFUSED);
}
END_TEST

/* RFC 5802: the server names the iterations; 2^31 - 1 of them take minutes. */
static void iteration_bomb(struct fake_server *s)
{
	char sasl[] = "\0\0\0\x0aSCRAM-SHA-256\0\0", body[256], answer[256], *nonce;
	uint32_t len;
	char type;
	int n;

	fake_startup(s);
	fake_message(s, 'R', sasl, sizeof sasl - 1);
	fake_read(s, &type, 1);
	fake_read(s, &len, 4);
	len = ntohl(len) - 4;
	if (len >= sizeof answer)
		return;
	fake_read(s, answer, len);
	answer[len] = '\0';
	nonce = strstr(answer + 18, "r=");
	if (nonce == NULL)
		return;
	n = snprintf(body, sizeof body, "%c%c%c%c%sx,s=c2FsdHNhbHRzYWx0,i=2147483647", 0, 0, 0, 11,
		nonce);
	fake_message(s, 'R', body, (size_t)n);
	fake_wait(s);
}

#define ENDED 7

START_TEST(iteration_bomb_does_not_hold_the_loop)
{
	uint64_t before;

	connect_to(iteration_bomb, 300000);
	while (n_failed == 0) {
		before = env_now_us(&w.env);
		world_turn(&w, 1000);
		if (env_now_us(&w.env) - before > longest_turn_us)
			longest_turn_us = env_now_us(&w.env) - before;
	}
	ck_assert_int_eq(failure.kind, PQ_FAILED_TIMEOUT);
	ck_assert_uint_lt(longest_turn_us, 200000);
	pq_free(pq);
	pq = NULL;
	/* A helper is lost to it, and no more; the others go on, and the end does not wait. */
	ck_assert_int_eq(try_connect(1000000), E_AGAIN);
	ck_assert_uint_eq(helpers_n_jobs(w.env.helpers), 1);
	ck_assert(!helpers_stop(w.env.helpers, 100));
	fake_server_stop(&server);
	_exit(ENDED); /* as main does: exit handlers would pull the libraries from under it */
}
END_TEST

START_TEST(connection_can_be_freed_in_any_callback)
{
	free_in_callback = true;
	connect_to(login_only, 5000000);
	world_turn_until(&w, n_ready == 1);
	ck_assert_ptr_null(pq);
	fake_server_stop(&server);
	n_ready = 0;
	connect_to(refuse, 5000000);
	world_turn_until(&w, n_failed == 1);
	fake_server_stop(&server);
	free_in_callback = false;
	connect_to(one_answer, 5000000);
	world_turn_until(&w, n_ready == 1);
	ck_assert_int_eq(pq_query(pq, "ask", 5000000), OK);
	free_in_callback = true;
	world_turn_until(&w, n_rows == 1);
	for (unsigned i = 0; i < 5; i++)
		world_turn(&w, 1000);
	ck_assert_uint_eq(n_done, 0);
}
END_TEST

START_TEST(connection_can_be_freed_while_a_helper_works_on_it)
{
	connect_to(login_only, 5000000);
	pq_free(pq);
	pq = NULL;
	while (helpers_n_jobs(w.env.helpers) != 0)
		world_turn(&w, 1000);
	ck_assert_uint_eq(n_ready + n_failed, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pq"), *end = tcase_create("pq_end");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, login_is_under_fixed_parameters);
	tcase_add_test(tc, rows_and_errors_come_back);
	tcase_add_test(tc, many_rows_come_in_bounded_turns);
	tcase_add_test(tc, refused_login_tells_its_sqlstate);
	tcase_add_test(tc, silence_ends_at_the_deadline);
	tcase_add_test(tc, unanswered_query_ends_at_its_deadline);
	tcase_add_test(tc, end_of_an_idle_session_is_noticed_with_its_reason);
	tcase_add_test(tc, lost_connection_fails);
	tcase_add_test(tc, no_watched_socket_is_closed);
	tcase_add_test(tc, an_answer_of_another_kind_fails);
	tcase_add_test(tc, connection_can_be_freed_in_any_callback);
	tcase_add_test(tc, connection_can_be_freed_while_a_helper_works_on_it);
	tcase_add_checked_fixture(end, setup, NULL); /* a helper stays busy: nothing is freed */
	tcase_add_exit_test(end, iteration_bomb_does_not_hold_the_loop, ENDED);
	return unit_run_two("pq", tc, end);
}
