#include "proto/cancel_key.h"

#include "../unit.h"

static const struct cancel_key_scheme alone = {.n_workers = 3};
static const struct cancel_key_scheme peer = {.peer_id = 0x1234, .n_workers = 3};

static bool means(const struct cancel_key_place *p, uint32_t worker, uint32_t slot)
{
	return p->worker == worker && slot >= p->first && (slot - p->first) % p->step == 0;
}

START_TEST(number_leads_to_its_client)
{
	static const uint32_t slots[] = {0, 1, 255, 256, 10836, 10837, 100000, (1u << 24) - 1};
	const struct cancel_key_scheme *both[] = {&alone, &peer};

	for (size_t i = 0; i < 2; i++)
		for (uint32_t worker = 0; worker < 3; worker++)
			for (size_t j = 0; j < sizeof slots / sizeof *slots; j++) {
				uint32_t n = cancel_key_number(both[i], worker, slots[j]);
				struct cancel_key_place p = cancel_key_find(both[i], n);

				ck_assert(means(&p, worker, slots[j]));
				ck_assert_uint_ge(n, 1u << 24); /* no process has it */
			}
}
END_TEST

START_TEST(without_peers_a_number_means_one_slot)
{
	struct cancel_key_place p = cancel_key_find(&alone, cancel_key_number(&alone, 1, 77));

	ck_assert_uint_eq(p.first, 77);
	ck_assert_uint_ge(p.step, 1u << 24);
	ck_assert_uint_ge(cancel_key_find(&alone, 77).worker, 3);
	ck_assert_uint_ge(cancel_key_find(&alone, 4u << 24).worker, 3);
}
END_TEST

START_TEST(with_peers_the_bytes_are_pgbouncers)
{
	uint32_t n = cancel_key_number(&peer, 2, 5000);

	ck_assert_uint_eq(n >> 16 & 0xff, 0x34); /* second byte: low half of the id */
	ck_assert_uint_eq(n >> 8 & 0xff, 0x12);
	ck_assert_uint_eq(cancel_key_peer(n), 0x1234);
	ck_assert_uint_lt(n, 1u << 31);
}
END_TEST

/* Two workers of one process never share a number, and 10837 clients of each have their own. */
START_TEST(with_peers_numbers_differ_as_long_as_they_can)
{
	static bool seen[1u << 15];

	for (uint32_t worker = 0; worker < 3; worker++)
		for (uint32_t slot = 0; slot < ((1u << 15) - 256) / 3; slot++) {
			uint32_t n = cancel_key_number(&peer, worker, slot);
			uint32_t place = n >> 24 << 8 | (n & 0xff);

			ck_assert(!seen[place]);
			seen[place] = true;
		}
}
END_TEST

START_TEST(number_that_nobody_was_told_means_no_worker)
{
	struct cancel_key_place p = cancel_key_find(&peer, 0x7f3412ffu); /* 32767 - 256 of 32511 */

	ck_assert_uint_ge(p.worker, 3);
	ck_assert_uint_ge(cancel_key_find(&peer, 0x003412ffu).worker, 3); /* below the first */
}
END_TEST

START_TEST(request_is_passed_on_three_times)
{
	uint8_t key[4] = {1, 2, 3, 0xa4}, was[4] = {1, 2, 3, 0xa7};

	cancel_key_fill(&peer, key);
	ck_assert_mem_eq(key, was, 4);
	for (int i = 0; i < 3; i++)
		ck_assert(cancel_key_pass_on(key));
	ck_assert(!cancel_key_pass_on(key));
	cancel_key_fill(&peer, key); /* however often it was */
	ck_assert_mem_eq(key, was, 4);
	key[3] = 0xa4;
	cancel_key_fill(&alone, key);
	ck_assert_uint_eq(key[3], 0xa4);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("cancel_key");

	tcase_add_test(tc, number_leads_to_its_client);
	tcase_add_test(tc, without_peers_a_number_means_one_slot);
	tcase_add_test(tc, with_peers_the_bytes_are_pgbouncers);
	tcase_add_test(tc, with_peers_numbers_differ_as_long_as_they_can);
	tcase_add_test(tc, number_that_nobody_was_told_means_no_worker);
	tcase_add_test(tc, request_is_passed_on_three_times);
	return unit_run("cancel_key", tc);
}
