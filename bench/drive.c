/*
 * drive - pgbench's select-only load for less CPU than pgbench needs: many clients on one thread,
 * each with one unit under way. An instrument for bench/ and the tests that count, not a tool.
 *
 * usage: drive PORT|PATH USER DATABASE[*N] CLIENTS simple|extended|prepared[*N] [SQL]
 *
 * Logs all clients in, without a password, and prints "ready". With DATABASE*N the clients take
 * turns with DATABASE0 to DATABASE<N-1>; with prepared*N each has N statements, of different texts,
 * and runs one after another. Then it obeys lines on its input: count N        N transactions, as
 * fast as they come seconds S [R]  for S seconds, as fast as they come or R a second, evenly; the
 * time of each is then taken from when it was due and prints what came of each: done=… failed=…
 * us=… p50_us=… p95_us=… p99_us=… max_us=… passed_max=… (the most transactions that have ended
 * while one was under way). SQL replaces the select; with `simple` only. It ends with its input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 65536
#define EVENTS_MAX  256
#define RECV_LEN    65536
#define UNIT_LEN    1024
#define BUCKETS     (64 * 16) /* of latency: sixteenths of powers of two */
#define LOGINS_MAX  64        /* under way at once */
#define WAIT_MS     30000     /* that long nothing comes: something is wrong */

enum mode { SIMPLE, EXTENDED, PREPARED };

struct client {
	int fd;
	uint32_t body_left;
	uint8_t head_len;
	char head[5];
	bool busy;
	unsigned stmt;   /* what it runs next */
	uint64_t due_ns; /* when its unit was due, or was sent */
	uint64_t due_no; /* n_done then */
};

static struct client *clients;
static int n_clients, epoll_fd;
static unsigned n_databases, n_stmts = 1; /* n_databases: 0 is one of just that name */
static enum mode mode;
static const char *own_sql, *target, *user, *database;
static uint64_t n_done, n_failed, max_ns, passed_max, buckets[BUCKETS], rng = 88172645463325252u;

static void fail(const char *what)
{
	fprintf(stderr, "drive: %s: %s\n", what, errno != 0 ? strerror(errno) : "wrong answer");
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned random_aid(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng % 100000u) + 1;
}

/* --- messages --- */

struct out {
	char p[UNIT_LEN];
	size_t len;
};

static void put(struct out *o, const void *p, size_t len)
{
	if (o->len + len > sizeof o->p)
		fail("the statement is too long");
	memcpy(o->p + o->len, p, len);
	o->len += len;
}

static void put_message(struct out *o, char type, const void *body, size_t len)
{
	uint32_t size = htonl((uint32_t)len + 4);

	if (type != '\0')
		put(o, &type, 1);
	put(o, &size, 4);
	put(o, body, len);
}

#define SELECT "SELECT abalance FROM pgbench_accounts WHERE aid = "

static void put_query(struct out *o)
{
	char sql[UNIT_LEN];
	int len = own_sql != NULL ? snprintf(sql, sizeof sql, "%s", own_sql)
				  : snprintf(sql, sizeof sql, SELECT "%u;", random_aid());

	put_message(o, 'Q', sql, (size_t)len + 1);
}

/* A name of its own for a statement that is prepared for good, else "". */
static int put_name(char *to, size_t size, unsigned stmt)
{
	if (mode == PREPARED && n_stmts > 1)
		return snprintf(to, size, "s%u", stmt) + 1;
	return snprintf(to, size, "%s", mode == PREPARED ? "s" : "") + 1;
}

static void put_parse(struct out *o, unsigned stmt)
{
	char body[256] = {0};
	int at = put_name(body, sizeof body, stmt);

	at += snprintf(body + at, sizeof body - (size_t)at,
		stmt == 0 ? SELECT "$1;" : SELECT "$1 + %u;", stmt);
	put_message(o, 'P', body, (size_t)at + 3); /* the NUL and the number of types, 0 */
}

static void put_unit(struct out *o, unsigned stmt)
{
	char bind[64], aid[16];
	int len, digits;

	if (mode == SIMPLE) {
		put_query(o);
		return;
	}
	if (mode == EXTENDED)
		put_parse(o, 0);
	/* portal "", statement, no formats, one parameter as text, no result formats */
	digits = snprintf(aid, sizeof aid, "%u", random_aid());
	memset(bind, 0, sizeof bind);
	len = 1 + put_name(bind + 1, sizeof bind - 1, stmt);
	len += 2;
	bind[len + 1] = 1;
	len += 2;
	bind[len + 3] = (char)digits;
	len += 4;
	memcpy(bind + len, aid, (size_t)digits);
	len += digits + 2;
	put_message(o, 'B', bind, (size_t)len);
	put_message(o, 'D', "P", 2);
	put_message(o, 'E', "\0\0\0\0", 5);
	put_message(o, 'S', "", 0);
}

static void send_all(struct client *c, const struct out *o)
{
	size_t at = 0;

	while (at < o->len) {
		ssize_t n = send(c->fd, o->p + at, o->len - at, MSG_NOSIGNAL);

		if (n <= 0)
			fail("send");
		at += (size_t)n;
	}
}

/* --- answers --- */

/* Look at message heads. True: a ReadyForQuery came. */
static bool walk(struct client *c, const char *p, size_t len)
{
	bool ready = false;

	for (size_t at = 0; at < len;) {
		uint32_t size;

		if (c->body_left > 0) {
			uint32_t n = len - at < c->body_left ? (uint32_t)(len - at) : c->body_left;

			c->body_left -= n;
			at += n;
			continue;
		}
		c->head[c->head_len++] = p[at++];
		if (c->head_len < 5)
			continue;
		memcpy(&size, c->head + 1, 4);
		c->body_left = ntohl(size) - 4;
		c->head_len = 0;
		ready = ready || c->head[0] == 'Z';
		n_failed += c->head[0] == 'E';
	}
	return ready && c->body_left == 0;
}

static bool hear(struct client *c)
{
	static char buf[RECV_LEN];
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		fail("the connection was lost");
	return walk(c, buf, (size_t)n);
}

/* --- logging in --- */

static void connect_one(struct client *c)
{
	char number[16] = "";
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(target)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	bool local = target[0] == '/';
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	struct out o = {.len = 0};
	char body[256];
	int one = 1, len;

	snprintf(un.sun_path, sizeof un.sun_path, "%s", target);
	c->fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, local ? (struct sockaddr *)&un : (struct sockaddr *)&in,
				 local ? sizeof un : sizeof in) != 0)
		fail("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (n_databases != 0)
		snprintf(number, sizeof number, "%u", (unsigned)(c - clients) % n_databases);
	len = snprintf(body, sizeof body, "%c%c%c%cuser%c%s%cdatabase%c%s%s%c", 0, 3, 0, 0, 0, user,
		0, 0, database, number, 0);
	put_message(&o, '\0', body, (size_t)len + 1);
	send_all(c, &o);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev);
}

/* One ReadyForQuery of each of these clients. */
static void await(int n)
{
	struct epoll_event events[EVENTS_MAX];

	while (n > 0) {
		int got = epoll_wait(epoll_fd, events, EVENTS_MAX, WAIT_MS);

		if (got <= 0)
			fail("no answer");
		for (int i = 0; i < got; i++)
			n -= hear(events[i].data.ptr);
	}
}

static void prepare(int from, int n)
{
	for (unsigned stmt = 0; stmt < n_stmts; stmt++) {
		struct out o = {.len = 0};

		put_parse(&o, stmt);
		put_message(&o, 'S', "", 0);
		for (int k = from; k < from + n; k++)
			send_all(&clients[k], &o);
		await(n);
	}
}

static void log_in(void)
{
	for (int i = 0; i < n_clients; i += LOGINS_MAX) {
		int n = n_clients - i < LOGINS_MAX ? n_clients - i : LOGINS_MAX;

		for (int k = i; k < i + n; k++)
			connect_one(&clients[k]);
		await(n);
		if (mode == PREPARED)
			prepare(i, n);
	}
	errno = 0;
	if (n_failed > 0)
		fail("a login was refused");
}

/* --- running --- */

static void begin(struct client *c, uint64_t due_ns)
{
	struct out o = {.len = 0};

	put_unit(&o, c->stmt);
	c->stmt = (c->stmt + 1) % n_stmts;
	c->busy = true;
	c->due_ns = due_ns;
	c->due_no = n_done;
	send_all(c, &o);
}

static unsigned bucket_of(uint64_t ns)
{
	unsigned top = 63u - (unsigned)__builtin_clzll(ns | 16);

	return top * 16 + (unsigned)(ns >> (top - 4) & 15);
}

static void ended(struct client *c, uint64_t at_ns)
{
	uint64_t ns = at_ns - c->due_ns;

	c->busy = false;
	if (n_done - c->due_no > passed_max)
		passed_max = n_done - c->due_no;
	n_done++;
	buckets[bucket_of(ns)]++;
	if (ns > max_ns)
		max_ns = ns;
}

static double quantile_us(double q)
{
	uint64_t sum = 0, want = (uint64_t)((double)n_done * q);

	for (unsigned i = 0; i < BUCKETS; i++) {
		sum += buckets[i];
		if (sum > want)
			return (double)((16ull + i % 16) << (i / 16) >> 4) / 1000;
	}
	return (double)max_ns / 1000;
}

/* What is to be done: so many, or until then; as fast as they come, or one every `gap_ns`. */
struct plan {
	uint64_t count, end_ns, gap_ns, next_ns;
	uint64_t begun;
	int next; /* client to look at first */
};

static bool all_are_busy(const struct plan *p)
{
	return p->begun - n_done == (uint64_t)n_clients;
}

static bool is_over(const struct plan *p, uint64_t now)
{
	return p->begun >= p->count || now >= p->end_ns;
}

static void begin_due(struct plan *p, uint64_t now)
{
	for (int i = 0; i < n_clients && p->next_ns <= now && !is_over(p, now); i++) {
		struct client *c = &clients[(p->next + i) % n_clients];

		if (c->busy)
			continue;
		begin(c, p->next_ns);
		p->begun++;
		p->next_ns += p->gap_ns;
	}
	p->next = (p->next + 1) % n_clients;
}

/* Until something comes, or it is time to begin one. */
static int wait_for(const struct plan *p, struct epoll_event *events, uint64_t now)
{
	uint64_t ns = p->gap_ns != 0 && p->next_ns > now ? p->next_ns - now : 0;
	struct timespec t = {
		.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

	if (p->gap_ns == 0 || is_over(p, now) || all_are_busy(p))
		t = (struct timespec){.tv_sec = WAIT_MS / 1000};
	return epoll_pwait2(epoll_fd, events, EVENTS_MAX, &t, NULL);
}

static void run(struct plan *p)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now = now_ns();

	for (int i = 0; p->gap_ns == 0 && i < n_clients && p->begun < p->count; i++, p->begun++)
		begin(&clients[i], now);
	p->next_ns = now;
	while (n_done < p->begun || !is_over(p, now)) {
		int n;

		if (p->gap_ns != 0)
			begin_due(p, now);
		n = wait_for(p, events, now);
		if (n < 0 || (n == 0 && (p->gap_ns == 0 || all_are_busy(p))))
			fail("no answer");
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (!hear(c))
				continue;
			now = now_ns();
			ended(c, now);
			if (p->gap_ns != 0 || is_over(p, now))
				continue;
			begin(c, now);
			p->begun++;
		}
		now = now_ns();
	}
}

static void obey(const char *line)
{
	struct plan p = {.count = UINT64_MAX, .end_ns = UINT64_MAX};
	double seconds = 0, rate = 0;
	uint64_t begun = now_ns();

	n_done = n_failed = max_ns = passed_max = 0;
	memset(buckets, 0, sizeof buckets);
	if (sscanf(line, "seconds %lf %lf", &seconds, &rate) >= 1) {
		p.end_ns = begun + (uint64_t)(seconds * 1e9);
		p.gap_ns = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
	} else if (sscanf(line, "count %lu", &p.count) != 1) {
		fail("no such order");
	}
	run(&p);
	printf("done=%lu failed=%lu us=%lu p50_us=%.1f p95_us=%.1f p99_us=%.1f max_us=%.1f "
	       "passed_max=%lu\n",
		n_done, n_failed, (now_ns() - begun) / 1000, quantile_us(.5), quantile_us(.95),
		quantile_us(.99), (double)max_ns / 1000, passed_max);
	fflush(stdout);
}

/* Takes *N off the end of a text. Returns N; 0: there is none. */
static unsigned take_number(char *text)
{
	char *star = strchr(text, '*');

	if (star == NULL)
		return 0;
	*star = '\0';
	return (unsigned)atoi(star + 1);
}

int main(int argc, char **argv)
{
	static const char *const modes[] = {"simple", "extended", "prepared"};
	char line[128];

	if (argc < 6 || argc > 7)
		return 2;
	target = argv[1];
	user = argv[2];
	n_databases = take_number(argv[3]);
	database = argv[3];
	n_clients = atoi(argv[4]);
	n_stmts = take_number(argv[5]);
	n_stmts += n_stmts == 0;
	while (mode <= PREPARED && strcmp(argv[5], modes[mode]) != 0)
		mode++;
	own_sql = argc == 7 ? argv[6] : NULL;
	if (n_clients < 1 || n_clients > CLIENTS_MAX || mode > PREPARED)
		return 2;
	clients = calloc((size_t)n_clients, sizeof *clients);
	epoll_fd = epoll_create1(0);
	if (clients == NULL || epoll_fd < 0)
		fail("memory");
	log_in();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL)
		obey(line);
	return 0;
}
