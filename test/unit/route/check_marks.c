#include "route/marks.h"

#include "../unit.h"

static struct topo_cluster c;
static struct topo_node n;
static struct marks m;

static void begin(void)
{
	c = (struct topo_cluster){.identity = 1, .timeline_max = 1};
	n = (struct topo_node){.timeline = 1, .lsn = 100, .epoch = 1};
	marks_init(&m);
}

/* The ring of samples is number `newest` (at 10 times its number) and those before it. */
static void samples_up_to(uint64_t newest, uint32_t n_samples)
{
	c.n_samples = n_samples;
	for (uint32_t i = 0; i < n_samples; i++)
		c.samples[i] = (struct topo_sample){
			.number = newest - i, .at = {.timeline = 1, .lsn = 10 * (newest - i)}};
}

static enum mark_answer check(uint16_t node)
{
	return marks_check(&m, &c, node, &n);
}

START_TEST(without_a_mark_every_replica_is_good)
{
	marks_settle(&m, &c);
	n.lsn = 0;
	ck_assert_int_eq(check(1), MARK_OK);
	ck_assert(!marks_is_open(&m));
}
END_TEST

START_TEST(a_write_is_covered_by_the_next_sample_begun)
{
	marks_write(&m, &c, 5);
	ck_assert(marks_is_open(&m));
	samples_up_to(5, 3); /* 5 was begun before: it may have missed the write */
	marks_settle(&m, &c);
	ck_assert_int_eq(check(1), MARK_WAITS);
	samples_up_to(9, 9); /* 6 is the first that counts, at 60 */
	marks_settle(&m, &c);
	ck_assert(!marks_is_open(&m));
	ck_assert_uint_eq(m.write.lsn, 60);
	n.lsn = 60;
	ck_assert_int_eq(check(1), MARK_OK);
	n.lsn = 59;
	ck_assert_int_eq(check(1), MARK_BEHIND);
	samples_up_to(20, 9); /* a closed mark does not move */
	marks_settle(&m, &c);
	ck_assert_uint_eq(m.write.lsn, 60);
}
END_TEST

START_TEST(when_the_first_sample_is_forgotten_a_later_one_will_do)
{
	marks_write(&m, &c, 5);
	samples_up_to(100, 10);
	marks_settle(&m, &c);
	ck_assert_uint_eq(m.write.lsn, 910);
}
END_TEST

START_TEST(a_new_write_opens_the_mark_again)
{
	marks_write(&m, &c, 5);
	samples_up_to(6, 1);
	marks_settle(&m, &c);
	marks_write(&m, &c, 7);
	n.lsn = 1000;
	ck_assert_int_eq(check(1), MARK_WAITS);
}
END_TEST

/* What is flushed is all that any replica can have shown; what is inserted may be written. */
START_TEST(a_read_is_covered_by_what_was_flushed_a_write_by_what_was_inserted)
{
	marks_write(&m, &c, 5);
	marks_read(&m, &c, 1, 1, 5);
	samples_up_to(7, 2);
	c.samples[0].flushed = (struct wal_point){1, 55};
	c.samples[1].flushed = (struct wal_point){1, 52};
	marks_settle(&m, &c);
	ck_assert_uint_eq(m.write.lsn, 60);
	ck_assert_uint_eq(m.read.lsn, 52); /* of the first sample after it */
	n.lsn = 52;
	ck_assert_int_eq(check(2), MARK_BEHIND);
	m.write = (struct mark){.state = MARK_NONE};
	ck_assert_int_eq(check(2), MARK_OK);
	marks_read(&m, &c, 1, 1, 7);
	ck_assert_int_eq(check(2), MARK_WAITS);
}
END_TEST

START_TEST(a_lower_timeline_covers_nothing)
{
	marks_write(&m, &c, 5);
	samples_up_to(6, 1);
	c.samples[0].at.timeline = 2;
	marks_settle(&m, &c);
	n.lsn = 1000;
	ck_assert_int_eq(check(1), MARK_BEHIND);
	n.timeline = 2;
	ck_assert_int_eq(check(1), MARK_OK);
}
END_TEST

START_TEST(a_read_binds_to_its_replica_until_a_sample_covers_it)
{
	marks_read(&m, &c, 1, 1, 5);
	n.lsn = 0;
	ck_assert_int_eq(check(1), MARK_OK);
	ck_assert_int_eq(check(2), MARK_WAITS);
	samples_up_to(6, 1);
	marks_settle(&m, &c);
	ck_assert_int_eq(check(1), MARK_OK);
	ck_assert_int_eq(check(2), MARK_BEHIND);
	n.lsn = 60;
	ck_assert_int_eq(check(2), MARK_OK);
}
END_TEST

START_TEST(a_replica_that_has_restarted_is_another_one)
{
	marks_read(&m, &c, 1, 1, 5);
	n.epoch = 2;
	ck_assert_int_eq(check(1), MARK_WAITS);
	samples_up_to(6, 1);
	marks_settle(&m, &c);
	n.lsn = 59;
	ck_assert_int_eq(check(1), MARK_BEHIND);
}
END_TEST

START_TEST(the_replica_of_the_last_read_must_still_have_the_writes)
{
	marks_read(&m, &c, 1, 1, 5);
	marks_write(&m, &c, 5);
	ck_assert_int_eq(check(1), MARK_WAITS);
	samples_up_to(6, 1);
	marks_settle(&m, &c);
	n.lsn = 59;
	ck_assert_int_eq(check(1), MARK_BEHIND);
}
END_TEST

START_TEST(marks_of_another_system_are_opened_anew)
{
	marks_write(&m, &c, 5);
	marks_read(&m, &c, 1, 1, 5);
	samples_up_to(6, 1);
	marks_settle(&m, &c);
	ck_assert(!marks_is_open(&m));
	c.identity = 2; /* or of another cluster of it, before a reload */
	c.n_samples = 0;
	marks_settle(&m, &c);
	ck_assert_int_eq(check(1), MARK_WAITS);
	ck_assert_uint_eq(m.read_node, TOPO_NONE);
	m.write.state = MARK_NONE;
	ck_assert_int_eq(check(1), MARK_WAITS);
	m.write.state = MARK_OPEN;
	samples_up_to(7, 1);
	marks_settle(&m, &c);
	ck_assert(!marks_is_open(&m));
	n.lsn = 69;
	ck_assert_int_eq(check(1), MARK_BEHIND);
	n.lsn = 70;
	ck_assert_int_eq(check(1), MARK_OK);
}
END_TEST

START_TEST(no_mark_of_another_system_is_none_here)
{
	marks_write(&m, &c, 5);
	m.write.state = MARK_NONE;
	c.identity = 2;
	marks_settle(&m, &c);
	ck_assert(!marks_is_open(&m));
	ck_assert_int_eq(check(1), MARK_OK);
}
END_TEST

/* What it did elsewhere counts for whichever cluster comes next. */
START_TEST(who_arrives_waits_for_the_next_sample)
{
	marks_read(&m, &c, 1, 1, 3);
	marks_arrive(&m, 5);
	marks_arrive(&m, 5); /* it is so already */
	c.identity = 2;
	samples_up_to(5, 1);
	marks_settle(&m, &c);
	ck_assert_int_eq(check(1), MARK_WAITS);
	samples_up_to(6, 1);
	marks_settle(&m, &c);
	ck_assert(!marks_is_open(&m));
	n.lsn = 59;
	ck_assert_int_eq(check(1), MARK_BEHIND);
	n.lsn = 60;
	ck_assert_int_eq(check(1), MARK_OK);
	marks_arrive(&m, 5);
	ck_assert_int_eq(m.write.state, MARK_OPEN);
	marks_arrive(&m, 6);
	ck_assert_uint_eq(m.write.number, 6);
}
END_TEST

START_TEST(the_clock_counts_and_tells_what_is_wanted)
{
	struct mark_clock clock = {0};
	uint64_t number;

	ck_assert_uint_eq(mark_clock_load(&clock), 0);
	ck_assert(!mark_clock_is_wanted(&clock, 0));
	ck_assert_uint_eq(mark_clock_begin(&clock), 1);
	number = mark_clock_load(&clock);
	ck_assert_uint_eq(number, 1);
	mark_clock_want(&clock, number);
	ck_assert(mark_clock_is_wanted(&clock, 1)); /* sample 1 does not cover it */
	mark_clock_want(&clock, 0);                 /* an older wish changes nothing */
	ck_assert(mark_clock_is_wanted(&clock, 1));
	ck_assert_uint_eq(mark_clock_begin(&clock), 2);
	ck_assert(!mark_clock_is_wanted(&clock, 2));
}
END_TEST

START_TEST(a_board_tells_the_last_write_of_anybody)
{
	struct mark_board board = {0};
	struct mark_of_all mine = {0}, other = {0};

	ck_assert_int_eq(mark_of_all(&mine, &board, &c)->state, MARK_NONE);
	mark_board_write(&board, 0); /* before the first sample */
	ck_assert_int_eq(mark_of_all(&mine, &board, &c)->state, MARK_OPEN);
	mark_board_write(&board, 5);
	mark_board_write(&board, 4); /* a worker that was slower: it changes nothing */
	samples_up_to(5, 3);
	ck_assert_int_eq(mark_of_all(&mine, &board, &c)->state, MARK_OPEN);
	samples_up_to(9, 9);
	ck_assert_uint_eq(mark_of_all(&mine, &board, &c)->lsn, 60);
	samples_up_to(20, 9); /* a closed one does not move; who looks late gets a later one */
	ck_assert_uint_eq(mark_of_all(&mine, &board, &c)->lsn, 60);
	ck_assert_uint_eq(mark_of_all(&other, &board, &c)->lsn, 120);
	mark_board_write(&board, 20);
	ck_assert_int_eq(mark_of_all(&mine, &board, &c)->state, MARK_OPEN);
	samples_up_to(21, 1);
	ck_assert_int_eq(mark_of_all(&mine, &board, &c)->state, MARK_CLOSED);
	c.identity = 2; /* another system: its samples close it anew */
	c.n_samples = 0;
	ck_assert_int_eq(mark_of_all(&mine, &board, &c)->state, MARK_OPEN);
}
END_TEST

START_TEST(the_clock_knows_of_units_that_wait)
{
	struct mark_clock clock = {0};

	ck_assert(!mark_clock_is_awaited(&clock, 3));
	ck_assert(mark_clock_wait_begin(&clock, 3));
	ck_assert(!mark_clock_wait_begin(&clock, 3));
	ck_assert(!mark_clock_is_awaited(&clock, 4));
	mark_clock_wait_end(&clock, 3);
	ck_assert(mark_clock_is_awaited(&clock, 3));
	mark_clock_wait_end(&clock, 3);
	ck_assert(!mark_clock_is_awaited(&clock, 3));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("marks");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, without_a_mark_every_replica_is_good);
	tcase_add_test(tc, a_write_is_covered_by_the_next_sample_begun);
	tcase_add_test(tc, when_the_first_sample_is_forgotten_a_later_one_will_do);
	tcase_add_test(tc, a_new_write_opens_the_mark_again);
	tcase_add_test(tc, a_read_is_covered_by_what_was_flushed_a_write_by_what_was_inserted);
	tcase_add_test(tc, a_lower_timeline_covers_nothing);
	tcase_add_test(tc, a_read_binds_to_its_replica_until_a_sample_covers_it);
	tcase_add_test(tc, a_replica_that_has_restarted_is_another_one);
	tcase_add_test(tc, the_replica_of_the_last_read_must_still_have_the_writes);
	tcase_add_test(tc, marks_of_another_system_are_opened_anew);
	tcase_add_test(tc, no_mark_of_another_system_is_none_here);
	tcase_add_test(tc, who_arrives_waits_for_the_next_sample);
	tcase_add_test(tc, the_clock_counts_and_tells_what_is_wanted);
	tcase_add_test(tc, a_board_tells_the_last_write_of_anybody);
	tcase_add_test(tc, the_clock_knows_of_units_that_wait);
	return unit_run("marks", tc);
}
