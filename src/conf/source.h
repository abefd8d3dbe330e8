/*
 * source - the lines of a configuration, collected from its file and what that includes, each with
 * its place. What a line means is decided later (conf/build.h).
 * Owns:   nothing; all is copied into the caller's arena.
 * Bounds: CONF_FILES_MAX, CONF_INCLUDE_MAX, CONF_FILE_MAX.
 */
#ifndef PGWEIR_CONF_SOURCE_H
#define PGWEIR_CONF_SOURCE_H

#include "base/arena.h"
#include "conf/conf.h"

enum source_section {
	SECTION_NONE, /* before the first, and after an unknown one */
	SECTION_PGWEIR,
	SECTION_PGBOUNCER,
	SECTION_DATABASES,
	SECTION_USERS,
	SECTION_PEERS,
};
#define SECTIONS 6u

enum source_origin { SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_SET };

struct source_line {
	struct source_line *next; /* in the order in which they are read: the last one counts */
	enum source_origin origin;
	const char *file; /* or the variable's name; "": by SET */
	uint32_t line;    /* 0: none, of a variable that holds one value */
	enum source_section section;
	const char *name;
	const char *key; /* not NULL: `value` is that of one key more of the entry `name` */
	const char *value;
};

struct source {
	struct source_line *first, *last;
	size_t n[SECTIONS];         /* lines of each section */
	bool has_section[SECTIONS]; /* its header was seen; SECTION_NONE: an unknown one */
};

/*
 * Read `path` and its includes; "": no file. Also after an error all is read, so that all errors
 * are found. Errors: E_INVALID `path` itself cannot be read; E_NOMEM. Others are told in `found`
 * alone.
 */
enum status source_load(const struct conf_reader *reader, const char *path, struct arena *a,
	struct source *out, struct findings *found) MUST_USE;

bool source_is_main(const struct source_line *line); /* of [pgweir] or [pgbouncer] */

/* Append a copy of the line; its strings are borrowed and live as long as `a`. */
enum status source_add(
	struct source *src, const struct source_line *line, struct arena *a) MUST_USE;

/* The line that gave a global key its value, or NULL: it has its default. */
const struct source_line *source_find(const struct source *src, const char *key);

/* The same as a place for a finding; the value is left out. */
struct finding_at source_at(const struct source *src, const char *key);

#endif
