/*
 * md5auth - the md5 password method, both sides. Weak by today's standards; still in use.
 * Owns:    nothing.
 * Touches: OpenSSL's libcrypto (MD5); E_INVALID where that is switched off (FIPS).
 * Source:  PostgreSQL manual, "Protocol Flow", AuthenticationMD5Password.
 */
#ifndef PGWEIR_PROTO_MD5AUTH_H
#define PGWEIR_PROTO_MD5AUTH_H

#include "base/status.h"

#define MD5AUTH_LEN      35u /* "md5" and 32 lower case hexadecimal digits */
#define MD5AUTH_SALT_LEN 4u

/* A hash as in pg_authid and auth_file, or a response; NUL-terminated. */
struct md5auth {
	char text[MD5AUTH_LEN + 1];
};

/* Is `text` a stored hash ("md5" and 32 hexadecimal digits), not a password? */
bool md5auth_is_hash(const char *text);

/* The stored hash of a password: "md5" + md5(password + user). */
enum status md5auth_hash(const char *password, const char *user, struct md5auth *out) MUST_USE;

/*
 * The response to `salt`: "md5" + md5(hash without "md5" + salt). What a client sends, and what a
 * server expects.
 * hash: md5auth_is_hash holds for it.
 */
enum status md5auth_response(
	const char *hash, const uint8_t salt[MD5AUTH_SALT_LEN], struct md5auth *out) MUST_USE;

/* Constant time in what both sides' digits are. got: the PasswordMessage, any length. */
bool md5auth_equal(const struct md5auth *expected, const char *got) MUST_USE;

#endif
