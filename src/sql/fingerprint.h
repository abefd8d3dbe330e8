/*
 * fingerprint - one 64-bit value for all texts that differ only in literals, lists of literals,
 * letter case of unquoted words, blanks and comments. For statistics and the list of learned
 * statements: not secret, not collision-proof against an attacker.
 */
#ifndef PGWEIR_SQL_FINGERPRINT_H
#define PGWEIR_SQL_FINGERPRINT_H

#include "sql/lexer.h"

/*
 * Any bytes; sql[len] is a NUL. Texts above SQL_LEN_MAX all have one fingerprint. opts:
 * SQL_STD_STRINGS. Never 0; trailing semicolons do not count.
 */
uint64_t sql_fingerprint(const char *sql, size_t len, uint32_t opts);

#endif
