#include "proto/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Four characters for 1 to 3 bytes. */
static void put_group(struct wr *w, const uint8_t *p, size_t n)
{
	uint32_t bits = (uint32_t)p[0] << 16;
	char out[4];

	if (n > 1)
		bits |= (uint32_t)p[1] << 8;
	if (n > 2)
		bits |= p[2];
	out[0] = alphabet[bits >> 18];
	out[1] = alphabet[bits >> 12 & 63];
	out[2] = alphabet[bits >> 6 & 63];
	out[3] = alphabet[bits & 63];
	memset(out + 1 + n, '=', 3 - n);
	wr_bytes(w, out, sizeof out);
}

void base64_put(struct wr *w, const uint8_t *p, size_t n)
{
	for (; n > 3; p += 3, n -= 3)
		put_group(w, p, 3);
	if (n > 0)
		put_group(w, p, n);
}

static bool digit_value(char c, uint32_t *out)
{
	if (c >= 'A' && c <= 'Z')
		*out = (uint32_t)(c - 'A');
	else if (c >= 'a' && c <= 'z')
		*out = (uint32_t)(c - 'a') + 26u;
	else if (c >= '0' && c <= '9')
		*out = (uint32_t)(c - '0') + 52u;
	else if (c == '+')
		*out = 62;
	else if (c == '/')
		*out = 63;
	else
		return false;
	return true;
}

/* The 24 bits of four characters, of which the last `pad` are padding. */
static bool read_group(const char *s, unsigned pad, uint32_t *bits)
{
	static const uint32_t unused[] = {0, 0xff, 0xffff}; /* by pad: must be zero */

	*bits = 0;
	for (unsigned i = 0; i < 4; i++) {
		uint32_t v = 0;

		if (i < 4 - pad && !digit_value(s[i], &v))
			return false;
		*bits = *bits << 6 | v;
	}
	return (*bits & unused[pad]) == 0;
}

enum status base64_read(const char *s, size_t n, uint8_t *out, size_t cap, size_t *len)
{
	struct wr w = wr_of(out, cap);
	unsigned pad = 0;

	if (n % 4 != 0)
		return E_PROTO;
	while (n > 0 && pad < 2 && s[n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < n; i += 4) {
		unsigned group_pad = i + 4 == n ? pad : 0;
		uint32_t bits;
		uint8_t b[3];

		if (!read_group(s + i, group_pad, &bits))
			return E_PROTO;
		b[0] = (uint8_t)(bits >> 16);
		b[1] = (uint8_t)(bits >> 8);
		b[2] = (uint8_t)bits;
		wr_bytes(&w, b, 3 - group_pad);
	}
	*len = w.len;
	return w.bad ? E_LIMIT : OK;
}
