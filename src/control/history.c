#include "control/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/effective.h"
#include "route/topology.h"

#define OFF_LOOK_US 1000000u /* how often it is looked whether it has been switched on */
#define WINDOW      (HISTORY_SAMPLES / 2) /* samples after which the older of two moments is dropped */

/* One (database, user, node); node -1: its clients. */
struct track {
	char database[NAME_LEN], user[NAME_LEN];
	int32_t node;
	uint32_t n; /* samples; those beyond HISTORY_SAMPLES have displaced the oldest */
	uint64_t busy_us, given;
	double rate, service_us;
	float used[HISTORY_SAMPLES];
	struct gather_hist waits[2]; /* older, newer moment */
	struct gather_hist wait_now;
};

/* Counters of all together. */
struct totals {
	uint64_t transactions, queries, errors, on_primary, on_replicas, cpu_us, busy_us;
	struct gather_hist query, wait;
};

struct history {
	struct env *env;
	struct gather *gather;
	struct gather_request request;
	struct wheel_timer timer;
	uint64_t at_us;     /* of the last sample */
	uint64_t period_us; /* that the samples are apart; 0: switched off, nothing is kept */
	uint64_t n;         /* samples since then */
	float samples[HISTORY_SAMPLES][HISTORY_COLUMNS];
	struct gather_hist hists[HISTORY_SAMPLES][HISTORY_HISTS]; /* before each of them */
	float clients[HISTORY_SAMPLES], cpu[HISTORY_SAMPLES];     /* as tracks, for headroom */
	struct totals then;
	uint32_t n_tracks;
	struct track *tracks[HISTORY_POOLS];
	uint32_t n_rows;
	struct headroom_row rows[HISTORY_POOLS + 2];
};

const char *history_column_name(enum history_column c)
{
	static const char *const names[] = {"transactions", "queries", "on_primary", "on_replicas",
		"errors", "query_p50", "query_p95", "query_p99", "wait_p50", "wait_p95", "wait_p99",
		"clients", "waiting", "servers", "busy", "pinned", "lag", "cpu"};

	_Static_assert(sizeof names / sizeof *names == HISTORY_COLUMNS, "each has a name");
	return c < HISTORY_COLUMNS ? names[c] : "?";
}

/* --- arithmetic --- */

static double per_s(uint64_t then, uint64_t now, uint64_t us)
{
	return now > then && us != 0 ? (double)(now - then) * 1e6 / (double)us : 0;
}

uint64_t history_quantile_us(
	const struct gather_hist *then, const struct gather_hist *now, double q)
{
	uint64_t count = now->count > then->count ? now->count - then->count : 0, below = 0;
	double rank = q * (double)count;

	if (count == 0)
		return 0;
	for (unsigned i = 0; i < GATHER_BUCKETS; i++) {
		uint64_t at_most = now->le[i] - then->le[i];

		if ((double)at_most >= rank) {
			double part = at_most > below
					      ? (rank - (double)below) / (double)(at_most - below)
					      : 1;

			return (uint64_t)((double)gather_bucket_us(i) * pow(4, part - 1));
		}
		below = at_most;
	}
	return gather_bucket_us(GATHER_BUCKETS - 1);
}

static void hist_add_all(struct gather_hist *to, const struct gather_hist *from)
{
	for (unsigned i = 0; i < GATHER_BUCKETS; i++)
		to->le[i] += from->le[i];
	to->count += from->count;
	to->sum_us += from->sum_us;
}

double history_every_s(const struct history *h)
{
	return (double)h->period_us / 1e6;
}

/* --- tracks --- */

static struct track *track_of(struct history *h, const struct pool_sum *p)
{
	struct track *t;

	for (uint32_t i = 0; i < h->n_tracks; i++) {
		t = h->tracks[i];
		if (t->node == p->node && strcmp(t->database, p->database) == 0 &&
			strcmp(t->user, p->user) == 0)
			return t;
	}
	if (h->n_tracks == HISTORY_POOLS || (t = calloc(1, sizeof *t)) == NULL)
		return NULL;
	memcpy(t->database, p->database, sizeof t->database);
	memcpy(t->user, p->user, sizeof t->user);
	t->node = p->node;
	t->busy_us = p->busy_us;
	t->given = p->given;
	h->tracks[h->n_tracks++] = t;
	return t;
}

static void track_sample(struct track *t, const struct pool_sum *p, uint64_t us)
{
	double used = per_s(t->busy_us, p->busy_us, us) / 1e6;

	t->rate = per_s(t->given, p->given, us);
	t->service_us = p->given > t->given && p->busy_us > t->busy_us
				? (double)(p->busy_us - t->busy_us) / (double)(p->given - t->given)
				: t->service_us;
	t->busy_us = p->busy_us;
	t->given = p->given;
	t->used[t->n++ % HISTORY_SAMPLES] = (float)used;
	t->wait_now = p->wait;
	if (t->n % WINDOW == 0) {
		t->waits[0] = t->waits[1];
		t->waits[1] = p->wait;
	}
}

/* The samples of a ring in order, oldest first; how many. */
static size_t unroll(const float *ring, uint64_t n, float out[HISTORY_SAMPLES])
{
	size_t kept = n < HISTORY_SAMPLES ? (size_t)n : HISTORY_SAMPLES;

	for (size_t i = 0; i < kept; i++)
		out[i] = ring[(n - kept + i) % HISTORY_SAMPLES];
	return kept;
}

static void fill(struct headroom_row *r, const float *ring, uint64_t n, double every_s)
{
	float all[HISTORY_SAMPLES] = {0};
	size_t kept = unroll(ring, n, all), some = kept < HISTORY_SOME ? kept : HISTORY_SOME;
	struct headroom_trend t = headroom_trend_of(all, kept, every_s);

	r->enough = kept >= HISTORY_SOME;
	for (size_t i = kept - some; i < kept; i++)
		r->used += (double)all[i] / (double)some;
	for (size_t i = 0; i < kept; i++)
		r->peak = fmax(r->peak, (double)all[i]);
	r->growth_per_hour = t.is_steady ? t.per_s * 3600 : 0;
	r->full_in_s = r->enough ? headroom_seconds_to(&t, r->limit) : -1;
}

static const struct track *clients_of(const struct history *h, const struct track *t)
{
	for (uint32_t i = 0; i < h->n_tracks; i++)
		if (h->tracks[i]->node < 0 && strcmp(h->tracks[i]->database, t->database) == 0 &&
			strcmp(h->tracks[i]->user, t->user) == 0)
			return h->tracks[i];
	return NULL;
}

static bool pool_row(const struct history *h, const struct track *t, struct headroom_row *r)
{
	const struct conf *conf = env_conf(h->env);
	const struct conf_db *db = conf_find_db(conf, t->database);
	const struct track *clients = clients_of(h, t);

	if (db == NULL || t->node < 0 || t->n == 0)
		return false;
	*r = (struct headroom_row){.of = HEADROOM_POOL,
		.database = t->database,
		.user = t->user,
		.node = t->node,
		.limit = conf_pool_size(conf, db, conf_find_user(conf, t->user)),
		.rate = t->rate,
		.service_us = t->service_us};
	fill(r, t->used, t->n, history_every_s(h));
	if (clients != NULL) {
		r->wait_p50_us = history_quantile_us(&clients->waits[0], &clients->wait_now, 0.50);
		r->wait_p95_us = history_quantile_us(&clients->waits[0], &clients->wait_now, 0.95);
		r->wait_p99_us = history_quantile_us(&clients->waits[0], &clients->wait_now, 0.99);
	}
	r->size_for_goal = r->service_us > 0 ? headroom_size_for(r->used, 0.95,
						       (double)conf->wait_goal_us / r->service_us)
					     : 1;
	return true;
}

/* Full first: by when, then by how much is used. */
static int compare_rows(const void *a, const void *b)
{
	const struct headroom_row *x = a, *y = b;
	double fx = x->full_in_s < 0 ? HUGE_VAL : x->full_in_s;
	double fy = y->full_in_s < 0 ? HUGE_VAL : y->full_in_s;
	double ux = x->used / x->limit, uy = y->used / y->limit;

	if (fx != fy)
		return fx < fy ? -1 : 1;
	return (ux < uy) - (ux > uy);
}

static void make_rows(struct history *h)
{
	struct headroom_row *r;

	h->n_rows = 0;
	for (uint32_t i = 0; i < h->n_tracks; i++)
		h->n_rows += pool_row(h, h->tracks[i], &h->rows[h->n_rows]);
	r = &h->rows[h->n_rows++];
	*r = (struct headroom_row){
		.of = HEADROOM_WORKERS, .node = -1, .limit = h->env->shared->n_workers};
	fill(r, h->cpu, h->n, history_every_s(h));
	r = &h->rows[h->n_rows++];
	*r = (struct headroom_row){
		.of = HEADROOM_CLIENTS, .node = -1, .limit = env_conf(h->env)->max_client_conn};
	fill(r, h->clients, h->n, history_every_s(h));
	qsort(h->rows, h->n_rows, sizeof *h->rows, compare_rows);
}

/* --- samples --- */

static void forget(struct history *h)
{
	for (uint32_t i = 0; i < h->n_tracks; i++)
		free(h->tracks[i]);
	h->n_tracks = h->n_rows = 0;
	h->n = h->period_us = 0;
}

static void sum_pools(const struct gathered *g, struct totals *sum, float *out)
{
	for (size_t i = 0; i < g->n_pools; i++) {
		const struct pool_sum *p = g->pools[i];

		hist_add_all(&sum->query, &p->query);
		hist_add_all(&sum->wait, &p->wait);
		out[HISTORY_SERVERS] += (float)pool_sum_servers(p);
		if (p->node < 0) {
			out[HISTORY_CLIENTS] += (float)pool_sum_clients(p);
			out[HISTORY_WAITING] += (float)p->cl_waiting;
			out[HISTORY_PINNED] += (float)p->pinned;
		}
		sum->busy_us += p->busy_us;
	}
}

static void sum_rest(const struct history *h, const struct gathered *g, struct totals *sum)
{
	const struct topology *topo = env_topology(h->env);

	for (size_t i = 0; i < g->n_stats; i++) {
		sum->transactions += g->stats[i]->xact_count;
		sum->queries += g->stats[i]->query_count;
	}
	for (size_t i = 0; i < g->n_errors; i++)
		if (g->errors[i]->source != ERROR_REPLAYED)
			sum->errors += g->errors[i]->n;
	for (size_t i = 0; i < g->n_routes; i++) {
		const struct topo_node *n =
			g->routes[i]->node >= 0 ? topology_node(topo, (uint16_t)g->routes[i]->node)
						: NULL;

		if (n != NULL && n->role == TOPO_ROLE_REPLICA)
			sum->on_replicas += g->routes[i]->n;
		else if (g->routes[i]->node >= 0)
			sum->on_primary += g->routes[i]->n;
	}
	for (uint32_t i = 0; i < h->env->shared->n_workers; i++)
		sum->cpu_us += g->workers[i].cpu_us;
}

static float lag_ms(const struct history *h)
{
	const struct conf *conf = env_conf(h->env);
	uint64_t most = 0;

	for (size_t i = 0; i < conf->n_nodes; i++) {
		const struct topo_node *n =
			topology_node(env_topology(h->env), (uint16_t)conf->nodes[i].id);

		if (n != NULL && n->role == TOPO_ROLE_REPLICA && n->lag_known && n->lag_us > most)
			most = n->lag_us;
	}
	return (float)most / 1000;
}

static void put_quantiles(float *out, const struct gather_hist *then, const struct gather_hist *now)
{
	static const double q[] = {0.50, 0.95, 0.99};

	for (unsigned i = 0; i < 3; i++)
		out[i] = (float)history_quantile_us(then, now, q[i]) / 1000;
}

/* Samples of another spacing tell no growth. What they count from stays. */
static void begin_anew(struct history *h, uint64_t period_us)
{
	h->period_us = period_us;
	h->n = 0;
	for (uint32_t i = 0; i < h->n_tracks; i++) {
		struct track *t = h->tracks[i];

		t->n = 0;
		t->waits[0] = t->waits[1] = t->wait_now;
	}
}

/* What has happened while it was switched off is no sample. */
static void resume(struct history *h, const struct gathered *g)
{
	float out[HISTORY_COLUMNS] = {0};

	memset(&h->then, 0, sizeof h->then);
	sum_pools(g, &h->then, out);
	sum_rest(h, g, &h->then);
	for (size_t i = 0; i < g->n_pools; i++)
		(void)track_of(h, g->pools[i]);
	h->at_us = env_now_us(h->env);
	begin_anew(h, env_conf(h->env)->history_period_us);
}

static void sample(struct history *h, const struct gathered *g)
{
	uint64_t now_us = env_now_us(h->env), us = now_us - h->at_us;
	uint64_t period_us = env_conf(h->env)->history_period_us;
	const struct totals *then = &h->then;
	struct totals sum = {.queries = 0};
	float *out;

	if (period_us != h->period_us)
		begin_anew(h, period_us);
	out = h->samples[h->n % HISTORY_SAMPLES];
	memset(out, 0, sizeof h->samples[0]);
	h->hists[h->n % HISTORY_SAMPLES][HISTORY_HIST_QUERY] = then->query;
	h->hists[h->n % HISTORY_SAMPLES][HISTORY_HIST_WAIT] = then->wait;
	sum_pools(g, &sum, out);
	sum_rest(h, g, &sum);
	out[HISTORY_TRANSACTIONS] = (float)per_s(then->transactions, sum.transactions, us);
	out[HISTORY_QUERIES] = (float)per_s(then->queries, sum.queries, us);
	out[HISTORY_ON_PRIMARY] = (float)per_s(then->on_primary, sum.on_primary, us);
	out[HISTORY_ON_REPLICAS] = (float)per_s(then->on_replicas, sum.on_replicas, us);
	out[HISTORY_ERRORS] = (float)per_s(then->errors, sum.errors, us);
	put_quantiles(&out[HISTORY_QUERY_P50], &then->query, &sum.query);
	put_quantiles(&out[HISTORY_WAIT_P50], &then->wait, &sum.wait);
	out[HISTORY_BUSY] = (float)(per_s(then->busy_us, sum.busy_us, us) / 1e6);
	out[HISTORY_CPU] = (float)(per_s(then->cpu_us, sum.cpu_us, us) / 1e6);
	out[HISTORY_LAG] = lag_ms(h);
	h->cpu[h->n % HISTORY_SAMPLES] = out[HISTORY_CPU];
	h->clients[h->n % HISTORY_SAMPLES] = out[HISTORY_CLIENTS];
	for (size_t i = 0; i < g->n_pools; i++) {
		struct track *t = track_of(h, g->pools[i]);

		if (t != NULL)
			track_sample(t, g->pools[i], us);
	}
	h->n++;
	h->then = sum;
	h->at_us = now_us;
	make_rows(h);
}

static void on_gathered(struct gather_request *r, struct gathered *g, enum status st)
{
	struct history *h = list_entry(r, struct history, request);

	(void)st;
	env_timer(h->env, &h->timer, env_conf(h->env)->history_period_us);
	if (g == NULL)
		return;
	if (h->period_us == 0)
		resume(h, g);
	else
		sample(h, g);
	gathered_release(h->gather, g);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct history *h = list_entry(t, struct history, timer);

	(void)ctx;
	if (!env_conf(h->env)->history) {
		forget(h);
		env_timer(h->env, &h->timer, OFF_LOOK_US);
		return;
	}
	gather_ask(h->gather, &h->request,
		GATHER_POOLS | GATHER_STATS | GATHER_ROUTES | GATHER_ERRORS | GATHER_WORKERS);
}

uint32_t history_n(const struct history *h)
{
	if (!env_conf(h->env)->history)
		return 0;
	return h->n < HISTORY_SAMPLES ? (uint32_t)h->n : HISTORY_SAMPLES;
}

const float *history_at(const struct history *h, uint32_t i)
{
	return h->samples[(h->n - history_n(h) + i) % HISTORY_SAMPLES];
}

/* Up to bucket i; what pools that are gone by now had counted is missing. */
static uint64_t added_up_to(
	const struct gather_hist *then, const struct gather_hist *now, unsigned i)
{
	return now->le[i] > then->le[i] ? now->le[i] - then->le[i] : 0;
}

uint64_t history_bucket(const struct history *h, enum history_hist hist, unsigned i)
{
	const struct gather_hist *now = hist == HISTORY_HIST_QUERY ? &h->then.query : &h->then.wait;
	const struct gather_hist *then = &h->hists[(h->n - history_n(h)) % HISTORY_SAMPLES][hist];
	uint64_t up_to = added_up_to(then, now, i);
	uint64_t below = i != 0 ? added_up_to(then, now, i - 1) : 0;

	return up_to > below ? up_to - below : 0;
}

uint64_t history_wall_us(const struct history *h)
{
	return env_wall_us(h->env) - (env_now_us(h->env) - h->at_us);
}

uint32_t history_n_headroom(const struct history *h)
{
	return env_conf(h->env)->history ? h->n_rows : 0;
}

const struct headroom_row *history_headroom(const struct history *h, uint32_t i)
{
	return &h->rows[i];
}

enum status history_new(struct env *env, struct gather *g, struct history **out)
{
	struct history *h = calloc(1, sizeof *h);

	if (h == NULL)
		return E_NOMEM;
	h->env = env;
	h->gather = g;
	h->request.done = on_gathered;
	list_init(&h->request.link);
	wheel_timer_init(&h->timer, on_timer);
	h->at_us = env_now_us(env);
	h->period_us = env_conf(env)->history_period_us;
	env_timer(env, &h->timer, env_conf(env)->history_period_us / 10);
	*out = h;
	return OK;
}

void history_free(struct history *h)
{
	if (h == NULL)
		return;
	gather_cancel(&h->request);
	wheel_del(&h->env->wheel, &h->timer);
	forget(h);
	free(h);
}
