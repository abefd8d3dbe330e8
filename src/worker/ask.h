/*
 * ask - the messages between workers and the control thread. This floor declares what it needs from
 * above (ASK_*, posted to shared->control) and what it understands (TELL_*, posted to a worker's
 * mailbox). Every message is allocated by the sender, moved by mailbox_post and freed by the reader
 * (with free(), after taking out what it owns), unless a reply of the same memory is described.
 */
#ifndef PGWEIR_WORKER_ASK_H
#define PGWEIR_WORKER_ASK_H

#include "auth/users.h"
#include "base/hist.h"
#include "base/mailbox.h"
#include "conf/method_options.h"
#include "net/addr.h"
#include "proto/scram.h"
#include "proto/startup.h"
#include "state/errors.h"
#include "state/misuse.h"
#include "state/query_stats.h"
#include "worker/moved.h"
#include "worker/replayed.h"
#include "worker/shared.h"

struct conn;
struct client;
struct server;
struct share_pool;

enum ask_kind {         /* worker -> control */
	ASK_DERIVE = 1, /* struct ask_derive: run PBKDF2 on a helper, answer with TELL_DERIVED */
	ASK_PEER,       /* struct ask_peer: a system user's name, answered with TELL_PEER */
	ASK_SECRET,     /* struct ask_secret: auth_query, answered with TELL_SECRET */
	ASK_VERIFY,  /* struct ask_verify: does PAM or LDAP know it? answered with TELL_VERIFIED */
	ASK_UNASKED, /* struct ask_unasked: … nobody waits for that answer any more */
	ASK_CONSOLE, /* struct ask_console: take over this logged-in console client */
	ASK_CATALOG, /* struct ask_catalog: a database is used whose catalog is not loaded, or DDL
			passed */
	ASK_PROBE,   /* struct ask_probe: a node failed us; look at it now */
	ASK_ROWS,    /* struct ask_rows: answer to TELL_SHOW */
	ASK_DONE,    /* struct ask_done: answer to TELL_COMMAND */
	ASK_EXPLAINED, /* struct ask_explained: answer to TELL_EXPLAIN */
	ASK_LISTEN,  /* struct ask_listen: a worker's first client of a channel, or its last left */
	ASK_BARRIER, /* struct ask_barrier: tell when all notifications until now have come */
	ASK_UNMARKED, /* struct ask_unmarked: answer to LISTENING_UNMARKED */
	ASK_LEAVES,   /* struct ask_leaves: a connection for the process that takes over */
	ASK_PLACE,    /* struct ask_place: in a take-over, about a server connection */
	ASK_COUNTED,  /* struct mail: … this worker has told of all that it had */
	ASK_CANCEL,   /* struct ask_cancel: … a cancel request for a client of another process */
	ASK_STOPPED,  /* struct mail: this worker has ended its loop */
};

enum tell_kind {           /* control or worker -> worker */
	TELL_SOCKET = 100, /* struct tell_socket: an accepted socket */
	TELL_CLIENT,       /* worker internal: a client handed over */
	TELL_SERVER,       /* worker internal: a server connection handed over */
	TELL_BORROW,       /* worker internal: another worker asks for an idle server */
	TELL_WAITER,       /* worker internal: look at the line of a pool again */
	TELL_CANCEL,       /* struct tell_cancel */
	TELL_DEFAULTS,     /* struct tell_defaults */
	TELL_SIGNAL,       /* struct tell_signal */
	TELL_DERIVED,      /* the struct ask_derive, answered */
	TELL_PEER,         /* the struct ask_peer, answered */
	TELL_SECRET,       /* the struct ask_secret, answered */
	TELL_VERIFIED,     /* struct tell_verified */
	TELL_SHOW,         /* struct tell_show */
	TELL_COMMAND,      /* struct tell_command */
	TELL_EXPLAIN,      /* struct tell_explain */
	TELL_LISTENING,    /* struct tell_listening: how the listening connection does */
	TELL_NOTIFIED,     /* struct tell_notified: a notification */
	TELL_BARRIER,      /* struct ask_barrier, answered */
	TELL_LEAVE,        /* struct tell_leave: another process takes over: clients go to it */
	TELL_ARRIVE,       /* struct ask_leaves: a connection of the process that was taken over */
	TELL_PLACE,        /* the struct ask_place, granted */
	TELL_COUNTED, /* struct mail: what the process that was taken over has is counted, or the
			 one that took over is dead: serve */
	TELL_SETTLED, /* struct mail: no more clients come from the process that was taken over */
	TELL_REFRESH, /* struct mail: a snapshot changed, load them now (else at the next turn) */
	TELL_STOP,    /* struct mail: close everything and end the loop */
};

/* The SCRAM keys of a password (RFC 5802 Hi()): slow on purpose, never on a loop's thread. */
struct ask_derive {
	struct mail mail;
	uint32_t worker; /* who asks, and is answered with this same memory as TELL_DERIVED */
	uint64_t token;  /* the asker's */
	uint32_t iterations;
	uint32_t salt_len;
	uint8_t salt[128];
	char password[1024];    /* comes back with the answer; wiped by the asker */
	struct scram_keys keys; /* answer */
	enum status status;     /* answer: OK, E_LIMIT (queue full), E_NOMEM */
};

/* The name of a system user: its service may be slow. */
struct ask_peer {
	struct mail mail;
	uint32_t worker; /* who asks, and is answered with this same memory as TELL_PEER */
	uid_t uid;
	uint64_t token;      /* client_token */
	char name[NAME_LEN]; /* answer */
	enum status status;  /* answer: OK, E_NOTFOUND, E_LIMIT (queue full), E_NOMEM */
};

enum secret_want {
	SECRET_WANT_ANY,
	SECRET_WANT_NEWER, /* … than `serial`, with which a proof has failed, if that is not new */
	SECRET_WANT_NONE,  /* no answer: it is to be asked for again when it is needed next */
};

/* The secret of a user that auth_file does not list. */
struct ask_secret {
	struct mail mail;
	uint32_t worker; /* who asks, and is answered with this same memory as TELL_SECRET */
	uint64_t token;  /* the client's, see keys.h */
	enum secret_want want;
	bool is_console;
	char database[NAME_LEN]; /* that it asks for; not for the console */
	char user[NAME_LEN];
	uint64_t serial; /* answer: names it */
	/* answer: OK; E_NOTFOUND there is no such user; E_IO: see sqlstate and error */
	enum status status;
	struct auth_usual usual;
	char sqlstate[6]; /* "" if there is none */
	char error[256];
	char secret[AUTH_SECRET_MAX + 1]; /* wiped by the asker */
};

enum verify_result {
	VERIFY_ACCEPTED,
	VERIFY_DENIED, /* it was said: a wrong password, no such user, an account that is locked */
	VERIFY_FAILED, /* it could not be asked */
	VERIFY_TIMED_OUT, /* … or has not answered within auth_helper_timeout */
	VERIFY_FULL,      /* auth_helper_queue logins wait already */
	VERIFY_GONE,      /* its client has left while it waited: there is no answer */
	VERIFY_RESULT_COUNT
};

struct tell_verified {
	struct mail mail;
	uint64_t token; /* client_token */
	enum verify_result result;
	char why[256]; /* unless accepted: for the log, never for the client */
};

/* Is it the password of the user, as PAM or an LDAP server sees it? */
struct ask_verify {
	struct mail mail;
	uint32_t worker;              /* who asks, and is answered */
	struct tell_verified *answer; /* moved along, so that there is memory for it */
	enum auth_type method;        /* AUTH_TYPE_PAM or AUTH_TYPE_LDAP */
	char user[NAME_LEN];
	char host[64];          /* its address; "" over a unix socket */
	char service[NAME_LEN]; /* of PAM, unless `options` have one */
	char options[METHOD_OPTIONS_MAX + 1];
	char password[AUTH_SECRET_MAX + 1]; /* not empty */
};

/* The client of an ASK_VERIFY has left. */
struct ask_unasked {
	struct mail mail;
	uint32_t worker;
	uint64_t token; /* client_token */
};

/* The conn is detached (TLS included); the start-up is done, AuthenticationOk etc. not yet sent. */
struct ask_console {
	struct mail mail;
	struct conn *conn; /* moved */
	uint64_t id;
	bool is_admin; /* else a stats user: SHOW only */
	char user[NAME_LEN];
	char database[NAME_LEN];
	char application_name[64];
	uint64_t connect_wall_us;
};

struct ask_catalog {
	struct mail mail;
	char database[NAME_LEN]; /* the [databases] entry's name */
	char dbname[NAME_LEN];   /* on the server */
	uint32_t owner;          /* see struct catalogs */
	bool changed;            /* DDL has passed: load again */
};

struct ask_probe {
	struct mail mail;
	uint32_t node;
};

#define CHANNEL_LEN 64u /* bytes of a channel's name, with the NUL: PostgreSQL's NAMEDATALEN */

struct ask_listen {
	struct mail mail;
	char database[NAME_LEN]; /* the [databases] entry's name */
	char channel[CHANNEL_LEN];
	uint32_t worker;
	bool wanted; /* else the worker's last client has left it */
};

/*
 * As TELL_BARRIER: all notifications of transactions that had ended when this barrier, or a smaller
 * one of the database, was asked for came before. At once if nothing listens.
 */
struct ask_barrier {
	struct mail mail;
	char database[NAME_LEN];
	uint32_t worker;
	uint64_t number; /* rises with each of a worker */
};

enum listening_what {
	LISTENING_ON,      /* `channel` is listened to */
	LISTENING_DOWN,    /* the connection is lost: no channel of the database is */
	LISTENING_REFUSED, /* the server refuses the login: who waits for it waits in vain */
	LISTENING_LOST,    /* all are again: what was notified meanwhile is not known */
	/* in a take-over (ADR 0037); `round` names the marker */
	LISTENING_KEEP,     /* new process: from here on what the database hears is kept */
	LISTENING_MARKED,   /* old process: the new one keeps what `channel` hears: clients go */
	LISTENING_UNMARKED, /* … no more; new process: nobody comes: answered by ASK_UNMARKED */
};

struct tell_listening {
	struct mail mail;
	enum listening_what what;
	char database[NAME_LEN];
	char channel[CHANNEL_LEN];
	uint64_t round;
};

/* No listening client of the database goes to another process since `round` was called off. */
struct ask_unmarked {
	struct mail mail;
	char database[NAME_LEN];
	uint32_t worker;
	uint64_t round;
};

struct tell_notified {
	struct mail mail;
	uint64_t number; /* of the channel's, the same in both processes of a take-over; 0: none */
	char database[NAME_LEN];
	char channel[CHANNEL_LEN];
	uint32_t pid;  /* the notifier's, as its client knows it */
	bool is_ascii; /* the same in all encodings */
	uint32_t len;
	uint8_t message[]; /* NotificationResponse, whole */
};

/* worker/takeover.h. A connection as its image, and its socket; the same as TELL_ARRIVE. */
struct ask_leaves {
	struct mail mail;
	bool is_server;           /* else a client */
	struct share_pool *share; /* a server's, of this process; its place comes along */
	uint32_t worker;          /* … where it was */
	int fd;                   /* moved */
	uint32_t len;
	uint8_t image[]; /* has secrets: wiped before it is freed */
};

struct tell_leave {
	struct mail mail;
	bool clients_go; /* else they stay until they leave by themselves */
	bool is_over;    /* the new process is gone: all stays here, and all places are ours */
};

#define NODE_NAME_LEN 320u

enum place_what {
	PLACE_HAD,    /* the worker has a server connection of the pool; it opens no more now */
	PLACE_CAME,   /* one that nobody had told of has come from another worker */
	PLACE_WANTED, /* it asks for one */
	PLACE_GONE,   /* one that was told of, or granted, is no more */
};

struct ask_place {
	struct mail mail;
	enum place_what what;
	uint32_t worker;
	char database[NAME_LEN]; /* the [databases] entry's name */
	char user[NAME_LEN];
	char node[NODE_NAME_LEN];
};

struct ask_cancel {
	struct mail mail;
	uint32_t key_len;
	uint8_t key[STARTUP_KEY_MAX];
};

struct tell_socket {
	struct mail mail;
	int fd; /* moved */
	bool is_admin_port;
	struct net_addr from;
};

/* The client that is a CancelRequest; worker WORKERS_MAX: there is none. */
struct cancel_from {
	uint32_t worker;
	uint32_t slot;
	uint64_t id;
};

enum cancel_step {
	CANCEL_ASKED,  /* to the victim's worker, or to the one that serves the peer */
	CANCEL_SENT,   /* back: the server's node, or the peer, has been sent it */
	CANCEL_SERVED, /* back: it is over, well or not */
};

/* Cancel the query that (pid, secret key) names. */
struct tell_cancel {
	struct mail mail;
	enum cancel_step step;
	struct cancel_from from;
	uint32_t peer; /* 0: for a client of the worker that is told */
	uint32_t pid;
	uint32_t first_slot, slot_step; /* where that client may be */
	uint32_t n_searched; /* workers that have looked in all their slots; see cancel.h */
	uint32_t key_len;
	uint8_t key[STARTUP_KEY_MAX];
};

/* What a session of the role, or of the database, begins with has changed: see defaults.h. */
struct tell_defaults {
	struct mail mail;
	bool of_database;
	char name[NAME_LEN]; /* on the server; "": all */
};

enum signal_step {
	SIGNAL_ASKED,    /* to the victim's worker */
	SIGNAL_ANSWERED, /* back, the same memory */
	SIGNAL_OVER,     /* to the victim's worker: the server is free again */
};

/* pg_cancel_backend() or pg_terminate_backend() of a client's number: see signals.h. */
struct tell_signal {
	struct mail mail;
	enum signal_step step;
	struct cancel_from from;
	uint32_t number;
	uint32_t first_slot, slot_step; /* where that client may be */
	uint32_t index;                 /* the asker's */
	bool terminates;
	bool is_superuser;   /* the caller, as far as it is known */
	char user[NAME_LEN]; /* … ; "": it has taken another role */
	/* answer */
	uint32_t worker, node, pid; /* pid 0: it has no server */
	uint64_t server;            /* is held until SIGNAL_OVER; 0: none */
	bool in_recovery;
};

/* --- SHOW: each worker answers for its own objects, in bounded pieces --- */
enum show_what {
	SHOW_ROWS_CLIENTS,
	SHOW_ROWS_SERVERS,
	SHOW_ROWS_POOLS,
	SHOW_ROWS_STATS,
	SHOW_ROWS_PINS,
	SHOW_ROWS_ROUTES,
	SHOW_ROWS_ERRORS,
	SHOW_ROWS_PEERS,
	SHOW_ROWS_LEARNED,
	SHOW_ROWS_QUERIES,
	SHOW_ROWS_WAITS,
	SHOW_ROWS_MISUSE,
	SHOW_ROWS_WORKER,
};

#define SHOW_ROWS_MAX 64u /* rows in one answer */

struct tell_show {
	struct mail mail;
	enum show_what what;
	uint64_t cursor; /* 0 to begin, else ask_rows.next */
	uint64_t token;  /* the asker's */
};

enum show_client_state { /* fixed PgBouncer words, in this order */
	SHOW_CL_ACTIVE,
	SHOW_CL_IDLE,
	SHOW_CL_WAITING,
	SHOW_CL_LOGIN,
	SHOW_CL_ACTIVE_CANCEL_REQ,
	SHOW_CL_WAITING_CANCEL_REQ,
};

enum show_server_state {
	SHOW_SV_ACTIVE,
	SHOW_SV_IDLE,
	SHOW_SV_USED,
	SHOW_SV_TESTED,
	SHOW_SV_NEW,
	SHOW_SV_ACTIVE_CANCEL,
	SHOW_SV_BEING_CANCELED,
};

struct show_socket_row { /* CLIENTS and SERVERS */
	uint64_t id;
	char type; /* 'C' or 'S' */
	uint8_t state;
	bool close_needed;
	uint8_t replication; /* enum startup_replication */
	uint16_t port, local_port;
	char user[NAME_LEN];
	char database[NAME_LEN];
	char addr[64];
	char local_addr[64];
	uint64_t connect_wall_us;
	uint64_t request_wall_us; /* last request; 0: none yet */
	uint64_t wait_us;         /* how long the present wait lasts, clients only */
	uint64_t ptr;             /* this object's id as PgBouncer's "ptr" */
	uint64_t link;            /* the linked client's or server's, 0: none */
	uint32_t remote_pid;
	uint32_t prepared_statements;
	char tls[96]; /* "" without TLS */
	char application_name[64];
	int32_t node; /* servers: node id; clients: of the linked server, or -1 */
	uint32_t worker;
	uint64_t pins;       /* bits of enum pin_cause */
	uint64_t statement;  /* fingerprint of what runs, or ran last in its transaction; 0: none */
	uint64_t bytes_kept; /* our memory for this connection */
	int32_t fd;
};

struct show_pool_row { /* one per (database, user), node -1: the clients; one per node: the servers
			*/
	char database[NAME_LEN]; /* as the client names it */
	char user[NAME_LEN];
	int32_t node;
	uint8_t pool_mode; /* enum of conf */
	uint32_t cl_active, cl_waiting, cl_active_cancel_req, cl_waiting_cancel_req;
	uint32_t cl_login, cl_idle; /* cl_idle is part of cl_active in PgBouncer's table */
	uint32_t sv_active, sv_active_cancel, sv_being_canceled, sv_idle, sv_used, sv_tested,
		sv_login;
	uint32_t pinned;
	uint64_t maxwait_us;
	uint64_t outstanding;  /* units under way */
	uint64_t latency_us;   /* recent, exponentially weighted */
	uint64_t busy_us;      /* that clients have held servers */
	uint64_t given;        /* times that a server was given to one */
	uint64_t ejected_us;   /* until when, monotonic; 0: it is not */
	uint64_t ejections[2]; /* ever, of all workers: for errors, for latency */
	struct hist_sum wait;  /* time in line */
	struct hist_sum query; /* unit sent to ReadyForQuery */
};

struct show_stats_row { /* per database, since the start; times in µs */
	char database[NAME_LEN];
	uint64_t server_assignment_count, xact_count, query_count, received, sent;
	uint64_t xact_time, query_time, wait_time;
	uint64_t client_parse_count, server_parse_count, bind_count, client_login_count;
	uint64_t replays[REPLAYED_CAUSES], timeouts, errors_sent;      /* ours */
	uint64_t moving_began, moving_ended, moved[MOVED_CAUSE_COUNT]; /* see moving.h */
};

struct show_pin_row {
	uint64_t client, server;
	char database[NAME_LEN];
	char user[NAME_LEN];
	uint8_t cause; /* enum pin_cause */
	int32_t node;
	uint64_t since_wall_us;
	char statement[64]; /* the first bytes of it */
};

struct show_route_row { /* units by verdict, node and reason */
	char database[NAME_LEN];
	uint8_t verdict;                        /* enum of sql/classify */
	uint8_t reason;                         /* enum of route/choose */
	bool shadow;                            /* routing = shadow: where it would have gone */
	int32_t node;                           /* -1: no server was needed, or none fit */
	uint64_t n, us;                         /* units, and what servers spent on them */
	uint64_t broken_answers, broken_blocks; /* of them: see enum route_broken */
};

struct show_learned_row { /* see worker/learned.h */
	char database[NAME_LEN];
	uint64_t fingerprint, hits, since_wall_us;
	char statement[64]; /* the first bytes of it */
};

enum wait_cause {
	WAIT_SERVER,       /* all servers of the pool are in use */
	WAIT_SERVER_LOGIN, /* one is being opened for it */
	WAIT_NODE,         /* no node is fit */
	WAIT_FRESH,        /* consistency = strong: for the next sample */
	WAIT_MAX_PINNED,
	WAIT_PAUSE,
	WAIT_SAME_SERVER, /* where its last sequence advance was */
	WAIT_CAUSE_COUNT
};

struct show_wait_row { /* see worker/waits.h */
	char database[NAME_LEN];
	uint8_t cause; /* enum wait_cause */
	uint32_t now;  /* clients that wait now, the first of them for oldest_us */
	uint64_t oldest_us, max_us;
	struct hist_sum hist;
};

struct show_misuse_row { /* see state/misuse.h */
	char database[NAME_LEN];
	char user[NAME_LEN];
	char application_name[MISUSE_APP_MAX];
	uint8_t kind, detail; /* enum misuse_kind, enum pin_cause */
	uint64_t fingerprint, n, now, us, longest_us;
	uint64_t client, seen_wall_us; /* of the last one, or the one that does it now */
	char addr[MISUSE_APP_MAX];
	char text[QUERY_TEXT_MAX];
};

struct show_query_row { /* see state/query_stats.h; fingerprint 0: what had to be given up */
	char database[NAME_LEN];
	char user[NAME_LEN];
	uint64_t fingerprint;
	bool replica;
	struct query_sums sums;
	uint64_t max_us;
	uint32_t hist[HIST_BUCKETS];
	struct query_repeats repeats; /* at_us: of the wall clock */
	char text[QUERY_TEXT_MAX];
};

struct show_error_row { /* see state/errors.h */
	char database[NAME_LEN];
	char sqlstate[6];
	uint8_t source; /* enum error_source */
	uint64_t n, seen_wall_us;
};

struct show_worker_row {
	uint32_t clients, servers, login_clients;
	uint64_t turns, units, handovers_in, handovers_out, found_out, custom_closed;
	uint64_t bytes_kept; /* receive and send buffers in use */
	uint64_t buffers_free;
	uint64_t settings, statements, statement_bytes;
	uint64_t cpu_us;       /* of the thread */
	const char *io_engine; /* static */
};

struct show_peer_row { /* cancel requests for a peer; none: no row */
	uint32_t id;
	uint32_t cl_active_cancel_req, cl_waiting_cancel_req, sv_login;
};

struct ask_rows {
	struct mail mail;
	uint32_t worker;
	enum show_what what;
	uint64_t token;
	uint64_t next; /* cursor to go on with; 0: this was the last piece */
	size_t n;      /* rows in this piece, at most SHOW_ROWS_MAX */
	union {
		struct show_socket_row socket;
		struct show_pool_row pool;
		struct show_stats_row stats;
		struct show_pin_row pin;
		struct show_route_row route;
		struct show_error_row error;
		struct show_worker_row worker;
		struct show_peer_row peer;
		struct show_learned_row learned;
		struct show_query_row query;
		struct show_wait_row wait;
		struct show_misuse_row misuse;
	} row[];
};

/* --- commands --- */
enum command_what {
	COMMAND_KILL_DB,      /* drop clients and servers of `database` ("": all) at once */
	COMMAND_KILL_CLIENT,  /* drop the client with `id`, if it lives here */
	COMMAND_CLOSE_IDLE,   /* PAUSE, RECONNECT: close idle servers of `database` that must go */
	COMMAND_COUNT,        /* only answer the counts */
	COMMAND_CLOSE_UNSENT, /* SUSPEND has waited long enough: close what is not sent yet */
	COMMAND_RESET,        /* forget what statements have cost */
	COMMAND_RESET_ERRORS, /* … and what errors there were */
};

struct tell_command {
	struct mail mail;
	enum command_what what;
	uint64_t token;
	uint64_t id;
	char database[NAME_LEN]; /* "": all */
};

struct ask_done {
	struct mail mail;
	uint32_t worker;
	uint64_t token;
	uint32_t n_hit;            /* clients dropped */
	uint32_t servers_in_use;   /* of `database`: held by a client or logging in */
	uint32_t servers_outdated; /* of `database`: to be closed at release, still there */
	uint32_t clients;          /* of `database` */
	uint32_t unsent;           /* connections with output that waits; counted under SUSPEND */
};

/* --- EXPLAIN ROUTE on the console --- */

/* Where would `sql` go for a client that has just logged in? */
struct tell_explain {
	struct mail mail;
	uint64_t token;
	char database[NAME_LEN]; /* the [databases] entry's name */
	char user[NAME_LEN];     /* if the entry has none */
	char sql[];
};

struct ask_explained {
	struct mail mail;
	uint64_t token;
	enum status
		status; /* OK, E_NOTFOUND no such database, E_LIMIT too many accounts, E_NOMEM */
	uint32_t n_lines;
	char lines[]; /* each ends in a NUL */
};

#endif
