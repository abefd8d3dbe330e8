/*
 * custom - custom parameters (`app.user_id`) leave a trace in a server that neither RESET nor
 * ROLLBACK nor DISCARD removes: current_setting('app.user_id', true) is '' there instead of NULL
 * for ever. Each server remembers the names that it has seen, each client those that it has set.
 * Owns:    server.names, server.made and client.custom, sets of names (state/settings.h), interned:
 *          mostly equal pointers are compared.
 * Rules:   what a server may have is noted when a message is sent (names), what it has and what its
 *          client has when the statement is complete (made, custom). custom_parameters = exact: a
 * client is given no server that knows a name which the client does not. Bounds:  CUSTOM_NAMES_MAX
 * names; one more pins its client, and the server is closed after it.
 */
#ifndef PGWEIR_WORKER_CUSTOM_H
#define PGWEIR_WORKER_CUSTOM_H

#include "worker/client.h"
#include "worker/server.h"

#define CUSTOM_NAMES_MAX 128u /* of one server or client; an application has a handful */

bool custom_is_name(const char *name); /* has a dot */

/* Names that are not those of the client: is the server good for it all the same? */
COLD bool custom_fits_other(struct worker *w, const struct client *c, const struct server *s);

static inline bool custom_fits(struct worker *w, const struct client *c, const struct server *s)
{
	return s->names == c->custom || custom_fits_other(w, c, s);
}

/* A statement that may set `name` is about to be sent. Returns whether the client had it. */
bool custom_sent(struct worker *w, struct client *c, struct server *s, const char *name);

/* It has been set on the client's server, for the session or a transaction, or reset. */
void custom_seen(struct worker *w, struct client *c, const char *name);

/* The server was asked, nothing else is under way: it does not know `name`. */
void custom_missing(struct worker *w, struct client *c, struct server *s, const char *name);

/* Are there names of its client that the server is to be given? They have been given. */
static inline bool custom_is_due(const struct client *c, const struct server *s)
{
	return s->made != c->custom && !settings_has_names(s->made, c->custom);
}
void custom_given(struct worker *w, struct client *c, struct server *s);

/* They may not have: it is to be given once more whatever it is to have. */
COLD void custom_not_made(struct worker *w, struct server *s);

/* The names that the client's login settings bring. Errors: E_LIMIT. */
enum status custom_login(struct worker *w, struct client *c) MUST_USE;

/* An idle server of the pool that is no good for who waits longest, or for nobody; NULL: none. */
struct server *custom_misfit(struct worker *w, struct pool *p);

#endif
