/*
 * dbase - a worker's own view of the databases that clients ask for, of the accounts (database,
 * user) in them and of their pools (database, user, node).
 * Owns:    dbases, accounts, pools, welcomes, counters. A dbase and its accounts live until the
 *          worker ends; one that is known through "*" only, until it was unused on all workers for
 *          autodb_idle_timeout.
 * Bounds:  accounts by the shared registry; welcomes WELCOMES_MAX an account.
 */
#ifndef PGWEIR_WORKER_DBASE_H
#define PGWEIR_WORKER_DBASE_H

#include "base/hist.h"
#include "base/wheel.h"
#include "conf/conf.h"
#include "pool/share.h"
#include "pool/waitq.h"
#include "route/choose.h"
#include "sql/verdict.h"
#include "state/errors.h"
#include "worker/moved.h"
#include "worker/replayed.h"
#include "worker/worker.h"

struct auth_learned;
struct catalog;
struct learned;
struct settings;
struct waits;

#define WELCOMES_MAX 64u        /* distinct start-up settings remembered per account */
#define BASELINE_MAX 64u        /* parameters that a server reports */
#define POOL_RETIRED UINT32_MAX /* index of a pool whose node has left the database */

/* Counters of one database on one worker; see struct show_stats_row. */
struct dbase_stats {
	uint64_t server_assignments, xacts, queries, received, sent;
	uint64_t xact_us, query_us, wait_us;
	uint64_t client_parses, server_parses, binds, logins;
	uint64_t replays[REPLAYED_CAUSES], timeouts, errors;
	uint64_t moving_began, moving_ended, moved[MOVED_CAUSE_COUNT]; /* see moving.h */
};

/*
 * What a client of a replica is told and would not have been told by a primary: there are no other
 * cases.
 */
enum route_broken {
	BROKEN_ANSWER, /* more than replay_window of it was passed on when it broke off */
	BROKEN_BLOCK,  /* a READ ONLY block, one snapshot maybe, that has had an answer */
	BROKEN_COUNT,
};

struct route_count {
	uint64_t n;  /* units */
	uint64_t us; /* that servers spent on them */
	uint32_t broken[BROKEN_COUNT];
};

struct dbase {
	struct list link;      /* worker's dbase_list */
	char name[NAME_LEN];   /* as clients ask for it */
	char dbname[NAME_LEN]; /* on the servers */

	/* bound to the present configuration; rebound at the first turn with a new one */
	const struct conf_db *conf; /* NULL: it has left the configuration */
	bool shadow;                /* routes are counted as they would be */
	bool moves;                 /* transaction_reads = replica, see moving.h */

	struct mark_of_all wrote; /* what its board says: consistency = database */

	/* bound to the present catalogs */
	const struct catalog *catalog; /* NULL: not loaded: all goes to the primary */
	uint64_t catalog_generation;   /* changes with it; 0: none */
	uint64_t catalog_outdated;     /* generation that does not know DDL of here; 0: none */
	uint64_t catalog_asked_us;     /* when it was asked for last */

	struct learned *learned; /* statements found to write, see learned.h; NULL: none */
	uint32_t learn_no;       /* changes with it: verdicts that are kept are old */

	/* bound to the present admin_state */
	bool paused, disabled;
	uint64_t reconnect_no; /* servers opened under a smaller number are outdated */

	/* sequences: what a unit that advances one does to its client */
	bool seq_asked;   /* currval or lastval was called here */
	bool seq_follows; /* … so, or by sequence_state = pin, it is followed at all */

	struct map accounts; /* struct account by user */
	struct list account_list;
	uint32_t n_clients;
	uint64_t used_us; /* when it last had a client or a server here; of "*" databases */

	struct dbase_stats stats;
	struct waits *waits; /* see waits.h; NULL: nobody has waited */
	struct route_count
		*routes; /* [SQL classes][reasons][nodes of the database + 1], see route_count */
	struct errors *errors; /* see state/errors.h; NULL: none yet, or no memory for it */
};

/* What a client with these start-up settings is told: ready made ParameterStatus messages. */
struct welcome {
	struct list link;     /* most recently used first */
	struct settings *set; /* a reference */
	size_t len;
	uint8_t messages[];
};

/* ParameterStatus values that servers of an account report after login, without settings. */
struct baseline {
	uint32_t n;
	struct baseline_param {
		char *name;
		char *value;
	} * params;
};

struct account {
	struct list link; /* dbase's account_list */
	struct dbase *db;
	char user[NAME_LEN];
	struct share_database *share_db;
	struct share_user *share_user;
	struct share_database *shared; /* of the database on the servers, not of the entry */
	struct mark_board *board; /* of the database on the servers, whatever entry leads to it */

	/* effective values of the present configuration */
	enum pool_mode mode;
	uint32_t pool_size, min_pool_size, reserve_pool_size, pinned_max;
	uint64_t query_wait_timeout_us, query_timeout_us, idle_transaction_timeout_us;
	uint64_t transaction_timeout_us, client_idle_timeout_us, server_lifetime_us, max_lag_us;
	enum consistency consistency;
	enum primary_reads primary_reads;
	bool plain_isolation; /* on the primary, by default; of the last server told, see moving.h
			       */
	bool serializable;    /* the same; until one is told, a replica that says so is believed */
	bool isolation_told;  /* … one was */
	uint64_t login_hash;  /* of all that its servers log in with; never 0 */

	uint32_t n_pools;
	struct pool *pools[CONF_DB_NODES_MAX];
	uint16_t nodes[CONF_DB_NODES_MAX]; /* their nodes' ids */
	/* what was looked at when all were found equal but for their load, see pick.c; 0: not yet
	 */
	uint64_t even_topology;   /* its generation, plus one */
	uint32_t even_verdicts;   /* of share_db */
	uint64_t retry_at_us;     /* from then on all its pools may log in: the latest of theirs */
	struct waitq nowhere;     /* units (and logins) for which no node was fit */
	struct list nowhere_link; /* worker's waiting_accounts while somebody is in it */
	uint32_t round_robin;

	bool has_baseline;
	struct baseline baseline; /* from the latest login of a server */
	struct list welcomes;
	uint32_t n_welcomes;
	/* of the account's own user, from its clients' logins; owned, NULL: none */
	struct auth_learned *learned; /* SCRAM keys */
	char *secret;                 /* what auth_query told, or the password itself */

	uint32_t n_clients;
	uint32_t n_idle, n_active; /* of them CLIENT_IDLE, CLIENT_ACTIVE */
	struct hist wait, query;
};

/* The server connections of one account to one node, on this worker. */
struct pool {
	struct account *acc;
	uint32_t node;  /* conf node id */
	uint32_t index; /* in the database's list of nodes */
	struct share_pool *share;

	struct list idle;   /* most recently used first */
	struct list active; /* linked to a client, or finishing what one left */
	struct list logins; /* connecting, logging in */
	struct list checks; /* idle for long, answering server_check_query */
	uint32_t n_idle, n_active, n_login, n_check;
	struct waitq line;        /* units waiting for a server */
	struct waitq pin_line;    /* units that will pin, waiting for a place under max_pinned */
	struct list waiting_link; /* worker's waiting_pools while somebody is in either */
	struct list retired_link; /* worker's retired_pools: its node has left the database */

	bool counts;            /* its reads are counted, see balance.h */
	uint64_t busy_us;       /* that clients have held servers, until they gave them back */
	uint64_t given;         /* times that a server was given to one */
	uint32_t outstanding;   /* units sent, not answered */
	uint32_t latency_us;    /* recent time of a unit, exponentially weighted */
	uint64_t latency_at_us; /* when that was measured: see pool_latency_us */
	uint64_t retry_at_us;   /* no login before that: the last one failed */
	char last_error[128];   /* of the last failed login, "" after a good one */
	char last_sqlstate[6];
	uint32_t granted;   /* of a take-over: servers that may be opened */
	uint64_t asked_us;  /* … when one was asked for last */
	bool wants_tls;     /* server_tls_sslmode = allow: a login without TLS was refused last */
	uint32_t borrowing; /* requests to other workers under way */
};

/*
 * The dbase for the name a client asks for. Errors: E_NOTFOUND no such database (and no "*"),
 * E_NOMEM.
 */
enum status dbase_find(struct worker *w, const char *name, struct dbase **out) MUST_USE;

/* The account of `user`. Errors: E_LIMIT the registry of accounts is full; E_NOMEM. */
enum status account_find(
	struct worker *w, struct dbase *db, const char *user, struct account **out) MUST_USE;

/*
 * The account of `user`, or what it would be, to be looked at within this turn: nothing lists it,
 * nobody is its client. account_looked ends it, and leaves one alone that was there already.
 * Errors: as account_find, and E_NOTFOUND the database has left the configuration.
 */
enum status account_look(
	struct worker *w, struct dbase *db, const char *user, struct account **out) MUST_USE;
void account_looked(struct worker *w, struct account *acc);

/* The pool to a node of the account's database, or NULL if the database does not have it. */
struct pool *account_pool(struct account *acc, uint32_t node);

/* This worker's part of a shared pool, or NULL if the configuration does not have it any more. */
struct pool *account_pool_shared(struct worker *w, const struct share_pool *share);

/*
 * Names all that a Parse depends on beside the statement and its settings: who asks where, and what
 * is known of the schema. Never 0. Taken before a Parse is sent, it tells later whether another
 * Parse of the statement would be answered alike.
 */
uint64_t account_parse_mark(const struct worker *w, const struct account *acc);

/*
 * How many servers the pool, its database, user and node may have: as `conf` says, of which `db` is
 * the pool's database. A worker does it when it binds an account; who opens, or allows to, what no
 * worker may have bound does it before. Any thread. *wake: workers to wake, or'ed into it.
 */
void dbase_limit_servers(
	const struct conf *conf, const struct conf_db *db, struct share_pool *p, uint64_t *wake);

/* The present snapshots are new: bind all dbases to them. */
void dbase_apply_conf(struct worker *w);
void dbase_apply_catalogs(struct worker *w);
void dbase_apply_admin(struct worker *w);
void dbase_forget_unused(struct worker *w); /* autodb_idle_timeout; about once a second */
void dbase_free_all(struct worker *w);

/* The welcome for `set`, or NULL. */
const struct welcome *account_welcome(struct account *acc, const struct settings *set);
/* The value of a ParameterStatus in it, and its name as the server spells it; NULL: none. */
const char *welcome_value(const struct welcome *x, const char **name);
/* Remember one. `changes` are the ParameterStatus values that differ from the baseline. */
const struct welcome *account_welcome_add(struct worker *w, struct account *acc,
	struct settings *set, const struct baseline *changes);
void account_set_baseline(struct worker *w, struct account *acc, struct baseline *moved);
const char *baseline_get(const struct baseline *b, const char *name); /* or NULL */
enum status baseline_put(struct baseline *b, const char *name, const char *value) MUST_USE;
/* Add a copy of all that is in `from`; also on error `to` is to be freed with baseline_fini. */
enum status baseline_copy(const struct baseline *from, struct baseline *to) MUST_USE;
void baseline_fini(struct baseline *b);

/* Count a unit; where it was counted, for the others of dbase_count. */
uint32_t dbase_count_route(
	struct dbase *db, enum sql_class cls, enum choose_reason reason, int32_t node_index);
void dbase_count_route_us(struct dbase *db, uint32_t where, uint64_t us);
void dbase_count_broken(struct dbase *db, uint32_t where, enum route_broken what);
void dbase_count_error(
	struct worker *w, struct dbase *db, const char *sqlstate, enum error_source source);
void dbase_reset_errors(struct worker *w); /* RESET ERRORS */

/* Next route counter that is not zero, from *pos (0 to begin); false at the end. */
struct dbase_route {
	uint8_t cls, reason;
	int32_t node_index; /* in the database's list of nodes; -1: none */
	uint64_t n, us;
	uint32_t broken[BROKEN_COUNT];
};
bool dbase_next_route(const struct dbase *db, uint32_t *pos, struct dbase_route *out);

#define POOL_LATENCY_HALF_SHIFT 18u /* what was measured counts half after 2^18 us, 262 ms */

/* Recent latency. It fades, else a node that was slow once gets no unit that could tell better. */
static inline uint32_t pool_latency_us(const struct pool *p, uint64_t now_us)
{
	uint64_t halves = (now_us - p->latency_at_us) >> POOL_LATENCY_HALF_SHIFT;

	return halves < 32 ? p->latency_us >> halves : 0;
}

/* Is its node ejected as an outlier? */
static inline bool pool_is_ejected(const struct pool *p, uint64_t now_us)
{
	return now_us < atomic_load_explicit(&p->share->ejected_us, memory_order_relaxed);
}

/* seq_follows, after seq_asked or the configuration has changed. */
void dbase_follow_sequences(struct worker *w, struct dbase *db);

/* A statement is about to be judged: have the catalog loaded if it is not. */
void dbase_want_catalog(struct worker *w, struct dbase *db);
/* DDL has passed: have it loaded again. */
void dbase_catalog_changed(struct worker *w, struct dbase *db);

#endif
