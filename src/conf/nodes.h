/*
 * nodes - the host lists of the databases as nodes, each (host, port) once, or each (host, address,
 * port) of a name that stands for several, and the clusters that databases with routing tie them
 * to. Ids come from the previous snapshot where it has the node.
 * Order: nodes_resolve for every database in the order of the file, nodes_finish, clusters_build.
 */
#ifndef PGWEIR_CONF_NODES_H
#define PGWEIR_CONF_NODES_H

#include "conf/conf.h"

struct nodes {
	struct arena *a;
	struct findings *found;
	struct conf_node *list; /* CONF_NODES_MAX places */
	size_t n;
	const struct conf_spreads *spreads; /* what is known of names */
	struct conf_spreads *used;          /* those of them that a database has use for */
};

/* spreads: borrowed until nodes_finish. */
enum status nodes_init(struct nodes *ns, struct arena *a, const struct conf_spreads *spreads,
	struct findings *found) MUST_USE;

/*
 * Fill db->nodes from its host, port, weight and zone. default_host: for a database without one.
 * own_zone: where we are; "": zones are not heeded. mode: whether it routes, so that each address
 * of a name is a node.
 * Errors: E_NOMEM; what is wrong with the lists goes to `found`, placed at `at`.
 */
enum status nodes_resolve(struct nodes *ns, struct conf_db *db, const char *default_host,
	const char *own_zone, enum routing_mode mode, const struct finding_at *at) MUST_USE;

/* A name, an address or a directory of a unix socket: one, of a length that can be. */
bool nodes_is_host(const char *host);

/* Give ids and move the nodes into `c`. previous: or NULL. */
enum status nodes_finish(struct nodes *ns, struct conf *c, const struct conf *previous) MUST_USE;

/*
 * An id below CONF_NODES_MAX that is not taken, searched round from *next on, which moves behind
 * it: so an id that went is reused as late as possible. CONF_NODES_MAX: none is left.
 */
uint32_t nodes_free_id(const bool taken[CONF_NODES_MAX], uint32_t *next);

#endif
