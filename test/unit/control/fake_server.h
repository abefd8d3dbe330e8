/*
 * fake_server - a thread that plays one PostgreSQL server by a script, for tests of our own
 * connections.
 */
#ifndef PGWEIR_TEST_FAKE_SERVER_H
#define PGWEIR_TEST_FAKE_SERVER_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_server {
	int fd;
	uint16_t port;
	pthread_t thread;
	atomic_bool may_go_on; /* the script waits for it with fake_wait */
	char startup[4096];    /* the start-up packet's parameters, NULs as newlines */
	int conn;
};

/* --- what scripts are made of; a lost connection ends the thread --- */

static inline void fake_send(struct fake_server *s, const void *p, size_t n)
{
	if (send(s->conn, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		pthread_exit(NULL);
}

static inline void fake_read(struct fake_server *s, void *p, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t k = read(s->conn, (char *)p + got, n - got);

		if (k <= 0)
			pthread_exit(NULL);
		got += (size_t)k;
	}
}

static inline void fake_message(struct fake_server *s, char type, const void *body, size_t n)
{
	uint32_t len = htonl((uint32_t)n + 4);

	fake_send(s, &type, 1);
	fake_send(s, &len, 4);
	fake_send(s, body, n);
}

/* Reads the start-up packet; refuses TLS if it is asked for. */
static inline void fake_startup(struct fake_server *s)
{
	char packet[4096];
	uint32_t len;

	for (;;) {
		fake_read(s, &len, 4);
		len = ntohl(len) - 4;
		if (len > sizeof packet)
			pthread_exit(NULL);
		fake_read(s, packet, len);
		if (len != 4)
			break;
		fake_send(s, "N", 1);
	}
	for (uint32_t i = 4; i < len; i++)
		s->startup[i - 4] = packet[i] != '\0' ? packet[i] : '\n';
}

static inline void fake_param(struct fake_server *s, const char *name, const char *value)
{
	char body[128];
	int n = snprintf(body, sizeof body, "%s%c%s", name, 0, value) + 1;

	fake_message(s, 'S', body, (size_t)n);
}

static inline void fake_ready(struct fake_server *s)
{
	fake_message(s, 'Z', "I", 1);
}

static inline void fake_login(struct fake_server *s)
{
	fake_startup(s);
	fake_message(s, 'R', "\0\0\0\0", 4);
	fake_param(s, "server_version", "16.2");
	fake_param(s, "client_encoding", "SQL_ASCII");
	fake_message(s, 'K', "\0\0\0\1\0\0\0\2", 8);
	fake_ready(s);
}

/* The text of the next Query goes to `sql`. */
static inline void fake_query(struct fake_server *s, char *sql, size_t cap)
{
	uint32_t len;
	char type;

	fake_read(s, &type, 1);
	fake_read(s, &len, 4);
	len = ntohl(len) - 4;
	if (type != 'Q' || len > cap)
		pthread_exit(NULL);
	fake_read(s, sql, len);
}

static inline void fake_columns(struct fake_server *s, unsigned n)
{
	static const char column[] = "c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
	char body[1024] = {0, (char)n};

	for (unsigned i = 0; i < n; i++)
		memcpy(body + 2 + i * 20, column, 20);
	fake_message(s, 'T', body, 2 + n * 20);
}

static inline void fake_row(struct fake_server *s, const char *value)
{
	char body[256] = {0, 1};
	uint32_t len = htonl((uint32_t)strlen(value));

	memcpy(body + 2, &len, 4);
	memcpy(body + 6, value, strlen(value));
	fake_message(s, 'D', body, 6 + strlen(value));
}

static inline void fake_complete(struct fake_server *s, const char *tag)
{
	fake_message(s, 'C', tag, strlen(tag) + 1);
}

static inline void fake_error(
	struct fake_server *s, const char *severity, const char *sqlstate, const char *text)
{
	char body[512];
	int n = snprintf(body, sizeof body, "S%s%cV%s%cC%s%cM%s%c", severity, 0, severity, 0,
		sqlstate, 0, text, 0);

	fake_message(s, 'E', body, (size_t)n + 1);
}

static inline void fake_wait(struct fake_server *s)
{
	while (!atomic_load(&s->may_go_on))
		usleep(1000);
}

/* --- life: one connection is accepted, which `script` serves --- */

struct fake_start {
	struct fake_server *s;
	void (*script)(struct fake_server *s);
};

static inline void *fake_main(void *arg)
{
	struct fake_start start = *(struct fake_start *)arg;

	free(arg);
	start.s->conn = accept(start.s->fd, NULL, NULL);
	if (start.s->conn < 0)
		return NULL;
	start.script(start.s);
	close(start.s->conn);
	start.s->conn = -1;
	return NULL;
}

static inline void fake_server_start(struct fake_server *s, void (*script)(struct fake_server *s))
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct fake_start *start = malloc(sizeof *start);
	socklen_t len = sizeof a;

	memset(s, 0, sizeof *s);
	s->conn = -1;
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(s->fd, 5), 0);
	ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	*start = (struct fake_start){s, script};
	ck_assert_int_eq(pthread_create(&s->thread, NULL, fake_main, start), 0);
}

static inline void fake_server_stop(struct fake_server *s)
{
	atomic_store(&s->may_go_on, true);
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	if (s->conn >= 0)
		close(s->conn);
	close(s->fd);
}

#endif
