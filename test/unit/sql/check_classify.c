/* Where texts may run and why not; effects are in check_effects, real servers in test/routing. */
#include "sql/classify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

#define OPTS (SQL_STD_STRINGS | SQL_ENC_UTF8)

static struct catalog *catalog;

static void setup(void)
{
	catalog = names_catalog();
}

static void teardown(void)
{
	catalog_free(catalog);
}

static struct sql_verdict judge(const char *sql)
{
	struct sql_verdict v;

	sql_classify(sql, strlen(sql), OPTS, catalog, &v);
	return v;
}

struct place {
	const char *sql;
	enum sql_class cls;
	enum sql_cause cause; /* CAUSE_NONE: for a replica */
	const char *at;       /* token of the cause; NULL: not looked at */
};

/* clang-format off */
static const struct place places[] = {
	{"", SQL_EMPTY, CAUSE_NONE, NULL},
	{" ;; -- x", SQL_EMPTY, CAUSE_NONE, NULL},
	{"SELECT 1", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT 1; VALUES (2)", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT now(), random(), a.b FROM c a WHERE d IN (1, 2)", SQL_READ, CAUSE_NONE, NULL},
	/* functions */
	{"SELECT writer(1)", SQL_WRITE, CAUSE_FUNCTION, "writer"},
	{"SELECT s.WRITER (1)", SQL_WRITE, CAUSE_FUNCTION, "WRITER"},
	{"SELECT \"writer\"/**/(1)", SQL_WRITE, CAUSE_FUNCTION, "\"writer\""},
	{"SELECT \"Writer\"(1)", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT \"Mixed\"(1)", SQL_WRITE, CAUSE_FUNCTION, "\"Mixed\""},
	{"SELECT Mixed(1)", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT writer", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT a.writer, 1 AS writer", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT U&\"wr\\0069ter\"(1)", SQL_WRITE, CAUSE_FUNCTION, NULL},
	{"SELECT U&\"wr!0069ter\" UESCAPE '!' (1)", SQL_WRITE, CAUSE_FUNCTION, NULL},
	{"SELECT U&\"wr!0069ter\" UESCAPE '+' (1)", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT U&\"x\\zzzz\"(1)", SQL_READ, CAUSE_NAME, NULL},
	{"SELECT x.select(1)", SQL_WRITE, CAUSE_FUNCTION, "select"},
	{"SELECT \xc3\xa9" "crire(1)", SQL_WRITE, CAUSE_FUNCTION, NULL},
	{"SELECT \xc3\x89" "crire(1)", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT a23456789012345678901234567890123456789012345678901234567890123xyz(1)", SQL_WRITE,
		CAUSE_FUNCTION, NULL},
	{"SELECT a23456789012345678901234567890123456789012345678901234567890124xyz(1)", SQL_READ,
		CAUSE_NONE, NULL},
	{"SELECT a.touch FROM t a", SQL_WRITE, CAUSE_FUNCTION, "touch"},
	{"SELECT (a).touch FROM t a", SQL_WRITE, CAUSE_FUNCTION, "touch"},
	{"SELECT touch FROM t", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT pg_is_in_recovery()", SQL_WRITE, CAUSE_FUNCTION, NULL},
	{"SELECT nextval('a')", SQL_WRITE, CAUSE_SEQUENCE, "nextval"},
	{"SELECT currval('a')", SQL_SESSION, CAUSE_SEQUENCE, NULL},
	{"SELECT pg_advisory_xact_lock(1)", SQL_WRITE, CAUSE_ADVISORY, NULL},
	{"SELECT current_setting('a.b')", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT current_setting('TimeZone', true)", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT current_setting('port')", SQL_READ, CAUSE_SERVER, NULL},
	{"SELECT current_setting(a)", SQL_READ, CAUSE_SERVER, NULL},
	{"SELECT current_setting('a.b' || 'c')", SQL_READ, CAUSE_SERVER, NULL},
	/* relations */
	{"SELECT * FROM unlog", SQL_READ, CAUSE_RELATION, "unlog"},
	{"SELECT * FROM s.unlog x", SQL_READ, CAUSE_RELATION, "unlog"},
	{"SELECT * FROM a, unlog", SQL_READ, CAUSE_RELATION, NULL},
	{"SELECT * FROM a JOIN unlog ON true", SQL_READ, CAUSE_RELATION, NULL},
	{"SELECT * FROM a JOIN b ON a.x = b.x, unlog", SQL_READ, CAUSE_RELATION, NULL},
	{"SELECT * FROM a JOIN b USING (c) JOIN (d CROSS JOIN unlog) ON true", SQL_READ,
		CAUSE_RELATION, NULL},
	{"SELECT * FROM ONLY (unlog)", SQL_READ, CAUSE_RELATION, NULL},
	{"TABLE unlog", SQL_READ, CAUSE_RELATION, NULL},
	{"SELECT 1 WHERE a IN (TABLE unlog)", SQL_READ, CAUSE_RELATION, NULL},
	{"SELECT 1 FROM x.where, unlog", SQL_READ, CAUSE_RELATION, NULL},
	{"SELECT 1 FROM a values, unlog", SQL_READ, CAUSE_RELATION, NULL},
	{"SELECT 1 FROM (SELECT 1 WHERE true) q, unlog", SQL_READ, CAUSE_RELATION, NULL},
	{"SELECT unlog, a.unlog FROM a WHERE unlog = 1 GROUP BY unlog ORDER BY unlog", SQL_READ,
		CAUSE_NONE, NULL},
	{"SELECT unlog.a FROM b unlog", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT unlog.a FROM b AS unlog JOIN c ON unlog.a = c.a", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT 1 FROM (SELECT 1) unlog", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT * FROM wview", SQL_WRITE, CAUSE_RELATION, NULL},
	{"COPY unlog TO STDOUT", SQL_READ, CAUSE_RELATION, NULL},
	{"COPY a TO STDOUT", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT * FROM pg_settings", SQL_READ, CAUSE_RELATION, NULL},
	/* types, operators */
	{"SELECT 1::dom", SQL_WRITE, CAUSE_TYPE, NULL},
	{"SELECT CAST(1 AS s.dom)", SQL_WRITE, CAUSE_TYPE, NULL},
	{"SELECT 1 @!@ 2", SQL_WRITE, CAUSE_OPERATOR, "@!@"},
	{"SELECT 1 OPERATOR(s.@!@) 2", SQL_WRITE, CAUSE_OPERATOR, NULL},
	{"SELECT 1 @! 2", SQL_READ, CAUSE_NONE, NULL},
	/* clauses */
	{"SELECT 1 FROM t FOR UPDATE", SQL_WRITE, CAUSE_LOCKING, "FOR"},
	{"SELECT 1 FROM t FOR NO KEY UPDATE", SQL_WRITE, CAUSE_LOCKING, NULL},
	{"SELECT substring(a for update) FROM t", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT substring((SELECT a FROM t for update) for 2)", SQL_WRITE, CAUSE_LOCKING, NULL},
	{"SELECT 1 INTO a", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"SELECT a.into, 1 AS into", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT a insert INTO b FROM t", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"SELECT a AS insert INTO TEMP b FROM t", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"SELECT insert INTO b FROM t", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"SELECT a merge INTO b FROM t", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"SELECT x.as INTO TEMP b FROM x", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"SELECT x . as INTO TEMP b FROM x", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"WITH w AS (SELECT 1 AS insert) SELECT insert INTO b FROM w", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"BEGIN READ ONLY; SELECT insert INTO b FROM t; COMMIT", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"EXPLAIN (ANALYZE) SELECT insert INTO b FROM t", SQL_WRITE, CAUSE_INTO, "INTO"},
	{"SELECT 1 FROM t a JOIN t b ON mode() WITHIN GROUP (ORDER BY c) = 1, unlog", SQL_READ,
		CAUSE_RELATION, "unlog"},
	{"SELECT 1 FROM t a GROUP BY b, unlog", SQL_READ, CAUSE_NONE, NULL},
	{"WITH a AS (DELETE FROM t) SELECT 1", SQL_WRITE, CAUSE_CTE_WRITE, "DELETE"},
	{"WITH a AS (SELECT 1) UPDATE t SET a = 1", SQL_WRITE, CAUSE_CTE_WRITE, NULL},
	{"WITH a AS (SELECT 1) SEARCH DEPTH FIRST BY x SET y DELETE FROM t", SQL_WRITE,
		CAUSE_CTE_WRITE, NULL},
	{"WITH a AS (SELECT 1) SELECT 1 AS delete, 2 update", SQL_READ, CAUSE_NONE, NULL},
	{"SELECT (update) FROM t", SQL_READ, CAUSE_NONE, NULL},
	/* verbs */
	{"INSERT INTO t VALUES (1)", SQL_WRITE, CAUSE_VERB, "INSERT"},
	{"EXPLAIN SELECT 1", SQL_READ, CAUSE_NONE, NULL},
	{"EXPLAIN (ANALYZE, COSTS OFF) SELECT 1", SQL_READ, CAUSE_NONE, NULL},
	{"EXPLAIN ANALYZE SELECT writer(1)", SQL_WRITE, CAUSE_FUNCTION, NULL},
	{"EXPLAIN DELETE FROM t", SQL_WRITE, CAUSE_VERB, NULL},
	{"EXPLAIN", SQL_READ, CAUSE_SYNTAX, NULL},
	{"COPY (SELECT 1) TO STDOUT", SQL_READ, CAUSE_NONE, NULL},
	{"COPY (DELETE FROM t) TO STDOUT", SQL_WRITE, CAUSE_CTE_WRITE, NULL},
	{"COPY (EXPLAIN SELECT 1) TO STDOUT", SQL_WRITE, CAUSE_CTE_WRITE, NULL},
	{"COPY t TO '/tmp/x'", SQL_WRITE, CAUSE_SERVER, NULL},
	{"COPY t TO PROGRAM 'x'", SQL_WRITE, CAUSE_SERVER, NULL},
	{"COPY t (a.to) TO 'x'", SQL_WRITE, CAUSE_SERVER, NULL},
	{"COPY t FROM STDIN", SQL_WRITE, CAUSE_VERB, NULL},
	{"COPY t", SQL_UNKNOWN, CAUSE_SYNTAX, NULL},
	{"SHOW search_path", SQL_READ, CAUSE_NONE, NULL},
	{"SHOW TIME ZONE", SQL_READ, CAUSE_NONE, NULL},
	{"SHOW a.b", SQL_READ, CAUSE_NONE, NULL},
	{"SHOW transaction_read_only", SQL_READ, CAUSE_SERVER, NULL},
	{"SHOW ALL", SQL_READ, CAUSE_SERVER, NULL},
	{"SHOW", SQL_READ, CAUSE_SYNTAX, NULL},
	{"SHOW TRANSACTION ISOLATION", SQL_READ, CAUSE_SYNTAX, NULL},
	{"VACUUM", SQL_WRITE, CAUSE_VERB, NULL},
	{"SELEC 1", SQL_UNKNOWN, CAUSE_VERB, "SELEC"},
	{"1", SQL_UNKNOWN, CAUSE_SYNTAX, NULL},
	{"(DELETE FROM t)", SQL_READ, CAUSE_SYNTAX, NULL},
	{"SELECT 1)", SQL_READ, CAUSE_SYNTAX, NULL},
	{"SELECT (1", SQL_READ, CAUSE_SYNTAX, NULL},
	{"SELECT (1; SELECT 2", SQL_READ, CAUSE_SYNTAX, NULL},
	{"SELECT 'a", SQL_UNKNOWN, CAUSE_SYNTAX, NULL},
	{"SELECT /*", SQL_UNKNOWN, CAUSE_SYNTAX, NULL},
	{"SELECT \\", SQL_READ, CAUSE_SYNTAX, NULL},
	{"SELECT \xff", SQL_UNKNOWN, CAUSE_ENCODING, NULL},
	{"DO 'x'", SQL_WRITE, CAUSE_BODY, NULL},
	{"SET a = 1", SQL_SESSION, CAUSE_SETTING, "SET"},
	{"LISTEN a", SQL_SESSION, CAUSE_SESSION, NULL},
	/* transactions */
	{"BEGIN READ ONLY", SQL_TXN, CAUSE_NONE, NULL},
	{"BEGIN", SQL_TXN, CAUSE_TXN, NULL},
	{"BEGIN READ ONLY, READ WRITE", SQL_TXN, CAUSE_TXN, NULL},
	{"BEGIN READ WRITE, READ ONLY", SQL_TXN, CAUSE_TXN, NULL},
	{"BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY", SQL_TXN, CAUSE_TXN, NULL},
	{"COMMIT", SQL_TXN, CAUSE_TXN, NULL},
	{"BEGIN READ ONLY; SELECT 1; COMMIT", SQL_TXN, CAUSE_NONE, NULL},
	{"BEGIN READ ONLY; SELECT 1; COMMIT; DELETE FROM t", SQL_WRITE, CAUSE_VERB, "DELETE"},
	{"BEGIN READ ONLY; SAVEPOINT a; ROLLBACK TO a; RELEASE a; ROLLBACK", SQL_TXN, CAUSE_NONE, NULL},
	{"BEGIN READ ONLY; SET TRANSACTION READ WRITE", SQL_SESSION, CAUSE_SETTING, NULL},
	{"BEGIN READ ONLY; COMMIT AND CHAIN; SELECT 1; COMMIT", SQL_TXN, CAUSE_NONE, NULL},
	{"BEGIN READ ONLY; COMMIT; COMMIT", SQL_TXN, CAUSE_TXN, NULL},
	{"SAVEPOINT a", SQL_TXN, CAUSE_TXN, NULL},
};
/* clang-format on */

START_TEST(text_goes_where_it_belongs)
{
	const struct place *p = &places[_i];
	struct sql_verdict v = judge(p->sql);
	bool replica = (v.flags & SQLV_REPLICA) != 0;

	ck_assert_msg(replica == (p->cause == CAUSE_NONE) && v.cause == p->cause && v.cls == p->cls,
		"%s: %s, %s", p->sql, sql_class_name((enum sql_class)v.cls),
		sql_cause_text((enum sql_cause)v.cause));
	if (p->at != NULL) {
		ck_assert_uint_eq(v.at.len, strlen(p->at));
		ck_assert_mem_eq(p->sql + v.at.off, p->at, v.at.len);
	}
}
END_TEST

struct flagged {
	const char *sql;
	uint32_t flags; /* all of them but SQLV_REPLICA */
};

/* clang-format off */
static const struct flagged flagged[] = {
	{"SELECT 1", 0},
	{"INSERT INTO t VALUES (1)", SQLV_MAY_ADVANCE},
	{"UPDATE t SET a = 1", 0},
	{"UPDATE t SET a = DEFAULT", SQLV_MAY_ADVANCE},
	{"UPDATE trig SET a = 1", SQLV_MAY_ADVANCE},
	{"DELETE FROM trig", SQLV_MAY_ADVANCE},
	{"SELECT * FROM trig", 0},
	{"WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT 1", SQLV_MAY_ADVANCE},
	{"WITH x AS (UPDATE trig SET a = 1) SELECT 1", SQLV_MAY_ADVANCE},
	{"MERGE INTO t USING a ON true WHEN MATCHED THEN DELETE", SQLV_MAY_ADVANCE},
	{"SELECT nextval('a')", SQLV_MAY_ADVANCE},
	{"SELECT writer(1)", SQLV_MAY_ADVANCE | SQLV_BODY},
	{"SELECT pg_reload_conf()", 0},
	{"UPDATE t SET a = writer(1)", SQLV_MAY_ADVANCE | SQLV_BODY},
	{"SELECT * FROM wview", SQLV_MAY_ADVANCE | SQLV_BODY},
	{"SELECT currval('a')", SQLV_USES_SEQ},
	{"SELECT lastval()", SQLV_USES_SEQ},
	{"CALL p()", SQLV_MAY_ADVANCE | SQLV_BODY},
	{"DO 'x'", SQLV_MAY_ADVANCE | SQLV_BODY},
	{"EXECUTE p", SQLV_MAY_ADVANCE | SQLV_USES_STMT},
	{"DEALLOCATE p", SQLV_USES_STMT},
	{"CREATE TABLE t (a int)", SQLV_SCHEMA | SQLV_DDL | SQLV_MAY_ADVANCE},
	{"CREATE VIEW v AS SELECT nextval('a')", SQLV_SCHEMA | SQLV_DDL},
	{"DROP TABLE t", SQLV_SCHEMA},
	{"ALTER TABLE t ADD a int", SQLV_SCHEMA | SQLV_DDL},
	{"SELECT 1 INTO t", SQLV_SCHEMA | SQLV_DDL},
	{"SELECT a AS insert INTO t FROM x", SQLV_SCHEMA | SQLV_DDL},
	{"TRUNCATE t", 0},
	{"NOTIFY a", SQLV_NOTIFY},
	{"SELECT pg_notify('a', 'b')", SQLV_NOTIFY},
	{"COPY t FROM STDIN", SQLV_COPY_IN | SQLV_MAY_ADVANCE},
	{"COPY t FROM '/x'", SQLV_MAY_ADVANCE},
	{"COPY t TO STDOUT", SQLV_COPY_OUT},
	{"COPY (SELECT 1) TO STDOUT", SQLV_COPY_OUT},
	{"VACUUM t", SQLV_NO_TXN},
	{"CREATE DATABASE d", SQLV_SCHEMA | SQLV_DDL | SQLV_NO_TXN | SQLV_MAY_ADVANCE},
	{"DROP DATABASE d", SQLV_SCHEMA | SQLV_NO_TXN},
	{"CREATE INDEX CONCURRENTLY i ON t (a)", SQLV_SCHEMA | SQLV_DDL | SQLV_NO_TXN | SQLV_MAY_ADVANCE},
	{"CREATE INDEX i ON t (a)", SQLV_SCHEMA | SQLV_DDL | SQLV_MAY_ADVANCE},
	{"DROP INDEX CONCURRENTLY i", SQLV_SCHEMA | SQLV_NO_TXN},
	{"REINDEX TABLE CONCURRENTLY t", SQLV_NO_TXN},
	{"ALTER SYSTEM SET a = 1", SQLV_SCHEMA | SQLV_DDL | SQLV_NO_TXN},
	{"DISCARD ALL", SQLV_NO_TXN},
	{"FETCH 1 FROM c", SQLV_USES_CURSOR},
	{"MOVE c", SQLV_USES_CURSOR},
	{"CLOSE c", SQLV_USES_CURSOR},
	{"UPDATE t SET a = 1 WHERE CURRENT OF c", SQLV_USES_CURSOR},
	{"BEGIN", SQLV_OPENS_TXN},
	{"BEGIN; SELECT 1; COMMIT", 0},
	{"BEGIN; COMMIT AND CHAIN", SQLV_OPENS_TXN},
	{"COMMIT", SQLV_ENDS_TXN},
	{"ROLLBACK; SELECT 1", SQLV_ENDS_TXN | SQLV_MORE_AFTER},
	{"COMMIT; BEGIN", SQLV_ENDS_TXN | SQLV_MORE_AFTER | SQLV_OPENS_TXN},
	{"COMMIT AND CHAIN", SQLV_ENDS_TXN | SQLV_OPENS_TXN},
	{"BEGIN; ROLLBACK; SELECT 1", 0},
	{"PREPARE TRANSACTION 'a'", SQLV_ENDS_TXN},
};
/* clang-format on */

START_TEST(flags_tell_what_the_text_does)
{
	const struct flagged *f = &flagged[_i];
	struct sql_verdict v = judge(f->sql);

	ck_assert_msg((v.flags & ~SQLV_REPLICA) == f->flags, "%s: %x", f->sql, v.flags);
}
END_TEST

START_TEST(single_statements_are_recognised)
{
	struct sql_verdict v = judge("BEGIN;");

	ck_assert(sql_verdict_is(&v, EFFECT_BEGIN));
	ck_assert(!sql_verdict_is(&v, EFFECT_COMMIT));
	v = judge("BEGIN; SELECT 1");
	ck_assert(!sql_verdict_is(&v, EFFECT_BEGIN));
	v = judge("BEGIN; COMMIT");
	ck_assert(!sql_verdict_is(&v, EFFECT_BEGIN));
	v = judge("SELECT 1");
	ck_assert(!sql_verdict_is(&v, EFFECT_NONE));
}
END_TEST

/* A catalog that is not there, or not whole, makes no promise; functions may do anything. */
START_TEST(without_a_catalog_the_primary_is_used)
{
	struct sql_verdict v;

	sql_classify("SELECT 1", 8, OPTS, NULL, &v);
	ck_assert_uint_eq(v.flags & SQLV_REPLICA, 0);
	ck_assert_int_eq(v.cause, CAUSE_NO_CATALOG);
	ck_assert_int_eq(v.cls, SQL_READ);
	sql_classify("SELECT f(1)", 11, OPTS, NULL, &v);
	ck_assert_int_eq(v.cls, SQL_UNKNOWN);
	ck_assert_uint_eq(v.flags, SQLV_MAY_ADVANCE | SQLV_BODY);
	sql_classify("SELECT pg_advisory_lock(1)", 26, OPTS, NULL, &v);
	ck_assert_uint_eq(v.n_effects, 1);
	sql_classify("UPDATE t SET a = 1", 18, OPTS, NULL, &v);
	ck_assert_uint_eq(v.flags, SQLV_MAY_ADVANCE);
	sql_classify("UPDATE t SET a = f(1)", 21, OPTS, NULL, &v);
	ck_assert_int_eq(v.cls, SQL_WRITE);
}
END_TEST

/* A call of what is not PostgreSQL's own is noted where no catalog tells what it does. */
/* clang-format off */
static const char *const users_calls[] = {
	"SELECT f(1)", "SELECT lower(f (1))", "SELECT \"F\"(1)", "SELECT s.lower(1)", "CALL p()",
	"SELECT * FROM f() AS x(a)", "INSERT INTO t VALUES (f())", "INSERT INTO t(a) SELECT s.f()",
	"INSERT INTO s.t SELECT s.f()", "MERGE INTO s.t USING s.f(1) x ON a = b WHEN MATCHED THEN DELETE",
	"INSERT INTO s.t DEFAULT VALUES RETURNING s.f()", "UPDATE t SET a = f()", "DELETE FROM t USING f()",
	"DO 'begin perform 1; end'", "COPY (SELECT s.f()) TO STDOUT", "DECLARE c CURSOR FOR SELECT f()",
	"SELECT 1 FROM t AS x WHERE f()", "EXPLAIN ANALYZE SELECT f()", "SELECT query_to_xml('x')",
	"SELECT DISTINCT ON (a) f(b) FROM t", "SELECT DISTINCT ON ((a)) \"F\" (b) FROM t",
	"SELECT 1 OPERATOR(pg_catalog.+) f()", "EXPLAIN SELECT * FROM t WHERE (SELECT OPERATOR(s.-) f())",
	"SELECT * FROM t x(a) JOIN t y ON x.a OPERATOR(s.=) f()", "SELECT (f(1)).a", "SELECT (SELECT 1), f()",
};
static const char *const no_calls[] = {
	"SELECT lower('A'), COUNT (*), \"upper\"('a')", "SELECT a IN (1), EXISTS (SELECT 1)",
	"INSERT INTO t (a) VALUES (1)", "INSERT INTO s.t (a, b) VALUES (1, now())",
	"INSERT INTO \"S\" . \"T\" (a) SELECT 1 ON CONFLICT (a) DO UPDATE SET (a) = ROW(2)",
	"INSERT INTO t AS x (a) VALUES (1)", "COPY t (a) FROM STDIN", "COPY s.t (a) FROM STDIN",
	"WITH w (a) AS (SELECT 1) SELECT a FROM w", "SELECT * FROM t AS x (a)", "SELECT * FROM t x (a)",
	"SELECT cast(a AS numeric(3, 1)), a::varchar(3), sum(a) OVER (PARTITION BY b) FROM t",
	"SELECT * FROM generate_series(1, 2) x (a)", "SELECT * FROM unnest(a) AS x(a)",
	"SELECT * FROM (SELECT DISTINCT ON (a) lower(b) FROM t) x(a)", "SELECT * FROM (VALUES (1)) \"X\" (a)",
	"SELECT set_config('work_mem', '1', true)", "WITH w AS MATERIALIZED (SELECT 1) TABLE w",
	"SELECT sum(a) FILTER (WHERE b) FROM t GROUP BY GROUPING SETS ((a), (b)), ROLLUP (c)",
};
/* clang-format on */

static bool runs_blind(const char *sql)
{
	struct catalog *blind = catalog_new_blind();
	struct sql_verdict v;
	bool runs = false;

	ck_assert_ptr_nonnull(blind);
	sql_classify(sql, strlen(sql), OPTS, blind, &v);
	for (unsigned i = 0; i < v.n_effects; i++) {
		runs = runs || v.effects[i].kind == EFFECT_RUNS;
		ck_assert(v.effects[i].kind != EFFECT_RUNS ||
			  (v.effects[i].flags & SQL_EFFECT_CUSTOM) == 0); /* it would pin */
	}
	catalog_free(blind);
	return runs;
}

START_TEST(without_a_catalog_calls_are_noted)
{
	for (size_t i = 0; i < sizeof users_calls / sizeof users_calls[0]; i++)
		ck_assert_msg(runs_blind(users_calls[i]), "%s", users_calls[i]);
	for (size_t i = 0; i < sizeof no_calls / sizeof no_calls[0]; i++)
		ck_assert_msg(!runs_blind(no_calls[i]), "%s", no_calls[i]);
}
END_TEST

START_TEST(unsafe_database_keeps_its_reads)
{
	struct catalog_builder *b = catalog_builder_new();
	struct catalog *c;
	struct sql_verdict v;

	ck_assert_int_eq(catalog_builder_add(b, "encoding", "UTF8"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "all", "="), OK);
	c = catalog_freeze(b);
	sql_classify("SELECT 1", 8, OPTS, c, &v);
	ck_assert_uint_eq(v.flags & SQLV_REPLICA, 0);
	ck_assert_int_eq(v.cause, CAUSE_DATABASE);
	catalog_free(c);
}
END_TEST

START_TEST(names_beyond_ascii_need_utf8_on_both_sides)
{
	const char *sql = "SELECT '\xe9', \xe9 FROM t", *utf8 = "SELECT \xc3\xa9 FROM t";
	struct catalog_builder *b = catalog_builder_new();
	struct catalog *latin1;
	struct sql_verdict v;

	sql_classify(sql, strlen(sql), SQL_STD_STRINGS, catalog, &v);
	ck_assert_int_eq(v.cause, CAUSE_NAME);
	sql_classify("SELECT '\xe9'", 10, SQL_STD_STRINGS, catalog, &v);
	ck_assert_uint_ne(v.flags & SQLV_REPLICA, 0);
	sql_classify(utf8, strlen(utf8), OPTS, catalog, &v);
	ck_assert_uint_ne(v.flags & SQLV_REPLICA, 0);
	ck_assert_int_eq(catalog_builder_add(b, "encoding", "LATIN1"), OK);
	latin1 = catalog_freeze(b);
	sql_classify(utf8, strlen(utf8), OPTS, latin1, &v);
	ck_assert_int_eq(v.cause, CAUSE_NAME);
	sql_classify("SELECT U&\"\\00e9\"", 16, OPTS, latin1, &v);
	ck_assert_int_eq(v.cause, CAUSE_NAME);
	sql_classify("SELECT a", 8, OPTS, latin1, &v);
	ck_assert_uint_ne(v.flags & SQLV_REPLICA, 0);
	catalog_free(latin1);
}
END_TEST

START_TEST(what_cannot_be_read_is_unknown)
{
	struct sql_verdict v;
	char *text = malloc(SQL_LEN_MAX + 2);

	sql_classify("SELECT '\xe9'", 10, OPTS | SQL_ENC_UNSAFE, catalog, &v);
	ck_assert(v.cls == SQL_UNKNOWN && v.cause == CAUSE_ENCODING && v.n_effects == 1);
	ck_assert_int_eq(sql_effect_pin(&v.effects[0]), SQL_PIN_UNKNOWN);
	sql_classify("SELECT 1\0", 9, OPTS, catalog, &v);
	ck_assert(v.cls == SQL_UNKNOWN && v.cause == CAUSE_ENCODING && v.n_effects == 0);
	sql_classify("SELECT '\0'", 10, SQL_STD_STRINGS, catalog, &v);
	ck_assert(v.cls == SQL_UNKNOWN && v.cause == CAUSE_ENCODING);
	memset(text, ' ', SQL_LEN_MAX + 1);
	memcpy(text, "SELECT 1", 8);
	text[SQL_LEN_MAX + 1] = '\0';
	sql_classify(text, SQL_LEN_MAX + 1, OPTS, catalog, &v);
	ck_assert(v.cls == SQL_UNKNOWN && v.cause == CAUSE_TOO_LONG && v.n_effects == 1);
	text[SQL_LEN_MAX] = '\0';
	sql_classify(text, SQL_LEN_MAX, OPTS, catalog, &v);
	ck_assert_uint_ne(v.flags & SQLV_REPLICA, 0);
	free(text);
}
END_TEST

/* The decisive token is found wherever it stands, and however deep. */
START_TEST(late_and_deep_tokens_count)
{
	char *text = malloc(1u << 17);
	size_t n;

	n = (size_t)sprintf(text, "SELECT 1 FROM t ");
	memset(text + n, ' ', 70000);
	strcpy(text + n + 70000, "FOR UPDATE");
	ck_assert_int_eq(judge(text).cause, CAUSE_LOCKING);
	for (unsigned depth = 0; depth < 200; depth++) {
		n = (size_t)sprintf(text, "SELECT ");
		memset(text + n, '(', depth);
		n += depth;
		n += (size_t)sprintf(text + n, "SELECT a FROM unlog");
		memset(text + n, ')', depth);
		text[n + depth] = '\0';
		ck_assert_uint_eq(judge(text).flags & SQLV_REPLICA, 0);
	}
	free(text);
}
END_TEST

START_TEST(statements_are_counted)
{
	char *text = calloc(1, 3 * 70000 + 1);

	ck_assert_uint_eq(judge("").n_stmts, 0);
	ck_assert_uint_eq(judge(";;").n_stmts, 0);
	ck_assert_uint_eq(judge("TABLE a;;TABLE b").n_stmts, 2);
	for (size_t i = 0; i < 70000; i++)
		memcpy(text + 2 * i, "a;", 2);
	ck_assert_uint_eq(judge(text).n_stmts, UINT16_MAX);
	free(text);
}
END_TEST

/* `head` so often, and `tail` up to a text of so many bytes. */
static char *endless(const char *head, unsigned n, const char *tail, size_t len)
{
	size_t head_len = strlen(head), tail_len = strlen(tail), at = 0;
	char *text = malloc(len + 1);

	ck_assert_ptr_nonnull(text);
	for (; n-- != 0 && at + head_len <= len; at += head_len)
		memcpy(text + at, head, head_len);
	for (; at + tail_len <= len; at += tail_len)
		memcpy(text + at, tail, tail_len);
	text[at] = '\0';
	return text;
}

#define ENDLESS (4u << 20)

/* In a time that grows with their length: if with its square, these would take many minutes. */
START_TEST(endless_texts_are_judged)
{
	static const struct {
		const char *head;
		unsigned n;
		const char *tail;
		enum sql_class cls;
	} of[] = {
		{"grant;", 200000, "vy ", SQL_WRITE},
		{"GRANT;", 200000, "VY ", SQL_WRITE},
		{"create table a (b int);", 100000, "create ", SQL_WRITE},
		{"SELECT U&\"a\", 1 ", 1, "+", SQL_READ},
		{"SELECT 1 ", 1, "INTO a ", SQL_WRITE},
	};

	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		char *text = endless(of[i].head, of[i].n, of[i].tail, ENDLESS);
		struct sql_verdict v = judge(text);

		ck_assert_uint_ge(v.cls, of[i].cls);
		free(text);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("classify");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
		tc, text_goes_where_it_belongs, 0, (int)(sizeof places / sizeof places[0]));
	tcase_add_loop_test(
		tc, flags_tell_what_the_text_does, 0, (int)(sizeof flagged / sizeof flagged[0]));
	tcase_add_test(tc, single_statements_are_recognised);
	tcase_add_test(tc, without_a_catalog_the_primary_is_used);
	tcase_add_test(tc, unsafe_database_keeps_its_reads);
	tcase_add_test(tc, names_beyond_ascii_need_utf8_on_both_sides);
	tcase_add_test(tc, what_cannot_be_read_is_unknown);
	tcase_add_test(tc, late_and_deep_tokens_count);
	tcase_add_test(tc, without_a_catalog_calls_are_noted);
	tcase_add_test(tc, statements_are_counted);
	tcase_add_test(tc, endless_texts_are_judged);
	return unit_run("classify", tc);
}
