#include "control/ready.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that grows up to `cap`. */
struct text {
	char *buf;
	size_t cap, len;
};

static PRINTF_LIKE(2, 3) void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->len >= t->cap)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	t->len += n > 0 ? (size_t)n : 0;
}

static bool is_fit(const struct topology *t, const struct conf_db *db, uint32_t node)
{
	const struct topo_node *n = topology_node(t, (uint16_t)node);
	const struct topo_cluster *c = topology_cluster(t, (uint16_t)db->cluster_id);
	bool is_primary = c != NULL && c->primary == node;

	if (n == NULL || n->health != TOPO_UP)
		return false;
	if (db->route == ROUTE_PRIMARY)
		return is_primary;
	if (db->route == ROUTE_REPLICA)
		return n->role == TOPO_ROLE_REPLICA && n->follows;
	return is_primary || (n->role == TOPO_ROLE_REPLICA && n->follows);
}

static bool has_fit_node(const struct topology *t, const struct conf_db *db)
{
	if (!db->routing)
		return true;
	for (size_t i = 0; i < db->n_nodes; i++)
		if (is_fit(t, db, db->nodes[i].node->id))
			return true;
	return false;
}

static bool is_off(const struct admin_state *admin, const char *name)
{
	for (uint32_t i = 0; i < admin->n; i++)
		if (strcmp(admin->db[i].name, name) == 0)
			return admin->db[i].paused || admin->db[i].disabled;
	return false;
}

bool ready_check(const struct conf *conf, const struct topology *t, const struct admin_state *admin,
	char *why, size_t cap)
{
	struct text text = {why, cap, 0};

	why[0] = '\0';
	if (admin->shutdown_wait_clients || admin->shutdown_wait_servers)
		add(&text, "shutting down\n");
	if (admin->paused_all)
		add(&text, "paused\n");
	if (admin->suspended)
		add(&text, "suspended\n");
	for (size_t i = 0; i < conf->n_dbs; i++)
		if (!is_off(admin, conf->dbs[i].name) && !has_fit_node(t, &conf->dbs[i]))
			add(&text, "database %s: no fit node\n", conf->dbs[i].name);
	if (text.len != 0)
		return false;
	add(&text, "ready\n");
	return true;
}
