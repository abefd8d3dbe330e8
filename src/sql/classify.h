/*
 * classify - may this text run on a replica, and what does it do to the session?
 * Default is the primary: SQLV_REPLICA needs a positive proof over every token of the text.
 * Owns:    nothing. Touches: nothing else; no allocation, one pass, no recursion.
 * Bounds:  texts up to SQL_LEN_MAX; 9 to 16 instructions a byte of a plain statement (plain.h), up
 *          to 25 of one with a plain rest, 35 of another.
 * What no text shows (function bodies, dishonest volatility labels) is not seen here: the
 * operator's lists and the replay of refused statements are for that.
 */
#ifndef PGWEIR_SQL_CLASSIFY_H
#define PGWEIR_SQL_CLASSIFY_H

#include "sql/catalog.h"
#include "sql/verdict.h"

/*
 * sql:  the text of a Query or Parse message, any bytes, any length; sql[len] is its NUL.
 * opts: SQL_STD_STRINGS, SQL_ENC_*.
 * cat:  the names of the client's database; NULL while they are not loaded: then everything but
 *       SQLV_REPLICA is told.
 */
void sql_classify(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out);

/*
 * The same without the short way for plain statements (plain.h), for tests: the verdict must be
 * the same.
 */
void sql_classify_walking(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out);

/* The same, and every reason against a replica, not only the first. */
void sql_classify_objections(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out, struct sql_objections *all);

#endif
