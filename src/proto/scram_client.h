/*
 * scram_client - the client's side of one SCRAM-SHA-256 exchange: logs in to a server, which is
 * not trusted before it has proved itself.
 *
 *     scram_client_first  -> client-first
 *     server-first        -> scram_client_take_first   (then salt and iterations are known: the
 *                            keys are looked up, or derived by a helper)
 *     scram_client_final  -> client-final
 *     server-final        -> scram_client_take_final
 *
 * Owns:   a copy of what the proof covers, and the server key until the end.
 * Bounds: SCRAM_MSG_MAX a message; each step once, in order (else E_PROTO). An error ends the
 *         exchange.
 */
#ifndef PGWEIR_PROTO_SCRAM_CLIENT_H
#define PGWEIR_PROTO_SCRAM_CLIENT_H

#include "proto/scram.h"

#define SCRAM_CLIENT_BARE_MAX 32u /* "n=,r=" and 24 characters */

enum scram_client_step {
	SCRAM_CLIENT_START,
	SCRAM_CLIENT_SENT_FIRST,
	SCRAM_CLIENT_GOT_FIRST,
	SCRAM_CLIENT_SENT_FINAL,
	SCRAM_CLIENT_DONE,  /* the server has proved itself */
	SCRAM_CLIENT_ENDED, /* failed, or wiped */
};

/* The gs2 flag. */
enum scram_binding {
	SCRAM_BINDING_NONE = 'n',        /* no TLS, or we do not want it */
	SCRAM_BINDING_NOT_OFFERED = 'y', /* we could, the server did not offer PLUS */
	SCRAM_BINDING_END_POINT = 'p',   /* SCRAM-SHA-256-PLUS */
};

struct scram_client {
	enum scram_client_step step;
	enum scram_binding binding;
	uint32_t bare_len;
	uint32_t own_nonce_len; /* our part of the nonce, at the end of `bare` */
	uint32_t server_first_len;
	uint32_t nonce_len;                      /* of both parts; at server_first + 2 */
	struct scram_salt salt;                  /* from SCRAM_CLIENT_GOT_FIRST on */
	uint8_t server_signature[SCRAM_KEY_LEN]; /* that we expect, from SENT_FINAL on */
	char bare[SCRAM_CLIENT_BARE_MAX];
	char server_first[SCRAM_MSG_MAX];
};

void scram_client_init(struct scram_client *c, enum scram_binding binding);

/* Put client-first. rand: SCRAM_RAND_LEN fresh random bytes. */
enum status scram_client_first(
	struct scram_client *c, const uint8_t rand[SCRAM_RAND_LEN], struct wr *out) MUST_USE;

/*
 * Take server-first; on OK c->salt is what the keys must be made with.
 * Errors: E_PROTO malformed, out of step, or a nonce that does not begin with ours; E_LIMIT
 * message, nonce, salt too long, or iterations not in iterations_min..iterations_max; E_INVALID a
 *         mandatory extension.
 */
enum status scram_client_take_first(struct scram_client *c, const uint8_t *msg, size_t len,
	uint32_t iterations_min, uint32_t iterations_max) MUST_USE;

/*
 * Put client-final.
 * keys:  made with c->salt; not kept.
 * cbind: tls-server-end-point of the server's certificate, 1..SCRAM_CBIND_MAX bytes, with
 *        SCRAM_BINDING_END_POINT; else NULL and 0.
 * Errors: E_PROTO out of step; E_INVALID cbind missing or too long; E_NOMEM.
 */
enum status scram_client_final(struct scram_client *c, const struct scram_keys *keys,
	const uint8_t *cbind, size_t cbind_len, struct wr *out) MUST_USE;

/*
 * Take server-final: has the server proved that it knows the verifier? AuthenticationOk without
 * this must not be believed.
 * Errors: E_PROTO malformed or out of step; E_LIMIT too long; E_AUTH it has not, or it says e=.
 */
enum status scram_client_take_final(
	struct scram_client *c, const uint8_t *msg, size_t len) MUST_USE;

bool scram_client_is_done(const struct scram_client *c); /* scram_client_take_final said OK */
void scram_client_fini(struct scram_client *c);          /* wipe; any step */

#endif
