/*
 * storm - logs many clients in at once with libpq, and says how long that took.
 *
 *	storm CONNINFO N
 *
 * All N connections are begun before the first is answered; each goes on as soon as its socket
 * lets it. Prints "in=N failed=N us=N" when all are in, or have failed; ends, and they with it,
 * when its standard input does.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 20000l
#define EVENTS      256
#define WAIT_MS     60000

struct storm {
	PGconn **conns;
	long n, n_in, n_failed;
	int epoll;
};

static void die(const char *what)
{
	(void)fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* One step of a login. It is watched for what it waits for, and no more once it has ended. */
static void go_on(struct storm *s, PGconn *conn, int op)
{
	PostgresPollingStatusType wants = PQconnectPoll(conn);
	struct epoll_event ev = {
		.events = wants == PGRES_POLLING_WRITING ? EPOLLOUT : EPOLLIN, .data.ptr = conn};

	if (wants == PGRES_POLLING_OK || wants == PGRES_POLLING_FAILED) {
		s->n_in += wants == PGRES_POLLING_OK;
		s->n_failed += wants == PGRES_POLLING_FAILED;
		if (wants == PGRES_POLLING_FAILED)
			(void)fprintf(stderr, "storm: %s", PQerrorMessage(conn));
		else
			(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, PQsocket(conn), NULL);
		return;
	}
	if (epoll_ctl(s->epoll, op, PQsocket(conn), &ev) != 0)
		die("epoll_ctl");
}

static void begin(struct storm *s, const char *conninfo)
{
	for (long i = 0; i < s->n; i++) {
		struct epoll_event ev = {.events = EPOLLOUT};

		s->conns[i] = PQconnectStart(conninfo);
		if (s->conns[i] == NULL || PQstatus(s->conns[i]) == CONNECTION_BAD)
			die("PQconnectStart");
		ev.data.ptr = s->conns[i];
		if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, PQsocket(s->conns[i]), &ev) != 0)
			die("epoll_ctl");
	}
}

static void log_in(struct storm *s)
{
	struct epoll_event ready[EVENTS];

	while (s->n_in + s->n_failed < s->n) {
		int n = epoll_wait(s->epoll, ready, EVENTS, WAIT_MS);

		if (n == 0)
			errno = ETIMEDOUT;
		if (n <= 0)
			die("logging in");
		for (int i = 0; i < n; i++)
			go_on(s, ready[i].data.ptr, EPOLL_CTL_MOD);
	}
}

int main(int argc, char **argv)
{
	struct storm s = {.n = argc == 3 ? strtol(argv[2], NULL, 10) : 0};
	uint64_t start;

	if (s.n < 1 || s.n > CLIENTS_MAX) {
		(void)fprintf(stderr, "usage: storm CONNINFO N   (1 to %ld)\n", CLIENTS_MAX);
		return 2;
	}
	s.conns = calloc((size_t)s.n, sizeof *s.conns);
	s.epoll = epoll_create1(0);
	if (s.conns == NULL || s.epoll < 0)
		die("no memory");
	start = now_us();
	begin(&s, argv[1]);
	log_in(&s);
	printf("in=%ld failed=%ld us=%lu\n", s.n_in, s.n_failed, (unsigned long)(now_us() - start));
	(void)fflush(stdout);
	while (getchar() != EOF)
		;
	return s.n_failed != 0;
}
