/*
 * variables - PGWEIR_… of the environment as lines of the configuration: they count over what a
 * file says. Each line's place is the variable's name, as a file's line is its own.
 *     PGWEIR_LISTEN_PORT=6432                   a global key, in capitals
 *     PGWEIR_DATABASE_app='host=db1,db2'        the entry app of [databases]; USER, PEER likewise
 *     PGWEIR_DATABASE_app__POOL_SIZE=30         one key of that entry, wherever the rest of it is
 *     PGWEIR_DATABASES='app = host=…\n* = …'    lines of the section; USERS, PEERS likewise
 *     any of these with _FILE behind it         the value is what the file holds
 * Owns:   nothing; all is copied into the caller's arena.
 * Bounds: those of a file: CONF_FILE_MAX for one that is named, INI_VALUE_MAX for a line.
 */
#ifndef PGWEIR_CONF_VARIABLES_H
#define PGWEIR_CONF_VARIABLES_H

#include "conf/source.h"

#define VARIABLE_PREFIX "PGWEIR_"

/* Is there any that variables_load would look at? environment: "NAME=VALUE" up to a NULL. */
bool variables_any(const char *const *environment);

/*
 * Append the lines that the variables of reader->environment (NULL: none) stand for. What
 * Kubernetes sets for services whose names begin with pgweir is no variable of ours.
 * Errors: E_NOMEM. What is wrong with a variable is told in `found`, by its name.
 */
enum status variables_load(const struct conf_reader *reader, struct arena *a, struct source *out,
	struct findings *found) MUST_USE;

#endif
