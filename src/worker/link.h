/*
 * link - a client and its server: they are joined for a unit or longer, and parted when nothing
 * that is the client's is left on the server.
 */
#ifndef PGWEIR_WORKER_LINK_H
#define PGWEIR_WORKER_LINK_H

#include "worker/client.h"
#include "worker/server.h"

void link_make(struct worker *w, struct client *c, struct server *s); /* ends the client's wait */

/* Part them, whether the server is quiet or not; no release. */
void link_break(struct worker *w, struct client *c);

bool link_may_release(const struct client *c, const struct server *s);
void link_release(struct worker *w, struct client *c, struct server *s);

/* It has kept its server for its next unit (seq_kept) long enough. */
void link_let_go(struct worker *w, struct client *c);

#endif
