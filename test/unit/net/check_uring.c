/*
 * Unit tests of net/uring: what only this engine can run out of (receive buffers, requests,
 * answers), how it reads who sends much, and what is said where the system does not offer it. That
 * a conn behaves the same on both engines is tested by the other programs of this folder.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "net_unit.h"

SEEN_OPS;

#define MANY 64

static struct loop *loop_with(struct loop_uring_conf uring)
{
	const struct loop_conf conf = {.engine = LOOP_URING,
		.uring = uring,
		.rx_len = RX_LEN,
		.bufpool_keep_max = 1u << 20,
		.turn_budget = 256u << 10};
	struct loop *l;

	ck_assert_int_eq(loop_new(&conf, &l), OK);
	return l;
}

static const struct loop_uring_conf shapes[] = {
	{0},
	{.n_bufs = 2},
	{.sq_len = 2, .cq_len = 4},
	{.sq_len = 1, .cq_len = 2, .n_bufs = 2},
	{.one_shot = true},
	{.sq_len = 2, .cq_len = 4, .n_bufs = 1, .one_shot = true},
};
#define N_SHAPES (int)(sizeof shapes / sizeof *shapes)

/* Test `i` of 2 * N_SHAPES is of this shape; in the second half conns are late. */
#define SHAPE(i)   (shapes[(i) % N_SHAPES])
#define IS_LATE(i) ((i) >= N_SHAPES)

/* --- running out of things --- */

struct crowd {
	struct loop *l;
	struct seen s[MANY];
	int fd[MANY][2];
};

static void crowd_open(struct crowd *w, int i_test)
{
	w->l = loop_with(SHAPE(i_test));
	for (unsigned i = 0; i < MANY; i++) {
		w->s[i] = (struct seen){0};
		pair_unix(w->fd[i]);
		seen_open(w->l, w->fd[i][0], &w->s[i]);
		conn_set_late(w->s[i].c, IS_LATE(i_test));
	}
	turns(w->l, 2);
}

static void crowd_close(struct crowd *w)
{
	for (unsigned i = 0; i < MANY; i++) {
		conn_free(w->s[i].c);
		close(w->fd[i][1]);
	}
	ck_assert_uint_eq(loop_bufpool(w->l)->used_bytes, 0);
	loop_free(w->l);
}

static bool all_got(const struct crowd *w, uint64_t total)
{
	for (unsigned i = 0; i < MANY; i++)
		if (w->s[i].total != total)
			return false;
	return true;
}

START_TEST(all_are_received_and_answered_with_too_few_buffers_and_answers)
{
	static struct crowd w;
	char msg[3000], back[sizeof msg];

	crowd_open(&w, _i);
	memset(msg, 'm', sizeof msg);
	for (unsigned i = 0; i < MANY; i++)
		w.s[i].echo_to = w.s[i].c;
	for (unsigned round = 1; round <= 20; round++) {
		for (unsigned i = 0; i < MANY; i++)
			write_all(w.fd[i][1], msg, sizeof msg);
		turn_until(w.l, all_got(&w, round * sizeof msg));
		turns(w.l, 2);
		for (unsigned i = 0; i < MANY; i++) {
			read_all(w.fd[i][1], back, sizeof back);
			ck_assert_int_eq(memcmp(back, msg, sizeof msg), 0);
		}
	}
	crowd_close(&w);
}
END_TEST

/* A conn with small messages and a peer that does not read: each send may be the one that fails. */
static uint64_t fill_by_pieces(struct seen *s, uint64_t sum)
{
	char piece[4000];

	for (unsigned n = 0; n < 2; n++) {
		memset(piece, 'a' + (int)((sum + n) % 26), sizeof piece);
		conn_put(s->c, piece, sizeof piece);
		conn_flush(s->c);
		sum = sum_of(sum, piece, sizeof piece);
	}
	return sum;
}

static uint64_t read_sum(int fd, size_t want, struct loop *l)
{
	static char buf[65536];
	uint64_t sum = 0, end = clock_now_us() + WAIT_US;

	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (want != 0) {
		ssize_t r = read(fd, buf, want < sizeof buf ? want : sizeof buf);

		ck_assert_uint_lt(clock_now_us(), end);
		if (r > 0) {
			sum = sum_of(sum, buf, (size_t)r);
			want -= (size_t)r;
		}
		ck_assert_int_eq(loop_turn(l, 0), OK);
	}
	return sum;
}

START_TEST(no_send_that_failed_is_taken_for_one_that_went)
{
	enum { ROUNDS = 60 };
	static struct crowd w;
	static uint64_t sum[MANY];

	crowd_open(&w, _i);
	memset(sum, 0, sizeof sum);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < MANY; i++)
			sum[i] = fill_by_pieces(&w.s[i], sum[i]);
		turns(w.l, 1);
	}
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_uint_eq(read_sum(w.fd[i][1], (size_t)ROUNDS * 2 * 4000, w.l), sum[i]);
	turns(w.l, 3);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_uint_eq(conn_out_len(w.s[i].c), 0);
	crowd_close(&w);
}
END_TEST

START_TEST(all_ends_are_told_though_they_come_at_once)
{
	static struct crowd w;
	unsigned n_end;

	crowd_open(&w, _i);
	for (unsigned i = 0; i < MANY; i++) {
		write_all(w.fd[i][1], "last", 4);
		close(w.fd[i][1]);
	}
	do {
		turns(w.l, 1);
		n_end = 0;
		for (unsigned i = 0; i < MANY; i++)
			n_end += w.s[i].n_end;
	} while (n_end < MANY);
	ck_assert(all_got(&w, 4));
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(w.s[i].why, CONN_END_EOF);
		w.fd[i][1] = -1;
	}
	crowd_close(&w);
}
END_TEST

/* --- who sends much --- */

struct flood {
	int fd;
	size_t left;
	uint64_t sum;
};

/* Send what the socket takes. */
static void flood_on(struct flood *f)
{
	static uint8_t buf[100000];

	while (f->left != 0) {
		size_t n = f->left < sizeof buf ? f->left : sizeof buf;
		ssize_t r;

		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)((f->left - i) * 7 >> 3);
		r = send(f->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r <= 0)
			return;
		f->sum = sum_of(f->sum, buf, (size_t)r);
		f->left -= (size_t)r;
	}
}

START_TEST(a_sender_that_does_not_stop_is_read_whole)
{
	struct loop *l = loop_with(SHAPE(_i));
	struct seen s = {0};
	struct flood f = {.left = 6u << 20};
	uint64_t total = f.left, end = clock_now_us() + WAIT_US;
	int fd[2];

	pair_tcp(fd);
	f.fd = fd[1];
	seen_open(l, fd[0], &s);
	conn_set_late(s.c, IS_LATE(_i));
	for (unsigned i = 0; s.total < total; i++) {
		flood_on(&f);
		ck_assert_int_eq(loop_turn(l, loop_now_us(l) + 1000), OK);
		if (i % 5 == 1) /* backpressure on and off */
			conn_rx_pause(s.c);
		else if (conn_rx_is_paused(s.c))
			conn_rx_resume(s.c);
		ck_assert_uint_lt(clock_now_us(), end);
	}
	ck_assert_uint_eq(s.total, total);
	ck_assert_uint_eq(s.sum, f.sum);
	conn_rx_resume(s.c);
	write_all(fd[1], "small", 5); /* and then as before */
	turn_until(l, s.total == total + 5);
	close(fd[1]);
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_EOF);
	conn_free(s.c);
	loop_free(l);
}
END_TEST

START_TEST(a_paused_conn_does_not_gather_what_is_sent_to_it)
{
	struct loop *l = loop_with(SHAPE(_i));
	struct seen s = {.on_data_do = PAUSE};
	struct flood f = {.left = 6u << 20};
	uint64_t total = f.left;
	int fd[2];

	pair_tcp(fd);
	f.fd = fd[1];
	seen_open(l, fd[0], &s);
	conn_set_late(s.c, IS_LATE(_i));
	turns(l, 2);
	for (unsigned i = 0; i < 50; i++) {
		flood_on(&f);
		turns(l, 2);
	}
	ck_assert_uint_ge(s.n_data, 1);
	ck_assert_uint_le(conn_memory(s.c), 40000);
	conn_rx_resume(s.c);
	while (s.total < total) {
		flood_on(&f);
		turns(l, 1);
	}
	ck_assert_uint_eq(s.sum, f.sum);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

#define SLOW 12u

static size_t slow_on_data(void *arg, const uint8_t *data, size_t len)
{
	uint64_t until = clock_now_us() + 1000;

	(void)arg;
	(void)data;
	while (clock_now_us() < until)
		;
	return len;
}

START_TEST(a_late_conn_does_not_gather_while_it_waits_for_others)
{
	static const struct conn_ops slow_ops = {.on_data = slow_on_data};
	struct loop *l = loop_with(SHAPE(_i));
	struct conn *slow[SLOW];
	struct seen s = {0};
	struct flood f = {.left = 6u << 20};
	uint64_t total = f.left;
	int fd[2], slow_fd[SLOW][2];

	for (unsigned i = 0; i < SLOW; i++) {
		pair_unix(slow_fd[i]);
		ck_assert_int_eq(
			conn_new(l, slow_fd[i][0], &slow_ops, NULL, &test_limits, &slow[i]), OK);
		conn_set_late(slow[i], true);
		write_all(slow_fd[i][1], "x", 1);
	}
	pair_tcp(fd);
	f.fd = fd[1];
	seen_open(l, fd[0], &s);
	conn_set_late(s.c, true);
	while (s.total < total) {
		flood_on(&f);
		turns(l, 1);
		ck_assert_uint_le(conn_memory(s.c), 150000);
	}
	ck_assert_uint_eq(s.sum, f.sum);
	for (unsigned i = 0; i < SLOW; i++) {
		conn_free(slow[i]);
		close(slow_fd[i][1]);
	}
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(a_hang_up_in_a_flood_is_told_while_paused)
{
	struct loop *l = loop_with(SHAPE(_i));
	struct seen s = {0};
	struct flood f = {.left = 4u << 20};
	uint64_t total = f.left;
	int fd[2];

	pair_unix(fd); /* over TCP the FIN would stand behind the rest */
	f.fd = fd[1];
	seen_open(l, fd[0], &s);
	conn_set_late(s.c, IS_LATE(_i));
	while (s.total < total / 2) {
		flood_on(&f);
		turns(l, 1);
	}
	conn_rx_pause(s.c);
	while (f.left != 0) {
		turns(l, 1);
		flood_on(&f);
		if (f.left != 0) { /* the rest does not fit: let a little go */
			conn_rx_resume(s.c);
			turns(l, 1);
			conn_rx_pause(s.c);
		}
	}
	turns(l, 3);
	ck_assert_uint_eq(s.n_hangup, 0);
	ck_assert_int_eq(shutdown(fd[1], SHUT_WR), 0);
	turn_until(l, s.n_hangup == 1);
	ck_assert_uint_eq(s.n_end, 0);
	conn_rx_resume(s.c);
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_EOF);
	ck_assert_uint_eq(s.total, total);
	ck_assert_uint_eq(s.sum, f.sum);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(a_conn_leaves_in_a_flood_and_loses_nothing)
{
	struct loop *l = loop_with(SHAPE(_i));
	struct seen s = {0};
	struct flood f = {.left = 8u << 20};
	uint64_t total = f.left;
	int fd[2];

	pair_tcp(fd);
	f.fd = fd[1];
	seen_open(l, fd[0], &s);
	conn_set_late(s.c, IS_LATE(_i));
	for (unsigned i = 1; s.total < total; i++) {
		flood_on(&f);
		turns(l, 1);
		if (i % 7 != 0)
			continue;
		conn_detach(s.c, seen_detached, &s);
		flood_on(&f);
		turn_until(l, s.n_detached == i / 7);
		ck_assert_int_eq(conn_attach(s.c, l, &seen_ops, &s), OK);
	}
	ck_assert_uint_ge(s.n_detached, 1);
	ck_assert_uint_eq(s.sum, f.sum);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

START_TEST(a_reset_in_a_flood_ends_it)
{
	struct loop *l = loop_with(SHAPE(_i));
	struct seen s = {0};
	struct flood f = {.left = 8u << 20};
	int fd[2];

	pair_tcp(fd);
	f.fd = fd[1];
	seen_open(l, fd[0], &s);
	conn_set_late(s.c, IS_LATE(_i));
	while (s.total < 1u << 20) {
		flood_on(&f);
		turns(l, 1);
	}
	close_with_reset(fd[1]);
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(s.why, CONN_END_RESET);
	conn_free(s.c);
	loop_free(l);
}
END_TEST

/* --- where the system does not offer it --- */

/* In a child: what loop_uring_offered says when io_uring_setup fails with `err`. */
static void why_in_child(int err, int to)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {.len = sizeof code / sizeof *code, .filter = code};
	const char *why = "offered";

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		_exit(1);
	(void)!loop_uring_offered(&why);
	_exit(write(to, why, strlen(why)) > 0 ? 0 : 1);
}

static const struct {
	int err;
	const char *why;
} refusals[] = {
	{EPERM, "forbids"},
	{EACCES, "forbids"},
	{ENOSYS, "has no io_uring"},
	{EINVAL, "older than 6.1"},
	{ENOMEM, "not enough memory"},
	{EMFILE, "io_uring_setup failed"},
};

START_TEST(the_reason_for_not_using_it_is_told)
{
	char why[200] = "";
	int fd[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0)
		why_in_child(refusals[_i].err, fd[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_gt(read(fd[0], why, sizeof why - 1), 0);
	ck_assert_msg(strstr(why, refusals[_i].why) != NULL, "%s", why);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("uring");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, all_are_received_and_answered_with_too_few_buffers_and_answers, 0,
		2 * N_SHAPES);
	tcase_add_loop_test(tc, no_send_that_failed_is_taken_for_one_that_went, 0, 2 * N_SHAPES);
	tcase_add_loop_test(tc, all_ends_are_told_though_they_come_at_once, 0, 2 * N_SHAPES);
	tcase_add_loop_test(tc, a_sender_that_does_not_stop_is_read_whole, 0, 2 * N_SHAPES);
	tcase_add_loop_test(tc, a_paused_conn_does_not_gather_what_is_sent_to_it, 0, 2 * N_SHAPES);
	tcase_add_loop_test(tc, a_late_conn_does_not_gather_while_it_waits_for_others, 0, N_SHAPES);
	tcase_add_loop_test(tc, a_hang_up_in_a_flood_is_told_while_paused, 0, 2 * N_SHAPES);
	tcase_add_loop_test(tc, a_conn_leaves_in_a_flood_and_loses_nothing, 0, 2 * N_SHAPES);
	tcase_add_loop_test(tc, a_reset_in_a_flood_ends_it, 0, 2 * N_SHAPES);
	tcase_add_loop_test(tc, the_reason_for_not_using_it_is_told, 0,
		(int)(sizeof refusals / sizeof *refusals));
	return net_run("uring", tc);
}
