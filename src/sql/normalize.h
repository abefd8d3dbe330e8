/*
 * normalize - a statement as it may be shown: without the values that it was sent with.
 * Pure; one pass, no allocation.
 */
#ifndef PGWEIR_SQL_NORMALIZE_H
#define PGWEIR_SQL_NORMALIZE_H

#include "sql/lexer.h"

/*
 * Write `sql` to `out` (cap: 8 or more; always NUL-terminated) with every literal as $1, $2 …, a
 * list of them cut behind its first, comments left out, and blanks between tokens as one. What is
 * cut off, or cannot be lexed, ends in "...". sql[len] is a NUL. Returns the length.
 */
size_t sql_normalize(const char *sql, size_t len, uint32_t opts, char *out, size_t cap);

#endif
