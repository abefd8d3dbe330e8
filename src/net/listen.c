#include "net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wheel.h"
#include "net/engine.h"

/* --- making sockets --- */

static enum status fail_at(
	char *err, const char *what, const struct net_addr *a, const char *why, enum status st)
{
	char text[NET_ADDR_TEXT_MAX];

	net_addr_format(a, text, sizeof text);
	if (net_addr_is_unix(a))
		(void)snprintf(err, LISTEN_ERR_MAX, "%s %s: %s", what, text, why);
	else
		(void)snprintf(err, LISTEN_ERR_MAX, "%s %s port %u: %s", what, text,
			net_addr_port(a), why);
	return st;
}

static enum status fail_errno(char *err, const char *what, const struct net_addr *a)
{
	int e = errno;
	const char *why = strerrordesc_np(e);
	enum status st;

	st = fail_at(err, what, a, why != NULL ? why : "unknown error",
		e == EADDRINUSE ? E_EXISTS : E_IO);
	errno = e;
	return st;
}

static enum status resolve_name(
	const char *host, uint16_t port, struct net_addr *out, size_t cap, size_t *n, char *err)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_ADDRCONFIG};
	struct addrinfo *all;
	int rc = getaddrinfo(host, NULL, &hints, &all);

	*n = 0;
	if (rc != 0) {
		(void)snprintf(err, LISTEN_ERR_MAX, "%s: %s", host, gai_strerror(rc));
		return E_NOTFOUND;
	}
	for (const struct addrinfo *ai = all; ai != NULL && *n < cap; ai = ai->ai_next)
		if (net_addr_set(&out[*n], ai->ai_addr, ai->ai_addrlen) == OK)
			net_addr_set_port(&out[(*n)++], port);
	freeaddrinfo(all);
	return *n != 0 ? OK : E_NOTFOUND;
}

/* All addresses; IPv6 only where the system has it switched on. */
static size_t resolve_any(uint16_t port, struct net_addr *out, size_t cap)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;

	if (net_addr_parse("0.0.0.0", port, &out[n]) == OK)
		n++;
	if (fd >= 0 && cap > n && bind(fd, (struct sockaddr *)&any6, sizeof any6) == 0 &&
		net_addr_parse("::", port, &out[n]) == OK)
		n++;
	if (fd >= 0)
		close(fd);
	return n;
}

enum status listen_resolve(
	const char *host, uint16_t port, struct net_addr *out, size_t cap, size_t *n, char *err)
{
	enum status st;

	*n = 0;
	if (cap == 0)
		return E_LIMIT;
	if (strcmp(host, "*") == 0) {
		*n = resolve_any(port, out, cap);
		return OK;
	}
	st = net_addr_parse(host, port, &out[0]);
	if (st == OK)
		*n = 1;
	else if (st == E_LIMIT)
		(void)snprintf(err, LISTEN_ERR_MAX, "%s: the socket's path is too long", host);
	else
		st = resolve_name(host, port, out, cap, n, err);
	return st;
}

static int socket_for(const struct net_addr *a)
{
	return socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static bool bind_tcp(int fd, const struct net_addr *a, const struct listen_opts *opts)
{
	if (!set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return false;
	if (a->u.sa.sa_family == AF_INET6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
		return false;
	if (opts != NULL && opts->reuse_port && !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return false;
	return bind(fd, &a->u.sa, a->len) == 0;
}

static bool is_abstract(const struct net_addr *a)
{
	return a->u.un.sun_path[0] == '\0';
}

/*
 * Is anybody behind a unix socket? OK nobody (and errno tells: ECONNREFUSED means that a dead file
 * lies there), E_EXISTS somebody, E_IO unknown.
 */
static enum status knock(const struct net_addr *a)
{
	enum status st = E_EXISTS;
	int fd = socket_for(a);
	int e;

	if (fd < 0)
		return E_IO;
	if (connect(fd, &a->u.sa, a->len) != 0 && errno != EAGAIN)
		st = errno == ECONNREFUSED || errno == ENOENT ? OK : E_IO;
	e = errno;
	close(fd);
	errno = e;
	return st;
}

enum status listen_probe(const struct net_addr *a)
{
	enum status st = OK;
	int fd, e;

	if (net_addr_is_unix(a))
		return knock(a);
	if ((fd = socket_for(a)) < 0)
		return E_IO;
	/* SO_REUSEADDR lets TIME_WAIT pass; a socket that listens is in the way all the same */
	if (!bind_tcp(fd, a, NULL))
		st = errno == EADDRINUSE ? E_EXISTS : E_IO;
	e = errno;
	close(fd);
	errno = e;
	return st;
}

/* Take a dead socket's file out of the way. */
static enum status clear_path(const struct net_addr *a, char *err)
{
	const char *path = a->u.un.sun_path;
	struct stat sb;
	enum status st;

	if (lstat(path, &sb) != 0)
		return errno == ENOENT ? OK : fail_errno(err, "look at", a);
	if (!S_ISSOCK(sb.st_mode))
		return fail_at(err, "listen on", a, "the file there is not a socket", E_INVALID);
	if ((st = knock(a)) == E_EXISTS)
		return fail_at(err, "listen on", a, "another process listens there", E_EXISTS);
	if (st != OK)
		return fail_errno(err, "connect to", a);
	if (unlink(path) != 0 && errno != ENOENT)
		return fail_errno(err, "remove", a);
	return OK;
}

/* Nobody can connect before listen(2), so the permissions are set in time. */
static enum status bind_unix(
	int fd, const struct net_addr *a, const struct listen_opts *opts, char *err)
{
	const char *path = a->u.un.sun_path;
	enum status st;

	if (is_abstract(a))
		return bind(fd, &a->u.sa, a->len) == 0 ? OK : fail_errno(err, "bind", a);
	if ((st = clear_path(a, err)) != OK)
		return st;
	if (bind(fd, &a->u.sa, a->len) != 0)
		return fail_errno(err, "bind", a);
	if (opts->unix_gid != (gid_t)-1 && chown(path, (uid_t)-1, opts->unix_gid) != 0) {
		st = fail_errno(err, "set the group of", a);
	} else if (chmod(path, opts->unix_mode) != 0) {
		st = fail_errno(err, "set the mode of", a);
	}
	if (st != OK)
		(void)unlink(path);
	return st;
}

enum status listen_open(
	const struct net_addr *a, const struct listen_opts *opts, int *fd, char *err)
{
	enum status st = OK;
	int s = socket_for(a);

	if (s < 0)
		return fail_errno(err, "socket for", a);
	if (net_addr_is_unix(a))
		st = bind_unix(s, a, opts, err);
	else if (!bind_tcp(s, a, opts))
		st = fail_errno(err, "bind", a);
	if (st == OK && listen(s, opts->backlog) != 0) {
		st = fail_errno(err, "listen on", a);
		if (net_addr_is_unix(a))
			listen_unlink(s);
	}
	if (st != OK) {
		close(s);
		return st;
	}
	*fd = s;
	return OK;
}

void listen_defer_accept(int fd, int seconds)
{
	(void)set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds);
}

void listen_unlink(int fd)
{
	struct net_addr a = {.len = sizeof a.u};

	if (getsockname(fd, &a.u.sa, &a.len) == 0 && net_addr_is_unix(&a) && !is_abstract(&a))
		(void)unlink(a.u.un.sun_path);
}

enum status listen_peer_uid(int fd, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return E_IO;
	*uid = cred.uid;
	return OK;
}

/* --- accepting --- */

struct listener {
	struct loop *loop;
	int fd;
	const struct listener_ops *ops;
	void *arg;
	struct loop_watch *watch; /* NULL: paused, or resting */
	struct wheel_timer rest;
	uint64_t told_turn, told_us; /* when something was to be accepted last */
	unsigned batch;              /* to be accepted at a time */
	bool paused;
	bool troubled; /* the last accept had no descriptor or memory */
	bool *freed;   /* set when freed inside its own callback */
};

static bool accept_is_transient(int err)
{
	switch (err) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO: /* and what Linux passes on of the new connection, accept(2) */
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM:
		return true;
	default:
		return false;
	}
}

static void listener_unwatch(struct listener *ln)
{
	loop_unwatch(ln->watch);
	ln->watch = NULL;
}

/* Without a descriptor the connection stays in the backlog, and would be told of in each turn. */
static void listener_rest(struct listener *ln, int err)
{
	struct loop *l = ln->loop;
	bool told = ln->troubled;

	listener_unwatch(ln);
	wheel_add(&l->wheel, &ln->rest, l->now_us + LISTEN_PAUSE_US);
	ln->troubled = true;
	if (!told && ln->ops->on_trouble != NULL)
		ln->ops->on_trouble(ln->arg, err);
}

/* Returns false when there is nothing more to accept now, or the listener is gone. */
static bool listener_accept(struct listener *ln)
{
	struct net_addr from = {.len = sizeof from.u};
	bool freed = false;
	int fd = accept4(ln->fd, &from.u.sa, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (accept_is_transient(errno))
			return true;
		if (errno != EAGAIN)
			listener_rest(ln, errno);
		return false;
	}
	ln->troubled = false;
	ln->freed = &freed;
	ln->ops->on_accept(ln->arg, fd, &from);
	if (freed)
		return false;
	ln->freed = NULL;
	return !ln->paused;
}

/*
 * Who comes alone is accepted alone: an accept that finds nobody costs the kernel more than the
 * turn that it may spare. Who comes soon after others, or in the turn after them, is followed by
 * more, unless those are not served yet: they are to be done before there are more of them.
 */
static unsigned listener_batch(struct listener *ln)
{
	const struct loop *l = ln->loop;
	bool is_alone =
		l->n_turns - ln->told_turn > 1 && l->now_us - ln->told_us >= LISTEN_ALONE_US;
	unsigned n = ln->batch * 2 < LISTEN_BATCH ? ln->batch * 2 : LISTEN_BATCH;

	ln->told_us = l->now_us;
	ln->told_turn = l->n_turns;
	ln->batch = is_alone || !list_is_empty(&l->late) ? 1 : n;
	return ln->batch;
}

static void listener_on_readable(void *arg, int what)
{
	struct listener *ln = arg;
	unsigned n = listener_batch(ln);

	(void)what;
	while (n-- != 0 && listener_accept(ln))
		;
}

static enum status listener_watch(struct listener *ln)
{
	if (ln->watch != NULL)
		return OK;
	return loop_watch(ln->loop, ln->fd, LOOP_READ, listener_on_readable, ln, &ln->watch);
}

static void listener_on_rested(void *ctx, struct wheel_timer *t)
{
	struct listener *ln = list_entry(t, struct listener, rest);
	struct loop *l = ctx;

	if (!ln->paused && listener_watch(ln) != OK)
		wheel_add(&l->wheel, &ln->rest, l->now_us + LISTEN_PAUSE_US);
}

enum status listener_new(
	struct loop *l, int fd, const struct listener_ops *ops, void *arg, struct listener **out)
{
	enum status st;
	struct listener *ln = calloc(1, sizeof *ln);

	if (ln == NULL)
		return E_NOMEM;
	ln->loop = l;
	ln->fd = fd;
	ln->ops = ops;
	ln->arg = arg;
	ln->batch = 1;
	ln->told_turn = l->n_turns - 2; /* wraps: in no turn yet */
	wheel_timer_init(&ln->rest, listener_on_rested);
	if ((st = listener_watch(ln)) != OK) {
		free(ln);
		return st;
	}
	*out = ln;
	return OK;
}

void listener_free(struct listener *ln)
{
	if (ln == NULL)
		return;
	if (ln->freed != NULL)
		*ln->freed = true;
	listener_unwatch(ln);
	wheel_del(&ln->loop->wheel, &ln->rest);
	free(ln);
}

enum status listener_set_paused(struct listener *ln, bool paused)
{
	ln->paused = paused;
	if (paused) {
		listener_unwatch(ln);
		wheel_del(&ln->loop->wheel, &ln->rest);
		return OK;
	}
	return listener_watch(ln);
}
