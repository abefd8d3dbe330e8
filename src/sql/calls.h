/*
 * calls - where a text calls one of a few functions, and with what, as long as that is plain to
 * see. Owns: nothing. Touches: nothing else; no allocation, one pass.
 */
#ifndef PGWEIR_SQL_CALLS_H
#define PGWEIR_SQL_CALLS_H

#include "sql/lexer.h"

enum sql_call_of {
	CALL_CURRVAL,
	CALL_LASTVAL,
	CALL_CANCEL_BACKEND,
	CALL_TERMINATE_BACKEND,
};

struct sql_call {
	uint8_t of;          /* enum sql_call_of */
	struct sql_view arg; /* its first argument; len 0: it has none */
};

/*
 * The next call behind what `lx` has read; it is moved behind the call's first argument. An
 * argument is plain if it is put together of literals, parameters, casts to a few types and
 * pg_get_serial_sequence(): to evaluate it elsewhere gives the same and changes nothing.
 * Errors: E_NOTFOUND there is no more; E_INVALID one whose argument is not plain, or a name that
 * escapes may spell.
 */
enum status sql_call_next(struct lexer *lx, struct sql_call *out) MUST_USE;

/*
 * The argument as one integer literal or parameter, maybe cast: its token. E_INVALID: it is
 * something else.
 */
enum status sql_call_number(
	const char *text, uint32_t opts, const struct sql_call *call, struct token *out) MUST_USE;

/* The number of a TOKEN_PARAM; 0: it is too large for one. */
uint16_t sql_param_number(const char *text, const struct token *t);

#endif
