/*
 * scram_server - the server's side of one SCRAM-SHA-256 exchange: proves a client of ours.
 *
 *     client-first  -> scram_server_first -> server-first
 *     client-final  -> scram_server_final -> server-final
 *
 * Owns:   a copy of what the proof covers; forgets it with scram_server_final.
 * Bounds: SCRAM_MSG_MAX a message; each step once, in order (else E_PROTO). An error ends the
 *         exchange.
 */
#ifndef PGWEIR_PROTO_SCRAM_SERVER_H
#define PGWEIR_PROTO_SCRAM_SERVER_H

#include "proto/scram.h"

#define SCRAM_SERVER_FIRST_MAX 512u /* bytes of a server-first message */

enum scram_server_step { SCRAM_SERVER_START, SCRAM_SERVER_SENT_FIRST, SCRAM_SERVER_ENDED };

struct scram_server {
	enum scram_server_step step;
	char binding; /* gs2 flag of the client: 'n', 'y', 'p' */
	struct scram_verifier verifier;
	uint32_t first_bare_len;
	uint32_t server_first_len;
	uint32_t nonce_len; /* of both parts; the nonce stands at server_first + 2 */
	char first_bare[SCRAM_MSG_MAX];
	char server_first[SCRAM_SERVER_FIRST_MAX];
};

/* What the connection allows. */
struct scram_offer {
	bool plus;            /* SCRAM-SHA-256-PLUS was offered (TLS, with cbind at hand) */
	const uint8_t *cbind; /* tls-server-end-point: hash of our certificate, RFC 5929 */
	size_t cbind_len;     /* 1..SCRAM_CBIND_MAX if plus */
};

/* Begin with the user's verifier (or a mock one), which is copied. */
void scram_server_init(struct scram_server *s, const struct scram_verifier *v);

/*
 * Take client-first, put server-first.
 * mechanism: the name in SASLInitialResponse.
 * rand:      SCRAM_RAND_LEN fresh random bytes for our part of the nonce.
 * Errors: E_PROTO malformed, or out of step; E_LIMIT message or nonce too long (08P01 both);
 *         E_INVALID (28000) a mechanism or channel binding that was not offered, 'y' although PLUS
 *         was offered (somebody took it off the list), authzid, a mandatory extension; E_NOMEM.
 */
enum status scram_server_first(struct scram_server *s, const struct scram_offer *offer,
	const char *mechanism, const uint8_t *msg, size_t len, const uint8_t rand[SCRAM_RAND_LEN],
	struct wr *out) MUST_USE;

/*
 * Take client-final, check the proof, put server-final. Once: whatever it returns, the exchange
 * has ended and its secrets are wiped.
 * keys:   on OK the client's own keys, with which we can log in as this user to a server that has
 *         the same verifier; the caller wipes them. May be NULL.
 * Errors: E_PROTO malformed, out of step, wrong nonce or binding; E_LIMIT too long; E_AUTH (28P01)
 *         wrong proof, or a mock verifier; E_NOMEM.
 */
enum status scram_server_final(struct scram_server *s, const struct scram_offer *offer,
	const uint8_t *msg, size_t len, struct wr *out, struct scram_keys *keys) MUST_USE;

void scram_server_fini(struct scram_server *s); /* wipe; any step */

#endif
