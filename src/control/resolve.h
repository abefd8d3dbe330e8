/*
 * resolve - keeps shared->addrs, the addresses of all nodes of the configuration, current.
 * Owns:    the look-ups under way and the published struct node_addrs.
 * Rules:   a name is looked up again when its TTL (at most dns_max_ttl) is over, or a node that
 *          could not be reached asks for it; a failed look-up keeps the old addresses.
 *          Names that stand for several nodes (conf_spreads) are looked up beside their nodes.
 */
#ifndef PGWEIR_CONTROL_RESOLVE_H
#define PGWEIR_CONTROL_RESOLVE_H

#include "control/env.h"

struct resolve;
struct net_addr;
struct resolver;

struct resolve_ops {
	void (*on_change)(void *arg, uint32_t node); /* its addresses are others now */
	/* What a name of a database that routes was answered with; may be as before. May be
	 * NULL. */
	void (*on_name)(void *arg, const char *host, const struct net_addr *addrs, size_t n);
};

/* Errors: E_NOMEM, E_IO. */
enum status resolve_new(
	struct env *env, const struct resolve_ops *ops, void *arg, struct resolve **out) MUST_USE;
void resolve_free(struct resolve *r);

void resolve_conf_changed(struct resolve *r);         /* a new configuration is published */
void resolve_again(struct resolve *r, uint32_t node); /* not before a second has passed */

/* For SHOW DNS_HOSTS and LISTS. */
struct resolver *resolve_resolver(struct resolve *r);

#endif
