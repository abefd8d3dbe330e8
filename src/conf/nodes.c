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

enum status nodes_init(struct nodes *ns, struct arena *a, const struct conf_spreads *spreads,
	struct findings *found)
{
	*ns = (struct nodes){.a = a, .found = found, .spreads = spreads};
	ns->list = arena_take_array(a, CONF_NODES_MAX, sizeof *ns->list);
	if (spreads != NULL && spreads->n != 0)
		ns->used = arena_take(a, sizeof *ns->used);
	return ns->list != NULL && (spreads == NULL || spreads->n == 0 || ns->used != NULL)
		       ? OK
		       : E_NOMEM;
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

static bool is_same(
	const struct conf_node *node, const struct item *host, const char *address, uint16_t port)
{
	return node->port == port && strlen(node->host) == host->len &&
	       memcmp(node->host, host->p, host->len) == 0 && strcmp(node->address, address) == 0;
}

static const char *label(struct nodes *ns, const struct conf_node *node)
{
	if (*node->address != '\0')
		return arena_printf(ns->a, "%s[%s]:%u", node->host, node->address, node->port);
	if (!node->is_unix && strchr(node->host, ':') != NULL)
		return arena_printf(ns->a, "[%s]:%u", node->host, node->port);
	return arena_printf(ns->a, "%s:%u", node->host, node->port);
}

static enum status add_node(struct nodes *ns, const struct item *host, const char *address,
	uint16_t port, struct conf_node **out)
{
	struct conf_node *node = &ns->list[ns->n];

	if (ns->n == CONF_NODES_MAX)
		return E_LIMIT;
	*node = (struct conf_node){.port = port, .cluster_id = CONF_NO_CLUSTER};
	node->is_unix = is_unix_host(host->p);
	node->host = arena_strndup(ns->a, host->p, host->len);
	node->address = *address != '\0' ? arena_strdup(ns->a, address) : "";
	if (node->host == NULL || node->address == NULL || (node->name = label(ns, node)) == NULL)
		return E_NOMEM;
	ns->n++;
	*out = node;
	return OK;
}

static enum status find_or_add(struct nodes *ns, const struct item *host, const char *address,
	uint16_t port, struct conf_node **out)
{
	for (size_t i = 0; i < ns->n; i++) {
		if (is_same(&ns->list[i], host, address, port)) {
			*out = &ns->list[i];
			return OK;
		}
	}
	return add_node(ns, host, address, port, out);
}

/*
 * The database's place for `node`: a node that is listed twice has the weight of both. NULL: it has
 * all that a database can have, as only the addresses of names can bring about.
 */
static struct conf_db_node *db_node(struct conf_db *db, const struct conf_node *node)
{
	for (size_t i = 0; i < db->n_nodes; i++)
		if (db->nodes[i].node == node)
			return &db->nodes[i];
	if (db->n_nodes == CONF_DB_NODES_MAX)
		return NULL;
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

/* --- names that stand for several nodes --- */

static const struct conf_spread *find_spread(const struct nodes *ns, const struct item *host)
{
	for (size_t i = 0; ns->spreads != NULL && i < ns->spreads->n; i++) {
		const struct conf_spread *s = &ns->spreads->of[i];

		if (strlen(s->host) == host->len && memcmp(s->host, host->p, host->len) == 0)
			return s;
	}
	return NULL;
}

static void note_use(struct nodes *ns, const struct conf_spread *s)
{
	if (conf_find_spread(ns->used, s->host) == NULL)
		ns->used->of[ns->used->n++] = *s;
}

/* Does the list name more than one server? That alone makes `routing = auto` route. */
static bool has_several(const struct items *hosts, const uint64_t *ports)
{
	for (size_t i = 1; i < hosts->n; i++)
		if (ports[i] != ports[0] || hosts->of[i].len != hosts->of[0].len ||
			memcmp(hosts->of[i].p, hosts->of[0].p, hosts->of[0].len) != 0)
			return true;
	return false;
}

/* One host of a list: what its database has of it. */
struct listed {
	const struct item *host;
	uint16_t port;
	uint16_t patroni_port;
	uint32_t weight;
	bool is_far;
};

static enum status add_listed(
	struct nodes *ns, struct conf_db *db, const struct listed *l, const char *address)
{
	struct conf_node *node;
	struct conf_db_node *place;
	enum status st = find_or_add(ns, l->host, address, l->port, &node);

	if (st != OK)
		return st;
	if (l->patroni_port != 0)
		node->patroni_port = l->patroni_port;
	if ((place = db_node(db, node)) == NULL)
		return OK;
	place->weight += l->weight;
	place->is_far = l->is_far;
	db->zoned = db->zoned || l->is_far;
	return OK;
}

static enum status add_host(
	struct nodes *ns, struct conf_db *db, const struct listed *l, bool spreads)
{
	const struct conf_spread *s = spreads ? find_spread(ns, l->host) : NULL;
	enum status st = OK;

	if (s == NULL)
		return add_listed(ns, db, l, "");
	note_use(ns, s);
	for (size_t i = 0; i < s->n_addrs && st == OK; i++)
		st = add_listed(ns, db, l, s->addr[i]);
	return st;
}

enum status nodes_resolve(struct nodes *ns, struct conf_db *db, const char *default_host,
	const char *own_zone, enum routing_mode mode, const struct finding_at *at)
{
	uint64_t ports[CONF_DB_NODES_MAX], weights[CONF_DB_NODES_MAX];
	uint64_t apis[CONF_DB_NODES_MAX] = {0};
	struct items hosts, zones;
	enum status st;
	bool spreads;

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
	if (*db->patroni_port != '\0' &&
		!read_numbers(db->patroni_port, hosts.n, UINT16_MAX, apis)) {
		complain(ns, at, "patroni_port", db->patroni_port,
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
	spreads = mode == ROUTING_ON || mode == ROUTING_SHADOW ||
		  (mode == ROUTING_AUTO && has_several(&hosts, ports));
	for (size_t i = 0; i < hosts.n; i++) {
		struct listed l = {.host = &hosts.of[i],
			.port = (uint16_t)ports[i],
			.patroni_port = (uint16_t)apis[i],
			.weight = (uint32_t)weights[i]};

		l.is_far = *own_zone != '\0' && zones.n != 0 && !is_in_zone(&zones, i, own_zone);
		st = add_host(ns, db, &l, spreads);
		if (st == E_LIMIT) {
			complain(ns, at, "host", db->host, "at most 256 hosts in the whole file");
			return OK;
		}
		if (st != OK)
			return st;
	}
	return OK;
}

/* --- ids --- */

static const struct conf_node *find_node(
	const struct conf_node *list, size_t n_list, const struct conf_node *n, const char *address)
{
	for (size_t i = 0; i < n_list; i++) {
		const struct conf_node *p = &list[i];

		if (p->port == n->port && strcmp(p->host, n->host) == 0 &&
			strcmp(p->address, address) == 0)
			return p;
	}
	return NULL;
}

/*
 * The node of before whose id this one takes. A name that is found to stand for several nodes has
 * been one until then: the first of them goes on as that one, so that its cluster stays the same.
 */
static const struct conf_node *find_previous(const struct nodes *ns, const struct conf *c,
	const struct conf *previous, const struct conf_node *n)
{
	const struct conf_node *p = find_node(previous->nodes, previous->n_nodes, n, n->address);

	if (p != NULL || *n->address == '\0')
		return p;
	p = find_node(previous->nodes, previous->n_nodes, n, "");
	if (p == NULL || c->node_by_id[p->id] != NULL || find_node(ns->list, ns->n, n, "") != NULL)
		return NULL;
	return p;
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
			previous != NULL ? find_previous(ns, c, previous, n) : NULL;

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
	c->spreads = ns->used;
	return OK;
}
