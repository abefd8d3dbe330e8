/*
 * advanced - the first who asks for a sequence's value in a transaction that has advanced it. What
 * the server's session knows of sequences is of several clients, since nobody has asked before
 * (sequences.h); which the transaction itself has touched, its locks tell. The server is asked
 * whether all that the unit names is among these; if so the unit goes on as it is, else what is not
 * the client's own is discarded ahead of it.
 * Source: PostgreSQL src/backend/commands/sequence.c, lock_and_open_sequence: whatever uses a
 * sequence holds a lock on it until its transaction ends.
 * Thread: its worker's.
 */
#ifndef PGWEIR_WORKER_ADVANCED_H
#define PGWEIR_WORKER_ADVANCED_H

#include "worker/client.h"

/* What is known for the unit at the front: client.seq_check. */
enum advanced_check {
	ADVANCED_UNKNOWN,
	ADVANCED_ASKED, /* the server's answer is awaited */
	ADVANCED_OWN,   /* the transaction has used all that the unit names */
	ADVANCED_OTHER,
};

/* The unit asks for a sequence's value, in a transaction on a server. True: it has to wait. */
bool advanced_waits(struct worker *w, struct client *c, const uint8_t *data);

/* OWED_TAG_ADVANCED: a row came; its ReadyForQuery came. */
void advanced_row(struct client *c);
void advanced_done(struct client *c, bool failed);

#endif
