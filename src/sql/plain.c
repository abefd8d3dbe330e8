#include "sql/plain.h"

/* What a byte is outside of literals; the order matters, see the macros below. */
enum plain_class {
	P_LETTER_MAX = 31, /* a letter is what namefilter knows it by */
	P_DIGIT,
	P_DOLLAR,
	P_SKIP, /* means nothing here: blanks, operators, most punctuation */
	P_OPEN,
	P_CLOSE,
	P_COMMENT, /* may begin one: - and / */
	P_SEMICOLON,
	P_ODD, /* starts no token */
	P_QUOTE,
	P_BACKSLASH, /* matters in strings only */
	P_NUL,
	P_HIGH, /* a byte >= 0x80 */
	P_DQUOTE,
};

#define IS_LETTER(c)   (classes[c] <= P_LETTER_MAX)
#define IS_IN_WORD(c)  (classes[c] <= P_DOLLAR)
#define ENDS_STRING(c) (classes[c] >= P_QUOTE) /* or has to be looked at there */
#define ENDS_QUOTED(c) (classes[c] >= P_NUL)
#define TAIL_LEN       8 /* bytes that namefilter_key reads before a name's end */

_Static_assert(SQL_NAME_MAX == NAMEFILTER_LEN_MAX, "names are cut at the same length");

/* clang-format off */
#define LETTER(c) [c] = NAMEFILTER_FIRST(c), [(c) | 0x20] = NAMEFILTER_FIRST(c)
static const uint8_t classes[256] = {
	[0] = P_NUL, [1 ... 8] = P_ODD, [14 ... 31] = P_ODD, [0x7f] = P_ODD,
	[9 ... 13] = P_SKIP, [' '] = P_SKIP,
	LETTER('A'), LETTER('B'), LETTER('C'), LETTER('D'), LETTER('E'), LETTER('F'), LETTER('G'),
	LETTER('H'), LETTER('I'), LETTER('J'), LETTER('K'), LETTER('L'), LETTER('M'), LETTER('N'),
	LETTER('O'), LETTER('P'), LETTER('Q'), LETTER('R'), LETTER('S'), LETTER('T'), LETTER('U'),
	LETTER('V'), LETTER('W'), LETTER('X'), LETTER('Y'), LETTER('Z'),
	['_'] = NAMEFILTER_FIRST('_'),
	['0' ... '9'] = P_DIGIT, ['$'] = P_DOLLAR,
	['('] = P_OPEN, [')'] = P_CLOSE, ['\''] = P_QUOTE, ['"'] = P_DQUOTE,
	['-'] = P_COMMENT, ['/'] = P_COMMENT, [';'] = P_SEMICOLON,
	[','] = P_SKIP, ['.'] = P_SKIP, [':'] = P_SKIP, ['['] = P_SKIP, [']'] = P_SKIP,
	['~'] = P_SKIP, ['!'] = P_SKIP, ['@'] = P_SKIP, ['#'] = P_SKIP, ['^'] = P_SKIP,
	['&'] = P_SKIP, ['|'] = P_SKIP, ['`'] = P_SKIP, ['?'] = P_SKIP, ['+'] = P_SKIP,
	['*'] = P_SKIP, ['%'] = P_SKIP, ['<'] = P_SKIP, ['>'] = P_SKIP, ['='] = P_SKIP,
	['\\'] = P_BACKSLASH, ['{'] = P_ODD, ['}'] = P_ODD,
	[0x80 ... 0xff] = P_HIGH,
};
/* clang-format on */

struct plain {
	const uint8_t *text;
	const uint8_t *end; /* on the NUL */
	uint32_t opts;
	const struct catalog *cat;
	bool blind;           /* every function that is called may do anything */
	uint32_t depth;       /* of parentheses */
	enum word verb;       /* the statement's */
	bool with;            /* a WITH was met: a verb behind it may be one */
	bool high_valid;      /* the bytes from the first one >= 0x80 on are valid */
	uint16_t n_more;      /* statements behind the first; saturates */
	const uint8_t *start; /* the statement's verb, or the parenthesis before it */
	const uint8_t *locks; /* the first FOR of a FOR UPDATE or its kin, or NULL */
};

static inline const uint8_t *word_end(const uint8_t *p)
{
	while (IS_IN_WORD(p[0])) {
		if (!IS_IN_WORD(p[1]))
			return p + 1;
		if (!IS_IN_WORD(p[2]))
			return p + 2;
		if (!IS_IN_WORD(p[3]))
			return p + 3;
		p += 4;
	}
	return p;
}

static const uint8_t *skip_blanks(const uint8_t *p)
{
	while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
		p++;
	return p;
}

bool plain_minds(enum word w)
{
	switch ((int)w) {
	case WORD_INSERT:
	case WORD_UPDATE:
	case WORD_DELETE:
	case WORD_MERGE:
	case WORD_WITH:
	case WORD_FOR:
	case WORD_INTO:
	case WORD_CURRENT:
	case WORD_DEFAULT:
	case WORD_PG_PREPARED_STATEMENTS:
		return true;
	default:
		return false;
	}
}

static bool modifies(const struct plain *pl)
{
	return pl->verb == WORD_INSERT || pl->verb == WORD_UPDATE || pl->verb == WORD_DELETE;
}

/* A reserved word is a name only behind a dot. May one be before `p`? */
static bool is_behind_dot(const uint8_t *p)
{
	while (*--p == ' ') {
	}
	return *p == '.' || *p == '/' || (*p >= '\t' && *p <= '\r');
}

static uint64_t hash_of(const uint8_t *p, const uint8_t *end)
{
	uint64_t h = WORD_HASH_SEED;

	for (; p < end; p++)
		h = word_hash_step(h, *p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
	return h;
}

/* The word behind blanks at `p`; NOT_A_WORD: none that is known. A comment may hide it. */
static enum word word_behind(const uint8_t *p, bool *hidden)
{
	p = skip_blanks(p);
	*hidden = classes[*p] == P_COMMENT;
	return IS_LETTER(*p) ? word_find(hash_of(p, word_end(p))) : NOT_A_WORD;
}

/* FOR at `p`, which ends at `end`: only what locks rows matters, outside of substring(x for
 * update).
 */
static bool judge_for(struct plain *pl, const uint8_t *p, const uint8_t *end)
{
	bool hidden;
	enum word next = word_behind(end, &hidden);

	if (hidden || is_behind_dot(p))
		return false;
	if (next != WORD_UPDATE && next != WORD_SHARE && next != WORD_NO && next != WORD_KEY)
		return true;
	if (pl->locks == NULL)
		pl->locks = p;
	return pl->depth == 0;
}

/* CURRENT, which ends at `end`: only CURRENT OF matters. */
static bool judge_current(const uint8_t *end)
{
	bool hidden;
	enum word next = word_behind(end, &hidden);

	return !hidden && next != WORD_OF;
}

/* Does nothing turn at this word, from `p` to `end`? */
static bool word_is_harmless(struct plain *pl, enum word w, const uint8_t *p, const uint8_t *end)
{
	switch ((int)w) {
	case WORD_INSERT:
	case WORD_UPDATE:
	case WORD_DELETE:
	case WORD_MERGE:
		return !pl->with;
	case WORD_WITH:
		pl->with = true;
		return true;
	case WORD_FOR:
		return judge_for(pl, p, end);
	case WORD_CURRENT:
		return judge_current(end);
	case WORD_INTO:
	case WORD_PG_PREPARED_STATEMENTS:
		return false;
	case WORD_DEFAULT: /* may be that of a column, and advance a sequence */
		return !modifies(pl) || pl->verb == WORD_INSERT;
	default:
		return true;
	}
}

/* Is it plain to see that no parenthesis follows the name that ends before `p`? */
static bool is_not_called(const uint8_t *p)
{
	while (*p == ' ')
		p++;
	return classes[*p] != P_OPEN && classes[*p] != P_COMMENT && !(*p >= '\t' && *p <= '\r');
}

/* Bits of the catalog that are not for a name which is not called. */
static bool bits_are_harmless(const struct plain *pl, uint32_t bits, const uint8_t *after)
{
	uint32_t of_calls = CATALOG_FUNCTION | CATALOG_CODE | CATALOG_SPECIAL;

	if (pl->blind) /* a call is seen at its parenthesis */
		return true;
	if (!modifies(pl))
		bits &= ~CATALOG_ADVANCES;
	return bits == 0 || ((bits & ~of_calls) == 0 && is_not_called(after));
}

static bool is_key_word(enum word w, const uint8_t *p)
{
	return word_category(w) == WORD_R && !is_behind_dot(p);
}

/* The filter has the word, or one like it: look closer. */
static __attribute__((noinline)) bool judge_word(
	struct plain *pl, const uint8_t *p, const uint8_t *end)
{
	uint64_t h = hash_of(p, end);
	enum word w = word_find(h);

	return word_is_harmless(pl, w, p, end) &&
	       (is_key_word(w, p) || bits_are_harmless(pl, catalog_find(pl->cat, h), end));
}

/* The same of a name in quotes, which end at `end`. */
static bool judge_quoted(const struct plain *pl, const uint8_t *p, const uint8_t *end)
{
	uint64_t h = word_hash((const char *)p, (size_t)(end - p));

	return bits_are_harmless(pl, catalog_find(pl->cat, h), end + 1);
}

/* From here on a NULL says: not plain. */

/* Behind all from `p` on that means nothing: such bytes, and words that the filter does not have.
 */
static __attribute__((noinline)) const uint8_t *skip_unknown(
	const struct namefilter *filter, const uint8_t *p)
{
	const uint8_t *end;

	for (;; p = end) {
		while (classes[*p] == P_SKIP)
			p++;
		if (!IS_LETTER(*p))
			return p;
		end = word_end(p + 1);
		if (namefilter_may_have(filter, classes[*p], end, (size_t)(end - p)))
			return p;
	}
}

/* Behind the word at `p`, which the filter has, or one like it. */
static const uint8_t *take_known(struct plain *pl, const uint8_t *p)
{
	const uint8_t *end = word_end(p + 1);

	return (size_t)(end - p) <= SQL_NAME_MAX && judge_word(pl, p, end) ? end : NULL;
}

/* Behind the digits at `p`: 1e5, 0x1f, 1_000 and 1for are left to the lexer. */
static inline const uint8_t *take_digits(const uint8_t *p)
{
	while (classes[*p] == P_DIGIT)
		p++;
	return IS_IN_WORD(*p) ? NULL : p;
}

/* Behind $1; dollar quotes are left to the lexer. */
static const uint8_t *take_parameter(const uint8_t *p)
{
	return classes[p[1]] == P_DIGIT ? take_digits(p + 1) : NULL;
}

/* The bytes >= 0x80 of a literal: checked once, for all that follow. */
static bool is_valid_from(struct plain *pl, const uint8_t *p)
{
	if (!pl->high_valid)
		pl->high_valid = lexer_inspect((const char *)p, (size_t)(pl->end - p),
					 (pl->opts & SQL_ENC_UTF8) != 0) != TEXT_BAD;
	return pl->high_valid;
}

/*
 * Behind the string at `p`, without prefix. One with a '' in it is two strings to us, as is one
 * that goes on behind a newline.
 */
static const uint8_t *take_string(struct plain *pl, const uint8_t *p)
{
	if (IS_IN_WORD(p[-1]) || p[-1] == '&')
		return NULL;
	for (p++;; p++) {
		while (!ENDS_STRING(*p) && !ENDS_STRING(*++p))
			p++;
		switch ((enum plain_class)classes[*p]) {
		case P_QUOTE:
			return p + 1;
		case P_NUL:
			return NULL;
		case P_BACKSLASH:
			if ((pl->opts & SQL_STD_STRINGS) == 0)
				return NULL;
			break;
		case P_HIGH:
			if (!is_valid_from(pl, p))
				return NULL;
			break;
		default:
			break;
		}
	}
}

/* Behind the quoted name at `p`. */
static inline const uint8_t *take_quoted(struct plain *pl, const uint8_t *p)
{
	const uint8_t *end = word_end(p + 1); /* most are words */
	size_t len;

	if (p[-1] == '&')
		return NULL;
	while (!ENDS_QUOTED(*end))
		end++;
	len = (size_t)(end - p) - 1;
	if (*end != '"' || end[1] == '"' || len - 1 > SQL_NAME_MAX - 3 || end - pl->text < TAIL_LEN)
		return NULL;
	if (!namefilter_may_have(&pl->cat->filter, NAMEFILTER_FIRST(p[1]), end, len) ||
		judge_quoted(pl, p + 1, end))
		return end + 1;
	return NULL;
}

/* Behind the comment at `p`, or behind the operator's character that it is; nested ones are left.
 */
static const uint8_t *take_comment(const uint8_t *p)
{
	if (p[0] == '-' && p[1] == '-') {
		while (*p != '\n' && *p != '\r' && *p != '\0' && classes[*p] != P_HIGH)
			p++;
		return p; /* what it ended at is looked at next */
	}
	if (p[0] != '/' || p[1] != '*')
		return p + 1;
	for (p += 2;; p++) {
		while (classes[*p] < P_COMMENT && *p != '*')
			p++;
		if (p[0] == '*' && p[1] == '/')
			return p + 2;
		if (classes[*p] == P_NUL || classes[*p] == P_HIGH || (p[0] == '/' && p[1] == '*'))
			return NULL;
	}
}

/* May what stands before the parenthesis at `p` be a function's name? */
static __attribute__((noinline)) bool may_be_call(const struct plain *pl, const uint8_t *p)
{
	const uint8_t *end;
	enum word w;

	do
		p--;
	while (p > pl->text && (*p == ' ' || (*p >= '\t' && *p <= '\r')));
	if (!IS_IN_WORD(*p)) /* a comment may hide it */
		return *p == '"' || *p == '/' || *p == '-';
	for (end = p + 1; p > pl->text && IS_IN_WORD(p[-1]);)
		p--;
	w = word_find(hash_of(p, end));
	return p == pl->text || is_behind_dot(p) ||
	       (word_category(w) != WORD_C && word_category(w) != WORD_R);
}

/* Behind the word at `p` if it is that: `low` has its n letters in lower case, n below 8. */
static inline const uint8_t *behind(
	const struct plain *pl, const uint8_t *p, uint64_t low, unsigned n)
{
	uint64_t eight;

	if (pl->end - p < (ptrdiff_t)sizeof eight)
		return NULL;
	memcpy(&eight, p, sizeof eight);
	eight = (le64toh(eight) | 0x2020202020202020u) << (64 - 8 * n);
	return eight == low << (64 - 8 * n) && !IS_IN_WORD(p[n]) ? p + n : NULL;
}

#define LETTERS_4(a, b, c, d) \
	((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24)
#define LETTERS_6(a, b, c, d, e, f) \
	(LETTERS_4(a, b, c, d) | (uint64_t)(e) << 32 | (uint64_t)(f) << 40)

/*
 * Behind WITH and its first name, which take_word cannot take where the text has begun only just
 * before it.
 */
static const uint8_t *take_with(struct plain *pl, const uint8_t *p)
{
	const uint8_t *end;

	pl->with = true;
	p = behind(pl, p, LETTERS_4('w', 'i', 't', 'h'), 4);
	if (p == NULL)
		return NULL;
	p = skip_blanks(p);
	end = word_end(p);
	if (end - pl->text >= TAIL_LEN)
		return p;
	return IS_LETTER(*p) && judge_word(pl, p, end) ? end : NULL;
}

static const uint8_t *take_insert(const struct plain *pl, const uint8_t *p)
{
	p = behind(pl, p, LETTERS_6('i', 'n', 's', 'e', 'r', 't'), 6);
	return p == NULL ? NULL : behind(pl, skip_blanks(p), LETTERS_4('i', 'n', 't', 'o'), 4);
}

/* Behind the verb at `p`, or the INTO of an INSERT. */
static inline const uint8_t *take_verb(struct plain *pl, const uint8_t *p)
{
	switch (*p | 0x20) {
	case 's':
		pl->verb = WORD_SELECT;
		return behind(pl, p, LETTERS_6('s', 'e', 'l', 'e', 'c', 't'), 6);
	case 'u':
		pl->verb = WORD_UPDATE;
		return behind(pl, p, LETTERS_6('u', 'p', 'd', 'a', 't', 'e'), 6);
	case 'd':
		pl->verb = WORD_DELETE;
		return behind(pl, p, LETTERS_6('d', 'e', 'l', 'e', 't', 'e'), 6);
	case 'w':
		pl->verb = WORD_WITH;
		return take_with(pl, p);
	case 'i':
		pl->verb = WORD_INSERT;
		return take_insert(pl, p);
	default:
		return NULL;
	}
}

/* At the first token from `p` on that is no comment. */
static const uint8_t *skip_comments(const uint8_t *p)
{
	for (;;) {
		p = skip_blanks(p);
		if ((p[0] != '-' || p[1] != '-') && (p[0] != '/' || p[1] != '*'))
			return p;
		p = take_comment(p);
		if (p == NULL)
			return NULL;
	}
}

/* Behind the verb of a statement that begins with comments, or with a parenthesis: SELECT. */
static COLD const uint8_t *take_odd_start(struct plain *pl, const uint8_t *p)
{
	p = skip_comments(p);
	if (p == NULL)
		return NULL;
	pl->start = p;
	if (*p != '(')
		return take_verb(pl, p);
	for (; *p == '('; p = skip_blanks(p + 1))
		pl->depth++;
	p = take_verb(pl, p);
	return pl->verb == WORD_SELECT ? p : NULL;
}

/* Behind the verb of the statement that begins at `p`, or the INTO of an INSERT. */
static inline const uint8_t *take_start(struct plain *pl, const uint8_t *p)
{
	pl->start = p;
	return IS_LETTER(*p) ? take_verb(pl, p) : take_odd_start(pl, p);
}

/* Behind the semicolon at `p` and the verb that follows it: several statements have to be reads. */
static COLD const uint8_t *take_semicolon(struct plain *pl, const uint8_t *p)
{
	if (pl->depth != 0)
		return NULL;
	p = skip_comments(p + 1);
	if (p == NULL || p == pl->end)
		return p;
	if (modifies(pl))
		return NULL;
	pl->with = false;
	if (pl->n_more < UINT16_MAX - 1)
		pl->n_more++;
	p = take_start(pl, p);
	return modifies(pl) ? NULL : p;
}

/* Behind what stands at `p`, which is no quoted name. */
static inline const uint8_t *take_next(struct plain *pl, const uint8_t *p)
{
	switch (classes[*p]) {
	case 0 ... P_LETTER_MAX:
		return take_known(pl, p);
	case P_OPEN:
		if (pl->blind && may_be_call(pl, p))
			return NULL;
		pl->depth++;
		return p + 1;
	case P_CLOSE:
		return pl->depth-- > 0 ? p + 1 : NULL;
	case P_QUOTE:
		return take_string(pl, p);
	case P_DIGIT:
		return take_digits(p);
	case P_DOLLAR:
		return take_parameter(p);
	case P_COMMENT:
		if (pl->blind && p[0] == '-' && p[1] == '-') /* may_be_call cannot look behind it */
			return NULL;
		return take_comment(p);
	case P_SEMICOLON:
		return take_semicolon(pl, p);
	default: /* begins nothing that is plain */
		return NULL;
	}
}

/* Is everything from `p` on harmless? */
static bool judge_rest(struct plain *pl, const uint8_t *p)
{
	do {
		p = skip_unknown(&pl->cat->filter, p);
		if (p == pl->end)
			return pl->depth == 0;
		p = *p == '"' ? take_quoted(pl, p) : take_next(pl, p);
	} while (p != NULL);
	return false;
}

static void write_verdict(const struct plain *pl, struct sql_verdict *out)
{
	memset(out, 0, offsetof(struct sql_verdict, effects));
	out->n_stmts = (uint16_t)(pl->n_more + 1u);
	if (!modifies(pl) && pl->locks != NULL) {
		out->cls = SQL_WRITE;
		out->cause = CAUSE_LOCKING;
		out->at = (struct sql_view){.off = (uint32_t)(pl->locks - pl->text), .len = 3};
		return;
	}
	if (!modifies(pl) && pl->blind) {
		out->cls = SQL_READ;
		out->cause = CAUSE_NO_CATALOG;
		out->at = (struct sql_view){.off = (uint32_t)(pl->end - pl->text)};
		return;
	}
	if (!modifies(pl)) {
		out->cls = SQL_READ;
		out->flags = SQLV_REPLICA;
		return;
	}
	out->cls = SQL_WRITE;
	out->cause = CAUSE_VERB;
	out->at = (struct sql_view){.off = (uint32_t)(pl->start - pl->text), .len = 6};
	if (pl->verb == WORD_INSERT || pl->blind)
		out->flags = SQLV_MAY_ADVANCE;
}

bool plain_judge(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out)
{
	struct plain pl = {.text = (const uint8_t *)sql,
		.end = (const uint8_t *)sql + len,
		.opts = opts,
		.cat = cat};
	const uint8_t *p;

	if (cat == NULL || !catalog_is_plain(cat) || (opts & SQL_ENC_UNSAFE) != 0 ||
		len > SQL_LEN_MAX)
		return false;
	pl.blind = catalog_is_blind(cat);
	p = take_start(&pl, skip_blanks(pl.text));
	if (p == NULL || !judge_rest(&pl, p))
		return false;
	write_verdict(&pl, out);
	return true;
}
