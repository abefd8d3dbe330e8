#include "auth/door.h"

#include <stdatomic.h>
#include <stdlib.h>

#define IPV6_NETWORK_LEN 8u /* bytes */

struct place {
	_Atomic uint32_t half_open;
	/*
	 * When its logins would be used up if they came evenly (GCRA): each moves it by 1 s / rate,
	 * and it may be DOOR_BURST_S ahead of the clock.
	 */
	_Atomic uint64_t used_until_us;
};

struct door {
	_Atomic uint32_t half_open;
	struct place places[DOOR_PLACES];
};

enum status door_new(struct door **out)
{
	*out = calloc(1, sizeof **out);
	return *out != NULL ? OK : E_NOMEM;
}

void door_free(struct door *d)
{
	free(d);
}

uint32_t door_place(const struct hash_key *key, const uint8_t *addr, size_t len)
{
	if (len == 0)
		return DOOR_NOWHERE;
	if (len > IPV6_NETWORK_LEN)
		len = IPV6_NETWORK_LEN;
	return (uint32_t)(hash_bytes(key, addr, len) % DOOR_PLACES);
}

/* Count one more, unless there are `max`. */
static bool count(_Atomic uint32_t *n, uint32_t max)
{
	if (atomic_fetch_add(n, 1) < max || max == 0)
		return true;
	atomic_fetch_sub(n, 1);
	return false;
}

enum status door_enter(struct door *d, uint32_t place, uint32_t max, uint32_t max_per_place)
{
	if (place == DOOR_NOWHERE)
		return OK;
	if (!count(&d->half_open, max))
		return E_LIMIT;
	if (count(&d->places[place].half_open, max_per_place))
		return OK;
	atomic_fetch_sub(&d->half_open, 1);
	return E_LIMIT;
}

void door_leave(struct door *d, uint32_t place)
{
	if (place == DOOR_NOWHERE)
		return;
	PANIC_IF(atomic_fetch_sub(&d->places[place].half_open, 1) == 0);
	PANIC_IF(atomic_fetch_sub(&d->half_open, 1) == 0);
}

enum status door_login(struct door *d, uint32_t place, uint32_t per_s, uint64_t now_us)
{
	_Atomic uint64_t *used = place != DOOR_NOWHERE ? &d->places[place].used_until_us : NULL;
	uint64_t before, from;

	if (used == NULL || per_s == 0)
		return OK;
	before = atomic_load(used);
	do {
		from = before > now_us ? before : now_us;
		if (from + 1000000u / per_s > now_us + DOOR_BURST_S * 1000000u)
			return E_LIMIT;
	} while (!atomic_compare_exchange_weak(used, &before, from + 1000000u / per_s));
	return OK;
}

uint32_t door_half_open(const struct door *d)
{
	return atomic_load(&d->half_open);
}
