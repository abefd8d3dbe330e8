#include "main/activation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/value.h"

#define FIRST_FD 3 /* of those handed over */

static enum activation_use use_of(const char *name, size_t len)
{
	if (len == strlen("admin") && memcmp(name, "admin", len) == 0)
		return ACTIVATION_ADMIN;
	if (len == strlen("stats") && memcmp(name, "stats", len) == 0)
		return ACTIVATION_STATS;
	return ACTIVATION_CLIENTS;
}

static bool is_option(int fd, int name, int value)
{
	int is = -1;
	socklen_t len = sizeof is;

	return getsockopt(fd, SOL_SOCKET, name, &is, &len) == 0 && is == value;
}

static bool make_ready(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
	       fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static enum status take(struct activation *out, uint64_t n, const char *names, char *err)
{
	if (n > ACTIVATION_MAX) {
		(void)snprintf(err, ACTIVATION_ERR_MAX, "at most %u sockets can be handed over",
			ACTIVATION_MAX);
		return E_LIMIT;
	}
	for (uint32_t i = 0; i < n; i++) {
		int fd = FIRST_FD + (int)i;
		size_t len = strcspn(names, ":");

		if (!is_option(fd, SO_TYPE, SOCK_STREAM) || !is_option(fd, SO_ACCEPTCONN, 1) ||
			!make_ready(fd)) {
			(void)snprintf(err, ACTIVATION_ERR_MAX,
				"descriptor %d (%.*s) is no listening stream socket", fd, (int)len,
				names);
			return E_INVALID;
		}
		out->entry[out->n++] = (struct activation_entry){fd, use_of(names, len)};
		names += len + (names[len] == ':');
	}
	return OK;
}

enum status activation_take(struct activation *out, char err[ACTIVATION_ERR_MAX])
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	uint64_t n_pid, n = 0;
	enum status st = OK;

	out->n = 0;
	if (pid != NULL && fds != NULL && value_parse_uint(pid, &n_pid) &&
		n_pid == (uint64_t)getpid() && value_parse_uint(fds, &n))
		st = take(out, n, names != NULL ? names : "", err);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return st;
}

int activation_find(const struct activation *a, enum activation_use use)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->entry[i].use == use)
			return a->entry[i].fd;
	return -1;
}
