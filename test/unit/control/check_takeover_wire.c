/* Records between two processes: control/takeover_wire. */
#include "control/takeover_wire.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

static int ends[2];
static uint8_t buf[TAKEOVER_RECORD_MAX];

static void open_pair(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
}

static void close_pair(void)
{
	close(ends[0]);
	close(ends[1]);
}

START_TEST(record_comes_whole_with_its_descriptor)
{
	int pipe_ends[2], fd;
	size_t len;
	char c;

	ck_assert_int_eq(pipe(pipe_ends), 0);
	ck_assert_int_eq(takeover_send(ends[0], "Labc", 4, pipe_ends[0]), OK);
	close(pipe_ends[0]); /* the record has one of its own */
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), OK);
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(buf, "Labc", 4);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(write(pipe_ends[1], "x", 1), 1);
	ck_assert_int_eq(read(fd, &c, 1), 1);
	ck_assert_int_eq(c, 'x');
	close(fd);
	close(pipe_ends[1]);
}
END_TEST

START_TEST(record_without_a_descriptor_has_none)
{
	size_t len;
	int fd = 99;

	ck_assert_int_eq(takeover_send(ends[0], "E", 1, -1), OK);
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), OK);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), E_AGAIN);
}
END_TEST

START_TEST(what_was_sent_before_the_end_is_received)
{
	size_t len;
	int fd;

	ck_assert_int_eq(takeover_send(ends[0], "E", 1, -1), OK);
	close(ends[0]);
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), OK);
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), E_CLOSED);
	ends[0] = dup(ends[1]);
}
END_TEST

/* Who ends with something unread resets the other, which is told of that before all else. */
START_TEST(what_was_sent_before_a_reset_is_received)
{
	size_t len;
	int fd;

	ck_assert_int_eq(takeover_send(ends[1], "U", 1, -1), OK);
	ck_assert_int_eq(takeover_send(ends[0], "E", 1, -1), OK);
	close(ends[0]);
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), OK);
	ck_assert_mem_eq(buf, "E", 1);
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), E_CLOSED);
	ck_assert_int_eq(takeover_send(ends[1], "U", 1, -1), E_CLOSED);
	ends[0] = dup(ends[1]);
}
END_TEST

START_TEST(largest_record_passes_and_a_larger_one_is_refused)
{
	static uint8_t large[TAKEOVER_RECORD_MAX + 1];
	int size = 4 * (int)sizeof large, fd;
	size_t len;

	large[0] = 'C';
	ck_assert_int_eq(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	ck_assert_int_eq(takeover_send(ends[0], large, TAKEOVER_RECORD_MAX, -1), OK);
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), OK);
	ck_assert_uint_eq(len, TAKEOVER_RECORD_MAX);
	ck_assert_int_eq(takeover_send(ends[0], large, sizeof large, ends[0]), OK);
	ck_assert_int_eq(takeover_receive(ends[1], buf, &len, &fd), E_PROTO);
	ck_assert_int_eq(fd, -1); /* what came beside it is closed */
}
END_TEST

START_TEST(full_socket_says_so)
{
	static uint8_t large[65536];
	enum status st;

	do
		st = takeover_send(ends[0], large, sizeof large, -1);
	while (st == OK);
	ck_assert_int_eq(st, E_AGAIN);
}
END_TEST

START_TEST(hello_is_read_as_it_was_put)
{
	struct takeover_hello in = {.format = 7, .slots_max = 64, .hash_key = {1, 2}}, out;
	struct wr w = wr_of(buf, sizeof buf);
	struct rd r;

	memset(in.mock_secret, 0xa5, sizeof in.mock_secret);
	takeover_put_hello(&w, &in);
	ck_assert(!w.bad);
	ck_assert_int_eq(buf[0], TAKEOVER_HELLO);
	for (size_t len = 1; len < w.len; len++) {
		r = rd_of(buf + 1, len - 1);
		ck_assert_int_eq(takeover_read_hello(&r, &out), E_PROTO);
	}
	r = rd_of(buf + 1, w.len - 1);
	ck_assert_int_eq(takeover_read_hello(&r, &out), OK);
	ck_assert_uint_eq(r.left, 0);
	ck_assert_mem_eq(&in, &out, sizeof in);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("takeover_wire");

	tcase_add_checked_fixture(tc, open_pair, close_pair);
	tcase_add_test(tc, record_comes_whole_with_its_descriptor);
	tcase_add_test(tc, record_without_a_descriptor_has_none);
	tcase_add_test(tc, what_was_sent_before_the_end_is_received);
	tcase_add_test(tc, what_was_sent_before_a_reset_is_received);
	tcase_add_test(tc, largest_record_passes_and_a_larger_one_is_refused);
	tcase_add_test(tc, full_socket_says_so);
	tcase_add_test(tc, hello_is_read_as_it_was_put);
	return unit_run("takeover_wire", tc);
}
