/*
 * ldap_name - what an LDAP server is asked with: the name to bind with, the filter to search with,
 * the servers' addresses. A user's name is part of the first two, and whatever bytes it has, it
 * stays one value there: it can neither end it nor add another.
 * Owns: nothing; texts are written into the caller's buffers, with a NUL.
 */
#ifndef PGWEIR_AUTH_LDAP_NAME_H
#define PGWEIR_AUTH_LDAP_NAME_H

#include "conf/method_options.h"

/*
 * prefix + user + suffix. Where the prefix ends with =, this is a DN, and the name is escaped as
 * RFC 4514 says; else (DOMAIN\user, user@domain) it is taken as it is.
 * Errors: E_INVALID it is no DN, and the name has a byte that could make it one; E_LIMIT.
 */
enum status ldap_name_bind(
	const struct method_options *o, const char *user, char *out, size_t cap) MUST_USE;

/*
 * (attribute=user), or ldapsearchfilter with each $username replaced; the name is escaped as RFC
 * 4515 says. Errors: E_LIMIT.
 */
enum status ldap_name_filter(
	const struct method_options *o, const char *user, char *out, size_t cap) MUST_USE;

/*
 * URLs of the servers in `hosts`, apart by one blank.
 * hosts: names or addresses, apart by blanks. has_ports: each has its own, else it is o->ldapport,
 *        or the scheme's. Errors: E_LIMIT.
 */
enum status ldap_name_urls(const struct method_options *o, const char *hosts, bool has_ports,
	char *out, size_t cap) MUST_USE;

#endif
