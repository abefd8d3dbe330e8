#include "sql/normalize.h"

#include <stdio.h>
#include <string.h>

#define CUT     "..."
#define CUT_LEN 3u

struct writing {
	char *out;
	size_t len, cap; /* cap: without the NUL and the room for CUT */
	uint32_t end;    /* of the token before, in the text */
	unsigned n_values;
	bool list;  /* a value that may begin or go on with a list came last … */
	bool comma; /* … and a comma, which is not written yet */
	bool more;  /* … and ", ..." is written: further values add nothing */
	bool full;
};

static void put(struct writing *w, const char *s, size_t n)
{
	if (w->full || n > w->cap - w->len) {
		w->full = true;
		return;
	}
	memcpy(w->out + w->len, s, n);
	w->len += n;
}

static void put_gap(struct writing *w, const struct token *t)
{
	if (t->off != w->end && w->len != 0)
		put(w, " ", 1);
}

static void put_value(struct writing *w, const struct token *t, bool opened)
{
	char name[16];
	bool goes_on = w->list && w->comma;

	if (!goes_on) {
		put_gap(w, t);
		if (w->len != 0 && lexer_goes_on((uint8_t)w->out[w->len - 1]))
			put(w, " ", 1); /* else a word, or a dollar quote, would go on */
		put(w, name, (size_t)snprintf(name, sizeof name, "$%u", ++w->n_values));
		w->more = false;
	} else if (!w->more) {
		put(w, ", " CUT, 2 + CUT_LEN);
		w->more = true;
	}
	w->list = goes_on || opened;
	w->comma = false;
}

static void put_other(struct writing *w, const char *sql, const struct token *t)
{
	if (w->comma)
		put(w, ",", 1);
	w->comma = false;
	w->list = false;
	put_gap(w, t);
	put(w, sql + t->off, t->len);
}

size_t sql_normalize(const char *sql, size_t len, uint32_t opts, char *out, size_t cap)
{
	struct writing w = {.out = out, .cap = cap - 1 - CUT_LEN};
	bool opened = false, cut = len > SQL_LEN_MAX;
	struct lexer lx;
	struct token t;

	if (!cut) {
		lexer_init(&lx, sql, len, opts & SQL_STD_STRINGS);
		for (lexer_next(&lx, &t); t.kind != TOKEN_END && !w.full; lexer_next(&lx, &t)) {
			if (t.kind == TOKEN_BAD) { /* a literal, maybe: not to be shown */
				cut = true;
				break;
			}
			if (token_is_value(&t))
				put_value(&w, &t, opened);
			else if (t.c == ',' && w.list && !w.comma)
				w.comma = true;
			else
				put_other(&w, sql, &t);
			opened = t.c == '(' || t.c == '[';
			w.end = t.off + t.len;
		}
	}
	if (cut || w.full) {
		memcpy(out + w.len, CUT, CUT_LEN);
		w.len += CUT_LEN;
	}
	out[w.len] = '\0';
	return w.len;
}
