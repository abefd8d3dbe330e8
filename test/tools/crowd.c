/*
 * crowd - thousands of clients of a pooler on one thread, each of which knows what it has to be
 * answered. A measuring instrument for test/long, not a tool.
 *
 * usage: crowd PORT USER DATABASE [NAME=VALUE]...    the names and defaults: see `set`
 *
 * Works on  CREATE TABLE ledger (who int, seq int); CREATE INDEX ON ledger (who, seq);
 * A read asks for the client's own highest seq, with a word of its own; a write inserts the next.
 * So a read tells whose answer it is, whether it misses the client's own write, and whether the
 * client's settings are in force. What became of which write is for the caller to compare with the
 * table. The file `unsure` tells it, in lines of who, seq, a word and the SQLSTATE ("-": none):
 * once for each write that was not acknowledged "refused" (it must not be there) or "unknown"; at
 * the end for each client the highest seq, "last"; and with losses=1, where acknowledged writes may
 * be lost with a primary, for each write of its own that a read has not found "missed".
 *
 * Clients log in without a password. Prints a line of name=value each second, and one at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX    512
#define RECV_LEN      65536
#define UNIT_LEN      512   /* bytes of what is sent at once */
#define WHEEL_SLOTS   4096  /* of WHEEL_US each: longer pauses go around */
#define WHEEL_US      10000 /* how late a client may begin */
#define RETRY_US      200000
#define LAST_US       20000000 /* for what is under way at the end */
#define OWN_CANCEL_US 2000000  /* so late it may still reach the client that asked */
#define TOLD_MAX      30       /* errors that are printed */

enum state { OUT, CONNECTING, LOGIN, THINKING, BUSY };
enum op { READ, WRITE, SET, PIN, CANCEL, LEAVE, OPS };
static const char *const op_names[OPS] = {"read", "write", "set", "pin", "cancel", "leave"};

struct client {
	struct client *next; /* in a slot of the wheel, or in the line for a login */
	uint64_t due_us, sent_us, cancelled_us;
	char *part; /* of a message, malloc'd */
	uint32_t part_len;
	uint32_t who, seq, acked; /* seq: the highest sent */
	uint32_t word;            /* what makes this unit's answer its own */
	uint32_t limit, name;     /* settings in force, 0: not known */
	uint32_t pid, key;
	uint32_t n_owed; /* ReadyForQuery */
	int fd;
	uint8_t state, op, step, variant;
	bool extended, prepares, has_prepared, failed, cancelled, has_row;
};

static struct {
	int clients, seconds;
	int first;       /* number of the first client */
	int think_ms;    /* pause between the units of a client; 0: none */
	int logins;      /* under way at once */
	int share[OPS];  /* of 1000 units; the rest are reads */
	int reconnect;   /* clients that lose their connection come back, and errors are not told */
	int check_state; /* a read checks the client's settings, too */
	int losses;      /* a read that misses a write is not stale: it may be lost for good */
	int seed;
} set = {.clients = 100, .seconds = 10, .first = 1, .logins = 64, .share[WRITE] = 100, .seed = 1};

static const struct {
	const char *name;
	int *value;
} settings[] = {
	{"clients", &set.clients},
	{"seconds", &set.seconds},
	{"first", &set.first},
	{"think_ms", &set.think_ms},
	{"logins", &set.logins},
	{"write", &set.share[WRITE]},
	{"set", &set.share[SET]},
	{"pin", &set.share[PIN]},
	{"cancel", &set.share[CANCEL]},
	{"leave", &set.share[LEAVE]},
	{"reconnect", &set.reconnect},
	{"check_state", &set.check_state},
	{"losses", &set.losses},
	{"seed", &set.seed},
};

static struct {
	unsigned long done[OPS], failed[OPS];
	unsigned long lost, wrong, stale, leaked, stray, late, stuck, refused_logins, logins;
	unsigned long max_us, second_max_us, login_max_us;
	unsigned long buckets[64 * 8]; /* of latency: eighths of powers of two */
} sum;

static struct client *clients, *wheel[WHEEL_SLOTS], *line_head, **line_tail = &line_head;
static uint64_t now_us, wheel_at;
static uint32_t n_in, n_logging_in, n_told, n_busy;
static int epoll_fd;
static struct sockaddr_in pooler;
static char start_up[256];
static size_t start_up_len;
static FILE *unsure;
static uint64_t rng_state;
static volatile sig_atomic_t is_ended;

static uint32_t rnd(uint32_t below)
{
	rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(((rng_state >> 33) * below) >> 31);
}

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void tell(const struct client *c, const char *format, ...)
{
	va_list args;

	if (n_told++ >= TOLD_MAX)
		return;
	fprintf(stderr, "client %u, %s %u: ", c->who, op_names[c->op], c->word);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static uint32_t get_u32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

/* --- messages ------------------------------------------------------------------------------ */

struct out {
	char p[8 * UNIT_LEN];
	size_t len;
};

static void put_u32(struct out *o, uint32_t v)
{
	v = htonl(v);
	memcpy(o->p + o->len, &v, 4);
	o->len += 4;
}

static void put_u16(struct out *o, uint16_t v)
{
	v = htons(v);
	memcpy(o->p + o->len, &v, 2);
	o->len += 2;
}

static void put_text(struct out *o, const char *text)
{
	size_t len = strlen(text) + 1;

	memcpy(o->p + o->len, text, len);
	o->len += len;
}

static size_t begin(struct out *o, char kind)
{
	o->p[o->len++] = kind;
	put_u32(o, 0);
	return o->len - 4;
}

static void end(struct out *o, size_t at)
{
	uint32_t len = htonl((uint32_t)(o->len - at));

	memcpy(o->p + at, &len, 4);
}

static void put_parse(struct out *o, const char *name, const char *sql)
{
	size_t at = begin(o, 'P');

	put_text(o, name);
	put_text(o, sql);
	put_u16(o, 0);
	end(o, at);
}

static void put_param(struct out *o, uint32_t value)
{
	char text[16];
	int len = snprintf(text, sizeof text, "%u", value);

	put_u32(o, (uint32_t)len);
	memcpy(o->p + o->len, text, (size_t)len);
	o->len += (size_t)len;
}

static void put_run(struct out *o, const char *name, uint16_t n_params, const uint32_t *params)
{
	size_t at = begin(o, 'B');

	put_text(o, "");
	put_text(o, name);
	put_u16(o, 0);
	put_u16(o, n_params);
	for (uint16_t i = 0; i < n_params; i++)
		put_param(o, params[i]);
	put_u16(o, 0);
	end(o, at);
	at = begin(o, 'E');
	put_text(o, "");
	put_u32(o, 0);
	end(o, at);
	at = begin(o, 'S');
	end(o, at);
}

static void put_unit(struct client *c, struct out *o, const char *format, ...)
{
	char sql[UNIT_LEN];
	va_list args;
	size_t at;

	va_start(args, format);
	vsnprintf(sql, sizeof sql, format, args);
	va_end(args);
	c->prepares = false;
	c->n_owed++;
	if (c->extended) {
		put_parse(o, "", sql);
		put_run(o, "", 0, NULL);
		return;
	}
	at = begin(o, 'Q');
	put_text(o, sql);
	end(o, at);
}

/* --- what a client does -------------------------------------------------------------------- */

#define OWN_COLUMNS " coalesce(max(seq), 0)"
#define STATE_COLUMNS \
	", current_setting('join_collapse_limit'), current_setting('application_name')"

static void put_read(struct client *c, struct out *o)
{
	const char *more = set.check_state ? STATE_COLUMNS : "";
	const uint32_t params[] = {c->word, c->who};
	char sql[UNIT_LEN];

	if (!c->extended || c->variant == 0) {
		put_unit(c, o, "SELECT %u," OWN_COLUMNS "%s FROM ledger WHERE who = %u", c->word,
			more, c->who);
		return;
	}
	c->prepares = !c->has_prepared;
	if (c->prepares) {
		snprintf(sql, sizeof sql,
			"SELECT $1::int," OWN_COLUMNS "%s FROM ledger WHERE who = $2::int", more);
		put_parse(o, "own", sql);
	}
	put_run(o, "own", 2, params);
	c->n_owed++;
}

static bool put_write(struct client *c, struct out *o)
{
	put_unit(c, o, "INSERT INTO ledger VALUES (%u, %u)", c->who, ++c->seq);
	return false;
}

/* Ways to set a parameter, and what it is afterwards. */
enum kept { KEPT_OLD, KEPT_LIMIT, KEPT_NAME, KEPT_DEFAULT };

#define SET_LIMIT "SET join_collapse_limit = %u"
static const struct set_plan {
	enum kept kept;
	const char *steps[7];
} set_plans[] = {
	{KEPT_LIMIT, {SET_LIMIT}},
	{KEPT_NAME, {"SET application_name = 'c%u'"}},
	{KEPT_DEFAULT, {"RESET join_collapse_limit"}},
	{KEPT_NAME, {"BEGIN", "SET application_name = 'c%u'", "COMMIT"}},
	{KEPT_LIMIT, {"BEGIN", SET_LIMIT, "SELECT %u", "COMMIT"}},
	{KEPT_OLD, {"BEGIN", SET_LIMIT, "ROLLBACK"}},
	{KEPT_OLD, {"BEGIN", "SET application_name = 'c%u'", "ROLLBACK"}},
	{KEPT_OLD, {"BEGIN", "SET LOCAL join_collapse_limit = %u", "SELECT %u", "COMMIT"}},
	{KEPT_OLD, {"BEGIN", SET_LIMIT, "SELECT %u / 0", "COMMIT"}},
	{KEPT_OLD, {"BEGIN", "SET application_name = 'c%u'", "SELECT %u / 0", "ROLLBACK"}},
	{KEPT_LIMIT, {"BEGIN", SET_LIMIT, "SAVEPOINT s", "RESET join_collapse_limit",
			     "ROLLBACK TO s", "COMMIT"}},
	{KEPT_OLD, {"BEGIN", "SAVEPOINT s", SET_LIMIT, "ROLLBACK TO s", "SELECT %u", "COMMIT"}},
};
#define N_SET_PLANS   (sizeof set_plans / sizeof *set_plans)
#define LIMIT_DEFAULT 8 /* PostgreSQL's join_collapse_limit */

static bool put_set(struct client *c, struct out *o)
{
	const struct set_plan *plan = &set_plans[c->word % N_SET_PLANS];

	put_unit(c, o, plan->steps[c->step], c->word);
	return plan->steps[c->step + 1] != NULL;
}

static void note_set(struct client *c)
{
	switch (set_plans[c->word % N_SET_PLANS].kept) {
	case KEPT_OLD:
		break;
	case KEPT_LIMIT:
		c->limit = c->word;
		break;
	case KEPT_NAME:
		c->name = c->word;
		break;
	case KEPT_DEFAULT:
		c->limit = LIMIT_DEFAULT;
		break;
	}
}

static bool put_pin(struct client *c, struct out *o)
{
	static const char *const lock[] = {
		"SELECT pg_advisory_lock(%u)::text IS NULL", "SELECT pg_advisory_unlock(%u)"};
	static const char *const temp[] = {"CREATE TEMP TABLE mine AS SELECT %u AS a",
		"SELECT a FROM mine WHERE %u > 0", "DROP TABLE mine"};

	if (c->variant < 2) {
		put_unit(c, o, lock[c->step], c->who);
		return c->step < 1;
	}
	put_unit(c, o, temp[c->step], c->word);
	return c->step < 2;
}

/* Put the next unit of what the client does; is there one more after it? */
static bool put_step(struct client *c, struct out *o)
{
	switch ((enum op)c->op) {
	case LEAVE:
		if (c->variant < 2)
			return put_write(c, o);
		put_read(c, o);
		return false;
	case READ:
		put_read(c, o);
		return false;
	case WRITE:
		return put_write(c, o);
	case SET:
		return put_set(c, o);
	case PIN:
		return put_pin(c, o);
	case CANCEL:
		put_unit(c, o, "SELECT pg_sleep(0.02), %u", c->word);
		return false;
	case OPS:
		break;
	}
	abort();
}

static void client_out(struct client *c, uint64_t again_us);

static bool send_all(struct client *c, const struct out *o)
{
	ssize_t n = send(c->fd, o->p, o->len, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n == (ssize_t)o->len; /* no client has more under way than a socket takes */
}

/* Ask to cancel what the client runs, by a connection that nobody waits for. */
static void send_cancel(const struct client *c)
{
	struct out o = {.len = 0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	put_u32(&o, 16);
	put_u32(&o, 80877102);
	put_u32(&o, c->pid);
	put_u32(&o, c->key);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&pooler, sizeof pooler) == 0)
		if (send(fd, o.p, o.len, MSG_NOSIGNAL) < 0)
			perror("cancel");
	if (fd >= 0)
		close(fd);
}

static void client_send_steps(struct client *c)
{
	struct out o = {.len = 0};
	bool at_once = rnd(2) != 0, more;

	do {
		more = put_step(c, &o);
		c->step = more ? (uint8_t)(c->step + 1) : UINT8_MAX;
	} while (more && at_once && c->op != PIN);
	if (!send_all(c, &o)) {
		client_out(c, RETRY_US);
		return;
	}
	if (c->op == CANCEL) {
		c->cancelled_us = clock_us();
		send_cancel(c);
	}
	if (c->op == LEAVE)
		client_out(c, 0);
}

static enum op choose_op(void)
{
	uint32_t at = rnd(1000);

	for (int op = WRITE; op < OPS; op++) {
		uint32_t share = (uint32_t)set.share[op];

		if (at < share)
			return op;
		at -= share;
	}
	return READ;
}

static void client_begin(struct client *c)
{
	c->op = choose_op();
	c->step = 0;
	c->word = 100 + rnd(1000000000);
	c->variant = (uint8_t)rnd(4);
	c->extended = rnd(2) != 0;
	c->failed = c->cancelled = c->has_row = false;
	c->n_owed = 0;
	c->state = BUSY;
	n_busy++;
	c->sent_us = clock_us();
	client_send_steps(c);
}

/* --- when ---------------------------------------------------------------------------------- */

static void wait_for(struct client *c, uint64_t us)
{
	uint64_t at;

	c->due_us = now_us + us;
	at = c->due_us / WHEEL_US;
	if (at < wheel_at) /* that slot has been served */
		at = wheel_at;
	c->next = wheel[at % WHEEL_SLOTS];
	wheel[at % WHEEL_SLOTS] = c;
}

static void wait_login(struct client *c)
{
	c->next = NULL;
	*line_tail = c;
	line_tail = &c->next;
}

static void client_think(struct client *c)
{
	c->state = THINKING;
	if (is_ended)
		return;
	if (set.think_ms == 0)
		client_begin(c);
	else
		wait_for(c, (uint64_t)set.think_ms * 1000u);
}

static void run_slot(uint64_t at)
{
	struct client *c = wheel[at % WHEEL_SLOTS], *next;

	wheel[at % WHEEL_SLOTS] = NULL;
	for (; c != NULL; c = next) {
		next = c->next;
		if (c->due_us / WHEEL_US > at)
			wait_for(c, c->due_us - now_us);
		else if (c->state == OUT)
			wait_login(c);
		else if (!is_ended)
			client_begin(c);
	}
}

static void run_wheel(void)
{
	while (wheel_at <= now_us / WHEEL_US)
		run_slot(wheel_at++);
}

/* --- connections --------------------------------------------------------------------------- */

static void note(const struct client *c, uint32_t seq, const char *what, const char *sqlstate)
{
	if (unsure != NULL)
		fprintf(unsure, "%u\t%u\t%s\t%s\n", c->who, seq, what, sqlstate);
}

static void client_out(struct client *c, uint64_t again_us)
{
	close(c->fd);
	free(c->part);
	c->part = NULL;
	c->part_len = 0;
	if (c->state == BUSY) {
		n_busy--;
		if (c->op != LEAVE) {
			sum.lost++;
			sum.failed[c->op]++;
			if (!set.reconnect)
				tell(c, "the connection was lost");
		} else {
			sum.done[LEAVE]++;
		}
		if ((c->op == WRITE && !c->failed) || (c->op == LEAVE && c->variant < 2))
			note(c, c->seq, "unknown", "-");
	} else if (c->state == THINKING) {
		sum.lost++;
	}
	if (c->state == CONNECTING || c->state == LOGIN)
		n_logging_in--;
	else
		n_in--;
	c->state = OUT;
	if (again_us == 0 || set.reconnect)
		wait_for(c, again_us + rnd(10000));
}

static void client_connect(struct client *c)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		perror("crowd: socket");
		exit(1);
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	c->sent_us = clock_us();
	c->state = CONNECTING;
	n_logging_in++;
	if ((connect(c->fd, (struct sockaddr *)&pooler, sizeof pooler) != 0 &&
		    errno != EINPROGRESS) ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		client_out(c, RETRY_US);
}

static void log_in_more(void)
{
	while (!is_ended && line_head != NULL && n_logging_in < (uint32_t)set.logins) {
		struct client *c = line_head;

		line_head = c->next;
		if (line_head == NULL)
			line_tail = &line_head;
		client_connect(c);
	}
}

static void client_connected(struct client *c)
{
	c->state = LOGIN;
	c->has_prepared = c->prepares = false;
	c->limit = LIMIT_DEFAULT;
	c->name = 1;
	c->acked = 0; /* another session need not see this one's writes */
	c->n_owed = 1;
	if (send(c->fd, start_up, start_up_len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		(ssize_t)start_up_len) {
		sum.refused_logins++;
		client_out(c, RETRY_US);
	}
}

static void client_logged_in(struct client *c)
{
	uint64_t took = clock_us() - c->sent_us;

	if (took > sum.login_max_us)
		sum.login_max_us = took;
	n_logging_in--;
	n_in++;
	sum.logins++;
	c->state = THINKING;
	if (set.think_ms != 0 && sum.logins <= (uint64_t)set.clients)
		wait_for(c, rnd((uint32_t)set.think_ms) * 1000u);
	else
		client_think(c);
}

/* --- answers ------------------------------------------------------------------------------- */

static bool next_value(const char **p, const char *past, char *text, size_t size)
{
	uint32_t len;

	if (past - *p < 4)
		return false;
	len = get_u32(*p);
	*p += 4;
	if (len >= size || (size_t)(past - *p) < len)
		return false;
	memcpy(text, *p, len);
	text[len] = '\0';
	*p += len;
	return true;
}

static void check_state(struct client *c, const char *p, const char *past)
{
	char text[64], name[32];

	if (!next_value(&p, past, text, sizeof text) ||
		(c->limit != 0 && strtoul(text, NULL, 10) != c->limit)) {
		sum.leaked++;
		tell(c, "join_collapse_limit is %s instead of %u", text, c->limit);
	}
	snprintf(name, sizeof name, c->name == 1 ? "" : "c%u", c->name);
	if (!next_value(&p, past, text, sizeof text) || (c->name != 0 && strcmp(text, name) != 0)) {
		sum.leaked++;
		tell(c, "application_name is '%s' instead of '%s'", text, name);
	}
}

static void check_own_row(struct client *c, const char *p, const char *past)
{
	char text[64];
	unsigned long seq;

	if (!next_value(&p, past, text, sizeof text) || strtoul(text, NULL, 10) != c->word ||
		!next_value(&p, past, text, sizeof text)) {
		sum.wrong++;
		tell(c, "has an answer that is not its own: %s", text);
		return;
	}
	seq = strtoul(text, NULL, 10);
	if (seq < c->acked && set.losses) {
		for (; c->acked > seq; c->acked--)
			note(c, c->acked, "missed", "-");
	} else if (seq < c->acked) {
		sum.stale++;
		tell(c, "reads %lu after it wrote %u", seq, c->acked);
	} else if (seq > c->seq) {
		sum.wrong++;
		tell(c, "reads %lu, and has sent %u", seq, c->seq);
	}
	if (set.check_state)
		check_state(c, p, past);
}

static void client_on_row(struct client *c, const char *body, size_t len)
{
	const char *p = body + 2, *past = body + len;
	char text[64] = "", expected[16];

	c->has_row = true;
	if (c->op == READ) {
		check_own_row(c, p, past);
		return;
	}
	snprintf(expected, sizeof expected, "%u", c->word);
	if (c->op == PIN && c->variant < 2)
		strcpy(expected, c->step == UINT8_MAX ? "t" : "f");
	if (c->op == CANCEL)
		next_value(&p, past, text, sizeof text);
	if (!next_value(&p, past, text, sizeof text) || strcmp(text, expected) != 0) {
		sum.wrong++;
		tell(c, "is answered '%s' instead of '%s'", text, expected);
	}
}

static const char *error_field(const char *body, size_t len, char code)
{
	for (const char *p = body; p < body + len && *p != '\0'; p += strlen(p) + 1)
		if (*p == code)
			return p + 1;
	return "?";
}

static void client_on_error(struct client *c, const char *body, size_t len)
{
	const char *sqlstate = error_field(body, len, 'C');

	if (c->state == LOGIN) {
		if (!set.reconnect)
			tell(c, "login: %s %s", sqlstate, error_field(body, len, 'M'));
		return;
	}
	if ((strcmp(sqlstate, "57014") == 0 && c->op == CANCEL) ||
		(strcmp(sqlstate, "22012") == 0 && c->op == SET))
		return; /* as it has to be */
	if (strcmp(sqlstate, "57014") == 0 && c->cancelled_us + OWN_CANCEL_US > clock_us()) {
		sum.late++;
		c->cancelled = true;
	} else if (strcmp(sqlstate, "57014") == 0) {
		sum.stray++;
		tell(c, "was cancelled, and had not asked for it");
	} else if (!set.reconnect) {
		tell(c, "%s %s", sqlstate, error_field(body, len, 'M'));
	}
	if (c->op == WRITE && !c->failed)
		note(c, c->seq,
			strcmp(sqlstate, "57P03") == 0 || strcmp(sqlstate, "53300") == 0
				? "refused"
				: "unknown",
			sqlstate);
	c->failed = true;
}

static void note_latency(uint64_t us)
{
	int power = us < 8 ? 3 : 63 - __builtin_clzll(us);

	sum.buckets[(power << 3) + (int)((us >> (power - 3)) & 7)]++;
	if (us > sum.max_us)
		sum.max_us = us;
	if (us > sum.second_max_us)
		sum.second_max_us = us;
}

static void client_done(struct client *c)
{
	n_busy--;
	note_latency(clock_us() - c->sent_us);
	if (c->failed) {
		if (!c->cancelled) /* that was its own doing */
			sum.failed[c->op]++;
		if (c->op == SET)
			c->limit = c->name = 0;
		client_think(c);
		return;
	}
	if (c->op == READ && !c->has_row) {
		sum.wrong++;
		tell(c, "has no row");
	}
	if (c->op == WRITE)
		c->acked = c->seq;
	if (c->op == SET)
		note_set(c);
	sum.done[c->op]++;
	client_think(c);
}

static void client_on_ready(struct client *c, char status)
{
	if (c->n_owed == 0) {
		sum.wrong++;
		tell(c, "has one ReadyForQuery too many");
		return;
	}
	if (--c->n_owed > 0)
		return;
	if (c->state == LOGIN) {
		client_logged_in(c);
	} else if (status != 'I' && c->failed) {
		struct out o = {.len = 0};

		c->step = UINT8_MAX;
		put_unit(c, &o, "ROLLBACK");
		if (!send_all(c, &o))
			client_out(c, RETRY_US);
	} else if (c->step != UINT8_MAX && !c->failed) {
		client_send_steps(c);
	} else {
		client_done(c);
	}
}

static void client_on_message(struct client *c, char kind, const char *body, size_t len)
{
	switch (kind) {
	case 'Z':
		client_on_ready(c, body[0]);
		break;
	case 'D':
		client_on_row(c, body, len);
		break;
	case 'E':
		client_on_error(c, body, len);
		break;
	case '1': /* not when it is sent: a late cancel may come before it */
		c->has_prepared = c->has_prepared || c->prepares;
		c->prepares = false;
		break;
	case 'K':
		c->pid = get_u32(body);
		c->key = get_u32(body + 4);
		break;
	default:
		break;
	}
}

/* Walk the messages of `p`; what is left of the last one is kept. */
static void client_on_bytes(struct client *c, const char *p, size_t len)
{
	const int fd = c->fd;

	while (len >= 5) {
		size_t need = 1 + (size_t)get_u32(p + 1);

		if (len < need)
			break;
		client_on_message(c, p[0], p + 5, need - 5);
		if (c->state == OUT || c->fd != fd)
			return;
		p += need;
		len -= need;
	}
	if (len > 0 && (c->part = malloc(len)) != NULL) {
		memcpy(c->part, p, len);
		c->part_len = (uint32_t)len;
	}
}

static bool client_receive(struct client *c)
{
	static char buf[RECV_LEN];
	size_t kept = c->part_len;
	ssize_t n;

	if (kept > 0) {
		memcpy(buf, c->part, kept);
		free(c->part);
		c->part = NULL;
		c->part_len = 0;
	}
	n = recv(c->fd, buf + kept, sizeof buf - kept, MSG_DONTWAIT);
	if (n > 0) {
		client_on_bytes(c, buf, kept + (size_t)n);
		return c->state != OUT && (size_t)n == sizeof buf - kept;
	}
	if (n < 0 && errno == EAGAIN) {
		if (kept > 0)
			client_on_bytes(c, buf, kept);
		return false;
	}
	if (c->state == LOGIN)
		sum.refused_logins++;
	client_out(c, RETRY_US);
	return false;
}

static void client_on_event(struct client *c, uint32_t events)
{
	if (c->state == OUT)
		return;
	if (c->state == CONNECTING && (events & EPOLLOUT) != 0 && (events & EPOLLERR) == 0)
		client_connected(c);
	if (c->state != OUT && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		while (client_receive(c))
			;
}

/* --- the run ------------------------------------------------------------------------------- */

static unsigned long percentile(double share)
{
	uint64_t n = 0, total = 0;

	for (size_t i = 0; i < sizeof sum.buckets / sizeof *sum.buckets; i++)
		total += sum.buckets[i];
	for (size_t i = 0; i < sizeof sum.buckets / sizeof *sum.buckets; i++)
		if ((n += sum.buckets[i]) >= (uint64_t)((double)total * share) && n > 0)
			return (unsigned long)(8 + i % 8 + 1) << (i / 8) >> 3;
	return 0;
}

static void report(const char *what)
{
	printf("%s logged_in=%u logins=%lu refused_logins=%lu login_max_us=%lu", what, n_in,
		sum.logins, sum.refused_logins, sum.login_max_us);
	for (int op = READ; op < OPS; op++)
		printf(" %s=%lu failed_%s=%lu", op_names[op], sum.done[op], op_names[op],
			sum.failed[op]);
	printf(" lost=%lu wrong=%lu stale=%lu leaked=%lu stray=%lu late=%lu stuck=%lu", sum.lost,
		sum.wrong, sum.stale, sum.leaked, sum.stray, sum.late, sum.stuck);
	printf(" p50_us=%lu p99_us=%lu max_us=%lu second_max_us=%lu\n", percentile(0.5),
		percentile(0.99), sum.max_us, sum.second_max_us);
	fflush(stdout);
	if (unsure != NULL)
		fflush(unsure);
	sum.second_max_us = 0;
}

/* The longest wait counts while it lasts, too. */
static void look_for_waits(void)
{
	for (int i = 0; i < set.clients; i++) {
		uint64_t us = clients[i].state == BUSY ? now_us - clients[i].sent_us : 0;

		if (us > sum.second_max_us && us < UINT64_MAX / 2)
			sum.second_max_us = us;
		if (us > sum.max_us && us < UINT64_MAX / 2)
			sum.max_us = us;
	}
}

static void turn(void)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(epoll_fd, events, EVENTS_MAX, WHEEL_US / 1000);

	now_us = clock_us();
	for (int i = 0; i < n; i++)
		client_on_event(events[i].data.ptr, events[i].events);
	now_us = clock_us();
	run_wheel();
	log_in_more();
}

static void run(void)
{
	uint64_t end_us = now_us + (uint64_t)set.seconds * 1000000u, next_us = now_us;

	while (!is_ended && now_us < end_us) {
		turn();
		if (now_us >= next_us) {
			look_for_waits();
			report("now");
			next_us += 1000000;
		}
	}
	is_ended = 1;
	end_us = now_us + LAST_US;
	while (n_busy > 0 && now_us < end_us)
		turn();
	look_for_waits();
	sum.stuck = n_busy;
	for (int i = 0; i < set.clients; i++)
		if (clients[i].state == BUSY) {
			tell(&clients[i], "was never answered");
			if (clients[i].op == WRITE && !clients[i].failed)
				note(&clients[i], clients[i].seq, "unknown", "-");
		}
	for (int i = 0; i < set.clients; i++)
		note(&clients[i], clients[i].seq, "last", "-");
	if (unsure != NULL)
		fclose(unsure);
	unsure = NULL;
	report("end");
}

static void on_signal(int signo)
{
	(void)signo;
	is_ended = 1;
}

static void change_setting(const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		if (value != NULL && strcmp(settings[i].name, name) == 0) {
			*settings[i].value = atoi(value);
			return;
		}
	fprintf(stderr, "crowd: %s is no setting, or has no value\n", name);
	exit(2);
}

static void set_up(char **argv)
{
	struct out o = {.len = 4};

	pooler = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(argv[1])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	put_u32(&o, 3 << 16);
	put_text(&o, "user");
	put_text(&o, argv[2]);
	put_text(&o, "database");
	put_text(&o, argv[3]);
	put_text(&o, "");
	end(&o, 0);
	memcpy(start_up, o.p, o.len);
	start_up_len = o.len;
	for (argv += 4; *argv != NULL; argv++) {
		char *value = strchr(*argv, '=');

		if (value != NULL)
			*value++ = '\0';
		if (value != NULL && strcmp(*argv, "unsure") == 0) {
			unsure = fopen(value, "w");
			continue;
		}
		change_setting(*argv, value);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4 || strlen(argv[2]) > 63 || strlen(argv[3]) > 63) {
		fprintf(stderr, "usage: %s PORT USER DATABASE [NAME=VALUE]...\n", argv[0]);
		return 2;
	}
	set_up(argv);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	rng_state = (uint64_t)set.seed;
	epoll_fd = epoll_create1(0);
	now_us = clock_us();
	wheel_at = now_us / WHEEL_US;
	clients = calloc((size_t)set.clients, sizeof *clients);
	if (clients == NULL || epoll_fd < 0) {
		perror("crowd");
		return 1;
	}
	for (int i = 0; i < set.clients; i++) {
		clients[i].who = (uint32_t)(set.first + i);
		wait_login(&clients[i]);
	}
	run();
	return 0;
}
