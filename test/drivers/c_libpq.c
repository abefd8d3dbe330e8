/* libpq: prepared statements, pipeline mode, single-row mode, cancel. */
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#define CLIENTS 5
#define BIG     (10u * 1024 * 1024)

static char seen[65536]; /* what the behaviour that runs has seen */

static void see(const char *format, ...)
{
	size_t at = strlen(seen);
	va_list args;

	va_start(args, format);
	vsnprintf(seen + at, sizeof seen - at, format, args);
	va_end(args);
}

static PGconn *open_conn(const char *more)
{
	PGconn *conn = PQconnectdb(more);

	if (PQstatus(conn) != CONNECTION_OK) {
		printf("failed: %s", PQerrorMessage(conn));
		exit(1);
	}
	return conn;
}

static void open_all(PGconn **conns, int n)
{
	for (int i = 0; i < n; i++)
		conns[i] = open_conn("");
}

static void close_all(PGconn **conns, int n)
{
	for (int i = 0; i < n; i++)
		PQfinish(conns[i]);
}

/* See the first value of a result, or its SQLSTATE. */
static void see_result(PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE)
		see("%s ", PQntuples(result) == 0      ? "none"
			   : PQgetisnull(result, 0, 0) ? "null"
						       : PQgetvalue(result, 0, 0));
	else if (status == PGRES_COMMAND_OK)
		see("%s ", PQcmdStatus(result));
	else if (PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL)
		see("%s ", PQresultErrorField(result, PG_DIAG_SQLSTATE));
	else
		see("%s ", PQresStatus(status));
	PQclear(result);
}

static void query(PGconn *conn, const char *sql)
{
	see_result(PQexec(conn, sql));
}

static void run(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		see("%s: %s", sql, PQerrorMessage(conn));
	PQclear(result);
}

static void prepared(void)
{
	PGconn *conns[CLIENTS];
	char text[64], number[16];
	const char *values[1] = {number};
	long sum = 0;

	open_all(conns, CLIENTS);
	for (int k = 0; k < CLIENTS; k++) {
		snprintf(text, sizeof text, "SELECT $1::int * %d", k);
		PQclear(PQprepare(conns[k], "own", text, 0, NULL));
		PQclear(PQprepare(conns[k], "same", "SELECT $1::int + 1", 0, NULL));
	}
	for (int i = 0; i < 8; i++)
		for (int k = 0; k < CLIENTS; k++) {
			snprintf(number, sizeof number, "%d", i);
			for (int which = 0; which < 2; which++) {
				PGresult *result = PQexecPrepared(conns[k],
					which != 0 ? "own" : "same", 1, values, NULL, NULL, 0);

				sum += atol(PQgetvalue(result, 0, 0));
				PQclear(result);
			}
		}
	see("%ld ", sum);
	see_result(PQprepare(conns[0], "own", "SELECT 1", 0, NULL));
	see_result(PQexecPrepared(conns[0], "none", 0, NULL, NULL, NULL, 0));
	see_result(PQdescribePrepared(conns[1], "own"));
	close_all(conns, CLIENTS);
}

static void settings(void)
{
	static const char *const names[] = {
		"TimeZone", "statement_timeout", "search_path", "work_mem", "lock_timeout"};
	PGconn *conns[CLIENTS];
	char sql[256];

	for (int k = 0; k < CLIENTS; k++) {
		conns[k] = open_conn("options='-c lock_timeout=4321'");
		snprintf(sql, sizeof sql,
			"SET TimeZone = 'Etc/GMT+%d'; SET statement_timeout = %d; SET search_path "
			"= d%d",
			k, 60000 + k, k);
		run(conns[k], sql);
	}
	for (int i = 0; i < 2 * CLIENTS; i++) {
		PGconn *conn = conns[i % CLIENTS];

		run(conn, "BEGIN");
		run(conn, "SET LOCAL work_mem = '7MB'");
		run(conn, "SET statement_timeout = 5000");
		run(conn, "ROLLBACK");
		for (unsigned n = 0; n < sizeof names / sizeof *names; n++) {
			snprintf(sql, sizeof sql, "SHOW %s", names[n]);
			query(conn, sql);
		}
		see("%s ", PQparameterStatus(conn, "TimeZone"));
	}
	run(conns[0], "RESET ALL");
	query(conns[0], "SHOW lock_timeout");
	close_all(conns, CLIENTS);
}

static void custom_setting(void)
{
	PGconn *conns[2];
	const char *ask = "SELECT current_setting('app.user_id', true)";

	open_all(conns, 2);
	run(conns[0], "SET app.user_id = '7'");
	query(conns[0], ask);
	query(conns[1], ask);
	run(conns[0], "SELECT set_config('app.user_id', '8', false)");
	query(conns[0], ask);
	query(conns[1], ask);
	close_all(conns, 2);
}

static void errors(void)
{
	static const char *const sql[] = {"SELECT 1/0", "SELEKT 1", "SELECT * FROM no_such_table",
		"SELECT 1", "BEGIN", "SELECT 1", "SELECT 'x'::int", "SELECT 1", "ROLLBACK",
		"SELECT 5", "SELECT 1; SELECT 1/0; SELECT 2", ""};
	PGconn *conn = open_conn("");

	for (unsigned i = 0; i < sizeof sql / sizeof *sql; i++)
		query(conn, sql[i]);
	PQfinish(conn);
}

static void cancel(void)
{
	PGconn *conns[2];
	PGcancel *handle;
	char why[256];

	open_all(conns, 2);
	PQsendQuery(conns[0], "SELECT pg_sleep(30)");
	usleep(300000);
	handle = PQgetCancel(conns[0]);
	see("%d ", PQcancel(handle, why, sizeof why));
	PQfreeCancel(handle);
	see_result(PQgetResult(conns[0]));
	PQclear(PQgetResult(conns[0]));
	query(conns[0], "SELECT 1");
	query(conns[1], "SELECT 2");
	close_all(conns, 2);
}

static void copy(void)
{
	PGconn *conns[2];
	char row[64], *out;
	size_t length = 0;
	int n;

	open_all(conns, 2);
	run(conns[0], "DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)");
	for (int round = 0; round < 3; round++) {
		PQclear(PQexec(conns[0], "COPY d_copy FROM STDIN"));
		for (int i = 0; i < (round == 0 ? 10000 : 1); i++) {
			n = snprintf(row, sizeof row, round == 1 ? "x\ty\n" : "%d\trow\n", i);
			PQputCopyData(conns[0], row, n);
		}
		PQputCopyEnd(conns[0], round == 2 ? "given up" : NULL);
		see_result(PQgetResult(conns[0]));
		PQclear(PQgetResult(conns[0]));
		query(conns[1], "SELECT count(*) || ' ' || sum(a) FROM d_copy");
	}
	PQclear(PQexec(conns[1], "COPY d_copy TO STDOUT"));
	while ((n = PQgetCopyData(conns[1], &out, 0)) > 0) {
		length += (size_t)n;
		PQfreemem(out);
	}
	see("%zu ", length);
	PQclear(PQgetResult(conns[1]));
	PQclear(PQgetResult(conns[1]));
	run(conns[0], "DROP TABLE d_copy");
	close_all(conns, 2);
}

static void listen(void)
{
	PGconn *conns[2];
	PGnotify *note;

	open_all(conns, 2);
	run(conns[0], "LISTEN d_news");
	run(conns[1], "NOTIFY d_news, 'hello'");
	run(conns[1], "SELECT pg_notify('d_news', 'again')");
	for (int heard = 0, tries = 0; heard < 2 && tries < 100; tries++) {
		struct timeval tick = {.tv_usec = 100000};
		fd_set in;

		FD_ZERO(&in);
		FD_SET(PQsocket(conns[0]), &in);
		select(PQsocket(conns[0]) + 1, &in, NULL, NULL, &tick);
		PQconsumeInput(conns[0]);
		while ((note = PQnotifies(conns[0])) != NULL) {
			see("%s %s ", note->relname, note->extra);
			PQfreemem(note);
			heard++;
		}
	}
	close_all(conns, 2);
}

static void temp_table(void)
{
	PGconn *conns[3];

	open_all(conns, 3);
	run(conns[0], "CREATE TEMP TABLE d_temp (a int)");
	run(conns[1], "CREATE TEMP TABLE d_temp (a text)");
	run(conns[0], "INSERT INTO d_temp VALUES (1), (2)");
	run(conns[1], "INSERT INTO d_temp VALUES ('x')");
	query(conns[0], "SELECT sum(a) FROM d_temp");
	query(conns[1], "SELECT max(a) FROM d_temp");
	query(conns[2], "SELECT a FROM d_temp");
	run(conns[0], "DROP TABLE d_temp");
	query(conns[0], "SELECT a FROM d_temp");
	close_all(conns, 3);
}

static void advisory_lock(void)
{
	PGconn *conns[2];

	open_all(conns, 2);
	query(conns[0], "SELECT pg_try_advisory_lock(83)");
	query(conns[1], "SELECT pg_try_advisory_lock(83)");
	query(conns[0], "SELECT pg_advisory_unlock(83)");
	query(conns[1], "SELECT pg_try_advisory_lock(83)");
	query(conns[1], "SELECT pg_advisory_unlock(83)");
	query(conns[0], "SELECT pg_advisory_unlock(83)");
	close_all(conns, 2);
}

static void cursor(void)
{
	PGconn *conns[3];
	char sql[128];

	open_all(conns, 3);
	for (int k = 0; k < 3; k++) {
		snprintf(sql, sizeof sql,
			"BEGIN; DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 1000) * %d",
			k + 1);
		run(conns[k], sql);
	}
	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 3; k++)
			query(conns[k], "FETCH RELATIVE 100 FROM c");
	for (int k = 0; k < 3; k++)
		run(conns[k], "COMMIT");
	run(conns[0], "DECLARE h CURSOR WITH HOLD FOR SELECT 7");
	query(conns[1], "SELECT 1");
	query(conns[0], "FETCH FROM h");
	run(conns[0], "CLOSE h");
	close_all(conns, 3);
}

static void big_value(void)
{
	PGconn *conn = open_conn("");
	char *big = malloc(BIG + 1);
	const char *values[1] = {big};
	PGresult *result;

	memset(big, 'x', BIG);
	big[BIG] = '\0';
	see_result(PQexecParams(conn, "SELECT md5($1)", 1, NULL, values, NULL, NULL, 0));
	result = PQexecParams(conn, "SELECT $1::text", 1, NULL, values, NULL, NULL, 0);
	see("%d ", strcmp(PQgetvalue(result, 0, 0), big));
	PQclear(result);
	free(big);
	PQfinish(conn);
}

static void login_error(const char *target)
{
	PGconn *conn = PQconnectdb(target);
	const char *why = strstr(PQerrorMessage(conn), "FATAL:");

	see("%.*s", why != NULL ? (int)strcspn(why, "\n") : 0, why);
	PQfinish(conn);
}

static void wrong_password(void)
{
	login_error("password=wrong");
}

static void unknown_database(void)
{
	login_error("dbname=no_such_database");
}

static void tls(void)
{
	char target[1024];
	PGconn *conn;

	snprintf(target, sizeof target, "sslmode=verify-full sslrootcert=%s", getenv("DRIVER_CA"));
	conn = open_conn(target);
	query(conn, "SELECT 1");
	see("%d ", PQsslInUse(conn));
	PQfinish(conn);
	conn = open_conn("sslmode=disable");
	query(conn, "SELECT 2");
	see("%d ", PQsslInUse(conn));
	PQfinish(conn);
}

/* Three clients with pipelines that are open at the same time, an error in the middle of each. */
static void pipeline(void)
{
	PGconn *conns[3];
	PGresult *result;

	open_all(conns, 3);
	for (int k = 0; k < 3; k++) {
		PQenterPipelineMode(conns[k]);
		PQsendPrepare(conns[k], "p", "SELECT $1::int * 2", 0, NULL);
		for (int i = 0; i < 10; i++) {
			char number[16];
			const char *values[1] = {number};

			snprintf(number, sizeof number, "%d", i * (k + 1));
			PQsendQueryPrepared(conns[k], "p", 1, values, NULL, NULL, 0);
			if (i == 4)
				PQsendQueryParams(
					conns[k], "SELECT 1/0", 0, NULL, NULL, NULL, NULL, 0);
			if (i == 6)
				PQpipelineSync(conns[k]);
		}
		PQpipelineSync(conns[k]);
	}
	for (int k = 0; k < 3; k++)
		for (int syncs = 0; syncs < 2;) {
			result = PQgetResult(conns[k]);
			syncs += PQresultStatus(result) == PGRES_PIPELINE_SYNC;
			if (result != NULL)
				see_result(result);
		}
	for (int k = 0; k < 3; k++) {
		see("%d ", PQexitPipelineMode(conns[k]));
		query(conns[k], "SELECT 9");
	}
	close_all(conns, 3);
}

static void single_rows(void)
{
	PGconn *conns[3];
	PGresult *result;

	open_all(conns, 3);
	for (int k = 0; k < 3; k++) {
		PQsendQueryParams(
			conns[k], "SELECT generate_series(1, 5000)", 0, NULL, NULL, NULL, NULL, 0);
		PQsetSingleRowMode(conns[k]);
	}
	for (int k = 0; k < 3; k++) {
		long sum = 0;

		while ((result = PQgetResult(conns[k])) != NULL) {
			if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
				sum += atol(PQgetvalue(result, 0, 0));
			PQclear(result);
		}
		see("%ld ", sum);
	}
	close_all(conns, 3);
}

static void large_object(void)
{
	PGconn *conns[2];
	char buf[8192] = {7};
	Oid oid;
	int fd;

	open_all(conns, 2);
	run(conns[0], "BEGIN");
	oid = lo_creat(conns[0], 0x60000);
	fd = lo_open(conns[0], oid, 0x20000);
	see("%d ", lo_write(conns[0], fd, buf, sizeof buf));
	see("%d ", lo_lseek(conns[0], fd, 100, SEEK_SET));
	run(conns[0], "COMMIT");
	run(conns[1], "BEGIN");
	fd = lo_open(conns[1], oid, 0x40000);
	see("%d ", lo_read(conns[1], fd, buf, sizeof buf));
	run(conns[1], "COMMIT");
	see("%d ", lo_unlink(conns[1], oid));
	close_all(conns, 2);
}

int main(void)
{
#define BEHAVIOUR(name)     \
	{                   \
#name, name \
	}
	static const struct {
		const char *name;
		void (*run)(void);
	} all[] = {BEHAVIOUR(prepared), BEHAVIOUR(settings), BEHAVIOUR(custom_setting),
		BEHAVIOUR(errors), BEHAVIOUR(cancel), BEHAVIOUR(copy), BEHAVIOUR(listen),
		BEHAVIOUR(temp_table), BEHAVIOUR(advisory_lock), BEHAVIOUR(cursor),
		BEHAVIOUR(big_value), BEHAVIOUR(wrong_password), BEHAVIOUR(unknown_database),
		BEHAVIOUR(tls), BEHAVIOUR(pipeline), BEHAVIOUR(single_rows),
		BEHAVIOUR(large_object)};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		seen[0] = '\0';
		all[i].run();
		printf("%s: %s\n", all[i].name, seen);
	}
	return 0;
}
