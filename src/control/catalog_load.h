/*
 * catalog_load - loads the SQL catalog of each database that clients use, from its cluster's
 * primary or, without routing, from its host; again after DDL, on a timer and on a reload;
 * publishes shared->catalogs. Without routing it only tells what sets parameters out of sight, and
 * a login that is refused is no fault. Owns:    the loads under way, the published catalogs.
 * Bounds:  CATALOG_LOADS_MAX databases, CATALOG_AT_ONCE loads at a time; after DDL a database is
 *          loaded again at most every CATALOG_SETTLE_US; back-off up to CATALOG_RETRY_MAX_US.
 */
#ifndef PGWEIR_CONTROL_CATALOG_LOAD_H
#define PGWEIR_CONTROL_CATALOG_LOAD_H

#include "control/env.h"

#define CATALOG_LOADS_MAX          1024u
#define CATALOG_AT_ONCE            2u /* fewer than control.c's LOGIN_HELPERS */
#define CATALOG_SETTLE_US          1000000u
#define CATALOG_RETRY_MIN_US       500000u
#define CATALOG_RETRY_MAX_US       60000000u
#define CATALOG_PLAIN_RETRY_MAX_US 600000000u /* without routing */
#define CATALOG_TIMEOUT_US         60000000u  /* of the query */

struct catalog_load;

enum status catalog_load_new(struct env *env, struct catalog_load **out) MUST_USE;
void catalog_load_free(struct catalog_load *l); /* NULL is allowed */

/*
 * A database is used. owner: as in struct catalogs. changed: DDL has passed in it; what is loaded
 * is taken away, so that all goes to the primary, until a load that was begun after it is done.
 */
void catalog_load_want(struct catalog_load *l, uint32_t owner, const char *dbname, bool changed);
void catalog_load_primary_changed(struct catalog_load *l, uint32_t cluster);
void catalog_load_conf_changed(struct catalog_load *l); /* all again; forget what has gone */

#endif
