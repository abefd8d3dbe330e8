/* Unit tests of net/tls: contexts from settings, and streams over a pair of pipes in memory. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "net/tls.h"
#include "tls_unit.h"
#include "unit.h"

/* --- two streams that talk to each other --- */

struct pipe {
	uint8_t buf[1u << 20];
	size_t len;
	size_t most_at_once; /* bytes given by one recv; 0: all */
	size_t largest;      /* record seen */
	bool eof, broken;
};

struct end {
	struct pipe *in, *out;
	struct tls *tls;
};

struct talk {
	struct pipe up, down;
	struct end client, server;
	struct tls_ctx *cctx, *sctx;
};

static ssize_t end_recv(void *arg, void *buf, size_t len)
{
	struct end *e = arg;
	struct pipe *p = e->in;

	if (p->len == 0) {
		errno = p->broken ? ECONNRESET : EAGAIN;
		return p->eof ? 0 : -1;
	}
	if (len > p->len)
		len = p->len;
	if (p->most_at_once != 0 && len > p->most_at_once)
		len = p->most_at_once;
	memcpy(buf, p->buf, len);
	p->len -= len;
	memmove(p->buf, p->buf + len, p->len);
	return (ssize_t)len;
}

static bool end_send(void *arg, const void *data, size_t len)
{
	struct end *e = arg;
	struct pipe *p = e->out;

	if (p->broken) {
		errno = EPIPE;
		return false;
	}
	ck_assert_uint_le(len, sizeof p->buf - p->len);
	memcpy(p->buf + p->len, data, len);
	p->len += len;
	if (len > p->largest)
		p->largest = len;
	return true;
}

static struct talk *talk_new(
	const struct tls_conf *server, const struct tls_conf *client, const char *name)
{
	struct talk *t = calloc(1, sizeof *t);
	const struct tls_io cio = {end_recv, end_send, &t->client};
	const struct tls_io sio = {end_recv, end_send, &t->server};

	t->client = (struct end){.in = &t->down, .out = &t->up};
	t->server = (struct end){.in = &t->up, .out = &t->down};
	t->cctx = ctx_for_test(client);
	t->sctx = ctx_for_test(server);
	ck_assert_int_eq(tls_new(t->cctx, name, &cio, &t->client.tls), OK);
	ck_assert_int_eq(tls_new(t->sctx, NULL, &sio, &t->server.tls), OK);
	return t;
}

static void talk_free(struct talk *t)
{
	tls_free(t->client.tls);
	tls_free(t->server.tls);
	tls_ctx_unref(t->cctx);
	tls_ctx_unref(t->sctx);
	free(t);
}

/* Both handshakes to their ends; *c and *s are what they came to. */
static void talk_shake(struct talk *t, enum tls_result *c, enum tls_result *s)
{
	*c = *s = TLS_AGAIN;
	for (unsigned i = 0; i < 200000 && (*c == TLS_AGAIN || *s == TLS_AGAIN); i++) {
		if (*c == TLS_AGAIN)
			*c = tls_handshake(t->client.tls);
		if (*s == TLS_AGAIN)
			*s = tls_handshake(t->server.tls);
		if (*c == TLS_ERROR || *s == TLS_ERROR) { /* the alert gets across */
			t->up.eof = true;
			t->down.eof = true;
		}
	}
}

static void talk_shake_ok(struct talk *t)
{
	enum tls_result c, s;

	talk_shake(t, &c, &s);
	ck_assert_msg(c == TLS_DONE && s == TLS_DONE, "client: %s, server: %s",
		tls_error(t->client.tls), tls_error(t->server.tls));
}

static size_t end_read(struct end *e, void *buf, size_t cap, enum tls_result *last)
{
	size_t n = 0, got;

	while (n < cap && (*last = tls_read(e->tls, (char *)buf + n, cap - n, &got)) == TLS_DONE)
		n += got;
	return n;
}

static struct pki pki;

static void setup(void)
{
	pki_new(&pki);
}

static void teardown(void)
{
	pki_free(&pki);
}

/* --- streams --- */

START_TEST(bytes_pass_both_ways_in_small_records)
{
	const struct tls_conf sc = pki_server(&pki), cc = {0};
	struct talk *t = talk_new(&sc, &cc, NULL);
	static uint8_t data[300000], back[sizeof data];
	enum tls_result r;
	uint64_t rnd = 5;

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)unit_random(&rnd);
	talk_shake_ok(t);
	t->up.largest = t->down.largest = 0;
	ck_assert_int_eq(tls_write(t->client.tls, data, sizeof data), TLS_DONE);
	ck_assert_uint_eq(end_read(&t->server, back, sizeof back, &r), sizeof back);
	ck_assert_int_eq(memcmp(data, back, sizeof data), 0);
	ck_assert_int_eq(tls_write(t->server.tls, data, sizeof data), TLS_DONE);
	memset(back, 0, sizeof back);
	ck_assert_uint_eq(end_read(&t->client, back, sizeof back, &r), sizeof back);
	ck_assert_int_eq(memcmp(data, back, sizeof data), 0);
	ck_assert_uint_gt(t->up.largest, TLS_RECORD_MAX);
	ck_assert_uint_le(t->up.largest, TLS_RECORD_MAX + 64);
	ck_assert_uint_le(t->down.largest, TLS_RECORD_MAX + 64);
	talk_free(t);
}
END_TEST

START_TEST(any_fragmentation_is_understood)
{
	const struct tls_conf sc = pki_server(&pki), cc = {0};
	struct talk *t = talk_new(&sc, &cc, NULL);
	uint8_t back[20000];
	enum tls_result r;
	static uint8_t data[20000];

	t->up.most_at_once = 1;
	t->down.most_at_once = 7;
	talk_shake_ok(t);
	ck_assert_int_eq(tls_write(t->client.tls, data, sizeof data), TLS_DONE);
	ck_assert_uint_eq(end_read(&t->server, back, sizeof back, &r), sizeof back);
	ck_assert_uint_eq(end_read(&t->server, back, 1, &r), 0);
	ck_assert_int_eq(r, TLS_AGAIN);
	talk_free(t);
}
END_TEST

START_TEST(stream_ends_by_notice_or_by_the_transport)
{
	const struct tls_conf sc = pki_server(&pki), cc = {0};
	struct talk *t = talk_new(&sc, &cc, NULL);
	enum tls_result r;
	char c[8];

	talk_shake_ok(t);
	ck_assert_int_eq(tls_write(t->client.tls, "last", 4), TLS_DONE);
	tls_close_notify(t->client.tls);
	ck_assert_uint_eq(end_read(&t->server, c, sizeof c, &r), 4);
	ck_assert_int_eq(r, TLS_EOF);
	(void)end_read(&t->client, c, sizeof c, &r);
	t->down.eof = true;
	ck_assert_uint_eq(end_read(&t->client, c, sizeof c, &r), 0);
	ck_assert_int_eq(r, TLS_EOF);
	talk_free(t);
	t = talk_new(&sc, &cc, NULL);
	talk_shake_ok(t);
	t->up.broken = true;
	ck_assert_uint_eq(end_read(&t->server, c, sizeof c, &r), 0);
	ck_assert_int_eq(r, TLS_LOST);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(tls_write(t->client.tls, "x", 1), TLS_LOST);
	ck_assert_int_eq(errno, EPIPE);
	talk_free(t);
}
END_TEST

START_TEST(garbage_is_an_error_with_a_reason)
{
	const struct tls_conf sc = pki_server(&pki), cc = {0};
	static const char junk[] = "\0\0\0\x8\x4\xd2\x16\x2f junk that is no hello";
	struct talk *t = talk_new(&sc, &cc, NULL);
	enum tls_result r;
	char c[8];

	ck_assert_str_eq(tls_error(t->server.tls), "");
	ck_assert(end_send(&t->client, junk, sizeof junk - 1));
	ck_assert_int_eq(tls_handshake(t->server.tls), TLS_ERROR);
	ck_assert_str_ne(tls_error(t->server.tls), "");
	talk_free(t);
	t = talk_new(&sc, &cc, NULL);
	talk_shake_ok(t);
	ck_assert_int_eq(tls_write(t->client.tls, "secret", 6), TLS_DONE);
	t->up.buf[t->up.len - 1] ^= 1;
	ck_assert_uint_eq(end_read(&t->server, c, sizeof c, &r), 0);
	ck_assert_int_eq(r, TLS_ERROR);
	talk_free(t);
}
END_TEST

/* --- a client that is not ours --- */

static ssize_t bio_recv(void *arg, void *buf, size_t len)
{
	int n = BIO_read(arg, buf, (int)len);

	errno = EAGAIN;
	return n > 0 ? n : -1;
}

static bool bio_send(void *arg, const void *p, size_t len)
{
	return BIO_write(arg, p, (int)len) == (int)len;
}

struct stranger {
	SSL *ssl;
	struct tls *server;
	BIO *server_end;
};

static void stranger_open(struct stranger *st, SSL_CTX *cctx, struct tls_ctx *sctx)
{
	BIO *client_end;
	const struct tls_io io = {bio_recv, bio_send, NULL};
	struct tls_io at = io;

	ck_assert_int_eq(BIO_new_bio_pair(&client_end, 1u << 20, &st->server_end, 1u << 20), 1);
	at.arg = st->server_end;
	ck_assert_int_eq(tls_new(sctx, NULL, &at, &st->server), OK);
	st->ssl = SSL_new(cctx);
	SSL_set_bio(st->ssl, client_end, client_end);
	SSL_set_connect_state(st->ssl);
}

static void stranger_shake(struct stranger *st)
{
	int c = 0;
	enum tls_result s = TLS_AGAIN;

	for (unsigned i = 0; i < 100 && (c != 1 || s != TLS_DONE); i++) {
		c = SSL_do_handshake(st->ssl);
		s = tls_handshake(st->server);
	}
	ck_assert_int_eq(c, 1);
	ck_assert_int_eq(s, TLS_DONE);
}

static void stranger_close(struct stranger *st)
{
	SSL_free(st->ssl);
	tls_free(st->server);
	BIO_free(st->server_end);
}

START_TEST(renegotiation_is_refused)
{
	struct tls_conf sc = pki_server(&pki);
	struct stranger st;
	struct tls_ctx *sctx;
	SSL_CTX *cctx = SSL_CTX_new(TLS_client_method());
	enum tls_result r = TLS_AGAIN;
	bool refused = false;
	size_t n;
	char c[4];

	sc.protocols = "tlsv1.2";
	sctx = ctx_for_test(&sc);
	stranger_open(&st, cctx, sctx);
	stranger_shake(&st);
	ck_assert_int_eq(SSL_renegotiate(st.ssl), 1);
	for (unsigned i = 0; i < 10 && r == TLS_AGAIN; i++) {
		(void)SSL_do_handshake(st.ssl);
		refused = refused || ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION;
		r = tls_read(st.server, c, sizeof c, &n);
	}
	ck_assert(refused); /* that is what the client was told */
	ck_assert_int_ne(r, TLS_DONE);
	stranger_close(&st);
	SSL_CTX_free(cctx);
	tls_ctx_unref(sctx);
}
END_TEST

static void check_resumption(const char *protocols)
{
	struct tls_conf sc = pki_server(&pki);
	struct stranger st;
	struct tls_ctx *sctx;
	SSL_CTX *cctx = SSL_CTX_new(TLS_client_method());
	SSL_SESSION *session;
	char c[4];

	sc.protocols = protocols;
	sctx = ctx_for_test(&sc);
	stranger_open(&st, cctx, sctx);
	stranger_shake(&st);
	ck_assert_int_eq(tls_write(st.server, "x", 1), TLS_DONE);
	ck_assert_int_eq(SSL_read(st.ssl, c, 1), 1);
	ck_assert(!SSL_session_reused(st.ssl));
	session = SSL_get1_session(st.ssl);
	SSL_shutdown(st.ssl);
	stranger_close(&st);
	stranger_open(&st, cctx, sctx);
	SSL_set_session(st.ssl, session);
	stranger_shake(&st);
	ck_assert(SSL_session_reused(st.ssl));
	SSL_SESSION_free(session);
	stranger_close(&st);
	SSL_CTX_free(cctx);
	tls_ctx_unref(sctx);
}

START_TEST(sessions_are_resumed_by_ticket)
{
	check_resumption("tlsv1.3");
	check_resumption("tlsv1.2");
}
END_TEST

/* --- trust --- */

struct trust {
	const char *what;
	bool stranger;          /* is the server; else the one that is signed */
	enum tls_verify verify; /* of the client */
	const char *name;
	bool ok;
};

START_TEST(client_verifies_as_its_mode_says)
{
	static const struct trust cases[] = {
		{"none takes any", true, TLS_VERIFY_NONE, NULL, true},
		{"ca takes the signed one", false, TLS_VERIFY_CA, "wrong.example", true},
		{"ca refuses the stranger", true, TLS_VERIFY_CA, "db.example", false},
		{"full takes the right name", false, TLS_VERIFY_FULL, "db.example", true},
		{"full takes the right address", false, TLS_VERIFY_FULL, "127.0.0.1", true},
		{"full refuses the wrong name", false, TLS_VERIFY_FULL, "wrong.example", false},
		{"full refuses the wrong address", false, TLS_VERIFY_FULL, "127.0.0.2", false},
		{"full refuses the stranger", true, TLS_VERIFY_FULL, "db.example", false},
		{"full does not take the common name", false, TLS_VERIFY_FULL, "server", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct trust *k = &cases[i];
		const struct tls_conf cc = {.verify = k->verify, .ca_file = pki.ca};
		struct tls_conf sc = pki_server(&pki);
		enum tls_result c, s;
		struct talk *t;

		if (k->stranger) {
			sc.cert_file = pki.stranger;
			sc.key_file = pki.stranger_key;
		}
		t = talk_new(&sc, &cc, k->name);
		talk_shake(t, &c, &s);
		ck_assert_msg(
			(c == TLS_DONE) == k->ok, "%s: %s", k->what, tls_error(t->client.tls));
		ck_assert_msg(
			tls_peer_verified(t->client.tls) == (k->ok && k->verify != TLS_VERIFY_NONE),
			"%s", k->what);
		if (!k->ok)
			ck_assert_ptr_nonnull(
				strstr(tls_error(t->client.tls), "certificate verify failed: "));
		talk_free(t);
	}
}
END_TEST

START_TEST(full_verification_needs_a_name)
{
	const struct tls_conf cc = {.verify = TLS_VERIFY_FULL, .ca_file = pki.ca};
	const struct tls_io io = {end_recv, end_send, NULL};
	struct tls_ctx *ctx = ctx_for_test(&cc);
	struct tls *t;

	ck_assert_int_eq(tls_new(ctx, NULL, &io, &t), E_INVALID);
	ck_assert_int_eq(tls_new(ctx, "", &io, &t), E_INVALID);
	tls_ctx_unref(ctx);
}
END_TEST

struct client_cert {
	enum tls_verify verify; /* of the server */
	const char *cert;       /* of the client: "", "client", "stranger" */
	bool ok;
	const char *cn; /* that the server sees; NULL: none */
};

START_TEST(server_asks_for_certificates_as_its_mode_says)
{
	static const struct client_cert cases[] = {
		{TLS_VERIFY_NONE, "", true, NULL},
		{TLS_VERIFY_NONE, "client", true, NULL},
		{TLS_VERIFY_OPTIONAL, "", true, NULL},
		{TLS_VERIFY_OPTIONAL, "client", true, "alice"},
		{TLS_VERIFY_OPTIONAL, "stranger", false, NULL},
		{TLS_VERIFY_CA, "", false, NULL},
		{TLS_VERIFY_CA, "client", true, "alice"},
		{TLS_VERIFY_CA, "stranger", false, NULL},
		{TLS_VERIFY_FULL, "client", true, "alice"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct client_cert *k = &cases[i];
		struct tls_conf sc = pki_server(&pki), cc = {0};
		enum tls_result c, s;
		struct talk *t;
		char cn[64], dn[80], text[80] = "";

		sc.verify = k->verify;
		sc.ca_file = pki.ca;
		if (strcmp(k->cert, "client") == 0) {
			cc.cert_file = pki.client;
			cc.key_file = pki.client_key;
		} else if (k->cert[0] != '\0') {
			cc.cert_file = pki.stranger;
			cc.key_file = pki.stranger_key;
		}
		t = talk_new(&sc, &cc, NULL);
		talk_shake(t, &c, &s);
		ck_assert_msg(
			(s == TLS_DONE) == k->ok, "case %zu: %s", i, tls_error(t->server.tls));
		if (k->ok && k->cn != NULL) {
			ck_assert_int_eq(tls_peer_cn(t->server.tls, cn, sizeof cn), OK);
			ck_assert_str_eq(cn, k->cn);
			ck_assert(tls_peer_verified(t->server.tls));
			ck_assert_int_eq(tls_peer_cn(t->server.tls, cn, 5), E_LIMIT);
			snprintf(dn, sizeof dn, "CN=%s", k->cn);
			ck_assert_int_eq(tls_peer_dn(t->server.tls, text, sizeof text), OK);
			ck_assert_str_eq(text, dn);
			ck_assert_int_eq(tls_peer_dn(t->server.tls, text, strlen(dn)), E_LIMIT);
		} else if (k->ok) {
			ck_assert_int_eq(tls_peer_cn(t->server.tls, cn, sizeof cn), E_NOTFOUND);
			ck_assert_int_eq(tls_peer_dn(t->server.tls, cn, sizeof cn), E_NOTFOUND);
			ck_assert(!tls_peer_verified(t->server.tls));
		}
		talk_free(t);
	}
}
END_TEST

START_TEST(common_name_with_a_nul_is_refused)
{
	char cert[128], key[128], cn[64];
	const struct tls_conf cc = {0};
	struct tls_conf sc = pki_server(&pki);
	struct talk *t;

	snprintf(cert, sizeof cert, "%s/nul.pem", pki.dir);
	snprintf(key, sizeof key, "%s/nul.key", pki.dir);
	pki_issue(cert, key, "admin\0.evil", 11, NULL, NULL, NULL);
	sc.cert_file = cert;
	sc.key_file = key;
	t = talk_new(&sc, &cc, NULL);
	talk_shake_ok(t);
	ck_assert_int_eq(tls_peer_cn(t->client.tls, cn, sizeof cn), E_INVALID);
	talk_free(t);
	unlink(cert);
	unlink(key);
}
END_TEST

/* --- facts --- */

START_TEST(both_ends_describe_and_bind_the_same)
{
	const struct tls_conf sc = pki_server(&pki);
	struct tls_conf cc = {.ciphers13 = "TLS_AES_256_GCM_SHA384", .curve = "X25519"};
	struct talk *t = talk_new(&sc, &cc, NULL);
	uint8_t a[TLS_HASH_MAX], b[TLS_HASH_MAX];
	size_t alen, blen;
	char text[128];

	ck_assert_str_eq(tls_describe(t->server.tls, text, sizeof text), "");
	ck_assert(!tls_is_postgresql(t->server.tls));
	talk_shake_ok(t);
	ck_assert_str_eq(tls_describe(t->server.tls, text, sizeof text),
		"TLSv1.3/TLS_AES_256_GCM_SHA384/ECDH=x25519");
	ck_assert_str_eq(tls_describe(t->client.tls, text, sizeof text),
		"TLSv1.3/TLS_AES_256_GCM_SHA384/ECDH=x25519");
	ck_assert(tls_is_postgresql(t->server.tls) && tls_is_postgresql(t->client.tls));
	ck_assert_int_eq(tls_server_end_point(t->server.tls, a, &alen), OK);
	ck_assert_int_eq(tls_server_end_point(t->client.tls, b, &blen), OK);
	ck_assert_uint_eq(alen, 32);
	ck_assert_uint_eq(blen, 32);
	ck_assert_int_eq(memcmp(a, b, 32), 0);
	talk_free(t);
	cc = (struct tls_conf){.protocols = "tlsv1.2", .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"};
	t = talk_new(&sc, &cc, NULL);
	talk_shake_ok(t);
	tls_describe(t->client.tls, text, sizeof text);
	ck_assert_int_eq(strncmp(text, "TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256/ECDH=", 43), 0);
	talk_free(t);
}
END_TEST

/* --- settings --- */

static struct tls_conf with_server(struct tls_conf conf)
{
	conf.server = true;
	if (conf.cert_file == NULL)
		conf.cert_file = pki.server;
	if (conf.key_file == NULL)
		conf.key_file = pki.server_key;
	return conf;
}

START_TEST(wrong_settings_are_named)
{
	char missing[128], encrypted[128], empty[128];
	const struct {
		struct tls_conf conf;
		const char *says;
	} cases[] = {
		{{.server = true}, "no certificate file"},
		{{.server = true, .cert_file = pki.server}, "no key file"},
		{{.key_file = pki.client_key}, "no certificate file"},
		{with_server((struct tls_conf){.cert_file = missing}), missing},
		{with_server((struct tls_conf){.cert_file = missing}), "No such file"},
		{with_server((struct tls_conf){.key_file = pki.client_key}), "mismatch"},
		{with_server((struct tls_conf){.cert_file = empty}), empty},
		{with_server((struct tls_conf){.key_file = encrypted}), encrypted},
		{with_server((struct tls_conf){.verify = TLS_VERIFY_CA}), "no CA file"},
		{{.verify = TLS_VERIFY_FULL, .ca_file = missing}, "No such file"},
		{{.verify = TLS_VERIFY_CA, .ca_file = empty}, empty},
		{{.protocols = "tlsv1.1"}, "before 1.2"},
		{{.protocols = "sslv3"}, "expected"},
		{{.protocols = "secure:!tlsv1.2:!tlsv1.3"}, "before 1.2"},
		{{.ciphers = "NO-SUCH"}, "NO-SUCH"},
		{{.ciphers13 = "NO-SUCH"}, "NO-SUCH"},
		{{.curve = "nocurve"}, "nocurve"},
		{{.dheparams = "2048"}, "dheparams"},
	};
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *f;

	snprintf(missing, sizeof missing, "%s/missing", pki.dir);
	snprintf(empty, sizeof empty, "%s/empty", pki.dir);
	snprintf(encrypted, sizeof encrypted, "%s/encrypted", pki.dir);
	pki_write(empty, NULL, NULL);
	f = fopen(encrypted, "w");
	ck_assert_int_eq(PEM_write_PrivateKey(f, key, EVP_aes_256_cbc(),
				 (const unsigned char *)"pw", 2, NULL, NULL),
		1);
	fclose(f);
	EVP_PKEY_free(key);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char err[TLS_ERR_MAX] = "";
		struct tls_ctx *ctx;
		enum status st = tls_ctx_new(&cases[i].conf, &ctx, err);

		ck_assert_msg(st == E_INVALID || st == E_IO, "case %zu is %s", i, status_name(st));
		ck_assert_msg(strstr(err, cases[i].says) != NULL, "case %zu: %s", i, err);
	}
	unlink(empty);
	unlink(encrypted);
}
END_TEST

START_TEST(settings_that_pgbouncer_knows_are_taken)
{
	const struct tls_conf cases[] = {
		{.protocols = "secure", .ciphers = "default"},
		{.protocols = "all", .ciphers = "secure"},
		{.protocols = "legacy", .ciphers = "normal"},
		{.protocols = "TLSv1.2, TLSv1.3", .ciphers = "fast"},
		{.protocols = "all:!tlsv1.0", .ciphers = "all"},
		{.ciphers = "HIGH:!aNULL", .curve = "prime256v1", .dheparams = "none"},
		{.ciphers = "", .curve = "auto", .dheparams = "auto", .protocols = ""},
		{.verify = TLS_VERIFY_CA, .ca_file = "system"},
		{.verify = TLS_VERIFY_FULL, .ca_file = ""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		tls_ctx_unref(ctx_for_test(&cases[i]));
	tls_ctx_unref(NULL);
}
END_TEST

START_TEST(equal_settings_can_share_a_context)
{
	struct tls_conf a = pki_server(&pki), b = a;

	ck_assert(tls_conf_equal(&a, &b));
	b.ciphers = "";
	ck_assert(tls_conf_equal(&a, &b));
	b.ciphers = "all";
	ck_assert(!tls_conf_equal(&a, &b));
	b = a;
	b.verify = TLS_VERIFY_CA;
	ck_assert(!tls_conf_equal(&a, &b));
	b = a;
	b.server = false;
	ck_assert(!tls_conf_equal(&a, &b));
}
END_TEST

START_TEST(versions_without_overlap_do_not_meet)
{
	struct tls_conf sc = pki_server(&pki);
	const struct tls_conf cc = {.protocols = "tlsv1.2"};
	enum tls_result c, s;
	struct talk *t;

	sc.protocols = "tlsv1.3";
	t = talk_new(&sc, &cc, NULL);
	talk_shake(t, &c, &s);
	ck_assert_int_ne(c, TLS_DONE);
	ck_assert_int_eq(s, TLS_ERROR);
	talk_free(t);
}
END_TEST

/* Threads make streams of one context while its owner lets go of it. */
static void *shake_often(void *arg)
{
	struct tls_ctx *sctx = arg;
	const struct tls_conf cc = {0};
	struct talk *t = calloc(1, sizeof *t);
	const struct tls_io cio = {end_recv, end_send, &t->client};
	const struct tls_io sio = {end_recv, end_send, &t->server};
	struct tls_ctx *cctx = ctx_for_test(&cc);

	for (unsigned i = 0; i < 10; i++) {
		t->up.len = t->down.len = 0;
		t->client = (struct end){.in = &t->down, .out = &t->up};
		t->server = (struct end){.in = &t->up, .out = &t->down};
		ck_assert_int_eq(tls_new(cctx, NULL, &cio, &t->client.tls), OK);
		ck_assert_int_eq(tls_new(sctx, NULL, &sio, &t->server.tls), OK);
		talk_shake_ok(t);
		tls_free(t->client.tls);
		tls_free(t->server.tls);
	}
	tls_ctx_unref(sctx);
	tls_ctx_unref(cctx);
	free(t);
	return NULL;
}

START_TEST(context_is_shared_by_threads_and_goes_with_the_last)
{
	const struct tls_conf sc = pki_server(&pki);
	struct tls_ctx *ctx = ctx_for_test(&sc);
	pthread_t t[3];

	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, shake_often, tls_ctx_ref(ctx)), 0);
	tls_ctx_unref(ctx);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tls");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bytes_pass_both_ways_in_small_records);
	tcase_add_test(tc, any_fragmentation_is_understood);
	tcase_add_test(tc, stream_ends_by_notice_or_by_the_transport);
	tcase_add_test(tc, garbage_is_an_error_with_a_reason);
	tcase_add_test(tc, renegotiation_is_refused);
	tcase_add_test(tc, sessions_are_resumed_by_ticket);
	tcase_add_test(tc, client_verifies_as_its_mode_says);
	tcase_add_test(tc, full_verification_needs_a_name);
	tcase_add_test(tc, server_asks_for_certificates_as_its_mode_says);
	tcase_add_test(tc, common_name_with_a_nul_is_refused);
	tcase_add_test(tc, both_ends_describe_and_bind_the_same);
	tcase_add_test(tc, wrong_settings_are_named);
	tcase_add_test(tc, settings_that_pgbouncer_knows_are_taken);
	tcase_add_test(tc, equal_settings_can_share_a_context);
	tcase_add_test(tc, versions_without_overlap_do_not_meet);
	tcase_add_test(tc, context_is_shared_by_threads_and_goes_with_the_last);
	return unit_run("tls", tc);
}
