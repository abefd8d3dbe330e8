/*
 * Variables of the environment, one up to each 0x01, PGWEIR_ in front of each. Every line that they
 * make tells its variable as its place, and belongs to a section; what loads, loads again to the
 * same. A file that one names holds the input.
 */
#include "conf/variables.h"

#include <stdlib.h>
#include <string.h>

#include "conf/diff.h"
#include "conf/own.h"

#define VARS_MAX 32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status read_input(void *arg, const char *path, char **data, size_t *len)
{
	const char *text = arg;

	(void)path;
	*len = strlen(text);
	PANIC_IF((*data = strdup(text)) == NULL);
	return OK;
}

static void check_lines(const struct source *src)
{
	for (const struct source_line *l = src->first; l != NULL; l = l->next) {
		PANIC_IF(l->origin != SOURCE_ENVIRONMENT || l->section == SECTION_NONE);
		PANIC_IF(strncmp(l->file, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) != 0);
		PANIC_IF(l->key != NULL && source_is_main(l));
	}
}

static void no_change(void *arg, const struct conf_change *ch)
{
	(void)arg;
	PANIC_IF(ch != NULL);
}

static void load(const struct conf_reader *reader)
{
	struct conf *c, *again;
	struct findings found;

	findings_init(&found);
	if (conf_load(reader, "", NULL, &c, &found) == OK) {
		check_lines(&c->own->source);
		PANIC_IF(conf_load(reader, "", c, &again, &found) != OK);
		PANIC_IF(conf_diff(c, again, no_change, NULL) != OK);
		conf_free(again);
		conf_free(c);
	} else {
		PANIC_IF(found.n_errors == 0);
	}
	findings_fini(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *vars[VARS_MAX + 1] = {NULL}, *save, *part;
	const struct conf_reader reader = {
		.read = read_input, .arg = text, .environment = (const char *const *)vars};
	char *copy;
	size_t n = 0;

	PANIC_IF(text == NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	PANIC_IF((copy = strdup(text)) == NULL);
	for (part = strtok_r(copy, "\1", &save); part != NULL && n < VARS_MAX;
		part = strtok_r(NULL, "\1", &save), n++) {
		size_t len = strlen(VARIABLE_PREFIX) + strlen(part) + 1;

		PANIC_IF((vars[n] = malloc(len)) == NULL);
		memcpy(vars[n], VARIABLE_PREFIX, strlen(VARIABLE_PREFIX));
		memcpy(vars[n] + strlen(VARIABLE_PREFIX), part, strlen(part) + 1);
	}
	load(&reader);
	for (size_t i = 0; i < n; i++)
		free(vars[i]);
	free(copy);
	free(text);
	return 0;
}
