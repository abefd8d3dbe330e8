/*
 * entropy - a worker's random bytes for what nobody may guess: nonces, salts, cancel keys.
 * The system gives them by the handful, so that a login needs no system call for them.
 * Owns:   bytes that were not given out yet; those that were are wiped.
 * Bounds: ENTROPY_LEN. Not for a process that forks and goes on in the child.
 */
#ifndef PGWEIR_WORKER_ENTROPY_H
#define PGWEIR_WORKER_ENTROPY_H

#include "base/status.h"

#define ENTROPY_LEN 256u /* bytes; getentropy(3) gives no more at a time */

struct entropy {
	size_t left; /* of `bytes`: the first ones */
	uint8_t bytes[ENTROPY_LEN];
};

/* n random bytes to p, 0..ENTROPY_LEN. Errors: E_NOMEM: the system has none. */
enum status entropy_take(struct entropy *e, void *p, size_t n) MUST_USE;

#endif
