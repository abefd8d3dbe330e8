#include "control/rows.h"

#include <stdio.h>
#include <time.h>

#include "base/status.h"

struct rows rows_of(struct wr *w, enum rows_format format, const struct reply_column *columns,
	uint16_t n_columns)
{
	return (struct rows){
		.w = w,
		.format = format,
		.columns = columns,
		.n_columns = n_columns,
		.at = n_columns,
	};
}

/* Length of `s` cut at ROWS_VALUE_MAX, not inside a character. */
static size_t cut(const char *s)
{
	size_t n = strnlen(s, ROWS_VALUE_MAX + 1);

	if (n <= ROWS_VALUE_MAX)
		return n;
	for (n = ROWS_VALUE_MAX; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

/* --- JSON --- */

size_t rows_utf8_len(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	if (n == 1)
		return p[0] != '\0';
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

void rows_json_string(struct wr *w, const char *s)
{
	const char *end = s + cut(s);
	unsigned char c;
	char escape[8];
	size_t n;

	wr_u8(w, '"');
	while (s < end) {
		n = rows_utf8_len(s);
		c = (unsigned char)*s;
		if (n == 0) {
			wr_str(w, "\\ufffd");
			s++;
		} else if (c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
			snprintf(escape, sizeof escape, "\\u%04x", c);
			wr_str(w, escape);
			s++;
		} else {
			wr_bytes(w, s, n);
			s += n;
		}
	}
	wr_u8(w, '"');
}

static void json_key(struct rows *r)
{
	if (r->at != 0)
		wr_str(r->w, ", ");
	rows_json_string(r->w, r->columns[r->at].name);
	wr_str(r->w, ": ");
}

/* --- both --- */

void rows_begin(struct rows *r)
{
	PANIC_IF(r->at != r->n_columns);
	r->at = 0;
	if (r->format == ROWS_WIRE)
		r->mark = reply_row_begin(r->w, r->n_columns);
	else
		wr_str(r->w, r->n == 0 ? "\n\t\t{" : ",\n\t\t{");
	r->n++;
}

void rows_end(struct rows *r)
{
	PANIC_IF(r->at != r->n_columns);
	if (r->format == ROWS_WIRE)
		reply_row_end(r->w, r->mark);
	else
		wr_u8(r->w, '}');
}

static void put(struct rows *r, const char *s, bool is_number)
{
	PANIC_IF(r->at >= r->n_columns);
	if (r->format == ROWS_WIRE) {
		if (s == NULL)
			reply_put_text(r->w, NULL);
		else
			reply_put_value(r->w, s, cut(s));
	} else {
		json_key(r);
		if (s == NULL || is_number)
			wr_str(r->w, s != NULL ? s : "null");
		else
			rows_json_string(r->w, s);
	}
	r->at++;
}

void rows_text(struct rows *r, const char *s)
{
	put(r, s, false);
}

void rows_u64(struct rows *r, uint64_t v)
{
	char buf[24];

	snprintf(buf, sizeof buf, "%llu", (unsigned long long)v);
	put(r, buf, true);
}

void rows_i64(struct rows *r, int64_t v)
{
	char buf[24];

	snprintf(buf, sizeof buf, "%lld", (long long)v);
	put(r, buf, true);
}

void rows_time(struct rows *r, uint64_t wall_us)
{
	time_t s = (time_t)(wall_us / 1000000u);
	char buf[64];
	struct tm tm;

	if (wall_us == 0 || localtime_r(&s, &tm) == NULL ||
		strftime(buf, sizeof buf, "%Y-%m-%d %H:%M:%S %Z", &tm) == 0)
		put(r, NULL, false);
	else
		put(r, buf, false);
}

void rows_hex(struct rows *r, uint64_t v)
{
	char buf[24] = "";

	if (v != 0)
		snprintf(buf, sizeof buf, "0x%llx", (unsigned long long)v);
	put(r, buf, false);
}
