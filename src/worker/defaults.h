/*
 * defaults - ALTER ROLE … SET and ALTER DATABASE … SET: a session that begins after it has the new
 * values, so a client that logs in after it gets a server connection that was opened after it. When
 * the transaction has committed, the server connections that it concerns are closed, those in use
 * when they are free, in all workers. A client that was there before keeps what it has set itself;
 * of the rest it has the new values with its next server. Owns:   client.defaults, what the open
 * transaction has changed so far. Bounds: DEFAULTS_MAX names of one transaction; with more all are
 * concerned.
 */
#ifndef PGWEIR_WORKER_DEFAULTS_H
#define PGWEIR_WORKER_DEFAULTS_H

#include "worker/ask.h"
#include "worker/client.h"

#define DEFAULTS_MAX 16u

/* Its statement has completed. name: a role's or database's; NULL: of all, or it is not known. */
void defaults_note(struct client *c, bool of_database, const char *name);
/* The transaction is over. */
COLD void defaults_committed(struct worker *w, struct client *c);
void defaults_forget(struct client *c);

void defaults_told(struct worker *w, const struct tell_defaults *t); /* TELL_DEFAULTS */

#endif
