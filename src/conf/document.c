#include "conf/document.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/setting_text.h"
#include "conf/settings.h"

#define LINE_MAX_LEN 78u   /* characters of a wrapped line */
#define PIECE_MAX    1024u /* bytes that are put at once; every text of the table is shorter */

static void put(const struct document_out *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(const struct document_out *out, const char *fmt, ...)
{
	char piece[PIECE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(piece, sizeof piece, fmt, ap);
	va_end(ap);
	out->put(out->arg, piece);
}

/* `text` in lines of at most LINE_MAX_LEN, each behind `prefix`. */
static void put_wrapped(const struct document_out *out, const char *prefix, const char *text)
{
	size_t room = LINE_MAX_LEN - strlen(prefix);

	while (*text != '\0') {
		size_t len = strlen(text);

		if (len > room) {
			for (len = room; len > 0 && text[len] != ' '; len--)
				;
			if (len == 0)
				len = strcspn(text, " ");
		}
		put(out, "%s%.*s\n", prefix, (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
}

static const char *default_text(const struct setting *s)
{
	const char *def = setting_default(s, false);

	return def != NULL ? def : "";
}

/* Call `each` for the rows of a scope and group, in the order of the table. */
static void each_row(const struct document_out *out, enum setting_scope scope,
	enum setting_group group,
	void (*each)(const struct document_out *out, const struct setting *s))
{
	for (size_t i = 0; i < n_settings; i++)
		if (settings[i].scope == scope && settings[i].group == group)
			each(out, &settings[i]);
}

static bool has_rows(enum setting_scope scope, enum setting_group group)
{
	for (size_t i = 0; i < n_settings; i++)
		if (settings[i].scope == scope && settings[i].group == group)
			return true;
	return false;
}

/* --- --help-config --- */

static void help_line(const struct document_out *out, const struct setting *s)
{
	if (s->alias_of != NULL)
		put(out, "  %-28s the same as %s\n", s->name, s->alias_of);
	else if (s->type == SETTING_NONE)
		put(out, "  %-28s no effect: %s\n", s->name, s->note);
	else
		put(out, "  %-28s %s%s%s%s\n", s->name, s->help,
			*default_text(s) != '\0' ? " (" : "", default_text(s),
			*default_text(s) != '\0' ? ")" : "");
}

static void help_all(const struct document_out *out)
{
	for (enum setting_scope scope = SETTING_GLOBAL; scope < SETTING_SCOPES; scope++) {
		put(out, "%s%s\n", scope != SETTING_GLOBAL ? "\n" : "", setting_scope_name(scope));
		for (enum setting_group g = SETTING_GROUP_PROCESS; g < SETTING_GROUPS; g++) {
			if (!has_rows(scope, g))
				continue;
			put(out, "\n %s\n", setting_group_name(g));
			each_row(out, scope, g, help_line);
		}
	}
	put(out, "\nIn brackets: the default. pgweir --help-config KEY tells more.\n");
}

/* Where the key comes from, and when a change of it counts. */
static void help_kind(const struct document_out *out, const struct setting *s)
{
	put(out, "  Origin:   %s\n",
		(s->flags & SETTING_OURS) != 0 ? "pgweir" : "PgBouncer, same meaning");
	if (s->scope != SETTING_GLOBAL)
		put(out, "  Changed:  by a reload\n");
	else if ((s->flags & SETTING_RESTART) != 0)
		put(out, "  Changed:  by a restart\n");
	else
		put(out, "  Changed:  by a reload, or SET on the console\n");
}

static void help_default(const struct document_out *out, const struct setting *s)
{
	const char *pgbouncer = s->def_weir != NULL ? s->def : NULL;

	put(out, "  Default:  %s\n", *default_text(s) != '\0' ? default_text(s) : "not set");
	if (pgbouncer != NULL)
		put(out, "            %s in a file with [pgbouncer]\n", pgbouncer);
}

static void help_key(const struct document_out *out, const struct setting *s)
{
	char text[PIECE_MAX];

	put(out, "%s %s\n", setting_scope_name(s->scope), s->name);
	if (s->type == SETTING_NONE) {
		put(out, "  A key of PgBouncer without effect here: %s.\n", s->note);
		return;
	}
	put_wrapped(out, "  ", s->help);
	put(out, "  Value:    %s\n", setting_expected(s, text, sizeof text));
	help_default(out, s);
	help_kind(out, s);
}

enum status document_help(const struct document_out *out, const char *key)
{
	enum status st = E_NOTFOUND;
	const char *nearest;

	if (key == NULL) {
		help_all(out);
		return OK;
	}
	for (enum setting_scope scope = SETTING_GLOBAL; scope < SETTING_SCOPES; scope++) {
		const struct setting *s = settings_find(scope, key);

		if (s == NULL)
			continue;
		help_key(out, s);
		st = OK;
	}
	if (st == OK)
		return OK;
	nearest = settings_nearest(SETTING_GLOBAL, key);
	put(out, "There is no key %.64s%s%s.\n", key, nearest != NULL ? "; the nearest is " : "",
		nearest != NULL ? nearest : "");
	return st;
}

/* --- the manual page --- */

/* A text of the table as mdoc: a sentence of its own, with nothing that roff takes for itself. */
static void man_sentence(const struct document_out *out, const char *text)
{
	char sentence[PIECE_MAX];
	size_t len = 0;

	sentence[len++] = (char)toupper((unsigned char)*text);
	for (text++; *text != '\0' && len < sizeof sentence - 3; text++) {
		if (*text == '\\')
			sentence[len++] = '\\';
		sentence[len++] = *text == '\\' ? 'e' : *text;
	}
	sentence[len++] = '.';
	sentence[len] = '\0';
	put_wrapped(out, "", sentence);
}

static void man_default(const struct document_out *out, const struct setting *s)
{
	if (setting_default(s, false) == NULL)
		return;
	if (*default_text(s) == '\0')
		put(out, "Not set by default.\n");
	else
		put(out, "Default:\n.Ql %s .\n", default_text(s));
	if (s->def_weir != NULL)
		put(out, "In a file with\n.Li [pgbouncer] :\n.Ql %s .\n", s->def);
}

static void man_row(const struct document_out *out, const struct setting *s)
{
	char expected[PIECE_MAX];

	put(out, ".It Ic %s\n", s->name);
	if (s->alias_of != NULL) {
		put(out, "The same as\n.Ic %s .\n", s->alias_of);
		return;
	}
	if (s->type == SETTING_NONE) {
		put(out, "Without effect here.\n");
		man_sentence(out, s->note);
		return;
	}
	man_sentence(out, s->help);
	if (s->type != SETTING_STRING)
		man_sentence(out, setting_expected(s, expected, sizeof expected));
	man_default(out, s);
	if ((s->flags & SETTING_RESTART) != 0)
		put(out, "A change needs a restart.\n");
}

void document_man(const struct document_out *out)
{
	for (enum setting_scope scope = SETTING_GLOBAL; scope < SETTING_SCOPES; scope++) {
		for (enum setting_group g = SETTING_GROUP_PROCESS; g < SETTING_GROUPS; g++) {
			if (!has_rows(scope, g))
				continue;
			put(out, ".Ss %s: %s\n", setting_scope_name(scope), setting_group_name(g));
			put(out, ".Bl -tag -width Ds\n");
			each_row(out, scope, g, man_row);
			put(out, ".El\n");
		}
	}
}

/* --- the example file --- */

static void ini_row(const struct document_out *out, const struct setting *s)
{
	char expected[PIECE_MAX];

	if (s->type == SETTING_NONE)
		return;
	put(out, "\n");
	put_wrapped(out, ";; ", s->help);
	if (s->type != SETTING_STRING && s->type != SETTING_LIST)
		put_wrapped(out, ";;   ", setting_expected(s, expected, sizeof expected));
	put(out, ";%s =%s%s\n", s->name, *default_text(s) != '\0' ? " " : "", default_text(s));
}

void document_ini(const struct document_out *out)
{
	for (enum setting_group g = SETTING_GROUP_PROCESS; g < SETTING_GROUPS; g++) {
		if (!has_rows(SETTING_GLOBAL, g))
			continue;
		put(out, "\n;;; %s\n", setting_group_name(g));
		each_row(out, SETTING_GLOBAL, g, ini_row);
	}
}

/* --- SHOW CONFIG --- */

bool document_show(
	const struct conf *c, size_t *pos, struct document_row *row, char *buf, size_t cap)
{
	const struct setting *s;

	while (*pos < n_settings && settings[*pos].alias_of != NULL)
		++*pos;
	if (*pos >= n_settings || settings[*pos].scope != SETTING_GLOBAL)
		return false;
	s = &settings[(*pos)++];
	row->key = s->name;
	row->def = setting_default(s, c->is_pgbouncer);
	row->value = s->type == SETTING_NONE ? row->def : setting_format(s, c, buf, cap);
	row->is_changeable = s->type != SETTING_NONE && (s->flags & SETTING_RESTART) == 0;
	return true;
}
