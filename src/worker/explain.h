/*
 * explain - EXPLAIN ROUTE: where a statement would go and why, as rows of text. Nothing is run.
 * Owns:    nothing.
 */
#ifndef PGWEIR_WORKER_EXPLAIN_H
#define PGWEIR_WORKER_EXPLAIN_H

#include "worker/ask.h"
#include "worker/client.h"

#define EXPLAIN_LINES_MAX 160u /* lines of an answer; what does not fit is left out */

/*
 * Put the rows and the tag (no description) of EXPLAIN ROUTE for the client's connection: the
 * verdict, what speaks against a replica, what the client asks for, and each node. The client's
 * unit is judged in between and left as it was.
 */
void explain_route(struct worker *w, struct client *c, const char *sql, size_t len);

/* The console asks, for a client that has just logged in: ASK_EXPLAINED is the answer. */
void explain_ask(struct worker *w, const struct tell_explain *t);

#endif
