/*
 * listen - listening sockets, and accepting from them in bounded batches.
 * Two parts: listen_* make, probe and remove sockets (start-up, the control thread); a `struct
 * listener` accepts from one on a loop. Several listeners may share one descriptor (a unix socket,
 * or TCP without SO_REUSEPORT): whoever comes first accepts.
 */
#ifndef PGWEIR_NET_LISTEN_H
#define PGWEIR_NET_LISTEN_H

#include <sys/types.h>

#include "net/addr.h"
#include "net/loop.h"

#define LISTEN_ADDRS_MAX 64u     /* addresses that one host name may stand for */
#define LISTEN_BATCH     8u      /* connections accepted by one listener per turn, at most */
#define LISTEN_ALONE_US  1000u   /* one that comes after a pause of this probably comes alone */
#define LISTEN_PAUSE_US  100000u /* rest after EMFILE and its like */
#define LISTEN_ERR_MAX   256u    /* bytes of an error text, with its NUL */

struct listen_opts {
	int backlog;
	bool reuse_port;  /* TCP: SO_REUSEPORT, one member per worker on the same address */
	mode_t unix_mode; /* permissions of the unix socket, e.g. 0777 */
	gid_t unix_gid;   /* its group; (gid_t)-1: leave */
};

/*
 * The addresses that `host` stands for: "*" (all of IPv6 and IPv4), a literal as in
 * net_addr_parse, or a name. For a name this asks the system's resolver and may block: start-up
 * only. At most `cap` go to out[0..*n-1].
 * Errors: E_NOTFOUND, E_LIMIT (path too long); the reason goes to err[LISTEN_ERR_MAX].
 */
enum status listen_resolve(const char *host, uint16_t port, struct net_addr *out, size_t cap,
	size_t *n, char *err) MUST_USE;

/*
 * Is the address free? Binds without SO_REUSEPORT and closes again, so that another daemon's
 * SO_REUSEPORT sockets do count. Unix sockets: connects to it.
 * Errors: E_EXISTS somebody listens there; E_IO it cannot be bound (errno).
 */
enum status listen_probe(const struct net_addr *a) MUST_USE;

/*
 * A bound, listening, non-blocking socket. IPv6 sockets are IPV6_V6ONLY. A unix socket file that
 * nobody answers at is replaced; any other file there is refused.
 * *fd: owned by the caller.
 * Errors: E_EXISTS somebody listens there; E_INVALID the path is something other than a socket;
 * E_IO (errno). The reason goes to err[LISTEN_ERR_MAX], e.g. "bind 0.0.0.0:6432: Address in use".
 */
enum status listen_open(
	const struct net_addr *a, const struct listen_opts *opts, int *fd, char *err) MUST_USE;

/*
 * A connection is accepted when its first bytes are there, or after `seconds`; 0: at once. Nothing
 * on a unix socket, and where the system does not know it.
 */
void listen_defer_accept(int fd, int seconds);

/* Remove the file of a unix socket that `fd` is bound to; no-op for others. Before close(fd). */
void listen_unlink(int fd);

/* The user at the other end of a unix socket (SO_PEERCRED). Errors: E_IO. */
enum status listen_peer_uid(int fd, uid_t *uid) MUST_USE;

struct listener;

struct listener_ops {
	/* A connection: non-blocking, close-on-exec; moved. `from` is borrowed. */
	void (*on_accept)(void *arg, int fd, const struct net_addr *from);
	/*
	 * The system has no descriptor or memory for a connection (EMFILE, ENFILE, ENOBUFS,
	 * ENOMEM): accepting rests for LISTEN_PAUSE_US, then goes on by itself. Called at the
	 * first failure after a success, for a log line. May be NULL.
	 */
	void (*on_trouble)(void *arg, int err);
};

/*
 * Accept from `fd` on `l`, in whose thread all calls are. `fd` stays the caller's and is closed
 * after listener_free. Errors: E_NOMEM, E_IO.
 */
enum status listener_new(struct loop *l, int fd, const struct listener_ops *ops, void *arg,
	struct listener **out) MUST_USE;
void listener_free(struct listener *ln); /* also from its callbacks; NULL allowed */

/* Leave connections in the backlog (max_client_conn, SUSPEND), or take them again. */
enum status listener_set_paused(struct listener *ln, bool paused) MUST_USE;

#endif
