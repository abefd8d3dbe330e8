#include "control/gather.h"

#include <stdlib.h>
#include <string.h>

#include "control/queries.h"

/* One kind of rows while it is gathered. */
struct kind {
	struct map map; /* by key */
	size_t n;
};

struct gather {
	struct env *env;
	struct collect_run run;
	struct list waiting; /* asked, not begun */
	struct list served;  /* by the present gathering */
	struct wheel_timer begin;
	uint32_t n_alive; /* results held, the present one included */
	struct gathered *now;
	uint32_t left; /* bits that are still to be asked for */
	struct kind pools, stats, routes, errors, queries, waits, misuse;
	enum status st;
};

/* --- merging --- */

static uint64_t mix(const struct gather *g, uint64_t h, const void *p, size_t len)
{
	return (h ^ hash_bytes(&g->env->shared->hash_key, p, len)) * 0x9e3779b97f4a7c15u;
}

static uint64_t mix_str(const struct gather *g, uint64_t h, const char *s)
{
	return mix(g, h, s, strlen(s));
}

/* The item of `key`, made if it is new: `len` bytes, zeroed. NULL sets g->st. */
static void *item_get(struct gather *g, struct kind *k, uint64_t hash,
	bool (*eq)(const void *item, const void *key), const void *key, size_t len)
{
	void *item = map_find(&k->map, hash, eq, key);

	if (item != NULL)
		return item;
	if (k->n >= GATHER_ROWS_MAX) {
		g->st = E_LIMIT;
		return NULL;
	}
	item = arena_take(&g->now->arena, len);
	if (item == NULL || map_insert(&k->map, hash, item) != OK) {
		g->st = E_NOMEM;
		return NULL;
	}
	k->n++;
	return item;
}

static bool pool_eq(const void *item, const void *key)
{
	const struct pool_sum *a = item;
	const struct show_pool_row *b = key;

	return a->node == b->node && strcmp(a->database, b->database) == 0 &&
	       strcmp(a->user, b->user) == 0;
}

static void take_pool(struct gather *g, const struct show_pool_row *row)
{
	uint64_t h = mix(g, 0, &row->node, sizeof row->node);
	struct pool_sum *to;

	h = mix_str(g, mix_str(g, h, row->database), row->user);
	to = item_get(g, &g->pools, h, pool_eq, row, sizeof *to);
	if (to != NULL)
		pool_sum_add(to, row);
}

static bool stats_eq(const void *item, const void *key)
{
	const struct show_stats_row *a = item, *b = key;

	return strcmp(a->database, b->database) == 0;
}

static void take_stats(struct gather *g, const struct show_stats_row *row)
{
	struct show_stats_row *to =
		item_get(g, &g->stats, mix_str(g, 0, row->database), stats_eq, row, sizeof *to);

	if (to == NULL)
		return;
	memcpy(to->database, row->database, sizeof to->database);
	stats_row_add(to, row);
}

static bool route_eq(const void *item, const void *key)
{
	const struct show_route_row *a = item, *b = key;

	return a->verdict == b->verdict && a->reason == b->reason && a->node == b->node &&
	       a->shadow == b->shadow && strcmp(a->database, b->database) == 0;
}

static void take_route(struct gather *g, const struct show_route_row *row)
{
	int32_t key[3] = {row->verdict, row->reason, row->node};
	uint64_t h = mix_str(g, mix(g, 0, key, sizeof key), row->database);
	struct show_route_row *to = item_get(g, &g->routes, h, route_eq, row, sizeof *to);
	struct show_route_row sum = *row;

	if (to == NULL)
		return;
	sum.n += to->n;
	sum.us += to->us;
	sum.broken_answers += to->broken_answers;
	sum.broken_blocks += to->broken_blocks;
	*to = sum;
}

static bool error_eq(const void *item, const void *key)
{
	const struct show_error_row *a = item, *b = key;

	return a->source == b->source && strcmp(a->sqlstate, b->sqlstate) == 0 &&
	       strcmp(a->database, b->database) == 0;
}

static void take_error(struct gather *g, const struct show_error_row *row)
{
	uint64_t h = mix_str(g, mix_str(g, row->source, row->sqlstate), row->database);
	struct show_error_row *to = item_get(g, &g->errors, h, error_eq, row, sizeof *to);
	struct show_error_row sum = *row;

	if (to == NULL)
		return;
	sum.n += to->n;
	if (to->seen_wall_us > sum.seen_wall_us)
		sum.seen_wall_us = to->seen_wall_us;
	*to = sum;
}

static bool query_eq(const void *item, const void *key)
{
	const struct show_query_row *a = item, *b = key;

	return a->fingerprint == b->fingerprint && a->replica == b->replica &&
	       strcmp(a->database, b->database) == 0 && strcmp(a->user, b->user) == 0;
}

static void take_query(struct gather *g, const struct show_query_row *row)
{
	uint64_t h =
		mix_str(g, mix_str(g, row->fingerprint + row->replica, row->database), row->user);
	struct show_query_row *to = item_get(g, &g->queries, h, query_eq, row, sizeof *to);

	if (to != NULL)
		query_row_add(to, row);
}

static bool wait_eq(const void *item, const void *key)
{
	const struct show_wait_row *a = item, *b = key;

	return a->cause == b->cause && strcmp(a->database, b->database) == 0;
}

static void take_wait(struct gather *g, const struct show_wait_row *row)
{
	uint64_t h = mix_str(g, row->cause, row->database);
	struct show_wait_row *to = item_get(g, &g->waits, h, wait_eq, row, sizeof *to);

	if (to != NULL)
		wait_row_add(to, row);
}

static bool misuse_eq(const void *item, const void *key)
{
	const struct show_misuse_row *a = item, *b = key;

	return a->kind == b->kind && a->detail == b->detail && a->fingerprint == b->fingerprint &&
	       strcmp(a->database, b->database) == 0 && strcmp(a->user, b->user) == 0 &&
	       strcmp(a->application_name, b->application_name) == 0;
}

static void take_misuse(struct gather *g, const struct show_misuse_row *row)
{
	uint64_t h = mix_str(g, row->fingerprint + row->kind, row->application_name);
	struct show_misuse_row *to = item_get(g, &g->misuse, h, misuse_eq, row, sizeof *to);

	if (to != NULL)
		misuse_row_add(to, row);
}

static void take_row(struct gather *g, const struct ask_rows *rows, size_t i)
{
	switch (rows->what) {
	case SHOW_ROWS_POOLS:
		take_pool(g, &rows->row[i].pool);
		break;
	case SHOW_ROWS_STATS:
		take_stats(g, &rows->row[i].stats);
		break;
	case SHOW_ROWS_ROUTES:
		take_route(g, &rows->row[i].route);
		break;
	case SHOW_ROWS_ERRORS:
		take_error(g, &rows->row[i].error);
		break;
	case SHOW_ROWS_QUERIES:
		take_query(g, &rows->row[i].query);
		break;
	case SHOW_ROWS_WAITS:
		take_wait(g, &rows->row[i].wait);
		break;
	case SHOW_ROWS_MISUSE:
		take_misuse(g, &rows->row[i].misuse);
		break;
	case SHOW_ROWS_WORKER:
		g->now->workers[rows->worker] = rows->row[i].worker;
		break;
	case SHOW_ROWS_PEERS:
		if (g->now->n_peers < PEERS_MAX)
			g->now->peers[g->now->n_peers++] = rows->row[i].peer;
		break;
	case SHOW_ROWS_CLIENTS:
	case SHOW_ROWS_SERVERS:
	case SHOW_ROWS_PINS:
	case SHOW_ROWS_LEARNED:
		break;
	}
}

/* --- sorting --- */

static int compare_pools(const void *a, const void *b)
{
	const struct pool_sum *x = *(struct pool_sum *const *)a, *y = *(struct pool_sum *const *)b;
	int c = strcmp(x->database, y->database);

	if (c == 0)
		c = strcmp(x->user, y->user);
	return c != 0 ? c : (x->node > y->node) - (x->node < y->node);
}

static int compare_stats(const void *a, const void *b)
{
	const struct show_stats_row *x = *(struct show_stats_row *const *)a;
	const struct show_stats_row *y = *(struct show_stats_row *const *)b;

	return strcmp(x->database, y->database);
}

static int compare_routes(const void *a, const void *b)
{
	const struct show_route_row *x = *(struct show_route_row *const *)a;
	const struct show_route_row *y = *(struct show_route_row *const *)b;
	int c = strcmp(x->database, y->database);

	if (c == 0)
		c = (x->verdict > y->verdict) - (x->verdict < y->verdict);
	if (c == 0)
		c = (x->node > y->node) - (x->node < y->node);
	return c != 0 ? c : (x->reason > y->reason) - (x->reason < y->reason);
}

static int compare_errors(const void *a, const void *b)
{
	const struct show_error_row *x = *(struct show_error_row *const *)a;
	const struct show_error_row *y = *(struct show_error_row *const *)b;
	int c = strcmp(x->database, y->database);

	if (c == 0)
		c = strcmp(x->sqlstate, y->sqlstate);
	return c != 0 ? c : x->source - y->source;
}

static int compare_waits(const void *a, const void *b)
{
	const struct show_wait_row *x = *(struct show_wait_row *const *)a;
	const struct show_wait_row *y = *(struct show_wait_row *const *)b;
	int c = strcmp(x->database, y->database);

	return c != 0 ? c : x->cause - y->cause;
}

static int compare_misuse(const void *a, const void *b)
{
	const struct show_misuse_row *x = *(struct show_misuse_row *const *)a;
	const struct show_misuse_row *y = *(struct show_misuse_row *const *)b;

	return (x->us < y->us) - (x->us > y->us);
}

static int compare_queries(const void *a, const void *b)
{
	const struct show_query_row *x = *(struct show_query_row *const *)a;
	const struct show_query_row *y = *(struct show_query_row *const *)b;

	return (x->sums.server_us < y->sums.server_us) - (x->sums.server_us > y->sums.server_us);
}

static void *sorted(struct gather *g, const struct kind *k, size_t *n,
	int (*compare)(const void *a, const void *b))
{
	void **items = arena_take_array(&g->now->arena, k->n, sizeof *items);
	void *it;

	*n = 0;
	if (items == NULL) {
		g->st = E_NOMEM;
		return NULL;
	}
	map_foreach (it, pos, &k->map)
		items[(*n)++] = it;
	qsort(items, *n, sizeof *items, compare);
	return items;
}

static int compare_names(const void *a, const void *b)
{
	const struct name_sum *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Sums of the pools by one of their names. */
static struct name_sum *sum_names(struct gather *g, size_t name_at, size_t *n)
{
	struct gathered *d = g->now;
	struct name_sum *s = arena_take_array(&d->arena, d->n_pools, sizeof *s);
	size_t kept = 0;

	*n = 0;
	if (s == NULL) {
		g->st = E_NOMEM;
		return NULL;
	}
	for (size_t i = 0; i < d->n_pools; i++)
		s[i] = (struct name_sum){(const char *)d->pools[i] + name_at,
			pool_sum_clients(d->pools[i]), pool_sum_servers(d->pools[i])};
	qsort(s, d->n_pools, sizeof *s, compare_names);
	for (size_t i = 0; i < d->n_pools; i++) {
		if (kept != 0 && strcmp(s[kept - 1].name, s[i].name) == 0) {
			s[kept - 1].clients += s[i].clients;
			s[kept - 1].servers += s[i].servers;
		} else {
			s[kept++] = s[i];
		}
	}
	*n = kept;
	return s;
}

static void sort_all(struct gather *g)
{
	struct gathered *d = g->now;

	d->pools = sorted(g, &g->pools, &d->n_pools, compare_pools);
	d->stats = sorted(g, &g->stats, &d->n_stats, compare_stats);
	d->routes = sorted(g, &g->routes, &d->n_routes, compare_routes);
	d->errors = sorted(g, &g->errors, &d->n_errors, compare_errors);
	d->queries = sorted(g, &g->queries, &d->n_queries, compare_queries);
	d->waits = sorted(g, &g->waits, &d->n_waits, compare_waits);
	d->misuse = sorted(g, &g->misuse, &d->n_misuse, compare_misuse);
	if (g->st != OK)
		return;
	d->databases = sum_names(g, offsetof(struct pool_sum, database), &d->n_databases);
	d->users = sum_names(g, offsetof(struct pool_sum, user), &d->n_users);
}

static struct name_sum find_name(const struct name_sum *s, size_t n, const char *name)
{
	struct name_sum key = {.name = name};
	const struct name_sum *hit = n != 0 ? bsearch(&key, s, n, sizeof *s, compare_names) : NULL;

	return hit != NULL ? *hit : key;
}

struct name_sum gathered_database(const struct gathered *d, const char *name)
{
	return find_name(d->databases, d->n_databases, name);
}

struct name_sum gathered_user(const struct gathered *d, const char *name)
{
	return find_name(d->users, d->n_users, name);
}

/* --- one gathering --- */

static void kinds_fini(struct gather *g)
{
	map_fini(&g->pools.map);
	map_fini(&g->stats.map);
	map_fini(&g->routes.map);
	map_fini(&g->errors.map);
	map_fini(&g->queries.map);
	map_fini(&g->waits.map);
	map_fini(&g->misuse.map);
	g->pools = g->stats = g->routes = g->errors = g->queries = g->waits = g->misuse =
		(struct kind){.n = 0};
}

static void kick(struct gather *g)
{
	if (g->now == NULL && !list_is_empty(&g->waiting) && g->n_alive < GATHERED_MAX)
		env_timer(g->env, &g->begin, 0);
}

void gathered_release(struct gather *g, struct gathered *d)
{
	if (d == NULL || --d->n_refs != 0)
		return;
	arena_fini(&d->arena);
	free(d);
	g->n_alive--;
	kick(g);
}

static void finish(struct gather *g)
{
	struct gathered *d = g->now;
	struct gather_request *r;
	struct list served, *it;

	if (g->st == OK)
		sort_all(g);
	kinds_fini(g);
	g->now = NULL;
	list_init(&served);
	list_splice_back(&served, &g->served);
	d->n_refs = 1; /* ours, while the holders take theirs */
	while ((it = list_pop_front(&served)) != NULL) {
		r = list_entry(it, struct gather_request, link);
		d->n_refs += g->st == OK;
		r->done(r, g->st == OK ? d : NULL, g->st);
	}
	gathered_release(g, d);
	kick(g);
}

/* Ask for the next piece, of the next kind if the present one is complete. */
static void go_on(struct gather *g)
{
	while (g->st == OK && !collect_next(&g->run)) {
		if (g->left == 0) {
			finish(g);
			return;
		}
		collect_start(&g->run, (enum show_what)__builtin_ctz(g->left));
		g->left &= g->left - 1;
	}
	if (g->st != OK)
		finish(g);
}

static void on_piece(struct collect_run *run, struct ask_rows *rows)
{
	struct gather *g = list_entry(run, struct gather, run);

	if (rows == NULL)
		g->st = E_AGAIN; /* a worker does not answer */
	for (size_t i = 0; rows != NULL && i < rows->n && g->st == OK; i++)
		take_row(g, rows, i);
	free(rows);
	go_on(g);
}

static void on_begin(void *ctx, struct wheel_timer *t)
{
	struct gather *g = list_entry(t, struct gather, begin);
	struct list *it;

	(void)ctx;
	if (g->now != NULL || list_is_empty(&g->waiting))
		return;
	g->now = calloc(1, sizeof *g->now);
	if (g->now == NULL) {
		env_timer(g->env, &g->begin, COLLECT_TIMEOUT_US / 10);
		return;
	}
	arena_init(&g->now->arena);
	g->n_alive++;
	g->st = OK;
	list_splice_back(&g->served, &g->waiting);
	list_foreach (it, &g->served)
		g->now->what |= list_entry(it, struct gather_request, link)->what;
	g->left = g->now->what;
	collect_start(&g->run, (enum show_what)__builtin_ctz(g->left));
	g->left &= g->left - 1;
	go_on(g);
}

void gather_ask(struct gather *g, struct gather_request *r, uint32_t what)
{
	PANIC_IF(what == 0);
	r->what = what;
	list_push_back(&g->waiting, &r->link);
	kick(g);
}

void gather_cancel(struct gather_request *r)
{
	list_del(&r->link);
}

enum status gather_new(struct env *env, struct collector *c, struct gather **out)
{
	struct gather *g = calloc(1, sizeof *g);

	if (g == NULL)
		return E_NOMEM;
	g->env = env;
	collect_init(&g->run, c, on_piece);
	list_init(&g->waiting);
	list_init(&g->served);
	wheel_timer_init(&g->begin, on_begin);
	map_init(&g->pools.map);
	map_init(&g->stats.map);
	map_init(&g->routes.map);
	map_init(&g->errors.map);
	map_init(&g->queries.map);
	map_init(&g->waits.map);
	map_init(&g->misuse.map);
	*out = g;
	return OK;
}

void gather_free(struct gather *g)
{
	if (g == NULL)
		return;
	collect_cancel(&g->run);
	wheel_del(&g->env->wheel, &g->begin);
	kinds_fini(g);
	if (g->now != NULL) {
		g->now->n_refs = 1;
		gathered_release(g, g->now);
	}
	free(g);
}
