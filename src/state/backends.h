/*
 * backends - which client holds which PostgreSQL backend, for all threads: the process id in a
 * notification is the backend's, and the listener is to read the one of the notifier's
 * BackendKeyData. Owns:    nothing outside. Threads: any may read; the put and the drop of one
 * backend come from one thread at a time. Bounds:  BACKENDS_MAX places; a backend that finds none
 * nearby is not known, and its own process id is passed on.
 */
#ifndef PGWEIR_STATE_BACKENDS_H
#define PGWEIR_STATE_BACKENDS_H

#include <stdatomic.h>

#include "base/status.h"

#define BACKENDS_MAX     8192u      /* a power of two */
#define BACKENDS_PID_MAX (1u << 22) /* Linux has none above; a larger one is not known here */
#define BACKENDS_NEAR    16u        /* places looked at for one backend */

struct backends {
	_Atomic uint64_t at[BACKENDS_MAX]; /* node and pid, the client's pid in the low half */
};

void backends_init(struct backends *b);

/* From now on `client` (its BackendKeyData's number, not 0) is who commits there. */
void backends_put(struct backends *b, uint32_t node, uint32_t pid, uint32_t client);
void backends_drop(struct backends *b, uint32_t node, uint32_t pid); /* the backend has ended */
uint32_t backends_get(const struct backends *b, uint32_t node, uint32_t pid); /* 0: not ours */

#endif
