/*
 * proxied - the header of the PROXY protocol in front of what a client sends: whether one is taken,
 * from whom, and what it makes of the client's address.
 */
#ifndef PGWEIR_WORKER_PROXIED_H
#define PGWEIR_WORKER_PROXIED_H

#include "worker/client.h"

/*
 * Look for a header at the start of what a client has sent. True: the start-up goes on behind *used
 * bytes. False: more bytes are needed, or the client is gone.
 */
bool proxied_take(
	struct worker *w, struct client *c, const uint8_t *data, size_t len, size_t *used);

#endif
