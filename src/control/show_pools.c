#include "control/show.h"

#include <stdio.h>
#include <string.h>

#include "auth/users.h"
#include "conf/conf.h"
#include "conf/effective.h"
#include "control/admin.h"
#include "control/console.h"
#include "route/topology.h"

#define I4 REPLY_TYPE_INT4
#define I8 REPLY_TYPE_INT8
#define T  REPLY_TYPE_TEXT

/* The console's own database, as PgBouncer lists it. */
#define OWN_MODE "statement"
#define OWN_SIZE 2u

static const char *balance_word(const struct conf_db *db)
{
	if (db == NULL || db->n_nodes < 2)
		return NULL;
	return db->load_balance_hosts == HOST_BALANCE_DISABLE ? "disable" : "round-robin";
}

/* --- POOLS: one row per database and user --- */

static const struct reply_column pools_columns[] = {
	{"database", T},
	{"user", T},
	{"cl_active", I4},
	{"cl_waiting", I4},
	{"cl_active_cancel_req", I4},
	{"cl_waiting_cancel_req", I4},
	{"sv_active", I4},
	{"sv_active_cancel", I4},
	{"sv_being_canceled", I4},
	{"sv_idle", I4},
	{"sv_used", I4},
	{"sv_tested", I4},
	{"sv_login", I4},
	{"maxwait", I4},
	{"maxwait_us", I4},
	{"pool_mode", T},
	{"load_balance_hosts", T},
};

static void put_servers(struct rows *out, const struct pool_sum *p)
{
	rows_u64(out, p->sv_active);
	rows_u64(out, p->sv_active_cancel);
	rows_u64(out, p->sv_being_canceled);
	rows_u64(out, p->sv_idle);
	rows_u64(out, p->sv_used);
	rows_u64(out, p->sv_tested);
	rows_u64(out, p->sv_login);
	rows_u64(out, p->maxwait_us / 1000000u);
	rows_u64(out, p->maxwait_us % 1000000u);
}

static void put_pool(
	struct rows *out, const struct pool_sum *p, const char *mode, const char *balance)
{
	rows_begin(out);
	rows_text(out, p->database);
	rows_text(out, p->user);
	rows_u64(out, p->cl_active);
	rows_u64(out, p->cl_waiting);
	rows_u64(out, p->cl_active_cancel_req);
	rows_u64(out, p->cl_waiting_cancel_req);
	put_servers(out, p);
	rows_text(out, mode);
	rows_text(out, balance);
	rows_end(out);
}

static bool same_pool(const struct pool_sum *a, const struct pool_sum *b)
{
	return strcmp(a->database, b->database) == 0 && strcmp(a->user, b->user) == 0;
}

/* `to`, which has the clients, gets the servers of one more node. */
static void add_node(struct pool_sum *to, const struct pool_sum *node)
{
	to->sv_active += node->sv_active;
	to->sv_active_cancel += node->sv_active_cancel;
	to->sv_being_canceled += node->sv_being_canceled;
	to->sv_idle += node->sv_idle;
	to->sv_used += node->sv_used;
	to->sv_tested += node->sv_tested;
	to->sv_login += node->sv_login;
	if (node->maxwait_us > to->maxwait_us)
		to->maxwait_us = node->maxwait_us;
}

static size_t own_pool(const struct show_in *in, struct rows *out)
{
	struct pool_sum p = {.database = CONSOLE_DATABASE, .user = CONSOLE_DATABASE};

	p.cl_active = consoles_n(in->consoles);
	put_pool(out, &p, OWN_MODE, NULL);
	return SIZE_MAX - 1;
}

static size_t pools_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct gathered *g = in->gathered;
	struct pool_sum sum;
	size_t next;

	if (pos == SIZE_MAX - 1)
		return SIZE_MAX;
	if (pos >= g->n_pools)
		return own_pool(in, out);
	sum = *g->pools[pos];
	for (next = pos + 1; next < g->n_pools && same_pool(&sum, g->pools[next]); next++)
		add_node(&sum, g->pools[next]);
	put_pool(out, &sum, show_pool_mode(sum.pool_mode),
		balance_word(conf_find_db(env_conf(in->env), sum.database)));
	return next;
}

/* --- NODE_POOLS: the same by node --- */

static const struct reply_column node_pools_columns[] = {
	{"database", T},
	{"user", T},
	{"node", T},
	{"role", T},
	{"sv_active", I4},
	{"sv_active_cancel", I4},
	{"sv_being_canceled", I4},
	{"sv_idle", I4},
	{"sv_used", I4},
	{"sv_tested", I4},
	{"sv_login", I4},
	{"maxwait", I4},
	{"maxwait_us", I4},
	{"cl_waiting", I4},
	{"pinned", I4},
	{"pool_size", I4},
	{"outstanding", I8},
	{"latency_us", I8},
	{"ejected_ms", I8},
};

static const char *role_of(const struct env *env, int32_t node)
{
	const struct topo_node *n = topology_node(env_topology(env), (uint16_t)node);

	return n != NULL ? topo_role_name(n->role) : "";
}

static uint32_t pool_size_of(const struct env *env, const struct pool_sum *p)
{
	const struct conf *conf = env_conf(env);
	const struct conf_db *db = conf_find_db(conf, p->database);

	return db != NULL ? conf_pool_size(conf, db, conf_find_user(conf, p->user)) : 0;
}

static size_t node_pools_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct pool_sum *p;

	if (pos >= in->gathered->n_pools)
		return SIZE_MAX;
	p = in->gathered->pools[pos];
	if (p->node < 0)
		return pos + 1;
	rows_begin(out);
	rows_text(out, p->database);
	rows_text(out, p->user);
	rows_text(out, show_node_name(in->env, p->node));
	rows_text(out, role_of(in->env, p->node));
	put_servers(out, p);
	rows_u64(out, p->cl_waiting);
	rows_u64(out, p->pinned);
	rows_u64(out, pool_size_of(in->env, p));
	rows_u64(out, p->outstanding);
	rows_u64(out, p->latency_us);
	rows_u64(out, p->ejected_us > env_now_us(in->env)
			      ? (p->ejected_us - env_now_us(in->env)) / 1000u
			      : 0);
	rows_end(out);
	return pos + 1;
}

/* --- DATABASES --- */

static const struct reply_column databases_columns[] = {
	{"name", T}, {"host", T}, {"port", I4}, {"database", T}, {"force_user", T},
	{"pool_size", I4}, {"min_pool_size", I4}, {"reserve_pool_size", I4},
	{"server_lifetime", I4}, {"pool_mode", T}, {"load_balance_hosts", T},
	{"max_connections", I4}, {"current_connections", I4}, {"max_client_connections", I4},
	{"current_client_connections", I4}, {"paused", I4}, {"disabled", I4},
	{"reserve_pool", I4}, /* the name before 1.24; with legacy_columns alone */
};

static void put_legacy_reserve(uint32_t size, struct rows *out)
{
	if (out->n_columns == sizeof databases_columns / sizeof *databases_columns)
		rows_u64(out, size);
}

static const char *or_null(const char *s)
{
	return *s != '\0' ? s : NULL;
}

static void put_database(
	const struct show_in *in, const struct conf_db *db, const char *name, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	struct name_sum used = gathered_database(in->gathered, name);

	rows_begin(out);
	rows_text(out, name);
	rows_text(out, or_null(db->host));
	rows_u64(out, db->nodes[0].node->port);
	rows_text(out, conf_dbname(db, name));
	rows_text(out, or_null(db->user));
	rows_u64(out, conf_pool_size(conf, db, NULL));
	rows_u64(out, conf_min_pool_size(conf, db));
	rows_u64(out, conf_reserve_pool_size(conf, db, NULL));
	rows_u64(out, conf_server_lifetime_us(conf, db) / 1000000u);
	rows_text(out, show_pool_mode(db->pool_mode));
	rows_text(out, balance_word(db));
	rows_u64(out, conf_max_db_connections(conf, db));
	rows_u64(out, used.servers);
	rows_u64(out, conf_max_db_client_connections(conf, db));
	rows_u64(out, used.clients);
	rows_u64(out, admin_is_paused(in->env, name));
	rows_u64(out, admin_is_disabled(in->env, name));
	put_legacy_reserve(conf_reserve_pool_size(conf, db, NULL), out);
	rows_end(out);
}

static void put_own_database(const struct show_in *in, struct rows *out)
{
	rows_begin(out);
	rows_text(out, CONSOLE_DATABASE);
	rows_text(out, NULL);
	rows_u64(out, env_conf(in->env)->listen_port);
	rows_text(out, CONSOLE_DATABASE);
	rows_text(out, CONSOLE_DATABASE);
	rows_u64(out, OWN_SIZE);
	for (unsigned i = 0; i < 3; i++) /* min_pool_size, reserve_pool_size, server_lifetime */
		rows_u64(out, 0);
	rows_text(out, OWN_MODE);
	rows_text(out, NULL);
	for (unsigned i = 0; i < 3; i++) /* max and current connections, max clients */
		rows_u64(out, 0);
	rows_u64(out, consoles_n(in->consoles));
	rows_u64(out, 0);
	rows_u64(out, 0);
	put_legacy_reserve(0, out);
	rows_end(out);
}

static bool is_configured(const struct conf *conf, const char *name)
{
	const struct conf_db *db = conf_find_db(conf, name);

	return db != NULL && db != conf->fallback;
}

/* First those of the file, then those that "*" serves and clients use, then the console's own. */
static size_t databases_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	const struct gathered *g = in->gathered;
	const char *name;

	if (pos < conf->n_dbs) {
		if (&conf->dbs[pos] != conf->fallback && strcmp(conf->dbs[pos].name, "*") != 0)
			put_database(in, &conf->dbs[pos], conf->dbs[pos].name, out);
		return pos + 1;
	}
	if (pos - conf->n_dbs < g->n_databases) {
		name = g->databases[pos - conf->n_dbs].name;
		if (conf->fallback != NULL && !is_configured(conf, name))
			put_database(in, conf->fallback, name, out);
		return pos + 1;
	}
	if (pos - conf->n_dbs > g->n_databases)
		return SIZE_MAX;
	put_own_database(in, out);
	return pos + 1;
}

/* --- USERS --- */

static const struct reply_column users_columns[] = {
	{"name", T},
	{"pool_size", T},
	{"reserve_pool_size", T},
	{"pool_mode", T},
	{"max_user_connections", I4},
	{"current_connections", I4},
	{"max_user_client_connections", I4},
	{"current_client_connections", I4},
};

/* Text, right-aligned, empty if it is not set: PgBouncer's. */
static void put_size(struct rows *out, uint32_t size)
{
	char buf[16] = "";

	if (size != CONF_UNSET)
		snprintf(buf, sizeof buf, "%9u", size);
	rows_text(out, buf);
}

static void put_user(const struct show_in *in, const char *name, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	const struct conf_user *u = conf_find_user(conf, name);
	struct name_sum used = gathered_user(in->gathered, name);

	rows_begin(out);
	rows_text(out, name);
	put_size(out, u != NULL ? u->pool_size : CONF_UNSET);
	put_size(out, u != NULL ? u->reserve_pool_size : CONF_UNSET);
	rows_text(out, u != NULL ? show_pool_mode(u->pool_mode) : NULL);
	rows_u64(out, conf_max_user_connections(conf, u));
	rows_u64(out, used.servers);
	rows_u64(out, conf_max_user_client_connections(conf, u));
	rows_u64(out, used.clients);
	rows_end(out);
}

/* auth_file's, then those of [users] alone, then those that only clients name (auth_type any). */
static size_t users_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	const struct auth_users *users = env_users(in->env);
	const struct gathered *g = in->gathered;
	size_t n = auth_users_count(users), i = pos;
	const char *name = NULL;

	if (i < n) {
		put_user(in, auth_users_at(users, i)->name, out);
		return pos + 1;
	}
	i -= n;
	if (i < conf->n_users)
		name = conf->users[i].name;
	else if (i - conf->n_users < g->n_users)
		name = g->users[i - conf->n_users].name;
	else
		return SIZE_MAX;
	if (auth_users_find(users, name) == NULL &&
		(i < conf->n_users || conf_find_user(conf, name) == NULL))
		put_user(in, name, out);
	return pos + 1;
}

const struct show_table show_pools = {
	"pools", SHOW_COLUMNS(pools_columns), GATHER_POOLS, SHOW_NO_STREAM, NULL, pools_row, false};
const struct show_table show_node_pools = {"node_pools", SHOW_COLUMNS(node_pools_columns),
	GATHER_POOLS, SHOW_NO_STREAM, NULL, node_pools_row, false};
const struct show_table show_databases = {"databases", SHOW_COLUMNS_BUT(databases_columns, 1),
	GATHER_POOLS, SHOW_NO_STREAM, NULL, databases_row, false};
const struct show_table show_databases_legacy = {"databases", SHOW_COLUMNS(databases_columns),
	GATHER_POOLS, SHOW_NO_STREAM, NULL, databases_row, false};
const struct show_table show_users = {
	"users", SHOW_COLUMNS(users_columns), GATHER_POOLS, SHOW_NO_STREAM, NULL, users_row, false};
