#include "conf/cidr.h"

#include <arpa/inet.h>
#include <string.h>

#define TEXT_MAX 64u

struct cidr_addr cidr_addr_of(const uint8_t *bytes, size_t len)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct cidr_addr a = {.len = 0};

	if (len == 16 && memcmp(bytes, mapped, sizeof mapped) == 0) {
		bytes += sizeof mapped;
		len = 4;
	}
	if (len == 4 || len == 16) {
		a.len = (uint8_t)len;
		memcpy(a.bytes, bytes, len);
	}
	return a;
}

enum status cidr_addr_parse(const char *text, struct cidr_addr *out)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*out = cidr_addr_of(bytes, 4);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*out = cidr_addr_of(bytes, 16);
	else
		return E_INVALID;
	return OK;
}

static void set_bits(struct cidr *net, unsigned n_bits)
{
	memset(net->mask, 0, sizeof net->mask);
	for (unsigned i = 0; i < n_bits; i++)
		net->mask[i / 8] = (uint8_t)(net->mask[i / 8] | 0x80u >> i % 8);
}

/* Decimal, no sign, no leading zero; above 128 or malformed: 129. */
static unsigned bits_of(const char *p)
{
	unsigned n = 0;

	if (*p == '\0' || (*p == '0' && p[1] != '\0'))
		return 129;
	for (; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || n > 128)
			return 129;
		n = n * 10 + (unsigned)(*p - '0');
	}
	return n;
}

enum status cidr_parse(const char *text, struct cidr *out)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char addr[TEXT_MAX];
	unsigned n_bits, mapped;

	if (len >= sizeof addr)
		return E_INVALID;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (cidr_addr_parse(addr, &out->addr) != OK)
		return E_INVALID;
	mapped = out->addr.len == 4 && strchr(addr, ':') != NULL ? 96 : 0;
	n_bits = slash != NULL ? bits_of(slash + 1) : out->addr.len * 8u + mapped;
	if (n_bits < mapped || n_bits - mapped > out->addr.len * 8u)
		return E_INVALID;
	set_bits(out, n_bits - mapped);
	return OK;
}

enum status cidr_set_mask(struct cidr *net, const struct cidr_addr *mask)
{
	if (mask->len != net->addr.len)
		return E_INVALID;
	memcpy(net->mask, mask->bytes, sizeof net->mask);
	return OK;
}

bool cidr_has(const struct cidr *net, const struct cidr_addr *addr)
{
	if (addr->len == 0 || addr->len != net->addr.len)
		return false;
	for (size_t i = 0; i < addr->len; i++)
		if (((addr->bytes[i] ^ net->addr.bytes[i]) & net->mask[i]) != 0)
			return false;
	return true;
}
