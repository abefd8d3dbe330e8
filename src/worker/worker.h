/*
 * worker - one thread of the data plane: its loop, its clients, its server connections, its pools.
 * Owns:    every object reachable from struct worker; no other thread reads or writes any of it.
 * Touches: struct shared (snapshots, atomics, mailboxes), the clock once per loop turn.
 * Life:    worker_new in main's thread, worker_run in its own, worker_free after it has ended.
 *
 * Every function of this floor takes the worker first. Pointers into snapshots (w->conf and what
 * hangs on it, w->topology …) are valid until the end of the turn only.
 */
#ifndef PGWEIR_WORKER_WORKER_H
#define PGWEIR_WORKER_WORKER_H

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/wheel.h"
#include "net/conn.h"
#include "pool/waitq.h"
#include "worker/entropy.h"
#include "worker/shared.h"

struct busy_pool;
struct client;
struct keys;
struct listener;
struct notify;
struct queries;
struct settings_table;
struct stmt_table;
struct takeover;

/* A client's place in the worker; the number in its BackendKeyData names worker and slot. */
#define WORKER_SLOT_BITS 24u
#define WORKER_SLOTS_MAX (1u << WORKER_SLOT_BITS)

#define WORKER_LISTENERS_MAX 34u /* 16 addresses and a unix socket, for clients and for admins */

/* A listening socket that this worker accepts on. */
struct worker_listen {
	int fd;         /* main's; closed by main after the worker has ended */
	bool is_admin;  /* of admin_port or admin_socket_dir: console databases only */
	bool deal;      /* no SO_REUSEPORT: deal the sockets out to all workers in turn */
	bool is_passed; /* the service manager's: it listens on when we have ended */
};

struct worker_listener {
	struct worker *w;
	struct worker_listen listen;
	struct listener *listener;
};

struct worker_counts { /* SHOW WORKERS */
	uint64_t turns;
	uint64_t units;
	uint64_t handovers_in;
	uint64_t handovers_out;
	uint64_t found_out;     /* times that a server was asked what had been set */
	uint64_t custom_closed; /* servers closed for the custom parameters that they knew */
};

struct worker {
	/* fixed */
	uint32_t index;
	struct shared *sh;
	struct log *log;
	struct loop *loop;
	struct snap_reader *reader;
	struct conn_limits client_limits, server_limits;

	/* this turn's */
	uint64_t now_us;
	const struct conf *conf;
	const struct auth_users *users;
	const struct access *access;
	const struct topology *topology;
	const struct node_addrs *addrs;
	const struct catalogs *catalogs;
	const struct tls_set *tls;
	const struct admin_state *admin;
	const struct feed *feed; /* what is being looked at, see unit.c; NULL: nothing */

	/* what of the snapshots was last applied to the worker's own objects */
	const struct conf *conf_applied; /* compared, never followed; so is the next */
	const struct auth_users *users_applied;
	uint64_t topology_applied;
	uint32_t addrs_applied;
	uint32_t catalogs_applied, admin_applied;

	/* objects */
	struct wheel wheel;
	struct settings_table *settings;
	struct stmt_table *stmts;
	struct keys *keys;
	struct notify *notify;
	struct queries *queries;
	struct catalog *no_catalog;    /* of a database that has none yet; NULL: no memory */
	struct catalog *plain_catalog; /* of the built-in names alone; NULL: no memory */
	struct map dbases;             /* struct dbase by name */
	struct list dbase_list;
	struct list clients;          /* all of them */
	struct busy_pool *busy;       /* what is lent to those that are not at rest */
	struct list servers;          /* all of them */
	struct list waiting_pools;    /* somebody stands in a line of it */
	struct list retired_pools;    /* a server may still refer to them */
	struct list waiting_accounts; /* somebody waits for any node */
	struct waitq fresh;           /* units that wait for samples: consistency = strong */
	struct list cancels;          /* struct cancel */
	uint32_t n_cancels;
	struct list leaving;  /* connections that leave the loop at the end of the turn */
	uint32_t n_detaching; /* have left the worker, but not the loop yet */
	struct list dead_clients, dead_servers; /* closed in this turn; freed at its end */
	uint32_t n_clients, n_clients_login, n_servers;

	struct client **slots;
	uint32_t n_slots;
	uint32_t *slots_free; /* stack of free slot numbers */
	uint32_t n_slots_free;
	uint32_t n_slots_kept; /* slots below are for clients of the process that was taken over */
	struct takeover *takeover; /* another process takes over; NULL: none does */

	struct worker_listener listeners[WORKER_LISTENERS_MAX];
	uint32_t n_listeners;

	struct wheel_timer janitor;
	struct wheel_timer fresh_timer; /* the first of `fresh` has waited for strong_wait */
	struct wheel_timer borrow;      /* units have queued: see dispatch_borrow */
	uint64_t janitor_slow_us;       /* when its slower half ran last */
	uint64_t random;                /* state of worker_random */
	struct entropy entropy;         /* for what nobody may guess */
	uint32_t deal_next;             /* worker that gets the next unix-socket client */
	struct worker_counts counts;
	bool stopping;
	bool suspended; /* worker/suspend.h */
};

/* Errors: E_NOMEM, E_IO; E_LIMIT more than WORKER_LISTENERS_MAX. */
enum status worker_new(struct shared *sh, uint32_t index, const struct worker_listen *listens,
	uint32_t n_listens, struct worker **out) MUST_USE;
void worker_run(struct worker *w); /* until TELL_STOP; then posts ASK_STOPPED */
/* After all workers have ended, and before any is freed: drop the mail that came too late. */
void worker_drop_mail(struct worker *w);
void worker_free(struct worker *w);

static inline uint64_t worker_now_us(const struct worker *w)
{
	return w->now_us;
}

/* Wall clock of a monotonic time of this process; µs since 1970. 0 stays 0. */
static inline uint64_t worker_wall_us(const struct worker *w, uint64_t mono_us)
{
	return mono_us != 0 ? mono_us - w->sh->start_mono_us + w->sh->start_wall_us : 0;
}

/* Fast, not for secrets. */
static inline uint64_t worker_random(struct worker *w)
{
	uint64_t x = w->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return w->random = x;
}

const char *worker_node_name(struct worker *w, uint32_t node); /* "-": it is not configured */

/* Slots: E_LIMIT when the worker is full, E_NOMEM. */
enum status worker_slot_take(struct worker *w, struct client *c, uint32_t *slot) MUST_USE;
void worker_slot_give(struct worker *w, uint32_t slot);
/* Exchange the client's slot for this one. False: it is another's, or there is none such. */
bool worker_slot_move(struct worker *w, struct client *c, uint32_t slot);
void worker_slots_release(struct worker *w); /* none is kept any more */
/* Accept, if that was not begun when the worker was made (shared.opens_nothing), or paused. */
void worker_start_listening(struct worker *w);
/* Accept no more for now: who connects is left to who shares the sockets. */
void worker_pause_listening(struct worker *w);
/* Accept no more. refuse: who connects is refused at once, else left to who shares the sockets. */
void worker_stop_listening(struct worker *w, bool refuse);

/* A socket, a client's or a server's, as the configuration wants it. */
void worker_set_tcp(struct worker *w, struct conn *conn);

/* Allocate a message for another thread; NULL: no memory. */
void *worker_mail(size_t size, int kind);
void worker_tell(struct worker *w, uint32_t to, struct mail *m); /* moves m */
void worker_ask(struct worker *w, struct mail *m);  /* to the control thread; moves m */
void worker_wake(struct worker *w, uint64_t mask);  /* TELL_WAITER to each worker of the mask */
void worker_probe(struct worker *w, uint32_t node); /* the monitor shall look at the node now */

#endif
