#include "load.h"

#include <stdlib.h>
#include <string.h>

static void die(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(EXIT_FAILURE);
}

struct catalog *load_catalog(const char *path, const char *without)
{
	struct catalog_builder *b = catalog_builder_new();
	FILE *f = fopen(path, "r");
	struct catalog *c;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (b == NULL || f == NULL)
		die(path);
	while ((n = getline(&line, &cap, f)) > 0) {
		char *tab = strchr(line, '\t');

		if (tab == NULL)
			die("catalog: a line without a tab");
		line[n - 1] = '\0';
		*tab = '\0';
		if (without != NULL && strcmp(line, without) == 0)
			continue;
		if (catalog_builder_add(b, line, tab + 1) != OK)
			die("catalog: a row is not accepted");
	}
	free(line);
	fclose(f);
	if ((c = catalog_freeze(b)) == NULL)
		die("catalog: no memory");
	return c;
}

const char *load_sql(const struct jsonl *j, char *buf, size_t cap, size_t *len)
{
	const char *sql = jsonl_get(j, "sql", len), *hex;
	char digits[3] = {0};

	if (sql != NULL)
		return sql;
	if ((hex = jsonl_get(j, "sql_hex", len)) == NULL || *len / 2 >= cap)
		die("a line without a statement");
	*len /= 2;
	for (size_t i = 0; i < *len; i++) {
		memcpy(digits, hex + 2 * i, 2);
		buf[i] = (char)strtoul(digits, NULL, 16);
	}
	buf[*len] = '\0';
	return buf;
}
