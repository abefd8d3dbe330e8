#include "proto/scram_msg.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

#include "proto/base64.h"

enum status scram_open(const uint8_t *msg, size_t len, struct rd *out)
{
	if (len > SCRAM_MSG_MAX)
		return E_LIMIT;
	if (len == 0 || memchr(msg, 0, len) != NULL)
		return E_PROTO;
	*out = rd_of(msg, len);
	return OK;
}

static bool is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

char scram_attr(struct rd *msg, struct scram_text *value)
{
	uint8_t name, equals;
	const uint8_t *comma;

	*value = (struct scram_text){.p = "", .len = 0};
	if (msg->left == 0)
		return 0;
	name = rd_u8(msg);
	equals = rd_u8(msg);
	if (!is_letter(name) || equals != '=') {
		rd_fail(msg);
		return 0;
	}
	comma = msg->left != 0 ? memchr(msg->p, ',', msg->left) : NULL;
	value->len = comma != NULL ? (size_t)(comma - msg->p) : msg->left;
	value->p = (const char *)rd_bytes(msg, value->len);
	if (comma != NULL) {
		rd_skip(msg, 1);
		msg->bad |= msg->left == 0; /* a comma promises one more */
	}
	return (char)name;
}

void scram_skip_attrs(struct rd *msg)
{
	struct scram_text ignored;

	while (scram_attr(msg, &ignored) != 0)
		;
}

static bool is_printable(struct scram_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.p[i] <= ' ' || t.p[i] > '~')
			return false;
	return true;
}

enum status scram_nonce(struct rd *msg, size_t max, struct scram_text *out)
{
	char name = scram_attr(msg, out);

	if (name == 'm')
		return E_INVALID;
	if (name != 'r' || out->len == 0 || !is_printable(*out))
		return E_PROTO;
	return out->len <= max ? OK : E_LIMIT;
}

enum status scram_number(struct scram_text t, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t n = 0;

	if (t.len == 0 || t.p[0] == '0')
		return E_PROTO;
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return E_PROTO;
		if (n <= UINT32_MAX)
			n = n * 10 + (uint64_t)(t.p[i] - '0');
	}
	if (n < min || n > max)
		return E_LIMIT;
	*out = (uint32_t)n;
	return OK;
}

enum status scram_key_read(struct scram_text t, uint8_t out[SCRAM_KEY_LEN])
{
	size_t len;

	if (base64_read(t.p, t.len, out, SCRAM_KEY_LEN, &len) != OK || len != SCRAM_KEY_LEN)
		return E_PROTO;
	return OK;
}

enum status scram_salt_read(struct scram_text t, struct scram_salt *out)
{
	size_t len;
	enum status st = base64_read(t.p, t.len, out->bytes, sizeof out->bytes, &len);

	if (st != OK)
		return st;
	out->len = (uint32_t)len;
	return len != 0 ? OK : E_PROTO;
}

bool scram_text_is(struct scram_text t, const void *p, size_t len)
{
	return t.len == len && memcmp(t.p, p, len) == 0;
}

void scram_put_gs2(struct wr *w, char binding)
{
	wr_u8(w, (uint8_t)binding);
	if (binding == 'p')
		wr_str(w, "=" SCRAM_BINDING_NAME);
	wr_str(w, ",,");
}

void scram_put_binding(struct wr *w, char binding, const uint8_t *cbind, size_t cbind_len)
{
	uint8_t buf[sizeof "p=" SCRAM_BINDING_NAME ",," + SCRAM_CBIND_MAX];
	struct wr raw = wr_of(buf, sizeof buf);

	scram_put_gs2(&raw, binding);
	if (binding == 'p')
		wr_bytes(&raw, cbind, cbind_len);
	PANIC_IF(raw.bad);
	base64_put(w, buf, raw.len);
}

/*
 * What OpenSSL looks up by name and allocates, under locks: two thirds of what a login's arithmetic
 * cost, so once for a thread, which frees it when it ends. Between two calls it has what the last
 * key leaves; the keys themselves stay in memory as well (auth_file, worker/keys).
 */
struct tools {
	EVP_MD_CTX *hash; /* of SHA-256, and that one's HMAC; begun anew for each use */
	EVP_MAC_CTX *hmac;
};

static struct {
	pthread_once_t once;
	bool has_key;
	pthread_key_t key; /* of each thread's struct tools */
} threads = {.once = PTHREAD_ONCE_INIT};

static void tools_free(void *arg)
{
	struct tools *t = arg;

	EVP_MAC_CTX_free(t->hmac);
	EVP_MD_CTX_free(t->hash);
	free(t);
}

static void make_key(void)
{
	threads.has_key = pthread_key_create(&threads.key, tools_free) == 0;
}

static bool look_up(struct tools *t)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()};
	EVP_MD *md = EVP_MD_fetch(NULL, digest, NULL);
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	bool ok = md != NULL && (t->hash = EVP_MD_CTX_new()) != NULL &&
		  EVP_DigestInit_ex(t->hash, md, NULL) == 1;

	ok = ok && mac != NULL && (t->hmac = EVP_MAC_CTX_new(mac)) != NULL &&
	     EVP_MAC_CTX_set_params(t->hmac, params) == 1;
	EVP_MAC_free(mac); /* the contexts have references of their own */
	EVP_MD_free(md);
	return ok;
}

/* This thread's. NULL: OpenSSL cannot, or no memory. */
static const struct tools *tools(void)
{
	struct tools *t;

	if (pthread_once(&threads.once, make_key) != 0 || !threads.has_key)
		return NULL;
	if ((t = pthread_getspecific(threads.key)) != NULL)
		return t;
	if ((t = calloc(1, sizeof *t)) == NULL)
		return NULL;
	if (look_up(t) && pthread_setspecific(threads.key, t) == 0)
		return t;
	tools_free(t);
	return NULL;
}

enum status scram_hmac(
	const uint8_t key[SCRAM_KEY_LEN], const void *p, size_t len, uint8_t out[SCRAM_KEY_LEN])
{
	const struct tools *t = tools();

	return t != NULL && EVP_MAC_init(t->hmac, key, SCRAM_KEY_LEN, NULL) == 1 &&
			       EVP_MAC_update(t->hmac, p, len) == 1 &&
			       EVP_MAC_final(t->hmac, out, NULL, SCRAM_KEY_LEN) == 1
		       ? OK
		       : E_NOMEM;
}

enum status scram_hash(const void *p, size_t len, uint8_t out[SCRAM_KEY_LEN])
{
	const struct tools *t = tools();

	return t != NULL && EVP_DigestInit_ex(t->hash, NULL, NULL) == 1 &&
			       EVP_DigestUpdate(t->hash, p, len) == 1 &&
			       EVP_DigestFinal_ex(t->hash, out, NULL) == 1
		       ? OK
		       : E_NOMEM;
}

void scram_put_auth(struct wr *w, struct scram_text client_first_bare,
	struct scram_text server_first, struct scram_text client_final_bare)
{
	wr_bytes(w, client_first_bare.p, client_first_bare.len);
	wr_u8(w, ',');
	wr_bytes(w, server_first.p, server_first.len);
	wr_u8(w, ',');
	wr_bytes(w, client_final_bare.p, client_final_bare.len);
}
