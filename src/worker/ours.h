/*
 * ours - statements that pgweir answers itself: SET, RESET and SHOW of pgweir.* parameters, EXPLAIN
 * ROUTE. They reach no server, in either protocol; a series counts if all of its statements are of
 * this kind. In a simple query that begins with some, these are answered and taken out of the text.
 * Owns:    c->params, made when first needed.
 */
#ifndef PGWEIR_WORKER_OURS_H
#define PGWEIR_WORKER_OURS_H

#include "route/params.h"
#include "sql/verdict.h"
#include "worker/client.h"

enum ours_result {
	OURS_NOT,   /* for the server after all */
	OURS_DONE,  /* answered, ReadyForQuery included */
	OURS_STALL, /* what is under way has to be answered first */
	OURS_WAITS, /* it stands in line: a sample is waited for */
	OURS_AGAIN, /* the beginning was answered and blanked: the unit is to be judged anew */
};

/* Answer the client's complete unit at `data`, which is marked as ours. */
enum ours_result ours_answer(struct worker *w, struct client *c, const uint8_t *data);

/* A start-up parameter named pgweir.something. Errors: E_NOTFOUND no such one, E_INVALID, E_NOMEM.
 */
enum status ours_start(struct client *c, const char *name, const char *value) MUST_USE;

/* Does its SHOW still wait for a sample? */
bool ours_waits(struct worker *w, struct client *c);

/* What the parameters have of transactions. c->params may be NULL. */
void ours_effect(struct client *c, enum sql_effect_kind kind, const char *name, bool rolled_back);
void ours_txn_ended(struct client *c, bool committed);

#endif
