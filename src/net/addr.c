#include "net/addr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

static enum status parse_unix(const char *dir, uint16_t port, struct net_addr *out)
{
	struct sockaddr_un *un = &out->u.un;
	int n = snprintf(un->sun_path, sizeof un->sun_path, "%s/.s.PGSQL.%u", dir, port);

	if (n < 0 || (size_t)n >= sizeof un->sun_path)
		return E_LIMIT;
	un->sun_family = AF_UNIX;
	out->len = (socklen_t)(PATH_AT + (size_t)n + 1);
	if (dir[0] == '@') { /* abstract: a NUL in front, none at the end */
		un->sun_path[0] = '\0';
		out->len--;
	}
	return OK;
}

/* With a scope, "fe80::1%eth0". */
static enum status parse_scoped(const char *host, struct net_addr *out)
{
	const struct addrinfo hints = {.ai_family = AF_INET6, .ai_flags = AI_NUMERICHOST};
	struct addrinfo *ai;
	enum status st;

	if (getaddrinfo(host, NULL, &hints, &ai) != 0)
		return E_NOTFOUND;
	st = net_addr_set(out, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	return st;
}

enum status net_addr_parse(const char *host, uint16_t port, struct net_addr *out)
{
	memset(out, 0, sizeof *out);
	if (host[0] == '/' || host[0] == '@')
		return parse_unix(host, port, out);
	if (inet_pton(AF_INET, host, &out->u.in4.sin_addr) == 1) {
		out->u.in4.sin_family = AF_INET;
		out->len = sizeof out->u.in4;
	} else if (inet_pton(AF_INET6, host, &out->u.in6.sin6_addr) == 1) {
		out->u.in6.sin6_family = AF_INET6;
		out->len = sizeof out->u.in6;
	} else if (strchr(host, '%') == NULL || parse_scoped(host, out) != OK) {
		return E_NOTFOUND;
	}
	net_addr_set_port(out, port);
	return OK;
}

enum status net_addr_set(struct net_addr *a, const struct sockaddr *sa, socklen_t len)
{
	bool fits = (sa->sa_family == AF_INET && len == sizeof a->u.in4) ||
		    (sa->sa_family == AF_INET6 && len == sizeof a->u.in6) ||
		    (sa->sa_family == AF_UNIX && len >= PATH_AT && len <= sizeof a->u.un);

	if (!fits)
		return E_INVALID;
	memset(a, 0, sizeof *a);
	memcpy(&a->u, sa, len);
	a->len = len;
	return OK;
}

void net_addr_set_port(struct net_addr *a, uint16_t port)
{
	if (a->u.sa.sa_family == AF_INET)
		a->u.in4.sin_port = htons(port);
	else if (a->u.sa.sa_family == AF_INET6)
		a->u.in6.sin6_port = htons(port);
}

uint16_t net_addr_port(const struct net_addr *a)
{
	if (a->u.sa.sa_family == AF_INET)
		return ntohs(a->u.in4.sin_port);
	if (a->u.sa.sa_family == AF_INET6)
		return ntohs(a->u.in6.sin6_port);
	return 0;
}

bool net_addr_is_unix(const struct net_addr *a)
{
	return a->u.sa.sa_family == AF_UNIX;
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
	return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

static const char *format_unix(const struct net_addr *a, char *buf, size_t cap)
{
	const char *path = a->u.un.sun_path;
	int len = (int)(a->len - PATH_AT);

	if (len == 0)
		(void)snprintf(buf, cap, "unix");
	else if (path[0] == '\0')
		(void)snprintf(buf, cap, "@%.*s", len - 1, path + 1);
	else
		(void)snprintf(buf, cap, "%.*s", len, path);
	return buf;
}

const char *net_addr_format(const struct net_addr *a, char *buf, size_t cap)
{
	if (cap == 0)
		return buf;
	buf[0] = '\0';
	if (a->u.sa.sa_family == AF_UNIX)
		return format_unix(a, buf, cap);
	if (a->len != 0 &&
		getnameinfo(&a->u.sa, a->len, buf, (socklen_t)cap, NULL, 0, NI_NUMERICHOST) != 0)
		buf[0] = '\0';
	return buf;
}
