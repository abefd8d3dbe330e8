#include "proto/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "proto/base64.h"
#include "proto/scram_msg.h"

static enum status salt_password(
	const char *password, const struct scram_salt *salt, uint8_t salted[SCRAM_KEY_LEN])
{
	size_t len = strlen(password);

	if (len > SCRAM_PASSWORD_MAX || salt->iterations > SCRAM_ITERATIONS_TOP)
		return E_LIMIT;
	PANIC_IF(salt->iterations == 0 || salt->len > SCRAM_SALT_MAX);
	if (PKCS5_PBKDF2_HMAC(password, (int)len, salt->bytes, (int)salt->len,
		    (int)salt->iterations, EVP_sha256(), SCRAM_KEY_LEN, salted) != 1)
		return E_NOMEM;
	return OK;
}

enum status scram_derive(
	const char *password, const struct scram_salt *salt, struct scram_keys *out)
{
	uint8_t salted[SCRAM_KEY_LEN];
	enum status st;

	if ((st = salt_password(password, salt, salted)) == OK &&
		(st = scram_hmac(salted, "Client Key", 10, out->client_key)) == OK)
		st = scram_hmac(salted, "Server Key", 10, out->server_key);
	scram_wipe(salted, sizeof salted);
	return st;
}

enum status scram_verifier_of(
	const struct scram_keys *keys, const struct scram_salt *salt, struct scram_verifier *out)
{
	*out = (struct scram_verifier){.salt = *salt};
	memcpy(out->server_key, keys->server_key, SCRAM_KEY_LEN);
	return scram_hash(keys->client_key, SCRAM_KEY_LEN, out->stored_key);
}

void scram_verifier_mock(const uint8_t secret[SCRAM_KEY_LEN], const char *user, uint32_t iterations,
	struct scram_verifier *out)
{
	struct hash_key halves[2];
	uint64_t h[2];

	_Static_assert(sizeof halves == SCRAM_KEY_LEN, "two keys of SipHash");
	_Static_assert(sizeof h == SCRAM_SALT_LEN, "two hashes");
	memcpy(halves, secret, sizeof halves);
	for (unsigned i = 0; i < 2; i++)
		h[i] = hash_bytes(&halves[i], user, strlen(user));
	*out = (struct scram_verifier){.mock = true};
	out->salt.iterations = iterations;
	out->salt.len = SCRAM_SALT_LEN;
	memcpy(out->salt.bytes, h, sizeof h);
}

/* Cut off what stands before the next `sep`; false if there is none. */
static bool cut(const char **s, char sep, struct scram_text *out)
{
	const char *end = strchr(*s, sep);

	if (end == NULL)
		return false;
	*out = (struct scram_text){.p = *s, .len = (size_t)(end - *s)};
	*s = end + 1;
	return true;
}

enum status scram_verifier_read(const char *text, struct scram_verifier *out)
{
	struct scram_text mechanism, iterations, salt, stored_key, server_key;
	enum status st;

	*out = (struct scram_verifier){.mock = false};
	if (!cut(&text, '$', &mechanism) ||
		!scram_text_is(mechanism, SCRAM_MECHANISM, strlen(SCRAM_MECHANISM)))
		return E_NOTFOUND;
	if (!cut(&text, ':', &iterations) || !cut(&text, '$', &salt) ||
		!cut(&text, ':', &stored_key))
		return E_PROTO;
	server_key = (struct scram_text){.p = text, .len = strlen(text)};
	if ((st = scram_number(iterations, 1, SCRAM_ITERATIONS_TOP, &out->salt.iterations)) != OK ||
		(st = scram_salt_read(salt, &out->salt)) != OK ||
		(st = scram_key_read(stored_key, out->stored_key)) != OK)
		return st;
	return scram_key_read(server_key, out->server_key);
}

void scram_verifier_put(struct wr *w, const struct scram_verifier *v)
{
	char iterations[16];

	snprintf(iterations, sizeof iterations, "%u", v->salt.iterations);
	wr_str(w, SCRAM_MECHANISM "$");
	wr_str(w, iterations);
	wr_u8(w, ':');
	base64_put(w, v->salt.bytes, v->salt.len);
	wr_u8(w, '$');
	base64_put(w, v->stored_key, SCRAM_KEY_LEN);
	wr_u8(w, ':');
	base64_put(w, v->server_key, SCRAM_KEY_LEN);
	wr_u8(w, 0);
}

bool scram_verifier_accepts(const struct scram_verifier *v, const struct scram_keys *keys)
{
	return CRYPTO_memcmp(keys->server_key, v->server_key, SCRAM_KEY_LEN) == 0 && !v->mock;
}

bool scram_salt_equal(const struct scram_salt *a, const struct scram_salt *b)
{
	return a->iterations == b->iterations && a->len == b->len &&
	       memcmp(a->bytes, b->bytes, a->len) == 0;
}

void scram_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
