/*
 * What words and names mean, for plain.c. Tokens before one are found by looking back: the bytes
 * from the last comment on are known to be tokens, so that most can be told by how they end.
 */
#include "sql/plain.h"
#include "sql/plain_text.h"
#include "sql/walk.h"

/* What a word does that may turn the walk. */
enum turn {
	TURN_NONE,
	TURN_VERB, /* INSERT, UPDATE, DELETE, MERGE */
	TURN_WITH,
	TURN_CYCLE,
	TURN_FOR,
	TURN_INTO,
	TURN_CURRENT,
	TURN_DEFAULT,
	TURN_STATEMENTS,
};

static const uint8_t turns[WORD_COUNT] = {
	[WORD_INSERT] = TURN_VERB,
	[WORD_UPDATE] = TURN_VERB,
	[WORD_DELETE] = TURN_VERB,
	[WORD_MERGE] = TURN_VERB,
	[WORD_WITH] = TURN_WITH,
	[WORD_SEARCH] = TURN_CYCLE,
	[WORD_CYCLE] = TURN_CYCLE,
	[WORD_FOR] = TURN_FOR,
	[WORD_INTO] = TURN_INTO,
	[WORD_CURRENT] = TURN_CURRENT,
	[WORD_DEFAULT] = TURN_DEFAULT,
	[WORD_PG_PREPARED_STATEMENTS] = TURN_STATEMENTS,
};

bool plain_minds(enum word w)
{
	return turns[w] != TURN_NONE;
}

uint64_t plain_hash(const uint8_t *p, const uint8_t *end)
{
	uint64_t h = WORD_HASH_SEED;

	for (; p < end; p++)
		h = word_hash_step(h, lexer_folded[*p]);
	return h;
}

/* Up to eight letters in lower case, with blanks behind them, as eight_of() has them. */
#define FOUR(a, b, c, d) \
	((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24)
#define EIGHT(a, b, c, d, e, f) (FOUR(a, b, c, d) | FOUR(e, f, ' ', ' ') << 32)

static uint64_t eight_of(const uint8_t *p, const uint8_t *end)
{
	return namefilter_tail(end, (size_t)(end - p)) | 0x2020202020202020u;
}

/* The same as word_find(plain_hash()) in less time, of the words that are met most. */
static enum word find_word(const struct plain *pl, const uint8_t *p, const uint8_t *end)
{
	if (end - p > 6 || end - pl->text < (ptrdiff_t)sizeof(uint64_t))
		return word_find(plain_hash(p, end));
	switch (eight_of(p, end)) {
	case EIGHT('s', 'e', 'l', 'e', 'c', 't'):
		return WORD_SELECT;
	case EIGHT('f', 'o', 'r', ' ', ' ', ' '):
		return WORD_FOR;
	case EIGHT('u', 'p', 'd', 'a', 't', 'e'):
		return WORD_UPDATE;
	case EIGHT('i', 'n', 's', 'e', 'r', 't'):
		return WORD_INSERT;
	case EIGHT('d', 'e', 'l', 'e', 't', 'e'):
		return WORD_DELETE;
	case EIGHT('i', 'n', 't', 'o', ' ', ' '):
		return WORD_INTO;
	case EIGHT('w', 'i', 't', 'h', ' ', ' '):
		return WORD_WITH;
	case EIGHT('f', 'r', 'o', 'm', ' ', ' '):
		return WORD_FROM;
	case EIGHT('a', 's', ' ', ' ', ' ', ' '):
		return WORD_AS;
	case EIGHT('n', 'o', ' ', ' ', ' ', ' '):
		return WORD_NO;
	case EIGHT('s', 'h', 'a', 'r', 'e', ' '):
		return WORD_SHARE;
	default:
		return word_find(plain_hash(p, end));
	}
}

/* The word behind blanks at `p`; NOT_A_WORD: none that is known. A comment may hide it. */
static enum word word_behind(const struct plain *pl, const uint8_t *p, bool *hidden)
{
	const uint8_t *end;

	p = plain_skip_blanks(p);
	*hidden = plain_classes[*p] == P_COMMENT;
	if (!IS_LETTER(*p))
		return NOT_A_WORD;
	end = plain_word_end(p);
	return GOES_ON(*end) ? NOT_A_WORD : find_word(pl, p, end);
}

/* The token before another. */
struct before {
	const uint8_t *p; /* where it begins; of one that is neither word nor name: its last byte */
	uint8_t kind;     /* TOKEN_WORD, TOKEN_QUOTED; TOKEN_PUNCT: whatever else */
	uint8_t c;        /* its last byte, if it is neither word nor name */
	enum word word;
};

static bool find_name_before(const struct plain *pl, const uint8_t *p, struct before *b)
{
	while (*--p != '"')
		if (p <= pl->since)
			return false;
	*b = (struct before){.p = p, .kind = TOKEN_QUOTED};
	return p > pl->since && p[-1] != '"' && p[-1] != '&';
}

/* May the dot before `p` be the end of a number, as in 1.e5? */
static bool is_behind_number(const struct plain *pl, const uint8_t *p)
{
	const uint8_t *q = p - 2;

	if (p - pl->since < 2 || p[-1] != '.' || plain_classes[*q] != P_DIGIT)
		return false;
	while (q > pl->since && GOES_ON(q[-1]))
		q--;
	return plain_classes[*q] == P_DIGIT || (q > pl->since && q[-1] == '.');
}

/* The last byte of the token before `p`, where one begins. NULL: a comment hides it. */
static inline const uint8_t *byte_before(const struct plain *pl, const uint8_t *p)
{
	do
		if (p-- == pl->since)
			return NULL;
	while (plain_is_blank(*p));
	return p;
}

static bool find_word_before(const struct plain *pl, const uint8_t *p, struct before *b)
{
	const uint8_t *end = p + 1;

	if (*p == '$') /* of a word, or of a literal */
		return false;
	while (p > pl->since && GOES_ON(p[-1]))
		p--;
	*b = (struct before){.p = p, .kind = TOKEN_PUNCT};
	if (plain_classes[*p] == P_DIGIT || *p == '$')
		return true;
	b->kind = TOKEN_WORD;
	b->word = word_find(plain_hash(p, end));
	if ((b->word == WORD_AS || b->word == WORD_INSERT || b->word == WORD_MERGE) &&
		p != pl->start) {
		const uint8_t *dot = byte_before(pl, p);

		if (dot == NULL)
			return false;
		if (*dot == '.')
			b->word = NOT_A_WORD;
	}
	return !is_behind_number(pl, p); /* 1.e5 */
}

/* Is the token that ends with a dot, at `p`, a dot? Not 1. or .. */
static bool is_dot(const struct plain *pl, const uint8_t *p)
{
	return p > pl->since && p[-1] != '.' && !is_behind_number(pl, p + 1);
}

/* The token before `p`, where one begins. False: a comment hides it, or it may be several things.
 */
static bool find_before(const struct plain *pl, const uint8_t *p, struct before *b)
{
	p = byte_before(pl, p);
	if (p == NULL)
		return false;
	if (GOES_ON(*p))
		return find_word_before(pl, p, b);
	if (*p == '"')
		return find_name_before(pl, p, b);
	*b = (struct before){.p = p, .kind = TOKEN_PUNCT, .c = *p};
	return *p != '.' || is_dot(pl, p);
}

#define LOOK_BACK_MAX 24u /* tokens, for the word that tells whether relations follow */

/* Can the tokens before one that ends with `c`, and is no word, be told? */
static bool can_go_back_over(uint8_t c)
{
	return c != '\'' && c != ')';
}

/*
 * The last word before a name that tells whether relations follow, from the token `b` before it on.
 * False: not plain to see.
 */
static bool find_from(const struct plain *pl, struct before b, bool *out)
{
	if (pl->depth > PLAIN_OPENS_MAX)
		return false;
	for (unsigned i = 0; i < LOOK_BACK_MAX; i++) {
		struct before last = {.p = NULL};
		enum walk_from says = walk_from_of(b.word);

		if (b.p != pl->start && !find_before(pl, b.p, &last))
			return false;
		if (b.word == WORD_GROUP && last.c != '.') { /* WITHIN GROUP (…) says nothing */
			bool hidden;

			if (word_behind(pl, b.p + 5, &hidden) != WORD_BY)
				says = WALK_FROM_SAME;
			if (hidden)
				return false;
		}
		if (says != WALK_FROM_SAME && last.c != '.') {
			*out = says == WALK_FROM_YES;
			return true;
		}
		if (last.p == NULL || (b.kind == TOKEN_PUNCT && !can_go_back_over(b.c)))
			return false;
		b = last;
	}
	return false;
}

/* A name after a name, a closing parenthesis or AS is an alias or a type. */
static bool is_no_relation(const struct before *b)
{
	return b->kind == TOKEN_QUOTED || b->c == ')' ||
	       (b->kind == TOKEN_WORD && (b->word == NOT_A_WORD || b->word == WORD_AS));
}

/* The scan stands on the name `t`, with this token before it; its lexer is behind it. */
static void move_scan(struct plain *pl, const struct token *t, const struct before *b)
{
	struct scan *s = pl->scan;

	if (!pl->noted)
		scan_init(s, (const char *)pl->text, pl->opts, pl->cat, pl->v);
	if (!pl->noted || s->start.p != pl->start) {
		s->stmt = pl->stmt;
		s->only_sets = ONLY_SETS_UNKNOWN;
		s->start = (struct lexer){
			.text = pl->text, .p = pl->start, .end = pl->end, .opts = pl->opts};
	}
	pl->noted = true;
	s->lx = s->start;
	s->lx.p = pl->text + t->off + t->len;
	s->modifies = pl->modifies;
	s->prev.kind = b->kind;
	s->prev.c = b->c;
	s->prev.word = (uint16_t)b->word;
	s->t = *t;
}

/* The word or the quoted name from `p` to `end`, of that hash. */
static struct token token_of(
	const struct plain *pl, const uint8_t *p, const uint8_t *end, uint64_t hash)
{
	return (struct token){.kind = *p == '"' ? TOKEN_QUOTED : TOKEN_WORD,
		.word = *p == '"' ? NOT_A_WORD : (uint16_t)word_find(hash),
		.off = (uint32_t)(p - pl->text),
		.len = (uint32_t)(end - p),
		.hash = hash};
}

/* Would it change nothing to read a relation of these bits? */
static bool is_of_no_account(const struct plain *pl, uint32_t bits)
{
	uint32_t flags = SQLV_BODY | SQLV_MAY_ADVANCE;

	return pl->v->cause != CAUSE_NONE &&
	       ((bits & CATALOG_CODE) == 0 ||
		       ((pl->v->flags & flags) == flags && pl->v->cls >= SQL_WRITE));
}

/* Is it plain to see that a dot follows the name that ends before `p`? */
static bool is_qualifier(const uint8_t *p)
{
	return p[0] == '.' && p[1] != '.' && plain_classes[p[1]] != P_DIGIT;
}

/* The same of a parenthesis, which does not follow. */
static bool is_not_called(const uint8_t *p)
{
	while (*p == ' ')
		p++;
	return plain_classes[*p] != P_OPEN && plain_classes[*p] != P_COMMENT &&
	       !(*p >= '\t' && *p <= '\r');
}

/*
 * The catalog has these bits for the name from `p` to `end`: they are judged where it stands.
 * False: whether it is a relation is not plain to see.
 */
static bool judge_known(
	struct plain *pl, const uint8_t *p, const uint8_t *end, uint64_t hash, uint32_t bits)
{
	uint32_t behind_something = CATALOG_ATTRIBUTE | CATALOG_RELATION;
	struct token t = token_of(pl, p, end, hash);
	struct before b = {.kind = TOKEN_PUNCT};
	bool relation = false;

	if ((bits & behind_something) != 0 && !find_before(pl, p, &b))
		return false;
	if (walk_from_of((enum word)t.word) != WALK_FROM_SAME) /* the walk takes JOIN for both */
		return false;
	if ((bits & CATALOG_RELATION) != 0 && !is_qualifier(end) && !is_no_relation(&b) &&
		!find_from(pl, b, &relation) && !is_of_no_account(pl, bits))
		return false;
	move_scan(pl, &t, &b);
	walk_known_name(pl->scan, relation, hash, bits);
	return true;
}

/*
 * The name before the parenthesis at `end` is that of a function and nothing else: what judge_known
 * would note, in less time. False: it may be more, or its call has effects of its own.
 */
static bool judge_function(
	struct plain *pl, const uint8_t *p, const uint8_t *end, uint64_t hash, uint32_t bits)
{
	bool sequence =
		bits == (CATALOG_FUNCTION | CATALOG_SPECIAL) && hash == word_hashes[WORD_NEXTVAL];

	if (!sequence && (bits & ~(CATALOG_FUNCTION | CATALOG_CODE)) != 0)
		return false;
	plain_object(pl, sequence ? CAUSE_SEQUENCE : CAUSE_FUNCTION, p, (size_t)(end - p));
	plain_raise(pl, SQL_WRITE);
	if (sequence)
		pl->v->flags |= SQLV_MAY_ADVANCE;
	if ((bits & CATALOG_CODE) != 0)
		pl->v->flags |= SQLV_BODY | SQLV_MAY_ADVANCE;
	return true;
}

/* The name from `p` to `end`, of that hash. A function is one only where it is called. */
bool plain_name(struct plain *pl, const uint8_t *p, const uint8_t *end, uint64_t hash)
{
	uint32_t of_calls = CATALOG_FUNCTION | CATALOG_CODE | CATALOG_SPECIAL | CATALOG_SETS |
			    CATALOG_SETS_CUSTOM;
	uint32_t bits;

	bits = pl->blind ? CATALOG_SPECIAL : catalog_find(pl->cat, hash);
	if ((bits & CATALOG_SPECIAL) != 0 && word_find(hash) == WORD_PG_PREPARED_STATEMENTS)
		return false; /* it is minded where it is not called, too */
	if (pl->blind)        /* a call is seen at its parenthesis */
		return true;
	if (bits != 0 && is_behind_number(pl, p))
		return false;
	if ((bits & CATALOG_ADVANCES) != 0 && pl->modifies)
		pl->v->flags |= SQLV_MAY_ADVANCE;
	bits &= ~CATALOG_ADVANCES;
	if (bits == 0 || ((bits & ~of_calls) == 0 && is_not_called(end)))
		return true;
	if (*end == '(' && judge_function(pl, p, end, hash, bits))
		return true;
	return judge_known(pl, p, end, hash, bits);
}

/* Are the innermost parentheses those of substring() or overlay()? False: not plain to see. */
static bool find_trim(const struct plain *pl, bool *out)
{
	const uint8_t *open, *last;
	struct before b;

	if (pl->depth > PLAIN_OPENS_MAX)
		return false;
	open = pl->opens[pl->depth - 1];
	if (open <= pl->since)
		return false;
	last = byte_before(pl, open);
	if (last != NULL && (*last | 0x20) != 'g' && (*last | 0x20) != 'y') { /* as they end */
		*out = false;
		return true;
	}
	if (last == NULL || !find_before(pl, open, &b))
		return false;
	*out = b.word == WORD_SUBSTRING || b.word == WORD_OVERLAY;
	return true;
}

/* FOR at `p`, which ends at `end`: only what locks rows matters, outside of substring(x for
 * update).
 */
static bool judge_for(struct plain *pl, const uint8_t *p, const uint8_t *end)
{
	bool hidden, trim = false;
	enum word next = word_behind(pl, end, &hidden);

	if (hidden)
		return false;
	if (next != WORD_UPDATE && next != WORD_SHARE && next != WORD_NO && next != WORD_KEY)
		return true;
	if (pl->depth != 0 && !find_trim(pl, &trim))
		return pl->v->cause != CAUSE_NONE && pl->v->cls >= SQL_WRITE;
	if (trim)
		return true;
	plain_object(pl, CAUSE_LOCKING, p, 3);
	plain_raise(pl, SQL_WRITE);
	return true;
}

/* CURRENT, which ends at `end`: only CURRENT OF matters. */
static bool judge_current(struct plain *pl, const uint8_t *end)
{
	bool hidden;
	enum word next = word_behind(pl, end, &hidden);

	if (next == WORD_OF)
		pl->v->flags |= SQLV_USES_CURSOR;
	return !hidden;
}

/* INSERT, UPDATE, DELETE or MERGE inside a statement, from `p` to `end`. */
static bool judge_verb(struct plain *pl, enum word w, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *before = byte_before(pl, p);

	if (!pl->with)
		return true;
	if (before == NULL)
		return false;
	if (!pl->loose && *before != '(' && *before != ')')
		return true;
	plain_object(pl, CAUSE_CTE_WRITE, p, (size_t)(end - p));
	plain_raise(pl, SQL_WRITE);
	pl->modifies = true;
	if (w == WORD_INSERT || w == WORD_MERGE)
		pl->v->flags |= SQLV_MAY_ADVANCE;
	return true;
}

/* INTO from `p` to `end`: that of an INSERT means nothing. */
static bool judge_into(struct plain *pl, const uint8_t *p, const uint8_t *end)
{
	struct token t;
	struct before b;

	if (pl->blind || !find_before(pl, p, &b))
		return false;
	if (b.kind == TOKEN_WORD &&
		(b.word == WORD_AS ||
			(pl->modifies && (b.word == WORD_INSERT || b.word == WORD_MERGE))))
		return true;
	t = token_of(pl, p, end, plain_hash(p, end));
	move_scan(pl, &t, &b);
	walk_known_into(pl->scan);
	return true;
}

/*
 * What a word that may turn the walk does, from `p` to `end`, where it is no name. False: not plain
 * to see.
 */
static bool judge_turn(struct plain *pl, enum word w, const uint8_t *p, const uint8_t *end)
{
	switch ((enum turn)turns[w]) {
	case TURN_NONE:
		break;
	case TURN_VERB:
		return judge_verb(pl, w, p, end);
	case TURN_WITH:
		pl->with = true;
		break;
	case TURN_CYCLE:
		pl->loose = pl->loose || *byte_before(pl, p) == ')';
		break;
	case TURN_FOR:
		return judge_for(pl, p, end);
	case TURN_INTO:
		return judge_into(pl, p, end);
	case TURN_CURRENT:
		return judge_current(pl, end);
	case TURN_DEFAULT: /* may be that of a column, and advance a sequence */
		pl->v->flags |= pl->modifies ? SQLV_MAY_ADVANCE : 0;
		break;
	case TURN_STATEMENTS:
		return false;
	}
	return true;
}

/* The filter has the word, or one like it: look closer. */
bool plain_word(struct plain *pl, const uint8_t *p, const uint8_t *end)
{
	enum word w = find_word(pl, p, end);
	uint64_t h = w != NOT_A_WORD ? word_hashes[w] : plain_hash(p, end);
	const uint8_t *before;

	if (turns[w] == TURN_NONE && catalog_find(pl->cat, h) == 0)
		return true;
	if (w == NOT_A_WORD)
		return plain_name(pl, p, end, h);
	before = byte_before(pl, p);
	if (before == NULL || (*before == '.' && !is_dot(pl, before)))
		return false;
	if (*before != '.') { /* behind it every word is a name */
		if (!judge_turn(pl, w, p, end))
			return false;
		if (word_category(w) == WORD_R)
			return true;
	}
	return plain_name(pl, p, end, h);
}

/*
 * Does the name at `p`, behind `b` and before the first parenthesis, stand behind the INTO of an
 * INSERT: is it the table? False with *out unset: that is not plain to see.
 */
static bool find_target(const struct plain *pl, const uint8_t *p, struct before b, bool *out)
{
	*out = false;
	if (b.c != '.' || pl->verb != WORD_INSERT || pl->opened)
		return true;
	while (b.c == '.') {
		if (!find_before(pl, b.p, &b) || b.kind == TOKEN_PUNCT ||
			word_category(b.word) == WORD_R)
			return false;
		p = b.p;
		if (p == plain_skip_blanks(pl->body)) {
			*out = true;
			return true;
		}
		if (!find_before(pl, p, &b))
			return false;
	}
	return false;
}

/* No catalog tells what stands before the parenthesis at `p`: is it called? False: not plain. */
bool plain_call(struct plain *pl, const uint8_t *p)
{
	struct before name, b;
	struct lexer lx;
	struct token t;
	bool target;

	if (!find_before(pl, p, &name))
		return false;
	if (name.kind == TOKEN_PUNCT)
		return true;
	if (name.p == pl->start &&
		(word_category(name.word) == WORD_C || word_category(name.word) == WORD_R))
		return true;
	if (!find_before(pl, name.p, &b) || !find_target(pl, name.p, b, &target))
		return false;
	if (name.kind == TOKEN_WORD && b.c != '.' &&
		(word_category(name.word) == WORD_C || word_category(name.word) == WORD_R))
		return true;
	if (b.c == ')') /* what it closes tells */
		return false;
	lx = (struct lexer){.text = pl->text, .p = name.p, .end = pl->end, .opts = pl->opts};
	lexer_next(&lx, &t);
	if (t.len > SQL_NAME_MAX || lexer_inspect((const char *)name.p, t.len, false) != TEXT_ASCII)
		return false;
	move_scan(pl, &t, &b);
	walk_unknown_call(pl->scan, target);
	return true;
}
