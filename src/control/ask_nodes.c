#include "control/ask_nodes.h"

#include <stdlib.h>
#include <string.h>

#include "conf/effective.h"
#include "control/pq.h"
#include "control/probe.h"

static const struct conf_db *db_of(const struct conf *conf, const struct conf_node *node)
{
	const struct conf_db *first = NULL;

	for (size_t i = 0; i < conf->n_dbs; i++)
		for (size_t j = 0; j < conf->dbs[i].n_nodes; j++)
			if (conf->dbs[i].nodes[j].node->id == node->id &&
				(first == NULL || conf->dbs[i].position < first->position))
				first = &conf->dbs[i];
	return first;
}

/* The monitor's, or a plain line of auth_file. */
static const char *password_of(const struct conf *conf, const struct auth_users *users,
	const struct conf_db *db, const char *user)
{
	const char *password = conf_monitor_password(conf, db);
	const struct auth_user *listed = auth_users_find(users, user);

	if (*password != '\0' || listed == NULL || listed->kind != SECRET_PLAIN)
		return password;
	return listed->secret;
}

/* Errors: E_NOTFOUND nobody to ask as; else pq_ask's; `err` tells. */
static enum status ask(const struct conf *conf, const struct auth_users *users,
	const struct conf_node *node, uint32_t *out, char err[PQ_TEXT_MAX])
{
	const struct conf_db *db = db_of(conf, node);
	const char *user = db != NULL ? conf_monitor_user(conf, db) : "";
	const char *dbname = db != NULL ? conf_monitor_dbname(conf, db) : "";
	struct pq_target t = {
		.host = node->host,
		.hostaddr = node->address,
		.port = node->port,
		.dbname = *dbname != '\0' ? dbname : "postgres", /* a "*" entry names no database */
		.user = user,
		.tls = &conf->server_tls,
		.statement_timeout_us = ASK_NODES_TIMEOUT_S * 1000000u,
	};
	char value[32];
	enum status st;

	if (*user == '\0') {
		strcpy(err, "no user to ask as: set monitor_user");
		return E_NOTFOUND;
	}
	t.password = password_of(conf, users, db, user);
	st = pq_ask(&t, ASK_NODES_TIMEOUT_S, probe_connections_sql, value, sizeof value, err);
	if (st == OK)
		*out = (uint32_t)strtoul(value, NULL, 10);
	return st;
}

void ask_nodes(const struct conf *conf, const struct auth_users *users, struct advice_facts *facts,
	struct findings *found)
{
	char err[PQ_TEXT_MAX];

	pq_prepare_process();
	for (size_t i = 0; i < conf->n_nodes; i++) {
		const struct conf_node *node = &conf->nodes[i];
		struct finding_at at = {.key = "--ask-nodes", .value = node->name};

		if (ask(conf, users, node, &facts->node_connections_max[node->id], err) != OK)
			findings_add(found, FINDING_WARNING, &at, "not asked: %s", err);
	}
}
