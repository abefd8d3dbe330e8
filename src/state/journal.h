/*
 * journal - what makes a transaction block what it is, in the order it was said: BEGIN, its modes,
 * SET LOCAL, savepoints. Sent to a server it opens the same block there. What ROLLBACK TO undoes is
 * taken off, so it never holds more than what is in force.
 * Owns:   its copies of the texts, in itself.
 * Bounds: JOURNAL_MAX bytes; journal_put reports E_LIMIT beyond it.
 * Pure:   no I/O, no allocation; one thread.
 */
#ifndef PGWEIR_STATE_JOURNAL_H
#define PGWEIR_STATE_JOURNAL_H

#include "base/status.h"

#define JOURNAL_MAX 1024u /* bytes; PostgreSQL drivers need some 30 for BEGIN and a savepoint */

enum journal_kind {
	JOURNAL_BEGIN = 1, /* BEGIN, START TRANSACTION, SET TRANSACTION: the next block of a chain
			      has it too */
	JOURNAL_SET,       /* SET LOCAL */
	JOURNAL_SAVEPOINT,
};

struct journal {
	uint32_t len;
	uint32_t n;              /* entries */
	char bytes[JOURNAL_MAX]; /* of each entry: its kind, its text, its name, both ended by NUL
				  */
};

void journal_clear(struct journal *j);

/*
 * Add a statement. name: of a savepoint, as the server knows it; "" for others.
 * Errors: E_LIMIT it does not fit, or its text has a NUL in it; nothing changed.
 */
enum status journal_put(struct journal *j, enum journal_kind kind, const char *sql, size_t len,
	const char *name) MUST_USE;

/* Take off what was put since it had `len` bytes. */
void journal_cut(struct journal *j, uint32_t len);

/*
 * ROLLBACK TO, RELEASE of the youngest savepoint of that name. What is between them stays of a
 * RELEASE, but savepoints. An unknown name changes nothing: the server refuses it.
 */
void journal_rollback_to(struct journal *j, const char *name);
void journal_release(struct journal *j, const char *name);

/* COMMIT or ROLLBACK AND CHAIN: the next block has the modes of this one, and nothing else. */
void journal_chain(struct journal *j);

/*
 * The statements in turn: *at is 0 at first and moves on. NULL: no more.
 * The text is borrowed until the journal changes.
 */
const char *journal_next(const struct journal *j, uint32_t *at);

#endif
