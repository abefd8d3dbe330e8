/*
 * busy - the part of a client that it has while it is busy only. Most of what a client is made of
 * serves the unit that it runs, the transaction that it is in, its place in a line, its pins. A
 * client at rest has none of these, and most clients are at rest most of the time: so it is lent to
 * them, and each worker has a pool of such parts (ADR 0032).
 *
 * Lent:    to a new client, until it has logged in and is at rest; again when something comes from
 *          it. The janitor takes it back a little after the client has come to rest, so that one
 *          that goes on at once keeps it: busy_look. No code path has to think of giving it back.
 * At rest: idle, in no transaction, with no server, nothing kept, nothing owed: busy_is_over.
 *          `client->busy` is then `busy_none`, which can be read, and in which all is as it is at
 *          rest. Writing to it is a crash.
 * Owns:    the parts, in chunks of the system's memory; in each, what is used again: a place for a
 *          deferred block, one to hold answers. All else in it is the client's.
 * Bounds:  as many parts as there were clients that were busy at once; chunks that no client needs
 *          go back to the system (busy_pool_trim).
 * Thread:  a pool and its parts are one worker's.
 */
#ifndef PGWEIR_WORKER_BUSY_H
#define PGWEIR_WORKER_BUSY_H

#include "base/list.h"
#include "pool/waitq.h"
#include "route/ask.h"
#include "route/marks.h"
#include "state/journal.h"
#include "state/pins.h"
#include "worker/dbase.h"

struct client;
struct confirm;
struct defaults;
struct effects;
struct hold;
struct prepared_note;
struct savepoints;
struct server;
struct settings;
struct signals;
struct worker;

/* Where a block is that may move, see moving.h */
enum client_moves {
	MOVES_NOT,     /* it stays where it begins */
	MOVES_CHOSEN,  /* it is to begin on a replica */
	MOVES_SHADOW,  /* routing = shadow: it would be on one, and is on the primary */
	MOVES_DONE,    /* it has left it, for the primary alone */
	MOVES_REPLICA, /* it is there */
	MOVES_BOUND,   /* it is there for good, for it has one snapshot: its errors are confirmed */
};

/*
 * BEGIN and SET TRANSACTION, SAVEPOINT after it, answered by us and not yet sent; and, while the
 * block is on a replica that it may leave, all that opens the same block elsewhere.
 */
struct deferred {
	struct sql_modes modes; /* what the block will run with */
	struct ask ask;         /* hints of its statements: they hold for the block */
	bool snapshot;          /* a replica has run a query of the block */
	bool failed;            /* … and the block has failed there */
	uint8_t op;             /* enum moving_op: what is under way on the replica */
	uint32_t op_len;        /* … of the journal before it; while `op` is set */
	char op_name[64];       /* … the savepoint that it names */
	struct journal journal;
};

/* The unit at the front of what is not sent yet: scanned, judged, not yet consumed. */
struct unit {
	uint32_t len;        /* bytes scanned that belong to it */
	bool complete;       /* its last message is in */
	bool judged;         /* the rest is set */
	bool is_simple;      /* one Query */
	bool runs;           /* there is more in it than Parse, Describe, Close, Flush and Sync */
	bool ends_in_flush;  /* … only these, and a Flush: a Sync of ours goes in its place */
	bool may_name_later; /* binds a statement whose name is not known (yet) */
	bool uses_portal;    /* executes a named portal */
	bool listens;        /* LISTEN, by the shared connection */
	bool ours;           /* some statement is for pgweir itself: ours.h */
	bool signals;        /* it calls pg_cancel_backend(): signals.h */
	bool asks_replica;   /* its client says that a replica can run it; see judge.h */
	bool has_effects;    /* some statement has effects that are to be followed */
	bool keeps_portal;   /* in a block that may move: a portal that may outlive the unit */
	uint8_t cls;         /* enum sql_class, the gravest of its statements */
	uint32_t n_stmts;    /* statements, as far as they are counted */
	uint32_t flags;      /* SQLV_*, or'ed; SQLV_REPLICA and'ed */
	uint32_t pins;       /* bits of enum pin_cause that it will cause */
	uint64_t arrived_us; /* consistency = strong: when it was to be placed first; 0: not yet */
	struct mark arrival; /* … and what had been acknowledged then */
	struct ask ask;      /* hints */
};

struct busy {
	struct list link;          /* the pool's `lent`, or the chunk's `spare` */
	struct busy_chunk *chunk;  /* where it lies */
	struct client *client;     /* to whom it is lent; NULL: spare */
	struct hold *hold;         /* a replica's answer, held back; made when first needed */
	struct deferred *deferred; /* made when first needed */

	/* at rest all this is zero, from `wanted` to `n_kept_end` */
	struct server *wanted;          /* it waits for this very server (currval) */
	struct settings *doubt_names;   /* what is to be asked, see found_out.h; NULL: nothing */
	struct savepoints *savepoints;  /* of the open transaction, or NULL */
	struct prepared_note *expected; /* a Describe of the portal bound last is news, or NULL */
	struct effects *bound;          /* of the statement bound last, until it is executed */
	struct signals *signals;        /* of the unit that is next, or under way; or NULL */
	struct defaults *defaults;      /* that its transaction changes; NULL: none */
	struct confirm *confirm;        /* its replica's error is asked about, or was; or NULL */
	uint64_t lost_us; /* the present unit, a read, was lost with its primary then; 0: not */
	uint64_t wait_begun_us; /* how long its unit waits already */
	uint64_t wait_since_us; /* … for that cause; 0: it does not wait */
	uint32_t sent_len;      /* bytes at the front that were sent and are kept for replay */
	uint32_t body_left;     /* of a message that streams through */
	uint32_t refused_len;   /* bytes of a unit that was refused while they were looked at */
	bool streaming;         /* messages go on one by one up to Sync: a Flush, or a large unit */
	bool skip_to_sync;      /* we refused a message of an extended series */
	bool flushed;           /* a Sync of ours, for a Flush, is not answered yet */
	bool force_primary;     /* the present unit was refused by a replica */
	bool canceled;          /* the present unit is not to run again: so its client wishes */
	bool checking;        /* a Describe of ours: does the result look as the client knows it? */
	bool asked_to_flush;  /* the stream is far ahead of the server, which was asked to answer */
	bool drop_next;       /* the message at the front was refused: its bytes are dropped */
	bool feeding;         /* its bytes are being looked at: they are consumed at the end */
	bool look_again;      /* … and something became possible meanwhile */
	bool begin_sent;      /* the deferred BEGIN is under way */
	bool unnamed_parsed;  /* the series under way has parsed the unnamed statement */
	bool unit_retained;   /* the units under way are kept for replay */
	bool holding;         /* … and nothing of the present one's answer was passed on */
	bool confirming;      /* its replica's error is asked of the primary: confirm.h */
	bool wants_pin;       /* it stands in the pool's pin_line: max_pinned is met */
	bool waits_fresh;     /* its unit has no node yet: the next samples are waited for */
	bool pin_counted;     /* it has a place in the budget of pins of `pin_pool` */
	uint8_t moves;        /* enum client_moves */
	bool block_read_only; /* the open block is READ ONLY and runs on a replica */
	bool block_answered;  /* something of the block was passed on */
	bool parse_differs;   /* … in what the meaning of a text depends on */
	bool block_differs;   /* SET LOCAL and the like: it may parse as nothing else does */
	bool doubt_all;       /* all ordinary parameters are to be asked */
	bool has_reported;    /* the transaction has changed what ParameterStatus follows … */
	bool reported_commit; /* … maybe locally, and was committed in the midst of the unit */
	bool told_later;      /* the unit has set what ParameterStatus follows … */
	bool txn_passed;      /* … and ended a transaction, or a part of one */
	bool seq_advanced;    /* the units since the last end of a transaction may have */
	bool seq_kept;        /* PIN_SEQUENCE is only until its next unit has ended */
	bool unit_error;      /* an ErrorResponse came in it */
	bool unit_writes;     /* it is no proven read: a mark is set when it ends */
	bool ddl_sent;        /* … and has defined something: the catalog is loaded again */
	bool schema_sent;     /* … or has changed or dropped it: Parse is for the server again */
	bool txn_notifies;    /* the transaction has said NOTIFY */
	uint8_t end_sent; /* enum sql_effect_kind: a COMMIT is under way, PREPARE TRANSACTION …:
			     if the server is lost, who knows */
	bool end_unsure;  /* … or nobody has read what is under way: it may be a COMMIT */
	bool end_bound;   /* a named portal of the transaction may be one */
	bool n_kept_end;  /* never set */

	/* at rest these have no meaning, but for what busy_is_over looks at */
	bool wait_told;       /* query_wait_notify: it knows that it waits */
	bool body_dropped;    /* what streams through goes into nothing */
	bool stream_is_query; /* the stream is one large Query: no Sync will follow it */
	bool probe_due;       /* a statement may have undone a pin: ask, see probe.h */
	bool stalled;         /* what stands at the front waits for an answer of the server */
	bool wants_rest;      /* what stands at the front has to come whole: read on */
	bool prefix_due;      /* newly linked: its settings go ahead of the next message */
	bool rediff;        /* … since a RESET: the values they come to are told to the client */
	bool tells_login;   /* … and at the end of the unit what the start-up packet says */
	bool settings_wait; /* the unit at the front waits until they are accepted */
	bool deferred_failed;   /* something that was answered before it ran has failed */
	bool txn_lost;          /* TXN_FAILED_ALONE, and the client does not know why yet */
	bool block_lost;        /* … of a READ ONLY block on a replica */
	uint8_t seq_check;      /* enum advanced_check: of the unit at the front */
	uint8_t wait_cause;     /* enum wait_cause, of the present or last wait */
	uint8_t pin_cause;      /* enum pin_cause; while pin_counted */
	bool needs_primary;     /* the node must be the primary */
	bool by_sample;         /* … or a replica, chosen by what its last sample told */
	uint8_t route_reason;   /* enum choose_reason */
	uint8_t route_hint;     /* enum choose_hint, if there is no node */
	uint16_t fresh_cluster; /* while waits_fresh: whose samples */
	int16_t shadow_index; /* routing = shadow: of the node where it would run; -1: as it does */
	uint16_t avoid_node;  /* a node that has just failed this unit; NODES_MAX: none */
	uint32_t route_counted; /* where its unit is counted: dbase_count_route */
	uint32_t lost_node;     /* with lost_us: that was this node */
	uint32_t read_epoch;    /* of the replica when the unit was sent */
	uint32_t bound_query;   /* handle of what was bound last, see queries.h */
	uint64_t last_query;    /* fingerprint of what ended last, see queries.h */
	uint64_t txn_begun_us;
	uint64_t queued_us;      /* how long its units have waited, not counted yet: queries.h */
	uint64_t pinned_us;      /* since when; while pin_counted */
	struct pool *pin_pool;   /* … of this pool */
	struct pool *line_pool;  /* whose line it stands in; NULL: the account's `nowhere` */
	struct waiter waiter;    /* while CLIENT_WAITING or waiting for a welcome */
	struct baseline learned; /* while logging in: what its settings came to */
	struct unit unit;
	struct pins pins;
};

extern const struct busy busy_none; /* of a client at rest */

/* The parts of one worker. Errors: E_NOMEM. */
struct busy_pool;
enum status busy_pool_new(struct busy_pool **out) MUST_USE;
void busy_pool_free(struct busy_pool *p);          /* all parts are back; NULL allowed */
size_t busy_pool_bytes(const struct busy_pool *p); /* of its chunks */

static inline bool busy_is_lent(const struct busy *b)
{
	return b != &busy_none;
}

/* Lend a part to a client that has none. Errors: E_NOMEM. */
enum status busy_begin(struct worker *w, struct client *c) MUST_USE;

/* Take back what the client has, whatever it is doing. No-op if it has nothing. */
void busy_end(struct worker *w, struct client *c);

/* It is at rest: nothing of what was lent to it matters any more. */
bool busy_is_over(const struct client *c);

/*
 * The janitor's: take back from some of those that came to rest BUSY_REST_US ago or earlier, and
 * give chunks back to the system. Cost: bounded, see BUSY_LOOKS_MAX.
 */
void busy_look(struct worker *w);

#endif
