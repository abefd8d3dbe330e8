#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define LEFT_OUT_LEN_MAX 24u /* bytes of " left_out=4294967295" and its NUL, at most */

/* Whether this site may write now; *left_out: how many lines it has to own up to. */
static bool site_admits(struct log_site *site, uint64_t second, uint32_t *left_out)
{
	uint64_t old = atomic_load_explicit(&site->second, memory_order_relaxed);

	*left_out = 0;
	if (old != second && atomic_compare_exchange_strong(&site->second, &old, second)) {
		atomic_store(&site->n, 0);
		*left_out = atomic_exchange(&site->n_left_out, 0);
	}
	if (atomic_fetch_add(&site->n, 1) < LOG_SITE_BURST)
		return true;
	atomic_fetch_add(&site->n_left_out, 1);
	return false;
}

/* Cut `s` of `len` bytes at `max`, not inside a UTF-8 character; no control character stays. */
static void tidy(char *s, size_t len, size_t max)
{
	if (len > max)
		for (len = max; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80;)
			len--;
	s[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
}

void log_event(struct log *l, struct log_site *site, enum log_level lv, const char *text,
	const char *fmt, ...)
{
	char kv[LOG_LINE_MAX] = "", tail[LEFT_OUT_LEN_MAX] = "";
	uint32_t left_out = 0;
	size_t taken;
	va_list ap;
	int n;

	if (l->now_s != NULL && !site_admits(site, l->now_s(), &left_out))
		return;
	if (left_out != 0)
		snprintf(tail, sizeof tail, "%sleft_out=%u", fmt[0] != '\0' ? " " : "", left_out);
	va_start(ap, fmt);
	n = vsnprintf(kv, sizeof kv, fmt, ap);
	va_end(ap);
	taken = strlen(text) + sizeof " " + strlen(tail); /* of the line, the final NUL as well */
	tidy(kv, n > 0 ? strlen(kv) : 0, taken < sizeof kv ? sizeof kv - taken : 0);
	if (taken < sizeof kv)
		strcat(kv, tail);
	l->sink(l->sink_arg, lv, text, kv);
}

/*
 * Length of the printable character at `s`, 1 to 4 bytes of valid UTF-8; 0 if the byte there has
 * to be escaped. U+0080 to U+009F are control characters as well.
 */
static size_t printable_len(const unsigned char *s)
{
	size_t n;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f && s[0] != '"' && s[0] != '\\';
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0) ||
		(s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
		(s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0; /* the terminator, too, stops it here */
	return n;
}

static bool is_plain(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n;

	if (*p == '\0' || strcmp(s, "-") == 0)
		return false;
	for (; *p != '\0'; p += n)
		if ((n = printable_len(p)) == 0 || *p == ' ' || *p == '=')
			return false;
	return true;
}

/* Write the next character of *s as it is to be read into `out`; moves *s. Returns its length. */
static size_t quote_one(const char **s, char out[4])
{
	const unsigned char *p = (const unsigned char *)*s;
	size_t n = printable_len(p);

	if (n != 0) {
		memcpy(out, p, n);
		*s += n;
		return n;
	}
	*s += 1;
	out[0] = '\\';
	if (*p == '"' || *p == '\\') {
		out[1] = (char)*p;
		return 2;
	}
	out[1] = 'x';
	out[2] = "0123456789abcdef"[*p >> 4];
	out[3] = "0123456789abcdef"[*p & 15];
	return 4;
}

const char *log_q(char *buf, size_t cap, const char *s)
{
	size_t len = 0, n, quotes;
	char one[4];

	PANIC_IF(cap < LOG_Q_MIN);
	if (s == NULL)
		return strcpy(buf, "-");
	quotes = is_plain(s) ? 0 : 1;
	if (quotes != 0)
		buf[len++] = '"';
	while (*s != '\0' && len + (n = quote_one(&s, one)) + quotes < cap) {
		memcpy(buf + len, one, n);
		len += n;
	}
	if (quotes != 0)
		buf[len++] = '"';
	buf[len] = '\0';
	return buf;
}
