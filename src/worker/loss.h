/*
 * loss - one side has gone: a client in the middle of its work leaves a server that is cleaned
 * behind it; a server that is lost leaves a client that is told, or whose read runs elsewhere.
 */
#ifndef PGWEIR_WORKER_LOSS_H
#define PGWEIR_WORKER_LOSS_H

#include "worker/client.h"
#include "worker/server.h"

/* The client is being closed: leave its server, which is cleaned in the background. */
void loss_of_client(struct worker *w, struct client *c);

/* The server has been closed: tell its client, or run its reads elsewhere. */
void loss_of_server(struct worker *w, struct client *c, struct server *s, enum server_end why);

/*
 * Errors of a server that is going, lacks something, is damaged, or replays what the transaction
 * reads: 55P03, too, for what READ ONLY locks is in the way of nothing but replay.
 */
COLD bool loss_is_servers_own(const char *sqlstate);

/*
 * The client's unit, or its block, cannot go on on `s`, which is lost or has given this error
 * (NULL: lost). Is that one of the cases in which a client of a replica is told what a primary
 * would not have told? It is counted.
 */
COLD enum route_broken loss_count_broken(
	struct client *c, const struct server *s, const char *sqlstate);

/*
 * The same of a block's error that the primary does not give (confirm.h), or nobody can be asked
 * about. The client's next block begins on the primary, so that running it again helps.
 */
COLD enum route_broken loss_count_block(struct client *c);

#define LOSS_TEXT_MAX 96u

/*
 * What the client of a READ ONLY block that cannot go on is told: 40001. sqlstate: of the server's
 * own error; NULL: it is lost. The report borrows `text`.
 */
struct report loss_block_report(const char *sqlstate, char text[LOSS_TEXT_MAX]);

/* A server that a client has left has answered something: is it clean now? */
void loss_drained(struct worker *w, struct server *s);

/*
 * The server has begun a COPY FROM STDIN whose client has left before: nobody else will end it, and
 * there it takes no cancel. It fails; where more was sent, the server is closed: whether the cancel
 * was faster, so that a Sync behind it counts, cannot be told.
 */
void loss_copy_begins(struct worker *w, struct server *s);

/*
 * The linked server has refused the client's read, for this SQLSTATE, and nothing of its answer has
 * been passed on: the client leaves it, and the read runs elsewhere. What was to be canceled there
 * is canceled, what came behind it runs.
 */
COLD void loss_of_read(struct worker *w, struct client *c, const char *sqlstate);

#endif
