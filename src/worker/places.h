/*
 * places - servers are opened within the limits (of the pool, database, user and node, and of
 * logins under way) and closed where somebody else has a better claim to their place. Touches:
 * pool/share, pool/budget (shared atomics). Bounds:  as many logins at once as units wait, at most
 * max_server_logins per node.
 */
#ifndef PGWEIR_WORKER_PLACES_H
#define PGWEIR_WORKER_PLACES_H

#include "worker/client.h"
#include "worker/dbase.h"

bool places_may_open(
	struct worker *w, const struct pool *p); /* not paused, retired, just refused */

/*
 * One more server for the pool, if the limits allow it; else this worker is woken when they do.
 * only_for: as server_open; such a one may take the place of an idle one.
 */
bool places_open_one(struct worker *w, struct pool *p, struct client *only_for);
void places_open_for_line(struct worker *w, struct pool *p); /* as many as units wait */

/* One is gone, or was never opened; its places in the budgets are given back. */
void places_server_gone(struct worker *w, struct pool *p, bool login_counted);
void places_login_ended(struct worker *w, struct pool *p);
void places_idle_changed(struct worker *w, struct pool *p, int delta); /* before it happens */

bool places_may_shrink(struct worker *w, const struct pool *p); /* above min_pool_size */
void places_keep_min(struct worker *w, struct account *acc);    /* min_pool_size */
void places_give_back(struct worker *w); /* idle ones that others have a better claim to */

#endif
