/*
 * conn - one socket (TCP or unix, optionally TLS) on one loop: edge-triggered, registered once (and
 * with epoll once more, when it has been full for the first time).
 *
 * Receiving. Bytes come up as a borrowed chunk: on_data(arg, data, len) returns how many bytes it
 * is done with; the rest is kept by the conn (in a pool buffer) and is presented again, in front,
 * with the next bytes, or after conn_rx_resume. So a layer above never copies a partial message,
 * and may leave a whole unit in place until it is answered (conn_consume takes it out later).
 * An idle conn with nothing kept owns no buffer.
 *
 * Sending. conn_put lends bytes, conn_put_copy copies small ones; conn_flush sends all of it with
 * one system call; what the socket does not take is copied and goes out when it can. Borrowed
 * bytes need to live until conn_flush only. All puts between two flushes leave in one write (in
 * more, if they are more than CONN_GATHER_PIECES pieces or CONN_GATHER_LEN copied bytes).
 * A loop gathers for one conn at a time: putting to another conn flushes the first. What has been
 * put is to be flushed before the loop sleeps; forgetting it for lent bytes is a PANIC.
 *
 * Back-pressure. conn_out_len tells what waits to be sent; above its own mark a relay pauses the
 * source (conn_rx_pause) and resumes it in on_drained.
 *
 * Ending. The owner alone closes: conn_free at once, or conn_free_flushed to let the last message
 * out. No callback comes after either. Callbacks may call anything on their own conn, also free it.
 * An engine other than epoll can stand behind this header: nothing above calls recv or send.
 */
#ifndef PGWEIR_NET_CONN_H
#define PGWEIR_NET_CONN_H

#include <sys/socket.h>

#include "base/status.h"
#include "net/addr.h"
#include "net/loop.h"

struct conn;
struct tls_ctx;

enum conn_end {
	CONN_END_EOF,     /* the peer closed (FIN), all its bytes were delivered */
	CONN_END_RESET,   /* ECONNRESET, EPIPE, ETIMEDOUT … ; conn_errno tells */
	CONN_END_CONNECT, /* could not connect; conn_errno tells */
	CONN_END_TLS,     /* handshake or record error; conn_error_text tells */
	CONN_END_LIMIT,   /* more was to be kept than rx_keep_max or out_max, or no memory for it */
};

struct conn_ops {
	/*
	 * Bytes are there: `data` is all that is kept and new, `len` > 0. Returns the number of
	 * bytes done with, 0..len. If the conn was freed, detached or got another owner inside,
	 * the return value is ignored: then nothing counts as done with, and a new owner is
	 * presented all of it, later in this turn.
	 */
	size_t (*on_data)(void *arg, const uint8_t *data, size_t len);
	/* The output that did not go at once has gone; conn_out_len is 0. May be NULL. */
	void (*on_drained)(void *arg);
	/* Connected, or (after conn_tls_accept/_connect) the handshake is done. May be NULL. */
	void (*on_ready)(void *arg);
	/*
	 * The peer has hung up while reading is paused: bytes may still be unread, kept or to be
	 * sent. Once. After conn_rx_resume they come, then on_end. A reset behind unread bytes is
	 * noticed after about half a second. May be NULL.
	 */
	void (*on_hangup)(void *arg);
	/*
	 * The end; nothing more comes. The owner still has to free the conn. When a send failed,
	 * what the peer had sent before is presented first, unless reading is paused. After
	 * CONN_END_EOF output can still be put and flushed.
	 */
	void (*on_end)(void *arg, enum conn_end why);
};

struct conn_limits {
	/*
	 * Bytes kept unconsumed, 1..BUFPOOL_MAX. Never more than this is read ahead of the owner;
	 * a conn that is not paused, keeps this much and has more to read ends (CONN_END_LIMIT).
	 */
	size_t rx_keep_max;
	uint32_t out_max; /* bytes waiting to be sent; more ends the conn with CONN_END_LIMIT */
};

#define CONN_GATHER_PIECES 64u    /* pieces put between two flushes */
#define CONN_GATHER_LEN    16384u /* bytes of conn_put_copy between two flushes */

/* Wrap an accepted, connected socket (made non-blocking here). Moves `fd`, also on error (closed).
 */
enum status conn_new(struct loop *l, int fd, const struct conn_ops *ops, void *arg,
	const struct conn_limits *limits, struct conn **out) MUST_USE;

/*
 * Wrap a socket that a listener has accepted from there: no system call but the loop's own is
 * needed. It has no owner: conn_set_owner comes before the loop turns again. Moves `fd`, also on
 * error (closed). Errors: E_NOMEM, E_IO (errno).
 */
enum status conn_accept(struct loop *l, int fd, const struct net_addr *from,
	const struct conn_limits *limits, struct conn **out) MUST_USE;

/* Bytes are likely there: look for them later in this turn, without waiting to be told. */
void conn_expect(struct conn *c);

/*
 * Start connecting to `addr`. on_ready or on_end tells, never from inside this call.
 * Errors: E_NOMEM, E_IO (errno).
 */
enum status conn_connect(struct loop *l, const struct sockaddr *addr, socklen_t addr_len,
	const struct conn_ops *ops, void *arg, const struct conn_limits *limits,
	struct conn **out) MUST_USE;

/* Options of TCP sockets; no-ops on unix sockets. keepalive in seconds, 0 leaves the system's. */
struct conn_tcp {
	bool keepalive;
	int keepidle_s, keepintvl_s, keepcnt;
	int user_timeout_ms;
	int socket_buffer; /* bytes, 0: system's */
};
void conn_set_tcp(struct conn *c, const struct conn_tcp *tcp); /* always sets TCP_NODELAY */

void conn_free(struct conn *c); /* NULL allowed; unsent output is lost */

/*
 * Stop reading, flush, send what waits, then close; after `linger_ms` close anyway. The loop owns
 * it, and closes it in loop_free at the latest. With TLS, close_notify goes last.
 */
void conn_free_flushed(struct conn *c, uint32_t linger_ms);

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *arg);
void conn_set_limits(struct conn *c, const struct conn_limits *limits);
/*
 * A late conn is served when all others of the turn are: what it receives is read, or its handshake
 * goes on, from a list, first come, first served. After 250 µs of this the turn ends, and the next
 * one, which does not sleep, begins with whatever has come for the others. It is for those that log
 * in: thousands at once do not hold up those that are served. conn_detach ends it.
 */
void conn_set_late(struct conn *c, bool late);

/* --- receiving --- */
void conn_rx_pause(struct conn *c); /* on_data is not called any more; the socket is not read */
/*
 * Read again. Kept bytes are presented, and the socket is read, later in this turn of the loop
 * (never from inside this call), even when nothing new has come.
 */
void conn_rx_resume(struct conn *c);
bool conn_rx_is_paused(const struct conn *c);
size_t conn_rx_len(const struct conn *c); /* bytes kept; not inside on_data */
const uint8_t *conn_rx_data(
	const struct conn *c); /* them; borrowed until the next read or consume */
/* Done with the first n bytes, n <= conn_rx_len. Inside on_data it adds to what that returns. */
void conn_consume(struct conn *c, size_t n);

/* These bytes were received before the conn was made: they are presented first. Errors: E_NOMEM. */
enum status conn_unread(struct conn *c, const void *p, size_t len) MUST_USE;

/* --- sending --- */
void conn_put(struct conn *c, const void *p, size_t len);      /* borrowed until conn_flush */
void conn_put_copy(struct conn *c, const void *p, size_t len); /* any len; copied at once */
void conn_flush(struct conn *c);                               /* never calls back from inside */
size_t conn_out_len(const struct conn *c);                     /* bytes accepted but not yet sent */

/*
 * --- TLS ---
 * Start when no received byte is left, then on_ready or on_end(CONN_END_TLS) comes. Output that
 * waits (the 'S') goes out in front. Inside on_data the return value tells what is left: if it is
 * not all of `len`, somebody has put plain bytes in front of the handshake, and the conn ends with
 * CONN_END_TLS. The context gets a reference of its own.
 * Errors: E_PROTO bytes are kept, or TLS is on; E_NOMEM; E_INVALID.
 */
enum status conn_tls_accept(struct conn *c, struct tls_ctx *ctx) MUST_USE;
/*
 * The same when the peer has begun the handshake unasked. Inside on_data: `p` are the last `len`
 * bytes that are presented, which count as done with; all of them belong to TLS.
 */
enum status conn_tls_accept_begun(
	struct conn *c, struct tls_ctx *ctx, const uint8_t *p, size_t len) MUST_USE;
/* `name`: host to verify and to send as SNI, or NULL. */
enum status conn_tls_connect(struct conn *c, struct tls_ctx *ctx, const char *name) MUST_USE;
struct tls;                                 /* net/tls.h */
struct tls *conn_tls(const struct conn *c); /* NULL without TLS */

/* --- hand-over to another thread --- */
/*
 * Leave the loop. Asynchronous: `done` is called in this loop's thread when no event can come any
 * more (for epoll: later in this turn). Kept bytes and unsent output travel with the conn. From the
 * call on no callback of ops comes, and until `done` nothing but conn_free may be called on it. For
 * conns that are connected, past any handshake, and whose on_end has not come.
 */
void conn_detach(struct conn *c, void (*done)(void *arg, struct conn *c), void *arg);
/*
 * Join another loop, in that loop's thread. Behaves as conn_rx_resume: kept bytes are presented.
 * Limits stay. Errors: E_NOMEM, E_IO; the conn is then on no loop still.
 */
enum status conn_attach(
	struct conn *c, struct loop *l, const struct conn_ops *ops, void *arg) MUST_USE;
void conn_free_detached(struct conn *c); /* free one that is on no loop */

/* --- facts --- */
int conn_fd(const struct conn *c);
int conn_errno(const struct conn *c);
const char *conn_error_text(const struct conn *c); /* of the end; "" before it. Borrowed */
uint64_t conn_bytes_in(const struct conn *c);      /* payload bytes, as far as they are not taken */
uint64_t conn_bytes_out(const struct conn *c);
void conn_take_bytes(struct conn *c, uint64_t *in, uint64_t *out); /* add them, and begin at 0 */
bool conn_is_unix(const struct conn *c);
/* "10.0.0.1" or "unix", and the port or 0; "" once the peer is gone: ask while it is there. */
void conn_remote(const struct conn *c, char *addr, size_t cap, uint16_t *port);
/*
 * A proxy is in front: the peer comes from `from`, a copy of which is what is told of it from now
 * on. Errors: E_NOMEM.
 */
enum status conn_set_remote(struct conn *c, const struct net_addr *from) MUST_USE;
/* Where it leads, for another connection to the same, or what conn_set_remote said. Errors: E_IO.
 */
enum status conn_remote_addr(const struct conn *c, struct net_addr *out) MUST_USE;
/* The process at the other end of a unix socket; 0 with TCP, or where it is not known. */
uint32_t conn_remote_pid(const struct conn *c);
void conn_local(const struct conn *c, char *addr, size_t cap, uint16_t *port);
size_t conn_memory(const struct conn *c); /* bytes of ours that it occupies now */

#endif
