#include "sql/fingerprint.h"

#include "sql/word.h"

#define MARK_VALUE 0x3fu /* '?', for any literal or parameter */

/*
 * The stream of tokens as it is hashed, with lists of values folded: after a value that follows a
 * comma or an opening parenthesis or bracket, further ", value" add nothing.
 */
struct folding {
	uint64_t h;
	bool in_list; /* the last token was a value that may begin or go on with a list */
	bool comma;   /* … and a comma followed it */
	bool opened;  /* the last token was ( or [ */
	bool ended;   /* a semicolon waits: it counts only if something follows */
};

static void mix(struct folding *f, uint8_t c)
{
	f->h = word_hash_step(f->h, c);
	f->h ^= f->h >> 32;
}

static void mix_u64(struct folding *f, uint64_t v)
{
	f->h = (f->h ^ v) * WORD_HASH_PRIME;
	f->h ^= f->h >> 32;
}

/* Values and the commas between them. True: the token is dealt with. */
static bool fold_value(struct folding *f, const struct token *t)
{
	if (token_is_value(t)) {
		if (!(f->in_list && f->comma))
			mix(f, MARK_VALUE);
		f->in_list = f->opened || (f->in_list && f->comma);
		f->comma = false;
		f->opened = false;
		return true;
	}
	if (t->c == ',' && f->in_list && !f->comma) {
		f->comma = true;
		return true;
	}
	return false;
}

static void fold_other(struct folding *f, const char *text, const struct token *t)
{
	if (f->comma) /* it led to no further value, so it counts after all */
		mix(f, ',');
	f->in_list = false;
	f->comma = false;
	f->opened = t->c == '(' || t->c == '[';
	if (t->hash != 0) {
		mix_u64(f, t->hash); /* quoted or not: a name is a name */
	} else {
		mix(f, t->kind);
		mix_u64(f, word_hash(text + t->off, t->len));
	}
}

uint64_t sql_fingerprint(const char *sql, size_t len, uint32_t opts)
{
	struct folding f = {.h = WORD_HASH_SEED};
	struct lexer lx;
	struct token t;

	if (len > SQL_LEN_MAX)
		return 1;
	lexer_init(&lx, sql, len, opts);
	for (lexer_next(&lx, &t); t.kind != TOKEN_END; lexer_next(&lx, &t)) {
		if (t.c == ';') {
			f.ended = true;
			continue;
		}
		if (f.ended)
			mix(&f, ';');
		f.ended = false;
		if (!fold_value(&f, &t))
			fold_other(&f, sql, &t);
	}
	return f.h != 0 ? f.h : 1;
}
