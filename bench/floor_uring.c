/*
 * floor_uring - the smallest one-to-one relay over io_uring: what a proxy of one thread cannot cost
 * less than there. A measuring instrument, not a tool: no parsing, no pooling.
 *
 * usage: floor_uring LISTEN SERVER    each a port on loopback, or the path of a unix socket
 *
 * Each socket has a multishot receive into provided buffers; a buffer that came is sent to the
 * partner, one send of a socket at a time, and given back. One system call a turn. A pair is closed
 * when either side ends; its numbers are not used again before all that was asked has been reaped.
 */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_MAX  65536
#define RING_LEN 4096
#define BUFS     1024 /* a power of two */
#define BUF_LEN  16384
#define GROUP    0

enum what { ACCEPT, RECV, SEND };

struct sock {
	int partner;     /* -1: none */
	int first, last; /* buffers to be sent to it, -1: none */
	uint32_t sent;   /* of the first */
	uint8_t n_asked; /* operations that are not reaped */
	bool dead, receives;
};

static struct sock socks[FDS_MAX];
static struct {
	int next, len;
} bufs[BUFS];
static uint8_t *memory;
static struct io_uring ring;
static struct io_uring_buf_ring *buf_ring;
static const char *server;
static int starved[FDS_MAX], n_starved; /* sockets whose receive ended for want of a buffer */

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
	int one = 1, fd = socket(addr.ss_family, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, 4096) != 0) {
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

/* --- asking --- */

static struct io_uring_sqe *ask(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (sqe == NULL) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	if (sqe == NULL)
		abort();
	return sqe;
}

static void mark(struct io_uring_sqe *sqe, enum what what, int fd)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)what << 32 | (uint32_t)fd);
	socks[fd].n_asked++;
}

static void ask_recv(int fd)
{
	struct io_uring_sqe *sqe = ask();

	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	mark(sqe, RECV, fd);
	socks[fd].receives = true;
}

static void ask_send(int fd)
{
	struct sock *s = &socks[fd];
	int b = s->first;
	struct io_uring_sqe *sqe = ask();

	io_uring_prep_send(sqe, fd, memory + (size_t)b * BUF_LEN + s->sent,
		(size_t)bufs[b].len - s->sent, MSG_NOSIGNAL);
	mark(sqe, SEND, fd);
}

static void ask_accept(int fd)
{
	struct io_uring_sqe *sqe = ask();

	io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, 0);
	mark(sqe, ACCEPT, fd);
}

static void give_back(int b)
{
	io_uring_buf_ring_add(buf_ring, memory + (size_t)b * BUF_LEN, BUF_LEN, (unsigned short)b,
		io_uring_buf_ring_mask(BUFS), 0);
	io_uring_buf_ring_advance(buf_ring, 1);
	if (n_starved > 0) {
		int fd = starved[--n_starved];

		if (!socks[fd].dead && !socks[fd].receives)
			ask_recv(fd);
	}
}

/* --- what has come --- */

static void bury(int fd)
{
	struct sock *s = &socks[fd];

	if (!s->dead || s->n_asked > 0)
		return;
	for (int b = s->first; b >= 0;) {
		int next = bufs[b].next;

		give_back(b);
		b = next;
	}
	s->first = s->last = -1;
	close(fd);
}

static void part(int fd)
{
	int both[2] = {fd, socks[fd].partner};

	if (socks[fd].dead) /* so is its partner, whose number may have a new owner */
		return;
	for (int i = 0; i < 2; i++) {
		if (both[i] < 0 || socks[both[i]].dead)
			continue;
		socks[both[i]].dead = true;
		shutdown(both[i], SHUT_RDWR); /* which ends what was asked of it */
	}
}

static void watch(int fd, int partner)
{
	int one = 1;

	socks[fd] = (struct sock){.partner = partner, .first = -1, .last = -1};
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void on_accept(int client)
{
	int backend = client >= 0 && client < FDS_MAX ? connect_to(server) : -1;

	if (backend < 0 || backend >= FDS_MAX) {
		if (client >= 0)
			close(client);
		if (backend >= 0)
			close(backend);
		return;
	}
	watch(client, backend);
	watch(backend, client);
	ask_recv(client);
	ask_recv(backend);
}

static void on_recv(int fd, int res, uint32_t flags)
{
	int b = (int)(flags >> IORING_CQE_BUFFER_SHIFT), to = socks[fd].partner;
	struct sock *s = &socks[to];

	if ((flags & IORING_CQE_F_MORE) == 0)
		socks[fd].receives = false;
	if (res == -ENOBUFS) {
		starved[n_starved++] = fd;
		return;
	}
	if (res <= 0 || socks[fd].dead || s->dead) {
		if (res > 0)
			give_back(b);
		part(fd);
		return;
	}
	if (!socks[fd].receives)
		ask_recv(fd);
	bufs[b].next = -1;
	bufs[b].len = res;
	if (s->first >= 0) {
		bufs[s->last].next = b;
		s->last = b;
		return;
	}
	s->first = s->last = b;
	s->sent = 0;
	ask_send(to);
}

static void on_send(int fd, int res)
{
	struct sock *s = &socks[fd];
	int b = s->first;

	if (res <= 0 || s->dead) {
		part(fd);
		return;
	}
	s->sent += (uint32_t)res;
	if (s->sent == (uint32_t)bufs[b].len) {
		s->first = bufs[b].next;
		s->sent = 0;
		give_back(b);
	}
	if (s->first >= 0)
		ask_send(fd);
}

static void reap(const struct io_uring_cqe *cqe, int listener)
{
	enum what what = (enum what)(cqe->user_data >> 32);
	int fd = (int)(uint32_t)cqe->user_data;

	if ((cqe->flags & IORING_CQE_F_MORE) == 0)
		socks[fd].n_asked--;
	switch (what) {
	case ACCEPT:
		on_accept(cqe->res);
		if ((cqe->flags & IORING_CQE_F_MORE) == 0)
			ask_accept(listener);
		return;
	case RECV:
		on_recv(fd, cqe->res, cqe->flags);
		break;
	case SEND:
		on_send(fd, cqe->res);
		break;
	}
	bury(fd);
}

static void set_up(void)
{
	struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER |
					     IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = 4 * RING_LEN};
	struct io_uring_buf_reg reg = {.ring_entries = BUFS, .bgid = GROUP};

	if (io_uring_queue_init_params(RING_LEN, &ring, &p) != 0 ||
		posix_memalign((void **)&buf_ring, 4096, BUFS * sizeof(struct io_uring_buf)) != 0 ||
		(memory = malloc((size_t)BUFS * BUF_LEN)) == NULL) {
		perror("io_uring");
		exit(1);
	}
	io_uring_buf_ring_init(buf_ring);
	reg.ring_addr = (uint64_t)(uintptr_t)buf_ring;
	if (io_uring_register_buf_ring(&ring, &reg, 0) != 0) {
		perror("io_uring_register_buf_ring");
		exit(1);
	}
	for (int b = 0; b < BUFS; b++)
		give_back(b);
}

int main(int argc, char **argv)
{
	int listener;

	if (argc != 3) {
		fprintf(stderr, "usage: %s LISTEN SERVER\n", argv[0]);
		return 2;
	}
	server = argv[2];
	set_up();
	listener = listen_on(argv[1]);
	ask_accept(listener);
	for (;;) {
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;

		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			reap(cqe, listener);
			n++;
		}
		io_uring_cq_advance(&ring, n);
	}
}
