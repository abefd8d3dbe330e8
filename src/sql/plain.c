#include "sql/plain.h"

#include "sql/plain_text.h"

_Static_assert(SQL_NAME_MAX == NAMEFILTER_LEN_MAX, "names are cut at the same length");

/* clang-format off */
#define LETTER(c) [c] = NAMEFILTER_FIRST(c), [(c) | 0x20] = NAMEFILTER_FIRST(c)
#define ASCII_CLASSES \
	[0] = P_NUL, [1 ... 8] = P_ODD, [14 ... 31] = P_ODD, [0x7f] = P_ODD, \
	[9 ... 13] = P_SKIP, [' '] = P_SKIP, \
	LETTER('A'), LETTER('B'), LETTER('C'), LETTER('D'), LETTER('E'), LETTER('F'), LETTER('G'), \
	LETTER('H'), LETTER('I'), LETTER('J'), LETTER('K'), LETTER('L'), LETTER('M'), LETTER('N'), \
	LETTER('O'), LETTER('P'), LETTER('Q'), LETTER('R'), LETTER('S'), LETTER('T'), LETTER('U'), \
	LETTER('V'), LETTER('W'), LETTER('X'), LETTER('Y'), LETTER('Z'), \
	['_'] = NAMEFILTER_FIRST('_'), \
	['0' ... '9'] = P_DIGIT, ['$'] = P_DOLLAR, \
	['('] = P_OPEN, [')'] = P_CLOSE, ['\''] = P_QUOTE, ['"'] = P_DQUOTE, \
	['-'] = P_COMMENT, ['/'] = P_COMMENT, [';'] = P_SEMICOLON, \
	[','] = P_SKIP, ['.'] = P_SKIP, [':'] = P_SKIP, ['['] = P_SKIP, [']'] = P_SKIP, \
	['~'] = P_SKIP, ['!'] = P_SKIP, ['@'] = P_SKIP, ['#'] = P_SKIP, ['^'] = P_SKIP, \
	['&'] = P_SKIP, ['|'] = P_SKIP, ['`'] = P_SKIP, ['?'] = P_SKIP, ['+'] = P_SKIP, \
	['*'] = P_SKIP, ['%'] = P_SKIP, ['<'] = P_SKIP, ['>'] = P_SKIP, ['='] = P_SKIP, \
	['\\'] = P_BACKSLASH, ['{'] = P_ODD, ['}'] = P_ODD
const uint8_t plain_classes[256] = {ASCII_CLASSES, [0x80 ... 0xff] = P_HIGH};

/* Where bytes >= 0x80 are known to be parts of words. */
#define FIRST_4(c) \
	[c] = NAMEFILTER_FIRST(c), [(c) + 1] = NAMEFILTER_FIRST((c) + 1), \
	[(c) + 2] = NAMEFILTER_FIRST((c) + 2), [(c) + 3] = NAMEFILTER_FIRST((c) + 3)
#define FIRST_32(c) \
	FIRST_4(c), FIRST_4((c) + 4), FIRST_4((c) + 8), FIRST_4((c) + 12), \
	FIRST_4((c) + 16), FIRST_4((c) + 20), FIRST_4((c) + 24), FIRST_4((c) + 28)
static const uint8_t wide_classes[256] = {
	ASCII_CLASSES, FIRST_32(0x80), FIRST_32(0xa0), FIRST_32(0xc0), FIRST_32(0xe0)};
/* clang-format on */

/* From here on a NULL says: not plain. */

/*
 * Behind all from `p` on that means nothing: such bytes, and words that the filter does not have.
 */
static inline const uint8_t *skip(
	const uint8_t *classes, const struct namefilter *filter, const uint8_t *p)
{
	const uint8_t *word;
	uint8_t class;

	for (;;) {
		while ((class = classes[*p]) == P_SKIP)
			p++;
		if (class > P_LETTER_MAX)
			return p;
		word = p;
		p = plain_run_end(classes, word + 1);
		if (namefilter_may_have(filter, class, p, (size_t)(p - word)))
			return word;
	}
}

static __attribute__((noinline)) const uint8_t *skip_unknown(
	const struct namefilter *filter, const uint8_t *p)
{
	return skip(plain_classes, filter, p);
}

static __attribute__((noinline)) const uint8_t *skip_unknown_wide(
	const struct namefilter *filter, const uint8_t *p)
{
	return skip(wide_classes, filter, p);
}

/* The bytes >= 0x80 from `p` on, and no NUL: checked once, for all that follow. */
static bool is_valid_from(struct plain *pl, const uint8_t *p)
{
	if (!pl->high_valid)
		pl->high_valid = lexer_inspect((const char *)p, (size_t)(pl->end - p),
					 (pl->opts & SQL_ENC_UTF8) != 0) != TEXT_BAD;
	return pl->high_valid;
}

/* The length of the character at `p`, a byte >= 0x80, or of what of it is known to be valid; 0:
 * not.
 */
static inline size_t high_len(const struct plain *pl, const uint8_t *p)
{
	if (pl->high_valid || (pl->opts & SQL_ENC_UTF8) == 0)
		return 1;
	return lexer_utf8_len(p, (size_t)(pl->end - p));
}

/* Can names with bytes >= 0x80 be compared with the catalog's? */
static bool compares_high(const struct plain *pl)
{
	return (pl->opts & SQL_ENC_UTF8) != 0 && !pl->blind && catalog_is_utf8(pl->cat);
}

/* Behind the word of which `p` is a part, and which has bytes >= 0x80. */
static COLD const uint8_t *take_wide(struct plain *pl, const uint8_t *p)
{
	const uint8_t *end = p;

	while (GOES_ON(p[-1])) /* no statement begins with one */
		p--;
	end = plain_wide_end(end);
	if (end - p > SQL_NAME_MAX || !compares_high(pl) || !is_valid_from(pl, p))
		return NULL;
	pl->skip = skip_unknown_wide; /* the next one is found like any other */
	if (!namefilter_may_have(&pl->cat->filter, NAMEFILTER_FIRST(*p), end, (size_t)(end - p)))
		return end;
	return plain_name(pl, p, end, plain_hash(p, end)) ? end : NULL;
}

/* Behind the token at `p`, read by the lexer. */
static COLD const uint8_t *take_lexed(struct plain *pl, const uint8_t *p, struct token *t)
{
	struct lexer lx = {.text = pl->text, .p = p, .end = pl->end, .opts = pl->opts};

	lexer_next(&lx, t);
	switch (lexer_inspect((const char *)p, t->len, false)) {
	case TEXT_ASCII:
		return lx.p;
	case TEXT_HIGH:
		return is_valid_from(pl, p) ? lx.p : NULL;
	case TEXT_BAD:
		break;
	}
	return NULL;
}

/* Behind the literal of any kind at `p`; a word that follows at once is left to the lexer. */
static COLD const uint8_t *take_literal(struct plain *pl, const uint8_t *p)
{
	struct token t;
	const uint8_t *end = take_lexed(pl, p, &t);

	return end != NULL && token_is_value(&t) && !GOES_ON(*end) ? end : NULL;
}

/* Behind the digits at `p`, or 1e5, 0x1f, 1_000; 1for is left to the lexer. */
static inline const uint8_t *take_digits(struct plain *pl, const uint8_t *p)
{
	const uint8_t *end = p;

	while (plain_classes[*end] == P_DIGIT)
		end++;
	if (!GOES_ON(*end))
		return end;
	return p[-1] != '.' || (*end | 0x20) == 'e' ? take_literal(pl, p) : NULL;
}

/* Where the string begins whose first quote is at `p`: at the letter before it, or there. */
static inline const uint8_t *string_start(const uint8_t *p)
{
	const uint8_t *letter = p[-1] == '&' ? p - 2 : p - 1;
	uint8_t c = *letter | 0x20;

	if (!IS_LETTER(*letter) || GOES_ON(letter[-1]))
		return p;
	if (p[-1] == '&')
		return c == 'u' ? letter : p;
	return c == 'e' || c == 'n' || c == 'b' || c == 'x' ? letter : p;
}

/* Behind the quote at `p` that ends a string with escapes; NULL: it goes on behind it. */
static const uint8_t *escapes_end(const uint8_t *p)
{
	const uint8_t *next = plain_skip_blanks(++p);

	return *next != '\'' && *next != '-' ? p : NULL;
}

#define EIGHT(c) (0x0101010101010101u * (c))

/* At the first byte from `p` on that has to be looked at in a string. */
static inline const uint8_t *skip_letters(const struct plain *pl, const uint8_t *p)
{
	uint64_t eight, found;

	for (; pl->end - p >= (ptrdiff_t)sizeof eight; p += sizeof eight) {
		memcpy(&eight, p, sizeof eight);
		eight = le64toh(eight);
		/* a byte >= 0x80, or one that is 0, a quote, a backslash: 1 cannot be taken from 0
		 */
		found = (eight | (eight - EIGHT(1)) | ((eight ^ EIGHT('\'')) - EIGHT(1)) |
				((eight ^ EIGHT('\\')) - EIGHT(1))) &
			EIGHT(0x80);
		if (found != 0)
			return p + __builtin_ctzll(found) / 8;
	}
	while (!ENDS_STRING(*p))
		p++;
	return p;
}

/*
 * Behind the string with its first quote at `p`, and its first byte at `start`. One with a '' in it
 * is two strings to us, as is one that goes on behind a newline; those with escapes are read again.
 */
static inline const uint8_t *take_string_of(
	struct plain *pl, const uint8_t *start, const uint8_t *p, bool escapes)
{
	size_t n;

	for (p++;; p += n) {
		p = skip_letters(pl, p);
		if (*p == '\\' && escapes)
			p++;
		else if (*p == '\'')
			break;
		n = plain_classes[*p] == P_HIGH ? high_len(pl, p) : *p != '\0';
		if (n == 0)
			return NULL;
	}
	if (!escapes)
		return p + 1;
	p = escapes_end(p);
	return p != NULL ? p : take_literal(pl, start);
}

/* Behind the string with its quote at `p`; what stands before that may be a part of it. */
static inline const uint8_t *take_string(struct plain *pl, const uint8_t *p)
{
	bool escapes = (pl->opts & SQL_STD_STRINGS) == 0;
	const uint8_t *start = p;

	if (IS_LETTER(p[-1]) || p[-1] == '&') {
		start = string_start(p);
		if (start != p && (*start | 0x20) != 'e')
			return take_literal(pl, start);
		escapes |= start != p;
	}
	return take_string_of(pl, start, p, escapes);
}

/* Behind the word at `p`, which the filter has, or one like it, or that is a string's prefix. */
static const uint8_t *take_known(struct plain *pl, const uint8_t *p)
{
	const uint8_t *end = plain_word_end(p + 1);

	if (plain_classes[*end] == P_HIGH)
		return take_wide(pl, p);
	if (*end == '\'' && string_start(end) == p)
		return end;
	if (*end == '&' && (*p | 0x20) == 'u' && end == p + 1)
		return NULL;
	return (size_t)(end - p) <= SQL_NAME_MAX && plain_word(pl, p, end) ? end : NULL;
}

/* Behind the quoted name at `p`, which has more in it than bytes that mean themselves. */
static COLD const uint8_t *take_odd_quoted(struct plain *pl, const uint8_t *p)
{
	struct token t;
	const uint8_t *end = take_lexed(pl, p, &t);

	if (end == NULL || t.kind != TOKEN_QUOTED || t.len == 2 || t.len > SQL_NAME_MAX)
		return NULL;
	if (!compares_high(pl) && lexer_inspect((const char *)p, t.len, false) != TEXT_ASCII)
		return NULL;
	return plain_name(pl, p, end, t.hash) ? end : NULL;
}

/* Behind the quoted name at `p`. */
static inline const uint8_t *take_quoted(struct plain *pl, const uint8_t *p)
{
	const uint8_t *end = plain_word_end(p + 1); /* most are words */
	size_t len;

	if (p[-1] == '&')
		return NULL;
	while (!ENDS_QUOTED(*end))
		end++;
	len = (size_t)(end - p) - 1;
	if (*end != '"' || end[1] == '"' || len - 1 > SQL_NAME_MAX - 3 ||
		end - pl->text < PLAIN_TAIL_LEN)
		return take_odd_quoted(pl, p);
	if (!namefilter_may_have(&pl->cat->filter, NAMEFILTER_FIRST(p[1]), end, len) ||
		plain_name(pl, p, end + 1, word_hash((const char *)p + 1, len)))
		return end[1] == '.' && end[2] == '"' ? end + 2 : end + 1;
	return NULL;
}

/* Behind the comment at `p`, or behind the operator's character that it is; nested ones are left.
 */
static const uint8_t *take_comment(struct plain *pl, const uint8_t *p)
{
	if (p[0] == '-' && p[1] == '-') {
		while (*p != '\n' && *p != '\r' && *p != '\0')
			if (plain_classes[*p++] == P_HIGH && !is_valid_from(pl, p - 1))
				return NULL;
		pl->since = p;
		return p; /* what it ended at is looked at next */
	}
	if (p[0] != '/' || p[1] != '*')
		return p + 1;
	for (p += 2;; p++) {
		while (plain_classes[*p] < P_COMMENT && *p != '*')
			p++;
		if (p[0] == '*' && p[1] == '/') {
			pl->since = p + 2;
			return p + 2;
		}
		if (plain_classes[*p] == P_NUL || (p[0] == '/' && p[1] == '*') ||
			(plain_classes[*p] == P_HIGH && !is_valid_from(pl, p)))
			return NULL;
	}
}

/* At the first token from `p` on that is no comment. */
static const uint8_t *skip_comments(struct plain *pl, const uint8_t *p)
{
	for (;;) {
		p = plain_skip_blanks(p);
		if ((p[0] != '-' || p[1] != '-') && (p[0] != '/' || p[1] != '*'))
			return p;
		p = take_comment(pl, p);
		if (p == NULL)
			return NULL;
	}
}

/* Behind the verb of a statement that begins with comments, or with a parenthesis: SELECT. */
static COLD const uint8_t *take_odd_start(struct plain *pl, const uint8_t *p)
{
	p = skip_comments(pl, p);
	if (p == NULL)
		return NULL;
	pl->start = p;
	if (*p != '(')
		return plain_verb(pl, p);
	for (; *p == '('; p = plain_skip_blanks(p + 1))
		plain_open(pl, p);
	return (*p | 0x20) == 's' ? plain_verb(pl, p) : NULL;
}

/* Behind the verb of the statement that begins at `p`, or the INTO of an INSERT. */
static inline const uint8_t *take_start(struct plain *pl, const uint8_t *p)
{
	const uint8_t *begin = p;

	pl->start = p;
	pl->stmt = pl->v->n_stmts;
	if (pl->v->n_stmts < UINT16_MAX)
		pl->v->n_stmts++;
	p = IS_LETTER(*p) ? plain_verb(pl, p) : take_odd_start(pl, p);
	if (p == NULL) {
		pl->rest = begin;
		pl->v->n_stmts = pl->stmt;
		return NULL;
	}
	pl->body = p;
	if (pl->verb == WORD_SELECT || pl->verb == WORD_WITH || pl->verb == WORD_VALUES) {
		plain_raise(pl, SQL_READ);
		return p;
	}
	pl->modifies = true;
	plain_object(pl, CAUSE_VERB, pl->start, 6);
	plain_raise(pl, SQL_WRITE);
	if (pl->verb == WORD_INSERT || pl->blind)
		pl->v->flags |= SQLV_MAY_ADVANCE;
	return p;
}

/* Behind the semicolon at `p` and the verb that follows it. */
static COLD const uint8_t *take_semicolon(struct plain *pl, const uint8_t *p)
{
	if (pl->depth != 0)
		return NULL;
	if (pl->single) {
		pl->end = p;
		return p;
	}
	p = skip_comments(pl, p + 1);
	if (p == NULL || p == pl->end)
		return p;
	pl->modifies = pl->with = pl->loose = pl->opened = false;
	return take_start(pl, p);
}

/* Behind what stands at `p`, which is no quoted name. */
static inline const uint8_t *take_next(struct plain *pl, const uint8_t *p)
{
	switch (plain_classes[*p]) {
	case 0 ... P_LETTER_MAX:
		return take_known(pl, p);
	case P_OPEN:
		if (pl->blind && !plain_call(pl, p))
			return NULL;
		pl->opened = true;
		plain_open(pl, p);
		return p + 1;
	case P_CLOSE:
		return pl->depth-- > 0 ? p + 1 : NULL;
	case P_QUOTE:
		return take_string(pl, p);
	case P_DIGIT:
		return take_digits(pl, p);
	case P_DOLLAR:
		return take_literal(pl, p);
	case P_COMMENT:
		return take_comment(pl, p);
	case P_HIGH:
		return take_wide(pl, p);
	case P_SEMICOLON:
		return take_semicolon(pl, p);
	default: /* begins nothing that is plain */
		return NULL;
	}
}

/* Is everything from `p` on harmless? */
static bool judge_rest(struct plain *pl, const uint8_t *p)
{
	const struct namefilter *filter = &pl->cat->filter;

	do {
		p = pl->skip(filter, p);
		if (p == pl->end)
			return pl->depth == 0;
		if (*p != '"')
			p = take_next(pl, p);
		else
			do
				p = take_quoted(pl, p);
			while (p != NULL && *p == '"');
	} while (p != NULL);
	return false;
}

/* Behind the last statement. */
static void finish_verdict(struct plain *pl)
{
	struct sql_verdict *v = pl->v;

	if (pl->blind) {
		plain_object(pl, CAUSE_NO_CATALOG, pl->end, 0);
		if ((v->flags & SQLV_BODY) != 0 && v->cls < SQL_WRITE)
			v->cls = SQL_UNKNOWN;
	}
	if (v->cause == CAUSE_NONE)
		v->flags |= SQLV_REPLICA;
}

/* Nothing is known of the text yet. One by one: to set all of it takes longer. */
static inline void set_up(struct plain *pl, const char *text, const uint8_t *end, uint32_t opts,
	const struct catalog *cat)
{
	pl->text = (const uint8_t *)text;
	pl->end = end;
	pl->opts = opts;
	pl->cat = cat;
	pl->rest = NULL;
	pl->depth = 0;
	pl->verb = NOT_A_WORD;
	pl->loose = pl->opened = pl->noted = false;
	pl->skip = skip_unknown;
	pl->blind = catalog_is_blind(cat);
}

bool plain_judge(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out, size_t *judged)
{
	const uint8_t *opens[PLAIN_OPENS_MAX], *p;
	struct scan scan;
	struct plain pl;

	if (cat == NULL || !catalog_is_plain(cat) || (opts & SQL_ENC_UNSAFE) != 0 ||
		len > SQL_LEN_MAX) {
		*judged = PLAIN_NOTHING;
		return false;
	}
	memset(out, 0, offsetof(struct sql_verdict, effects));
	set_up(&pl, sql, (const uint8_t *)sql + len, opts, cat);
	pl.since = pl.text;
	pl.v = out;
	pl.scan = &scan;
	pl.opens = opens;
	pl.modifies = pl.with = pl.single = pl.high_valid = false;
	p = take_start(&pl, plain_skip_blanks(pl.text));
	if (p == NULL || !judge_rest(&pl, p)) {
		*judged = pl.rest != NULL ? (size_t)(pl.rest - pl.text) : PLAIN_NOTHING;
		return false;
	}
	finish_verdict(&pl);
	return true;
}

bool plain_statements(struct scan *s)
{
	const uint8_t *opens[PLAIN_OPENS_MAX], *start = s->lx.text + s->t.off, *p;
	struct sql_verdict *v = s->v;
	struct sql_verdict before; /* effects stay as they are, and would be noted again */
	struct scan scan;
	struct plain pl;

	memcpy(&before, v, offsetof(struct sql_verdict, effects));
	set_up(&pl, s->text, s->lx.end, s->opts, s->cat != NULL ? s->cat : s->blind);
	pl.since = start;
	pl.v = v;
	pl.scan = &scan;
	pl.opens = opens;
	pl.modifies = pl.with = pl.single = false;
	pl.high_valid = true;
	p = take_start(&pl, start);
	if (pl.rest == start)
		return false;
	if ((p == NULL || !judge_rest(&pl, p)) && pl.rest == NULL) {
		memcpy(v, &before, offsetof(struct sql_verdict, effects));
		s->together = false;
		return false;
	}
	s->lx.p = pl.rest != NULL ? pl.rest : pl.end;
	scan_next(s);
	return true;
}

/* May there be a comment among the tokens from `p` to `end`? */
static bool may_have_comment(const uint8_t *p, const uint8_t *end)
{
	size_t len = (size_t)(end - p);

	return memchr(p, '-', len) != NULL || memchr(p, '/', len) != NULL;
}

/* Can the filter be asked about each word that follows? */
static bool is_behind_tail(const struct lexer *lx)
{
	const uint8_t *p = plain_skip_blanks(lx->p);

	return (IS_LETTER(*p) ? plain_word_end(p) : p + 2) - lx->text >= PLAIN_TAIL_LEN;
}

bool plain_rest(struct scan *s, bool opened, bool with)
{
	const uint8_t *opens[PLAIN_OPENS_MAX], *first = s->lx.text + s->t.off;
	struct sql_verdict *v = s->v;
	struct sql_verdict before; /* effects stay as they are, and would be noted again */
	struct scan scan;
	struct plain pl;

	if (!is_behind_tail(&s->lx))
		return false;
	memcpy(&before, v, offsetof(struct sql_verdict, effects));
	set_up(&pl, s->text, s->lx.end, s->opts, s->cat != NULL ? s->cat : s->blind);
	pl.start = s->start.p;
	pl.since = may_have_comment(pl.start, first) ? first : pl.start;
	pl.v = v;
	pl.stmt = s->stmt;
	pl.scan = &scan;
	pl.opens = opens;
	pl.modifies = s->modifies;
	pl.with = with;
	pl.single = pl.high_valid = true;
	if (opened)
		plain_open(&pl, first);
	if (!judge_rest(&pl, s->lx.p)) {
		memcpy(v, &before, offsetof(struct sql_verdict, effects));
		return false;
	}
	s->lx.p = pl.end;
	scan_next(s);
	return true;
}
