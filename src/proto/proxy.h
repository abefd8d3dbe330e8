/*
 * proxy - the header that a proxy puts in front of a client's first bytes: where the client really
 * comes from. Versions 1 (text) and 2 (binary).
 * Bounds: PROXY_V1_MAX, PROXY_V2_MAX. What a header says beyond addresses is checked for its form
 *         and skipped.
 * Source: "The PROXY protocol, versions 1 & 2", haproxy.org, sections 2.1 and 2.2.
 */
#ifndef PGWEIR_PROTO_PROXY_H
#define PGWEIR_PROTO_PROXY_H

#include "base/status.h"

#define PROXY_V1_MAX 107u  /* bytes, CR and LF included */
#define PROXY_V2_MAX 4096u /* bytes, the fixed part of 16 included */

enum proxy_kind {
	PROXY_OWN, /* the connection's own address holds: a health check, or an unknown client */
	PROXY_TCP4,
	PROXY_TCP6,
};

struct proxy_header {
	enum proxy_kind kind;
	uint32_t len;       /* bytes of the header; the client's own follow */
	uint8_t source[16]; /* network order; 4 or 16 of them; unless PROXY_OWN */
	uint16_t source_port;
};

/*
 * Read a header at the start of what a connection has sent.
 * Errors: E_AGAIN incomplete; E_NOTFOUND these bytes begin no header; E_PROTO malformed; E_LIMIT
 * too long.
 */
enum status proxy_read(const uint8_t *p, size_t avail, struct proxy_header *out) MUST_USE;

#endif
