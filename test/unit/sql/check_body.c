#include "sql/body.h"

#include <string.h>

#include "sql/verdict.h"

#include "../unit.h"

static bool has_effect(const char *body)
{
	return body_has_effect(body, strlen(body));
}

START_TEST(effects_are_seen_wherever_they_are_named)
{
	static const char *const bodies[] = {
		"BEGIN SET work_mem = '1MB'; END",
		"BEGIN PERFORM 1; SET work_mem = '1MB'; END",
		"BEGIN IF a THEN SET x = 1; END IF; END",
		"BEGIN IF a THEN NULL; ELSE\nRESET ALL; END IF; END",
		"BEGIN LOOP SET SESSION x = 1; END LOOP; END",
		"BEGIN EXECUTE 'SET x = 1'; END",
		"BEGIN EXECUTE 'RESET ALL'; END",
		"BEGIN EXECUTE format('LISTEN %I', c); END",
		"BEGIN EXECUTE $q$SET x = 1$q$; END",
		"<<l>>SET x = 1",
		"SET x = 1",
		"BEGIN CREATE TEMP TABLE t (a int); END",
		"BEGIN CREATE TEMPORARY SEQUENCE s; END",
		"BEGIN CREATE TABLE pg_temp.t (a int); END",
		"BEGIN PERFORM pg_advisory_lock(1); END",
		"BEGIN PERFORM pg_try_advisory_lock(1); END",
		"BEGIN PERFORM Pg_Catalog.Set_Config('a', 'b', false); END",
		"BEGIN PERFORM setseed(0.1); END",
		"BEGIN PERFORM dblink_connect('x'); END",
		"BEGIN UNLISTEN *; END",
		"BEGIN LOAD 'x'; END",
		"BEGIN DISCARD ALL; END",
		"BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'; END",
		"BEGIN EXECUTE 'PREPARE p AS SELECT 1'; END",
		"BEGIN EXECUTE 'DEALLOCATE ALL'; END",
	};

	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		ck_assert_msg(has_effect(bodies[i]), "%s", bodies[i]);
}
END_TEST

START_TEST(ordinary_bodies_have_no_effect)
{
	static const char *const bodies[] = {
		"",
		"BEGIN END",
		"BEGIN UPDATE t SET a = 1; END",
		"BEGIN SET LOCAL work_mem = '1MB'; END",
		"BEGIN SET TRANSACTION READ ONLY; END",
		"BEGIN SET CONSTRAINTS ALL DEFERRED; END",
		"BEGIN INSERT INTO t (a) VALUES (nextval('s')); END",
		"BEGIN PERFORM pg_advisory_xact_lock(1); END",
		"BEGIN RAISE NOTICE 'template, prepared, settings'; END",
		"BEGIN ALTER TABLE t ALTER a SET NOT NULL; END",
		"BEGIN PERFORM pg_notify('a', 'b'); END",
	};

	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		ck_assert_msg(!has_effect(bodies[i]), "%s", bodies[i]);
}
END_TEST

START_TEST(definitions_are_seen)
{
	static const struct {
		const char *body;
		uint32_t flags;
	} cases[] = {
		{"BEGIN CREATE TYPE a AS ENUM (); EXCEPTION WHEN others THEN NULL; END",
			SQLV_DDL | SQLV_SCHEMA},
		{"BEGIN EXECUTE format('alter table %I ...', t); END", SQLV_DDL | SQLV_SCHEMA},
		{"BEGIN IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c; END", SQLV_DDL | SQLV_SCHEMA},
		{"BEGIN DROP TABLE a; CREATE TABLE a (); END", SQLV_DDL | SQLV_SCHEMA},
		{"BEGIN DROP TABLE a; END", SQLV_SCHEMA},
		{"BEGIN UPDATE t SET created = now(), dropped = true; END", 0},
		{"", 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_uint_eq(
			body_definitions(cases[i].body, strlen(cases[i].body)), cases[i].flags);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("body");

	tcase_add_test(tc, effects_are_seen_wherever_they_are_named);
	tcase_add_test(tc, definitions_are_seen);
	tcase_add_test(tc, ordinary_bodies_have_no_effect);
	return unit_run("body", tc);
}
