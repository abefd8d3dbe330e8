#include "sql/scan.h"

#include <strings.h>

#include "sql/body.h"
#include "sql/literal.h"
#include "sql/walk.h"

void scan_init(struct scan *s, const char *text, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *v)
{
	s->t = (struct token){.kind = TOKEN_END};
	s->text = text;
	s->opts = opts;
	s->cat = cat != NULL && !catalog_is_blind(cat) ? cat : NULL;
	s->blind = s->cat == NULL ? cat : NULL;
	s->v = v;
	s->objections = NULL;
	s->plain = s->together = false;
	memset(s->sought, 0, sizeof s->sought);
	s->txn_open = false;
	s->stmt = 0;
	s->modifies = false;
}

void scan_peek(const struct scan *s, struct token *next)
{
	struct lexer ahead = s->lx;

	lexer_next(&ahead, next);
}

bool scan_accept(struct scan *s, enum word w)
{
	if (!scan_is(s, w))
		return false;
	scan_next(s);
	return true;
}

bool scan_accept_char(struct scan *s, char c)
{
	if (s->t.c != (uint8_t)c)
		return false;
	scan_next(s);
	return true;
}

/* The escape character of the current name, if it has one at all; 0: a wrong UESCAPE clause. */
static char uescape_of(const struct scan *s)
{
	struct lexer ahead = s->lx;
	struct token t;

	if (s->t.kind != TOKEN_UQUOTED)
		return '\\';
	lexer_next(&ahead, &t);
	if (!token_is(&t, WORD_UESCAPE))
		return '\\';
	lexer_next(&ahead, &t);
	if (t.kind != TOKEN_STRING || t.len != 3)
		return 0;
	return s->text[t.off + 1];
}

/* Can names with bytes >= 0x80 be compared with the catalog's? */
static bool compares_high(const struct scan *s)
{
	return (s->opts & SQL_ENC_UTF8) != 0 && s->cat != NULL && catalog_is_utf8(s->cat);
}

bool scan_name_hash(const struct scan *s, uint64_t *hash)
{
	char buf[SQL_NAME_MAX + 1];
	size_t len;
	char escape = uescape_of(s);

	if (escape == 0 || literal_name(s->text, &s->t, escape, buf, &len) != OK)
		return false;
	if (lexer_inspect(buf, len, false) != TEXT_ASCII && !compares_high(s))
		return false;
	*hash = word_hash(buf, len);
	return true;
}

static struct sql_view view_of(const struct token *t)
{
	return (struct sql_view){.off = t->off, .len = t->len};
}

/* With a UESCAPE clause of its own a U& token is left to scan_unclear: nobody writes that. */
static bool has_uescape(const struct scan *s)
{
	struct token next;

	if (s->t.kind != TOKEN_UQUOTED && s->t.kind != TOKEN_USTRING)
		return false;
	scan_peek(s, &next);
	return token_is(&next, WORD_UESCAPE);
}

bool scan_take_name(struct scan *s, struct sql_view *out)
{
	enum word_category c = word_category((enum word)s->t.word);

	if (s->t.kind == TOKEN_WORD ? c == WORD_R || c == WORD_T
				    : s->t.kind != TOKEN_QUOTED && s->t.kind != TOKEN_UQUOTED)
		return false;
	if (has_uescape(s))
		return false;
	*out = view_of(&s->t);
	scan_next(s);
	return true;
}

bool scan_take_string(struct scan *s, struct sql_view *out)
{
	if (!token_is_string(&s->t) || has_uescape(s))
		return false;
	*out = view_of(&s->t);
	scan_next(s);
	return true;
}

void scan_object(struct scan *s, enum sql_cause cause)
{
	struct sql_objections *all = s->objections;

	if (all != NULL && all->n < SQL_OBJECTIONS_MAX)
		all->at[all->n++] =
			(struct sql_objection){.cause = (uint8_t)cause, .at = view_of(&s->t)};
	if (s->v->cause != CAUSE_NONE)
		return;
	s->v->cause = (uint8_t)cause;
	s->v->at = view_of(&s->t);
}

void scan_class(struct scan *s, enum sql_class cls)
{
	if (s->v->cls < cls)
		s->v->cls = (uint8_t)cls;
}

struct sql_effect *scan_effect(struct scan *s, enum sql_effect_kind kind)
{
	struct sql_effect *e = &s->spill;

	if (s->v->n_effects < SQL_EFFECTS_MAX)
		e = &s->v->effects[s->v->n_effects++];
	else
		scan_flag(s, SQLV_LOST);
	*e = (struct sql_effect){.kind = (uint8_t)kind, .stmt = s->stmt};
	return e;
}

void scan_runs(struct scan *s, uint32_t bits)
{
	struct sql_verdict *v = s->v;
	struct sql_effect *e = NULL;

	for (uint8_t i = 0; i < v->n_effects && e == NULL; i++)
		if (v->effects[i].kind == EFFECT_RUNS)
			e = &v->effects[i];
	if (e == NULL)
		e = scan_effect(s, EFFECT_RUNS);
	if ((bits & CATALOG_SETS_CUSTOM) != 0 || (s->cat != NULL && s->cat->custom_lost))
		e->flags |= SQL_EFFECT_CUSTOM;
}

void scan_temp_schema(struct scan *s)
{
	struct lexer ahead = s->lx;
	struct token t = s->t, prev = {0};
	uint64_t pg_temp;

	if (!scan_may_have(s, SOUGHT_PG_TEMP) && !scan_may_have(s, SOUGHT_UQUOTED))
		return;
	pg_temp = word_hash("pg_temp", 7);
	for (; t.kind != TOKEN_END && t.c != ';' && t.c != '('; lexer_next(&ahead, &t)) {
		if (token_is(&t, WORD_INTO) && t.off != s->t.off)
			return; /* asked again there */
		if (t.c == '.' && (prev.hash == pg_temp || prev.kind == TOKEN_UQUOTED)) {
			scan_effect(s, EFFECT_TEMP);
			return;
		}
		prev = t;
	}
}

void scan_unclear(struct scan *s)
{
	scan_object(s, CAUSE_SYNTAX);
	scan_class(s, SQL_UNKNOWN);
	scan_effect(s, EFFECT_UNKNOWN);
	walk_rest(s);
}

void scan_finish(struct scan *s)
{
	if (!scan_at_end(s))
		scan_unclear(s);
}

/* Words that are found by a letter that is seldom met, not the first one. */
struct sought {
	const char *word, *other; /* of one length, with that letter at one place; NULL: one word */
	size_t len;
	size_t rare;
};

static bool is_at(const uint8_t *letter, const char *word, const struct sought *w)
{
	return word != NULL && (letter[-1] | 0x20) == (word[w->rare - 1] | 0x20) &&
	       strncasecmp((const char *)letter - w->rare, word, w->len) == 0;
}

/* Where one of the words stands from `p` on, with that letter `c`; `end`: nowhere before it. */
static const uint8_t *find_word(const uint8_t *p, const uint8_t *end, const struct sought *w, int c)
{
	const uint8_t *start = p;

	for (; (p = memchr(p, c, (size_t)(end - p))) != NULL; p++)
		if ((size_t)(p - start) >= w->rare && (size_t)(end - p) >= w->len - w->rare &&
			(is_at(p, w->word, w) || is_at(p, w->other, w)))
			return p - w->rare;
	return end;
}

/* What was found is kept: over all statements of a text no byte is looked at twice. */
bool scan_may_have(struct scan *s, enum scan_sought w)
{
	static const struct sought words[SOUGHT_COUNT] = {
		[SOUGHT_ASKING] = {"currval", "lastval", 7, 4},
		[SOUGHT_CONCURRENTLY] = {"concurrently", NULL, 12, 11},
		[SOUGHT_EXECUTE] = {"execute", NULL, 7, 1},
		[SOUGHT_BEGIN] = {"begin", NULL, 5, 2},
		[SOUGHT_PG_TEMP] = {"pg_temp", NULL, 7, 1},
		[SOUGHT_UQUOTED] = {"u&\"", NULL, 3, 1},
	};
	const uint8_t *p = s->lx.text + s->t.off, *end = s->lx.end;
	int c = words[w].word[words[w].rare];

	for (unsigned i = 0; i < 2; i++, c += 'A' - 'a')
		if (s->sought[w][i] == NULL || s->sought[w][i] < p)
			s->sought[w][i] = find_word(p, end, &words[w], c);
	return s->sought[w][0] != end || s->sought[w][1] != end;
}

void scan_for_asking(struct scan *s)
{
	struct scan ahead;

	if (!scan_may_have(s, SOUGHT_ASKING))
		return;
	ahead = *s;
	for (; !scan_at_end(&ahead); scan_next(&ahead))
		if (scan_is(&ahead, WORD_CURRVAL) || scan_is(&ahead, WORD_LASTVAL) ||
			(token_is_string(&ahead.t) &&
				body_asks_sequences(ahead.text + ahead.t.off, ahead.t.len))) {
			scan_flag(s, SQLV_USES_SEQ | SQLV_MAY_ADVANCE);
			return;
		}
}
