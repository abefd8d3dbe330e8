/*
 * scan - one text under judgement: the token cursor, and where its verdict is noted.
 * Used by classify, walk and the stmt_ files only. Owns: nothing.
 */
#ifndef PGWEIR_SQL_SCAN_H
#define PGWEIR_SQL_SCAN_H

#include <string.h>

#include "sql/catalog.h"
#include "sql/verdict.h"
#include "sql/word.h"

/* Words that are looked for by scan_may_have. */
enum scan_sought {
	SOUGHT_ASKING, /* currval, lastval */
	SOUGHT_CONCURRENTLY,
	SOUGHT_EXECUTE,
	SOUGHT_BEGIN, /* without which nothing is ATOMIC */
	SOUGHT_PG_TEMP,
	SOUGHT_UQUOTED, /* how U&"…" begins */
	SOUGHT_COUNT
};

enum scan_only_sets { ONLY_SETS_UNKNOWN, ONLY_SETS_YES, ONLY_SETS_NO };

struct scan {
	struct lexer lx;
	struct token t; /* current token */
	struct {
		uint8_t kind;
		uint8_t c;
		uint16_t word;
	} prev; /* the same of the token before it, maybe the last statement's `;` */
	const char *text;
	uint32_t opts;
	bool ascii;                  /* the text has no byte >= 0x80 */
	bool plain;                  /* what is plain need not be walked (plain_rest) */
	bool together;               /* … and several statements at once (plain_statements) */
	const struct catalog *cat;   /* NULL: not loaded */
	const struct catalog *blind; /* catalog_new_blind: then calls are noted. NULL: not so */
	struct sql_verdict *v;
	struct sql_objections *objections; /* where all of them are noted, or NULL */
	struct sql_effect spill;           /* written instead of an effect that has no place */
	/* where each word stands next, from where it was asked about last; NULL: not asked */
	const uint8_t *sought[SOUGHT_COUNT][2]; /* … with that letter small, and capital */
	bool txn_open;                          /* a transaction begun in this text is open */
	uint16_t stmt;                          /* index of the current statement */
	/* of the current statement */
	struct lexer start; /* at its first token */
	uint8_t only_sets; /* enum scan_only_sets: is it SELECT set_config(…) and nothing else? */
	bool modifies;     /* it is an INSERT, UPDATE, DELETE or MERGE, or has one in its WITH */
};

_Static_assert(offsetof(struct token, word) == 2, "prev is the head of a token");

/* cat: may be NULL, or blind. */
void scan_init(struct scan *s, const char *text, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *v);

static inline void scan_next(struct scan *s)
{
	memcpy(&s->prev, &s->t, sizeof s->prev);
	lexer_next(&s->lx, &s->t);
}

/* The token after the current one; the cursor stays. */
void scan_peek(const struct scan *s, struct token *next);

/* Is the token this unquoted word? */
static inline bool token_is(const struct token *t, enum word w)
{
	return t->kind == TOKEN_WORD && t->word == w;
}

static inline bool scan_is(const struct scan *s, enum word w)
{
	return token_is(&s->t, w);
}

static inline bool scan_prev_is(const struct scan *s, enum word w)
{
	return s->prev.kind == TOKEN_WORD && s->prev.word == w;
}

/* Step over the word if it is the current token. */
bool scan_accept(struct scan *s, enum word w);
bool scan_accept_char(struct scan *s, char c);

/* At the end of the statement: `;` or the end of the text. */
static inline bool scan_at_end(const struct scan *s)
{
	return s->t.kind == TOKEN_END || s->t.c == ';';
}

/* Is an identifier's hash that of its name for the server? Else scan_name_hash tells. */
static inline bool scan_is_plain_name(const struct scan *s)
{
	return s->ascii && s->t.kind != TOKEN_UQUOTED && s->t.len <= SQL_NAME_MAX;
}

/*
 * The name of an identifier token: its hash (as catalog_find and word_find take it).
 * False: the server's name cannot be told from here (encoding, wrong escape).
 */
bool scan_name_hash(const struct scan *s, uint64_t *hash);

/* Step over a ColId, whose view goes to *out. False: the current token is none, nothing done. */
bool scan_take_name(struct scan *s, struct sql_view *out);

/* Step over a string literal, whose view goes to *out. False: it is none, nothing done. */
bool scan_take_string(struct scan *s, struct sql_view *out);

/* The current token is a reason not to use a replica; the first one is kept. */
void scan_object(struct scan *s, enum sql_cause cause);

/* The statement is at least of this class. */
void scan_class(struct scan *s, enum sql_class cls);

static inline void scan_flag(struct scan *s, uint32_t flags)
{
	s->v->flags |= flags;
}

/* Note an effect; the result is to be filled in, and is never NULL. */
struct sql_effect *scan_effect(struct scan *s, enum sql_effect_kind kind);

/*
 * Something of these catalog bits runs: it may set parameters out of sight (EFFECT_RUNS). Noted
 * once for a text.
 */
void scan_runs(struct scan *s, uint32_t bits);

/*
 * Between the current token and the first parenthesis, something is named in the schema pg_temp:
 * what is created there is temporary. Notes the effect; looks on a copy.
 */
void scan_temp_schema(struct scan *s);

/*
 * From the current token to the end of the statement, in plain text or inside a string, currval or
 * lastval is named, for something that is stored or runs out of sight. Looks on a copy.
 */
void scan_for_asking(struct scan *s);

/* May the word stand anywhere from the current token on? False: it does not. */
bool scan_may_have(struct scan *s, enum scan_sought w);

/*
 * A statement that touches the session, in a form that is not understood: SQL_UNKNOWN and
 * EFFECT_UNKNOWN, and on to its end.
 */
void scan_unclear(struct scan *s);

/* The statement must end here, else scan_unclear. */
void scan_finish(struct scan *s);

#endif
