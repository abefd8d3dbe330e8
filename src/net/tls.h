/*
 * tls - contexts from settings, and one TLS stream over the caller's byte transport. The only
 * module that includes openssl/ssl.h.
 * Rules:   ALPN: a peer that names protocols has to name `postgresql` (`http/1.1` where that is
 * spoken). TLS 1.2 or later, no renegotiation, no compression, records of at most TLS_RECORD_MAX
 * bytes, idle streams hold no record buffers. Threads: a context is immutable and shared by all
 * threads (atomic count); a stream belongs to one thread at a time.
 */
#ifndef PGWEIR_NET_TLS_H
#define PGWEIR_NET_TLS_H

#include <sys/types.h>

#include "base/status.h"

#define TLS_RECORD_MAX 8192u /* payload bytes of a record; libpq stalls on larger ones */
#define TLS_ERR_MAX    256u  /* bytes of an error text, with its NUL */

/* Bytes that an idle stream occupies in OpenSSL and here: measured, for SHOW MEM. */
#define TLS_STREAM_MEMORY 16384u
#define TLS_HASH_MAX      64u /* bytes of a certificate's hash */

struct tls_ctx;
struct tls;

enum tls_verify {
	TLS_VERIFY_NONE,     /* no certificate is asked for (server), or any is taken (client) */
	TLS_VERIFY_OPTIONAL, /* server: asked for; if one comes it must be valid */
	TLS_VERIFY_CA,       /* must come and be valid */
	TLS_VERIFY_FULL,     /* client: and name the host; server: same as TLS_VERIFY_CA */
};

/*
 * Strings are borrowed during the call; NULL and "" mean the default. They have PgBouncer's
 * meaning where it has the setting.
 */
struct tls_conf {
	bool server; /* we are the TLS server: *client*_tls_… settings */
	bool http;   /* HTTP is spoken (by servers through tls_ctx_stream); else PostgreSQL's */
	enum tls_verify verify;
	const char *ca_file; /* PEM; the client's role: "" or "system" stand for the system's */
	const char *cert_file;
	const char *key_file;
	const char *protocols; /* "secure", "all", "legacy", or a list: "tlsv1.2,tlsv1.3" */
	const char *ciphers;   /* of TLS 1.2: "default", "secure", "normal", "fast", "all", or a
				  list as OpenSSL takes it */
	const char *ciphers13; /* TLS 1.3 cipher suites */
	const char *curve;     /* "auto", or a list of groups as OpenSSL takes it */
	const char *dheparams; /* "auto", "none" */
};

/*
 * Load. Reads the files anew each time, so a reload makes a new context.
 * Errors: E_INVALID, E_IO, E_NOMEM; err[TLS_ERR_MAX] names the file or value, and the reason.
 */
enum status tls_ctx_new(const struct tls_conf *conf, struct tls_ctx **out, char *err) MUST_USE;
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx); /* any thread; returns ctx */
void tls_ctx_unref(struct tls_ctx *ctx);          /* any thread; NULL allowed */

/* Same settings: one context can serve both (as long as the files are the same). */
bool tls_conf_equal(const struct tls_conf *a, const struct tls_conf *b);

/* Does a client's ca_file stand for the system's certificates? */
bool tls_ca_is_system(const char *ca_file);
/*
 * They as one readable file, for a library that wants one; NULL if none is found. OpenSSL's own
 * places (SSL_CERT_FILE among them) come first. The text lives as long as the environment.
 */
const char *tls_system_ca_file(void);

/* --- a stream that a library drives --- */

struct ssl_st;

/* OpenSSL's own, for libevent (control/http.c). Owned by the caller; NULL: no memory. */
struct ssl_st *tls_ctx_stream(struct tls_ctx *ctx) MUST_USE;

/* --- a stream --- */

/*
 * The transport: what recv(2) would return, errno EAGAIN included; and a sink for records that
 * takes all or fails (it queues what the socket does not take).
 */
struct tls_io {
	ssize_t (*recv)(void *arg, void *buf, size_t len);
	bool (*send)(void *arg, const void *p, size_t len);
	void *arg;
};

enum tls_result {
	TLS_DONE,  /* handshake finished; bytes read or written */
	TLS_AGAIN, /* needs bytes from the transport */
	TLS_EOF,   /* the stream has ended, by close_notify or by the end of the transport */
	TLS_LOST,  /* the transport failed (errno) */
	TLS_ERROR, /* the peer broke TLS, or is not trusted; tls_error tells */
};

/*
 * A stream in the context's role; takes a reference on ctx. `name`: the host, for verification
 * (TLS_VERIFY_FULL) and SNI; NULL for none. Errors: E_NOMEM, E_INVALID (VERIFY_FULL, no name).
 */
enum status tls_new(
	struct tls_ctx *ctx, const char *name, const struct tls_io *io, struct tls **out) MUST_USE;
void tls_free(struct tls *t); /* NULL allowed */

enum tls_result tls_handshake(struct tls *t) MUST_USE;
/* 1..cap payload bytes to buf, their number to *n. One record at most: call until TLS_AGAIN,
 * or until neither the stream nor its transport has more. */
enum tls_result tls_read(struct tls *t, void *buf, size_t cap, size_t *n) MUST_USE;
/* The stream has read bytes ahead: a call may give some without asking the transport. */
bool tls_has_more(const struct tls *t);
/* All of it, through the sink. Pieces up to TLS_RECORD_MAX make one record each. */
enum tls_result tls_write(struct tls *t, const void *p, size_t len) MUST_USE;
void tls_close_notify(struct tls *t); /* the sink gets the alert; errors are ignored */

/* --- facts --- */
const char *tls_error(const struct tls *t); /* of the last TLS_ERROR; "" before. Borrowed */
/* "TLSv1.3/TLS_AES_256_GCM_SHA384/ECDH=X25519"; "" before the handshake. Returns buf. */
const char *tls_describe(const struct tls *t, char *buf, size_t cap);
/* Both ends have agreed by ALPN that PostgreSQL's protocol is what is spoken. */
bool tls_is_postgresql(const struct tls *t);
/* Peer's certificate is there and was verified. */
bool tls_peer_verified(const struct tls *t);
/* Common name of the peer's certificate. E_NOTFOUND: no certificate or name; E_INVALID: has a NUL
 * in it; E_LIMIT: longer than cap. */
enum status tls_peer_cn(const struct tls *t, char *buf, size_t cap) MUST_USE;
/* The same of its whole subject, as RFC 2253 writes it: "CN=ann,O=Example". */
enum status tls_peer_dn(const struct tls *t, char *buf, size_t cap) MUST_USE;
/*
 * tls-server-end-point channel binding data: the hash of the server's certificate, ours in the
 * server's role and the peer's in the client's. E_NOTFOUND: no certificate, or one whose signature
 * names no hash. Source: RFC 5929, section 4.1.
 */
enum status tls_server_end_point(
	const struct tls *t, uint8_t hash[TLS_HASH_MAX], size_t *len) MUST_USE;

#endif
