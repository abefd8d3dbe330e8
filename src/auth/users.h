/*
 * users - the users and secrets of auth_file, as an immutable snapshot found by name.
 * Owns:    all it points to, wiped and freed by auth_users_free.
 * Threads: built by one (control); read by any.
 * Bounds:  AUTH_USERS_MAX, AUTH_SECRET_MAX, CONF_NAME_MAX.
 */
#ifndef PGWEIR_AUTH_USERS_H
#define PGWEIR_AUTH_USERS_H

#include "base/map.h"
#include "conf/findings.h"
#include "proto/scram.h"

#define AUTH_USERS_MAX  1000000u
#define AUTH_SECRET_MAX 1023u /* bytes */

enum secret_kind {
	SECRET_NONE,  /* "": may log in only where no password is asked */
	SECRET_PLAIN, /* the password */
	SECRET_MD5,   /* "md5…": serves md5 only, on both sides */
	SECRET_SCRAM, /* a verifier: serves clients; servers by the keys a client's login teaches */
};

/* What an unknown user is to look like, so as not to stand out. */
struct auth_usual {
	bool md5;            /* most are asked for md5, where the auth_type allows it */
	uint32_t iterations; /* of SCRAM verifiers; 0: none was seen */
};

/* By its form alone: a malformed verifier is SECRET_SCRAM. */
enum secret_kind secret_kind_of(const char *secret);

struct auth_user {
	const char *name;
	enum secret_kind kind;
	const char *secret;                    /* as in the file */
	const struct scram_verifier *verifier; /* of SECRET_SCRAM, else NULL */
};

void secret_free(char *secret); /* wipes; NULL allowed */

/*
 * A user who stands in no file. name, secret: borrowed. room: for its verifier.
 * Errors: E_INVALID a malformed verifier; E_NOMEM.
 */
enum status auth_user_of(const char *name, const char *secret, struct scram_verifier *room,
	struct auth_user *out) MUST_USE;

struct auth_users;

/*
 * Parse `len` bytes of an auth_file (auth/authfile.h). Findings name `file`, line and user, never a
 * secret. All of the file is read, also after an error. Of a user that is listed twice the last
 * line counts. An empty text gives a snapshot without users, as for a configuration without
 * auth_file.
 * key: for the table's hashes, random; copied.
 * Errors: E_INVALID `found` has new errors; E_NOMEM. *out is NULL then.
 */
enum status auth_users_parse(const char *text, size_t len, const char *file,
	const struct hash_key *key, struct auth_users **out, struct findings *found) MUST_USE;

void auth_users_free(struct auth_users *u); /* NULL is allowed */

/* Borrowed; NULL: no such user. */
const struct auth_user *auth_users_find(const struct auth_users *u, const char *name);

/* All users in the order of the file: i from 0; NULL at the end. */
const struct auth_user *auth_users_at(const struct auth_users *u, size_t i);
size_t auth_users_count(const struct auth_users *u);

struct auth_usual auth_users_usual(const struct auth_users *u);

#endif
