/*
 * base64 - RFC 4648, section 4: with padding, nothing but the alphabet, unused bits zero, so that
 * every text has one reading and every reading one text.
 */
#ifndef PGWEIR_PROTO_BASE64_H
#define PGWEIR_PROTO_BASE64_H

#include "base/status.h"
#include "base/wr.h"

#define BASE64_LEN(n) (((n) + 2u) / 3u * 4u) /* characters for n bytes, no NUL */

void base64_put(struct wr *w, const uint8_t *p, size_t n);

/*
 * Decode `n` characters into out.
 * Errors: E_PROTO not base64; E_LIMIT more than `cap` bytes.
 */
enum status base64_read(const char *s, size_t n, uint8_t *out, size_t cap, size_t *len) MUST_USE;

#endif
