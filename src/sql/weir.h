/*
 * weir - statements that are for pgweir itself: SET, RESET and SHOW of pgweir.* parameters, and
 * EXPLAIN ROUTE. Reads the first statement of a text.
 * Owns:    nothing; one pass, no allocation.
 */
#ifndef PGWEIR_SQL_WEIR_H
#define PGWEIR_SQL_WEIR_H

#include <string.h>

#include "sql/lexer.h"

#define WEIR_NAME_MAX  64u  /* bytes of a parameter's name behind "pgweir.", the NUL counted */
#define WEIR_VALUE_MAX 128u /* bytes of a value, the NUL counted */

enum weir_kind {
	WEIR_SET,           /* name, value, local */
	WEIR_RESET,         /* name, local: RESET, SET … TO DEFAULT */
	WEIR_SHOW,          /* name */
	WEIR_EXPLAIN_ROUTE, /* inner */
};

struct weir_stmt {
	uint8_t kind; /* enum weir_kind */
	bool local;
	bool is_set;              /* written as SET, also where it resets */
	bool bad_syntax;          /* it is for us, and its end is not understood */
	bool is_only;             /* no other statement follows */
	char name[WEIR_NAME_MAX]; /* lower case */
	char value[WEIR_VALUE_MAX];
	struct sql_view inner; /* of EXPLAIN ROUTE: the statement */
	uint32_t end;          /* offset behind it, its semicolon included */
};

/* False: the text's first statement is not for us. text, len, opts: as sql_classify. */
bool weir_read(const char *text, size_t len, uint32_t opts, struct weir_stmt *out);

/* Cheap: may it be? Of other texts weir_read is false. */
static inline bool weir_may_be(const char *text, size_t len)
{
	uint32_t head;

	if (len < sizeof "SET pgweir.x" - 1)
		return false;
	if ((uint8_t)text[0] <= ' ' || text[0] == '/' || text[0] == '-' || text[0] == ';')
		return true; /* what stands ahead hides it */
	head = ((uint32_t)(uint8_t)text[0] << 16 | (uint32_t)(uint8_t)text[1] << 8 |
		       (uint8_t)text[2]) |
	       0x202020u;
	if (head == 0x657870u) /* exp: does another word than ROUTE follow? */
		return text[7] != ' ' || (uint8_t)text[8] <= ' ' || text[8] == '/' ||
		       text[8] == '-' || (text[8] | 0x20) == 'r';
	if (head != 0x736574u && head != 0x73686fu && head != 0x726573u) /* set, sho, res */
		return false;
	/* behind "pgweir" comes a dot, which U&"…" may hide */
	return memchr(text, '.', len) != NULL || memchr(text, '&', len) != NULL;
}

#endif
