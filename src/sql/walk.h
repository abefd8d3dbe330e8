/*
 * walk - the tokens of a statement that may call functions and read relations, each looked up:
 * what is dangerous on a replica is objected to, what touches the session is noted.
 * Used by classify and the stmt_ files only.
 */
#ifndef PGWEIR_SQL_WALK_H
#define PGWEIR_SQL_WALK_H

#include "sql/scan.h"

/*
 * From the current token to the end of the statement (`;` outside parentheses, or the end of the
 * text). in_from: names are relations from the start, as after COPY.
 */
void walk_expressions(struct scan *s, bool in_from);

/*
 * Of the current token alone, a name of that hash, for which the catalog has these bits. relation:
 * a relation may stand here.
 */
void walk_known_name(struct scan *s, bool relation, uint64_t hash, uint32_t bits);

/* Of the current token alone, an INTO that belongs to no INSERT or MERGE. */
void walk_known_into(struct scan *s);

/* What a word, not behind a dot, says of the names that follow at its level of parentheses. */
enum walk_from {
	WALK_FROM_SAME, /* nothing */
	WALK_FROM_NO,
	WALK_FROM_YES, /* they may be relations */
};
enum walk_from walk_from_of(enum word w);

/*
 * Of the current token alone, a name of ASCII letters that a parenthesis follows, where no catalog
 * tells what it is. target: it is the table of an INSERT.
 */
void walk_unknown_call(struct scan *s, bool target);

/* To the end of the statement without looking, but for BEGIN ATOMIC … END, which holds `;`. */
void walk_rest(struct scan *s);

#endif
