#include "route/candidates.h"

#include "../unit.h"

#define N 4u /* the primary, and three replicas */

static struct topology *topo;
static uint16_t nodes[N];
static struct choose_load load[N];
static struct candidates c;
static struct choose_in in;

static void begin(void)
{
	ck_assert_int_eq(topology_new(N, 1, &topo), OK);
	topo->clusters[0].primary = 0;
	topo->published_us = 1000;
	for (uint16_t i = 0; i < N; i++) {
		nodes[i] = i;
		topo->nodes[i] =
			(struct topo_node){.role = i == 0 ? TOPO_ROLE_PRIMARY : TOPO_ROLE_REPLICA,
				.health = TOPO_UP,
				.follows = i != 0,
				.lag_known = true,
				.timeline = 1,
				.lsn = 1000};
		load[i] = (struct choose_load){.has_free = true, .weight = 1};
	}
	in = (struct choose_in){.topo = topo,
		.nodes = nodes,
		.load = load,
		.n_nodes = N,
		.consistency = CHOOSE_SESSION_MARKS,
		.max_lag_us = 5000,
		.now_us = 1000};
}

static void end(void)
{
	topology_free(topo);
}

START_TEST(each_bar_has_a_bit_of_its_own)
{
	struct mark open = mark_at(7), behind = {.timeline = 1, .lsn = 2000, .state = MARK_CLOSED};

	ck_assert_uint_eq(candidates_check(&in, 0), UNFIT_OTHER);
	ck_assert_uint_eq(candidates_check(&in, 1), FIT);
	in.unreachable |= 1u << 1;
	ck_assert_uint_eq(candidates_check(&in, 1), UNFIT_CONNECT);
	topo->nodes[2].lag_us = 5001;
	ck_assert_uint_eq(candidates_check(&in, 2), UNFIT_LAG);
	in.consistency = CHOOSE_STRONG;
	in.arrival = &open;
	ck_assert_uint_eq(candidates_check(&in, 3), UNFIT_WAITS);
	in.arrival = &behind;
	ck_assert_uint_eq(candidates_check(&in, 3), UNFIT_BEHIND);
	candidates_find(&in, &c);
	ck_assert_uint_eq(c.fit, 0);
	ck_assert_uint_eq(c.unfit, UNFIT_OTHER | UNFIT_CONNECT | UNFIT_LAG | UNFIT_BEHIND);
	ck_assert_uint_eq(c.lagging, 1u << 2);
	ck_assert_uint_eq(c.by_marks, 1u << 3);
}
END_TEST

START_TEST(who_does_not_tell_its_position_is_for_those_who_do_not_care)
{
	topo->nodes[1].follows = false;
	topo->nodes[1].lag_known = false;
	in.consistency = CHOOSE_EVENTUAL;
	ck_assert_uint_eq(candidates_check(&in, 1), UNFIT_OTHER);
	topo->nodes[1].blind = true;
	ck_assert_uint_eq(candidates_check(&in, 1), FIT);
	in.unreachable |= 1u << 1;
	ck_assert_uint_eq(candidates_check(&in, 1), UNFIT_CONNECT);
	in.unreachable &= ~(1ull << 1);
	in.floor = (struct wal_point){.timeline = 1, .lsn = 1}; /* pgweir.min_lsn */
	ck_assert_uint_eq(candidates_check(&in, 1), UNFIT_OTHER);
	in.floor.lsn = 0;
	for (enum choose_consistency k = CHOOSE_SESSION_MARKS; k <= CHOOSE_STRONG; k++) {
		in.consistency = k;
		ck_assert_uint_eq(candidates_check(&in, 1), UNFIT_OTHER);
	}
}
END_TEST

START_TEST(of_the_fit_those_are_left_that_are_preferred)
{
	in.uneven = true;
	load[1].is_far = true;
	candidates_find(&in, &c);
	ck_assert_uint_eq(c.fit, 1u << 1 | 1u << 2 | 1u << 3);
	candidates_narrow(&in, &c, true);
	ck_assert_uint_eq(c.fit, 1u << 2 | 1u << 3);
	load[2].is_ejected = load[3].is_ejected = true;
	candidates_find(&in, &c);
	candidates_narrow(&in, &c, true);
	ck_assert_uint_eq(c.fit, 1u << 1); /* in another zone, but not ejected */
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("candidates");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, each_bar_has_a_bit_of_its_own);
	tcase_add_test(tc, who_does_not_tell_its_position_is_for_those_who_do_not_care);
	tcase_add_test(tc, of_the_fit_those_are_left_that_are_preferred);
	return unit_run("candidates", tc);
}
