/*
 * trace - the W3C trace context that a statement carries in its first or last comment, as
 * sqlcommenter writes it:
 * action='index',traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'. Pure; no
 * allocation. Bounds: a comment of more than TRACE_COMMENT_MAX bytes is not looked into.
 * Source: sqlcommenter's specification (values are quoted and URL-encoded; bare ones are taken,
 * too); W3C Trace Context, "traceparent Header" (version 00).
 */
#ifndef PGWEIR_SQL_TRACE_H
#define PGWEIR_SQL_TRACE_H

#include "base/status.h"

#define TRACE_COMMENT_MAX 4096u
#define TRACE_LEN         55u             /* of a traceparent of version 00 */
#define TRACE_SIZE        (TRACE_LEN + 1) /* with the NUL */

/* Can the text have a comment at its end, or at its beginning? */
static inline bool trace_may_be(const char *sql, size_t len)
{
	char last;

	if (len <= TRACE_LEN)
		return false;
	last = sql[len - 1] == ';' ? sql[len - 2] : sql[len - 1];
	return last == '/' || sql[0] == '/' || last <= ' ' || sql[0] <= ' ' || last == ';';
}

/*
 * The traceparent in a comment at the end of `sql`, or at its beginning. False: there is none, or
 * it is malformed; out[0] is NUL then.
 */
bool trace_read(const char *sql, size_t len, char out[TRACE_SIZE]);

#endif
