/* Tables about what the routing knows: LAG, LEARNED, CATALOG. */
#include "control/lag_log.h"
#include "control/show.h"

#include <stdio.h>

#include "conf/conf.h"
#include "sql/catalog.h"

#define I4 REPLY_TYPE_INT4
#define I8 REPLY_TYPE_INT8
#define T  REPLY_TYPE_TEXT

/* LAG: the last minute of each node, newest first. */
static const struct reply_column lag_columns[] = {
	{"node", T},
	{"at", T},
	{"role", T},
	{"health", T},
	{"lag_ms", I8},
	{"lag_bytes", I8},
};

static void put_lag(
	const struct show_in *in, struct rows *out, uint32_t node, const struct lag_log_entry *e)
{
	const struct env *env = in->env;

	rows_begin(out);
	rows_text(out, show_node_name(env, (int32_t)node));
	rows_time(out, env_wall_us(env) - (env_now_us(env) - e->at_us));
	rows_text(out, topo_role_name((enum topo_role)e->role));
	rows_text(out, topo_health_name((enum topo_health)e->health));
	if (e->role == TOPO_ROLE_REPLICA && e->known)
		rows_u64(out, e->lag_us / 1000u);
	else
		rows_text(out, NULL);
	if (e->role == TOPO_ROLE_REPLICA)
		rows_u64(out, e->lag_bytes);
	else
		rows_text(out, NULL);
	rows_end(out);
}

static size_t lag_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct lag_log *l = in->env->lag_log;
	const struct lag_log_entry *e;
	uint32_t node = (uint32_t)(pos / LAG_LOG_MAX), back = (uint32_t)(pos % LAG_LOG_MAX);

	if (l == NULL || node >= NODES_MAX)
		return SIZE_MAX;
	e = lag_log_at(l, node, back);
	if (e == NULL)
		return ((size_t)node + 1) * LAG_LOG_MAX;
	put_lag(in, out, node, e);
	return pos + 1;
}

/* LEARNED: statements that a replica refused. */
static const struct reply_column learned_columns[] = {
	{"database", T},
	{"worker", I4},
	{"fingerprint", T},
	{"hits", I8},
	{"since", T},
	{"statement", T},
};

static void stream_learned(
	const struct show_in *in, const struct ask_rows *rows, size_t i, struct rows *out)
{
	const struct show_learned_row *r = &rows->row[i].learned;
	char fingerprint[17];

	(void)in;
	snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)r->fingerprint);
	rows_begin(out);
	rows_text(out, r->database);
	rows_u64(out, rows->worker);
	rows_text(out, fingerprint);
	rows_u64(out, r->hits);
	rows_time(out, r->since_wall_us);
	rows_text(out, r->statement);
	rows_end(out);
}

/* CATALOG: what is loaded of each database; a node stands for a cluster where routing is off. */
static const struct reply_column catalog_columns[] = {
	{"cluster", I4},
	{"database", T},
	{"names", I8},
	{"bytes", I8},
	{"all_unsafe", I4},
	{"generation", I8},
	{"loaded", T},
	{"node", T},
};

static size_t catalog_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct catalogs *c = env_catalogs(in->env);
	const struct catalog_entry *e;

	if (c == NULL || pos >= c->n)
		return SIZE_MAX;
	e = &c->entry[pos];
	rows_begin(out);
	if (e->owner < CATALOG_OF_NODE)
		rows_u64(out, e->owner);
	else
		rows_text(out, NULL);
	rows_text(out, e->dbname);
	rows_u64(out, catalog_n_names(e->catalog));
	rows_u64(out, catalog_mem_bytes(e->catalog));
	rows_u64(out, catalog_is_all_unsafe(e->catalog));
	rows_u64(out, e->generation);
	rows_time(out, env_wall_us(in->env) - (env_now_us(in->env) - e->loaded_us));
	if (e->owner < CATALOG_OF_NODE)
		rows_text(out, NULL);
	else
		rows_text(out, show_node_name(in->env, (int32_t)(e->owner - CATALOG_OF_NODE)));
	rows_end(out);
	return pos + 1;
}

const struct show_table show_lag = {
	"lag", SHOW_COLUMNS(lag_columns), 0, SHOW_NO_STREAM, NULL, lag_row, false};
const struct show_table show_learned = {"learned", SHOW_COLUMNS(learned_columns), 0,
	{SHOW_ROWS_LEARNED, -1}, stream_learned, NULL, false};
const struct show_table show_catalog = {
	"catalog", SHOW_COLUMNS(catalog_columns), 0, SHOW_NO_STREAM, NULL, catalog_row, false};
