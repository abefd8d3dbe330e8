/*
 * owed - the replies that one server owes, oldest first: to its client, to nobody (hidden messages
 * of ours), or that we give in the server's place, in order. It tells for every backend message
 * whether it is passed on or dropped, and finds a server that is out of step.
 * Owns:   the ring of entries; `ref` is the pusher's, handed back when an entry ends.
 * Bounds: OWED_MAX entries; owed_push reports E_LIMIT, the client is then not read any further.
 * Pure:   no I/O; one thread.
 * Source: PostgreSQL manual, "Message Flow": Extended Query, Pipelining, COPY Operations.
 */
#ifndef PGWEIR_STATE_OWED_H
#define PGWEIR_STATE_OWED_H

#include <stddef.h>

#include "base/status.h"

#define OWED_MAX 16384u /* entries; a unit of one thousand statements needs 4,000 */

enum owed_kind {
	OWED_QUERY = 1, /* simple Query: ends with ReadyForQuery */
	OWED_FUNCTION,  /* FunctionCall: ends with ReadyForQuery */
	OWED_PARSE,
	OWED_BIND,
	OWED_DESCRIBE,
	OWED_EXECUTE,
	OWED_CLOSE,
	OWED_SYNC,
	OWED_COPY_END, /* CopyDone or CopyFail went to the server: a fence, no reply */
};

enum owed_who {
	OWED_CLIENT = 0, /* the reply is the client's */
	OWED_HIDDEN,     /* the message was ours: the reply is dropped */
	OWED_SYNTH,      /* nothing was sent: we answer when its turn comes */
};

struct owed_entry {
	uint8_t kind;   /* enum owed_kind */
	uint8_t who;    /* enum owed_who */
	uint16_t tag;   /* the pusher's */
	uint32_t query; /* the pusher's; not 0: `completed` is told of its CommandCompletes */
	uint64_t no;    /* the pusher's */
	void *ref;      /* the pusher's */
};

struct owed {
	struct owed_entry *ring;
	uint32_t cap; /* power of two, or 0 */
	uint32_t head, n;
	uint32_t n_client; /* entries with OWED_CLIENT that end in ReadyForQuery */
	bool skipping;     /* an error came: the server ignores all up to the next Sync */
	bool in_copy;      /* the server reads CopyData now: it ignores Flush and Sync */
	/* The body of a CommandComplete that owed_pass_run walks over; may be NULL. */
	void (*completed)(void *arg, const struct owed_entry *e, const uint8_t *body, size_t len);
	void *arg;
};

enum owed_step {
	OWED_PASS, /* give it to the client */
	OWED_DROP, /* swallow it */
	OWED_BAD,  /* nobody is owed this: the server is out of step and must be closed */
};

void owed_init(struct owed *q);
void owed_fini(struct owed *q); /* frees the ring; entries' refs were taken out with owed_pop */

static inline bool owed_is_empty(const struct owed *q)
{
	return q->n == 0;
}

static inline struct owed_entry *owed_head(const struct owed *q)
{
	return q->n != 0 ? &q->ring[q->head & (q->cap - 1)] : NULL;
}

/* The i-th entry, 0 is the head; i < q->n. */
static inline struct owed_entry *owed_at(const struct owed *q, uint32_t i)
{
	return &q->ring[(q->head + i) & (q->cap - 1)];
}

/*
 * True if a message of `kind` pushed now would get no reply: the server skips to Sync after an
 * error, or is in COPY and ignores a Sync. Then it must not be pushed. (Pushing a Sync ends
 * skipping.)
 */
static inline bool owed_is_ignored(const struct owed *q, enum owed_kind kind)
{
	if (kind == OWED_COPY_END)
		return q->n == 0;
	if (q->in_copy)
		return kind == OWED_SYNC;
	return q->skipping && kind != OWED_SYNC;
}

static inline bool owed_ends_in_ready(uint8_t kind)
{
	return kind == OWED_QUERY || kind == OWED_FUNCTION || kind == OWED_SYNC;
}

enum status owed_grow(struct owed *q) MUST_USE; /* of owed_push */

/* Append. Errors: E_LIMIT, E_NOMEM: nothing changed. PANICs if owed_is_ignored. */
static inline MUST_USE enum status owed_push(struct owed *q, struct owed_entry e)
{
	enum status st;

	PANIC_IF(owed_is_ignored(q, e.kind));
	if (q->n == q->cap && (st = owed_grow(q)) != OK)
		return st;
	q->ring[(q->head + q->n++) & (q->cap - 1)] = e;
	if (e.kind == OWED_SYNC)
		q->skipping = false;
	if (e.kind == OWED_COPY_END)
		q->in_copy = false;
	if (e.who == OWED_CLIENT && owed_ends_in_ready(e.kind))
		q->n_client++;
	return OK;
}

/* Take the head off; the queue is not empty. */
struct owed_entry owed_pop(struct owed *q);

/*
 * A backend message of `type` has come. Says what to do with it, and in *ends whether it ends the
 * head entry (the caller then pops it, and answers the OWED_SYNTH entries that follow).
 * An ErrorResponse in an extended series begins skipping: the caller pops with owed_pop_skipped.
 * Asynchronous messages (N, S, A) and an ErrorResponse with nothing owed are OWED_PASS: the caller
 * knows what to do with them.
 */
enum owed_step owed_on_reply(struct owed *q, char type, bool *ends);

/* The head, which is the client's and ends in ReadyForQuery, is ours from now on: its unit is sent
 * again behind it. */
void owed_hide_head(struct owed *q, uint16_t tag);

/*
 * All that is the client's is ours from now on: nothing of it is told, nobody is told of its
 * CommandCompletes. tag: for what ends in ReadyForQuery.
 */
void owed_hide_client(struct owed *q, uint16_t tag);

/*
 * Walk over complete messages at `data` that go to the client as they are, for as long as the heads
 * are the client's and entries with tag 0 end; those are taken off. Returns how many bytes: behind
 * them stands one that owed_on_reply has to see, is not complete, or whose length field is above
 * len_max (as frame_peek).
 */
size_t owed_pass_run(struct owed *q, const uint8_t *data, size_t len, uint32_t len_max);

/*
 * While an error is being skipped: take off the next entry that will get no reply any more, up to
 * the Sync. False: there is none (left).
 */
bool owed_pop_skipped(struct owed *q, struct owed_entry *out);

#endif
