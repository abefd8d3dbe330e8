#include "proto/scram_server.h"

#include <openssl/crypto.h>
#include <stdio.h>

#include "proto/base64.h"
#include "proto/scram_msg.h"

void scram_server_init(struct scram_server *s, const struct scram_verifier *v)
{
	PANIC_IF(v->salt.len == 0 || v->salt.len > SCRAM_SALT_MAX);
	s->step = SCRAM_SERVER_START;
	s->binding = 'n';
	s->verifier = *v;
	s->first_bare_len = s->server_first_len = s->nonce_len = 0;
}

void scram_server_fini(struct scram_server *s)
{
	scram_wipe(s, sizeof *s);
	s->step = SCRAM_SERVER_ENDED;
}

/* Is the mechanism one of those offered? *plus: the one with channel binding. */
static enum status read_mechanism(const char *name, const struct scram_offer *offer, bool *plus)
{
	*plus = strcmp(name, SCRAM_MECHANISM_PLUS) == 0;
	if (*plus)
		return offer->plus ? OK : E_INVALID;
	return strcmp(name, SCRAM_MECHANISM) == 0 ? OK : E_INVALID;
}

/*
 * "n,,", "y,," or "p=NAME,,". The flag must fit the mechanism, and 'y' (the client saw no PLUS)
 * what we offered.
 */
static enum status read_gs2(struct rd *msg, const struct scram_offer *offer, bool plus, char *flag)
{
	static const char name[] = "=" SCRAM_BINDING_NAME;
	const uint8_t *p;

	*flag = (char)rd_u8(msg);
	if (*flag != 'n' && *flag != 'y' && *flag != 'p')
		return E_PROTO;
	if ((*flag == 'p') != plus || (*flag == 'y' && offer->plus))
		return E_INVALID;
	if (*flag == 'p') {
		p = rd_bytes(msg, strlen(name));
		if (p == NULL || memcmp(p, name, strlen(name)) != 0)
			return E_INVALID;
	}
	if (rd_u8(msg) != ',')
		return E_PROTO;
	switch (rd_u8(msg)) {
	case ',':
		return OK;
	case 'a': /* to act for somebody else */
		return E_INVALID;
	default:
		return E_PROTO;
	}
}

/* "n=user,r=nonce" and extensions; the user is that of the StartupMessage, whatever it says. */
static enum status read_first_bare(struct rd msg, struct scram_text *nonce)
{
	struct scram_text user;
	enum status st;
	char name = scram_attr(&msg, &user);

	if (name != 'n')
		return name == 'm' ? E_INVALID : E_PROTO;
	st = scram_nonce(&msg, SCRAM_NONCE_MAX - BASE64_LEN(SCRAM_RAND_LEN), nonce);
	if (st != OK)
		return st;
	scram_skip_attrs(&msg);
	return msg.bad ? E_PROTO : OK;
}

static void make_server_first(
	struct scram_server *s, struct scram_text nonce, const uint8_t rand[SCRAM_RAND_LEN])
{
	const struct scram_salt *salt = &s->verifier.salt;
	struct wr w = wr_of(s->server_first, sizeof s->server_first);
	char iterations[16];

	wr_str(&w, "r=");
	wr_bytes(&w, nonce.p, nonce.len);
	base64_put(&w, rand, SCRAM_RAND_LEN);
	s->nonce_len = (uint32_t)w.len - 2u;
	wr_str(&w, ",s=");
	base64_put(&w, salt->bytes, salt->len);
	snprintf(iterations, sizeof iterations, ",i=%u", salt->iterations);
	wr_str(&w, iterations);
	PANIC_IF(w.bad);
	s->server_first_len = (uint32_t)w.len;
}

static enum status take_first(struct scram_server *s, const struct scram_offer *offer,
	const char *mechanism, struct rd msg, const uint8_t rand[SCRAM_RAND_LEN])
{
	struct scram_text nonce;
	enum status st;
	bool plus;

	if ((st = read_mechanism(mechanism, offer, &plus)) != OK ||
		(st = read_gs2(&msg, offer, plus, &s->binding)) != OK ||
		(st = read_first_bare(msg, &nonce)) != OK)
		return st;
	memcpy(s->first_bare, msg.p, msg.left);
	s->first_bare_len = (uint32_t)msg.left;
	make_server_first(s, nonce, rand);
	return OK;
}

enum status scram_server_first(struct scram_server *s, const struct scram_offer *offer,
	const char *mechanism, const uint8_t *msg, size_t len, const uint8_t rand[SCRAM_RAND_LEN],
	struct wr *out)
{
	enum status st = s->step == SCRAM_SERVER_START ? OK : E_PROTO;
	struct rd r;

	if (st == OK)
		st = scram_open(msg, len, &r);
	if (st == OK)
		st = take_first(s, offer, mechanism, r, rand);
	if (st != OK) {
		scram_server_fini(s);
		return st;
	}
	s->step = SCRAM_SERVER_SENT_FIRST;
	wr_bytes(out, s->server_first, s->server_first_len);
	return OK;
}

/* "c=binding,r=nonce,…,p=proof". *bare: all before the comma in front of the proof. */
static enum status read_final(const struct scram_server *s, const struct scram_offer *offer,
	struct rd msg, struct scram_text *bare, uint8_t proof[SCRAM_KEY_LEN])
{
	uint8_t expected[BASE64_LEN(SCRAM_CBIND_MAX + 32u)];
	struct wr w = wr_of(expected, sizeof expected);
	struct scram_text value;
	const char *start = (const char *)msg.p;
	char name;

	scram_put_binding(&w, s->binding, offer->cbind, offer->cbind_len);
	PANIC_IF(w.bad);
	if (scram_attr(&msg, &value) != 'c' || !scram_text_is(value, expected, w.len))
		return E_PROTO;
	if (scram_attr(&msg, &value) != 'r' ||
		!scram_text_is(value, s->server_first + 2, s->nonce_len))
		return E_PROTO;
	do {
		*bare = (struct scram_text){start, (size_t)((const char *)msg.p - start) - 1};
		name = scram_attr(&msg, &value);
	} while (name != 'p' && name != 0);
	if (name != 'p' || msg.bad || msg.left != 0)
		return E_PROTO;
	return scram_key_read(value, proof);
}

/* ClientKey = proof XOR HMAC(StoredKey, AuthMessage); its hash must be StoredKey. */
static enum status check_proof(const struct scram_verifier *v, const struct wr *auth,
	const uint8_t proof[SCRAM_KEY_LEN], uint8_t client_key[SCRAM_KEY_LEN])
{
	uint8_t hash[SCRAM_KEY_LEN];
	enum status st = scram_hmac(v->stored_key, auth->buf, auth->len, client_key);

	if (st != OK)
		return st;
	for (size_t i = 0; i < SCRAM_KEY_LEN; i++)
		client_key[i] ^= proof[i];
	if ((st = scram_hash(client_key, SCRAM_KEY_LEN, hash)) != OK)
		return st;
	if (CRYPTO_memcmp(hash, v->stored_key, SCRAM_KEY_LEN) != 0 || v->mock)
		return E_AUTH;
	return OK;
}

static enum status take_final(const struct scram_server *s, const struct scram_offer *offer,
	struct rd msg, struct wr *out, struct scram_keys *keys)
{
	uint8_t buf[SCRAM_AUTH_MAX];
	uint8_t proof[SCRAM_KEY_LEN];
	uint8_t signature[SCRAM_KEY_LEN];
	struct wr auth = wr_of(buf, sizeof buf);
	struct scram_text bare;
	enum status st = read_final(s, offer, msg, &bare, proof);

	if (st != OK)
		return st;
	scram_put_auth(&auth, (struct scram_text){s->first_bare, s->first_bare_len},
		(struct scram_text){s->server_first, s->server_first_len}, bare);
	PANIC_IF(auth.bad);
	memcpy(keys->server_key, s->verifier.server_key, SCRAM_KEY_LEN);
	if ((st = check_proof(&s->verifier, &auth, proof, keys->client_key)) != OK ||
		(st = scram_hmac(keys->server_key, auth.buf, auth.len, signature)) != OK)
		return st;
	wr_str(out, "v=");
	base64_put(out, signature, SCRAM_KEY_LEN);
	return OK;
}

enum status scram_server_final(struct scram_server *s, const struct scram_offer *offer,
	const uint8_t *msg, size_t len, struct wr *out, struct scram_keys *keys)
{
	enum status st = s->step == SCRAM_SERVER_SENT_FIRST ? OK : E_PROTO;
	struct scram_keys found;
	struct rd r;

	if (st == OK)
		st = scram_open(msg, len, &r);
	if (st == OK)
		st = take_final(s, offer, r, out, &found);
	if (st == OK && keys != NULL)
		*keys = found;
	scram_wipe(&found, sizeof found);
	scram_server_fini(s);
	return st;
}
