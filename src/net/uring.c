#include "net/uring.h"

#ifdef HAVE_LIBURING

#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/conn.h"

#define SQ_LEN    1024u
#define CQ_LEN    8192u
#define BUFS      256u /* receive buffers; a power of two */
#define BUFS_USED 32u  /* of them, until they do not suffice: the same few stay in the cache */
#define BUF_LEN   4096u
#define BUF_STEP  (BUF_LEN + 192u) /* so that the fronts of the buffers do not share cache sets */
#define BUF_NONE  0xffffu
#define GROUP     0
#define RECV_MAX  32768u /* bytes that one request receives before it is asked again */
#define AHEAD_MAX 65536u /* bytes that wait for the owner; then receiving stops */
#define MSGS      64u    /* sends of several pieces per batch of requests */
#define RETRIES   100u   /* requests that the kernel does not take, for want of memory */
#define LEAVE_US  10000u /* at the end of a loop, for what the kernel still holds */

/* The low bits of a request's user_data; the rest is the pointer of its conn or watch. */
enum tag { TAG_RECV, TAG_SEND, TAG_SEND_NOW, TAG_POLL, TAG_CANCEL, TAG_WATCH, TAG_WAKE, TAG_NONE };
#define TAG_MASK 7u
#define TIMER    ((1u << 3) | TAG_NONE) /* user_data of the time that ends a sleep */

struct chunk {
	uint16_t next;
	uint16_t off;
	uint16_t len;
};

struct uring {
	struct io_uring ring;
	struct loop *loop;
	bool made;
	bool enabled; /* by the first turn: the ring belongs to its thread */
	bool wake_armed;
	bool one_shot; /* the kernel cannot bound a multishot receive (before 6.17) */
	unsigned n_bufs;
	unsigned n_used; /* of them; the others have never been given to the kernel */
	struct io_uring_buf_ring *buf_ring;
	uint8_t *bufs;
	struct chunk *chunk; /* of each buffer */
	struct list later;   /* conns, by uring_io.later */
	struct list sent;   /* conns whose whole output went into the batch that is being entered */
	struct list graves; /* conns that are freed above */
	struct list watches; /* that need a request */
	struct list dead_watches;
	bool closing;
	unsigned n_asked; /* requests of the batch that is being made */
	unsigned now_max; /* so many cannot fill the answers, so no failed send is missed */
	unsigned n_msgs;
	unsigned enter_flags;
	uint64_t timer_us; /* the timer ends a sleep then; UINT64_MAX: it is not set */
	struct __kernel_timespec timer;
	struct msghdr msg[MSGS];
	struct iovec iov[MSGS][OUT_IOV_MAX];
};

struct uring_watch {
	struct list later; /* on uring->watches */
	struct uring *u;
	struct loop_watch *w; /* NULL: unwatched, waits for its last answer */
	int fd;
	unsigned events;
	bool armed;
	bool cancelled;
};

static struct uring_io *io_of(const struct conn *c)
{
	return (struct uring_io *)(void *)(uintptr_t)(c + 1);
}

static struct conn *conn_of(struct uring_io *io)
{
	return (struct conn *)(void *)io - 1;
}

static uint64_t tagged(const void *p, enum tag tag)
{
	return (uint64_t)(uintptr_t)p | tag;
}

size_t uring_io_size(void)
{
	return sizeof(struct uring_io);
}

/* --- receive buffers --- */

static uint8_t *buf_at(struct uring *u, unsigned id)
{
	return u->bufs + (size_t)id * BUF_STEP;
}

void uring_give_back(struct uring *u, unsigned id)
{
	io_uring_buf_ring_add(u->buf_ring, buf_at(u, id), BUF_LEN, (unsigned short)id,
		io_uring_buf_ring_mask(u->n_bufs), 0);
	io_uring_buf_ring_advance(u->buf_ring, 1);
}

/* They did not suffice: use twice as many. */
static void use_more_bufs(struct uring *u)
{
	unsigned n = u->n_used < u->n_bufs / 2 ? u->n_used * 2 : u->n_bufs;

	while (u->n_used < n)
		uring_give_back(u, u->n_used++);
}

static void chunk_push(struct uring *u, struct uring_io *io, unsigned id, size_t len)
{
	u->chunk[id] = (struct chunk){.next = BUF_NONE, .len = (uint16_t)len};
	if (io->first == BUF_NONE)
		io->first = (uint16_t)id;
	else
		u->chunk[io->last].next = (uint16_t)id;
	io->last = (uint16_t)id;
	io->queued += (uint32_t)len;
}

static unsigned chunk_pop(struct uring *u, struct uring_io *io)
{
	unsigned id = io->first;

	io->queued -= (uint32_t)(u->chunk[id].len - u->chunk[id].off);
	io->first = u->chunk[id].next;
	return id;
}

static void chunks_drop(struct uring *u, struct uring_io *io)
{
	while (io->first != BUF_NONE)
		uring_give_back(u, chunk_pop(u, io));
}

/* Bytes that wait longer than a turn move to memory of the conn, so that no other lacks a buffer.
 */
static bool chunks_set_aside(struct uring *u, struct conn *c)
{
	struct uring_io *io = io_of(c);
	struct ahead *a;
	size_t have = c->ahead != NULL ? c->ahead->end - c->ahead->begin : 0;

	if (io->queued == 0)
		return true;
	a = malloc(sizeof *a + have + io->queued);
	if (a == NULL)
		return false;
	if (have != 0)
		memcpy(a->bytes, c->ahead->bytes + c->ahead->begin, have);
	a->begin = 0;
	a->end = have;
	while (io->first != BUF_NONE) {
		unsigned id = chunk_pop(u, io);
		const struct chunk *k = &u->chunk[id];

		memcpy(a->bytes + a->end, buf_at(u, id) + k->off, k->len - k->off);
		a->end += k->len - k->off;
		uring_give_back(u, id);
	}
	free(c->ahead);
	c->ahead = a;
	return true;
}

/* --- asking --- */

/*
 * What io_uring_submit does, without its detours. The kernel finds request i at place i: ring_make
 * has said so once.
 */
static int ring_enter(struct uring *u, unsigned n_wait, unsigned flags)
{
	struct io_uring_sq *sq = &u->ring.sq;

	sq->sqe_head = sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	u->n_msgs = 0; /* the kernel copies what they say */
	return io_uring_enter((unsigned)u->ring.enter_ring_fd,
		sq->sqe_tail - io_uring_smp_load_acquire(sq->khead), n_wait, flags | u->enter_flags,
		NULL);
}

static struct io_uring_sqe *sqe_get(struct uring *u)
{
	struct io_uring_sqe *e = io_uring_get_sqe(&u->ring);

	for (unsigned i = 0; e == NULL && i < RETRIES; i++) {
		(void)ring_enter(u, 0, 0);
		e = io_uring_get_sqe(&u->ring);
	}
	PANIC_IF(e == NULL);
	u->n_asked++;
	return e;
}

/*
 * Many messages, but not more than RECV_MAX bytes, or a sender that does not stop would fill memory
 * before it is seen to be ahead. The bound is `optlen` of newer headers; before Linux 6.17 it was a
 * field that must be 0.
 */
static void ask_recv(struct uring *u, struct conn *c, struct uring_io *io)
{
	struct io_uring_sqe *e = sqe_get(u);

	io_uring_prep_recv(e, c->fd, NULL, 0, 0);
	e->flags |= IOSQE_BUFFER_SELECT;
	e->buf_group = GROUP;
	io->bounded = !u->one_shot;
	if (io->bounded) {
		e->ioprio |= IORING_RECV_MULTISHOT;
		e->file_index = RECV_MAX;
	}
	io_uring_sqe_set_data64(e, tagged(c, TAG_RECV));
	io->receiving = true;
	io->n_ops++;
}

static void ask_poll(struct uring *u, struct conn *c, struct uring_io *io, unsigned events)
{
	struct io_uring_sqe *e = sqe_get(u);

	io_uring_prep_poll_add(e, c->fd, events);
	io_uring_sqe_set_data64(e, tagged(c, TAG_POLL));
	io->polling = true;
	io->poll_in = (events & POLLIN) != 0;
	io->n_ops++;
}

/*
 * Into a socket that is not known to be full, the output goes when the kernel is entered or not at
 * all: only what did not go whole is answered, so that no sleep ends because a send was done.
 */
static void ask_send(struct uring *u, struct conn *c, struct uring_io *io)
{
	bool now = !c->blocked && u->n_asked < u->now_max;
	int flags = MSG_NOSIGNAL | (now ? MSG_DONTWAIT | MSG_WAITALL : 0);
	struct out_buf *b = c->out_first;
	struct io_uring_sqe *e;

	if (b->next != NULL && u->n_msgs == MSGS)
		(void)ring_enter(u, 0, 0);
	e = sqe_get(u);
	io->asked = 0;
	if (b->next == NULL) {
		io->asked = b->end - b->begin;
		io_uring_prep_send(e, c->fd, (uint8_t *)b + b->begin, b->end - b->begin, flags);
	} else {
		struct msghdr *m = &u->msg[u->n_msgs];
		struct iovec *iov = u->iov[u->n_msgs++];

		*m = (struct msghdr){.msg_iov = iov};
		for (; b != NULL && m->msg_iovlen < OUT_IOV_MAX; b = b->next) {
			iov[m->msg_iovlen].iov_base = (uint8_t *)b + b->begin;
			iov[m->msg_iovlen++].iov_len = b->end - b->begin;
			io->asked += b->end - b->begin;
		}
		io_uring_prep_sendmsg(e, c->fd, m, (unsigned)flags);
	}
	io->sending = true;
	if (!now) {
		c->blocked = true;
		io_uring_sqe_set_data64(e, tagged(c, TAG_SEND));
		io->n_ops++;
	} else {
		e->flags |= IOSQE_CQE_SKIP_SUCCESS;
		io_uring_sqe_set_data64(e, tagged(c, TAG_SEND_NOW));
		list_push_back(&u->sent, &io->later);
	}
}

static void ask_cancel(struct uring *u, struct conn *c, struct uring_io *io, enum tag what)
{
	struct io_uring_sqe *e = sqe_get(u);

	io_uring_prep_cancel64(e, tagged(c, what), 0);
	io_uring_sqe_set_data64(e, tagged(c, TAG_CANCEL));
	io->n_ops++;
}

static void ask_cancel_all(struct uring *u, struct conn *c, struct uring_io *io)
{
	struct io_uring_sqe *e = sqe_get(u);

	io_uring_prep_cancel_fd(e, c->fd, IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(e, tagged(c, TAG_CANCEL));
	io->cancelling = true;
	io->n_ops++;
}

/* --- what a conn needs --- */

static void put_on(struct uring *u, struct uring_io *io)
{
	if (list_is_empty(&io->later)) /* the buried lie in their graves */
		list_push_back(&u->later, &io->later);
}

void uring_later(struct conn *c)
{
	put_on(c->loop->uring, io_of(c));
}

void uring_flow_changed(struct conn *c)
{
	if (!io_of(c)->receiving) /* which serves both: it tells the end as well */
		uring_later(c);
}

static void settle_leaving(struct uring *u, struct conn *c, struct uring_io *io)
{
	if (io->n_ops != 0 && !io->cancelling)
		ask_cancel_all(u, c, io);
}

static bool wants_input(const struct conn *c, const struct uring_io *io)
{
	if (io->ended || io->queued >= AHEAD_MAX)
		return false;
	if (c->state == CONN_HANDSHAKE || (c->state == CONN_OPEN && !c->paused))
		return !c->late || c->ahead == NULL;
	return c->state == CONN_OPEN && !io->bulk && io->first == BUF_NONE && c->ahead == NULL;
}

static void start_input(struct uring *u, struct conn *c, struct uring_io *io)
{
	if (io->polling && !io->poll_in)
		io->bulk = false; /* an owner that had paused; one poll at a time */
	if (!io->bulk)
		ask_recv(u, c, io);
	else if (!io->polling && c->sock_drained) /* else it is read from the ready list */
		ask_poll(u, c, io, POLLIN | POLLRDHUP);
}

static void settle_input(struct uring *u, struct conn *c, struct uring_io *io)
{
	bool paused = c->state == CONN_OPEN && c->paused;
	bool wants;

	if (paused)
		(void)chunks_set_aside(u, c); /* without memory they stay where they are */
	wants = wants_input(c, io);
	if (wants && !io->receiving) {
		start_input(u, c, io);
	} else if (!wants && io->receiving && !io->stopping &&
		   (c->state == CONN_OPEN || io->stray)) {
		io->stopping = true;
		ask_cancel(u, c, io, TAG_RECV);
	}
	/* while nothing is received, an owner that has paused still hears of the end */
	if (paused && !io->receiving && !io->ended && !c->hup && !io->polling)
		ask_poll(u, c, io, POLLRDHUP);
}

static void settle(struct uring *u, struct conn *c, struct uring_io *io)
{
	if (c->state == CONN_LEAVING) {
		settle_leaving(u, c, io);
		return;
	}
	if (c->state == CONN_CONNECTING) {
		if (!io->polling)
			ask_poll(u, c, io, POLLOUT);
		return;
	}
	if (io->held != NULL && !io->cancelling) { /* dropped on its way */
		ask_cancel_all(u, c, io);
		return;
	}
	settle_input(u, c, io);
	if (c->out_first != NULL && !io->sending && !c->tx_off)
		ask_send(u, c, io);
}

static void settle_watch(struct uring *u, struct uring_watch *uw)
{
	struct io_uring_sqe *e;

	if (uw->w != NULL && !uw->armed) { /* one shot, asked again: level-triggered */
		e = sqe_get(u);
		io_uring_prep_poll_add(e, uw->fd, uw->events);
		io_uring_sqe_set_data64(e, tagged(uw, TAG_WATCH));
		uw->armed = true;
	} else if (uw->w == NULL && !uw->cancelled) {
		e = sqe_get(u);
		io_uring_prep_cancel64(e, tagged(uw, TAG_WATCH), 0);
		e->flags |= IOSQE_CQE_SKIP_SUCCESS;
		io_uring_sqe_set_data64(e, TAG_NONE);
		uw->cancelled = true;
		list_push_back(&u->dead_watches, &uw->later);
	}
}

static void settle_all(struct uring *u)
{
	struct list *it;

	if (!u->wake_armed) {
		struct io_uring_sqe *e = sqe_get(u);

		io_uring_prep_poll_multishot(e, u->loop->wake_fd, POLLIN);
		io_uring_sqe_set_data64(e, TAG_WAKE);
		u->wake_armed = true;
	}
	while ((it = list_pop_front(&u->watches)) != NULL)
		settle_watch(u, list_entry(it, struct uring_watch, later));
	list_foreach (it, &u->graves) {
		struct uring_io *io = list_entry(it, struct uring_io, later);

		settle_leaving(u, conn_of(io), io);
	}
	while ((it = list_pop_front(&u->later)) != NULL) {
		struct uring_io *io = list_entry(it, struct uring_io, later);

		settle(u, conn_of(io), io);
	}
}

/* --- what the kernel answers --- */

/* 0: it is only not done. */
static int hard_error(int res)
{
	return res < 0 && res != -EAGAIN && res != -EINTR && res != -ECANCELED ? -res : 0;
}

static void unbury(struct uring *u, struct conn *c)
{
	struct uring_io *io = io_of(c);

	list_del(&io->later);
	conn_tx_let_go(u->loop, io->held);
	close(c->fd);
	free(c);
}

/* A request is over. Returns false if nobody is to be told. */
static bool op_ended(struct uring *u, struct conn *c, struct uring_io *io)
{
	io->n_ops--;
	if (io->buried)
		return false;
	put_on(u, io);
	if (c->state != CONN_LEAVING)
		return true;
	if (io->n_ops == 0)
		conn_make_ready(c);
	return false;
}

/* The owner gets the bytes where they lie, and at once, if nothing else is to be told before. */
static bool may_present(const struct conn *c, const struct uring_io *io, size_t len)
{
	return c->state == CONN_OPEN && !c->late && !c->paused && io->first == BUF_NONE &&
	       c->rx_len == 0 && c->tls == NULL && c->ahead == NULL && list_is_empty(&c->ready) &&
	       len <= c->rx_keep_max;
}

static void on_bytes(struct uring *u, struct conn *c, struct uring_io *io, unsigned id, size_t len,
	bool more_come)
{
	if (!io->buried && !more_come && may_present(c, io, len)) {
		conn_rx_lent(c, buf_at(u, id), len);
		uring_give_back(u, id);
		return;
	}
	if (io->buried ||
		(c->state != CONN_OPEN && c->state != CONN_HANDSHAKE && c->state != CONN_LEAVING)) {
		uring_give_back(u, id);
		io->stray = true;
		put_on(u, io);
		return;
	}
	chunk_push(u, io, id, len);
	c->sock_drained = false;
	if (c->late && !list_is_empty(&c->loop->late))
		(void)chunks_set_aside(u, c); /* as it may wait for long */
	if (c->state != CONN_LEAVING && !c->paused)
		conn_make_ready(c);
	if (c->paused || c->state == CONN_LEAVING || io->queued >= AHEAD_MAX)
		put_on(u, io);
}

/* What a conn gets is told when all answers are looked at, from the ready list. */
static void on_recv(struct uring *u, struct conn *c, struct uring_io *io, int res, unsigned flags,
	bool more_come)
{
	if ((flags & IORING_CQE_F_BUFFER) != 0) {
		unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;

		if (res > 0)
			on_bytes(u, c, io, id, (size_t)res, more_come);
		else
			uring_give_back(u, id);
	}
	if ((flags & IORING_CQE_F_MORE) != 0)
		return;
	io->receiving = false;
	io->stopping = false;
	io->bulk = res > 0 && (io->queued >= RECV_MAX / 2 || (u->one_shot && res == BUF_LEN));
	if (res == -ENOBUFS) {
		use_more_bufs(u);
	} else if (res == -EINVAL && io->bounded) {
		u->one_shot = true;
	} else if (res == 0 || hard_error(res) != 0) {
		io->ended = true;
		c->hup = true;
		c->sock_drained = false;
		if (res < 0 && c->err == 0)
			c->err = -res;
	}
	if (op_ended(u, c, io) && io->ended)
		conn_make_ready(c);
}

static void on_poll(struct uring *u, struct conn *c, struct uring_io *io, int res)
{
	io->polling = false;
	if (!op_ended(u, c, io) || res == -ECANCELED)
		return;
	if (c->state == CONN_CONNECTING) {
		conn_on_event(c, IO_WRITE);
		return;
	}
	if (res < 0)
		res = POLLHUP;
	conn_on_event(c, ((res & POLLIN) != 0 ? IO_READ : 0) |
				 ((res & (POLLRDHUP | POLLHUP | POLLERR)) != 0 ? IO_CLOSED : 0) |
				 ((res & POLLERR) != 0 ? IO_ERROR : 0));
}

/* A send that was answered at once, or never is: told before anything is called back. */
static void on_sent_now(struct uring *u, struct conn *c, struct uring_io *io, int res)
{
	io->sending = false;
	list_del(&io->later);
	put_on(u, io);
	conn_tx_sent(c, res > 0 ? (size_t)res : 0, hard_error(res));
	c->blocked = c->out_first != NULL;
}

static void on_sent(struct uring *u, struct conn *c, struct uring_io *io, int res)
{
	io->sending = false;
	conn_tx_let_go(u->loop, io->held);
	if (io->held == NULL)
		conn_tx_sent(c, res > 0 ? (size_t)res : 0, hard_error(res));
	io->held = NULL;
	if (op_ended(u, c, io))
		conn_on_sent(c);
	else if (!io->buried)
		c->blocked = c->out_first != NULL;
}

static void on_cancelled(struct uring *u, struct conn *c, struct uring_io *io)
{
	io->cancelling = false; /* a request that it missed, between two states, is asked again */
	(void)op_ended(u, c, io);
}

static void on_watch(struct uring *u, struct uring_watch *uw, int res)
{
	uw->armed = false;
	if (uw->w == NULL) {
		list_del(&uw->later);
		free(uw);
		return;
	}
	if (list_is_empty(&uw->later))
		list_push_back(&u->watches, &uw->later);
	if (res <= 0)
		return;
	if ((res & (POLLHUP | POLLERR)) != 0)
		res |= POLLIN | POLLOUT;
	res &= (int)uw->events;
	loop_watched(uw->w,
		((res & POLLIN) != 0 ? LOOP_READ : 0) | ((res & POLLOUT) != 0 ? LOOP_WRITE : 0));
}

static void on_answer(struct uring *u, uint64_t data, int res, unsigned flags, bool more_come)
{
	void *p = (void *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);
	struct conn *c = p;

	switch ((enum tag)(data & TAG_MASK)) {
	case TAG_RECV:
		on_recv(u, c, io_of(c), res, flags, more_come);
		return;
	case TAG_SEND:
		on_sent(u, c, io_of(c), res);
		return;
	case TAG_POLL:
		on_poll(u, c, io_of(c), res);
		return;
	case TAG_CANCEL:
		on_cancelled(u, c, io_of(c));
		return;
	case TAG_WATCH:
		on_watch(u, p, res);
		return;
	case TAG_WAKE:
		u->wake_armed = (flags & IORING_CQE_F_MORE) != 0;
		if (!u->closing)
			loop_woken(u->loop);
		return;
	case TAG_NONE:
		if (data == TIMER)
			u->timer_us = UINT64_MAX;
		return;
	case TAG_SEND_NOW: /* seen before */
		return;
	}
}

/* The batch has been entered: what of it was not answered has gone whole. */
static void settle_sent(struct uring *u)
{
	struct io_uring_cqe *cqe;
	struct list *it;
	unsigned head;

	u->n_asked = 0;
	if (list_is_empty(&u->sent))
		return;
	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		if ((cqe->user_data & TAG_MASK) == TAG_SEND_NOW) {
			struct conn *c = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);

			on_sent_now(u, c, io_of(c), cqe->res);
		}
	}
	while ((it = list_pop_front(&u->sent)) != NULL) {
		struct uring_io *io = list_entry(it, struct uring_io, later);

		io->sending = false;
		conn_tx_sent(conn_of(io), io->asked, 0);
		if (conn_of(io)->out_first != NULL)
			put_on(u, io);
	}
}

static void reap_ring(struct uring *u)
{
	const struct io_uring_cq *cq = &u->ring.cq;
	const unsigned tail = io_uring_smp_load_acquire(cq->ktail);

	for (unsigned head = *cq->khead; head != tail;) {
		const struct io_uring_cqe *cqe = &cq->cqes[head++ & cq->ring_mask];
		const bool more_come =
			head != tail && cq->cqes[head & cq->ring_mask].user_data == cqe->user_data;

		on_answer(u, cqe->user_data, cqe->res, cqe->flags, more_come);
		io_uring_smp_store_release(cq->khead, head);
	}
}

static void reap(struct uring *u)
{
	struct list *it, *tmp;

	reap_ring(u);
	while (io_uring_cq_has_overflow(&u->ring) && ring_enter(u, 0, IORING_ENTER_GETEVENTS) >= 0)
		reap_ring(u);
	list_foreach_safe (it, tmp, &u->graves) {
		struct uring_io *io = list_entry(it, struct uring_io, later);

		if (io->n_ops == 0)
			unbury(u, conn_of(io));
	}
}

/* --- turning --- */

/* The timer is moved only to an earlier time: most sleeps end otherwise, and leave it alone. */
static void set_timer(struct uring *u, uint64_t until_us)
{
	struct io_uring_sqe *e = sqe_get(u);

	u->timer.tv_sec = (long long)(until_us / 1000000u);
	u->timer.tv_nsec = (long long)(until_us % 1000000u) * 1000;
	if (u->timer_us == UINT64_MAX) {
		io_uring_prep_timeout(e, &u->timer, 0, IORING_TIMEOUT_ABS);
		io_uring_sqe_set_data64(e, TIMER);
	} else { /* if it has just gone off, its answer says so */
		io_uring_prep_timeout_update(e, &u->timer, TIMER, IORING_TIMEOUT_ABS);
		e->flags |= IOSQE_CQE_SKIP_SUCCESS;
		io_uring_sqe_set_data64(e, TAG_NONE);
	}
	u->timer_us = until_us;
}

static bool enter_is_fine(int r)
{
	return r >= 0 || r == -EINTR || r == -EAGAIN || r == -EBUSY || r == -ENOMEM;
}

static enum status ring_enable(struct uring *u)
{
	int r = io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	if (r < 0) {
		errno = -r;
		return E_IO;
	}
	if (io_uring_register_ring_fd(&u->ring) == 1) /* spares a look-up; works without */
		u->enter_flags = IORING_ENTER_REGISTERED_RING;
	u->enabled = true;
	return OK;
}

enum status uring_turn(struct uring *u, uint64_t until_us, bool sleep)
{
	int r;

	if (!u->enabled && ring_enable(u) != OK)
		return E_IO;
	settle_all(u);
	if (sleep && until_us < u->timer_us)
		set_timer(u, until_us);
	r = ring_enter(u, sleep ? 1 : 0, IORING_ENTER_GETEVENTS);
	for (unsigned i = 0; io_uring_sq_ready(&u->ring) != 0 && i < RETRIES && enter_is_fine(r);
		i++)
		r = ring_enter(u, 0, IORING_ENTER_GETEVENTS);
	if (!enter_is_fine(r) || io_uring_sq_ready(&u->ring) != 0) {
		errno = r < 0 ? -r : EIO;
		return E_IO;
	}
	settle_sent(u);
	loop_woke(u->loop);
	reap(u);
	return OK;
}

/* --- life --- */

static unsigned or_default(unsigned set, unsigned def)
{
	return set != 0 ? set : def;
}

static enum status ring_make(struct uring *u, const struct loop_uring_conf *conf)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
			 IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL,
		.cq_entries = or_default(conf->cq_len, CQ_LEN)};
	struct io_uring_buf_reg reg = {.ring_entries = u->n_bufs, .bgid = GROUP};
	int r = io_uring_queue_init_params(or_default(conf->sq_len, SQ_LEN), &u->ring, &p);

	if (r < 0)
		goto fail;
	u->made = true;
	for (unsigned i = 0; i < p.sq_entries; i++)
		u->ring.sq.array[i] = i;
	if ((p.features & IORING_FEAT_EXT_ARG) == 0 || (p.features & IORING_FEAT_CQE_SKIP) == 0) {
		r = -EINVAL;
		goto fail;
	}
	/* receives that are asked for may fill all buffers while the batch is entered */
	u->now_max = p.cq_entries > u->n_bufs ? p.cq_entries - u->n_bufs : 0;
	reg.ring_addr = (uintptr_t)u->buf_ring;
	r = io_uring_register_buf_ring(&u->ring, &reg, 0);
	if (r < 0)
		goto fail;
	return OK;
fail:
	errno = -r;
	return r == -ENOMEM ? E_NOMEM : E_IO;
}

/* The kernel takes whole pages. */
static size_t buf_ring_size(const struct uring *u)
{
	return (u->n_bufs * sizeof(struct io_uring_buf) + 4095) & ~(size_t)4095;
}

enum status uring_new(struct loop *l, struct uring **out)
{
	const struct loop_uring_conf *conf = &l->conf.uring;
	struct uring *u = calloc(1, sizeof *u);
	enum status st = E_NOMEM;
	int saved;

	if (u == NULL)
		return E_NOMEM;
	u->loop = l;
	u->timer_us = UINT64_MAX;
	u->one_shot = conf->one_shot;
	u->n_bufs = or_default(conf->n_bufs, BUFS);
	list_init(&u->later);
	list_init(&u->sent);
	list_init(&u->graves);
	list_init(&u->watches);
	list_init(&u->dead_watches);
	u->buf_ring = aligned_alloc(4096, buf_ring_size(u));
	u->bufs = malloc((size_t)u->n_bufs * BUF_STEP);
	u->chunk = malloc(u->n_bufs * sizeof *u->chunk);
	if (u->buf_ring == NULL || u->bufs == NULL || u->chunk == NULL ||
		(st = ring_make(u, conf)) != OK)
		goto fail;
	io_uring_buf_ring_init(u->buf_ring);
	for (u->n_used = 0; u->n_used < u->n_bufs && u->n_used < BUFS_USED;)
		uring_give_back(u, u->n_used++);
	*out = u;
	return OK;
fail:
	saved = errno;
	uring_free(u);
	errno = saved;
	return st;
}

void uring_free(struct uring *u)
{
	struct list *it;

	if (u == NULL)
		return;
	u->closing = true;
	/* the kernel answers what is still asked, if this is the thread of the turns */
	for (unsigned i = 0; i < RETRIES && u->enabled &&
			     (!list_is_empty(&u->graves) || !list_is_empty(&u->dead_watches) ||
				     !list_is_empty(&u->watches));
		i++)
		if (uring_turn(u, u->loop->now_us + LEAVE_US, true) != OK)
			break;
	if (u->made)
		io_uring_queue_exit(&u->ring);
	while ((it = list_pop_front(&u->graves)) != NULL)
		unbury(u, conn_of(list_entry(it, struct uring_io, later)));
	list_splice_back(&u->dead_watches, &u->watches);
	while ((it = list_pop_front(&u->dead_watches)) != NULL)
		free(list_entry(it, struct uring_watch, later));
	free(u->buf_ring);
	free(u->bufs);
	free(u->chunk);
	free(u);
}

/* --- connections --- */

void uring_add(struct conn *c)
{
	struct uring_io *io = io_of(c);

	*io = (struct uring_io){.first = BUF_NONE};
	list_init(&io->later);
	uring_later(c);
}

void uring_leave(struct conn *c)
{
	if (io_of(c)->n_ops == 0)
		conn_make_ready(c);
	else
		uring_later(c);
}

bool uring_busy(const struct conn *c)
{
	return io_of(c)->n_ops != 0;
}

bool uring_left(struct conn *c)
{
	struct uring_io *io = io_of(c);
	bool whole = chunks_set_aside(c->loop->uring, c);

	chunks_drop(c->loop->uring, io);
	list_del(&io->later);
	return whole;
}

void uring_bury(struct conn *c)
{
	struct uring *u = c->loop->uring;
	struct uring_io *io = io_of(c);

	list_del(&io->later);
	chunks_drop(u, io);
	io->buried = true;
	list_push_back(&u->graves, &io->later);
	if (io->n_ops == 0)
		unbury(u, c);
}

bool uring_ended(const struct conn *c)
{
	return io_of(c)->ended;
}

bool uring_is_bulk(const struct conn *c)
{
	return io_of(c)->bulk;
}

bool uring_is_sending(const struct conn *c)
{
	return io_of(c)->sending;
}

void uring_hold(struct conn *c, struct out_buf *b)
{
	io_of(c)->held = b;
	uring_later(c);
}

/* Some of what waits was taken: receiving may have stopped because it was much. */
static void taken(struct conn *c, struct uring_io *io)
{
	if (!io->receiving && !io->ended)
		uring_later(c);
}

/* Much comes: the socket is read as epoll would, which moves more at once. */
static ssize_t recv_bulk(struct conn *c, struct uring_io *io, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = recv(c->fd, buf, len, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		io->ended = true;
		c->hup = true;
	}
	if (n < (ssize_t)BUF_LEN)
		io->bulk = false;
	uring_later(c);
	return n;
}

ssize_t uring_recv(struct conn *c, void *buf, size_t len)
{
	struct uring *u = c->loop->uring;
	struct uring_io *io = io_of(c);
	uint8_t *to = buf;
	size_t n = 0;

	if (io->bulk && io->first == BUF_NONE)
		return recv_bulk(c, io, buf, len);
	while (n < len && io->first != BUF_NONE) {
		struct chunk *k = &u->chunk[io->first];
		size_t some = (size_t)(k->len - k->off);

		if (some > len - n)
			some = len - n;
		memcpy(to + n, buf_at(u, io->first) + k->off, some);
		n += some;
		k->off = (uint16_t)(k->off + some);
		io->queued -= (uint32_t)some;
		if (k->off == k->len)
			uring_give_back(u, chunk_pop(u, io));
	}
	taken(c, io);
	if (n != 0 || io->ended)
		return (ssize_t)n;
	errno = EAGAIN;
	return -1;
}

const uint8_t *uring_take(struct conn *c, size_t max, size_t *len, unsigned *id)
{
	struct uring *u = c->loop->uring;
	struct uring_io *io = io_of(c);
	const struct chunk *k;

	if (io->first == BUF_NONE || io->first != io->last) /* several are put together */
		return NULL;
	k = &u->chunk[io->first];
	if ((size_t)(k->len - k->off) > max)
		return NULL;
	*id = chunk_pop(u, io);
	*len = (size_t)(k->len - k->off);
	c->sock_drained = !io->bulk;
	taken(c, io);
	return buf_at(u, *id) + k->off;
}

/* --- watches --- */

enum status uring_watch_fd(
	struct uring *u, int fd, int what, struct loop_watch *w, struct uring_watch **out)
{
	struct uring_watch *uw = calloc(1, sizeof *uw);

	if (uw == NULL)
		return E_NOMEM;
	uw->u = u;
	uw->w = w;
	uw->fd = fd;
	uw->events =
		((what & LOOP_READ) != 0 ? POLLIN : 0u) | ((what & LOOP_WRITE) != 0 ? POLLOUT : 0u);
	list_init(&uw->later);
	list_push_back(&u->watches, &uw->later);
	*out = uw;
	return OK;
}

void uring_unwatch(struct uring_watch *uw)
{
	list_del(&uw->later);
	uw->w = NULL;
	if (uw->armed)
		list_push_back(&uw->u->watches, &uw->later);
	else
		free(uw);
}

#endif
