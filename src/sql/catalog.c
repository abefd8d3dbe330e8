#include "sql/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "sql/builtin.h"
#include "sql/builtin_names.h"
#include "sql/guc.h"
#include "sql/plain.h"
#include "sql/word.h"

/* Bits of a row that decide at catalog_freeze and are not kept. */
#define ROW_PRIMARY 0x4000u
#define ROW_REPLICA 0x8000u

#define ROWS_MIN      256u
#define TABLE_LOG_MIN 4u

/* Of the filter: 64 KiB for 16,000 names, and one name in 30 that is not there looks like one. */
#define FILTER_BITS_A_NAME 32u
#define FILTER_LOG_MIN     12u

struct catalog_builder {
	bool all_unsafe;
	bool encoding_known;
	bool utf8;
	size_t n_rows;
	size_t rows_cap;
	uint64_t *rows; /* hash and bits, in the order they came */
	size_t n_keys;
	size_t keys_cap;
	uint64_t *keys;           /* namefilter_key of each name that came */
	struct namefilter filter; /* its lengths */
	char *custom_names;       /* each ended by a NUL */
	size_t custom_len, n_custom;
	bool custom_lost;
};

struct kind {
	const char *name;
	uint32_t bits;
};

static const struct kind kinds[] = {
	{"builtin", CATALOG_FUNCTION},
	{"function", CATALOG_FUNCTION | CATALOG_CODE},
	{"attribute", CATALOG_ATTRIBUTE | CATALOG_CODE},
	{"relation", CATALOG_RELATION},
	{"view", CATALOG_RELATION | CATALOG_CODE},
	{"type", CATALOG_TYPE | CATALOG_CODE},
	{"operator", CATALOG_OPERATOR | CATALOG_CODE},
	{"advances", CATALOG_ADVANCES},
	{"sets", CATALOG_SETS},
	{"sets_custom", CATALOG_SETS | CATALOG_SETS_CUSTOM},
	{"relation_sets", CATALOG_SETS_USED},
	{"relation_sets_custom", CATALOG_SETS_USED | CATALOG_SETS_CUSTOM},
};

/* Room for one more in an array of *cap. */
static enum status make_room(uint64_t **array, size_t n, size_t *cap)
{
	size_t wider = *cap != 0 ? 2 * *cap : ROWS_MIN;
	uint64_t *moved;

	if (n < *cap)
		return OK;
	moved = realloc(*array, wider * sizeof *moved);
	if (moved == NULL)
		return E_NOMEM;
	*array = moved;
	*cap = wider;
	return OK;
}

static enum status add_row(struct catalog_builder *b, const char *name, uint32_t bits)
{
	size_t len = strlen(name);

	if (len == 0)
		return E_INVALID;
	if (b->n_rows == CATALOG_NAMES_MAX)
		return E_LIMIT;
	if (make_room(&b->rows, b->n_rows, &b->rows_cap) != OK ||
		make_room(&b->keys, b->n_keys, &b->keys_cap) != OK)
		return E_NOMEM;
	b->rows[b->n_rows++] = (word_hash(name, len) & ~(uint64_t)CATALOG_BITS_MASK) | bits;
	b->keys[b->n_keys++] = namefilter_key_of(name, len);
	namefilter_add_length(&b->filter, name, len);
	return OK;
}

#define NAME(n) n,
static const char *const builtin_functions[] = {BUILTIN_FUNCTIONS(NAME) BUILTIN_CALLED(NAME) NULL};
static const char *const builtin_relations[] = {BUILTIN_RELATIONS(NAME) NULL};
static const char *const builtin_names[] = {BUILTIN_NAMES(NAME) NULL};
#undef NAME

static enum status add_builtins(struct catalog_builder *b)
{
	enum status st = OK;

	for (size_t i = 0; builtin_functions[i] != NULL && st == OK; i++)
		st = add_row(b, builtin_functions[i], CATALOG_FUNCTION);
	for (size_t i = 0; builtin_relations[i] != NULL && st == OK; i++)
		st = add_row(b, builtin_relations[i], CATALOG_RELATION);
	for (int w = NOT_A_WORD; w < WORD_COUNT && st == OK; w++)
		if (word_category((enum word)w) == WORD_S)
			st = add_row(b, word_text((enum word)w), CATALOG_SPECIAL);
	return st;
}

struct catalog_builder *catalog_builder_new(void)
{
	struct catalog_builder *b = calloc(1, sizeof *b);

	if (b != NULL && add_builtins(b) != OK) {
		catalog_builder_free(b);
		return NULL;
	}
	return b;
}

void catalog_builder_free(struct catalog_builder *b)
{
	if (b != NULL) {
		free(b->rows);
		free(b->keys);
		free(b->custom_names);
	}
	free(b);
}

static enum status add_custom_name(struct catalog_builder *b, const char *name)
{
	size_t len = strlen(name) + 1;
	char *names;

	if (b->n_custom == CATALOG_CUSTOM_NAMES_MAX || len > GUC_NAME_MAX + 1) {
		b->custom_lost = true;
		return OK;
	}
	if (!guc_name_is_valid(name, len - 1))
		return OK; /* the server refuses it */
	names = realloc(b->custom_names, b->custom_len + len);
	if (names == NULL)
		return E_NOMEM;
	memcpy(names + b->custom_len, name, len);
	b->custom_names = names;
	b->custom_len += len;
	b->n_custom++;
	return OK;
}

enum status catalog_builder_add(struct catalog_builder *b, const char *kind, const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kind, kinds[i].name) == 0)
			return add_row(b, name, kinds[i].bits);
	if (strcmp(kind, "custom_name") == 0)
		return add_custom_name(b, name);
	if (strcmp(kind, "all") == 0) {
		b->all_unsafe = true;
		return OK;
	}
	if (strcmp(kind, "encoding") != 0)
		return E_INVALID;
	b->encoding_known = true;
	b->utf8 = strcmp(name, "UTF8") == 0;
	return OK;
}

static enum status add_listed(struct catalog_builder *b, const char *name, uint32_t bits)
{
	const char *dot = strrchr(name, '.');

	return add_row(b, dot != NULL ? dot + 1 : name, bits);
}

enum status catalog_builder_add_primary(struct catalog_builder *b, const char *name)
{
	return add_listed(b, name,
		ROW_PRIMARY | CATALOG_FUNCTION | CATALOG_ATTRIBUTE | CATALOG_RELATION |
			CATALOG_CODE);
}

enum status catalog_builder_add_replica(struct catalog_builder *b, const char *name)
{
	return add_listed(b, name, ROW_REPLICA);
}

static int row_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sort; one row per name with the bits of all its rows; without those of replica_functions. */
static void merge_rows(struct catalog_builder *b)
{
	size_t n = 0;

	qsort(b->rows, b->n_rows, sizeof *b->rows, row_cmp);
	for (size_t i = 0; i < b->n_rows;) {
		uint64_t row = b->rows[i++];

		while (i < b->n_rows && ((b->rows[i] ^ row) & ~(uint64_t)CATALOG_BITS_MASK) == 0)
			row |= b->rows[i++];
		if ((row & (ROW_PRIMARY | ROW_REPLICA)) == ROW_REPLICA)
			row &= ~(uint64_t)CATALOG_BITS_MASK | CATALOG_SPECIAL;
		row &= ~(uint64_t)(ROW_PRIMARY | ROW_REPLICA);
		if ((row & CATALOG_BITS_MASK) != 0)
			b->rows[n++] = row;
	}
	b->n_rows = n;
}

static void insert(struct catalog *c, uint64_t row)
{
	size_t i = (size_t)(row >> c->shift);

	while (c->slots[i] != 0)
		i = (i + 1) & c->mask;
	c->slots[i] = row;
}

static uint32_t log_of(size_t n, uint32_t min)
{
	while (((size_t)1 << min) < n)
		min++;
	return min;
}

static void fill_filter(const struct catalog_builder *b, struct catalog *c, uint32_t shift)
{
	c->filter = b->filter;
	c->filter.bits = c->slots + c->mask + 1;
	c->filter.shift = shift;
	for (size_t i = 0; i < b->n_keys; i++)
		namefilter_add_key(&c->filter, b->keys[i]);
	for (int w = NOT_A_WORD + 1; w < WORD_COUNT; w++) {
		const char *text = word_text((enum word)w);

		if (!plain_minds((enum word)w))
			continue;
		namefilter_add_length(&c->filter, text, strlen(text));
		namefilter_add_key(&c->filter, namefilter_key_of(text, strlen(text)));
	}
}

struct catalog *catalog_freeze(struct catalog_builder *b)
{
	struct catalog *c;
	uint32_t log, filter_log = log_of(FILTER_BITS_A_NAME * b->n_keys, FILTER_LOG_MIN);

	merge_rows(b);
	log = log_of(4 * b->n_rows, TABLE_LOG_MIN);
	c = calloc(1, sizeof *c + ((size_t)1 << log) * sizeof c->slots[0] +
			      ((size_t)1 << filter_log) / 8);
	if (c != NULL) {
		c->all_unsafe = b->all_unsafe || !b->encoding_known;
		c->utf8 = b->utf8;
		c->shift = 64 - log;
		c->mask = ((size_t)1 << log) - 1;
		c->n_names = b->n_rows;
		for (size_t i = 0; i < b->n_rows; i++) {
			insert(c, b->rows[i]);
			c->operators = c->operators || (b->rows[i] & CATALOG_OPERATOR) != 0;
		}
		fill_filter(b, c, 64 - filter_log);
		c->custom_names = b->custom_names;
		c->n_custom = b->n_custom;
		c->custom_lost = b->custom_lost;
		b->custom_names = NULL;
	}
	catalog_builder_free(b);
	return c;
}

void catalog_free(void *catalog)
{
	struct catalog *c = catalog;

	if (c != NULL)
		free(c->custom_names);
	free(c);
}

const char *catalog_custom_names(const struct catalog *c, size_t *n, bool *lost)
{
	*n = c->n_custom;
	*lost = c->custom_lost;
	return c->custom_names;
}

bool catalog_has_operators(const struct catalog *c)
{
	return c->operators;
}

/* Not for the filter: the walk looks for them, where a name that is called has stopped the rest. */
static enum status add_names_of_calls(struct catalog_builder *b)
{
	const struct namefilter filter = b->filter;
	size_t n_keys = b->n_keys;
	enum status st = OK;

	for (size_t i = 0; builtin_names[i] != NULL && st == OK; i++)
		st = add_row(b, builtin_names[i], CATALOG_BUILTIN);
	b->n_keys = n_keys;
	b->filter = filter;
	return st;
}

struct catalog *catalog_new_blind(void)
{
	struct catalog_builder *b = catalog_builder_new();
	struct catalog *c;

	if (b == NULL)
		return NULL;
	if (add_names_of_calls(b) != OK) {
		catalog_builder_free(b);
		return NULL;
	}
	b->encoding_known = true; /* it is of no account */
	c = catalog_freeze(b);
	if (c != NULL)
		c->blind = true;
	return c;
}

bool catalog_is_all_unsafe(const struct catalog *c)
{
	return c->all_unsafe;
}

bool catalog_is_utf8(const struct catalog *c)
{
	return c->utf8;
}

size_t catalog_n_names(const struct catalog *c)
{
	return c->n_names;
}

size_t catalog_mem_bytes(const struct catalog *c)
{
	return sizeof *c + (c->mask + 1) * sizeof c->slots[0] +
	       ((size_t)1 << (64 - c->filter.shift)) / 8;
}
