/*
 * activity - what a server runs, or ran last for the client that it has: the beginning of the unit
 * is kept when it is sent, and read only when SHOW asks.
 * Bounds: ACTIVITY_LEN_MAX bytes of a unit; a text that is cut has the fingerprint of what is kept.
 */
#ifndef PGWEIR_WORKER_ACTIVITY_H
#define PGWEIR_WORKER_ACTIVITY_H

#include <string.h>

#include "worker/client.h"
#include "worker/server.h"

static inline void activity_keep(struct server *s, const uint8_t *data, size_t len)
{
	s->unit_head_len = len < ACTIVITY_LEN_MAX ? (uint32_t)len : ACTIVITY_LEN_MAX;
	memcpy(s->unit_head, data, s->unit_head_len);
}

/*
 * Of the first statement of the unit that the client's server runs or ran last (fingerprint.h). 0:
 * it has no server, or the statement is not known.
 */
uint64_t activity_fingerprint(const struct client *c);

/*
 * The trace context of what the client has sent last: of the unit at the front, else of what its
 * server runs or ran last. "": there is none.
 */
COLD void activity_trace(const struct worker *w, const struct client *c, char out[TRACE_SIZE]);

#endif
