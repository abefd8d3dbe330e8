/*
 * What statements do to the session, as text: one "kind(name=value)" per effect, with letters for
 * its flags; then the names of the verdict's flags.
 */
#include "sql/classify.h"

#include <stdio.h>
#include <string.h>

#include "names.h"

#define OPTS (SQL_STD_STRINGS | SQL_ENC_UTF8)

struct sample {
	const char *sql;
	const char *effects;
};

static struct catalog *catalog;

static void setup(void)
{
	catalog = names_catalog();
}

static void teardown(void)
{
	catalog_free(catalog);
}

static size_t add_modes(char *out, const struct sql_modes *m)
{
	static const char *const levels[] = {"", " ru", " rc", " rr", " ser"};
	static const char *const access[] = {"", " ro", " rw"};
	static const char *const deferrable[] = {"", " def", " notdef"};

	return (size_t)sprintf(out, "%s%s%s%s", levels[m->isolation], access[m->read_only],
		deferrable[m->deferrable], m->needs_primary ? " !" : "");
}

static size_t add_effect(char *out, const char *sql, uint32_t opts, const struct sql_effect *e)
{
	static const char letters[] =
		"SCLKUHO?"; /* start chain local custom(K) untracked hold once */
	char name[128], value[256];
	size_t n, len;

	n = (size_t)sprintf(out, "%s", sql_effect_kind_name((enum sql_effect_kind)e->kind));
	if (sql_effect_name(sql, opts, e, name, sizeof name, &len) == OK) {
		ck_assert_uint_eq(len, strlen(name));
		n += (size_t)sprintf(out + n, "(%s", name);
		if (sql_effect_value(sql, opts, e, value, sizeof value, &len) == OK) {
			ck_assert_uint_eq(len, strlen(value));
			n += (size_t)sprintf(out + n, "=%s", value);
		}
		n += (size_t)sprintf(out + n, ")");
	}
	n += add_modes(out + n, &e->modes);
	if (e->flags != 0)
		out[n++] = '/';
	for (unsigned i = 0; i < sizeof letters - 1; i++)
		if ((e->flags & 1u << i) != 0)
			out[n++] = letters[i];
	out[n] = '\0';
	return n;
}

static const char *effects_of(const char *sql, uint32_t opts)
{
	static char out[2048];
	struct sql_verdict v;
	size_t n = 0;

	sql_classify(sql, strlen(sql), opts, catalog, &v);
	out[0] = '\0';
	for (unsigned i = 0; i < v.n_effects; i++) {
		if (i != 0)
			out[n++] = ' ';
		n += add_effect(out + n, sql, opts, &v.effects[i]);
	}
	return out;
}

/* clang-format off */
static const struct sample samples[] = {
	/* transactions */
	{"BEGIN", "begin"},
	{"begin work;", "begin"},
	{"BEGIN TRANSACTION", "begin"},
	{"START TRANSACTION", "begin/S"},
	{"START", "unknown"},
	{"START WORK", "unknown"},
	{"BEGIN READ ONLY", "begin ro"},
	{"BEGIN READ WRITE", "begin rw !"},
	{"BEGIN ISOLATION LEVEL READ UNCOMMITTED", "begin ru"},
	{"BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY", "begin rc ro"},
	{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE", "begin rr ro notdef"},
	{"START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "begin ser ro def !/S"},
	{"BEGIN READ WRITE, READ ONLY", "begin ro !"},
	{"BEGIN READ ONLY, READ WRITE", "begin rw !"},
	{"BEGIN ISOLATION LEVEL SERIALIZABLE ISOLATION LEVEL READ COMMITTED", "begin rc !"},
	{"BEGIN ,READ ONLY", "unknown"},
	{"BEGIN READ ONLY,", "unknown"},
	{"BEGIN READ", "unknown"},
	{"BEGIN NOT", "unknown"},
	{"BEGIN ISOLATION SERIALIZABLE", "unknown"},
	{"BEGIN ISOLATION LEVEL READ", "unknown"},
	{"BEGIN ISOLATION LEVEL REPEATABLE", "unknown"},
	{"BEGIN ISOLATION LEVEL", "unknown"},
	{"BEGIN x", "unknown"},
	{"BEGIN; SELECT 1", "begin"},
	{"COMMIT", "commit"},
	{"end transaction", "commit"},
	{"COMMIT WORK AND CHAIN", "commit/C"},
	{"COMMIT AND NO CHAIN", "commit"},
	{"COMMIT AND", "unknown"},
	{"COMMIT x", "unknown"},
	{"ROLLBACK", "rollback"},
	{"ABORT WORK", "rollback"},
	{"ROLLBACK AND CHAIN", "rollback/C"},
	{"ABORT TO a", "unknown"},
	{"SAVEPOINT A", "savepoint(a)"},
	{"SAVEPOINT \"A\"\"b\"", "savepoint(A\"b)"},
	{"SAVEPOINT", "unknown"},
	{"SAVEPOINT select", "unknown"},
	{"SAVEPOINT a b", "savepoint(a) unknown"},
	{"RELEASE a", "release(a)"},
	{"RELEASE SAVEPOINT a", "release(a)"},
	{"ROLLBACK TO a", "rollback_to(a)"},
	{"ROLLBACK WORK TO SAVEPOINT a", "rollback_to(a)"},
	{"SET TRANSACTION READ ONLY", "set_transaction ro"},
	{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE", "set_transaction ser rw !"},
	{"SET LOCAL TRANSACTION READ ONLY", "set_transaction ro"},
	{"SET TRANSACTION", "unknown"},
	{"SET TRANSACTION SNAPSHOT '00000003-0000001B-1'", "set_snapshot/L"},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "set_characteristics ro"},
	{"SET SESSION CHARACTERISTICS AS", "unknown"},
	{"SET CONSTRAINTS ALL DEFERRED", "set_constraints/L"},
	{"PREPARE TRANSACTION 'x'", "prepare_transaction(x)"},
	{"COMMIT PREPARED 'x'", "end_prepared(x)"},
	{"ROLLBACK PREPARED 'x'", "end_prepared(x)"},
	{"COMMIT PREPARED", "end_prepared unknown"},
	{"BEGIN; SAVEPOINT a; ROLLBACK TO a; COMMIT", "begin savepoint(a) rollback_to(a) commit"},
	/* settings */
	{"SET work_mem = '5MB'", "set(work_mem=5MB)"},
	{"SET Work_Mem TO 64", "set(work_mem=64)"},
	{"SET \"Work_Mem\" TO 64", "set(work_mem=64)"},
	{"SET work_mem TO 0064", "set(work_mem=64)"},
	{"SET work_mem TO 0", "set(work_mem=0)"},
	{"SET work_mem TO -1", "set(work_mem=-1)"},
	{"SET work_mem TO - 1", "set(work_mem=-1)"},
	{"SET x TO +1.50", "set(x=1.50)"},
	{"SET x TO 2147483647", "set(x=2147483647)"},
	{"SET x TO 02147483648", "set(x=02147483648)"},
	{"SET x TO 1e3", "set(x=1e3)"},
	{"SET x TO 0x10", "set(x)/U"},
	{"SET x TO 1_000", "set(x)/U"},
	{"SET x = ON", "set(x=on)"},
	{"SET x = Off", "set(x=off)"},
	{"SET x = TRUE", "set(x=true)"},
	{"SET x = Value", "set(x=value)"},
	{"SET x = \"Value\"", "set(x=Value)"},
	{"SET x = 'a' --b\n", "set(x=a)"},
	{"SET x = 'a'\n--b\n; -- 'c'", "set(x=a)"},
	{"SET x = 'a' /* b */", "set(x=a)"},
	{"LISTEN a--b", "listen(a)"},
	{"PREPARE TRANSACTION 'a'--b", "prepare_transaction(a)"},
	{"SELECT set_config('a'--b\n,'c'--d\n,false)", "set_config(a=c)/O"},
	{"SET x = E'a\\tb'", "set(x=a\tb)"},
	{"SET x = $$a'b$$", "set(x=a'b)"},
	{"SET x = 'a'\n'b'", "set(x=ab)"},
	{"SET x = U&'\\0061'", "set(x=a)"},
	{"SET x = U&'!0061' UESCAPE '!'", "unknown"},
	{"SET x = select", "unknown"},
	{"SET x = 1 2", "unknown"},
	{"SET x = 1,", "unknown"},
	{"SET x = $1", "unknown"},
	{"SET x =", "unknown"},
	{"SET x", "unknown"},
	{"SET", "unknown"},
	{"SET SESSION x = 1", "set(x=1)"},
	{"SET LOCAL x = 1", "set(x=1)/L"},
	{"SET DateStyle = ISO, DMY", "set(datestyle=iso, dmy)"},
	{"SET datestyle TO 'SQL, DMY'", "set(datestyle=SQL, DMY)"},
	{"SET search_path TO rt, public", "set(search_path=rt, public)"},
	{"SET search_path = 'rt'", "set(search_path=rt)"},
	{"SET search_path = 'rt, public'", "set(search_path=\"rt, public\")"},
	{"SET search_path = \"$user\", public", "set(search_path=\"$user\", public)"},
	{"SET search_path = 'A\"b', \"user\", x1, 'table', left, coalesce, update, \"1a\"",
		"set(search_path=\"A\"\"b\", \"user\", x1, \"table\", \"left\", \"coalesce\", update, \"1a\")"},
	{"SET search_path = ''", "set(search_path=\"\")"},
	{"SET search_path = pg_temp, rt", "set(search_path)/UH"},
	{"SET search_path = 'PG_TEMP'", "set(search_path=\"PG_TEMP\")"},
	{"SET SCHEMA 'rt'", "set(search_path=rt)"},
	{"SET SCHEMA rt", "unknown"},
	{"SET SCHEMA 'pg_temp'", "set(search_path)/UH"},
	{"SET temp_tablespaces = a, 'B'", "set(temp_tablespaces=a, \"B\")"},
	{"SET x TO DEFAULT", "reset(x)"},
	{"SET LOCAL x TO DEFAULT", "reset(x)/L"},
	{"SET x FROM CURRENT", "unknown"},
	{"SET app.uid = '7'", "set(app.uid=7)/K"},
	{"SET app.user = '7'", "unknown"}, /* a reserved word */
	{"SET \"App.User\" = '7'", "set(app.user=7)/K"},
	{"SET LOCAL app.uid = '7'", "set(app.uid=7)/LK"},
	{"SET TIME ZONE 'UTC'", "set(timezone=UTC)"},
	{"SET TIME ZONE utc", "set(timezone=utc)"},
	{"SET TIME ZONE -7.5", "set(timezone=-7.5)"},
	{"SET TIME ZONE LOCAL", "reset(timezone)"},
	{"SET LOCAL TIME ZONE DEFAULT", "reset(timezone)/L"},
	{"SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "set(timezone)/U"},
	{"SET TIMEZONE TO 'UTC'", "set(timezone=UTC)"},
	{"SET NAMES 'latin1'", "set(client_encoding=latin1)"},
	{"SET NAMES DEFAULT", "reset(client_encoding)"},
	{"SET NAMES", "reset(client_encoding)"},
	{"SET names = 'x'", "set(names=x)"},
	{"SET XML OPTION DOCUMENT", "set(xmloption=document)"},
	{"SET XML OPTION x", "unknown"},
	{"SET ROLE joe", "role(role=joe)"},
	{"SET ROLE NONE", "role(role=none)"},
	{"SET LOCAL ROLE 'joe'", "role(role=joe)/L"},
	{"SET role = 'joe'", "role(role=joe)"},
	{"SET SESSION AUTHORIZATION joe", "role(session_authorization=joe)"},
	{"SET LOCAL SESSION AUTHORIZATION DEFAULT", "role(session_authorization)/L"},
	{"SET session_authorization TO joe", "role(session_authorization=joe)"},
	{"SET transaction_read_only = on", "set(transaction_read_only=on)/L"},
	{"SET transaction_isolation TO 'serializable'", "set(transaction_isolation=serializable)/L"},
	{"SET seed = 0.5", "setseed(seed)"},
	{"RESET work_mem", "reset(work_mem)"},
	{"RESET app.uid", "reset(app.uid)/K"},
	{"RESET ALL", "reset_all"},
	{"RESET TIME ZONE", "reset(timezone)"},
	{"RESET TRANSACTION ISOLATION LEVEL", "reset(transaction_isolation)/L"},
	{"RESET TRANSACTION ISOLATION", "unknown"},
	{"RESET SESSION AUTHORIZATION", "role(session_authorization)"},
	{"RESET ROLE", "role(role)"},
	{"RESET", "unknown"},
	{"RESET a b", "unknown"},
	{"DISCARD ALL", "discard_all"},
	{"DISCARD PLANS", "discard_plans"},
	{"DISCARD TEMP", "discard_temp"},
	{"DISCARD TEMPORARY", "discard_temp"},
	{"DISCARD SEQUENCES", "discard_sequences"},
	{"DISCARD", "unknown"},
	{"DISCARD ALL x", "unknown"},
	/* set_config */
	{"SELECT set_config('work_mem', '5MB', false)", "set_config(work_mem=5MB)/O"},
	{"SELECT pg_catalog.set_config('search_path', '', FALSE);", "set_config(search_path=)/O"},
	{"SELECT set_config('a', 'b', true)", "set_config(a=b)/LO"},
	{"SELECT set_config('App.U', '7', false) AS x, set_config('b', 'c', false) y",
		"set_config(app.u=7)/KO set_config(b=c)/O"},
	{"SELECT set_config('a', 'b', false) FROM t", "set_config(a=b)/U"},
	{"SELECT set_config('a', 'b', false) WHERE false", "set_config(a=b)/U"},
	{"SELECT 1, set_config('a', 'b', false)", "set_config(a=b)/U"},
	{"SELECT CASE WHEN x THEN set_config('a', 'b', false) END", "set_config(a=b)/U"},
	{"SELECT set_config('a', $1, false)", "set_config(a)/UO"},
	{"SELECT set_config($1, $2, true)", "set_config/LUO"},
	{"SELECT set_config('a', 'b', 'f')", "set_config(a=b)/UO?"},
	{"SELECT set_config('a', 'b' || 'c', false)", "set_config(a)/UO"},
	{"SELECT set_config('role', 'joe', false)", "set_config(role=joe)/UO"},
	{"SELECT set_config('bad name', 'x', false)", "set_config/UO"},
	{"SELECT \"set_config\"('a', 'b', false)", "set_config(a=b)/U"},
	{"SELECT set_config FROM t", ""},
	{"UPDATE t SET a = set_config('a', 'b', false)", "set_config(a=b)/U"},
	/* session objects */
	{"CREATE TEMP TABLE x (a int)", "temp"},
	{"CREATE TEMPORARY VIEW x AS SELECT 1", "temp"},
	{"CREATE OR REPLACE TEMP VIEW x AS SELECT 1", "temp"},
	{"CREATE GLOBAL TEMPORARY TABLE x (a int)", "temp"},
	{"CREATE LOCAL TEMP SEQUENCE x", "temp"},
	{"CREATE TEMP RECURSIVE VIEW x (a) AS SELECT 1", "temp"},
	{"CREATE TEMP TABLE x AS SELECT 1", "temp"},
	{"CREATE TABLE pg_temp.x (a int)", "temp"},
	{"CREATE TABLE \"pg_temp\".x (a int)", "temp"},
	{"CREATE TABLE U&\"pg\\005ftemp\".x (a int)", "temp"},
	{"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "temp"},
	{"CREATE TABLE x (temp int)", ""},
	{"CREATE TABLE temp.x (a int)", ""},
	{"SELECT 1 INTO TEMP x", "temp"},
	{"SELECT 1 INTO TEMPORARY TABLE x", "temp"},
	{"SELECT 1 INTO LOCAL TEMP x", "temp"},
	{"SELECT 1 INTO pg_temp.x", "temp"},
	{"SELECT 1 INTO x", ""},
	{"EXPLAIN ANALYZE CREATE TEMP TABLE x AS SELECT 1", "temp"},
	{"SELECT pg_advisory_lock(1)", "advisory_lock"},
	{"SELECT pg_catalog.pg_try_advisory_lock_shared(1, 2)", "advisory_lock"},
	{"SELECT \"pg_advisory_lock\"(1)", "advisory_lock"},
	{"INSERT INTO t SELECT pg_advisory_lock(1)", "advisory_lock"},
	{"SELECT pg_advisory_unlock(1)", "advisory_unlock"},
	{"SELECT pg_advisory_unlock_all()", "advisory_unlock_all"},
	{"SELECT pg_advisory_xact_lock(1)", ""},
	{"SELECT 'pg_advisory_lock(1)'", ""},
	{"SELECT pg_advisory_lock FROM t", ""},
	{"CREATE VIEW x AS SELECT pg_advisory_lock(1)", ""},
	{"LISTEN Abc", "listen(abc)"},
	{"LISTEN \"Abc\"", "listen(Abc)"},
	{"LISTEN", "unknown"},
	{"LISTEN U&\"a\" UESCAPE '!'", "unknown"},
	{"UNLISTEN abc", "unlisten(abc)"},
	{"UNLISTEN *", "unlisten_all"},
	{"ALTER ROLE app SET work_mem = '5MB'", "defaults(app)"},
	{"ALTER USER ALL IN DATABASE d RESET ALL", "defaults"},
	{"ALTER ROLE CURRENT_USER SET a = 1", "defaults"},
	{"ALTER DATABASE \"D\" SET a.b TO 1", "defaults(D)/O"},
	{"ALTER ROLE app LOGIN", ""},
	{"SELECT setval('s', 1), setval('s', 2)", "setval"},
	{"SELECT pg_cancel_backend(1), pg_terminate_backend(2)", "signal"},
	{"UNLISTEN", ""},
	{"DECLARE c CURSOR FOR SELECT 1", "declare(c)"},
	{"DECLARE \"C\" NO SCROLL CURSOR WITH HOLD FOR SELECT 1", "declare(C)/H"},
	{"DECLARE c BINARY INSENSITIVE SCROLL CURSOR WITHOUT HOLD FOR SELECT 1", "declare(c)"},
	{"DECLARE c ASENSITIVE CURSOR FOR SELECT pg_advisory_lock(1)", "declare(c) advisory_lock"},
	{"DECLARE c CURSOR WITH FOR SELECT 1", "unknown"},
	{"DECLARE c FOR SELECT 1", "unknown"},
	{"CLOSE c", "close(c)"},
	{"CLOSE ALL", "close_all"},
	{"PREPARE p AS SELECT 1", "prepare(p)"},
	{"PREPARE p (int, text) AS SELECT pg_advisory_lock($1)", "prepare(p)"},
	{"PREPARE transaction AS SELECT 1", "prepare(transaction)"},
	{"EXECUTE p", "execute(p)"},
	{"EXECUTE p (1, pg_advisory_lock(1))", "execute(p) advisory_lock"},
	{"EXPLAIN ANALYZE EXECUTE p", "execute(p)"},
	{"CREATE TABLE x AS EXECUTE p", "execute(p)"},
	{"DEALLOCATE p", "deallocate(p)"},
	{"DEALLOCATE PREPARE p", "deallocate(p)"},
	{"DEALLOCATE prepare", "deallocate(prepare)"},
	{"DEALLOCATE ALL", "deallocate_all"},
	{"DEALLOCATE PREPARE ALL", "deallocate_all"},
	{"LOAD 'x'", "load"},
	{"SELECT setseed(0.1)", "setseed"},
	{"SELECT dblink_connect('x', 'y')", "dblink"},
	{"SELECT dblink_disconnect('x')", "dblink"},
	{"SELECT pg_create_physical_replication_slot('x', false, true)", "slot"},
	{"DO $$ BEGIN SET x = 1; END $$", "unknown"},
	{"DO LANGUAGE plpgsql 'BEGIN PERFORM pg_advisory_lock(1); END'", "unknown"},
	{"DO $$ BEGIN UPDATE t SET a = 1; END $$", ""},
	{"CALL p(pg_advisory_lock(1))", "advisory_lock"},
	{"CALL p()", ""},
	/* several */
	{"BEGIN; SET LOCAL a = 1; LISTEN x; COMMIT", "begin set(a=1)/L listen(x) commit"},
	{"SELECT 1; SET a = 1", "set(a=1)"},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC "
	 "SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SET a = 1", "set(a=1)"},
	{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 case; END; SET a = 1", "set(a=1)"},
	{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 end; SELECT 2; END; SET a = 1",
		"set(a=1)"},
	{"CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT atomic end; SELECT begin atomic; END; "
	 "SET a = 1; END", "set(a=1) commit"},
	{"CREATE PROCEDURE p(begin atomic) BEGIN ATOMIC END; SET a = 1", "set(a=1)"},
	{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END end FROM "
	 "(SELECT true end) x(a); INSERT INTO t VALUES (1) RETURNING a end; END; SET a = 1",
		"set(a=1)"},
	{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SET a = 1", "unknown"},
	{"PREPARE p AS SELECT begin atomic FROM t; SET a = 1", "prepare(p) set(a=1)"},
	{"CREATE VIEW v AS SELECT begin atomic FROM t; SET a = 1; END", "set(a=1) commit"},
	{"SELECT a AS insert INTO TEMP b FROM t", "temp"},
	{"CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); NOTIFY b); SET a = 1",
		"set(a=1)"},
	/* none */
	{"", ""},
	{"SELECT 1", ""},
	{"SHOW work_mem", ""},
	{"INSERT INTO t VALUES ('SET a = 1')", ""},
	{"SELECT 1 -- ; SET a = 1", ""},
	{"SELEC 1", ""},
};
/* clang-format on */

START_TEST(effects_are_told)
{
	const struct sample *s = &samples[_i];

	ck_assert_msg(strcmp(effects_of(s->sql, OPTS), s->effects) == 0, "%s: %s, expected %s",
		s->sql, effects_of(s->sql, OPTS), s->effects);
}
END_TEST

START_TEST(backslashes_count_without_standard_strings)
{
	ck_assert_str_eq(effects_of("SET x = 'a\\'b'", SQL_ENC_UTF8), "set(x=a'b)");
	ck_assert_str_eq(effects_of("SELECT 'a\\'; SET x = 1; --'", SQL_ENC_UTF8), "");
}
END_TEST

START_TEST(effects_know_their_statement)
{
	const char *sql = ";SELECT 1; SET a = 1;; LISTEN b";
	struct sql_verdict v;

	sql_classify(sql, strlen(sql), OPTS, catalog, &v);
	ck_assert_uint_eq(v.n_stmts, 3);
	ck_assert_uint_eq(v.n_effects, 2);
	ck_assert_uint_eq(v.effects[0].stmt, 1);
	ck_assert_uint_eq(v.effects[1].stmt, 2);
}
END_TEST

START_TEST(more_effects_than_fit_are_admitted)
{
	char sql[256] = "";
	struct sql_verdict v;

	for (unsigned i = 1; i <= SQL_EFFECTS_MAX + 2; i++) {
		strcat(sql, "LISTEN a;");
		sql_classify(sql, strlen(sql), OPTS, catalog, &v);
		ck_assert_uint_eq(v.n_effects, i < SQL_EFFECTS_MAX ? i : SQL_EFFECTS_MAX);
		ck_assert_int_eq((v.flags & SQLV_LOST) != 0, i > SQL_EFFECTS_MAX);
	}
}
END_TEST

struct pin {
	const char *sql;
	enum sql_pin pin; /* of the first effect */
};

START_TEST(effects_that_stay_pin)
{
	/* clang-format off */
	static const struct pin cases[] = {
		{"CREATE TEMP TABLE x (a int)", SQL_PIN_TEMP},
		{"SELECT pg_advisory_lock(1)", SQL_PIN_ADVISORY},
		{"SELECT pg_advisory_unlock(1)", SQL_PIN_NONE},
		{"LISTEN a", SQL_PIN_LISTEN},
		{"UNLISTEN a", SQL_PIN_NONE},
		{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", SQL_PIN_CURSOR},
		{"DECLARE c CURSOR FOR SELECT 1", SQL_PIN_NONE},
		{"PREPARE p AS SELECT 1", SQL_PIN_PREPARED},
		{"EXECUTE p", SQL_PIN_NONE},
		{"SET a = 1", SQL_PIN_NONE},
		{"SET a = 0x1", SQL_PIN_SETTING},
		{"SET a.b = 1", SQL_PIN_CUSTOM_PARAMETER},
		{"SET LOCAL a.b = 1", SQL_PIN_NONE},
		{"RESET a.b", SQL_PIN_NONE},
		{"SELECT set_config('a', 'b', false)", SQL_PIN_SETTING},
		{"SELECT set_config('a', 'b', true)", SQL_PIN_NONE},
		{"SELECT set_config('a', $1, true)", SQL_PIN_NONE},
		{"SELECT set_config('a', $1, false)", SQL_PIN_SETTING},
		{"SELECT set_config('a.b', 'c', false)", SQL_PIN_CUSTOM_PARAMETER},
		{"SET ROLE joe", SQL_PIN_ROLE},
		{"SET LOCAL ROLE joe", SQL_PIN_NONE},
		{"RESET ROLE", SQL_PIN_NONE},
		{"SET SESSION AUTHORIZATION DEFAULT", SQL_PIN_NONE},
		{"LOAD 'x'", SQL_PIN_LOAD},
		{"SELECT setseed(0)", SQL_PIN_SEED},
		{"SELECT dblink_connect('x')", SQL_PIN_DBLINK},
		{"SELECT pg_create_logical_replication_slot('a', 'b', true)", SQL_PIN_SLOT},
		{"DO 'BEGIN SET a = 1; END'", SQL_PIN_UNKNOWN},
		{"BEGIN", SQL_PIN_NONE},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sql_verdict v;

		sql_classify(cases[i].sql, strlen(cases[i].sql), OPTS, catalog, &v);
		ck_assert_uint_ge(v.n_effects, 1);
		ck_assert_msg(sql_effect_pin(&v.effects[0]) == cases[i].pin, "%s: %s", cases[i].sql,
			sql_pin_name(sql_effect_pin(&v.effects[0])));
	}
}
END_TEST

START_TEST(names_and_values_that_do_not_fit_are_refused)
{
	const char *sql = "SET abc = 'defg'";
	struct sql_verdict v;
	char buf[8];
	size_t len;

	sql_classify(sql, strlen(sql), OPTS, catalog, &v);
	for (size_t cap = 0; cap < 4; cap++)
		ck_assert_int_eq(
			sql_effect_name(sql, OPTS, &v.effects[0], buf, cap, &len), E_LIMIT);
	ck_assert_int_eq(sql_effect_name(sql, OPTS, &v.effects[0], buf, 4, &len), OK);
	ck_assert_uint_eq(len, 3);
	for (size_t cap = 0; cap < 5; cap++)
		ck_assert_int_eq(
			sql_effect_value(sql, OPTS, &v.effects[0], buf, cap, &len), E_LIMIT);
	ck_assert_int_eq(sql_effect_value(sql, OPTS, &v.effects[0], buf, 5, &len), OK);
	ck_assert_str_eq(buf, "defg");
}
END_TEST

START_TEST(every_value_has_its_words)
{
	for (int i = 0; i < EFFECT_COUNT; i++)
		ck_assert_ptr_nonnull(sql_effect_kind_name((enum sql_effect_kind)i));
	for (int i = 0; i < SQL_PIN_COUNT; i++)
		ck_assert_ptr_nonnull(sql_pin_name((enum sql_pin)i));
	for (int i = 0; i < CAUSE_COUNT; i++)
		ck_assert_ptr_nonnull(sql_cause_text((enum sql_cause)i));
	ck_assert_str_eq(sql_class_name(SQL_UNKNOWN), "unknown");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("effects");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, effects_are_told, 0, (int)(sizeof samples / sizeof samples[0]));
	tcase_add_test(tc, backslashes_count_without_standard_strings);
	tcase_add_test(tc, effects_know_their_statement);
	tcase_add_test(tc, more_effects_than_fit_are_admitted);
	tcase_add_test(tc, effects_that_stay_pin);
	tcase_add_test(tc, names_and_values_that_do_not_fit_are_refused);
	tcase_add_test(tc, every_value_has_its_words);
	return unit_run("effects", tc);
}
