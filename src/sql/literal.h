/*
 * literal - the value that the server gives to an identifier or string token.
 * Touches: nothing else; writes into the caller's buffer only.
 */
#ifndef PGWEIR_SQL_LITERAL_H
#define PGWEIR_SQL_LITERAL_H

#include "sql/lexer.h"

/*
 * Name of an identifier token (TOKEN_WORD folded to lower case, TOKEN_QUOTED and TOKEN_UQUOTED
 * undoubled and decoded), cut at SQL_NAME_MAX bytes as the server cuts it, in UTF-8.
 * buf:     SQL_NAME_MAX + 1 bytes; NUL-terminated on OK. *len gets its length, 1..SQL_NAME_MAX.
 * uescape: the escape character of a U&"" identifier; '\\' unless a UESCAPE clause follows it.
 * Errors:  E_INVALID not an identifier token, empty, or a wrong Unicode escape.
 */
enum status literal_name(
	const char *text, const struct token *t, char uescape, char *buf, size_t *len) MUST_USE;

/*
 * Value of a string token (TOKEN_STRING, _ESTRING, _USTRING, _DOLLAR), its continuations on
 * later lines included. buf gets the value and a NUL, *len its length.
 * Errors: E_INVALID not a string or a wrong escape; E_LIMIT does not fit `cap`, NUL included.
 */
enum status literal_string(const char *text, const struct token *t, char uescape, char *buf,
	size_t cap, size_t *len) MUST_USE;

#endif
