/*
 * spread - names that stand for several nodes: turns what the name service answers into a
 * configuration in which each address of such a name is a node.
 * Owns:    the addresses told last, by name.
 * Rules:   a name of a database that routes stands for several nodes from the first answer with
 *          several addresses of one family on, and goes on so with one. Where it has addresses of
 *          both families, those of the family with more are taken (IPv4 if equal): the others are
 *          the same servers'.
 * Bounds:  CONF_SPREADS_MAX names, CONF_DB_NODES_MAX addresses of each; the rest is left out.
 */
#ifndef PGWEIR_CONTROL_SPREAD_H
#define PGWEIR_CONTROL_SPREAD_H

#include "control/env.h"
#include "net/addr.h"

struct reload;
struct spread;

/* Errors: E_NOMEM. */
enum status spread_new(struct env *env, struct reload *reload, struct spread **out) MUST_USE;
void spread_free(struct spread *s); /* NULL is allowed; before the reload */

/* What a name was answered with; struct resolve_ops' on_name. */
void spread_take(struct spread *s, const char *host, const struct net_addr *addrs, size_t n);

#endif
