/*
 * check - what no single key can say: settings that need or exclude each other.
 */
#ifndef PGWEIR_CONF_CHECK_H
#define PGWEIR_CONF_CHECK_H

#include "conf/conf.h"

/* Every global finding; places come from c->own->source. Errors: E_NOMEM. */
enum status check_globals(const struct conf *c, struct findings *found) MUST_USE;

/* One database; `at` is its line. */
void check_db(const struct conf *c, const struct conf_db *db, const struct finding_at *at,
	struct findings *found);

#endif
