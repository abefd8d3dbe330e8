/*
 * clean - what a server connection needs before another client may have it: kinds of cleaning as
 * bits of a mask, and the SQL that does them. Only what is needed is cleaned, so that prepared
 * statements and settings stay where they are.
 * Owns:    nothing.
 * Touches: nothing; pure.
 */
#ifndef PGWEIR_STATE_CLEAN_H
#define PGWEIR_STATE_CLEAN_H

#include "base/status.h"

#define CLEAN_SQL_MAX 256u /* bytes, the NUL counted */

enum clean_kind {
	CLEAN_CURSORS,     /* WITH HOLD */
	CLEAN_CHANNELS,    /* LISTEN */
	CLEAN_LOCKS,       /* advisory ones of the session */
	CLEAN_TEMP,        /* temporary tables and the like */
	CLEAN_SEED,        /* setseed(): a random one again */
	CLEAN_STATEMENTS,  /* all prepared statements */
	CLEAN_SETTINGS,    /* RESET ALL */
	CLEAN_ALL,         /* it is not known what: DISCARD ALL */
	CLEAN_RESET_QUERY, /* the operator's server_reset_query */
	CLEAN_CLOSE,       /* nothing undoes it: close the connection */
	CLEAN_KIND_COUNT
};

#define CLEAN(kind) (1u << CLEAN_##kind)

/* Of these DISCARD ALL leaves nothing. */
#define CLEANED_BY_DISCARD                                                                   \
	(CLEAN(CURSORS) | CLEAN(CHANNELS) | CLEAN(LOCKS) | CLEAN(TEMP) | CLEAN(STATEMENTS) | \
		CLEAN(SETTINGS) | CLEAN(ALL))

/* Fixed word for metrics: "cursors", "temp" … */
const char *clean_kind_name(enum clean_kind k);

/*
 * The text of one simple Query that does what `mask` (bits of enum clean_kind) asks for, as far as
 * one can: DISCARD ALL runs alone. CLEAN_RESET_QUERY and CLEAN_CLOSE are left out; `mask` holds
 * another bit.
 * seed: a random number from -1 to 1.
 * out:  CLEAN_SQL_MAX bytes.
 * Returns the bits of `mask` that are done with it.
 * Source: PostgreSQL manual, DISCARD: what DISCARD ALL consists of.
 */
uint32_t clean_sql(uint32_t mask, double seed, char *out);

#endif
