/*
 * learned - statements that were proved to be reads and that a replica refused with 25006: they
 * write where no text and no catalog shows it. From then on they go to the primary. Forgotten when
 * the catalog is read again, which may know better.
 * Owns:    db->learned, made with the first.
 * Bounds:  LEARNED_MAX statements of a database on a worker; a new one takes the oldest's place.
 */
#ifndef PGWEIR_WORKER_LEARNED_H
#define PGWEIR_WORKER_LEARNED_H

#include "sql/verdict.h"
#include "worker/dbase.h"

#define LEARNED_MAX      128u
#define LEARNED_TEXT_MAX 64u /* bytes of a statement that are shown, the NUL counted */

struct learned {
	uint32_t n, next; /* ring */
	struct learned_stmt {
		uint64_t fingerprint;
		uint64_t hits; /* times it was recognized */
		uint64_t since_us;
		char text[LEARNED_TEXT_MAX];
	} at[LEARNED_MAX];
};

/* A replica refused the unit at the front of the client's bytes: remember its statement. */
COLD void learned_teach(struct worker *w, struct client *c);

/* A statement that is proved to be a read: is it one of these? Then its verdict is changed. */
COLD void learned_apply(
	struct dbase *db, const char *sql, size_t len, uint32_t opts, struct sql_verdict *v);

COLD void learned_forget(struct worker *w, struct dbase *db);

#endif
