#include "control/catalog_load.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "control/pq.h"
#include "control/target.h"
#include "route/topology.h"
#include "sql/catalog.h"
#include "sql/catalog_sql.h"

enum load_state {
	LOAD_RESTING,    /* the timer makes it due */
	LOAD_DUE,        /* waits for a place among CATALOG_AT_ONCE, or for a primary */
	LOAD_CONNECTING, /* logging in */
	LOAD_READING,    /* rows come */
};

/* One (owner, database). */
struct load {
	struct list link;
	struct catalog_load *of;
	uint32_t owner; /* as in struct catalogs */
	char dbname[NAME_LEN];
	enum load_state state;
	bool again;    /* something has changed since it began */
	bool outdated; /* … DDL: what is being loaded may lack what that made */
	struct wheel_timer timer;
	struct pq *pq;
	struct catalog_builder *builder;
	enum status status;      /* of the builder */
	uint32_t node;           /* asked */
	uint32_t host;           /* without routing: which of the hosts is asked */
	bool takes_standby;      /* … none of them is a primary */
	uint64_t retry_us;       /* the next back-off */
	uint64_t loaded_us;      /* the last load's end; 0: never */
	uint64_t generation;     /* of `catalog` */
	struct catalog *catalog; /* published, or NULL */
};

struct catalog_load {
	struct env *env;
	struct list loads;
	uint32_t n_loads;
	uint32_t n_running;
	uint64_t generation;
	struct wheel_timer kick; /* look for loads that are due */
};

/* --- publication --- */

static uint32_t count_loaded(const struct catalog_load *l)
{
	struct list *it;
	uint32_t n = 0;

	list_foreach (it, &l->loads)
		n += list_entry(it, struct load, link)->catalog != NULL;
	return n;
}

static struct catalogs *catalogs_make(struct catalog_load *l)
{
	uint32_t n = count_loaded(l);
	struct catalogs *c = calloc(1, sizeof *c + n * sizeof c->entry[0]);
	struct list *it;

	if (c == NULL)
		return NULL;
	c->generation = env_catalogs(l->env)->generation + 1;
	list_foreach (it, &l->loads) {
		const struct load *d = list_entry(it, struct load, link);
		struct catalog_entry *e = &c->entry[c->n];

		if (d->catalog == NULL)
			continue;
		e->owner = d->owner;
		memcpy(e->dbname, d->dbname, sizeof e->dbname);
		e->generation = d->generation;
		e->loaded_us = d->loaded_us;
		e->catalog = d->catalog;
		c->n++;
	}
	return c;
}

/*
 * Replace d->catalog, which moves `catalog` (NULL: there is none any more). Returns false without
 * memory: the old one stays, and `catalog` is freed.
 */
static bool publish(struct load *d, struct catalog *catalog)
{
	struct catalog_load *l = d->of;
	struct snap_domain *snap = &l->env->shared->snap;
	struct catalog *old = d->catalog;
	uint64_t old_generation = d->generation;
	struct catalogs *next;

	d->catalog = catalog;
	d->generation = ++l->generation;
	next = catalogs_make(l);
	if (next == NULL) {
		d->catalog = old;
		d->generation = old_generation;
		catalog_free(catalog);
		return false;
	}
	snap_retire(
		snap, (void *)(uintptr_t)atomic_exchange(&l->env->shared->catalogs, next), free);
	if (old != NULL)
		snap_retire(snap, old, catalog_free);
	return true;
}

/* --- one load --- */

static void load_drop_connection(struct load *d)
{
	if (d->pq != NULL)
		d->of->n_running--;
	pq_free(d->pq);
	d->pq = NULL;
	catalog_builder_free(d->builder);
	d->builder = NULL;
}

/* us 0: until something happens. */
static void load_rest(struct load *d, uint64_t us)
{
	load_drop_connection(d);
	d->state = LOAD_RESTING;
	if (us != 0)
		env_timer(d->of->env, &d->timer, us);
	env_timer(d->of->env, &d->of->kick, 0);
}

static bool is_routed(const struct load *d)
{
	return d->owner < CATALOG_OF_NODE;
}

/* Without routing nobody has promised that we may log in: then it is no fault, and tried seldom. */
static void load_failed(struct load *d, const char *sqlstate, const char *text)
{
	uint64_t max = is_routed(d) ? CATALOG_RETRY_MAX_US : CATALOG_PLAIN_RETRY_MAX_US;
	char db[NAME_LEN * 4], reason[PQ_TEXT_MAX * 2];

	log_q(db, sizeof db, d->dbname);
	log_q(reason, sizeof reason, text);
	if (*sqlstate == '\0')
		sqlstate = "-";
	if (is_routed(d))
		log_warn(d->of->env->shared->log, "catalog not loaded",
			"cluster=%u db=%s sqlstate=%s reason=%s", d->owner, db, sqlstate, reason);
	else
		log_info(d->of->env->shared->log, "catalog not loaded",
			"db=%s sqlstate=%s reason=%s", db, sqlstate, reason);
	d->host++; /* the next one may answer */
	d->takes_standby = false;
	load_rest(d, d->retry_us);
	d->retry_us = d->retry_us * 2 < max ? d->retry_us * 2 : max;
}

static enum status add_names(struct catalog_builder *b, const struct conf_list *names,
	enum status (*add)(struct catalog_builder *b, const char *name))
{
	enum status st = OK;

	for (size_t i = 0; i < names->n && st == OK; i++)
		st = add(b, names->items[i]);
	return st;
}

/* The [databases] entry to log in by; of several the one that means this database. */
static const struct conf_db *db_of(const struct load *d)
{
	const struct conf *conf = env_conf(d->of->env);
	const struct conf_db *found = NULL;

	if (is_routed(d))
		return conf->cluster_by_id[d->owner] != NULL ? conf->cluster_by_id[d->owner]->db
							     : NULL;
	for (size_t i = 0; i < conf->n_dbs; i++) {
		const struct conf_db *db = &conf->dbs[i];

		if (db->routing || db->n_nodes == 0 ||
			CATALOG_OF_NODE + db->nodes[0].node->id != d->owner)
			continue;
		if (strcmp(conf_dbname(db, db->name), d->dbname) == 0)
			return db;
		if (found == NULL || strcmp(db->name, "*") == 0)
			found = db;
	}
	return found;
}

static void load_due(struct load *d);

/*
 * Of several hosts without routing the primary is read, which knows what is new; if there is none,
 * the first one that answers. Is it another host's turn?
 */
static bool is_passed_over(struct load *d)
{
	const struct conf_db *db = db_of(d);

	if (is_routed(d) || db == NULL || db->n_nodes == 1 || d->takes_standby ||
		!pq_in_recovery(d->pq))
		return false;
	d->host++;
	d->takes_standby = d->host % db->n_nodes == 0;
	return true;
}

static void on_ready(void *arg)
{
	struct load *d = arg;
	const struct conf *conf = env_conf(d->of->env);
	const char *sql = catalog_sql(pq_server_version(d->pq));

	if (is_passed_over(d)) {
		load_drop_connection(d);
		load_due(d);
		return;
	}
	d->builder = catalog_builder_new();
	if (d->builder == NULL) {
		load_failed(d, "", "no memory");
		return;
	}
	if (sql == NULL) {
		load_failed(d, "", "the server is older than PostgreSQL 13");
		return;
	}
	d->status = add_names(d->builder, &conf->primary_functions, catalog_builder_add_primary);
	if (d->status == OK)
		d->status = add_names(
			d->builder, &conf->replica_functions, catalog_builder_add_replica);
	d->state = LOAD_READING;
	if (pq_query(d->pq, sql, CATALOG_TIMEOUT_US) != OK)
		load_failed(d, "", "the connection broke");
}

static void on_row(void *arg, const struct pq_result *r)
{
	struct load *d = arg;
	const char *kind = pq_result_value(r, 0), *name = pq_result_value(r, 1);

	if (d->status == OK)
		d->status = kind != NULL && name != NULL
				    ? catalog_builder_add(d->builder, kind, name)
				    : E_INVALID;
}

static void load_done(struct load *d)
{
	struct env *env = d->of->env;
	struct catalog *catalog = catalog_freeze(d->builder);
	char db[NAME_LEN * 4];

	d->builder = NULL;
	if (catalog == NULL) {
		load_failed(d, "", "no memory");
		return;
	}
	log_q(db, sizeof db, d->dbname);
	if (is_routed(d))
		log_info(env->shared->log, "catalog loaded", "cluster=%u db=%s names=%zu bytes=%zu",
			d->owner, db, catalog_n_names(catalog), catalog_mem_bytes(catalog));
	else
		log_info(env->shared->log, "catalog loaded", "db=%s names=%zu bytes=%zu", db,
			catalog_n_names(catalog), catalog_mem_bytes(catalog));
	d->host = 0;
	d->takes_standby = false;
	d->loaded_us = env_now_us(env);
	if (d->outdated)
		catalog_free(catalog);
	else if (!publish(d, catalog))
		d->again = true;
	d->retry_us = CATALOG_RETRY_MIN_US;
	load_rest(d, d->again ? CATALOG_SETTLE_US : env_conf(env)->catalog_refresh_interval_us);
	d->again = false;
}

static void on_done(void *arg, const struct pq_result *r)
{
	struct load *d = arg;

	if (d->status == E_LIMIT)
		(void)publish(d, NULL); /* the old one does not know what is new */
	if (!pq_result_ok(r))
		load_failed(d, pq_result_sqlstate(r), pq_result_error(r));
	else if (d->status == E_LIMIT)
		load_failed(d, "", "too many names: all of it stays on the primary");
	else if (d->status != OK)
		load_failed(d, "", status_name(d->status));
	else
		load_done(d);
}

static void on_failed(void *arg, const struct pq_failure *f)
{
	load_failed(arg, f->sqlstate, f->text);
}

static const struct pq_ops load_ops = {
	.on_ready = on_ready,
	.on_row = on_row,
	.on_done = on_done,
	.on_failed = on_failed,
};

/* The cluster's primary now, or the host whose turn it is; or NULL. */
static const struct conf_node *node_of(const struct load *d, const struct conf_db *db)
{
	const struct env *env = d->of->env;
	const struct topo_cluster *c;

	if (!is_routed(d))
		return db->nodes[d->host % db->n_nodes].node;
	c = topology_cluster(env_topology(env), (uint16_t)d->owner);
	if (c == NULL || c->primary == TOPO_NONE)
		return NULL;
	return env_conf(env)->node_by_id[c->primary];
}

/* Begin, if there is a primary; else it stays due. */
static void load_start(struct load *d)
{
	struct env *env = d->of->env;
	const struct conf_cluster login = {.db = db_of(d)};
	const struct conf_node *node = login.db != NULL ? node_of(d, login.db) : NULL;
	struct target t;

	if (node == NULL)
		return;
	wheel_del(&env->wheel, &d->timer);
	if (target_make(env, &login, node, 0, d->dbname, &t) != OK) {
		load_failed(d, "", t.error);
		return;
	}
	t.pq.statement_timeout_us = CATALOG_TIMEOUT_US;
	d->state = LOAD_CONNECTING;
	d->again = false;
	d->outdated = false;
	if (pq_connect(env, &t.pq, env_conf(env)->node_timeout_us, &load_ops, d, &d->pq) == OK)
		d->of->n_running++;
	else
		load_failed(d, "", "no memory, or a helper is busy with it");
}

/* Start what is due. From a timer, never from inside a load's own steps. */
static void on_kick(void *ctx, struct wheel_timer *t)
{
	struct catalog_load *l = list_entry(t, struct catalog_load, kick);
	struct list *it;

	(void)ctx;
	list_foreach (it, &l->loads) {
		struct load *d = list_entry(it, struct load, link);

		if (l->n_running >= CATALOG_AT_ONCE)
			return;
		if (d->state == LOAD_DUE)
			load_start(d);
	}
}

static void load_due(struct load *d)
{
	d->state = LOAD_DUE;
	env_timer(d->of->env, &d->of->kick, 0);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	load_due(list_entry(t, struct load, timer));
}

/* What is loaded, or being loaded, may be old: once more, not at once. */
static void load_again(struct load *d)
{
	struct env *env = d->of->env;

	if (d->state == LOAD_CONNECTING || d->state == LOAD_READING)
		d->again = true;
	else if (d->state == LOAD_RESTING)
		wheel_add(&env->wheel, &d->timer,
			d->loaded_us != 0 ? d->loaded_us + CATALOG_SETTLE_US : env_now_us(env));
}

/* --- interface --- */

static struct load *find(struct catalog_load *l, uint32_t owner, const char *dbname)
{
	struct list *it;

	list_foreach (it, &l->loads) {
		struct load *d = list_entry(it, struct load, link);

		if (d->owner == owner && strcmp(d->dbname, dbname) == 0)
			return d;
	}
	return NULL;
}

static struct load *load_new(struct catalog_load *l, uint32_t owner, const char *dbname)
{
	struct load *d;

	if (l->n_loads >= CATALOG_LOADS_MAX || (d = calloc(1, sizeof *d)) == NULL)
		return NULL;
	d->of = l;
	d->owner = owner;
	text_copy(d->dbname, sizeof d->dbname, dbname);
	d->retry_us = CATALOG_RETRY_MIN_US;
	wheel_timer_init(&d->timer, on_timer);
	list_push_back(&l->loads, &d->link);
	l->n_loads++;
	return d;
}

/* What is loaded does not know what DDL has made: until it does, all goes to the primary. */
static void load_outdated(struct load *d)
{
	d->outdated = true;
	if (d->catalog != NULL)
		(void)publish(d, NULL);
	load_again(d);
}

static bool owner_exists(const struct conf *conf, uint32_t owner)
{
	if (owner < CATALOG_OF_NODE)
		return conf->cluster_by_id[owner] != NULL;
	return owner - CATALOG_OF_NODE < CONF_NODES_MAX &&
	       conf->node_by_id[owner - CATALOG_OF_NODE] != NULL;
}

void catalog_load_want(struct catalog_load *l, uint32_t owner, const char *dbname, bool changed)
{
	struct load *d;

	if (!owner_exists(env_conf(l->env), owner))
		return;
	d = find(l, owner, dbname);
	if (d == NULL) {
		d = load_new(l, owner, dbname);
		if (d != NULL)
			load_due(d);
		else
			log_warn(l->env->shared->log, "catalog not loaded",
				"owner=%u reason=\"too many databases\"", owner);
	} else if (changed) {
		load_outdated(d);
	}
}

void catalog_load_primary_changed(struct catalog_load *l, uint32_t cluster)
{
	struct list *it;

	list_foreach (it, &l->loads) {
		struct load *d = list_entry(it, struct load, link);

		if (d->owner != cluster)
			continue;
		d->retry_us = CATALOG_RETRY_MIN_US;
		load_again(d);
	}
	env_timer(l->env, &l->kick, 0);
}

static void load_free(struct load *d)
{
	load_drop_connection(d);
	wheel_del(&d->of->env->wheel, &d->timer);
	list_del(&d->link);
	d->of->n_loads--;
	free(d);
}

void catalog_load_conf_changed(struct catalog_load *l)
{
	const struct conf *conf = env_conf(l->env);
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &l->loads) {
		struct load *d = list_entry(it, struct load, link);

		if (owner_exists(conf, d->owner) && db_of(d) != NULL) {
			d->retry_us = CATALOG_RETRY_MIN_US;
			load_again(d);
			continue;
		}
		if (d->catalog == NULL || publish(d, NULL))
			load_free(d);
	}
}

enum status catalog_load_new(struct env *env, struct catalog_load **out)
{
	struct catalog_load *l = calloc(1, sizeof *l);

	if (l == NULL)
		return E_NOMEM;
	l->env = env;
	list_init(&l->loads);
	wheel_timer_init(&l->kick, on_kick);
	*out = l;
	return OK;
}

void catalog_load_free(struct catalog_load *l)
{
	struct list *it, *tmp;

	if (l == NULL)
		return;
	list_foreach_safe (it, tmp, &l->loads) {
		struct load *d = list_entry(it, struct load, link);

		catalog_free(d->catalog); /* no worker is left that could read it */
		load_free(d);
	}
	wheel_del(&l->env->wheel, &l->kick);
	free(l);
}
