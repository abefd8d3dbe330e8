#include "auth/door.h"

#include <string.h>

#include "../unit.h"

#define S 1000000u

static const struct hash_key key = {1, 2};
static struct door *d;

static void setup(void)
{
	ck_assert_int_eq(door_new(&d), OK);
}

static void teardown(void)
{
	door_free(d);
}

static uint32_t place4(uint8_t last)
{
	const uint8_t addr[4] = {10, 0, 0, last};

	return door_place(&key, addr, sizeof addr);
}

START_TEST(each_address_has_its_place_and_an_ipv6_network_has_one)
{
	uint8_t a[16] = {0x20, 0x01, 0x0d, 0xb8}, b[16];

	ck_assert_uint_ne(place4(1), place4(2));
	ck_assert_uint_eq(place4(1), place4(1));
	memcpy(b, a, sizeof a);
	b[15] = 9;
	ck_assert_uint_eq(door_place(&key, a, 16), door_place(&key, b, 16));
	b[7] = 9;
	ck_assert_uint_ne(door_place(&key, a, 16), door_place(&key, b, 16));
	ck_assert_uint_eq(door_place(&key, a, 0), DOOR_NOWHERE);
}
END_TEST

START_TEST(half_open_connections_are_bounded_in_all_and_by_address)
{
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(door_enter(d, place4(1), 5, 3), OK);
	ck_assert_int_eq(door_enter(d, place4(1), 5, 3), E_LIMIT);
	ck_assert_int_eq(door_enter(d, place4(2), 5, 3), OK);
	ck_assert_int_eq(door_enter(d, place4(3), 5, 3), OK);
	ck_assert_int_eq(door_enter(d, place4(4), 5, 3), E_LIMIT);
	ck_assert_uint_eq(door_half_open(d), 5);
	ck_assert_int_eq(door_enter(d, DOOR_NOWHERE, 5, 3), OK);
	door_leave(d, DOOR_NOWHERE);
	door_leave(d, place4(1));
	ck_assert_int_eq(door_enter(d, place4(1), 5, 3), OK);
	ck_assert_int_eq(door_enter(d, place4(1), 0, 0), OK); /* no limit */
	ck_assert_uint_eq(door_half_open(d), 6);
}
END_TEST

START_TEST(logins_come_at_the_rate_after_a_burst)
{
	uint64_t now = 1000 * (uint64_t)S;

	for (unsigned i = 0; i < 2 * DOOR_BURST_S; i++)
		ck_assert_int_eq(door_login(d, place4(1), 2, now), OK);
	ck_assert_int_eq(door_login(d, place4(1), 2, now), E_LIMIT);
	ck_assert_int_eq(door_login(d, place4(2), 2, now), OK);
	ck_assert_int_eq(door_login(d, place4(1), 0, now), OK);
	ck_assert_int_eq(door_login(d, DOOR_NOWHERE, 2, now), OK);
	now += S / 2;
	ck_assert_int_eq(door_login(d, place4(1), 2, now), OK);
	ck_assert_int_eq(door_login(d, place4(1), 2, now), E_LIMIT);
	now += 100 * S; /* what was not used is not saved up beyond the burst */
	for (unsigned i = 0; i < 2 * DOOR_BURST_S; i++)
		ck_assert_int_eq(door_login(d, place4(1), 2, now), OK);
	ck_assert_int_eq(door_login(d, place4(1), 2, now), E_LIMIT);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("door");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_address_has_its_place_and_an_ipv6_network_has_one);
	tcase_add_test(tc, half_open_connections_are_bounded_in_all_and_by_address);
	tcase_add_test(tc, logins_come_at_the_rate_after_a_burst);
	return unit_run("door", tc);
}
