/*
 * query_stats - what one worker knows of the statements that it has served, by fingerprint, owner
 * (an account) and whether a replica served it. Owns:    its records, each made when it is first
 * needed. Touches: nothing else; no clock, one thread. Bounds:  `limit` records of under 1.5 kB. At
 * the limit a new statement takes the place of one of the few looked at in turn, the one unused for
 * longest; what that had counted goes to `others`.
 */
#ifndef PGWEIR_STATE_QUERY_STATS_H
#define PGWEIR_STATE_QUERY_STATS_H

#include "base/hist.h"

#define QUERY_STATS_MAX 10000u /* records; a handle has 16 bits for them */
#define QUERY_TEXT_MAX  256u   /* bytes of a statement's text, the NUL counted */
#define QUERY_WHO_MAX   64u    /* bytes of an application's name or an address, the NUL counted */

struct query_sums {
	uint64_t calls; /* those that failed included */
	uint64_t errors, rows;
	uint64_t queue_us; /* units waited for a server, as far as this was their first statement */
	uint64_t server_us; /* from the send, or the end of the statement before, to its end */
};

/* Many executions in one transaction of a client, or soon after each other. */
struct query_repeats {
	uint64_t found;   /* series that were long enough */
	uint64_t calls;   /* executions in them */
	uint32_t longest; /* executions in one of them */
	uint32_t in_txn;  /* series inside a transaction, of `found` */
	/* the last series */
	uint64_t client, at_us;
	char application_name[QUERY_WHO_MAX], addr[QUERY_WHO_MAX];
};

struct query_record {
	/* key */
	uint64_t fingerprint;
	const void *owner; /* compared only */
	bool replica;

	uint64_t used_us;
	struct query_sums sums;
	uint64_t max_us;             /* of server_us */
	uint32_t hist[HIST_BUCKETS]; /* of server_us, hist_bucket */
	struct query_repeats repeats;
	char text[QUERY_TEXT_MAX]; /* the adder's to fill */

	uint32_t next; /* in its chain, index + 1 */
};

struct query_stats;

enum status query_stats_new(struct query_stats **out) MUST_USE;
void query_stats_free(struct query_stats *q); /* NULL is allowed */

/* 0: keep none. A smaller limit than now forgets all. */
void query_stats_limit(struct query_stats *q, uint32_t limit);

/* A handle for a record, good until the record is given up; 0: there is none. */
uint32_t query_stats_find(
	const struct query_stats *q, uint64_t fingerprint, const void *owner, bool replica);
/* The same for a new one, all zeroes but the key; 0: no memory, or the limit is 0. */
uint32_t query_stats_add(struct query_stats *q, uint64_t fingerprint, const void *owner,
	bool replica, uint64_t now_us);
/* NULL: it was given up since. */
struct query_record *query_stats_get(struct query_stats *q, uint32_t handle);

/* One execution has ended. */
void query_record_count(struct query_record *r, const struct query_sums *once, uint64_t now_us);

void query_stats_forget(struct query_stats *q, const void *owner); /* its records */
void query_stats_reset(struct query_stats *q);                     /* all, and `others` */
void query_stats_forget_repeats(struct query_stats *q);            /* of all records */

const struct query_sums *query_stats_others(const struct query_stats *q);
uint32_t query_stats_n(const struct query_stats *q);
/* Next record at or after *pos (0 to begin), advancing *pos past it; NULL at the end. */
const struct query_record *query_stats_next(const struct query_stats *q, uint32_t *pos);

#endif
