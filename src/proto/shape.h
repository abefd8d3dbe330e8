/*
 * shape - what a result looks like, as one word: names, types and type modifiers of its columns.
 * That is what PostgreSQL compares when it says "cached plan must not change result type"; which
 * table a column comes from, and the format it is sent in, do not count.
 * Pure; reads a message's body, keeps nothing.
 * Source: PostgreSQL, plancache.c, RevalidateCachedQuery; manual, "Message Formats".
 */
#ifndef PGWEIR_PROTO_SHAPE_H
#define PGWEIR_PROTO_SHAPE_H

#include "base/map.h"
#include "base/rd.h"
#include "base/status.h"

#define SHAPE_NO_DATA 1u /* of a statement that returns no rows */

/*
 * The shape that a RowDescription tells: 2 or more. Errors: E_PROTO its body is malformed.
 */
enum status shape_read(const struct hash_key *key, struct rd body, uint64_t *shape) MUST_USE;

#endif
