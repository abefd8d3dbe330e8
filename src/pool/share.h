/*
 * share - what workers share of pools: a registry of pools (database, user, node), databases, users
 * and nodes with their budgets, and per pool and worker how many servers idle and since when the
 * oldest unit waits.
 * Owns:    its entries, which live as long as it does.
 * Threads: any, lock-free; a worker's slot is written by that worker alone (n_coming by any).
 * Bounds:  `capacity` pools, databases and users each; share_*_get report E_LIMIT beyond.
 *
 * Publish, then look again. A worker that queues a unit, and one that idles a server:
 *     share_publish_waiter(p, self, since_us);   share_publish_idle(p, self, n_idle);
 *     w = share_find_idle(p, self);    w = share_whose_turn(p, self, now_us);
 * The first asks worker w, if there is one, for a server; the second gives w its own. All of it is
 * sequentially consistent: of two that do this at the same time at least one sees the other, so no
 * server idles while a unit waits. A server that is given but not taken is published as idle again.
 */
#ifndef PGWEIR_POOL_SHARE_H
#define PGWEIR_POOL_SHARE_H

#include "base/map.h"
#include "base/status.h"
#include "pool/budget.h"
#include "route/marks.h"
#include "route/outlier.h"

#define SHARE_NAME_MAX  64u /* bytes of a database's or user's name, the NUL counted */
#define SHARE_NODES_MAX 256u
#define SHARE_NONE      UINT32_MAX

#define SHARE_LOAD_ONE      256
#define SHARE_LOAD_EVERY_US 1000u /* it is sampled at most so often, */
#define SHARE_LOAD_INERTIA  32    /* and averaged over so many samples */

#define SHARE_PATIENCE_US 3000u  /* a unit waits so long for a server of its own worker; … */
#define SHARE_UNFAIR_US   5000u  /* how much more than twice as long as any elsewhere, at most */
#define SHARE_LULL_US     20000u /* … for one of a worker that has no line just now */

struct share;

/* One worker's part of a pool, in a cache line of its own. */
struct share_slot {
	_Alignas(64) _Atomic uint32_t n_idle;
	_Atomic uint64_t oldest_waiter_us; /* 0: none waits */
	_Atomic uint32_t n_servers;
	_Atomic uint32_t load;    /* units that wait or run, of late; times SHARE_LOAD_ONE */
	_Atomic int32_t n_coming; /* servers given to the worker, on their way; by any thread */
	bool hungry;              /* of that worker alone, see share_open */
	uint64_t load_us;         /* when `load` was sampled last; of that worker alone */
	/* reads since the start, for route/outlier; they wrap */
	_Atomic uint32_t n_units, n_failures, log_sum;
};

struct share_node {
	struct budget open;       /* servers of all pools; limit: max_node_connections */
	struct budget logins;     /* connection attempts under way; limit: max_server_logins */
	_Atomic int32_t n_pools;  /* pools with a server open, or hungry */
	_Atomic int32_t n_hungry; /* pools below their fair share that wait for `open` */
};

struct share_database {
	struct budget open;    /* limit: max_db_connections */
	struct budget clients; /* limit: max_db_client_connections */
	char name[SHARE_NAME_MAX];
	_Atomic uint32_t host;     /* load_balance_hosts = disable: index of the host in use */
	_Atomic uint64_t used_us;  /* when a worker last had a client or a server of it */
	_Atomic uint32_t verdicts; /* on outliers among its pools' nodes; it wraps */
	_Atomic bool seq_asked;    /* currval or lastval was called there, or may be out of sight */
	_Atomic uint64_t
		seq_looked_us;   /* when its objects were last looked at for that; 0: never */
	struct mark_board board; /* of the database of this name on the servers */
};

struct share_user {
	struct budget open;    /* limit: max_user_connections */
	struct budget clients; /* limit: max_user_client_connections */
	char name[SHARE_NAME_MAX];
};

struct share_pool {
	/* set once */
	struct share_database *db;
	struct share_user *user;
	struct share_node *node;
	uint16_t node_id;
	uint16_t n_workers;
	/* by any thread */
	struct budget open;       /* limit: pool_size; the reserve goes beyond it */
	struct budget pinned;     /* limit: max_pinned */
	_Atomic int32_t claims;   /* servers open, and hungry workers */
	_Atomic int32_t n_hungry; /* hungry workers */
	_Atomic int32_t owed;     /* servers that another process asks for, see share_owe */
	/* see worker/balance.h: by who holds the claim */
	_Atomic bool judging;
	uint64_t judged_us;
	struct outlier outlier;
	uint32_t seen_units, seen_failures, seen_log_sum;
	_Atomic uint64_t ejected_us, back_us; /* until when, 0: it is in; when it was taken back */
	_Atomic uint64_t ejections[2];        /* ever: for errors, for latency */
	/* each by its worker */
	struct share_slot slots[];
};

/* n_workers: 1..BUDGET_WORKERS_MAX. Errors: E_NOMEM. */
enum status share_new(unsigned n_workers, size_t capacity, const struct hash_key *key,
	struct share **out) MUST_USE;
void share_free(struct share *s); /* NULL ok */

/*
 * The entry, made at the first call with limits of 0 (none): always the same pointer.
 * Errors: E_LIMIT capacity or length of a name, E_NOMEM.
 */
enum status share_pool_get(struct share *s, const char *db, const char *user, uint16_t node,
	struct share_pool **out) MUST_USE;
enum status share_database_get(
	struct share *s, const char *name, struct share_database **out) MUST_USE;
enum status share_user_get(struct share *s, const char *name, struct share_user **out) MUST_USE;
struct share_node *share_node_get(struct share *s, uint16_t node); /* node < SHARE_NODES_MAX */

/* Next pool at or after *pos; NULL at the end. Start with 0. For SHOW and reload. */
struct share_pool *share_pool_next(struct share *s, size_t *pos);

/* --- the right to have a server --- */

enum share_full { SHARE_FULL_POOL, SHARE_FULL_DATABASE, SHARE_FULL_USER, SHARE_FULL_NODE };

/*
 * The right to open one server: one of the budgets of pool, database, user and node each, or none.
 * extra: servers allowed beyond pool_size now (share_reserve).
 * Errors: E_AGAIN: *full is; a unit waits, and worker `self` is woken when it may try again.
 * *wake: workers to wake, or'ed into it; `self` may be among them and is to be treated as the
 * others: whoever is woken tries share_open again for each of its pools in which a unit waits, and
 * closes idle servers of pools that share_pool_gives_back. It may be woken in vain.
 */
enum status share_open(struct share_pool *p, unsigned self, uint32_t extra, enum share_full *full,
	uint64_t *wake) MUST_USE;

/* One more is open, in another process, whether there is a place or not (control/takeover.h). */
void share_take_over(struct share_pool *p);

/*
 * The same for another process, of which this one holds the places (control/takeover.h). If there
 * is none, share_owe has the pool give one back before it opens any more for itself; share_owe with
 * -1 when it has, or when nobody asks any more. Other pools give back what idles, as for a worker
 * that waits: for worker 0, which is woken in vain; the caller is to ask again.
 */
enum status share_open_elsewhere(struct share_pool *p, uint64_t *wake) MUST_USE;
void share_owe(struct share_pool *p, int by);

/* A server is gone, or was never opened. *wake: as in share_open. */
void share_close(struct share_pool *p, uint64_t *wake);

/* No unit waits in the pool on this worker any more. *wake: as in share_open. */
void share_sated(struct share_pool *p, unsigned self, uint64_t *wake);

/*
 * Servers that may be opened beyond pool_size: reserve_pool_size once the oldest unit has waited
 * for reserve_pool_timeout_us (0: never). oldest_waiter_us: 0 if none waits.
 */
uint32_t share_reserve(uint32_t reserve_pool_size, uint64_t reserve_pool_timeout_us,
	uint64_t oldest_waiter_us, uint64_t now_us);

/*
 * How long a failed login keeps a pool from the next: retry_us and by chance up to an eighth more,
 * so that pools and processes do not storm a node that comes back. `random`: any bits.
 */
uint64_t share_retry_us(uint64_t retry_us, uint64_t random);

/* --- a node's budget, shared fairly --- */

/*
 * A pool's fair share of a node is limit / n_pools. While a pool below its share (or without any
 * server) waits for the node, a pool above its share closes what it releases and what idles.
 */
struct share_fair {
	uint32_t limit;   /* of the node; 0: none */
	uint32_t n_pools; /* that use or want the node */
	uint32_t n_hungry;
};
struct share_fair share_fair_of(const struct share_node *n);
bool share_is_below(const struct share_fair *f, uint32_t n_open);
bool share_gives_back(const struct share_fair *f, uint32_t n_open);

/* The same for a pool now: asked at a release, and for idle servers after a wake. */
bool share_pool_gives_back(const struct share_pool *p);

/* --- publish, then look again --- */

/* since_us: waitq_oldest_us, 0 when none waits any more. */
static inline void share_publish_waiter(struct share_pool *p, unsigned self, uint64_t since_us)
{
	atomic_store(&p->slots[self].oldest_waiter_us, since_us);
}

static inline void share_publish_idle(struct share_pool *p, unsigned self, uint32_t n_idle)
{
	atomic_store(&p->slots[self].n_idle, n_idle);
}

/* How many servers the worker has, in any state. */
static inline void share_publish_servers(struct share_pool *p, unsigned self, uint32_t n)
{
	atomic_store_explicit(&p->slots[self].n_servers, n, memory_order_relaxed);
}

/*
 * So many units of the pool wait or run on the worker now: a moving average is kept, over
 * SHARE_LOAD_INERTIA samples and as many milliseconds at least. A shorter one would follow the
 * clients' own rhythm, and the servers it.
 */
static inline void share_publish_load(
	struct share_pool *p, unsigned self, uint32_t n_units, uint64_t now_us)
{
	struct share_slot *x = &p->slots[self];
	int64_t now = (int64_t)n_units * SHARE_LOAD_ONE, old;

	if (now_us < x->load_us + SHARE_LOAD_EVERY_US)
		return;
	x->load_us = now_us;
	old = atomic_load_explicit(&x->load, memory_order_relaxed);
	atomic_store_explicit(
		&x->load, (uint32_t)(old + (now - old) / SHARE_LOAD_INERTIA), memory_order_relaxed);
}

/* A server sets out to worker `to` (+1), or has arrived or will not come (-1). */
static inline void share_coming(struct share_pool *p, unsigned to, int32_t delta)
{
	atomic_fetch_add_explicit(&p->slots[to].n_coming, delta, memory_order_relaxed);
}

/* Another worker with an idle server of the pool; SHARE_NONE if there is none. */
unsigned share_find_idle(const struct share_pool *p, unsigned self);

/*
 * The worker whose unit waits longest in the pool; SHARE_NONE if none waits.
 */
unsigned share_longest_waiter(const struct share_pool *p);

/*
 * Who gets the server that worker `self` has free: the worker whose unit waits longest, or `self`
 * if its own waits at most SHARE_PATIENCE_US less long. Where the other worker would then have more
 * servers for its load than this one, its own servers will see to it: its unit must wait twice as
 * long as our own and SHARE_UNFAIR_US more, or share_lends must say so if none of ours waits. (Age
 * alone would give it one server after another until its line has shrunk, and then too many, to and
 * fro.) SHARE_NONE: the server idles. A worker whose unit still waits after SHARE_PATIENCE_US calls
 * share_find_idle again.
 */
unsigned share_whose_turn(const struct share_pool *p, unsigned self, uint64_t now_us);

/*
 * Does worker `self`, where no unit waits, let worker `to` have a server that has been idle for so
 * long? Yes if that one has fewer for its load, if the server has been idle for SHARE_PATIENCE_US,
 * or the unit there has waited for SHARE_LULL_US. Else this is a moment between two bursts, and the
 * server would be missed by the next. No if no unit waits there (any more).
 */
bool share_lends(
	const struct share_pool *p, unsigned self, unsigned to, uint64_t idle_us, uint64_t now_us);

/* Over all workers, for SHOW. */
uint32_t share_n_idle(const struct share_pool *p);
uint64_t share_oldest_waiter_us(const struct share_pool *p); /* 0: none */

#endif
