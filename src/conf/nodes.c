#include "conf/nodes.h"

#include <string.h>

#include "base/value.h"
#include "conf/chars.h"
#include "conf/own.h"

#define WEIGHT_MAX     100u
#define ZONE_MAX       63u /* bytes */
#define SOCKET_DIR_MAX 90u /* bytes: with "/.s.PGSQL.65535" it fits sockaddr_un */

/* --- lists joined by commas --- */

struct item {
	const char *p;
	size_t len;
};

struct items {
	struct item of[CONF_DB_NODES_MAX];
	size_t n;
};

static struct item trim(const char *p, size_t len)
{
	while (len > 0 && char_is_blank(*p)) {
		p++;
		len--;
	}
	while (len > 0 && char_is_blank(p[len - 1]))
		len--;
	return (struct item){.p = p, .len = len};
}

/* False: more than CONF_DB_NODES_MAX, or an empty one. */
static bool split(const char *text, struct items *out)
{
	out->n = 0;
	for (;;) {
		size_t len = strcspn(text, ",");

		if (out->n == CONF_DB_NODES_MAX)
			return false;
		out->of[out->n] = trim(text, len);
		if (out->of[out->n++].len == 0)
			return false;
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

static bool read_number(const struct item *item, uint64_t max, uint64_t *out)
{
	char text[VALUE_TEXT_MAX];

	if (item->len >= sizeof text)
		return false;
	memcpy(text, item->p, item->len);
	text[item->len] = '\0';
	return value_parse_uint(text, out) && *out >= 1 && *out <= max;
}

/* One number for all hosts, or one for each. */
static bool read_numbers(const char *text, size_t n_hosts, uint64_t max, uint64_t *out)
{
	struct items items;

	if (!split(text, &items) || (items.n != 1 && items.n != n_hosts))
		return false;
	for (size_t i = 0; i < n_hosts; i++)
		if (!read_number(&items.of[items.n == 1 ? 0 : i], max, &out[i]))
			return false;
	return true;
}

/* One zone for all hosts, or one for each. None: out->n is 0. */
static bool read_zones(const char *text, size_t n_hosts, struct items *out)
{
	out->n = 0;
	if (*text == '\0')
		return true;
	if (!split(text, out) || (out->n != 1 && out->n != n_hosts))
		return false;
	for (size_t i = 0; i < out->n; i++)
		if (out->of[i].len > ZONE_MAX)
			return false;
	return true;
}

static bool is_in_zone(const struct items *zones, size_t i, const char *zone)
{
	const struct item *item = &zones->of[zones->n == 1 ? 0 : i];

	return item->len == strlen(zone) && memcmp(item->p, zone, item->len) == 0;
}

/* --- nodes --- */

enum status nodes_init(struct nodes *ns, struct arena *a, struct findings *found)
{
	*ns = (struct nodes){.a = a, .found = found};
	ns->list = arena_take_array(a, CONF_NODES_MAX, sizeof *ns->list);
	return ns->list != NULL ? OK : E_NOMEM;
}

static bool is_unix_host(const char *host)
{
	return *host == '/' || *host == '@';
}

static bool is_host(const struct item *host)
{
	size_t max = is_unix_host(host->p) ? SOCKET_DIR_MAX : CONF_HOST_MAX;

	if (host->len > max)
		return false;
	for (size_t i = 0; i < host->len; i++)
		if ((unsigned char)host->p[i] <= ' ' || host->p[i] == 0x7f)
			return false;
	return true;
}

bool nodes_is_host(const char *host)
{
	struct item item = {.p = host, .len = strlen(host)};

	return item.len != 0 && strchr(host, ',') == NULL && is_host(&item);
}

static bool is_same(const struct conf_node *node, const struct item *host, uint16_t port)
{
	return node->port == port && strlen(node->host) == host->len &&
	       memcmp(node->host, host->p, host->len) == 0;
}

static enum status add_node(
	struct nodes *ns, const struct item *host, uint16_t port, struct conf_node **out)
{
	struct conf_node *node = &ns->list[ns->n];
	bool is_ipv6 = !is_unix_host(host->p) && memchr(host->p, ':', host->len) != NULL;

	if (ns->n == CONF_NODES_MAX)
		return E_LIMIT;
	*node = (struct conf_node){.port = port, .cluster_id = CONF_NO_CLUSTER};
	node->is_unix = is_unix_host(host->p);
	node->host = arena_strndup(ns->a, host->p, host->len);
	if (node->host == NULL)
		return E_NOMEM;
	node->name = is_ipv6 ? arena_printf(ns->a, "[%s]:%u", node->host, port)
			     : arena_printf(ns->a, "%s:%u", node->host, port);
	if (node->name == NULL)
		return E_NOMEM;
	ns->n++;
	*out = node;
	return OK;
}

static enum status find_or_add(
	struct nodes *ns, const struct item *host, uint16_t port, struct conf_node **out)
{
	for (size_t i = 0; i < ns->n; i++) {
		if (is_same(&ns->list[i], host, port)) {
			*out = &ns->list[i];
			return OK;
		}
	}
	return add_node(ns, host, port, out);
}

/* The database's place for `node`: a node that is listed twice has the weight of both. */
static struct conf_db_node *db_node(struct conf_db *db, const struct conf_node *node)
{
	for (size_t i = 0; i < db->n_nodes; i++)
		if (db->nodes[i].node == node)
			return &db->nodes[i];
	db->nodes[db->n_nodes].node = node;
	return &db->nodes[db->n_nodes++];
}

static void complain(struct nodes *ns, const struct finding_at *at, const char *key,
	const char *value, const char *expected)
{
	struct finding_at here = *at;

	here.key = arena_printf(ns->a, "%s: %s", at->key, key);
	here.value = value;
	findings_add(ns->found, FINDING_ERROR, &here, "expected %s", expected);
}

static bool read_hosts(
	struct nodes *ns, const char *text, struct items *hosts, const struct finding_at *at)
{
	bool ok = split(text, hosts);

	for (size_t i = 0; ok && i < hosts->n; i++)
		ok = is_host(&hosts->of[i]);
	if (!ok)
		complain(ns, at, "host", text,
			"1 to 16 hosts joined by commas: a name or address of at most 255 bytes, "
			"or a socket directory of at most 90, each");
	return ok;
}

enum status nodes_resolve(struct nodes *ns, struct conf_db *db, const char *default_host,
	const char *own_zone, const struct finding_at *at)
{
	uint64_t ports[CONF_DB_NODES_MAX], weights[CONF_DB_NODES_MAX];
	struct conf_node *node;
	struct items hosts, zones;
	struct conf_db_node *place;
	enum status st;

	db->n_nodes = 0;
	db->zoned = false;
	if (*db->host == '\0' && *default_host == '\0') {
		complain(ns, at, "host", NULL, "a host, since unix_socket_dir is empty");
		return OK;
	}
	if (!read_hosts(ns, *db->host != '\0' ? db->host : default_host, &hosts, at))
		return OK;
	if (!read_numbers(db->port, hosts.n, UINT16_MAX, ports)) {
		complain(ns, at, "port", db->port,
			"a port from 1 to 65535, or one for each host, joined by commas");
		return OK;
	}
	if (!read_numbers(db->weight, hosts.n, WEIGHT_MAX, weights)) {
		complain(ns, at, "weight", db->weight,
			"a weight from 1 to 100, or one for each host, joined by commas");
		return OK;
	}
	if (!read_zones(db->zone, hosts.n, &zones)) {
		complain(ns, at, "zone", db->zone,
			"a zone of at most 63 bytes, or one for each host, joined by commas");
		return OK;
	}
	for (size_t i = 0; i < hosts.n; i++) {
		st = find_or_add(ns, &hosts.of[i], (uint16_t)ports[i], &node);
		if (st == E_LIMIT) {
			complain(ns, at, "host", db->host, "at most 256 hosts in the whole file");
			return OK;
		}
		if (st != OK)
			return st;
		place = db_node(db, node);
		place->weight += (uint32_t)weights[i];
		place->is_far =
			*own_zone != '\0' && zones.n != 0 && !is_in_zone(&zones, i, own_zone);
		db->zoned = db->zoned || place->is_far;
	}
	return OK;
}

/* --- ids --- */

static const struct conf_node *find_previous(const struct conf *previous, const struct conf_node *n)
{
	for (size_t i = 0; i < previous->n_nodes; i++) {
		const struct conf_node *p = &previous->nodes[i];

		if (p->port == n->port && strcmp(p->host, n->host) == 0)
			return p;
	}
	return NULL;
}

uint32_t nodes_free_id(const bool taken[CONF_NODES_MAX], uint32_t *next)
{
	for (uint32_t i = 0; i < CONF_NODES_MAX; i++) {
		uint32_t id = (*next + i) % CONF_NODES_MAX;

		if (taken[id])
			continue;
		*next = id + 1;
		return id;
	}
	return CONF_NODES_MAX;
}

/* Ids of the snapshot before are not given to others: its servers are still being closed. */
static void take_ids(const struct conf *previous, bool taken[CONF_NODES_MAX])
{
	for (uint32_t id = 0; id < CONF_NODES_MAX; id++)
		taken[id] = previous != NULL && previous->node_by_id[id] != NULL;
}

enum status nodes_finish(struct nodes *ns, struct conf *c, const struct conf *previous)
{
	bool taken[CONF_NODES_MAX];

	take_ids(previous, taken);
	for (size_t i = 0; i < ns->n; i++) {
		struct conf_node *n = &ns->list[i];
		const struct conf_node *before =
			previous != NULL ? find_previous(previous, n) : NULL;

		n->id = before != NULL ? before->id : nodes_free_id(taken, &c->own->next_node_id);
		if (n->id == CONF_NODES_MAX) {
			findings_add(ns->found, FINDING_ERROR, &(struct finding_at){.key = n->name},
				"expected at most 256 hosts, those that go included: change them "
				"in "
				"two steps");
			return OK;
		}
		taken[n->id] = true;
		c->node_by_id[n->id] = n;
	}
	c->nodes = ns->list;
	c->n_nodes = ns->n;
	return OK;
}
