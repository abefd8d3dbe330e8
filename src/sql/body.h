/*
 * body - a look into the code of a DO block or a function. Used by stmt_session and scan only.
 */
#ifndef PGWEIR_SQL_BODY_H
#define PGWEIR_SQL_BODY_H

#include "sql/catalog.h"

/*
 * Does a block of any language name something that changes the session? It is read as bare words,
 * strings and comments included: EXECUTE 'LISTEN x' is to be seen too.
 */
bool body_has_effect(const char *body, size_t len);

/* Does it name currval or lastval? */
bool body_asks_sequences(const char *body, size_t len);

/* CATALOG_SETS and its like of the names in it; cat may be NULL. */
uint32_t body_sets(const char *body, size_t len, const struct catalog *cat);

/*
 * Does it name CREATE, ALTER, DROP or IMPORT? SQLV_SCHEMA, and SQLV_DDL unless only DROP is named,
 * as those statements themselves have; else 0. Read in the same way.
 */
uint32_t body_definitions(const char *body, size_t len);

#endif
