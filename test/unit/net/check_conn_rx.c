/* Unit tests of net/conn: receiving, and how a connection ends. */
#include "net_calls.h"
#include "net_unit.h"

SEEN_OPS;

/* --- receiving --- */

START_TEST(round_trip_costs_one_recv_and_one_send)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];
	char back[4];
	uint64_t in = 1, out = 2;

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	s.echo_to = s.c;
	turns(l, 3);
	no_calls_yet();
	for (unsigned i = 1; i <= 100; i++) {
		write_all(fd[1], "ping", 4);
		turn_until(l, s.total == 4 * i);
		sent_by(l);
		read_all(fd[1], back, 4);
		turns(l, 2);
	}
	ck_assert_uint_eq(n_recv, calls(100));
	ck_assert_uint_eq(n_send, calls(100));
	ck_assert_uint_eq(s.n_data, 100);
	ck_assert_uint_eq(conn_bytes_in(s.c), 400);
	ck_assert_uint_eq(conn_bytes_out(s.c), 400);
	conn_take_bytes(s.c, &in, &out);
	ck_assert_uint_eq(in, 401);
	ck_assert_uint_eq(out, 402);
	conn_take_bytes(s.c, &in, &out);
	ck_assert_uint_eq(in, 401);
	ck_assert_uint_eq(out, 402);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(new_connection_is_not_read_before_there_is_something)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];

	pair_unix(fd);
	no_calls_yet();
	seen_open(l, fd[0], &s);
	turns(l, 5);
	ck_assert_uint_eq(n_recv, 0);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(partial_message_comes_again_in_front_of_the_rest)
{
	struct loop *l = loop_for_test();
	struct seen s = {.leave = 2, .record = true};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "hello", 5);
	turn_until(l, s.n_data == 1);
	ck_assert_uint_eq(conn_rx_len(s.c), 2);
	ck_assert_int_eq(memcmp(conn_rx_data(s.c), "lo", 2), 0);
	turns(l, 3);
	ck_assert_uint_eq(s.n_data, 1); /* not again before more has come */
	s.leave = 0;
	write_all(fd[1], " world", 6);
	turn_until(l, s.n_data == 2);
	ck_assert_uint_eq(s.last_len, 8);
	ck_assert_int_eq(memcmp(s.got, "hello world", 11), 0);
	ck_assert_uint_eq(conn_rx_len(s.c), 0);
	ck_assert_uint_eq(loop_bufpool(l)->used_bytes, 0);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

/* Bytes in odd portions, the owner leaves odd numbers of them: nothing is lost or repeated. */
START_TEST(random_portions_arrive_in_order)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	uint64_t rnd = 7, sum = 0;
	size_t sent = 0;
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t buf[20000];
		size_t n = 1 + unit_random(&rnd) % (i % 7 == 0 ? sizeof buf : 100);

		for (size_t j = 0; j < n; j++)
			buf[j] = (uint8_t)unit_random(&rnd);
		write_all(fd[1], buf, n);
		sum = sum_of(sum, buf, n);
		sent += n;
		s.leave = unit_random(&rnd) % (i % 5 == 0 ? 30000 : 50);
		if (i % 11 == 0)
			conn_rx_resume(s.c);
		turns(l, 1);
		if (conn_rx_len(s.c) > 0 && i % 3 == 0) {
			size_t some = 1 + unit_random(&rnd) % conn_rx_len(s.c);

			s.sum = sum_of(s.sum, conn_rx_data(s.c), some);
			s.total += some;
			conn_consume(s.c, some);
		}
	}
	s.leave = 0;
	conn_rx_resume(s.c);
	turn_until(l, s.total == sent);
	ck_assert_uint_eq(s.sum, sum);
	ck_assert_uint_eq(s.n_end, 0);
	ck_assert_uint_eq(loop_bufpool(l)->used_bytes, 0);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(never_more_is_read_ahead_than_may_be_kept)
{
	struct loop *l = loop_for_test();
	const struct conn_limits tight = {.rx_keep_max = 10000, .out_max = 1000};
	struct seen s = {.leave_all = true};
	static char junk[100000];
	int fd[2];

	pair_unix(fd);
	ck_assert_int_eq(conn_new(l, fd[0], &seen_ops, &s, &tight, &s.c), OK);
	s.on_data_do = PAUSE;
	write_all(fd[1], junk, sizeof junk);
	turns(l, 5);
	ck_assert_uint_eq(s.n_data, 1);
	ck_assert_uint_eq(conn_rx_len(s.c), 10000);
	ck_assert_uint_eq(s.n_end, 0); /* paused: it may keep this much */
	conn_rx_resume(s.c);
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_LIMIT);
	ck_assert_uint_eq(s.n_data, 2);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(exactly_the_limit_may_be_kept)
{
	struct loop *l = loop_for_test();
	const struct conn_limits tight = {.rx_keep_max = 5000, .out_max = 1000};
	struct seen s = {.leave_all = true};
	static char junk[5000];
	int fd[2];

	pair_unix(fd);
	ck_assert_int_eq(conn_new(l, fd[0], &seen_ops, &s, &tight, &s.c), OK);
	write_all(fd[1], junk, sizeof junk);
	turns(l, 5);
	ck_assert_uint_eq(conn_rx_len(s.c), sizeof junk);
	ck_assert_uint_eq(s.n_end, 0);
	s.leave_all = false;
	conn_rx_resume(s.c);
	turns(l, 2);
	ck_assert_uint_eq(s.total, sizeof junk);
	s.leave_all = true;
	write_all(fd[1], junk, sizeof junk);
	turns(l, 3);
	write_all(fd[1], junk, 1);
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_LIMIT);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(large_unit_is_gathered_in_place)
{
	struct loop *l = loop_for_test();
	const struct conn_limits wide = {.rx_keep_max = BUFPOOL_MAX, .out_max = 1000};
	struct seen s = {.leave_all = true};
	static uint8_t unit[1000000];
	uint64_t rnd = 3;
	size_t sent = 0;
	int fd[2];

	for (size_t i = 0; i < sizeof unit; i++)
		unit[i] = (uint8_t)unit_random(&rnd);
	pair_unix(fd);
	ck_assert_int_eq(conn_new(l, fd[0], &seen_ops, &s, &wide, &s.c), OK);
	while (sent < sizeof unit) {
		size_t n = sizeof unit - sent < 10000 ? sizeof unit - sent : 10000;

		write_all(fd[1], unit + sent, n);
		sent += n;
		turns(l, 1);
	}
	turn_until(l, conn_rx_len(s.c) == sizeof unit);
	ck_assert_int_eq(memcmp(conn_rx_data(s.c), unit, sizeof unit), 0);
	/* all but a few bytes are done with: the megabyte is given back */
	conn_consume(s.c, sizeof unit - 3);
	ck_assert_uint_le(conn_memory(s.c), 2048);
	ck_assert_int_eq(memcmp(conn_rx_data(s.c), unit + sizeof unit - 3, 3), 0);
	conn_consume(s.c, 3);
	ck_assert_uint_eq(loop_bufpool(l)->used_bytes, 0);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(resume_presents_kept_bytes_without_new_ones)
{
	struct loop *l = loop_for_test();
	struct seen s = {.leave_all = true};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	conn_rx_pause(s.c);
	ck_assert(conn_rx_is_paused(s.c));
	write_all(fd[1], "def", 3);
	turns(l, 3);
	ck_assert_uint_eq(s.n_data, 1);
	s.leave_all = false;
	s.record = true;
	no_calls_yet();
	conn_rx_resume(s.c);
	ck_assert_uint_eq(s.n_data, 1); /* not from inside */
	turns(l, 1);
	ck_assert_int_eq(memcmp(s.got, "abcdef", 6), 0);
	ck_assert_uint_eq(s.n_data, 3);
	ck_assert_uint_eq(n_recv, calls(1));
	conn_rx_pause(s.c);
	conn_rx_resume(s.c);
	turns(l, 1);
	ck_assert_uint_eq(n_recv, calls(1)); /* known to be drained */
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

/* As a login does that is decided at once. */
START_TEST(resume_inside_on_data_costs_no_turn_unless_something_is_left)
{
	struct loop *l = loop_for_test();
	struct seen s = {.record = true, .on_data_do = PAUSE_AND_RESUME};
	uint64_t before_us;
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	turns(l, 2);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	before_us = clock_now_us();
	ck_assert_int_eq(loop_turn(l, before_us + 20000), OK);
	if (TEST_ENGINE == LOOP_EPOLL) /* it sleeps, for nothing is to be looked at */
		ck_assert_uint_ge(clock_now_us() - before_us, 19000);
	s.on_data_do = PAUSE_AND_RESUME;
	s.leave = 2;
	write_all(fd[1], "def", 3);
	turn_until(l, s.n_data == 3); /* what was left, without new bytes */
	ck_assert_uint_eq(s.last_len, 2);
	ck_assert_int_eq(memcmp(s.got, "abcd", 4), 0);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(consuming_inside_on_data_adds_to_what_it_returns)
{
	struct loop *l = loop_for_test();
	struct seen s = {.leave = 3, .record = true, .on_data_do = CONSUME};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "abcdef", 6);
	turn_until(l, s.n_data == 1); /* abc returned, de consumed */
	ck_assert_uint_eq(conn_rx_len(s.c), 1);
	ck_assert_int_eq(conn_rx_data(s.c)[0], 'f');
	s.on_data_do = CONSUME;
	write_all(fd[1], "ghij", 4);
	turn_until(l, s.n_data == 2); /* fg returned, hi consumed */
	ck_assert_uint_eq(conn_rx_len(s.c), 1);
	ck_assert_int_eq(memcmp(s.got, "abcfg", 5), 0);
	ck_assert_int_eq(conn_rx_data(s.c)[0], 'j');
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(one_connection_yields_after_its_budget)
{
	const struct loop_conf conf = {
		.engine = TEST_ENGINE, .rx_len = RX_LEN, .turn_budget = RX_LEN};
	struct loop *l;
	struct seen big = {0}, small = {0};
	static char junk[1u << 20];
	int fd[2], fs[2];
	size_t before;

	ck_assert_int_eq(loop_new(&conf, &l), OK);
	pair_tcp(fd);
	pair_tcp(fs);
	seen_open(l, fd[0], &big);
	seen_open(l, fs[0], &small);
	turns(l, 2);
	ck_assert_int_eq(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	before = (size_t)write(fd[1], junk, sizeof junk);
	ck_assert_uint_gt(before, 2 * RX_LEN);
	turn_until(l, big.total > 0);
	ck_assert_uint_le(big.total, 2 * RX_LEN);
	write_all(fs[1], "x", 1);
	turn_until(l, small.total == 1);
	ck_assert_uint_lt(big.total, before);
	turn_until(l, big.total == before);
	conn_free(big.c);
	conn_free(small.c);
	close(fd[1]);
	close(fs[1]);
	loop_free(l);
}
END_TEST

/* --- ends --- */

static void check_data_then_fin(int fd[2])
{
	struct loop *l = loop_for_test();
	struct seen s = {.record = true};

	seen_open(l, fd[0], &s);
	turns(l, 2);
	write_all(fd[1], "last", 4);
	close(fd[1]);
	no_calls_yet();
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_EOF);
	ck_assert_uint_eq(s.total, 4);
	ck_assert_uint_eq(n_recv, calls(1)); /* EV_CLOSED spares the one that returns 0 */
	turns(l, 3);
	ck_assert_uint_eq(s.n_end, 1);
	conn_free(s.c);
	loop_free(l);
}

START_TEST(fin_with_the_last_data_needs_no_second_recv)
{
	int fd[2];

	pair_tcp(fd);
	check_data_then_fin(fd);
	pair_unix(fd);
	check_data_then_fin(fd);
}
END_TEST

/* A reset that comes together with data is not told apart by libevent: it is found by asking. */
static void check_data_then_reset(int fd[2], bool unread)
{
	struct loop *l = loop_for_test();
	struct seen s = {.record = true};
	uint64_t start;

	seen_open(l, fd[0], &s);
	turns(l, 2);
	if (unread)
		write_all(fd[0], "never read", 10);
	write_all(fd[1], "last", 4);
	if (unread)
		close(fd[1]);
	else
		close_with_reset(fd[1]);
	start = clock_now_us();
	turn_until(l, s.n_end == 1);
	ck_assert_uint_lt(clock_now_us() - start, 5000000);
	ck_assert_int_eq(s.why, CONN_END_RESET);
	ck_assert_int_eq(conn_errno(s.c), ECONNRESET);
	ck_assert_uint_eq(s.total, 4);
	conn_free(s.c);
	loop_free(l);
}

START_TEST(reset_behind_data_is_found)
{
	int fd[2];

	pair_tcp(fd);
	check_data_then_reset(fd, false);
	pair_tcp(fd);
	check_data_then_reset(fd, true);
	pair_unix(fd);
	check_data_then_reset(fd, true);
}
END_TEST

START_TEST(reset_alone_is_told_at_once)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	turns(l, 2);
	close_with_reset(fd[1]);
	turns(l, 2);
	ck_assert_uint_eq(s.n_end, 1);
	ck_assert_int_eq(s.why, CONN_END_RESET);
	conn_free(s.c);
	loop_free(l);
}
END_TEST

START_TEST(hangup_is_told_once_while_paused_and_the_end_after_resume)
{
	struct loop *l = loop_for_test();
	struct seen s = {.record = true};
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	conn_rx_pause(s.c);
	write_all(fd[1], "abc", 3);
	turns(l, 3);
	ck_assert_uint_eq(s.n_hangup, 0);
	close(fd[1]);
	turn_until(l, s.n_hangup == 1);
	turns(l, 3);
	ck_assert_uint_eq(s.n_hangup, 1);
	ck_assert_uint_eq(s.n_end, 0);
	conn_rx_resume(s.c);
	turns(l, 2);
	ck_assert_uint_eq(s.total, 3);
	ck_assert_uint_eq(s.n_end, 1);
	ck_assert_int_eq(s.why, CONN_END_EOF);
	conn_free(s.c);
	loop_free(l);
}
END_TEST

START_TEST(hangup_that_came_with_the_data_is_told_to_an_owner_that_pauses)
{
	struct loop *l = loop_for_test();
	struct seen s = {.on_data_do = PAUSE};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "query", 5);
	close(fd[1]);
	turn_until(l, s.n_hangup == 1);
	ck_assert_uint_eq(s.n_data, 1);
	ck_assert_uint_eq(s.n_end, 0);
	conn_free(s.c);
	loop_free(l);
}
END_TEST

START_TEST(reset_behind_unread_data_is_a_hangup_while_paused)
{
	struct loop *l = loop_for_test();
	struct seen s = {.record = true};
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	conn_rx_pause(s.c);
	turns(l, 2);
	write_all(fd[1], "abc", 3);
	close_with_reset(fd[1]);
	turn_until(l, s.n_hangup == 1);
	conn_rx_resume(s.c);
	turns(l, 2);
	ck_assert_uint_eq(s.total, 3);
	ck_assert_int_eq(s.why, CONN_END_RESET);
	conn_free(s.c);
	loop_free(l);
}
END_TEST

/* Our last bytes, and then the end. */
static void answer_last(struct seen *s, int fd)
{
	char buf[6];

	conn_put(s->c, "answer", 6);
	conn_free_flushed(s->c, 1000);
	read_all(fd, buf, 6);
	ck_assert_int_eq(read(fd, buf, 1), 0);
	close(fd);
}

START_TEST(half_closed_peer_still_gets_our_bytes)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	shutdown(fd[1], SHUT_WR);
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_EOF);
	answer_last(&s, fd[1]);
	loop_free(l);
}
END_TEST

/* Input that nobody will read must not turn the close into a reset, which takes back our bytes. */
START_TEST(unread_input_does_not_reset_what_was_sent_last)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];
	static char unread[50000]; /* what TCP takes at once */

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	conn_rx_pause(s.c);
	write_all(fd[1], unread, sizeof unread);
	answer_last(&s, fd[1]);
	loop_free(l);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("conn_rx");

	tcase_add_test(tc, round_trip_costs_one_recv_and_one_send);
	tcase_add_test(tc, new_connection_is_not_read_before_there_is_something);
	tcase_add_test(tc, partial_message_comes_again_in_front_of_the_rest);
	tcase_add_test(tc, random_portions_arrive_in_order);
	tcase_add_test(tc, never_more_is_read_ahead_than_may_be_kept);
	tcase_add_test(tc, exactly_the_limit_may_be_kept);
	tcase_add_test(tc, large_unit_is_gathered_in_place);
	tcase_add_test(tc, resume_presents_kept_bytes_without_new_ones);
	tcase_add_test(tc, resume_inside_on_data_costs_no_turn_unless_something_is_left);
	tcase_add_test(tc, consuming_inside_on_data_adds_to_what_it_returns);
	tcase_add_test(tc, one_connection_yields_after_its_budget);
	tcase_add_test(tc, fin_with_the_last_data_needs_no_second_recv);
	tcase_add_test(tc, reset_behind_data_is_found);
	tcase_add_test(tc, reset_alone_is_told_at_once);
	tcase_add_test(tc, hangup_is_told_once_while_paused_and_the_end_after_resume);
	tcase_add_test(tc, hangup_that_came_with_the_data_is_told_to_an_owner_that_pauses);
	tcase_add_test(tc, reset_behind_unread_data_is_a_hangup_while_paused);
	tcase_add_test(tc, half_closed_peer_still_gets_our_bytes);
	tcase_add_test(tc, unread_input_does_not_reset_what_was_sent_last);
	return net_run("conn_rx", tc);
}
