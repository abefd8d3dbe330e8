#include "main/syslog_out.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define ENTRY_MAX 2048u  /* twice LOG_LINE_MAX of base/log.h: a line, and what is ahead of it */
#define WAIT_MS   5      /* for a queue that is full, once a second if nobody reads … */
#define WAITS_US  50000u /* … and so long a second in all */
#define SECOND_US 1000000u

static const struct {
	const char *name;
	int facility;
} facilities[] = {{"auth", LOG_AUTH}, {"authpriv", LOG_AUTHPRIV}, {"daemon", LOG_DAEMON},
	{"user", LOG_USER}, {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
	{"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},
	{"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};

static int facility_of(const char *name)
{
	for (unsigned i = 0; i < sizeof facilities / sizeof *facilities; i++)
		if (strcmp(facilities[i].name, name) == 0)
			return facilities[i].facility;
	return LOG_DAEMON;
}

static int connect_as(const char *path, int type)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), saved;

	text_copy(to.sun_path, sizeof to.sun_path, path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		fd = -1;
	}
	return fd;
}

static bool reach(struct syslog_out *out)
{
	if (out->fd >= 0)
		return true;
	out->is_stream = false;
	out->fd = connect_as(out->path, SOCK_DGRAM);
	if (out->fd < 0 && errno == EPROTOTYPE) {
		out->is_stream = true;
		out->fd = connect_as(out->path, SOCK_STREAM);
	}
	return out->fd >= 0;
}

static void leave(struct syslog_out *out)
{
	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_US + (uint64_t)ts.tv_nsec / 1000;
}

/* Its queue is short (net.unix.max_dgram_qlen, 10 by default): who reads takes more in a moment. */
static bool takes_more(struct syslog_out *out)
{
	struct pollfd p = {.fd = out->fd, .events = POLLOUT};
	uint64_t began_us = now_us();

	if (began_us - out->second_us >= SECOND_US) {
		out->second_us = began_us;
		out->waited_us = 0;
	}
	if (out->waited_us >= WAITS_US)
		return false;
	if (poll(&p, 1, WAIT_MS) <= 0) {
		out->waited_us = WAITS_US;
		return false;
	}
	out->waited_us += now_us() - began_us;
	return true;
}

/* One that has been started anew has another socket: it is looked for once. */
static bool put_entry(struct syslog_out *out, const char *entry, size_t len)
{
	for (int tries = 0; tries < 2; tries++) {
		ssize_t put;

		if (!reach(out))
			return false;
		do
			put = send(
				out->fd, entry, len + out->is_stream, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (put < 0 && errno == EAGAIN && takes_more(out));
		if (put == (ssize_t)(len + out->is_stream))
			return true;
		if (put < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE))
			return false;
		leave(out); /* a stream with a part of a line is of no more use */
	}
	return false;
}

/* RFC 3164, section 4.1, as syslog(3) writes it. */
static bool put(struct syslog_out *out, int priority, const char *text, const char *kv)
{
	char when[32], entry[ENTRY_MAX];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	localtime_r(&now, &tm);
	strftime(when, sizeof when, "%b %e %H:%M:%S", &tm);
	n = snprintf(entry, sizeof entry, "<%d>%s %s[%ld]: %s%s%s", out->facility | priority, when,
		out->ident, (long)getpid(), text, *kv != '\0' ? " " : "", kv);
	return n > 0 &&
	       put_entry(out, entry, (size_t)n < sizeof entry ? (size_t)n : sizeof entry - 1);
}

void syslog_out_open(struct syslog_out *out, const char *ident, const char *facility)
{
	pthread_mutex_lock(&out->lock);
	text_copy(out->ident, sizeof out->ident, ident);
	out->facility = facility_of(facility);
	pthread_mutex_unlock(&out->lock);
}

void syslog_out_put(struct syslog_out *out, int level, const char *text, const char *kv)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	char lost[32];

	pthread_mutex_lock(&out->lock);
	snprintf(lost, sizeof lost, "lines=%lu", out->n_lost);
	if (out->n_lost != 0 &&
		put(out, LOG_WARNING, "syslog took no lines, which are lost to it", lost))
		out->n_lost = 0;
	if (out->n_lost != 0 || !put(out, priorities[level], text, kv))
		out->n_lost++;
	pthread_mutex_unlock(&out->lock);
}
