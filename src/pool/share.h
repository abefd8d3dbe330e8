/*
 * share - what workers share of pools: an append-only registry of pools (database, user, node),
 * databases, users and nodes with their budgets, and per pool and worker how many servers idle and
 * since when the oldest unit waits.
 * Owns:    its entries, which live as long as the registry.
 * Threads: any, lock-free; per-worker slots are written by their worker alone.
 * Bounds:  `capacity` entries; share_*_get report E_LIMIT beyond.
 *
 * Publish, then look again. A worker that queues a unit:
 *     share_publish_waiter(p, self, since); w = share_find_idle(p, self);
 * and asks worker w, if any, for its server. A worker that idles a server:
 *     share_publish_idle(p, self, n);       w = share_longest_waiter(p, self, slack_us);
 * and gives the server to worker w, if any. All sequentially consistent, so at least one of two
 * that do this at the same time sees the other: no server idles while a unit waits.
 */
#ifndef PGWEIR_POOL_SHARE_H
#define PGWEIR_POOL_SHARE_H

#include "base/map.h"
#include "base/status.h"
#include "pool/budget.h"

#define SHARE_NAME_MAX  64u /* bytes of a database's or user's name, the NUL counted */
#define SHARE_NODES_MAX 256u
#define SHARE_NONE      UINT32_MAX

struct share;

/* One worker's part of a pool; a cache line of its own. */
struct share_slot {
	_Alignas(64) _Atomic uint32_t n_idle;
	_Atomic uint64_t oldest_waiter_us; /* 0: none */
	bool hungry;                       /* that worker alone */
};

struct share_node {
	struct budget open;       /* server connections of all pools; limit: max_node_connections */
	struct budget logins;     /* connection attempts under way; limit: max_server_logins */
	_Atomic uint32_t n_pools; /* pools with a server open, or hungry */
	_Atomic uint32_t
		n_hungry; /* pools below their fair share that wait for the node's budget */
};

struct share_database {
	struct budget open; /* limit: max_db_connections */
	struct budget clients;
	char name[SHARE_NAME_MAX];
};

struct share_user {
	struct budget open; /* limit: max_user_connections */
	struct budget clients;
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
	struct budget open;        /* limit: pool_size; the reserve goes beyond it */
	struct budget pinned;      /* limit: max_pinned */
	_Atomic uint32_t claims;   /* servers open and hungry workers */
	_Atomic uint32_t n_hungry; /* hungry workers */
	/* by worker */
	struct share_slot slots[];
};

/* n_workers: 1..BUDGET_WORKERS_MAX. capacity: entries of each kind. Errors: E_NOMEM. */
enum status share_new(unsigned n_workers, size_t capacity, const struct hash_key *key,
	struct share **out) MUST_USE;
void share_free(struct share *s);

/*
 * The entry, made at the first call with limits of 0 (none). Any thread; always the same pointer.
 * Errors: E_LIMIT capacity or name length, E_NOMEM.
 */
enum status share_pool_get(struct share *s, const char *db, const char *user, uint16_t node,
	struct share_pool **out) MUST_USE;
enum status share_database_get(
	struct share *s, const char *name, struct share_database **out) MUST_USE;
enum status share_user_get(struct share *s, const char *name, struct share_user **out) MUST_USE;
struct share_node *share_node_get(struct share *s, uint16_t node); /* node < SHARE_NODES_MAX */

/* Next pool at or after *pos; NULL at the end. Start with 0. For SHOW. */
struct share_pool *share_pool_next(struct share *s, size_t *pos);

/* --- opening and closing servers --- */

/*
 * The right to open one server of the pool: one of pool, database, user and node, or none.
 * extra: servers allowed beyond pool_size (share_reserve). OK; E_AGAIN: full, and the worker is
 * noted as waiting (it is woken by a `wake` of another one); *full tells what was full.
 * *wake: workers to wake, or'ed into it.
 */
enum share_full { SHARE_FULL_POOL, SHARE_FULL_DATABASE, SHARE_FULL_USER, SHARE_FULL_NODE };
enum status share_open(struct share_pool *p, unsigned self, uint32_t extra, enum share_full *full,
	uint64_t *wake) MUST_USE;

/* A server is gone, or was never opened. *wake: workers that wait for what it gave back. */
void share_close(struct share_pool *p, uint64_t *wake);

/* No unit of this worker waits in the pool any more: it is not to be woken. */
void share_sated(struct share_pool *p, unsigned self);

/*
 * Servers beyond pool_size that may be opened now: reserve_pool_size once the oldest unit has
 * waited reserve_pool_timeout (0: off).
 */
uint32_t share_reserve(uint32_t reserve_pool_size, uint64_t reserve_pool_timeout_us,
	uint64_t oldest_waiter_us, uint64_t now_us);

/*
 * Whether a pool with `n_open` servers on a node must close one instead of idling or handing it on:
 * a pool below its fair share waits for the node's budget, and this one is above it.
 * n_pools: pools that use or want the node, 1 or more. limit 0: never.
 */
bool share_gives_back(uint32_t n_open, uint32_t limit, uint32_t n_pools, uint32_t n_hungry);
/* The same, asked for a pool at a release, and for an idle server now and then. */
bool share_pool_gives_back(const struct share_pool *p);

/* --- publish, then look again --- */

/* since_us: waitq_oldest_us; 0 when none waits any more. */
static inline void share_publish_waiter(struct share_pool *p, unsigned self, uint64_t since_us)
{
	atomic_store(&p->slots[self].oldest_waiter_us, since_us);
}

static inline void share_publish_idle(struct share_pool *p, unsigned self, uint32_t n_idle)
{
	atomic_store(&p->slots[self].n_idle, n_idle);
}

/* Another worker with an idle server of the pool, SHARE_NONE if there is none. */
unsigned share_find_idle(const struct share_pool *p, unsigned self);

/*
 * The worker whose unit has waited longest in the pool; `self` if its own has waited at most
 * slack_us less than that; SHARE_NONE if none waits.
 */
unsigned share_longest_waiter(const struct share_pool *p, unsigned self, uint64_t slack_us);

/* Sums over workers, for SHOW. */
uint32_t share_n_idle(const struct share_pool *p);
uint64_t share_oldest_waiter_us(const struct share_pool *p); /* 0: none */

#endif
