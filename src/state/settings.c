#include "state/settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "state/intern.h"
#include "state/settings_class.h"

/* One parameter; the strings lie in the set's own block. */
struct entry {
	const char *name; /* in lower case */
	const char *value;
	uint16_t name_len;
	uint16_t value_len;
};

struct settings {
	struct interned in;
	struct settings *parse; /* the set itself, or a set that it holds a reference to */
	uint32_t n;
	uint32_t text_len;
	bool has_refusable;
	const char *text; /* name NUL value NUL … in order of names: what equality is decided by */
	struct entry entries[];
};

struct settings_table {
	struct intern in;
	struct settings *empty;
};

/* A set while it is put together; entries are borrowed. */
struct draft {
	size_t n;
	size_t text_len;
	struct entry entries[SETTINGS_N_MAX];
};

/* --- names and values --- */

static bool is_encoding(const struct entry *e)
{
	return strcmp(e->name, "client_encoding") == 0;
}

/* `name` in lower case. Errors: E_INVALID, E_LIMIT. */
static enum status name_fold(const char *name, char folded[SETTINGS_NAME_MAX + 1], size_t *len)
{
	size_t n = strlen(name);

	if (n == 0 || !text_is_ascii(name))
		return E_INVALID;
	if (n > SETTINGS_NAME_MAX)
		return E_LIMIT;
	for (size_t i = 0; i <= n; i++)
		folded[i] =
			(char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
	*len = n;
	return OK;
}

/* In SJIS, BIG5, GBK and their like a backslash can be the second byte of a character. */
static bool value_can_be_quoted(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)s[0] >= 0x80 && s[1] == '\\')
			return false;
	return true;
}

/* --- drafts --- */

static void draft_add(struct draft *d, const struct entry *e)
{
	d->entries[d->n++] = *e;
	d->text_len += (size_t)e->name_len + e->value_len + 2;
}

static void draft_copy_without(struct draft *d, const struct settings *s, const char *name)
{
	d->n = 0;
	d->text_len = 0;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->entries[i].name, name) != 0)
			draft_add(d, &s->entries[i]);
}

static void draft_insert(struct draft *d, const struct entry *e)
{
	size_t i = d->n;

	draft_add(d, e);
	for (; i > 0 && strcmp(d->entries[i - 1].name, e->name) > 0; i--)
		d->entries[i] = d->entries[i - 1];
	d->entries[i] = *e;
}

static bool draft_is_ascii(const struct draft *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!text_is_ascii(d->entries[i].value))
			return false;
	return true;
}

static bool draft_is_for_parsing(const struct draft *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!settings_is_for_parsing(d->entries[i].name))
			return false;
	return true;
}

/* --- the table --- */

static struct settings *settings_of(struct interned *o)
{
	return (struct settings *)(void *)o;
}

static void settings_free(void *arg, struct interned *o)
{
	struct settings_table *t = arg;
	struct settings *s = settings_of(o);

	if (s->parse != s)
		settings_unref(t, s->parse);
	free(s);
}

static bool settings_equal(const void *item, const void *key)
{
	const struct settings *a = item, *b = key;

	return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
}

/* A set of its own, not in any table. NULL: no memory. */
static struct settings *settings_build(const struct draft *d)
{
	size_t len = sizeof(struct settings) + d->n * sizeof(struct entry) + d->text_len;
	struct settings *s = calloc(1, len);
	char *p;

	if (s == NULL)
		return NULL;
	s->n = (uint32_t)d->n;
	s->text_len = (uint32_t)d->text_len;
	p = (char *)&s->entries[d->n];
	s->text = p;
	for (size_t i = 0; i < d->n; i++) {
		struct entry *e = &s->entries[i];

		*e = d->entries[i];
		e->name = memcpy(p, e->name, e->name_len + 1u);
		p += e->name_len + 1u;
		e->value = memcpy(p, e->value, e->value_len + 1u);
		p += e->value_len + 1u;
		s->has_refusable = s->has_refusable || settings_may_be_refused(e->name);
	}
	return s;
}

static enum status settings_intern(
	struct settings_table *t, const struct draft *d, struct settings **out);

/* The set that parsing depends on, for a new set `s` made from `d`. */
static enum status settings_set_parse(
	struct settings_table *t, struct settings *s, const struct draft *d)
{
	struct draft part;

	s->parse = s;
	if (draft_is_for_parsing(d))
		return OK;
	part.n = part.text_len = 0;
	for (size_t i = 0; i < d->n; i++)
		if (settings_is_for_parsing(d->entries[i].name))
			draft_add(&part, &d->entries[i]);
	return settings_intern(t, &part, &s->parse); /* recurses once: `part` is for parsing */
}

static enum status settings_intern(
	struct settings_table *t, const struct draft *d, struct settings **out)
{
	struct settings *s = settings_build(d);
	struct interned *old;
	uint64_t hash;
	enum status st;

	if (s == NULL)
		return E_NOMEM;
	hash = hash_bytes(&t->in.key, s->text, s->text_len);
	if ((old = intern_find(&t->in, hash, settings_equal, s)) != NULL) {
		free(s);
		*out = settings_of(old);
		return OK;
	}
	if ((st = settings_set_parse(t, s, d)) != OK)
		goto fail;
	st = intern_add(&t->in, hash, &s->in,
		sizeof *s + s->n * sizeof(struct entry) + s->text_len + sizeof(struct map_slot));
	if (st != OK)
		goto fail_parse;
	*out = s;
	return OK;
fail_parse:
	if (s->parse != s)
		settings_unref(t, s->parse);
fail:
	free(s);
	return st;
}

enum status settings_table_new(
	const struct hash_key *key, size_t bytes_max, struct settings_table **out)
{
	struct settings_table *t = calloc(1, sizeof *t);

	const struct draft none = {.n = 0, .text_len = 0};
	enum status st;

	if (t == NULL)
		return E_NOMEM;
	intern_init(&t->in, key, bytes_max, settings_free, t);
	if ((st = settings_intern(t, &none, &t->empty)) != OK) {
		settings_table_free(t);
		return st;
	}
	*out = t;
	return OK;
}

void settings_table_free(struct settings_table *t)
{
	if (t == NULL)
		return;
	intern_fini(&t->in);
	free(t);
}

size_t settings_table_n(const struct settings_table *t)
{
	return t->in.map.n_items;
}

size_t settings_table_bytes(const struct settings_table *t)
{
	return t->in.bytes;
}

struct settings *settings_empty(struct settings_table *t)
{
	return settings_ref(t->empty);
}

struct settings *settings_ref(struct settings *s)
{
	intern_ref(&s->in);
	return s;
}

void settings_unref(struct settings_table *t, struct settings *s)
{
	if (s != NULL)
		intern_unref(&t->in, &s->in);
}

enum status settings_put(struct settings_table *t, const struct settings *base, const char *name,
	const char *value, struct settings **out)
{
	char folded[SETTINGS_NAME_MAX + 1];
	struct draft d;
	struct entry e = {.name = folded, .value = value};
	size_t name_len, value_len = strlen(value);
	enum status st;

	if ((st = name_fold(name, folded, &name_len)) != OK)
		return st;
	if (value_len > SETTINGS_VALUE_MAX)
		return E_LIMIT;
	if (!value_can_be_quoted(value))
		return E_INVALID;
	draft_copy_without(&d, base, folded);
	if (is_encoding(&e) && !draft_is_ascii(&d))
		return E_INVALID;
	e.name_len = (uint16_t)name_len;
	e.value_len = (uint16_t)value_len;
	if (d.n == SETTINGS_N_MAX || d.text_len + name_len + value_len + 2 > SETTINGS_SET_MAX)
		return E_LIMIT;
	draft_insert(&d, &e);
	return settings_intern(t, &d, out);
}

enum status settings_drop(struct settings_table *t, const struct settings *base, const char *name,
	struct settings **out)
{
	char folded[SETTINGS_NAME_MAX + 1];
	const struct entry e = {.name = folded};
	struct draft d;
	size_t name_len;
	enum status st;

	if ((st = name_fold(name, folded, &name_len)) != OK)
		return st;
	draft_copy_without(&d, base, folded);
	if (d.n != base->n && is_encoding(&e) && !draft_is_ascii(&d))
		return E_INVALID;
	return settings_intern(t, &d, out);
}

enum status settings_adopt(struct settings_table *t, struct settings **s)
{
	struct settings *old = *s;
	struct draft d;
	enum status st;

	if (old->in.home == &t->in)
		return OK;
	draft_copy_without(&d, old, "");
	if ((st = settings_intern(t, &d, s)) == OK)
		settings_unref(t, old);
	return st;
}

/* --- reading --- */

bool settings_has_refusable(const struct settings *s)
{
	return s->has_refusable;
}

size_t settings_n(const struct settings *s)
{
	return s->n;
}

const char *settings_name(const struct settings *s, size_t i)
{
	PANIC_IF(i >= s->n);
	return s->entries[i].name;
}

const char *settings_value(const struct settings *s, size_t i)
{
	PANIC_IF(i >= s->n);
	return s->entries[i].value;
}

const char *settings_get(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcasecmp(s->entries[i].name, name) == 0)
			return s->entries[i].value;
	return NULL;
}

bool settings_has_names(const struct settings *s, const struct settings *names)
{
	uint32_t i = 0;

	for (uint32_t j = 0; j < names->n; j++) {
		int order = -1;

		while (i < s->n && (order = strcmp(s->entries[i].name, names->entries[j].name)) < 0)
			i++;
		if (i == s->n || order != 0)
			return false;
	}
	return true;
}

enum status settings_put_names(struct settings_table *t, struct settings *base,
	const struct settings *names, struct settings **out)
{
	struct settings *s = settings_ref(base);

	for (uint32_t j = 0; j < names->n; j++) {
		struct settings *more;
		enum status st;

		if (settings_get(s, names->entries[j].name) != NULL)
			continue;
		st = settings_put(t, s, names->entries[j].name, "", &more);
		settings_unref(t, s);
		if (st != OK)
			return st;
		s = more;
	}
	*out = s;
	return OK;
}

struct settings *settings_parse_key(struct settings *s)
{
	return s->parse;
}
