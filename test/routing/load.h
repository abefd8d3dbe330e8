/* load - test data for the classifier: a catalog dump, and the statement of a JSON line. */
#ifndef PGWEIR_TEST_ROUTING_LOAD_H
#define PGWEIR_TEST_ROUTING_LOAD_H

#include "sql/catalog.h"

#include "jsonl.h"

/*
 * A file of "kind<TAB>name" lines, as make_catalog.sh writes it, but for those of the kind
 * `without` (NULL: all of them). Exits if it cannot be read.
 */
struct catalog *load_catalog(const char *path, const char *without);

/*
 * The line's text: "sql", or the bytes that "sql_hex" spells, in `buf` of `cap` bytes.
 * Exits if there is none.
 */
const char *load_sql(const struct jsonl *j, char *buf, size_t cap, size_t *len);

#endif
