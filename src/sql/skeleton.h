/*
 * skeleton - a quick hash of a text without its values, so that a fingerprint need not be computed
 * for each execution: two texts with the same skeleton have the same fingerprint (fingerprint.h),
 * and texts that differ only in values, lists of values and what comments say have the same
 * skeleton. Letter case, quotes of names and blanks count here, for they cost what is saved.
 * Pure; one pass, eight bytes at a time; no allocation.
 */
#ifndef PGWEIR_SQL_SKELETON_H
#define PGWEIR_SQL_SKELETON_H

#include "sql/lexer.h"

/*
 * sql[len] is a NUL, and the only one. opts: SQL_STD_STRINGS. 0: the text has none, since it is too
 * long or has something rare in it (an unterminated literal, U&'literal').
 */
uint64_t sql_skeleton(const char *sql, size_t len, uint32_t opts);

#endif
