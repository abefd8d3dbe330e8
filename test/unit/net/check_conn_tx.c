/* Unit tests of net/conn: sending and back-pressure. */
#include <pthread.h>
#include <signal.h>

#include "net_calls.h"
#include "net_unit.h"

SEEN_OPS;

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
	ck_assert_uint_eq(n_send, calls(1));
	ck_assert_uint_eq(conn_out_len(s.c), 0);
	conn_flush(s.c);
	ck_assert_uint_eq(n_send, calls(1));
	sent_by(l);
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
	sent_by(l);
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
	ck_assert_uint_eq(conn_out_len(a.c), 0);
	conn_flush(a.c);
	conn_flush(b.c);
	sent_by(l);
	read_all(fa[1], buf, 4);
	ck_assert_int_eq(buf[0], 'a');
	read_all(fb[1], buf, 4);
	ck_assert_int_eq(buf[0], 'b');
	conn_free(a.c);
	conn_free(b.c);
	close(fa[1]);
	close(fb[1]);
	loop_free(l);
}
END_TEST

START_TEST(copied_bytes_are_flushed_before_the_loop_sleeps)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	char buf[4];
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	conn_put_copy(s.c, "abcd", 4);
	turns(l, 1);
	ck_assert_int_eq(recv(fd[1], buf, 4, MSG_DONTWAIT), 4);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(lent_bytes_that_are_not_flushed_are_a_panic)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	conn_put(s.c, "abcd", 4);
	turns(l, 1);
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

/* Many pieces into a socket that takes odd numbers of bytes. */
START_TEST(random_pieces_arrive_whole)
{
	struct loop *l = loop_for_test();
	struct seen s = {0};
	static uint8_t data[60000], back[60000];
	uint64_t rnd = 17, sum = 0, got_sum = 0;
	size_t put = 0, got = 0;
	int fd[2], small = 5000;

	pair_unix(fd);
	ck_assert_int_eq(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	seen_open(l, fd[0], &s);
	for (unsigned i = 0; i < 500 || got < put; i++) {
		size_t n = i < 500 ? unit_random(&rnd) % sizeof data : 0;
		ssize_t r;

		for (size_t at = 0, piece; at < n; at += piece) {
			piece = 1 + unit_random(&rnd) % 3000;
			piece = piece < n - at ? piece : n - at;
			for (size_t j = 0; j < piece; j++)
				data[at + j] = (uint8_t)(put + at + j);
			if (piece % 3 == 0)
				conn_put_copy(s.c, data + at, piece);
			else
				conn_put(s.c, data + at, piece);
		}
		sum = sum_of(sum, data, n);
		put += n;
		conn_flush(s.c);
		memset(data, 0xee, sizeof data); /* nothing lent is looked at again */
		r = recv(fd[1], back, 1 + unit_random(&rnd) % sizeof back, MSG_DONTWAIT);
		if (r > 0) {
			got_sum = sum_of(got_sum, back, (size_t)r);
			got += (size_t)r;
		}
		turns(l, 1);
	}
	ck_assert_uint_eq(got, put);
	ck_assert_uint_eq(got_sum, sum);
	ck_assert_uint_eq(conn_bytes_out(s.c), put);
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
	turns(r.l, 3);
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

int main(void)
{
	TCase *tc = tcase_create("conn_tx");

	tcase_add_test(tc, all_puts_until_the_flush_leave_in_one_write);
	tcase_add_test(tc, any_number_of_pieces_and_copied_bytes_may_be_put);
	tcase_add_test(tc, putting_to_another_connection_flushes_the_first);
	tcase_add_test(tc, copied_bytes_are_flushed_before_the_loop_sleeps);
	tcase_add_test_raise_signal(tc, lent_bytes_that_are_not_flushed_are_a_panic, SIGABRT);
	tcase_add_test(tc, what_the_socket_does_not_take_goes_later);
	tcase_add_test(tc, random_pieces_arrive_whole);
	tcase_add_test(tc, more_output_than_allowed_ends_the_connection_later);
	tcase_add_test(tc, failed_send_is_told_later_and_after_what_the_peer_had_sent);
	tcase_add_test(tc, failed_send_ends_a_paused_connection);
	tcase_add_test(tc, huge_stream_passes_in_constant_memory);
	return net_run("conn_tx", tc);
}
