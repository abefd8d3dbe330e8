/*
 * The reader of configuration files and of the pairs in their values. Every slice lies inside the
 * input, each item is behind the one before it, and what was read, written down again, reads the
 * same.
 */
#include "conf/ini.h"
#include "conf/pairs.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text that grows in a block of `cap` bytes, which is always enough. */
struct out {
	char *p;
	size_t len, cap;
};

static void put(struct out *o, const char *s, size_t len)
{
	PANIC_IF(len > o->cap - o->len);
	memcpy(o->p + o->len, s, len);
	o->len += len;
}

/* `s` between quotes, those in it doubled. */
static void put_quoted(struct out *o, const char *s, char quote)
{
	put(o, &quote, 1);
	for (; *s != '\0'; s++)
		put(o, (char[]){*s, quote}, *s == quote ? 2 : 1);
	put(o, &quote, 1);
}

static void inside(const struct ini *before, const struct ini *after, const char *p, size_t len)
{
	if (p == NULL)
		return;
	PANIC_IF(p < before->p || p > after->p);
	PANIC_IF(len > (size_t)(after->p - p));
}

static void try_pairs(const char *text, struct arena *a)
{
	struct out o = {.cap = 4 * strlen(text) + 64};
	const char *p = text, *again;
	struct pair pair, other;

	PANIC_IF((o.p = malloc(o.cap)) == NULL);
	while (pairs_next(&p, &pair) == OK) {
		char *value = pairs_value_copy(&pair, a),
		     *key = arena_strndup(a, pair.key, pair.key_len);

		PANIC_IF(pair.key < text || pair.value < text || pair.key_len == 0);
		PANIC_IF(pair.value + pair.value_len > p);
		PANIC_IF(value == NULL || key == NULL);
		o.len = 0;
		put(&o, key, strlen(key));
		put(&o, "=", 1);
		put_quoted(&o, value, '\'');
		put(&o, "", 1);
		again = o.p;
		PANIC_IF(pairs_next(&again, &other) != OK);
		PANIC_IF(strcmp(pairs_value_copy(&other, a), value) != 0);
		PANIC_IF(other.key_len != pair.key_len);
		PANIC_IF(pairs_next(&again, &other) != E_NOTFOUND);
	}
	PANIC_IF(*p != '\0');
	free(o.p);
}

static void try_pair(const struct ini_item *item, struct arena *a)
{
	char *name = ini_name_copy(item, a),
	     *value = arena_strndup(a, item->value, item->value_len);
	struct out o = {.cap = 2 * item->name_len + item->value_len + 64};
	struct ini_item other;
	struct ini in;

	PANIC_IF(name == NULL || value == NULL || *name == '\0');
	PANIC_IF(strlen(value) != item->value_len);
	PANIC_IF((o.p = malloc(o.cap)) == NULL);
	put_quoted(&o, name, '"');
	put(&o, " = ", 3);
	put(&o, value, item->value_len);
	in = ini_of(o.p, o.len);
	other = ini_next(&in);
	PANIC_IF(other.kind != INI_PAIR);
	PANIC_IF(strcmp(ini_name_copy(&other, a), name) != 0);
	PANIC_IF(other.value_len != item->value_len);
	PANIC_IF(memcmp(other.value, item->value, item->value_len) != 0);
	PANIC_IF(ini_next(&in).kind != INI_END);
	free(o.p);
	try_pairs(value, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ini in = ini_of((const char *)data, size);
	struct ini_item item;
	struct arena a;

	arena_init(&a);
	do {
		struct ini before = in;

		item = ini_next(&in);
		PANIC_IF(item.line < before.line);
		PANIC_IF(item.kind != INI_END && in.p == before.p);
		inside(&before, &in, item.name, item.name_len);
		inside(&before, &in, item.value, item.value_len);
		PANIC_IF((item.kind == INI_BAD) != (item.expected != NULL));
		if (item.kind == INI_PAIR)
			try_pair(&item, &a);
	} while (item.kind != INI_END);
	PANIC_IF(in.p != in.end);
	arena_fini(&a);
	return 0;
}
