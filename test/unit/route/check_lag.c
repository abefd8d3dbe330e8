#include "route/lag.h"

#include "../unit.h"

#define N_PUSHED 5000u
#define SPAN_US  4000000u

static struct lag_history h;

START_TEST(without_samples_nothing_is_known)
{
	lag_init(&h, SPAN_US);
	ck_assert(!lag_of(&h, 0).known);
	ck_assert(!lag_of(&h, UINT64_MAX).known);
}
END_TEST

START_TEST(a_replica_that_has_the_newest_sample_is_caught_up)
{
	struct lag lag;

	lag_init(&h, SPAN_US);
	lag_push(&h, 1000, 100000);
	for (uint64_t lsn = 1000; lsn < 1100; lsn += 50) {
		lag = lag_of(&h, lsn);
		ck_assert(lag.known);
		ck_assert_uint_eq(lag.us, 0);
		ck_assert_uint_eq(lag.bytes, 0);
	}
}
END_TEST

START_TEST(lag_reaches_back_to_the_last_sample_replayed)
{
	struct lag lag;

	lag_init(&h, SPAN_US);
	lag_push(&h, 1000, 100000);
	lag_push(&h, 2000, 200000);
	lag_push(&h, 2000, 300000); /* idle: still at 2000 */
	lag_push(&h, 3000, 400000);
	lag = lag_of(&h, 2999);
	ck_assert(lag.known);
	ck_assert_uint_eq(lag.us, 100000);
	ck_assert_uint_eq(lag.bytes, 1);
	ck_assert_uint_eq(lag_of(&h, 1999).us, 300000);
	lag = lag_of(&h, 999);
	ck_assert(!lag.known);
	ck_assert_uint_eq(lag.us, 300000); /* at least */
	ck_assert_uint_eq(lag.bytes, 2001);
}
END_TEST

START_TEST(samples_out_of_order_are_ignored)
{
	lag_init(&h, SPAN_US);
	lag_push(&h, 1000, 200000);
	lag_push(&h, 900, 300000);
	lag_push(&h, 1100, 100000);
	ck_assert_uint_eq(h.n, 1);
	lag_clear(&h);
	lag_push(&h, 900, 100000); /* a new timeline may begin lower */
	ck_assert(lag_of(&h, 900).known);
}
END_TEST

/* All samples are kept by the model; the history may be late by one spacing, never early. */
START_TEST(thinned_history_is_never_too_kind)
{
	static const uint64_t steps_us[] = {100, 5000, 100000};
	static struct lag_sample all[N_PUSHED];
	uint64_t random = 31;

	for (size_t k = 0; k < sizeof steps_us / sizeof steps_us[0]; k++) {
		uint64_t now_us = 1, lsn = 1, span_us;

		lag_init(&h, SPAN_US);
		for (unsigned i = 0; i < N_PUSHED; i++) {
			uint64_t replay, true_us;
			struct lag lag;
			unsigned f = i;

			now_us += unit_random(&random) % steps_us[k] + 1;
			lsn += unit_random(&random) % 4 == 0 ? unit_random(&random) % 1000 : 0;
			all[i] = (struct lag_sample){.lsn = lsn, .sent_us = now_us};
			lag_push(&h, lsn, now_us);
			replay = lsn - unit_random(&random) % lsn;
			lag = lag_of(&h, replay);
			while (f > 0 && all[f].lsn > replay)
				f--;
			true_us = now_us - all[f].sent_us;
			ck_assert_uint_eq(lag.bytes, lsn - replay);
			if (lag.known) {
				ck_assert_uint_ge(lag.us, true_us);
				ck_assert_uint_le(lag.us, true_us + h.spacing_us + steps_us[k]);
			} else {
				ck_assert_uint_le(lag.us, true_us);
			}
		}
		span_us = now_us - all[0].sent_us;
		if (span_us > SPAN_US)
			span_us = SPAN_US;
		ck_assert_uint_ge(now_us - h.s[h.head].sent_us, span_us);
		ck_assert_uint_le(h.n, LAG_SAMPLES);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("lag");

	tcase_add_test(tc, without_samples_nothing_is_known);
	tcase_add_test(tc, a_replica_that_has_the_newest_sample_is_caught_up);
	tcase_add_test(tc, lag_reaches_back_to_the_last_sample_replayed);
	tcase_add_test(tc, samples_out_of_order_are_ignored);
	tcase_add_test(tc, thinned_history_is_never_too_kind);
	return unit_run("lag", tc);
}
