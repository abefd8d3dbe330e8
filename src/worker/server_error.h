/*
 * server_error - an ErrorResponse of a server: whose error it is, and what becomes of its unit. A
 * read that has failed on a replica, and of whose answer nothing has been passed on, runs
 * elsewhere, unless the error is the client's own for certain; of a block that its snapshot binds,
 * the primary is asked first (confirm.h); what is prepared anew runs again where it is; an error of
 * a hidden query is kept for the end of that query; all else is told to the client, in the server's
 * words, or in those that it has for what it has sent. Bounds: RELAY_INSPECT_MAX bytes; what is
 * longer is passed on, and comes not here.
 */
#ifndef PGWEIR_WORKER_SERVER_ERROR_H
#define PGWEIR_WORKER_SERVER_ERROR_H

#include "proto/frame.h"
#include "worker/walk.h"

/*
 * ErrorResponse, complete, at k->at. True: it stays unread, its server paused, while the primary is
 * asked about it; the walk is over. Else server_error_came has it.
 */
COLD bool server_error_waits(struct walk *k, const struct frame *f);

/* The same is read. The server may be closed, or have no client any more, then. */
COLD void server_error_came(struct walk *k, const struct frame *f);

#endif
