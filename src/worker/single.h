/*
 * single - a unit that is one statement, in the protocol that the client used for it: what can be
 * answered without a server, or followed while a server answers it.
 * Owns:   nothing; the text is borrowed from the unit or from the client's prepared statement.
 */
#ifndef PGWEIR_WORKER_SINGLE_H
#define PGWEIR_WORKER_SINGLE_H

#include "sql/verdict.h"
#include "worker/client.h"

struct single {
	const char *sql;
	uint32_t sql_len;
	bool is_extended;
	bool is_prepared; /* no Parse in the unit */
	bool describes_stmt, describes_portal;
	struct sql_verdict verdict; /* the caller's to set */
};

/*
 * The complete unit of c->busy->unit.len bytes at `data`: a simple Query, or a series for the
 * unnamed portal without values. False: it is something else.
 */
bool single_read(struct client *c, const uint8_t *data, struct single *out);

/*
 * The first statement of a series of several, up to its Execute. Returns the length of its
 * messages; 0: it has another form.
 */
uint32_t single_read_first(struct client *c, const uint8_t *data, struct single *out);

/*
 * Is it SET LOCAL of a literal, `name`, that can be said to another server as it is? Not of what
 * the server reports: the client expects its ParameterStatus. u->verdict is set.
 */
bool single_sets_locally(
	const struct client *c, const struct single *u, char name[SETTINGS_NAME_MAX + 1]);

#endif
