/*
 * choose_words - why a unit goes where it goes, or waits, and the words for it. Pure.
 */
#ifndef PGWEIR_ROUTE_CHOOSE_WORDS_H
#define PGWEIR_ROUTE_CHOOSE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* Why; each has a fixed word for SHOW ROUTES and metrics. */
enum choose_reason {
	CHOOSE_BY_REPLICA_OK,    /* to a fit replica */
	CHOOSE_BY_REPLICA_STAYS, /* to the replica of the last read: no other is known to be as far
				  */
	CHOOSE_BY_OTHER_ZONE,    /* to a replica of another zone: none of the own one would do */
	CHOOSE_BY_EJECTED,       /* to a replica that is ejected: there is no other */
	CHOOSE_BY_PRIMARY_SHARE, /* read on the primary: its share */
	CHOOSE_BY_BUSY, /* read on the primary: it had a server while the fit replicas had none */
	CHOOSE_BY_NO_REPLICA,  /* read on the primary: there is no usable replica */
	CHOOSE_BY_LAG,         /* read on the primary: replicas are beyond max_lag */
	CHOOSE_BY_MARK_OPEN,   /* read on the primary: no sample covers the client's mark yet */
	CHOOSE_BY_MARK_BEHIND, /* read on the primary: replicas have not replayed the mark */
	CHOOSE_BY_STRONG,      /* strong read on the primary: no replica had it in strong_wait */
	CHOOSE_BY_WRITE,
	CHOOSE_BY_UNKNOWN,
	CHOOSE_BY_CATALOG, /* not known to write, and the catalog is not loaded yet */
	CHOOSE_BY_SESSION,
	CHOOSE_BY_TRANSACTION,
	CHOOSE_BY_STREAMED,
	CHOOSE_BY_ROUTE_PRIMARY,
	CHOOSE_BY_ROUTE_REPLICA,
	CHOOSE_BY_ROUND_ROBIN,    /* routing = off */
	CHOOSE_BY_ONLY_NODE,      /* the database has one node and routing = off */
	CHOOSE_BY_PINNED,         /* not from choose(): the client is pinned */
	CHOOSE_BY_IN_TRANSACTION, /* not from choose(): the transaction holds its server */
	CHOOSE_BY_HINT,   /* not from choose(): the client has said so (a hint, pgweir.route) */
	CHOOSE_BY_MOVED,  /* not from choose(): its block has left a replica with it */
	CHOOSE_BY_REPLAY, /* not from choose(): refused by a replica, run again */
	CHOOSE_REASON_COUNT
};
const char *choose_reason_name(enum choose_reason r);

/* If there is no node: why, so that the error after query_wait_timeout can name a key. */
enum choose_hint {
	CHOOSE_HINT_NONE,
	CHOOSE_HINT_NO_PRIMARY,      /* there was one: a failover, or it is down */
	CHOOSE_HINT_NEVER_PRIMARY,   /* none seen since the start: hint at `route` */
	CHOOSE_HINT_MONITOR_REFUSED, /* none seen, and a node refuses the monitor: `monitor_user` */
	CHOOSE_HINT_PRIMARY_NOT_LISTED, /* the primary is not among the database's hosts: `host` */
	CHOOSE_HINT_NO_REPLICA,         /* route = replica, none is usable */
	CHOOSE_HINT_MAX_LAG,            /* all are beyond `max_lag` */
	CHOOSE_HINT_MARKS,              /* the consistency mode forbids those that are left */
	CHOOSE_HINT_CONNECT,            /* the node that fits cannot be connected to */
	CHOOSE_HINT_NEVER,              /* primary_reads = never, no replica is usable */
	CHOOSE_HINT_NEVER_MARKS,        /* primary_reads = never, the marks forbid the replicas */
};
/* A sentence for the error's HINT; "" for CHOOSE_HINT_NONE. */
const char *choose_hint_text(enum choose_hint h);

/* Does the reason say that a replica was chosen? */
bool choose_reason_is_replica(uint8_t reason);

#endif
