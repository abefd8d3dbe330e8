/*
 * scram - SCRAM-SHA-256: keys and verifiers, what the two sides (scram_server.h, scram_client.h)
 * share. Arithmetic only: no clock, no random source; random bytes come in.
 * Owns:    nothing. Callers wipe keys that they no longer need with scram_wipe.
 * Touches: OpenSSL's libcrypto (SHA-256, HMAC, PBKDF2).
 * Bounds:  SCRAM_SALT_MAX, SCRAM_NONCE_MAX, SCRAM_MSG_MAX.
 * Source:  RFC 5802, RFC 7677; PostgreSQL manual, "SCRAM-SHA-256 Authentication".
 */
#ifndef PGWEIR_PROTO_SCRAM_H
#define PGWEIR_PROTO_SCRAM_H

#include "base/status.h"
#include "base/wr.h"

#define SCRAM_MECHANISM      "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

#define SCRAM_KEY_LEN   32u
#define SCRAM_RAND_LEN  18u   /* random bytes of a nonce, as PostgreSQL; 24 characters */
#define SCRAM_NONCE_MAX 256u  /* characters of a nonce, both parts together */
#define SCRAM_MSG_MAX   1024u /* bytes of a message; PG_MAX_SASL_MESSAGE_LENGTH */
#define SCRAM_CBIND_MAX 64u   /* bytes of tls-server-end-point: a hash, SHA-512 at most */

#define SCRAM_PASSWORD_MAX 65535u /* bytes of a prepared password */

#define SCRAM_SALT_LEN 16u  /* bytes of a salt that we make, as PostgreSQL */
#define SCRAM_SALT_MAX 128u /* bytes of one that we accept */

#define SCRAM_ITERATIONS_DEFAULT 4096u
#define SCRAM_ITERATIONS_MIN     1u          /* usual floor: PostgreSQL's scram_iterations */
#define SCRAM_ITERATIONS_MAX     100000u     /* usual ceiling for servers that we log in to */
#define SCRAM_ITERATIONS_TOP     0x7fffffffu /* PostgreSQL's own, for verifiers */

#define SCRAM_VERIFIER_MAX 320u /* bytes of a verifier's text, NUL included */

/* How a password is stretched. */
struct scram_salt {
	uint32_t iterations;
	uint32_t len;
	uint8_t bytes[SCRAM_SALT_MAX];
};

/* What logs in and what proves the server; as good as the password for this salt. */
struct scram_keys {
	uint8_t client_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];
};

/* What a server keeps: proves a client, cannot log in. */
struct scram_verifier {
	struct scram_salt salt;
	uint8_t stored_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];
	bool mock; /* of nobody: accepts nothing */
};

/* All below that return a status: E_NOMEM if OpenSSL cannot. */

/*
 * The keys of a password, the slow part (PBKDF2; milliseconds): run by helper threads.
 * password: prepared (saslprep.h).
 * Errors:   E_LIMIT password above SCRAM_PASSWORD_MAX, iterations above SCRAM_ITERATIONS_TOP.
 */
enum status scram_derive(
	const char *password, const struct scram_salt *salt, struct scram_keys *out) MUST_USE;

/* The verifier of the password that `keys` were derived from with `salt`. */
enum status scram_verifier_of(const struct scram_keys *keys, const struct scram_salt *salt,
	struct scram_verifier *out) MUST_USE;

/*
 * The verifier that is shown to an unknown user: same cost and same messages as a real one, its
 * salt always the same for a name (SipHash with the secret), and no proof fits it.
 * secret: SCRAM_KEY_LEN random bytes, kept as long as names shall look the same.
 */
void scram_verifier_mock(const uint8_t secret[SCRAM_KEY_LEN], const char *user, uint32_t iterations,
	struct scram_verifier *out);

/*
 * Read "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey".
 * Errors: E_NOTFOUND another kind of secret; E_PROTO malformed; E_LIMIT salt or iterations out of
 *         bounds (1..SCRAM_SALT_MAX, 1..SCRAM_ITERATIONS_TOP).
 */
enum status scram_verifier_read(const char *text, struct scram_verifier *out) MUST_USE;

/* Its text, with a NUL. Needs SCRAM_VERIFIER_MAX bytes at most. */
void scram_verifier_put(struct wr *w, const struct scram_verifier *v);

/* Is this the password's verifier? `keys` were derived from it with v->salt. Constant time. */
bool scram_verifier_accepts(const struct scram_verifier *v, const struct scram_keys *keys) MUST_USE;

/* Same salt and iterations: keys learned with the one serve for the other. */
bool scram_salt_equal(const struct scram_salt *a, const struct scram_salt *b);

void scram_wipe(void *p, size_t len); /* zero, not optimised away */

#endif
