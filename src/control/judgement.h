/*
 * judgement - the route/roles machine for a configuration: its nodes and clusters as roles wants
 * them. Pure.
 */
#ifndef PGWEIR_CONTROL_JUDGEMENT_H
#define PGWEIR_CONTROL_JUDGEMENT_H

#include "conf/conf.h"
#include "route/roles.h"
#include "worker/shared.h"

/*
 * old: the machine before, or NULL; what it knew of nodes that are `known` (ids do not change) and
 * still used is carried over. Errors: E_NOMEM.
 */
enum status judgement_new(const struct conf *conf, const struct roles *old,
	const bool known[NODES_MAX], uint64_t now_us, struct roles **out) MUST_USE;

#endif
