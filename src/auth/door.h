/*
 * door - what one address may do before it has proved who it is: connections that are half open,
 * and logins a second. Addresses are kept as hashes in a table of fixed size: two that share a
 * place share its limits, so the limits hold, and now and then are reached early.
 * Owns:    its table. Threads: any; counts and times are atomics.
 * Bounds:  DOOR_PLACES places. An IPv6 address counts as its network of 64 bits, since that is what
 *          one peer has.
 */
#ifndef PGWEIR_AUTH_DOOR_H
#define PGWEIR_AUTH_DOOR_H

#include "base/map.h"
#include "base/status.h"

#define DOOR_PLACES  65536u
#define DOOR_NOWHERE UINT32_MAX /* a place without limits: unix sockets */
#define DOOR_BURST_S 10u        /* seconds' worth of logins that may come at once */

struct door;

enum status door_new(struct door **out) MUST_USE;
void door_free(struct door *d); /* NULL is allowed */

/* Of 4 or 16 bytes; 0 bytes: DOOR_NOWHERE. key: secret, so that nobody can choose a place. */
uint32_t door_place(const struct hash_key *key, const uint8_t *addr, size_t len);

/*
 * One more connection is half open. max, max_per_place: 0: no limit.
 * Errors: E_LIMIT it would be one too many, and is not counted.
 */
enum status door_enter(
	struct door *d, uint32_t place, uint32_t max, uint32_t max_per_place) MUST_USE;
void door_leave(struct door *d, uint32_t place); /* once for each door_enter that was OK */

/* A login begins. per_s: 0: no limit. Errors: E_LIMIT too many of late; it does not count. */
enum status door_login(struct door *d, uint32_t place, uint32_t per_s, uint64_t now_us) MUST_USE;

uint32_t door_half_open(const struct door *d);

#endif
