/*
 * stats_auth - who may read the stats port: HTTP Basic (RFC 7617) against the setting stats_auth,
 * "user:secret", or the names of users of auth_file, separated by commas. A secret is a password,
 * "md5…" or a SCRAM verifier, as in auth_file.
 * Owns:    the last passwords that verifiers took, as keyed hashes: who is known is let in at once.
 *          Passwords that helpers work on.
 * Bounds:  STATS_AUTH_JOBS_MAX derivations at a time; STATS_AUTH_KNOWN_MAX hashes;
 *          STATS_AUTH_HEADER_MAX bytes of a header.
 */
#ifndef PGWEIR_CONTROL_STATS_AUTH_H
#define PGWEIR_CONTROL_STATS_AUTH_H

#include "auth/users.h"
#include "conf/conf.h"
#include "control/env.h"

#define STATS_AUTH_JOBS_MAX   2u
#define STATS_AUTH_KNOWN_MAX  8u
#define STATS_AUTH_HEADER_MAX 1024u
#define STATS_AUTH_TEXT_MAX   (CONF_NAME_MAX + AUTH_SECRET_MAX + 2u) /* of the setting, NUL too */

/* Of stats_auth. Holds a secret: wipe it. */
struct stats_auth_user {
	struct auth_user user; /* its texts are here, or borrowed from the users */
	struct scram_verifier verifier;
	char text[STATS_AUTH_TEXT_MAX];
};

/*
 * The one of them who is called `name`, or else, and for NULL, the first.
 * Errors: E_NOTFOUND one without a secret, or who is not in auth_file; E_INVALID a malformed
 * verifier; E_NOMEM. OK with user.name NULL: stats_auth is "", nobody is asked.
 */
enum status stats_auth_user(const char *stats_auth, const char *name,
	const struct auth_users *users, struct stats_auth_user *out) MUST_USE;
void stats_auth_user_wipe(struct stats_auth_user *u);

struct stats_auth;
struct stats_auth_job;

enum stats_auth_verdict {
	STATS_AUTH_YES,
	STATS_AUTH_NO,
	STATS_AUTH_BUSY,  /* too many passwords are being looked at */
	STATS_AUTH_LATER, /* `done` is called */
};

/* Embedded in what waits for it. */
struct stats_auth_request {
	void (*done)(struct stats_auth_request *r, enum stats_auth_verdict v);
	struct stats_auth_job *job; /* NULL: none is under way */
};

/* Errors: E_NOMEM, E_IO no random bytes. */
enum status stats_auth_new(struct env *env, struct stats_auth **out) MUST_USE;
void stats_auth_free(struct stats_auth *a); /* requests are cancelled before; NULL is allowed */

/*
 * authorization: that header's value; NULL: there is none. The time taken does not tell whether it
 * was the user or the password that is wrong, if all secrets are of one kind.
 */
enum stats_auth_verdict stats_auth_check(
	struct stats_auth *a, const char *authorization, struct stats_auth_request *r) MUST_USE;
void stats_auth_cancel(struct stats_auth_request *r); /* nothing if none is under way */

#endif
