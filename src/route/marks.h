/*
 * marks - what a client's next read must not miss. A mark is set by number and without a clock: the
 * monitor counts a sample before it sends the query; a worker loads the count after it has read the
 * ReadyForQuery of a write; a sample with a higher number was begun after the write was
 * acknowledged, so its LSN covers it.
 * Owns:    nothing; struct marks is embedded in the client. One thread, struct mark_clock excepted.
 */
#ifndef PGWEIR_ROUTE_MARKS_H
#define PGWEIR_ROUTE_MARKS_H

#include <stdatomic.h>

#include "route/topology.h"

/*
 * One in the process, shared by the monitor and all workers; not part of a snapshot. One for all
 * clusters: a reload may renumber clusters, and numbers must stay comparable.
 */
struct mark_clock {
	_Alignas(64) _Atomic uint64_t begun; /* samples begun; the monitor alone writes */
	_Alignas(
		64) _Atomic uint64_t wanted; /* a mark waits for a sample of this number or above */
};

/* Monitor, before it sends a query that may become a sample: the sample's number. */
static inline uint64_t mark_clock_begin(struct mark_clock *c)
{
	return atomic_fetch_add(&c->begun, 1) + 1;
}

/* Worker, after it has read the ReadyForQuery: the number for marks_write and marks_read. */
static inline uint64_t mark_clock_load(const struct mark_clock *c)
{
	return atomic_load(&c->begun);
}

/* Worker: marks wait for the sample after `number`; the monitor shall not tarry. */
static inline void mark_clock_want(struct mark_clock *c, uint64_t number)
{
	if (atomic_load_explicit(&c->wanted, memory_order_relaxed) <= number)
		atomic_store_explicit(&c->wanted, number + 1, memory_order_relaxed);
}

/* Monitor: whether a mark waits for a sample above `number`, the last one answered. */
static inline bool mark_clock_is_wanted(const struct mark_clock *c, uint64_t number)
{
	return atomic_load_explicit(&c->wanted, memory_order_relaxed) > number;
}

enum mark_state { MARK_NONE, MARK_OPEN, MARK_CLOSED };

struct mark {
	uint64_t number;     /* open: samples begun when it was set */
	struct wal_point at; /* closed */
	uint8_t state;       /* enum mark_state */
};

struct marks {
	struct mark write; /* read your writes: of the last unit on the primary, proven reads left
			      out */
	/*
	 * Monotonic reads: an upper bound of what the replica of the last read can have shown (what
	 * was known of it then is a lower one, and not enough). It does not bind on that same
	 * replica (same epoch), which never goes back.
	 */
	struct mark read;
	uint16_t read_node; /* TOPO_NONE: none */
	uint32_t read_epoch;
	uint32_t identity; /* of the cluster that these belong to; 0: of none */
};

void marks_init(struct marks *m);

/*
 * A unit on the primary has ended that was not a proven read (failed and cancelled ones too).
 * number: mark_clock_load after its ReadyForQuery was read.
 */
void marks_write(struct marks *m, const struct topo_cluster *c, uint64_t number);

/* A unit has ended on replica `node`, whose epoch was that when the unit was sent. */
void marks_read(struct marks *m, const struct topo_cluster *c, uint16_t node, uint32_t epoch,
	uint64_t number);

/*
 * Close what the snapshot's samples allow to close; drop marks of another cluster. Call before
 * choose().
 */
void marks_settle(struct marks *m, const struct topo_cluster *c);

enum mark_answer {
	MARK_OK,
	MARK_WAITS,  /* an open mark: no sample covers it yet */
	MARK_BEHIND, /* the node is not known to have replayed it */
};

/* Whether replica `node` has all that the client's next read must not miss. */
enum mark_answer marks_check(const struct marks *m, const struct topo_cluster *c, uint16_t node,
	const struct topo_node *n);

/* Some mark is still open after marks_settle. */
static inline bool marks_is_open(const struct marks *m)
{
	return m->write.state == MARK_OPEN || m->read.state == MARK_OPEN;
}

#endif
