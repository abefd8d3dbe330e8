#include "control/takeover_wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void takeover_put_hello(struct wr *out, const struct takeover_hello *h)
{
	wr_u8(out, TAKEOVER_HELLO);
	wr_u32(out, h->format);
	wr_u32(out, h->slots_max);
	wr_bytes(out, &h->hash_key, sizeof h->hash_key);
	wr_bytes(out, h->mock_secret, sizeof h->mock_secret);
}

enum status takeover_read_hello(struct rd *in, struct takeover_hello *h)
{
	const uint8_t *key, *secret;

	h->format = rd_u32(in);
	h->slots_max = rd_u32(in);
	key = rd_bytes(in, sizeof h->hash_key);
	secret = rd_bytes(in, sizeof h->mock_secret);
	if (key == NULL || secret == NULL)
		return E_PROTO;
	memcpy(&h->hash_key, key, sizeof h->hash_key);
	memcpy(h->mock_secret, secret, sizeof h->mock_secret);
	return OK;
}

void takeover_put_place(struct wr *out, const char *database, const char *user, const char *node)
{
	wr_cstr(out, database);
	wr_cstr(out, user);
	wr_cstr(out, node);
}

/* Room for one descriptor, aligned as the system wants it. */
union ancillary {
	struct cmsghdr head;
	uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

enum status takeover_send(int sock, const void *p, size_t len, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = len};
	union ancillary a = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	ssize_t n;

	if (fd >= 0) {
		m.msg_control = &a;
		m.msg_controllen = sizeof a.bytes;
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	do
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)len)
		return OK;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return E_CLOSED;
	return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? E_AGAIN : E_IO;
}

static int take_fd(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

enum status takeover_receive(int sock, uint8_t *buf, size_t *len, int *fd)
{
	struct iovec iov = {.iov_base = buf, .iov_len = TAKEOVER_RECORD_MAX};
	union ancillary a;
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &a,
		.msg_controllen = sizeof a.bytes};
	ssize_t n;

	*fd = -1;
	do /* a reset is told once, ahead of what was sent before it */
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EAGAIN ? E_AGAIN : E_IO;
	*fd = take_fd(&m);
	*len = (size_t)n;
	if (n == 0)
		return E_CLOSED;
	if ((m.msg_flags & MSG_TRUNC) == 0)
		return OK;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return E_PROTO;
}
