#include "sql/literal.h"

#include "base/wr.h"

/* What is left of a literal's inside, and where its value goes. */
struct decoder {
	const uint8_t *p;
	const uint8_t *end; /* behind the last byte of the token */
	struct wr out;
	uint32_t high; /* first half of a UTF-16 surrogate pair, or 0 */
	bool bad;
};

static void put(struct decoder *d, uint8_t c)
{
	if (d->high != 0)
		d->bad = true;
	wr_u8(&d->out, c);
}

/* Append code point `c` in UTF-8; halves of a surrogate pair meet here. */
static void put_code_point(struct decoder *d, uint32_t c)
{
	if (d->high != 0 && c >= 0xdc00 && c <= 0xdfff) {
		c = 0x10000 + ((d->high - 0xd800) << 10) + (c - 0xdc00);
		d->high = 0;
	} else if (d->high == 0 && c >= 0xd800 && c <= 0xdbff) {
		d->high = c;
		return;
	}
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
		d->bad = true;
	} else if (c < 0x80) {
		put(d, (uint8_t)c);
	} else if (c < 0x800) {
		put(d, (uint8_t)(0xc0 | c >> 6));
		put(d, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		put(d, (uint8_t)(0xe0 | c >> 12));
		put(d, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		put(d, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		put(d, (uint8_t)(0xf0 | c >> 18));
		put(d, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		put(d, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		put(d, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

/* Value of a digit, 16 or above if it is none of base 16. */
static uint32_t digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - (uint32_t)'0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - (uint32_t)'a' + 10 : 16;
}

/* Read min..max digits of `base`; fewer set `bad`. */
static uint32_t take_digits(struct decoder *d, uint32_t base, unsigned min, unsigned max)
{
	uint32_t v = 0;
	unsigned n;

	for (n = 0; n < max && d->p < d->end && digit_of(*d->p) < base; n++)
		v = v * base + digit_of(*d->p++);
	if (n < min)
		d->bad = true;
	return v;
}

/* Behind the escape character of U&: itself, XXXX or +XXXXXX. */
static void decode_unicode_escape(struct decoder *d, uint8_t escape)
{
	if (d->p < d->end && *d->p == escape) {
		put(d, *d->p++);
	} else if (d->p < d->end && *d->p == '+') {
		d->p++;
		put_code_point(d, take_digits(d, 16, 6, 6));
	} else {
		put_code_point(d, take_digits(d, 16, 4, 4));
	}
}

/* Behind the backslash of E'..'. The lexer has seen to it that a byte follows. */
static void decode_backslash(struct decoder *d)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	uint8_t c = *d->p++;
	const char *simple = c != 0 ? strchr(from, c) : NULL;

	if (c == 'u') {
		put_code_point(d, take_digits(d, 16, 4, 4));
	} else if (c == 'U') {
		put_code_point(d, take_digits(d, 16, 8, 8));
	} else if (simple != NULL) {
		put(d, (uint8_t)to[simple - from]);
	} else if (c >= '0' && c <= '7') {
		d->p--;
		c = (uint8_t)take_digits(d, 8, 1, 3);
		put(d, c);
		d->bad = d->bad || c == 0;
	} else if (c == 'x' && d->p < d->end && digit_of(*d->p) < 16) {
		c = (uint8_t)take_digits(d, 16, 1, 2);
		put(d, c);
		d->bad = d->bad || c == 0;
	} else {
		put(d, c);
	}
}

/* One quoted segment; d->p is behind its opening quote, and goes behind its closing one. */
static void decode_segment(struct decoder *d, enum token_kind kind, uint8_t quote, uint8_t escape)
{
	while (d->p < d->end) {
		uint8_t c = *d->p++;

		if (c == quote) {
			if (d->p == d->end || *d->p != quote)
				return;
			put(d, *d->p++);
		} else if (kind == TOKEN_ESTRING && c == '\\' && d->p < d->end) {
			decode_backslash(d);
		} else if ((kind == TOKEN_USTRING || kind == TOKEN_UQUOTED) && c == escape) {
			decode_unicode_escape(d, escape);
		} else {
			put(d, c);
		}
	}
}

/* From behind one segment to behind the opening quote of the next; comments may lie between. */
static bool next_segment(struct decoder *d)
{
	while (d->p < d->end && *d->p != '\'') {
		if (*d->p == '-')
			while (d->p < d->end && *d->p != '\n' && *d->p != '\r')
				d->p++;
		else
			d->p++;
	}
	if (d->p == d->end)
		return false;
	d->p++;
	return true;
}

static struct decoder decoder_of(const char *text, const struct token *t, char *buf, size_t cap)
{
	const uint8_t *p = (const uint8_t *)text + t->off;

	return (struct decoder){.p = p, .end = p + t->len, .out = wr_of(buf, cap)};
}

/* Cut at `max` bytes, between characters, as pg_mbcliplen does for UTF-8. */
static size_t clip(const char *buf, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((uint8_t)buf[max] & 0xc0) == 0x80)
		max--;
	return max;
}

static void decode_word(struct decoder *d)
{
	size_t left = (size_t)(d->end - d->p), len = left < d->out.cap ? left : d->out.cap;

	for (size_t i = 0; i < len; i++)
		d->out.buf[i] = d->p[i] >= 'A' && d->p[i] <= 'Z' ? d->p[i] | 0x20 : d->p[i];
	d->out.len = len;
}

enum status literal_name(
	const char *text, const struct token *t, char uescape, char *buf, size_t *len)
{
	/* One byte more than is kept, so that the cut can look at what follows. */
	char whole[SQL_NAME_MAX + 1];
	struct decoder d = decoder_of(text, t, whole, sizeof whole);

	if (t->kind == TOKEN_WORD) {
		decode_word(&d);
	} else if (t->kind == TOKEN_QUOTED || t->kind == TOKEN_UQUOTED) {
		d.p += t->kind == TOKEN_UQUOTED ? 3 : 1;
		decode_segment(&d, (enum token_kind)t->kind, '"', (uint8_t)uescape);
	} else {
		return E_INVALID;
	}
	if (d.bad || d.high != 0 || d.out.len == 0)
		return E_INVALID;
	*len = clip(whole, d.out.len, SQL_NAME_MAX);
	if (*len == 0)
		return E_INVALID;
	memcpy(buf, whole, *len);
	buf[*len] = '\0';
	return OK;
}

static void decode_dollar(struct decoder *d)
{
	const uint8_t *tag_end = memchr(d->p + 1, '$', (size_t)(d->end - d->p) - 1);
	size_t tag_len = (size_t)(tag_end - d->p) + 1;

	wr_bytes(&d->out, d->p + tag_len, (size_t)(d->end - d->p) - 2 * tag_len);
}

enum status literal_string(
	const char *text, const struct token *t, char uescape, char *buf, size_t cap, size_t *len)
{
	struct decoder d = decoder_of(text, t, buf, cap);

	if (t->kind == TOKEN_DOLLAR) {
		decode_dollar(&d);
	} else if (t->kind == TOKEN_STRING || t->kind == TOKEN_ESTRING ||
		   t->kind == TOKEN_USTRING) {
		while (next_segment(&d))
			decode_segment(&d, (enum token_kind)t->kind, '\'', (uint8_t)uescape);
	} else {
		return E_INVALID;
	}
	if (d.bad || d.high != 0)
		return E_INVALID;
	*len = d.out.len;
	wr_u8(&d.out, 0);
	return d.out.bad ? E_LIMIT : OK;
}
