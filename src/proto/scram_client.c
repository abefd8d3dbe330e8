#include "proto/scram_client.h"

#include <openssl/crypto.h>

#include "proto/base64.h"
#include "proto/scram_msg.h"

/* Longest client-final: c= with binding, r=, p=. */
#define FINAL_MAX (SCRAM_NONCE_MAX + 256u)

void scram_client_init(struct scram_client *c, enum scram_binding binding)
{
	c->step = SCRAM_CLIENT_START;
	c->binding = binding;
	c->bare_len = c->own_nonce_len = c->server_first_len = c->nonce_len = 0;
}

void scram_client_fini(struct scram_client *c)
{
	scram_wipe(c, sizeof *c);
	c->step = SCRAM_CLIENT_ENDED;
}

/* The exchange has failed: nothing of it serves any more. */
static enum status fail(struct scram_client *c, enum status st)
{
	scram_client_fini(c);
	return st;
}

bool scram_client_is_done(const struct scram_client *c)
{
	return c->step == SCRAM_CLIENT_DONE;
}

enum status scram_client_first(
	struct scram_client *c, const uint8_t rand[SCRAM_RAND_LEN], struct wr *out)
{
	struct wr w = wr_of(c->bare, sizeof c->bare);

	if (c->step != SCRAM_CLIENT_START)
		return fail(c, E_PROTO);
	wr_str(&w, "n=,r="); /* PostgreSQL takes the user from the StartupMessage */
	base64_put(&w, rand, SCRAM_RAND_LEN);
	PANIC_IF(w.bad);
	c->bare_len = (uint32_t)w.len;
	c->own_nonce_len = BASE64_LEN(SCRAM_RAND_LEN);
	c->step = SCRAM_CLIENT_SENT_FIRST;
	scram_put_gs2(out, (char)c->binding);
	wr_bytes(out, c->bare, c->bare_len);
	return OK;
}

/* Ours, and at least one character of the server's. */
static bool nonce_continues(const struct scram_client *c, struct scram_text nonce)
{
	const char *own = c->bare + c->bare_len - c->own_nonce_len;

	return nonce.len > c->own_nonce_len && memcmp(nonce.p, own, c->own_nonce_len) == 0;
}

/* "r=nonce,s=salt,i=iterations" and extensions. */
static enum status read_first(
	struct scram_client *c, struct rd msg, uint32_t iterations_min, uint32_t iterations_max)
{
	struct scram_text nonce, value;
	enum status st = scram_nonce(&msg, SCRAM_NONCE_MAX, &nonce);

	if (st != OK)
		return st;
	if (!nonce_continues(c, nonce) || scram_attr(&msg, &value) != 's')
		return E_PROTO;
	if ((st = scram_salt_read(value, &c->salt)) != OK)
		return st;
	if (scram_attr(&msg, &value) != 'i')
		return E_PROTO;
	st = scram_number(value, iterations_min, iterations_max, &c->salt.iterations);
	if (st != OK)
		return st;
	scram_skip_attrs(&msg);
	c->nonce_len = (uint32_t)nonce.len;
	return msg.bad ? E_PROTO : OK;
}

enum status scram_client_take_first(struct scram_client *c, const uint8_t *msg, size_t len,
	uint32_t iterations_min, uint32_t iterations_max)
{
	enum status st = c->step == SCRAM_CLIENT_SENT_FIRST ? OK : E_PROTO;
	struct rd r;

	if (st == OK)
		st = scram_open(msg, len, &r);
	if (st == OK)
		st = read_first(c, r, iterations_min, iterations_max);
	if (st != OK)
		return fail(c, st);
	memcpy(c->server_first, msg, len);
	c->server_first_len = (uint32_t)len;
	c->step = SCRAM_CLIENT_GOT_FIRST;
	return OK;
}

/* proof = ClientKey XOR HMAC(H(ClientKey), AuthMessage); and what the server must answer. */
static enum status sign(struct scram_client *c, const struct scram_keys *keys,
	struct scram_text bare, uint8_t proof[SCRAM_KEY_LEN])
{
	uint8_t buf[SCRAM_AUTH_MAX];
	uint8_t stored_key[SCRAM_KEY_LEN];
	struct wr auth = wr_of(buf, sizeof buf);
	enum status st;

	scram_put_auth(&auth, (struct scram_text){c->bare, c->bare_len},
		(struct scram_text){c->server_first, c->server_first_len}, bare);
	PANIC_IF(auth.bad);
	if ((st = scram_hash(keys->client_key, SCRAM_KEY_LEN, stored_key)) != OK ||
		(st = scram_hmac(stored_key, buf, auth.len, proof)) != OK ||
		(st = scram_hmac(keys->server_key, buf, auth.len, c->server_signature)) != OK)
		return st;
	for (size_t i = 0; i < SCRAM_KEY_LEN; i++)
		proof[i] ^= keys->client_key[i];
	return OK;
}

enum status scram_client_final(struct scram_client *c, const struct scram_keys *keys,
	const uint8_t *cbind, size_t cbind_len, struct wr *out)
{
	bool plus = c->binding == SCRAM_BINDING_END_POINT;
	uint8_t proof[SCRAM_KEY_LEN];
	char buf[FINAL_MAX];
	struct wr w = wr_of(buf, sizeof buf);
	enum status st;

	if (c->step != SCRAM_CLIENT_GOT_FIRST)
		return fail(c, E_PROTO);
	if (plus && (cbind_len == 0 || cbind_len > SCRAM_CBIND_MAX))
		return fail(c, E_INVALID);
	wr_str(&w, "c=");
	scram_put_binding(&w, (char)c->binding, cbind, cbind_len);
	wr_str(&w, ",r=");
	wr_bytes(&w, c->server_first + 2, c->nonce_len);
	st = sign(c, keys, (struct scram_text){buf, w.len}, proof);
	if (st != OK)
		return fail(c, st);
	wr_str(&w, ",p=");
	base64_put(&w, proof, SCRAM_KEY_LEN);
	PANIC_IF(w.bad);
	wr_bytes(out, buf, w.len);
	c->step = SCRAM_CLIENT_SENT_FINAL;
	return OK;
}

/* "v=signature" or "e=error", and extensions. */
static enum status read_final(const struct scram_client *c, struct rd msg)
{
	uint8_t signature[SCRAM_KEY_LEN];
	struct scram_text value;
	char name = scram_attr(&msg, &value);

	scram_skip_attrs(&msg);
	if (msg.bad || (name != 'v' && name != 'e'))
		return E_PROTO;
	if (name == 'e')
		return E_AUTH;
	if (scram_key_read(value, signature) != OK)
		return E_PROTO;
	return CRYPTO_memcmp(signature, c->server_signature, SCRAM_KEY_LEN) == 0 ? OK : E_AUTH;
}

enum status scram_client_take_final(struct scram_client *c, const uint8_t *msg, size_t len)
{
	enum status st = c->step == SCRAM_CLIENT_SENT_FINAL ? OK : E_PROTO;
	struct rd r;

	if (st == OK)
		st = scram_open(msg, len, &r);
	if (st == OK)
		st = read_final(c, r);
	scram_client_fini(c);
	if (st == OK)
		c->step = SCRAM_CLIENT_DONE;
	return st;
}
