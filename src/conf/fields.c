#include "conf/fields.h"

#include <string.h>

/* One line, its continuations joined. */
struct cursor {
	char *p; /* tokens are read in place */
	const char *end;
	struct arena *a;
	const char *wrong;
};

struct fields fields_of(const char *text, size_t len, struct arena *a)
{
	return (struct fields){.p = text, .end = len != 0 ? text + len : text, .line = 1, .a = a};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* --- lines --- */

/* To the end of the line that begins at f->p; past its newline. */
static size_t take_physical(struct fields *f)
{
	size_t left = (size_t)(f->end - f->p);
	const char *nl = memchr(f->p, '\n', left);
	size_t len = nl != NULL ? (size_t)(nl - f->p) : left;

	f->p += nl != NULL ? len + 1 : len;
	f->line++;
	return len;
}

static size_t without_cr(const char *p, size_t len)
{
	return len != 0 && p[len - 1] == '\r' ? len - 1 : len;
}

/* A copy of the next line, those that continue it joined. NULL: no memory. */
static char *take_line(struct fields *f, size_t *len)
{
	const char *from = f->p;
	struct fields ahead = *f;
	size_t n, used = 0;
	bool goes_on = true;
	char *text;

	while (goes_on && ahead.p < ahead.end) {
		const char *at = ahead.p;

		n = without_cr(at, take_physical(&ahead));
		goes_on = n != 0 && at[n - 1] == '\\';
	}
	text = arena_take(f->a, (size_t)(ahead.p - from) + 1);
	if (text == NULL)
		return NULL;
	while (f->p < ahead.p) {
		const char *at = f->p;

		n = without_cr(at, take_physical(f));
		if (n != 0 && at[n - 1] == '\\')
			n--;
		memcpy(text + used, at, n);
		used += n;
	}
	*len = used;
	return text;
}

/* --- tokens --- */

/* Commas as well: as PostgreSQL, one without a name in front of it means nothing. */
static void skip_blanks(struct cursor *c)
{
	while (c->p < c->end && (is_blank(*c->p) || *c->p == ','))
		c->p++;
	if (c->p < c->end && *c->p == '#')
		c->p += c->end - c->p;
}

/*
 * Take the quotes off the next token, where it lies; one written twice inside quotes is one.
 * *quoted_first: it begins with one. Returns its length.
 */
static size_t read_token(struct cursor *c, bool *quoted_first)
{
	bool inside = false, was_quote = false;
	char *to = c->p;
	size_t n = 0;

	*quoted_first = false;
	for (; c->p < c->end && (inside || !is_blank(*c->p)); c->p++) {
		char ch = *c->p;

		if (!inside && (ch == '#' || ch == ','))
			break;
		if (ch != '"' || was_quote)
			to[n++] = ch;
		was_quote = inside && ch == '"' && !was_quote;
		if (ch == '"') {
			inside = !inside;
			*quoted_first |= n == 0;
		}
	}
	if (inside)
		c->wrong = "expected a closing \" on the same line";
	return n;
}

/* Errors: E_NOTFOUND nothing is left of the line; E_NOMEM. */
static enum status next_token(struct cursor *c, struct fields_token **out)
{
	struct fields_token *t;
	bool quoted_first;
	const char *text;
	size_t n;

	skip_blanks(c);
	if (c->p == c->end)
		return E_NOTFOUND;
	text = c->p;
	n = read_token(c, &quoted_first);
	t = arena_take(c->a, sizeof *t);
	text = arena_strndup(c->a, text, n);
	if (t == NULL || text == NULL)
		return E_NOMEM;
	*t = (struct fields_token){.text = text, .is_quoted = quoted_first};
	*out = t;
	return OK;
}

static bool take_comma(struct cursor *c)
{
	if (c->p == c->end || *c->p != ',')
		return false;
	c->p++;
	return true;
}

/* Tokens joined by commas. Errors as next_token. */
static enum status next_field(struct cursor *c, struct fields_field **out)
{
	struct fields_field *field;
	struct fields_token **at;
	enum status st;

	skip_blanks(c);
	if (c->p == c->end)
		return E_NOTFOUND;
	if ((field = arena_take(c->a, sizeof *field)) == NULL)
		return E_NOMEM;
	at = &field->first;
	do {
		st = next_token(c, at);
		if (st == E_NOTFOUND && field->first != NULL)
			break; /* a comma at the end of the line, as PostgreSQL allows */
		if (st != OK)
			return st;
		at = &(*at)->next;
	} while (c->wrong == NULL && take_comma(c));
	*out = field;
	return OK;
}

static enum status read_line(struct cursor *c, struct fields_line *out)
{
	struct fields_field **at = &out->first;
	enum status st = OK;

	if ((size_t)(c->end - c->p) > FIELDS_LINE_MAX)
		c->wrong = "expected a line of at most 65535 bytes";
	else if (memchr(c->p, 0, (size_t)(c->end - c->p)) != NULL)
		c->wrong = "expected text, found a zero byte";
	while (c->wrong == NULL && (st = next_field(c, at)) == OK)
		at = &(*at)->next;
	out->wrong = c->wrong;
	return st == E_NOMEM ? st : OK;
}

enum status fields_next(struct fields *f, struct fields_line *out)
{
	enum status st;

	while (f->p < f->end) {
		struct cursor c = {.a = f->a};
		size_t len;

		*out = (struct fields_line){.line = f->line};
		if ((c.p = take_line(f, &len)) == NULL)
			return E_NOMEM;
		c.end = c.p + len;
		if ((st = read_line(&c, out)) != OK)
			return st;
		if (out->first != NULL || out->wrong != NULL)
			return OK;
	}
	return E_NOTFOUND;
}
