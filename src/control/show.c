#include "control/show.h"

#include <string.h>

#include "conf/conf.h"
#include "conf/settings.h"
#include "control/queries.h"
#include "sql/verdict.h"

static const struct show_table *const tables[] = {
	&show_active_sockets,
	&show_auth_helpers,
	&show_catalog,
	&show_clients,
	&show_clusters,
	&show_config,
	&show_databases,
	&show_dns_hosts,
	&show_dns_zones,
	&show_errors,
	&show_fds,
	&show_headroom,
	&show_lag,
	&show_learned,
	&show_listeners,
	&show_lists,
	&show_logins,
	&show_mem,
	&show_misuse,
	&show_node_pools,
	&show_nodes,
	&show_nplusone,
	&show_peer_pools,
	&show_peers,
	&show_pin_counts,
	&show_pins,
	&show_pools,
	&show_queries,
	&show_routes,
	&show_servers,
	&show_settings,
	&show_sockets,
	&show_state,
	&show_stats,
	&show_stats_averages,
	&show_stats_totals,
	&show_switchover,
	&show_totals,
	&show_transaction_reads,
	&show_users,
	&show_version,
	&show_waits,
	&show_workers,
};

static const struct show_table *const tables_ours[] = {&show_clients_ours, &show_servers_ours};

static const struct show_table *const tables_legacy[] = {
	&show_databases_legacy, &show_stats_legacy};

static const struct show_table *find_in(
	const struct show_table *const *of, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(of[i]->name, name) == 0)
			return of[i];
	return NULL;
}

#define FIND_IN(of, name) find_in(of, sizeof(of) / sizeof *(of), name)

const struct show_table *show_find(const char *name, bool is_ours, bool is_legacy)
{
	const struct show_table *t = is_ours ? FIND_IN(tables_ours, name) : NULL;

	if (t == NULL && is_legacy)
		t = FIND_IN(tables_legacy, name);
	return t != NULL ? t : FIND_IN(tables, name);
}

const struct show_table *show_nth(size_t i)
{
	return i < sizeof tables / sizeof *tables ? tables[i] : NULL;
}

/* --- what is switched off --- */

/* Settings that leave out a table, or some of its rows, when they are 0. */
static const struct {
	const struct show_table *table;
	const char *by;
} switches[] = {
	{&show_errors, "error_stats"},
	{&show_headroom, "history"},
	{&show_misuse, "misuse_idle"},
	{&show_misuse, "misuse_transaction"},
	{&show_nplusone, "nplusone_threshold"},
	{&show_nplusone, "query_stats"},
	{&show_queries, "query_stats"},
	{&show_waits, "wait_stats"},
};

#define N_SWITCHES (sizeof switches / sizeof *switches)

static bool is_zero(const struct conf *conf, const char *name)
{
	const struct setting *s = settings_find(SETTING_GLOBAL, name);
	const char *field = (const char *)conf + s->offset;

	for (uint32_t i = 0; i < s->field_len; i++)
		if (field[i] != 0)
			return false;
	return true;
}

const char *show_switched_off(const struct conf *conf, const struct show_table *t, size_t *pos)
{
	while (*pos < N_SWITCHES) {
		size_t i = (*pos)++;

		if (switches[i].table == t && is_zero(conf, switches[i].by))
			return switches[i].by;
	}
	return NULL;
}

static const struct reply_column off_columns[] = {
	{"table", REPLY_TYPE_TEXT},
	{"setting", REPLY_TYPE_TEXT},
};

static size_t off_row(const struct show_in *in, size_t pos, struct rows *out)
{
	if (pos >= N_SWITCHES)
		return SIZE_MAX;
	if (is_zero(env_conf(in->env), switches[pos].by)) {
		rows_begin(out);
		rows_text(out, switches[pos].table->name);
		rows_text(out, switches[pos].by);
		rows_end(out);
	}
	return pos + 1;
}

const struct show_table show_off = {
	"off", SHOW_COLUMNS(off_columns), 0, SHOW_NO_STREAM, NULL, off_row, false};

/* --- words --- */

const char *show_pool_mode(unsigned mode)
{
	switch ((enum pool_mode)mode) {
	case POOL_MODE_UNSET:
		return NULL;
	case POOL_MODE_SESSION:
		return "session";
	case POOL_MODE_TRANSACTION:
		return "transaction";
	case POOL_MODE_STATEMENT:
		return "statement";
	}
	return NULL;
}

const char *show_verdict(unsigned verdict)
{
	return sql_class_name((enum sql_class)verdict);
}

const char *show_node_name(const struct env *env, int32_t node)
{
	const struct conf_node *n;

	if (node < 0 || node >= (int32_t)CONF_NODES_MAX)
		return "";
	n = env_conf(env)->node_by_id[node];
	return n != NULL ? n->name : "";
}
