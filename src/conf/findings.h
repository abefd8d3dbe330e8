/*
 * findings - what is wrong, or worth knowing, in configuration and auth files: every finding with
 * file, line, key, value and what was expected.
 * Owns:   copies of all texts, until findings_fini.
 * Bounds: FINDINGS_MAX findings; more are only counted.
 * Secrets: the caller leaves `value` out (NULL) where it is, or may be, a password.
 */
#ifndef PGWEIR_CONF_FINDINGS_H
#define PGWEIR_CONF_FINDINGS_H

#include "base/arena.h"
#include "base/status.h"

#define FINDINGS_MAX     500u
#define FINDING_LINE_MAX 1024u /* bytes of one formatted finding; longer ones are cut */

enum finding_kind {
	FINDING_ERROR,   /* the file is refused */
	FINDING_NOTE,    /* accepted, but it does not do what one might think */
	FINDING_WARNING, /* legal, but unwise; the text says why */
	FINDING_RESTART, /* a changed value that waits for the next start; the old one holds */
	FINDING_KIND_COUNT,
};

struct finding {
	enum finding_kind kind;
	const char *file;  /* "" if it comes from no file (SET, a comparison of keys) */
	uint32_t line;     /* from 1; 0: the file as a whole */
	const char *key;   /* "port", "[databases] app port"; "" if the line has none */
	const char *value; /* NULL: not shown */
	const char *text;  /* what was expected, or what the note says */
};

struct findings {
	struct arena arena;
	struct finding *items; /* in the order of findings_add */
	size_t n;
	size_t n_errors;   /* all of them, also those left out */
	size_t n_left_out; /* findings beyond FINDINGS_MAX, or without memory */
};

void findings_init(struct findings *f);
void findings_fini(struct findings *f);

/* Where a finding belongs; strings are borrowed and may be NULL. */
struct finding_at {
	const char *file;
	uint32_t line;
	const char *key;
	const char *value;
};

void findings_add(struct findings *f, enum finding_kind kind, const struct finding_at *at,
	const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Sort by file, in the order in which the files were first told of, then by line. */
void findings_sort(struct findings *f);

/*
 * One finding as "FILE:LINE: KEY = VALUE: TEXT", parts that it lacks left out, control characters
 * replaced, cut at `cap` (at least 1). Returns buf. A value that is long is cut first, so that the
 * text is always there.
 */
const char *finding_format(const struct finding *f, char *buf, size_t cap);

#endif
