/* Unit tests of net/listen. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "net/listen.h"
#include "net_unit.h"

SEEN_OPS;

static const struct listen_opts plain = {.backlog = 128, .unix_mode = 0700, .unix_gid = (gid_t)-1};

static char dir[64];

static void setup(void)
{
	strcpy(dir, "/tmp/pgweir-listen-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/.s.PGSQL.1", dir);
	unlink(path);
	rmdir(dir);
}

/* Listen on any free port of `host`; a->port is set to it. */
static int open_any(const char *host, const struct listen_opts *opts, struct net_addr *a)
{
	char err[LISTEN_ERR_MAX] = "";
	int fd;

	ck_assert_int_eq(net_addr_parse(host, 0, a), OK);
	ck_assert_msg(listen_open(a, opts, &fd, err) == OK, "%s", err);
	a->len = sizeof a->u;
	ck_assert_int_eq(getsockname(fd, &a->u.sa, &a->len), 0);
	return fd;
}

static int connect_to(const struct net_addr *a)
{
	int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, &a->u.sa, a->len), 0);
	return fd;
}

/* --- sockets --- */

START_TEST(second_listener_is_found_by_the_probe)
{
	struct listen_opts shared = plain;
	struct net_addr a;
	char err[LISTEN_ERR_MAX];
	int one, two;

	one = open_any("127.0.0.1", &plain, &a);
	ck_assert_int_eq(listen_probe(&a), E_EXISTS);
	ck_assert_int_eq(listen_open(&a, &plain, &two, err), E_EXISTS);
	ck_assert_ptr_nonnull(strstr(err, "bind 127.0.0.1 port "));
	close(one);
	ck_assert_int_eq(listen_probe(&a), OK);
	/* SO_REUSEPORT lets members in, and would let another daemon in */
	shared.reuse_port = true;
	one = open_any("127.0.0.1", &shared, &a);
	ck_assert_int_eq(listen_open(&a, &shared, &two, err), OK);
	ck_assert_int_eq(listen_probe(&a), E_EXISTS);
	close(two);
	ck_assert_int_eq(listen_probe(&a), E_EXISTS);
	close(one);
	ck_assert_int_eq(listen_probe(&a), OK);
}
END_TEST

START_TEST(silent_connection_is_not_accepted_while_that_is_deferred)
{
	struct net_addr a;
	int fd = open_any("127.0.0.1", &plain, &a), client;

	listen_defer_accept(fd, 45);
	client = connect_to(&a);
	usleep(50000);
	ck_assert_int_eq(accept(fd, NULL, NULL), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(send(client, "x", 1, 0), 1);
	usleep(50000);
	ck_assert_int_ge(accept(fd, NULL, NULL), 0);
	listen_defer_accept(fd, 0);
	ck_assert_int_ge(connect_to(&a), 0);
	usleep(50000);
	ck_assert_int_ge(accept(fd, NULL, NULL), 0);
}
END_TEST

START_TEST(every_host_form_resolves)
{
	struct net_addr a[LISTEN_ADDRS_MAX];
	char err[LISTEN_ERR_MAX] = "", text[NET_ADDR_TEXT_MAX], path[300];
	size_t n;

	ck_assert_int_eq(listen_resolve("*", 6432, a, LISTEN_ADDRS_MAX, &n, err), OK);
	ck_assert_uint_ge(n, 1);
	ck_assert_str_eq(net_addr_format(&a[0], text, sizeof text), "0.0.0.0");
	ck_assert_int_eq(listen_resolve("::1", 6432, a, LISTEN_ADDRS_MAX, &n, err), OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(listen_resolve("localhost", 6432, a, LISTEN_ADDRS_MAX, &n, err), OK);
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_eq(net_addr_port(&a[0]), 6432);
	ck_assert_int_eq(listen_resolve(dir, 6432, a, LISTEN_ADDRS_MAX, &n, err), OK);
	ck_assert(net_addr_is_unix(&a[0]));
	memset(path, 'x', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	ck_assert_int_eq(listen_resolve(path, 6432, a, LISTEN_ADDRS_MAX, &n, err), E_LIMIT);
	ck_assert_int_eq(
		listen_resolve("no such.invalid", 6432, a, LISTEN_ADDRS_MAX, &n, err), E_NOTFOUND);
	ck_assert_ptr_nonnull(strstr(err, "no such.invalid: "));
}
END_TEST

START_TEST(all_of_ipv4_and_ipv6_listen_side_by_side)
{
	struct net_addr a[LISTEN_ADDRS_MAX], any;
	char err[LISTEN_ERR_MAX];
	int fd[LISTEN_ADDRS_MAX];
	size_t n;

	close(open_any("0.0.0.0", &plain, &any));
	ck_assert_int_eq(
		listen_resolve("*", net_addr_port(&any), a, LISTEN_ADDRS_MAX, &n, err), OK);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(listen_open(&a[i], &plain, &fd[i], err), OK);
	for (size_t i = 0; i < n; i++)
		close(fd[i]);
}
END_TEST

START_TEST(unix_socket_has_its_mode_and_replaces_a_dead_one)
{
	struct net_addr a;
	struct stat sb;
	char err[LISTEN_ERR_MAX] = "";
	int fd, two;
	uid_t uid;

	ck_assert_int_eq(net_addr_parse(dir, 1, &a), OK);
	ck_assert_int_eq(listen_probe(&a), OK);
	ck_assert_int_eq(listen_open(&a, &plain, &fd, err), OK);
	ck_assert_int_eq(stat(a.u.un.sun_path, &sb), 0);
	ck_assert_int_eq(sb.st_mode & 0777, 0700);
	/* alive: refused */
	ck_assert_int_eq(listen_probe(&a), E_EXISTS);
	ck_assert_int_eq(listen_open(&a, &plain, &two, err), E_EXISTS);
	ck_assert_ptr_nonnull(strstr(err, "another process listens there"));
	two = connect_to(&a);
	ck_assert_int_eq(listen_peer_uid(two, &uid), OK);
	ck_assert_uint_eq(uid, getuid());
	close(two);
	/* dead: replaced */
	close(fd);
	ck_assert_int_eq(stat(a.u.un.sun_path, &sb), 0);
	ck_assert_int_eq(listen_probe(&a), OK);
	ck_assert_int_eq(listen_open(&a, &plain, &fd, err), OK);
	close(connect_to(&a));
	/* removed at the end */
	listen_unlink(fd);
	ck_assert_int_eq(stat(a.u.un.sun_path, &sb), -1);
	close(fd);
}
END_TEST

START_TEST(file_that_is_no_socket_is_left_alone)
{
	struct net_addr a;
	struct stat sb;
	char err[LISTEN_ERR_MAX] = "";
	FILE *f;
	int fd;

	ck_assert_int_eq(net_addr_parse(dir, 1, &a), OK);
	f = fopen(a.u.un.sun_path, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	ck_assert_int_eq(listen_open(&a, &plain, &fd, err), E_INVALID);
	ck_assert_ptr_nonnull(strstr(err, "not a socket"));
	ck_assert_int_eq(stat(a.u.un.sun_path, &sb), 0);
}
END_TEST

START_TEST(missing_folder_is_named)
{
	struct net_addr a;
	char err[LISTEN_ERR_MAX] = "";
	int fd;

	ck_assert_int_eq(net_addr_parse("/no/such/folder", 1, &a), OK);
	ck_assert_int_eq(listen_open(&a, &plain, &fd, err), E_IO);
	ck_assert_str_eq(err, "bind /no/such/folder/.s.PGSQL.1: No such file or directory");
}
END_TEST

START_TEST(abstract_socket_needs_no_file)
{
	struct net_addr a;
	char err[LISTEN_ERR_MAX] = "", name[64];
	int fd, two;

	snprintf(name, sizeof name, "@pgweir-test-%d", (int)getpid());
	ck_assert_int_eq(net_addr_parse(name, 1, &a), OK);
	ck_assert_int_eq(listen_open(&a, &plain, &fd, err), OK);
	ck_assert_int_eq(listen_open(&a, &plain, &two, err), E_EXISTS);
	close(connect_to(&a));
	listen_unlink(fd);
	close(fd);
	ck_assert_int_eq(listen_probe(&a), OK);
}
END_TEST

/* --- accepting --- */

struct door {
	struct listener *ln;
	unsigned n_accept, n_trouble;
	int err;
	int fd[256];
	bool free_in_accept, pause_in_accept;
	struct net_addr from;
};

static void on_accept(void *arg, int fd, const struct net_addr *from)
{
	struct door *d = arg;

	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	d->fd[d->n_accept++] = fd;
	d->from = *from;
	if (d->free_in_accept) {
		listener_free(d->ln);
		d->ln = NULL;
	}
	if (d->pause_in_accept)
		ck_assert_int_eq(listener_set_paused(d->ln, true), OK);
}

static void on_trouble(void *arg, int err)
{
	struct door *d = arg;

	d->n_trouble++;
	d->err = err;
}

static const struct listener_ops door_ops = {on_accept, on_trouble};

static void close_all(struct door *d)
{
	for (unsigned i = 0; i < d->n_accept; i++)
		close(d->fd[i]);
	d->n_accept = 0;
}

START_TEST(connections_are_accepted_in_bounded_batches)
{
	struct loop *l = loop_for_test();
	struct door d = {0};
	struct net_addr a;
	char text[NET_ADDR_TEXT_MAX];
	int fd = open_any("127.0.0.1", &plain, &a);
	int c[100];

	ck_assert_int_eq(listener_new(l, fd, &door_ops, &d, &d.ln), OK);
	for (unsigned i = 0; i < 100; i++)
		c[i] = connect_to(&a);
	turns(l, 1);
	ck_assert_uint_eq(d.n_accept, 1); /* it may have come alone */
	for (unsigned n = 1; n < 100; n = d.n_accept) {
		turns(l, 1);
		ck_assert_uint_le(d.n_accept, n + LISTEN_BATCH);
	}
	ck_assert_str_eq(net_addr_format(&d.from, text, sizeof text), "127.0.0.1");
	ck_assert_uint_eq(d.n_trouble, 0);
	for (unsigned i = 0; i < 100; i++)
		close(c[i]);
	close_all(&d);
	listener_free(d.ln);
	listener_free(NULL);
	close(fd);
	loop_free(l);
}
END_TEST

/* A turn of a busy loop lasts longer than the pause after which somebody comes alone. */
START_TEST(long_turns_do_not_make_a_crowd_come_one_by_one)
{
	struct loop *l = loop_for_test();
	struct door d = {0};
	struct net_addr a;
	int fd = open_any("127.0.0.1", &plain, &a);
	int c[40];
	unsigned n;

	ck_assert_int_eq(listener_new(l, fd, &door_ops, &d, &d.ln), OK);
	for (unsigned i = 0; i < 40; i++)
		c[i] = connect_to(&a);
	for (n = 0; d.n_accept < 40; n++) {
		turns(l, 1);
		usleep(2 * LISTEN_ALONE_US);
	}
	ck_assert_uint_le(n, 12); /* 1, 2, 4, 8 … */
	for (unsigned i = 0; i < 40; i++)
		close(c[i]);
	close_all(&d);
	listener_free(d.ln);
	close(fd);
	loop_free(l);
}
END_TEST

#define LATE 6u

static size_t on_late_data(void *arg, const uint8_t *data, size_t len)
{
	unsigned *n = arg;

	(void)data;
	++*n;
	usleep(1000); /* longer than a turn has for late ones */
	return len;
}

static void on_late_end(void *arg, enum conn_end why)
{
	(void)arg;
	(void)why;
}

START_TEST(while_late_ones_wait_they_get_one_more_a_turn)
{
	static const struct conn_ops late_ops = {.on_data = on_late_data, .on_end = on_late_end};
	struct loop *l = loop_for_test();
	struct door d = {0};
	struct net_addr a;
	struct conn *late[LATE];
	int fd = open_any("127.0.0.1", &plain, &a), pair[LATE][2], c[40];
	unsigned n = 0;

	for (unsigned i = 0; i < LATE; i++) {
		pair_unix(pair[i]);
		ck_assert_int_eq(
			conn_new(l, pair[i][0], &late_ops, &n, &test_limits, &late[i]), OK);
		conn_set_late(late[i], true);
	}
	turns(l, 3);
	for (unsigned i = 0; i < LATE; i++)
		write_all(pair[i][1], "x", 1);
	turns(l, 1); /* they are all on the list, and one is done */
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(listener_new(l, fd, &door_ops, &d, &d.ln), OK);
	for (unsigned i = 0; i < 40; i++)
		c[i] = connect_to(&a);
	for (unsigned i = 0; i < LATE && n < LATE; i++) {
		ck_assert_uint_eq(d.n_accept, i);
		turns(l, 1);
	}
	ck_assert_uint_eq(n, LATE);
	turns(l, 3);
	ck_assert_uint_gt(d.n_accept, LATE + 3);
	for (unsigned i = 0; i < 40; i++)
		close(c[i]);
	for (unsigned i = 0; i < LATE; i++) {
		conn_free(late[i]);
		close(pair[i][1]);
	}
	close_all(&d);
	listener_free(d.ln);
	close(fd);
	loop_free(l);
}
END_TEST

START_TEST(paused_listener_leaves_connections_in_the_backlog)
{
	struct loop *l = loop_for_test();
	struct door d = {.pause_in_accept = true};
	struct net_addr a;
	int fd = open_any("127.0.0.1", &plain, &a);
	int c[3];

	ck_assert_int_eq(listener_new(l, fd, &door_ops, &d, &d.ln), OK);
	for (unsigned i = 0; i < 3; i++)
		c[i] = connect_to(&a);
	turns(l, 5);
	ck_assert_uint_eq(d.n_accept, 1);
	d.pause_in_accept = false;
	ck_assert_int_eq(listener_set_paused(d.ln, false), OK);
	ck_assert_int_eq(listener_set_paused(d.ln, false), OK);
	turns(l, 5);
	ck_assert_uint_eq(d.n_accept, 3);
	d.free_in_accept = true;
	close(c[0]);
	c[0] = connect_to(&a);
	turn_until(l, d.ln == NULL);
	turns(l, 2);
	for (unsigned i = 0; i < 3; i++)
		close(c[i]);
	close_all(&d);
	close(fd);
	loop_free(l);
}
END_TEST

START_TEST(without_descriptors_accepting_rests_and_goes_on)
{
	struct loop *l = loop_for_test();
	struct door d = {0};
	struct net_addr a;
	struct rlimit few, was;
	int fd = open_any("127.0.0.1", &plain, &a);
	int c[4];
	uint64_t start;
	unsigned n = 0;

	ck_assert_int_eq(listener_new(l, fd, &door_ops, &d, &d.ln), OK);
	for (unsigned i = 0; i < 4; i++)
		c[i] = connect_to(&a);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = (rlim_t)c[3] + 3; /* two more */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	start = clock_now_us();
	while (clock_now_us() < start + 250000) {
		ck_assert_int_eq(loop_turn(l, start + 250000), OK);
		n++;
	}
	ck_assert_uint_eq(d.n_accept, 2);
	ck_assert_uint_eq(d.n_trouble, 1); /* once, though it has tried again */
	ck_assert_int_eq(d.err, EMFILE);
	ck_assert_uint_lt(n, 20); /* it has rested */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	turn_until(l, d.n_accept == 4);
	for (unsigned i = 0; i < 4; i++)
		close(c[i]);
	close_all(&d);
	listener_free(d.ln);
	close(fd);
	loop_free(l);
}
END_TEST

START_TEST(listener_may_go_while_it_rests)
{
	struct loop *l = loop_for_test();
	struct door d = {0};
	struct net_addr a;
	struct rlimit few, was;
	int fd = open_any("127.0.0.1", &plain, &a);
	int c = connect_to(&a);

	ck_assert_int_eq(listener_new(l, fd, &door_ops, &d, &d.ln), OK);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = (rlim_t)c + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	turn_until(l, d.n_trouble == 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	listener_free(d.ln);
	turns(l, 2);
	close(c);
	close(fd);
	loop_free(l);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("listen");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, second_listener_is_found_by_the_probe);
	tcase_add_test(tc, silent_connection_is_not_accepted_while_that_is_deferred);
	tcase_add_test(tc, every_host_form_resolves);
	tcase_add_test(tc, all_of_ipv4_and_ipv6_listen_side_by_side);
	tcase_add_test(tc, unix_socket_has_its_mode_and_replaces_a_dead_one);
	tcase_add_test(tc, file_that_is_no_socket_is_left_alone);
	tcase_add_test(tc, missing_folder_is_named);
	tcase_add_test(tc, abstract_socket_needs_no_file);
	tcase_add_test(tc, connections_are_accepted_in_bounded_batches);
	tcase_add_test(tc, long_turns_do_not_make_a_crowd_come_one_by_one);
	tcase_add_test(tc, while_late_ones_wait_they_get_one_more_a_turn);
	tcase_add_test(tc, paused_listener_leaves_connections_in_the_backlog);
	tcase_add_test(tc, without_descriptors_accepting_rests_and_goes_on);
	tcase_add_test(tc, listener_may_go_while_it_rests);
	return net_run("listen", tc);
}
