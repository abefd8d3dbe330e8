/* replayed - why a read has run elsewhere in place of the node that was chosen: see loss.h. Pure.
 */
#ifndef PGWEIR_WORKER_REPLAYED_H
#define PGWEIR_WORKER_REPLAYED_H

enum replay_cause {
	REPLAYED_REFUSED,     /* 25006: it writes, and nobody could know */
	REPLAYED_UNSUPPORTED, /* 0A000, 55000: not during recovery */
	REPLAYED_MISSING,     /* classes 3F and 42: DDL that the replica may not have yet */
	REPLAYED_CONFLICT,    /* class 40: with recovery */
	REPLAYED_RESOURCES,   /* class 53, 55P03 */
	REPLAYED_SYSTEM,      /* classes 58 and XX */
	REPLAYED_CANCELED,    /* 57014, that nobody has asked us for: a timeout there */
	REPLAYED_SHUTDOWN,    /* class 57: the server ends, or is not there yet */
	REPLAYED_LOST,        /* class 08, or the connection was lost */
	REPLAYED_OTHER,       /* any other: of what the replica lacks, or the statement's own */
	REPLAYED_CAUSES
};

#define REPLAY_LOST "server_lost"

/* why: a SQLSTATE, or REPLAY_LOST. */
enum replay_cause replay_cause_of(const char *why);

/* Fixed word for metrics: "refused", "unsupported" … */
const char *replay_cause_name(enum replay_cause cause);

#endif
