/*
 * engine - what the two engines share: the bodies of `struct loop` and `struct conn` and the calls
 * between loop.c, uring.c and the files of conn. listen.c and resolver.c use the loop's wheel.
 * Nothing outside net/ includes it.
 *
 * The seam. A conn is the same on both: what is kept, gathered, queued, paused and told. An engine
 * says when bytes may be read or sent (conn_on_event, conn_on_sent); conn_recv and tx_write reach
 * the socket, or with io_uring (loop_is_uring) what uring.c has received and will send (ADR 0013).
 *
 * Why the epoll events need help. EPOLLERR tells that something is wrong, not that everything has
 * been read, so it is told as READ and WRITE, like the arrival of data. A reset that came together
 * with the last bytes is therefore not seen by an edge-triggered reader that stops at a short read.
 * Such a read makes the conn a *suspect*; a send that succeeds clears it, and one that stays quiet
 * is asked for its SO_ERROR after CONN_PROBE_US to twice that. So nothing is asked in steady
 * traffic, and no connection hangs on a dead socket.
 */
#ifndef PGWEIR_NET_ENGINE_H
#define PGWEIR_NET_ENGINE_H

#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "base/list.h"
#include "base/wheel.h"
#include "net/batch.h"
#include "net/conn.h"
#include "net/loop.h"

#define CONN_PROBE_US   250000u
#define CONN_FOLD_MAX   16384u /* kept bytes up to this are copied in front of the next read */
#define CONN_LOOSE      8u     /* a kept buffer this many times too large is changed */
#define OUT_PIECE_MAX   65536u /* one buffer of waiting output, its header included */
#define OUT_IOV_MAX     16u    /* buffers of waiting output per system call */
#define LOOP_WIRE_LEN   73728u /* TLS records gathered for one write: 64 KiB and overhead */
#define LOOP_TIMER_MAX  256u   /* own timers run per turn */
#define LOOP_EVENTS_MAX 256u   /* events of epoll told per turn */
#define LOOP_LATE_US    250u   /* a turn's time for late conns; the last one begun may end later */

struct event;

/* What is put to one conn until it is flushed. */
struct gather {
	struct conn *conn; /* NULL: nothing is gathered */
	size_t len;
	size_t copy_len;
	unsigned n_iov;
	struct iovec iov[CONN_GATHER_PIECES];
	uint8_t copy[CONN_GATHER_LEN];
};

/* Bytes that an engine has read and the owner did not ask for yet; they travel with the conn. */
struct ahead {
	size_t begin;
	size_t end;
	uint8_t bytes[];
};

struct loop {
	/* set at creation */
	struct loop_conf conf;
	struct uring *uring; /* NULL: the engine is epoll */
	int epoll_fd;        /* -1: it is io_uring */
	int wake_fd;

	/* epoll's: events that have come, told as far as events_told */
	struct epoll_event events[LOOP_EVENTS_MAX];
	unsigned n_events, events_told;
	struct batch *batch;  /* its sends; NULL: each conn sends for itself */
	const char *no_batch; /* why; NULL: there is one, or the engine is io_uring */

	/* libevent's, for what needs it; NULL: nothing has asked for it, or the engine is io_uring
	 */
	struct event_base *base;
	struct event *epoll_ev; /* epoll_fd has something */
	struct event *sleep_ev;
	uint64_t tick_us; /* of the kernel's coarse clock, which libevent reads */
	bool failed;      /* epoll did, inside its event */

	/* any thread */
	_Atomic bool wake_pending; /* the eventfd was written since on_wake last began */

	/* by the turns */
	uint64_t now_us;
	uint64_t n_turns;
	uint64_t armed_us;  /* sleep_ev fires then; UINT64_MAX: not armed */
	bool asleep;        /* between before_sleep and after_sleep */
	const void *waking; /* whose signal ended the sleep; NULL: it was freed by after_sleep */

	/* by connections and listeners */
	struct bufpool bufs;
	struct wheel wheel;
	struct list ready;     /* conns to be served before the next sleep */
	struct list late;      /* late ones, by `ready`: as far as a turn's time for them goes */
	struct list lingering; /* conns that nobody owns any more */
	size_t n_conns;
	size_t n_watches;
	uint8_t *rx;     /* conf.rx_len bytes */
	uint8_t *wire;   /* LOOP_WIRE_LEN bytes, from the first TLS connection on */
	size_t wire_len; /* bytes in it; 0 between two calls from above */
	struct gather gather;
};

enum conn_state {
	CONN_CONNECTING, /* connect(2) has not been answered */
	CONN_OPEN,       /* bytes flow */
	CONN_HANDSHAKE,  /* TLS has begun */
	CONN_ENDED,      /* on_end was called; waiting output may still go */
	CONN_LINGERING,  /* conn_free_flushed: no owner, output still goes */
	CONN_LEAVING,    /* conn_detach was called, its `done` has not come */
	CONN_AWAY,       /* on no loop */
	CONN_DEAD,       /* freed inside its own callback; goes when that returns */
};

#define CONN_STATE_COUNT (CONN_DEAD + 1)

#define CONN_END_NONE 0xff

/* A buffer of output that the socket did not take; lies at the front of its pool buffer. */
struct out_buf {
	struct out_buf *next;
	uint32_t cap; /* of the pool buffer */
	uint32_t begin;
	uint32_t end; /* from the start of the pool buffer */
};

struct conn {
	/* by the owner */
	struct loop *loop;
	union {
		const struct conn_ops *ops;
		void (*detached)(void *arg, struct conn *c); /* CONN_LEAVING */
	};
	void *arg;
	uint32_t rx_keep_max;
	uint32_t out_max;

	/* by the loop */
	struct list ready;        /* on loop->ready, ->late or ->lingering */
	struct wheel_timer timer; /* probe, or end of lingering */
	int fd;
	int err; /* errno of the end, or of a reset found early; 0: none */

	/* receiving */
	uint8_t *rx; /* pool buffer of kept bytes; NULL: none */
	uint32_t rx_cap;
	uint32_t rx_off;
	uint32_t rx_len;
	uint32_t rx_done;    /* by conn_consume inside on_data */
	struct ahead *ahead; /* in front of what the socket has; NULL: none */
	uint64_t bytes_in;

	/* sending */
	uint32_t out_len; /* bytes in out_first... */
	struct out_buf *out_first;
	struct out_buf *out_last;
	uint64_t bytes_out;

	struct tls *tls;
	struct net_addr *named; /* where the peer comes from, as a proxy says; NULL: as it looks */

	uint8_t state;       /* enum conn_state */
	uint8_t pending_end; /* enum conn_end to be told from the ready list; CONN_END_NONE */
	uint8_t why;         /* enum conn_end that was told */
	uint8_t suspect;     /* 0 no, 1 since the last timer, 2 longer */
	bool in_call : 1;    /* one of its callbacks is running */
	bool in_data : 1;    /* that is on_data */
	bool new_owner : 1;  /* conn_set_owner was called in it */
	bool paused : 1;
	bool present : 1;      /* kept bytes are to be presented though nothing new has come */
	bool sock_drained : 1; /* the socket had no more when last read, and no edge since */
	bool tls_more : 1;     /* the TLS stream may hold bytes: it was not read to its end */
	bool hup : 1;          /* the peer's end is known: a FIN, or a reset in `err` */
	bool hup_told : 1;
	bool blocked : 1; /* the socket is full; the engine tells when it takes more */
	bool tx_off : 1;  /* nothing can be sent any more */
	bool stuffed : 1; /* plain bytes came in front of the TLS handshake */
	bool is_unix : 1;
	bool batched : 1;   /* in loop->batch */
	bool late : 1;      /* served from loop->late alone */
	bool out_asked : 1; /* epoll tells when the socket takes more */
};

/* --- loop.c --- */
enum { IO_READ = 1, IO_WRITE = 2, IO_CLOSED = 4, IO_ERROR = 8 };
static inline bool loop_is_uring(const struct loop *l)
{
	return l->uring != NULL;
}
size_t loop_io_size(void); /* bytes that follow each conn for its event */
enum status loop_io_add(struct conn *c) MUST_USE;
void loop_io_del(struct conn *c);
/*
 * The socket is full: the engine is to tell when it takes more, from now on for good. Who never
 * fills it is not told at the beginning that it takes anything. False: errno.
 */
bool loop_io_ask_out(struct conn *c) MUST_USE;
void loop_watched(struct loop_watch *w, int what);
void loop_woken(struct loop *l);                     /* by loop_wake */
enum status loop_need_wire(struct loop *l) MUST_USE; /* the loop gets its first TLS conn */

/* --- conn.c --- */
void conn_on_event(struct conn *c, int what);
void conn_on_sent(struct conn *c); /* after conn_tx_sent, when it may call back */
void conn_serve(struct conn *c);   /* it stood on the ready list, or on the late one */
void conn_make_ready(struct conn *c);
void conn_become(struct conn *c, enum conn_state to); /* the only place that sets `state` */
COLD void conn_end(struct conn *c, enum conn_end why, int err); /* calls on_end */
void conn_destroy(struct conn *c);
void conn_suspect(struct conn *c); /* see above; no-op when its end is known */

/* Around each callback of a conn. conn_leave_call: false if the conn is gone. */
static inline void conn_enter_call(struct conn *c)
{
	c->in_call = true;
	c->new_owner = false;
}
bool conn_leave_call(struct conn *c);

/* --- conn_move.c --- */
void conn_left(struct conn *c); /* no event can come any more */

/* --- conn_rx.c --- */
void conn_rx_run(struct conn *c); /* may call anything back; the conn may be gone */
/* Present what an engine has received; nothing is kept, and nothing else is to be told before. */
void conn_rx_lent(struct conn *c, const uint8_t *p, size_t len);
void conn_rx_release(struct conn *c);
void conn_rx_consume(struct conn *c, size_t n);
/* recv(2), or what the engine has received. Sets sock_drained. */
ssize_t conn_recv(struct conn *c, void *buf, size_t len);
/* The socket was read to its end. For conns whose `hup` is set, and that are drained. */
bool conn_is_read_out(const struct conn *c);

/* --- conn_tx.c --- */
void conn_tx_send(struct conn *c, struct iovec *iov, unsigned n_iov, size_t len);
bool conn_tx_drain(struct conn *c); /* true: something waited and has gone */
void conn_tx_push(struct conn *c);  /* send now what an engine would send at the end of the turn */
/* A batch has tried to send these bytes: so many were taken, or -errno. */
void conn_tx_tried(struct conn *c, uint8_t *p, size_t len, int64_t taken);
void conn_tx_sent(struct conn *c, size_t n, int err);   /* an engine has sent; err: errno or 0 */
void conn_tx_let_go(struct loop *l, struct out_buf *b); /* and all behind it; NULL allowed */
void conn_tx_drop(struct conn *c); /* lose the waiting output and what is gathered */
/* Nothing can be sent any more; the owner hears of it from the ready list. */
COLD void conn_tx_fail(struct conn *c, enum conn_end why, int err);

/* --- conn_tls.c --- */
void conn_tls_run(struct conn *c); /* go on with the handshake */
/*
 * Payload to buf; *n bytes came in any case. OK buf is full; E_AGAIN nothing more now; E_CLOSED,
 * E_IO (errno), E_PROTO the end.
 */
enum status conn_tls_read(struct conn *c, uint8_t *buf, size_t cap, size_t *n) MUST_USE;
void conn_tls_write(struct conn *c, const struct iovec *iov, unsigned n_iov);
void conn_tls_goodbye(struct conn *c);

#endif
