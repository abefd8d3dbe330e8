/*
 * account - the clients of one user in one database as the configuration lets them in, and what
 * becomes of them and their pools when it changes.
 */
#ifndef PGWEIR_WORKER_ACCOUNT_H
#define PGWEIR_WORKER_ACCOUNT_H

#include "worker/client.h"
#include "worker/dbase.h"

void account_init(struct account *acc);
void account_pool_init(struct pool *p);

/* Takes the client's place in the limits on clients. False: refused (and closed). */
bool account_client_enters(struct worker *w, struct client *c);
void account_client_left(struct worker *w, struct client *c);

void account_changed(struct worker *w, struct account *acc); /* admin_state */
void account_gone(struct worker *w, struct account *acc);    /* not configured any more */
/* Its servers have logged in with something else than they would now: see login_hash. */
void account_moved(struct worker *w, struct account *acc);
void account_pool_retire(struct worker *w, struct pool *p); /* its node has left the database */
/* At the end of a turn: free the retired pools that nothing refers to any more. */
void account_bury_pools(struct worker *w);
/* The account is freed, and no server refers to it: so are its retired pools. */
void account_forget_retired(struct worker *w, const struct account *acc);

#endif
