/*
 * cancel_key - what the number and the key of a BackendKeyData of ours mean: where the client
 * lives, and, with peers, whose client it is.
 * Owns:   nothing; pure.
 * Layout: without peers the number is worker + 1 (8 bits) and slot (24 bits). With peers it is as
 *         PgBouncer has it, so that both can stand behind one address: of the 8 bytes of number
 *         and key, the second and third are the peer's id, low byte first, and the last two bits
 *         of the eighth say how often the request may still be passed on; the number is positive.
 *         What is left of it are 15 bits of (slot, worker), 256 and more: many clients of a worker
 *         may share a number, the key tells them apart. Either way it is above 2^24, which no
 *         process of a server has: what pg_cancel_backend() means is told by its argument.
 * Source: pgbouncer src/objects.c accept_cancel_request, src/proto.c welcome_client.
 */
#ifndef PGWEIR_PROTO_CANCEL_KEY_H
#define PGWEIR_PROTO_CANCEL_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define CANCEL_KEY_PEER_MAX 65535u /* ids of peers: 1 .. */
#define CANCEL_KEY_TTL      3u     /* how often a request is passed on at most */

#define CANCEL_KEY_SLOT_BITS 24u

struct cancel_key_scheme {
	uint32_t peer_id;   /* ours; 0: without peers */
	uint32_t n_workers; /* 1 .. 254 */
};

/* The slots of a worker that a number may mean: first, first + step … */
struct cancel_key_place {
	uint32_t worker; /* n_workers or more: nobody's */
	uint32_t first, step;
};

/* The number for the client in this slot, below 2^24, of this worker. */
uint32_t cancel_key_number(const struct cancel_key_scheme *s, uint32_t worker, uint32_t slot);
struct cancel_key_place cancel_key_find(const struct cancel_key_scheme *s, uint32_t number);

uint32_t cancel_key_peer(uint32_t number); /* with peers: the id in it */

/* `key` has 4 bytes or more. New, or come in: as it is stored and compared. */
void cancel_key_fill(const struct cancel_key_scheme *s, uint8_t *key);
/* Before it is passed on. False: it was, often enough. */
bool cancel_key_pass_on(uint8_t *key) MUST_USE;

#endif
