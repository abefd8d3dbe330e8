#include "proto/cancel_key.h"

/*
 * With peers 15 bits of the number say where. Its greatest byte is never 0: no process of a server
 * has such a number, so that pg_cancel_backend() of one is told from that of the other.
 */
#define PLACE_FIRST (1u << 8)
#define PLACES      ((1u << 15) - PLACE_FIRST)
#define TTL_AT      3u /* byte of the key */
#define TTL_MASK    CANCEL_KEY_TTL
#define SLOT_MAX    ((1u << CANCEL_KEY_SLOT_BITS) - 1)

/* Places are dealt out in turn, so that a number always means one worker. */
static uint32_t slots_told_apart(const struct cancel_key_scheme *s)
{
	return PLACES / s->n_workers;
}

uint32_t cancel_key_number(const struct cancel_key_scheme *s, uint32_t worker, uint32_t slot)
{
	uint32_t place;

	PANIC_IF(worker >= s->n_workers || slot > SLOT_MAX);
	if (s->peer_id == 0)
		return (worker + 1) << CANCEL_KEY_SLOT_BITS | slot;
	place = PLACE_FIRST + slot % slots_told_apart(s) * s->n_workers + worker;
	return place >> 8 << 24 | (s->peer_id & 0xff) << 16 | s->peer_id >> 8 << 8 | (place & 0xff);
}

struct cancel_key_place cancel_key_find(const struct cancel_key_scheme *s, uint32_t number)
{
	uint32_t place = ((number >> 24 & 0x7f) << 8 | (number & 0xff)) - PLACE_FIRST;

	if (s->peer_id == 0)
		return (struct cancel_key_place){.worker = (number >> CANCEL_KEY_SLOT_BITS) - 1,
			.first = number & SLOT_MAX,
			.step = SLOT_MAX + 1};
	if (place / s->n_workers >= slots_told_apart(s)) /* or below the first */
		return (struct cancel_key_place){.worker = s->n_workers, .step = PLACES};
	return (struct cancel_key_place){.worker = place % s->n_workers,
		.first = place / s->n_workers,
		.step = slots_told_apart(s)};
}

uint32_t cancel_key_peer(uint32_t number)
{
	return (number >> 16 & 0xff) | (number >> 8 & 0xff) << 8;
}

void cancel_key_fill(const struct cancel_key_scheme *s, uint8_t *key)
{
	if (s->peer_id != 0)
		key[TTL_AT] |= TTL_MASK;
}

bool cancel_key_pass_on(uint8_t *key)
{
	if ((key[TTL_AT] & TTL_MASK) == 0)
		return false;
	key[TTL_AT]--;
	return true;
}
