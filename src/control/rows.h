/*
 * rows - writes the rows of a table: as messages of the protocol, or as JSON.
 * Owns:   nothing; writes into a borrowed wr. A row that does not fit leaves w->bad set.
 * Bounds: a value is cut at ROWS_VALUE_MAX bytes, at a character's start.
 */
#ifndef PGWEIR_CONTROL_ROWS_H
#define PGWEIR_CONTROL_ROWS_H

#include "base/wr.h"
#include "proto/reply.h"

#define ROWS_VALUE_MAX 8192u
/* Any row of our tables fits a buffer of this size. */
#define ROWS_BUF_MIN (64u * 1024u)

enum rows_format { ROWS_WIRE, ROWS_JSON };

struct rows {
	struct wr *w;
	enum rows_format format;
	const struct reply_column *columns;
	uint16_t n_columns;
	uint16_t at; /* column to be written next */
	size_t mark; /* of the DataRow */
	uint64_t n;  /* rows begun */
};

struct rows rows_of(struct wr *w, enum rows_format format, const struct reply_column *columns,
	uint16_t n_columns);

void rows_begin(struct rows *r);
void rows_end(struct rows *r); /* every column was written */

void rows_text(struct rows *r, const char *s); /* NULL: SQL's NULL */
void rows_u64(struct rows *r, uint64_t v);
void rows_i64(struct rows *r, int64_t v);
void rows_time(struct rows *r, uint64_t wall_us); /* "2026-01-31 12:00:00 UTC"; 0 gives NULL */
void rows_hex(struct rows *r, uint64_t v);        /* "0x1f"; 0 gives "" */

/* Length of the valid UTF-8 character at `s`, which ends with a NUL; 0 if there is none. */
size_t rows_utf8_len(const char *s);

/* As JSON text, quotes included, cut at ROWS_VALUE_MAX. Invalid UTF-8 becomes U+FFFD. */
void rows_json_string(struct wr *w, const char *s);

#endif
