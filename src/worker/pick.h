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
__attribute__((noinline)) /* bench/choice.py counts what it costs */
struct pool *
pick_pool(struct worker *w, struct client *c, enum choose_kind kind);

/* Does the strong unit still have to wait for samples? */
bool pick_waits_fresh(struct worker *w, struct client *c);

/* What the client asks of its reads now: by hints, parameters, configuration. */
enum choose_consistency pick_consistency(const struct client *c);
enum choose_consistency pick_configured(const struct client *c); /* … by configuration alone */
enum choose_route pick_route(const struct conf_db *db);          /* of the entry */

/* Does it say that its unit can run on a replica? The entry's route must be auto. */
bool pick_asks_replica(const struct client *c);

/* Does it say that its unit, or its block, is for the primary? */
bool pick_asks_primary(const struct client *c);

/* What others have written may have to be seen, by each statement of a block anew. */
bool pick_sees_others(const struct client *c);

/* Of the client's deferred block; ISOLATION_UNSET: the server's default. */
enum sql_isolation pick_isolation(const struct client *c);
bool pick_block_is_read_only(const struct client *c);

/* What choosing for the client's unit would be given, and what would come of it; nothing is noted.
 */
struct pick_view {
	struct choose_in in;
	struct choose_out out;
	struct ask asked; /* by hints and parameters */
	struct marks marks;
	struct choose_load load[CONF_DB_NODES_MAX];
	uint8_t reason; /* enum choose_reason */
};
void pick_look(struct worker *w, struct client *c, struct pick_view *v);

/* May the unit that waits elsewhere run on this pool's node? */
bool pick_is_fit(struct worker *w, struct client *c, const struct pool *p);

/* routing = shadow: may the unit run where its block would be? */
bool pick_shadow_is_fit(struct worker *w, struct client *c);

/* Hosts that are equals: one until it fails (load_balance_hosts = disable), not in turn. */
bool pick_keeps_host(const struct conf_db *db);

/* load_balance_hosts = disable: the next host, unless somebody has gone on already. */
void pick_leave_host(struct pool *p);

#endif
