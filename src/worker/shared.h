/*
 * shared - everything that the threads of the process share, in one place: immutable snapshots
 * behind atomic pointers, mailboxes, and atomics. Built by main before the threads start, freed
 * after they ended. There is nothing else that two threads touch.
 * Snapshots: written by the control thread alone (exchange, then snap_retire); a worker loads them
 *            at the start of its turn and holds no pointer into them across turns.
 */
#ifndef PGWEIR_WORKER_SHARED_H
#define PGWEIR_WORKER_SHARED_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mailbox.h"
#include "base/map.h"
#include "base/snap.h"
#include "base/status.h"
#include "route/marks.h"
#include "state/backends.h"
#include "state/pins.h"

#define WORKERS_MAX  64u
#define NODES_MAX    256u /* over all databases; ids 0..NODES_MAX-1 */
#define CLUSTERS_MAX 256u
#define PEERS_MAX    128u
#define ADDRS_MAX    8u   /* addresses of one name that are tried in turn */
#define NAME_LEN     128u /* database and user names, with the NUL; longer ones are refused */

struct conf;
struct access;
struct auth_users;
struct door;
struct topology;
struct catalog;
struct share;
struct tls_ctx;
struct loop;
struct worker;

/*
 * Addresses of the nodes, by node id, and of the peers, in the order of conf->peers; kept current
 * by the control thread's resolver. After a reload they follow the configuration a little later.
 */
struct node_addrs {
	uint32_t generation;
	struct node_addr {
		uint32_t n; /* 0: not (yet) resolved, `error` says why */
		struct sockaddr_storage addr[ADDRS_MAX];
		socklen_t addr_len[ADDRS_MAX];
		char error[80];
	} node[NODES_MAX], peer[PEERS_MAX];
};

/*
 * Whose catalog it is: a cluster's id or, of databases without routing, CATALOG_OF_NODE + the id of
 * their first host.
 */
#define CATALOG_OF_NODE CONF_NODES_MAX

/* The SQL catalogs loaded so far, one per (owner, database on the server). */
struct catalogs {
	uint32_t generation;
	uint32_t n;
	struct catalog_entry {
		uint32_t owner; /* see above */
		char dbname[NAME_LEN];
		uint64_t generation; /* changes with every load of this one */
		uint64_t loaded_us;  /* monotonic */
		const struct catalog *catalog;
	} entry[];
};

/* TLS contexts that belong to one configuration; reference counted by net/tls, NULL: TLS off. */
struct tls_set {
	struct tls_ctx *client;  /* for connections from clients (we are the TLS server) */
	struct tls_ctx *server;  /* for connections to PostgreSQL (we are the TLS client) */
	struct tls_ctx *stats;   /* for the stats port's */
	struct tls_ctx *patroni; /* for those to Patroni's REST API (we are the TLS client) */
};

/* What the administrator did by console or signal; a database not listed has no flag. */
struct admin_state {
	uint32_t generation;
	bool shutdown_wait_clients; /* no new clients; end when the last has left */
	bool shutdown_wait_servers; /* no new clients, no new checkouts */
	bool paused_all;
	bool suspended;
	uint64_t reconnect_all; /* servers opened before this counter value are closed at release */
	uint32_t n;
	struct admin_db {
		char name[NAME_LEN]; /* of the [databases] entry, as the client names it */
		bool paused;
		bool disabled;
		uint64_t reconnect;
	} db[];
};

/* Written by the control thread when it sends samples, by workers when they leave a mark. */
struct cluster_shared {
	_Alignas(64) _Atomic uint64_t sample_no; /* incremented before each sample query is sent */
	_Alignas(64) _Atomic uint32_t
		marks_open; /* set by workers, cleared when a sample is begun */
};

/* Of the notifications that come by the shared listening connections. */
struct notify_counts {
	_Atomic uint64_t channels;   /* listened to now, over all databases */
	_Atomic uint64_t subscribed; /* pairs of a client and a channel now */
	_Atomic uint64_t received;   /* by the listening connections */
	_Atomic uint64_t delivered;  /* to clients */
	_Atomic uint64_t overflows;  /* clients ended by notify_queue */
	_Atomic uint64_t losses;     /* of a listening connection that listened */
};

/* What became of logins, since the start. */
enum login_count {
	LOGINS_PROVED,            /* the client is who it says */
	LOGINS_REFUSED,           /* wrong password, or no such user */
	LOGINS_RATE_LIMITED,      /* by login_rate_limit */
	LOGINS_TOO_MANY_OPEN,     /* by max_half_open and max_half_open_per_address */
	LOGINS_AUTH_QUERY_SENT,   /* auth_query was asked */
	LOGINS_AUTH_QUERY_CACHED, /* … an answer that was there served */
	LOGINS_AUTH_QUERY_FAILED, /* … it could not be asked: the login was refused */
	LOGINS_COUNT
};

struct worker_port {
	struct mailbox mailbox; /* struct mail of worker/ask.h, TELL_* */
	struct worker *worker;  /* for its own thread only */
	/* when its loop last turned, monotonic, written every WORKER_JANITOR_US at least */
	_Atomic uint64_t beat_us;
};

struct shared {
	struct log *log;
	struct hash_key hash_key; /* random, for tables keyed by peers' bytes */
	uint8_t mock_secret[32];  /* random, for salts of users that do not exist */
	uint64_t start_wall_us;   /* wall clock minus monotonic clock is fixed at start */
	uint64_t start_mono_us;

	struct snap_domain snap;
	_Atomic(const struct conf *) conf;
	_Atomic(const struct auth_users *) users;
	_Atomic(const struct access *) access; /* rules of auth_hba_file, maps */
	_Atomic(const struct topology *) topology;
	_Atomic(const struct node_addrs *) addrs;
	_Atomic(const struct catalogs *) catalogs;
	_Atomic(const struct tls_set *) tls;
	_Atomic(const struct admin_state *) admin;

	struct mark_clock clock; /* one for all clusters, whatever a reload makes of them */
	struct door *door;       /* what addresses may do before they have proved who they are */
	struct share *share;     /* budgets, idle counts, oldest waiters; pool/share.h */
	struct pin_counts pins;  /* by cause */
	struct notify_counts notify;
	_Atomic uint64_t logins[LOGINS_COUNT];
	struct backends backends;      /* who notifies, by backend */
	_Atomic uint32_t n_clients;    /* logged in and logging in, against max_client_conn */
	_Atomic uint64_t next_id;      /* ids of clients and servers, from 1 */
	_Atomic uint64_t reconnect_no; /* counter that admin_state.reconnect* refer to */
	_Atomic uint64_t learned_now;  /* statements learned to write: worker/learned.h */
	_Atomic uint64_t learned_total;
	_Atomic uint64_t ddl_no;     /* schema changes seen, of any database */
	_Atomic int32_t drain_quota; /* idle clients that may be closed now: drain_rate */
	_Atomic uint32_t slots_max;  /* the largest number of slots of a worker */
	_Atomic bool temp_buffers;   /* somebody sets it: see server.had_temp */
	_Atomic bool told_no_batch;  /* the log has why sends go one by one; the first worker's */

	/* a take-over, worker/takeover.h: by the control thread */
	uint32_t slots_kept; /* of each worker, for clients that come; set before the threads start
			      */
	_Atomic bool
		is_successor; /* clients have come whose numbers say nothing of where they are */
	_Atomic bool
		is_taken_over; /* the listening sockets are another process's (now, or still) */
	_Atomic bool opens_nothing; /* nor accepts: what the process taken over has is not known */
	/* servers on their way between workers that the new process was not told of; by workers */
	_Atomic int32_t n_untold;

	uint32_t n_workers;
	struct worker_port workers[WORKERS_MAX];
	struct mailbox control; /* struct mail of worker/ask.h, ASK_* */
};

#endif
