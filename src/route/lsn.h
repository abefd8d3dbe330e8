/*
 * lsn - WAL positions: text form, the rounding of samples, and (timeline, LSN) pairs. Pure.
 */
#ifndef PGWEIR_ROUTE_LSN_H
#define PGWEIR_ROUTE_LSN_H

#include "base/status.h"

#define LSN_TEXT_MAX 18u /* "FFFFFFFF/FFFFFFFF" and NUL */

/* "16/B374D848", exactly. Errors: E_INVALID. Source: PostgreSQL, pg_lsn_in. */
enum status lsn_parse(const char *text, uint64_t *lsn) MUST_USE;
void lsn_format(uint64_t lsn, char text[LSN_TEXT_MAX]);

/* Sizes that initdb and the build fixed: wal_segment_size and wal_block_size, in bytes. */
struct wal_geometry {
	uint32_t segment_size; /* power of two, 1 MiB to 1 GiB; 0: unknown, nothing is rounded */
	uint32_t block_size;   /* power of two, 1 to 64 KiB; 0: unknown */
};

/*
 * An insert position just behind a page header is the page's start: nothing lies between, and a
 * replica that has replayed all reports the end of the last record, before the header.
 * Source: PostgreSQL, xlog_internal.h: SizeOfXLogShortPHD 24, SizeOfXLogLongPHD 40 (the first page
 * of a segment).
 */
uint64_t lsn_round(uint64_t lsn, const struct wal_geometry *g);

/* A point in WAL history. timeline 0: none. */
struct wal_point {
	uint32_t timeline;
	uint64_t lsn;
};

/*
 * Whether a node on `have` has replayed all up to `need`: its timeline is not lower and its LSN is
 * not lower. (On a higher timeline what lies above the fork is lost everywhere; until the LSN is
 * passed the answer is a safe no.)
 */
static inline bool wal_point_covers(struct wal_point have, struct wal_point need)
{
	return have.timeline >= need.timeline && have.lsn >= need.lsn;
}

#define WAL_POINT_TEXT_MAX (LSN_TEXT_MAX + 11u) /* "16/B374D848@2" and NUL */

/*
 * A point as text: the LSN, and "@" with the timeline. Of a point without a timeline (0) the LSN
 * alone. Errors of parsing: E_INVALID.
 */
enum status wal_point_parse(const char *text, struct wal_point *out) MUST_USE;
void wal_point_format(struct wal_point p, char text[WAL_POINT_TEXT_MAX]);

/* The later of two: by timeline, then by LSN. */
static inline struct wal_point wal_point_max(struct wal_point a, struct wal_point b)
{
	if (a.timeline != b.timeline)
		return a.timeline > b.timeline ? a : b;
	return a.lsn > b.lsn ? a : b;
}

#endif
