/*
 * walk - a walk over one chunk of a server's messages, as relay.c begins it: shared with the
 * modules to which relay.c gives messages that are more than passed on. Each of them takes the
 * message at `at`, and leaves `at` behind it, or the server closed.
 * Owns: nothing; it lives as long as the receive callback.
 */
#ifndef PGWEIR_WORKER_WALK_H
#define PGWEIR_WORKER_WALK_H

#include "worker/pass.h"
#include "worker/server.h"

/* [run, at) is to be passed on. */
struct walk {
	struct worker *w;
	struct server *s;
	const uint8_t *data;
	size_t len;
	size_t run, at;
	uint32_t len_max; /* largest length field */
};

/* Pass on what has been walked over and not yet passed. */
static inline void walk_pass(struct walk *k)
{
	struct client *c = k->s->client;

	if (k->at > k->run && c != NULL)
		pass_bytes(k->w, c, k->data + k->run, k->at - k->run, true);
	k->run = k->at;
}

/* Leave out the message of `n` bytes at k->at. */
static inline void walk_skip(struct walk *k, size_t n)
{
	walk_pass(k);
	k->at += n;
	k->run = k->at;
}

/* What has been walked over and not yet passed is nobody's. */
static inline void walk_drop(struct walk *k)
{
	k->run = k->at;
}

#endif
