#include "control/show.h"

#include <stdio.h>
#include <string.h>

#include <config.h>

#include "auth/users.h"
#include "conf/conf.h"
#include "conf/setting_text.h"
#include "control/admin.h"
#include "control/console.h"
#include "control/listening.h"
#include "control/resolve.h"
#include "control/verify.h"
#include "net/resolver.h"
#include "route/topology.h"

#define I4 REPLY_TYPE_INT4
#define I8 REPLY_TYPE_INT8
#define T  REPLY_TYPE_TEXT

/* --- VERSION --- */

static const struct reply_column version_columns[] = {{"version", T}};

static size_t version_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const char *text = env_conf(in->env)->version_text;

	if (pos != 0)
		return SIZE_MAX;
	rows_begin(out);
	rows_text(out, *text != '\0' ? text : SHOW_VERSION_TEXT);
	rows_end(out);
	return 1;
}

/* --- CONFIG --- */

static const struct reply_column config_columns[] = {
	{"key", T}, {"value", T}, {"default", T}, {"changeable", T}};

static size_t config_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	const struct setting *s;
	char value[ROWS_VALUE_MAX + 1];

	if (pos >= n_settings)
		return SIZE_MAX;
	s = &settings[pos];
	if (s->scope != SETTING_GLOBAL || s->alias_of != NULL)
		return pos + 1;
	rows_begin(out);
	rows_text(out, s->name);
	if (s->type == SETTING_NONE)
		rows_text(out, s->def);
	else
		rows_text(out, setting_format(s, conf, value, sizeof value));
	rows_text(out, setting_default(s, conf->is_pgbouncer));
	rows_text(out, (s->flags & SETTING_RESTART) != 0 ? "no" : "yes");
	rows_end(out);
	return pos + 1;
}

/* --- LISTENERS --- */

static const struct reply_column listeners_columns[] = {{"database", T}, {"node", T}, {"state", T},
	{"channels", I8}, {"received", I8}, {"losses", I8}};

static size_t listeners_row(const struct show_in *in, size_t pos, struct rows *out)
{
	struct listening_row row;

	if (in->listenings == NULL || !listenings_next(in->listenings, &pos, &row))
		return SIZE_MAX;
	rows_begin(out);
	rows_text(out, row.database);
	rows_text(out, show_node_name(in->env, row.node));
	rows_text(out, row.state);
	rows_u64(out, row.channels);
	rows_u64(out, row.received);
	rows_u64(out, row.losses);
	rows_end(out);
	return pos;
}

/* --- STATE --- */

static const struct reply_column state_columns[] = {{"key", T}, {"value", T}};

static size_t state_row(const struct show_in *in, size_t pos, struct rows *out)
{
	static const char *const keys[] = {"active", "paused", "suspended"};
	bool paused = admin_is_paused_all(in->env);
	bool suspended = admin_is_suspended(in->env);
	const bool values[] = {!paused && !suspended, paused, suspended};

	if (pos >= sizeof keys / sizeof *keys)
		return SIZE_MAX;
	rows_begin(out);
	rows_text(out, keys[pos]);
	rows_text(out, values[pos] ? "yes" : "no");
	rows_end(out);
	return pos + 1;
}

/* --- LISTS --- */

static const struct reply_column lists_columns[] = {{"list", T}, {"items", I4}};

static struct show_worker_row all_workers(const struct show_in *in)
{
	struct show_worker_row sum = {.clients = 0};

	for (uint32_t i = 0; i < in->env->shared->n_workers; i++) {
		const struct show_worker_row *w = &in->gathered->workers[i];

		sum.clients += w->clients;
		sum.servers += w->servers;
		sum.login_clients += w->login_clients;
		sum.bytes_kept += w->bytes_kept;
		sum.buffers_free += w->buffers_free;
		sum.settings += w->settings;
		sum.statements += w->statements;
		sum.statement_bytes += w->statement_bytes;
	}
	return sum;
}

/* Those of the file, those that "*" serves at the moment, and the console's own. */
static uint64_t n_databases(const struct show_in *in)
{
	const struct conf *conf = env_conf(in->env);
	uint64_t n = conf->n_dbs + 1 - (conf->fallback != NULL);

	for (size_t i = 0; i < in->gathered->n_databases; i++)
		n += conf->fallback != NULL &&
		     conf_find_db(conf, in->gathered->databases[i].name) == conf->fallback;
	return n;
}

static uint64_t n_users(const struct show_in *in)
{
	const struct conf *conf = env_conf(in->env);
	const struct auth_users *users = env_users(in->env);
	uint64_t n = auth_users_count(users);

	for (size_t i = 0; i < conf->n_users; i++)
		n += auth_users_find(users, conf->users[i].name) == NULL;
	for (size_t i = 0; i < in->gathered->n_users; i++)
		n += auth_users_find(users, in->gathered->users[i].name) == NULL &&
		     conf_find_user(conf, in->gathered->users[i].name) == NULL;
	return n;
}

/* One per database and user, and the console's own. */
static uint64_t n_pools(const struct gathered *g)
{
	uint64_t n = 1;

	for (size_t i = 0; i < g->n_pools; i++)
		n += i == 0 || strcmp(g->pools[i]->database, g->pools[i - 1]->database) != 0 ||
		     strcmp(g->pools[i]->user, g->pools[i - 1]->user) != 0;
	return n;
}

static uint64_t n_peer_pools(const struct conf *conf)
{
	return conf->n_peers - (conf_find_peer(conf, conf->peer_id) != NULL);
}

static uint64_t list_items(const struct show_in *in, size_t pos)
{
	struct show_worker_row all = all_workers(in);

	switch (pos) {
	case 0:
		return n_databases(in);
	case 1:
		return n_users(in);
	case 2:
		return env_conf(in->env)->n_peers;
	case 3:
		return n_pools(in->gathered);
	case 4:
		return n_peer_pools(env_conf(in->env));
	case 6:
		return all.clients - all.login_clients + consoles_n(in->consoles);
	case 7:
		return all.login_clients;
	case 9:
		return all.servers;
	case 10:
		return resolver_n_names(resolve_resolver(in->resolve));
	case 12:
		return resolver_n_queries(resolve_resolver(in->resolve));
	default:
		return 0; /* docs/console.md says why */
	}
}

static size_t lists_row(const struct show_in *in, size_t pos, struct rows *out)
{
	static const char *const names[] = {"databases", "users", "peers", "pools", "peer_pools",
		"free_clients", "used_clients", "login_clients", "free_servers", "used_servers",
		"dns_names", "dns_zones", "dns_queries", "dns_pending"};

	if (pos >= sizeof names / sizeof *names)
		return SIZE_MAX;
	rows_begin(out);
	rows_text(out, names[pos]);
	rows_u64(out, list_items(in, pos));
	rows_end(out);
	return pos + 1;
}

/* --- MEM --- */

static const struct reply_column mem_columns[] = {
	{"name", T}, {"size", I4}, {"used", I8}, {"free", I8}, {"memtotal", I8}};

static size_t mem_row(const struct show_in *in, size_t pos, struct rows *out)
{
	struct show_worker_row all = all_workers(in);
	const struct {
		const char *name;
		uint64_t used, free, total;
	} caches[] = {
		{"buffer_bytes", all.bytes_kept, all.buffers_free,
			all.bytes_kept + all.buffers_free},
		{"statement_bytes", all.statement_bytes, 0, all.statement_bytes},
	};

	if (pos >= sizeof caches / sizeof *caches)
		return SIZE_MAX;
	rows_begin(out);
	rows_text(out, caches[pos].name);
	rows_u64(out, 1);
	rows_u64(out, caches[pos].used);
	rows_u64(out, caches[pos].free);
	rows_u64(out, caches[pos].total);
	rows_end(out);
	return pos + 1;
}

/* --- DNS_HOSTS, DNS_ZONES, PEERS, PEER_POOLS --- */

static const struct reply_column dns_hosts_columns[] = {{"hostname", T}, {"ttl", I8}, {"addrs", T}};

static void put_addrs(const struct resolver_name *n, char *buf, size_t cap)
{
	char one[NET_ADDR_TEXT_MAX];
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n->n_addrs && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", i != 0 ? "," : "",
			net_addr_format(&n->addrs[i], one, sizeof one));
}

static size_t dns_hosts_row(const struct show_in *in, size_t pos, struct rows *out)
{
	char addrs[RESOLVER_ADDRS_MAX * NET_ADDR_TEXT_MAX];
	struct resolver_name n;

	if (!resolver_next(resolve_resolver(in->resolve), &pos, &n))
		return SIZE_MAX;
	put_addrs(&n, addrs, sizeof addrs);
	rows_begin(out);
	rows_text(out, n.name);
	rows_u64(out, n.ttl_s);
	rows_text(out, addrs);
	rows_end(out);
	return pos;
}

static const struct reply_column dns_zones_columns[] = {
	{"zonename", T}, {"serial", I8}, {"count", I4}};
static const struct reply_column peers_columns[] = {
	{"peer_id", I4}, {"host", T}, {"port", I4}, {"pool_size", I4}};

static size_t peers_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	const struct conf_peer *p;

	if (pos >= conf->n_peers)
		return SIZE_MAX;
	p = &conf->peers[pos];
	rows_begin(out);
	rows_u64(out, p->id);
	rows_text(out, p->host);
	rows_u64(out, p->port);
	rows_u64(out, conf_peer_pool_size(conf, p));
	rows_end(out);
	return pos + 1;
}

static const struct reply_column peer_pools_columns[] = {{"peer_id", I4},
	{"cl_active_cancel_req", I4}, {"cl_waiting_cancel_req", I4}, {"sv_active_cancel", I4},
	{"sv_login", I4}};

static struct show_peer_row peer_requests(const struct gathered *g, uint32_t id)
{
	for (size_t i = 0; i < g->n_peers; i++)
		if (g->peers[i].id == id)
			return g->peers[i];
	return (struct show_peer_row){.id = id};
}

/* Ourselves apart: nothing is passed on to us by us. */
static size_t peer_pools_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	struct show_peer_row r;

	if (pos >= conf->n_peers)
		return SIZE_MAX;
	if (conf->peers[pos].id == conf->peer_id)
		return pos + 1;
	r = peer_requests(in->gathered, conf->peers[pos].id);
	rows_begin(out);
	rows_u64(out, r.id);
	rows_u64(out, r.cl_active_cancel_req);
	rows_u64(out, r.cl_waiting_cancel_req);
	rows_u64(out, r.cl_active_cancel_req); /* each has a connection of its own */
	rows_u64(out, r.sv_login);
	rows_end(out);
	return pos + 1;
}

/* --- WORKERS --- */

static const struct reply_column workers_columns[] = {
	{"worker", I4},
	{"clients", I4},
	{"login_clients", I4},
	{"servers", I4},
	{"turns", I8},
	{"units", I8},
	{"handovers_in", I8},
	{"handovers_out", I8},
	{"bytes_kept", I8},
	{"buffers_free", I8},
	{"settings", I8},
	{"statements", I8},
	{"statement_bytes", I8},
	{"cpu_us", I8},
	{"io_engine", T},
};

static size_t workers_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct show_worker_row *w;

	if (pos >= in->env->shared->n_workers)
		return SIZE_MAX;
	w = &in->gathered->workers[pos];
	rows_begin(out);
	rows_u64(out, pos);
	rows_u64(out, w->clients);
	rows_u64(out, w->login_clients);
	rows_u64(out, w->servers);
	rows_u64(out, w->turns);
	rows_u64(out, w->units);
	rows_u64(out, w->handovers_in);
	rows_u64(out, w->handovers_out);
	rows_u64(out, w->bytes_kept);
	rows_u64(out, w->buffers_free);
	rows_u64(out, w->settings);
	rows_u64(out, w->statements);
	rows_u64(out, w->statement_bytes);
	rows_u64(out, w->cpu_us);
	rows_text(out, w->io_engine);
	rows_end(out);
	return pos + 1;
}

/* --- LOGINS --- */

static const struct reply_column logins_columns[] = {{"name", T}, {"count", I8}};

const char *show_login_count(unsigned count)
{
	static const char *const names[LOGINS_COUNT] = {
		[LOGINS_PROVED] = "proved",
		[LOGINS_REFUSED] = "refused",
		[LOGINS_RATE_LIMITED] = "rate_limited",
		[LOGINS_TOO_MANY_OPEN] = "too_many_half_open",
		[LOGINS_AUTH_QUERY_SENT] = "auth_query_sent",
		[LOGINS_AUTH_QUERY_CACHED] = "auth_query_cached",
		[LOGINS_AUTH_QUERY_FAILED] = "auth_query_failed",
	};

	return count < LOGINS_COUNT ? names[count] : NULL;
}

static size_t logins_row(const struct show_in *in, size_t pos, struct rows *out)
{
	if (pos >= LOGINS_COUNT)
		return SIZE_MAX;
	rows_begin(out);
	rows_text(out, show_login_count((unsigned)pos));
	rows_u64(out, atomic_load_explicit(&in->env->shared->logins[pos], memory_order_relaxed));
	rows_end(out);
	return pos + 1;
}

/* --- AUTH_HELPERS --- */

static const struct reply_column auth_helpers_columns[] = {
	{"method", T},
	{"waiting", I4},
	{"running", I4},
	{"stuck", I4},
	{"accepted", I8},
	{"denied", I8},
	{"failed", I8},
	{"timed_out", I8},
	{"queue_full", I8},
	{"client_gone", I8},
};

static size_t auth_helpers_row(const struct show_in *in, size_t pos, struct rows *out)
{
	enum verify_method method = (enum verify_method)pos;
	struct verify_count n;

	if (pos >= VERIFY_METHODS || in->verify == NULL)
		return SIZE_MAX;
	n = verify_count(in->verify, method);
	rows_begin(out);
	rows_text(out, verify_method_name(method));
	rows_u64(out, n.waiting);
	rows_u64(out, n.running);
	rows_u64(out, n.stuck);
	for (unsigned i = 0; i < VERIFY_RESULT_COUNT; i++)
		rows_u64(out, n.results[i]);
	rows_end(out);
	return pos + 1;
}

#define TABLE(table, columns, gather, row)       \
	const struct show_table show_##table = { \
		#table, SHOW_COLUMNS(columns), gather, SHOW_NO_STREAM, NULL, row, false}

TABLE(version, version_columns, 0, version_row);
TABLE(config, config_columns, 0, config_row);
TABLE(state, state_columns, 0, state_row);
TABLE(lists, lists_columns, GATHER_POOLS | GATHER_WORKERS, lists_row);
TABLE(mem, mem_columns, GATHER_WORKERS, mem_row);
TABLE(listeners, listeners_columns, 0, listeners_row);
TABLE(dns_hosts, dns_hosts_columns, 0, dns_hosts_row);
TABLE(dns_zones, dns_zones_columns, 0, NULL);
TABLE(peers, peers_columns, 0, peers_row);
TABLE(peer_pools, peer_pools_columns, GATHER_PEERS, peer_pools_row);
TABLE(auth_helpers, auth_helpers_columns, 0, auth_helpers_row);
TABLE(logins, logins_columns, 0, logins_row);
TABLE(workers, workers_columns, GATHER_WORKERS, workers_row);
