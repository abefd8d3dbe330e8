/*
 * choose - where a unit goes: verdict, client, topology and load in; node and reason out.
 * Pure: no allocation, no clock, no random source; a few hundred instructions.
 */
#ifndef PGWEIR_ROUTE_CHOOSE_H
#define PGWEIR_ROUTE_CHOOSE_H

#include "route/choose_words.h"
#include "route/marks.h"
#include "route/topology.h"

#define CHOOSE_NODES_MAX  64u   /* nodes of one database; a set of them is a word */
#define CHOOSE_WEIGHT_MAX 1600u /* of a node that is listed 16 times, with 100 each */

/* What the unit is. All but the first three must run on the primary. */
enum choose_kind {
	CHOOSE_READ,        /* proven read, autocommit */
	CHOOSE_READ_BLOCK,  /* first statement of a READ ONLY transaction, not SERIALIZABLE */
	CHOOSE_TXN_READ,    /* first statement of a block that begins on a replica, and may move */
	CHOOSE_WRITE,       /* known to write */
	CHOOSE_UNKNOWN,     /* not proven to be a read */
	CHOOSE_NO_CATALOG,  /* nothing can be proven to be one yet */
	CHOOSE_SESSION,     /* has a session effect */
	CHOOSE_TRANSACTION, /* first statement of any other transaction */
	CHOOSE_STREAMED,    /* ends in Flush, or too large to hold */
};

/* What the database entry is for (`route =`), or `routing = off`. */
enum choose_route {
	CHOOSE_ROUTE_AUTO,
	CHOOSE_ROUTE_PRIMARY,
	CHOOSE_ROUTE_REPLICA,
	CHOOSE_ROUTE_OFF, /* nodes are equals, round-robin; the topology is not looked at */
};

/* Which reads the primary gets while the unit could run on a replica (`primary_reads =`). */
enum choose_primary_reads {
	CHOOSE_PRIMARY_FALLBACK, /* those for which no replica is fit */
	CHOOSE_PRIMARY_NEVER,    /* none: they wait for a replica */
	CHOOSE_PRIMARY_SHARE,    /* its share by weight, as if it were a replica */
};

enum choose_consistency {
	CHOOSE_EVENTUAL,
	CHOOSE_SESSION_MARKS,  /* marks: the client's */
	CHOOSE_DATABASE_MARKS, /* marks: the client's, its write mark that of the whole database */
	CHOOSE_STRONG,         /* the mark of the read's arrival: it waits for the next sample */
};

/* What this worker knows of one node, parallel to choose_in.nodes. */
struct choose_load {
	uint32_t outstanding; /* units sent and unanswered, or waiting in its line */
	uint32_t latency_us;  /* EWMA of units on it */
	uint16_t weight;      /* 1..CHOOSE_WEIGHT_MAX */
	bool has_free;        /* a server is idle, or allowed to be opened */
	/* heeded if choose_in.uneven: */
	bool is_far;      /* in another zone than we are */
	bool is_ejected;  /* see route/outlier.h */
	uint8_t held_256; /* of so many of 256 reads it is no candidate: choose_held_256 */
};

struct choose_in {
	const struct topology *topo; /* may be NULL with CHOOSE_ROUTE_OFF */
	const uint16_t *nodes;       /* node ids of the database */
	uint64_t unreachable; /* a bit for each of these that cannot be connected to, as far as is
				 known, or was tried in vain by this unit */
	uint16_t n_nodes;     /* 1..CHOOSE_NODES_MAX */
	uint16_t cluster;
	enum choose_kind kind;
	enum choose_route route;
	uint32_t random; /* any number, where nodes are compared; with CHOOSE_ROUTE_OFF a counter */
	/* what follows is read only if choose_compares */
	const struct choose_load *load;
	enum choose_primary_reads primary_reads;
	bool asks_replica; /* its client asks for one: the primary only if none is fit */
	bool uneven;       /* a node is far, ejected, or held back */
	enum choose_consistency consistency;
	const struct marks *marks;  /* settled; NULL: none */
	const struct mark *arrival; /* CHOOSE_STRONG: set when the unit came, settled */
	uint64_t wait_us;           /* CHOOSE_STRONG: what is left of strong_wait; 0: it is over */
	struct wal_point floor;     /* pgweir.min_lsn, whatever the mode; lsn 0: none */
	uint64_t max_lag_us;
	uint64_t now_us;
	uint64_t sample_grace_us; /* lag_check_interval: so old a snapshot is as good as new */
};

struct choose_out {
	uint16_t node;     /* TOPO_NONE: no node is fit now, the unit waits */
	uint16_t index;    /* of the node in choose_in.nodes */
	uint8_t reason;    /* enum choose_reason; also set if there is no node */
	uint8_t hint;      /* enum choose_hint, if there is no node */
	bool wants_sample; /* a mark keeps it from better nodes: mark_clock_want */
	bool waits; /* no node yet: the unit stands and waits for the next samples (strong) */
};

/* May a unit of that kind run on a replica? */
static inline bool choose_is_read(enum choose_kind k)
{
	return k <= CHOOSE_TXN_READ;
}

static inline bool choose_reaches(const struct choose_in *in, uint16_t index)
{
	return (in->unreachable >> index & 1) == 0;
}

/* Are nodes compared for the unit? Else it is for the primary, or for the one whose turn it is. */
static inline bool choose_compares(const struct choose_in *in)
{
	return in->route == CHOOSE_ROUTE_REPLICA ||
	       (in->route == CHOOSE_ROUTE_AUTO && choose_is_read(in->kind));
}

void choose(const struct choose_in *in, struct choose_out *out);

/*
 * Whether the unit may run on in->nodes[index] now: for a unit that waits while that node gets an
 * idle server, and before it is sent after a wait.
 */
bool choose_is_fit(const struct choose_in *in, uint16_t index);

/*
 * Slow start: from how many of 256 reads a node is kept that came back `age_us` ago. Its share
 * grows evenly from a tenth to all over slow_start_us (0: there is none).
 */
uint8_t choose_held_256(uint64_t age_us, uint64_t slow_start_us);

/* Why the replica in->nodes[index] is not fit for the unit, in words; "" if it is. */
const char *choose_unfit_text(const struct choose_in *in, uint16_t index);

#endif
