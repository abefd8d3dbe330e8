#include "proto/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/rd.h"

static const uint8_t v1_start[6] = "PROXY ";
static const uint8_t v2_start[12] = {
	'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };                                 /* version, command */
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 }; /* family, protocol */
enum { V2_FIXED = 16, V2_UNIX_LEN = 216 };                                 /* bytes */

static bool begins(const uint8_t *p, size_t avail, const uint8_t *start, size_t len)
{
	return memcmp(p, start, avail < len ? avail : len) == 0;
}

/* --- version 1: "PROXY TCP4 source destination port port\r\n" --- */

/* The text up to the next blank, which is consumed, or the end; "" (and bad) if it is too long. */
static void word_of(struct rd *line, char word[64])
{
	const uint8_t *blank = line->left != 0 ? memchr(line->p, ' ', line->left) : NULL;
	size_t len = blank != NULL ? (size_t)(blank - line->p) : line->left;

	word[0] = '\0';
	if (len == 0 || len >= 64 || memchr(line->p, 0, len) != NULL) {
		rd_fail(line);
		return;
	}
	memcpy(word, rd_bytes(line, len), len);
	word[len] = '\0';
	if (blank == NULL)
		return;
	rd_skip(line, 1);
	if (line->left == 0)
		rd_fail(line); /* a blank promises one more */
}

static uint16_t port_of(struct rd *line)
{
	uint32_t n = 0;
	char word[64];

	word_of(line, word);
	if (word[0] == '0' && word[1] != '\0')
		rd_fail(line);
	for (const char *c = word; *c != '\0'; c++) {
		if (*c < '0' || *c > '9' || n > 65535) {
			rd_fail(line);
			return 0;
		}
		n = n * 10 + (uint32_t)(*c - '0');
	}
	if (n > 65535)
		rd_fail(line);
	return (uint16_t)n;
}

static void address_of(struct rd *line, int family, uint8_t out[16])
{
	char word[64];

	word_of(line, word);
	if (inet_pton(family, word, out) != 1)
		rd_fail(line);
}

static enum status read_line(struct rd line, struct proxy_header *out)
{
	uint8_t destination[16];
	int family = AF_INET;
	char word[64];

	word_of(&line, word);
	if (strcmp(word, "UNKNOWN") == 0) {
		out->kind = PROXY_OWN;
		return OK; /* the rest of the line is to be ignored */
	}
	out->kind = PROXY_TCP4;
	if (strcmp(word, "TCP6") == 0) {
		out->kind = PROXY_TCP6;
		family = AF_INET6;
	} else if (strcmp(word, "TCP4") != 0) {
		return E_PROTO;
	}
	address_of(&line, family, out->source);
	address_of(&line, family, destination);
	out->source_port = port_of(&line);
	(void)port_of(&line);
	return line.bad || line.left != 0 ? E_PROTO : OK;
}

static enum status read_v1(const uint8_t *p, size_t avail, struct proxy_header *out)
{
	size_t seen = avail < PROXY_V1_MAX ? avail : PROXY_V1_MAX;
	const uint8_t *lf = memchr(p, '\n', seen);
	size_t len;

	if (lf == NULL)
		return avail < PROXY_V1_MAX ? E_AGAIN : E_LIMIT;
	len = (size_t)(lf - p) + 1;
	if (len < sizeof v1_start + 2 || p[len - 2] != '\r')
		return E_PROTO;
	out->len = (uint32_t)len;
	return read_line(rd_of(p + sizeof v1_start, len - sizeof v1_start - 2), out);
}

/* --- version 2 --- */

/* What follows the addresses: type, length, value, to the end. */
static enum status skip_tlvs(struct rd r)
{
	while (r.left != 0) {
		rd_skip(&r, 1);
		rd_skip(&r, rd_u16(&r));
	}
	return r.bad ? E_PROTO : OK;
}

static enum status read_tcp(struct rd r, uint8_t family, struct proxy_header *out)
{
	bool v4 = family == V2_TCP4;
	size_t len = v4 ? 4 : 16;
	const uint8_t *source = rd_bytes(&r, len);

	rd_skip(&r, len);
	out->kind = v4 ? PROXY_TCP4 : PROXY_TCP6;
	out->source_port = rd_u16(&r);
	rd_skip(&r, 2);
	if (r.bad)
		return E_PROTO;
	memcpy(out->source, source, len);
	return skip_tlvs(r);
}

static enum status read_v2_body(
	uint8_t command, uint8_t family, struct rd r, struct proxy_header *out)
{
	if (command == V2_LOCAL)
		return OK; /* whatever the rest is */
	switch (family) {
	case V2_TCP4:
	case V2_TCP6:
		return read_tcp(r, family, out);
	case V2_UNIX:
		rd_skip(&r, V2_UNIX_LEN);
		return r.bad ? E_PROTO : skip_tlvs(r);
	case V2_UNSPEC:
		return OK;
	default:
		return E_PROTO;
	}
}

static enum status read_v2(const uint8_t *p, size_t avail, struct proxy_header *out)
{
	struct rd r = rd_of(p, avail);
	uint8_t command, family;
	uint16_t len;

	rd_skip(&r, sizeof v2_start);
	command = rd_u8(&r);
	family = rd_u8(&r);
	len = rd_u16(&r);
	if (r.bad)
		return E_AGAIN;
	if (command != V2_LOCAL && command != V2_PROXY)
		return E_PROTO;
	if (len > PROXY_V2_MAX - V2_FIXED)
		return E_LIMIT;
	if (r.left < len)
		return E_AGAIN;
	out->len = (uint32_t)V2_FIXED + len;
	return read_v2_body(command, family, rd_of(r.p, len), out);
}

enum status proxy_read(const uint8_t *p, size_t avail, struct proxy_header *out)
{
	*out = (struct proxy_header){.kind = PROXY_OWN};
	if (avail == 0)
		return E_AGAIN;
	if (begins(p, avail, v1_start, sizeof v1_start))
		return avail < sizeof v1_start ? E_AGAIN : read_v1(p, avail, out);
	if (begins(p, avail, v2_start, sizeof v2_start))
		return read_v2(p, avail, out);
	return E_NOTFOUND;
}
