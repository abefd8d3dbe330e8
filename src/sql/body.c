#include "sql/body.h"

#include "sql/lexer.h"
#include "sql/special.h"

/* The words of a body, one after the other; what stands between two is kept as one character. */
struct body {
	const uint8_t *p;
	const uint8_t *end;
	uint8_t last;     /* last character between the previous word and this one; 0: blanks */
	uint64_t hash;    /* of this word */
	enum word before; /* the previous word */
	enum word word;
};

static bool is_word_byte(uint8_t c)
{
	return lexer_goes_on(c) && c != '$';
}

static bool body_next(struct body *b)
{
	uint64_t h = WORD_HASH_SEED;

	for (b->last = 0; b->p < b->end && !is_word_byte(*b->p); b->p++)
		if (*b->p > ' ')
			b->last = *b->p;
	if (b->p == b->end)
		return false;
	for (; b->p < b->end && is_word_byte(*b->p); b->p++)
		h = word_hash_step(h, *b->p >= 'A' && *b->p <= 'Z' ? *b->p | 0x20 : *b->p);
	b->before = b->word;
	b->hash = h;
	b->word = word_find(h);
	return true;
}

/* A statement of the block, or of a string in it, begins with the current word. */
static bool body_starts_statement(const struct body *b)
{
	if (b->last != 0)
		return b->last == ';' || b->last == '\'' || b->last == '"' || b->last == '$' ||
		       b->last == '>';
	return b->before == WORD_BEGIN || b->before == WORD_THEN || b->before == WORD_ELSE ||
	       b->before == WORD_LOOP;
}

static bool body_word_has_effect(const struct body *b)
{
	switch (b->word) {
	case WORD_LISTEN:
	case WORD_UNLISTEN:
	case WORD_TEMP:
	case WORD_TEMPORARY:
	case WORD_PG_TEMP:
	case WORD_LOAD:
	case WORD_DISCARD:
	case WORD_HOLD:
	case WORD_DEALLOCATE:
		return true;
	case WORD_RESET:
	case WORD_PREPARE:
		return body_starts_statement(b);
	default:
		return special_effect(b->word) != EFFECT_NONE;
	}
}

static struct body body_of(const char *text, size_t len)
{
	return (struct body){.p = (const uint8_t *)text,
		.end = (const uint8_t *)text + len,
		.last = ';',
		.word = WORD_BEGIN};
}

uint32_t body_definitions(const char *body, size_t len)
{
	struct body b = body_of(body, len);
	uint32_t flags = 0;

	while (body_next(&b)) {
		if (b.word == WORD_CREATE || b.word == WORD_ALTER || b.word == WORD_IMPORT)
			return SQLV_DDL | SQLV_SCHEMA;
		if (b.word == WORD_DROP)
			flags = SQLV_SCHEMA;
	}
	return flags;
}

uint32_t body_sets(const char *body, size_t len, const struct catalog *cat)
{
	struct body b = body_of(body, len);
	uint32_t bits = 0;

	while (cat != NULL && body_next(&b))
		bits |= catalog_find(cat, b.hash) &
			(CATALOG_SETS | CATALOG_SETS_CUSTOM | CATALOG_SETS_USED);
	return bits;
}

bool body_has_effect(const char *body, size_t len)
{
	struct body b = body_of(body, len);
	bool set = false; /* the previous word was a SET that begins a statement */

	while (body_next(&b)) {
		if (set && b.word != WORD_LOCAL && b.word != WORD_TRANSACTION &&
			b.word != WORD_CONSTRAINTS)
			return true;
		if (body_word_has_effect(&b))
			return true;
		set = b.word == WORD_SET && body_starts_statement(&b);
	}
	return false;
}

bool body_asks_sequences(const char *body, size_t len)
{
	struct body b = {.p = (const uint8_t *)body, .end = (const uint8_t *)body + len};

	while (body_next(&b))
		if (b.word == WORD_CURRVAL || b.word == WORD_LASTVAL)
			return true;
	return false;
}
