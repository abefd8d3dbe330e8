/*
 * conf - the configuration as an immutable snapshot: typed fields for every setting that applies,
 * databases, users, nodes and clusters. Built from files whose contents a callback brings.
 * Owns:    all it points to, until conf_free. Everything reachable from a snapshot is borrowed.
 * Threads: built by one (control); read by any.
 * Touches: no file, no clock.
 * Bounds:  CONF_*_MAX below, and the range of each key (conf/settings.h).
 * Units:   times are µs, sizes are bytes, ports host order. Strings are never NULL; "" is unset.
 */
#ifndef PGWEIR_CONF_CONF_H
#define PGWEIR_CONF_CONF_H

#include "base/status.h"
#include "conf/findings.h"

#define CONF_FILE_MAX     (16u << 20) /* bytes of one file */
#define CONF_FILES_MAX    64u         /* with %include, counting repetitions */
#define CONF_INCLUDE_MAX  10u         /* depth of %include; PgBouncer's */
#define CONF_NAME_MAX     127u        /* bytes of a database or user name */
#define CONF_HOST_MAX     255u        /* bytes of a host name */
#define CONF_DBS_MAX      10000u
#define CONF_USERS_MAX    100000u
#define CONF_NODES_MAX    256u /* in all; ids are 0 .. CONF_NODES_MAX-1 */
#define CONF_DB_NODES_MAX 16u  /* per database */
#define CONF_PEERS_MAX    128u
#define CONF_SPREADS_MAX  64u /* names that stand for several nodes */
#define CONF_ADDR_MAX     63u /* bytes of an address as text */
#define CONF_PEER_ID_MAX  65535u
#define CONF_NO_CLUSTER   UINT32_MAX

/* In a conf_db or conf_user: not given there. conf/effective.h resolves it. */
#define CONF_UNSET    UINT32_MAX
#define CONF_UNSET_US UINT64_MAX

/* Of every enum, 0 is "not given here" where a database or user may leave it to the level above. */
enum pool_mode { POOL_MODE_UNSET, POOL_MODE_SESSION, POOL_MODE_TRANSACTION, POOL_MODE_STATEMENT };
enum routing_mode {
	ROUTING_UNSET,
	ROUTING_OFF,
	ROUTING_ON,
	ROUTING_SHADOW, /* all on the primary; what `on` would do is counted */
	ROUTING_AUTO,   /* several hosts: on */
};
enum route { ROUTE_AUTO, ROUTE_PRIMARY, ROUTE_REPLICA };
enum consistency {
	CONSISTENCY_UNSET,
	CONSISTENCY_EVENTUAL,
	CONSISTENCY_SESSION,
	CONSISTENCY_DATABASE,
	CONSISTENCY_STRONG,
};
enum primary_reads {
	PRIMARY_READS_UNSET,
	PRIMARY_READS_FALLBACK, /* when no replica is fit */
	PRIMARY_READS_NEVER,    /* they wait for a replica */
	PRIMARY_READS_SHARE,    /* by weight, as a replica */
};
enum transaction_reads {
	TRANSACTION_READS_PRIMARY,
	TRANSACTION_READS_REPLICA, /* a READ COMMITTED block begins on one, and moves */
};
enum sequence_state {
	SEQUENCE_STATE_UNSET,
	SEQUENCE_STATE_OFF,
	SEQUENCE_STATE_AFFINITY,
	SEQUENCE_STATE_PIN
};
enum custom_parameters {
	CUSTOM_PARAMETERS_UNSET,
	CUSTOM_PARAMETERS_EXACT, /* no server that has seen a name which its client has not set */
	CUSTOM_PARAMETERS_SHARED
};
enum host_balance { HOST_BALANCE_ROUND_ROBIN, HOST_BALANCE_DISABLE /* first that works */ };
/* How clients prove who they are. Those from PEER on are methods of auth_hba_file alone. */
enum auth_type {
	AUTH_TYPE_ANY,
	AUTH_TYPE_TRUST,
	AUTH_TYPE_PLAIN,
	AUTH_TYPE_MD5,
	AUTH_TYPE_SCRAM,
	AUTH_TYPE_CERT,
	AUTH_TYPE_PAM,
	AUTH_TYPE_LDAP,
	AUTH_TYPE_HBA, /* as the first rule says that fits: one of the others, but ANY */
	AUTH_TYPE_PEER,
	AUTH_TYPE_REJECT,
};
enum tls_mode {
	TLS_MODE_DISABLE,
	TLS_MODE_ALLOW,
	TLS_MODE_PREFER,
	TLS_MODE_REQUIRE,
	TLS_MODE_VERIFY_CA,
	TLS_MODE_VERIFY_FULL,
};
enum tls_dheparams { TLS_DHEPARAMS_AUTO, TLS_DHEPARAMS_NONE };
enum channel_binding { /* libpq's words */
	CHANNEL_BINDING_DISABLE,
	CHANNEL_BINDING_PREFER,
	CHANNEL_BINDING_REQUIRE,
};
enum tls_negotiation { TLS_NEGOTIATION_POSTGRES, TLS_NEGOTIATION_DIRECT };
enum { TLS_PROTOCOL_1_2 = 1, TLS_PROTOCOL_1_3 = 2 }; /* bits of conf_tls.protocols */
enum proxy_protocol {
	PROXY_PROTOCOL_OFF,
	PROXY_PROTOCOL_ON, /* trusted addresses may send a header */
	PROXY_PROTOCOL_REQUIRED,
};
enum conf_io_engine { IO_ENGINE_AUTO, IO_ENGINE_EPOLL, IO_ENGINE_URING };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct conf_list {
	size_t n;
	const char *const *items;
};

/* One PostgreSQL instance: a unique (host, port) over all databases. */
struct conf_node {
	uint32_t id;         /* the same for this (host, port) in every later snapshot */
	uint32_t cluster_id; /* CONF_NO_CLUSTER: no database routes over it */
	const char *host;    /* name, address, directory of a unix socket, or "@" abstract name */
	uint16_t port;
	uint16_t patroni_port; /* of Patroni's REST API there; 0: it is not asked */
	bool is_unix;
	/* "": what `host` resolves to; else one address of it (conf_spreads) */
	const char *address;
	/* "host:port" or "host[address]:port" for logs and SHOW; an IPv6 address in brackets */
	const char *name;
};

/*
 * Names of hosts that stand for several nodes, one for each of their addresses, as the name service
 * told last. It holds where a database routes: there each address is a node with a role of its own.
 */
struct conf_spreads {
	size_t n;
	struct conf_spread {
		char host[CONF_HOST_MAX + 1];
		size_t n_addrs; /* 1 .. CONF_DB_NODES_MAX */
		char addr[CONF_DB_NODES_MAX][CONF_ADDR_MAX + 1];
	} of[CONF_SPREADS_MAX];
};

/* Nodes that databases with routing tie together: one primary and its replicas. */
struct conf_cluster {
	uint32_t id; /* stable over snapshots as long as a node is shared */
	const struct conf_db
		*db; /* first in the file that routes here: the monitor's credentials */
	size_t n_nodes;
	const struct conf_node *const *nodes; /* in the order of the file */
};

struct conf_db_node {
	const struct conf_node *node;
	uint32_t weight; /* 1 .. */
	bool is_far;     /* in another zone than ours */
};

struct conf_db {
	const char *name;   /* as clients ask for it; "*" is the fallback */
	const char *dbname; /* on the server; "": as the client asked (conf_dbname) */
	uint32_t position;  /* in the order of the file, from 0 */

	bool shadow; /* with `routing`: all goes to the primary, what would be done is counted */

	/* where */
	size_t n_nodes; /* 1 .. CONF_DB_NODES_MAX, none twice */
	struct conf_db_node nodes[CONF_DB_NODES_MAX];
	uint32_t cluster_id;           /* CONF_NO_CLUSTER if routing is off */
	bool routing;                  /* resolved: on or off */
	enum routing_mode routing_key; /* as given */
	enum route route;
	enum consistency consistency;
	enum host_balance load_balance_hosts; /* where routing is off */
	uint64_t max_lag_us;                  /* CONF_UNSET_US */
	/* keys parsed into `nodes` */
	const char *host, *port, *weight, *zone, *patroni_port;
	bool zoned; /* a node is_far */
	enum primary_reads primary_reads;
	enum transaction_reads transaction_reads;

	/* as whom */
	const char *user, *password;                      /* user "": the client's */
	const char *auth_user, *auth_query, *auth_dbname; /* "": the global one */
	const char *monitor_user, *monitor_password, *monitor_dbname;

	/* limits; CONF_UNSET and CONF_UNSET_US where not given */
	enum pool_mode pool_mode;
	uint32_t pool_size, min_pool_size, reserve_pool_size; /* per node */
	uint32_t max_db_connections;                          /* over all nodes */
	uint32_t max_db_client_connections;
	uint32_t max_pinned;
	enum sequence_state sequence_state;
	enum custom_parameters custom_parameters;
	uint64_t server_lifetime_us;
	uint64_t query_wait_timeout_us;

	/* what a new server connection is set to; "" leaves the server's */
	const char *connect_query;
	const char *client_encoding, *datestyle, *timezone, *application_name;
};

struct conf_user {
	const char *name;
	uint32_t position;
	enum pool_mode pool_mode;
	enum consistency consistency;
	uint32_t pool_size, reserve_pool_size;
	uint32_t max_user_connections, max_user_client_connections;
	uint64_t query_timeout_us;
	uint64_t idle_transaction_timeout_us;
	uint64_t transaction_timeout_us;
	uint64_t client_idle_timeout_us;
	uint64_t query_wait_timeout_us;
	uint64_t max_lag_us;    /* CONF_UNSET_US */
	struct conf_list roles; /* that rules of auth_hba_file find it in */
};

/* Another process behind the same address. */
struct conf_peer {
	const char *name; /* its id, as written */
	uint32_t id;      /* 1 .. CONF_PEER_ID_MAX */
	uint32_t position;
	const char *host; /* one name or address, or the directory of a unix socket */
	uint16_t port;
	uint32_t pool_size; /* CONF_UNSET */
};

struct conf_tls {
	enum tls_mode sslmode;
	const char *ca_file, *cert_file, *key_file;
	const char *ciphers;          /* "default", "secure", … or an OpenSSL list, for TLS 1.2 */
	const char *tls13_ciphers;    /* "": OpenSSL's */
	uint32_t protocols;           /* TLS_PROTOCOL_… bits, never 0 */
	const char *ecdhcurve;        /* "auto" or a group name; clients' side only */
	enum tls_dheparams dheparams; /* clients' side only */
	/* servers' side only */
	enum channel_binding channel_binding;
	enum tls_negotiation negotiation;
};

/* Files that settings name, and whose contents are read with the configuration. */
enum conf_file {
	CONF_FILE_HBA, /* with its @files */
	CONF_FILE_IDENT,
	CONF_FILE_CLIENT_CA,
	CONF_FILE_CLIENT_CERT,
	CONF_FILE_CLIENT_KEY,
	CONF_FILE_SERVER_CA,
	CONF_FILE_SERVER_CERT,
	CONF_FILE_SERVER_KEY,
	CONF_FILE_STATS_CERT,
	CONF_FILE_STATS_KEY,
	CONF_FILE_PATRONI_CA,
	CONF_FILES
};

struct conf {
	/* hashes of their contents, to tell changes; 0: not in use, or not known */
	uint64_t file_marks[CONF_FILES];

	bool is_pgbouncer; /* the section was [pgbouncer]: PgBouncer's defaults hold */

	/* process; * = fixed at the start */
	const char *conffile; /* what a reload reads; "": the file that was named at the start */
	const char *logfile;
	const char *pidfile;   /* * */
	const char *user_name; /* * key `user`: whom to become */
	bool syslog;
	const char *syslog_facility, *syslog_ident;
	uint32_t verbose; /* 0: INFO, 1 and more: DEBUG */
	enum log_format log_format;
	uint32_t workers;        /* * 0: as many as CPUs, at most 8 */
	uint32_t helper_threads; /* * */
	uint32_t peer_id;        /* 0: no peers */

	/* listening */
	struct conf_list listen_addr; /* * "*": all */
	uint16_t listen_port;         /* * */
	uint32_t listen_backlog;      /* * */
	bool so_reuseport;            /* * */
	uint32_t drain_rate;          /* clients a second; 0: none */
	uint64_t drain_delay_us;
	const char *takeover_socket;
	uint64_t takeover_timeout_us;
	const char *unix_socket_dir;   /* * */
	uint32_t unix_socket_mode;     /* * permission bits */
	const char *unix_socket_group; /* * */
	enum proxy_protocol proxy_protocol;
	struct conf_list proxy_protocol_trusted; /* networks, as conf/cidr.h reads them */
	const char *admin_addr;                  /* * */
	uint16_t admin_port;                     /* * 0: none */
	const char *admin_socket_dir;            /* * "": none */
	const char *stats_addr;                  /* * */
	/* for the stats port: "user:secret", or users of auth_file; "": nobody is asked */
	const char *stats_auth;
	const char *stats_tls_cert_file, *stats_tls_key_file; /* "": no TLS there */
	uint16_t stats_port;                                  /* * 0: none */

	/* who */
	enum auth_type auth_type;
	const char *auth_file;
	const char *auth_hba_file, *auth_ident_file; /* of AUTH_TYPE_HBA */
	const char *auth_ldap_options;               /* of AUTH_TYPE_LDAP; has a password */
	const char *auth_pam_service;
	uint32_t auth_helper_queue, auth_helper_threads;
	uint64_t auth_helper_timeout_us;
	const char *auth_user, *auth_query;
	const char *auth_dbname; /* a [databases] entry's; "": the one that the client asks for */
	uint64_t auth_query_lifetime_us, auth_query_timeout_us;
	uint32_t scram_iterations;     /* when a verifier is made from a plain password */
	uint32_t scram_max_iterations; /* largest that a server may ask of us */
	struct conf_list admin_users, stats_users;
	const char *version_text; /* SHOW VERSION; "": ours */
	bool legacy_columns;
	const char *login_notify_message;
	uint64_t login_failure_delay_us;
	uint32_t login_rate_limit;                         /* a second, of an address; 0: none */
	uint32_t max_half_open, max_half_open_per_address; /* 0: no limit */

	/* pools */
	enum pool_mode pool_mode;
	uint32_t default_pool_size, min_pool_size, reserve_pool_size; /* per node */
	uint64_t reserve_pool_timeout_us;
	uint32_t max_client_conn;
	uint32_t max_db_connections, max_db_client_connections; /* 0: no limit */
	uint32_t max_user_connections, max_user_client_connections;
	uint32_t max_node_connections; /* 0: no limit */
	uint32_t max_pinned;           /* CONF_UNSET: half of the pool */
	uint64_t pin_idle_timeout_us;
	enum sequence_state sequence_state;
	enum custom_parameters custom_parameters;
	uint32_t max_server_logins; /* at once, per node */
	bool server_round_robin;
	uint32_t max_prepared_statements;
	uint64_t max_statement_memory; /* bytes, per worker; a client may have a quarter */
	struct conf_list ignore_startup_parameters;
	bool application_name_add_host;
	bool disable_pqexec; /* * */
	uint64_t autodb_idle_timeout_us;

	/* server connections; a time of 0 is "never" unless said otherwise */
	const char *server_reset_query;
	bool server_reset_query_always;
	const char *server_check_query; /* "": no check; "<empty>": the empty query */
	uint64_t server_check_delay_us;
	bool server_fast_close;
	uint64_t server_lifetime_us; /* 0: closed after one use */
	uint64_t server_idle_timeout_us;
	uint64_t server_connect_timeout_us;
	uint64_t server_login_retry_us;
	uint64_t server_cancel_timeout_us;
	uint64_t cancel_wait_timeout_us;

	/* clients and queries */
	uint64_t client_login_timeout_us;
	uint64_t client_idle_timeout_us;
	uint64_t query_timeout_us;
	uint64_t query_wait_timeout_us;
	uint64_t query_wait_notify_us;
	uint64_t idle_transaction_timeout_us;
	uint64_t transaction_timeout_us;
	uint64_t suspend_timeout_us;

	/* routing */
	enum routing_mode routing;
	enum consistency consistency;
	uint64_t max_lag_us;
	uint64_t strong_wait_us;
	enum primary_reads primary_reads;
	const char *zone;                     /* where we are; "": zones are not heeded */
	uint64_t slow_start_us;               /* 0: none */
	uint32_t eject_errors, eject_latency; /* see route/outlier.h; 0: never for this */
	uint64_t eject_time_us, eject_time_max_us;
	uint64_t lag_check_interval_us;
	uint64_t node_timeout_us;
	const char *monitor_user, *monitor_password, *monitor_dbname;
	const char *patroni_auth;        /* "user:password"; "": none */
	const char *patroni_tls_ca_file; /* "": plain HTTP */
	uint64_t catalog_refresh_interval_us;
	struct conf_list primary_functions, replica_functions;
	uint64_t replay_window; /* bytes of an answer held back, and of a unit kept */
	uint64_t max_unit_size; /* bytes; a larger unit is streamed to the primary */

	/* TLS */
	struct conf_tls client_tls, server_tls;

	/* logs and statistics */
	bool query_stats;                 /* see worker/queries.h */
	uint32_t query_stats_max;         /* fingerprints, per worker */
	uint32_t query_stats_top;         /* of them in /metrics */
	uint64_t slow_query_threshold_us; /* 0: none is logged */
	bool slow_query_text;
	bool log_query_errors;
	uint32_t slow_query_rate;    /* lines a second */
	uint32_t nplusone_threshold; /* 0: nothing is looked for */
	uint64_t nplusone_window_us;
	uint64_t misuse_idle_us, misuse_transaction_us; /* see worker/waits.h; 0: off */
	bool error_stats, wait_stats;                   /* see state/errors.h, worker/waits.h */
	bool history;                                   /* see control/history.h */
	uint64_t history_period_us; /* of the samples of the page and SHOW HEADROOM */
	uint64_t wait_goal_us;      /* of SHOW HEADROOM */
	bool log_connections, log_disconnections, log_pooler_errors, log_stats;
	uint64_t stats_period_us;

	/* names and sockets */
	uint64_t dns_max_ttl_us, dns_nxdomain_ttl_us;
	const char *resolv_conf; /* * "": the system's */
	enum conf_io_engine io_engine;
	uint32_t max_packet_size;   /* bytes */
	uint64_t notify_queue;      /* bytes of notifications that may wait for one client */
	uint64_t relay_buffer;      /* bytes waiting to be sent at which the source is not read */
	uint32_t tcp_defer_accept;  /* 0: off */
	uint32_t tcp_socket_buffer; /* bytes, 0: the system's */
	bool tcp_keepalive;
	uint32_t tcp_keepcnt, tcp_keepidle, tcp_keepintvl; /* s; 0: the system's */
	uint32_t tcp_user_timeout;                         /* ms */

	/* what is configured; sorted by name, "*" is in `fallback` as well */
	size_t n_dbs, n_users, n_nodes, n_clusters, n_peers;
	const struct conf_db *dbs;
	const struct conf_user *users;
	const struct conf_peer *peers;                            /* sorted by id */
	const struct conf_db *fallback;                           /* "*", or NULL */
	const struct conf_node *nodes;                            /* in the order of the file */
	const struct conf_node *node_by_id[CONF_NODES_MAX];       /* NULL: no such node */
	const struct conf_cluster *clusters;                      /* sorted by id */
	const struct conf_cluster *cluster_by_id[CONF_NODES_MAX]; /* NULL: no such cluster */

	const struct conf_spreads *spreads; /* those that a database has use for */

	struct conf_own *own; /* conf/own.h: memory, and the lines it was built from */
};

/*
 * Brings the contents of `path` as malloc'ed bytes, at most CONF_FILE_MAX; *data is moved to the
 * caller. `path` is as written (the command line's, or an %include's).
 * Errors: E_IO (errno tells), E_LIMIT too large, E_NOMEM.
 */
struct conf_reader {
	enum status (*read)(void *arg, const char *path, char **data, size_t *len);
	void *arg;
	/* "NAME=VALUE" up to a NULL (conf/variables.h); NULL: none */
	const char *const *environment;
};

/*
 * Load `path` ("": no file) and what it includes, then the environment's variables, which count
 * over it. `previous` (NULL at the start) lends node and cluster ids, and the values of keys that
 * need a restart, which are kept and reported as FINDING_RESTART.
 * All findings go to `found`, which is initialised and may already hold some; *out is owned by the
 * caller. Errors: E_INVALID `found` has new errors, *out is NULL; E_NOMEM.
 */
enum status conf_load(const struct conf_reader *reader, const char *path,
	const struct conf *previous, struct conf **out, struct findings *found) MUST_USE;

/*
 * Of what conf_load has refused, where to log why: a snapshot with the settings `logfile`,
 * `log_format`, `syslog` and its two, `verbose` and `user` as they are given, all others as by
 * default, without databases. *out is owned by the caller.
 * Errors: E_INVALID one of these has an error, or `path` cannot be read, *out is NULL; E_NOMEM.
 */
enum status conf_load_log(
	const struct conf_reader *reader, const char *path, struct conf **out) MUST_USE;

/*
 * SET key = value: the snapshot `c` with one global key changed, as a new snapshot.
 * Errors, told in `found`: E_NOTFOUND no such key; E_INVALID a value out of range, or a key that
 * needs a restart; E_NOMEM.
 */
enum status conf_set(const struct conf *c, const char *key, const char *value, struct conf **out,
	struct findings *found) MUST_USE;

/*
 * The snapshot `c` with other addresses of names, as a new snapshot; conf_load and conf_set take
 * them over from `previous` and `c`. Errors: E_INVALID told in `found`; E_NOMEM.
 */
enum status conf_set_spreads(const struct conf *c, const struct conf_spreads *spreads,
	struct conf **out, struct findings *found) MUST_USE;

/*
 * Where a global key has its value from, for people: "default", "console" (SET), or the place:
 * "FILE:LINE", or the name of a variable of the environment. Cut at `cap`. Returns buf.
 */
const char *conf_source(const struct conf *c, const char *key, char *buf, size_t cap);

/* The addresses that `host` stands for, or NULL. */
const struct conf_spread *conf_find_spread(const struct conf_spreads *s, const char *host);

void conf_free(struct conf *c); /* NULL is allowed */

/* The database as a client names it, else the fallback "*", else NULL. */
const struct conf_db *conf_find_db(const struct conf *c, const char *name);
const struct conf_user *conf_find_user(const struct conf *c, const char *name); /* or NULL */

const struct conf_peer *conf_find_peer(const struct conf *c, uint32_t id); /* or NULL */
uint32_t conf_peer_pool_size(const struct conf *c, const struct conf_peer *p);

/* The database's name on the server, for a client that asked for `wanted`. */
const char *conf_dbname(const struct conf_db *db, const char *wanted);

#endif
