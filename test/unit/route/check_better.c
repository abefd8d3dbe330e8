#include "route/better.h"

#include <stdlib.h>

#include "../unit.h"

#define ROUNDS 100000u

static struct choose_load load[3];
static struct candidates c;
static struct choose_in in;

static void begin(void)
{
	for (unsigned i = 0; i < 3; i++)
		load[i] = (struct choose_load){.latency_us = 200, .has_free = true, .weight = 1};
	in = (struct choose_in){.load = load, .n_nodes = 3};
	c = (struct candidates){.fit = 1u << 1 | 1u << 2};
}

/* How often the second of the two fit ones is taken. */
static unsigned count(void)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		in.random = i * 2654435761u;
		n += better_pick(&in, &c) == 2;
	}
	return n;
}

START_TEST(one_alone_is_taken)
{
	c.fit = 1u << 1;
	ck_assert_uint_eq(better_pick(&in, &c), 1);
}
END_TEST

START_TEST(a_node_that_is_listed_several_times_has_all_its_weight)
{
	load[1].weight = 44;
	load[2].weight = 300; /* 44 in eight bits */
	ck_assert_int_le(abs((int)count() - (int)(ROUNDS * 300 / 344)), 500);
	load[2].weight = CHOOSE_WEIGHT_MAX;
	ck_assert_int_le(abs((int)count() - (int)(ROUNDS * 1600.0 / 1644)), 500);
}
END_TEST

START_TEST(nothing_that_is_compared_overflows)
{
	struct choose_load a = {.outstanding = UINT32_MAX,
				   .latency_us = UINT32_MAX,
				   .has_free = true,
				   .weight = CHOOSE_WEIGHT_MAX},
			   b = a;

	b.outstanding = 1;
	ck_assert(better_is(&b, &a, 16 * CHOOSE_WEIGHT_MAX, 16));
	ck_assert(!better_is(&a, &b, 16 * CHOOSE_WEIGHT_MAX, 16));
	ck_assert(!better_is(&a, &a, 16 * CHOOSE_WEIGHT_MAX, 16));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("better");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, one_alone_is_taken);
	tcase_add_test(tc, a_node_that_is_listed_several_times_has_all_its_weight);
	tcase_add_test(tc, nothing_that_is_compared_overflows);
	return unit_run("better", tc);
}
