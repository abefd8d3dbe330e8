/*
 * catalog_sql - the query that fills a catalog; run on the primary of a database by the control
 * thread, as any user. One statement, result columns: kind text, name text (catalog_builder_add).
 * Every name and operator in it is qualified with pg_catalog: it is safe under any search_path.
 * client_encoding must be UTF8, since names are compared as bytes with those of UTF-8 clients.
 * Cost: about a second for 2,000 views and 2,000 functions; at most one load at a time.
 */
#ifndef PGWEIR_SQL_CATALOG_SQL_H
#define PGWEIR_SQL_CATALOG_SQL_H

#define CATALOG_SQL_VERSION_MIN 130000

/*
 * server_version_num: as PQserverVersion tells it. A constant string; NULL below
 * CATALOG_SQL_VERSION_MIN. Versions above those known get the newest text.
 */
const char *catalog_sql(int server_version_num);

#endif
