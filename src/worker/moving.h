/*
 * moving - transaction_reads = replica: a READ COMMITTED block begins on a replica, and moves to
 * the primary, unseen, ahead of the first unit that is not a plain read. Until then it has read and
 * nothing else, so it can be begun again: its journal (state/journal.h) says how.
 *
 *   A plain read runs on the replica; if it fails there, or the replica is lost, the block moves
 * and it runs again. What begins and ends the block and its parts, SET LOCAL of what is not
 * reported, SAVEPOINT, RELEASE, ROLLBACK TO, COMMIT, ROLLBACK, runs there too, and the journal
 * follows. All else moves it: what writes or is not known to read, what the transaction's time or
 * identity shows in, portals that outlive their unit, streams, a wish for the primary or for what
 * others have written; and a replica that is not fit any more.
 *
 *   A block that has failed on a replica (an error behind more than replay_window, a cancelled
 *   statement) stays there for its ROLLBACK or ROLLBACK TO.
 *
 *   A READ COMMITTED block that is READ ONLY (client.block_read_only) moves as well, in any
 *   database that routes (ADR 0034). It is meant for replicas, so it stays whatever lag or
 *   time its reads show; and what its client sends to a replica by a hint binds it there for good.
 *
 *   A READ ONLY block that has one snapshot (MOVES_BOUND) stays; its journal is followed all the
 * same, for an error of its reads is asked of the primary (confirm.h).
 *
 * Owns:    client.moves, and in client.deferred what concerns it.
 * Cost:    outside of such blocks, one branch a unit.
 */
#ifndef PGWEIR_WORKER_MOVING_H
#define PGWEIR_WORKER_MOVING_H

#include "worker/client.h"
#include "worker/moved.h"
#include "worker/server.h"

/* Is the judged unit one with which the client's deferred block begins on a replica? */
bool moving_may_begin(const struct client *c);

/* Is it one that runs on the replica where its block is? (Control of the block: moving_goes_on.) */
bool moving_is_read(const struct client *c);

/*
 * A block that its snapshot binds to its replica (MOVES_BOUND): is the judged unit one whose error
 * the primary can be asked about? Then it is kept until it is answered, and its answer passed on.
 */
bool moving_confirms(const struct client *c);

/* Is the client's block on `s`, which pgweir has begun there, one snapshot from end to end? */
bool moving_has_one_snapshot(const struct client *c, const struct server *s);

static inline bool moving_is_bound(const struct client *c)
{
	return c->busy->moves == MOVES_BOUND && c->busy->block_answered;
}

/* Why the judged unit, which is no plain read, moves its block. */
enum moved_cause moving_cause_of(const struct client *c);

/* Of the unit at `data`, being judged: has it a portal that may outlive it? */
void moving_judge(struct client *c, const uint8_t *data);

/*
 * The next unit of a block on a replica: stay, or leave the replica and be deferred again.
 * False: it has to wait until what is under way is answered.
 */
bool moving_goes_on(struct worker *w, struct client *c, const uint8_t *data);

/*
 * The client, whose block may begin on a replica, has got a server for the unit at `data`. False:
 * not one for its block; it has none again, and its unit is to be dispatched once more.
 */
bool moving_begins(struct worker *w, struct client *c, const uint8_t *data);

/*
 * routing = shadow, moves is MOVES_SHADOW: the unit at `data` of the block that would be on a
 * replica is about to be sent. Would it move the block? Then it counts as it runs, and so do those
 * behind it.
 */
void moving_shadow(struct worker *w, struct client *c, const uint8_t *data);

/* On a replica a unit of the block is kept, to be run again elsewhere. */
static inline bool moving_retains(const struct client *c)
{
	return c->txn != TXN_FAILED && !c->busy->streaming &&
	       (c->busy->moves == MOVES_BOUND ? moving_confirms(c)
					      : c->busy->holding || c->busy->sent_len == 0);
}

/* Its server has been lost between two units: does that matter to nobody? */
bool moving_survives(const struct client *c, const struct server *s);

/* The block has no server any more; it is deferred again, for the primary. */
void moving_left(struct client *c, enum moved_cause why);

/* The block has ended on its replica otherwise: the client has gone, or an answer broke off. */
void moving_abandoned(struct client *c);

/* A unit of the block has ended; status: of its ReadyForQuery. Before client.txn follows. */
void moving_unit_ended(struct client *c, char status);

/*
 * EXPLAIN ROUTE: why the block, which is on a replica, would move with this text, which
 * c->busy->unit has been judged as. NULL: it stays.
 */
const char *moving_explain(struct worker *w, struct client *c, const char *sql, size_t len);

#endif
