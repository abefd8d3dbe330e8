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
	AUTH_ASK_PLAIN, /* the password itself: see auth_check_plain */
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
	 * AUTH_ASK_SCRAM. With `derive` the secret is a plain password: its keys have to be
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
	struct auth_usual usual;
	enum auth_type type;
	const char *name;
	const struct auth_user *user; /* NULL: nobody knows it */
	const uint8_t *mock_secret;   /* SCRAM_KEY_LEN random bytes of this process, for salts */
};

/*
 * Rules, PgBouncer's: trust, cert and peer ask nothing of users that are known; any asks nothing,
 * but needs a database with `user`; md5 asks SCRAM of those whose secret is a verifier;
 * scram-sha-256 refuses those whose secret is an md5 hash; plain serves all; an empty secret is
 * refused unless nothing is asked; pam and ldap ask whoever comes for the password itself, which
 * is checked elsewhere.
 * Errors: E_NOMEM; E_INVALID md5 is switched off in OpenSSL.
 */
enum status auth_decide_client(
	const struct auth_asked *in, struct auth_client_decision *out) MUST_USE;

/* What a password that came in the clear is compared with. */
struct auth_plain_check {
	bool done, accepted;            /* decided; else: */
	struct scram_verifier verifier; /* does it accept the password? PBKDF2, on a helper */
};

/*
 * A user whom nobody knows takes as long as the usual one. Errors: E_NOMEM; E_INVALID md5 is
 * switched off in OpenSSL.
 */
enum status auth_check_plain(
	const struct auth_asked *in, const char *password, struct auth_plain_check *out) MUST_USE;

/* SCRAM keys that a client's login has taught, and for which salt they hold. */
struct auth_learned {
	struct scram_salt salt;
	struct scram_keys keys;
};

/* What the login of an account's clients has left for its servers. */
struct auth_own {
	const char *secret; /* of auth_query, or the password that the client gave; NULL: none */
	const struct auth_learned *learned; /* NULL: none */
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
 * and password, else auth_file's secret of that user, else the login's own; of a verifier, the
 * keys that the login has taught. A login's password goes before a secret that is none.
 * own: not used for an entry with a user of its own.
 */
void auth_decide_server(const struct conf_db *db, const struct auth_users *users,
	const char *client_user, const struct auth_own *own, struct auth_server_decision *out);

enum auth_method { AUTH_METHOD_CLEARTEXT, AUTH_METHOD_MD5, AUTH_METHOD_SCRAM };

/*
 * NULL if what we have can answer what the server asks; else the reason, fixed words for the log,
 * naming the way out.
 * salt: the server's, for SCRAM once it is known; else NULL.
 */
const char *auth_cannot_answer(const struct auth_server_decision *d, enum auth_method method,
	const struct scram_salt *salt);

#endif
