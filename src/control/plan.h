/*
 * plan - what a configuration would change, for RELOAD DRY RUN: each difference to the present one,
 *        when it takes effect and whom it concerns.
 * Owns:    copies of all texts, until plan_free.
 * Bounds:  PLAN_MAX changes; more are only counted.
 */
#ifndef PGWEIR_CONTROL_PLAN_H
#define PGWEIR_CONTROL_PLAN_H

#include "base/status.h"
#include "control/config.h"

#define PLAN_MAX 2000u

struct plan_change {
	const char *what, *name, *key; /* as in conf_change; also "auth_file" and a user's name */
	const char *from, *to;
	const char *effect;
};

struct plan;

/*
 * From the snapshot in use to `next`; `found` is of the load of `next`, and names what waits for a
 * restart. Errors: E_NOMEM.
 */
enum status plan_new(const struct conf *conf, const struct auth_users *users,
	const struct config_set *next, const struct findings *found, struct plan **out) MUST_USE;
void plan_free(struct plan *p); /* NULL is allowed */

size_t plan_n(const struct plan *p); /* of those that are kept */
size_t plan_n_left_out(const struct plan *p);
const struct plan_change *plan_at(const struct plan *p, size_t i); /* i < plan_n */

/*
 * One line for people, "; " between changes; what does not fit is counted at its end. cap: at least
 * 64. Returns buf.
 */
const char *plan_text(const struct plan *p, char *buf, size_t cap);

#endif
