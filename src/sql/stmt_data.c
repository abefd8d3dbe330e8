/* Reads, writes, definitions, maintenance. */
#include "sql/plain.h"
#include "sql/stmt.h"
#include "sql/walk.h"

/* The word behind any number of opening parentheses; NOT_A_WORD if there is none. */
static enum word verb_inside(const struct scan *s)
{
	struct lexer ahead = s->lx;
	struct token t = s->t;

	while (t.c == '(')
		lexer_next(&ahead, &t);
	return t.kind == TOKEN_WORD ? (enum word)t.word : NOT_A_WORD;
}

static bool reads(enum word verb)
{
	return verb == WORD_SELECT || verb == WORD_VALUES || verb == WORD_TABLE ||
	       verb == WORD_WITH;
}

void stmt_read(struct scan *s)
{
	scan_class(s, SQL_READ);
	if (!reads(verb_inside(s)))
		scan_object(s, CAUSE_SYNTAX);
	walk_expressions(s, false);
}

void stmt_modify(struct scan *s)
{
	scan_object(s, CAUSE_VERB);
	scan_class(s, SQL_WRITE);
	if (scan_is(s, WORD_INSERT) || scan_is(s, WORD_MERGE) || s->cat == NULL)
		scan_flag(s, SQLV_MAY_ADVANCE);
	s->modifies = true;
	walk_expressions(s, false);
}

/* COPY … FROM: a write, of the client's data when it comes from STDIN. */
static void copy_from(struct scan *s)
{
	scan_object(s, CAUSE_VERB);
	scan_class(s, SQL_WRITE);
	scan_flag(s, SQLV_MAY_ADVANCE);
	if (scan_is(s, WORD_STDIN) || scan_is(s, WORD_STDOUT)) /* the grammar takes either */
		scan_flag(s, SQLV_COPY_IN);
}

static void copy_to(struct scan *s)
{
	scan_class(s, SQL_READ);
	if (scan_is(s, WORD_STDIN) || scan_is(s, WORD_STDOUT)) {
		scan_flag(s, SQLV_COPY_OUT);
		return;
	}
	scan_object(s, CAUSE_SERVER); /* a file or a program of that host */
	scan_class(s, SQL_WRITE);
}

/* The closing parenthesis before `end` is the current token. */
static void stand_on_closing(struct scan *s, const uint8_t *end)
{
	s->lx.p = end;
	s->t = (struct token){
		.kind = TOKEN_PUNCT, .c = ')', .off = (uint32_t)(end - s->lx.text) - 1, .len = 1};
}

/*
 * The direction: the first FROM or TO behind the balanced parentheses of a query or of a column
 * list. Leaves the cursor where it was; what follows the direction is judged on a copy.
 */
static void judge_copy(struct scan *s)
{
	struct scan ahead = *s;
	uint32_t depth = 0;
	const uint8_t *end = s->plain && s->t.c == '(' ? plain_skim(s, true) : NULL;

	if (end != NULL) {
		stand_on_closing(&ahead, end);
		scan_next(&ahead);
	}
	for (; ahead.t.kind != TOKEN_END && (depth > 0 || ahead.t.c != ';'); scan_next(&ahead)) {
		if (ahead.t.c == '(') {
			depth++;
		} else if (ahead.t.c == ')' && depth > 0) {
			depth--;
		} else if (depth == 0 && ahead.prev.c != '.' && scan_is(&ahead, WORD_FROM)) {
			scan_next(&ahead);
			copy_from(&ahead);
			return;
		} else if (depth == 0 && ahead.prev.c != '.' && scan_is(&ahead, WORD_TO)) {
			scan_next(&ahead);
			copy_to(&ahead);
			return;
		}
	}
	scan_object(s, CAUSE_SYNTAX);
	scan_class(s, SQL_UNKNOWN);
}

void stmt_copy(struct scan *s)
{
	scan_next(s);
	if (s->t.c == '(' && !reads(verb_inside(s))) {
		scan_object(s, CAUSE_CTE_WRITE);
		scan_class(s, SQL_WRITE);
		scan_flag(s, SQLV_MAY_ADVANCE);
		s->modifies = true;
	}
	judge_copy(s);
	walk_expressions(s, true);
}

/* The options of EXPLAIN in parentheses. */
static void skip_parentheses(struct scan *s)
{
	const uint8_t *end = s->plain ? plain_skim(s, true) : NULL;
	uint32_t depth = 0;

	if (end != NULL) {
		stand_on_closing(s, end);
		scan_next(s);
		return;
	}
	do {
		if (s->t.c == '(')
			depth++;
		else if (s->t.c == ')')
			depth--;
		scan_next(s);
	} while (depth > 0 && s->t.kind != TOKEN_END);
}

/*
 * EXPLAIN of a read is a read, with ANALYZE too. Of anything else it is for the primary, and
 * counts as if it were executed: most often it is, by ANALYZE.
 */
void stmt_explain(struct scan *s)
{
	scan_next(s);
	if (s->t.c == '(' && !reads(verb_inside(s)))
		skip_parentheses(s);
	while (scan_is(s, WORD_ANALYZE) || scan_is(s, WORD_ANALYSE) || scan_is(s, WORD_VERBOSE))
		scan_next(s);
	if (scan_at_end(s)) {
		scan_class(s, SQL_READ);
		scan_object(s, CAUSE_SYNTAX);
	} else if (reads(verb_inside(s))) {
		stmt_read(s);
	} else if (scan_is(s, WORD_EXECUTE)) {
		stmt_execute(s);
	} else if (scan_is(s, WORD_CREATE)) {
		stmt_create(s);
	} else if (scan_is(s, WORD_DECLARE)) {
		scan_object(s, CAUSE_SESSION); /* plans or runs the query, but opens no cursor */
		scan_class(s, SQL_WRITE);
		walk_expressions(s, false);
	} else {
		stmt_modify(s);
	}
}

/* Words that may stand between CREATE and the kind of object. */
static bool is_create_word(const struct scan *s)
{
	return scan_is(s, WORD_TEMP) || scan_is(s, WORD_TEMPORARY) || scan_is(s, WORD_OR) ||
	       scan_is(s, WORD_REPLACE) || scan_is(s, WORD_GLOBAL) || scan_is(s, WORD_LOCAL) ||
	       scan_is(s, WORD_UNLOGGED) || scan_is(s, WORD_RECURSIVE) || scan_is(s, WORD_UNIQUE) ||
	       scan_is(s, WORD_CONSTRAINT) || scan_is(s, WORD_EVENT);
}

/* Objects whose expressions are stored and not executed now. */
static bool is_definition(const struct scan *s)
{
	return scan_is(s, WORD_VIEW) || scan_is(s, WORD_FUNCTION) || scan_is(s, WORD_PROCEDURE) ||
	       scan_is(s, WORD_RULE) || scan_is(s, WORD_TRIGGER) || scan_is(s, WORD_POLICY) ||
	       scan_is(s, WORD_AGGREGATE);
}

static bool is_outside_txn(const struct scan *s)
{
	return scan_is(s, WORD_DATABASE) || scan_is(s, WORD_TABLESPACE) ||
	       scan_is(s, WORD_SUBSCRIPTION);
}

static void defines_objects(struct scan *s)
{
	scan_object(s, CAUSE_VERB);
	scan_class(s, SQL_WRITE);
}

/* CONCURRENTLY up to the end of the statement; looks on a copy. */
static bool is_concurrent(struct scan *s)
{
	struct scan ahead;

	if (!scan_may_have(s, SOUGHT_CONCURRENTLY))
		return false;
	ahead = *s;
	for (; !scan_at_end(&ahead); scan_next(&ahead))
		if (scan_is(&ahead, WORD_CONCURRENTLY) && ahead.prev.c != '.')
			return true;
	return false;
}

/* CREATE TABLE … AS EXECUTE name; looks on a copy. */
static void find_execute(struct scan *s)
{
	struct scan ahead;

	if (!scan_may_have(s, SOUGHT_EXECUTE))
		return;
	ahead = *s;
	for (; !scan_at_end(&ahead); scan_next(&ahead)) {
		if (!scan_prev_is(&ahead, WORD_AS) || !scan_is(&ahead, WORD_EXECUTE))
			continue;
		scan_flag(s, SQLV_USES_STMT);
		scan_next(&ahead);
		if (!scan_take_name(&ahead, &scan_effect(s, EFFECT_EXECUTE)->name))
			scan_object(s, CAUSE_SYNTAX);
		return;
	}
}

void stmt_create(struct scan *s)
{
	bool temp = false;

	defines_objects(s);
	scan_next(s);
	for (; is_create_word(s); scan_next(s))
		temp = temp || scan_is(s, WORD_TEMP) || scan_is(s, WORD_TEMPORARY);
	if (temp) {
		scan_effect(s, EFFECT_TEMP);
	} else {
		scan_temp_schema(s);
		scan_flag(s, SQLV_DDL | SQLV_SCHEMA);
	}
	if (is_outside_txn(s) || (scan_is(s, WORD_INDEX) && is_concurrent(s)))
		scan_flag(s, SQLV_NO_TXN);
	if (is_definition(s)) {
		scan_for_asking(s);
		walk_rest(s);
		return;
	}
	scan_flag(s, SQLV_MAY_ADVANCE);
	find_execute(s);
	walk_expressions(s, false);
}

/* ALTER ROLE, USER or DATABASE … SET or RESET: what a session that begins later has. */
static void note_defaults(struct scan *s)
{
	bool of_database = scan_is(s, WORD_DATABASE);
	struct scan ahead = *s;
	struct sql_effect *e;
	struct token name;

	if (!of_database && !scan_is(s, WORD_ROLE) && !scan_is(s, WORD_USER))
		return;
	scan_next(&ahead);
	name = ahead.t;
	while (!scan_at_end(&ahead) && !scan_is(&ahead, WORD_SET) && !scan_is(&ahead, WORD_RESET))
		scan_next(&ahead);
	if (scan_at_end(&ahead))
		return;
	e = scan_effect(s, EFFECT_DEFAULTS);
	e->flags |= of_database ? SQL_EFFECT_DATABASE : 0;
	/* ALL, CURRENT_USER and the like are no names. */
	if (name.kind != TOKEN_WORD || name.word == NOT_A_WORD ||
		word_category((enum word)name.word) == WORD_U)
		e->name = (struct sql_view){.off = name.off, .len = name.len};
}

/* ALTER, DROP and all the others that change definitions. */
void stmt_alter(struct scan *s)
{
	bool drop = scan_is(s, WORD_DROP), alter = scan_is(s, WORD_ALTER);

	defines_objects(s);
	scan_flag(s, SQLV_SCHEMA);
	if (!drop) /* what has gone makes no read unsafe */
		scan_flag(s, SQLV_DDL);
	scan_next(s);
	if (alter)
		note_defaults(s);
	if ((drop && is_outside_txn(s)) || scan_is(s, WORD_SYSTEM) || is_concurrent(s))
		scan_flag(s, SQLV_NO_TXN);
	if (!drop)
		scan_for_asking(s);
	walk_rest(s);
}

void stmt_maintain(struct scan *s)
{
	scan_object(s, CAUSE_VERB);
	scan_class(s, SQL_WRITE);
	if (scan_is(s, WORD_VACUUM) || (scan_is(s, WORD_REINDEX) && is_concurrent(s)))
		scan_flag(s, SQLV_NO_TXN);
	walk_rest(s);
}
