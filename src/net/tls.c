#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "net/tls_words.h"

/* Read-ahead buffer of a stream in use: a few of the peer's records with one recv. */
#define TLS_READ_LEN 32768u

struct tls_ctx {
	SSL_CTX *ssl;
	BIO_METHOD *transport;
	bool server, http;
	enum tls_verify verify;
	_Atomic unsigned refs;
};

struct tls {
	SSL *ssl;
	struct tls_ctx *ctx;
	struct tls_io io;
	bool at_eof; /* the transport has ended */
	bool lost;   /* it has failed, with lost_errno */
	int lost_errno;
	char err[TLS_ERR_MAX];
};

/* --- errors --- */

/*
 * OpenSSL looks at the thread's queue of errors when a call has failed, so it is empty before one.
 * It mostly is, which is much cheaper to see than to make it so.
 */
static void errors_forget(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* The oldest error is the cause, the others say who passed it on. */
static const char *openssl_reason(void)
{
	unsigned long e = ERR_peek_error();
	const char *text = NULL;

	if (ERR_SYSTEM_ERROR(e))
		text = strerrordesc_np(ERR_GET_REASON(e));
	else if (e != 0)
		text = ERR_reason_error_string(e);
	return text != NULL ? text : "unknown error";
}

static enum status conf_fail(char *err, const char *what, const char *value)
{
	unsigned long e = ERR_peek_error();

	(void)snprintf(err, TLS_ERR_MAX, "%s \"%s\": %s", what, value, openssl_reason());
	ERR_clear_error();
	return ERR_SYSTEM_ERROR(e) ? E_IO : E_INVALID;
}

static enum status conf_invalid(char *err, const char *what)
{
	(void)snprintf(err, TLS_ERR_MAX, "%s", what);
	return E_INVALID;
}

/* --- the transport, as OpenSSL sees it --- */

static int transport_read(BIO *bio, char *buf, int len)
{
	struct tls *t = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	n = t->io.recv(t->io.arg, buf, (size_t)len);
	if (n < 0 && errno == EAGAIN) {
		BIO_set_retry_read(bio);
	} else if (n < 0) {
		t->lost = true;
		t->lost_errno = errno;
	} else if (n == 0) {
		t->at_eof = true;
	}
	return (int)n;
}

static int transport_write(BIO *bio, const char *p, int len)
{
	struct tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	if (t->io.send(t->io.arg, p, (size_t)len))
		return len;
	t->lost = true;
	t->lost_errno = errno;
	return -1;
}

static long transport_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct tls *t = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	if (cmd == BIO_CTRL_EOF)
		return t->at_eof;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *transport_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pgweir");

	if (m != NULL && BIO_meth_set_read(m, transport_read) == 1 &&
		BIO_meth_set_write(m, transport_write) == 1 &&
		BIO_meth_set_ctrl(m, transport_ctrl) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* --- contexts --- */

/* For OpenSSL's macros that take a const string and cast it. */
static void *only_read(const char *s)
{
	return (void *)(uintptr_t)s;
}

static bool is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

static bool same(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

bool tls_conf_equal(const struct tls_conf *a, const struct tls_conf *b)
{
	return a->server == b->server && a->http == b->http && a->verify == b->verify &&
	       same(a->ca_file, b->ca_file) && same(a->cert_file, b->cert_file) &&
	       same(a->key_file, b->key_file) && same(a->protocols, b->protocols) &&
	       same(a->ciphers, b->ciphers) && same(a->ciphers13, b->ciphers13) &&
	       same(a->curve, b->curve) && same(a->dheparams, b->dheparams);
}

static enum status ctx_set_protocols(SSL_CTX *ssl, const struct tls_conf *conf, char *err)
{
	unsigned bits;
	enum status st;

	st = tls_words_protocols(conf->protocols, &bits, err);
	if (st != OK)
		return st;
	SSL_CTX_set_min_proto_version(
		ssl, (bits & TLS_WORDS_12) != 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(
		ssl, (bits & TLS_WORDS_13) != 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
	return OK;
}

static enum status ctx_set_crypto(SSL_CTX *ssl, const struct tls_conf *conf, char *err)
{
	bool curve = is_set(conf->curve) && strcasecmp(conf->curve, "auto") != 0;
	bool dhe = !is_set(conf->dheparams) || strcasecmp(conf->dheparams, "auto") == 0;

	if (SSL_CTX_set_cipher_list(ssl, tls_words_ciphers(conf->ciphers)) != 1)
		return conf_fail(err, "ciphers", conf->ciphers);
	if (is_set(conf->ciphers13) && SSL_CTX_set_ciphersuites(ssl, conf->ciphers13) != 1)
		return conf_fail(err, "TLS 1.3 ciphers", conf->ciphers13);
	if (curve && SSL_CTX_set1_groups_list(ssl, only_read(conf->curve)) != 1)
		return conf_fail(err, "curve", conf->curve);
	if (!dhe && strcasecmp(conf->dheparams, "none") != 0)
		return conf_invalid(err, "dheparams: expected auto or none");
	SSL_CTX_set_dh_auto(ssl, dhe);
	return OK;
}

/* A key that asks for a passphrase is an error; nobody is there to type it. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static enum status ctx_load_identity(SSL_CTX *ssl, const struct tls_conf *conf, char *err)
{
	if (!is_set(conf->cert_file) && !is_set(conf->key_file) && !conf->server)
		return OK;
	if (!is_set(conf->cert_file))
		return conf_invalid(err, "no certificate file is set");
	if (!is_set(conf->key_file))
		return conf_invalid(err, "no key file is set");
	if (SSL_CTX_use_certificate_chain_file(ssl, conf->cert_file) != 1)
		return conf_fail(err, "certificate file", conf->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ssl, conf->key_file, SSL_FILETYPE_PEM) != 1)
		return conf_fail(err, "key file", conf->key_file);
	if (SSL_CTX_check_private_key(ssl) != 1)
		return conf_fail(err, "key file", conf->key_file);
	return OK;
}

bool tls_ca_is_system(const char *ca_file)
{
	return !is_set(ca_file) || strcmp(ca_file, "system") == 0;
}

const char *tls_system_ca_file(void)
{
	const char *const files[] = {
		secure_getenv(X509_get_default_cert_file_env()), X509_get_default_cert_file(),
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine, Arch */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, Red Hat */
		"/etc/ssl/ca-bundle.pem",             /* SUSE */
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (files[i] != NULL && access(files[i], R_OK) == 0)
			return files[i];
	return NULL;
}

static enum status ctx_load_ca(SSL_CTX *ssl, const struct tls_conf *conf, char *err)
{
	STACK_OF(X509_NAME) * names;

	if (!is_set(conf->ca_file) && conf->server) /* whoever has a certificate could log in */
		return conf_invalid(err, "no CA file is set, but certificates are to be verified");
	if (tls_ca_is_system(conf->ca_file))
		return SSL_CTX_set_default_verify_paths(ssl) == 1
			       ? OK
			       : conf_fail(err, "CA file", "system");
	if (SSL_CTX_load_verify_file(ssl, conf->ca_file) != 1)
		return conf_fail(err, "CA file", conf->ca_file);
	if (!conf->server)
		return OK;
	if ((names = SSL_load_client_CA_file(conf->ca_file)) == NULL)
		return conf_fail(err, "CA file", conf->ca_file);
	SSL_CTX_set_client_CA_list(ssl, names);
	return OK;
}

static enum status ctx_set_verify(SSL_CTX *ssl, const struct tls_conf *conf, char *err)
{
	int mode = SSL_VERIFY_PEER;

	if (conf->verify == TLS_VERIFY_NONE) {
		SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
		return OK;
	}
	if (conf->server && conf->verify != TLS_VERIFY_OPTIONAL)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ssl, mode, NULL);
	return ctx_load_ca(ssl, conf, err);
}

/* A protocol's name as ALPN has it, its length in front. */
struct alpn {
	unsigned len;
	const unsigned char *name;
};

static const unsigned char postgresql_name[] = "\012postgresql";
/* Source: PostgreSQL manual, "SSL Session Encryption". */
static const struct alpn alpn_postgresql = {sizeof postgresql_name - 1, postgresql_name};
/* Source: RFC 7301, section 6. */
static const struct alpn alpn_http = {9, (const unsigned char *)"\010http/1.1"};

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *offered, unsigned offered_len, void *arg)
{
	const struct alpn *ours = arg;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, out_len, ours->name, ours->len, offered, offered_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Returns whether OpenSSL has the memory for it. */
static bool ctx_set_protocol(struct tls_ctx *ctx)
{
	const struct alpn *ours = ctx->http ? &alpn_http : &alpn_postgresql;

	if (!ctx->server)
		return SSL_CTX_set_alpn_protos(ctx->ssl, ours->name, ours->len) == 0;
	SSL_CTX_set_alpn_select_cb(ctx->ssl, select_protocol, (void *)(uintptr_t)ours);
	return true;
}

/* read_ahead: whoever reads asks the stream again until it has no more. libevent does not. */
static void ctx_set_rules(SSL_CTX *ssl, bool read_ahead)
{
	static const unsigned char session_context[] = "pgweir";

	SSL_CTX_set_options(ssl,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_max_send_fragment(ssl, TLS_RECORD_MAX);
	SSL_CTX_set_read_ahead(ssl, read_ahead);
	SSL_CTX_set_default_read_buffer_len(ssl, TLS_READ_LEN);
	/* Sessions are resumed by ticket only: nothing is stored here, whoever connects. */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
}

enum status tls_ctx_new(const struct tls_conf *conf, struct tls_ctx **out, char *err)
{
	enum status st = E_NOMEM;
	struct tls_ctx *ctx = calloc(1, sizeof *ctx);

	ERR_clear_error();
	(void)snprintf(err, TLS_ERR_MAX, "%s", "no memory");
	if (ctx == NULL)
		return E_NOMEM;
	atomic_init(&ctx->refs, 1);
	ctx->server = conf->server;
	ctx->http = conf->http;
	ctx->verify = conf->verify;
	ctx->transport = transport_new();
	ctx->ssl = SSL_CTX_new(conf->server ? TLS_server_method() : TLS_client_method());
	if (ctx->transport == NULL || ctx->ssl == NULL || !ctx_set_protocol(ctx))
		goto fail;
	ctx_set_rules(ctx->ssl, !(ctx->http && ctx->server));
	if ((st = ctx_set_protocols(ctx->ssl, conf, err)) != OK ||
		(st = ctx_set_crypto(ctx->ssl, conf, err)) != OK ||
		(st = ctx_load_identity(ctx->ssl, conf, err)) != OK ||
		(st = ctx_set_verify(ctx->ssl, conf, err)) != OK)
		goto fail;
	err[0] = '\0';
	*out = ctx;
	return OK;
fail:
	tls_ctx_unref(ctx);
	return st;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx)
{
	atomic_fetch_add(&ctx->refs, 1);
	return ctx;
}

void tls_ctx_unref(struct tls_ctx *ctx)
{
	if (ctx == NULL || atomic_fetch_sub(&ctx->refs, 1) != 1)
		return;
	SSL_CTX_free(ctx->ssl);
	BIO_meth_free(ctx->transport);
	free(ctx);
}

struct ssl_st *tls_ctx_stream(struct tls_ctx *ctx)
{
	struct ssl_st *ssl = SSL_new(ctx->ssl);

	ERR_clear_error();
	return ssl;
}

/* --- streams --- */

/* Whom the certificate must name, and which name is asked for. */
static bool stream_set_name(struct tls *t, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	bool full = t->ctx->verify == TLS_VERIFY_FULL;
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
	bool ok;

	ERR_clear_error();
	if (ip != NULL) {
		ASN1_OCTET_STRING_free(ip);
		return !full || X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	}
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	ok = SSL_set_tlsext_host_name(t->ssl, only_read(name)) == 1;
	return ok && (!full || X509_VERIFY_PARAM_set1_host(param, name, 0) == 1);
}

static enum status stream_init(struct tls *t, const char *name)
{
	BIO *bio;

	if ((t->ssl = SSL_new(t->ctx->ssl)) == NULL)
		return E_NOMEM;
	if ((bio = BIO_new(t->ctx->transport)) == NULL)
		return E_NOMEM;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	if (t->ctx->server) {
		SSL_set_accept_state(t->ssl);
		return OK;
	}
	SSL_set_connect_state(t->ssl);
	if (is_set(name))
		return stream_set_name(t, name) ? OK : E_INVALID;
	return t->ctx->verify == TLS_VERIFY_FULL ? E_INVALID : OK;
}

enum status tls_new(
	struct tls_ctx *ctx, const char *name, const struct tls_io *io, struct tls **out)
{
	enum status st;
	struct tls *t = calloc(1, sizeof *t);

	if (t == NULL)
		return E_NOMEM;
	t->ctx = tls_ctx_ref(ctx);
	t->io = *io;
	ERR_clear_error();
	if ((st = stream_init(t, name)) != OK) {
		tls_free(t);
		ERR_clear_error();
		return st;
	}
	*out = t;
	return OK;
}

void tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	tls_ctx_unref(t->ctx);
	free(t);
}

static enum tls_result stream_fail(struct tls *t)
{
	long verdict = SSL_get_verify_result(t->ssl);

	if (verdict != X509_V_OK && t->ctx->verify != TLS_VERIFY_NONE)
		(void)snprintf(t->err, sizeof t->err, "certificate verify failed: %s",
			X509_verify_cert_error_string(verdict));
	else
		(void)snprintf(t->err, sizeof t->err, "%s", openssl_reason());
	ERR_clear_error();
	return TLS_ERROR;
}

/* What a call that returned `r` <= 0 means. */
static enum tls_result stream_result(struct tls *t, int r)
{
	int why = SSL_get_error(t->ssl, r);

	if (why == SSL_ERROR_WANT_READ)
		return TLS_AGAIN;
	if (t->lost) {
		ERR_clear_error();
		errno = t->lost_errno;
		return TLS_LOST;
	}
	if (why == SSL_ERROR_ZERO_RETURN || t->at_eof) {
		ERR_clear_error();
		return TLS_EOF;
	}
	return stream_fail(t);
}

enum tls_result tls_handshake(struct tls *t)
{
	int r;

	errors_forget();
	r = SSL_do_handshake(t->ssl);
	return r == 1 ? TLS_DONE : stream_result(t, r);
}

enum tls_result tls_read(struct tls *t, void *buf, size_t cap, size_t *n)
{
	int r;

	*n = 0;
	errors_forget();
	r = SSL_read_ex(t->ssl, buf, cap, n);
	return r == 1 ? TLS_DONE : stream_result(t, r);
}

bool tls_has_more(const struct tls *t)
{
	return SSL_has_pending(t->ssl) == 1;
}

enum tls_result tls_write(struct tls *t, const void *p, size_t len)
{
	const uint8_t *from = p;

	errors_forget();
	while (len != 0) {
		size_t n;
		int r = SSL_write_ex(t->ssl, from, len, &n);

		if (r != 1)
			return stream_result(t, r);
		from += n;
		len -= n;
	}
	return TLS_DONE;
}

void tls_close_notify(struct tls *t)
{
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

/* --- facts --- */

const char *tls_error(const struct tls *t)
{
	return t->err;
}

const char *tls_describe(const struct tls *t, char *buf, size_t cap)
{
	const char *group = NULL;
	int id;

	if (cap == 0)
		return buf;
	buf[0] = '\0';
	if (!SSL_is_init_finished(t->ssl))
		return buf;
	if ((id = (int)SSL_get_negotiated_group(t->ssl)) != 0)
		group = SSL_group_to_name(t->ssl, id);
	(void)snprintf(buf, cap, "%s/%s%s%s", SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl),
		group != NULL ? "/ECDH=" : "", group != NULL ? group : "");
	return buf;
}

bool tls_is_postgresql(const struct tls *t)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(t->ssl, &name, &len);
	return len == alpn_postgresql.len - 1 && memcmp(name, alpn_postgresql.name + 1, len) == 0;
}

bool tls_peer_verified(const struct tls *t)
{
	return t->ctx->verify != TLS_VERIFY_NONE && SSL_get0_peer_certificate(t->ssl) != NULL &&
	       SSL_get_verify_result(t->ssl) == X509_V_OK;
}

enum status tls_peer_cn(const struct tls *t, char *buf, size_t cap)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	X509_NAME *subject = cert != NULL ? X509_get_subject_name(cert) : NULL;
	int at = subject != NULL ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
	unsigned char *text = NULL;
	enum status st = OK;
	int len;

	if (at < 0)
		return E_NOTFOUND;
	len = ASN1_STRING_to_UTF8(
		&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len < 0) {
		ERR_clear_error();
		return E_INVALID;
	}
	if (memchr(text, 0, (size_t)len) != NULL)
		st = E_INVALID;
	else if ((size_t)len >= cap)
		st = E_LIMIT;
	else
		memcpy(buf, text, (size_t)len + 1);
	OPENSSL_free(text);
	return st;
}

/* Moves `bio`, which holds the text. */
static enum status take_text(BIO *bio, char *buf, size_t cap)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);
	enum status st = OK;

	if (len <= 0)
		st = E_NOTFOUND;
	else if ((size_t)len >= cap)
		st = E_LIMIT;
	else if (memchr(text, 0, (size_t)len) != NULL)
		st = E_INVALID;
	if (st == OK) {
		memcpy(buf, text, (size_t)len);
		buf[len] = '\0';
	}
	BIO_free(bio);
	return st;
}

enum status tls_peer_dn(const struct tls *t, char *buf, size_t cap)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	BIO *bio;

	if (cert == NULL)
		return E_NOTFOUND;
	if ((bio = BIO_new(BIO_s_mem())) == NULL)
		return E_NOMEM;
	(void)X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253);
	ERR_clear_error();
	return take_text(bio, buf, cap);
}

enum status tls_server_end_point(const struct tls *t, uint8_t hash[TLS_HASH_MAX], size_t *len)
{
	X509 *cert =
		t->ctx->server ? SSL_get_certificate(t->ssl) : SSL_get0_peer_certificate(t->ssl);
	unsigned n = 0;
	int digest;

	_Static_assert(TLS_HASH_MAX >= EVP_MAX_MD_SIZE, "any hash fits");
	if (cert == NULL || X509_get_signature_info(cert, &digest, NULL, NULL, NULL) != 1 ||
		digest == NID_undef)
		return E_NOTFOUND;
	if (digest == NID_md5 || digest == NID_sha1)
		digest = NID_sha256;
	if (X509_digest(cert, EVP_get_digestbynid(digest), hash, &n) != 1) {
		ERR_clear_error();
		return E_NOTFOUND;
	}
	*len = n;
	return OK;
}
