#include "sql/word.h"

#include "sql/word_table.h"

const uint8_t word_categories[WORD_COUNT] = {
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

uint64_t word_hash(const char *name, size_t len)
{
	uint64_t h = WORD_HASH_SEED;

	for (size_t i = 0; i < len; i++)
		h = word_hash_step(h, (uint8_t)name[i]);
	return h;
}

const char *word_text(enum word w)
{
	return texts[w];
}
