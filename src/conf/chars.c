#include "conf/chars.h"

char *chars_undouble(const char *p, size_t len, char quote, struct arena *a)
{
	char *copy = arena_strndup(a, p, len);
	char *to = copy;

	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		*to++ = p[i];
		if (p[i] == quote)
			i++;
	}
	*to = '\0';
	return copy;
}
