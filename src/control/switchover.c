#include "control/switchover.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "control/admin.h"
#include "route/topology.h"

static PRINTF_LIKE(3, 4) enum status refuse(char *err, enum status st, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, SWITCHOVER_TEXT_MAX, fmt, ap);
	va_end(ap);
	return st;
}

/* The cluster is one that `database` ("": any) leads to. */
static bool is_meant(const struct conf *conf, const char *database, uint32_t cluster)
{
	const struct conf_db *db = *database != '\0' ? conf_find_db(conf, database) : NULL;

	return *database == '\0' || (db != NULL && db->cluster_id == cluster);
}

enum status switchover_begin(
	const struct env *env, const char *database, char err[SWITCHOVER_TEXT_MAX])
{
	const struct conf *conf = env_conf(env);
	const struct conf_db *db;

	if (*database == '\0')
		return conf->n_clusters != 0 ? OK : refuse(err, E_INVALID, "no database is routed");
	db = conf_find_db(conf, database);
	if (db == NULL)
		return refuse(err, E_NOTFOUND, "no such database: %s", database);
	if (!db->routing)
		return refuse(err, E_INVALID,
			"database %s is not routed: of its hosts no roles are known", database);
	for (size_t i = 0; i < conf->n_dbs; i++) {
		const struct conf_db *other = &conf->dbs[i];

		if (strcmp(other->name, database) != 0 && other->routing &&
			other->cluster_id == db->cluster_id && !admin_is_paused(env, other->name))
			return refuse(err, E_INVALID,
				"database %s has the same nodes: pause it first, or all of them "
				"with SWITCHOVER alone",
				other->name);
	}
	return OK;
}

bool switchover_is_paused(const struct env *env, uint32_t cluster)
{
	const struct conf *conf = env_conf(env);

	for (size_t i = 0; i < conf->n_dbs; i++)
		if (conf->dbs[i].routing && conf->dbs[i].cluster_id == cluster &&
			!admin_is_paused(env, conf->dbs[i].name))
			return false;
	return true;
}

uint64_t switchover_missing(const struct env *env, uint32_t cluster, const struct topo_node *n)
{
	const struct topo_cluster *c = topology_cluster(env_topology(env), (uint16_t)cluster);

	if (c == NULL || c->primary == TOPO_NONE || c->n_samples == 0 || n == NULL ||
		n->role != TOPO_ROLE_REPLICA || n->health != TOPO_UP || !n->follows)
		return UINT64_MAX;
	return c->samples[0].at.lsn > n->lsn ? c->samples[0].at.lsn - n->lsn : 0;
}

static bool has_safe_replica(const struct env *env, const struct conf_cluster *cl)
{
	for (size_t i = 0; i < cl->n_nodes; i++)
		if (switchover_missing(env, cl->id,
			    topology_node(env_topology(env), (uint16_t)cl->nodes[i]->id)) == 0)
			return true;
	return false;
}

enum status switchover_check(
	const struct env *env, const char *database, uint64_t since, char err[SWITCHOVER_TEXT_MAX])
{
	const struct conf *conf = env_conf(env);
	enum status st = OK;

	for (size_t i = 0; i < conf->n_clusters; i++) {
		const struct conf_cluster *cl = &conf->clusters[i];
		const struct topo_cluster *c =
			topology_cluster(env_topology(env), (uint16_t)cl->id);

		if (!is_meant(conf, database, cl->id))
			continue;
		if (c == NULL || c->primary == TOPO_NONE)
			return refuse(err, E_NOTFOUND,
				"none of the nodes of database %s is a primary now; it stays "
				"paused",
				cl->db->name);
		if (c->n_samples == 0 || c->samples[0].number <= since ||
			!has_safe_replica(env, cl))
			st = E_AGAIN;
	}
	return st;
}
