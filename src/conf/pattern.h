/*
 * pattern - a regular expression of a configuration file: POSIX extended, case matters.
 * Owns:    the compiled expression. Threads: any may match.
 * Bounds:  PATTERN_MAX bytes, PATTERN_REPEAT_MAX repetitions; a back reference in the expression
 *          is refused, so that none takes time or memory without bound; subjects are names.
 *          Escapes that POSIX does not know (\d, \y) are refused: they would mean a plain letter.
 */
#ifndef PGWEIR_CONF_PATTERN_H
#define PGWEIR_CONF_PATTERN_H

#include "base/status.h"

#define PATTERN_MAX 255u /* bytes */
/* The product of all {n,m}; of a group, and of what is repeated already, squared, + being {2}. */
#define PATTERN_REPEAT_MAX  1000u
#define PATTERN_SUBJECT_MAX 1023u /* bytes; longer subjects never match */
#define PATTERN_ERR_MAX     128u  /* bytes of an error text, with its NUL */

struct pattern;

/* Errors: E_INVALID err[PATTERN_ERR_MAX] says why; E_NOMEM. */
enum status pattern_new(const char *text, struct pattern **out, char *err) MUST_USE;
void pattern_free(struct pattern *p); /* NULL allowed */

bool pattern_matches(const struct pattern *p, const char *subject);

struct pattern_group {
	size_t at, len; /* within the subject; len 0 if the group took no part */
};
size_t pattern_n_groups(const struct pattern *p);

/* The same, and what the first group of the expression matched. */
bool pattern_match_group(const struct pattern *p, const char *subject, struct pattern_group *out);

#endif
