/*
 * takeover_channel - one socket between two processes, on the control thread's loop: records
 * (control/takeover_wire.h) come up as they arrive, and are sent as there is room.
 * Owns:    the socket, and what waits to be sent, with its descriptors; it is wiped when it was.
 * Bounds:  none of its own on what waits: the callers send one record for each client and server.
 */
#ifndef PGWEIR_CONTROL_TAKEOVER_CHANNEL_H
#define PGWEIR_CONTROL_TAKEOVER_CHANNEL_H

#include "control/env.h"
#include "control/takeover_wire.h"

struct channel {
	struct env *env;
	int sock; /* -1: closed */
	struct loop_watch *watch;
	bool wants_write;
	struct list out;
	/* A record; *fd: what came beside it, closed afterwards unless it is taken (-1). */
	void (*on_record)(void *arg, struct rd *in, int *fd);
	/* The other side has ended, or the socket failed: close the channel. */
	void (*on_end)(void *arg);
	void *arg;
};

void channel_init(struct channel *c, struct env *env, void *arg,
	void (*on_record)(void *arg, struct rd *in, int *fd), void (*on_end)(void *arg));

/* `sock` is moved, also on an error. Errors: E_IO, E_NOMEM; close the channel. */
enum status channel_open(struct channel *c, int sock) MUST_USE;
void channel_close(struct channel *c); /* also one that is not open; what waits is dropped */

/* Send now or later. `fd` is moved, -1: none. Without memory, or when closed, nothing is sent. */
void channel_send(struct channel *c, const void *p, size_t len, int fd);
void channel_put(
	struct channel *c, const struct wr *w); /* the same of what `w` has, if all fitted */

/* The process ends: what waits is still sent, if that can be in a few seconds. Blocks. */
void channel_drain(struct channel *c);

#endif
