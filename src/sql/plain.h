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

#include "sql/scan.h"

#define PLAIN_NOTHING SIZE_MAX

/*
 * Arguments as sql_classify has them. True: *out is the verdict, the same as the walk's. False:
 * *judged tells of how many bytes it is: of statements that are plain, where one with another verb
 * follows, which may have a plain rest; PLAIN_NOTHING: nothing is known of the text, whatever *out
 * says.
 */
bool plain_judge(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out, size_t *judged);

/*
 * The statements from the current token on, as many as are plain. False: nothing was done, for the
 * first one has another verb, or one of them is not plain. True: the cursor is behind them.
 */
bool plain_statements(struct scan *s);

/*
 * What stands behind the current token, to the end of the statement, of which no more is asked than
 * walk_expressions does. opened: the token is a parenthesis; with: a WITH. False: it is not plain,
 * and nothing was done. True: the cursor is at the statement's end.
 */
bool plain_rest(struct scan *s, bool opened, bool with);

/*
 * Behind what stands from the current token on, if that is plain to see: of the parenthesis that
 * it is, its closing one (`group`); else where the statement ends, on the semicolon or the text's
 * NUL, as walk_rest finds it. NULL: it is not.
 */
const uint8_t *plain_skim(const struct scan *s, bool group);

/* A word that may turn the walk: the filter of every catalog has to have it. */
bool plain_minds(enum word w);

#endif
