#include "worker/judge.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "proto/frontend.h"
#include "sql/catalog.h"
#include "sql/lexer.h"
#include "worker/pick.h"
#include "worker/server.h"
#include "worker/shared.h"

static struct worker w;
static struct dbase db;
static struct account acc;
static struct client c;
static struct busy lent;
static uint8_t data[4096];
static uint32_t len;

static void begin(void)
{
	memset(&w, 0, sizeof w);
	memset(&db, 0, sizeof db);
	memset(&acc, 0, sizeof acc);
	memset(&c, 0, sizeof c);
	w.now_us = 1;
	db.catalog_asked_us = 1; /* asked for in this moment: it is not asked for again */
	lent = busy_none;
	c.busy = &lent;
	c.db = &db;
	c.acc = &acc;
	c.sql_opts = SQL_STD_STRINGS | SQL_ENC_UTF8;
	len = 0;
}

static void end(void)
{
	free(c.unnamed);
}

static void add(char type, const void *body, size_t n)
{
	data[len] = (uint8_t)type;
	data[len + 1] = data[len + 2] = 0;
	data[len + 3] = (uint8_t)((n + 4) >> 8);
	data[len + 4] = (uint8_t)(n + 4);
	memcpy(data + len + 5, body, n);
	len += (uint32_t)n + 5;
}

static void query(const char *sql)
{
	add('Q', sql, strlen(sql) + 1);
}

static void parse(const char *name, const char *sql)
{
	char body[512] = {0};
	size_t n = strlen(name) + 1;

	memcpy(body, name, n);
	memcpy(body + n, sql, strlen(sql) + 1);
	add('P', body, n + strlen(sql) + 3);
}

/* Bind to the unnamed portal, no parameters. */
static void bind_to(const char *stmt)
{
	char body[128] = {0};

	memcpy(body + 1, stmt, strlen(stmt) + 1);
	add('B', body, 1 + strlen(stmt) + 1 + 6);
}

static void execute(const char *portal)
{
	char body[64] = {0};

	memcpy(body, portal, strlen(portal) + 1);
	add('E', body, strlen(portal) + 5);
}

static void judge(void)
{
	struct unit fresh = {.len = len};

	add('S', "", 0);
	fresh.len = len;
	c.busy->unit = fresh;
	ck_assert_int_eq(judge_unit(&w, &c, data), OK);
	ck_assert(c.busy->unit.judged);
	len = 0;
}

static uint32_t pins_of(const char *sql)
{
	query(sql);
	judge();
	return c.busy->unit.pins;
}

START_TEST(gravest_class_of_a_unit)
{
	query("SELECT 1");
	judge();
	ck_assert_uint_eq(c.busy->unit.cls, SQL_READ);
	ck_assert(c.busy->unit.is_simple);
	parse("", "SELECT 1");
	parse("", "INSERT INTO t VALUES (1)");
	parse("", "BEGIN");
	judge();
	ck_assert_uint_eq(c.busy->unit.cls, SQL_WRITE);
	ck_assert_uint_eq(c.busy->unit.n_stmts, 3);
	ck_assert(!c.busy->unit.is_simple);
}
END_TEST

static enum choose_kind kind_of(const char *sql)
{
	query(sql);
	judge();
	return pick_kind(&c);
}

/* What is known to write says so; of the rest it is told that nothing is known yet. */
START_TEST(without_a_catalog_that_is_the_reason)
{
	w.no_catalog = catalog_new_blind();
	ck_assert_ptr_nonnull(w.no_catalog);
	ck_assert_int_eq(kind_of("SELECT a FROM t"), CHOOSE_NO_CATALOG);
	ck_assert_int_eq(c.busy->unit.cls, SQL_READ);
	ck_assert_int_eq(kind_of("SELECT count(*) FROM t"), CHOOSE_NO_CATALOG);
	ck_assert_int_eq(c.busy->unit.cls, SQL_UNKNOWN);
	ck_assert_int_eq(kind_of("SELECT f(a) FROM t"), CHOOSE_NO_CATALOG);
	ck_assert_int_eq(kind_of("UPDATE t SET a = f(1)"), CHOOSE_WRITE);
	ck_assert_int_eq(c.busy->unit.cls, SQL_WRITE);
	ck_assert_int_eq(kind_of("SELECT nextval('s')"), CHOOSE_WRITE);
	ck_assert_int_eq(kind_of("SELECT count(*) FROM t FOR UPDATE"), CHOOSE_WRITE);
	ck_assert_int_eq(kind_of("LISTEN x"), CHOOSE_SESSION);
	db.catalog = w.no_catalog; /* any */
	ck_assert_int_eq(kind_of("SELEC 1"), CHOOSE_UNKNOWN);
	catalog_free(w.no_catalog);
}
END_TEST

/* A standby refuses all that is serializable; what the client has set goes before the account's. */
START_TEST(who_is_serializable_by_default_reads_on_the_primary)
{
	static const struct {
		enum sql_tri client;
		bool account;
		enum choose_kind kind;
	} cases[] = {{TRI_UNSET, false, CHOOSE_READ}, {TRI_UNSET, true, CHOOSE_UNKNOWN},
		{TRI_YES, false, CHOOSE_UNKNOWN}, {TRI_NO, true, CHOOSE_READ}};

	w.no_catalog = catalog_new_blind();
	ck_assert_ptr_nonnull(w.no_catalog);
	query("SHOW work_mem");
	judge();
	c.busy->unit.flags |= SQLV_REPLICA;
	db.catalog = w.no_catalog; /* any */
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		c.default_serializable = (uint8_t)cases[i].client;
		acc.serializable = cases[i].account;
		ck_assert_int_eq(pick_kind(&c), cases[i].kind);
	}
	catalog_free(w.no_catalog);
}
END_TEST

START_TEST(a_replica_is_believed_until_the_primary_has_told)
{
	struct pool p = {.acc = &acc};
	static const struct {
		bool in_recovery, says, serializable;
	} told[] = {{true, false, false}, {true, true, true}, {true, false, true},
		{false, false, false}, {true, true, false}, {false, true, true},
		{true, false, true}, {false, false, false}};

	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		struct server s = {.pool = &p,
			.in_recovery = told[i].in_recovery,
			.serializable = told[i].says,
			.plain_isolation = !told[i].says};

		server_tell_isolation(&s);
		ck_assert_int_eq(acc.serializable, told[i].serializable);
		ck_assert_int_eq(acc.plain_isolation, acc.isolation_told && !acc.serializable);
	}
}
END_TEST

START_TEST(who_sets_temp_buffers_is_noted_ahead_of_the_choice)
{
	static const struct {
		const char *sql;
		bool noted;
	} cases[] = {{"SET temp_buffers = '2MB'", true}, {"SET LOCAL Temp_Buffers TO 100", true},
		{"SELECT 1; SELECT set_config('temp_buffers', '2MB', false)", true},
		{"RESET temp_buffers", false}, {"SHOW temp_buffers", false},
		{"SET work_mem = '2MB'", false},
		{"SELECT set_config(a, '2MB', true) FROM t", false}};
	static struct shared sh;

	w.sh = &sh;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sql_verdict v;

		atomic_store(&sh.temp_buffers, false);
		(void)judge_word(&w, &c, cases[i].sql, strlen(cases[i].sql), &v);
		ck_assert_int_eq(atomic_load(&sh.temp_buffers), cases[i].noted);
	}
}
END_TEST

START_TEST(statements_pin_by_their_effects)
{
	ck_assert_uint_eq(pins_of("SELECT 1"), 0);
	ck_assert_uint_eq(pins_of("CREATE TEMP TABLE t (a int)"), 1u << PIN_TEMP);
	ck_assert_uint_eq(pins_of("LISTEN x"), 1u << PIN_LISTEN);
	ck_assert_uint_eq(pins_of("SELECT pg_advisory_lock(1)"), 1u << PIN_ADVISORY_LOCK);
	ck_assert_uint_eq(pins_of("LOAD 'x'"), 1u << PIN_LOAD);
	ck_assert_uint_eq(pins_of("PREPARE p AS SELECT 1"), 0);
	ck_assert_uint_eq(pins_of("SET a.b = 'c'"), 0);
	ck_assert_uint_eq(pins_of("SET ROLE x"), 0);
	ck_assert_uint_eq(pins_of("SELECT set_config('a.b', $1, false)"), 0);
	ck_assert_uint_eq(pins_of("SELECT set_config(a, b, true) FROM t"), 1u << PIN_SET_CONFIG);
	ck_assert_uint_eq(pins_of("SET search_path = pg_temp"), 1u << PIN_SET_CONFIG);
	ck_assert_uint_eq(pins_of("SET LOCAL ROLE x"), 0);
	ck_assert_uint_eq(pins_of("SET work_mem = '1MB'"), 0);
	ck_assert_uint_eq(pins_of("DECLARE c CURSOR WITH HOLD FOR SELECT 1"), 1u << PIN_WITH_HOLD);
	ck_assert_uint_eq(pins_of("DECLARE c CURSOR FOR SELECT 1"), 0);
	ck_assert_uint_eq(pins_of("LISTEN x; CREATE TEMP TABLE t (a int)"),
		1u << PIN_LISTEN | 1u << PIN_TEMP);
}
END_TEST

START_TEST(effects_are_known_from_the_word)
{
	struct sql_verdict v;

	ck_assert(!judge_has_effects(judge_word(&w, &c, "SELECT 1", 8, &v)));
	ck_assert(judge_has_effects(judge_word(&w, &c, "SET a = 1", 9, &v)));
	ck_assert(judge_has_effects(judge_word(&w, &c, "COMMIT", 6, &v)));
}
END_TEST

START_TEST(word_says_the_same_for_every_class)
{
	static const char *const texts[] = {
		"", "SELECT 1", "BEGIN", "SET a = 1", "DELETE FROM t", "NONSENSE"};
	struct sql_verdict v;

	for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
		(void)judge_word(&w, &c, texts[i], strlen(texts[i]), &v);
		query(texts[i]);
		judge();
		ck_assert_uint_eq(c.busy->unit.cls, v.cls);
		ck_assert_uint_eq(c.busy->unit.flags, /* what is not understood may do this, too */
			v.flags | (v.cls == SQL_UNKNOWN ? SQLV_MAY_ADVANCE : 0));
	}
}
END_TEST

START_TEST(unnamed_statement_is_judged_again_when_bound_later)
{
	parse("", "INSERT INTO t VALUES (1)");
	judge();
	bind_to("");
	execute("");
	judge();
	ck_assert_uint_eq(c.busy->unit.cls, SQL_WRITE);
	ck_assert_uint_eq(c.busy->unit.n_stmts, 1);
	db.catalog_generation++; /* what it was judged with has changed */
	bind_to("");
	execute("");
	judge();
	ck_assert_uint_eq(c.busy->unit.cls, SQL_UNKNOWN);
}
END_TEST

static void parse_and_judge(const char *sql)
{
	parse("", sql);
	judge();
	ck_assert_uint_eq(c.busy->unit.n_stmts, 1);
}

/* Whether what was known of the statement was taken is seen by a verdict put there by hand. */
START_TEST(same_unnamed_statement_is_not_judged_again)
{
	static const char sql[] = "SELECT '\\', x";
	struct pin_counts counts = {0};
	uint64_t word;

	parse_and_judge(sql);
	ck_assert_uint_eq(c.busy->unit.cls, SQL_READ);
	word = c.unnamed->word;
	c.unnamed->word |= 1ull << 60 | 1ull << 61 | 1ull << 62;
	parse_and_judge(sql);
	ck_assert_uint_eq(c.busy->unit.cls, 7);
	parse_and_judge("SELECT '\\', y"); /* another text */
	ck_assert_uint_eq(c.busy->unit.cls, SQL_READ);
	parse_and_judge(sql);
	ck_assert_uint_eq(c.unnamed->word, word);

	c.sql_opts = SQL_ENC_UTF8; /* now the string does not end */
	parse_and_judge(sql);
	ck_assert_uint_eq(c.busy->unit.cls, SQL_UNKNOWN);
	c.sql_opts |= SQL_STD_STRINGS;
	parse_and_judge(sql);
	ck_assert_uint_eq(c.busy->unit.cls, SQL_READ);
	c.unnamed->word |= 7ull << 60;
	db.catalog_generation++;
	parse_and_judge(sql);
	ck_assert_uint_eq(c.busy->unit.cls, SQL_READ);
	c.unnamed->word |= 7ull << 60; /* of a pinned client: it may end the pin */
	pins_add(&c.busy->pins, &counts, PIN_TEMP, 1, "", 0);
	parse_and_judge(sql);
	ck_assert_uint_eq(c.busy->unit.cls, SQL_READ);
	pins_clear(&c.busy->pins, &counts);
}
END_TEST

START_TEST(bind_without_a_statement_is_unknown)
{
	bind_to("");
	judge();
	ck_assert_uint_eq(c.busy->unit.cls, SQL_UNKNOWN);
	bind_to("nobody");
	judge();
	ck_assert_uint_eq(c.busy->unit.cls, SQL_UNKNOWN);
}
END_TEST

START_TEST(statement_parsed_in_the_unit_is_counted_once)
{
	parse("s", "SELECT 1");
	bind_to("s");
	execute("");
	judge();
	ck_assert_uint_eq(c.busy->unit.n_stmts, 1);
	ck_assert_uint_eq(c.busy->unit.cls, SQL_READ);
}
END_TEST

START_TEST(named_portal_and_function_call_are_unknown)
{
	execute("p");
	judge();
	ck_assert(c.busy->unit.uses_portal);
	ck_assert_uint_eq(c.busy->unit.cls, SQL_UNKNOWN);
	add('F', "x", 1);
	judge();
	ck_assert_uint_eq(c.busy->unit.cls, SQL_UNKNOWN);
}
END_TEST

START_TEST(large_unnamed_statement_is_not_kept)
{
	static char sql[UNNAMED_KEEP_MAX + 100] = "SELECT ";
	static uint8_t large[sizeof sql + 16];

	parse("", "SELECT 1");
	judge();
	ck_assert_uint_ne(c.unnamed->len, 0);
	memset(sql + 7, '1', sizeof sql - 8);
	large[0] = 'P';
	large[2] = (uint8_t)((sizeof sql + 7) >> 16);
	large[3] = (uint8_t)((sizeof sql + 7) >> 8);
	large[4] = (uint8_t)(sizeof sql + 7);
	memcpy(large + 6, sql, sizeof sql);
	c.busy->unit = (struct unit){.len = sizeof sql + 8};
	ck_assert_int_eq(judge_unit(&w, &c, large), OK);
	ck_assert_uint_eq(c.unnamed->len, 0);
}
END_TEST

START_TEST(malformed_messages_are_refused)
{
	static const char types[] = "QPB";

	for (unsigned i = 0; types[i] != '\0'; i++) {
		len = 0;
		add(types[i], "x", 1);
		c.busy->unit = (struct unit){.len = len};
		ck_assert_int_eq(judge_unit(&w, &c, data), E_PROTO);
	}
}
END_TEST

START_TEST(every_effect_has_an_answer)
{
	for (unsigned kind = 0; kind < EFFECT_COUNT; kind++) {
		struct sql_effect e = {.kind = (uint8_t)kind};

		ck_assert_int_le(judge_pin(&e), PIN_CAUSE_COUNT);
		e.flags = SQL_EFFECT_LOCAL; /* ends with the transaction: never a setting's pin */
		e.name.len = 1;
		if (kind == EFFECT_SET || kind == EFFECT_ROLE || kind == EFFECT_SET_CONFIG)
			ck_assert_int_eq(judge_pin(&e), PIN_CAUSE_COUNT);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("judge");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, gravest_class_of_a_unit);
	tcase_add_test(tc, without_a_catalog_that_is_the_reason);
	tcase_add_test(tc, who_is_serializable_by_default_reads_on_the_primary);
	tcase_add_test(tc, a_replica_is_believed_until_the_primary_has_told);
	tcase_add_test(tc, statements_pin_by_their_effects);
	tcase_add_test(tc, effects_are_known_from_the_word);
	tcase_add_test(tc, word_says_the_same_for_every_class);
	tcase_add_test(tc, unnamed_statement_is_judged_again_when_bound_later);
	tcase_add_test(tc, same_unnamed_statement_is_not_judged_again);
	tcase_add_test(tc, bind_without_a_statement_is_unknown);
	tcase_add_test(tc, statement_parsed_in_the_unit_is_counted_once);
	tcase_add_test(tc, named_portal_and_function_call_are_unknown);
	tcase_add_test(tc, large_unnamed_statement_is_not_kept);
	tcase_add_test(tc, malformed_messages_are_refused);
	tcase_add_test(tc, every_effect_has_an_answer);
	tcase_add_test(tc, who_sets_temp_buffers_is_noted_ahead_of_the_choice);
	return unit_run("judge", tc);
}
