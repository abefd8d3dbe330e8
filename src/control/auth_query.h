/*
 * auth_query - asks PostgreSQL for the secrets of users that auth_file does not list (ASK_SECRET),
 * over connections of our own that log in as auth_user.
 * Owns:   the connections, the lookups under way, and answers for auth_query_lifetime. An answer
 *         that there is no such user is kept as any other: it cannot be told by its time.
 * Rules:  logins that ask for one user wait for one query. The primary is asked, else the next
 *         node that can be reached. A change of the configuration forgets all answers.
 * Bounds: AUTH_QUERY_SOURCES_MAX of (database, auth_user, query), AUTH_QUERY_ASKERS_MAX
 * connections, at most AUTH_QUERY_SOURCE_ASKERS of a source, idle ones for AUTH_QUERY_IDLE_US;
 *         AUTH_QUERY_KNOWN_MAX answers, the oldest goes first; a lookup ends in auth_query_timeout,
 *         of which one node has half.
 */
#ifndef PGWEIR_CONTROL_AUTH_QUERY_H
#define PGWEIR_CONTROL_AUTH_QUERY_H

#include "control/env.h"
#include "worker/ask.h"

#define AUTH_QUERY_APPLICATION   "pgweir-auth"
#define AUTH_QUERY_SOURCES_MAX   1024u
#define AUTH_QUERY_ASKERS_MAX    64u
#define AUTH_QUERY_SOURCE_ASKERS 4u
#define AUTH_QUERY_KNOWN_MAX     16384u
#define AUTH_QUERY_IDLE_US       60000000u
#define AUTH_QUERY_AGAIN_US      1000000u /* a younger answer is not asked for again */

struct auth_query;

enum status auth_query_new(struct env *env, struct auth_query **out) MUST_USE;
void auth_query_free(struct auth_query *q); /* NULL is allowed */

void auth_query_take(struct auth_query *q, struct ask_secret *ask); /* moved */
void auth_query_conf_changed(struct auth_query *q);
void auth_query_primary_changed(struct auth_query *q); /* of any cluster */

#endif
