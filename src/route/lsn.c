#include "route/lsn.h"

#include <stdio.h>
#include <string.h>

#define PAGE_HEADER_LEN    24u /* SizeOfXLogShortPHD */
#define SEGMENT_HEADER_LEN 40u /* SizeOfXLogLongPHD */
#define HALF_DIGITS_MAX    8u

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* One to eight hex digits at *p, advancing it. */
static bool half_parse(const char **p, uint64_t *half)
{
	const char *start = *p;

	*half = 0;
	for (; hex_digit(**p) >= 0; (*p)++) {
		if (*p - start == HALF_DIGITS_MAX)
			return false;
		*half = *half << 4 | (uint64_t)hex_digit(**p);
	}
	return *p != start;
}

enum status lsn_parse(const char *text, uint64_t *lsn)
{
	uint64_t hi, lo;

	if (!half_parse(&text, &hi) || *text++ != '/' || !half_parse(&text, &lo) || *text != '\0')
		return E_INVALID;
	*lsn = hi << 32 | lo;
	return OK;
}

void lsn_format(uint64_t lsn, char text[LSN_TEXT_MAX])
{
	snprintf(text, LSN_TEXT_MAX, "%X/%X", (unsigned)(lsn >> 32), (unsigned)(lsn & UINT32_MAX));
}

enum status wal_point_parse(const char *text, struct wal_point *out)
{
	const char *at = strchr(text, '@');
	char lsn[LSN_TEXT_MAX];
	uint64_t timeline = 0;
	size_t n = at != NULL ? (size_t)(at - text) : strlen(text);

	if (n >= sizeof lsn)
		return E_INVALID;
	memcpy(lsn, text, n);
	lsn[n] = '\0';
	for (const char *p = at; at != NULL && *++p != '\0';) {
		if (*p < '0' || *p > '9')
			return E_INVALID;
		timeline = timeline * 10 + (uint64_t)(*p - '0');
		if (timeline > UINT32_MAX)
			return E_INVALID;
	}
	if (at != NULL && timeline == 0)
		return E_INVALID;
	out->timeline = (uint32_t)timeline;
	return lsn_parse(lsn, &out->lsn);
}

void wal_point_format(struct wal_point p, char text[WAL_POINT_TEXT_MAX])
{
	size_t n;

	lsn_format(p.lsn, text);
	n = strlen(text);
	if (p.timeline != 0)
		snprintf(text + n, WAL_POINT_TEXT_MAX - n, "@%u", (unsigned)p.timeline);
}

uint64_t lsn_round(uint64_t lsn, const struct wal_geometry *g)
{
	if (g->segment_size == 0 || g->block_size == 0)
		return lsn;
	if (lsn % g->segment_size == SEGMENT_HEADER_LEN)
		return lsn - SEGMENT_HEADER_LEN;
	if (lsn % g->block_size == PAGE_HEADER_LEN && lsn % g->segment_size != PAGE_HEADER_LEN)
		return lsn - PAGE_HEADER_LEN;
	return lsn;
}
