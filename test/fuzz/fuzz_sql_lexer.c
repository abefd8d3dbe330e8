/*
 * The lexer, with standard_conforming_strings on and off: tokens follow each other without
 * overlap and end at the end of the text; between two of them lie only blanks and comments; a
 * view of one token lexes to that token again; identifiers and strings decode within bounds.
 */
#include "sql/lexer.h"
#include "sql/literal.h"
#include "sql/word.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Blanks and comments only, by a slower reading of the same rules. */
static bool is_gap(const char *p, const char *end)
{
	unsigned depth = 0;

	while (p < end) {
		if (depth == 0 && p[0] == '-' && p + 1 < end && p[1] == '-') {
			while (p < end && *p != '\n' && *p != '\r')
				p++;
		} else if (p + 1 < end && p[0] == '/' && p[1] == '*') {
			depth++;
			p += 2;
		} else if (depth > 0 && p + 1 < end && p[0] == '*' && p[1] == '/') {
			depth--;
			p += 2;
		} else if (depth > 0 || strchr(" \t\n\r\f\v", *p) != NULL) {
			p++;
		} else {
			return false;
		}
	}
	return depth == 0;
}

static void decode(const char *text, const struct token *t, char *buf)
{
	size_t len = 0;

	if (literal_name(text, t, '\\', buf, &len) == OK) {
		PANIC_IF(t->kind > TOKEN_UQUOTED);
		PANIC_IF(len == 0 || len > SQL_NAME_MAX || buf[len] != '\0');
		PANIC_IF(t->kind != TOKEN_UQUOTED && t->len <= SQL_NAME_MAX &&
			 word_hash(buf, len) != t->hash);
	}
	if (literal_string(text, t, '!', buf, t->len + 4u, &len) == OK) {
		PANIC_IF(!token_is_string(t));
		PANIC_IF(len > t->len || buf[len] != '\0');
	}
}

static void check_again(const char *text, const struct token *t, uint32_t opts)
{
	struct lexer lx;
	struct token again;

	lexer_init_view(&lx, text, (struct sql_view){.off = t->off, .len = t->len}, opts);
	lexer_next(&lx, &again);
	PANIC_IF(again.kind != t->kind || again.off != t->off || again.len != t->len);
	PANIC_IF(again.hash != t->hash || again.word != t->word || again.c != t->c);
	lexer_next(&lx, &again);
	PANIC_IF(lexer_is_inside(&lx, &again));
}

static void check(const char *text, size_t size, uint32_t opts)
{
	char *buf = malloc(size + SQL_NAME_MAX + 8);
	struct lexer lx;
	struct token t;
	uint32_t end = 0;

	PANIC_IF(buf == NULL);
	lexer_init(&lx, text, size, opts);
	for (lexer_next(&lx, &t); t.kind != TOKEN_END; lexer_next(&lx, &t)) {
		PANIC_IF(t.off < end || t.len == 0 || t.off + t.len > size);
		PANIC_IF(!is_gap(text + end, text + t.off));
		PANIC_IF(t.c != 0 && (t.len != 1 || (uint8_t)text[t.off] != t.c));
		PANIC_IF(t.word != NOT_A_WORD && t.kind != TOKEN_WORD);
		PANIC_IF(t.kind == TOKEN_BAD && t.off + t.len != size);
		if (t.kind != TOKEN_BAD) {
			decode(text, &t, buf);
			check_again(text, &t, opts);
		}
		end = t.off + t.len;
	}
	PANIC_IF(t.off != size || !is_gap(text + end, text + size));
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > SQL_LEN_MAX)
		return 0;
	text = malloc(size + 1);
	PANIC_IF(text == NULL);
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check(text, size, SQL_STD_STRINGS);
	check(text, size, 0);
	(void)lexer_inspect(text, size, true);
	free(text);
	return 0;
}
