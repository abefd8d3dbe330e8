/*
 * floor_epoll - the smallest one-to-one relay over epoll: what a proxy of one thread that receives
 * and sends cannot cost less than. A measuring instrument, not a tool: no parsing, no pooling.
 *
 * usage: floor_epoll LISTEN SERVER    each a port on loopback, or the path of a unix socket
 *
 * Per readable socket: one recv, one send to its partner. A send that does not take all is finished
 * with poll, which stalls the rest; pgbench's messages are too small for that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_MAX    65536 /* descriptors; a higher one is closed again */
#define EVENTS_MAX 256
#define STALL_MS   10000

static int partner_of[FDS_MAX]; /* 0: none, as descriptor 0 is never a partner */

static socklen_t address_of(const char *where, struct sockaddr_storage *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_un *un = (struct sockaddr_un *)out;

	memset(out, 0, sizeof *out);
	if (where[0] == '/') {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof un->sun_path, "%s", where);
		return sizeof *un;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)atoi(where));
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof *in;
}

static int listen_on(const char *where)
{
	struct sockaddr_storage addr;
	socklen_t len = address_of(where, &addr);
	int one = 1, fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
		bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, 4096) != 0) {
		perror("listen");
		exit(1);
	}
	return fd;
}

static int connect_to(const char *where)
{
	struct sockaddr_storage addr;
	socklen_t len = address_of(where, &addr);
	int fd = socket(addr.ss_family, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, len) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void watch(int epoll, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
}

static void accept_all(int epoll, int listener, const char *server)
{
	int client, backend;

	while ((client = accept(listener, NULL, NULL)) >= 0) {
		backend = client < FDS_MAX ? connect_to(server) : -1;
		if (backend < 0 || backend >= FDS_MAX) {
			close(client);
			if (backend >= 0)
				close(backend);
			continue;
		}
		partner_of[client] = backend;
		partner_of[backend] = client;
		watch(epoll, client);
		watch(epoll, backend);
	}
}

static void part(int fd)
{
	int partner = partner_of[fd];

	partner_of[fd] = partner_of[partner] = 0;
	close(fd);
	close(partner);
}

static bool send_all(int fd, const char *p, size_t len)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	ssize_t n;

	while (len > 0) {
		n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno != EAGAIN || poll(&pfd, 1, STALL_MS) <= 0))
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static void relay(int fd)
{
	static char buf[65536];
	ssize_t n;

	if (partner_of[fd] == 0) /* parted earlier in this batch */
		return;
	n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || !send_all(partner_of[fd], buf, (size_t)n))
		part(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX], ev = {.events = EPOLLIN};
	int epoll, listener;

	if (argc != 3) {
		fprintf(stderr, "usage: %s LISTEN SERVER\n", argv[0]);
		return 2;
	}
	listener = listen_on(argv[1]);
	epoll = epoll_create1(0);
	ev.data.fd = listener;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
		bool is_asked = false;

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				is_asked = true;
			else
				relay(events[i].data.fd);
		}
		if (is_asked) /* after the others: a descriptor closed above may come back here */
			accept_all(epoll, listener, argv[2]);
	}
}
