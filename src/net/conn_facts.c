/* conn_facts - what can be told of a conn, and the options of its socket. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"
#include "net/conn.h"
#include "net/engine.h"
#include "net/tls.h"

static void set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

void conn_set_tcp(struct conn *c, const struct conn_tcp *tcp)
{
	if (conn_is_unix(c))
		return;
	set_option(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (tcp->keepalive) {
		set_option(c->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		if (tcp->keepidle_s != 0)
			set_option(c->fd, IPPROTO_TCP, TCP_KEEPIDLE, tcp->keepidle_s);
		if (tcp->keepintvl_s != 0)
			set_option(c->fd, IPPROTO_TCP, TCP_KEEPINTVL, tcp->keepintvl_s);
		if (tcp->keepcnt != 0)
			set_option(c->fd, IPPROTO_TCP, TCP_KEEPCNT, tcp->keepcnt);
	}
	if (tcp->user_timeout_ms != 0)
		set_option(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, tcp->user_timeout_ms);
	if (tcp->socket_buffer != 0) {
		set_option(c->fd, SOL_SOCKET, SO_SNDBUF, tcp->socket_buffer);
		set_option(c->fd, SOL_SOCKET, SO_RCVBUF, tcp->socket_buffer);
	}
}

int conn_fd(const struct conn *c)
{
	return c->fd;
}

int conn_errno(const struct conn *c)
{
	return c->err;
}

static const char *errno_text(int err)
{
	const char *text = strerrordesc_np(err);

	return text != NULL ? text : "Unknown error";
}

const char *conn_error_text(const struct conn *c)
{
	if (c->why == CONN_END_NONE)
		return "";
	switch ((enum conn_end)c->why) {
	case CONN_END_EOF:
		return "closed by the peer";
	case CONN_END_RESET:
	case CONN_END_CONNECT:
		return errno_text(c->err);
	case CONN_END_TLS:
		return c->stuffed ? "unencrypted bytes in front of the TLS handshake"
				  : tls_error(c->tls);
	case CONN_END_LIMIT:
		return c->err != 0 ? errno_text(c->err) : "more bytes wait than are allowed";
	}
	return "";
}

uint64_t conn_bytes_in(const struct conn *c)
{
	return c->bytes_in;
}

uint64_t conn_bytes_out(const struct conn *c)
{
	return c->bytes_out;
}

void conn_take_bytes(struct conn *c, uint64_t *in, uint64_t *out)
{
	*in += c->bytes_in;
	*out += c->bytes_out;
	c->bytes_in = 0;
	c->bytes_out = 0;
}

bool conn_is_unix(const struct conn *c)
{
	return c->is_unix;
}

static void tell_address(
	const struct net_addr *a, bool known, char *addr, size_t cap, uint16_t *port)
{
	*port = 0;
	if (!known) {
		if (cap != 0)
			addr[0] = '\0';
	} else if (net_addr_is_unix(a)) {
		(void)snprintf(addr, cap, "unix");
	} else {
		(void)net_addr_format(a, addr, cap);
		*port = net_addr_port(a);
	}
}

enum status conn_set_remote(struct conn *c, const struct net_addr *from)
{
	if (c->named == NULL && (c->named = malloc(sizeof *c->named)) == NULL)
		return E_NOMEM;
	*c->named = *from;
	return OK;
}

void conn_remote(const struct conn *c, char *addr, size_t cap, uint16_t *port)
{
	struct net_addr a;

	tell_address(&a, conn_remote_addr(c, &a) == OK, addr, cap, port);
}

enum status conn_remote_addr(const struct conn *c, struct net_addr *out)
{
	if (c->named != NULL) {
		*out = *c->named;
		return OK;
	}
	out->len = sizeof out->u;
	return getpeername(c->fd, &out->u.sa, &out->len) == 0 ? OK : E_IO;
}

uint32_t conn_remote_pid(const struct conn *c)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (!conn_is_unix(c) || getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return 0;
	return (uint32_t)cred.pid;
}

void conn_local(const struct conn *c, char *addr, size_t cap, uint16_t *port)
{
	struct net_addr a = {.len = sizeof a.u};

	tell_address(&a, getsockname(c->fd, &a.u.sa, &a.len) == 0, addr, cap, port);
}

size_t conn_memory(const struct conn *c)
{
	size_t n = sizeof *c + loop_io_size() + c->rx_cap +
		   (c->ahead != NULL ? sizeof *c->ahead + c->ahead->end : 0) +
		   (c->named != NULL ? sizeof *c->named : 0);

	for (const struct out_buf *b = c->out_first; b != NULL; b = b->next)
		n += b->cap;
	return n + (c->tls != NULL ? TLS_STREAM_MEMORY : 0);
}

struct tls *conn_tls(const struct conn *c)
{
	return c->tls;
}
