/*
 * queries - what statements cost, by fingerprint (state/query_stats.h); those that are slow or
 * fail are logged, and a client that runs one again and again is noticed (state/repeats.h). A
 * statement gets its record when it is sent; the entries of its replies carry the record's handle
 * (owed_entry.query), and its end is counted there.
 * Thread: its worker's. Off with query_stats = 0: nothing is lexed, looked up or counted.
 */
#ifndef PGWEIR_WORKER_QUERIES_H
#define PGWEIR_WORKER_QUERIES_H

#include "conf/conf.h"
#include "worker/ask.h"
#include "worker/client.h"
#include "worker/server.h"

struct queries;

enum status queries_new(struct queries **out) MUST_USE;
void queries_free(struct queries *q);      /* NULL is allowed */
void queries_apply_conf(struct worker *w); /* the present configuration is new */
void queries_account_gone(struct worker *w, const struct account *acc);
void queries_reset(struct worker *w); /* RESET QUERIES */

/* A simple Query of client `c` goes to its server: its handle, 0: not counted. */
uint32_t queries_of_simple(struct worker *w, struct client *c, const char *sql, size_t len);
/* The same for what a Bind binds; the fingerprint is kept with the statement. */
uint32_t queries_of_stmt(struct worker *w, struct client *c, struct stmt *st);
uint32_t queries_of_unnamed(struct worker *w, struct client *c, struct unnamed *u);

/* A CommandComplete for an entry with a handle; as owed.completed, arg being the server. */
void queries_completed(void *arg, const struct owed_entry *e, const uint8_t *body, size_t len);
/* ReadyForQuery for an entry of kind OWED_QUERY with a handle. */
void queries_ended(struct worker *w, struct server *s, const struct owed_entry *e);
/* An ErrorResponse: the statement at the head, or the first behind it in its series, has failed. */
COLD void queries_failed(struct worker *w, struct server *s, const char *sqlstate);

struct misuse_table;
struct misuse_table *queries_misuse(struct worker *w);
/* The text of a statement of the account; "": it is not known. */
void queries_text(
	struct worker *w, uint64_t fingerprint, const struct account *acc, char *to, size_t cap);

/* Rows for SHOW. */
bool queries_next(struct worker *w, uint32_t *pos, struct show_query_row *row);

#endif
