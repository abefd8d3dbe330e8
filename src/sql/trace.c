#include "sql/trace.h"

#include <string.h>

#define KEY     "traceparent="
#define KEY_LEN 12u

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* "00-" 32 digits "-" 16 digits "-" 2 digits; neither id is all zeroes. */
static bool is_traceparent(const char *p)
{
	static const uint8_t dashes[] = {2, 35, 52};
	bool trace = false, span = false;
	size_t next = 0;

	for (size_t i = 0; i < TRACE_LEN; i++) {
		if (next < sizeof dashes && i == dashes[next]) {
			if (p[i] != '-')
				return false;
			next++;
			continue;
		}
		if (!is_hex(p[i]))
			return false;
		trace = trace || (i > 2 && i < 35 && p[i] != '0');
		span = span || (i > 35 && i < 52 && p[i] != '0');
	}
	return p[0] == '0' && p[1] == '0' && trace && span;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : is_hex(c | 0x20) ? (c | 0x20) - 'a' + 10 : -1;
}

/* The character at `p`, which %XX may stand for; *used: its bytes. */
static char decode(const char *p, size_t len, size_t *used)
{
	*used = 1;
	if (*p != '%' || len < 3 || hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
		return *p;
	*used = 3;
	return (char)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
}

/* What follows the equals sign, quoted or bare. */
static bool read_value(const char *p, size_t len, char out[TRACE_SIZE])
{
	bool quoted = len != 0 && *p == '\'';
	size_t at = quoted, n, used;

	for (n = 0; n < TRACE_LEN && at < len; n++, at += used)
		out[n] = decode(p + at, len - at, &used);
	if (n < TRACE_LEN || !is_traceparent(out))
		return false;
	out[TRACE_LEN] = '\0';
	if (quoted)
		return at < len && p[at] == '\'';
	return at == len || p[at] == ',' || is_blank(p[at]);
}

/* Inside a comment: the key begins it, or follows a comma or a blank. */
static bool read_comment(const char *p, size_t len, char out[TRACE_SIZE])
{
	for (size_t i = 0; i + KEY_LEN + TRACE_LEN <= len; i++) {
		if (p[i] == 't' && memcmp(p + i, KEY, KEY_LEN) == 0 &&
			(i == 0 || p[i - 1] == ',' || is_blank(p[i - 1])) &&
			read_value(p + i + KEY_LEN, len - i - KEY_LEN, out))
			return true;
	}
	out[0] = '\0';
	return false;
}

/* Where the comment begins that ends at `end`, just behind its opening; 0: nowhere. */
static size_t opening(const char *sql, size_t end)
{
	for (size_t i = end; i >= 2 && end - i <= TRACE_COMMENT_MAX; i--)
		if (sql[i - 2] == '/' && sql[i - 1] == '*')
			return i;
	return 0;
}

static bool read_last(const char *sql, size_t len, char out[TRACE_SIZE])
{
	size_t from;

	while (len != 0 && (is_blank(sql[len - 1]) || sql[len - 1] == ';'))
		len--;
	if (len < 4 || sql[len - 1] != '/' || sql[len - 2] != '*')
		return false;
	from = opening(sql, len - 2);
	return from != 0 && read_comment(sql + from, len - 2 - from, out);
}

static bool read_first(const char *sql, size_t len, char out[TRACE_SIZE])
{
	size_t at = 0, end;

	while (at < len && is_blank(sql[at]))
		at++;
	if (len - at < 4 || sql[at] != '/' || sql[at + 1] != '*')
		return false;
	if (len - at > TRACE_COMMENT_MAX)
		len = at + TRACE_COMMENT_MAX;
	for (end = at + 2; end + 1 < len && !(sql[end] == '*' && sql[end + 1] == '/'); end++)
		;
	return end + 1 < len && read_comment(sql + at + 2, end - at - 2, out);
}

bool trace_read(const char *sql, size_t len, char out[TRACE_SIZE])
{
	out[0] = '\0';
	return read_last(sql, len, out) || read_first(sql, len, out);
}
