/* Unit tests of net/batch: what a turn of an epoll loop sends goes with one system call. */
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "net/batch.h"
#include "net_calls.h"
#include "net_unit.h"
#include "tls_unit.h"

SEEN_OPS;

#define N_MAX (2 * BATCH_CONNS + 20)

/* --- a kernel that does not do all that it is asked --- */

static long submit_at_most = BATCH_CONNS; /* requests */
static bool interrupted;                  /* the last request is, by a signal */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* Source: Linux, fs/aio.c, struct aio_ring: the tail is the fourth number, 32 bytes of them. */
static long submit(aio_context_t ctx, long n, struct iocb **asked)
{
	struct iocb *last = n > 0 ? asked[n - 1] : NULL;
	const unsigned *ring = (const unsigned *)(uintptr_t)ctx;
	struct io_event *events = (struct io_event *)(uintptr_t)(ctx + 32);
	uint64_t len;
	long done;

	if (n > 0 && submit_at_most == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (n > submit_at_most)
		n = submit_at_most;
	if (last == NULL || !interrupted)
		return __real_syscall(SYS_io_submit, ctx, n, asked);
	len = last->aio_nbytes;
	last->aio_nbytes = 0; /* nothing was sent */
	done = __real_syscall(SYS_io_submit, ctx, n, asked);
	last->aio_nbytes = len;
	events[(ring[3] + ring[1] - 1) % ring[1]].res = -EINTR;
	return done;
}

long __wrap_syscall(long number, ...)
{
	va_list ap;
	long a[3];

	va_start(ap, number);
	for (unsigned i = 0; i < 3; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_io_submit)
		return submit((aio_context_t)a[0], a[1], (struct iocb **)(uintptr_t)a[2]);
	return __real_syscall(number, a[0], a[1], a[2]);
}

/* --- a crowd --- */

/* Conns that echo what comes, on one loop; the test has the other ends. */
struct crowd {
	struct loop *l;
	unsigned n;
	struct seen seen[N_MAX];
	int fd[N_MAX];
};

static struct crowd *crowd_new(unsigned n)
{
	struct crowd *cr = calloc(1, sizeof *cr);
	int fd[2];

	ck_assert_ptr_nonnull(cr);
	cr->l = loop_for_test();
	cr->n = n;
	for (unsigned i = 0; i < n; i++) {
		pair_unix(fd);
		seen_open(cr->l, fd[0], &cr->seen[i]);
		cr->seen[i].echo_to = cr->seen[i].c;
		cr->fd[i] = fd[1];
	}
	turns(cr->l, 3);
	no_calls_yet();
	return cr;
}

static void crowd_free(struct crowd *cr)
{
	for (unsigned i = 0; i < cr->n; i++) {
		conn_free(cr->seen[i].c);
		close(cr->fd[i]);
	}
	ck_assert_uint_eq(loop_bufpool(cr->l)->used_bytes, 0);
	loop_free(cr->l);
	free(cr);
}

/* Each says its number, in one turn. */
static void all_say(struct crowd *cr)
{
	for (unsigned i = 0; i < cr->n; i++)
		write_all(cr->fd[i], &i, sizeof i);
	turns(cr->l, 1);
}

static bool has_echo(int fd, unsigned want)
{
	unsigned got = ~want;

	return recv(fd, &got, sizeof got, MSG_DONTWAIT) == sizeof got && got == want;
}

START_TEST(all_that_a_turn_sends_goes_with_one_call)
{
	struct crowd *cr = crowd_new(3);

	all_say(cr);
	ck_assert_uint_eq(n_recv, 3);
	ck_assert_uint_eq(n_send, 0);
	for (unsigned i = 0; i < cr->n; i++) {
		ck_assert(has_echo(cr->fd[i], i));
		ck_assert_uint_eq(conn_out_len(cr->seen[i].c), 0);
		ck_assert_uint_eq(conn_bytes_out(cr->seen[i].c), sizeof i);
		ck_assert_uint_eq(cr->seen[i].n_drained, 0); /* nothing has waited */
	}
	crowd_free(cr);
}
END_TEST

START_TEST(a_lone_event_is_answered_at_once)
{
	struct crowd *cr = crowd_new(1);

	all_say(cr);
	ck_assert_uint_eq(n_send, 1);
	ck_assert(has_echo(cr->fd[0], 0));
	crowd_free(cr);
}
END_TEST

START_TEST(more_than_a_batch_goes_in_several)
{
	struct crowd *cr = crowd_new(N_MAX);

	for (unsigned turn = 0; turn < 20; turn++) { /* the kernel's ring runs round */
		all_say(cr);
		ck_assert_uint_eq(n_send, 0);
		for (unsigned i = 0; i < cr->n; i++)
			ck_assert(has_echo(cr->fd[i], i));
	}
	crowd_free(cr);
}
END_TEST

START_TEST(one_whose_peer_is_gone_does_not_hurt_the_others)
{
	struct crowd *cr = crowd_new(3);

	/* the events come in this order: when its peer has gone, what it is to be sent has come */
	cr->seen[0].echo_to = cr->seen[1].c;
	cr->seen[1].echo_to = NULL;
	conn_rx_pause(cr->seen[1].c);
	turns(cr->l, 1);
	close(cr->fd[1]);
	write_all(cr->fd[0], "x", 1);
	write_all(cr->fd[2], "y", 1);
	turns(cr->l, 1);
	turns(cr->l, 1);
	ck_assert_uint_eq(cr->seen[1].n_end, 1);
	ck_assert_int_eq(cr->seen[1].why, CONN_END_RESET);
	ck_assert_int_eq(conn_errno(cr->seen[1].c), EPIPE);
	ck_assert_uint_eq(n_send, 0);
	read_all(cr->fd[2], &(char){'-'}, 1);
	ck_assert_uint_eq(cr->seen[0].n_end + cr->seen[2].n_end, 0);
	cr->fd[1] = dup(cr->fd[0]);
	crowd_free(cr);
}
END_TEST

START_TEST(what_a_socket_does_not_take_goes_later)
{
	struct crowd *cr = crowd_new(2);
	static char said[8000];
	int small = 1; /* the kernel makes it its minimum */
	size_t total = 0;

	ck_assert_int_eq(
		setsockopt(conn_fd(cr->seen[0].c), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	for (unsigned i = 0; conn_out_len(cr->seen[0].c) == 0; i++) {
		ck_assert_uint_lt(i, 10);
		write_all(cr->fd[0], said, sizeof said);
		write_all(cr->fd[1], "y", 1);
		turns(cr->l, 1);
		read_all(cr->fd[1], &(char){'-'}, 1);
		total += sizeof said;
	}
	ck_assert_uint_eq(n_send, 0);
	ck_assert_uint_eq(cr->seen[0].n_drained, 0);
	ck_assert_uint_eq(read_while_turning(cr->l, cr->fd[0], total), total);
	turn_until(cr->l, cr->seen[0].n_drained == 1);
	crowd_free(cr);
}
END_TEST

START_TEST(what_the_kernel_does_not_begin_is_sent_one_by_one)
{
	struct crowd *cr = crowd_new(20);

	for (submit_at_most = 0; submit_at_most < cr->n; submit_at_most++) {
		no_calls_yet();
		all_say(cr);
		ck_assert_uint_eq(n_send, cr->n - submit_at_most);
		for (unsigned i = 0; i < cr->n; i++)
			ck_assert(has_echo(cr->fd[i], i));
	}
	submit_at_most = BATCH_CONNS;
	crowd_free(cr);
}
END_TEST

START_TEST(a_send_that_a_signal_interrupts_is_done_again)
{
	struct crowd *cr = crowd_new(3);

	interrupted = true;
	all_say(cr);
	interrupted = false;
	ck_assert_uint_eq(n_send, 1);
	for (unsigned i = 0; i < cr->n; i++)
		ck_assert(has_echo(cr->fd[i], i));
	crowd_free(cr);
}
END_TEST

/* What one conn is sent in one turn, among others, keeps its order; `more` is copied, or too much.
 */
static const size_t mores[] = {5000, 50000};

START_TEST(bytes_of_a_conn_keep_their_order)
{
	struct crowd *cr = crowd_new(5);
	static char more[50000], back[sizeof more];
	size_t len = mores[_i];

	for (unsigned i = 0; i < 4; i++)
		cr->seen[i].echo_to = cr->seen[3].c;
	memset(more, 'b', sizeof more);
	write_all(cr->fd[0], "aaaa", 4);
	write_all(cr->fd[1], more, len);
	write_all(cr->fd[4], "eeee", 4);
	write_all(cr->fd[2], "cccc", 4);
	write_all(cr->fd[3], "dddd", 4);
	turns(cr->l, 1);
	read_all(cr->fd[3], back, 4);
	ck_assert_int_eq(memcmp(back, "aaaa", 4), 0);
	read_all(cr->fd[3], back, len);
	ck_assert_int_eq(memcmp(back, more, len), 0);
	read_all(cr->fd[3], back, 8);
	ck_assert_int_eq(memcmp(back, "ccccdddd", 8), 0);
	read_all(cr->fd[4], back, 4);
	ck_assert_int_eq(memcmp(back, "eeee", 4), 0);
	crowd_free(cr);
}
END_TEST

/* Its last words go out although the batch was not sent yet. */
START_TEST(freed_and_detached_conns_have_sent_what_they_were_given)
{
	struct crowd *cr = crowd_new(4);

	cr->seen[0].on_data_do = FREE;
	cr->seen[1].on_data_do = FREE_FLUSHED;
	cr->seen[2].on_data_do = DETACH;
	cr->seen[2].leave = 0;
	for (unsigned i = 0; i < cr->n; i++)
		write_all(cr->fd[i], &i, sizeof i);
	turns(cr->l, 1);
	for (unsigned i = 0; i < cr->n; i++)
		ck_assert(has_echo(cr->fd[i], i));
	ck_assert_uint_eq(cr->seen[2].n_detached, 1);
	conn_free_detached(cr->seen[2].c);
	cr->seen[2].c = NULL;
	crowd_free(cr);
}
END_TEST

/* Seen by the calls: one before it, and one behind it, have nobody to go with. */
START_TEST(a_handshake_does_not_keep_what_came_before)
{
	struct crowd *cr = crowd_new(3);
	struct tls_ctx *ctx = NULL;
	char err[TLS_ERR_MAX];
	struct tls_conf conf;
	struct pki pki;

	pki_new(&pki);
	conf = pki_server(&pki);
	ck_assert_int_eq(tls_ctx_new(&conf, &ctx, err), OK);
	ck_assert_int_eq(conn_tls_accept(cr->seen[1].c, ctx), OK);
	turns(cr->l, 1);
	no_calls_yet();
	write_all(cr->fd[0], "a", 1);
	write_all(cr->fd[1], "GET / HTTP/1.0", 14);
	write_all(cr->fd[2], "c", 1);
	turns(cr->l, 1);
	ck_assert_uint_eq(cr->seen[1].n_end, 1);
	read_all(cr->fd[0], &(char){'-'}, 1);
	read_all(cr->fd[2], &(char){'-'}, 1);
	ck_assert_uint_eq(n_send, 2);
	tls_ctx_unref(ctx);
	pki_free(&pki);
	crowd_free(cr);
}
END_TEST

START_TEST(more_bytes_than_a_batch_holds_go_in_several)
{
	struct crowd *cr = crowd_new(3 * BATCH_LEN / BATCH_SEND_MAX);
	static char said[BATCH_SEND_MAX], back[sizeof said];

	for (unsigned i = 0; i < cr->n; i++) {
		memset(said, 'a' + (int)i, sizeof said);
		write_all(cr->fd[i], said, sizeof said);
	}
	turns(cr->l, 1);
	ck_assert_uint_eq(n_send, 0);
	for (unsigned i = 0; i < cr->n; i++) {
		memset(said, 'a' + (int)i, sizeof said);
		read_all(cr->fd[i], back, sizeof back);
		ck_assert_int_eq(memcmp(said, back, sizeof back), 0);
	}
	crowd_free(cr);
}
END_TEST

/* --- anything to anybody --- */

enum { N_MIXED = 8, MIXED_TURNS = 3000 };

struct mixed {
	struct mixed *all;
	struct conn *c;
	int fd;
	uint64_t *rnd;
	uint64_t put_sum, got_sum;
	size_t put, got;
};

static size_t mixed_on_data(void *arg, const uint8_t *data, size_t len)
{
	struct mixed *m = arg;
	struct mixed *to = &m->all[unit_random(m->rnd) % N_MIXED];

	conn_put(to->c, data, len);
	conn_flush(to->c);
	to->put_sum = sum_of(to->put_sum, data, len);
	to->put += len;
	return len;
}

static void mixed_take(struct mixed *m)
{
	static uint8_t back[20000];
	ssize_t r = recv(m->fd, back, 1 + unit_random(m->rnd) % sizeof back, MSG_DONTWAIT);

	if (r <= 0)
		return;
	m->got_sum = sum_of(m->got_sum, back, (size_t)r);
	m->got += (size_t)r;
}

/* Into sockets that take few bytes, from one conn to any: little and much, once a turn and more. */
START_TEST(random_bytes_arrive_whole)
{
	static const struct conn_ops ops = {.on_data = mixed_on_data};
	struct loop *l = loop_for_test();
	struct mixed all[N_MIXED] = {{0}};
	static uint8_t said[9000];
	uint64_t rnd = 5;
	int fd[2], small = 5000;
	bool done = false;

	for (unsigned i = 0; i < N_MIXED; i++) {
		pair_unix(fd);
		ck_assert_int_eq(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
		all[i] = (struct mixed){.all = all, .fd = fd[1], .rnd = &rnd};
		ck_assert_int_eq(conn_new(l, fd[0], &ops, &all[i], &test_limits, &all[i].c), OK);
	}
	for (unsigned turn = 0; turn < MIXED_TURNS || !done; turn++) {
		ck_assert_uint_lt(turn, 100 * MIXED_TURNS);
		done = true;
		for (unsigned i = 0; i < N_MIXED; i++) {
			size_t n = 1 + unit_random(&rnd) % (turn % 3 == 0 ? sizeof said : 200);

			for (size_t j = 0; j < n; j++)
				said[j] = (uint8_t)(turn + i + j);
			if (turn < MIXED_TURNS)
				write_all(all[i].fd, said, n);
			mixed_take(&all[i]);
			done = done && all[i].got == all[i].put;
		}
		turns(l, 1);
	}
	for (unsigned i = 0; i < N_MIXED; i++) {
		ck_assert_uint_gt(all[i].got, 0);
		ck_assert_uint_eq(all[i].got_sum, all[i].put_sum);
		conn_free(all[i].c);
		close(all[i].fd);
	}
	loop_free(l);
}
END_TEST

/* --- where the system does not offer it --- */

static const struct lack {
	long call;
	unsigned err;
	const char *why;
} lacks[] = {
	{SYS_io_setup, EPERM, "the system forbids io_submit (a container's seccomp filter)"},
	{SYS_io_submit, EPERM, "the system forbids io_submit (a container's seccomp filter)"},
	{SYS_io_setup, ENOSYS, "the kernel has no io_submit"},
	{SYS_io_setup, EAGAIN, "fs.aio-max-nr is used up"},
	{SYS_io_setup, EINVAL, "io_setup or io_submit has failed"},
};

/* In a child, where this call fails: 0 if each conn has sent for itself, and all has come. */
static int without(const struct lack *lack)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)lack->call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | lack->err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {.len = sizeof code / sizeof *code, .filter = code};
	struct crowd *cr;
	bool good;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		return 1;
	cr = crowd_new(3);
	all_say(cr);
	good = n_send == 3 && strcmp(loop_no_batch(cr->l), lack->why) == 0;
	for (unsigned i = 0; i < cr->n; i++)
		good = has_echo(cr->fd[i], i) && good;
	crowd_free(cr);
	return good ? 0 : 2;
}

START_TEST(each_sends_for_itself_where_it_is_not_offered)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(without(&lacks[_i]));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("batch");
	const char *why;
	struct batch *b = batch_new(&why);

	if (b == NULL) {
		fprintf(stderr, "SKIPPED: batches were NOT tested: %s\n", why);
		return 77;
	}
	batch_free(b);
	signal(SIGPIPE, SIG_IGN);
	tcase_add_test(tc, all_that_a_turn_sends_goes_with_one_call);
	tcase_add_test(tc, a_lone_event_is_answered_at_once);
	tcase_add_test(tc, more_than_a_batch_goes_in_several);
	tcase_add_test(tc, one_whose_peer_is_gone_does_not_hurt_the_others);
	tcase_add_test(tc, what_a_socket_does_not_take_goes_later);
	tcase_add_test(tc, what_the_kernel_does_not_begin_is_sent_one_by_one);
	tcase_add_test(tc, a_send_that_a_signal_interrupts_is_done_again);
	tcase_add_loop_test(tc, bytes_of_a_conn_keep_their_order, 0, 2);
	tcase_add_test(tc, freed_and_detached_conns_have_sent_what_they_were_given);
	tcase_add_test(tc, a_handshake_does_not_keep_what_came_before);
	tcase_add_test(tc, more_bytes_than_a_batch_holds_go_in_several);
	tcase_add_test(tc, random_bytes_arrive_whole);
	tcase_add_loop_test(
		tc, each_sends_for_itself_where_it_is_not_offered, 0, sizeof lacks / sizeof *lacks);
	return net_run("batch", tc);
}
