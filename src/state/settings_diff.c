#include "state/settings_diff.h"

#include <string.h>

#include "base/text.h"
#include "state/settings_class.h"

/* Longest text around a name and a value: SELECT pg_catalog.set_config('', E'', false) and "; ". */
#define STMT_TEXT_MAX 64u
#define MSG_TEXT_MAX  6u /* type, length, NUL */

/* Walks two sets in the order of names and stops where they differ. */
struct diff_walk {
	const struct settings *from, *to;
	size_t i, j;
	/* the difference */
	const char *name;
	const char *value; /* NULL: only `from` has it */
};

static struct diff_walk walk_of(const struct settings *from, const struct settings *to)
{
	struct diff_walk d = {.from = from, .to = to};

	if (from == to) {
		d.i = settings_n(from);
		d.j = settings_n(to);
	}
	return d;
}

/* <0: the next name is in `from` alone; >0: in `to` alone; 0: in both. */
static int walk_order(const struct diff_walk *d)
{
	if (d->i == settings_n(d->from))
		return 1;
	if (d->j == settings_n(d->to))
		return -1;
	return strcmp(settings_name(d->from, d->i), settings_name(d->to, d->j));
}

static bool walk_next(struct diff_walk *d)
{
	while (d->i < settings_n(d->from) || d->j < settings_n(d->to)) {
		int order = walk_order(d);
		const char *old = order <= 0 ? settings_value(d->from, d->i) : NULL;

		d->name = order <= 0 ? settings_name(d->from, d->i) : settings_name(d->to, d->j);
		d->value = order >= 0 ? settings_value(d->to, d->j) : NULL;
		d->i += order <= 0;
		d->j += order >= 0;
		if (old == NULL || d->value == NULL || strcmp(old, d->value) != 0)
			return true;
	}
	return false;
}

size_t settings_diff_count(const struct settings *from, const struct settings *to)
{
	struct diff_walk d = walk_of(from, to);
	size_t n = 0;

	while (walk_next(&d))
		n++;
	return n;
}

size_t settings_diff_len_max(const struct settings *from, const struct settings *to)
{
	struct diff_walk d = walk_of(from, to);
	size_t len = 2 * MSG_TEXT_MAX;

	while (walk_next(&d))
		len += STMT_TEXT_MAX + 2 * strlen(d.name) +
		       (d.value != NULL ? 2 * strlen(d.value) : 0);
	return len;
}

/* --- SQL --- */

static bool is_encoding(const struct diff_walk *d)
{
	return strcmp(d->name, "client_encoding") == 0;
}

/* `s` with every `a` and every `b` doubled. */
static void put_doubling(struct wr *w, const char *s, char a, char b)
{
	for (; *s != '\0'; s++) {
		if (*s == a || *s == b)
			wr_u8(w, (uint8_t)*s);
		wr_u8(w, (uint8_t)*s);
	}
}

/* E'…' reads the same whatever standard_conforming_strings and backslash_quote are. */
static void put_literal(struct wr *w, const char *s)
{
	wr_str(w, "E'");
	put_doubling(w, s, '\'', '\\');
	wr_str(w, "'");
}

static void put_name(struct wr *w, const char *s)
{
	wr_str(w, "\"");
	put_doubling(w, s, '"', '"');
	wr_str(w, "\"");
}

static void put_stmt(struct wr *w, const struct diff_walk *d)
{
	if (d->value == NULL) {
		wr_str(w, "RESET ");
		put_name(w, d->name);
	} else if (settings_is_quoted_list(d->name)) {
		wr_str(w, "SELECT pg_catalog.set_config(");
		put_literal(w, d->name);
		wr_str(w, ", ");
		put_literal(w, d->value);
		wr_str(w, ", false)");
	} else {
		wr_str(w, "SET ");
		put_name(w, d->name);
		wr_str(w, " TO ");
		put_literal(w, d->value);
	}
}

/* --- messages --- */

struct diff_writer {
	struct wr *w;
	struct settings_diff done;
	size_t mark; /* of the message that is open */
	bool is_open;
};

static void writer_add(struct diff_writer *o, const struct diff_walk *d)
{
	if (o->is_open)
		wr_str(o->w, "; ");
	else
		o->mark = wr_msg(o->w, 'Q');
	o->is_open = true;
	put_stmt(o->w, d);
	o->done.n_stmts++;
}

static void writer_end_msg(struct diff_writer *o)
{
	if (!o->is_open)
		return;
	wr_u8(o->w, 0);
	wr_end(o->w, o->mark);
	o->is_open = false;
	o->done.n_msgs++;
}

/* client_encoding, if it differs; it ends the message if another value depends on it. */
static void write_encoding(
	struct diff_writer *o, const struct settings *from, const struct settings *to)
{
	struct diff_walk d = walk_of(from, to);
	bool depends = false;

	while (walk_next(&d)) {
		if (is_encoding(&d))
			writer_add(o, &d);
		else if (d.value != NULL && !text_is_ascii(d.value))
			depends = true;
	}
	if (depends)
		writer_end_msg(o);
}

struct settings_diff settings_diff_write(
	const struct settings *from, const struct settings *to, struct wr *w)
{
	struct diff_writer o = {.w = w};
	struct diff_walk d = walk_of(from, to);

	write_encoding(&o, from, to);
	while (walk_next(&d))
		if (!is_encoding(&d))
			writer_add(&o, &d);
	writer_end_msg(&o);
	return o.done;
}
