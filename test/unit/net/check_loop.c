/* Unit tests of net/loop: sleeping, waking, watching. */
#include <pthread.h>
#include <signal.h>

#include "net_unit.h"

SEEN_OPS;

struct hooks {
	struct loop *l;
	unsigned n_wake, n_before, n_after;
	bool asleep;
};

static void on_wake(void *arg)
{
	struct hooks *h = arg;

	ck_assert(!h->asleep);
	h->n_wake++;
}

static void before_sleep(void *arg)
{
	struct hooks *h = arg;

	ck_assert(!h->asleep);
	h->asleep = true;
	h->n_before++;
}

static void after_sleep(void *arg)
{
	struct hooks *h = arg;

	ck_assert(h->asleep);
	h->asleep = false;
	h->n_after++;
}

static void hooks_open(struct hooks *h)
{
	const struct loop_conf conf = {.engine = TEST_ENGINE,
		.rx_len = RX_LEN,
		.turn_budget = 4096,
		.on_wake = on_wake,
		.arg = h,
		.before_sleep = before_sleep,
		.after_sleep = after_sleep};

	*h = (struct hooks){0};
	ck_assert_int_eq(loop_new(&conf, &h->l), OK);
}

START_TEST(turn_in_the_past_does_not_sleep)
{
	struct loop *l = loop_for_test();
	uint64_t start = clock_now_us();

	turns(l, 100);
	ck_assert_uint_lt(clock_now_us() - start, 1000000);
	loop_free(l);
}
END_TEST

START_TEST(turn_ends_at_the_time_asked_for)
{
	struct loop *l = loop_for_test();

	for (unsigned ms = 1; ms < 60; ms += 7) {
		uint64_t until, now;

		turns(l, 1);
		until = loop_now_us(l) + ms * 1000;
		while (loop_now_us(l) < until)
			ck_assert_int_eq(loop_turn(l, until), OK);
		now = clock_now_us();
		ck_assert_uint_ge(now, until);
		ck_assert_uint_lt(now, until + 1000000);
	}
	loop_free(l);
}
END_TEST

START_TEST(a_later_time_is_slept_to_after_an_earlier_one_was_asked)
{
	struct loop *l = loop_for_test();
	uint64_t start;
	int fd[2];
	struct seen s = {0};

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	turns(l, 2);
	start = loop_now_us(l);
	write_all(fd[1], "x", 1);
	ck_assert_int_eq(loop_turn(l, start + 30000), OK); /* ends by the byte */
	ck_assert_uint_eq(s.n_data, 1);
	while (loop_now_us(l) < start + 120000)
		ck_assert_int_eq(loop_turn(l, start + 120000), OK);
	ck_assert_uint_ge(clock_now_us(), start + 120000);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

static void *wake_later(void *arg)
{
	struct hooks *h = arg;

	usleep(20000);
	for (unsigned i = 0; i < 100; i++)
		loop_wake(h->l);
	return NULL;
}

START_TEST(wake_from_another_thread_ends_the_sleep)
{
	struct hooks h;
	pthread_t t;

	hooks_open(&h);
	ck_assert_int_eq(pthread_create(&t, NULL, wake_later, &h), 0);
	while (h.n_wake == 0)
		ck_assert_int_eq(loop_turn(h.l, UINT64_MAX), OK);
	pthread_join(t, NULL);
	turns(h.l, 3);
	ck_assert_uint_ge(h.n_wake, 1);
	ck_assert_uint_eq(h.n_before, h.n_after);
	loop_free(h.l);
}
END_TEST

START_TEST(wake_before_the_sleep_is_not_lost)
{
	struct hooks h;

	hooks_open(&h);
	for (unsigned i = 1; i <= 1000; i++) {
		loop_wake(h.l);
		loop_wake(h.l);
		ck_assert_int_eq(loop_turn(h.l, UINT64_MAX), OK);
		ck_assert_uint_eq(h.n_wake, i);
	}
	loop_free(h.l);
}
END_TEST

struct watched {
	struct loop *l;
	struct loop_watch *w;
	int fd;
	unsigned n_read, n_write, n_signal;
	bool unwatch;
};

static void on_watched(void *arg, int what)
{
	struct watched *wd = arg;
	char c;

	wd->n_read += (what & LOOP_READ) != 0;
	wd->n_write += (what & LOOP_WRITE) != 0;
	if ((what & LOOP_READ) != 0 && wd->n_read == 3)
		ck_assert_int_eq(read(wd->fd, &c, 1), 1);
	if (wd->unwatch) {
		loop_unwatch(wd->w);
		wd->w = NULL;
	}
}

START_TEST(watch_is_level_triggered)
{
	struct watched wd = {.l = loop_for_test()};
	int fd[2];

	pair_unix(fd);
	wd.fd = fd[0];
	ck_assert_int_eq(loop_watch(wd.l, fd[0], LOOP_READ, on_watched, &wd, &wd.w), OK);
	turns(wd.l, 2);
	ck_assert_uint_eq(wd.n_read, 0);
	write_all(fd[1], "x", 1);
	turns(wd.l, 5);
	ck_assert_uint_eq(wd.n_read, 3); /* the third reads it */
	ck_assert_uint_eq(wd.n_write, 0);
	loop_unwatch(wd.w);
	wd.unwatch = true;
	ck_assert_int_eq(loop_watch(wd.l, fd[0], LOOP_WRITE, on_watched, &wd, &wd.w), OK);
	turns(wd.l, 5);
	ck_assert_uint_eq(wd.n_write, 1);
	ck_assert_ptr_null(wd.w);
	loop_unwatch(NULL);
	close(fd[0]);
	close(fd[1]);
	loop_free(wd.l);
}
END_TEST

static void on_signalled(void *arg, int signo)
{
	struct watched *wd = arg;

	ck_assert_int_eq(signo, SIGUSR1);
	wd->n_signal++;
}

START_TEST(signal_is_told_in_the_loop)
{
	struct watched wd = {.l = loop_for_test()};

	ck_assert_int_eq(loop_watch_signal(wd.l, SIGUSR1, on_signalled, &wd, &wd.w), OK);
	turns(wd.l, 2);
	ck_assert_uint_eq(wd.n_signal, 0);
	raise(SIGUSR1);
	turns(wd.l, 2);
	ck_assert_uint_eq(wd.n_signal, 1);
	loop_unwatch(wd.w);
	loop_free(wd.l);
}
END_TEST

START_TEST(ready_connection_keeps_the_loop_from_sleeping)
{
	struct loop *l = loop_for_test();
	struct seen s = {.leave_all = true};
	uint64_t start;
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	conn_rx_pause(s.c);
	conn_rx_resume(s.c);
	start = clock_now_us();
	ck_assert_int_eq(loop_turn(l, start + 50000), OK);
	ck_assert_uint_eq(s.n_data, 2);
	conn_free(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

/* --- late conns --- */

#define LATE 20u

/* What all share: how many late conns have been told, and of the other one when that was told. */
struct turns_seen {
	unsigned n_late, n_prompt;
	unsigned late_before; /* the last time the prompt one was told */
};

/* Takes longer than a turn has for late conns. */
static size_t late_on_data(void *arg, const uint8_t *data, size_t len)
{
	struct turns_seen *t = arg;
	uint64_t until = clock_now_us() + 1000;

	(void)data;
	t->n_late++;
	while (clock_now_us() < until)
		;
	return len;
}

static size_t prompt_on_data(void *arg, const uint8_t *data, size_t len)
{
	struct turns_seen *t = arg;

	(void)data;
	t->n_prompt++;
	t->late_before = t->n_late;
	return len;
}

static void never_ends(void *arg, enum conn_end why)
{
	(void)arg;
	(void)why;
	ck_abort_msg("nobody has closed");
}

START_TEST(one_long_step_of_a_late_conn_is_all_that_others_wait_for)
{
	static const struct conn_ops late_ops = {.on_data = late_on_data, .on_end = never_ends};
	static const struct conn_ops ops = {.on_data = prompt_on_data, .on_end = never_ends};
	struct loop *l = loop_for_test();
	struct turns_seen t = {0};
	struct conn *c[LATE + 1];
	int fd[LATE + 1][2];

	for (unsigned i = 0; i <= LATE; i++) {
		pair_unix(fd[i]);
		ck_assert_int_eq(
			conn_new(l, fd[i][0], i < LATE ? &late_ops : &ops, &t, &test_limits, &c[i]),
			OK);
		conn_set_late(c[i], i < LATE);
	}
	turns(l, 3);
	for (unsigned i = 0; i < LATE; i++)
		write_all(fd[i][1], "x", 1);
	for (unsigned i = 0; i < LATE; i++) {
		write_all(fd[LATE][1], "x", 1);
		ck_assert_int_eq(loop_turn(l, loop_now_us(l) + WAIT_US), OK);
		ck_assert_uint_eq(t.n_prompt, i + 1);
		ck_assert_uint_eq(t.late_before, i);
		ck_assert_uint_eq(t.n_late, i + 1);
	}
	for (unsigned i = 0; i <= LATE; i++) {
		conn_free(c[i]);
		close(fd[i][1]);
	}
	loop_free(l);
}
END_TEST

START_TEST(loop_does_not_sleep_while_a_late_conn_waits)
{
	static const struct conn_ops ops = {.on_data = late_on_data, .on_end = never_ends};
	struct loop *l = loop_for_test();
	struct turns_seen t = {0};
	struct conn *c[2];
	int fd[2][2];

	for (unsigned i = 0; i < 2; i++) {
		pair_unix(fd[i]);
		ck_assert_int_eq(conn_new(l, fd[i][0], &ops, &t, &test_limits, &c[i]), OK);
		conn_set_late(c[i], true);
	}
	turns(l, 3);
	for (unsigned i = 0; i < 2; i++)
		write_all(fd[i][1], "x", 1);
	ck_assert_int_eq(loop_turn(l, loop_now_us(l) + WAIT_US), OK);
	ck_assert_uint_eq(t.n_late, 1);
	ck_assert_int_eq(loop_turn(l, loop_now_us(l) + WAIT_US), OK);
	ck_assert_uint_eq(t.n_late, 2);
	ck_assert_uint_lt(loop_now_us(l), clock_now_us() + WAIT_US);
	for (unsigned i = 0; i < 2; i++) {
		conn_free(c[i]);
		close(fd[i][1]);
	}
	loop_free(l);
}
END_TEST

START_TEST(late_conn_hears_what_others_hear)
{
	struct loop *l = loop_for_test();
	struct seen s = {.record = true, .on_data_do = PAUSE};
	int fd[2];

	pair_tcp(fd);
	seen_open(l, fd[0], &s);
	conn_set_late(s.c, true);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	write_all(fd[1], "def", 3);
	close(fd[1]);
	turn_until(l, s.n_hangup == 1);
	ck_assert_uint_eq(s.total, 3);
	conn_rx_resume(s.c);
	turn_until(l, s.n_end == 1);
	ck_assert_int_eq(memcmp(s.got, "abcdef", 6), 0);
	ck_assert_int_eq(s.why, CONN_END_EOF);
	conn_free(s.c);
	loop_free(l);
}
END_TEST

START_TEST(conn_that_is_late_no_more_is_served_at_once)
{
	struct loop *l = loop_for_test();
	struct seen s = {.leave_all = true};
	int fd[2];

	pair_unix(fd);
	seen_open(l, fd[0], &s);
	conn_set_late(s.c, true);
	write_all(fd[1], "abc", 3);
	turn_until(l, s.n_data == 1);
	conn_set_late(s.c, false);
	s.leave_all = false;
	conn_rx_resume(s.c);
	turns(l, 1);
	ck_assert_uint_eq(s.total, 3);
	write_all(fd[1], "def", 3);
	turn_until(l, s.total == 6);
	conn_set_late(s.c, true);
	s.on_data_do = DETACH;
	write_all(fd[1], "ghi", 3);
	turn_until(l, s.n_detached == 1);
	conn_free_detached(s.c);
	close(fd[1]);
	loop_free(l);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("loop");

	tcase_add_test(tc, turn_in_the_past_does_not_sleep);
	tcase_add_test(tc, turn_ends_at_the_time_asked_for);
	tcase_add_test(tc, a_later_time_is_slept_to_after_an_earlier_one_was_asked);
	tcase_add_test(tc, wake_from_another_thread_ends_the_sleep);
	tcase_add_test(tc, wake_before_the_sleep_is_not_lost);
	tcase_add_test(tc, watch_is_level_triggered);
	if (TEST_ENGINE == LOOP_EPOLL)
		tcase_add_test(tc, signal_is_told_in_the_loop);
	tcase_add_test(tc, ready_connection_keeps_the_loop_from_sleeping);
	tcase_add_test(tc, one_long_step_of_a_late_conn_is_all_that_others_wait_for);
	tcase_add_test(tc, loop_does_not_sleep_while_a_late_conn_waits);
	tcase_add_test(tc, late_conn_hears_what_others_hear);
	tcase_add_test(tc, conn_that_is_late_no_more_is_served_at_once);
	return net_run("loop", tc);
}
