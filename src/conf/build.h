/*
 * build - the typed snapshot out of the lines that source collected: defaults, values, databases,
 * users, nodes. Says of every line that does not do what it seems to.
 */
#ifndef PGWEIR_CONF_BUILD_H
#define PGWEIR_CONF_BUILD_H

#include "conf/own.h"

/*
 * Build from own->source into own->arena. previous: as in conf_load. Also after an error all lines
 * are looked at. Errors: E_INVALID `found` has new errors; E_NOMEM. *out is NULL then.
 */
enum status conf_build(struct conf_own *own, const struct conf *previous, struct conf **out,
	struct findings *found) MUST_USE;

/*
 * The same of the lines alone that say where to log, in which form, and as which user; all other
 * settings have their defaults, and there are no databases. Errors: E_INVALID one of them has an
 * error; E_NOMEM. *out is NULL then.
 */
enum status conf_build_log(struct conf_own *own, struct conf **out) MUST_USE;

#endif
