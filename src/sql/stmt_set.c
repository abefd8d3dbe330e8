/* Settings: SET in all its forms, RESET, SHOW, DISCARD. */
#include <string.h>

#include "sql/guc.h"
#include "sql/literal.h"
#include "sql/stmt.h"
#include "sql/walk.h"

/* One value of a list: [+-] number, word or string; *end is where it ends. */
static bool take_value_item(struct scan *s, bool *untracked, uint32_t *end)
{
	struct sql_view text;

	if (scan_accept_char(s, '+') || scan_accept_char(s, '-')) {
		if (s->t.kind != TOKEN_INTEGER && s->t.kind != TOKEN_FLOAT)
			return false;
	} else if (s->t.kind == TOKEN_WORD) {
		if (word_category((enum word)s->t.word) == WORD_R && !scan_is(s, WORD_TRUE) &&
			!scan_is(s, WORD_FALSE) && !scan_is(s, WORD_ON))
			return false;
	} else if (s->t.kind != TOKEN_QUOTED && s->t.kind != TOKEN_UQUOTED &&
		   s->t.kind != TOKEN_INTEGER && s->t.kind != TOKEN_FLOAT) {
		if (!scan_take_string(s, &text))
			return false;
		*end = text.off + text.len;
		return true;
	}
	if (s->t.kind == TOKEN_INTEGER && strspn(s->text + s->t.off, "0123456789") < s->t.len)
		*untracked = true; /* 0x10, 1_000: its value depends on the server's version */
	*end = s->t.off + s->t.len;
	scan_next(s);
	return true;
}

/* The list of values up to the end of the statement, as one view. */
static bool take_values(struct scan *s, struct sql_effect *e)
{
	bool untracked = false;
	uint32_t end;

	e->value.off = s->t.off;
	do {
		if (!take_value_item(s, &untracked, &end))
			return false;
	} while (scan_accept_char(s, ','));
	e->value.len = end - e->value.off;
	if (untracked)
		e->flags |= SQL_EFFECT_UNTRACKED;
	return scan_at_end(s);
}

/* ColId [. ColId]… as one view. */
static bool take_parameter(struct scan *s, struct sql_view *name)
{
	struct sql_view part;

	name->off = s->t.off;
	do {
		if (!scan_take_name(s, &part))
			return false;
		name->len = part.off + part.len - name->off;
	} while (scan_accept_char(s, '.'));
	return true;
}

/* search_path may name the session's temporary schema: what is created then is temporary. */
static bool value_names_temp(const struct scan *s, const struct sql_effect *e)
{
	char value[1024];
	size_t len;

	return sql_effect_value(s->text, s->opts, e, value, sizeof value, &len) != OK ||
	       strstr(value, "pg_temp") != NULL;
}

/* What follows from the name of a parameter that is set or reset. False: it has no such name. */
static bool settle_scope(struct scan *s, struct sql_effect *e)
{
	char name[GUC_NAME_MAX + 1];
	size_t len;

	if (sql_effect_name(s->text, s->opts, e, name, sizeof name, &len) != OK)
		return false;
	switch (guc_scope_of(name)) {
	case GUC_SESSION:
		if (e->kind == EFFECT_SET && strcmp(name, "search_path") == 0 &&
			value_names_temp(s, e))
			e->flags |= SQL_EFFECT_UNTRACKED | SQL_EFFECT_PG_TEMP;
		break;
	case GUC_TRANSACTION:
		e->flags |= SQL_EFFECT_LOCAL;
		break;
	case GUC_CUSTOM:
		e->flags |= SQL_EFFECT_CUSTOM;
		break;
	case GUC_ROLE:
		e->kind = EFFECT_ROLE;
		break;
	case GUC_SEED:
		e->kind = EFFECT_SETSEED;
		break;
	}
	return true;
}

/* Note the effect that was put together; with `ok` false the statement is not understood. */
static void note(struct scan *s, const struct sql_effect *e, bool ok)
{
	struct sql_effect *out;

	scan_object(s, CAUSE_SETTING);
	if (!ok || !scan_at_end(s)) {
		scan_unclear(s);
		return;
	}
	scan_class(s, SQL_SESSION);
	out = scan_effect(s, EFFECT_NONE);
	*out = *e;
	out->stmt = s->stmt;
}

static struct sql_effect effect_of(enum sql_effect_kind kind, bool local)
{
	return (struct sql_effect){.kind = (uint8_t)kind, .flags = local ? SQL_EFFECT_LOCAL : 0};
}

static void set_modes(struct scan *s, enum sql_effect_kind kind)
{
	struct sql_effect e = effect_of(kind, false);
	bool ok = stmt_take_modes(s, &e.modes);

	/* Inside a READ ONLY transaction of this text it changes nothing that a replica minds. */
	if (s->txn_open && ok && !e.modes.needs_primary && kind == EFFECT_SET_TRANSACTION) {
		scan_class(s, SQL_TXN);
		e.stmt = s->stmt;
		*scan_effect(s, kind) = e;
		return;
	}
	note(s, &e, ok);
}

static void set_transaction(struct scan *s)
{
	struct sql_effect e = effect_of(EFFECT_SET_SNAPSHOT, true);

	scan_next(s);
	if (!scan_accept(s, WORD_SNAPSHOT))
		set_modes(s, EFFECT_SET_TRANSACTION);
	else
		note(s, &e, scan_take_string(s, &e.value));
}

/* name { TO | = } { values | DEFAULT } */
static void set_generic(struct scan *s, bool local)
{
	struct sql_effect e = effect_of(EFFECT_SET, local);
	bool ok = take_parameter(s, &e.name);

	ok = ok && (scan_accept(s, WORD_TO) || scan_accept_char(s, '='));
	if (ok && scan_accept(s, WORD_DEFAULT))
		e.kind = EFFECT_RESET;
	else
		ok = ok && take_values(s, &e);
	note(s, &e, ok && settle_scope(s, &e));
}

static void set_time_zone(struct scan *s, bool local)
{
	struct sql_effect e = effect_of(EFFECT_SET, local);
	bool ok = true;

	e.implied = IMPLIED_TIMEZONE;
	scan_next(s);
	scan_next(s);
	if (scan_is(s, WORD_INTERVAL)) {
		e.flags |= SQL_EFFECT_UNTRACKED;
		walk_rest(s);
	} else if (scan_accept(s, WORD_DEFAULT) || scan_accept(s, WORD_LOCAL)) {
		e.kind = EFFECT_RESET;
	} else {
		ok = take_values(s, &e);
	}
	note(s, &e, ok);
}

/* SCHEMA 'x', NAMES ['x'], XML OPTION word: one value for a parameter that is implied. */
static void set_implied(struct scan *s, bool local, enum sql_implied name)
{
	struct sql_effect e = effect_of(EFFECT_SET, local);
	bool ok = true;

	e.implied = (uint8_t)name;
	if (name == IMPLIED_CLIENT_ENCODING && (scan_accept(s, WORD_DEFAULT) || scan_at_end(s)))
		e.kind = EFFECT_RESET;
	else if (name == IMPLIED_XMLOPTION)
		ok = (scan_is(s, WORD_DOCUMENT) || scan_is(s, WORD_CONTENT)) && take_values(s, &e);
	else
		ok = token_is_string(&s->t) && take_values(s, &e);
	note(s, &e, ok && settle_scope(s, &e));
}

/* The rest names a role, as the effect's value; none with DEFAULT. */
static void set_role(struct scan *s, bool local, enum sql_implied name)
{
	struct sql_effect e = effect_of(EFFECT_ROLE, local);
	bool ok = true;

	e.implied = (uint8_t)name;
	if (!scan_accept(s, WORD_DEFAULT))
		ok = take_values(s, &e);
	note(s, &e, ok);
}

static void set_constraints(struct scan *s)
{
	struct sql_effect e = effect_of(EFFECT_SET_CONSTRAINTS, true);

	walk_rest(s);
	note(s, &e, true);
}

/* SET SESSION: CHARACTERISTICS, AUTHORIZATION, or a scope before what set_any knows. */
static bool set_session(struct scan *s, bool local)
{
	if (scan_is(s, WORD_CHARACTERISTICS)) {
		scan_next(s);
		if (scan_accept(s, WORD_AS) && scan_accept(s, WORD_TRANSACTION))
			set_modes(s, EFFECT_SET_CHARACTERISTICS);
		else
			scan_unclear(s);
		return true;
	}
	if (scan_is(s, WORD_AUTHORIZATION)) {
		scan_next(s);
		set_role(s, local, IMPLIED_SESSION_AUTHORIZATION);
		return true;
	}
	return false;
}

/* Behind SET [LOCAL | SESSION]. A word with = or TO after it is a parameter of that name. */
static void set_any(struct scan *s, bool local)
{
	struct token next;
	enum word w = s->t.kind == TOKEN_WORD ? (enum word)s->t.word : NOT_A_WORD;

	scan_peek(s, &next);
	if (next.c == '=' || next.c == '.' || token_is(&next, WORD_TO)) {
		set_generic(s, local);
	} else if (w == WORD_TRANSACTION) {
		set_transaction(s);
	} else if (w == WORD_TIME && token_is(&next, WORD_ZONE)) {
		set_time_zone(s, local);
	} else if (w == WORD_SESSION) { /* SET LOCAL SESSION AUTHORIZATION */
		scan_next(s);
		if (!set_session(s, local))
			scan_unclear(s);
	} else if (w == WORD_SCHEMA || w == WORD_NAMES || w == WORD_ROLE) {
		scan_next(s);
		if (w == WORD_ROLE)
			set_role(s, local, IMPLIED_ROLE);
		else
			set_implied(s, local,
				w == WORD_NAMES ? IMPLIED_CLIENT_ENCODING : IMPLIED_SEARCH_PATH);
	} else if (w == WORD_XML && token_is(&next, WORD_OPTION)) {
		scan_next(s);
		scan_next(s);
		set_implied(s, local, IMPLIED_XMLOPTION);
	} else {
		scan_unclear(s);
	}
}

void stmt_set(struct scan *s)
{
	struct token next;

	scan_peek(s, &next);
	/* SET TRANSACTION in a transaction of this text may be harmless */
	if (!s->txn_open || !token_is(&next, WORD_TRANSACTION))
		scan_object(s, CAUSE_SETTING);
	scan_next(s);
	if (scan_is(s, WORD_CONSTRAINTS)) {
		set_constraints(s);
		return;
	}
	scan_peek(s, &next);
	if (next.c == '=' || next.c == '.' || token_is(&next, WORD_TO)) {
		set_any(s, false);
	} else if (scan_accept(s, WORD_LOCAL)) {
		set_any(s, true);
	} else if (scan_accept(s, WORD_SESSION)) {
		if (!set_session(s, false))
			set_any(s, false);
	} else {
		set_any(s, false);
	}
}

/* Step over the words for a parameter that RESET and SHOW share; IMPLIED_NONE: none of them. */
static enum sql_implied take_implied(struct scan *s)
{
	static const struct {
		enum word words[3];
		enum sql_implied implied;
	} forms[] = {
		{{WORD_TIME, WORD_ZONE, NOT_A_WORD}, IMPLIED_TIMEZONE},
		{{WORD_TRANSACTION, WORD_ISOLATION, WORD_LEVEL}, IMPLIED_TRANSACTION_ISOLATION},
		{{WORD_SESSION, WORD_AUTHORIZATION, NOT_A_WORD}, IMPLIED_SESSION_AUTHORIZATION},
	};
	struct token next;

	scan_peek(s, &next);
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (!scan_is(s, forms[i].words[0]) || !token_is(&next, forms[i].words[1]))
			continue;
		scan_next(s);
		scan_next(s);
		if (forms[i].words[2] != NOT_A_WORD && !scan_accept(s, forms[i].words[2]))
			return IMPLIED_COUNT; /* one word too few */
		return forms[i].implied;
	}
	return IMPLIED_NONE;
}

void stmt_reset(struct scan *s)
{
	struct sql_effect e = effect_of(EFFECT_RESET, false);
	enum sql_implied implied;
	bool ok = true;

	scan_object(s, CAUSE_SETTING);
	scan_next(s);
	if (scan_accept(s, WORD_ALL)) {
		e.kind = EFFECT_RESET_ALL;
		note(s, &e, true);
		return;
	}
	implied = take_implied(s);
	e.implied = (uint8_t)implied;
	if (implied == IMPLIED_NONE)
		ok = take_parameter(s, &e.name);
	note(s, &e, ok && implied != IMPLIED_COUNT && settle_scope(s, &e));
}

void stmt_show(struct scan *s)
{
	struct sql_effect e = effect_of(EFFECT_NONE, false);
	char name[GUC_NAME_MAX + 1];
	size_t len;

	scan_class(s, SQL_READ);
	scan_next(s);
	e.implied = (uint8_t)take_implied(s);
	if (e.implied == IMPLIED_COUNT ||
		(e.implied == IMPLIED_NONE && !take_parameter(s, &e.name)) || !scan_at_end(s)) {
		scan_object(s, scan_is(s, WORD_ALL) ? CAUSE_SERVER : CAUSE_SYNTAX);
		walk_rest(s);
	} else if (sql_effect_name(s->text, s->opts, &e, name, sizeof name, &len) != OK ||
		   !guc_is_same_everywhere(name)) {
		scan_object(s, CAUSE_SERVER);
	}
}

void stmt_discard(struct scan *s)
{
	enum sql_effect_kind kind = EFFECT_NONE;

	scan_object(s, CAUSE_SESSION);
	scan_next(s);
	if (scan_accept(s, WORD_ALL)) {
		kind = EFFECT_DISCARD_ALL;
		scan_flag(s, SQLV_NO_TXN);
	} else if (scan_accept(s, WORD_PLANS)) {
		kind = EFFECT_DISCARD_PLANS;
	} else if (scan_accept(s, WORD_SEQUENCES)) {
		kind = EFFECT_DISCARD_SEQUENCES;
	} else if (scan_accept(s, WORD_TEMP) || scan_accept(s, WORD_TEMPORARY)) {
		kind = EFFECT_DISCARD_TEMP;
	}
	if (kind == EFFECT_NONE || !scan_at_end(s)) {
		scan_unclear(s);
		return;
	}
	scan_class(s, SQL_SESSION);
	scan_effect(s, kind);
}
