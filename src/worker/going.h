/*
 * going - one message on its way from a client to its server: what forward.c, which takes units
 * apart, shares with forward_parse.c and forward_bind.c, which know prepared statements.
 * Thread: its worker's.
 */
#ifndef PGWEIR_WORKER_GOING_H
#define PGWEIR_WORKER_GOING_H

#include "proto/frame.h"
#include "proto/frontend.h"
#include "worker/forward.h"
#include "worker/judge.h"
#include "worker/sqlstmt.h"

#define GOING_MISSING_NAME "pgweir_missing" /* no server ever has a statement of this name */
#define GOING_HEAD_MAX     512u             /* rewritten head of a Parse or Bind, names included */

/* One message on its way, or its head and what has come of the rest. */
struct going {
	struct worker *w;
	struct client *c;
	struct server *s;
	const uint8_t *p; /* the message */
	size_t len;       /* bytes of it that are there */
	struct frame f;
	const uint8_t *unit; /* the complete unit that it is of, unit_len bytes; or NULL */
	bool in_unit;        /* part of a complete unit */
	bool is_first;       /* nothing ahead of it in the unit has run, or is bound */
	bool is_numbered;    /* the first statement of the unit has a number on the server */
	uint32_t unit_len;   /* of that unit, for the entry that ends it */
	const struct msg_bind *bind; /* while a Bind is on its way */
	uint64_t in_use;             /* number of what it binds; 0: none */
	uint32_t query;              /* handle for the next entry, see queries.h; 0: none */
	bool executes; /* what is parsed is an EXECUTE, which each client means otherwise */
};

/* --- forward.c --- */

/* Note what is owed for a message just put; `ref` moves. Errors: E_NOMEM, E_LIMIT. */
enum status going_owe(struct going *g, enum owed_kind kind, enum owed_who who, uint16_t tag,
	uint64_t no, void *ref) MUST_USE;
void going_put(struct server *s, const struct wr *out);
/* The message as it is, as far as it has come. */
void going_put_verbatim(struct going *g);
/* Another head of the message, then the rest of it as it is, from tail_at in its body on. */
void going_put_head(struct going *g, const struct wr *head, size_t tail_at);
/* What is sent is too large to be judged: the client stays. */
void going_pin_unjudged(struct going *g);

/* --- forward_parse.c --- */

/* E_AGAIN: not all of it that is needed is there. Errors: E_PROTO, E_NOMEM, E_LIMIT. */
enum status going_parse(struct going *g) MUST_USE;
/* Changes of definitions so far; what is parsed from now on knows them. */
uint64_t going_ddl_now(const struct worker *w);
/* A Parse of ours ahead of a message that needs the statement; its number. */
enum status going_put_parse_hidden(struct going *g, struct stmt *st, uint64_t *number) MUST_USE;
/* The server's copy is too old: it gives its place to a new one. */
enum status going_renew(struct going *g, struct stmt *st) MUST_USE;
/* For OWED_TAG_NAME_ERROR; NULL: no memory. */
void *going_name_note(const char *name, enum name_error error);

/* --- forward_bind.c --- */

/* Errors as going_parse; E_AGAIN also while a statement's result is being asked for (checking). */
enum status going_bind(struct going *g) MUST_USE;
enum status going_describe(struct going *g) MUST_USE;
enum status going_close(struct going *g) MUST_USE;

/* Is there more to a statement than to pass it on: before it, or when it has run? */
static inline bool going_has_ahead(const struct client *c, bool has_effects, uint32_t flags)
{
	return has_effects || ((flags & SQLV_BODY) != 0 && sqlstmt_code_needs(c));
}

#endif
