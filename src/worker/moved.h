/* moved - why a transaction that began on a replica has left it: see moving.h. */
#ifndef PGWEIR_WORKER_MOVED_H
#define PGWEIR_WORKER_MOVED_H

enum moved_cause {
	MOVED_WRITE,   /* a statement that writes, locks rows, or calls what may write */
	MOVED_SESSION, /* one that makes or needs session state, or is transaction control */
	MOVED_TIME,    /* one that names the transaction's time: now(), age() … */
	MOVED_CURSOR,  /* a cursor, a named portal, a row limit */
	MOVED_UNKNOWN, /* one that is not proved to be a read */
	MOVED_STREAM,  /* a series with a Flush, or a unit too large to hold */
	MOVED_ASKED,   /* a hint, pgweir.route, pgweir.consistency */
	MOVED_NODE,    /* the replica is not fit any more: health, max_lag, what must be seen */
	MOVED_FAILED,  /* a statement failed on the replica */
	MOVED_LOST,    /* the replica was lost */
	MOVED_CAUSE_COUNT
};

/* Fixed word for SHOW TRANSACTION_READS and metrics: "write", "session" … */
const char *moved_cause_name(enum moved_cause why);

#endif
