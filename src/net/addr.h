/*
 * addr - socket addresses: literals to sockaddr and back. Pure: no resolver, no socket.
 */
#ifndef PGWEIR_NET_ADDR_H
#define PGWEIR_NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/status.h"

#define NET_ADDR_TEXT_MAX 128u /* bytes; fits every text of net_addr_format, with its NUL */

struct net_addr {
	socklen_t len; /* of the member of `u` that holds; 0: no address */
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/*
 * A literal to an address: "10.0.0.1", "::1", "fe80::1%eth0", or a unix socket's directory: "/dir"
 * gives /dir/.s.PGSQL.<port>, "@name" the abstract socket of that name and port.
 * Errors: E_NOTFOUND not a literal (a name, to be resolved); E_LIMIT the path is too long.
 */
enum status net_addr_parse(const char *host, uint16_t port, struct net_addr *out) MUST_USE;

/* Copy a sockaddr of a family known here. Errors: E_INVALID another family, or a wrong length. */
enum status net_addr_set(struct net_addr *a, const struct sockaddr *sa, socklen_t len) MUST_USE;

void net_addr_set_port(struct net_addr *a, uint16_t port); /* no-op on unix addresses */
uint16_t net_addr_port(const struct net_addr *a);          /* 0 on unix addresses */
bool net_addr_is_unix(const struct net_addr *a);
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b);

/* "10.0.0.1", "::1", or the path of a unix socket ("@name" if abstract, "unix" if unnamed). */
const char *net_addr_format(const struct net_addr *a, char *buf, size_t cap); /* returns buf */

#endif
