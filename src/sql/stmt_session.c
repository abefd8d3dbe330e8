/* Statements that make, use or drop state of the session. */
#include "sql/body.h"
#include "sql/stmt.h"
#include "sql/walk.h"

static void needs_session(struct scan *s)
{
	scan_object(s, CAUSE_SESSION);
	scan_class(s, SQL_SESSION);
}

/* An effect with a name, or its ALL form, and nothing behind it. */
static void name_or_all(struct scan *s, enum sql_effect_kind named, enum sql_effect_kind all)
{
	struct sql_view name;

	if (scan_accept(s, WORD_ALL) || scan_accept_char(s, '*'))
		scan_effect(s, all);
	else if (scan_take_name(s, &name))
		scan_effect(s, named)->name = name;
	scan_finish(s);
}

static void prepare_transaction(struct scan *s)
{
	struct sql_view id;

	scan_object(s, CAUSE_TXN);
	scan_class(s, SQL_WRITE);
	if (!scan_take_string(s, &id)) {
		scan_unclear(s);
		return;
	}
	scan_effect(s, EFFECT_PREPARE_TXN)->name = id;
	if (!s->txn_open)
		scan_flag(s, SQLV_ENDS_TXN);
	s->txn_open = false;
	scan_finish(s);
}

/* Over what is in parentheses, and them. */
static void skip_parentheses(struct scan *s)
{
	uint32_t depth = 0;

	do {
		depth += s->t.c == '(';
		depth -= s->t.c == ')';
		scan_next(s);
	} while (depth > 0 && !scan_at_end(s));
}

/* PREPARE name [(types)] AS statement: nothing of it is executed. */
void stmt_prepare(struct scan *s)
{
	struct token next;
	struct sql_view name;
	struct sql_effect *e;

	scan_next(s);
	scan_peek(s, &next);
	if (scan_is(s, WORD_TRANSACTION) && token_is_string(&next)) {
		scan_next(s);
		prepare_transaction(s);
		return;
	}
	needs_session(s);
	if (!scan_take_name(s, &name)) {
		scan_unclear(s);
		return;
	}
	e = scan_effect(s, EFFECT_PREPARE);
	e->name = name;
	scan_for_asking(s);
	if (s->t.c == '(')
		skip_parentheses(s);
	if (scan_is(s, WORD_AS))
		scan_next(s);
	e->value.off = s->t.off;
	walk_rest(s);
}

/* EXECUTE name [(arguments)]: what runs is not in this text. */
void stmt_execute(struct scan *s)
{
	struct sql_view name;

	scan_object(s, CAUSE_SESSION);
	scan_class(s, SQL_WRITE);
	scan_flag(s, SQLV_USES_STMT | SQLV_MAY_ADVANCE);
	scan_next(s);
	if (!scan_take_name(s, &name)) {
		scan_unclear(s);
		return;
	}
	scan_effect(s, EFFECT_EXECUTE)->name = name;
	walk_expressions(s, false);
}

void stmt_deallocate(struct scan *s)
{
	struct token next;

	needs_session(s);
	scan_flag(s, SQLV_USES_STMT);
	scan_next(s);
	scan_peek(s, &next);
	if (scan_is(s, WORD_PREPARE) && next.kind != TOKEN_END && next.c != ';')
		scan_next(s);
	name_or_all(s, EFFECT_DEALLOCATE, EFFECT_DEALLOCATE_ALL);
}

/* The words between a cursor's name and CURSOR. */
static bool is_cursor_option(const struct scan *s)
{
	return scan_is(s, WORD_BINARY) || scan_is(s, WORD_INSENSITIVE) ||
	       scan_is(s, WORD_ASENSITIVE) || scan_is(s, WORD_SCROLL) || scan_is(s, WORD_NO);
}

/* CURSOR [WITH HOLD | WITHOUT HOLD] FOR; *hold tells. */
static bool take_cursor(struct scan *s, bool *hold)
{
	while (is_cursor_option(s))
		scan_next(s);
	if (!scan_accept(s, WORD_CURSOR))
		return false;
	*hold = scan_accept(s, WORD_WITH);
	if ((*hold || scan_accept(s, WORD_WITHOUT)) && !scan_accept(s, WORD_HOLD))
		return false;
	return scan_accept(s, WORD_FOR);
}

void stmt_declare(struct scan *s)
{
	struct sql_effect *e;
	struct sql_view name;
	bool hold = false;

	needs_session(s);
	scan_next(s);
	if (!scan_take_name(s, &name) || !take_cursor(s, &hold)) {
		scan_unclear(s);
		return;
	}
	e = scan_effect(s, EFFECT_DECLARE);
	e->name = name;
	e->flags = hold ? SQL_EFFECT_HOLD : 0;
	walk_expressions(s, false);
}

void stmt_fetch(struct scan *s)
{
	needs_session(s);
	scan_flag(s, SQLV_USES_CURSOR);
	walk_rest(s);
}

void stmt_close(struct scan *s)
{
	needs_session(s);
	scan_flag(s, SQLV_USES_CURSOR);
	scan_next(s);
	name_or_all(s, EFFECT_CLOSE, EFFECT_CLOSE_ALL);
}

void stmt_listen(struct scan *s)
{
	struct sql_view name;

	needs_session(s);
	scan_next(s);
	if (!scan_take_name(s, &name)) {
		scan_unclear(s);
		return;
	}
	scan_effect(s, EFFECT_LISTEN)->name = name;
	scan_finish(s);
}

void stmt_unlisten(struct scan *s)
{
	needs_session(s);
	scan_next(s);
	name_or_all(s, EFFECT_UNLISTEN, EFFECT_UNLISTEN_ALL);
}

void stmt_notify(struct scan *s)
{
	scan_object(s, CAUSE_VERB);
	scan_class(s, SQL_WRITE);
	scan_flag(s, SQLV_NOTIFY);
	walk_rest(s);
}

void stmt_load(struct scan *s)
{
	needs_session(s);
	scan_effect(s, EFFECT_LOAD);
	walk_rest(s);
}

static void runs_body(struct scan *s)
{
	scan_object(s, CAUSE_BODY);
	scan_class(s, SQL_WRITE);
	scan_flag(s, SQLV_BODY | SQLV_MAY_ADVANCE);
}

void stmt_call(struct scan *s)
{
	runs_body(s);
	scan_next(s);
	walk_expressions(s, false);
}

/* DO [LANGUAGE name] 'body' [LANGUAGE name]: the language is no body, but looks like nothing else.
 */
void stmt_do(struct scan *s)
{
	bool noted = false;
	uint32_t runs;

	runs_body(s);
	scan_for_asking(s);
	for (scan_next(s); !scan_at_end(s); scan_next(s)) {
		if (!token_is_string(&s->t))
			continue;
		scan_flag(s, body_definitions(s->text + s->t.off, s->t.len));
		runs = body_sets(s->text + s->t.off, s->t.len, s->cat);
		if (runs != 0 || s->blind != NULL)
			scan_runs(s, runs);
		if (noted || !body_has_effect(s->text + s->t.off, s->t.len))
			continue;
		scan_effect(s, EFFECT_UNKNOWN);
		noted = true;
	}
}
