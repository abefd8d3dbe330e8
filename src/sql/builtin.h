/*
 * builtin - names of PostgreSQL's own that differ from server to server although their
 * definition does not show it (they are not volatile). Volatile ones come from pg_proc.
 */
#ifndef PGWEIR_SQL_BUILTIN_H
#define PGWEIR_SQL_BUILTIN_H

extern const char *const builtin_functions[]; /* ends with NULL */
extern const char *const builtin_relations[]; /* ends with NULL */

#endif
