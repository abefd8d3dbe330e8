/*
 * signals - pg_cancel_backend() and pg_terminate_backend() of a number that a client got in its
 * BackendKeyData. As a plain literal or a value of a Bind it becomes the process id of the server
 * connection on which that client runs now. PostgreSQL decides then whether the caller may, and
 * what the call returns. Until the unit is over that server is given to nobody else, so that the
 * signal meets the one who was meant, or nobody.
 * A client without a server has nothing to cancel; if its user is the caller's, or the caller a
 * superuser, it is taken out of its line, or ended.
 * Owns:   client.signals while such a unit is under way; server.n_holds counts who waits for one.
 * Bounds: SIGNALS_MAX calls of a unit; what is held longer than server_cancel_timeout is closed.
 * Thread: the caller's worker asks the victim's, which answers at once.
 */
#ifndef PGWEIR_WORKER_SIGNALS_H
#define PGWEIR_WORKER_SIGNALS_H

#include "worker/ask.h"
#include "worker/client.h"

#define SIGNALS_MAX 4u

/* The unit at the front has such calls. True: it waits for an answer, or for what is under way. */
bool signals_wait(struct worker *w, struct client *c, const uint8_t *data);

/* The pool of the replica where the victim runs, if the unit has to run there; or NULL. */
struct pool *signals_pool(const struct client *c);

/* The unit goes to c->server next: write into it what was told of that node. */
void signals_write(struct worker *w, struct client *c, const uint8_t *data);

/* The unit is over, or will not be sent. */
COLD void signals_over(struct worker *w, struct client *c);

/*
 * Does that error of the server come of pg_terminate_backend() of its client's number? Then the
 * session is to end, not the server alone. It comes while the call runs, or soon after: of a call
 * that was refused, or did not run, nothing is left then.
 */
bool signals_end_client(const struct worker *w, const struct server *s, const char *sqlstate);

/* TELL_SIGNAL; takes the memory. */
void signals_told(struct worker *w, struct tell_signal *t);

#endif
