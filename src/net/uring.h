/*
 * uring - the io_uring engine of a loop (ADR 0013): receives before it is asked, sends what was
 * flushed in one batch, and enters the kernel once a turn. The only file that includes liburing.
 * Owns:    the ring, its receive buffers, and connections that are closed but that the kernel still
 *          works on.
 * Thread:  made in any thread; from the first turn on all calls from the thread that turns the
 * loop. Kernel:  6.1 or newer (deferred task work); without it uring_new says why, and epoll
 * serves. Order:   nothing is asked of the kernel while callbacks run. What a connection needs is
 * found from its state before the loop sleeps (uring_later), so that no request names a descriptor
 * that a callback has closed. A descriptor is closed after the last answer.
 */
#ifndef PGWEIR_NET_URING_H
#define PGWEIR_NET_URING_H

#include <errno.h>

#include "config.h"
#include "net/engine.h"

struct uring;
struct uring_watch;

/* An output up to this is copied and goes with all others of the turn; a larger one goes at once.
 */
#define URING_COPY_MAX 8192u

/* What follows each conn of such a loop. */
struct uring_io {
	struct list later;    /* on the ring's list of conns to look at before it sleeps */
	struct out_buf *held; /* output that was dropped while the kernel reads it */
	uint32_t queued;      /* bytes in first... */
	uint32_t asked;       /* bytes of the send that is asked for */
	uint16_t first;       /* receive buffers with its bytes, oldest first */
	uint16_t last;
	uint8_t n_ops; /* requests that the kernel has */
	bool receiving : 1;
	bool stopping : 1; /* that is being cancelled */
	bool sending : 1;
	bool polling : 1;
	bool cancelling : 1; /* everything is */
	bool ended : 1;      /* the stream was read to its end */
	bool stray : 1;      /* bytes came that nobody wants */
	bool bounded : 1;    /* the receive is a multishot */
	bool bulk : 1;       /* nothing is received: the socket is polled for bytes, and read */
	bool poll_in : 1;    /* the poll is for bytes; else for a hang-up alone */
	bool buried : 1;     /* freed above; waits for its last answer */
};

#ifdef HAVE_LIBURING

static inline bool uring_is_built(void)
{
	return true;
}

/* --- of a loop --- */
/* Errors: E_NOMEM; E_IO (errno) the kernel does not offer it, or not all that is needed. */
enum status uring_new(struct loop *l, struct uring **out) MUST_USE;
void uring_free(struct uring *u);
/* Ask the kernel for what is needed, sleep, and tell what came. Calls loop_woke. */
enum status uring_turn(struct uring *u, uint64_t until_us, bool sleep) MUST_USE;
enum status uring_watch_fd(
	struct uring *u, int fd, int what, struct loop_watch *w, struct uring_watch **out) MUST_USE;
void uring_unwatch(struct uring_watch *uw);
size_t uring_io_size(void);

/* --- of a conn, whose loop has a ring --- */
void uring_add(struct conn *c);
void uring_bury(struct conn *c);  /* free it and close its descriptor, when nothing is asked */
void uring_leave(struct conn *c); /* it stands on the ready list when nothing is asked */
bool uring_left(struct conn *c);  /* what was read goes with it. False: no memory, some is lost */
bool uring_busy(const struct conn *c);   /* something is asked */
void uring_later(struct conn *c);        /* its needs may have changed */
void uring_flow_changed(struct conn *c); /* it was paused, or resumed */
bool uring_ended(const struct conn *c);
bool uring_is_bulk(const struct conn *c); /* a read that is not full does not mean drained */
bool uring_is_sending(const struct conn *c);
void uring_hold(struct conn *c, struct out_buf *b);
/* As recv(2), from what has come. */
ssize_t uring_recv(struct conn *c, void *buf, size_t len);
/*
 * What has come, where it lies, if it is in one piece of at most `max` bytes; else NULL. It lives
 * until uring_give_back(u, *id), also without the conn.
 */
const uint8_t *uring_take(struct conn *c, size_t max, size_t *len, unsigned *id);
void uring_give_back(struct uring *u, unsigned id);

#else

/* No loop has a ring, so nothing else is ever called. */
static inline bool uring_is_built(void)
{
	return false;
}
static inline MUST_USE enum status uring_new(struct loop *l, struct uring **out)
{
	(void)l;
	(void)out;
	errno = ENOSYS;
	return E_IO;
}
static inline void uring_free(struct uring *u)
{
	(void)u;
}
static inline MUST_USE enum status uring_turn(struct uring *u, uint64_t until_us, bool sleep)
{
	(void)u;
	(void)until_us;
	(void)sleep;
	return E_IO;
}
static inline MUST_USE enum status uring_watch_fd(
	struct uring *u, int fd, int what, struct loop_watch *w, struct uring_watch **out)
{
	(void)u;
	(void)fd;
	(void)what;
	(void)w;
	(void)out;
	return E_IO;
}
static inline void uring_unwatch(struct uring_watch *uw)
{
	(void)uw;
}
static inline size_t uring_io_size(void)
{
	return 0;
}
static inline void uring_add(struct conn *c)
{
	(void)c;
}
static inline void uring_leave(struct conn *c)
{
	(void)c;
}
static inline bool uring_left(struct conn *c)
{
	(void)c;
	return true;
}
static inline bool uring_busy(const struct conn *c)
{
	(void)c;
	return false;
}
static inline void uring_bury(struct conn *c)
{
	(void)c;
}
static inline void uring_later(struct conn *c)
{
	(void)c;
}
static inline void uring_flow_changed(struct conn *c)
{
	(void)c;
}
static inline bool uring_ended(const struct conn *c)
{
	(void)c;
	return true;
}
static inline bool uring_is_bulk(const struct conn *c)
{
	(void)c;
	return false;
}
static inline bool uring_is_sending(const struct conn *c)
{
	(void)c;
	return false;
}
static inline void uring_hold(struct conn *c, struct out_buf *b)
{
	(void)c;
	(void)b;
}
static inline ssize_t uring_recv(struct conn *c, void *buf, size_t len)
{
	(void)c;
	(void)buf;
	(void)len;
	return 0;
}
static inline const uint8_t *uring_take(struct conn *c, size_t max, size_t *len, unsigned *id)
{
	(void)c;
	(void)max;
	*len = 0;
	*id = 0;
	return NULL;
}
static inline void uring_give_back(struct uring *u, unsigned id)
{
	(void)u;
	(void)id;
}

#endif

#endif
