/*
 * roles - the monitor's judgement: fed with nodes' answers and errors it decides roles, health,
 * the primary of each cluster and lag, and builds snapshots. Pure: no I/O, time comes in.
 * Owns:    what is known of every node. One thread (the monitor).
 * Rules:
 * - At the start nothing is decided until every node of a cluster has answered or failed once, or
 *   node_timeout has passed: which node is quickest must not decide.
 * - The highest timeline that any node has ever told wins; never a lower one again.
 * - Of two primaries on it the present one stays; with none present neither is taken.
 * - Where somebody elects the leader (roles_node_leader), a node that is told not to be it is no
 *   primary; of two primaries the one that is told to be it is taken.
 * - The system identifier is that of most nodes that answer; a node with another is refused, unless
 *   all nodes of the cluster answer with the same other one: then the cluster is a new system.
 * - A node that does not tell its position is blind: a primary if no other claims to be one, and a
 *   replica for reads that may be old. With a blind primary no replica's lag is known: all are.
 * - A node that does not answer for node_timeout is out until its next answer. It is silent if it
 *   does not say an error either: what runs there is given up.
 */
#ifndef PGWEIR_ROUTE_ROLES_H
#define PGWEIR_ROUTE_ROLES_H

#include "route/topology.h"

struct roles;

struct roles_conf {
	uint16_t n_nodes;           /* 1..TOPO_NODES_MAX */
	uint16_t n_clusters;        /* 1..TOPO_CLUSTERS_MAX */
	const uint16_t *cluster_of; /* by node id; borrowed during the call */
	const char *const *label; /* by node id; borrowed during the call, cut at TOPO_LABEL_MAX */
	uint64_t node_timeout_us; /* without an answer for so long a node is down */
	uint64_t lag_span_us;     /* lag history: several times the largest max_lag */
	uint64_t now_us;          /* the start: nodes have node_timeout to be heard */
};

/* Errors: E_NOMEM. */
enum status roles_new(const struct roles_conf *conf, struct roles **out) MUST_USE;
void roles_free(struct roles *r); /* NULL ok */

/*
 * After a reload: take over what `from` knew. node_from[i]: the node id in `from` of this node i,
 * or TOPO_NONE. A cluster takes over from the cluster of the first of its nodes that was known.
 */
void roles_carry(struct roles *r, const struct roles *from, const uint16_t *node_from);

/* One node's answer to the monitor's query. */
struct roles_answer {
	uint64_t number;  /* sample number, taken before the query was sent (mark_clock_begin) */
	uint64_t sent_us; /* monotonic */
	uint64_t answered_us;
	bool in_recovery;
	uint32_t timeline; /* primary: of the insert position; replica: received or replayed; 0
			      unknown */
	uint64_t lsn;      /* pg_current_wal_insert_lsn(), or pg_last_wal_replay_lsn(); 0 if null */
	uint64_t flushed_lsn; /* of a primary: pg_current_wal_flush_lsn(); 0: not known */
	uint64_t wal_writer_delay_us;
	uint64_t system_id;
	int64_t postmaster_start_us;
	uint32_t server_version_num;
	struct wal_geometry wal;
	uint32_t connections_max; /* that it has for others than superusers; 0: not known */
	bool blind; /* it refuses to tell timeline and LSN: 0, and system_id may be 0, too */
};

enum roles_error {
	ROLES_ERR_CONNECT, /* refused, unreachable */
	ROLES_ERR_LOST,    /* the connection was lost: noted only, the next attempt decides */
	ROLES_ERR_TIMEOUT, /* the monitor gave up on an attempt: noted only, node_timeout decides */
	ROLES_ERR_STARTUP, /* 57P03: starting up, shutting down, in recovery without hot standby */
	ROLES_ERR_LOGIN,   /* class 28, or the database is missing: the monitor is refused */
	ROLES_ERR_QUERY,   /* the query failed otherwise */
};

/* What changed, for logs and for wake-ups: bits. */
enum {
	ROLES_NODE_UP = 1,        /* this node is up and was not (ends server_login_retry) */
	ROLES_NODE_DOWN = 2,      /* this node is down or refused, and was up */
	ROLES_NODE_ROLE = 4,      /* this node's role or fence changed */
	ROLES_PRIMARY = 8,        /* the cluster's primary is another one, or none */
	ROLES_TIMELINE = 16,      /* the cluster's highest timeline rose */
	ROLES_TWO_PRIMARIES = 32, /* this node too claims to be primary of the highest timeline */
	ROLES_OTHER_SYSTEM = 64,  /* this node was refused for its system identifier */
	ROLES_IDENTITY = 128,     /* the cluster is another system now */
	ROLES_SAMPLE = 256,       /* a sample of the primary was added: open marks may close */
};

unsigned roles_node_answer(struct roles *r, uint16_t node, const struct roles_answer *a);

/* What Patroni says of the node. */
unsigned roles_node_leader(struct roles *r, uint16_t node, enum topo_leader leader);

/* text: for people; cut at TOPO_TEXT_MAX. */
unsigned roles_node_error(struct roles *r, uint16_t node, enum roles_error e, const char *text);

/*
 * Time passes: take out a node that has not answered for node_timeout. To be called at least every
 * tenth of it, until it returns 0. Returns what changed; *node: the node it is about.
 */
unsigned roles_tick(struct roles *r, uint64_t now_us, uint16_t *node);

/*
 * The snapshot as of now_us; the caller publishes it and owns the one it replaces. To be called
 * after each answer of a primary, and at least once per lag_check_interval. Errors: E_NOMEM.
 */
enum status roles_snapshot(struct roles *r, uint64_t now_us, struct topology **out) MUST_USE;

#endif
