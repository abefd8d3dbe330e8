/*
 * chars - what the file formats have in common: blanks, and a quote that is written twice inside a
 * quoted text. The C locale's functions depend on the locale, these do not.
 */
#ifndef PGWEIR_CONF_CHARS_H
#define PGWEIR_CONF_CHARS_H

#include "base/arena.h"
#include "base/status.h"

static inline bool char_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool char_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * A copy of `len` bytes in which each pair of `quote` is one; every quote stands in a pair.
 * NULL: no memory.
 */
char *chars_undouble(const char *p, size_t len, char quote, struct arena *a) MUST_USE;

#endif
