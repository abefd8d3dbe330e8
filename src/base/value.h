/*
 * value - numbers with units, as text and back. No locale, no floating point: what is written is
 * what is read.
 */
#ifndef PGWEIR_BASE_VALUE_H
#define PGWEIR_BASE_VALUE_H

#include "base/status.h"

#define VALUE_TEXT_MAX 32u /* bytes that hold any formatted number, with its NUL */

/* All parsers: true, or false and *out unchanged. Blanks may stand before a unit only. */
bool value_parse_bool(const char *text, bool *out) MUST_USE; /* on off yes no true false 1 0 */
bool value_parse_uint(const char *text, uint64_t *out) MUST_USE;
bool value_parse_octal(const char *text, uint32_t *out) MUST_USE;
/* Seconds, or a number with us, ms, s, min, h or d; at most nine decimals; cut to whole µs. */
bool value_parse_time(const char *text, uint64_t *out_us) MUST_USE;
/* Bytes, or a number with B, kB, MB or GB (powers of 1024), upper or lower case. */
bool value_parse_size(const char *text, uint64_t *out) MUST_USE;

/* Seconds, with the decimals that are needed: 0.1, 3600. Returns buf. */
const char *value_format_time(uint64_t us, char buf[VALUE_TEXT_MAX]);
/* The same for people: 100ms, 3600s. */
const char *value_format_time_unit(uint64_t us, char buf[VALUE_TEXT_MAX]);
/* In the largest unit that leaves it whole: 64kB, 100. */
const char *value_format_size(uint64_t bytes, char buf[VALUE_TEXT_MAX]);

#endif
