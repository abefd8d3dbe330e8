/*
 * scram_msg - what the messages of both sides of SCRAM are made of: attributes `a=value`, numbers,
 * nonces, signatures. For scram*.c alone.
 * Source: RFC 5802, sections 3 and 7.
 */
#ifndef PGWEIR_PROTO_SCRAM_MSG_H
#define PGWEIR_PROTO_SCRAM_MSG_H

#include "base/rd.h"
#include "proto/scram.h"

#define SCRAM_BINDING_NAME "tls-server-end-point" /* RFC 5929; the only one that we know */

struct scram_text { /* borrowed, no NUL */
	const char *p;
	size_t len;
};

/* A cursor over a message; E_LIMIT above SCRAM_MSG_MAX, E_PROTO if a byte of it is zero. */
enum status scram_open(const uint8_t *msg, size_t len, struct rd *out) MUST_USE;

/* Next attribute and its name; 0 at the end, and (bad) where there is none. */
char scram_attr(struct rd *msg, struct scram_text *value);

/* The rest, of attributes that mean nothing to us. */
void scram_skip_attrs(struct rd *msg);

/*
 * The nonce attribute, not empty: printable characters without a comma.
 * Errors: E_PROTO; E_LIMIT above `max` characters; E_INVALID a mandatory extension instead.
 */
enum status scram_nonce(struct rd *msg, size_t max, struct scram_text *out) MUST_USE;

/* Decimal, no sign, no leading zero. Errors: E_PROTO; E_LIMIT not in min..max. */
enum status scram_number(struct scram_text t, uint32_t min, uint32_t max, uint32_t *out) MUST_USE;

/* Base64 of exactly SCRAM_KEY_LEN bytes. */
enum status scram_key_read(struct scram_text t, uint8_t out[SCRAM_KEY_LEN]) MUST_USE;

/* Base64 of 1..SCRAM_SALT_MAX bytes. */
enum status scram_salt_read(struct scram_text t, struct scram_salt *out) MUST_USE;

bool scram_text_is(struct scram_text t, const void *p, size_t len);

/* "n,,", "y,," or "p=tls-server-end-point,,". */
void scram_put_gs2(struct wr *w, char binding);

/* Base64 of that header and, with 'p', the binding data: the value of attribute c. */
void scram_put_binding(struct wr *w, char binding, const uint8_t *cbind, size_t cbind_len);

enum status scram_hmac(const uint8_t key[SCRAM_KEY_LEN], const void *p, size_t len,
	uint8_t out[SCRAM_KEY_LEN]) MUST_USE;
enum status scram_hash(const void *p, size_t len, uint8_t out[SCRAM_KEY_LEN]) MUST_USE;

/* What both sides sign: three pieces joined by commas. */
#define SCRAM_AUTH_MAX (3u * SCRAM_MSG_MAX)
void scram_put_auth(struct wr *w, struct scram_text client_first_bare,
	struct scram_text server_first, struct scram_text client_final_bare);

#endif
