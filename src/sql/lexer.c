/*
 * Versions differ in three places, none of which moves the boundary of a statement:
 * - since 16, 0x1f, 0o17, 0b1 and 1_000 are numbers; before, they are a number and an alias, and
 *   an alias is never dangerous. They are numbers here.
 * - since 15, 1for is an error; before, it is a number and a key word, as here.
 * - since 16 a vertical tab is a blank; before, it is an error. It is a blank here.
 */
#include "sql/lexer.h"

#include <string.h>

#include "sql/word.h"

enum char_class {
	C_OTHER,
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
static const uint8_t folded[256] = {
	FOLD('A'), FOLD('B'), FOLD('C'), FOLD('D'), FOLD('E'), FOLD('F'), FOLD('G'), FOLD('H'),
	FOLD('I'), FOLD('J'), FOLD('K'), FOLD('L'), FOLD('M'), FOLD('N'), FOLD('O'), FOLD('P'),
	FOLD('Q'), FOLD('R'), FOLD('S'), FOLD('T'), FOLD('U'), FOLD('V'), FOLD('W'), FOLD('X'),
	FOLD('Y'), FOLD('Z'), ['_'] = '_', ['$'] = '$',
	SAME_4('0'), SAME_4('4'), ['8'] = '8', ['9'] = '9',
	SAME_16(0x80), SAME_16(0x90), SAME_16(0xa0), SAME_16(0xb0),
	SAME_16(0xc0), SAME_16(0xd0), SAME_16(0xe0), SAME_16(0xf0),
};
/* clang-format on */

void lexer_init(struct lexer *lx, const char *text, size_t len, uint32_t opts)
{
	PANIC_IF(len > SQL_LEN_MAX);
	*lx = (struct lexer){.text = (const uint8_t *)text, .len = (uint32_t)len, .opts = opts};
}

/* The byte at `pos`; 0 past the end. */
static inline uint8_t at(const struct lexer *lx, uint32_t pos)
{
	return pos < lx->len ? lx->text[pos] : 0;
}

static inline void token_to(struct lexer *lx, struct token *t, enum token_kind kind, uint32_t end)
{
	t->kind = (uint8_t)kind;
	t->len = end - t->off;
	lx->pos = end;
}

static void token_bad(struct lexer *lx, struct token *t)
{
	token_to(lx, t, TOKEN_BAD, lx->len);
}

/* Position after the line comment at `pos`: on its newline, or the end. */
static uint32_t line_comment_end(const struct lexer *lx, uint32_t pos)
{
	while (pos < lx->len && lx->text[pos] != '\n' && lx->text[pos] != '\r')
		pos++;
	return pos;
}

/* Position after the nested comment at `pos`; 0 if it is not closed. */
static uint32_t block_comment_end(const struct lexer *lx, uint32_t pos)
{
	uint32_t depth = 1;

	for (pos += 2; pos + 1 < lx->len; pos++) {
		if (lx->text[pos] == '*' && lx->text[pos + 1] == '/') {
			pos++;
			if (--depth == 0)
				return pos + 1;
		} else if (lx->text[pos] == '/' && lx->text[pos + 1] == '*') {
			pos++;
			depth++;
		}
	}
	return 0;
}

static void lex_word(struct lexer *lx, struct token *t)
{
	const uint8_t *p = lx->text + t->off;
	const uint8_t *end = lx->text + lx->len;
	uint64_t h = WORD_HASH_SEED;
	uint8_t c, all = 0;

	while (p < end && (c = folded[*p]) != 0) {
		h = word_hash_step(h, c);
		all |= c;
		p++;
	}
	token_to(lx, t, TOKEN_WORD, (uint32_t)(p - lx->text));
	t->flags = (uint8_t)(all >> 7);
	if (t->len > SQL_NAME_MAX)
		t->flags |= TOKEN_LONG;
	t->hash = h;
	t->word = (uint16_t)word_find(h);
}

/*
 * The name between the double quotes that open at `open`, behind a U& maybe. The hash is that of
 * the name with "" undoubled.
 */
static void lex_quoted(struct lexer *lx, struct token *t, enum token_kind kind, uint32_t open)
{
	uint64_t h = WORD_HASH_SEED;
	uint8_t all = 0;
	uint32_t pos, n = 0;
	bool closed = false;

	for (pos = open + 1; pos < lx->len && !closed; pos++) {
		uint8_t c = lx->text[pos];

		if (c == '"') {
			closed = at(lx, pos + 1) != '"';
			if (closed)
				continue;
			pos++;
		}
		h = word_hash_step(h, c);
		all |= c;
		n++;
	}
	if (!closed) {
		token_bad(lx, t);
		return;
	}
	token_to(lx, t, kind, pos);
	t->flags = (uint8_t)(all >> 7);
	if (n > SQL_NAME_MAX)
		t->flags |= TOKEN_LONG;
	if (kind == TOKEN_QUOTED)
		t->hash = h;
}

/*
 * A literal that ended before `pos` goes on if only blanks and line comments with at least one
 * newline lie between it and another quote: position of that quote, else 0.
 */
static uint32_t string_continues(const struct lexer *lx, uint32_t pos)
{
	bool newline = false;

	for (; pos < lx->len; pos++) {
		uint8_t c = lx->text[pos];

		if (c == '\'')
			return newline ? pos : 0;
		if (c == '\n' || c == '\r')
			newline = true;
		else if (c == '-' && at(lx, pos + 1) == '-')
			pos = line_comment_end(lx, pos) - 1;
		else if (classes[c] != C_BLANK)
			return 0;
	}
	return 0;
}

/* Position after the quote that closes the segment opened at `open`; 0 if there is none. */
static uint32_t string_segment_end(const struct lexer *lx, enum token_kind kind, uint32_t open)
{
	for (uint32_t pos = open + 1; pos < lx->len; pos++) {
		uint8_t c = lx->text[pos];

		if (c == '\\' && kind == TOKEN_ESTRING) {
			pos++;
		} else if (c == '\'') {
			if (kind == TOKEN_BIT || at(lx, pos + 1) != '\'')
				return pos + 1;
			pos++;
		}
	}
	return 0;
}

static void lex_string(struct lexer *lx, struct token *t, enum token_kind kind, uint32_t open)
{
	uint32_t end;

	if (kind == TOKEN_STRING && (lx->opts & SQL_STD_STRINGS) == 0)
		kind = TOKEN_ESTRING;
	do {
		end = string_segment_end(lx, kind, open);
		if (end == 0) {
			token_bad(lx, t);
			return;
		}
		open = string_continues(lx, end);
	} while (open != 0);
	token_to(lx, t, kind, end);
}

/* A letter that starts a literal when a quote follows. */
static void lex_prefixed(struct lexer *lx, struct token *t)
{
	uint32_t pos = t->off;
	uint8_t c = lx->text[pos] | 0x20;
	uint8_t next = at(lx, pos + 1);

	if (c == 'u' && next == '&' && at(lx, pos + 2) == '"')
		lex_quoted(lx, t, TOKEN_UQUOTED, pos + 2);
	else if (c == 'u' && next == '&' && at(lx, pos + 2) == '\'')
		lex_string(lx, t, TOKEN_USTRING, pos + 2);
	else if (c == 'u' || next != '\'')
		lex_word(lx, t);
	else if (c == 'e')
		lex_string(lx, t, TOKEN_ESTRING, pos + 1);
	else if (c == 'n')
		lex_string(lx, t, TOKEN_STRING, pos + 1);
	else
		lex_string(lx, t, TOKEN_BIT, pos + 1);
}

static uint32_t digits_end(const struct lexer *lx, uint32_t pos)
{
	while (classes[at(lx, pos)] == C_DIGIT ||
		(at(lx, pos) == '_' && classes[at(lx, pos + 1)] == C_DIGIT))
		pos++;
	return pos;
}

/* End of a number with base prefix (0x1f) at `pos`, or `pos` if there is none. */
static uint32_t based_end(const struct lexer *lx, uint32_t pos)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t base = at(lx, pos + 1) | 0x20;
	size_t n = base == 'x' ? 16 : base == 'o' ? 8 : base == 'b' ? 2 : 0;
	uint32_t end = pos + 2;

	if (at(lx, pos) != '0' || n == 0)
		return pos;
	for (;;) {
		uint32_t d = at(lx, end) == '_' ? end + 1 : end;
		uint8_t c = at(lx, d);

		if (c >= 'A' && c <= 'F')
			c |= 0x20;
		if (c == 0 || memchr(digits, c, n) == NULL)
			return end > pos + 2 ? end : pos;
		end = d + 1;
	}
}

static void lex_number(struct lexer *lx, struct token *t)
{
	enum token_kind kind = TOKEN_INTEGER;
	uint32_t end = based_end(lx, t->off);
	uint32_t e;

	if (end != t->off) {
		token_to(lx, t, kind, end);
		return;
	}
	end = digits_end(lx, t->off);
	if (at(lx, end) == '.' && at(lx, end + 1) != '.') {
		kind = TOKEN_FLOAT;
		end++;
		if (classes[at(lx, end)] == C_DIGIT)
			end = digits_end(lx, end);
	}
	if ((at(lx, end) | 0x20) == 'e') {
		e = end + 1;
		if (at(lx, e) == '+' || at(lx, e) == '-')
			e++;
		if (classes[at(lx, e)] == C_DIGIT) {
			kind = TOKEN_FLOAT;
			end = digits_end(lx, e);
		}
	}
	token_to(lx, t, kind, end);
}

static void lex_dollar(struct lexer *lx, struct token *t)
{
	const uint8_t *p = lx->text + t->off;
	uint32_t pos = t->off + 1;
	const uint8_t *close;
	size_t tag_len;

	if (classes[at(lx, pos)] == C_DIGIT) {
		while (classes[at(lx, pos)] == C_DIGIT)
			pos++;
		token_to(lx, t, TOKEN_PARAM, pos);
		return;
	}
	while (folded[at(lx, pos)] != 0 && at(lx, pos) != '$')
		pos++;
	if (at(lx, pos) != '$') {
		t->c = '$';
		token_to(lx, t, TOKEN_OTHER, t->off + 1);
		return;
	}
	tag_len = pos + 1 - t->off;
	close = memmem(lx->text + pos + 1, lx->len - pos - 1, p, tag_len);
	if (close == NULL)
		token_bad(lx, t);
	else
		token_to(lx, t, TOKEN_DOLLAR, (uint32_t)(close - lx->text + (ptrdiff_t)tag_len));
}

/* Characters that let a longer operator end in + or -. */
static bool op_is_special(uint8_t c)
{
	return c != 0 && memchr("~!@#^&|`?%", c, 10) != NULL;
}

static void lex_operator(struct lexer *lx, struct token *t)
{
	uint32_t end = t->off + 1;
	bool special = op_is_special(lx->text[t->off]);

	for (; classes[at(lx, end)] == C_OP; end++) {
		uint8_t c = lx->text[end], next = at(lx, end + 1);

		if ((c == '/' && next == '*') || (c == '-' && next == '-'))
			break;
		special = special || op_is_special(c);
	}
	while (!special && end > t->off + 1 &&
		(lx->text[end - 1] == '+' || lx->text[end - 1] == '-'))
		end--;
	if (end == t->off + 1)
		t->c = lx->text[t->off];
	token_to(lx, t, TOKEN_OP, end);
}

static void lex_dot(struct lexer *lx, struct token *t)
{
	uint8_t next = at(lx, t->off + 1);

	if (classes[next] == C_DIGIT) {
		lex_number(lx, t);
	} else if (next == '.') {
		token_to(lx, t, TOKEN_PUNCT, t->off + 2);
	} else {
		t->c = '.';
		token_to(lx, t, TOKEN_PUNCT, t->off + 1);
	}
}

static void lex_colon(struct lexer *lx, struct token *t)
{
	uint8_t next = at(lx, t->off + 1);

	if (next == ':' || next == '=') {
		token_to(lx, t, TOKEN_PUNCT, t->off + 2);
	} else {
		t->c = ':';
		token_to(lx, t, TOKEN_PUNCT, t->off + 1);
	}
}

/* Skip blanks and comments. False: a comment is not closed; the position is where it starts. */
static bool skip_blanks(struct lexer *lx)
{
	for (;;) {
		uint32_t pos = lx->pos;
		uint8_t c = at(lx, pos);

		if (classes[c] == C_BLANK) {
			lx->pos++;
		} else if (c == '-' && at(lx, pos + 1) == '-') {
			lx->pos = line_comment_end(lx, pos);
		} else if (c == '/' && at(lx, pos + 1) == '*') {
			uint32_t end = block_comment_end(lx, pos);

			if (end == 0)
				return false;
			lx->pos = end;
		} else {
			return true;
		}
	}
}

void lexer_next(struct lexer *lx, struct token *t)
{
	bool closed = skip_blanks(lx);

	*t = (struct token){.kind = TOKEN_END, .off = lx->pos};
	if (!closed) {
		token_bad(lx, t);
		return;
	}
	if (lx->pos >= lx->len)
		return;
	switch ((enum char_class)classes[lx->text[lx->pos]]) {
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
		lex_string(lx, t, TOKEN_STRING, t->off);
		break;
	case C_DQUOTE:
		lex_quoted(lx, t, TOKEN_QUOTED, t->off);
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
	case C_OP:
		lex_operator(lx, t);
		break;
	case C_SELF:
		t->c = lx->text[lx->pos];
		token_to(lx, t, TOKEN_PUNCT, lx->pos + 1);
		break;
	case C_BLANK:
	case C_OTHER:
		if (lx->text[lx->pos] == 0) {
			token_bad(lx, t);
			break;
		}
		t->c = lx->text[lx->pos];
		token_to(lx, t, TOKEN_OTHER, lx->pos + 1);
		break;
	}
}

/* Length of the UTF-8 sequence at p, of which `left` bytes are there; 0 if it is not valid. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
	size_t n;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
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

bool lexer_utf8_is_valid(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t i = 0;

	while (i < len) {
		uint64_t eight;
		size_t n = 1;

		if (len - i >= sizeof eight) {
			memcpy(&eight, p + i, sizeof eight);
			if ((eight & 0x8080808080808080u) == 0 &&
				((eight - 0x0101010101010101u) & 0x8080808080808080u) == 0) {
				i += sizeof eight;
				continue;
			}
		}
		if (p[i] == 0 || (p[i] >= 0x80 && (n = utf8_sequence(p + i, len - i)) == 0))
			return false;
		i += n;
	}
	return true;
}
