/*
 * sqlstmt - statements by their names on the server itself: those that PREPARE makes, and those of
 * the protocol that EXECUTE or DEALLOCATE names. They follow their client: ahead of the message
 * that needs one goes what makes it on this server, and away goes what another client left there
 * under that name.
 * Owns:   entries of server.real and, for what PREPARE makes, of client.names.
 * Bounds: max_prepared_statements real names on a server that are not its client's own.
 */
#ifndef PGWEIR_WORKER_SQLSTMT_H
#define PGWEIR_WORKER_SQLSTMT_H

#include "sql/verdict.h"
#include "worker/client.h"
#include "worker/server.h"

/*
 * What the text needs or makes is put ahead of it. is_query: it goes as a simple Query; else it is
 * about to be bound in a series, as the statement of number in_use (0: the unnamed one). Errors:
 * E_NOMEM, E_LIMIT.
 */
enum status sqlstmt_ahead(struct worker *w, struct client *c, const char *sql,
	const struct sql_verdict *v, bool is_query, uint64_t in_use) MUST_USE;

/*
 * May code that no text shows (SQLV_BODY) meet names of statements on the client's server, or need
 * some there? Then sqlstmt_ahead has to go ahead of it, too.
 */
bool sqlstmt_code_needs(const struct client *c);

/*
 * Ahead of a Parse: what the text EXECUTEs has to be there to be described. *executes: it does, and
 * what it then looks like depends on the client's names. Errors: as above.
 */
enum status sqlstmt_ahead_of_parse(struct worker *w, struct client *c, const char *sql,
	const struct sql_verdict *v, bool *executes) MUST_USE;

/* The client's statement of this name, made by PREPARE, is needed in a series. Errors: as above. */
enum status sqlstmt_need(struct worker *w, struct client *c, struct stmt_name *mine) MUST_USE;

/*
 * A Parse of this name goes to the server as it is, too large to be known elsewhere: the client has
 * to stay. Errors: as above; E_EXISTS the name is taken: the server will say so.
 */
enum status sqlstmt_large(struct worker *w, struct client *c, const char *name) MUST_USE;

/* A name of the client's has gone: if it has no such statement any more, it need not stay. */
void sqlstmt_large_gone(struct worker *w, struct client *c);

/* It was made that way: it is on its client's server already, or nowhere. */
static inline bool sqlstmt_is_large(const struct stmt *st)
{
	return st->is_sql && st->query_len == 0;
}

/* The text of the statement that makes `e`, an EFFECT_PREPARE; len 0: it cannot be told. */
struct sql_view sqlstmt_text(
	const char *sql, size_t len, uint32_t opts, const struct sql_effect *e);

/* PREPARE has made `name`. False: it cannot be carried. */
bool sqlstmt_made(
	struct worker *w, struct client *c, struct server *s, const char *name, const char *text);
/* DEALLOCATE has removed it, or ALL (NULL). */
void sqlstmt_gone(struct client *c, struct server *s, const char *name);

/* What has OWED_TAG_SQL gets no answer, or an error: the name is not made. */
void sqlstmt_lost(struct server *s, struct owed_entry *e);

/* In owed_entry.no of those: a Query follows, whose error this one becomes. */
#define SQLSTMT_BEFORE_QUERY 1u

#endif
