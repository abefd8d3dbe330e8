#include "worker/pick.h"

#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "route/params.h"
#include "worker/fit.h"
#include "worker/moving.h"
#include "worker/ours.h"
#include "worker/signals.h"
#include "worker/worker.h"

struct chooser {
	struct choose_in in;
	struct marks marks; /* consistency = database: the client's, and the database's write */
	struct choose_load load[CONF_DB_NODES_MAX];
};

enum choose_consistency pick_configured(const struct client *c)
{
	static const enum choose_consistency modes[] = {
		[CONSISTENCY_UNSET] = CHOOSE_SESSION_MARKS,
		[CONSISTENCY_EVENTUAL] = CHOOSE_EVENTUAL,
		[CONSISTENCY_SESSION] = CHOOSE_SESSION_MARKS,
		[CONSISTENCY_DATABASE] = CHOOSE_DATABASE_MARKS,
		[CONSISTENCY_STRONG] = CHOOSE_STRONG,
	};

	return modes[c->acc->consistency];
}

/*
 * All that the client asks for: by parameters, a hint of its block, hints of the unit. Most ask for
 * nothing but the last, which need no merging; else it is merged in `room`.
 */
static inline const struct ask *asked(const struct client *c, struct ask *room)
{
	const struct ask *of_block = NULL;

	if ((c->txn == TXN_DEFERRED || c->busy->moves >= MOVES_REPLICA ||
		    c->busy->moves == MOVES_SHADOW) &&
		c->busy->deferred != NULL)
		of_block = &c->busy->deferred->ask;
	if (c->params == NULL && of_block == NULL)
		return &c->busy->unit.ask;
	*room = (struct ask){0};
	if (c->params != NULL)
		*room = *params_now(c->params);
	if (of_block != NULL)
		ask_merge(room, of_block);
	ask_merge(room, &c->busy->unit.ask);
	return room;
}

static enum choose_consistency consistency_of(const struct client *c, const struct ask *a)
{
	return a->consistency != 0 ? (enum choose_consistency)(a->consistency - 1)
				   : pick_configured(c);
}

enum choose_consistency pick_consistency(const struct client *c)
{
	struct ask room;

	return consistency_of(c, asked(c, &room));
}

bool pick_asks_replica(const struct client *c)
{
	struct ask room;

	return asked(c, &room)->route == CHOOSE_ROUTE_REPLICA + 1 && c->db->conf != NULL &&
	       pick_route(c->db->conf) == CHOOSE_ROUTE_AUTO;
}

bool pick_asks_primary(const struct client *c)
{
	struct ask room;

	return asked(c, &room)->route == CHOOSE_ROUTE_PRIMARY + 1;
}

/* In a block only one that has a single snapshot can do without: its first statement counts. */
bool pick_sees_others(const struct client *c)
{
	enum choose_consistency mode = pick_consistency(c);

	return mode == CHOOSE_DATABASE_MARKS || mode == CHOOSE_STRONG;
}

enum sql_isolation pick_isolation(const struct client *c)
{
	static const struct {
		const char *text;
		enum sql_isolation level;
	} levels[] = {
		{"read uncommitted", ISOLATION_READ_UNCOMMITTED},
		{"read committed", ISOLATION_READ_COMMITTED},
		{"repeatable read", ISOLATION_REPEATABLE_READ},
		{"serializable", ISOLATION_SERIALIZABLE},
	};
	const struct sql_modes *m = &c->busy->deferred->modes;
	const char *v;

	if (m->isolation != ISOLATION_UNSET)
		return (enum sql_isolation)m->isolation;
	v = settings_get(c->set.current, "default_transaction_isolation");
	for (size_t i = 0; v != NULL && i < sizeof levels / sizeof *levels; i++)
		if (strcasecmp(v, levels[i].text) == 0)
			return levels[i].level;
	return ISOLATION_UNSET;
}

bool pick_block_is_read_only(const struct client *c)
{
	uint8_t read_only = c->busy->deferred->modes.read_only;
	const char *v;

	if (read_only != TRI_UNSET)
		return read_only == TRI_YES;
	v = settings_get(c->set.current, "default_transaction_read_only");
	if (v == NULL)
		v = baseline_get(&c->acc->baseline, "default_transaction_read_only");
	return v != NULL && strcasecmp(v, "on") == 0;
}

/* A READ ONLY block that may run on a replica. */
static bool is_read_only_block(const struct client *c)
{
	enum sql_isolation isolation = pick_isolation(c);

	return !c->busy->deferred->modes.needs_primary && pick_block_is_read_only(c) &&
	       isolation != ISOLATION_SERIALIZABLE &&
	       (isolation == ISOLATION_REPEATABLE_READ || !pick_sees_others(c));
}

static COLD bool lacks_primary(const struct client *c)
{
	const struct topo_cluster *cluster = fit_cluster(c->w, c->acc);

	return cluster != NULL && cluster->primary == TOPO_NONE;
}

/*
 * A READ ONLY block that has left its replica goes on on the primary; while there is none its reads
 * may do so on another replica.
 */
static bool may_be_on_a_replica(const struct client *c)
{
	return c->busy->moves != MOVES_DONE || (lacks_primary(c) && moving_confirms(c));
}

/* A standby refuses all that it says. */
static inline bool is_serializable(const struct client *c)
{
	return c->default_serializable == TRI_YES ||
	       (c->default_serializable == TRI_UNSET && c->acc->serializable);
}

enum choose_kind pick_kind(const struct client *c)
{
	const struct unit *u = &c->busy->unit;

	if (c->busy->streaming)
		return CHOOSE_STREAMED;
	if (c->busy->force_primary || is_serializable(c))
		return CHOOSE_UNKNOWN;
	if (c->txn == TXN_DEFERRED && c->had_broken && !lacks_primary(c))
		return CHOOSE_TRANSACTION;
	if (c->txn == TXN_DEFERRED) {
		/* A statement that only the primary answers rightly takes the block there. */
		bool fits = u->flags & SQLV_REPLICA || u->asks_replica ||
			    u->flags & SQLV_USES_CURSOR || (u->cls == SQL_SESSION && u->pins == 0);

		if (is_read_only_block(c) && fits && may_be_on_a_replica(c))
			return CHOOSE_READ_BLOCK;
		return c->db->moves && moving_may_begin(c) ? CHOOSE_TXN_READ : CHOOSE_TRANSACTION;
	}
	if ((u->flags & SQLV_REPLICA && u->pins == 0) || u->asks_replica)
		return CHOOSE_READ;
	switch ((enum sql_class)u->cls) {
	case SQL_WRITE:
		return CHOOSE_WRITE;
	case SQL_SESSION:
		return CHOOSE_SESSION;
	case SQL_TXN:
		return CHOOSE_TRANSACTION;
	case SQL_EMPTY:
	case SQL_READ:
	case SQL_UNKNOWN:
		break;
	}
	return c->db->catalog != NULL ? CHOOSE_UNKNOWN : CHOOSE_NO_CATALOG;
}

enum choose_route pick_route(const struct conf_db *db)
{
	if (!db->routing)
		return CHOOSE_ROUTE_OFF;
	switch (db->route) {
	case ROUTE_PRIMARY:
		return CHOOSE_ROUTE_PRIMARY;
	case ROUTE_REPLICA:
		return CHOOSE_ROUTE_REPLICA;
	case ROUTE_AUTO:
		break;
	}
	return CHOOSE_ROUTE_AUTO;
}

/* Of how many of 256 reads the node is kept, as it has been back for a short time only. */
static inline uint8_t held_256(const struct worker *w, const struct pool *p, uint64_t now_us)
{
	const struct topo_node *n = topology_node(w->topology, (uint16_t)p->node);
	uint64_t taken_back_us = atomic_load_explicit(&p->share->back_us, memory_order_relaxed);
	uint64_t back_us = n != NULL ? n->back_us : 0;

	if (taken_back_us > back_us)
		back_us = taken_back_us;
	if (back_us == 0)
		return 0;
	/* It is not our clock reading. */
	return choose_held_256(now_us > back_us ? now_us - back_us : 0, w->conf->slow_start_us);
}

/* The account's nodes that cannot be connected to, as far as is known, or not by this unit. */
static inline uint64_t unreachable(const struct worker *w, const struct client *c)
{
	const struct account *acc = c->acc;
	uint64_t set = 0;

	if (w->now_us >= acc->retry_at_us && c->busy->avoid_node == NODES_MAX)
		return 0;
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		const struct pool *p = acc->pools[i];

		if (w->now_us < p->retry_at_us || p->node == c->busy->avoid_node)
			set |= 1ull << i;
	}
	return set;
}

/* What tells one node from another, whatever its load. False: nothing does. */
static bool fill_odds(const struct worker *w, const struct account *acc, struct choose_load *load)
{
	const struct conf_db_node *nodes = acc->db->conf->nodes;
	unsigned odd = 0;

	for (uint32_t i = 0; i < acc->n_pools; i++) {
		const struct pool *p = acc->pools[i];
		struct choose_load *l = &load[i];

		l->is_far = nodes[i].is_far;
		l->is_ejected = pool_is_ejected(p, w->now_us);
		l->held_256 = held_256(w, p, w->now_us);
		odd |= (unsigned)l->is_far | l->is_ejected | l->held_256;
	}
	return odd != 0;
}

/*
 * The same, looked at anew only with a new topology, verdict on an outlier, or configuration: of
 * nodes that are even, time makes none odd.
 */
static bool has_odds(const struct worker *w, struct account *acc, struct choose_load *load)
{
	uint64_t topology = w->topology->generation + 1;
	uint32_t verdicts = atomic_load(&acc->share_db->verdicts);

	if (acc->even_topology == topology && acc->even_verdicts == verdicts)
		return false;
	if (fill_odds(w, acc, load))
		return true;
	acc->even_topology = topology;
	acc->even_verdicts = verdicts;
	return false;
}

/* What this worker knows of the nodes' loads. */
static inline void fill_loads(
	const struct worker *w, const struct account *acc, struct choose_load *load)
{
	const struct conf_db_node *nodes = acc->db->conf->nodes;
	const uint32_t n = acc->n_pools, size = acc->pool_size;
	const uint64_t now_us = w->now_us;

	for (uint32_t i = 0; i < n; i++) {
		const struct pool *p = acc->pools[i];
		struct choose_load *l = &load[i];

		*l = (struct choose_load){
			.outstanding = p->outstanding + (uint32_t)waitq_len(&p->line),
			.latency_us = pool_latency_us(p, now_us),
			.weight = (uint16_t)nodes[i].weight,
			.has_free = p->n_idle != 0 || size > budget_n(&p->share->open),
		};
	}
}

bool pick_keeps_host(const struct conf_db *db)
{
	return !db->routing && db->load_balance_hosts == HOST_BALANCE_DISABLE;
}

/* Which of the hosts comes first where they are equals. */
static uint32_t first_host(const struct account *acc)
{
	return pick_keeps_host(acc->db->conf) ? atomic_load(&acc->share_db->host)
					      : acc->round_robin;
}

static uint64_t fresh_until_us(const struct worker *w, const struct client *c)
{
	return c->busy->unit.arrived_us + w->conf->strong_wait_us;
}

/* The mark of the unit's arrival, and how long it may wait for it. */
static void fill_arrival(struct worker *w, struct client *c, const struct topo_cluster *cluster,
	struct choose_in *in)
{
	struct unit *u = &c->busy->unit;

	if (u->arrived_us == 0) {
		u->arrived_us = w->now_us;
		u->arrival = mark_at(mark_clock_load(&w->sh->clock));
	}
	mark_settle(&u->arrival, cluster);
	in->arrival = &u->arrival;
	in->wait_us = w->now_us < fresh_until_us(w, c) ? fresh_until_us(w, c) - w->now_us : 0;
}

/* What the unit must see, by its client's consistency. */
static void fill_marks(struct worker *w, struct client *c, const struct ask *a, struct chooser *ch)
{
	const struct topo_cluster *cluster = fit_cluster(w, c->acc);
	struct choose_in *in = &ch->in;

	in->marks = &c->marks;
	in->arrival = NULL;
	in->wait_us = 0;
	in->consistency = consistency_of(c, a);
	if (c->state == CLIENT_WELCOME)
		in->consistency = CHOOSE_EVENTUAL; /* nothing is read */
	if (cluster == NULL)
		return;
	marks_settle(&c->marks, cluster);
	if (in->consistency == CHOOSE_DATABASE_MARKS) {
		ch->marks = c->marks;
		ch->marks.write = *mark_of_all(&c->db->wrote, c->acc->board, cluster);
		in->marks = &ch->marks;
	} else if (in->consistency == CHOOSE_STRONG) {
		fill_arrival(w, c, cluster, in);
	}
}

static enum choose_primary_reads primary_reads_of(const struct account *acc)
{
	switch (acc->primary_reads) {
	case PRIMARY_READS_NEVER:
		return CHOOSE_PRIMARY_NEVER;
	case PRIMARY_READS_SHARE:
		return CHOOSE_PRIMARY_SHARE;
	case PRIMARY_READS_UNSET:
	case PRIMARY_READS_FALLBACK:
		break;
	}
	return CHOOSE_PRIMARY_FALLBACK;
}

/* What the client has asked for, but never against what the entry is for. */
static enum choose_route route_of(const struct conf_db *db, const struct ask *a)
{
	enum choose_route route = pick_route(db);

	return route == CHOOSE_ROUTE_AUTO && a->route == CHOOSE_ROUTE_PRIMARY + 1
		       ? CHOOSE_ROUTE_PRIMARY
		       : route;
}

/* What is asked for only where nodes are compared. */
static void chooser_compare(
	struct worker *w, struct client *c, const struct ask *a, struct chooser *ch)
{
	struct account *acc = c->acc;
	struct choose_in *in = &ch->in;

	fill_loads(w, acc, ch->load);
	in->load = ch->load;
	in->uneven = has_odds(w, acc, ch->load) && acc->n_pools > 1;
	in->primary_reads = acc->n_pools > 1 ? primary_reads_of(acc) : CHOOSE_PRIMARY_FALLBACK;
	in->max_lag_us = a->has_max_lag ? a->max_lag_us : acc->max_lag_us;
	in->floor = a->min_lsn;
	in->now_us = w->now_us;
	in->sample_grace_us = w->conf->lag_check_interval_us;
	in->random = (uint32_t)worker_random(w);
	in->asks_replica = a->route == CHOOSE_ROUTE_REPLICA + 1 && in->route == CHOOSE_ROUTE_AUTO;
	fill_marks(w, c, a, ch);
}

static void chooser_fill(
	struct worker *w, struct client *c, enum choose_kind kind, struct chooser *ch)
{
	const struct account *acc = c->acc;
	const struct conf_db *db = c->db->conf;
	struct ask room;
	const struct ask *a = asked(c, &room);
	struct choose_in *in = &ch->in;

	in->topo = w->topology;
	in->nodes = acc->nodes;
	in->unreachable = unreachable(w, c);
	in->n_nodes = (uint16_t)acc->n_pools;
	in->cluster = (uint16_t)db->cluster_id;
	in->kind = kind;
	in->route = route_of(db, a);
	if (choose_compares(in))
		chooser_compare(w, c, a, ch);
	else if (in->route == CHOOSE_ROUTE_OFF)
		in->random = first_host(acc);
}

static void want_sample(struct worker *w)
{
	struct mark_clock *clock = &w->sh->clock;
	uint64_t number = mark_clock_load(clock);
	bool wanted = mark_clock_is_wanted(clock, number);

	mark_clock_want(clock, number);
	if (!wanted)
		w->sh->control.wake(w->sh->control.wake_arg);
}

/* Where nothing is to be chosen: as choose_pool. */
static struct pool *only_pool(struct worker *w, struct client *c)
{
	struct pool *p = c->acc->pools[0];
	bool conn_ok = unreachable(w, c) == 0;

	c->busy->route_reason = CHOOSE_BY_ONLY_NODE;
	c->busy->route_hint = conn_ok ? CHOOSE_HINT_NONE : CHOOSE_HINT_CONNECT;
	c->busy->needs_primary = false;
	c->busy->by_sample = false;
	c->busy->waits_fresh = false;
	c->busy->block_read_only = false;
	return conn_ok ? p : NULL;
}

/* Was it the client's own word that decided? */
static uint8_t reason_of(
	const struct client *c, const struct choose_in *in, const struct choose_out *out)
{
	if (out->reason == CHOOSE_BY_ROUTE_PRIMARY && pick_route(c->db->conf) == CHOOSE_ROUTE_AUTO)
		return CHOOSE_BY_HINT;
	if (c->busy->unit.asks_replica && in->kind <= CHOOSE_READ_BLOCK &&
		choose_reason_is_replica(out->reason))
		return CHOOSE_BY_HINT;
	return out->reason;
}

/*
 * routing = shadow: note where the unit would go, and with a block's first unit all of the block,
 * and take the primary. Of a strong read it is taken that its sample comes in time.
 */
static struct pool *pick_shadow(struct worker *w, struct client *c, struct chooser *ch)
{
	struct choose_out would, out;

	ch->in.arrival = NULL;
	choose(&ch->in, &would);
	if (would.wants_sample)
		want_sample(w);
	c->busy->shadow_index = would.node != TOPO_NONE ? (int16_t)would.index : -1;
	c->busy->route_reason = reason_of(c, &ch->in, &would);
	c->busy->moves = c->txn == TXN_DEFERRED && choose_reason_is_replica(would.reason)
				 ? MOVES_SHADOW
				 : MOVES_NOT;
	ch->in.route = CHOOSE_ROUTE_PRIMARY;
	choose(&ch->in, &out);
	c->busy->route_hint = out.hint;
	c->busy->needs_primary = true;
	c->busy->by_sample = false;
	c->busy->waits_fresh = false;
	c->busy->block_read_only = false;
	return out.node != TOPO_NONE ? c->acc->pools[out.index] : NULL;
}

struct pool *pick_pool(struct worker *w, struct client *c, enum choose_kind kind)
{
	const struct conf_db *db = c->db->conf;
	struct busy *b = c->busy;
	struct chooser ch;
	struct choose_out out;
	bool on_replica;

	if (c->acc->n_pools == 1 && !db->routing)
		return only_pool(w, c);
	chooser_fill(w, c, kind, &ch);
	if (db->shadow)
		return pick_shadow(w, c, &ch);
	choose(&ch.in, &out);
	if (client_runs_again(c))
		b->route_reason = CHOOSE_BY_REPLAY;
	else if (b->moves == MOVES_DONE)
		b->route_reason = CHOOSE_BY_MOVED;
	else
		b->route_reason = reason_of(c, &ch.in, &out);
	on_replica = choose_reason_is_replica(out.reason);
	b->route_hint = out.hint;
	b->needs_primary = !on_replica && db->routing && db->route != ROUTE_REPLICA;
	b->by_sample = on_replica;
	b->waits_fresh = out.waits;
	/* One that has lost its replica gets another where the entry is for replicas. */
	b->block_read_only =
		on_replica && (kind == CHOOSE_READ_BLOCK ||
				      (b->moves == MOVES_DONE && pick_block_is_read_only(c)));
	if (on_replica && !b->force_primary && (kind == CHOOSE_TXN_READ || b->block_read_only))
		b->moves = MOVES_CHOSEN;
	else if (b->moves == MOVES_CHOSEN || b->moves == MOVES_SHADOW)
		b->moves = MOVES_NOT;
	if (out.wants_sample)
		want_sample(w);
	if (out.node == TOPO_NONE)
		return NULL;
	if (!db->routing)
		c->acc->round_robin++;
	return c->acc->pools[out.index];
}

void pick_look(struct worker *w, struct client *c, struct pick_view *v)
{
	struct chooser ch;
	struct ask room;

	v->asked = *asked(c, &room);
	chooser_fill(w, c, pick_kind(c), &ch);
	if (!choose_compares(&ch.in))
		chooser_compare(w, c, &v->asked, &ch); /* to be shown */
	ch.in.wait_us = 0; /* a strong read: as the present samples tell */
	choose(&ch.in, &v->out);
	v->reason = reason_of(c, &ch.in, &v->out);
	v->in = ch.in;
	v->marks = *ch.in.marks;
	memcpy(v->load, ch.load, sizeof v->load);
	v->in.load = v->load;
	v->in.marks = &v->marks;
}

bool pick_waits_fresh(struct worker *w, struct client *c)
{
	struct chooser ch;
	struct choose_out out;

	if (c->db->conf == NULL || c->db->paused)
		return false;
	if (c->busy->unit.ours)
		return ours_waits(w, c);
	if (c->db->conf->shadow)
		return false;
	chooser_fill(w, c, pick_kind(c), &ch);
	choose(&ch.in, &out);
	return out.waits;
}

bool pick_is_fit(struct worker *w, struct client *c, const struct pool *p)
{
	struct chooser ch;
	struct choose_out out;
	const struct pool *own;

	if (c->state == CLIENT_WELCOME)
		return true;
	own = c->busy->signals != NULL ? signals_pool(c) : NULL;
	if (own != NULL)
		return own == p;
	chooser_fill(w, c, pick_kind(c), &ch);
	if (c->db->conf->shadow)
		ch.in.route = CHOOSE_ROUTE_PRIMARY;
	if (pick_keeps_host(c->db->conf)) {
		choose(&ch.in, &out);
		return out.node == p->node;
	}
	return choose_is_fit(&ch.in, (uint16_t)p->index);
}

bool pick_shadow_is_fit(struct worker *w, struct client *c)
{
	struct chooser ch;

	if (c->busy->shadow_index < 0 || (uint32_t)c->busy->shadow_index >= c->acc->n_pools)
		return false;
	chooser_fill(w, c, pick_kind(c), &ch);
	return choose_is_fit(&ch.in, (uint16_t)c->busy->shadow_index);
}

void pick_leave_host(struct pool *p)
{
	const struct conf_db *db = p->acc->db->conf;
	uint32_t here = p->index;

	if (db != NULL && pick_keeps_host(db) && here != POOL_RETIRED)
		atomic_compare_exchange_strong(
			&p->acc->share_db->host, &here, (here + 1) % (uint32_t)db->n_nodes);
}
