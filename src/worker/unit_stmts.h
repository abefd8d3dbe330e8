/*
 * unit_stmts - what a complete unit executes, one after the other: the text of each Query, and of
 * what each Bind binds with its values. Owns: nothing; all is borrowed from the unit and from the
 * client's prepared statements.
 */
#ifndef PGWEIR_WORKER_UNIT_STMTS_H
#define PGWEIR_WORKER_UNIT_STMTS_H

#include "proto/frontend.h"
#include "worker/client.h"

struct unit_stmt {
	const char *sql; /* a NUL follows */
	size_t len;
	bool in_unit; /* it stands in the unit, and is not kept under a name */
	bool bound;   /* by a Bind, with `values` */
	struct msg_bind_tail values;
};

struct unit_stmts {
	const struct client *c;
	const uint8_t *data; /* c->busy->unit.len bytes */
	uint32_t at;
	const char *unnamed; /* parsed in the unit so far */
	size_t unnamed_len;
	const char *name, *named; /* the named one that was parsed last */
	size_t named_len;
};

static inline struct unit_stmts unit_stmts_of(const struct client *c, const uint8_t *data)
{
	return (struct unit_stmts){.c = c, .data = data};
}

/* False: there is no more. A Bind of what the client has no statement for is left out. */
bool unit_stmts_next(struct unit_stmts *u, struct unit_stmt *out);

#endif
