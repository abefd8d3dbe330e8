/*
 * gather - the rows of all workers, summed: pools, statistics, routes, errors. One gathering runs
 * at a time and serves all who asked before it began, so that many consoles cost no more than one.
 * Owns:    a struct gathered until its last holder releases it.
 * Bounds:  GATHER_ROWS_MAX rows of a kind (E_LIMIT beyond), GATHERED_MAX results held at a time;
 *          who asks then waits for one to be released.
 */
#ifndef PGWEIR_CONTROL_GATHER_H
#define PGWEIR_CONTROL_GATHER_H

#include "base/arena.h"
#include "control/collect.h"
#include "control/merge.h"

#define GATHER_ROWS_MAX 20000u
#define GATHERED_MAX    8u

enum { /* bits: what to gather */
	GATHER_POOLS = 1u << SHOW_ROWS_POOLS,
	GATHER_STATS = 1u << SHOW_ROWS_STATS,
	GATHER_ROUTES = 1u << SHOW_ROWS_ROUTES,
	GATHER_ERRORS = 1u << SHOW_ROWS_ERRORS,
	GATHER_WORKERS = 1u << SHOW_ROWS_WORKER,
	GATHER_PEERS = 1u << SHOW_ROWS_PEERS,
	GATHER_QUERIES = 1u << SHOW_ROWS_QUERIES,
	GATHER_WAITS = 1u << SHOW_ROWS_WAITS,
	GATHER_MISUSE = 1u << SHOW_ROWS_MISUSE,
};

/* Of a name: a database or a user. */
struct name_sum {
	const char *name;
	uint32_t clients, servers;
};

struct gathered {
	uint32_t n_refs;
	uint32_t what; /* bits that were gathered */
	struct arena arena;
	/* sorted by their names, then node */
	size_t n_pools, n_stats, n_routes, n_errors, n_databases, n_users;
	struct pool_sum **pools;
	struct show_stats_row **stats;
	struct show_route_row **routes;
	struct show_error_row **errors;
	size_t n_queries, n_waits, n_misuse;
	struct show_wait_row **waits;
	struct show_misuse_row **misuse;             /* by the time, longest first */
	struct show_query_row **queries;             /* by the time of servers, longest first */
	struct name_sum *databases, *users;          /* from the pools */
	struct show_worker_row workers[WORKERS_MAX]; /* by worker */
	size_t n_peers; /* those for which there are requests; each is served by one worker */
	struct show_peer_row peers[PEERS_MAX];
};

struct gather;

struct gather_request {
	struct list link;
	uint32_t what;
	/* `g` is held by the callee (gathered_release), or NULL: `st` tells why. */
	void (*done)(struct gather_request *r, struct gathered *g, enum status st);
};

enum status gather_new(struct env *env, struct collector *c, struct gather **out) MUST_USE;
void gather_free(struct gather *g); /* nothing is held or asked for any more */

/* `done` comes later, never from inside. */
void gather_ask(struct gather *g, struct gather_request *r, uint32_t what);
void gather_cancel(struct gather_request *r); /* at any time after list_init of its link */

void gathered_release(struct gather *g, struct gathered *d); /* NULL is allowed */

/* Zero sums if the name is not there. */
struct name_sum gathered_database(const struct gathered *d, const char *name);
struct name_sum gathered_user(const struct gathered *d, const char *name);

#endif
