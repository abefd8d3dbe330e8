/*
 * mailbox - queue of messages from many threads to one. Lock-free push; the reader takes all at
 * once, oldest first. The reader's wake-up (an eventfd) belongs to whoever owns the loop.
 * Owns:   nothing; a `struct mail` is moved to the reader by mailbox_post, embedded in a message
 *         that the reader frees.
 * Bounds: the senders': each kind of message says how many of it can be under way.
 */
#ifndef PGWEIR_BASE_MAILBOX_H
#define PGWEIR_BASE_MAILBOX_H

#include <stdatomic.h>

#include "base/status.h"

struct mail {
	struct mail *next;
	int kind; /* an enum of the receiving floor */
};

struct mailbox {
	_Atomic(struct mail *) head; /* newest first */
	void (*wake)(void *arg);     /* called by the poster that found it empty; any thread */
	void *wake_arg;
};

void mailbox_init(struct mailbox *mb, void (*wake)(void *arg), void *wake_arg);

/* Move `m` into the box; wakes the reader if the box was empty. Any thread. */
void mailbox_post(struct mailbox *mb, struct mail *m);

/* All messages, oldest first, linked by `next`; NULL if none. Reader's thread only. */
struct mail *mailbox_take(struct mailbox *mb);

#endif
