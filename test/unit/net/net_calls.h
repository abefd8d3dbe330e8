/*
 * net_calls - counts the system calls of the thread. For programs that are linked with
 * NET_CALLS_LINK; included once in each.
 */
#ifndef PGWEIR_TEST_NET_CALLS_H
#define PGWEIR_TEST_NET_CALLS_H

#include <sys/socket.h>

static __thread unsigned n_recv, n_send;

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
	n_recv++;
	return __real_recv(fd, buf, len, flags);
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
	n_send++;
	return __real_send(fd, buf, len, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	n_send++;
	return __real_sendmsg(fd, msg, flags);
}

static inline void no_calls_yet(void)
{
	n_recv = 0;
	n_send = 0;
}

#endif
