#include "sql/calls.h"

#include <string.h>

#include "sql/word.h"

/* Which of the functions the token names; -1: none. */
static int function_of(const struct token *t)
{
	static const struct {
		enum word word;
		int of; /* enum sql_call_of */
	} functions[] = {{WORD_CURRVAL, CALL_CURRVAL}, {WORD_LASTVAL, CALL_LASTVAL},
		{WORD_PG_CANCEL_BACKEND, CALL_CANCEL_BACKEND},
		{WORD_PG_TERMINATE_BACKEND, CALL_TERMINATE_BACKEND}};
	enum word word = t->kind == TOKEN_WORD     ? (enum word)t->word
			 : t->kind == TOKEN_QUOTED ? word_find(t->hash)
						   : NOT_A_WORD;

	for (size_t i = 0; i < sizeof functions / sizeof *functions && word != NOT_A_WORD; i++)
		if (functions[i].word == word)
			return functions[i].of;
	return -1;
}

static bool is_cast(const struct lexer *lx, const struct token *t)
{
	return t->kind == TOKEN_PUNCT && t->c == 0 && t->len == 2 && lx->text[t->off] == ':' &&
	       lx->text[t->off + 1] == ':';
}

static bool is_plain_word(uint64_t hash)
{
	static const char *const words[] = {"pg_catalog", "pg_get_serial_sequence", "regclass",
		"text", "int", "integer", "int4", "bigint", "int8"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (hash == word_hash(words[i], strlen(words[i])))
			return true;
	return false;
}

static bool is_plain(const struct lexer *lx, const struct token *t)
{
	switch ((enum token_kind)t->kind) {
	case TOKEN_WORD:
		return is_plain_word(t->hash);
	case TOKEN_PUNCT:
		return t->c == '(' || t->c == ')' || t->c == ',' || t->c == '.' || is_cast(lx, t);
	case TOKEN_STRING:
	case TOKEN_ESTRING:
	case TOKEN_DOLLAR:
	case TOKEN_INTEGER:
	case TOKEN_PARAM:
		return true;
	default:
		return false;
	}
}

/* Behind the parenthesis: the first argument, up to what ends it. */
static enum status read_argument(struct lexer *lx, struct sql_view *out)
{
	uint32_t depth = 0;
	struct token t;

	*out = (struct sql_view){0, 0};
	for (lexer_next(lx, &t); t.kind != TOKEN_END; lexer_next(lx, &t)) {
		if (depth == 0 && (t.c == ')' || t.c == ','))
			return OK;
		if (!is_plain(lx, &t))
			return E_INVALID;
		if (t.c == '(')
			depth++;
		else if (t.c == ')')
			depth--;
		if (out->len == 0)
			out->off = t.off;
		out->len = t.off + t.len - out->off;
	}
	return E_INVALID;
}

enum status sql_call_next(struct lexer *lx, struct sql_call *out)
{
	struct token t, next;

	for (lexer_next(lx, &t); t.kind != TOKEN_END; lexer_next(lx, &t)) {
		struct lexer ahead = *lx;
		int of = function_of(&t);

		if (t.kind == TOKEN_UQUOTED || t.kind == TOKEN_BAD)
			return E_INVALID;
		lexer_next(&ahead, &next);
		if (of < 0 || next.c != '(')
			continue;
		*lx = ahead;
		out->of = (uint8_t)of;
		return read_argument(lx, &out->arg);
	}
	return E_NOTFOUND;
}

enum status sql_call_number(
	const char *text, uint32_t opts, const struct sql_call *call, struct token *out)
{
	struct lexer lx;
	struct token t;

	if (call->arg.len == 0)
		return E_INVALID;
	lexer_init_view(&lx, text, call->arg, opts);
	lexer_next(&lx, out);
	if (out->kind != TOKEN_INTEGER && out->kind != TOKEN_PARAM)
		return E_INVALID;
	lexer_next(&lx, &t);
	return !lexer_is_inside(&lx, &t) || is_cast(&lx, &t) ? OK : E_INVALID;
}

uint16_t sql_param_number(const char *text, const struct token *t)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < t->len && n <= UINT16_MAX; i++)
		n = 10 * n + (uint32_t)(text[t->off + i] - '0');
	return n <= UINT16_MAX ? (uint16_t)n : 0;
}
