/*
 * resolver - host names to addresses, asynchronously, through libevent's evdns. The only module
 * that includes event2/dns.h. One loop, one thread (the control thread's).
 * Owns:    a cache of names. An answer is used for its TTL (at most max_ttl_s), a "no such name"
 *          for nxdomain_ttl_s; when the DNS fails, the last answer goes on being served.
 * Order:   literals (net_addr_parse), the hosts file, DNS (A and AAAA; IPv4 first).
 * Bounds:  NAMES_MAX names in the cache (names.h),
 *          RESOLVER_ADDRS_MAX addresses a name, RESOLVER_QUERIES_MAX lookups that wait.
 */
#ifndef PGWEIR_NET_RESOLVER_H
#define PGWEIR_NET_RESOLVER_H

#include "net/addr.h"
#include "net/loop.h"

#define RESOLVER_ADDRS_MAX   32u
#define RESOLVER_QUERIES_MAX 16384u
#define RESOLVER_NAME_MAX    253u /* bytes of a host name; RFC 1035 */

struct resolver;
struct resolver_query;

struct resolver_conf {
	const char *resolv_conf; /* NULL: /etc/resolv.conf; borrowed during resolver_new/_reload */
	const char *hosts;       /* NULL: /etc/hosts; read again when it has changed */
	uint32_t timeout_ms;     /* a lookup is answered within this, 1.. */
	uint32_t max_ttl_s;      /* dns_max_ttl */
	uint32_t nxdomain_ttl_s; /* dns_nxdomain_ttl */
};

/* Errors: E_NOMEM, E_IO. A missing resolv.conf is no error: 127.0.0.1 is asked, as libc does. */
enum status resolver_new(
	struct loop *l, const struct resolver_conf *conf, struct resolver **out) MUST_USE;
/* Lookups that wait are cancelled without a callback. Not from inside one. */
void resolver_free(struct resolver *r);

/* New settings, new name servers; the cache is kept as stale. Errors: E_NOMEM. */
enum status resolver_reload(struct resolver *r, const struct resolver_conf *conf) MUST_USE;

struct resolver_answer {
	const struct net_addr *addrs; /* with the port asked for; borrowed until fn returns */
	size_t n_addrs;
	uint32_t ttl_s; /* ask again after this */
	bool stale;     /* the DNS failed just now; this is an earlier answer */
};

/*
 * Look up `host`. fn is called once, from the loop, never from inside this call:
 * OK with n_addrs > 0; E_NOTFOUND no such name; E_AGAIN the DNS failed or timed out and there is
 * no earlier answer; E_LIMIT a socket path is too long. With all but OK `a` is empty.
 * *out (may be NULL) is for resolver_cancel, valid until fn is called.
 * Errors: E_NOMEM, E_LIMIT (too many wait), E_INVALID (not a host name).
 */
typedef void resolver_fn(void *arg, enum status st, const struct resolver_answer *a);
enum status resolver_lookup(struct resolver *r, const char *host, uint16_t port, resolver_fn *fn,
	void *arg, struct resolver_query **out) MUST_USE;
void resolver_cancel(struct resolver_query *q); /* fn is not called any more */

/* Forget that answers are fresh (RECONNECT, a zone change): the next lookup asks again. */
void resolver_expire(struct resolver *r);

/* --- facts, for SHOW DNS_HOSTS and SHOW LISTS --- */
struct resolver_name {
	const char *name;
	const struct net_addr *addrs; /* ports are 0 */
	size_t n_addrs;
	uint32_t ttl_s; /* that is left */
};
size_t resolver_n_names(const struct resolver *r);
size_t resolver_n_queries(const struct resolver *r); /* lookups that wait for the DNS */
/* The next name at or after *pos; false at the end. Start with 0. Borrowed until the next turn. */
bool resolver_next(const struct resolver *r, size_t *pos, struct resolver_name *out);

#endif
