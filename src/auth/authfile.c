#include "auth/authfile.h"

#include <string.h>

#include "conf/chars.h"

struct authfile authfile_of(const char *text, size_t len)
{
	return (struct authfile){.p = text, .end = len != 0 ? text + len : text, .line = 1};
}

/* To the newline, which stays. */
static void skip_line(struct authfile *f)
{
	const char *nl = f->p < f->end ? memchr(f->p, '\n', (size_t)(f->end - f->p)) : NULL;

	f->p = nl != NULL ? nl : f->end;
}

static void skip_spaces_and_comments(struct authfile *f)
{
	while (f->p < f->end) {
		if (*f->p == ';' || *f->p == '#') {
			skip_line(f);
			continue;
		}
		if (!char_is_space(*f->p))
			return;
		if (*f->p == '\n')
			f->line++;
		f->p++;
	}
}

/* A text in double quotes, to the same line's end at most. False: it is none. */
static bool read_quoted(struct authfile *f, const char **text, size_t *len)
{
	if (f->p == f->end || *f->p != '"')
		return false;
	*text = ++f->p;
	for (; f->p < f->end && *f->p != '\n'; f->p++) {
		if (*f->p != '"')
			continue;
		*len = (size_t)(f->p++ - *text);
		if (f->p == f->end || *f->p != '"')
			return memchr(*text, 0, *len) == NULL;
	}
	return false;
}

struct authfile_item authfile_next(struct authfile *f)
{
	struct authfile_item item = {.kind = AUTHFILE_END};

	skip_spaces_and_comments(f);
	item.line = f->line;
	if (f->p == f->end)
		return item;
	item.kind = AUTHFILE_BAD;
	if (!read_quoted(f, &item.user, &item.user_len)) {
		item.user = NULL;
		item.user_len = 0;
		item.expected = "expected \"user\" \"secret\", a quote in either doubled";
		skip_line(f);
		return item;
	}
	while (f->p < f->end && char_is_blank(*f->p))
		f->p++;
	if (read_quoted(f, &item.secret, &item.secret_len))
		item.kind = AUTHFILE_USER;
	else
		item.expected = "expected the secret in double quotes behind the user";
	skip_line(f);
	return item;
}
