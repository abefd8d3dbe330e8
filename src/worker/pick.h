/*
 * pick - the node for a client's unit: fills in what route/choose asks for (what the unit is, the
 * client's marks, the load of the pools) and notes in the client what came out and why.
 */
#ifndef PGWEIR_WORKER_PICK_H
#define PGWEIR_WORKER_PICK_H

#include "route/choose.h"
#include "worker/client.h"
#include "worker/dbase.h"

enum choose_kind pick_kind(const struct client *c); /* what the client's judged unit is */

/* The pool of the node for the client's unit; NULL: none is fit now. */
struct pool *pick_pool(struct worker *w, struct client *c, enum choose_kind kind);

/* Does the strong unit still have to wait for samples? */
bool pick_waits_fresh(struct worker *w, struct client *c);

/* What the client asks of its reads now. */
enum choose_consistency pick_consistency(const struct client *c);

/* May the unit that waits elsewhere run on this pool's node? */
bool pick_is_fit(struct worker *w, struct client *c, const struct pool *p);

/* Hosts that are equals: one until it fails (load_balance_hosts = disable), not in turn. */
bool pick_keeps_host(const struct conf_db *db);

/* load_balance_hosts = disable: the next host, unless somebody has gone on already. */
void pick_leave_host(struct pool *p);

#endif
