/*
 * Where a statement, or what is in parentheses, ends, if nothing else is asked of it: plain_skim().
 */
#include "sql/plain.h"
#include "sql/plain_text.h"

/* Behind the literal at `p`, of any kind but a simple one. NULL: it has no end, or is none. */
static const uint8_t *skim_literal(const struct scan *s, const uint8_t *p)
{
	struct lexer lx = {.text = s->lx.text, .p = p, .end = s->lx.end, .opts = s->opts};
	struct token t;

	lexer_next(&lx, &t);
	return token_is_value(&t) ? lx.p : NULL;
}

/*
 * Behind the word from `p` to `end`, or the string of which it is the prefix; ATOMIC may hold
 * semicolons.
 */
static const uint8_t *skim_word(const struct scan *s, const uint8_t *p, const uint8_t *end)
{
	if (end - p == 6)
		return word_find(plain_hash(p, end)) == WORD_ATOMIC ? NULL : end;
	return *end == '\'' && strchr("enbx", *p | 0x20) != NULL ? skim_literal(s, p) : end;
}

/* Behind the number at `p`; one that a word follows at once is left. */
static const uint8_t *skim_number(const struct scan *s, const uint8_t *p)
{
	p = skim_literal(s, p);
	return p != NULL && !GOES_ON(*p) ? p : NULL;
}

/* Behind the quoted name or simple string at `p`. */
static const uint8_t *skim_quoted(const struct scan *s, const uint8_t *p)
{
	if (p > s->lx.text && p[-1] == '&') /* U& */
		return NULL;
	if (*p == '\'' && (s->opts & SQL_STD_STRINGS) == 0)
		return skim_literal(s, p);
	p = memchr(p + 1, *p, (size_t)(s->lx.end - p) - 1);
	return p == NULL ? NULL : p + 1;
}

/* Behind the comment at `p`, or the operator's character that it is. */
static const uint8_t *skim_comment(const struct scan *s, const uint8_t *p)
{
	bool is_comment = *p == '-' ? p[1] == '-' : p[1] == '*';

	return is_comment ? lexer_comment_end(p, s->lx.end) : p + 1;
}

/* Behind what stands at `p`, which is no word, parenthesis or semicolon. */
static const uint8_t *skim_other(const struct scan *s, const uint8_t *p)
{
	switch (plain_classes[*p]) {
	case P_DIGIT:
		return skim_number(s, p);
	case P_DOLLAR:
		return skim_literal(s, p);
	case P_COMMENT:
		return skim_comment(s, p);
	case P_QUOTE:
	case P_DQUOTE:
		return skim_quoted(s, p);
	case P_HIGH: /* a word */
		return plain_wide_end(p);
	default:
		return p + 1;
	}
}

/* Behind all words and bytes from `p` on that mean nothing to plain_skim. */
static const uint8_t *skim_words(const uint8_t *p)
{
	const uint8_t *end;

	for (;; p = end) {
		while (plain_classes[*p] == P_SKIP)
			p++;
		if (!IS_LETTER(*p))
			return p;
		end = plain_word_end(p + 1);
		if (*end == '\'' || (end - p == 6 && (*p | 0x20) == 'a')) /* a prefix; ATOMIC */
			return p;
	}
}

const uint8_t *plain_skim(const struct scan *s, bool group)
{
	const uint8_t *p = s->lx.text + s->t.off;
	uint32_t depth = 0;

	while (p != NULL && (p = skim_words(p)) != s->lx.end) {
		if (IS_LETTER(*p)) {
			p = skim_word(s, p, plain_word_end(p + 1));
		} else if (*p == '(') {
			depth++;
			p++;
		} else if (*p == ')') {
			p++;
			depth -= depth > 0;
			if (group && depth == 0)
				return p;
		} else if (*p == ';' && depth == 0) {
			return group ? NULL : p;
		} else {
			p = skim_other(s, p);
		}
	}
	return group ? NULL : p;
}
