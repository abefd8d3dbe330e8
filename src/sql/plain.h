/*
 * plain - the statements that hide nothing, judged in one look over their bytes.
 * Most texts are reads, or one INSERT, UPDATE or DELETE, in which nothing stands that the catalog
 * knows or that turns the walk (walk.c). This is found out without making tokens, several times
 * faster than by walking; whatever is not as plain as that is left to the walk.
 * Owns:    nothing. Touches: nothing else; no allocation, one pass, no recursion.
 * Used by classify and catalog only; the fuzzer and check_plain compare it with the walk.
 */
#ifndef PGWEIR_SQL_PLAIN_H
#define PGWEIR_SQL_PLAIN_H

#include "sql/catalog.h"
#include "sql/verdict.h"
#include "sql/word.h"

/*
 * Arguments as sql_classify has them. True: *out is the verdict (its effects stay as they are),
 * the same as the walk's. False: *out is not changed, and nothing is known of the text.
 */
bool plain_judge(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out);

/* A word that may turn the walk: the filter of every catalog has to have it. */
bool plain_minds(enum word w);

#endif
