/*
 * Versions differ in three places, none of which moves the boundary of a statement:
 * - since 16, 0x1f, 0o17, 0b1 and 1_000 are numbers; before, they are a number and an alias, and
 *   an alias is never dangerous. They are numbers here.
 * - since 15, 1for is an error; before, it is a number and a key word, as here.
 * - since 16 a vertical tab is a blank; before, it is an error. It is a blank here.
 */
#include "sql/lexer.h"

#include <endian.h>
#include <string.h>

#include "sql/word.h"

enum char_class {
	C_OTHER,
	C_NUL,
	C_BLANK,
	C_IDENT,  /* starts an identifier */
	C_PREFIX, /* the same, but may start a literal: b e n u x */
	C_DIGIT,
	C_QUOTE,
	C_DQUOTE,
	C_DOLLAR,
	C_DOT,
	C_COLON,
	C_SELF, /* , ( ) [ ] ; */
	C_OP,
};

/* clang-format off */
static const uint8_t classes[256] = {
	[0] = C_NUL,
	[' '] = C_BLANK, ['\t'] = C_BLANK, ['\n'] = C_BLANK, ['\r'] = C_BLANK, ['\f'] = C_BLANK,
	['\v'] = C_BLANK,
	['A'] = C_IDENT, ['C' ... 'D'] = C_IDENT, ['F' ... 'M'] = C_IDENT, ['O' ... 'T'] = C_IDENT,
	['V' ... 'W'] = C_IDENT, ['Y' ... 'Z'] = C_IDENT,
	['a'] = C_IDENT, ['c' ... 'd'] = C_IDENT, ['f' ... 'm'] = C_IDENT, ['o' ... 't'] = C_IDENT,
	['v' ... 'w'] = C_IDENT, ['y' ... 'z'] = C_IDENT,
	['_'] = C_IDENT, [0x80 ... 0xff] = C_IDENT,
	['B'] = C_PREFIX, ['E'] = C_PREFIX, ['N'] = C_PREFIX, ['U'] = C_PREFIX, ['X'] = C_PREFIX,
	['b'] = C_PREFIX, ['e'] = C_PREFIX, ['n'] = C_PREFIX, ['u'] = C_PREFIX, ['x'] = C_PREFIX,
	['0' ... '9'] = C_DIGIT, ['\''] = C_QUOTE, ['"'] = C_DQUOTE, ['$'] = C_DOLLAR, ['.'] = C_DOT,
	[':'] = C_COLON,
	[','] = C_SELF, ['('] = C_SELF, [')'] = C_SELF, ['['] = C_SELF, [']'] = C_SELF, [';'] = C_SELF,
	['~'] = C_OP, ['!'] = C_OP, ['@'] = C_OP, ['#'] = C_OP, ['^'] = C_OP, ['&'] = C_OP,
	['|'] = C_OP, ['`'] = C_OP, ['?'] = C_OP, ['+'] = C_OP, ['-'] = C_OP, ['*'] = C_OP,
	['/'] = C_OP, ['%'] = C_OP, ['<'] = C_OP, ['>'] = C_OP, ['='] = C_OP,
};

/* Bytes that may continue an identifier, folded as the server folds them; 0: may not. */
#define SAME_4(c)  [c] = c, [(c) + 1] = (c) + 1, [(c) + 2] = (c) + 2, [(c) + 3] = (c) + 3
#define SAME_16(c) SAME_4(c), SAME_4((c) + 4), SAME_4((c) + 8), SAME_4((c) + 12)
#define FOLD(c)    [c] = (c) + 32, [(c) + 32] = (c) + 32
const uint8_t lexer_folded[256] = {
	FOLD('A'), FOLD('B'), FOLD('C'), FOLD('D'), FOLD('E'), FOLD('F'), FOLD('G'), FOLD('H'),
	FOLD('I'), FOLD('J'), FOLD('K'), FOLD('L'), FOLD('M'), FOLD('N'), FOLD('O'), FOLD('P'),
	FOLD('Q'), FOLD('R'), FOLD('S'), FOLD('T'), FOLD('U'), FOLD('V'), FOLD('W'), FOLD('X'),
	FOLD('Y'), FOLD('Z'), ['_'] = '_', ['$'] = '$',
	SAME_4('0'), SAME_4('4'), ['8'] = '8', ['9'] = '9',
	SAME_16(0x80), SAME_16(0x90), SAME_16(0xa0), SAME_16(0xb0),
	SAME_16(0xc0), SAME_16(0xd0), SAME_16(0xe0), SAME_16(0xf0),
};
/* clang-format on */

/*
 * The text ends in a NUL, which is in no class that goes on: loops over a class need no other
 * bound. A NUL before the end stops them as well, and makes the token bad.
 */

void lexer_init(struct lexer *lx, const char *text, size_t len, uint32_t opts)
{
	PANIC_IF(len > SQL_LEN_MAX);
	PANIC_IF(text[len] != '\0');
	lx->text = (const uint8_t *)text;
	lx->p = lx->text;
	lx->end = lx->text + len;
	lx->opts = opts;
}

void lexer_init_view(struct lexer *lx, const char *text, struct sql_view view, uint32_t opts)
{
	lx->text = (const uint8_t *)text;
	lx->p = lx->text + view.off;
	lx->end = lx->p + view.len;
	lx->opts = opts;
}

/* The token from the current position to `end`. */
static inline void token_to(
	struct lexer *lx, struct token *t, enum token_kind kind, const uint8_t *end)
{
	*t = (struct token){.kind = (uint8_t)kind,
		.off = (uint32_t)(lx->p - lx->text),
		.len = (uint32_t)(end - lx->p)};
	lx->p = end;
}

static void token_bad(struct lexer *lx, struct token *t)
{
	token_to(lx, t, TOKEN_BAD, lx->end);
}

/* A token of one character. */
static inline void token_char(struct lexer *lx, struct token *t, enum token_kind kind)
{
	*t = (struct token){
		.kind = (uint8_t)kind, .c = *lx->p, .off = (uint32_t)(lx->p - lx->text), .len = 1};
	lx->p++;
}

/* Behind the line comment at `p`: on its newline, or the end. */
static const uint8_t *line_comment_end(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p != '\n' && *p != '\r')
		p++;
	return p;
}

/* Behind the nested comment at `p`; NULL if it is not closed. */
static const uint8_t *block_comment_end(const uint8_t *p, const uint8_t *end)
{
	uint32_t depth = 1;

	for (p += 2; p < end; p++) {
		if (p[0] == '*' && p[1] == '/') {
			p++;
			if (--depth == 0)
				return p + 1;
		} else if (p[0] == '/' && p[1] == '*') {
			p++;
			depth++;
		}
	}
	return NULL;
}

const uint8_t *lexer_comment_end(const uint8_t *p, const uint8_t *end)
{
	return *p == '-' ? line_comment_end(p, end) : block_comment_end(p, end);
}

static inline void lex_word(struct lexer *lx, struct token *t)
{
	const uint8_t *p = lx->p;
	uint64_t h = WORD_HASH_SEED;
	uint64_t c = lexer_folded[*p];

	do {
		h = word_hash_step(h, c);
		c = lexer_folded[*++p];
	} while (c != 0);
	*t = (struct token){.kind = TOKEN_WORD,
		.word = (uint16_t)word_find(h),
		.off = (uint32_t)(lx->p - lx->text),
		.len = (uint32_t)(p - lx->p),
		.hash = h};
	lx->p = p;
}

/*
 * The name between the double quotes of which the first is at `p`, behind a U& maybe. The hash is
 * that of the name with "" undoubled.
 */
static inline void lex_quoted(
	struct lexer *lx, struct token *t, enum token_kind kind, const uint8_t *p)
{
	uint64_t h = WORD_HASH_SEED;

	for (;;) {
		uint64_t c = *++p;

		if (c == '"' && *++p != '"')
			break;
		if (c == 0) {
			token_bad(lx, t);
			return;
		}
		h = word_hash_step(h, c);
	}
	token_to(lx, t, kind, p);
	t->hash = h;
}

/*
 * A literal that ended before `p` goes on if only blanks and line comments with at least one
 * newline lie between it and another quote: that quote, else NULL.
 */
static const uint8_t *string_continues(const struct lexer *lx, const uint8_t *p)
{
	bool newline = false;

	for (; p < lx->end; p++) {
		if (*p == '\'')
			return newline ? p : NULL;
		if (*p == '\n' || *p == '\r')
			newline = true;
		else if (p[0] == '-' && p[1] == '-')
			p = line_comment_end(p, lx->end) - 1;
		else if (classes[*p] != C_BLANK)
			return NULL;
	}
	return NULL;
}

/* Behind the quote that closes the segment opened at `p`; NULL if there is none. */
static const uint8_t *string_segment_end(
	const struct lexer *lx, enum token_kind kind, const uint8_t *p)
{
	for (p++; p < lx->end; p++) {
		if (*p == '\\' && kind == TOKEN_ESTRING) {
			p++;
		} else if (*p == '\'') {
			if (kind == TOKEN_BIT || p[1] != '\'')
				return p + 1;
			p++;
		}
	}
	return NULL;
}

/* A string whose first quote is at `p`. */
static void lex_string(struct lexer *lx, struct token *t, enum token_kind kind, const uint8_t *p)
{
	const uint8_t *end;

	if (kind == TOKEN_STRING && (lx->opts & SQL_STD_STRINGS) == 0)
		kind = TOKEN_ESTRING;
	do {
		end = string_segment_end(lx, kind, p);
		if (end == NULL) {
			token_bad(lx, t);
			return;
		}
		p = string_continues(lx, end);
	} while (p != NULL);
	token_to(lx, t, kind, end);
}

/* A letter that starts a literal when a quote, or & and a quote, follows. */
static void lex_prefixed(struct lexer *lx, struct token *t)
{
	const uint8_t *p = lx->p;
	uint8_t c = p[0] | 0x20;

	if (c == 'u' && p[1] == '&' && p[2] == '"')
		lex_quoted(lx, t, TOKEN_UQUOTED, p + 2);
	else if (c == 'u' && p[1] == '&' && p[2] == '\'')
		lex_string(lx, t, TOKEN_USTRING, p + 2);
	else if (c == 'u' || p[1] != '\'')
		lex_word(lx, t);
	else if (c == 'e')
		lex_string(lx, t, TOKEN_ESTRING, p + 1);
	else if (c == 'n')
		lex_string(lx, t, TOKEN_STRING, p + 1);
	else
		lex_string(lx, t, TOKEN_BIT, p + 1);
}

static const uint8_t *digits_end(const uint8_t *p)
{
	while (classes[*p] == C_DIGIT || (*p == '_' && classes[p[1]] == C_DIGIT))
		p++;
	return p;
}

/* Behind a number with a base prefix (0x1f) at `p`, or `p` if there is none. */
static const uint8_t *based_end(const uint8_t *p)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t base = p[0] == '0' ? p[1] | 0x20 : 0;
	size_t n = base == 'x' ? 16 : base == 'o' ? 8 : base == 'b' ? 2 : 0;
	const uint8_t *end = p + 2;

	if (n == 0)
		return p;
	for (;;) {
		const uint8_t *d = *end == '_' ? end + 1 : end;
		uint8_t c = *d >= 'A' && *d <= 'F' ? *d | 0x20 : *d;

		if (c == 0 || memchr(digits, c, n) == NULL)
			return end > p + 2 ? end : p;
		end = d + 1;
	}
}

static void lex_number(struct lexer *lx, struct token *t)
{
	enum token_kind kind = TOKEN_INTEGER;
	const uint8_t *p = based_end(lx->p), *e;

	if (p != lx->p) {
		token_to(lx, t, kind, p);
		return;
	}
	p = digits_end(p);
	if (p[0] == '.' && p[1] != '.') {
		kind = TOKEN_FLOAT;
		p++;
		if (classes[*p] == C_DIGIT)
			p = digits_end(p);
	}
	if ((*p | 0x20) == 'e') {
		e = p[1] == '+' || p[1] == '-' ? p + 2 : p + 1;
		if (classes[*e] == C_DIGIT) {
			kind = TOKEN_FLOAT;
			p = digits_end(e);
		}
	}
	token_to(lx, t, kind, p);
}

static void lex_dollar(struct lexer *lx, struct token *t)
{
	const uint8_t *p = lx->p + 1;
	const uint8_t *close;
	size_t tag_len;

	if (classes[*p] == C_DIGIT) {
		while (classes[*p] == C_DIGIT)
			p++;
		token_to(lx, t, TOKEN_PARAM, p);
		return;
	}
	while (lexer_folded[*p] != 0 && *p != '$')
		p++;
	if (*p != '$') {
		token_char(lx, t, TOKEN_OTHER);
		return;
	}
	p++;
	tag_len = (size_t)(p - lx->p);
	close = memmem(p, (size_t)(lx->end - p), lx->p, tag_len);
	if (close == NULL)
		token_bad(lx, t);
	else
		token_to(lx, t, TOKEN_DOLLAR, close + tag_len);
}

/* Characters that let a longer operator end in + or -. */
static bool op_is_special(uint8_t c)
{
	return memchr("~!@#^&|`?%", c, 10) != NULL;
}

#define OP_SCAN_MAX 64 /* bytes; the server refuses a text with a longer operator */

static void lex_operator(struct lexer *lx, struct token *t)
{
	const uint8_t *p = lx->p + 1;
	bool special = false;

	if (classes[*p] != C_OP) {
		token_char(lx, t, TOKEN_OP);
		return;
	}
	for (; classes[*p] == C_OP && p - lx->p < OP_SCAN_MAX; p++)
		if ((p[0] == '/' && p[1] == '*') || (p[0] == '-' && p[1] == '-'))
			break;
	for (const uint8_t *q = lx->p; q < p && !special; q++)
		special = op_is_special(*q);
	while (!special && p > lx->p + 1 && (p[-1] == '+' || p[-1] == '-'))
		p--;
	if (p == lx->p + 1)
		token_char(lx, t, TOKEN_OP);
	else
		token_to(lx, t, TOKEN_OP, p);
}

/* An operator, or a comment and then whatever follows it. */
static void lex_operator_or_comment(struct lexer *lx, struct token *t)
{
	const uint8_t *p = lx->p;

	if (!(p[0] == '-' && p[1] == '-') && !(p[0] == '/' && p[1] == '*')) {
		lex_operator(lx, t);
		return;
	}
	p = lexer_comment_end(p, lx->end);
	if (p == NULL) {
		token_bad(lx, t);
		return;
	}
	lx->p = p;
	t->kind = TOKEN_COMMENT;
}

static void lex_dot(struct lexer *lx, struct token *t)
{
	if (classes[lx->p[1]] == C_DIGIT)
		lex_number(lx, t);
	else if (lx->p[1] == '.')
		token_to(lx, t, TOKEN_PUNCT, lx->p + 2);
	else
		token_char(lx, t, TOKEN_PUNCT);
}

static void lex_colon(struct lexer *lx, struct token *t)
{
	if (lx->p[1] == ':' || lx->p[1] == '=')
		token_to(lx, t, TOKEN_PUNCT, lx->p + 2);
	else
		token_char(lx, t, TOKEN_PUNCT);
}

static void lex_class(struct lexer *lx, struct token *t, enum char_class class)
{
	switch (class) {
	case C_IDENT:
		lex_word(lx, t);
		break;
	case C_PREFIX:
		lex_prefixed(lx, t);
		break;
	case C_DIGIT:
		lex_number(lx, t);
		break;
	case C_QUOTE:
		lex_string(lx, t, TOKEN_STRING, lx->p);
		break;
	case C_DQUOTE:
		lex_quoted(lx, t, TOKEN_QUOTED, lx->p);
		break;
	case C_DOLLAR:
		lex_dollar(lx, t);
		break;
	case C_DOT:
		lex_dot(lx, t);
		break;
	case C_COLON:
		lex_colon(lx, t);
		break;
	case C_SELF:
		token_char(lx, t, TOKEN_PUNCT);
		break;
	case C_OP:
		lex_operator_or_comment(lx, t);
		break;
	case C_NUL:
		token_bad(lx, t);
		break;
	case C_OTHER:
	case C_BLANK:
		token_char(lx, t, TOKEN_OTHER);
		break;
	}
}

/* Every kind of token, behind any number of comments. */
static __attribute__((noinline)) void lex_any(struct lexer *lx, struct token *t)
{
	do {
		while (classes[*lx->p] == C_BLANK)
			lx->p++;
		if (lx->p >= lx->end) /* behind it in a view of a longer text */
			token_to(lx, t, TOKEN_END, lx->p);
		else
			lex_class(lx, t, (enum char_class)classes[*lx->p]);
	} while (t->kind == TOKEN_COMMENT);
}

/* Nine tokens of ten are found here, in a function so small that it saves no register. */
void lexer_next(struct lexer *lx, struct token *t)
{
	const uint8_t *p = lx->p;
	uint8_t class;

	while ((class = classes[*p]) == C_BLANK)
		p++;
	lx->p = p;
	if (class == C_IDENT)
		lex_word(lx, t);
	else if (class == C_SELF || (class == C_DOT && classes[p[1]] != C_DIGIT && p[1] != '.'))
		token_char(lx, t, TOKEN_PUNCT);
	else if (class == C_DQUOTE)
		lex_quoted(lx, t, TOKEN_QUOTED, p);
	else if (class == C_PREFIX && p[1] != '\'' && p[1] != '&')
		lex_word(lx, t);
	else
		lex_any(lx, t);
}

size_t lexer_utf8_len(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
	size_t n;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	if (p[0] < 0xe0) /* most are */
		return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
	n = p[0] < 0xf0 ? 3 : 4;
	if (n > left)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* How many of the first 8 bytes stand before a NUL or a byte >= 0x80. */
static inline size_t ascii_prefix(const uint8_t *p)
{
	uint64_t eight, found;

	memcpy(&eight, p, sizeof eight);
	eight = le64toh(eight);
	/* a byte >= 0x80, or one that borrows when 1 is taken from it: the lowest is right */
	found = (eight | (eight - 0x0101010101010101u)) & 0x8080808080808080u;
	return found == 0 ? sizeof eight : (size_t)__builtin_ctzll(found) / 8;
}

/* Have these 32 bytes no NUL and no byte >= 0x80 among them? */
static inline bool is_ascii(const uint8_t *p)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t w[4];

	memcpy(w, p, sizeof w);
	return ((w[0] | (w[0] - ones) | w[1] | (w[1] - ones) | w[2] | (w[2] - ones) | w[3] |
			(w[3] - ones)) &
		       0x8080808080808080u) == 0;
}

/* Behind bytes from `p` on of which is_ascii is true, 32 at a time, and the last 32 at once. */
static inline const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *begin = p;

	while (end - p >= 32 && is_ascii(p))
		p += 32;
	return end - p < 32 && p != begin && is_ascii(end - 32) ? end : p;
}

enum text_bytes lexer_inspect(const char *text, size_t len, bool utf8)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + len;
	enum text_bytes result = TEXT_ASCII;
	size_t n;

	for (p = skip_ascii(p, end); p < end; p += n) {
		n = end - p >= 8 ? ascii_prefix(p) : (uint8_t)(*p - 1u) < 0x7f;
		if (n != 0)
			continue;
		if (*p == 0)
			return TEXT_BAD;
		result = TEXT_HIGH;
		n = utf8 ? lexer_utf8_len(p, (size_t)(end - p)) : 1;
		if (n == 0)
			return TEXT_BAD;
	}
	return result;
}
