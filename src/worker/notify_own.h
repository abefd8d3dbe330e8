/*
 * notify_own - what the files of notify share: notify.c, which knows who listens to what, and takes
 * what the control thread tells; notify_unit.c, where a unit with LISTEN waits for its channels;
 * notify_give.c, which gives a client its notifications; notify_barrier.c, whose they are, and when
 * those of a transaction have all come; notify_going.c, which lets listening clients go to another
 * process and come from one.
 * Thread: its worker's.
 */
#ifndef PGWEIR_WORKER_NOTIFY_OWN_H
#define PGWEIR_WORKER_NOTIFY_OWN_H

#include "worker/kept.h"
#include "worker/notify.h"

struct channel {
	struct dbase *db;
	char name[CHANNEL_LEN];
	uint64_t hash;
	bool is_on;       /* the listening connection listens to it */
	bool is_marked;   /* the process that takes over listens, too: who listens here may go */
	uint64_t number;  /* of its last notification, or of its marker; 0: they have none */
	struct list subs; /* struct sub */
	struct sub *arriving; /* while a client that comes is given what was kept */
};

/* One client's interest in one channel. */
struct sub {
	struct list by_channel, by_client;
	struct channel *ch;
	struct client *c;
	bool is_on;      /* committed; else a unit under way may make it so */
	uint64_t since;  /* what was taken before it, in the order of notify.no */
	uint64_t number; /* of the last notification that it was given, or has no claim to */
};

struct op {
	uint8_t kind; /* enum notify_op */
	char channel[CHANNEL_LEN];
};

struct listening {
	struct list subs;
	uint32_t n_subs;
	struct op *ops;
	uint32_t n_ops, cap_ops;
	uint8_t *queue; /* messages that wait for the transaction's end */
	size_t queue_len, queue_cap;
	bool recheck; /* it may hold what is not to be told */
	bool waits;   /* its unit, for a channel to be listened to */
	struct wheel_timer wait;
	struct list waiting;
	struct client *owner;
};

/* A message of the control thread; those of one client are taken in their order. */
struct job {
	struct list link;
	struct mail *mail;
	uint64_t no;
	struct list *next; /* a notification under way: where to go on */
	struct channel *ch;
};

struct notify {
	struct map channels;
	struct list jobs;
	struct list waiting;  /* struct listening: units that wait for a channel */
	struct list barriers; /* struct server: whose ReadyForQuery waits */
	struct wheel_timer timer;
	uint64_t no;      /* of the last notification, subscriptions counted in */
	uint64_t barrier; /* the last that was asked for */
	struct kept kept;
};

/* --- notify.c --- */

struct channel *notify_channel(struct worker *w, const struct dbase *db, const char *name);
struct sub *notify_sub_find(const struct client *c, const char *name);
/* Not committed yet. NULL: no memory, or NOTIFY_CHANNELS_MAX. */
struct sub *notify_sub_new(struct worker *w, struct client *c, const char *name);
/* Give up the subscriptions that no transaction has brought about. The client listens. */
void notify_sweep(struct worker *w, struct client *c);

/* Is it the next for the subscription? One that came from another process may have had it there. */
static inline bool notify_is_next(struct sub *s, const struct tell_notified *t)
{
	if (t->number != 0 && t->number <= s->number)
		return false;
	if (t->number != 0)
		s->number = t->number;
	return true;
}

/* --- notify_unit.c --- */

/* Can the client read, as it is, the text that the shared connection gets, in server_encoding? */
bool notify_reads_encoding(const struct client *c);
/*
 * May the shared connection be asked for it, and does the server fold and cut it as we do? Not in
 * an encoding of one byte, where that is for the locale to say.
 */
bool notify_name_is_shared(const struct client *c, const char *name);
/* The unit waits for no channel any more; it is the caller's to go on with it. */
void notify_wait_ended(struct worker *w, struct listening *l);
void notify_wait_over(void *ctx, struct wheel_timer *t); /* of listening.wait: it pins instead */
/* A channel is listened to: look at the units again that wait for one. */
void notify_wake_waiting(struct worker *w);
/* No channel of the database will be: the units that wait for one go on without. */
void notify_refuse_waiting(struct worker *w, const struct dbase *db);

/* --- notify_give.c --- */

/* Now, or when the client's transaction has ended. It may be closed then. */
void notify_give(struct worker *w, struct sub *s, const struct tell_notified *t);
/* A NOTICE that something may have been missed; as notify_give. */
void notify_put_lost(struct worker *w, struct client *c);

/* --- notify_barrier.c --- */

/* TELL_BARRIER: all that was notified in the database before it was asked for has been given. */
void notify_barrier_passed(struct worker *w, const struct ask_barrier *t);

/* --- notify_going.c --- */

/* LISTENING_MARKED: who listens has had all that came before the marker, whose number this is. */
void notify_channel_marked(struct channel *ch, uint64_t number);
/* LISTENING_UNMARKED has been taken in. */
void notify_answer_unmarked(struct worker *w, const struct tell_listening *t);
/*
 * What is kept is no matter of its turn: a client that comes finds what the control thread has told
 * before, whatever waits here.
 */
void notify_keep_or_not(struct worker *w, const struct tell_listening *t);

#endif
