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

/*
 * Part them while the server still answers the client, or has its transaction open: what it answers
 * is dropped from now on, the rest of a message that was passed on in part, too. Quiet, it is
 * rolled back and cleaned (loss_drained: the caller calls it if the server may be quiet already)
 * and serves others; it is closed if that takes longer than server_cancel_timeout. What runs there
 * ends by itself, or is cancelled by the caller. Where the client goes on, the caller says.
 */
void link_leave(struct worker *w, struct client *c);

bool link_may_release(const struct client *c, const struct server *s);
void link_release(struct worker *w, struct client *c, struct server *s);

/* It has kept its server for its next unit (seq_kept) long enough. */
void link_let_go(struct worker *w, struct client *c);

#endif
