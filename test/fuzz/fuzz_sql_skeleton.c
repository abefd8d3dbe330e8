/*
 * Two texts with one skeleton have one fingerprint: tried on the text with each byte changed, left
 * out and put in. And another value in the place of one leaves the skeleton as it was.
 */
#include "sql/skeleton.h"

#include <stdlib.h>
#include <string.h>

#include "sql/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LEN_MAX 96u /* a text is hashed some ten times for each of its bytes */

struct text {
	char sql[LEN_MAX + 16];
	size_t len;
};

/* `n` bytes of the text at `at` become `with`. */
static struct text changed(const struct text *t, size_t at, size_t n, const char *with)
{
	size_t m = strlen(with);
	struct text new = {.len = t->len - n + m};

	memcpy(new.sql, t->sql, at);
	memcpy(new.sql + at, with, m);
	memcpy(new.sql + at + m, t->sql + at + n, t->len - at - n);
	return new;
}

/* In a buffer of its size, so that a byte read behind it is noticed. */
static uint64_t skeleton_of(const struct text *t, uint32_t opts)
{
	char *copy = malloc(t->len + 1);
	uint64_t h;

	PANIC_IF(copy == NULL);
	memcpy(copy, t->sql, t->len + 1);
	h = sql_skeleton(copy, t->len, opts);
	free(copy);
	return h;
}

static void check_changes(const struct text *t, uint32_t opts)
{
	static const char *const with[] = {
		"", "1", "'", "e", "-", "/", "*", "(", ",", " ", "$", ".", "\"", "''"};
	uint64_t skeleton = skeleton_of(t, opts),
		 fingerprint = sql_fingerprint(t->sql, t->len, opts);

	for (size_t i = 0; i < 2 * t->len && skeleton != 0; i++)
		for (size_t k = 0; k < sizeof with / sizeof with[0]; k++) {
			struct text x = changed(t, i / 2, i % 2, with[k]);

			if (skeleton_of(&x, opts) == skeleton)
				PANIC_IF(sql_fingerprint(x.sql, x.len, opts) != fingerprint);
		}
}

static bool is_free(const struct text *t, const struct token *v)
{
	const char *before = t->sql + v->off - 1, *behind = t->sql + v->off + v->len;

	return v->off != 0 && strchr(" (,=", *before) != NULL && strchr(" ),;", *behind) != NULL;
}

static void check_values(const struct text *t, uint32_t opts)
{
	uint64_t skeleton = skeleton_of(t, opts);
	struct lexer lx;
	struct token v;

	if (skeleton == 0)
		return;
	lexer_init(&lx, t->sql, t->len, opts);
	for (lexer_next(&lx, &v); v.kind != TOKEN_END; lexer_next(&lx, &v)) {
		bool is_value = v.kind == TOKEN_INTEGER || v.kind == TOKEN_PARAM ||
				v.kind == TOKEN_DOLLAR ||
				(v.kind == TOKEN_STRING && t->sql[v.off] == '\'');
		struct text number = changed(t, v.off, v.len, "42");
		struct text param = changed(t, v.off, v.len, "$1");

		if (is_value && is_free(t, &v)) {
			PANIC_IF(skeleton_of(&number, opts) != skeleton);
			PANIC_IF(skeleton_of(&param, opts) != skeleton);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text t = {.len = size};

	if (size > LEN_MAX || (size != 0 && memchr(data, 0, size) != NULL))
		return 0;
	if (size != 0)
		memcpy(t.sql, data, size);
	check_changes(&t, SQL_STD_STRINGS);
	check_changes(&t, 0);
	check_values(&t, SQL_STD_STRINGS);
	return 0;
}
