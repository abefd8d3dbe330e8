#include "conf/ini.h"

#include <string.h>

#include "conf/chars.h"

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("_.-*", c) != NULL);
}

struct ini ini_of(const char *text, size_t len)
{
	return (struct ini){.p = text, .end = len != 0 ? text + len : text, .line = 1};
}

static bool at(const struct ini *in, char c)
{
	return in->p < in->end && *in->p == c;
}

static void skip_blanks(struct ini *in)
{
	while (in->p < in->end && char_is_blank(*in->p))
		in->p++;
}

/* To the newline, which stays. */
static void skip_line(struct ini *in)
{
	const char *nl = in->p < in->end ? memchr(in->p, '\n', (size_t)(in->end - in->p)) : NULL;

	in->p = nl != NULL ? nl : in->end;
}

static void skip_spaces_and_comments(struct ini *in)
{
	while (in->p < in->end) {
		if (*in->p == ';' || *in->p == '#') {
			skip_line(in);
			continue;
		}
		if (!char_is_space(*in->p))
			return;
		if (*in->p == '\n')
			in->line++;
		in->p++;
	}
}

static void bad(struct ini *in, struct ini_item *item, const char *expected)
{
	item->kind = INI_BAD;
	item->expected = expected;
	skip_line(in);
}

/* What is left of the line, without the spaces around it. */
static void read_value(struct ini *in, struct ini_item *item)
{
	skip_blanks(in);
	item->value = in->p;
	skip_line(in);
	item->value_len = (size_t)(in->p - item->value);
	while (item->value_len > 0 && char_is_space(item->value[item->value_len - 1]))
		item->value_len--;
	if (item->value_len > INI_VALUE_MAX)
		bad(in, item, "expected a line of at most 65535 bytes");
	else if (item->value_len > 0 && memchr(item->value, 0, item->value_len) != NULL)
		bad(in, item, "expected text, found a zero byte");
}

static void read_section(struct ini *in, struct ini_item *item)
{
	item->kind = INI_SECTION;
	item->name = ++in->p;
	while (in->p < in->end && *in->p != ']' && *in->p != '\n')
		in->p++;
	item->name_len = (size_t)(in->p - item->name);
	if (at(in, ']'))
		in->p++;
	else
		bad(in, item, "expected ] after the name of a section");
}

/* SQL's quoting of identifiers: "" inside stands for one quote. */
static bool read_quoted_name(struct ini *in, struct ini_item *item)
{
	item->is_quoted = true;
	item->name = ++in->p;
	for (; in->p < in->end && *in->p != '\n'; in->p++) {
		if (*in->p != '"')
			continue;
		item->name_len = (size_t)(in->p++ - item->name);
		if (!at(in, '"'))
			return true;
	}
	bad(in, item, "expected a closing \" on the same line");
	return false;
}

static void read_pair(struct ini *in, struct ini_item *item)
{
	item->kind = INI_PAIR;
	if (at(in, '"')) {
		if (!read_quoted_name(in, item))
			return;
	} else {
		item->name = in->p;
		while (in->p < in->end && is_name_char(*in->p))
			in->p++;
		item->name_len = (size_t)(in->p - item->name);
	}
	skip_blanks(in);
	if (item->name_len == 0 && !at(in, '='))
		bad(in, item,
			"expected name = value, [section] or %include; names with other characters "
			"than a-z, 0-9, _ . - * stand in double quotes");
	else if (item->name_len == 0 || item->name_len > INI_VALUE_MAX)
		bad(in, item, "expected a name before =, of at most 65535 bytes");
	else if (memchr(item->name, 0, item->name_len) != NULL)
		bad(in, item, "expected text, found a zero byte");
	else if (!at(in, '='))
		bad(in, item, "expected = after the name");
	else {
		in->p++;
		read_value(in, item);
	}
}

static bool at_include(const struct ini *in)
{
	static const char word[] = "%include";
	size_t len = sizeof word - 1;

	return (size_t)(in->end - in->p) > len && memcmp(in->p, word, len) == 0 &&
	       char_is_blank(in->p[len]);
}

struct ini_item ini_next(struct ini *in)
{
	struct ini_item item = {.kind = INI_END};

	skip_spaces_and_comments(in);
	item.line = in->line;
	if (in->p == in->end)
		return item;
	if (at(in, '[')) {
		read_section(in, &item);
	} else if (at_include(in)) {
		in->p += strlen("%include");
		item.kind = INI_INCLUDE;
		read_value(in, &item);
	} else {
		read_pair(in, &item);
	}
	return item;
}

char *ini_name_copy(const struct ini_item *item, struct arena *a)
{
	if (item->is_quoted)
		return chars_undouble(item->name, item->name_len, '"', a);
	return arena_strndup(a, item->name, item->name_len);
}
