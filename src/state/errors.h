/*
 * errors - ErrorResponses of one database on one worker, by SQLSTATE and by who made them.
 * Owns: its table. Touches: nothing else; no clock, one thread.
 * Bounds: ERRORS_MAX kinds of under 40 bytes; those that come later are counted as "other".
 */
#ifndef PGWEIR_STATE_ERRORS_H
#define PGWEIR_STATE_ERRORS_H

#include "base/status.h"

#define ERRORS_MAX 128u /* PostgreSQL has some 250 SQLSTATEs, an application meets a dozen */

enum error_source {
	ERROR_SERVER,   /* a server's, passed on to the client */
	ERROR_PGWEIR,   /* made by pgweir */
	ERROR_REPLAYED, /* the read ran elsewhere: no client has seen it */
	ERROR_SOURCES
};

/* Fixed word: "server" … */
const char *error_source_name(enum error_source source);

struct error_count {
	char sqlstate[6]; /* five characters, or "other" */
	uint8_t source;   /* enum error_source */
	uint64_t n, seen_us;
};

struct errors {
	uint32_t n;
	struct error_count at[ERRORS_MAX + ERROR_SOURCES]; /* with room for the others */
};

/* One more. sqlstate: what is not five digits and capital letters counts as "other". */
void errors_note(struct errors *t, const char *sqlstate, enum error_source source, uint64_t now_us);

#endif
