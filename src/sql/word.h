/*
 * word - key words and function names that the classifier tells apart, by a perfect hash.
 * Owns:    nothing; the tables are constant and made when the source is (word_gen.py).
 */
#ifndef PGWEIR_SQL_WORD_H
#define PGWEIR_SQL_WORD_H

#include "base/status.h"
#include "sql/word_multiplier.h"

enum word {
	NOT_A_WORD,
#define W(name, text, category) WORD_##name,
#include "sql/word_list.h"
#undef W
	WORD_COUNT,
};

enum word_category {
	WORD_PLAIN, /* not in the table */
	WORD_R,     /* reserved: never an unquoted name, but a label after AS or '.' */
	WORD_T,     /* type or function name allowed */
	WORD_C,     /* column name allowed */
	WORD_U,     /* unreserved */
	WORD_S,     /* no key word: a name whose use has an effect of its own */
};

#define WORD_HASH_SEED  0xcbf29ce484222325u
#define WORD_HASH_PRIME 0x9e3779b97f4a7c15u

/*
 * One step of the hash over a name's bytes `c` (folded where the server folds). The high bits are
 * the good ones.
 */
static inline uint64_t word_hash_step(uint64_t h, uint64_t c)
{
	return (h ^ c) * WORD_HASH_PRIME;
}

/* Hash of a whole name, as the lexer computes it on the way. */
uint64_t word_hash(const char *name, size_t len);

extern const uint16_t word_slots[8192];
extern const uint64_t word_hashes[WORD_COUNT];

/* The word whose text has this hash, NOT_A_WORD if there is none. */
static inline enum word word_find(uint64_t hash)
{
	uint16_t w = word_slots[(hash * WORD_MULTIPLIER) >> 51];

	return word_hashes[w] == hash ? (enum word)w : NOT_A_WORD;
}

extern const uint8_t word_categories[WORD_COUNT];

static inline enum word_category word_category(enum word w)
{
	return (enum word_category)word_categories[w];
}

/* Text of w, in lower case; "" for NOT_A_WORD. */
const char *word_text(enum word w);

#endif
