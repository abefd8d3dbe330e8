#include "sql/special.h"

#include "sql/calls.h"
#include "sql/guc.h"
#include "sql/literal.h"

/* What a call of a function known by name does. */
struct special {
	uint8_t cls;    /* enum sql_class; SQL_EMPTY: not in this table */
	uint8_t cause;  /* enum sql_cause */
	uint8_t effect; /* enum sql_effect_kind, or EFFECT_NONE */
	uint32_t flags; /* SQLV_* */
};

#define LOCK(e)                                                     \
	{                                                           \
		SQL_SESSION, CAUSE_ADVISORY, EFFECT_ADVISORY_##e, 0 \
	}
#define XACT_LOCK                                         \
	{                                                 \
		SQL_WRITE, CAUSE_ADVISORY, EFFECT_NONE, 0 \
	}
#define SESSION(e)                                      \
	{                                               \
		SQL_WRITE, CAUSE_SESSION, EFFECT_##e, 0 \
	}

static const struct special specials[WORD_COUNT] = {
	[WORD_NEXTVAL] = {SQL_WRITE, CAUSE_SEQUENCE, EFFECT_NONE, SQLV_MAY_ADVANCE},
	[WORD_SETVAL] = {SQL_WRITE, CAUSE_SEQUENCE, EFFECT_SETVAL, SQLV_MAY_ADVANCE},
	[WORD_CURRVAL] = {SQL_SESSION, CAUSE_SEQUENCE, EFFECT_NONE, SQLV_USES_SEQ},
	[WORD_LASTVAL] = {SQL_SESSION, CAUSE_SEQUENCE, EFFECT_NONE, SQLV_USES_SEQ},
	[WORD_SET_CONFIG] = {SQL_SESSION, CAUSE_SETTING, EFFECT_SET_CONFIG, 0},
	[WORD_SETSEED] = {SQL_SESSION, CAUSE_SESSION, EFFECT_SETSEED, 0},
	[WORD_PG_ADVISORY_LOCK] = LOCK(LOCK),
	[WORD_PG_ADVISORY_LOCK_SHARED] = LOCK(LOCK),
	[WORD_PG_TRY_ADVISORY_LOCK] = LOCK(LOCK),
	[WORD_PG_TRY_ADVISORY_LOCK_SHARED] = LOCK(LOCK),
	[WORD_PG_ADVISORY_UNLOCK] = LOCK(UNLOCK),
	[WORD_PG_ADVISORY_UNLOCK_SHARED] = LOCK(UNLOCK),
	[WORD_PG_ADVISORY_UNLOCK_ALL] = LOCK(UNLOCK_ALL),
	[WORD_PG_ADVISORY_XACT_LOCK] = XACT_LOCK,
	[WORD_PG_ADVISORY_XACT_LOCK_SHARED] = XACT_LOCK,
	[WORD_PG_TRY_ADVISORY_XACT_LOCK] = XACT_LOCK,
	[WORD_PG_TRY_ADVISORY_XACT_LOCK_SHARED] = XACT_LOCK,
	[WORD_PG_NOTIFY] = {SQL_WRITE, CAUSE_VERB, EFFECT_NONE, SQLV_NOTIFY},
	[WORD_PG_CANCEL_BACKEND] = {SQL_SESSION, CAUSE_SERVER, EFFECT_SIGNAL, 0},
	[WORD_PG_TERMINATE_BACKEND] = {SQL_SESSION, CAUSE_SERVER, EFFECT_SIGNAL, 0},
	[WORD_PG_LISTENING_CHANNELS] = {SQL_SESSION, CAUSE_SESSION, EFFECT_NONE, 0},
	[WORD_PG_PREPARED_STATEMENT] = {SQL_SESSION, CAUSE_SESSION, EFFECT_STATEMENTS, 0},
	[WORD_PG_EXPORT_SNAPSHOT] = {SQL_SESSION, CAUSE_SERVER, EFFECT_NONE, 0},
	[WORD_PG_CREATE_PHYSICAL_REPLICATION_SLOT] = SESSION(SLOT),
	[WORD_PG_CREATE_LOGICAL_REPLICATION_SLOT] = SESSION(SLOT),
	[WORD_PG_COPY_PHYSICAL_REPLICATION_SLOT] = SESSION(SLOT),
	[WORD_PG_COPY_LOGICAL_REPLICATION_SLOT] = SESSION(SLOT),
	[WORD_PG_REPLICATION_ORIGIN_SESSION_SETUP] = SESSION(SLOT),
	[WORD_PG_REPLICATION_ORIGIN_SESSION_RESET] = SESSION(SLOT),
	/* dblink(…) itself opens and closes a connection of its own, or uses a named one */
	[WORD_DBLINK] = {SQL_WRITE, CAUSE_SESSION, EFFECT_NONE, 0},
	[WORD_DBLINK_EXEC] = {SQL_WRITE, CAUSE_SESSION, EFFECT_NONE, 0},
	[WORD_DBLINK_CONNECT] = SESSION(DBLINK),
	[WORD_DBLINK_CONNECT_U] = SESSION(DBLINK),
	[WORD_DBLINK_DISCONNECT] = SESSION(DBLINK),
	[WORD_DBLINK_OPEN] = SESSION(DBLINK),
	[WORD_DBLINK_CLOSE] = SESSION(DBLINK),
	[WORD_DBLINK_FETCH] = SESSION(DBLINK),
	[WORD_DBLINK_SEND_QUERY] = SESSION(DBLINK),
	[WORD_DBLINK_GET_RESULT] = SESSION(DBLINK),
	[WORD_DBLINK_IS_BUSY] = SESSION(DBLINK),
	[WORD_DBLINK_GET_CONNECTIONS] = SESSION(DBLINK),
	[WORD_DBLINK_GET_NOTIFY] = SESSION(DBLINK),
	[WORD_DBLINK_CANCEL_QUERY] = SESSION(DBLINK),
	[WORD_DBLINK_ERROR_MESSAGE] = SESSION(DBLINK),
};

/* One argument of set_config: a string, a parameter, either with a cast, or something computed. */
struct config_arg {
	struct sql_view text; /* of a string; len 0: it is none */
	uint16_t param;       /* number of a parameter; 0: it is none */
	enum word word;       /* TRUE, FALSE, NULL */
};

/* Step over ::text or ::boolean, which change nothing here; `t` is the token behind it. */
static void skip_cast(struct lexer *ahead, struct token *t)
{
	struct lexer type = *ahead;
	struct token u;

	if (t->kind != TOKEN_PUNCT || t->c != 0 || t->len != 2 || ahead->text[t->off] != ':' ||
		ahead->text[t->off + 1] != ':')
		return;
	lexer_next(&type, &u);
	if (u.hash != word_hash("text", 4) && u.hash != word_hash("boolean", 7) &&
		u.hash != word_hash("bool", 4))
		return;
	lexer_next(&type, t);
	*ahead = type;
}

/* To the comma or parenthesis that ends the argument. False: there is none, or a call inside. */
static bool skip_argument(struct lexer *ahead, struct token *t)
{
	uint32_t depth = 0;

	for (; t->kind != TOKEN_END && t->kind != TOKEN_BAD; lexer_next(ahead, t)) {
		if (depth == 0 && (t->c == ',' || t->c == ')'))
			return true;
		if (token_is(t, WORD_SET_CONFIG))
			return false;
		if (t->c == '(' || t->c == '[')
			depth++;
		else if ((t->c == ')' || t->c == ']') && depth > 0)
			depth--;
	}
	return false;
}

/* Read an argument and the `delimiter` behind it. False: the call is malformed. */
static bool take_config_arg(struct lexer *ahead, struct config_arg *out, char delimiter)
{
	struct token first, t;

	*out = (struct config_arg){.word = NOT_A_WORD};
	lexer_next(ahead, &first);
	t = first;
	if (token_is_string(&t) || t.kind == TOKEN_PARAM || token_is(&t, WORD_TRUE) ||
		token_is(&t, WORD_FALSE)) {
		lexer_next(ahead, &t);
		skip_cast(ahead, &t);
		if (t.c == (uint8_t)delimiter) {
			if (token_is_string(&first))
				out->text = (struct sql_view){.off = first.off, .len = first.len};
			else if (first.kind == TOKEN_PARAM)
				out->param = sql_param_number((const char *)ahead->text, &first);
			else
				out->word = (enum word)first.word;
			return true;
		}
	}
	return skip_argument(ahead, &t) && t.c == (uint8_t)delimiter;
}

/* (name, value, is_local) at `ahead`, into *e as far as it can be told. False: another form. */
static bool take_config_args(struct lexer *ahead, struct sql_effect *e)
{
	struct config_arg name, value, local;
	struct token t;

	lexer_next(ahead, &t);
	if (t.c != '(' || !take_config_arg(ahead, &name, ',') ||
		!take_config_arg(ahead, &value, ',') || !take_config_arg(ahead, &local, ')'))
		return false;
	e->name = name.text;
	e->name_param = name.param;
	e->value = value.text;
	e->value_param = value.param;
	e->local_param = local.param;
	e->flags &= (uint8_t)~SQL_EFFECT_MAYBE_LOCAL;
	if (local.word == WORD_TRUE)
		e->flags |= SQL_EFFECT_LOCAL;
	else if (local.word != WORD_FALSE && local.param == 0)
		e->flags |= SQL_EFFECT_MAYBE_LOCAL;
	return true;
}

static void accept_ahead(struct lexer *ahead, struct token *t, bool is)
{
	if (is)
		lexer_next(ahead, t);
}

/*
 * Is the statement nothing but SELECT [pg_catalog.]set_config(name, value, is_local) [[AS] label]
 * [, …]? Then each call is executed exactly once.
 */
static bool is_plain_set_config(const struct scan *s)
{
	struct lexer ahead = s->start;
	struct token t;

	lexer_next(&ahead, &t);
	if (!token_is(&t, WORD_SELECT))
		return false;
	do {
		struct sql_effect e = {.flags = 0};

		lexer_next(&ahead, &t);
		if (t.hash == word_hash("pg_catalog", 10)) {
			lexer_next(&ahead, &t);
			accept_ahead(&ahead, &t, t.c == '.');
		}
		if (!token_is(&t, WORD_SET_CONFIG) || !take_config_args(&ahead, &e))
			return false;
		lexer_next(&ahead, &t);
		accept_ahead(&ahead, &t, token_is(&t, WORD_AS));
		accept_ahead(&ahead, &t, t.kind == TOKEN_WORD || t.kind == TOKEN_QUOTED);
	} while (t.c == ',');
	return t.kind == TOKEN_END || t.c == ';';
}

static void note_set_config(struct scan *s, struct sql_effect *e)
{
	struct lexer ahead = s->lx;
	char name[GUC_NAME_MAX + 1];
	size_t len;
	enum guc_scope scope;

	if (s->only_sets == ONLY_SETS_UNKNOWN)
		s->only_sets = is_plain_set_config(s) ? ONLY_SETS_YES : ONLY_SETS_NO;
	e->flags |= s->only_sets == ONLY_SETS_YES ? SQL_EFFECT_SURE : SQL_EFFECT_UNTRACKED;
	if (!take_config_args(&ahead, e))
		e->flags |= SQL_EFFECT_MAYBE_LOCAL;
	if (e->name.len == 0 || e->value.len == 0 || e->local_param != 0 ||
		(e->flags & SQL_EFFECT_MAYBE_LOCAL) != 0)
		e->flags |= SQL_EFFECT_UNTRACKED;
	if (e->name.len == 0)
		return;
	if (sql_effect_name(s->text, s->opts, e, name, sizeof name, &len) != OK) {
		e->flags |= SQL_EFFECT_UNTRACKED;
		return;
	}
	scope = guc_scope_of(name);
	if (scope == GUC_CUSTOM)
		e->flags |= SQL_EFFECT_CUSTOM;
	else if (scope != GUC_SESSION)
		e->flags |= SQL_EFFECT_UNTRACKED;
}

/* current_setting('name' [, …]) is harmless if the setting follows the client. */
static void note_current_setting(struct scan *s)
{
	struct lexer ahead = s->lx;
	struct token t;
	char value[GUC_NAME_MAX + 1], name[GUC_NAME_MAX + 1];
	size_t len;

	lexer_next(&ahead, &t);
	lexer_next(&ahead, &t);
	if (literal_string(s->text, &t, '\\', value, sizeof value, &len) == OK) {
		lexer_next(&ahead, &t);
		if ((t.c == ',' || t.c == ')') && guc_name_fold(value, len, name) == OK &&
			guc_is_same_everywhere(name))
			return;
	}
	scan_object(s, CAUSE_SERVER);
}

enum sql_effect_kind special_effect(enum word w)
{
	enum sql_effect_kind kind = (enum sql_effect_kind)specials[w].effect;

	return kind == EFFECT_SETVAL || kind == EFFECT_SIGNAL ? EFFECT_NONE : kind;
}

/* Of what is of no statement alone one note is enough; a text may have hundreds of setval(). */
static bool is_noted(const struct scan *s, enum sql_effect_kind kind)
{
	if (kind != EFFECT_SETVAL && kind != EFFECT_SIGNAL)
		return false;
	for (uint8_t i = 0; i < s->v->n_effects; i++)
		if (s->v->effects[i].kind == kind)
			return true;
	return false;
}

void special_call(struct scan *s, enum word w)
{
	const struct special *sp = &specials[w];

	if (w == WORD_CURRENT_SETTING)
		note_current_setting(s);
	if (sp->cls == SQL_EMPTY)
		return;
	scan_object(s, (enum sql_cause)sp->cause);
	scan_class(s, (enum sql_class)sp->cls);
	scan_flag(s, sp->flags);
	if (sp->effect == EFFECT_SET_CONFIG)
		note_set_config(s, scan_effect(s, EFFECT_SET_CONFIG));
	else if (sp->effect != EFFECT_NONE && !is_noted(s, (enum sql_effect_kind)sp->effect))
		scan_effect(s, (enum sql_effect_kind)sp->effect);
}
