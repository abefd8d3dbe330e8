#include "sql/word.h"

#include "sql/word_table.h"

static const uint8_t categories[WORD_COUNT] = {
#define W(name, text, category) [WORD_##name] = WORD_##category,
#include "sql/word_list.h"
#undef W
};

static const char *const texts[WORD_COUNT] = {
	"",
#define W(name, text, category) [WORD_##name] = text,
#include "sql/word_list.h"
#undef W
};

_Static_assert(sizeof word_hashes / sizeof word_hashes[0] == WORD_COUNT, "run word_gen.py");

uint64_t word_hash(const char *name, size_t len)
{
	uint64_t h = WORD_HASH_SEED;

	for (size_t i = 0; i < len; i++)
		h = word_hash_step(h, (uint8_t)name[i]);
	return h;
}

enum word word_find(uint64_t hash)
{
	size_t slot = ((size_t)(hash >> 40) + word_moves[hash >> 57]) & 511u;
	uint16_t w = word_slots[slot];

	return word_hashes[w] == hash ? (enum word)w : NOT_A_WORD;
}

enum word_category word_category(enum word w)
{
	return (enum word_category)categories[w];
}

const char *word_text(enum word w)
{
	return texts[w];
}
