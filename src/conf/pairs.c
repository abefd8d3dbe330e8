#include "conf/pairs.h"

#include <string.h>

#include "conf/chars.h"

static const char *skip_spaces(const char *p)
{
	while (char_is_space(*p))
		p++;
	return p;
}

/* `p` behind the opening quote. Returns behind the closing one, or NULL if there is none. */
static const char *read_quoted(const char *p, struct pair *out)
{
	out->is_quoted = true;
	out->value = p;
	while ((p = strchr(p, '\'')) != NULL && p[1] == '\'')
		p += 2;
	if (p == NULL)
		return NULL;
	out->value_len = (size_t)(p - out->value);
	return p + 1;
}

static const char *read_plain(const char *p, struct pair *out)
{
	out->value = p;
	while (*p != '\0' && !char_is_space(*p))
		p++;
	out->value_len = (size_t)(p - out->value);
	return p;
}

static enum status fail(const char **p, struct pair *out, const char *expected)
{
	*p += strlen(*p);
	out->expected = expected;
	return E_PROTO;
}

enum status pairs_next(const char **p, struct pair *out)
{
	const char *at = skip_spaces(*p);

	*out = (struct pair){.key = at, .value = at};
	if (*at == '\0') {
		*p = at;
		return E_NOTFOUND;
	}
	while (*at != '\0' && *at != '=' && !char_is_space(*at))
		at++;
	out->key_len = (size_t)(at - out->key);
	at = skip_spaces(at);
	if (out->key_len == 0 || *at != '=')
		return fail(p, out, "expected key=value pairs apart by spaces");
	at = skip_spaces(at + 1);
	at = *at == '\'' ? read_quoted(at + 1, out) : read_plain(at, out);
	if (at == NULL)
		return fail(p, out, "expected a closing ' (inside a value a quote is doubled)");
	if (*at != '\0' && !char_is_space(*at))
		return fail(p, out,
			"expected a space after the closing ' (inside a value a quote is doubled)");
	*p = at;
	return OK;
}

char *pairs_value_copy(const struct pair *pair, struct arena *a)
{
	if (pair->is_quoted)
		return chars_undouble(pair->value, pair->value_len, '\'', a);
	return arena_strndup(a, pair->value, pair->value_len);
}
