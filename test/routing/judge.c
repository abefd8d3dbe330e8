/*
 * judge - what the classifier says about each statement of a file, for people and for verify.py.
 *
 *     judge CATALOG STATEMENTS.jsonl   one line a statement, fields separated by tabs: replica or
 *                                      primary, class, cause, the token that made it, flags
 *                                      (hexadecimal), effects
 *     judge --catalog-sql VERSION      the catalog query for that server_version_num
 *     judge --serve                    lines from stdin: {"catalog": FILE} loads one,
 *                                      {"sql": …, "strings": "on" or "off"} is answered as above
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sql/catalog_sql.h"
#include "sql/classify.h"

#include "load.h"

static void print_effect(const char *sql, uint32_t opts, const struct sql_effect *e)
{
	char buf[4096];
	size_t len;

	printf(" %s", sql_effect_kind_name((enum sql_effect_kind)e->kind));
	if (sql_effect_name(sql, opts, e, buf, sizeof buf, &len) == OK)
		printf("(%s", buf);
	else
		printf("(");
	if (sql_effect_value(sql, opts, e, buf, sizeof buf, &len) == OK)
		printf("=%s", buf);
	printf(")");
	if (e->flags != 0)
		printf("/%x", (unsigned)e->flags);
}

static void judge(const struct jsonl *j, uint32_t opts, const struct catalog *cat)
{
	char buf[4096];
	struct sql_verdict v;
	size_t len;
	const char *sql = load_sql(j, buf, sizeof buf, &len);

	sql_classify(sql, len, opts, cat, &v);
	printf("%s\t%s\t%s\t%.*s\t%x\t", (v.flags & SQLV_REPLICA) != 0 ? "replica" : "primary",
		sql_class_name((enum sql_class)v.cls), sql_cause_text((enum sql_cause)v.cause),
		v.cause != CAUSE_NONE ? (int)v.at.len : 0, sql + v.at.off, (unsigned)v.flags);
	for (unsigned i = 0; i < v.n_effects; i++)
		print_effect(sql, opts, &v.effects[i]);
	putchar('\n');
}

static int serve(void)
{
	struct catalog *cat = NULL;
	struct jsonl j;
	const char *path;
	size_t len;

	jsonl_open(&j, "/dev/stdin");
	while (jsonl_next(&j)) {
		if ((path = jsonl_get(&j, "catalog", &len)) != NULL) {
			catalog_free(cat);
			cat = load_catalog(path, NULL);
			continue;
		}
		judge(&j, SQL_ENC_UTF8 | (jsonl_is(&j, "strings", "off") ? 0 : SQL_STD_STRINGS),
			cat);
		fflush(stdout);
	}
	jsonl_close(&j);
	catalog_free(cat);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct catalog *cat;
	struct jsonl j;

	if (argc == 3 && strcmp(argv[1], "--catalog-sql") == 0) {
		const char *sql = catalog_sql(atoi(argv[2]));

		return sql != NULL && puts(sql) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (argc == 2 && strcmp(argv[1], "--serve") == 0)
		return serve();
	if (argc != 3) {
		fprintf(stderr,
			"judge CATALOG STATEMENTS | judge --catalog-sql VERSION | judge --serve\n");
		return EXIT_FAILURE;
	}
	cat = load_catalog(argv[1], NULL);
	jsonl_open(&j, argv[2]);
	while (jsonl_next(&j))
		judge(&j, SQL_STD_STRINGS | SQL_ENC_UTF8, cat);
	jsonl_close(&j);
	catalog_free(cat);
	return EXIT_SUCCESS;
}
