/*
 * fixture - configurations out of texts in memory. One load at a time: the snapshot and findings
 * of the last one are here until fixture_fini.
 */
#ifndef PGWEIR_TEST_CONF_FIXTURE_H
#define PGWEIR_TEST_CONF_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

#include "../unit.h"

struct fixture_file {
	const char *path;
	const char *text; /* NULL: cannot be read */
};

static struct fixture_file fixture_files[8];
static struct findings fixture_found;

static enum status fixture_read(void *arg, const char *path, char **data, size_t *len)
{
	(void)arg;
	for (size_t i = 0; i < 8 && fixture_files[i].path != NULL; i++) {
		if (strcmp(fixture_files[i].path, path) != 0 || fixture_files[i].text == NULL)
			continue;
		*len = strlen(fixture_files[i].text);
		*data = malloc(*len + 1);
		if (*data == NULL)
			return E_NOMEM;
		memcpy(*data, fixture_files[i].text, *len);
		return OK;
	}
	errno = ENOENT;
	return E_IO;
}

static void fixture_init(void)
{
	memset(fixture_files, 0, sizeof fixture_files);
	findings_init(&fixture_found);
}

static void fixture_fini(void)
{
	findings_fini(&fixture_found);
}

/* Load `text` as "t.ini"; findings start anew. */
static inline enum status fixture_load(
	const char *text, const struct conf *previous, struct conf **out)
{
	static const struct conf_reader reader = {.read = fixture_read};

	fixture_files[0] = (struct fixture_file){"t.ini", text};
	findings_fini(&fixture_found);
	findings_init(&fixture_found);
	return conf_load(&reader, "t.ini", previous, out, &fixture_found);
}

/* The findings as lines. */
static inline const char *fixture_lines(void)
{
	static char all[65536];
	char line[FINDING_LINE_MAX];
	size_t len = 0;

	all[0] = '\0';
	for (size_t i = 0; i < fixture_found.n; i++)
		len += (size_t)snprintf(all + len, sizeof all - len, "%s\n",
			finding_format(&fixture_found.items[i], line, sizeof line));
	return all;
}

/* A snapshot of a text without errors. */
static inline struct conf *fixture_conf(const char *text)
{
	struct conf *c = NULL;
	enum status st = fixture_load(text, NULL, &c);

	ck_assert_msg(st == OK, "%s", fixture_lines());
	return c;
}

/* All errors of `text`, as lines; notes are left out. */
static inline const char *fixture_errors(const char *text)
{
	struct conf *c = NULL;
	size_t kept = 0;

	ck_assert_int_eq(fixture_load(text, NULL, &c), E_INVALID);
	ck_assert_ptr_null(c);
	for (size_t i = 0; i < fixture_found.n; i++)
		if (fixture_found.items[i].kind == FINDING_ERROR)
			fixture_found.items[kept++] = fixture_found.items[i];
	fixture_found.n = kept;
	return fixture_lines();
}

/* Whether there is a finding of the kind whose line contains `part`. */
static inline bool fixture_has(enum finding_kind kind, const char *part)
{
	char line[FINDING_LINE_MAX];

	for (size_t i = 0; i < fixture_found.n; i++)
		if (fixture_found.items[i].kind == kind &&
			strstr(finding_format(&fixture_found.items[i], line, sizeof line), part) !=
				NULL)
			return true;
	return false;
}

#endif
