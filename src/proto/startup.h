/*
 * startup - the packets that open a connection, which have no type byte: StartupMessage,
 * SSLRequest, GSSENCRequest, CancelRequest. Reads them as a server, builds them as a client.
 * Owns:   nothing; what is read points into the packet.
 * Bounds: STARTUP_LEN_MAX; keys of CancelRequest STARTUP_KEY_MIN..STARTUP_KEY_MAX bytes.
 * Source: PostgreSQL manual, "Message Formats", "Protocol Versions"; backend_startup.c.
 */
#ifndef PGWEIR_PROTO_STARTUP_H
#define PGWEIR_PROTO_STARTUP_H

#include "base/rd.h"
#include "base/status.h"
#include "base/wr.h"

#define STARTUP_HEAD_LEN 8u     /* length and code, bytes; also the smallest packet */
#define STARTUP_LEN_MAX  10004u /* length field; PostgreSQL: 10000 bytes after it */
#define STARTUP_KEY_MIN  4u     /* bytes of a cancel key: protocol 3.0 has exactly 4 */
#define STARTUP_KEY_MAX  256u   /* protocol 3.2 */

#define STARTUP_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define STARTUP_V3_0                  STARTUP_VERSION(3, 0)
#define STARTUP_V3_2                  STARTUP_VERSION(3, 2)

enum startup_kind {
	STARTUP_MESSAGE,
	STARTUP_SSL_REQUEST,
	STARTUP_GSSENC_REQUEST,
	STARTUP_CANCEL_REQUEST,
};

enum startup_replication {
	STARTUP_REPLICATION_OFF,
	STARTUP_REPLICATION_PHYSICAL, /* replication=true */
	STARTUP_REPLICATION_DATABASE, /* replication=database */
	STARTUP_REPLICATION_INVALID,  /* neither: PostgreSQL refuses it with 22023 */
};

struct startup {
	enum startup_kind kind;
	uint32_t version; /* STARTUP_MESSAGE: major << 16 | minor; else the request's code */

	/* STARTUP_MESSAGE. Strings are NUL-terminated; of a repeated name the last one counts. */
	const char *user;     /* "" if missing: PostgreSQL refuses it with 28000 */
	const char *database; /* `user` if missing or empty */
	const char *options;  /* "" if missing; see options.h */
	const char *replication_text;
	enum startup_replication replication;
	struct rd params; /* all pairs, for startup_param_next on a copy; else empty */
	uint32_t n_pq;    /* parameters named _pq_.… */

	/* STARTUP_CANCEL_REQUEST */
	uint32_t cancel_pid;
	const uint8_t *cancel_key;
	uint32_t cancel_key_len;
};

/*
 * Length of the packet that begins at `p`, itself included, from its first 4 bytes.
 * Errors: E_AGAIN fewer than 4 bytes; E_PROTO below STARTUP_HEAD_LEN; E_LIMIT above
 *         STARTUP_LEN_MAX (a TLS ClientHello or an HTTP request ends here).
 */
enum status startup_peek(const uint8_t *p, size_t avail, uint32_t *len) MUST_USE;

/*
 * Read the packet at `p`, of which `avail` bytes are there. On OK out points into it, and *len
 * bytes are used.
 * Errors: as startup_peek; E_AGAIN incomplete; E_PROTO malformed; E_INVALID a protocol whose major
 *         version is not 3 (out->version tells; PostgreSQL answers 0A000).
 */
enum status startup_read(
	const uint8_t *p, size_t avail, struct startup *out, uint32_t *len) MUST_USE;

static inline uint32_t startup_major(const struct startup *s)
{
	return s->version >> 16;
}

static inline uint32_t startup_minor(const struct startup *s)
{
	return s->version & 0xffffu;
}

enum startup_param_kind {
	STARTUP_PARAM_SETTING, /* a run-time parameter */
	STARTUP_PARAM_LOGIN,   /* user, database, options, replication */
	STARTUP_PARAM_PQ,      /* _pq_.…: a protocol extension */
};

struct startup_param {
	enum startup_param_kind kind;
	const char *name;
	const char *value;
};

/* Next pair of a copy of `params`; false at the end. */
bool startup_param_next(struct rd *params, struct startup_param *out);

/*
 * Must the client be told (NegotiateProtocolVersion) that it gets less than it asked for?
 * newest: the newest version we speak, of major version 3.
 */
bool startup_needs_negotiation(const struct startup *s, uint32_t newest);

/*
 * NegotiateProtocolVersion for `s`: the lower one of `newest` and the version asked for, and the
 * names of its _pq_ parameters.
 */
void startup_put_negotiation(struct wr *w, const struct startup *s, uint32_t newest);

/*
 * Build a StartupMessage: begin, any number of parameters, end. Names and values are as they are;
 * a parameter with an empty name would end the list and sets w->bad.
 */
size_t startup_begin(struct wr *w, uint32_t version) MUST_USE; /* the mark for startup_end */
void startup_put_param(struct wr *w, const char *name, const char *value);
void startup_end(struct wr *w, size_t mark); /* w->bad above STARTUP_LEN_MAX */

void startup_put_ssl_request(struct wr *w);
void startup_put_cancel(struct wr *w, uint32_t pid, const uint8_t *key, size_t key_len);

#endif
