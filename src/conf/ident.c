#include "conf/ident.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/fields.h"
#include "conf/pattern.h"

struct line {
	struct line *next;
	const char *map;
	const char *system_name;
	struct pattern *system; /* NULL: system_name is compared as it is */
	const char *user;
	struct pattern *users; /* NULL: `user` is compared */
	bool any_user;
};

struct ident {
	struct arena arena;
	struct line *first;
};

struct parse {
	struct ident *m;
	const char *file;
	uint32_t line;
	struct findings *found;
};

void ident_free(struct ident *m)
{
	if (m == NULL)
		return;
	for (struct line *l = m->first; l != NULL; l = l->next) {
		pattern_free(l->system);
		pattern_free(l->users);
	}
	arena_fini(&m->arena);
	free(m);
}

/* --- reading --- */

static enum status complain(struct parse *p, const char *key, const char *value, const char *text)
{
	struct finding_at at = {.file = p->file, .line = p->line, .key = key, .value = value};

	findings_add(p->found, FINDING_ERROR, &at, "expected %s", text);
	return OK;
}

/* "/expression" to *out. OK with NULL in *out: another text, or a wrong one, which is told. */
static enum status read_pattern(
	struct parse *p, const char *key, const char *text, struct pattern **out)
{
	char err[PATTERN_ERR_MAX];
	enum status st;

	if (text[0] != '/')
		return OK;
	st = pattern_new(text + 1, out, err);
	return st == E_INVALID ? complain(p, key, text, err) : st;
}

static enum status check_group(struct parse *p, const struct line *l)
{
	if (strstr(l->user, "\\1") == NULL)
		return OK;
	if (l->system == NULL || pattern_n_groups(l->system) == 0)
		return complain(p, "database user", l->user,
			"a /expression with a (group) as system name, for \\1");
	return OK;
}

static enum status read_fields(struct parse *p, struct line *l, const struct fields_line *fl)
{
	const struct fields_token *t[3];
	struct fields_field *f = fl->first;
	enum status st;

	for (size_t i = 0; i < 3; i++, f = f->next) {
		if (f == NULL || f->first->next != NULL)
			return complain(p, NULL, NULL, "map, system name and database user");
		t[i] = f->first;
	}
	if (f != NULL)
		return complain(p, NULL, NULL, "nothing behind the database user");
	l->map = t[0]->text;
	l->system_name = t[1]->text;
	l->user = t[2]->text;
	if (!t[2]->is_quoted && *l->user == '+')
		return complain(p, "database user", l->user,
			"a name: who is a member of which role is known to the server alone");
	l->any_user = !t[2]->is_quoted && strcmp(l->user, "all") == 0;
	if ((st = read_pattern(p, "system name", l->system_name, &l->system)) != OK ||
		(st = read_pattern(p, "database user", l->user, &l->users)) != OK)
		return st;
	return l->users != NULL ? OK : check_group(p, l);
}

static enum status read_lines(struct parse *p, const char *text, size_t len)
{
	struct fields f = fields_of(text, len, &p->m->arena);
	struct line **to = &p->m->first;
	struct fields_line fl;
	enum status st;
	size_t n = 0;

	while ((st = fields_next(&f, &fl)) == OK) {
		struct line *l = arena_take(&p->m->arena, sizeof *l);

		if (l == NULL)
			return E_NOMEM;
		p->line = fl.line;
		*to = l;
		to = &l->next;
		l->map = l->system_name = l->user = "";
		if (++n > IDENT_LINES_MAX)
			return complain(p, NULL, NULL, "at most 10000 lines");
		if (fl.wrong != NULL)
			findings_add(p->found, FINDING_ERROR,
				&(struct finding_at){.file = p->file, .line = fl.line}, "%s",
				fl.wrong);
		else if ((st = read_fields(p, l, &fl)) != OK)
			return st;
	}
	return st == E_NOTFOUND ? OK : st;
}

enum status ident_parse(
	const char *text, size_t len, const char *file, struct ident **out, struct findings *found)
{
	struct parse p = {.m = calloc(1, sizeof *p.m), .file = file, .found = found};
	size_t n_errors = found->n_errors;
	enum status st;

	*out = NULL;
	if (p.m == NULL)
		return E_NOMEM;
	arena_init(&p.m->arena);
	st = read_lines(&p, text, len);
	if (st == OK && found->n_errors != n_errors)
		st = E_INVALID;
	if (st == OK)
		*out = p.m;
	else
		ident_free(p.m);
	return st;
}

/* --- asking --- */

bool ident_has_map(const struct ident *m, const char *map)
{
	for (const struct line *l = m->first; l != NULL; l = l->next)
		if (strcmp(l->map, map) == 0)
			return true;
	return false;
}

/* Is `user` the line's, with \1 replaced by the group? */
static bool is_filled_in(const char *line_user, const char *system_name,
	const struct pattern_group *group, const char *user)
{
	const char *hole = strstr(line_user, "\\1");
	size_t head, len = strlen(user);

	if (hole == NULL)
		return strcmp(line_user, user) == 0;
	head = (size_t)(hole - line_user);
	return len == head + group->len + strlen(hole + 2) && memcmp(user, line_user, head) == 0 &&
	       memcmp(user + head, system_name + group->at, group->len) == 0 &&
	       strcmp(user + head + group->len, hole + 2) == 0;
}

static bool line_allows(const struct line *l, const char *system_name, const char *user)
{
	struct pattern_group group = {0, 0};

	if (l->system != NULL ? !pattern_match_group(l->system, system_name, &group)
			      : strcmp(l->system_name, system_name) != 0)
		return false;
	if (l->any_user)
		return true;
	if (l->users != NULL)
		return pattern_matches(l->users, user);
	return l->system != NULL ? is_filled_in(l->user, system_name, &group, user)
				 : strcmp(l->user, user) == 0;
}

bool ident_allows(const struct ident *m, const char *map, const char *system_name, const char *user)
{
	if (*map == '\0')
		return strcmp(system_name, user) == 0;
	for (const struct line *l = m->first; l != NULL; l = l->next)
		if (strcmp(l->map, map) == 0 && line_allows(l, system_name, user))
			return true;
	return false;
}
