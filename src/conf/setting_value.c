#include "conf/setting_value.h"

#include <string.h>
#include <strings.h>

#include "base/value.h"
#include "conf/chars.h"
#include "conf/conf.h"

#define SEPARATORS ",:"

/* --- reading a value --- */

/* The value of the word that is `len` bytes of `text`, in upper or lower case. */
static bool find_word(const struct setting_word *words, const char *text, size_t len, uint32_t *out)
{
	for (; words != NULL && words->name != NULL; words++) {
		if (strlen(words->name) == len && strncasecmp(words->name, text, len) == 0) {
			*out = words->value;
			return true;
		}
	}
	return false;
}

static bool read_number(const struct setting *s, const char *text, uint64_t *v)
{
	uint32_t word;
	bool ok;

	if (find_word(s->words, text, strlen(text), &word)) {
		*v = word;
		return true;
	}
	if (s->type == SETTING_TIME)
		ok = value_parse_time(text, v);
	else if (s->type == SETTING_SIZE)
		ok = value_parse_size(text, v);
	else
		ok = value_parse_uint(text, v);
	return ok && *v >= s->min && *v <= s->max;
}

static bool read_octal(const struct setting *s, const char *text, uint32_t *v)
{
	return value_parse_octal(text, v) && *v <= s->max;
}

static bool read_enum(const struct setting *s, const char *text, uint32_t *v)
{
	return find_word(s->words, text, strlen(text), v);
}

/* Words joined by commas or colons; one with a ! takes its bits away. Some bit has to remain. */
static bool read_mask(const struct setting *s, const char *text, uint32_t *v)
{
	uint32_t bits;

	*v = 0;
	while (*(text += strspn(text, SEPARATORS " \t")) != '\0') {
		bool negated = *text == '!';
		size_t len = strcspn(text += negated, SEPARATORS " \t");

		if (!find_word(s->words, text, len, &bits))
			return false;
		*v = negated ? *v & ~bits : *v | bits;
		text += len;
	}
	return *v != 0;
}

/* The next item of a list at *p, without blanks around it. False at the end. */
static bool next_item(const char **p, const char **item, size_t *len)
{
	*item = *p + strspn(*p, ", \t");
	if (**item == '\0')
		return false;
	*len = strcspn(*item, ",");
	*p = *item + *len;
	while (*len > 0 && char_is_blank((*item)[*len - 1]))
		--*len;
	return true;
}

static enum status read_list(const char *text, struct conf_list *out, struct arena *a)
{
	struct conf_list list = {.n = 0};
	const char *p = text, *item;
	const char **items;
	size_t len;

	while (next_item(&p, &item, &len))
		list.n++;
	if ((items = arena_take_array(a, list.n, sizeof *items)) == NULL)
		return E_NOMEM;
	p = text;
	for (size_t i = 0; next_item(&p, &item, &len); i++)
		if ((items[i] = arena_strndup(a, item, len)) == NULL)
			return E_NOMEM;
	list.items = items;
	*out = list;
	return OK;
}

static void store(const struct setting *s, void *base, const void *value, size_t len)
{
	PANIC_IF(s->field_len != len);
	memcpy((char *)base + s->offset, value, len);
}

static void store_number(const struct setting *s, void *base, uint64_t v)
{
	uint32_t v32 = (uint32_t)v;
	uint16_t v16 = (uint16_t)v;

	if (s->field_len == sizeof v)
		store(s, base, &v, sizeof v);
	else if (s->field_len == sizeof v32)
		store(s, base, &v32, sizeof v32);
	else
		store(s, base, &v16, sizeof v16);
}

static enum status store_string(
	const struct setting *s, const char *text, void *base, struct arena *a)
{
	const char *copy = *text == '\0' ? "" : arena_strdup(a, text);

	if (copy == NULL)
		return E_NOMEM;
	store(s, base, &copy, sizeof copy);
	return OK;
}

static void store_unset(const struct setting *s, void *base)
{
	static const char *const empty = "";
	static const struct conf_list none = {.n = 0};

	switch (s->type) {
	case SETTING_INT:
		store_number(s, base, CONF_UNSET);
		return;
	case SETTING_TIME:
		store_number(s, base, CONF_UNSET_US);
		return;
	case SETTING_STRING:
		store(s, base, &empty, sizeof empty);
		return;
	case SETTING_LIST:
		store(s, base, &none, sizeof none);
		return;
	case SETTING_BOOL:
		store(s, base, &(bool){false}, sizeof(bool));
		return;
	case SETTING_OCTAL:
	case SETTING_PORT:
	case SETTING_SIZE:
	case SETTING_ENUM:
	case SETTING_MASK:
		store_number(s, base, 0);
		return;
	case SETTING_NONE:
		return;
	}
}

enum status setting_parse(const struct setting *s, const char *text, void *base, struct arena *a)
{
	struct conf_list list;
	uint64_t number;
	uint32_t word;
	bool flag;

	if (text == NULL) {
		store_unset(s, base);
		return OK;
	}
	switch (s->type) {
	case SETTING_BOOL:
		if (!value_parse_bool(text, &flag))
			return E_INVALID;
		store(s, base, &flag, sizeof flag);
		return OK;
	case SETTING_INT:
	case SETTING_PORT:
	case SETTING_TIME:
	case SETTING_SIZE:
		if (!read_number(s, text, &number))
			return E_INVALID;
		store_number(s, base, number);
		return OK;
	case SETTING_OCTAL:
		if (!read_octal(s, text, &word))
			return E_INVALID;
		store_number(s, base, word);
		return OK;
	case SETTING_ENUM:
		if (!read_enum(s, text, &word))
			return E_INVALID;
		store_number(s, base, word);
		return OK;
	case SETTING_MASK:
		if (!read_mask(s, text, &word))
			return E_INVALID;
		store_number(s, base, word);
		return OK;
	case SETTING_STRING:
		if (s->max != 0 && strlen(text) > s->max)
			return E_INVALID;
		return store_string(s, text, base, a);
	case SETTING_LIST:
		if (read_list(text, &list, a) != OK)
			return E_NOMEM;
		store(s, base, &list, sizeof list);
		return OK;
	case SETTING_NONE:
		return OK;
	}
	return E_INVALID;
}

/* --- loading a field --- */

static const void *field(const struct setting *s, const void *base)
{
	return (const char *)base + s->offset;
}

uint64_t setting_number(const struct setting *s, const void *base)
{
	uint64_t v;
	uint32_t v32;
	uint16_t v16;
	bool flag;

	if (s->type == SETTING_BOOL) {
		memcpy(&flag, field(s, base), sizeof flag);
		return flag;
	}
	if (s->field_len == sizeof v) {
		memcpy(&v, field(s, base), sizeof v);
		return v;
	}
	if (s->field_len == sizeof v32) {
		memcpy(&v32, field(s, base), sizeof v32);
		return v32;
	}
	memcpy(&v16, field(s, base), sizeof v16);
	return v16;
}

const char *setting_string(const struct setting *s, const void *base)
{
	const char *text;

	memcpy(&text, field(s, base), sizeof text);
	return text;
}

struct conf_list setting_list(const struct setting *s, const void *base)
{
	struct conf_list list;

	memcpy(&list, field(s, base), sizeof list);
	return list;
}

/* --- comparing and copying --- */

static bool list_is_equal(struct conf_list a, struct conf_list b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (strcmp(a.items[i], b.items[i]) != 0)
			return false;
	return true;
}

bool setting_is_equal(const struct setting *s, const void *base_a, const void *base_b)
{
	switch (s->type) {
	case SETTING_STRING:
		return strcmp(setting_string(s, base_a), setting_string(s, base_b)) == 0;
	case SETTING_LIST:
		return list_is_equal(setting_list(s, base_a), setting_list(s, base_b));
	case SETTING_BOOL:
	case SETTING_INT:
	case SETTING_OCTAL:
	case SETTING_PORT:
	case SETTING_TIME:
	case SETTING_SIZE:
	case SETTING_ENUM:
	case SETTING_MASK:
		return memcmp(field(s, base_a), field(s, base_b), s->field_len) == 0;
	case SETTING_NONE:
		return true;
	}
	return true;
}

static enum status copy_list(
	const struct setting *s, struct conf_list from, void *base, struct arena *a)
{
	const char **items = arena_take_array(a, from.n, sizeof *items);
	struct conf_list copy = {.n = from.n, .items = items};

	if (items == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < from.n; i++)
		if ((items[i] = arena_strdup(a, from.items[i])) == NULL)
			return E_NOMEM;
	store(s, base, &copy, sizeof copy);
	return OK;
}

enum status setting_copy(const struct setting *s, const void *from, void *base, struct arena *a)
{
	switch (s->type) {
	case SETTING_STRING:
		return store_string(s, setting_string(s, from), base, a);
	case SETTING_LIST:
		return copy_list(s, setting_list(s, from), base, a);
	case SETTING_BOOL:
	case SETTING_INT:
	case SETTING_OCTAL:
	case SETTING_PORT:
	case SETTING_TIME:
	case SETTING_SIZE:
	case SETTING_ENUM:
	case SETTING_MASK:
		store(s, base, field(s, from), s->field_len);
		return OK;
	case SETTING_NONE:
		return OK;
	}
	return OK;
}
