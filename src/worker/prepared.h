/*
 * prepared - what a client has been told of its prepared statements' results, against what servers
 * have: a driver that keeps the description of a result must never read new columns by old types.
 * Owns:   notes about descriptions that are under way; a server's copy of the unit that it runs,
 *         from which that is sent again if the statement has to be prepared anew there (ADR 0015).
 * Bounds: PREPARED_KEEP_MAX bytes of a unit per server; a longer one is not kept.
 */
#ifndef PGWEIR_WORKER_PREPARED_H
#define PGWEIR_WORKER_PREPARED_H

#include "proto/report.h"
#include "sql/verdict.h"
#include "worker/client.h"
#include "worker/server.h"

#define PREPARED_KEEP_MAX 16384u /* bytes */

/* Beside a statement's number in an owed entry: what the server keeps begins with its message. */
#define PREPARED_FIRST (1ull << 63)

/* A Describe is under way, or will be: its answer tells what the result looks like. */
struct prepared_note {
	uint64_t number;    /* of the statement on the server */
	uint32_t serial;    /* of the client's unnamed statement, if `name` is "" */
	const char *portal; /* what will be described, if it is a portal; else "" */
	char name[];        /* the client's, of the statement */
};

/* NULL: no memory. */
struct prepared_note *prepared_note_new(
	const struct client *c, const char *name, const char *portal, uint64_t number);

/* Does the unit describe what the Bind at `bind` binds before it executes that? NULL: no unit. */
bool prepared_describes(const uint8_t *unit, uint32_t len, const uint8_t *bind);

/* Does the text set what the meaning of others depends on? */
bool prepared_differs(const char *sql, uint32_t opts, const struct sql_verdict *v);

/*
 * The transaction has ended in which statements were parsed on the server that mean something else
 * outside of it: with definitions of its own, or settings. They are parsed anew when next needed.
 */
void prepared_drop_odd(struct server *s);

/* Definitions have changed unseen, and `entry` shows it: what was parsed before is old. */
void prepared_ddl_found(struct worker *w, const struct stmt_lru_entry *entry);

/*
 * The Describe of `e`, which has OWED_TAG_SHAPE, is answered: by a RowDescription of this body, or
 * by NoData. Frees the note. False: the client would read the unit's rows wrongly; it can and must
 * run elsewhere.
 */
bool prepared_told(
	struct worker *w, struct server *s, struct owed_entry *e, bool has_rows, struct rd body);

/* It will not be answered. */
void prepared_lost(struct server *s, struct owed_entry *e);

/* The server's copy of the unit's last `len` bytes, at `p`; 0: none is kept. */
void prepared_keep(struct server *s, const uint8_t *p, uint32_t len);

/*
 * The error answers `e`. True: it says that the statement's result has changed, and the server's
 * copy of the statement is given up.
 */
bool prepared_is_stale(
	struct worker *w, struct server *s, const struct owed_entry *e, const struct report *r);

/* May the unit whose first Bind or Describe it was be sent again, as if nothing had happened? */
bool prepared_may_resend(
	const struct client *c, const struct server *s, const struct owed_entry *e);

#endif
