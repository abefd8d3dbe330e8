#include "worker/proxied.h"

#include <string.h>

#include "conf/effective.h"
#include "proto/proxy.h"
#include "worker/admit.h"
#include "worker/login.h"

static struct net_addr address_in(const struct proxy_header *h)
{
	struct net_addr a;

	memset(&a, 0, sizeof a);
	if (h->kind == PROXY_TCP4) {
		a.len = sizeof a.u.in4;
		a.u.in4.sin_family = AF_INET;
		memcpy(&a.u.in4.sin_addr, h->source, 4);
	} else {
		a.len = sizeof a.u.in6;
		a.u.in6.sin6_family = AF_INET6;
		memcpy(&a.u.in6.sin6_addr, h->source, 16);
	}
	net_addr_set_port(&a, h->source_port);
	return a;
}

/* No answer: whoever sends this is no client of ours. */
static bool refuse_header(struct worker *w, struct client *c, const char *why)
{
	char addr[64];
	uint16_t port;

	conn_remote(c->conn, addr, sizeof addr, &port);
	log_warn(w->log, "PROXY header refused", "client=%lu addr=%s port=%u reason=\"%s\"",
		(unsigned long)c->id, addr, port, why);
	client_close(w, c, CLIENT_END_PROTOCOL);
	return false;
}

static bool without_header(struct worker *w, struct client *c)
{
	if (w->conf->proxy_protocol != PROXY_PROTOCOL_REQUIRED)
		return true;
	login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
		"connections must come through a proxy that sends a PROXY header",
		"See proxy_protocol.");
	return false;
}

static bool take_address(struct worker *w, struct client *c, const struct proxy_header *h)
{
	struct net_addr from;

	if (h->kind == PROXY_OWN)
		return true;
	from = address_in(h);
	if (conn_set_remote(c->conn, &from) == OK)
		client_meet_door(w, c, &from);
	else
		client_close(w, c, CLIENT_END_MEMORY);
	return c->state != CLIENT_CLOSED;
}

bool proxied_take(struct worker *w, struct client *c, const uint8_t *data, size_t len, size_t *used)
{
	struct cidr_addr from;
	struct proxy_header h;
	enum status st;

	*used = 0;
	c->login->proxy_done = true;
	if (w->conf->proxy_protocol == PROXY_PROTOCOL_OFF || conn_is_unix(c->conn) ||
		c->is_admin_port)
		return true;
	st = proxy_read(data, len, &h);
	if (st == E_NOTFOUND)
		return without_header(w, c);
	from = admit_address(c);
	if (!conf_trusts_proxy(w->conf, &from))
		return refuse_header(w, c, "it comes from an address that is not trusted");
	if (st == E_AGAIN) {
		c->login->proxy_done = false;
		return false;
	}
	if (st != OK)
		return refuse_header(w, c, st == E_LIMIT ? "it is too long" : "it is malformed");
	*used = h.len;
	return take_address(w, c, &h);
}
