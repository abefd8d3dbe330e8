/*
 * Unit tests of net/conn without TLS. recv, send and sendmsg are counted.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "net_unit.h"

SEEN_OPS;

/* --- the system calls, counted --- */

static __thread unsigned n_recv, n_send;

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
	n_recv++;
	return __real_recv(fd, buf, len, flags);
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
	n_send++;
	return __real_send(fd, buf, len, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	n_send++;
	return __real_sendmsg(fd, msg, flags);
}

static void no_calls_yet(void)
{
	n_recv = 0;
	n_send = 0;
}

/* Fill the socket until the conn has to keep output. Returns bytes put. */
static size_t fill(struct conn *c)
{
	static const char zeros[65536];
	size_t n = 0;

	while (conn_out_len(c) < 100000) {
		conn_put(c, zeros, sizeof zeros);
		conn_flush(c);
		n += sizeof zeros;
	}
	return n;
}

/* Read what comes to a blocking socket for as long as the loop has something to send. */
static size_t read_while_turning(struct loop *l, int fd, size_t want)
{
	static char buf[65536];
	size_t n = 0;

	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (uint64_t end = clock_now_us() + WAIT_US; n < want;) {
		ssize_t r = read(fd, buf, sizeof buf);

		ck_assert_uint_lt(clock_now_us(), end);
		if (r > 0)
			n += (size_t)r;
		ck_assert_int_eq(loop_turn(l, loop_now_us(l) + 1000), OK);
	}
	return n;
}

/* --- receiving --- */

START_TEST(round_trip_costs_one_recv_and_one_send)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];
	char back[4];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	s.echo_to = s.c;
	turns(l, 3);
	no_calls_yet();
	for (unsigned i = 1; i <= 100; i++) {
		write_all(fd[1], "ping", 4);
		turn_until(l, s.total == 4 * i);
		read_all(fd[1], back, 4);
		turns(l, 2);
	}
	ck_assert_uint_eq(n_recv, 100);
	ck_assert_uint_eq(n_send, 100);
	ck_assert_uint_eq(s.n_data, 100);
	ck_assert_uint_eq(conn_bytes_in(s.c), 400);
	ck_assert_uint_eq(conn_bytes_out(s.c), 400);
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
	ck_assert_uint_eq(n_recv, 1);
	conn_rx_pause(s.c);
	conn_rx_resume(s.c);
	turns(l, 1);
	ck_assert_uint_eq(n_recv, 1); /* known to be drained */
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(one_connection_yields_after_its_budget)
{
	const struct loop_conf conf = {.rx_len = RX_LEN, .turn_budget = RX_LEN};
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
	ck_assert_uint_le(big.n_data, 2);
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
	ck_assert_uint_eq(n_recv, 1); /* EV_CLOSED spares the one that returns 0 */
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

START_TEST(half_closed_peer_still_gets_our_bytes)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];
	char buf[6];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	shutdown(fd[1], SHUT_WR);
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_EOF);
	conn_put(s.c, "answer", 6);
	conn_free_flushed(s.c, 1000);
	read_all(fd[1], buf, 6);
	ck_assert_int_eq(read(fd[1], buf, 1), 0);
	close(fd[1]);
	loop_free(l);
}
END_TEST

/* --- sending --- */

START_TEST(all_puts_until_the_flush_leave_in_one_write)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	char buf[32] = "";
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	no_calls_yet();
	conn_put(s.c, "one ", 4);
	conn_put_copy(s.c, "two ", 4);
	conn_put_copy(s.c, "three ", 6);
	conn_put(s.c, "four", 4);
	conn_put(s.c, "", 0);
	ck_assert_uint_eq(conn_out_len(s.c), 18);
	ck_assert_uint_eq(n_send, 0);
	conn_flush(s.c);
	ck_assert_uint_eq(n_send, 1);
	ck_assert_uint_eq(conn_out_len(s.c), 0);
	conn_flush(s.c);
	ck_assert_uint_eq(n_send, 1);
	read_all(fd[1], buf, 18);
	ck_assert_str_eq(buf, "one two three four");
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(any_number_of_pieces_and_copied_bytes_may_be_put)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	static char big[100000], back[sizeof big];
	const char digits[] = "0123456789";
	int fd[2];

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)('a' + i % 26);
	pair_unix(fd);
	seen_open(l, fd[0], &s);
	for (unsigned i = 0; i < 1000; i++)
		conn_put(s.c, digits + i % 10, 1);
	conn_put_copy(s.c, big, sizeof big);
	conn_flush(s.c);
	ck_assert_uint_eq(conn_bytes_out(s.c), 1000 + sizeof big);
	for (unsigned i = 0; i < 1000; i++) {
		read_all(fd[1], back, 1);
		ck_assert_int_eq(back[0], digits[i % 10]);
	}
	read_all(fd[1], back, sizeof back);
	ck_assert_int_eq(memcmp(big, back, sizeof big), 0);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(putting_to_another_connection_flushes_the_first)
{
	struct loop *l = loop_for_test();
	struct seen a = {0}, b = {0};
	int fa[2], fb[2];
	char buf[4];

	pair_unix(fa);
	pair_unix(fb);
	seen_open(l, fa[0], &a);
	seen_open(l, fb[0], &b);
	conn_put(a.c, "aaaa", 4);
	conn_put(b.c, "bbbb", 4);
	read_all(fa[1], buf, 4);
	ck_assert_int_eq(buf[0], 'a');
	conn_flush(a.c);
	conn_flush(b.c);
	read_all(fb[1], buf, 4);
	ck_assert_int_eq(buf[0], 'b');
	conn_free(a.c);
	conn_free(b.c);
	close(fa[1]);
	close(fb[1]);
	loop_free(l);
}
END_TEST

START_TEST(what_the_socket_does_not_take_goes_later)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	size_t put;
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	turns(l, 2);
	put = fill(s.c);
	turns(l, 3);
	ck_assert_uint_eq(s.n_drained, 0);
	no_calls_yet();
	conn_put_copy(s.c, "end", 3);
	conn_flush(s.c);
	ck_assert_uint_eq(n_send, 0); /* known to be full */
	ck_assert_uint_eq(read_while_turning(l, fd[1], put + 3), put + 3);
	turn_until(l, s.n_drained == 1);
	ck_assert_uint_eq(loop_bufpool(l)->used_bytes, 0);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(more_output_than_allowed_ends_the_connection_later)
{
	struct loop *l = loop_for_test();
	const struct conn_limits tight = {.rx_keep_max = 1000, .out_max = 100000};
	static const char zeros[65536];
	struct seen s = {0};
	int fd[2];

	pair_unix(fd);
	ck_assert_int_eq(conn_new(l, fd[0], &seen_ops, &s, &tight, &s.c), OK);
	turns(l, 2);
	for (unsigned i = 0; i < 100; i++) {
		conn_put(s.c, zeros, sizeof zeros);
		conn_flush(s.c);
		ck_assert_uint_le(conn_out_len(s.c), tight.out_max);
	}
	ck_assert_uint_eq(s.n_end, 0); /* never from inside */
	turns(l, 1);
	ck_assert_uint_eq(s.n_end, 1);
	ck_assert_int_eq(s.why, CONN_END_LIMIT);
	ck_assert_uint_eq(loop_bufpool(l)->used_bytes, 0);
	conn_put(s.c, "x", 1);
	conn_flush(s.c);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(failed_send_is_told_later_and_after_what_the_peer_had_sent)
{
	struct loop *l = loop_for_test();
	struct seen s = {.record = true};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	turns(l, 2);
	write_all(fd[1], "FATAL", 5);
	close(fd[1]);
	conn_put(s.c, "query", 5);
	conn_flush(s.c); /* EPIPE */
	ck_assert_uint_eq(s.n_end, 0);
	turns(l, 1);
	ck_assert_uint_eq(s.total, 5);
	ck_assert_uint_eq(s.n_end, 1);
	ck_assert_int_eq(s.why, CONN_END_RESET);
	ck_assert_int_eq(conn_errno(s.c), EPIPE);
	ck_assert_str_eq(conn_error_text(s.c), "Broken pipe");
	conn_free(s.c);
	loop_free(l);
}
END_TEST

START_TEST(failed_send_ends_a_paused_connection)
{
	struct loop *l = loop_for_test();
	struct seen s = {.leave_all = true};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "kept", 4);
	turn_until(l, s.n_data == 1);
	conn_rx_pause(s.c);
	close(fd[1]);
	turns(l, 2);
	ck_assert_uint_eq(s.n_hangup, 1);
	conn_put(s.c, "query", 5);
	conn_flush(s.c);
	turns(l, 2);
	ck_assert_uint_eq(s.n_data, 1);
	ck_assert_uint_eq(s.n_end, 1);
	ck_assert_int_eq(s.why, CONN_END_RESET);
	ck_assert_uint_eq(conn_rx_len(s.c), 4);
	conn_free(s.c);
	loop_free(l);
}
END_TEST

/* A relay with back-pressure moves 300 MB in constant memory. */
struct relay {
	struct loop *l;
	struct seen in, out;
	size_t most_out, most_memory;
};

static size_t relay_on_data(void *arg, const uint8_t *data, size_t len)
{
	struct relay *r = arg;

	conn_put(r->out.c, data, len);
	conn_flush(r->out.c);
	r->in.total += len;
	if (conn_out_len(r->out.c) > 256 * 1024)
		conn_rx_pause(r->in.c);
	if (conn_out_len(r->out.c) > r->most_out)
		r->most_out = conn_out_len(r->out.c);
	if (loop_bufpool(r->l)->used_bytes > r->most_memory)
		r->most_memory = loop_bufpool(r->l)->used_bytes;
	return len;
}

static void relay_on_drained(void *arg)
{
	struct relay *r = arg;

	r->out.n_drained++;
	conn_rx_resume(r->in.c);
}

static void relay_on_end(void *arg, enum conn_end why)
{
	struct relay *r = arg;

	r->in.n_end++;
	r->in.why = why;
}

static const struct conn_ops relay_ops = {
	.on_data = relay_on_data, .on_drained = relay_on_drained, .on_end = relay_on_end};

#define HUGE_LEN (300ull << 20)

static void *huge_writer(void *arg)
{
	static char block[1u << 20];
	int fd = *(int *)arg;

	for (size_t i = 0; i < HUGE_LEN / sizeof block; i++) {
		for (size_t j = 0; j < sizeof block; j += 512)
			block[j] = (char)(i + j / 512);
		write_all(fd, block, sizeof block);
	}
	close(fd);
	return NULL;
}

struct reader {
	int fd;
	uint64_t len;
	bool wrong;
};

static void *huge_reader(void *arg)
{
	static char block[1u << 18];
	struct reader *r = arg;
	ssize_t n;

	while ((n = read(r->fd, block, sizeof block)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			uint64_t at = r->len + (uint64_t)i;
			uint64_t in = at % (1u << 20);

			if (at % 512 == 0 && block[i] != (char)(at / (1u << 20) + in / 512))
				r->wrong = true;
		}
		r->len += (uint64_t)n;
		if (r->len % 7 == 0)
			usleep(100);
	}
	return NULL;
}

START_TEST(huge_stream_passes_in_constant_memory)
{
	struct relay r = {.l = loop_for_test()};
	struct reader rd = {0};
	pthread_t w, t;
	int fi[2], fo[2];

	pair_tcp(fi);
	pair_tcp(fo);
	ck_assert_int_eq(conn_new(r.l, fi[0], &relay_ops, &r, &test_limits, &r.in.c), OK);
	ck_assert_int_eq(conn_new(r.l, fo[0], &relay_ops, &r, &test_limits, &r.out.c), OK);
	rd.fd = fo[1];
	ck_assert_int_eq(pthread_create(&w, NULL, huge_writer, &fi[1]), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, huge_reader, &rd), 0);
	turn_until(r.l, r.in.n_end == 1);
	ck_assert_int_eq(r.in.why, CONN_END_EOF);
	conn_free_flushed(r.out.c, 10000);
	conn_free(r.in.c);
	pthread_join(w, NULL);
	turn_until(r.l, loop_bufpool(r.l)->used_bytes == 0); /* the output lingers */
	pthread_join(t, NULL);
	ck_assert_uint_eq(r.in.total, HUGE_LEN);
	ck_assert_uint_eq(rd.len, HUGE_LEN);
	ck_assert(!rd.wrong);
	ck_assert_uint_le(r.most_out, 256 * 1024 + RX_LEN);
	ck_assert_uint_le(r.most_memory, 1u << 20);
	close(fo[1]);
	loop_free(r.l);
}
END_TEST

/* --- the owner's liberties --- */

static void check_free_in(enum deed deed)
{
	struct loop *l = loop_for_test();
	struct seen s;
	int fd[2];

	/* in on_data, from the loop's buffer */
	s = (struct seen){.on_data_do = deed};
	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	close(fd[1]);
	turns(l, 3);
	ck_assert_uint_eq(s.n_data, 1);
	ck_assert_uint_eq(s.n_end, 0);
	/* in on_data, from the kept buffer */
	s = (struct seen){.leave_all = true};
	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	s.on_data_do = deed;
	conn_rx_resume(s.c);
	turn_until(l, s.n_data == 2);
	close(fd[1]);
	turns(l, 3);
	/* in on_drained */
	s = (struct seen){.on_drained_do = deed};
	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	turns(l, 1);
	(void)read_while_turning(l, fd[1], fill(s.c));
	turn_until(l, s.n_drained == 1);
	close(fd[1]);
	turns(l, 3);
	/* in on_hangup */
	s = (struct seen){.on_hangup_do = deed};
	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	conn_rx_pause(s.c);
	write_all(fd[1], "abc", 3);
	close(fd[1]);
	turn_until(l, s.n_hangup == 1);
	turns(l, 3);
	/* in on_end */
	s = (struct seen){.on_end_do = deed};
	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "abc", 3);
	close(fd[1]);
	turn_until(l, s.n_end == 1);
	turns(l, 3);
	ck_assert_ptr_null(s.c);
	loop_free(l);
}

START_TEST(freeing_inside_every_callback)
{
	check_free_in(FREE);
	check_free_in(FREE_FLUSHED);
}
END_TEST

START_TEST(free_of_an_end_that_is_pending)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	close(fd[1]);
	conn_put(s.c, "x", 1);
	conn_flush(s.c);
	conn_free(s.c);
	turns(l, 3);
	ck_assert_uint_eq(s.n_end, 0);
	conn_free(NULL);
	loop_free(l);
}
END_TEST

START_TEST(what_was_put_to_a_freed_connection_is_dropped)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];
	char c;

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	conn_put(s.c, "x", 1);
	conn_free(s.c);
	turns(l, 1);
	ck_assert_int_eq(read(fd[1], &c, 1), 0);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(new_owner_gets_all_that_was_there)
{
	struct loop *l = loop_for_test();
	struct seen b = {.record = true};
	struct seen a = {.on_data_do = NEW_OWNER, .new_owner = &b};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &a);
	write_all(fd[1], "abc", 3);
	turn_until(l, a.n_data == 1);
	turns(l, 1);
	ck_assert_uint_eq(b.n_data, 1);
	ck_assert_uint_eq(b.total, 3);
	write_all(fd[1], "def", 3);
	turn_until(l, b.total == 6);
	ck_assert_uint_eq(a.n_data, 1);
	ck_assert_int_eq(memcmp(b.got, "abcdef", 6), 0);
	conn_free(b.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(flushed_free_sends_everything_first)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	size_t put, got;
	int fd[2];
	char c;

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	turns(l, 1);
	put = fill(s.c);
	conn_put(s.c, "end", 3);
	conn_free_flushed(s.c, 20000);
	got = read_while_turning(l, fd[1], put + 3);
	ck_assert_uint_eq(got, put + 3);
	fcntl(fd[1], F_SETFL, 0);
	turns(l, 3);
	ck_assert_int_eq(read(fd[1], &c, 1), 0);
	ck_assert_uint_eq(s.n_drained + s.n_end, 0);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(flushed_free_gives_up_after_its_time)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	turns(l, 1);
	fill(s.c);
	conn_free_flushed(s.c, 30);
	turn_for(l, 20000);
	ck_assert_uint_gt(loop_bufpool(l)->used_bytes, 0);
	turn_for(l, 50000);
	ck_assert_uint_eq(loop_bufpool(l)->used_bytes, 0);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(lingering_connections_end_with_the_loop_or_their_peer)
{
	struct loop *l = loop_for_test();
	struct seen a = {0}, b = {0};
	int fa[2], fb[2];

	pair_tcp(fa);
	pair_tcp(fb);
	seen_open(l, fa[0], &a);
	seen_open(l, fb[0], &b);
	turns(l, 1);
	fill(a.c);
	fill(b.c);
	conn_free_flushed(a.c, 3600000);
	conn_free_flushed(b.c, 3600000);
	close_with_reset(fb[1]);
	turns(l, 3);
	ck_assert_uint_gt(loop_bufpool(l)->used_bytes, 0);
	loop_free(l);
	close(fa[1]);
}
END_TEST

/* --- connecting --- */

static int listener_at(struct sockaddr_in *sin)
{
	socklen_t len = sizeof *sin;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*sin = (struct sockaddr_in){.sin_family = AF_INET};
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(l, (struct sockaddr *)sin, sizeof *sin), 0);
	ck_assert_int_eq(listen(l, 8), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)sin, &len), 0);
	return l;
}

START_TEST(connect_is_told_by_on_ready)
{
	struct loop *l = loop_for_test();
	const struct conn_tcp tcp = {.keepalive = true,
		.keepidle_s = 10,
		.keepintvl_s = 5,
		.keepcnt = 3,
		.user_timeout_ms = 1000,
		.socket_buffer = 65536};
	struct seen s = {0};
	struct sockaddr_in sin;
	int lfd = listener_at(&sin);
	char addr[64], buf[5];
	uint16_t port;
	int fd;

	ck_assert_int_eq(conn_connect(l, (struct sockaddr *)&sin, sizeof sin, &seen_ops, &s,
				 &test_limits, &s.c),
		OK);
	ck_assert_uint_eq(s.n_ready, 0);
	conn_put(s.c, "early", 5); /* waits for the connection */
	conn_flush(s.c);
	turn_until(l, s.n_ready == 1);
	conn_set_tcp(s.c, &tcp);
	fd = accept(lfd, NULL, NULL);
	read_all(fd, buf, 5);
	conn_remote(s.c, addr, sizeof addr, &port);
	ck_assert_str_eq(addr, "127.0.0.1");
	ck_assert_uint_eq(port, ntohs(sin.sin_port));
	conn_local(s.c, addr, sizeof addr, &port);
	ck_assert_uint_ne(port, 0);
	ck_assert(!conn_is_unix(s.c));
	conn_free(s.c);
	close(fd);
	close(lfd);
	loop_free(l);
}
END_TEST

START_TEST(refused_connect_is_told_later)
{
	struct loop *l = loop_for_test();
	const struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/nowhere/.s.PGSQL.1"};
	struct seen s = {0}, u = {.on_end_do = FREE};
	struct sockaddr_in sin;

	close(listener_at(&sin));
	ck_assert_int_eq(conn_connect(l, (struct sockaddr *)&sin, sizeof sin, &seen_ops, &s,
				 &test_limits, &s.c),
		OK);
	ck_assert_int_eq(conn_connect(l, (const struct sockaddr *)&un, sizeof un, &seen_ops, &u,
				 &test_limits, &u.c),
		OK);
	ck_assert_uint_eq(s.n_end + u.n_end, 0);
	turn_until(l, s.n_end == 1 && u.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_CONNECT);
	ck_assert_int_eq(conn_errno(s.c), ECONNREFUSED);
	ck_assert_str_eq(conn_error_text(s.c), "Connection refused");
	ck_assert_int_eq(u.why, CONN_END_CONNECT);
	conn_free(s.c);
	turns(l, 2);
	loop_free(l);
}
END_TEST

START_TEST(connecting_may_be_given_up)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	struct sockaddr_in sin;
	int lfd = listener_at(&sin);

	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(conn_connect(l, (struct sockaddr *)&sin, sizeof sin, &seen_ops, &s,
					 &test_limits, &s.c),
			OK);
		if (i == 0)
			conn_free(s.c);
		else
			conn_free_flushed(s.c, 1000);
		turns(l, 3);
	}
	s.on_ready_do = FREE;
	ck_assert_int_eq(conn_connect(l, (struct sockaddr *)&sin, sizeof sin, &seen_ops, &s,
				 &test_limits, &s.c),
		OK);
	turn_until(l, s.n_ready == 1);
	ck_assert_uint_eq(s.n_end, 0);
	close(lfd);
	loop_free(l);
}
END_TEST

/* --- hand-over --- */

START_TEST(detached_connection_takes_its_bytes_along)
{
	struct loop *a = loop_for_test(), *b = loop_for_test();
	struct seen s = {.leave_all = true, .on_data_do = DETACH};
	struct seen t = {.record = true};
	size_t put;
	int fd[2];

	pair_tcp(fd);
	seen_open(a, fd[0], &s);
	turns(a, 1);
	put = fill(s.c);
	write_all(fd[1], "kept", 4);
	turn_until(a, s.n_detached == 1);
	ck_assert_uint_eq(loop_bufpool(a)->used_bytes, 0);
	loop_free(a);
	write_all(fd[1], "more", 4);
	t.c = s.c;
	ck_assert_int_eq(conn_attach(t.c, b, &seen_ops, &t), OK);
	ck_assert_uint_eq(t.n_data, 0);
	turn_until(b, t.total == 8);
	ck_assert_int_eq(memcmp(t.got, "keptmore", 8), 0);
	ck_assert_uint_eq(read_while_turning(b, fd[1], put), put);
	turn_until(b, t.n_drained == 1);
	ck_assert_uint_eq(loop_bufpool(b)->used_bytes, 0);
	ck_assert_uint_eq(s.n_drained, 0);
	conn_free(t.c);
	close(fd[1]);
	loop_free(b);
}
END_TEST

START_TEST(detached_connection_may_be_freed)
{
	struct loop *l = loop_for_test();
	struct seen s = {.leave_all = true};
	int fd[2];

	for (unsigned i = 0; i < 2; i++) {
		s = (struct seen){.leave_all = true};
		pair_tcp(fd);
		seen_open(l, fd[0], &s);
		turns(l, 1);
		fill(s.c);
		write_all(fd[1], "kept", 4);
		turn_until(l, s.n_data == 1);
		conn_detach(s.c, seen_detached, &s);
		ck_assert_uint_eq(s.n_detached, 0);
		if (i == 0) {
			conn_free(s.c); /* before it has left */
			turns(l, 2);
			ck_assert_uint_eq(s.n_detached, 0);
		} else {
			turns(l, 1);
			ck_assert_uint_eq(s.n_detached, 1);
			conn_free_detached(s.c);
		}
		close(fd[1]);
	}
	conn_free_detached(NULL);
	loop_free(l);
}
END_TEST

START_TEST(end_that_was_pending_is_told_to_the_next_loop)
{
	struct loop *a = loop_for_test(), *b = loop_for_test();
	struct seen s = {0}, t = {0};
	int fd[2];

	pair_unix(fd);
	seen_open(a, fd[0], &s);
	close(fd[1]);
	conn_put(s.c, "x", 1);
	conn_flush(s.c);
	conn_detach(s.c, seen_detached, &s);
	turns(a, 1);
	ck_assert_uint_eq(s.n_detached, 1);
	ck_assert_uint_eq(s.n_end, 0);
	t.c = s.c;
	ck_assert_int_eq(conn_attach(t.c, b, &seen_ops, &t), OK);
	turns(b, 2);
	ck_assert_uint_eq(t.n_end, 1);
	ck_assert_int_eq(t.why, CONN_END_RESET);
	conn_free(t.c);
	loop_free(a);
	loop_free(b);
}
END_TEST

/* Two threads pass one connection to and fro while a third streams through it. */
struct side {
	struct loop *l;
	struct side *next;
	_Atomic(struct conn *) inbox;
	struct conn *c;
	_Atomic bool stop;
	uint64_t total, sum;
	unsigned n_had;
	bool leaving;
};

static uint64_t stream_sum; /* of the one connection; travels with it */

static void side_detached(void *arg, struct conn *c)
{
	struct side *sd = arg;

	sd->leaving = false;
	atomic_store(&sd->next->inbox, c);
	loop_wake(sd->next->l);
}

static size_t side_on_data(void *arg, const uint8_t *data, size_t len)
{
	struct side *sd = arg;
	size_t n = len > 5 ? len - 5 : 0;

	if (++sd->n_had % 3 == 0) {
		conn_put(sd->c, "tick", 4);
		conn_detach(sd->c, side_detached, sd);
		return 0;
	}
	if (data[len - 1] == '$') /* the end of the stream */
		n = len;
	stream_sum = sum_of(stream_sum, data, n);
	sd->total += n;
	return n;
}

static void side_on_end(void *arg, enum conn_end why)
{
	struct side *sd = arg;

	(void)why;
	conn_free(sd->c);
	sd->c = NULL;
	atomic_store(&sd->stop, true);
	atomic_store(&sd->next->stop, true);
	loop_wake(sd->next->l);
}

static const struct conn_ops side_ops = {.on_data = side_on_data, .on_end = side_on_end};

static void side_on_wake(void *arg)
{
	struct side *sd = arg;
	struct conn *c = atomic_exchange(&sd->inbox, NULL);

	if (c == NULL)
		return;
	sd->c = c;
	ck_assert_int_eq(conn_attach(c, sd->l, &side_ops, sd), OK);
}

static void *side_run(void *arg)
{
	struct side *sd = arg;

	while (!atomic_load(&sd->stop))
		ck_assert_int_eq(loop_turn(sd->l, loop_now_us(sd->l) + 100000), OK);
	return NULL;
}

START_TEST(connection_travels_between_threads_under_load)
{
	struct side sd[2] = {0};
	struct seen s = {0};
	pthread_t t[2];
	uint64_t rnd = 11, sum = 0;
	size_t sent = 0;
	static char sink[1u << 16];
	int fd[2];

	pair_tcp(fd);
	for (unsigned i = 0; i < 2; i++) {
		const struct loop_conf conf = {.rx_len = RX_LEN,
			.turn_budget = RX_LEN,
			.on_wake = side_on_wake,
			.arg = &sd[i]};

		ck_assert_int_eq(loop_new(&conf, &sd[i].l), OK);
		sd[i].next = &sd[1 - i];
	}
	ck_assert_int_eq(conn_new(sd[0].l, fd[0], &seen_ops, &s, &test_limits, &s.c), OK);
	conn_set_owner(s.c, &side_ops, &sd[0]);
	sd[0].c = s.c;
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, side_run, &sd[i]), 0);
	for (unsigned i = 0; i < 3000; i++) {
		char buf[300];
		size_t n = 1 + unit_random(&rnd) % sizeof buf;

		for (size_t j = 0; j < n; j++)
			buf[j] = (char)('a' + unit_random(&rnd) % 26);
		write_all(fd[1], buf, n);
		sum = sum_of(sum, buf, n);
		sent += n;
		(void)recv(fd[1], sink, sizeof sink, MSG_DONTWAIT);
		if (i % 16 == 0)
			usleep(100);
	}
	write_all(fd[1], "$$$$$$", 6);
	sum = sum_of(sum, "$$$$$$", 6);
	usleep(100000);
	shutdown(fd[1], SHUT_WR);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(sd[0].total + sd[1].total, sent + 6);
	ck_assert_uint_eq(stream_sum, sum);
	ck_assert_uint_gt(sd[0].n_had, 10);
	ck_assert_uint_gt(sd[1].n_had, 10);
	loop_free(sd[0].l);
	loop_free(sd[1].l);
	close(fd[1]);
}
END_TEST

/* --- size --- */

START_TEST(idle_connection_is_small)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	char addr[64];
	uint16_t port;
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	ck_assert_uint_lt(conn_memory(s.c), 300);
	ck_assert(conn_is_unix(s.c));
	conn_remote(s.c, addr, sizeof addr, &port);
	ck_assert_str_eq(addr, "unix");
	ck_assert_uint_eq(port, 0);
	ck_assert_ptr_null(conn_tls(s.c));
	ck_assert_str_eq(conn_error_text(s.c), "");
	ck_assert_int_eq(conn_fd(s.c), fd[0]);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("conn");

	tcase_add_test(tc, round_trip_costs_one_recv_and_one_send);
	tcase_add_test(tc, new_connection_is_not_read_before_there_is_something);
	tcase_add_test(tc, partial_message_comes_again_in_front_of_the_rest);
	tcase_add_test(tc, random_portions_arrive_in_order);
	tcase_add_test(tc, never_more_is_read_ahead_than_may_be_kept);
	tcase_add_test(tc, exactly_the_limit_may_be_kept);
	tcase_add_test(tc, large_unit_is_gathered_in_place);
	tcase_add_test(tc, resume_presents_kept_bytes_without_new_ones);
	tcase_add_test(tc, one_connection_yields_after_its_budget);
	tcase_add_test(tc, fin_with_the_last_data_needs_no_second_recv);
	tcase_add_test(tc, reset_behind_data_is_found);
	tcase_add_test(tc, reset_alone_is_told_at_once);
	tcase_add_test(tc, hangup_is_told_once_while_paused_and_the_end_after_resume);
	tcase_add_test(tc, hangup_that_came_with_the_data_is_told_to_an_owner_that_pauses);
	tcase_add_test(tc, reset_behind_unread_data_is_a_hangup_while_paused);
	tcase_add_test(tc, half_closed_peer_still_gets_our_bytes);
	tcase_add_test(tc, all_puts_until_the_flush_leave_in_one_write);
	tcase_add_test(tc, any_number_of_pieces_and_copied_bytes_may_be_put);
	tcase_add_test(tc, putting_to_another_connection_flushes_the_first);
	tcase_add_test(tc, what_the_socket_does_not_take_goes_later);
	tcase_add_test(tc, more_output_than_allowed_ends_the_connection_later);
	tcase_add_test(tc, failed_send_is_told_later_and_after_what_the_peer_had_sent);
	tcase_add_test(tc, failed_send_ends_a_paused_connection);
	tcase_add_test(tc, huge_stream_passes_in_constant_memory);
	tcase_add_test(tc, freeing_inside_every_callback);
	tcase_add_test(tc, free_of_an_end_that_is_pending);
	tcase_add_test(tc, what_was_put_to_a_freed_connection_is_dropped);
	tcase_add_test(tc, new_owner_gets_all_that_was_there);
	tcase_add_test(tc, flushed_free_sends_everything_first);
	tcase_add_test(tc, flushed_free_gives_up_after_its_time);
	tcase_add_test(tc, lingering_connections_end_with_the_loop_or_their_peer);
	tcase_add_test(tc, connect_is_told_by_on_ready);
	tcase_add_test(tc, refused_connect_is_told_later);
	tcase_add_test(tc, connecting_may_be_given_up);
	tcase_add_test(tc, detached_connection_takes_its_bytes_along);
	tcase_add_test(tc, detached_connection_may_be_freed);
	tcase_add_test(tc, end_that_was_pending_is_told_to_the_next_loop);
	tcase_add_test(tc, connection_travels_between_threads_under_load);
	tcase_add_test(tc, idle_connection_is_small);
	return unit_run("conn", tc);
}
