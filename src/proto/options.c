#include "proto/options.h"

#include <string.h>

void options_init(struct options *o, const char *text, char *buf, size_t cap)
{
	*o = (struct options){.next = text, .buf = buf, .cap = cap};
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum status put_char(struct options *o, char c)
{
	if (o->cap == 0)
		return E_LIMIT;
	*o->buf++ = c;
	o->cap--;
	return OK;
}

/* Copy the next word without its backslashes; E_NOTFOUND if only spaces are left. */
static enum status next_word(struct options *o, char **word)
{
	const char *p = o->next;
	enum status st = OK;

	while (is_space(*p))
		p++;
	if (*p == '\0')
		return E_NOTFOUND;
	*word = o->buf;
	for (; st == OK && *p != '\0' && !is_space(*p); p++) {
		if (*p == '\\' && *++p == '\0')
			break;
		st = put_char(o, *p);
	}
	if (st == OK)
		st = put_char(o, '\0');
	o->next = p;
	return st;
}

static enum status split_setting(char *setting, const char **name, const char **value)
{
	char *equals = strchr(setting, '=');

	if (equals == NULL)
		return E_INVALID;
	*equals = '\0';
	for (char *p = setting; *p != '\0'; p++)
		if (*p == '-')
			*p = '_';
	*name = setting;
	*value = equals + 1;
	return OK;
}

static enum status read_switch(struct options *o, const char **name, const char **value)
{
	enum status st;
	char *word;

	if ((st = next_word(o, &word)) != OK)
		return st;
	*name = word;
	if (strcmp(word, "-c") == 0) {
		st = next_word(o, &word);
		if (st != OK)
			return st == E_NOTFOUND ? E_INVALID : st;
		*name = word;
		return split_setting(word, name, value);
	}
	if (word[0] != '-' || (word[1] != 'c' && word[1] != '-'))
		return E_INVALID;
	return split_setting(word + 2, name, value);
}

enum status options_next(struct options *o, const char **name, const char **value)
{
	*name = *value = "";
	if (o->end == OK)
		o->end = read_switch(o, name, value);
	return o->end;
}
