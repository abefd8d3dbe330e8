/*
 * jsonl - reader of flat JSON objects, one a line, for test data: strings, numbers, true, false,
 * null, and arrays of such. Owns: the line and the decoded fields until the next line.
 */
#ifndef PGWEIR_TEST_ROUTING_JSONL_H
#define PGWEIR_TEST_ROUTING_JSONL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define JSONL_FIELDS_MAX 32u
#define JSONL_KEY_MAX    31u

struct jsonl_field {
	char key[JSONL_KEY_MAX + 1];
	char *value; /* decoded, with a NUL; the word of true, false; NULL: null, array */
	size_t len;
};

struct jsonl {
	FILE *f;
	char *line;
	size_t line_cap;
	unsigned line_no;
	size_t n_fields;
	struct jsonl_field fields[JSONL_FIELDS_MAX];
};

/* Exits with a message if the file cannot be read: a test without its data proves nothing. */
void jsonl_open(struct jsonl *j, const char *path);
void jsonl_close(struct jsonl *j);

/* The next object; false at the end. Exits with a message if a line is not understood. */
bool jsonl_next(struct jsonl *j);

/* The value of `key`, *len its length; NULL if it is null, an array, or missing. */
const char *jsonl_get(const struct jsonl *j, const char *key, size_t *len);
bool jsonl_is(const struct jsonl *j, const char *key, const char *value);

#endif
