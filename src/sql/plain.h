/*
 * plain - most statements, judged in one look over their bytes.
 * Most texts are SELECT, INSERT, UPDATE, DELETE or WITH, several maybe, in which few names stand
 * that the catalog knows, and few words that turn the walk (walk.c). The rest means nothing, and is
 * passed over without making tokens, several times faster than by walking. Where the catalog knows
 * a name the token before it tells what it is; where it does not, or a form is not so plain, the
 * text is left to the walk.
 * Owns:    nothing. Touches: nothing else; no allocation, one pass, no recursion.
 * Used by classify and catalog only; the fuzzer and check_plain compare it with the walk.
 */
#ifndef PGWEIR_SQL_PLAIN_H
#define PGWEIR_SQL_PLAIN_H

#include "sql/catalog.h"
#include "sql/verdict.h"
#include "sql/word.h"

/*
 * Arguments as sql_classify has them. True: *out is the verdict, the same as the walk's. False:
 * nothing is known of the text, whatever *out says.
 */
bool plain_judge(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out);

/* A word that may turn the walk: the filter of every catalog has to have it. */
bool plain_minds(enum word w);

#endif
