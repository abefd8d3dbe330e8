/*
 * found_out - settings that no text tells are asked of the server: what set_config() with computed
 * arguments, or called for some rows only, has done; what a function has set out of sight. Asked in
 * one hidden query when the client's transaction is over, before the server is given to another.
 * Owns:   client.doubt_names, and what a query under way has gathered.
 * Bounds: names as custom.h; one query for a transaction that leaves doubts, none for any other.
 */
#ifndef PGWEIR_WORKER_FOUND_OUT_H
#define PGWEIR_WORKER_FOUND_OUT_H

#include "worker/client.h"
#include "worker/server.h"

/* A custom parameter, or a role: is there a trace of it, and with `value`, what is it? */
void found_out_doubt(struct worker *w, struct client *c, const char *name, bool value);
void found_out_doubt_all(struct client *c); /* ordinary parameters */

/* Nothing is known of what the client has set. */
COLD void found_out_doubt_everything(struct worker *w, struct client *c);

static inline bool found_out_is_due(const struct client *c)
{
	return c->busy->doubt_names != NULL || c->busy->doubt_all;
}

/* Ask, if no transaction is open and nothing is owed. False: nothing was sent. */
bool found_out_send(struct worker *w, struct client *c);

struct found_note;
/* A DataRow of the answer, and its end. */
void found_out_row(struct found_note *n, struct rd body);
void found_out_done(struct worker *w, struct server *s, struct found_note *n, bool failed);
void found_out_free(struct worker *w, struct found_note *n);

/* The server is gone, or left: nothing can be asked any more. */
void found_out_forget(struct worker *w, struct client *c);

#endif
