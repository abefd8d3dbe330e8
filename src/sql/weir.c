#include "sql/weir.h"

#include <string.h>

#include "base/text.h"
#include "sql/literal.h"
#include "sql/word.h"

static const char prefix[] = "pgweir.";

struct cursor {
	struct lexer lx;
	struct token t;
	const char *text;
};

static void next(struct cursor *c)
{
	lexer_next(&c->lx, &c->t);
}

static bool is_word(const struct cursor *c, enum word w)
{
	return c->t.kind == TOKEN_WORD && c->t.word == w;
}

static bool accept(struct cursor *c, enum word w)
{
	bool is = is_word(c, w);

	if (is)
		next(c);
	return is;
}

static bool at_end(const struct cursor *c)
{
	return c->t.kind == TOKEN_END || c->t.c == ';';
}

/* name [. name]…, and is it "pgweir.something"? `name` gets what follows the prefix. */
static bool take_name(struct cursor *c, char name[WEIR_NAME_MAX])
{
	char whole[2 * (SQL_NAME_MAX + 2)];
	char part[SQL_NAME_MAX + 1];
	size_t n = 0, len;

	for (;;) {
		if (literal_name(c->text, &c->t, '\\', part, &len) != OK ||
			n + len + 2 > sizeof whole)
			return false;
		memcpy(whole + n, part, len);
		n += len;
		whole[n] = '\0';
		next(c);
		if (c->t.c != '.')
			break;
		next(c);
		whole[n++] = '.';
	}
	for (size_t i = 0; i < n; i++)
		if (whole[i] >= 'A' && whole[i] <= 'Z')
			whole[i] = (char)(whole[i] | 0x20);
	if (strncmp(whole, prefix, sizeof prefix - 1) != 0)
		return false;
	text_copy(name, WEIR_NAME_MAX, whole + sizeof prefix - 1);
	return true;
}

/* One value: a string, a word, a number. */
static bool take_value(struct cursor *c, struct weir_stmt *out)
{
	char word[SQL_NAME_MAX + 1];
	size_t len;

	if (token_is_string(&c->t)) {
		if (literal_string(c->text, &c->t, '\\', out->value, sizeof out->value, &len) != OK)
			return false;
	} else if (c->t.kind == TOKEN_INTEGER || c->t.kind == TOKEN_FLOAT) {
		if (c->t.len >= sizeof out->value)
			return false;
		memcpy(out->value, c->text + c->t.off, c->t.len);
		out->value[c->t.len] = '\0';
	} else if (literal_name(c->text, &c->t, '\\', word, &len) == OK) {
		text_copy(out->value, sizeof out->value, word);
	} else {
		return false;
	}
	next(c);
	return true;
}

static bool read_set(struct cursor *c, struct weir_stmt *out)
{
	out->kind = WEIR_SET;
	out->is_set = true;
	next(c);
	out->local = accept(c, WORD_LOCAL);
	if (!out->local)
		(void)accept(c, WORD_SESSION);
	if (!take_name(c, out->name))
		return false;
	if (!accept(c, WORD_TO)) {
		out->bad_syntax = c->t.c != '=';
		next(c);
	}
	if (accept(c, WORD_DEFAULT))
		out->kind = WEIR_RESET;
	else if (!out->bad_syntax)
		out->bad_syntax = !take_value(c, out);
	return true;
}

static bool read_explain(struct cursor *c, struct weir_stmt *out)
{
	out->kind = WEIR_EXPLAIN_ROUTE;
	next(c);
	if (c->t.kind != TOKEN_WORD || c->t.len != 5 || (c->text[c->t.off] | 0x20) != 'r' ||
		(c->text[c->t.off + 1] | 0x20) != 'o' || (c->text[c->t.off + 2] | 0x20) != 'u' ||
		(c->text[c->t.off + 3] | 0x20) != 't' || (c->text[c->t.off + 4] | 0x20) != 'e')
		return false;
	out->inner.off = c->t.off + c->t.len;
	while (c->t.kind != TOKEN_END) /* all of the rest is what is asked about */
		next(c);
	out->inner.len = c->t.off - out->inner.off;
	return true;
}

static bool read_first(struct cursor *c, struct weir_stmt *out)
{
	if (is_word(c, WORD_SET))
		return read_set(c, out);
	if (is_word(c, WORD_RESET) || is_word(c, WORD_SHOW)) {
		out->kind = is_word(c, WORD_SHOW) ? WEIR_SHOW : WEIR_RESET;
		next(c);
		return take_name(c, out->name);
	}
	return is_word(c, WORD_EXPLAIN) && read_explain(c, out);
}

bool weir_read(const char *text, size_t len, uint32_t opts, struct weir_stmt *out)
{
	struct cursor c = {.text = text};

	if (len > SQL_LEN_MAX || (opts & SQL_ENC_UNSAFE) != 0)
		return false;
	memset(out, 0, sizeof *out);
	lexer_init(&c.lx, text, len, opts);
	next(&c);
	while (c.t.c == ';')
		next(&c);
	if (!read_first(&c, out))
		return false;
	if (!at_end(&c))
		out->bad_syntax = true;
	while (!at_end(&c))
		next(&c);
	while (c.t.c == ';')
		next(&c);
	out->is_only = c.t.kind == TOKEN_END;
	out->end = c.t.off;
	return true;
}
