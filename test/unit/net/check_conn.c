/* Unit tests of net/conn: owners, connecting, travelling between loops. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "net_unit.h"

SEEN_OPS;

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
	uint64_t start;
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	turns(l, 1);
	fill(s.c);
	start = loop_now_us(l);
	conn_free_flushed(s.c, 30);
	ck_assert_uint_gt(loop_bufpool(l)->used_bytes, 0);
	turn_until(l, loop_bufpool(l)->used_bytes == 0);
	ck_assert_uint_ge(loop_now_us(l), start + 30000);
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
	for (unsigned i = 0; i < 5; i++) { /* a socket may take more a little later */
		turns(l, 1);
		fill(a.c);
		fill(b.c);
	}
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

START_TEST(pausing_and_resuming_while_connecting_is_harmless)
{
	struct loop *l = loop_for_test();
	const struct conn_limits tight = {.rx_keep_max = 1000, .out_max = 3};
	struct seen s = {0}, t = {0};
	struct sockaddr_in sin;
	int lfd = listener_at(&sin);

	ck_assert_int_eq(conn_connect(l, (struct sockaddr *)&sin, sizeof sin, &seen_ops, &s,
				 &test_limits, &s.c),
		OK);
	conn_rx_pause(s.c);
	conn_rx_resume(s.c);
	turn_until(l, s.n_ready == 1);
	ck_assert_uint_eq(s.n_end, 0);
	conn_free(s.c);
	/* more is queued than may be */
	ck_assert_int_eq(
		conn_connect(l, (struct sockaddr *)&sin, sizeof sin, &seen_ops, &t, &tight, &t.c),
		OK);
	conn_put(t.c, "four", 4);
	conn_flush(t.c);
	turn_until(l, t.n_end == 1);
	ck_assert_int_eq(t.why, CONN_END_LIMIT);
	conn_free(t.c);
	close(lfd);
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
	/* io_uring sends on as soon as there is room, so all may have gone before it left */
	turn_until(b, t.n_drained + (TEST_ENGINE == LOOP_URING ? s.n_drained : 0) == 1);
	ck_assert_uint_eq(loop_bufpool(b)->used_bytes, 0);
	ck_assert_uint_le(s.n_drained, TEST_ENGINE == LOOP_URING ? 1 : 0);
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
		const struct loop_conf conf = {.engine = TEST_ENGINE,
			.rx_len = RX_LEN,
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
	ck_assert_uint_gt(sd[0].n_had, 2);
	ck_assert_uint_gt(sd[1].n_had, 2);
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
	struct net_addr named;
	char addr[64];
	uint16_t port;
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	ck_assert_uint_le(conn_memory(s.c), 312);
	ck_assert(conn_is_unix(s.c));
	conn_remote(s.c, addr, sizeof addr, &port);
	ck_assert_str_eq(addr, "unix");
	ck_assert_uint_eq(port, 0);
	ck_assert_int_eq(net_addr_parse("203.0.113.7", 40000, &named), OK);
	ck_assert_int_eq(conn_set_remote(s.c, &named), OK);
	conn_remote(s.c, addr, sizeof addr, &port);
	ck_assert_str_eq(addr, "203.0.113.7");
	ck_assert_uint_eq(port, 40000);
	ck_assert_ptr_null(conn_tls(s.c));
	ck_assert_str_eq(conn_error_text(s.c), "");
	ck_assert_int_eq(conn_fd(s.c), fd[0]);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

/* As a listener hands it over. */
static void check_accepted(const struct net_addr *from, int fd[2])
{
	struct loop *l = loop_for_test();
	struct seen s = {.record = true};

	ck_assert_int_eq(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	write_all(fd[1], "abc", 3);
	ck_assert_int_eq(conn_accept(l, fd[0], from, &test_limits, &s.c), OK);
	conn_set_owner(s.c, &seen_ops, &s);
	conn_expect(s.c);
	turn_until(l, s.total == 3);
	ck_assert_int_eq(conn_is_unix(s.c), net_addr_is_unix(from));
	write_all(fd[1], "def", 3);
	turn_until(l, s.total == 6);
	ck_assert_int_eq(memcmp(s.got, "abcdef", 6), 0);
	(void)read_while_turning(l, fd[1], fill(s.c)); /* and is told when the socket takes more */
	turn_until(l, s.n_drained == 1);
	close(fd[1]);
	turn_until(l, s.n_end == 1);
	conn_free(s.c);
	loop_free(l);
}

START_TEST(accepted_socket_is_served_like_any_other)
{
	const struct net_addr tcp = {.len = sizeof tcp.u.in4, .u.in4.sin_family = AF_INET};
	const struct net_addr local = {.len = sizeof(sa_family_t), .u.un.sun_family = AF_UNIX};
	int fd[2];

	pair_tcp(fd);
	check_accepted(&tcp, fd);
	pair_unix(fd);
	check_accepted(&local, fd);
}
END_TEST

START_TEST(nothing_where_bytes_were_expected_is_no_end)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	conn_expect(s.c);
	turns(l, 3);
	ck_assert_uint_eq(s.n_data + s.n_end, 0);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.total == 3);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("conn");

	tcase_add_test(tc, freeing_inside_every_callback);
	tcase_add_test(tc, free_of_an_end_that_is_pending);
	tcase_add_test(tc, what_was_put_to_a_freed_connection_is_dropped);
	tcase_add_test(tc, new_owner_gets_all_that_was_there);
	tcase_add_test(tc, flushed_free_sends_everything_first);
	tcase_add_test(tc, flushed_free_gives_up_after_its_time);
	tcase_add_test(tc, lingering_connections_end_with_the_loop_or_their_peer);
	tcase_add_test(tc, connect_is_told_by_on_ready);
	tcase_add_test(tc, refused_connect_is_told_later);
	tcase_add_test(tc, pausing_and_resuming_while_connecting_is_harmless);
	tcase_add_test(tc, connecting_may_be_given_up);
	tcase_add_test(tc, detached_connection_takes_its_bytes_along);
	tcase_add_test(tc, detached_connection_may_be_freed);
	tcase_add_test(tc, end_that_was_pending_is_told_to_the_next_loop);
	tcase_add_test(tc, connection_travels_between_threads_under_load);
	tcase_add_test(tc, idle_connection_is_small);
	tcase_add_test(tc, accepted_socket_is_served_like_any_other);
	tcase_add_test(tc, nothing_where_bytes_were_expected_is_no_end);
	return net_run("conn", tc);
}
