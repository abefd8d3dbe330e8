/*
 * topology - what the monitor knows of all nodes at one moment: an immutable snapshot that workers
 * read behind an atomic pointer (base/snap.h frees it). Built by route/roles.h.
 * Owns:   one block of memory, texts included.
 * Node and cluster ids are the configuration's indexes. Each node is in one cluster; a database
 * uses some or all nodes of a cluster.
 */
#ifndef PGWEIR_ROUTE_TOPOLOGY_H
#define PGWEIR_ROUTE_TOPOLOGY_H

#include "base/status.h"
#include "route/doubles.h"
#include "route/lsn.h"

#define TOPO_NODES_MAX    256u
#define TOPO_CLUSTERS_MAX 256u
#define TOPO_SAMPLES      64u
#define TOPO_LABEL_MAX    64u  /* bytes, the NUL counted */
#define TOPO_TEXT_MAX     128u /* bytes, the NUL counted */
#define TOPO_NONE         UINT16_MAX

enum topo_role { TOPO_ROLE_UNKNOWN, TOPO_ROLE_PRIMARY, TOPO_ROLE_REPLICA };
const char *topo_role_name(enum topo_role r); /* "unknown", "primary", "replica" */

enum topo_health {
	TOPO_DOWN,    /* not reached, no answer in time, starting up, or never asked yet */
	TOPO_UP,      /* answers */
	TOPO_REFUSED, /* reached, but not usable: login refused, another system identifier */
};
const char *topo_health_name(enum topo_health h); /* "down", "up", "refused" */

/* Whether something that elects the leader, Patroni, names the node as the leader. */
enum topo_leader {
	TOPO_LEADER_UNKNOWN, /* nobody is asked, or nobody answers: roles are discovered alone */
	TOPO_LEADER_YES,
	TOPO_LEADER_NO, /* it is not used as the primary, whatever it says itself */
};

struct topo_node {
	/* what choose() reads */
	uint8_t role;   /* enum topo_role, as last answered */
	uint8_t health; /* enum topo_health */
	bool follows;   /* a replica on the cluster's highest timeline */
	bool fenced;    /* not in recovery, but not the cluster's primary: never used */
	bool lag_known; /* see struct lag */
	uint8_t leader; /* enum topo_leader */
	bool blind;     /* where it is cannot be told: for reads of consistency eventual alone */
	bool silent;    /* it has not said anything for node_timeout, not even an error */
	uint16_t cluster;
	uint32_t timeline; /* 0: unknown */
	uint32_t epoch;    /* changes with system identifier and postmaster start time */
	uint64_t lsn;      /* primary: insert (rounded); replica: replay */
	uint64_t lag_us;
	uint64_t back_us; /* when it came back, or was added, monotonic; 0: there from the start */
	/*
	 * When the sample that `lsn` comes from was begun, monotonic. `lsn` says nothing about a
	 * server connection opened later than this: see topo_node_counts_for.
	 */
	uint64_t sample_begun_us;
	/* what is shown */
	uint64_t lag_bytes;
	uint64_t answered_us; /* last answer, monotonic; 0: never */
	uint64_t system_id;
	int64_t postmaster_start_us; /* µs since 1970, the node's clock; compared for equality only
				      */
	uint32_t latency_us;         /* of the monitor's queries, EWMA */
	uint32_t server_version_num;
	char label[TOPO_LABEL_MAX]; /* "host:port" */
	char text[TOPO_TEXT_MAX];   /* why it is not usable, or the last error; "" if none */
};

struct topo_sample {
	uint64_t number; /* see route/marks.h */
	struct wal_point at;
	/* What the primary had flushed then: no replica has more. lsn 0: not known. */
	struct wal_point flushed;
};

struct topo_cluster {
	uint16_t primary;      /* node id, TOPO_NONE if there is none */
	bool ever_primary;     /* one has been seen since the start */
	bool monitor_refused;  /* a node refuses the monitor's login */
	bool blind;            /* the primary does not tell its timeline */
	uint32_t timeline_max; /* highest ever seen; 0: none */
	/*
	 * Names the system that the LSNs are of; unique in the process, never 0. Changes when all
	 * nodes turn out to be another system: marks are opened anew.
	 */
	uint32_t identity;
	uint64_t system_id;
	struct doubles doubles;
	/* samples of the primary, newest first: samples[0] */
	uint64_t flush_delay_us; /* … for so long a commit may be acknowledged and not flushed */
	uint32_t n_samples;
	struct topo_sample samples[TOPO_SAMPLES];
};

struct topology {
	uint64_t generation;
	uint64_t published_us; /* monotonic */
	uint16_t n_nodes;
	uint16_t n_clusters;
	struct topo_node *nodes;       /* by node id */
	struct topo_cluster *clusters; /* by cluster id */
};

/* An empty one (all down, unknown), to be filled before it is published. Errors: E_NOMEM. */
enum status topology_new(uint16_t n_nodes, uint16_t n_clusters, struct topology **out) MUST_USE;
void topology_free(void *topo); /* struct topology; void for snap_retire */

/*
 * The same for ids of a configuration that is newer than the snapshot: what is not in it yet is
 * unknown and down, a cluster without a primary.
 */
extern const struct topo_node topology_unknown_node;
extern const struct topo_cluster topology_unknown_cluster;

static inline const struct topo_node *topology_node_at(const struct topology *t, uint16_t node)
{
	return node < t->n_nodes ? &t->nodes[node] : &topology_unknown_node;
}

static inline const struct topo_cluster *topology_cluster_at(
	const struct topology *t, uint16_t cluster)
{
	return cluster < t->n_clusters ? &t->clusters[cluster] : &topology_unknown_cluster;
}

/* NULL if the id is none or too large. */
static inline const struct topo_node *topology_node(const struct topology *t, uint16_t node)
{
	return node < t->n_nodes ? &t->nodes[node] : NULL;
}

static inline const struct topo_cluster *topology_cluster(
	const struct topology *t, uint16_t cluster)
{
	return cluster < t->n_clusters ? &t->clusters[cluster] : NULL;
}

/*
 * Whether what is known of the node's LSN holds for a server connection that had logged in at
 * `ready_us`: it was there when the sample was begun, so the node has not restarted in between.
 * When the connection was begun says nothing: the node may have restarted before it took it.
 */
static inline bool topo_node_counts_for(const struct topo_node *n, uint64_t ready_us)
{
	return ready_us < n->sample_begun_us;
}

/*
 * Whether a new server connection to `node` that found itself on `timeline`, in recovery or not,
 * may serve as primary of the cluster: the check before its first unit.
 */
bool topo_cluster_accepts_primary(
	const struct topo_cluster *c, uint16_t node, uint32_t timeline, bool in_recovery);

#endif
