/*
 * Commands of the console: what was read, written again in its plainest form, reads as the same.
 */
#include <stdio.h>
#include <string.h>

#include "control/grammar.h"

#define INPUT_LEN_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `from` in quotes, these doubled inside. */
static size_t quote(char *to, const char *from, char quote)
{
	size_t n = 0;

	to[n++] = quote;
	for (; *from != '\0'; from++) {
		if (*from == quote)
			to[n++] = quote;
		to[n++] = *from;
	}
	to[n++] = quote;
	to[n] = '\0';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char sql[INPUT_LEN_MAX + 1],
		again[32 + 2 * (GRAMMAR_NAME_MAX + GRAMMAR_VALUE_MAX) + GRAMMAR_SQL_MAX];
	struct console_command got, same;
	size_t n;

	if (size > INPUT_LEN_MAX)
		return 0;
	if (size != 0)
		memcpy(sql, data, size);
	sql[size] = '\0';
	if (grammar_read(sql, &got) != OK || got.verb == VERB_EMPTY)
		return 0;
	n = (size_t)snprintf(again, sizeof again, "%s ", verb_tag(got.verb));
	if (got.verb == VERB_EXPLAIN)
		n += (size_t)snprintf(
			again + n, sizeof again - n, "ROUTE %s", got.name[0] != '\0' ? "IN " : "");
	if (got.name[0] != '\0')
		n += quote(again + n, got.name, '"');
	if (got.verb == VERB_SET) {
		again[n++] = '=';
		n += quote(again + n, got.value, '\'');
	}
	if (got.verb == VERB_EXPLAIN)
		n += (size_t)snprintf(again + n, sizeof again - n, " %s", got.sql);
	PANIC_IF(n >= sizeof again);
	PANIC_IF(grammar_read(again, &same) != OK);
	PANIC_IF(same.verb != got.verb || strcmp(same.name, got.name) != 0 ||
		 strcmp(same.value, got.value) != 0 || strcmp(same.sql, got.sql) != 0);
	return 0;
}
