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

/* Inside a comment: the key begins it, or follows a comma or a blank. */
static bool read_comment(const char *p, size_t len, char out[TRACE_SIZE])
{
	for (size_t i = 0; i + KEY_LEN + TRACE_LEN <= len; i++) {
		size_t at = i + KEY_LEN;
		bool quoted;

		if (p[i] != 't' || memcmp(p + i, KEY, KEY_LEN) != 0 ||
			(i != 0 && p[i - 1] != ',' && !is_blank(p[i - 1])))
			continue;
		quoted = p[at] == '\'';
		at += quoted;
		if (at + TRACE_LEN + quoted > len || (quoted && p[at + TRACE_LEN] != '\'') ||
			!is_traceparent(p + at))
			continue;
		memcpy(out, p + at, TRACE_LEN);
		out[TRACE_LEN] = '\0';
		return true;
	}
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
