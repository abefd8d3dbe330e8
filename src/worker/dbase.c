#include "worker/dbase.h"

#include <stdlib.h>
#include <string.h>

#include "auth/decide.h"
#include "base/text.h"
#include "conf/effective.h"
#include "proto/backend.h"
#include "proto/frame.h"
#include "proto/reply.h"
#include "sql/catalog.h"
#include "state/settings.h"
#include "worker/account.h"
#include "worker/ask.h"
#include "worker/balance.h"
#include "worker/client.h"
#include "worker/dispatch.h"
#include "worker/learned.h"
#include "worker/queries.h"
#include "worker/server.h"

#define CATALOG_RETRY_US 5000000u
#define FORGOTTEN_MAX    64u /* unused databases that are freed at once */
#define ROUTES_OF(db)    ((size_t)SQL_CLASSES * CHOOSE_REASON_COUNT * (CONF_DB_NODES_MAX + 1))
#define SQL_CLASSES      6u
_Static_assert(SQL_UNKNOWN + 1 == SQL_CLASSES, "one row of route counters per class");

static uint64_t name_hash(const struct worker *w, const char *name)
{
	return hash_bytes(&w->sh->hash_key, name, strlen(name));
}

/* --- baselines and welcomes --- */

void baseline_fini(struct baseline *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		free(b->params[i].name);
		free(b->params[i].value);
	}
	free(b->params);
	*b = (struct baseline){0};
}

const char *baseline_get(const struct baseline *b, const char *name)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (strcasecmp(b->params[i].name, name) == 0)
			return b->params[i].value;
	return NULL;
}

enum status baseline_put(struct baseline *b, const char *name, const char *value)
{
	struct baseline_param p;

	for (uint32_t i = 0; i < b->n; i++) {
		if (strcasecmp(b->params[i].name, name) != 0)
			continue;
		p.value = strdup(value);
		if (p.value == NULL)
			return E_NOMEM;
		free(b->params[i].value);
		b->params[i].value = p.value;
		return OK;
	}
	if (b->n == BASELINE_MAX)
		return E_LIMIT;
	if ((b->n & (b->n - 1)) == 0) {
		uint32_t cap = b->n != 0 ? b->n * 2 : 1;
		struct baseline_param *params = realloc(b->params, cap * sizeof *params);

		if (params == NULL)
			return E_NOMEM;
		b->params = params;
	}
	p.name = strdup(name);
	p.value = strdup(value);
	if (p.name == NULL || p.value == NULL) {
		free(p.name);
		free(p.value);
		return E_NOMEM;
	}
	b->params[b->n++] = p;
	return OK;
}

enum status baseline_copy(const struct baseline *from, struct baseline *to)
{
	enum status st = OK;

	for (uint32_t i = 0; i < from->n && st == OK; i++)
		st = baseline_put(to, from->params[i].name, from->params[i].value);
	return st;
}

static void welcome_free(struct worker *w, struct account *acc, struct welcome *x)
{
	list_del(&x->link);
	acc->n_welcomes--;
	settings_unref(w->settings, x->set);
	free(x);
}

void account_set_baseline(struct worker *w, struct account *acc, struct baseline *moved)
{
	bool same = acc->has_baseline && acc->baseline.n == moved->n;

	for (uint32_t i = 0; same && i < moved->n; i++) {
		const char *old = baseline_get(&acc->baseline, moved->params[i].name);

		same = old != NULL && strcmp(old, moved->params[i].value) == 0;
	}
	if (same) {
		baseline_fini(moved);
		return;
	}
	while (!list_is_empty(&acc->welcomes))
		welcome_free(w, acc, list_entry(acc->welcomes.next, struct welcome, link));
	baseline_fini(&acc->baseline);
	acc->baseline = *moved;
	acc->has_baseline = true;
	*moved = (struct baseline){0};
}

const struct welcome *account_welcome(struct account *acc, const struct settings *set)
{
	struct list *it;

	list_foreach (it, &acc->welcomes) {
		struct welcome *x = list_entry(it, struct welcome, link);

		if (x->set != set)
			continue;
		list_del(&x->link);
		list_push_front(&acc->welcomes, &x->link);
		return x;
	}
	return NULL;
}

const char *welcome_value(const struct welcome *x, const char **name)
{
	struct rd r = rd_of(x->messages, x->len);

	while (r.left != 0) {
		struct msg_parameter_status p;
		struct rd body;
		uint32_t len;

		rd_skip(&r, 1);
		len = rd_u32(&r) - (uint32_t)FRAME_LEN_MIN;
		body = rd_of(rd_bytes(&r, len), len);
		if (r.bad || backend_read_parameter_status(body, &p) != OK)
			return NULL;
		if (strcasecmp(p.name, *name) == 0) {
			*name = p.name;
			return p.value;
		}
	}
	return NULL;
}

const struct welcome *account_welcome_add(
	struct worker *w, struct account *acc, struct settings *set, const struct baseline *changes)
{
	const struct baseline *b = &acc->baseline;
	struct welcome *x;
	struct wr out;
	size_t cap = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const char *changed = baseline_get(changes, b->params[i].name);
		const char *value = changed != NULL ? changed : b->params[i].value;

		cap += strlen(b->params[i].name) + strlen(value) + 16;
	}
	x = calloc(1, sizeof *x + cap);
	if (x == NULL)
		return NULL;
	out = wr_of(x->messages, cap);
	for (uint32_t i = 0; i < b->n; i++) {
		const char *changed = baseline_get(changes, b->params[i].name);

		reply_put_parameter_status(
			&out, b->params[i].name, changed != NULL ? changed : b->params[i].value);
	}
	PANIC_IF(out.bad);
	x->len = out.len;
	x->set = settings_ref(set);
	list_push_front(&acc->welcomes, &x->link);
	if (++acc->n_welcomes > WELCOMES_MAX)
		welcome_free(w, acc, list_entry(acc->welcomes.prev, struct welcome, link));
	return x;
}

/* --- pools --- */

static enum status pool_new(
	struct worker *w, struct account *acc, uint32_t index, struct pool **out)
{
	const struct conf_node *node = acc->db->conf->nodes[index].node;
	struct pool *p = calloc(1, sizeof *p);
	enum status st;

	if (p == NULL)
		return E_NOMEM;
	p->acc = acc;
	p->node = node->id;
	p->index = index;
	list_init(&p->idle);
	list_init(&p->active);
	list_init(&p->logins);
	list_init(&p->checks);
	account_pool_init(p);
	st = share_pool_get(w->sh->share, acc->db->name, acc->user, (uint16_t)node->id, &p->share);
	if (st != OK) {
		free(p);
		return st;
	}
	*out = p;
	return OK;
}

struct pool *account_pool(struct account *acc, uint32_t node)
{
	for (uint32_t i = 0; i < acc->n_pools; i++)
		if (acc->pools[i]->node == node && acc->pools[i]->index != POOL_RETIRED)
			return acc->pools[i];
	return NULL;
}

struct pool *account_pool_shared(struct worker *w, const struct share_pool *share)
{
	struct dbase *db;
	struct account *acc;

	if (dbase_find(w, share->db->name, &db) != OK ||
		account_find(w, db, share->user->name, &acc) != OK)
		return NULL;
	return account_pool(acc, share->node_id);
}

static void account_wake(struct worker *w, uint64_t wake)
{
	worker_wake(w, wake);
}

void dbase_limit_servers(
	const struct conf *conf, const struct conf_db *db, struct share_pool *p, uint64_t *wake)
{
	const struct conf_user *user = conf_find_user(conf, p->user->name);

	budget_set_limit(&p->db->open, conf_max_db_connections(conf, db), wake);
	budget_set_limit(&p->user->open, conf_max_user_connections(conf, user), wake);
	budget_set_limit(&p->node->open, conf->max_node_connections, wake);
	budget_set_limit(&p->open, conf_pool_size(conf, db, user), wake);
}

/* Limits are shared by all workers; each sets them to the same values. */
static void account_set_limits(struct worker *w, struct account *acc)
{
	const struct conf *conf = w->conf;
	const struct conf_user *user = conf_find_user(conf, acc->user);
	uint64_t wake = 0;

	budget_set_limit(&acc->share_db->clients,
		conf_max_db_client_connections(conf, acc->db->conf), &wake);
	budget_set_limit(
		&acc->share_user->clients, conf_max_user_client_connections(conf, user), &wake);
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		struct pool *p = acc->pools[i];

		dbase_limit_servers(conf, acc->db->conf, p->share, &wake);
		budget_set_limit(&p->share->pinned, acc->pinned_max, &wake);
		budget_set_limit(&p->share->node->logins, conf->max_server_logins, &wake);
	}
	account_wake(w, wake);
}

/* The pools follow the database's list of nodes: new ones are made, left ones retired. */
static enum status account_bind_pools(struct worker *w, struct account *acc)
{
	const struct conf_db *db = acc->db->conf;
	struct pool *pools[CONF_DB_NODES_MAX];
	uint32_t n = 0;
	enum status st;

	for (uint32_t i = 0; i < db->n_nodes; i++) {
		struct pool *p = account_pool(acc, db->nodes[i].node->id);

		if (p == NULL && (st = pool_new(w, acc, i, &p)) != OK)
			return st;
		PANIC_IF(db->nodes[i].weight == 0 || db->nodes[i].weight > CHOOSE_WEIGHT_MAX);
		p->index = i;
		pools[n++] = p;
	}
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		bool kept = false;

		for (uint32_t k = 0; k < n; k++)
			kept = kept || pools[k] == acc->pools[i];
		if (!kept)
			account_pool_retire(w, acc->pools[i]);
	}
	memcpy(acc->pools, pools, n * sizeof(struct pool *));
	for (uint32_t i = 0; i < n; i++)
		acc->nodes[i] = (uint16_t)pools[i]->node;
	acc->n_pools = n;
	return OK;
}

/* Servers that have logged in with something else are not used any more. */
static uint64_t login_hash(const struct worker *w, const struct account *acc)
{
	const struct conf_db *db = acc->db->conf;
	struct auth_server_decision d;
	uint64_t h[9];

	auth_decide_server(db, w->users, acc->user, &(struct auth_own){.secret = NULL}, &d);
	h[0] = name_hash(w, d.user);
	/* Not a verifier: a new one serves no server before its user has logged in again. */
	h[1] = name_hash(w, d.secret != NULL ? d.secret : "");
	h[2] = name_hash(w, acc->db->dbname);
	h[3] = name_hash(w, db->client_encoding);
	h[4] = name_hash(w, db->datestyle);
	h[5] = name_hash(w, db->timezone);
	h[6] = name_hash(w, db->application_name);
	h[7] = name_hash(w, db->connect_query);
	h[8] = db->transaction_reads; /* what a server is asked when it has logged in */
	return hash_bytes(&w->sh->hash_key, h, sizeof h) | 1;
}

void dbase_follow_sequences(struct worker *w, struct dbase *db)
{
	enum sequence_state state = conf_sequence_state(w->conf, db->conf);

	db->seq_follows =
		state == SEQUENCE_STATE_PIN || (state == SEQUENCE_STATE_AFFINITY && db->seq_asked);
}

/* Entries that lead to one database on the servers have one board. */
static void account_bind_board(struct worker *w, struct account *acc)
{
	struct share_database *shared;

	if (share_database_get(w->sh->share, acc->db->dbname, &shared) != OK)
		shared = acc->share_db; /* too long a name, or too many: this entry's own */
	acc->board = &shared->board;
	acc->shared = shared;
}

static enum status account_bind(struct worker *w, struct account *acc)
{
	const struct conf *conf = w->conf;
	const struct conf_db *db = acc->db->conf;
	const struct conf_user *user = conf_find_user(conf, acc->user);
	enum status st = account_bind_pools(w, acc);
	uint64_t login = login_hash(w, acc);

	acc->even_topology = 0;
	if (st != OK)
		return st;
	dbase_follow_sequences(w, acc->db);
	acc->mode = conf_pool_mode(conf, db, user);
	acc->pool_size = conf_pool_size(conf, db, user);
	acc->min_pool_size = conf_min_pool_size(conf, db);
	acc->reserve_pool_size = conf_reserve_pool_size(conf, db, user);
	acc->pinned_max = conf_max_pinned(conf, db, user);
	acc->query_wait_timeout_us = conf_query_wait_timeout_us(conf, db, user);
	acc->query_timeout_us = conf_query_timeout_us(conf, user);
	acc->idle_transaction_timeout_us = conf_idle_transaction_timeout_us(conf, user);
	acc->transaction_timeout_us = conf_transaction_timeout_us(conf, user);
	acc->client_idle_timeout_us = conf_client_idle_timeout_us(conf, user);
	acc->server_lifetime_us = conf_server_lifetime_us(conf, db);
	acc->max_lag_us = conf_max_lag_us(conf, db, user);
	acc->consistency = conf_consistency(conf, db, user);
	acc->primary_reads = conf_primary_reads(conf, db);
	account_bind_board(w, acc);
	account_set_limits(w, acc);
	balance_bind(w, acc);
	if (acc->login_hash != login) {
		acc->login_hash = login;
		account_moved(w, acc);
	}
	return OK;
}

/* --- accounts --- */

static bool account_is(const void *item, const void *key)
{
	return strcmp(((const struct account *)item)->user, key) == 0;
}

static void account_free(struct worker *w, struct account *acc)
{
	queries_account_gone(w, acc);
	while (!list_is_empty(&acc->welcomes))
		welcome_free(w, acc, list_entry(acc->welcomes.next, struct welcome, link));
	for (uint32_t i = 0; i < acc->n_pools; i++)
		free(acc->pools[i]);
	account_forget_retired(w, acc);
	baseline_fini(&acc->baseline);
	if (acc->learned != NULL) {
		scram_wipe(acc->learned, sizeof *acc->learned);
		free(acc->learned);
	}
	secret_free(acc->secret);
	free(acc);
}

static struct account *find_listed(struct worker *w, struct dbase *db, const char *user)
{
	return map_find(&db->accounts, name_hash(w, user), account_is, user);
}

/* One that is not listed. Errors: as account_find. */
static enum status account_new(
	struct worker *w, struct dbase *db, const char *user, struct account **out)
{
	struct account *acc;
	enum status st;

	if (db->conf == NULL)
		return E_NOTFOUND;
	acc = calloc(1, sizeof *acc);
	if (acc == NULL)
		return E_NOMEM;
	acc->db = db;
	text_copy(acc->user, NAME_LEN, user);
	list_init(&acc->link);
	list_init(&acc->welcomes);
	account_init(acc);
	if ((st = share_database_get(w->sh->share, db->name, &acc->share_db)) != OK ||
		(st = share_user_get(w->sh->share, user, &acc->share_user)) != OK ||
		(st = account_bind(w, acc)) != OK) {
		account_free(w, acc);
		return st;
	}
	*out = acc;
	return OK;
}

enum status account_find(struct worker *w, struct dbase *db, const char *user, struct account **out)
{
	struct account *acc = find_listed(w, db, user);
	enum status st;

	if (acc != NULL) {
		*out = acc;
		return OK;
	}
	if ((st = account_new(w, db, user, &acc)) != OK)
		return st;
	if ((st = map_insert(&db->accounts, name_hash(w, user), acc)) != OK) {
		account_free(w, acc);
		return st;
	}
	list_push_back(&db->account_list, &acc->link);
	*out = acc;
	return OK;
}

enum status account_look(struct worker *w, struct dbase *db, const char *user, struct account **out)
{
	*out = find_listed(w, db, user);
	return *out != NULL ? OK : account_new(w, db, user, out);
}

void account_looked(struct worker *w, struct account *acc)
{
	if (list_is_empty(&acc->link))
		account_free(w, acc);
}

uint64_t account_parse_mark(const struct worker *w, const struct account *acc)
{
	const struct dbase *db = acc->db;
	bool routed = db->conf != NULL && db->conf->routing;
	uint64_t h[4] = {(uintptr_t)acc, acc->login_hash, routed ? db->catalog_generation : 0,
		atomic_load(&w->sh->ddl_no)};

	return hash_bytes(&w->sh->hash_key, h, sizeof h) | 1;
}

/* --- dbases --- */

static bool dbase_is(const void *item, const void *key)
{
	return strcmp(((const struct dbase *)item)->name, key) == 0;
}

static void dbase_bind_admin(struct worker *w, struct dbase *db)
{
	const struct admin_state *a = w->admin;

	db->paused = false;
	db->disabled = false;
	if (a == NULL)
		return;
	db->paused = a->paused_all || a->suspended || a->shutdown_wait_servers;
	db->reconnect_no = a->reconnect_all;
	for (uint32_t i = 0; i < a->n; i++) {
		if (strcmp(a->db[i].name, db->name) != 0)
			continue;
		db->paused = db->paused || a->db[i].paused;
		db->disabled = a->db[i].disabled;
		if (a->db[i].reconnect > db->reconnect_no)
			db->reconnect_no = a->db[i].reconnect;
	}
}

/* As struct catalogs has it; of a database that is configured. */
static uint32_t catalog_owner(const struct dbase *db)
{
	const struct conf_db *conf = db->conf;

	return conf->cluster_id != CONF_NO_CLUSTER ? conf->cluster_id
						   : CATALOG_OF_NODE + conf->nodes[0].node->id;
}

static void dbase_ask_catalog(struct worker *w, struct dbase *db, bool changed)
{
	struct ask_catalog *ask;

	if (db->conf == NULL || db->conf->n_nodes == 0)
		return;
	ask = worker_mail(sizeof *ask, ASK_CATALOG);
	if (ask == NULL)
		return;
	db->catalog_asked_us = w->now_us;
	ask->owner = catalog_owner(db);
	ask->changed = changed;
	text_copy(ask->database, NAME_LEN, db->name);
	text_copy(ask->dbname, NAME_LEN, db->dbname);
	worker_ask(w, &ask->mail);
}

void dbase_catalog_changed(struct worker *w, struct dbase *db)
{
	dbase_ask_catalog(w, db, true);
	db->catalog_outdated = db->catalog_generation;
	db->catalog = NULL;
	db->catalog_generation = 0;
}

static void dbase_bind_catalog(struct worker *w, struct dbase *db)
{
	uint64_t was = db->catalog_generation;

	db->catalog = NULL;
	db->catalog_generation = 0;
	if (db->conf == NULL || db->conf->n_nodes == 0)
		return;
	for (uint32_t i = 0; w->catalogs != NULL && i < w->catalogs->n; i++) {
		const struct catalog_entry *e = &w->catalogs->entry[i];

		if (e->owner != catalog_owner(db) || strcmp(e->dbname, db->dbname) != 0 ||
			e->generation == db->catalog_outdated)
			continue;
		db->catalog = e->catalog;
		db->catalog_generation = e->generation;
	}
	if (db->catalog_generation != was)
		learned_forget(w, db); /* the catalog may know better now */
}

void dbase_want_catalog(struct worker *w, struct dbase *db)
{
	if (db->catalog == NULL &&
		(db->catalog_asked_us == 0 || w->now_us - db->catalog_asked_us > CATALOG_RETRY_US))
		dbase_ask_catalog(w, db, false);
}

enum status dbase_find(struct worker *w, const char *name, struct dbase **out)
{
	uint64_t hash = name_hash(w, name);
	struct dbase *db = map_find(&w->dbases, hash, dbase_is, name);
	const struct conf_db *conf;
	enum status st;

	if (db != NULL) {
		*out = db;
		return db->conf != NULL ? OK : E_NOTFOUND;
	}
	conf = conf_find_db(w->conf, name);
	if (conf == NULL || strlen(name) >= NAME_LEN)
		return E_NOTFOUND;
	db = calloc(1, sizeof *db);
	if (db == NULL)
		return E_NOMEM;
	db->conf = conf;
	db->shadow = conf->shadow;
	db->moves = conf->transaction_reads == TRANSACTION_READS_REPLICA;
	text_copy(db->name, NAME_LEN, name);
	text_copy(db->dbname, NAME_LEN, conf_dbname(conf, name));
	map_init(&db->accounts);
	list_init(&db->account_list);
	db->routes = calloc(ROUTES_OF(db), sizeof *db->routes);
	if (db->routes == NULL || (st = map_insert(&w->dbases, hash, db)) != OK) {
		free(db->routes);
		free(db->waits);
		free(db);
		return E_NOMEM;
	}
	db->used_us = w->now_us;
	list_push_back(&w->dbase_list, &db->link);
	dbase_bind_admin(w, db);
	dbase_bind_catalog(w, db);
	*out = db;
	return OK;
}

/* Verdicts that are kept tell of the transaction's time only where that matters. */
static void dbase_apply_moves(struct dbase *db)
{
	bool moves = db->conf->transaction_reads == TRANSACTION_READS_REPLICA;

	if (moves != db->moves)
		db->learn_no++;
	db->moves = moves;
}

/* What is switched off keeps nothing. */
static void forget_counts(const struct conf *conf, struct dbase *db)
{
	if (!conf->wait_stats) {
		free(db->waits);
		db->waits = NULL;
	}
	if (!conf->error_stats) {
		free(db->errors);
		db->errors = NULL;
	}
}

void dbase_apply_conf(struct worker *w)
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		forget_counts(w->conf, db);
		db->conf = conf_find_db(w->conf, db->name);
		if (db->conf != NULL && db->conf->shadow != db->shadow) {
			/* What was counted in the other mode is of another kind. */
			db->shadow = db->conf->shadow;
			memset(db->routes, 0, ROUTES_OF(db) * sizeof *db->routes);
		}
		if (db->conf != NULL)
			dbase_apply_moves(db);
		if (db->conf != NULL)
			text_copy(db->dbname, NAME_LEN, conf_dbname(db->conf, db->name));
		list_foreach (ia, &db->account_list) {
			struct account *acc = list_entry(ia, struct account, link);

			if (db->conf == NULL)
				account_gone(w, acc);
			else if (account_bind(w, acc) != OK)
				log_error(w->log, "no memory to apply the configuration",
					"db=%s user=%s", LOG_Q(db->name), LOG_Q(acc->user));
		}
	}
}

void dbase_apply_catalogs(struct worker *w)
{
	struct list *it;

	list_foreach (it, &w->dbase_list)
		dbase_bind_catalog(w, list_entry(it, struct dbase, link));
}

void dbase_apply_admin(struct worker *w)
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		dbase_bind_admin(w, db);
		list_foreach (ia, &db->account_list)
			account_changed(w, list_entry(ia, struct account, link));
	}
}

static void dbase_free(struct worker *w, struct dbase *db)
{
	struct list *it;

	map_remove(&w->dbases, name_hash(w, db->name), db);
	list_del(&db->link);
	while ((it = list_pop_front(&db->account_list)) != NULL)
		account_free(w, list_entry(it, struct account, link));
	learned_forget(w, db);
	map_fini(&db->accounts);
	free(db->routes);
	free(db->waits);
	free(db->errors);
	free(db);
}

void dbase_free_all(struct worker *w)
{
	while (!list_is_empty(&w->dbase_list))
		dbase_free(w, list_entry(w->dbase_list.next, struct dbase, link));
}

/* --- databases that only "*" knows --- */

static bool dbase_has_servers(const struct dbase *db)
{
	struct list *it;

	list_foreach (it, &db->account_list) {
		const struct account *acc = list_entry(it, struct account, link);

		for (uint32_t i = 0; i < acc->n_pools; i++) {
			const struct pool *p = acc->pools[i];

			if (p->n_idle + p->n_active + p->n_login + p->n_check != 0)
				return true;
		}
	}
	return false;
}

/* Also one of a pool whose node has left the database. */
static bool dbase_is_referred_to(const struct worker *w, const struct dbase *db)
{
	struct list *it;

	list_foreach (it, &w->servers)
		if (list_entry(it, struct server, link)->pool->acc->db == db)
			return true;
	return false;
}

/* When it was last used on any worker; all of them forget it at about the same time. */
static uint64_t dbase_used_us(struct worker *w, struct dbase *db)
{
	struct share_database *share;
	uint64_t seen_us;

	if (db->n_clients != 0 || dbase_has_servers(db))
		db->used_us = w->now_us;
	if (list_is_empty(&db->account_list))
		return db->used_us;
	share = list_entry(db->account_list.next, struct account, link)->share_db; /* any has it */
	seen_us = atomic_load(&share->used_us);
	if (seen_us < db->used_us)
		atomic_store(&share->used_us, db->used_us);
	else
		db->used_us = seen_us;
	return db->used_us;
}

void dbase_forget_unused(struct worker *w)
{
	uint64_t timeout_us = w->conf->autodb_idle_timeout_us, used_us;
	struct list *it, *tmp;
	unsigned n = 0;

	if (timeout_us == 0 || w->conf->fallback == NULL || !list_is_empty(&w->leaving))
		return; /* what leaves the worker still refers to its pool */
	list_foreach_safe (it, tmp, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		if (db->conf != w->conf->fallback || strcmp(db->name, "*") == 0)
			continue;
		used_us = dbase_used_us(w, db);
		if (w->now_us > used_us && w->now_us - used_us >= timeout_us && n < FORGOTTEN_MAX &&
			!dbase_is_referred_to(w, db)) {
			n++;
			log_info(w->log, "database forgotten", "db=%s worker=%u", LOG_Q(db->name),
				w->index);
			dbase_free(w, db);
		}
	}
}

/* --- counters --- */

static uint32_t route_index(uint32_t cls, uint32_t reason, uint32_t node_plus_1)
{
	return (cls * CHOOSE_REASON_COUNT + reason) * (CONF_DB_NODES_MAX + 1) + node_plus_1;
}

uint32_t dbase_count_route(
	struct dbase *db, enum sql_class cls, enum choose_reason reason, int32_t node_index)
{
	uint32_t where = route_index(cls, reason, (uint32_t)(node_index + 1));

	db->routes[where].n++;
	return where;
}

void dbase_count_route_us(struct dbase *db, uint32_t where, uint64_t us)
{
	if (where < ROUTES_OF(db))
		db->routes[where].us += us;
}

void dbase_count_broken(struct dbase *db, uint32_t where, enum route_broken what)
{
	if (where < ROUTES_OF(db))
		db->routes[where].broken[what]++;
}

bool dbase_next_route(const struct dbase *db, uint32_t *pos, struct dbase_route *out)
{
	uint32_t n = (uint32_t)ROUTES_OF(db);

	for (; *pos < n; (*pos)++) {
		if (db->routes[*pos].n == 0)
			continue;
		out->n = db->routes[*pos].n;
		out->us = db->routes[*pos].us;
		memcpy(out->broken, db->routes[*pos].broken, sizeof out->broken);
		out->node_index = (int32_t)(*pos % (CONF_DB_NODES_MAX + 1)) - 1;
		out->reason = (uint8_t)(*pos / (CONF_DB_NODES_MAX + 1) % CHOOSE_REASON_COUNT);
		out->cls = (uint8_t)(*pos / (CONF_DB_NODES_MAX + 1) / CHOOSE_REASON_COUNT);
		(*pos)++;
		return true;
	}
	return false;
}

void dbase_count_error(
	struct worker *w, struct dbase *db, const char *sqlstate, enum error_source source)
{
	if (!w->conf->error_stats)
		return;
	if (db->errors == NULL && (db->errors = calloc(1, sizeof *db->errors)) == NULL)
		return;
	errors_note(db->errors, sqlstate, source, w->now_us);
}

void dbase_reset_errors(struct worker *w)
{
	struct list *it;

	list_foreach (it, &w->dbase_list) {
		struct dbase *db = list_entry(it, struct dbase, link);

		if (db->errors != NULL)
			db->errors->n = 0;
	}
}
