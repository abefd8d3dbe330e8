/*
 * How a statement begins, for plain.c. NULL of each: not plainly, or with another verb.
 */
#include "sql/plain_text.h"

/* Behind the word at `p` if it is that: `low` has its n letters in lower case, n below 8. */
static inline const uint8_t *behind(
	const struct plain *pl, const uint8_t *p, uint64_t low, unsigned n)
{
	uint64_t eight;

	if (pl->end - p < (ptrdiff_t)sizeof eight)
		return NULL;
	memcpy(&eight, p, sizeof eight);
	eight = (le64toh(eight) | 0x2020202020202020u) << (64 - 8 * n);
	return eight == low << (64 - 8 * n) && !GOES_ON(p[n]) ? p + n : NULL;
}

#define LETTERS_4(a, b, c, d) \
	((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24)
#define LETTERS_6(a, b, c, d, e, f) \
	(LETTERS_4(a, b, c, d) | (uint64_t)(e) << 32 | (uint64_t)(f) << 40)
#define LETTERS_7(a, b, c, d, e, f, g) (LETTERS_6(a, b, c, d, e, f) | (uint64_t)(g) << 48)

/*
 * Behind WITH and its first name, which the filter cannot be asked about where the text has begun
 * only just before it.
 */
static __attribute__((noinline)) const uint8_t *take_with(struct plain *pl, const uint8_t *p)
{
	const uint8_t *end;

	pl->with = true;
	p = behind(pl, p, LETTERS_4('w', 'i', 't', 'h'), 4);
	if (p == NULL)
		return NULL;
	p = plain_skip_blanks(p);
	end = plain_word_end(p);
	if (*p == '"' || end - pl->text >= PLAIN_TAIL_LEN)
		return p;
	if (!IS_LETTER(*p) || GOES_ON(*end) || *end == '\'' || *end == '&') /* x'1' is no name */
		return NULL;
	return plain_word(pl, p, end) ? end : NULL;
}

static const uint8_t *take_insert(const struct plain *pl, const uint8_t *p)
{
	p = behind(pl, p, LETTERS_6('i', 'n', 's', 'e', 'r', 't'), 6);
	return p == NULL ? NULL
			 : behind(pl, plain_skip_blanks(p), LETTERS_4('i', 'n', 't', 'o'), 4);
}

/* VALUES, unless something of that name is known, which it would call. */
static const uint8_t *take_values(const struct plain *pl, const uint8_t *p)
{
	if (!pl->blind && catalog_find(pl->cat, word_hashes[WORD_VALUES]) != 0)
		return NULL;
	return behind(pl, p, LETTERS_6('v', 'a', 'l', 'u', 'e', 's'), 6);
}

static inline const uint8_t *take_select(struct plain *pl, const uint8_t *p)
{
	pl->verb = WORD_SELECT;
	return behind(pl, p, LETTERS_6('s', 'e', 'l', 'e', 'c', 't'), 6);
}

/* Behind the verb at `p` of a query. */
static const uint8_t *take_query(struct plain *pl, const uint8_t *p)
{
	switch (*p | 0x20) {
	case 's':
		return take_select(pl, p);
	case 'w':
		pl->verb = WORD_WITH;
		return take_with(pl, p);
	case 'v':
		pl->verb = WORD_VALUES;
		return take_values(pl, p);
	default:
		return NULL;
	}
}

/* The word at *p, which is moved over it and the blanks behind it; NOT_A_WORD: another, or none. */
static enum word take_word(const uint8_t **p)
{
	const uint8_t *word = *p, *end = plain_word_end(word);

	if (!IS_LETTER(*word) || !plain_is_blank(*end))
		return NOT_A_WORD;
	*p = plain_skip_blanks(end);
	return word_find(plain_hash(word, end));
}

static bool begins_query(const uint8_t *p)
{
	enum word w;

	if (strchr("stvw", *p | 0x20) == NULL) /* in less time */
		return false;
	w = word_find(plain_hash(p, plain_word_end(p)));
	return w == WORD_SELECT || w == WORD_TABLE || w == WORD_VALUES || w == WORD_WITH;
}

/* Behind the options of EXPLAIN in the parenthesis at `p`, in which a query may stand as well. */
static const uint8_t *take_options(const uint8_t *p)
{
	p = plain_skip_blanks(p + 1);
	if (begins_query(p))
		return NULL;
	while (IS_LETTER(*p) || plain_classes[*p] == P_DIGIT || plain_is_blank(*p) || *p == ',')
		p++;
	return *p == ')' ? plain_skip_blanks(p + 1) : NULL;
}

/* EXPLAIN of a query is as the query is. */
static __attribute__((noinline)) const uint8_t *take_explain(struct plain *pl, const uint8_t *p)
{
	const uint8_t *next;
	enum word w;

	p = behind(pl, p, LETTERS_7('e', 'x', 'p', 'l', 'a', 'i', 'n'), 7);
	if (p == NULL)
		return NULL;
	p = plain_skip_blanks(p);
	if (*p == '(')
		p = take_options(p);
	for (next = p; next != NULL; p = next) {
		w = take_word(&next);
		if (w != WORD_ANALYZE && w != WORD_ANALYSE && w != WORD_VERBOSE)
			return take_query(pl, p);
	}
	return NULL;
}

/* Behind [options] CURSOR [WITH HOLD | WITHOUT HOLD] FOR at `p`. */
static const uint8_t *take_cursor(const uint8_t *p, bool *hold)
{
	enum word w;

	do
		w = take_word(&p);
	while (w == WORD_BINARY || w == WORD_INSENSITIVE || w == WORD_ASENSITIVE ||
		w == WORD_SCROLL || w == WORD_NO);
	if (w != WORD_CURSOR)
		return NULL;
	w = take_word(&p);
	*hold = w == WORD_WITH;
	if (*hold || w == WORD_WITHOUT)
		w = take_word(&p) == WORD_HOLD ? take_word(&p) : NOT_A_WORD;
	return w == WORD_FOR ? p : NULL;
}

/* DECLARE name …: the query's verdict, and a cursor. */
static __attribute__((noinline)) const uint8_t *take_declare(struct plain *pl, const uint8_t *p)
{
	struct sql_verdict *v = pl->v;
	const uint8_t *declare = p, *name, *end;
	enum word_category c;
	bool hold;

	p = behind(pl, p, LETTERS_7('d', 'e', 'c', 'l', 'a', 'r', 'e'), 7);
	if (p == NULL || v->n_effects == SQL_EFFECTS_MAX)
		return NULL;
	p = name = plain_skip_blanks(p);
	end = plain_word_end(name);
	c = word_category(take_word(&p));
	if (p == name || c == WORD_R || c == WORD_T)
		return NULL;
	p = take_cursor(p, &hold);
	p = p != NULL ? take_query(pl, p) : NULL;
	if (p == NULL)
		return NULL;
	plain_object(pl, CAUSE_SESSION, declare, 7);
	plain_raise(pl, SQL_SESSION);
	v->effects[v->n_effects++] = (struct sql_effect){.kind = EFFECT_DECLARE,
		.flags = hold ? SQL_EFFECT_HOLD : 0,
		.stmt = pl->stmt,
		.name = {.off = (uint32_t)(name - pl->text), .len = (uint32_t)(end - name)}};
	return p;
}

const uint8_t *plain_verb(struct plain *pl, const uint8_t *p)
{
	switch (*p | 0x20) {
	case 's':
		return take_select(pl, p);
	case 'u':
		pl->verb = WORD_UPDATE;
		return behind(pl, p, LETTERS_6('u', 'p', 'd', 'a', 't', 'e'), 6);
	case 'i':
		pl->verb = WORD_INSERT;
		return take_insert(pl, p);
	case 'd':
		pl->verb = WORD_DELETE;
		if ((p[1] | 0x20) != 'e' || (p[2] | 0x20) != 'l')
			return take_declare(pl, p);
		return behind(pl, p, LETTERS_6('d', 'e', 'l', 'e', 't', 'e'), 6);
	case 'e':
		return take_explain(pl, p);
	default:
		return take_query(pl, p);
	}
}
