/* What is judged in one look, what is left to the walk, and that the two say the same. */
#include "sql/plain.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sql/classify.h"
#include "sql/namefilter.h"

#include "names.h"

#define OPTS       (SQL_STD_STRINGS | SQL_ENC_UTF8)
#define PIECES_MAX 14u
#define N_TEXTS    300000u

static struct catalog *catalog, *blind;

static void setup(void)
{
	catalog = names_catalog_without("operator");
	blind = catalog_new_blind();
}

static void teardown(void)
{
	catalog_free(catalog);
	catalog_free(blind);
}

static bool is_plain(const char *sql, uint32_t opts, const struct catalog *cat)
{
	struct sql_verdict v;
	size_t judged;

	return plain_judge(sql, strlen(sql), opts, cat, &v, &judged);
}

/* How many bytes of a text that is not all plain are judged. */
static size_t judged_of(const char *sql)
{
	struct sql_verdict v;
	size_t judged;

	ck_assert(!plain_judge(sql, strlen(sql), OPTS, catalog, &v, &judged));
	return judged;
}

/* Is the rest of the one statement plain, behind so many of its tokens? */
static bool has_plain_rest(const char *sql, unsigned n_tokens)
{
	struct sql_verdict v = {0};
	struct scan s;
	bool plain;

	scan_init(&s, sql, OPTS, catalog, &v);
	lexer_init(&s.lx, sql, strlen(sql), OPTS);
	s.start = s.lx;
	while (n_tokens-- > 0)
		scan_next(&s);
	plain = plain_rest(&s, s.t.c == '(', scan_is(&s, WORD_WITH));
	ck_assert(!plain || scan_at_end(&s));
	return plain;
}

/* clang-format off */
static const char *const plain[] = {
	"SELECT 1",
	"select a.b, $1, 'it''s', -1.5 FROM t WHERE x = 'y' AND z::int <> ALL (ARRAY[1, 2]);",
	"\n\tSELECT \"t\".\"id\" FROM \"t\" LIMIT 21 ; \n",
	"SELECT a -- why\nFROM t /* and * where */",
	"SELECT 'ü' AS u",
	"SELECT '\\'",
	"SELECT writer, a.writer FROM t AS writer, x",
	"SELECT update, \"for\" FROM t",
	"SELECT * FROM trig",
	"WITH a AS (SELECT 1) SELECT * FROM a",
	"SELECT (SELECT 1), ARRAY(select 2)",
	"WITH recursive_name AS (SELECT 1) SELECT * FROM a",
	"UPDATE t SET a = a + 1 WHERE b = 2",
	"DELETE FROM t WHERE b IN (SELECT c FROM u)",
	"insert into t values (1, default)",
	"INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1",
	"SELECT q234567890123456789012345678901234567890123456789012345678901234",
	"SELECT 1; SELECT 2",
	"SELECT a FROM t ; -- and\n WITH x AS (SELECT 1) SELECT * FROM x;",
	"SELECT 1; /* the end */",
	"/* a hint */ SELECT 1",
	"-- why\n/* a *//* b */SELECT 1",
	"/* c */ UPDATE t SET a = 1",
	"(SELECT 1) UNION (SELECT 2)",
	"( (SELECT 1)) LIMIT 1",
	"SELECT 1 FROM t FOR UPDATE",
	"SELECT 1 FROM t for\nno key update of t skip locked; SELECT 2",
	"SELECT substring(a FROM 2 FOR 3) FROM t",
	"SELECT sum(a) OVER (ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) FROM t",
	"SELECT 1; UPDATE t SET a = 1",
	"UPDATE t SET a = 1; SELECT 1; insert into t values (1)",
	"EXPLAIN SELECT a FROM t; SELECT 1",
	"explain\nanalyze verbose select a from wview",
	"EXPLAIN (ANALYZE, buffers off, wal 1) WITH a AS (DELETE FROM t RETURNING 1) SELECT 1",
	"/* c */ EXPLAIN (serialize) VERBOSE VALUES (1)",
	"VALUES (1, 'a'), (2, writer(1))",
	"DECLARE c CURSOR FOR SELECT * FROM t",
	"declare no no scroll\tbinary cursor with hold for values(1)",
	"SELECT 1; DECLARE c INSENSITIVE CURSOR WITHOUT HOLD FOR WITH a AS (SELECT 1) SELECT 1",
	/* literals */
	"SELECT E'it\\'s', e'a' 'b', date'2024-01-01', x'1f', B'1', N'n', U&'\\0041'",
	"SELECT E'a'\n'b\\''",
	"SELECT $$a ' b$$, $a$b$a$, $1",
	"SELECT 0x1f, 1e5, 1_000, 1.5e3 FROM t",
	"SELECT a&'b', bu&'c'",
	/* names */
	"SELECT \"a\"\"b\"",
	"SELECT ü, x.größe FROM straße",
	"WITH \"a\" AS (SELECT 1) SELECT 1",
	"-- \xc3\xbc\nSELECT 1",
	"/* \xc3\xbc */ SELECT 1",
	/* names that are known */
	"SELECT writer(1)",
	"SELECT WRITER (1), \"writer\"(2)",
	"SELECT writer\n(1)",
	"SELECT a.touch FROM t",
	"SELECT * FROM unlog",
	"SELECT wview.a FROM t x JOIN \"public\" . \"wview\" ON true",
	"SELECT * FROM t AS wview",
	"SELECT 1::dom",
	"SELECT nextval('s')",
	"INSERT INTO t VALUES (nextval('s'), pg_reload_conf(), writer(1))",
	"SELECT x. select(1)",
	"WITH writer(a) AS (SELECT 1) SELECT 1",
	"UPDATE trig SET a = 1",
	"UPDATE t SET a = unlog.a FROM x, unlog",
	"SELECT * FROM t, wview",
	"SELECT * FROM t AS a, public.u b, \"x\", wview",
	"SELECT a, wview FROM t WHERE a = wview",
	"SELECT 1 FROM t ORDER BY x. wview",
	"SELECT * FROM where.wview",
	/* words that turn */
	"SELECT 1 INTO t",
	"SELECT a INTO LOCAL TEMP x FROM t",
	"SELECT a AS insert INTO TEMP x FROM t",
	"SELECT x.as INTO TEMP y FROM x",
	"WITH w AS (SELECT 1 AS insert) SELECT insert INTO x FROM w",
	"UPDATE t SET a = DEFAULT",
	"SELECT x.for update",
	"UPDATE t SET a = 1 WHERE CURRENT OF c",
	"UPDATE t SET a = 1 WHERE b = (SELECT b FROM t FOR UPDATE)",
	"WITH a AS (SELECT 1) SELECT * FROM a FOR UPDATE",
	"WITH a AS (SELECT 1 FROM t FOR UPDATE) UPDATE t SET a = 1",
	"SELECT substring(a FOR update) FROM t",
	"WITH a AS (DELETE FROM t RETURNING 1) SELECT 1",
	"WITH a AS (SELECT 1) UPDATE t SET a = 1",
	"WITH a AS (INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1 RETURNING 1) SELECT 1",
};

static const char *const not_plain[] = {
	"",
	"BEGIN",
	"SELECTED",
	"SELECT$ 1",
	"SELECT\xc3\xbc 1",
	"SELECT 1;; SELECT 2",
	"SELECT 1; SELECT 2)",
	"SELECT 1; BEGIN",
	"SELECT (1; SELECT 1)",
	"SELECT (1",
	"SELECT 1)",
	"SELECT (1;)",
	"SELECT 1 \\",
	"SELECT {",
	"SELECT U&\"a\"",
	"SELECT 1for",
	"WITH x'1' SELECT 1",
	"SELECT \"\"",
	"SELECT '\xff'",
	"SELECT \xff",
	"SELECT E'\xff'",
	"SELECT $$\xff$$",
	"SELECT $$a",
	"SELECT E'a\\'",
	"SELECT 1e5a",
	"SELECT 1ü",
	"SELECT $$a$$b",
	"SELECT * FROM (t), wview", /* a relation, or a column? */
	"SELECT 'a', wview FROM t",
	"SELECT 1 FROM /* a */ wview",
	"SELECT (/**/SELECT 1 FROM t FOR UPDATE)",
	"SELECT 'a",
	"SELECT \"a",
	"SELECT /* /* */ */ 1",
	"SELECT /* 1",
	"SELECT 1 FROM t FOR /* no */ UPDATE",
	"SELECT 1 /**/INTO t",
	"SELECT 1 FROM t WHERE CURRENT/**/OF c",
	"WITH:it",
	"SELECT x. -- a\nselect(1)",
	"SELECT x./**/select(1)",
	"INSERT t",
	"EXPLAIN UPDATE t SET a = 1",
	"EXPLAIN (SELECT 1)",
	"EXPLAIN (values) SELECT 1",
	"EXPLAIN ((SELECT 1))",
	"EXPLAIN (analyze 'a') SELECT 1",
	"EXPLAIN (analyze SELECT 1",
	"EXPLAIN/* c */SELECT 1",
	"EXPLAIN ANALYZE(SELECT 1)",
	"EXPLAIN ANALYZE",
	"EXPLAINS SELECT 1",
	"(EXPLAIN SELECT 1)",
	"DECLARE select CURSOR FOR SELECT 1",
	"DECLARE \"c\" CURSOR FOR SELECT 1",
	"DECLARE x'1' CURSOR FOR SELECT 1",
	"DECLARE c CURSOR WITH FOR SELECT 1",
	"DECLARE c SCROLL FOR SELECT 1",
	"DECLARE c CURSOR SELECT 1",
	"DECLARE c CURSOR FOR UPDATE t SET a = 1",
	"(VALUES (1)) UNION (SELECT 1)",
	"((SELECT 1)",
	"(UPDATE t SET a = 1)",
	"- - SELECT 1",
	"/ SELECT 1",
	"/* /* */ */ SELECT 1",
	"/* SELECT 1",
	"SELECT a23456789012345678901234567890123456789012345678901234567890123x4",
};

/* Pieces of statements: what stands in the catalog, what turns the walk, what ends or opens. */
static const char *const pieces[] = {
	"select", "SELECT", "insert into", "update", "delete", "merge", "with", "for", "for update",
	"into", "insert into t (", "current", "current of", "current row",
	"for no key update", "for/**/update", "; select", ";(SELECT", "; /* c */ with a as (",
	"default", "from", "where", "as", "values", "table", "set",
	"writer", "WRITER", "\"writer\"", "\"Mixed\"", "Mixed", "touch", "unlog", "wview", "dom",
	"trig", "nextval", "nextval('s')", "set_config", "set_config('a', 'b', false)", "from wview",
	"join public.unlog", "\"public\".\"wview\"", "pg_prepared_statements",
	"\"pg_prepared_statements\"", "f(", "x.f(", "count(*)", "currval", "pg_reload_conf", "current_setting", "a", "b1",
	"t", "x$", "_y", "a234567890123456789012345678901234567890123456789012345678901234",
	"q234567890123456789012345678901234567890123456789012345678901234567",
	"(", ")", "(", ")", "()", "[", "]", ",", ".", ".", "*", "+", "-", "--", "--\n", "-- c\n", "/", "/*",
	"*/", "/* c */", ";", "::", ":=", ":", "=", "<>", "&", "|", "||", "@!@", "%", "?", "\\",
	"{", "$", "$1", "$$", "$a$", "'", "''", "'x'", "e", "E'a\\'", "n'", "u&", "U&\"a\"", "b",
	"x'1'", "\"", "\"\"", "\"a\"", "1", "12", "1.", ".5", "1e5", "0x1", "\n", "\t", " ", "  ",
	"explain", "declare", "cursor", "hold", "begin", "atomic", "pg_temp", "\"PG_TEMP\"", "U&\"pg_temp\"",
	"\xc3\xbc", "a\xc3\xbc", ("\xc3\xbc" "b("), "\xff", "E'", "e'\\'", "\\'", "$$'$$", "$b$", "date'x'", "\x01", "substring", "overlay(", "overlay", "search", "cycle", "uescape", "'!'",
};
/* clang-format on */

START_TEST(plain_statements_are_judged)
{
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		if (!is_plain(plain[i], OPTS, catalog))
			ck_abort_msg("not plain: %s", plain[i]);
}
END_TEST

START_TEST(others_are_left_to_the_walk)
{
	for (size_t i = 0; i < sizeof not_plain / sizeof not_plain[0]; i++)
		if (is_plain(not_plain[i], OPTS, catalog))
			ck_abort_msg("plain: %s", not_plain[i]);
}
END_TEST

START_TEST(options_and_catalogs_are_minded)
{
	struct catalog *operators = names_catalog();
	struct catalog_builder *b = catalog_builder_new();
	struct catalog *all;
	struct sql_verdict v;
	size_t judged;

	ck_assert_int_eq(catalog_builder_add(b, "encoding", "UTF8"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "all", "="), OK);
	all = catalog_freeze(b);
	ck_assert(!is_plain("SELECT 1", OPTS, NULL));
	ck_assert(!is_plain("SELECT 1", OPTS, operators));
	ck_assert(!is_plain("SELECT 1", OPTS, all));
	ck_assert(!is_plain("SELECT 1", OPTS | SQL_ENC_UNSAFE, catalog));
	ck_assert(!is_plain("SELECT '\\'", SQL_ENC_UTF8, catalog));
	ck_assert(is_plain("SELECT '\\''", SQL_ENC_UTF8, catalog));
	ck_assert(!is_plain("SELECT ü", SQL_STD_STRINGS, catalog));
	ck_assert(is_plain("SELECT '\xff'", SQL_STD_STRINGS, catalog));
	ck_assert(!plain_judge("SELECT '\0'", 10, SQL_STD_STRINGS, catalog, &v, &judged));
	ck_assert(!plain_judge("SELECT 1\0", 9, SQL_STD_STRINGS, catalog, &v, &judged));
	catalog_free(operators);
	catalog_free(all);
}
END_TEST

static void check_blind(const char *sql, uint8_t cls, uint32_t flags, unsigned n_effects)
{
	struct sql_verdict v;
	size_t judged;

	if (!plain_judge(sql, strlen(sql), OPTS, blind, &v, &judged))
		ck_abort_msg("not plain: %s", sql);
	ck_assert_uint_eq(v.cls, cls);
	ck_assert_uint_eq(v.flags, flags);
	ck_assert_uint_eq(v.n_effects, n_effects);
}

/* Where none is loaded any function may do anything; names that are not called do nothing. */
START_TEST(without_a_catalog_calls_are_seen)
{
	const uint32_t called = SQLV_BODY | SQLV_MAY_ADVANCE;
	struct sql_verdict v;
	size_t judged;

	check_blind("SELECT abalance FROM pgbench_accounts WHERE aid = 1;", SQL_READ, 0, 0);
	check_blind("SELECT a, writer FROM wview WHERE a IN (1, 2) AND (b)", SQL_READ, 0, 0);
	check_blind("INSERT INTO t VALUES (1, (2))", SQL_WRITE, SQLV_MAY_ADVANCE, 0);
	check_blind("UPDATE t SET a = a + 1", SQL_WRITE, SQLV_MAY_ADVANCE, 0);
	check_blind("SELECT count(*) FROM t", SQL_UNKNOWN, called, 0);
	check_blind("SELECT f (1)", SQL_UNKNOWN, called, 1);
	check_blind("SELECT \"f\"(1), g(2)", SQL_UNKNOWN, called, 1);
	check_blind("SELECT x.select(1)", SQL_UNKNOWN, called, 1);
	check_blind("INSERT INTO t (a) VALUES (1)", SQL_WRITE, called, 0);
	check_blind("INSERT INTO s . \"t\" (a) VALUES (now())", SQL_WRITE, called, 0);
	check_blind("INSERT INTO t VALUES (s.f())", SQL_WRITE, called, 1);
	check_blind("EXPLAIN VALUES (1)", SQL_READ, 0, 0);
	check_blind("VALUES (f(1))", SQL_UNKNOWN, called, 1);
	check_blind("DECLARE c CURSOR FOR SELECT (1)", SQL_SESSION, 0, 1);
	ck_assert(!is_plain("SELECT f/**/(1)", OPTS, blind));
	ck_assert(!is_plain("SELECT f--\n(1)", OPTS, blind));
	ck_assert(!is_plain("SELECT f-- x\n (1)", OPTS, blind));
	ck_assert(!is_plain("SELECT ü(1)", OPTS, blind));
	ck_assert(!is_plain("SELECT * FROM \"pg_prepared_statements\"", OPTS, blind));
	ck_assert(plain_judge("SELECT 1", 8, OPTS, blind, &v, &judged));
	ck_assert_uint_eq(v.cause, CAUSE_NO_CATALOG);
}
END_TEST

/* However the view is written, and whatever follows it. */
START_TEST(without_a_catalog_prepared_statements_are_seen)
{
	static const char *const texts[] = {"SELECT * FROM pg_prepared_statements",
		"SELECT * FROM \"pg_prepared_statements\"",
		"SELECT * FROM pg_catalog.pg_prepared_statements;",
		"SELECT 1 FROM pg_catalog.pg_prepared_statements\nWHERE true"};
	struct sql_verdict v;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		sql_classify(texts[i], strlen(texts[i]), OPTS, blind, &v);
		ck_assert(sql_verdict_is(&v, EFFECT_STATEMENTS));
	}
}
END_TEST

/* A function of that name would be called. */
START_TEST(values_may_be_a_name)
{
	struct catalog_builder *b = catalog_builder_new();
	struct sql_verdict v;
	struct catalog *c;

	ck_assert_int_eq(catalog_builder_add(b, "encoding", "UTF8"), OK);
	ck_assert_int_eq(catalog_builder_add(b, "function", "values"), OK);
	c = catalog_freeze(b);
	ck_assert(is_plain("VALUES (1)", OPTS, catalog));
	ck_assert(!is_plain("VALUES (1)", OPTS, c));
	sql_classify("VALUES (1)", 10, OPTS, c, &v);
	ck_assert_uint_eq(v.cause, CAUSE_FUNCTION);
	catalog_free(c);
}
END_TEST

/* One that has no place is left to the walk, which says so. */
START_TEST(cursors_are_noted)
{
	char text[64 * SQL_EFFECTS_MAX];
	size_t len = 0, judged;
	struct sql_verdict v;

	for (unsigned i = 0; i < SQL_EFFECTS_MAX; i++)
		len += (size_t)sprintf(text + len, "DECLARE c%u CURSOR WITH HOLD FOR SELECT 1;", i);
	ck_assert(plain_judge(text, len, OPTS, catalog, &v, &judged));
	ck_assert_uint_eq(v.n_effects, SQL_EFFECTS_MAX);
	ck_assert_uint_eq(v.effects[2].kind, EFFECT_DECLARE);
	ck_assert_uint_eq(v.effects[2].flags, SQL_EFFECT_HOLD);
	ck_assert_uint_eq(v.effects[2].stmt, 2);
	ck_assert_int_eq(memcmp(text + v.effects[2].name.off, "c2", v.effects[2].name.len), 0);
	ck_assert_uint_eq(v.cls, SQL_SESSION);
	ck_assert_uint_eq(v.cause, CAUSE_SESSION);
	len += (size_t)sprintf(text + len, "DECLARE d CURSOR FOR SELECT 1");
	ck_assert(!plain_judge(text, len, OPTS, catalog, &v, &judged));
	sql_classify(text, len, OPTS, catalog, &v);
	ck_assert_uint_ne(v.flags & SQLV_LOST, 0);
}
END_TEST

START_TEST(long_texts_are_left)
{
	static char text[SQL_LEN_MAX + 2];
	struct sql_verdict v;
	size_t judged;

	memset(text, ' ', sizeof text - 1);
	memcpy(text, "SELECT 1", 8);
	ck_assert(!plain_judge(text, SQL_LEN_MAX + 1, OPTS, catalog, &v, &judged));
	text[SQL_LEN_MAX] = '\0';
	ck_assert(plain_judge(text, SQL_LEN_MAX, OPTS, catalog, &v, &judged));
}
END_TEST

static uint32_t below(uint64_t *r, size_t n)
{
	return (uint32_t)(unit_random(r) % n);
}

/* A text that looks like SQL more often than not. */
static size_t make_text(uint64_t *r, char *buf)
{
	static const char *const verbs[] = {"SELECT ", "select ", "with a as (", "WITH ",
		"UPDATE t SET ", "DELETE FROM ", "INSERT INTO t ", " insert\n into ",
		"/* c */ SELECT ", "-- c\nselect ", "(SELECT ", "( (select ", "EXPLAIN SELECT ",
		"explain (analyze, buffers) ", "EXPLAIN (select ", "EXPLAIN/**/ANALYZE ",
		"EXPLAIN ANALYZE verbose values (", "EXPLAIN (", "explain with ", "DECLARE ",
		"DECLARE c BINARY CURSOR WITHOUT HOLD FOR VALUES (", "BEGIN ATOMIC SELECT CASE ",
		"VALUES (", "BEGIN; SELECT ", "begin;insert into ",
		"COMMIT; SELECT 1; UPDATE t SET a = 1; ", "END; SELECT 1;SHOW x;SELECT ", "COPY ",
		"copy (select ", "COPY (", "COPY t (", "CALL ", "call writer(",
		"DECLARE c CURSOR FOR ", "DECLARE c CURSOR WITH HOLD FOR with ", "create table t (",
		"CREATE TEMP TABLE t AS SELECT ", "CREATE VIEW v AS ", "drop table ",
		"alter table t ", "create index ", "TABLE ", "merge into t ", "EXECUTE a (",
		"EXECUTE a", "SELECT 1; TABLE ", "SET a = 1; SELECT ", "DO ", "grant ",
		"prepare a as ", "((", "CREATE FUNCTION f() BEGIN ATOMIC "};
	uint32_t n = below(r, PIECES_MAX);
	size_t len = (size_t)sprintf(buf, "%s", verbs[below(r, sizeof verbs / sizeof verbs[0])]);

	while (n-- > 0)
		len += (size_t)sprintf(buf + len, "%s%s",
			pieces[below(r, sizeof pieces / sizeof pieces[0])],
			below(r, 3) == 0 ? "" : " ");
	return len;
}

static bool is_same(const struct sql_verdict *a, const struct sql_verdict *b)
{
	return a->cls == b->cls && a->cause == b->cause && a->n_effects == b->n_effects &&
	       a->n_stmts == b->n_stmts && a->flags == b->flags && a->at.off == b->at.off &&
	       a->at.len == b->at.len &&
	       memcmp(a->effects, b->effects, a->n_effects * sizeof a->effects[0]) == 0;
}

/* Longer than a window, so that words begin and end anywhere in one, in ASCII and beyond it. */
START_TEST(words_are_found_wherever_they_stand)
{
	static const char *const fillers[] = {"abcdefg ", "größe, ", "a1,b$.", "x_é = "};
	struct sql_verdict a, b;
	char text[512];

	for (size_t f = 0; f < sizeof fillers / sizeof fillers[0]; f++)
		for (size_t at = 0; at < 200; at++) {
			size_t len = (size_t)sprintf(text, "SELECT ");

			while (len < 7 + at)
				len += (size_t)sprintf(text + len, "%s", fillers[f]);
			len += (size_t)sprintf(
				text + len, "%*swriter(1), écrire(1)", (int)(at % 9) + 1, "");
			while (len < 300 - at)
				len += (size_t)sprintf(text + len, "%s", fillers[f]);
			sql_classify(text, len, OPTS, catalog, &a);
			sql_classify_walking(text, len, OPTS, catalog, &b);
			ck_assert(is_same(&a, &b));
			ck_assert_uint_eq(a.cause, CAUSE_FUNCTION);
			ck_assert(is_plain(text, OPTS, catalog));
		}
}
END_TEST

START_TEST(names_that_are_too_long_are_seen_among_wide_ones)
{
	char text[512], name[140];
	struct sql_verdict a, b;

	for (size_t len = 40; len < 130; len++) {
		memset(name, '5', sizeof name);
		name[0] = 'a';
		for (char *p = name + 1; p < name + len; p++)
			*p = "2345678901"[(p - name - 1) % 10];
		name[len] = '\0';
		snprintf(text, sizeof text, "SELECT ü, %s(1), é%s(2) FROM t WHERE a = 1", name,
			name);
		sql_classify(text, strlen(text), OPTS, catalog, &a);
		sql_classify_walking(text, strlen(text), OPTS, catalog, &b);
		ck_assert(is_same(&a, &b));
	}
}
END_TEST

/* The first words of a statement are walked, the rest of it need not be. */
START_TEST(rest_of_another_statement_is_plain)
{
	ck_assert(has_plain_rest("EXPLAIN SELECT a FROM t", 2));
	ck_assert(has_plain_rest("EXPLAIN (ANALYZE) SELECT a FROM wview", 5));
	ck_assert(has_plain_rest("EXPLAIN UPDATE t SET a = 1 WHERE b IN (SELECT c FROM u)", 2));
	ck_assert(has_plain_rest("EXPLAIN WITH a AS (DELETE FROM t RETURNING 1) SELECT 1", 2));
	ck_assert(has_plain_rest("VALUES (1, 'a'), (2, 'b'); SELECT {", 1));
	ck_assert(has_plain_rest("DECLARE c CURSOR FOR SELECT * FROM t", 5));
	ck_assert(has_plain_rest("COPY t (a, b) FROM STDIN WITH (FORMAT csv)", 2));
	ck_assert(has_plain_rest("COPY (SELECT 1 FROM t) TO STDOUT", 2));
	ck_assert(has_plain_rest("CALL f(1, 'x')", 2));
	ck_assert(has_plain_rest("CREATE TABLE t (a int DEFAULT 1)", 2));
	ck_assert(!has_plain_rest("VALUES (1", 1));
	ck_assert(!has_plain_rest("EXPLAIN SELECT {", 2));
	ck_assert(!has_plain_rest("VALUES (1;)", 1));
	ck_assert(!has_plain_rest("COPY wview (a) TO STDOUT", 1));
	ck_assert(!has_plain_rest("((a", 2)); /* too near to the text's start */
}
END_TEST

/* How many bytes plain_skim steps over from the text's start; UINT_MAX: it is not plain to see. */
static unsigned skimmed(const char *sql, bool group)
{
	struct sql_verdict v = {0};
	const uint8_t *end;
	struct scan s;

	scan_init(&s, sql, OPTS, catalog, &v);
	lexer_init(&s.lx, sql, strlen(sql), OPTS);
	scan_next(&s);
	end = plain_skim(&s, group);
	return end != NULL ? (unsigned)(end - (const uint8_t *)sql) : UINT_MAX;
}

/* Of `statement` with `rest` behind it: is the end of the one found? */
static bool ends(const char *statement, const char *rest, bool group)
{
	char text[128];

	snprintf(text, sizeof text, "%s%s", statement, rest);
	return skimmed(text, group) == strlen(statement);
}

START_TEST(end_of_a_statement_is_found_in_one_look)
{
	ck_assert(ends("DROP TABLE a, \"b;\"", "; SELECT 1", false));
	ck_assert(ends("GRANT (';'';', E'\\';') ", "; x", false));
	ck_assert(ends("ALTER -- ;\n /* ; /* ; */ ; */ t", "", false));
	ck_assert(ends("ALTER t $$;$$ $a$;$a$ 1e5 $1", ";", false));
	ck_assert(ends("ALTER größe'\\' ) 2 - 1 / 2", ";", false));
	ck_assert(ends("ALTER (a; b) ", ";", false));
	ck_assert(ends("'abc'", ";", false));
	ck_assert(ends("e'a\\';c'", ";", false));
	ck_assert(ends("(SELECT ')' FROM (t))", " TO x", true));
	ck_assert_uint_eq(skimmed("(SELECT 1", true), UINT_MAX);
	ck_assert_uint_eq(skimmed("CREATE BEGIN ATOMIC a; b; END", false), UINT_MAX);
	ck_assert_uint_eq(skimmed("ALTER U&'\\0041'", false), UINT_MAX);
	ck_assert_uint_eq(skimmed("ALTER 1e", false), UINT_MAX);
	ck_assert_uint_eq(skimmed("ALTER 'a", false), UINT_MAX);
	ck_assert_uint_eq(skimmed("ALTER \"a", false), UINT_MAX);
	ck_assert_uint_eq(skimmed("ALTER /* a", false), UINT_MAX);
	ck_assert_uint_eq(skimmed("ALTER $a", false), UINT_MAX);
}
END_TEST

START_TEST(words_that_a_text_may_have_are_found)
{
	struct sql_verdict v = {0};
	struct scan s;
	const char *sql = "CREATE currva (x, exeCUTe, u&\"a\", beginner) xx lastval pG_tEmp";

	scan_init(&s, sql, OPTS, catalog, &v);
	lexer_init(&s.lx, sql, strlen(sql), OPTS);
	scan_next(&s);
	for (unsigned twice = 0; twice < 2; twice++) {
		ck_assert(scan_may_have(&s, SOUGHT_EXECUTE));
		ck_assert(scan_may_have(&s, SOUGHT_UQUOTED));
		ck_assert(scan_may_have(&s, SOUGHT_ASKING));
		ck_assert(scan_may_have(&s, SOUGHT_BEGIN));
		ck_assert(!scan_may_have(&s, SOUGHT_CONCURRENTLY));
	}
	while (s.t.c != ')')
		scan_next(&s);
	ck_assert(!scan_may_have(&s, SOUGHT_EXECUTE));
	ck_assert(!scan_may_have(&s, SOUGHT_UQUOTED));
	ck_assert(!scan_may_have(&s, SOUGHT_BEGIN));
	ck_assert(scan_may_have(&s, SOUGHT_ASKING));
	ck_assert(scan_may_have(&s, SOUGHT_PG_TEMP));
	sql = "a CURRVAL";
	scan_init(&s, sql, OPTS, catalog, &v);
	lexer_init(&s.lx, sql, strlen(sql), OPTS);
	scan_next(&s);
	ck_assert(scan_may_have(&s, SOUGHT_ASKING));
	ck_assert(!scan_may_have(&s, SOUGHT_PG_TEMP));
}
END_TEST

/* Where plain_statements leaves the cursor, behind so many tokens; UINT_MAX: it did nothing. */
static unsigned judged_together(const char *sql, unsigned n_tokens, uint16_t *n_stmts)
{
	struct sql_verdict v = {0};
	struct scan s;
	bool done;

	scan_init(&s, sql, OPTS, catalog, &v);
	s.together = true;
	lexer_init(&s.lx, sql, strlen(sql), OPTS);
	while (n_tokens-- > 0)
		scan_next(&s);
	done = plain_statements(&s);
	*n_stmts = v.n_stmts;
	return done ? s.t.off : UINT_MAX;
}

START_TEST(statements_behind_another_are_judged_together)
{
	uint16_t n;

	ck_assert_uint_eq(
		judged_together("BEGIN; SELECT 1; UPDATE t SET a = 1; COMMIT", 3, &n), 37);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(judged_together("BEGIN; SELECT 1", 3, &n), 15);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(judged_together("BEGIN; COMMIT", 3, &n), UINT_MAX);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(judged_together("BEGIN; SELECT 1; SELECT {", 3, &n), UINT_MAX);
	ck_assert_uint_eq(n, 0);
}
END_TEST

/* What is plain before another statement is not walked again. */
START_TEST(plain_statements_before_another_are_judged)
{
	ck_assert_uint_eq(judged_of(""), 0);
	ck_assert_uint_eq(judged_of("BEGIN; SELECT 1"), 0);
	ck_assert_uint_eq(judged_of("SELECT 1; /* c */ BEGIN"), 18);
	ck_assert_uint_eq(judged_of("SELECT 1; (VALUES (1))"), 10);
	ck_assert_uint_eq(judged_of("SELECT 1; SELECT {"), PLAIN_NOTHING);
	ck_assert_uint_eq(judged_of("BEGIN {"), 0);
}
END_TEST

START_TEST(any_plain_text_has_the_verdict_of_the_walk)
{
	static const uint32_t opts[] = {OPTS, SQL_STD_STRINGS, SQL_ENC_UTF8, 0};
	const struct catalog *c = _i == 0 ? catalog : blind;
	uint64_t r = 1;
	struct sql_verdict a, b;
	char text[2048];
	unsigned n = 0;

	for (unsigned i = 0; i < N_TEXTS; i++) {
		size_t len = make_text(&r, text), judged;
		uint32_t o = opts[i % 4];

		n += plain_judge(text, len, o, c, &a, &judged);
		sql_classify(text, len, o, c, &a);
		sql_classify_walking(text, len, o, c, &b);
		if (!is_same(&a, &b))
			ck_abort_msg("options %x, flags %x and %x: %s", (unsigned)o,
				(unsigned)a.flags, (unsigned)b.flags, text);
	}
	ck_assert_uint_gt(n, N_TEXTS / 30);
}
END_TEST

START_TEST(filter_key_is_the_same_wherever_the_name_stands)
{
	static const char text[] = "12345678abcdefghijklm";

	for (size_t len = 1; len < 13; len++)
		for (size_t at = 8; at + len < sizeof text; at++)
			ck_assert_uint_eq(namefilter_key((const uint8_t *)text + at + len, len),
				namefilter_key_of(text + at, len));
	ck_assert_uint_eq(namefilter_key_of("Update", 6), namefilter_key_of("uPDATE", 6));
	ck_assert_uint_ne(namefilter_key_of("a12345678", 9), namefilter_key_of("12345678", 8));
}
END_TEST

static bool filter_may_have(const char *name)
{
	size_t len = strlen(name);
	char text[256];

	snprintf(text, sizeof text, "SELECT a%s", name);
	return namefilter_may_have(
		&catalog->filter, NAMEFILTER_FIRST(name[0]), (const uint8_t *)text + 8 + len, len);
}

START_TEST(filter_has_every_name)
{
	unsigned n_others = 0;
	char name[16];

	for (size_t i = 0; i < sizeof name_rows / sizeof name_rows[0]; i++)
		if (strcmp(name_rows[i][0], "encoding") != 0 &&
			strcmp(name_rows[i][0], "operator") != 0)
			ck_assert(filter_may_have(name_rows[i][1]));
	ck_assert(filter_may_have("WRITER"));
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "col_%d", i);
		n_others += filter_may_have(name);
	}
	ck_assert_uint_lt(n_others, 100);
}
END_TEST

/* The server cuts a name at 63 bytes; what is left may be one that is known. */
START_TEST(filter_has_names_that_are_too_long)
{
	unsigned n_others = 0;
	char name[200];

	for (size_t len = 64; len < 190; len++) {
		memset(name, '5', sizeof name);
		name[0] = 'a';
		name[len] = '\0';
		ck_assert(filter_may_have(name));
		name[0] = 'q';
		n_others += filter_may_have(name);
	}
	ck_assert_uint_lt(n_others, 20);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("plain");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, plain_statements_are_judged);
	tcase_add_test(tc, others_are_left_to_the_walk);
	tcase_add_test(tc, options_and_catalogs_are_minded);
	tcase_add_test(tc, values_may_be_a_name);
	tcase_add_test(tc, cursors_are_noted);
	tcase_add_test(tc, long_texts_are_left);
	tcase_add_test(tc, words_are_found_wherever_they_stand);
	tcase_add_test(tc, names_that_are_too_long_are_seen_among_wide_ones);
	tcase_add_test(tc, rest_of_another_statement_is_plain);
	tcase_add_test(tc, end_of_a_statement_is_found_in_one_look);
	tcase_add_test(tc, words_that_a_text_may_have_are_found);
	tcase_add_test(tc, statements_behind_another_are_judged_together);
	tcase_add_test(tc, plain_statements_before_another_are_judged);
	tcase_add_loop_test(tc, any_plain_text_has_the_verdict_of_the_walk, 0, 2);
	tcase_add_test(tc, without_a_catalog_calls_are_seen);
	tcase_add_test(tc, without_a_catalog_prepared_statements_are_seen);
	tcase_add_test(tc, filter_key_is_the_same_wherever_the_name_stands);
	tcase_add_test(tc, filter_has_every_name);
	tcase_add_test(tc, filter_has_names_that_are_too_long);
	return unit_run("plain", tc);
}
