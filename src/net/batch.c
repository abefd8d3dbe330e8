#include "net/batch.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/engine.h"

#define RING_MAGIC 0xa10a10a1u

/*
 * What io_setup(2) has mapped, at the address that is the context's number. libaio, too, takes the
 * answers from there without a system call, where the magic number says that it may.
 * Source: Linux, fs/aio.c, struct aio_ring.
 */
struct ring {
	unsigned id;
	unsigned n_events;
	_Atomic unsigned head; /* ours */
	_Atomic unsigned tail; /* the kernel's */
	unsigned magic;
	unsigned compat_features;
	unsigned incompat_features;
	unsigned header_len;
	struct io_event events[];
};

struct batch {
	aio_context_t ctx;
	unsigned n;
	size_t len; /* of bytes */
	struct conn *conns[BATCH_CONNS];
	struct iocb requests[BATCH_CONNS]; /* what each sends; aio_data is its number */
	struct iocb *asked[BATCH_CONNS];
	uint8_t bytes[BATCH_LEN];
};

static struct ring *ring_of(const struct batch *b)
{
	return (struct ring *)(uintptr_t)b->ctx; /* NOLINT(performance-no-int-to-ptr) */
}

static const char *reason_of(int err)
{
	switch (err) {
	case ENOSYS:
		return "the kernel has no io_submit";
	case EPERM:
	case EACCES:
		return "the system forbids io_submit (a container's seccomp filter)";
	case EAGAIN:
		return "fs.aio-max-nr is used up";
	case ENOMEM:
		return "not enough memory";
	default:
		return "io_setup or io_submit has failed";
	}
}

/* NULL: it works. */
static const char *why_not(struct batch *b)
{
	if (syscall(SYS_io_setup, BATCH_CONNS, &b->ctx) != 0)
		return reason_of(errno);
	if (ring_of(b)->magic != RING_MAGIC) /* gVisor says so: there it is not done at once */
		return "the answers of io_submit cannot be read in shared memory";
	return syscall(SYS_io_submit, b->ctx, 0, b->asked) == 0 ? NULL : reason_of(errno);
}

struct batch *batch_new(const char **why)
{
	struct batch *b = calloc(1, sizeof *b);

	*why = reason_of(ENOMEM);
	if (b == NULL)
		return NULL;
	for (unsigned i = 0; i < BATCH_CONNS; i++) {
		b->requests[i].aio_data = i;
		b->requests[i].aio_lio_opcode = IOCB_CMD_PWRITE;
		b->asked[i] = &b->requests[i];
	}
	if ((*why = why_not(b)) == NULL)
		return b;
	batch_free(b);
	return NULL;
}

void batch_free(struct batch *b)
{
	if (b != NULL && b->ctx != 0)
		(void)syscall(SYS_io_destroy, b->ctx);
	free(b);
}

bool batch_has_room(const struct batch *b, const struct conn *c, size_t len)
{
	return len <= BATCH_SEND_MAX && len <= BATCH_LEN - b->len &&
	       (c->batched ? b->conns[b->n - 1] == c : b->n < BATCH_CONNS);
}

void batch_add(struct batch *b, struct conn *c, const struct iovec *iov, unsigned n_iov, size_t len)
{
	uint8_t *to = b->bytes + b->len;
	struct iocb *r;

	if (!c->batched) {
		r = &b->requests[b->n];
		r->aio_fildes = (uint32_t)c->fd;
		r->aio_buf = (uintptr_t)to;
		r->aio_nbytes = 0;
		b->conns[b->n++] = c;
		c->batched = true;
	}
	b->requests[b->n - 1].aio_nbytes += len;
	b->len += len;
	for (unsigned i = 0; i < n_iov; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

static void tried(struct batch *b, uint64_t i, int64_t taken)
{
	const struct iocb *r = &b->requests[i];

	b->conns[i]->batched = false;
	conn_tx_tried(b->conns[i], (uint8_t *)(uintptr_t)r->aio_buf, r->aio_nbytes, taken);
}

static void send_alone(struct batch *b, uint64_t i)
{
	const struct iocb *r = &b->requests[i];
	ssize_t n;

	do {
		n = send(b->conns[i]->fd, (const void *)(uintptr_t)r->aio_buf, r->aio_nbytes,
			MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	tried(b, i, n < 0 ? -errno : n);
}

/*
 * Returns how many were tried: the first ones. The call stops at one that the kernel does not
 * begin, for it lacks something. What it has begun is answered when it returns, for a send that
 * does not block has no reason to wait.
 */
static unsigned submit(struct batch *b, unsigned n)
{
	struct ring *r = ring_of(b);
	long done = syscall(SYS_io_submit, b->ctx, n, b->asked);
	unsigned head = atomic_load_explicit(&r->head, memory_order_relaxed);
	unsigned tail = atomic_load_explicit(&r->tail, memory_order_acquire);

	for (long i = 0; i < done; i++) {
		PANIC_IF(head == tail);
		if (r->events[head].res == -EINTR)
			send_alone(b, r->events[head].data);
		else
			tried(b, r->events[head].data, r->events[head].res);
		head = head + 1 < r->n_events ? head + 1 : 0;
	}
	atomic_store_explicit(&r->head, head, memory_order_release);
	return done > 0 ? (unsigned)done : 0;
}

void batch_send(struct batch *b)
{
	unsigned n = b->n;

	b->n = 0;
	b->len = 0;
	for (unsigned i = n > 1 ? submit(b, n) : 0; i < n; i++)
		send_alone(b, i);
}
