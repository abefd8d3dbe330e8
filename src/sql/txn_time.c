#include "sql/txn_time.h"

#include <string.h>
#include <strings.h>

#include "sql/word.h"

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_special_value(const char *word, size_t len)
{
	static const char *const values[] = {"now", "today", "tomorrow", "yesterday"};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (strlen(values[i]) == len && strncasecmp(values[i], word, len) == 0)
			return true;
	return false;
}

static bool has_special_value(const char *p, const char *end)
{
	while (p < end) {
		const char *word = p;

		while (p < end && is_letter(*p))
			p++;
		if (p > word && is_special_value(word, (size_t)(p - word)))
			return true;
		if (p < end)
			p++;
	}
	return false;
}

/* Escapes may spell anything. */
static bool is_string_of_time(const char *text, const struct token *t)
{
	const char *p = text + t->off;

	if (t->kind == TOKEN_USTRING ||
		(t->kind == TOKEN_ESTRING && memchr(p, '\\', t->len) != NULL))
		return true;
	return has_special_value(p, p + t->len);
}

static bool is_key_word(const struct token *t)
{
	if (t->kind != TOKEN_WORD)
		return false;
	switch ((enum word)t->word) {
	case WORD_CURRENT_DATE:
	case WORD_CURRENT_TIME:
	case WORD_CURRENT_TIMESTAMP:
	case WORD_LOCALTIME:
	case WORD_LOCALTIMESTAMP:
		return true;
	default:
		return false;
	}
}

/* A name, which stands before a parenthesis, of a function that asks when the transaction began. */
static bool is_function(const struct token *t)
{
	if (t->kind == TOKEN_UQUOTED)
		return true; /* escapes may spell anything */
	if (t->kind != TOKEN_WORD && t->kind != TOKEN_QUOTED)
		return false;
	return t->hash == word_hash("now", 3) ||
	       t->hash == word_hash("transaction_timestamp", 21) ||
	       t->hash == word_hash("age", 3) || t->hash == word_hash("mxid_age", 8);
}

/* Can the text be lexed as it is? */
static bool is_readable(const char *text, size_t len, uint32_t opts)
{
	return len <= SQL_LEN_MAX &&
	       ((opts & SQL_ENC_UNSAFE) == 0 || lexer_inspect(text, len, false) == TEXT_ASCII);
}

bool txn_time_shows_only(const char *text, size_t len, uint32_t opts)
{
	bool is_first = true;
	struct lexer lx;
	struct token t;

	if (!is_readable(text, len, opts))
		return false;
	lexer_init(&lx, text, len, opts);
	for (lexer_next(&lx, &t); t.kind != TOKEN_END; lexer_next(&lx, &t)) {
		if (is_first && t.c != ';' && !(t.kind == TOKEN_WORD && t.word == WORD_SHOW))
			return false;
		is_first = t.c == ';';
	}
	return true;
}

bool txn_time_is_named(const char *text, size_t len, uint32_t opts)
{
	struct token t, prev = {.kind = TOKEN_END};
	struct lexer lx;

	if (!is_readable(text, len, opts))
		return true;
	lexer_init(&lx, text, len, opts);
	for (lexer_next(&lx, &t); t.kind != TOKEN_END; lexer_next(&lx, &t)) {
		if (t.kind == TOKEN_BAD || is_key_word(&t) || (t.c == '(' && is_function(&prev)) ||
			(token_is_string(&t) && is_string_of_time(text, &t)))
			return true;
		prev = t;
	}
	return false;
}
