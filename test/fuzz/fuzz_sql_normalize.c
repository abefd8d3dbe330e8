/*
 * What is shown of a statement holds none of its string literals, stays within its bound, and is
 * cut at the same place for any room. A trace context that is found stands in the text.
 */
#include "sql/normalize.h"
#include "sql/trace.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t len, uint32_t opts)
{
	char whole[512], part[16];
	size_t n = sql_normalize(text, len, opts, whole, sizeof whole);
	size_t m = sql_normalize(text, len, opts, part, sizeof part);
	struct lexer lx;
	struct token t;

	PANIC_IF(n >= sizeof whole || m >= sizeof part);
	PANIC_IF(m > 3 && memcmp(whole, part, m - 3) != 0);
	lexer_init(&lx, whole, strlen(whole), opts);
	for (lexer_next(&lx, &t); t.kind != TOKEN_END; lexer_next(&lx, &t))
		PANIC_IF(t.kind == TOKEN_STRING || t.kind == TOKEN_ESTRING ||
			 t.kind == TOKEN_DOLLAR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char trace[TRACE_SIZE], *text;

	if (size > 65536 || memchr(data, 0, size) != NULL)
		return 0;
	text = malloc(size + 1);
	PANIC_IF(text == NULL);
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check(text, size, SQL_STD_STRINGS);
	if (trace_read(text, size, trace))
		PANIC_IF(strlen(trace) != TRACE_LEN ||
			 (strchr(text, '%') == NULL && strstr(text, trace) == NULL));
	free(text);
	return 0;
}
