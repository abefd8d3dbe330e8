/*
 * listening_own - what listening.c, which keeps the listening connections, shares with marking.c,
 * which lets their clients go to another process.
 * Thread: the control thread's.
 */
#ifndef PGWEIR_CONTROL_LISTENING_OWN_H
#define PGWEIR_CONTROL_LISTENING_OWN_H

#include "control/listening.h"

#define MARKING_PAYLOAD_LEN 33u /* 16 random bytes in hexadecimal digits, and the NUL */

enum listening_state {
	LISTENING_RESTING, /* no connection; the timer starts one */
	LISTENING_LOGIN,
	LISTENING_READY, /* nothing asked */
	LISTENING_ASKED, /* a query is under way */
};

struct channel {
	struct list link;   /* of all */
	struct list change; /* of those that are to be, or not to be, listened to */
	char name[CHANNEL_LEN];
	uint64_t workers; /* bit by bit, who wants it */
	bool is_on;
	bool is_asked; /* … to become the opposite, by the query under way */
	/* in a take-over */
	bool is_held;    /* listened to whether a worker wants it or not */
	bool is_listed;  /* the new process has been told of it */
	uint64_t marked; /* bit by bit, workers that know that it is marked */
	uint64_t number; /* of its last notification (worker/kept.h); 0: they have none */
};

/* Barriers of one worker: the last asked for, and the last that the query under way covers. */
struct barrier {
	uint64_t asked, covered, told;
};

enum marking_step {
	MARKING_NONE,
	/* old process */
	MARKING_CLEARING, /* its workers let nobody go any more, and answer */
	MARKING_OFFERED,  /* the new one knows of it; it is to come, here and there */
	MARKING_SET,      /* it has: who listens goes */
	/* new process */
	MARKING_DUE,      /* to be sent when all that is held is listened to */
	MARKING_SENT,     /* to come here */
	MARKING_KEEPING,  /* it has: from there on what is heard is kept */
	MARKING_SETTLING, /* nobody comes any more: the workers let go of what was kept, and answer
			   */
};

/* A notification of our own, that both processes find in the database's queue. */
struct marking {
	enum marking_step step;
	bool is_new; /* this is the new process: all workers hear what is held */
	bool is_here, is_there;
	bool is_full;   /* the new process has kept enough, or can keep no more */
	bool is_asked;  /* the query under way sends it */
	uint64_t round; /* rises with each marker of the database, over all take-overs */
	uint64_t begun_us;
	uint32_t n_answers;
	size_t kept; /* bytes since it came */
	char payload[MARKING_PAYLOAD_LEN];
};

struct listening {
	struct list link;
	struct listenings *of;
	char database[NAME_LEN];
	enum listening_state state;
	struct wheel_timer timer;
	struct pq *pq;
	uint32_t node;
	uint64_t login_hash;
	uint32_t try_no;
	uint64_t rest_us;
	bool is_lost; /* it has listened before: what came meanwhile is missed */
	bool told;    /* the log knows that it fails */
	struct map channels;
	struct list all, changes;
	struct barrier barriers[WORKERS_MAX];
	uint64_t received, losses;
	struct marking mark;
};

struct listenings {
	struct env *env;
	struct list all;
	uint32_t n;
	struct listenings_link link; /* to the other process of a take-over; send NULL: none */
	struct wheel_timer marking;  /* old process: is a marker needed? */
};

/* --- listening.c --- */

struct listening *listening_find(struct listenings *ls, const char *database);
/* One that is there, or a new one. NULL: no memory, or LISTENING_MAX. */
struct listening *listening_get(struct listenings *ls, const char *database);
void listening_tell(
	const struct listening *l, uint64_t workers, enum listening_what what, const char *channel);
uint64_t listening_all_workers(const struct listening *l);
struct channel *listening_channel(const struct listening *l, const char *name);
/* Listen to it, now or when there is a connection. NULL: no memory. */
struct channel *listening_hold(struct listening *l, const char *name);
/* What is to be done about it, if anything? It may be freed. */
void listening_look_channel(struct listening *l, struct channel *ch);
/* Is there something to ask? */
void listening_look(struct listening *l);

/* --- marking.c --- */

void marking_init(struct listenings *ls);
void marking_end(struct listenings *ls);
/* The statement that sends the marker, if that is due; `cap` bytes are enough from 128 on. */
bool marking_is_due(struct listening *l, char *sql, size_t cap);
void marking_answered(struct listening *l, const char *error); /* it was sent, or not */
/* A notification has come; is it the marker? Ahead of what is done with it. */
void marking_heard(struct listening *l, const char *channel, const char *payload);
/* Who is to hear of it, and its number; `len` bytes are kept. */
uint64_t marking_workers(const struct listening *l, const struct channel *ch);
uint64_t marking_number(struct listening *l, struct channel *ch, size_t len);
void marking_down(struct listening *l); /* no channel is listened to any more */

#endif
