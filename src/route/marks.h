/*
 * marks - what a client's next read must not miss. A mark is set by number and without a clock: the
 * monitor counts a sample before it sends the query; a worker loads the count after it has read the
 * ReadyForQuery of a write; a sample with a higher number was begun after the write was
 * acknowledged, so its LSN covers it. A write whose server was lost counts as acknowledged then.
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
	/* units that stand and wait for a sample (consistency = strong), by cluster id */
	_Alignas(64) _Atomic uint32_t waiting[TOPO_CLUSTERS_MAX];
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

/*
 * Worker: a unit stands and waits for a sample of the cluster, or does so no more. `begin` returns
 * true if nobody waited yet: the monitor is to be woken. Each begin has one end, by the same id.
 */
static inline bool mark_clock_wait_begin(struct mark_clock *c, uint16_t cluster)
{
	return atomic_fetch_add(&c->waiting[cluster], 1) == 0;
}
static inline void mark_clock_wait_end(struct mark_clock *c, uint16_t cluster)
{
	atomic_fetch_sub(&c->waiting[cluster], 1);
}

/* Monitor: whether units stand and wait, so that the next sample is to begin at once. */
static inline bool mark_clock_is_awaited(const struct mark_clock *c, uint16_t cluster)
{
	return atomic_load(&c->waiting[cluster]) != 0;
}

/* Monitor: whether a mark waits for a sample above `number`, the last one answered. */
static inline bool mark_clock_is_wanted(const struct mark_clock *c, uint64_t number)
{
	return atomic_load_explicit(&c->wanted, memory_order_relaxed) > number;
}

enum mark_state { MARK_NONE, MARK_OPEN, MARK_CLOSED };

struct mark {
	uint64_t number; /* samples begun when it was set */
	uint64_t lsn;    /* closed: where, with the timeline; apart, so that a client is smaller */
	uint32_t timeline;
	uint8_t state; /* enum mark_state */
};

/* Of a closed one. */
static inline struct wal_point mark_where(const struct mark *k)
{
	return (struct wal_point){.timeline = k->timeline, .lsn = k->lsn};
}

struct marks {
	struct mark write; /* read your writes: of the last unit on the primary, proven reads left
			      out */
	/*
	 * Monotonic reads: an upper bound of what the replica of the last read can have shown (what
	 * was known of it then is a lower one, and not enough): what the primary had flushed at the
	 * next sample. What it had inserted might reach no replica for long. It does not bind on
	 * that same replica (same epoch), which never goes back.
	 */
	struct mark read;
	uint16_t read_node; /* TOPO_NONE: none */
	uint32_t read_epoch;
	uint32_t identity; /* of the cluster that these belong to; 0: of none yet */
};

void marks_init(struct marks *m);

/* --- one mark --- */

enum mark_answer {
	MARK_OK,
	MARK_WAITS,  /* an open mark: no sample covers it yet */
	MARK_BEHIND, /* the node is not known to have replayed it */
};

/* Whether the node is known to have replayed it. */
static inline enum mark_answer mark_check(const struct mark *k, const struct topo_node *n)
{
	const struct wal_point have = {.timeline = n->timeline, .lsn = n->lsn};

	switch ((enum mark_state)k->state) {
	case MARK_NONE:
		return MARK_OK;
	case MARK_OPEN:
		return MARK_WAITS;
	case MARK_CLOSED:
		break;
	}
	return wal_point_covers(have, mark_where(k)) ? MARK_OK : MARK_BEHIND;
}

/* What was acknowledged when the count of samples was `number`: covered by the next one begun. */
static inline struct mark mark_at(uint64_t number)
{
	return (struct mark){.number = number, .state = MARK_OPEN};
}

void marks_arrive_anew(struct marks *m, uint64_t number); /* for marks_arrive */

/*
 * A client comes from another process, or something of it has run where nothing is routed: what it
 * has written and read there was before sample `number` + 1. For whichever cluster comes next.
 */
static inline void marks_arrive(struct marks *m, uint64_t number)
{
	if (m->identity != 0 || m->write.state != MARK_OPEN || m->write.number != number)
		marks_arrive_anew(m, number);
}

/* Close it if a sample of the cluster allows to. */
void mark_settle(struct mark *k, const struct topo_cluster *c);

/*
 * A unit on the primary has ended that was not a proven read (failed and cancelled ones too).
 * number: mark_clock_load after its ReadyForQuery was read, or its server was lost.
 */
void marks_write(struct marks *m, const struct topo_cluster *c, uint64_t number);

/* A unit has ended on replica `node`, whose epoch was that when the unit was sent. */
void marks_read(struct marks *m, const struct topo_cluster *c, uint16_t node, uint32_t epoch,
	uint64_t number);

/* Some mark is still open even after marks_settle. */
static inline bool marks_is_open(const struct marks *m)
{
	return m->write.state == MARK_OPEN || m->read.state == MARK_OPEN;
}

/* Was a sample begun after it was set? They are kept newest first. */
static inline bool mark_is_covered(const struct mark *k, const struct topo_cluster *c)
{
	return k->state == MARK_OPEN && c->n_samples != 0 && c->samples[0].number > k->number;
}

void marks_settle_open(struct marks *m, const struct topo_cluster *c); /* for marks_settle */

/*
 * Close what the snapshot's samples allow to close; open those of another cluster anew. Call before
 * choose().
 */
static inline void marks_settle(struct marks *m, const struct topo_cluster *c)
{
	if (m->identity != c->identity || mark_is_covered(&m->write, c) ||
		mark_is_covered(&m->read, c))
		marks_settle_open(m, c);
}

/* Whether replica `node` has all that the client's next read must not miss. */
static inline enum mark_answer marks_check(const struct marks *m, const struct topo_cluster *c,
	uint16_t node, const struct topo_node *n)
{
	enum mark_answer a;

	if (m->identity != c->identity)
		return MARK_OK;
	if ((a = mark_check(&m->write, n)) != MARK_OK)
		return a;
	if (m->read_node == node && m->read_epoch == n->epoch)
		return MARK_OK;
	return mark_check(&m->read, n);
}

/*
 * The last write of one database through this process, whoever made it: consistency = database.
 * Shared by all workers; each closes it for itself, see mark_of_all.
 */
struct mark_board {
	_Atomic uint64_t wrote; /* count of samples at the last write, plus one; 0: none */
};

/*
 * Worker: bytes that may acknowledge a write are about to be passed on; `number`: mark_clock_load
 * after they were read. Who reads the board after the client was told finds it there.
 */
static inline void mark_board_write(struct mark_board *b, uint64_t number)
{
	uint64_t seen = atomic_load(&b->wrote);

	while (seen <= number && !atomic_compare_exchange_weak(&b->wrote, &seen, number + 1))
		;
}

/* This worker's view of a board: of one cluster, closed as soon as its samples allow. */
struct mark_of_all {
	struct mark mark;
	uint32_t identity; /* of the cluster; a mark of another one is open anew */
};

/* Look at the board, and close what can be closed. Borrowed until the next call. */
const struct mark *mark_of_all(
	struct mark_of_all *m, const struct mark_board *b, const struct topo_cluster *c);

#endif
