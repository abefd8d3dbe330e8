/*
 * access_load - reads auth_hba_file and auth_ident_file, and asks the system for its own addresses
 * (samehost, samenet). At the start, and on a helper.
 */
#ifndef PGWEIR_CONTROL_ACCESS_LOAD_H
#define PGWEIR_CONTROL_ACCESS_LOAD_H

#include "conf/access.h"

/* Errors: E_INVALID `found` has errors; E_NOMEM. *out is NULL then. */
enum status access_load(const struct conf *conf, const struct conf_reader *reader,
	struct access **out, struct findings *found) MUST_USE;

#endif
