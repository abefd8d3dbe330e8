/*
 * diff - what a reload changes, and when that takes effect, so that it can be told.
 */
#ifndef PGWEIR_CONF_DIFF_H
#define PGWEIR_CONF_DIFF_H

#include "conf/conf.h"

/* One difference between two snapshots. Passwords are shown as "***". */
struct conf_change {
	const char *what; /* "setting", "file", "database", "user", "peer", "node" */
	const char *name; /* of the setting (also that names the file), database, user, node */
	const char *key;  /* of the database or user; "" for a setting, or if it came or went */
	const char *from, *to; /* "" on the side where it is not */
	const char *effect;    /* when it takes effect, or for whom: a constant text */
};

/*
 * Tell every difference from `a` to `b`, in the order settings, files, databases, users,
 * peers, nodes. Strings
 * are borrowed until `each` returns. Errors: E_NOMEM, nothing was told.
 */
enum status conf_diff(const struct conf *a, const struct conf *b,
	void (*each)(void *arg, const struct conf_change *ch), void *arg) MUST_USE;

#endif
