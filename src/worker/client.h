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

#include "proto/report.h"
#include "route/marks.h"
#include "state/settings_txn.h"
#include "state/stmt_names.h"
#include "worker/busy.h"
#include "worker/dbase.h"
#include "worker/worker.h"

struct listening;
struct login;
struct params;
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
	struct conn *conn;
	struct dbase *db;      /* NULL before start-up */
	struct account *acc;   /* NULL before proof */
	struct login *login;   /* while logging in */
	struct server *server; /* linked */
	struct busy *busy;     /* lent while it is not at rest; else `busy_none`, to read from */
	uint32_t slot;
	enum client_state state;
	enum client_txn txn;
	bool cancel_sent; /* of a CLIENT_CANCEL: its request was */
	bool hint_told;   /* an unknown hint was told of */
	bool had_broken;  /* a block of it broke on a replica: the next begins on the primary */
	uint32_t door;    /* the place of its address, see auth/door.h */
	bool is_admin_port;
	uint8_t replication;          /* enum startup_replication: what it has asked for */
	bool verbatim;                /* session mode: statement names are the server's own */
	uint8_t default_serializable; /* enum sql_tri: default_transaction_isolation is; unset: as
					 the account has it */

	/* session */
	uint32_t sql_opts;       /* for the lexer: strings and encoding */
	uint32_t unnamed_serial; /* counts its unnamed Parses */
	struct params *params;   /* pgweir.*: ours.h; NULL: it has set none */
	struct settings_txn set; /* what it has set: at login, committed, now */
	struct settings *custom; /* custom parameters that it has seen, see custom.h */
	struct stmt_names names;
	struct unnamed *unnamed;     /* the last unnamed Parse, or NULL */
	struct listening *listening; /* what it listens to, notify.c's; NULL: nothing */
	struct marks marks;
	uint64_t seq_server_id; /* where its last sequence advance was; may be gone */

	/* facts */
	uint64_t connected_us, request_us;
	uint64_t state_since_us;
	struct wheel_timer timer; /* whatever it waits for first, see client_deadline_us */
	uint32_t number;          /* of its BackendKeyData: what it takes for its backend's pid */
	uint8_t key_len;          /* of `key` */
	uint8_t key[CANCEL_KEY_MAX]; /* of its BackendKeyData */
};

enum status client_new(struct worker *w, struct conn *conn_moved, bool is_admin_port,
	struct client **out) MUST_USE;

/*
 * It comes from outside, from there: the limits on half-open connections hold for it. Once more
 * when a proxy has told its address. It may be closed then.
 */
void client_meet_door(struct worker *w, struct client *c, const struct net_addr *from);

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
	return c->busy->force_primary || c->busy->lost_us != 0;
}

extern const struct conn_ops client_ops;

#endif
