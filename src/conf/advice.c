#include "conf/advice.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/effective.h"
#include "conf/method_options.h"
#include "conf/own.h"
#include "conf/setting_text.h"

#define FILES_SPARE 64u /* listening sockets, logs, the monitor */
#define VALUE_SHOWN 128u
#define OTHERS_MAY  0007u

struct advisor {
	const struct conf *c;
	const struct advice_facts *facts;
	struct findings *found;
};

/* --- telling --- */

static PRINTF_LIKE(3, 4) void warn(const struct advisor *a, const char *key, const char *fmt, ...)
{
	struct finding_at at = source_at(&a->c->own->source, key);
	const struct setting *s = settings_find(SETTING_GLOBAL, key);
	char text[FINDING_LINE_MAX], value[VALUE_SHOWN];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	at.value = setting_format(s, a->c, value, sizeof value);
	findings_add(a->found, FINDING_WARNING, &at, "%s", text);
}

static PRINTF_LIKE(3, 4) void warn_db(
	const struct advisor *a, const struct conf_db *db, const char *fmt, ...)
{
	struct finding_at at = {.key = db->name};
	char text[FINDING_LINE_MAX];
	va_list ap;

	for (const struct source_line *l = a->c->own->source.first; l != NULL; l = l->next) {
		if (l->section != SECTION_DATABASES || strcmp(l->name, db->name) != 0)
			continue;
		at.file = l->file;
		at.line = l->line;
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	findings_add(a->found, FINDING_WARNING, &at, "%s", text);
}

static bool is_given(const struct advisor *a, const char *key)
{
	return source_find(&a->c->own->source, key) != NULL;
}

/* --- who can reach it --- */

static bool is_loopback(const char *addr)
{
	return strncmp(addr, "127.", 4) == 0 || strcmp(addr, "::1") == 0 ||
	       strcmp(addr, "localhost") == 0;
}

static bool is_on_network(const struct conf *c)
{
	for (size_t i = 0; i < c->listen_addr.n; i++)
		if (!is_loopback(c->listen_addr.items[i]))
			return true;
	return false;
}

static void check_trust(const struct advisor *a)
{
	if (is_on_network(a->c) &&
		(a->c->auth_type == AUTH_TYPE_TRUST || a->c->auth_type == AUTH_TYPE_ANY))
		warn(a, "auth_type",
			"asks for no password, and listen_addr is open to the network: whoever "
			"reaches the port is let in; use scram-sha-256, or listen on loopback");
}

static void check_plain(const struct advisor *a)
{
	bool is_plain = a->c->auth_type == AUTH_TYPE_PLAIN || a->c->auth_type == AUTH_TYPE_PAM ||
			a->c->auth_type == AUTH_TYPE_LDAP;

	if (is_on_network(a->c) && is_plain && a->c->client_tls.sslmode < TLS_MODE_REQUIRE)
		warn(a, "auth_type",
			"passwords cross the network as they are: set client_tls_sslmode to "
			"require, or use scram-sha-256");
}

static void check_stats_port(const struct advisor *a)
{
	const struct conf *c = a->c;

	if (c->stats_port == 0 || is_loopback(c->stats_addr))
		return;
	if (*c->stats_auth == '\0')
		warn(a, "stats_addr",
			"whoever reaches the stats port can read the names of databases and users, "
			"and statements: set stats_auth, or listen on loopback");
	else if (*c->stats_tls_cert_file == '\0')
		warn(a, "stats_addr",
			"the password of stats_auth crosses the network as it is: set "
			"stats_tls_cert_file and stats_tls_key_file, or listen on loopback");
}

/* What has been checked can be read. */
static void check_ldap_server(const struct advisor *a)
{
	struct method_options_error err;
	struct method_options o;
	struct arena arena;

	arena_init(&arena);
	if (a->c->auth_type == AUTH_TYPE_LDAP &&
		method_options_read(AUTH_TYPE_LDAP, a->c->auth_ldap_options, &arena, &o, &err) ==
			OK &&
		method_options_is_open(&o))
		warn(a, "auth_ldap_options",
			"passwords go on to the LDAP server as they are: add ldaptls=1, or use "
			"ldaps");
	arena_wipe(&arena);
	arena_fini(&arena);
}

static void check_patroni(const struct advisor *a)
{
	if (*a->c->patroni_auth != '\0' && *a->c->patroni_tls_ca_file == '\0')
		warn(a, "patroni_auth",
			"the password crosses the network as it is: set patroni_tls_ca_file");
}

static void check_auth_file_mode(const struct advisor *a)
{
	if (*a->c->auth_file != '\0' && (a->facts->auth_file_mode & OTHERS_MAY) != 0)
		warn(a, "auth_file",
			"everybody on this machine can read or change it (mode %04o): it holds "
			"secrets; chmod 640 it, with the group of pgweir's user",
			a->facts->auth_file_mode & 0777u);
}

/* Not from the environment, which does not stand in the file. */
static bool is_in_file(const struct advisor *a, const char *key)
{
	const struct source_line *l = source_find(&a->c->own->source, key);

	return l != NULL && l->origin == SOURCE_FILE && *l->value != '\0';
}

static const struct conf_db *db_with_secret(const struct advisor *a)
{
	const struct conf *c = a->c;

	for (const struct source_line *l = c->own->source.first; l != NULL; l = l->next)
		for (size_t i = 0; l->section == SECTION_DATABASES && i < c->n_dbs; i++)
			if (l->origin == SOURCE_FILE && *c->dbs[i].password != '\0' &&
				strcmp(l->name, c->dbs[i].name) == 0)
				return &c->dbs[i];
	return NULL;
}

/* One line with a secret is enough to tell. */
static void check_config_mode(const struct advisor *a)
{
	static const char *const keys[] = {"monitor_password", "stats_auth", "patroni_auth"};
	static const char *const told = "everybody on this machine can read or change the file "
					"that holds the password (mode %04o): chmod 640 it, with "
					"the group of pgweir's user";
	const unsigned mode = a->facts->config_mode & 0777u;
	const struct conf_db *db;

	if ((mode & OTHERS_MAY) == 0)
		return;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (is_in_file(a, keys[i])) {
			warn(a, keys[i], told, mode);
			return;
		}
	db = db_with_secret(a);
	if (db != NULL)
		warn_db(a, db, told, mode);
}

static void check_login_timeout(const struct advisor *a)
{
	if (a->c->client_login_timeout_us == 0)
		warn(a, "client_login_timeout",
			"who connects and says nothing keeps a place of max_client_conn for ever");
}

static void check_keepalive(const struct advisor *a)
{
	if (!a->c->tcp_keepalive && is_on_network(a->c) && a->c->client_idle_timeout_us == 0)
		warn(a, "tcp_keepalive",
			"clients whose machine or network is gone are never noticed: switch it "
			"on, or set client_idle_timeout");
}

/* --- what the system gives --- */

static uint64_t all_servers(const struct conf *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->n_nodes; i++)
		n += advice_node_servers(c, c->nodes[i].id, 1);
	return n;
}

static void check_files(const struct advisor *a)
{
	uint64_t need = a->c->max_client_conn + all_servers(a->c) + FILES_SPARE;

	if (a->facts->files_max != 0 && need > a->facts->files_max)
		warn(a, "max_client_conn",
			"with all servers up to %llu open files are needed, and the system gives "
			"%llu: beyond, connections fail; raise LimitNOFILE (systemd) or ulimit -n",
			(unsigned long long)need, (unsigned long long)a->facts->files_max);
}

/* --- times that contradict each other; 0 is no limit --- */

/* `inner` never comes because `outer` comes first. */
static void check_never_comes(const struct advisor *a, const char *inner, uint64_t inner_us,
	const char *outer, uint64_t outer_us)
{
	if (inner_us != 0 && outer_us != 0 && inner_us > outer_us)
		warn(a, inner, "never takes effect: %s is shorter", outer);
}

static void check_client_times(const struct advisor *a)
{
	const struct conf *c = a->c;

	check_never_comes(a, "query_timeout", c->query_timeout_us, "transaction_timeout",
		c->transaction_timeout_us);
	check_never_comes(a, "idle_transaction_timeout", c->idle_transaction_timeout_us,
		"transaction_timeout", c->transaction_timeout_us);
	if (is_given(a, "query_wait_notify"))
		check_never_comes(a, "query_wait_notify", c->query_wait_notify_us,
			"query_wait_timeout", c->query_wait_timeout_us);
}

static void check_server_times(const struct advisor *a)
{
	const struct conf *c = a->c;

	if (is_given(a, "server_idle_timeout"))
		check_never_comes(a, "server_idle_timeout", c->server_idle_timeout_us,
			"server_lifetime", c->server_lifetime_us);
	if (is_given(a, "server_check_delay"))
		check_never_comes(a, "server_check_delay", c->server_check_delay_us,
			"server_idle_timeout", c->server_idle_timeout_us);
	if (c->query_wait_timeout_us != 0 && c->server_connect_timeout_us != 0 &&
		c->server_connect_timeout_us >= c->query_wait_timeout_us)
		warn(a, "server_connect_timeout",
			"is not below query_wait_timeout: clients get an error before a server "
			"that does not answer is given up and another one tried");
	if (c->reserve_pool_size != 0 && c->reserve_pool_timeout_us != 0 &&
		c->query_wait_timeout_us != 0 &&
		c->reserve_pool_timeout_us >= c->query_wait_timeout_us)
		warn(a, "reserve_pool_timeout",
			"the reserve is never used: query_wait_timeout is not longer");
	if (c->reserve_pool_size != 0 && c->reserve_pool_timeout_us == 0)
		warn(a, "reserve_pool_size", "never used: reserve_pool_timeout is 0");
}

static void check_routing_times(const struct advisor *a)
{
	const struct conf *c = a->c;

	if (c->max_lag_us != 0 && c->max_lag_us < c->lag_check_interval_us)
		warn(a, "max_lag",
			"is below lag_check_interval: a replica's lag is known less often than "
			"that, and it will hardly ever get reads");
	if (c->node_timeout_us < 2 * c->lag_check_interval_us)
		warn(a, "node_timeout",
			"is below two lag_check_intervals: a single late answer takes a node out");
	if (c->eject_time_max_us < c->eject_time_us)
		warn(a, "eject_time_max", "is below eject_time, and counts");
}

/* --- sizes --- */

static void check_sizes(const struct advisor *a)
{
	const struct conf *c = a->c;

	if (c->max_client_conn < c->default_pool_size)
		warn(a, "max_client_conn",
			"is below default_pool_size: the pool can never be used up");
	if (c->max_node_connections != 0 && c->max_node_connections < c->default_pool_size)
		warn(a, "default_pool_size", "is above max_node_connections (%u), which counts",
			c->max_node_connections);
	if (c->max_user_connections != 0 && c->max_user_connections < c->default_pool_size)
		warn(a, "default_pool_size", "is above max_user_connections (%u), which counts",
			c->max_user_connections);
}

static void check_db_sizes(const struct advisor *a, const struct conf_db *db)
{
	uint32_t size = conf_pool_size(a->c, db, NULL), min = conf_min_pool_size(a->c, db);
	uint32_t max = conf_max_db_connections(a->c, db);

	if (min > size)
		warn_db(a, db, "min_pool_size (%u) is above its pool size (%u), which counts", min,
			size);
	if (max != 0 && max < size)
		warn_db(a, db,
			"its pool size (%u) is above max_db_connections (%u): no user can have "
			"all of the pool",
			size, max);
}

static void check_dbs(const struct advisor *a)
{
	for (size_t i = 0; i < a->c->n_dbs; i++)
		check_db_sizes(a, &a->c->dbs[i]);
}

static bool has_node(const struct conf_db *db, uint32_t node)
{
	for (size_t i = 0; i < db->n_nodes; i++)
		if (db->nodes[i].node->id == node)
			return true;
	return false;
}

uint64_t advice_node_servers(const struct conf *c, uint32_t node, uint32_t n_users)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n_dbs; i++) {
		const struct conf_db *db = &c->dbs[i];
		uint32_t users = *db->user != '\0' || n_users == 0 ? 1 : n_users;
		uint32_t max = conf_max_db_connections(c, db);
		uint64_t n = (uint64_t)users * ((uint64_t)conf_pool_size(c, db, NULL) +
						       conf_reserve_pool_size(c, db, NULL));

		if (has_node(db, node))
			sum += max != 0 && max < n ? max : n;
	}
	return c->max_node_connections != 0 && c->max_node_connections < sum
		       ? c->max_node_connections
		       : sum;
}

static void check_node(const struct advisor *a, const struct conf_node *node)
{
	uint32_t has = a->facts->node_connections_max[node->id];
	uint64_t wants = advice_node_servers(a->c, node->id, a->facts->n_users);

	if (has != 0 && wants > has)
		warn(a, "default_pool_size",
			"node %s has %u connections for clients, and the pools of all databases "
			"and users may want %llu of them: beyond, logins fail with \"too many "
			"clients\"; lower the pools, or set max_node_connections",
			node->name, has, (unsigned long long)wants);
}

static void check_nodes(const struct advisor *a)
{
	for (size_t i = 0; i < a->c->n_nodes; i++)
		check_node(a, &a->c->nodes[i]);
}

/* --- all of them --- */

static void (*const checks[])(const struct advisor *a) = {
	check_trust,
	check_plain,
	check_stats_port,
	check_patroni,
	check_ldap_server,
	check_auth_file_mode,
	check_config_mode,
	check_login_timeout,
	check_keepalive,
	check_files,
	check_client_times,
	check_server_times,
	check_routing_times,
	check_sizes,
	check_dbs,
	check_nodes,
};

void advice_check(const struct conf *c, const struct advice_facts *facts, struct findings *found)
{
	const struct advisor a = {c, facts, found};

	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
		checks[i](&a);
}
