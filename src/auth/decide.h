/*
 * decide - what to ask of a client that logs in, and what to log in to a server with. Decisions
 * only: the exchange itself is proto's (scram_server.h, scram_client.h, md5auth.h).
 * Owns:   nothing. Decisions hold secrets: wipe them with scram_wipe when they were used.
 */
#ifndef PGWEIR_AUTH_DECIDE_H
#define PGWEIR_AUTH_DECIDE_H

#include "auth/users.h"
#include "conf/conf.h"
#include "proto/md5auth.h"

enum auth_ask {
	AUTH_ASK_NOTHING, /* AuthenticationOk, or, if doomed, the refusal */
	AUTH_ASK_MD5,
	AUTH_ASK_SCRAM,
};

/*
 * A doomed login goes the same way as one with a bad password, byte for byte, and is then refused:
 * an unknown user cannot be told from a known one.
 */
struct auth_client_decision {
	enum auth_ask ask;
	bool doomed;
	const char *why; /* of doomed, fixed words for the log; else NULL. Never for the client */
	struct md5auth hash; /* AUTH_ASK_MD5 */
	/*
	 * AUTH_ASK_SCRAM. With `derive` the secret is a plain password: SaltedPassword has to be
	 * derived from saslprep(password) with verifier.salt (PBKDF2, on a helper), then
	 * scram_verifier_of gives the verifier; worth a cache, for the salt of a name is stable.
	 */
	bool derive;
	const char *password;           /* of derive; borrowed from the users' snapshot */
	struct scram_verifier verifier; /* with `derive` its salt alone */
};

/* Who logs in. */
struct auth_asked {
	const struct conf *conf;
	const struct conf_db *db; /* that it asks for; NULL for the console */
	const struct auth_users *users;
	enum auth_type type;
	const char *name;
	const struct auth_user *user; /* NULL: nobody knows it */
	const uint8_t *mock_secret;   /* SCRAM_KEY_LEN random bytes of this process, for salts */
};

/*
 * Rules, PgBouncer's: trust asks nothing of users that are listed; any asks nothing, but needs a
 * database with `user`; md5 asks SCRAM of those whose secret is a verifier; scram-sha-256 refuses
 * those whose secret is an md5 hash; an empty secret is refused unless nothing is asked.
 * Errors: E_NOMEM; E_INVALID md5 is switched off in OpenSSL.
 */
enum status auth_decide_client(
	const struct auth_asked *in, struct auth_client_decision *out) MUST_USE;

/* SCRAM keys that a client's login has taught, and for which salt they hold. */
struct auth_learned {
	struct scram_salt salt;
	struct scram_keys keys;
};

enum auth_have {
	AUTH_HAVE_NOTHING,  /* only a server that trusts us can be used */
	AUTH_HAVE_PASSWORD, /* serves cleartext, md5 and SCRAM */
	AUTH_HAVE_MD5,      /* a hash: serves md5 */
	AUTH_HAVE_VERIFIER, /* nothing, until a login of the user teaches keys */
	AUTH_HAVE_KEYS, /* serves SCRAM, if the server's salt and iterations are the learned ones */
};

struct auth_server_decision {
	enum auth_have have;
	const char *user;                   /* borrowed, as all here */
	const char *secret;                 /* password or hash; NULL otherwise */
	const struct auth_learned *learned; /* AUTH_HAVE_KEYS, else NULL */
};

/*
 * As whom, and with what, a server connection for `client_user` on `db` logs in: the entry's user
 * and password, else auth_file's secret of that user, else learned keys.
 * learned: of client_user's login, or NULL; not used for an entry with a user of its own.
 */
void auth_decide_server(const struct conf_db *db, const struct auth_users *users,
	const char *client_user, const struct auth_learned *learned,
	struct auth_server_decision *out);

enum auth_method { AUTH_METHOD_CLEARTEXT, AUTH_METHOD_MD5, AUTH_METHOD_SCRAM };

/*
 * NULL if what we have can answer what the server asks; else the reason, fixed words for the log,
 * naming the way out.
 * salt: the server's, for SCRAM once it is known; else NULL.
 */
const char *auth_cannot_answer(const struct auth_server_decision *d, enum auth_method method,
	const struct scram_salt *salt);

#endif
