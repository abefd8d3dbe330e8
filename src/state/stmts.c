#include "state/stmts.h"

#include <stdlib.h>
#include <string.h>

struct stmt_table {
	struct intern in;
	struct settings_table *settings;
};

static struct stmt *stmt_of(struct interned *o)
{
	return (struct stmt *)(void *)o;
}

static size_t types_len(uint16_t n_types)
{
	return 4u * (size_t)n_types;
}

static void stmt_free(void *arg, struct interned *o)
{
	struct stmt_table *t = arg;
	struct stmt *s = stmt_of(o);

	settings_unref(t->settings, s->parse);
	free(s);
}

enum status stmt_table_new(const struct hash_key *key, size_t bytes_max, struct settings_table *st,
	struct stmt_table **out)
{
	struct stmt_table *t = calloc(1, sizeof *t);

	if (t == NULL)
		return E_NOMEM;
	t->settings = st;
	intern_init(&t->in, key, bytes_max, stmt_free, t);
	*out = t;
	return OK;
}

void stmt_table_free(struct stmt_table *t)
{
	if (t == NULL)
		return;
	intern_fini(&t->in);
	free(t);
}

void stmt_table_limit(struct stmt_table *t, size_t bytes_max)
{
	t->in.bytes_max = bytes_max;
}

size_t stmt_table_n(const struct stmt_table *t)
{
	return t->in.map.n_items;
}

size_t stmt_table_bytes(const struct stmt_table *t)
{
	return t->in.bytes;
}

const struct hash_key *stmt_table_key(const struct stmt_table *t)
{
	return &t->in.key;
}

/* The hash only narrows the search, so its parts need not be mixed well. */
static uint64_t text_hash(const struct stmt_table *t, const struct stmt_text *x)
{
	uint64_t h = hash_bytes(&t->in.key, x->query, x->query_len);

	if (x->n_types != 0)
		h ^= hash_bytes(&t->in.key, x->types, types_len(x->n_types));
	return h ^ (uint64_t)(uintptr_t)x->parse;
}

static bool text_equal(const void *item, const void *key)
{
	const struct stmt *s = item;
	const struct stmt_text *x = key;

	return s->parse == x->parse && s->is_sql == x->is_sql && s->query_len == x->query_len &&
	       s->n_types == x->n_types && memcmp(s->query, x->query, x->query_len) == 0 &&
	       (x->n_types == 0 || memcmp(s->types, x->types, types_len(x->n_types)) == 0);
}

static size_t stmt_bytes(const struct stmt_text *x)
{
	return sizeof(struct stmt) + types_len(x->n_types) + x->query_len + 1;
}

/* NULL: no memory. */
static struct stmt *stmt_build(const struct stmt_text *x)
{
	struct stmt *s = calloc(1, stmt_bytes(x));
	uint8_t *p;

	if (s == NULL)
		return NULL;
	s->parse = settings_ref(x->parse);
	s->query_len = x->query_len;
	s->n_types = x->n_types;
	s->is_sql = x->is_sql;
	p = (uint8_t *)&s[1];
	s->types = p;
	if (x->n_types != 0)
		memcpy(p, x->types, types_len(x->n_types));
	p += types_len(x->n_types);
	s->query = memcpy(p, x->query, x->query_len); /* the NUL is calloc's */
	return s;
}

enum status stmt_intern(struct stmt_table *t, const struct stmt_text *text, struct stmt **out)
{
	uint64_t hash = text_hash(t, text);
	struct interned *old = intern_find(&t->in, hash, text_equal, text);
	struct stmt *s;
	enum status st;

	if (old != NULL) {
		*out = stmt_of(old);
		return OK;
	}
	if ((s = stmt_build(text)) == NULL)
		return E_NOMEM;
	st = intern_add(&t->in, hash, &s->in, stmt_bytes(text) + sizeof(struct map_slot));
	if (st != OK) {
		stmt_free(t, &s->in);
		return st;
	}
	*out = s;
	return OK;
}

struct stmt *stmt_ref(struct stmt *s)
{
	intern_ref(&s->in);
	return s;
}

void stmt_unref(struct stmt_table *t, struct stmt *s)
{
	if (s != NULL)
		intern_unref(&t->in, &s->in);
}

enum status stmt_adopt(struct stmt_table *t, struct stmt **s)
{
	struct stmt *old = *s;
	struct stmt_text x = {
		.query = old->query,
		.query_len = old->query_len,
		.n_types = old->n_types,
		.is_sql = old->is_sql,
		.types = old->types,
		.parse = old->parse,
	};
	enum status st;

	if (old->in.home == &t->in)
		return OK;
	settings_ref(x.parse);
	if ((st = settings_adopt(t->settings, &x.parse)) == OK &&
		(st = stmt_intern(t, &x, s)) == OK)
		stmt_unref(t, old);
	settings_unref(t->settings, x.parse);
	return st;
}
