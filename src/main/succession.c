#include "main/succession.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/conf.h"

#define HELLO_S 10 /* for the next record of the old process */
#define ASK_S   60 /* for the new process to serve */

/* --- what is inherited --- */

void inherited_init(struct inherited *in)
{
	*in = (struct inherited){.from.sock = -1, .stats_fd = -1, .takeover_fd = -1};
}

static enum status take_passed(struct activation *passed, bool is_admin, int *fd)
{
	if (passed->n == ACTIVATION_MAX)
		return E_LIMIT;
	passed->entry[passed->n++] = (struct activation_entry){
		.fd = *fd, .use = is_admin ? ACTIVATION_ADMIN : ACTIVATION_CLIENTS};
	*fd = -1;
	return OK;
}

static enum status take_socket(
	struct inherited *in, struct activation *passed, struct rd *r, int *fd)
{
	uint8_t what = rd_u8(r);
	bool is_passed = rd_u8(r) != 0;
	struct sockets_given *to = &in->sockets;
	struct socket_given *more;

	if (r->bad || *fd < 0 || what >= TAKEOVER_SOCKETS)
		return E_PROTO;
	if (what == TAKEOVER_FOR_STATS || what == TAKEOVER_FOR_TAKEOVERS) {
		*(what == TAKEOVER_FOR_STATS ? &in->stats_fd : &in->takeover_fd) = *fd;
		*fd = -1;
		return OK;
	}
	if (is_passed)
		return take_passed(passed, what == TAKEOVER_FOR_ADMINS, fd);
	if (to->n == SOCKETS_MAX)
		return E_LIMIT;
	more = realloc(to->entry, (to->n + 1) * sizeof *more);
	if (more == NULL)
		return E_NOMEM;
	to->entry = more;
	more[to->n++] = (struct socket_given){.fd = *fd, .is_admin = what == TAKEOVER_FOR_ADMINS};
	*fd = -1;
	return OK;
}

static enum status take(
	struct inherited *in, struct activation *passed, struct rd *r, int *fd, bool *is_end)
{
	switch (rd_u8(r)) {
	case TAKEOVER_HELLO:
		return takeover_read_hello(r, &in->from.hello);
	case TAKEOVER_SOCKET:
		return take_socket(in, passed, r, fd);
	case TAKEOVER_END:
		*is_end = true;
		return OK;
	default:
		return E_PROTO;
	}
}

static enum status limit_wait(int sock, int seconds)
{
	const struct timeval limit = {.tv_sec = seconds};

	return setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 ? OK : E_IO;
}

enum status inherited_read(struct inherited *in, int sock, struct activation *passed)
{
	uint8_t *buf = malloc(TAKEOVER_RECORD_MAX);
	enum status st = buf != NULL ? limit_wait(sock, HELLO_S) : E_NOMEM;
	bool is_end = false;

	in->from.sock = sock;
	while (st == OK && !is_end) {
		struct rd r;
		size_t len;
		int fd;

		st = takeover_receive(sock, buf, &len, &fd);
		if (st != OK)
			break;
		r = rd_of(buf, len);
		st = take(in, passed, &r, &fd, &is_end);
		if (fd >= 0)
			close(fd);
	}
	free(buf);
	return st;
}

void inherited_free(struct inherited *in)
{
	for (uint32_t i = 0; i < in->sockets.n; i++)
		if (in->sockets.entry[i].fd >= 0)
			close(in->sockets.entry[i].fd);
	free(in->sockets.entry);
	if (in->from.sock >= 0)
		close(in->from.sock);
	if (in->stats_fd >= 0)
		close(in->stats_fd);
	if (in->takeover_fd >= 0)
		close(in->takeover_fd);
	inherited_init(in);
}

/* --- takeover_socket --- */

/* False: there is none. */
static bool path_of(const struct conf *conf, struct sockaddr_un *a)
{
	int n;

	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (conf->takeover_socket[0] != '\0')
		n = snprintf(a->sun_path, sizeof a->sun_path, "%s", conf->takeover_socket);
	else if (conf->unix_socket_dir[0] == '/')
		n = snprintf(a->sun_path, sizeof a->sun_path, "%s/.s.PGWEIR.%u.takeover",
			conf->unix_socket_dir, conf->listen_port);
	else
		return false;
	return n > 0 && (size_t)n < sizeof a->sun_path;
}

static int connect_to(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) != 0) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* The file of a daemon that is no more; another program's is left. */
static void remove_stale(const struct sockaddr_un *a)
{
	struct stat st;
	int fd = connect_to(a);

	if (fd >= 0)
		close(fd);
	else if (errno == ECONNREFUSED && lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(a->sun_path);
}

int succession_listen(const struct conf *conf, struct log *log)
{
	struct sockaddr_un a;
	mode_t mask;
	int fd, rc;

	if (!path_of(conf, &a))
		return -1;
	remove_stale(&a);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	rc = fd >= 0 ? bind(fd, (const struct sockaddr *)&a, sizeof a) : -1;
	umask(mask);
	if (rc == 0 && listen(fd, 8) == 0)
		return fd;
	log_warn(log, "no take-over of this process is possible", "takeover_socket=%s error=\"%s\"",
		a.sun_path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

void succession_path(const struct conf *conf, char *out, size_t cap)
{
	struct sockaddr_un a;

	snprintf(out, cap, "%s", path_of(conf, &a) ? a.sun_path : "");
}

/* --- pgweir --takeover --- */

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "pgweir: no take-over: %s: %s\n", what, why);
	return 1;
}

static int read_answer(int sock)
{
	uint8_t *buf = malloc(TAKEOVER_RECORD_MAX);
	enum status st = buf != NULL ? limit_wait(sock, ASK_S) : E_NOMEM;
	size_t len = 0;
	int fd = -1, rc;
	struct rd r;

	if (st == OK)
		st = takeover_receive(sock, buf, &len, &fd);
	if (fd >= 0)
		close(fd);
	r = rd_of(buf, st == OK ? len : 0);
	switch (rd_u8(&r)) {
	case TAKEOVER_DONE:
		printf("process %lu has taken over\n", (unsigned long)rd_u32(&r));
		rc = 0;
		break;
	case TAKEOVER_REFUSED:
		rc = complain("the daemon says", rd_cstr(&r));
		break;
	default:
		rc = complain("no answer from the daemon", status_name(st));
		break;
	}
	free(buf);
	return rc;
}

int succession_ask(const struct conf *conf, const char *path)
{
	char program[PATH_MAX], config[PATH_MAX], record[2 * PATH_MAX + 8];
	struct wr w = wr_of(record, sizeof record);
	struct sockaddr_un a;
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	int sock, rc;

	config[0] = '\0';
	if (n <= 0 || (path[0] != '\0' && realpath(path, config) == NULL))
		return complain("its files", strerror(errno));
	program[n] = '\0';
	if (!path_of(conf, &a))
		return complain("takeover_socket", "it is not set, nor is unix_socket_dir");
	sock = connect_to(&a);
	if (sock < 0)
		return complain(a.sun_path, strerror(errno));
	wr_u8(&w, TAKEOVER_START);
	wr_cstr(&w, program);
	wr_cstr(&w, config);
	if (takeover_send(sock, record, w.len, -1) == OK)
		rc = read_answer(sock);
	else
		rc = complain(a.sun_path, strerror(errno));
	close(sock);
	return rc;
}
