/*
 * txn_time - does a text show when its transaction began, or settle what it sees? A transaction
 * that moves from one server to another begins twice; such a statement has to run where it ends.
 * Owns:   nothing; no allocation, one pass over the tokens.
 * Not:    what a view, a function or a bound value brings along; documented for users.
 * Source: PostgreSQL manual, "Date/Time Functions": Current Date/Time; "Date/Time Types": Special
 *         Values. age(x) counts from current_date; of a transaction id, from the next one.
 */
#ifndef PGWEIR_SQL_TXN_TIME_H
#define PGWEIR_SQL_TXN_TIME_H

#include "sql/lexer.h"

/*
 * True if `text` calls now(), transaction_timestamp(), age() or mxid_age(), has one of the key
 * words CURRENT_DATE, CURRENT_TIME, CURRENT_TIMESTAMP, LOCALTIME, LOCALTIMESTAMP, or a string
 * literal with the word now, today, tomorrow or yesterday in it; and where it cannot be told.
 * text[len] must be a NUL; a text above SQL_LEN_MAX, or one that cannot be lexed as it is (opts),
 * is true.
 */
bool txn_time_is_named(const char *text, size_t len, uint32_t opts);

/*
 * True if the text has no statement but SHOW: none that takes a snapshot, behind which the
 * isolation level of a transaction cannot be changed.
 */
bool txn_time_shows_only(const char *text, size_t len, uint32_t opts);

#endif
