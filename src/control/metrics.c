#include "control/page.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <config.h>

#include "conf/conf.h"
#include "control/console.h"
#include "control/exposition.h"
#include "control/helpers.h"
#include "control/lag_log.h"
#include "control/process.h"
#include "control/queries.h"
#include "control/verify.h"
#include "route/choose.h"
#include "route/topology.h"
#include "sql/catalog.h"
#include "state/pins.h"

/*
 * A family of metrics. `write` puts the samples of one position and returns the next one, SIZE_MAX
 * if there is none at `pos` or after it.
 */
struct family {
	const char *name, *type, *help;
	size_t (*write)(const struct show_in *in, const struct family *f, size_t pos, struct wr *w);
	size_t field; /* tells families apart that share a function */
};

/* --- the process --- */

enum { RSS_BYTES, CPU_US, START_US, N_CLIENTS, MAX_CLIENTS, N_CONSOLES, N_JOBS };

static uint64_t process_value(const struct show_in *in, size_t which)
{
	const struct shared *sh = in->env->shared;

	switch (which) {
	case RSS_BYTES:
		return process_rss_bytes();
	case CPU_US:
		return process_cpu_us();
	case START_US:
		return sh->start_wall_us;
	case N_CLIENTS:
		return atomic_load_explicit(&sh->n_clients, memory_order_relaxed);
	case MAX_CLIENTS:
		return env_conf(in->env)->max_client_conn;
	case N_CONSOLES:
		return consoles_n(in->consoles);
	default:
		return helpers_n_jobs(in->env->helpers);
	}
}

static size_t process(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	struct labels none = {.n = 0};
	uint64_t v = process_value(in, f->field);

	if (pos != 0)
		return SIZE_MAX;
	if (f->field == CPU_US || f->field == START_US)
		exposition_seconds(w, f->name, &none, v);
	else
		exposition_u64(w, f->name, &none, v);
	return 1;
}

static size_t info(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	struct labels l = {1, {{"version", PACKAGE_VERSION}}};

	(void)in;
	if (pos != 0)
		return SIZE_MAX;
	exposition_u64(w, f->name, &l, 1);
	return 1;
}

/* --- databases --- */

/* Counters of struct show_stats_row; times are µs there and seconds here. */
static size_t database(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	struct labels l = {.n = 0};
	const char *row;
	uint64_t v;

	if (pos >= in->gathered->n_stats)
		return SIZE_MAX;
	row = (const char *)in->gathered->stats[pos];
	memcpy(&v, row + f->field, sizeof v);
	labels_add(&l, "database", in->gathered->stats[pos]->database);
	if (strstr(f->name, "_seconds_") != NULL)
		exposition_seconds(w, f->name, &l, v);
	else
		exposition_u64(w, f->name, &l, v);
	return pos + 1;
}

/* Transactions that began on a replica and have moved, by cause. */
static size_t moved(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const size_t db = pos / MOVED_CAUSE_COUNT;
	const enum moved_cause why = (enum moved_cause)(pos % MOVED_CAUSE_COUNT);
	struct labels l = {.n = 0};

	if (db >= in->gathered->n_stats)
		return SIZE_MAX;
	labels_add(&l, "database", in->gathered->stats[db]->database);
	labels_add(&l, "cause", moved_cause_name(why));
	exposition_u64(w, f->name, &l, in->gathered->stats[db]->moved[why]);
	return pos + 1;
}

/* Reads that ran elsewhere in place of the node that was chosen, by cause. */
static size_t replays(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const size_t db = pos / REPLAYED_CAUSES;
	const enum replay_cause cause = (enum replay_cause)(pos % REPLAYED_CAUSES);
	struct labels l = {.n = 0};

	if (db >= in->gathered->n_stats)
		return SIZE_MAX;
	labels_add(&l, "database", in->gathered->stats[db]->database);
	labels_add(&l, "cause", replay_cause_name(cause));
	exposition_u64(w, f->name, &l, in->gathered->stats[db]->replays[cause]);
	return pos + 1;
}

enum { ROUTE_UNITS, ROUTE_US, ROUTE_BROKEN_ANSWERS, ROUTE_BROKEN_BLOCKS };

static size_t routes(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct show_route_row *r;
	uint64_t counts[ROUTE_BROKEN_BLOCKS + 1] = {0};
	struct labels l = {.n = 0};

	if (pos >= in->gathered->n_routes)
		return SIZE_MAX;
	r = in->gathered->routes[pos];
	counts[ROUTE_UNITS] = r->n;
	counts[ROUTE_BROKEN_ANSWERS] = r->broken_answers;
	counts[ROUTE_BROKEN_BLOCKS] = r->broken_blocks;
	labels_add(&l, "database", r->database);
	labels_add(&l, "verdict", show_verdict(r->verdict));
	labels_add(&l, "node", show_node_name(in->env, r->node));
	labels_add(&l, "reason", choose_reason_name(r->reason));
	labels_add(&l, "mode", r->shadow ? "shadow" : "on");
	if (f->field == ROUTE_US)
		exposition_seconds(w, f->name, &l, r->us);
	else
		exposition_u64(w, f->name, &l, counts[f->field]);
	return pos + 1;
}

static size_t errors(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct show_error_row *r;
	struct labels l = {.n = 0};
	char class[3] = "";

	if (pos >= in->gathered->n_errors)
		return SIZE_MAX;
	r = in->gathered->errors[pos];
	memcpy(class, r->sqlstate, 2);
	labels_add(&l, "database", r->database);
	labels_add(&l, "sqlstate", r->sqlstate);
	labels_add(&l, "sqlstate_class", strcmp(r->sqlstate, "other") == 0 ? r->sqlstate : class);
	labels_add(&l, "source", error_source_name((enum error_source)r->source));
	exposition_u64(w, f->name, &l, r->n);
	return pos + 1;
}

/* --- pools --- */

static struct labels pool_labels(const struct show_in *in, const struct pool_sum *p)
{
	struct labels l = {.n = 0};

	labels_add(&l, "database", p->database);
	labels_add(&l, "user", p->user);
	if (p->node >= 0)
		labels_add(&l, "node", show_node_name(in->env, p->node));
	return l;
}

struct state_count {
	const char *state;
	uint32_t n;
};

static void put_states(struct wr *w, const char *name, const struct labels *of,
	const struct state_count *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct labels l = *of;

		labels_add(&l, "state", v[i].state);
		exposition_u64(w, name, &l, v[i].n);
	}
}

static void put_clients(
	const struct show_in *in, const struct family *f, const struct pool_sum *p, struct wr *w)
{
	struct labels l = pool_labels(in, p);
	const struct state_count v[] = {
		{"active", p->cl_idle < p->cl_active ? p->cl_active - p->cl_idle : 0},
		{"idle", p->cl_idle},
		{"waiting", p->cl_waiting},
		{"login", p->cl_login},
		{"active_cancel_req", p->cl_active_cancel_req},
		{"waiting_cancel_req", p->cl_waiting_cancel_req},
	};

	put_states(w, f->name, &l, v, sizeof v / sizeof *v);
}

static void put_servers(
	const struct show_in *in, const struct family *f, const struct pool_sum *p, struct wr *w)
{
	struct labels l = pool_labels(in, p);
	const struct state_count v[] = {
		{"active", p->sv_active},
		{"idle", p->sv_idle},
		{"used", p->sv_used},
		{"tested", p->sv_tested},
		{"login", p->sv_login},
		{"active_cancel", p->sv_active_cancel},
		{"being_canceled", p->sv_being_canceled},
	};

	put_states(w, f->name, &l, v, sizeof v / sizeof *v);
}

static void put_ejections(
	const struct show_in *in, const struct family *f, const struct pool_sum *p, struct wr *w)
{
	static const char *const causes[] = {"errors", "latency"};

	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
		struct labels l = pool_labels(in, p);

		labels_add(&l, "cause", causes[i]);
		exposition_u64(w, f->name, &l, p->ejections[i]);
	}
}

enum {
	CLIENTS,
	SERVERS,
	MAXWAIT,
	PINNED,
	OUTSTANDING,
	LATENCY,
	EJECTED,
	EJECTIONS,
	WAIT_HIST,
	QUERY_HIST
};

static void put_pool(
	const struct show_in *in, const struct family *f, const struct pool_sum *p, struct wr *w)
{
	struct labels l = pool_labels(in, p);

	switch (f->field) {
	case CLIENTS:
		put_clients(in, f, p, w);
		break;
	case SERVERS:
		put_servers(in, f, p, w);
		break;
	case MAXWAIT:
		exposition_seconds(w, f->name, &l, p->maxwait_us);
		break;
	case PINNED:
		exposition_u64(w, f->name, &l, p->pinned);
		break;
	case OUTSTANDING:
		exposition_u64(w, f->name, &l, p->outstanding);
		break;
	case LATENCY:
		exposition_seconds(w, f->name, &l, p->latency_us);
		break;
	case EJECTED:
		exposition_u64(w, f->name, &l, p->ejected_us > env_now_us(in->env));
		break;
	case EJECTIONS:
		put_ejections(in, f, p, w);
		break;
	case WAIT_HIST:
		exposition_hist(w, f->name, &l, &p->wait);
		break;
	case QUERY_HIST:
		exposition_hist(w, f->name, &l, &p->query);
		break;
	}
}

/* Clients and their waits belong to (database, user); the rest to a node as well. */
static bool is_of_clients(size_t field)
{
	return field == CLIENTS || field == MAXWAIT;
}

static size_t pools(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct pool_sum *p;
	bool is_hist = f->field == WAIT_HIST || f->field == QUERY_HIST;

	if (pos >= in->gathered->n_pools)
		return SIZE_MAX;
	p = in->gathered->pools[pos];
	if (is_hist ? (f->field == WAIT_HIST ? p->wait.count : p->query.count) != 0 || p->node < 0
		    : (p->node < 0) == is_of_clients(f->field))
		put_pool(in, f, p, w);
	return pos + 1;
}

static size_t pins(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct pin_counts *n = &in->env->shared->pins;
	struct labels l = {.n = 0};

	if (pos >= PIN_CAUSE_COUNT)
		return SIZE_MAX;
	labels_add(&l, "cause", pin_cause_name((enum pin_cause)pos));
	exposition_u64(w, f->name, &l,
		atomic_load_explicit(
			f->field == 0 ? &n->now[pos] : &n->total[pos], memory_order_relaxed));
	return pos + 1;
}

static size_t logins(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	struct labels l = {.n = 0};

	if (pos >= LOGINS_COUNT)
		return SIZE_MAX;
	labels_add(&l, "what", show_login_count((unsigned)pos));
	exposition_u64(w, f->name, &l,
		atomic_load_explicit(&in->env->shared->logins[pos], memory_order_relaxed));
	return pos + 1;
}

static size_t auth_checks(
	const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	enum verify_method method = (enum verify_method)(pos / VERIFY_RESULT_COUNT);
	enum verify_result result = (enum verify_result)(pos % VERIFY_RESULT_COUNT);
	struct labels l = {.n = 0};

	if (method >= VERIFY_METHODS || in->verify == NULL)
		return SIZE_MAX;
	labels_add(&l, "method", verify_method_name(method));
	labels_add(&l, "result", verify_result_name(result));
	exposition_u64(w, f->name, &l, verify_count(in->verify, method).results[result]);
	return pos + 1;
}

static size_t auth_checks_now(
	const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	static const char *const states[] = {"waiting", "running", "stuck"};
	struct labels l = {.n = 0};
	struct verify_count n;

	if (pos >= 3 * VERIFY_METHODS || in->verify == NULL)
		return SIZE_MAX;
	n = verify_count(in->verify, (enum verify_method)(pos / 3));
	labels_add(&l, "method", verify_method_name((enum verify_method)(pos / 3)));
	labels_add(&l, "state", states[pos % 3]);
	exposition_u64(w, f->name, &l, (const uint32_t[]){n.waiting, n.running, n.stuck}[pos % 3]);
	return pos + 1;
}

static size_t notify(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct notify_counts *n = &in->env->shared->notify;
	const _Atomic uint64_t *const values[] = {&n->channels, &n->subscribed, &n->received,
		&n->delivered, &n->overflows, &n->losses};
	struct labels l = {.n = 0};

	if (pos != 0)
		return SIZE_MAX;
	exposition_u64(
		w, f->name, &l, atomic_load_explicit(values[f->field], memory_order_relaxed));
	return 1;
}

static size_t cleaned(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	struct labels l = {.n = 0};

	if (pos >= CLEAN_KIND_COUNT)
		return SIZE_MAX;
	labels_add(&l, "kind", clean_kind_name((enum clean_kind)pos));
	exposition_u64(w, f->name, &l,
		atomic_load_explicit(&in->env->shared->pins.cleaned[pos], memory_order_relaxed));
	return pos + 1;
}

static size_t pins_over(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	struct labels l = {.n = 0};

	if (pos != 0)
		return SIZE_MAX;
	exposition_u64(w, f->name, &l,
		atomic_load_explicit(&in->env->shared->pins.over, memory_order_relaxed));
	return 1;
}

/* --- what the routing knows --- */

static size_t learned(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct shared *sh = in->env->shared;
	struct labels l = {.n = 0};

	if (pos != 0)
		return SIZE_MAX;
	exposition_u64(w, f->name, &l,
		atomic_load_explicit(f->field == 0 ? &sh->learned_now : &sh->learned_total,
			memory_order_relaxed));
	return 1;
}

enum { CATALOG_NAMES, CATALOG_BYTES, CATALOG_AGE_US };

static size_t catalog(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct catalogs *c = env_catalogs(in->env);
	const struct catalog_entry *e;
	struct labels l = {.n = 0};
	char cluster[16];

	if (c == NULL || pos >= c->n)
		return SIZE_MAX;
	e = &c->entry[pos];
	if (e->owner < CATALOG_OF_NODE) {
		snprintf(cluster, sizeof cluster, "%u", e->owner);
		labels_add(&l, "cluster", cluster);
	} else {
		labels_add(
			&l, "node", show_node_name(in->env, (int32_t)(e->owner - CATALOG_OF_NODE)));
	}
	labels_add(&l, "database", e->dbname);
	if (f->field == CATALOG_NAMES)
		exposition_u64(w, f->name, &l, catalog_n_names(e->catalog));
	else if (f->field == CATALOG_BYTES)
		exposition_u64(w, f->name, &l, catalog_mem_bytes(e->catalog));
	else
		exposition_seconds(w, f->name, &l, env_now_us(in->env) - e->loaded_us);
	return pos + 1;
}

/* --- nodes --- */

enum {
	NODE_UP,
	NODE_DOWN,
	NODE_REFUSED,
	NODE_FENCED,
	NODE_BLIND,
	NODE_SILENT,
	NODE_PRIMARY,
	NODE_REPLICA,
	NODE_TIMELINE,
	NODE_LSN,
	NODE_LAG_BYTES,
	NODE_LAG_US,
	NODE_LAG_MAX_US,
	NODE_PROBE_US,
	NODE_SHARE
};

static void put_node(const struct show_in *in, const struct family *f, const struct topo_node *n,
	bool is_primary, struct wr *w)
{
	uint32_t id = (uint32_t)(n - env_topology(in->env)->nodes);
	uint64_t lag_max_us = in->env->lag_log != NULL ? lag_log_max_us(in->env->lag_log, id) : 0;
	struct labels l = {.n = 0};
	bool is_replica = n->role == TOPO_ROLE_REPLICA;

	labels_add(&l, "node", n->label);
	switch (f->field) {
	case NODE_UP:
		exposition_u64(w, f->name, &l, n->health == TOPO_UP);
		break;
	case NODE_DOWN:
		exposition_u64(w, f->name, &l, n->health == TOPO_DOWN);
		break;
	case NODE_REFUSED:
		exposition_u64(w, f->name, &l, n->health == TOPO_REFUSED);
		break;
	case NODE_FENCED:
		exposition_u64(w, f->name, &l, n->fenced);
		break;
	case NODE_BLIND:
		exposition_u64(w, f->name, &l, n->blind);
		break;
	case NODE_SILENT:
		exposition_u64(w, f->name, &l, n->silent);
		break;
	case NODE_PRIMARY:
		exposition_u64(w, f->name, &l, is_primary);
		break;
	case NODE_REPLICA:
		exposition_u64(w, f->name, &l, is_replica && n->follows);
		break;
	case NODE_TIMELINE:
		exposition_u64(w, f->name, &l, n->timeline);
		break;
	case NODE_LSN:
		exposition_u64(w, f->name, &l, n->lsn);
		break;
	case NODE_LAG_BYTES:
		if (is_replica)
			exposition_u64(w, f->name, &l, n->lag_bytes);
		break;
	case NODE_LAG_US:
		if (is_replica && n->lag_known)
			exposition_seconds(w, f->name, &l, n->lag_us);
		break;
	case NODE_LAG_MAX_US:
		if (is_replica)
			exposition_seconds(w, f->name, &l, lag_max_us);
		break;
	case NODE_PROBE_US:
		exposition_seconds(w, f->name, &l, n->latency_us);
		break;
	case NODE_SHARE: /* a ratio, in millionths as times are */
		exposition_seconds(w, f->name, &l, node_share_percent(in, n) * 10000u);
		break;
	}
}

static size_t nodes(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct conf *conf = env_conf(in->env);
	const struct topology *t = env_topology(in->env);
	const struct conf_node *node;
	const struct topo_node *n;
	const struct topo_cluster *c;

	if (pos >= conf->n_nodes)
		return SIZE_MAX;
	node = &conf->nodes[pos];
	n = topology_node(t, (uint16_t)node->id);
	if (node->cluster_id == CONF_NO_CLUSTER || n == NULL)
		return pos + 1;
	c = topology_cluster(t, n->cluster);
	put_node(in, f, n, c != NULL && c->primary == node->id, w);
	return pos + 1;
}

/* --- clusters --- */

enum { CLUSTER_PRIMARIES, CLUSTER_TIMELINE, PROMOTIONS, UNSEEN_US, DOUBLES, DOUBLE_US };

static size_t clusters(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	const struct topology *t = env_topology(in->env);
	const struct topo_cluster *c;
	struct labels l = {.n = 0};
	char name[16];

	if (t == NULL || pos >= t->n_clusters)
		return SIZE_MAX;
	c = &t->clusters[pos];
	if (env_conf(in->env)->cluster_by_id[pos] == NULL)
		return pos + 1;
	snprintf(name, sizeof name, "%zu", pos);
	labels_add(&l, "cluster", name);
	switch (f->field) {
	case CLUSTER_PRIMARIES:
		exposition_u64(w, f->name, &l, c->doubles.n_primaries);
		break;
	case CLUSTER_TIMELINE:
		exposition_u64(w, f->name, &l, c->timeline_max);
		break;
	case PROMOTIONS:
		exposition_u64(w, f->name, &l, c->doubles.promotions);
		break;
	case UNSEEN_US:
		exposition_seconds(w, f->name, &l, c->doubles.unseen_us);
		break;
	case DOUBLES:
		exposition_u64(w, f->name, &l, c->doubles.n);
		break;
	case DOUBLE_US:
		exposition_seconds(w, f->name, &l, doubles_us(&c->doubles, env_now_us(in->env)));
		break;
	}
	return pos + 1;
}

/* --- workers --- */

static size_t workers(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	struct labels l = {.n = 0};
	char name[16];
	uint64_t v;

	if (pos >= in->env->shared->n_workers)
		return SIZE_MAX;
	snprintf(name, sizeof name, "%zu", pos);
	labels_add(&l, "worker", name);
	memcpy(&v, (const char *)&in->gathered->workers[pos] + f->field, sizeof v);
	if (f->field == offsetof(struct show_worker_row, cpu_us))
		exposition_seconds(w, f->name, &l, v);
	else
		exposition_u64(w, f->name, &l, v);
	return pos + 1;
}

static size_t queries(const struct show_in *in, const struct family *f, size_t pos, struct wr *w)
{
	return query_metric(in, f->name, (enum query_metric)f->field, pos, w);
}

/* --- all of them --- */

#define DATABASE(name, field, help)                                                               \
	{                                                                                         \
		"pgweir_" name, "counter", help, database, offsetof(struct show_stats_row, field) \
	}
#define WORKER(name, type, field, help)                         \
	{                                                       \
		"pgweir_worker_" name, type, help, workers,     \
			offsetof(struct show_worker_row, field) \
	}

static const struct family families[] = {
	{"pgweir_info", "gauge", "Version of pgweir; always 1.", info, 0},
	{"process_resident_memory_bytes", "gauge", "Resident memory.", process, RSS_BYTES},
	{"process_cpu_seconds_total", "counter", "CPU time of all threads.", process, CPU_US},
	{"process_start_time_seconds", "gauge", "Start of the process, since 1970.", process,
		START_US},
	{"pgweir_client_connections", "gauge", "Clients logged in or logging in.", process,
		N_CLIENTS},
	{"pgweir_client_connections_limit", "gauge", "The setting max_client_conn.", process,
		MAX_CLIENTS},
	{"pgweir_console_connections", "gauge", "Clients of the admin console.", process,
		N_CONSOLES},
	{"pgweir_helper_jobs", "gauge", "Jobs of helper threads, waiting or running.", process,
		N_JOBS},

	DATABASE("server_assignments_total", server_assignment_count,
		"Times that a server was given to a client."),
	DATABASE("transactions_total", xact_count, "Transactions that ended."),
	DATABASE("queries_total", query_count, "Queries that ended."),
	DATABASE("received_bytes_total", received, "Bytes received from clients."),
	DATABASE("sent_bytes_total", sent, "Bytes sent to clients."),
	DATABASE(
		"transaction_seconds_total", xact_time, "Time that servers spent in transactions."),
	DATABASE("query_seconds_total", query_time, "Time that servers spent on queries."),
	DATABASE("wait_seconds_total", wait_time, "Time that clients waited for a server."),
	DATABASE("client_parses_total", client_parse_count, "Parse messages of clients."),
	DATABASE("server_parses_total", server_parse_count, "Parse messages sent to servers."),
	DATABASE("binds_total", bind_count, "Bind messages of clients."),
	DATABASE("client_logins_total", client_login_count, "Clients that logged in."),
	{"pgweir_replays_total", "counter",
		"Units that a node refused or lost and that ran elsewhere, by cause.", replays, 0},
	DATABASE("wait_timeouts_total", timeouts, "Units that query_wait_timeout ended."),

	DATABASE("replica_transactions_total", moving_began,
		"Transactions that began on a replica and may move."),
	DATABASE("replica_transactions_ended_total", moving_ended,
		"Such transactions that ended there."),
	{"pgweir_replica_transactions_moved_total", "counter",
		"Such transactions that moved to the primary, by cause.", moved, 0},

	{"pgweir_units_total", "counter",
		"Units by verdict, node and reason; mode shadow: "
		"as they would be.",
		routes, ROUTE_UNITS},
	{"pgweir_unit_server_seconds_total", "counter",
		"Time of servers on units, by verdict, node and reason.", routes, ROUTE_US},
	{"pgweir_broken_answers_total", "counter",
		"Of the units, reads whose answer broke off on a replica behind replay_window.",
		routes, ROUTE_BROKEN_ANSWERS},
	{"pgweir_broken_blocks_total", "counter",
		"Of the units, those whose READ ONLY block could not go on on its replica.", routes,
		ROUTE_BROKEN_BLOCKS},
	{"pgweir_errors_total", "counter",
		"ErrorResponses by SQLSTATE and source; the replayed ones were seen by no client.",
		errors, 0},

	{"pgweir_clients", "gauge", "Clients by state.", pools, CLIENTS},
	{"pgweir_servers", "gauge", "Server connections by state.", pools, SERVERS},
	{"pgweir_maxwait_seconds", "gauge", "How long the oldest waiting client has waited.", pools,
		MAXWAIT},
	{"pgweir_pinned_clients", "gauge", "Clients that keep their server.", pools, PINNED},
	{"pgweir_outstanding_units", "gauge", "Units sent and not answered.", pools, OUTSTANDING},
	{"pgweir_recent_latency_seconds", "gauge", "Recent time of a unit on the node.", pools,
		LATENCY},
	{"pgweir_node_ejected", "gauge",
		"Whether the replica is ejected as an outlier for the database and user.", pools,
		EJECTED},
	{"pgweir_node_ejections_total", "counter", "Such ejections, by cause.", pools, EJECTIONS},
	{"pgweir_wait_seconds", "histogram", "Time that units waited for a server.", pools,
		WAIT_HIST},
	{"pgweir_unit_seconds", "histogram", "Time from sending a unit to its end.", pools,
		QUERY_HIST},
	{"pgweir_query_calls_total", "counter", "Executions of the statements that cost most.",
		queries, QUERY_METRIC_CALLS},
	{"pgweir_query_errors_total", "counter", "Those that failed.", queries,
		QUERY_METRIC_ERRORS},
	{"pgweir_query_rows_total", "counter", "Rows that they returned or changed.", queries,
		QUERY_METRIC_ROWS},
	{"pgweir_query_queue_seconds_total", "counter", "Time that they waited for a server.",
		queries, QUERY_METRIC_QUEUE_US},
	{"pgweir_query_server_seconds_total", "counter", "Time that servers spent on them.",
		queries, QUERY_METRIC_SERVER_US},
	{"pgweir_query_repeated_total", "counter",
		"Executions of them in long series of one client: see SHOW NPLUSONE.", queries,
		QUERY_METRIC_NPLUSONE},
	{"pgweir_query_duration_seconds", "histogram",
		"Time that servers spent on one execution of them.", queries, QUERY_METRIC_HIST},
	{"pgweir_pins", "gauge", "Clients that keep their server, by cause.", pins, 0},
	{"pgweir_pins_total", "counter", "Pins ever made, by cause.", pins, 1},
	{"pgweir_pins_over_max_total", "counter",
		"Clients ever that were found to be pinned when max_pinned was met.", pins_over, 0},
	{"pgweir_server_cleanings_total", "counter",
		"Server connections cleaned of what a client left, by kind.", cleaned, 0},
	{"pgweir_learned_statements", "gauge",
		"Statements that a replica refused and that now go to the primary.", learned, 0},
	{"pgweir_learned_statements_total", "counter", "Such statements ever.", learned, 1},
	{"pgweir_catalog_names", "gauge", "Names that the loaded catalog holds.", catalog,
		CATALOG_NAMES},
	{"pgweir_catalog_bytes", "gauge", "Its memory.", catalog, CATALOG_BYTES},
	{"pgweir_catalog_age_seconds", "gauge", "How long ago it was loaded.", catalog,
		CATALOG_AGE_US},
	{"pgweir_logins_total", "counter", "What became of logins of clients.", logins, 0},
	{"pgweir_auth_checks_total", "counter",
		"Passwords that PAM or an LDAP server has checked, by result.", auth_checks, 0},
	{"pgweir_auth_checks", "gauge", "Such checks that wait, run, or are stuck.",
		auth_checks_now, 0},
	{"pgweir_listen_channels", "gauge", "Channels that are listened to.", notify, 0},
	{"pgweir_listen_subscriptions", "gauge", "Clients' channels.", notify, 1},
	{"pgweir_notifications_received_total", "counter", "Notifications received.", notify, 2},
	{"pgweir_notifications_sent_total", "counter", "Notifications given to clients.", notify,
		3},
	{"pgweir_notify_overflows_total", "counter", "Clients that notify_queue disconnected.",
		notify, 4},
	{"pgweir_listen_losses_total", "counter", "Listening connections that were lost.", notify,
		5},

	{"pgweir_node_up", "gauge", "Whether the node answers.", nodes, NODE_UP},
	{"pgweir_node_down", "gauge", "Whether it is not reached, or does not answer in time.",
		nodes, NODE_DOWN},
	{"pgweir_node_refused", "gauge",
		"Whether it refuses the monitor's login, or is of another system.", nodes,
		NODE_REFUSED},
	{"pgweir_node_fenced", "gauge",
		"Whether it says that it is the primary, and is not used as such.", nodes,
		NODE_FENCED},
	{"pgweir_node_blind", "gauge",
		"Whether its lag cannot be known: for reads of consistency eventual alone.", nodes,
		NODE_BLIND},
	{"pgweir_node_silent", "gauge",
		"Whether it hangs: its connections are given up after node_timeout.", nodes,
		NODE_SILENT},
	{"pgweir_node_is_primary", "gauge", "Whether it is its cluster's primary.", nodes,
		NODE_PRIMARY},
	{"pgweir_node_is_replica", "gauge", "Whether it is a replica that follows the primary.",
		nodes, NODE_REPLICA},
	{"pgweir_node_timeline", "gauge", "Timeline that the node is on.", nodes, NODE_TIMELINE},
	{"pgweir_node_wal_position_bytes", "gauge", "Insert or replay position, as a number.",
		nodes, NODE_LSN},
	{"pgweir_node_lag_bytes", "gauge", "WAL that the replica has not replayed.", nodes,
		NODE_LAG_BYTES},
	{"pgweir_node_lag_seconds", "gauge", "How old the state is that the replica shows.", nodes,
		NODE_LAG_US},
	{"pgweir_node_lag_max_seconds", "gauge", "The longest known lag of the last minute.", nodes,
		NODE_LAG_MAX_US},
	{"pgweir_node_probe_seconds", "gauge", "Recent time of the monitor's queries.", nodes,
		NODE_PROBE_US},
	{"pgweir_node_read_share_ratio", "gauge",
		"How much of its share of reads slow_start gives to the node.", nodes, NODE_SHARE},

	{"pgweir_cluster_primaries", "gauge", "Nodes that say that they are the primary.", clusters,
		CLUSTER_PRIMARIES},
	{"pgweir_cluster_timeline", "gauge", "The highest timeline that any node has told.",
		clusters, CLUSTER_TIMELINE},
	{"pgweir_cluster_promotions_total", "counter", "Replicas that became the primary.",
		clusters, PROMOTIONS},
	{"pgweir_cluster_promotion_unseen_seconds_total", "counter",
		"Time at most before such promotions were known.", clusters, UNSEEN_US},
	{"pgweir_cluster_double_primaries_total", "counter",
		"Times that more than one node said that it was the primary.", clusters, DOUBLES},
	{"pgweir_cluster_double_primary_seconds_total", "counter",
		"How long that lasted, all times together.", clusters, DOUBLE_US},

	WORKER("cpu_seconds_total", "counter", cpu_us, "CPU time of the worker's thread."),
	WORKER("turns_total", "counter", turns, "Turns of the worker's loop."),
	WORKER("units_total", "counter", units, "Units that the worker served."),
	WORKER("settings_asked_total", "counter", found_out,
		"Times that a server was asked what had been set."),
	WORKER("custom_parameter_closes_total", "counter", custom_closed,
		"Servers closed for custom parameters that they knew."),
	WORKER("handovers_in_total", "counter", handovers_in, "Servers taken from other workers."),
	WORKER("handovers_out_total", "counter", handovers_out, "Servers given to other workers."),
	WORKER("buffer_bytes", "gauge", bytes_kept, "Bytes in buffers in use."),
	WORKER("buffer_free_bytes", "gauge", buffers_free, "Bytes in buffers kept for use."),
	WORKER("settings_sets", "gauge", settings, "Distinct settings sets of clients."),
	WORKER("statements", "gauge", statements, "Prepared statements known."),
	WORKER("statement_bytes", "gauge", statement_bytes, "Bytes of their texts."),
};

#define N_FAMILIES (sizeof families / sizeof *families)

static void write_one(struct page *p, struct wr *w)
{
	const struct family *f = &families[p->part];

	if (p->pos == 0)
		exposition_head(w, f->name, f->type, f->help);
	p->pos = f->write(&p->in, f, p->pos, w);
	if (p->pos != SIZE_MAX)
		return;
	p->part++;
	p->pos = 0;
}

bool metrics_write(struct page *p, struct wr *w)
{
	for (unsigned i = 0; i < PAGE_ROWS_STEP && p->part < N_FAMILIES; i++) {
		struct page before = *p;
		size_t len = w->len;

		write_one(p, w);
		if (!w->bad)
			continue;
		PANIC_IF(len == 0); /* the samples of a position fit an empty buffer */
		*p = before;
		w->bad = false;
		w->len = len;
		break;
	}
	return p->part < N_FAMILIES;
}
