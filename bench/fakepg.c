/*
 * fakepg - answers the PostgreSQL protocol with canned replies, from one thread: a server that
 * costs next to nothing, so that what is measured in front of it is not PostgreSQL. An instrument
 * for bench/ and the tests that count, not a tool.
 *
 * usage: fakepg PORT       on loopback
 *        fakepg PATH       a unix socket
 *
 * Who connects is let in. A query gets one row of an int4, as pgbench's select-only does; BEGIN,
 * SET and the like get their tags; "bulk N" a row of N bytes, COPY takes data; what looks through
 * the catalog, nothing. Messages are as they come: it trusts its one client, the pooler under
 * measurement.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_MAX    65536
#define EVENTS_MAX 256
#define RECV_LEN   65536
#define OUT_LEN    (1u << 20) /* replies to what one recv brings */

/* What of one connection has to be kept between two turns. */
struct conn {
	char *part; /* of a message, malloc'd */
	size_t part_len;
	uint64_t skip; /* bytes of a message too large to look at */
	uint64_t bulk; /* bytes of a row that are still to be sent */
	bool started, in_txn;
};

static struct conn conns[FDS_MAX];
static char out[OUT_LEN], filler[RECV_LEN];
static size_t out_len;
static int epoll_fd;

/* --- replies --- */

static void put(const void *p, size_t len)
{
	if (out_len + len > sizeof out)
		abort();
	memcpy(out + out_len, p, len);
	out_len += len;
}

static void put_u32(uint32_t v)
{
	v = htonl(v);
	put(&v, 4);
}

static void put_message(char type, const void *body, size_t len)
{
	put(&type, 1);
	put_u32((uint32_t)len + 4);
	put(body, len);
}

static void put_parameter(const char *name, const char *value)
{
	char body[128];
	int len = snprintf(body, sizeof body, "%s%c%s", name, 0, value);

	put_message('S', body, (size_t)len + 1);
}

static void put_ready(const struct conn *c)
{
	put_message('Z', c->in_txn ? "T" : "I", 1);
}

static void put_greeting(struct conn *c)
{
	static const char *const parameters[][2] = {{"server_version", "15.9"},
		{"server_encoding", "UTF8"}, {"client_encoding", "UTF8"}, {"DateStyle", "ISO, MDY"},
		{"TimeZone", "Etc/UTC"}, {"IntervalStyle", "postgres"}, {"integer_datetimes", "on"},
		{"standard_conforming_strings", "on"}, {"is_superuser", "off"},
		{"session_authorization", "bench"}, {"application_name", ""},
		{"default_transaction_read_only", "off"}, {"in_hot_standby", "off"}};

	put_message('R', "\0\0\0\0", 4);
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
		put_parameter(parameters[i][0], parameters[i][1]);
	put_message('K', "\0\0\1\0\1\2\3\4", 8);
	put_ready(c);
}

static void put_row_description(void)
{
	static const char one_int4[] = "\0\1abalance\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0";

	put_message('T', one_int4, sizeof one_int4);
}

static void put_row(struct conn *c, const char *sql)
{
	uint64_t len = strncmp(sql, "bulk ", 5) == 0 ? strtoull(sql + 5, NULL, 10) : 0;

	if (len == 0) {
		put_message('D',
			"\0\1\0\0\0\1"
			"0",
			7);
		put_message('C', "SELECT 1", 9);
		return;
	}
	put("D", 1);
	put_u32((uint32_t)len + 10);
	put("\0\1", 2);
	put_u32((uint32_t)len);
	c->bulk = len;
}

/* The tag of a statement that gives no rows; NULL: it gives one. */
static const char *tag_of(struct conn *c, const char *sql)
{
	static const char *const words[] = {"BEGIN", "COMMIT", "ROLLBACK", "SET", "RESET",
		"DISCARD", "DEALLOCATE", "LISTEN", "UNLISTEN"};

	if (strstr(sql, "pg_catalog.") != NULL)
		return "SELECT 0";
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strncasecmp(sql, words[i], strlen(words[i])) != 0)
			continue;
		c->in_txn = i == 0 || (c->in_txn && i > 2);
		return words[i];
	}
	return NULL;
}

/* Also one text of several, "BEGIN; SET …; COMMIT": no value in it has a semicolon. */
static void run(struct conn *c, const char *sql, bool described)
{
	const char *tag;

	while ((tag = tag_of(c, sql)) != NULL) {
		put_message('C', tag, strlen(tag) + 1);
		if ((sql = strchr(sql, ';')) == NULL)
			return;
		sql += 1 + strspn(sql + 1, " ");
		if (*sql == '\0')
			return;
	}
	if (described)
		put_row_description();
	put_row(c, sql);
}

static void answer(struct conn *c, char type, const char *body)
{
	switch (type) {
	case 'Q':
		if (strncmp(body, "COPY", 4) == 0) {
			put_message('G', "\0\0\0", 3); /* and takes what comes */
			break;
		}
		run(c, body, true);
		if (c->bulk == 0)
			put_ready(c);
		break;
	case 'c':
		put_message('C', "COPY 0", 7);
		put_ready(c);
		break;
	case 'P':
		put_message('1', "", 0);
		break;
	case 'B':
		put_message('2', "", 0);
		break;
	case 'D':
		if (body[0] == 'S')
			put_message('t', "\0\0", 2);
		put_row_description();
		break;
	case 'E':
		run(c, "", false);
		break;
	case 'C':
		put_message('3', "", 0);
		break;
	case 'S':
		put_ready(c);
		break;
	default:
		break;
	}
}

/* --- connections --- */

static void forget(int fd)
{
	free(conns[fd].part);
	memset(&conns[fd], 0, sizeof conns[fd]);
	close(fd);
}

static uint32_t get_u32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

/* The start-up packets. Returns the bytes that were taken; 0: it is not complete. */
static size_t start(struct conn *c, const char *p, size_t len)
{
	uint32_t size;

	if (len < 8 || (size = get_u32(p)) > len)
		return 0;
	if (get_u32(p + 4) == 80877103 || get_u32(p + 4) == 80877104) {
		put("N", 1);
		return size;
	}
	c->started = true;
	put_greeting(c);
	return size;
}

/* Answer the messages that are complete. Returns the bytes that were taken. */
static size_t take(struct conn *c, char *p, size_t len)
{
	size_t at = 0, n;

	while (at < len) {
		if (!c->started) {
			if ((n = start(c, p + at, len - at)) == 0)
				break;
			at += n;
			continue;
		}
		if (len - at < 5)
			break;
		n = get_u32(p + at + 1) + 1u;
		if (n > RECV_LEN / 2) { /* a parameter or data; only its end matters */
			c->skip = n;
			return at;
		}
		if (len - at < n)
			break;
		answer(c, p[at], p + at + 5);
		at += n;
	}
	return at;
}

/* False: the socket is full or gone. */
static bool send_out(int fd)
{
	size_t at = 0;
	ssize_t n;

	while (at < out_len && (n = send(fd, out + at, out_len - at, MSG_NOSIGNAL)) > 0)
		at += (size_t)n;
	n = at == out_len;
	out_len = 0;
	return n != 0;
}

/* The rest of a large row, then its end; sends block, for the reader is the one under measurement.
 */
static void send_bulk(int fd, struct conn *c)
{
	while (c->bulk > 0) {
		size_t want = c->bulk < sizeof filler ? c->bulk : sizeof filler;
		ssize_t n = send(fd, filler, want, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		c->bulk -= (uint64_t)n;
	}
	put_message('C', "SELECT 1", 9);
	put_ready(c);
	(void)send_out(fd);
}

static void serve(int fd)
{
	static char buf[2 * RECV_LEN];
	struct conn *c = &conns[fd];
	size_t len = c->part_len, taken;
	ssize_t n;

	if (len > 0)
		memcpy(buf, c->part, len);
	n = recv(fd, buf + len, RECV_LEN, MSG_DONTWAIT);
	if (n <= 0) {
		forget(fd);
		return;
	}
	len += (size_t)n;
	if (c->skip >= len) {
		c->skip -= len;
		c->part_len = 0;
		return;
	}
	taken = c->skip;
	c->skip = 0;
	taken += take(c, buf + taken, len - taken);
	if (c->skip > 0) {
		c->skip -= len - taken;
		taken = len;
	}
	c->part_len = len - taken;
	if (c->part_len > 0) {
		if (c->part == NULL)
			c->part = malloc(RECV_LEN);
		if (c->part == NULL)
			abort();
		memcpy(c->part, buf + taken, c->part_len);
	}
	if (out_len > 0 && !send_out(fd))
		forget(fd);
	else if (c->bulk > 0)
		send_bulk(fd, c);
}

static int listen_on(const char *where)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(where)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	bool local = where[0] == '/';
	int one = 1, fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s", where);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, local ? (struct sockaddr *)&un : (struct sockaddr *)&in,
		    local ? sizeof un : sizeof in) != 0 ||
		listen(fd, 4096) != 0) {
		perror("fakepg");
		exit(1);
	}
	return fd;
}

static void watch(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (fd >= FDS_MAX)
			close(fd);
		else
			watch(fd);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	int listener;

	if (argc != 2) {
		fprintf(stderr, "usage: %s PORT|PATH\n", argv[0]);
		return 2;
	}
	memset(filler, 'x', sizeof filler);
	epoll_fd = epoll_create1(0);
	listener = listen_on(argv[1]);
	watch(listener);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_all(listener);
			else
				serve(events[i].data.fd);
		}
	}
}
