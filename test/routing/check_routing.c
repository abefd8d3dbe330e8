/*
 * Statements whose place is known from a real primary and standby (README.md): none that needs
 * the primary, or its session, may be judged for a replica if its text or the catalog shows it;
 * of the others nearly all must be.
 */
#include <check.h>
#include <string.h>

#include "sql/classify.h"
#include "sql/plain.h"

#include "../unit/unit.h"
#include "load.h"

#define OPTS              (SQL_STD_STRINGS | SQL_ENC_UTF8)
#define HEX_MAX           4096u
#define REPLICA_SHARE_MIN 95u /* per cent */

struct score {
	unsigned n_lines;
	unsigned n_kept;    /* class primary or session */
	unsigned n_replica; /* class replica, hard ones left out */
	unsigned n_found;   /* … and judged so */
};

static struct catalog *catalog;

static void setup(void)
{
	catalog = load_catalog(ROUTING_DIR "/catalog.tsv", NULL);
}

static void teardown(void)
{
	catalog_free(catalog);
}

static bool judge(const struct jsonl *j, const struct catalog *cat, const char **sql)
{
	static char buf[HEX_MAX];
	struct sql_verdict v;
	size_t len;

	*sql = load_sql(j, buf, sizeof buf, &len);
	sql_classify(*sql, len, OPTS, cat, &v);
	return (v.flags & SQLV_REPLICA) != 0;
}

static struct score run(const char *path)
{
	struct score s = {0};
	const char *sql;
	struct jsonl j;

	jsonl_open(&j, path);
	while (jsonl_next(&j)) {
		bool replica = judge(&j, catalog, &sql);

		s.n_lines++;
		if (jsonl_is(&j, "class", "replica") && !jsonl_is(&j, "hard", "true")) {
			s.n_replica++;
			s.n_found += replica;
			if (!replica)
				fprintf(stderr, "kept on the primary: %s\n", sql);
		}
		if (!jsonl_is(&j, "class", "primary") && !jsonl_is(&j, "class", "session"))
			continue;
		s.n_kept++;
		if (replica && !jsonl_is(&j, "needs", "body"))
			ck_abort_msg("judged for a replica: %s", sql);
	}
	jsonl_close(&j);
	ck_assert_uint_ge(100 * s.n_found, REPLICA_SHARE_MIN * s.n_replica);
	return s;
}

START_TEST(examples_are_judged_as_measured)
{
	struct score s = run(ROUTING_DIR "/examples.jsonl");

	ck_assert_uint_eq(s.n_lines, 137);
	ck_assert_uint_ge(s.n_kept, 70);
	ck_assert_uint_ge(s.n_replica, 37);
}
END_TEST

START_TEST(own_statements_are_judged_as_expected)
{
	struct score s = run(ROUTING_DIR "/statements.jsonl");

	ck_assert_uint_ge(s.n_lines, 700);
	ck_assert_uint_eq(s.n_found, s.n_replica);
}
END_TEST

static void nothing_is_for_a_replica(const char *path, const struct catalog *cat)
{
	const char *sql;
	struct jsonl j;

	jsonl_open(&j, path);
	while (jsonl_next(&j))
		if (judge(&j, cat, &sql) && strspn(sql, "; \n\r\t") != strlen(sql))
			ck_abort_msg("judged for a replica: %s", sql);
	jsonl_close(&j);
}

START_TEST(without_a_catalog_nothing_is_for_a_replica)
{
	nothing_is_for_a_replica(ROUTING_DIR "/examples.jsonl", NULL);
	nothing_is_for_a_replica(ROUTING_DIR "/statements.jsonl", NULL);
}
END_TEST

/* A text is for a replica only if all its statements are: whatever stands before a write. */
START_TEST(statement_before_a_write_changes_nothing)
{
	static char text[1u << 17];
	struct sql_verdict v;
	const char *sql;
	struct jsonl j;

	jsonl_open(&j, ROUTING_DIR "/statements.jsonl");
	while (jsonl_next(&j)) {
		if (!judge(&j, catalog, &sql) || strlen(sql) > sizeof text - 64)
			continue;
		snprintf(text, sizeof text, "%s\n; DELETE FROM t", sql);
		sql_classify(text, strlen(text), OPTS, catalog, &v);
		ck_assert_uint_eq(v.flags & SQLV_REPLICA, 0);
		ck_assert_uint_eq(v.cls, SQL_WRITE);
	}
	jsonl_close(&j);
}
END_TEST

/* The short way for plain statements (plain.h) is not taken where an operator is dangerous. */
START_TEST(plain_statements_have_the_same_verdict)
{
	struct catalog *cat = load_catalog(ROUTING_DIR "/catalog.tsv", "operator");
	struct sql_verdict a, b;
	unsigned n = 0, n_plain = 0;
	const char *sql;
	size_t judged;
	struct jsonl j;

	jsonl_open(&j, ROUTING_DIR "/statements.jsonl");
	while (jsonl_next(&j)) {
		(void)judge(&j, cat, &sql);
		n++;
		n_plain += plain_judge(sql, strlen(sql), OPTS, cat, &a, &judged);
		sql_classify(sql, strlen(sql), OPTS, cat, &a);
		sql_classify_walking(sql, strlen(sql), OPTS, cat, &b);
		if (a.cls != b.cls || a.cause != b.cause || a.flags != b.flags ||
			a.at.off != b.at.off || a.n_effects != b.n_effects)
			ck_abort_msg("another verdict: %s", sql);
	}
	jsonl_close(&j);
	catalog_free(cat);
	ck_assert_uint_gt(n_plain, n / 3);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("routing");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, plain_statements_have_the_same_verdict);
	tcase_add_test(tc, examples_are_judged_as_measured);
	tcase_add_test(tc, own_statements_are_judged_as_expected);
	tcase_add_test(tc, without_a_catalog_nothing_is_for_a_replica);
	tcase_add_test(tc, statement_before_a_write_changes_nothing);
	return unit_run("routing", tc);
}
