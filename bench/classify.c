/*
 * classify - run the classifier over one statement, for bench/classify.py to count instructions.
 *
 *     classify CATALOG TIMES STATEMENT    the statement's # becomes another number each time;
 *                                         prints its length and where it may run
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../test/routing/load.h"
#include "sql/classify.h"

#define TEXT_MAX 4096u

/* `statement` with `number` for each #. Returns the length. */
static size_t write_text(char *buf, const char *statement, int number)
{
	size_t len = 0;

	for (const char *p = statement; *p != '\0' && len < TEXT_MAX - 16; p++) {
		if (*p == '#')
			len += (size_t)sprintf(buf + len, "%d", number);
		else
			buf[len++] = *p;
	}
	buf[len] = '\0';
	return len;
}

int main(int argc, char **argv)
{
	struct sql_verdict v = {0};
	struct catalog *catalog;
	char text[TEXT_MAX];
	size_t len = 0;

	if (argc != 4) {
		fprintf(stderr, "classify CATALOG TIMES STATEMENT\n");
		return EXIT_FAILURE;
	}
	/* An operator with dangerous code, which the test data has, is as good as unknown. */
	catalog = load_catalog(argv[1], "operator");
	for (int i = 0, n = atoi(argv[2]); i < n; i++) {
		len = write_text(text, argv[3], 10000 + i);
		sql_classify(text, len, SQL_STD_STRINGS | SQL_ENC_UTF8, catalog, &v);
	}
	printf("%zu %s\n", len, (v.flags & SQLV_REPLICA) != 0 ? "replica" : "primary");
	catalog_free(catalog);
	return EXIT_SUCCESS;
}
