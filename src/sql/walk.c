#include "sql/walk.h"

#include "sql/plain.h"
#include "sql/special.h"

#define DEPTH_MAX                                                                       \
	64u /* parentheses whose inside is told apart; deeper ones count as a FROM list \
	     */

struct walk {
	uint32_t depth;
	uint64_t from; /* bit d: at depth d a name may be a relation */
	uint64_t trim; /* bit d: depth d is inside substring() or overlay() */
	uint64_t mid;  /* bit d: depth d is inside DISTINCT ON () or OPERATOR(): no alias follows */
	bool with;     /* the statement has a WITH */
	bool loose;    /* … with SEARCH or CYCLE: the verb may follow a name */
	bool target;   /* the table of an INSERT, a MERGE or a COPY comes */
};

/* What a word does to the walk. */
enum action {
	ACTION_NAME,   /* nothing, but it may be a name */
	ACTION_FROM,   /* relations follow */
	ACTION_CLAUSE, /* no relations follow */
	ACTION_VERB,   /* INSERT, UPDATE, DELETE, MERGE */
	ACTION_FOR,
	ACTION_INTO,
	ACTION_WITH,
	ACTION_CYCLE,
	ACTION_CURRENT,
	ACTION_DEFAULT,
	ACTION_STATEMENTS, /* pg_prepared_statements, of which no catalog need be asked */
};

static const uint8_t actions[WORD_COUNT] = {
	[WORD_FROM] = ACTION_FROM,
	[WORD_JOIN] = ACTION_FROM,
	[WORD_TABLE] = ACTION_FROM,
	[WORD_ONLY] = ACTION_FROM,
	/* All reserved: none of them can be a name in a FROM list. */
	[WORD_SELECT] = ACTION_CLAUSE,
	[WORD_WHERE] = ACTION_CLAUSE,
	[WORD_GROUP] = ACTION_CLAUSE,
	[WORD_HAVING] = ACTION_CLAUSE,
	[WORD_WINDOW] = ACTION_CLAUSE,
	[WORD_ORDER] = ACTION_CLAUSE,
	[WORD_LIMIT] = ACTION_CLAUSE,
	[WORD_OFFSET] = ACTION_CLAUSE,
	[WORD_FETCH] = ACTION_CLAUSE,
	[WORD_UNION] = ACTION_CLAUSE,
	[WORD_INTERSECT] = ACTION_CLAUSE,
	[WORD_EXCEPT] = ACTION_CLAUSE,
	[WORD_INSERT] = ACTION_VERB,
	[WORD_UPDATE] = ACTION_VERB,
	[WORD_DELETE] = ACTION_VERB,
	[WORD_MERGE] = ACTION_VERB,
	[WORD_FOR] = ACTION_FOR,
	[WORD_INTO] = ACTION_INTO,
	[WORD_WITH] = ACTION_WITH,
	[WORD_SEARCH] = ACTION_CYCLE,
	[WORD_CYCLE] = ACTION_CYCLE,
	[WORD_CURRENT] = ACTION_CURRENT,
	[WORD_DEFAULT] = ACTION_DEFAULT,
	[WORD_PG_PREPARED_STATEMENTS] = ACTION_STATEMENTS,
};

/* The character of the token after the current name, of which a UESCAPE clause is a part. */
static uint8_t char_behind_name(const struct scan *s)
{
	struct lexer ahead = s->lx;
	struct token t;

	lexer_next(&ahead, &t);
	if (s->t.kind == TOKEN_UQUOTED && token_is(&t, WORD_UESCAPE)) {
		lexer_next(&ahead, &t);
		lexer_next(&ahead, &t);
	}
	return t.c;
}

/* A name after a name, a closing parenthesis or AS is an alias or a type, not a relation. */
static bool may_be_relation(const struct scan *s, const struct walk *w)
{

	if (w->depth < DEPTH_MAX && (w->from >> w->depth & 1) == 0)
		return false;
	return !((s->prev.kind == TOKEN_WORD &&
			 (s->prev.word == NOT_A_WORD || s->prev.word == WORD_AS)) ||
		 s->prev.kind == TOKEN_QUOTED || s->prev.kind == TOKEN_UQUOTED || s->prev.c == ')');
}

static void hit(struct scan *s, enum sql_cause cause, uint32_t bits)
{
	struct sql_objections *all = s->objections;
	bool is_noted = all != NULL && all->n < SQL_OBJECTIONS_MAX;

	scan_object(s, s->cat != NULL ? cause : CAUSE_NO_CATALOG);
	if (is_noted)
		all->at[all->n - 1u].runs_code = (bits & CATALOG_CODE) != 0;
	if ((bits & CATALOG_CODE) != 0)
		scan_flag(s, SQLV_BODY | SQLV_MAY_ADVANCE);
	if ((bits & CATALOG_CODE) != 0 ? s->cat != NULL : cause == CAUSE_FUNCTION)
		scan_class(s, SQL_WRITE);
}

/* The parenthesis that was closed last. Deeper ones cannot be told apart. */
static bool has_closed_mid(const struct walk *w)
{
	return w->depth + 1 >= DEPTH_MAX || (w->mid >> (w->depth + 1) & 1) != 0;
}

/*
 * No catalog tells what the name is that a parenthesis follows: is it a function that is not
 * PostgreSQL's own? The columns of an alias or of an INSERT look like a call.
 */
static bool may_be_users(const struct scan *s, const struct walk *w, uint64_t hash)
{
	if (s->prev.c == '.')
		return !w->target;
	if (s->t.kind == TOKEN_WORD && s->t.word != NOT_A_WORD &&
		word_category((enum word)s->t.word) != WORD_S)
		return false;
	if (s->prev.kind == TOKEN_QUOTED || s->prev.kind == TOKEN_UQUOTED ||
		(s->prev.c == ')' && !has_closed_mid(w)))
		return false;
	if (s->prev.kind == TOKEN_WORD &&
		(s->prev.word == NOT_A_WORD || s->prev.word == WORD_AS ||
			s->prev.word == WORD_INTO || s->prev.word == WORD_WITH ||
			s->prev.word == WORD_COPY || s->prev.word == WORD_TABLE ||
			s->prev.word == WORD_EXISTS))
		return false;
	return (catalog_find(s->blind, hash) & (CATALOG_BUILTIN | CATALOG_SPECIAL)) == 0;
}

/*
 * Something is known against the current token's name, of that hash: does it stand where that
 * matters?
 */
static void judge(struct scan *s, const struct walk *w, uint64_t hash, uint32_t bits)
{
	uint8_t next = char_behind_name(s);
	bool called = next == '(';
	enum word special = (bits & CATALOG_SPECIAL) != 0 ? word_find(hash) : NOT_A_WORD;

	if (called && word_category(special) == WORD_S) {
		special_call(s, special);
		bits &= ~CATALOG_CODE; /* what it does is told; nothing is hidden */
	}
	if (special == WORD_PG_PREPARED_STATEMENTS && !called && next != '.' &&
		(s->t.kind != TOKEN_WORD || s->prev.c == '.')) /* else walk_word has seen it */
		scan_effect(s, EFFECT_STATEMENTS);
	if ((bits & CATALOG_TYPE) != 0)
		hit(s, CAUSE_TYPE, bits);
	if ((bits & CATALOG_ATTRIBUTE) != 0 && s->prev.c == '.')
		hit(s, CAUSE_FUNCTION, bits);
	if ((bits & CATALOG_FUNCTION) != 0 && called)
		hit(s, CAUSE_FUNCTION, bits);
	/* what stands before a dot is a schema or an alias */
	if ((bits & CATALOG_RELATION) != 0 && next != '.' && may_be_relation(s, w))
		hit(s, CAUSE_RELATION, bits);
	if (((bits & CATALOG_SETS) != 0 && called) ||
		((bits & CATALOG_SETS_USED) != 0 && !called && next != '.'))
		scan_runs(s, bits);
	if (s->blind != NULL && called && may_be_users(s, w, hash))
		scan_runs(s, 0);
	if ((bits & CATALOG_ADVANCES) != 0 && s->modifies)
		scan_flag(s, SQLV_MAY_ADVANCE);
}

/* Without a catalog any function may do anything. */
#define BITS_UNKNOWN (CATALOG_FUNCTION | CATALOG_CODE | CATALOG_SPECIAL)

/*
 * False if it is plain to see that no parenthesis follows the name. (A word that follows a U&"name"
 * may be a UESCAPE.)
 */
static inline bool may_be_called(const struct scan *s)
{
	const uint8_t *p = s->lx.p;

	while (*p == ' ')
		p++;
	if ((uint8_t)((*p | 0x20) - 'a') < 26)
		return s->t.kind == TOKEN_UQUOTED;
	return *p != ',' && *p != '.' && *p != ')' && *p != '=' && *p != ';' && *p != '\0';
}

/* Without a catalog one view is known by its name all the same. */
static bool may_be_known(const struct scan *s, uint64_t hash)
{
	return may_be_called(s) || word_find(hash) == WORD_PG_PREPARED_STATEMENTS;
}

static inline void walk_hash(struct scan *s, const struct walk *w, uint64_t hash)
{
	uint32_t bits = s->cat != NULL ? catalog_find(s->cat, hash) : BITS_UNKNOWN;

	if (__builtin_expect(bits != 0, 0) && (bits != BITS_UNKNOWN || may_be_known(s, hash)))
		judge(s, w, hash, bits);
}

void walk_known_name(struct scan *s, bool relation, uint64_t hash, uint32_t bits)
{
	struct walk w = {.from = relation};

	judge(s, &w, hash, bits);
}

void walk_unknown_call(struct scan *s, bool target)
{
	struct walk w = {.target = target};

	judge(s, &w, s->t.hash, BITS_UNKNOWN);
}

/* An identifier whose name is not simply the token's text. */
static void walk_odd_name(struct scan *s, const struct walk *w)
{
	uint64_t hash;

	if (scan_name_hash(s, &hash))
		walk_hash(s, w, hash);
	else
		scan_object(s, CAUSE_NAME);
}

static inline void walk_name(struct scan *s, const struct walk *w)
{
	if (scan_is_plain_name(s))
		walk_hash(s, w, s->t.hash);
	else
		walk_odd_name(s, w);
}

static void set_from(struct walk *w, bool on)
{
	if (w->depth < DEPTH_MAX)
		w->from = (w->from & ~((uint64_t)1 << w->depth)) | (uint64_t)on << w->depth;
}

/* INSERT, UPDATE, DELETE or MERGE as a word: a verb only where WITH lets one stand. */
static void walk_verb(struct scan *s, const struct walk *w)
{
	if (!w->with || !(w->loose || s->prev.c == '(' || s->prev.c == ')'))
		return;
	scan_object(s, CAUSE_CTE_WRITE);
	scan_class(s, SQL_WRITE);
	s->modifies = true;
	if (s->t.word == WORD_INSERT || s->t.word == WORD_MERGE)
		scan_flag(s, SQLV_MAY_ADVANCE);
}

static void walk_for(struct scan *s, const struct walk *w)
{
	struct token next;

	scan_peek(s, &next);
	if (next.kind != TOKEN_WORD || (next.word != WORD_UPDATE && next.word != WORD_SHARE &&
					       next.word != WORD_NO && next.word != WORD_KEY))
		return;
	if (w->depth < DEPTH_MAX && (w->trim >> w->depth & 1) != 0)
		return; /* substring(x for update): a column of that name */
	scan_object(s, CAUSE_LOCKING);
	scan_class(s, SQL_WRITE);
}

/* SELECT INTO; the INTO of INSERT and MERGE belongs to its verb. */
static void walk_into(struct scan *s)
{
	struct lexer ahead = s->lx;
	struct token t;

	if (s->prev.c == '.' || scan_prev_is(s, WORD_AS))
		return;
	/* where nothing is a verb they are a column or a label: SELECT a AS insert INTO t */
	if (s->modifies && (scan_prev_is(s, WORD_INSERT) || scan_prev_is(s, WORD_MERGE)))
		return;
	scan_object(s, CAUSE_INTO);
	scan_class(s, SQL_WRITE);
	lexer_next(&ahead, &t);
	if (token_is(&t, WORD_LOCAL) || token_is(&t, WORD_GLOBAL))
		lexer_next(&ahead, &t);
	if (token_is(&t, WORD_TEMP) || token_is(&t, WORD_TEMPORARY)) {
		scan_effect(s, EFFECT_TEMP);
		return;
	}
	scan_flag(s, SQLV_DDL | SQLV_SCHEMA);
	scan_temp_schema(s);
}

void walk_known_into(struct scan *s)
{
	walk_into(s);
}

enum walk_from walk_from_of(enum word w)
{
	if (actions[w] == ACTION_FROM)
		return WALK_FROM_YES;
	return actions[w] == ACTION_CLAUSE ? WALK_FROM_NO : WALK_FROM_SAME;
}

static bool is_group_by(const struct scan *s)
{
	struct token next;

	scan_peek(s, &next);
	return token_is(&next, WORD_BY);
}

static void walk_word(struct scan *s, struct walk *w)
{
	enum word word = (enum word)s->t.word;
	enum word_category category = word_category(word);

	if (s->prev.c == '.') { /* every word is a name there */
		walk_name(s, w);
		if (word == WORD_AS || word == WORD_INSERT || word == WORD_MERGE)
			s->t.word = NOT_A_WORD; /* for the INTO behind it */
		return;
	}
	switch ((enum action)actions[word]) {
	case ACTION_NAME:
		w->target = w->target && category != WORD_R;
		break;
	case ACTION_FROM:
		set_from(w, true);
		break;
	case ACTION_CLAUSE:
		if (word == WORD_GROUP && !is_group_by(s)) /* WITHIN GROUP (…), in an ON */
			break;
		set_from(w, false);
		w->target = false;
		break;
	case ACTION_VERB:
		walk_verb(s, w);
		break;
	case ACTION_FOR:
		walk_for(s, w);
		break;
	case ACTION_INTO:
		walk_into(s);
		w->target = true;
		break;
	case ACTION_WITH:
		w->with = true;
		break;
	case ACTION_CYCLE:
		w->loose = w->loose || s->prev.c == ')';
		break;
	case ACTION_CURRENT: {
		struct token next;

		scan_peek(s, &next);
		if (token_is(&next, WORD_OF))
			scan_flag(s, SQLV_USES_CURSOR);
		break;
	}
	case ACTION_STATEMENTS:
		scan_effect(s, EFFECT_STATEMENTS);
		break;
	case ACTION_DEFAULT:
		w->target = false;
		if (s->modifies)
			scan_flag(s, SQLV_MAY_ADVANCE);
		break;
	}
	if (category != WORD_R && !(category == WORD_C && s->cat == NULL))
		walk_name(s, w);
}

static void walk_open(struct scan *s, struct walk *w)
{
	bool from = w->depth < DEPTH_MAX && (w->from >> w->depth & 1) != 0;
	bool trim = scan_prev_is(s, WORD_SUBSTRING) || scan_prev_is(s, WORD_OVERLAY);
	bool mid = scan_prev_is(s, WORD_ON) || scan_prev_is(s, WORD_OPERATOR);

	w->depth++;
	w->target = false;
	set_from(w, from);
	if (w->depth < DEPTH_MAX) {
		w->trim = (w->trim & ~((uint64_t)1 << w->depth)) | (uint64_t)trim << w->depth;
		w->mid = (w->mid & ~((uint64_t)1 << w->depth)) | (uint64_t)mid << w->depth;
	}
}

static void walk_close(struct scan *s, struct walk *w)
{
	if (w->depth > 0)
		w->depth--;
	else
		scan_object(s, CAUSE_SYNTAX);
}

static void walk_operator(struct scan *s)
{
	uint32_t bits;

	if (s->cat == NULL || !catalog_has_operators(s->cat))
		return;
	bits = catalog_find(s->cat, word_hash(s->text + s->t.off, s->t.len));
	if ((bits & CATALOG_OPERATOR) != 0)
		hit(s, CAUSE_OPERATOR, bits);
}

static void walk_punctuation(struct scan *s, struct walk *w)
{
	if (s->t.c == '(')
		walk_open(s, w);
	else if (s->t.c == ')')
		walk_close(s, w);
	else if (s->t.c == ';') /* inside parentheses */
		scan_object(s, CAUSE_SYNTAX);
}

/* Tokens that are seldom met, or mean nothing here. False: the text ends. */
static bool walk_other(struct scan *s, const struct walk *w)
{
	switch ((enum token_kind)s->t.kind) {
	case TOKEN_OP:
		walk_operator(s);
		break;
	case TOKEN_BAD:
		scan_object(s, CAUSE_SYNTAX);
		scan_class(s, SQL_UNKNOWN);
		break;
	case TOKEN_OTHER:
	case TOKEN_COMMENT:
		scan_object(s, CAUSE_SYNTAX);
		break;
	case TOKEN_END:
		if (w->depth > 0)
			scan_object(s, CAUSE_SYNTAX);
		return false;
	case TOKEN_WORD:
	case TOKEN_QUOTED:
	case TOKEN_UQUOTED:
	case TOKEN_PUNCT:
	case TOKEN_STRING:
	case TOKEN_ESTRING:
	case TOKEN_USTRING:
	case TOKEN_DOLLAR:
	case TOKEN_BIT:
	case TOKEN_INTEGER:
	case TOKEN_FLOAT:
	case TOKEN_PARAM:
		break;
	}
	return true;
}

/* The current token. False: the statement ends with it. */
static inline bool walk_token(struct scan *s, struct walk *w)
{
	if (s->t.kind == TOKEN_WORD && s->t.word != NOT_A_WORD) {
		walk_word(s, w);
	} else if (s->t.kind <= TOKEN_UQUOTED) {
		walk_name(s, w);
	} else if (s->t.kind == TOKEN_PUNCT) {
		if (s->t.c == ';' && w->depth == 0)
			return false;
		walk_punctuation(s, w);
	} else {
		return walk_other(s, w);
	}
	return true;
}

/*
 * Is all behind the first token plain? Where no catalog is loaded a call is seen at its parenthesis
 * there; one of the first token has been seen here.
 */
static bool has_plain_rest(struct scan *s, const struct walk *w)
{
	enum word_category category = word_category((enum word)s->t.word);

	if (!s->plain || w->loose || (s->t.kind != TOKEN_WORD && s->t.c != '('))
		return false;
	if (s->cat == NULL && w->target)
		return false;
	if (s->cat == NULL && s->t.kind == TOKEN_WORD && category != WORD_R && category != WORD_C &&
		char_behind_name(s) == '(')
		return false;
	return plain_rest(s, w->depth != 0, w->with);
}

void walk_expressions(struct scan *s, bool in_from)
{
	struct walk w = {.from = in_from, .target = scan_prev_is(s, WORD_COPY)};

	if (!walk_token(s, &w) || has_plain_rest(s, &w))
		return;
	do
		scan_next(s);
	while (walk_token(s, &w));
}

/* Is the statement one that may have a body? Elsewhere BEGIN ATOMIC is a column and its label. */
static bool defines_routine(const struct scan *s)
{
	struct lexer ahead = s->start;
	struct token t;

	lexer_next(&ahead, &t);
	if (!token_is(&t, WORD_CREATE))
		return false;
	do
		lexer_next(&ahead, &t);
	while (token_is(&t, WORD_OR) || token_is(&t, WORD_REPLACE));
	return token_is(&t, WORD_FUNCTION) || token_is(&t, WORD_PROCEDURE);
}

/*
 * Is it plain to see that the text ends with the statement, whatever stands in it? Something is
 * known against it already.
 */
static bool is_last(struct scan *s)
{
	const uint8_t *p = s->lx.text + s->t.off;

	if (s->v->cause == CAUSE_NONE || scan_prev_is(s, WORD_BEGIN)) /* … ATOMIC */
		return false;
	p = memchr(p, ';', (size_t)(s->lx.end - p));
	while (p != NULL && p != s->lx.end)
		if (*p != ';' && *p != ' ' && *p != '\n')
			return false;
		else
			p++;
	return !scan_may_have(s, SOUGHT_BEGIN);
}

void walk_rest(struct scan *s)
{
	const uint8_t *end = NULL;
	uint32_t depth = 0;
	bool body = false;  /* inside BEGIN ATOMIC … END */
	bool begins, ended; /* a statement of it may begin here; one has ended just before */

	if (s->plain)
		end = is_last(s) ? s->lx.end : plain_skim(s, false);
	if (end != NULL) {
		s->lx.p = end;
		scan_next(s);
		return;
	}
	for (ended = false; s->t.kind != TOKEN_END; scan_next(s)) {
		begins = ended;
		ended = false;
		if (s->t.c == '(') {
			depth++;
		} else if (s->t.c == ')' && depth > 0) {
			depth--;
		} else if (s->t.c == ';' && depth == 0) {
			if (!body)
				return;
			ended = true;
		} else if (s->t.kind == TOKEN_BAD) {
			scan_object(s, CAUSE_SYNTAX);
		} else if (body && begins && scan_is(s, WORD_END)) {
			body = false; /* any other END is that of a CASE, or a label */
		} else if (!body && depth == 0 && scan_is(s, WORD_ATOMIC) &&
			   scan_prev_is(s, WORD_BEGIN) && defines_routine(s)) {
			body = ended = true;
		}
	}
	if (body) { /* what follows may have been taken for a part of it */
		scan_class(s, SQL_UNKNOWN);
		scan_effect(s, EFFECT_UNKNOWN);
	}
}
