/*
 * params - one client's pgweir.* parameters through its transactions, as PostgreSQL has it: SET
 * holds to the end of the session unless its transaction is rolled back, SET LOCAL to the end of
 * the transaction, ROLLBACK TO brings back what was set at the savepoint.
 * Owns:   one block, with its savepoints. One thread.
 * Bounds: PARAMS_SAVEPOINTS_MAX; of more, the oldest that are kept stand for what was set after
 *         them too.
 */
#ifndef PGWEIR_ROUTE_PARAMS_H
#define PGWEIR_ROUTE_PARAMS_H

#include "route/ask.h"

#define PARAMS_SAVEPOINTS_MAX 64u

struct params;

struct params *params_new(void) MUST_USE; /* nothing is set; NULL: no memory */
void params_free(struct params *p);       /* NULL is allowed */

const struct ask *params_now(const struct params *p);   /* what holds now; borrowed */
const struct ask *params_login(const struct params *p); /* what a RESET goes back to; borrowed */

/* A start-up parameter. Errors: as ask_put. */
enum status params_start(struct params *p, enum ask_param which, const char *value) MUST_USE;

/*
 * SET [LOCAL] and RESET. in_txn: a transaction is open, whose end decides; else it holds at once,
 * and LOCAL does nothing. Errors of setting: as ask_put.
 */
enum status params_set(struct params *p, enum ask_param which, const char *value, bool local,
	bool in_txn) MUST_USE;
void params_reset(struct params *p, enum ask_param which, bool local, bool in_txn);
void params_reset_all(struct params *p, bool in_txn);

/* The transaction ends. Each may come when there is nothing to do. */
void params_commit(struct params *p);
void params_rollback(struct params *p);
/* Does the end of the transaction decide on anything? */
bool params_is_pending(const struct params *p);

void params_savepoint(struct params *p, const char *name);
void params_rollback_to(struct params *p, const char *name);
void params_release(struct params *p, const char *name);

#endif
