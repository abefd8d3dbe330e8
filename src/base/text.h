/* text - C strings: copies into fixed buffers, what they are made of. */
#ifndef PGWEIR_BASE_TEXT_H
#define PGWEIR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Copy `from`, cut at cap - 1 bytes; always NUL-terminated. cap: 1 or more. */
static inline void text_copy(char *to, size_t cap, const char *from)
{
	size_t n = strlen(from); /* not strnlen: of a short literal gcc takes it for an overread */

	if (n > cap - 1)
		n = cap - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

/* Has it no byte above 0x7f? */
static inline bool text_is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

#endif
