/*
 * cidr - addresses and networks of IPv4 and IPv6, as access rules name them. An IPv4 address that
 * comes as an IPv6 one (::ffff:10.0.0.1) is the IPv4 address.
 */
#ifndef PGWEIR_CONF_CIDR_H
#define PGWEIR_CONF_CIDR_H

#include "base/status.h"

struct cidr_addr {
	uint8_t len; /* 4 IPv4, 16 IPv6; 0: none, in no network */
	uint8_t bytes[16];
};

struct cidr {
	struct cidr_addr addr; /* its bits beyond the mask do not count */
	uint8_t mask[16];
};

/* `bytes`: network order, 4 or 16 of them. */
struct cidr_addr cidr_addr_of(const uint8_t *bytes, size_t len);

/* "10.0.0.1", "::1". Errors: E_INVALID. */
enum status cidr_addr_parse(const char *text, struct cidr_addr *out) MUST_USE;

/* "10.0.0.0/8", or an address, which is a network of its own. Errors: E_INVALID. */
enum status cidr_parse(const char *text, struct cidr *out) MUST_USE;

/* The mask as an address, "255.0.0.0". Errors: E_INVALID another family than the address's. */
enum status cidr_set_mask(struct cidr *net, const struct cidr_addr *mask) MUST_USE;

bool cidr_has(const struct cidr *net, const struct cidr_addr *addr);

#endif
