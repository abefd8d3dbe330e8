#include "state/settings_diff.h"

#include <string.h>

#include "base/text.h"
#include "state/settings_class.h"

/* Longest text around a name and a value: SELECT pg_catalog.set_config('', E'', false) and "; ". */
#define STMT_TEXT_MAX 64u
#define MSG_TEXT_MAX  24u /* type, length, BEGIN and COMMIT, NUL */
#define DIFF_MSGS_MAX 3u

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

bool settings_diff_may_be_refused(const struct settings *from, const struct settings *to)
{
	struct diff_walk d;

	if (!settings_has_refusable(from) && !settings_has_refusable(to))
		return false;
	d = walk_of(from, to);
	while (walk_next(&d))
		if (settings_may_be_refused(d.name))
			return true;
	return false;
}

/* The statements of session_authorization and role, given up and taken on, names apart. */
#define IDENTITY_TEXT_MAX 256u

static size_t value_len_max(const struct settings *s, const char *name)
{
	const char *value = settings_get(s, name);

	return value != NULL ? 2 * strlen(value) : 0;
}

size_t settings_diff_len_max(
	const struct settings *from, const struct settings *to, const struct settings_names *names)
{
	struct diff_walk d = walk_of(from, to);
	size_t len = DIFF_MSGS_MAX * MSG_TEXT_MAX + IDENTITY_TEXT_MAX;

	while (walk_next(&d))
		len += STMT_TEXT_MAX + 2 * strlen(d.name) +
		       (d.value != NULL ? 2 * strlen(d.value) : 0);
	len += value_len_max(to, "role") + value_len_max(to, "session_authorization");
	if (names != NULL && names->made != names->want)
		for (size_t i = 0; i < settings_n(names->want); i++)
			len += STMT_TEXT_MAX + 2 * strlen(settings_name(names->want, i));
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
	bool in_block;
};

static void writer_add(struct diff_writer *o, const struct diff_walk *d)
{
	if (o->is_open)
		wr_str(o->w, "; ");
	else
		o->mark = wr_msg(o->w, 'Q');
	if (!o->is_open && o->in_block)
		wr_str(o->w, "BEGIN; ");
	o->is_open = true;
	put_stmt(o->w, d);
	o->done.n_stmts++;
}

static void writer_end_msg(struct diff_writer *o)
{
	if (!o->is_open)
		return;
	if (o->in_block)
		wr_str(o->w, "; COMMIT");
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

/* Who the session is; PostgreSQL's names. The one of the user resets the one of the role. */
static const char session_user[] = "session_authorization", role[] = "role";
static const char isolation[] = "default_transaction_isolation";

/* It has its place apart from the other settings. */
static bool is_apart(const struct diff_walk *d)
{
	return is_encoding(d) || strcmp(d->name, session_user) == 0 || strcmp(d->name, role) == 0 ||
	       strcmp(d->name, isolation) == 0;
}

static bool is_other(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

static void add_apart(struct diff_writer *o, const char *name, const char *value)
{
	struct diff_walk d = {.name = name, .value = value};

	writer_add(o, &d);
}

/*
 * The transaction that a message is has begun with the old one: a standby refuses a SELECT in it
 * if that was serializable. What follows goes in the next one.
 */
static void write_isolation(
	struct diff_writer *o, const struct settings *from, const struct settings *to)
{
	const char *value = settings_get(to, isolation);

	if (is_other(value, settings_get(from, isolation))) {
		add_apart(o, isolation, value);
		writer_end_msg(o);
	}
}

/*
 * What the session was is given up first: settings may need what the login may do. Returns whether
 * the role is another one now than `from` says.
 */
static bool write_old_identity(
	struct diff_writer *o, const struct settings *from, const struct settings *to)
{
	const char *user = settings_get(from, session_user), *as = settings_get(from, role);

	if (user != NULL && is_other(user, settings_get(to, session_user))) {
		add_apart(o, session_user, NULL);
		return as != NULL;
	}
	if (as != NULL && is_other(as, settings_get(to, role))) {
		add_apart(o, role, NULL);
		return true;
	}
	return false;
}

static void write_new_identity(struct diff_writer *o, const struct settings *from,
	const struct settings *to, bool role_left)
{
	const char *user = settings_get(to, session_user), *as = settings_get(to, role);

	if (user != NULL && is_other(user, settings_get(from, session_user))) {
		add_apart(o, session_user, user);
		role_left = true;
	}
	if (as != NULL && (role_left || is_other(as, settings_get(from, role))))
		add_apart(o, role, as);
}

static void write_names(
	struct diff_writer *o, const struct settings *to, const struct settings_names *names)
{
	for (size_t i = 0; i < settings_n(names->want); i++) {
		struct diff_walk d = {.name = settings_name(names->want, i)};

		if (settings_get(names->made, d.name) == NULL && settings_get(to, d.name) == NULL)
			writer_add(o, &d);
	}
}

struct settings_diff settings_diff_write(const struct settings *from, const struct settings *to,
	const struct settings_names *names, bool in_block, struct wr *w)
{
	struct diff_writer o = {.w = w, .in_block = in_block};
	struct diff_walk d = walk_of(from, to);
	bool role_left = write_old_identity(&o, from, to);

	write_isolation(&o, from, to);
	write_encoding(&o, from, to);
	while (walk_next(&d))
		if (!is_apart(&d))
			writer_add(&o, &d);
	if (names != NULL && names->made != names->want)
		write_names(&o, to, names);
	write_new_identity(&o, from, to, role_left);
	writer_end_msg(&o);
	return o.done;
}
