/*
 * report - ErrorResponse and NoticeResponse, which have the same body: reads those of servers,
 * builds ours.
 * Owns:   nothing; strings are borrowed, on reading from the message.
 * Bounds: on building, each field is cut at REPORT_FIELD_MAX bytes, at a character's start.
 * Source: PostgreSQL manual, "Error and Notice Message Fields".
 */
#ifndef PGWEIR_PROTO_REPORT_H
#define PGWEIR_PROTO_REPORT_H

#include "base/rd.h"
#include "base/status.h"
#include "base/wr.h"
#include "proto/sqlstate.h"

#define REPORT_FIELD_MAX 1000u /* bytes of a field that we send */
#define REPORT_OWN_MAX   4096u /* bytes of a message with severity … hint, routine only */

/* Every field may be missing in what a server sends: NULL, where no default is named. */
struct report {
	const char *severity;          /* S, maybe translated; "ERROR" or "NOTICE" */
	const char *severity_v;        /* V, never translated; PostgreSQL 9.6 on; else = severity */
	const char *sqlstate;          /* C; "XX000" in errors, "00000" in notices, if not 5 long */
	const char *message;           /* M; "" */
	const char *detail;            /* D */
	const char *hint;              /* H */
	const char *position;          /* P */
	const char *internal_position; /* p */
	const char *internal_query;    /* q */
	const char *where;             /* W */
	const char *schema;            /* s */
	const char *table;             /* t */
	const char *column;            /* c */
	const char *data_type;         /* d */
	const char *constraint;        /* n */
	const char *file;              /* F */
	const char *line;              /* L */
	const char *routine;           /* R */
};

/* One of ours: routine says "pgweir", so that a client's log tells who refused. */
static inline struct report report_of(
	const char *severity, const char *sqlstate, const char *message)
{
	return (struct report){
		.severity = severity,
		.severity_v = severity,
		.sqlstate = sqlstate,
		.message = message,
		.routine = "pgweir",
	};
}

/*
 * Read the body of an ErrorResponse (type 'E') or NoticeResponse ('N'). Unknown fields are
 * skipped; of a repeated one the last counts.
 * Errors: E_PROTO unterminated, or bytes after the end; *out has its defaults and what was read.
 */
enum status report_read(struct rd body, char type, struct report *out) MUST_USE;

/* FATAL or PANIC: the server ends the connection after it. */
bool report_is_fatal(const struct report *r);

/* Does it carry this SQLSTATE? */
bool report_has(const struct report *r, const char *sqlstate);

/* Build the message, type 'E' or 'N'; NULL fields are left out. */
void report_put(struct wr *w, char type, const struct report *r);

#endif
