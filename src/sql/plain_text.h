/*
 * plain_text - a text that plain_judge looks at: what its bytes are, and what is known of it so
 * far. Used by plain.c, which goes over the bytes, plain_start.c, which is asked how a statement
 * begins, plain_names.c, which is asked about words, and plain_skim.c.
 */
#ifndef PGWEIR_SQL_PLAIN_TEXT_H
#define PGWEIR_SQL_PLAIN_TEXT_H

#include "sql/scan.h"

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

#define IS_LETTER(c)  (plain_classes[c] <= P_LETTER_MAX)
#define IS_IN_WORD(c) (plain_classes[c] <= P_DOLLAR)
#define GOES_ON(c) \
	(IS_IN_WORD(c) || plain_classes[c] == P_HIGH) /* a word, which may be a wide one */
#define ENDS_STRING(c) (plain_classes[c] >= P_QUOTE)  /* or has to be looked at there */
#define ENDS_QUOTED(c) (plain_classes[c] >= P_NUL)

#define PLAIN_TAIL_LEN  8   /* bytes that namefilter_key reads before a name's end */
#define PLAIN_OPENS_MAX 32u /* parentheses; FOR UPDATE in deeper ones is not plain */

extern const uint8_t plain_classes[256]; /* enum plain_class of each byte */

/* plain.c sets it up; stmt, start and body are set where a statement begins. */
struct plain {
	const uint8_t *text;
	const uint8_t *end; /* on the NUL */
	const struct catalog *cat;
	struct sql_verdict *v;
	struct scan *scan;     /* for names that the catalog knows; made when one is met */
	const uint8_t *since;  /* behind the last comment: how far back tokens are known */
	const uint8_t **opens; /* the parentheses that are open, PLAIN_OPENS_MAX of them */
	/* over what means nothing; once a byte >= 0x80 was part of a word, over such words, too */
	const uint8_t *(*skip)(const struct namefilter *filter, const uint8_t *p);
	const uint8_t *rest; /* the statement that begins with another verb, or NULL */
	uint32_t depth;      /* of parentheses */
	enum word verb;      /* of the statement */
	uint32_t opts;
	bool blind;      /* every function that is called may do anything */
	bool noted;      /* the scan is made */
	bool single;     /* a semicolon ends it */
	bool high_valid; /* the bytes from the first one >= 0x80 on are valid */
	/* of the statement */
	bool modifies;        /* it is a write, or has one in its WITH */
	bool with;            /* a WITH was met: a verb behind it may be one */
	bool loose;           /* … with SEARCH or CYCLE: anywhere behind it */
	bool opened;          /* a parenthesis was met */
	uint16_t stmt;        /* its index */
	const uint8_t *start; /* the verb, or the parenthesis before it */
	const uint8_t *body;  /* what follows the verb, or the INTO of an INSERT */
};

/* Behind what these classes have as letters, digits and such at `p`, none maybe. */
static inline const uint8_t *plain_run_end(const uint8_t *classes, const uint8_t *p)
{
	while (classes[p[0]] <= P_DOLLAR) {
		if (classes[p[1]] > P_DOLLAR)
			return p + 1;
		if (classes[p[2]] > P_DOLLAR)
			return p + 2;
		if (classes[p[3]] > P_DOLLAR)
			return p + 3;
		p += 4;
	}
	return p;
}

static inline const uint8_t *plain_word_end(const uint8_t *p)
{
	return plain_run_end(plain_classes, p);
}

/* The same with bytes >= 0x80 as parts of words. */
static inline const uint8_t *plain_wide_end(const uint8_t *p)
{
	while (GOES_ON(*p))
		p++;
	return p;
}

static inline bool plain_is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline const uint8_t *plain_skip_blanks(const uint8_t *p)
{
	while (plain_is_blank(*p))
		p++;
	return p;
}

/* A reason against a replica, of `len` bytes at `p`: the first one is kept. */
static inline void plain_object(
	struct plain *pl, enum sql_cause cause, const uint8_t *p, size_t len)
{
	if (pl->v->cause != CAUSE_NONE)
		return;
	pl->v->cause = (uint8_t)cause;
	pl->v->at = (struct sql_view){.off = (uint32_t)(p - pl->text), .len = (uint32_t)len};
}

/* The text is at least of this class. */
static inline void plain_raise(struct plain *pl, enum sql_class cls)
{
	if (pl->v->cls < cls)
		pl->v->cls = (uint8_t)cls;
}

/* A parenthesis opens at `p`. */
static inline void plain_open(struct plain *pl, const uint8_t *p)
{
	if (pl->depth < PLAIN_OPENS_MAX)
		pl->opens[pl->depth] = p;
	pl->depth++;
}

/* The word's hash as the lexer has it: A to Z in lower case. */
uint64_t plain_hash(const uint8_t *p, const uint8_t *end);

/*
 * Behind the verb of the statement that begins at `p`, or the INTO of an INSERT: of EXPLAIN and
 * DECLARE that of their query, which is pl->verb then. NULL: it has another verb; nothing is noted.
 */
const uint8_t *plain_verb(struct plain *pl, const uint8_t *p);

/* False of each: the text is not plain. `end` is behind the word or name that begins at `p`. */

/* A word of ASCII letters that the filter has, or one like it: what does it do? */
bool plain_word(struct plain *pl, const uint8_t *p, const uint8_t *end);

/* A name, quoted maybe, of that hash; of a word only where it is no key word. */
bool plain_name(struct plain *pl, const uint8_t *p, const uint8_t *end, uint64_t hash);

/* No catalog tells what stands before the parenthesis at `p`: is it called? */
bool plain_call(struct plain *pl, const uint8_t *p);

#endif
