/*
 * access - what auth_hba_file and auth_ident_file say, as one snapshot.
 * Owns: both, until access_free.
 */
#ifndef PGWEIR_CONF_ACCESS_H
#define PGWEIR_CONF_ACCESS_H

#include "conf/hba.h"
#include "conf/ident.h"

struct access {
	struct hba *hba;     /* NULL: auth_type is not hba */
	struct ident *ident; /* NULL: no auth_ident_file */
};

/* Does the rule's map, "" for none, let the name log in as `user`? */
bool access_allows(
	const struct access *a, const char *map, const char *system_name, const char *user);

/*
 * What the rules need besides: methods that there are, certificates a CA to verify them (errors
 * without), a map its lines (a note). Rules that have passwords sent in the clear are warned of.
 */
void access_check(const struct access *a, const struct conf *conf, struct findings *found);

void access_free(void *access); /* also for snap_retire; NULL allowed */

#endif
