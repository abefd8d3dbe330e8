/*
 * pass - what a client gets of its server's answer: as it comes, or held back while a replica's
 * answer could still be refused.
 * Bounds:  at most replay_window bytes are held; then they go out.
 */
#ifndef PGWEIR_WORKER_PASS_H
#define PGWEIR_WORKER_PASS_H

#include "proto/report.h"
#include "worker/client.h"

/* borrowed: the bytes live until the callback that brought them ends, or are sent before. */
void pass_bytes(struct worker *w, struct client *c, const void *p, size_t len, bool borrowed);
void pass_own(struct worker *w, struct client *c, const struct wr *out); /* a message of ours */
COLD void pass_report(struct worker *w, struct client *c, const struct report *r); /* an ERROR */

/* What is held goes out: it is too long, or complete; the unit cannot be run again. */
void pass_held(struct worker *w, struct client *c);

/* What is passed next ends the unit's answer: if none of it is held yet, that is not either. */
void pass_ends(struct client *c);

COLD void pass_no_memory(struct worker *w, struct client *c); /* closes the client */

#endif
