/*
 * net_unit - what the tests of net/ share: loops, pairs of sockets, and an owner of a conn that
 * records what it is told and does what the test says.
 */
#ifndef PGWEIR_TEST_NET_UNIT_H
#define PGWEIR_TEST_NET_UNIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/loop.h"
#include "unit.h"

#ifndef TEST_ENGINE
#define TEST_ENGINE LOOP_EPOLL /* the programs check_*_uring are built with LOOP_URING */
#endif

#define RX_LEN  65536u
#define WAIT_US 20000000u /* a test that waits longer has failed */

static inline uint64_t clock_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static inline struct loop *loop_for_test(void)
{
	const struct loop_conf conf = {.engine = TEST_ENGINE,
		.rx_len = RX_LEN,
		.bufpool_keep_max = 1u << 20,
		.turn_budget = 256u << 10};
	struct loop *l;

	ck_assert_int_eq(loop_new(&conf, &l), OK);
	return l;
}

/* Turn the loop until `cond` holds. */
#define turn_until(l, cond)                                                                    \
	do {                                                                                   \
		uint64_t give_up_ = clock_now_us() + WAIT_US;                                  \
		while (!(cond)) {                                                              \
			ck_assert_msg(clock_now_us() < give_up_, "never became true: " #cond); \
			ck_assert_int_eq(loop_turn((l), loop_now_us(l) + 100000), OK);         \
		}                                                                              \
	} while (0)

static inline void turns(struct loop *l, unsigned n)
{
	while (n-- != 0)
		ck_assert_int_eq(loop_turn(l, 0), OK);
}

/* As unit_run, on the engine that the program is built for. */
static inline int net_run(const char *name, TCase *tc)
{
	const char *why = "";

	if (TEST_ENGINE == LOOP_URING && loop_uring_offered(&why) != OK) {
		fprintf(stderr, "SKIPPED: %s on io_uring was NOT tested: %s\n", name, why);
		return 77;
	}
	return unit_run(name, tc);
}

/* What was flushed has gone: io_uring sends it when the kernel is entered. */
static inline void sent_by(struct loop *l)
{
	if (TEST_ENGINE == LOOP_URING)
		turns(l, 1);
}

/* Calls of recv and send that the scene costs; io_uring needs none. */
static inline unsigned calls(unsigned n)
{
	return TEST_ENGINE == LOOP_URING ? 0 : n;
}

/* --- sockets --- */

static inline void pair_unix(int fd[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

/* A connection over loopback: fd[0] connected, fd[1] accepted. */
static inline void pair_tcp(int fd[2])
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof sin;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(l, (struct sockaddr *)&sin, sizeof sin), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd[0], (struct sockaddr *)&sin, sizeof sin), 0);
	fd[1] = accept(l, NULL, NULL);
	ck_assert_int_ge(fd[1], 0);
	close(l);
}

static inline void close_with_reset(int fd)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
	close(fd);
}

static inline void write_all(int fd, const void *p, size_t len)
{
	const char *from = p;

	while (len != 0) {
		ssize_t n = write(fd, from, len);

		ck_assert_int_gt(n, 0);
		from += n;
		len -= (size_t)n;
	}
}

static inline void read_all(int fd, void *p, size_t len)
{
	char *to = p;

	while (len != 0) {
		ssize_t n = read(fd, to, len);

		ck_assert_int_gt(n, 0);
		to += n;
		len -= (size_t)n;
	}
}

/* --- an owner --- */

enum deed {
	NOTHING,
	FREE,
	FREE_FLUSHED,
	DETACH,
	PAUSE,
	PAUSE_AND_RESUME,
	NEW_OWNER,
	TLS_ACCEPT,
	CONSUME
};

struct seen {
	struct conn *c;
	/* what the test wants */
	size_t leave;         /* bytes at the end of each on_data that are left */
	bool leave_all;       /* all of them */
	bool record;          /* append what is consumed to `got` */
	enum deed on_data_do; /* and so on for each callback; done once, then NOTHING */
	enum deed on_drained_do;
	enum deed on_ready_do;
	enum deed on_hangup_do;
	enum deed on_end_do;
	struct seen *new_owner;
	struct tls_ctx *tls_ctx;
	struct conn *echo_to; /* put consumed bytes to this conn */
	/* what was seen */
	unsigned n_data, n_drained, n_ready, n_hangup, n_end, n_detached;
	enum conn_end why;
	size_t last_len;
	uint64_t total; /* bytes consumed */
	uint64_t sum;   /* of them, order matters */
	size_t got_len;
	char got[8192];
};

extern const struct conn_ops seen_ops;

static inline void seen_detached(void *arg, struct conn *c)
{
	struct seen *s = arg;

	ck_assert_ptr_eq(s->c, c);
	s->n_detached++;
}

static inline void seen_do(struct seen *s, enum deed *deed)
{
	enum deed d = *deed;

	*deed = NOTHING;
	switch (d) {
	case NOTHING:
		break;
	case FREE:
		conn_free(s->c);
		s->c = NULL;
		break;
	case FREE_FLUSHED:
		conn_put(s->c, "bye", 3);
		conn_free_flushed(s->c, 1000);
		s->c = NULL;
		break;
	case DETACH:
		conn_detach(s->c, seen_detached, s);
		break;
	case PAUSE:
		conn_rx_pause(s->c);
		break;
	case PAUSE_AND_RESUME:
		conn_rx_pause(s->c);
		conn_rx_resume(s->c);
		break;
	case NEW_OWNER:
		s->new_owner->c = s->c;
		conn_set_owner(s->c, &seen_ops, s->new_owner);
		s->c = NULL;
		break;
	case CONSUME:
		conn_consume(s->c, 2);
		break;
	case TLS_ACCEPT:
		conn_put(s->c, "S", 1);
		ck_assert_int_eq(conn_tls_accept(s->c, s->tls_ctx), OK);
		break;
	}
}

static inline uint64_t sum_of(uint64_t sum, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + b[i];
	return sum;
}

static inline size_t seen_on_data(void *arg, const uint8_t *data, size_t len)
{
	struct seen *s = arg;
	size_t n = s->leave_all ? 0 : len > s->leave ? len - s->leave : 0;

	ck_assert_uint_gt(len, 0);
	s->n_data++;
	s->last_len = len;
	if (s->record) {
		ck_assert_uint_le(n, sizeof s->got - s->got_len);
		memcpy(s->got + s->got_len, data, n);
		s->got_len += n;
	}
	s->total += n;
	s->sum = sum_of(s->sum, data, n);
	if (s->echo_to != NULL) {
		conn_put(s->echo_to, data, n);
		conn_flush(s->echo_to);
	}
	seen_do(s, &s->on_data_do);
	/* the chunk lives until we return, whatever has been done to the conn */
	(void)*(const volatile uint8_t *)(data + len - 1);
	return n;
}

static inline void seen_on_drained(void *arg)
{
	struct seen *s = arg;

	ck_assert_uint_eq(conn_out_len(s->c), 0);
	s->n_drained++;
	seen_do(s, &s->on_drained_do);
}

static inline void seen_on_ready(void *arg)
{
	struct seen *s = arg;

	s->n_ready++;
	seen_do(s, &s->on_ready_do);
}

static inline void seen_on_hangup(void *arg)
{
	struct seen *s = arg;

	s->n_hangup++;
	seen_do(s, &s->on_hangup_do);
}

static inline void seen_on_end(void *arg, enum conn_end why)
{
	struct seen *s = arg;

	ck_assert_str_ne(conn_error_text(s->c), "");
	s->n_end++;
	s->why = why;
	seen_do(s, &s->on_end_do);
}

#define SEEN_OPS                                                   \
	const struct conn_ops seen_ops = {.on_data = seen_on_data, \
		.on_drained = seen_on_drained,                     \
		.on_ready = seen_on_ready,                         \
		.on_hangup = seen_on_hangup,                       \
		.on_end = seen_on_end}

static const struct conn_limits test_limits = {.rx_keep_max = 65536, .out_max = 64u << 20};

/* A conn on `fd` whose owner is `s`, which starts as it is set up. */
static inline void seen_open(struct loop *l, int fd, struct seen *s)
{
	ck_assert_int_eq(conn_new(l, fd, &seen_ops, s, &test_limits, &s->c), OK);
}

/* Fill the socket until the conn has to keep output. Returns bytes put. */
static inline size_t fill(struct conn *c)
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
static inline size_t read_while_turning(struct loop *l, int fd, size_t want)
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

#endif
