/*
 * client - one connection of an application. Its life: start-up and login (login.c), then units
 * that are gathered (unit.c), given a place to run (dispatch.c), sent (forward.c) and answered
 * (relay.c); its end (client_close) is here and nowhere else.
 * Owns:    its conn, its prepared statement names, references to its settings.
 * Thread:  its worker's; moved whole to another worker once, between login and the first unit.
 *          In a take-over it goes to another process as an image (image.h).
 */
#ifndef PGWEIR_WORKER_CLIENT_H
#define PGWEIR_WORKER_CLIENT_H

#include "pool/waitq.h"
#include "proto/report.h"
#include "route/ask.h"
#include "route/marks.h"
#include "state/journal.h"
#include "state/pins.h"
#include "state/settings_txn.h"
#include "state/stmt_names.h"
#include "worker/dbase.h"
#include "worker/worker.h"

struct defaults;
struct effects;
struct hold;
struct listening;
struct login;
struct params;
struct prepared_note;
struct savepoints;
struct signals;
struct server;

enum client_state {
	CLIENT_BAD = 0,
	CLIENT_STARTUP, /* its start-up packets are awaited */
	CLIENT_TLS,     /* TLS handshake */
	CLIENT_AUTH,    /* an answer to our challenge is awaited */
	CLIENT_DERIVE,  /* a helper derives a key, or checks a password, for its login */
	CLIENT_LOOKUP,  /* auth_query asks for its secret */
	CLIENT_REFUSED, /* its proof has failed; it is told after login_failure_delay */
	CLIENT_MOVING,  /* on its way to another worker, or to another process */
	CLIENT_WELCOME, /* proved; waits for a server to learn what to greet it with */
	CLIENT_IDLE,    /* no unit under way, no server */
	CLIENT_WAITING, /* its unit stands in line */
	CLIENT_ACTIVE,  /* linked to a server */
	CLIENT_CANCEL,  /* it was a CancelRequest, which is being served */
	CLIENT_CLOSED,  /* gone; freed at the end of the turn */
	CLIENT_STATE_COUNT
};

enum client_event {
	CLIENT_GOT_TLS = 0, /* SSLRequest accepted */
	CLIENT_TLS_DONE,
	CLIENT_CHALLENGED,
	CLIENT_NEEDS_KEY,
	CLIENT_NEEDS_SECRET,
	CLIENT_NEEDS_DELAY,
	CLIENT_PROVED, /* authenticated */
	CLIENT_HANDED_OVER,
	CLIENT_ARRIVED,
	CLIENT_GREETED, /* ReadyForQuery sent */
	CLIENT_QUEUED,
	CLIENT_UNQUEUED, /* answered by ourselves, or to be chosen anew */
	CLIENT_LINKED,
	CLIENT_UNLINKED,
	CLIENT_IS_CANCEL,
	CLIENT_GONE,
	CLIENT_EVENT_COUNT
};

/* What the client believes of its transaction. */
enum client_txn {
	TXN_NONE,
	TXN_DEFERRED,     /* BEGIN answered by us, no server holds it */
	TXN_OPEN,         /* the linked server said T */
	TXN_FAILED,       /* the linked server said E */
	TXN_FAILED_ALONE, /* E, and no server holds it: only its end is accepted */
};

/* Why a client is closed; the fixed words for the log are in client.c. */
enum client_end {
	CLIENT_END_TERMINATE, /* it said Terminate */
	CLIENT_END_EOF,       /* it closed its socket */
	CLIENT_END_RESET,
	CLIENT_END_TLS,
	CLIENT_END_PROTOCOL, /* it broke the protocol */
	CLIENT_END_LOGIN,    /* login refused */
	CLIENT_END_TIMEOUT,
	CLIENT_END_LIMIT,
	CLIENT_END_KILLED, /* by the administrator */
	CLIENT_END_SHUTDOWN,
	CLIENT_END_SERVER, /* its server was lost where that cannot be hidden */
	CLIENT_END_MEMORY,
	CLIENT_END_CANCEL,  /* a cancel request, served */
	CLIENT_END_CONSOLE, /* handed to the control thread */
};

#define CANCEL_KEY_MAX 32u /* bytes of a key of ours; PostgreSQL's for protocol 3.2 */

#define CLIENTS_SPARE    16u   /* beyond max_client_conn: for those who log in to the console */
#define CLIENT_LINGER_MS 2000u /* for the last message to a client that does not read */

#define CLIENT_STATEMENTS_MAX 1048576u /* names of prepared statements of one client */

/* transaction_reads = replica: where a block is that may move, see moving.h */
enum client_moves {
	MOVES_NOT,     /* it stays where it begins */
	MOVES_CHOSEN,  /* it is to begin on a replica */
	MOVES_REPLICA, /* it is there */
	MOVES_DONE,    /* it has left it, for the primary alone */
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
	uint32_t op_len;        /* … of the journal before it */
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
	bool keeps_portal;   /* transaction_reads = replica: a portal that may outlive the unit */
	uint8_t cls;         /* enum sql_class, the gravest of its statements */
	uint32_t n_stmts;    /* statements, as far as they are counted */
	uint32_t flags;      /* SQLV_*, or'ed; SQLV_REPLICA and'ed */
	uint32_t pins;       /* bits of enum pin_cause that it will cause */
	uint64_t arrived_us; /* consistency = strong: when it was to be placed first; 0: not yet */
	struct mark arrival; /* … and what had been acknowledged then */
	struct ask ask;      /* hints */
};

#define UNNAMED_KEEP_MAX 1047552u /* bytes of a Parse; a longer one serves its own unit only */
#define UNNAMED_LARGE    65536u   /* room for more than this is not kept for less */

/* The last unnamed statement, kept as long as the client could Bind it again. */
struct unnamed {
	uint64_t word;        /* its verdict, see judge.h */
	uint64_t fingerprint; /* of its text; 0: not known yet */
	struct stmt_seen seen;
	bool has_trace;    /* … and it carries a trace context */
	bool is_closed;    /* by a Close, as far as messages have been sent */
	uint32_t sql_opts; /* with which it was judged */
	uint32_t cap;      /* of body */
	uint32_t len;      /* 0: none */
	uint8_t body[];    /* of the Parse message */
};

struct client {
	struct worker *w; /* whose it is; for callbacks */
	struct list link; /* worker's clients, or dead_clients */
	uint64_t id;
	enum client_state state;
	uint32_t slot;
	struct conn *conn;
	struct dbase *db;      /* NULL before start-up */
	struct account *acc;   /* NULL before proof */
	struct login *login;   /* while logging in */
	struct server *server; /* linked */
	bool cancel_sent;      /* of a CLIENT_CANCEL: its request was */

	bool hint_told;         /* an unknown hint was told of */
	bool wait_told;         /* query_wait_notify: it knows that it waits */
	struct waiter waiter;   /* while CLIENT_WAITING or waiting for a welcome */
	struct pool *line_pool; /* whose line it stands in; NULL: the account's `nowhere` */
	bool wants_pin;         /* it stands in the pool's pin_line: max_pinned is met */
	struct server *wanted;  /* it waits for this very server (currval) */
	bool pin_counted;       /* it has a place in the pool's budget of pins */
	struct pool *pin_pool;  /* … of this pool */

	/* where its unit goes */
	bool needs_primary;     /* the node must be the primary */
	bool by_sample;         /* … or a replica, chosen by what its last sample told */
	bool waits_fresh;       /* … or none yet: the next samples are waited for */
	uint16_t fresh_cluster; /* while it does so: whose samples */
	uint8_t route_reason;   /* enum choose_reason */
	uint8_t route_hint;     /* enum choose_hint, if there is no node */
	int16_t shadow_index; /* routing = shadow: of the node where it would go; -1: as it does */
	uint32_t route_counted; /* where its unit is counted: dbase_count_route */

	/* input */
	struct unit unit;
	uint32_t sent_len;  /* bytes at the front that were sent and are kept for replay */
	uint32_t body_left; /* of a message that streams through */
	bool body_dropped;  /* … into nothing */
	bool streaming;     /* messages go on one by one up to Sync: a Flush, or a large unit */
	bool skip_to_sync;  /* we refused a message of an extended series */
	bool flushed;       /* a Sync of ours, for a Flush, is not answered yet */
	bool force_primary; /* the present unit was refused by a replica */
	bool is_admin_port;
	uint32_t door;        /* the place of its address, see auth/door.h */
	uint8_t replication;  /* enum startup_replication: what it has asked for */
	bool verbatim;        /* session mode: statement names are the server's own */
	bool stream_is_query; /* the stream is one large Query: no Sync will follow it */
	bool probe_due;       /* a statement may have undone a pin: ask, see probe.h */
	bool wants_rest;      /* what stands at the front has to come whole: read on */
	bool checking; /* … a Describe of ours: does the result look as the client knows it? */
	bool stalled;  /* what stands at the front waits for an answer of the server */
	bool asked_to_flush;  /* the stream is far ahead of the server, which was asked to answer */
	bool drop_next;       /* the message at the front was refused: its bytes are dropped */
	bool feeding;         /* its bytes are being looked at: they are consumed at the end */
	bool look_again;      /* … and something became possible meanwhile */
	uint32_t refused_len; /* … bytes of a unit that was refused meanwhile */
	bool prefix_due;      /* newly linked: its settings go ahead of the next message */
	bool rediff; /* … since a RESET: the values they come to are told to the client */
	bool deferred_failed; /* something that was answered before it ran has failed */
	bool begin_sent;      /* the deferred BEGIN is under way */
	bool unnamed_parsed;  /* the series under way has parsed the unnamed statement */
	bool unit_retained;   /* the units under way are kept for replay */
	bool holding;         /* … and nothing of the present one's answer was passed on */
	uint64_t lost_us;     /* the present unit, a read, was lost with its primary then; 0: not */
	uint32_t lost_node;   /* … that was this node */
	bool txn_lost;        /* TXN_FAILED_ALONE, and the client does not know why yet */
	bool block_lost;      /* … of a READ ONLY block on a replica */
	uint16_t avoid_node;  /* a node that has just failed this unit; NODES_MAX: none */

	/* session */
	enum client_txn txn;
	struct deferred *deferred;
	uint8_t moves;           /* enum client_moves */
	bool block_read_only;    /* the open block is READ ONLY and runs on a replica */
	bool block_answered;     /* something of the block was passed on */
	bool parse_differs;      /* … in what the meaning of a text depends on */
	bool block_differs;      /* SET LOCAL and the like: it may parse as nothing else does */
	struct params *params;   /* pgweir.*: ours.h; NULL: it has set none */
	struct settings_txn set; /* what it has set: at login, committed, now */
	struct settings *custom; /* custom parameters that it has seen, see custom.h */
	struct settings *doubt_names; /* what is to be asked, see found_out.h; NULL: nothing */
	bool doubt_all;               /* … of all ordinary parameters */
	bool has_reported; /* the transaction has changed what is followed by ParameterStatus … */
	bool reported_commit; /* … maybe locally, and was committed in the midst of the unit */
	struct savepoints *savepoints; /* of the open transaction, or NULL */
	uint32_t sql_opts;             /* for the lexer: strings and encoding */
	bool default_serializable;     /* default_transaction_isolation is */
	struct stmt_names names;
	struct unnamed *unnamed;        /* the last unnamed Parse, or NULL */
	uint32_t unnamed_serial;        /* counts its Parses */
	struct prepared_note *expected; /* a Describe of the portal bound last is news, or NULL */
	struct effects *bound;          /* of the statement bound last, until it is executed */
	struct pins pins;
	struct listening *listening; /* what it listens to, notify.c's; NULL: nothing */
	struct marks marks;
	struct server *seq_server; /* where its last sequence advance was; may be gone */
	uint64_t seq_server_id;
	bool seq_advanced; /* the units since the last end of a transaction may have */
	uint8_t seq_check; /* enum advanced_check: of the unit at the front */
	bool seq_kept;     /* PIN_SEQUENCE is only until its next unit has ended */

	/* this unit's bookkeeping */
	uint64_t unit_begun_us; /* sent to the server */
	uint64_t txn_begun_us;
	uint64_t wait_begun_us;
	uint64_t queued_us;     /* how long its units have waited, not counted yet: queries.h */
	uint64_t wait_since_us; /* for that cause; 0: it does not wait */
	uint8_t wait_cause;     /* enum wait_cause, of the present or last wait */
	uint8_t pin_cause;      /* enum pin_cause; while pin_counted */
	uint64_t pinned_us;     /* since when; while pin_counted */
	uint64_t last_query;    /* fingerprint of what ended last, see queries.h */
	uint32_t bound_query;   /* handle of what was bound last, see queries.h */
	bool unit_error;        /* an ErrorResponse came in it */
	bool unit_writes;       /* it is no proven read: a mark is set when it ends */
	bool ddl_sent;          /* … and has defined something: the catalog is loaded again */
	bool schema_sent;  /* … or has changed or dropped it: Parse is for the server again */
	bool txn_notifies; /* the transaction has said NOTIFY */
	bool commit_sent;  /* a COMMIT is under way: if the server is lost, who knows */

	uint32_t read_epoch;       /* of the replica when the unit was sent */
	struct baseline learned;   /* while logging in: what its settings came to */
	struct signals *signals;   /* of the unit that is next, or under way; or NULL */
	struct defaults *defaults; /* that its transaction changes; NULL: none */
	struct hold *hold;         /* a replica's answer, held back; made when first needed */

	/* facts */
	uint64_t connected_us, request_us;
	uint32_t number; /* of its BackendKeyData: what it takes for its backend's pid */
	uint8_t key_len; /* of `key` */
	uint8_t key[CANCEL_KEY_MAX]; /* of its BackendKeyData */
	uint64_t state_since_us;
	uint64_t bytes_in_seen, bytes_out_seen; /* already counted for the database */
	struct wheel_timer timer; /* whatever it waits for first, see client_deadline_us */
};

enum status client_new(struct worker *w, struct conn *conn_moved, bool is_admin_port,
	struct client **out) MUST_USE;

/*
 * It comes from outside: the limits on half-open connections hold for it. Once more when a proxy
 * has told its address. It may be closed then.
 */
void client_meet_door(struct worker *w, struct client *c);

/* The account's counters follow. */
void client_transition(struct worker *w, struct client *c, enum client_event ev);

/* Arm the timer for what the client waits for now. Cheap: the wheel is touched only if needed. */
void client_watch(struct worker *w, struct client *c);

/*
 * The one end. Sends nothing but what was put already; leaves server and line; logs; counts.
 * The memory is freed at the end of the turn.
 */
COLD void client_close(struct worker *w, struct client *c, enum client_end why);

/* Free a closed one, at the end of the turn. */
void client_free(struct worker *w, struct client *c);

/* The daemon ends: tell it so (57P01) and close. */
COLD void client_shutdown(struct worker *w, struct client *c);

/* Send FATAL and close. */
COLD void client_fatal(
	struct worker *w, struct client *c, const struct report *r, enum client_end why);

/* Put an ErrorResponse of ours, count and log it. Nothing is flushed. */
COLD void client_put_error(struct worker *w, struct client *c, const struct report *r);
/* The same; trace: the trace context of what failed, "": it has none. */
COLD void client_put_error_of(
	struct worker *w, struct client *c, const struct report *r, const char *trace);
/* What pgweir itself tells a client, counted and logged. */
COLD void client_note_error(
	struct worker *w, struct client *c, const struct report *r, const char *trace);

/* Put ReadyForQuery with what the client believes of its transaction. Nothing is flushed. */
void client_put_ready(struct worker *w, struct client *c);

/* The client's settings have changed: what is derived from them follows. */
void client_settings_changed(struct worker *w, struct client *c);

/* Add what has gone over its socket since the last call to the database's counters. */
void client_count_bytes(struct client *c);

/* Fill SHOW CLIENTS's row. */
struct show_socket_row;
void client_show(struct worker *w, const struct client *c, struct show_socket_row *row);

/* A name for it that outlives it, below 2^63; the client so named if it is still there, or NULL. */
uint64_t client_token(const struct client *c);
struct client *client_of_token(struct worker *w, uint64_t token);

static inline bool client_is_logged_in(const struct client *c)
{
	return c->state == CLIENT_IDLE || c->state == CLIENT_WAITING || c->state == CLIENT_ACTIVE;
}

/* Its present unit has run before, and was refused or lost. */
static inline bool client_runs_again(const struct client *c)
{
	return c->force_primary || c->lost_us != 0;
}

extern const struct conn_ops client_ops;

#endif
