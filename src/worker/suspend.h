/*
 * suspend - SUSPEND: nothing is accepted and nothing is read, from clients or from servers, until
 *           RESUME; what was read before still goes out.
 * Owns:    worker.suspended.
 * Not held: listeners for admins alone, and clients that log in, so that a console can say RESUME.
 */
#ifndef PGWEIR_WORKER_SUSPEND_H
#define PGWEIR_WORKER_SUSPEND_H

#include "worker/worker.h"

/* Follow the administrator's decision. */
void suspend_apply(struct worker *w);

uint32_t suspend_n_unsent(struct worker *w);     /* connections with output that waits */
uint32_t suspend_close_unsent(struct worker *w); /* suspend_timeout: close those */

#endif
