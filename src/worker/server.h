/*
 * server - one connection of ours to PostgreSQL. Its life: connect and login (server_login.c),
 * then idle and active in turn; its end (server_close) is here and nowhere else.
 * Owns:    its conn, its queue of owed replies, references to the settings and statements it has.
 * Thread:  its worker's; may be handed over to another worker while idle.
 */
#ifndef PGWEIR_WORKER_SERVER_H
#define PGWEIR_WORKER_SERVER_H

#include "proto/scram_client.h"
#include "sql/trace.h"
#include "state/owed.h"
#include "state/pins.h"
#include "state/stmt_lru.h"
#include "state/stmt_names.h"
#include "worker/dbase.h"
#include "worker/worker.h"

#define SERVER_NO_SAVEPOINT "pgweir_refused" /* no savepoint has this name: to fail a block */

#define ACTIVITY_LEN_MAX 1023u /* bytes of a unit that are kept for SHOW; activity.h */

struct cancel;
struct client;
struct server_login;

/* One state = one list of the pool and one PgBouncer word (server_state_words). */
enum server_state {
	SERVER_BAD = 0,
	SERVER_CONNECTING, /* new: TCP connect, TLS */
	SERVER_LOGIN,      /* new: start-up packet sent, up to the first ReadyForQuery */
	SERVER_SETUP,      /* new: our first hidden query */
	SERVER_IDLE,       /* idle: may be given to a client; after server_check_delay "used" */
	SERVER_CHECK,      /* tested: server_check_query asks whether it still answers */
	SERVER_ACTIVE,     /* active: linked to a client */
	SERVER_RESET,      /* tested: left by its client, being cleaned */
	SERVER_CANCELED,   /* being_canceled: free, but a cancel for it is under way */
	SERVER_MOVING,     /* active: on its way to another worker */
	SERVER_CLOSED,     /* gone; freed at the end of the turn */
	SERVER_STATE_COUNT
};

enum server_event {
	SERVER_CONNECTED = 0,
	SERVER_LOGGED_IN,
	SERVER_READY, /* set-up or reset done */
	SERVER_LINKED,
	SERVER_DOUBTED,  /* idle for long: it is asked before it is used */
	SERVER_RELEASED, /* clean */
	SERVER_LEFT,     /* released dirty: must be cleaned */
	SERVER_CANCEL_PENDING,
	SERVER_HANDED_OVER,
	SERVER_ARRIVED,
	SERVER_LOST,
	SERVER_EVENT_COUNT
};

enum server_end {
	SERVER_END_IDLE_TIMEOUT,
	SERVER_END_LIFETIME,
	SERVER_END_CONNECT,  /* could not connect */
	SERVER_END_LOGIN,    /* login refused */
	SERVER_END_PLAIN,    /* login without TLS refused: it is tried with TLS */
	SERVER_END_ROLE,     /* not the role or timeline it must have */
	SERVER_END_LOST,     /* closed or reset by the other side */
	SERVER_END_SHUTDOWN, /* 57P01 and friends while idle */
	SERVER_END_PROTOCOL, /* out of step */
	SERVER_END_CLIENT,   /* its client left it in the middle of something */
	SERVER_END_TIMEOUT,
	SERVER_END_CHECK,    /* server_check_query gave an error, or left a transaction */
	SERVER_END_OUTDATED, /* RECONNECT, PAUSE, or the configuration changed */
	SERVER_END_BUDGET,   /* its place is given to another pool */
	SERVER_END_CUSTOM,   /* it knows custom parameters that who waits has never set */
	SERVER_END_PIN,      /* a pin left something that cannot be cleaned */
	SERVER_END_CLEAN,    /* what should have cleaned it failed */
	SERVER_END_MEMORY,
	SERVER_END_STOP,
};

struct server {
	struct worker *w;      /* whose it is; for callbacks */
	struct list link;      /* worker's servers, or dead_servers */
	struct list pool_link; /* the list of its state in the pool */
	uint64_t id;
	enum server_state state;
	struct conn *conn;
	struct pool *pool;
	struct client *client;         /* linked */
	struct client *wanted_by;      /* waits for this very server */
	struct server_login *login;    /* while connecting and logging in */
	uint8_t n_holds;               /* calls that may signal it: signals.h */
	uint64_t ends_client_until_us; /* … one of them to end the session of its client; 0: none */
	struct cancel *cancel;         /* a CancelRequest of ours under way for it */

	struct owed owed;
	uint32_t body_left;   /* of a message that streams through */
	bool body_passed;     /* … to the client, else dropped */
	bool close_needed;    /* outdated: closed at release */
	bool hidden_failed;   /* an error came to the hidden query at the head */
	bool in_message;      /* the last byte that we sent does not end a message */
	bool in_recovery;     /* what it said when it was set up */
	bool plain_isolation; /* … default_transaction_isolation is READ COMMITTED; only if asked */
	bool serializable;    /* … or that */
	uint8_t replication; /* enum startup_replication: a private one, see replication.h */
	bool login_counted;  /* holds a place in the node's budget of logins */
	bool is_told;        /* the process that takes over counts it: worker/takeover.h */
	bool is_reset_done;  /* server_reset_query was sent since its client left */
	bool is_bare;        /* RESET ALL has undone our own set-up: it goes out again */
	bool had_temp;       /* temporary tables, as far as is known: it takes no temp_buffers */
	uint8_t txn_status;  /* of its last ReadyForQuery */
	uint32_t timeline;   /* 0: unknown */

	struct settings *settings; /* what it has now; a reference */
	struct settings *names; /* custom parameters that it may know, see custom.h; a reference */
	struct settings *made;  /* those of them that it does know; a reference */
	struct stmt_lru stmts;
	struct stmt_names real; /* statements there under their clients' own names, see sqlstmt.h */
	bool has_odd;      /* statements that were parsed as only its client's transaction could */
	uint8_t *kept;     /* the unit under way from its first statement on, see prepared.h */
	uint32_t kept_len; /* 0: nothing is kept */
	uint32_t kept_cap;
	uint64_t seq_client; /* id of a client, see sequences.h */
	bool seq_mixed;
	bool seq_set; /* setval() was called since they were discarded */

	uint64_t barrier; /* ReadyForQuery waits for it, see notify.h; 0: none */
	struct list barrier_link;
	uint32_t notifier; /* BackendKeyData of who may have committed here last; 0: nobody */
	uint32_t backend_pid;
	uint32_t backend_key_len;
	uint8_t backend_key[32];
	uint32_t version_num; /* 150004; 0: not told */

	uint64_t login_hash; /* the account's when it was opened */
	/* the statement at the head, see queries.h */
	uint64_t stmt_begun_us;
	uint64_t query_rows;    /* of a Query so far */
	char query_error[6];    /* its SQLSTATE; "": none */
	char trace[TRACE_SIZE]; /* trace context of the unit sent last, or "" */

	uint64_t opened_us, used_us, state_since_us, unit_begun_us;
	uint64_t checked_us; /* when it last answered server_check_query, or its login */
	uint64_t kept_us;    /* when it was kept for min_pool_size, though idle for too long */
	uint64_t ready_us;   /* it had answered all of its login; 0: not yet */
	/* as the monitor knew the node then (0: not yet); another value: it is another one now */
	uint64_t node_system_id;
	int64_t node_start_us;
	uint64_t units;               /* number of the unit sent last, to know it again */
	uint64_t canceled_unit;       /* … when its client's were to be canceled; 0: not yet */
	uint64_t reconnect_no;        /* sh->reconnect_no when it was opened */
	socklen_t addr_len;           /* 0: not connected yet */
	struct sockaddr_storage addr; /* where it is connected to */
	char fatal_sqlstate[6];       /* server_keep_error */
	char fatal_message[128];
	uint32_t move_to;  /* SERVER_MOVING: the worker it goes to */
	uint32_t dirt;     /* CLEAN bits: what its client has left */
	uint32_t cleaning; /* … of what is under way, see server_clean.h */
	struct wheel_timer timer;
	uint32_t unit_head_len;
	uint8_t unit_head[ACTIVITY_LEN_MAX + 1]; /* of the last unit sent; a NUL follows */
};

/* One of the pool that is nowhere yet; NULL: no memory. */
struct server *server_new(struct worker *w, struct pool *p);

/* It has come from another worker or process, idle: into the pool, and to who waits for it. */
void server_arrived(struct worker *w, struct server *s);

/*
 * Begin a new connection for the pool; its places in the budgets have been taken and are the
 * server's now. only_for: the client that it is opened for, alone; NULL: whoever waits.
 * Errors: E_NOMEM, E_IO; the places are given back.
 */
enum status server_open(struct worker *w, struct pool *p, struct client *only_for) MUST_USE;

void server_transition(struct worker *w, struct server *s, enum server_event ev);
void server_watch(struct worker *w, struct server *s); /* arm the timer for its state */

/* The one end. Unlinks its client first: loss_of_server tells what that one gets. */
COLD void server_close(struct worker *w, struct server *s, enum server_end why);

/*
 * server_fast_close: a client that holds an outdated server between transactions is disconnected,
 * and the server is closed with it. True if that was so.
 */
bool server_fast_close(struct worker *w, struct server *s);

/* Its client has no more claim to it: clean it if needed, then give it to the next or idle it. */
void server_release(struct worker *w, struct server *s);

void server_free(struct worker *w, struct server *s); /* a closed one, at the end of the turn */

/* A unit of its client ended or the queue is empty: is everything said that was owed? */
bool server_is_quiet(const struct server *s);

/* What was meant for its client may still hit it: it is for nobody else yet. */
static inline bool server_is_held(const struct server *s)
{
	return s->cancel != NULL || s->n_holds != 0;
}

/* Was its client's unit that is being answered to be canceled, by a wish that came to us? */
static inline bool server_is_canceled(const struct server *s)
{
	return s->canceled_unit != 0 && s->canceled_unit > s->units - s->owed.n_client;
}

/* To be closed when it is free: what it was opened for, or to, is not what is wanted now. */
bool server_is_outdated(struct worker *w, const struct server *s);

/*
 * `name` is set by a client. PostgreSQL refuses temp_buffers where there was a temporary table:
 * once somebody sets it, no server that had one is given to another client.
 */
void server_note_setting(struct worker *w, const char *name);
/* The same, of all that a client has set. */
void server_note_settings(struct worker *w, const struct settings *set);

/* What a session of its account begins with, for the account: see dbase.h. */
void server_tell_isolation(const struct server *s);

/* It has `set` now; takes a reference. */
void server_init_timer(struct server *s);
const char *server_state_word(enum server_state st); /* PgBouncer's */

/* Does its node's name still lead to where it is connected? If not it is closed when it is free. */
void server_check_address(struct worker *w, struct server *s);

/*
 * server_check_query: an idle server that needs the check is not given to a client. server_check
 * sends it; when it is answered the server is idle again, and given to who waits for it.
 */
bool server_needs_check(struct worker *w, const struct server *s);
void server_check(struct worker *w, struct server *s);
void server_was_checked(struct worker *w, struct server *s, bool failed);

/* Its login has ended, well or not: give its place in the node's budget of logins back. */
void server_login_uncount(struct worker *w, struct server *s);

void server_set_settings(struct worker *w, struct server *s, struct settings *set);

/* Keep an error that is told later, when its server has closed or what hangs on it comes; cut. */
void server_keep_error(struct server *s, const char *sqlstate, const char *message);

struct show_socket_row;
void server_show(struct worker *w, const struct server *s, struct show_socket_row *row);

extern const struct conn_ops server_ops;

/* --- server_login.c --- */
void server_login_begin(struct worker *w, struct server *s);
size_t server_login_on_data(struct worker *w, struct server *s, const uint8_t *data, size_t len);
void server_login_on_ready(struct worker *w, struct server *s); /* connected, or TLS done */
void server_login_on_end(struct worker *w, struct server *s, enum conn_end why);
void server_login_timed_out(struct worker *w, struct server *s);
void server_login_derived(
	struct worker *w, uint64_t token, const struct scram_keys *keys, enum status st);
void server_login_free(struct server_login *l);

#endif
