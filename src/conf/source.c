#include "conf/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ini.h"

static const char *const section_names[SECTIONS] = {
	[SECTION_NONE] = "",
	[SECTION_PGWEIR] = "pgweir",
	[SECTION_PGBOUNCER] = "pgbouncer",
	[SECTION_DATABASES] = "databases",
	[SECTION_USERS] = "users",
	[SECTION_PEERS] = "peers",
};

/* One file that is being read; the last one is the innermost include. */
struct open_file {
	const char *name;
	char *data;
	size_t len;
	struct ini ini;
};

struct loader {
	const struct conf_reader *reader;
	struct arena *a;
	struct source *src;
	struct findings *found;
	enum source_section section; /* goes on through includes, as in PgBouncer */
	struct open_file files[CONF_INCLUDE_MAX + 1];
	size_t depth; /* files open */
	size_t n_opened;
	bool no_memory;
};

static struct finding_at here(const struct loader *l, const struct ini_item *item)
{
	return (struct finding_at){.file = l->files[l->depth - 1].name, .line = item->line};
}

static void close_file(struct loader *l)
{
	struct open_file *f = &l->files[--l->depth];

	if (f->data != NULL)
		explicit_bzero(f->data, f->len); /* passwords */
	free(f->data);
}

static const char *reason(enum status st)
{
	if (st == E_LIMIT)
		return "it is larger than 16 MB";
	return st == E_IO && errno != 0 ? strerror(errno) : status_name(st);
}

/* `path` is kept. `from`: where it is asked for. */
static void open_file(struct loader *l, const char *path, const struct finding_at *from)
{
	struct open_file *f = &l->files[l->depth];
	enum status st;

	if (l->depth > CONF_INCLUDE_MAX || l->n_opened >= CONF_FILES_MAX) {
		findings_add(l->found, FINDING_ERROR, from,
			"expected at most %u files, %u deep; does it include itself?",
			CONF_FILES_MAX, CONF_INCLUDE_MAX);
		return;
	}
	*f = (struct open_file){.name = path};
	errno = 0;
	st = l->reader->read(l->reader->arg, path, &f->data, &f->len);
	if (st == OK && f->len > CONF_FILE_MAX)
		st = E_LIMIT;
	l->n_opened++;
	l->depth++;
	if (st == OK) {
		f->ini = ini_of(f->data, f->len);
		return;
	}
	if (st == E_NOMEM)
		l->no_memory = true;
	else
		findings_add(l->found, FINDING_ERROR, from, "cannot read %s: %s", path, reason(st));
	close_file(l);
}

static void include(struct loader *l, const struct ini_item *item)
{
	struct finding_at at = here(l, item);
	char *path = arena_strndup(l->a, item->value, item->value_len);

	at.key = "%include";
	if (path == NULL)
		l->no_memory = true;
	else if (*path == '\0')
		findings_add(l->found, FINDING_ERROR, &at, "expected the name of a file");
	else
		open_file(l, path, &at);
}

static bool is_named(const struct ini_item *item, const char *name)
{
	return strlen(name) == item->name_len && memcmp(item->name, name, item->name_len) == 0;
}

static void enter_section(struct loader *l, const struct ini_item *item)
{
	struct finding_at at = here(l, item);

	l->section = SECTION_NONE;
	for (enum source_section s = SECTION_PGWEIR; s < SECTIONS; s++)
		if (is_named(item, section_names[s]))
			l->section = s;
	l->src->has_section[l->section] = true;
	if (l->section == SECTION_NONE)
		findings_add(l->found, FINDING_ERROR, &at,
			"unknown section [%.*s]; expected [pgweir] or [pgbouncer], [databases], "
			"[users] or [peers]",
			(int)(item->name_len < 64 ? item->name_len : 64), item->name);
	else if (l->src->has_section[SECTION_PGWEIR] && l->src->has_section[SECTION_PGBOUNCER])
		findings_add(l->found, FINDING_ERROR, &at,
			"expected one of [pgweir] and [pgbouncer], found both");
}

static void add_pair(struct loader *l, const struct ini_item *item)
{
	struct finding_at at = here(l, item);
	struct source_line line = {.file = at.file, .line = at.line, .section = l->section};
	char *name = ini_name_copy(item, l->a);
	char *value = arena_strndup(l->a, item->value, item->value_len);

	if (name == NULL || value == NULL) {
		l->no_memory = true;
		return;
	}
	line.name = at.key = name;
	line.value = value;
	if (l->section != SECTION_NONE) {
		if (source_add(l->src, &line, l->a) != OK)
			l->no_memory = true;
	} else if (!l->src->has_section[SECTION_NONE]) {
		findings_add(l->found, FINDING_ERROR, &at, "expected a [section] before it");
	}
}

static void handle(struct loader *l, const struct ini_item *item)
{
	struct finding_at at;

	switch (item->kind) {
	case INI_END:
		close_file(l);
		return;
	case INI_SECTION:
		enter_section(l, item);
		return;
	case INI_PAIR:
		add_pair(l, item);
		return;
	case INI_INCLUDE:
		include(l, item);
		return;
	case INI_BAD:
		at = here(l, item);
		findings_add(l->found, FINDING_ERROR, &at, "%s", item->expected);
		return;
	}
}

enum status source_load(const struct conf_reader *reader, const char *path, struct arena *a,
	struct source *out, struct findings *found)
{
	struct loader l = {.reader = reader, .a = a, .src = out, .found = found};
	const char *name = arena_strdup(a, path);

	*out = (struct source){.first = NULL};
	if (name == NULL)
		return E_NOMEM;
	if (*name == '\0')
		return OK;
	open_file(&l, name, &(struct finding_at){.file = ""});
	if (l.depth == 0)
		return l.no_memory ? E_NOMEM : E_INVALID;
	while (l.depth > 0 && !l.no_memory) {
		struct ini_item item = ini_next(&l.files[l.depth - 1].ini);

		handle(&l, &item);
	}
	while (l.depth > 0)
		close_file(&l);
	return l.no_memory ? E_NOMEM : OK;
}

enum status source_add(struct source *src, const struct source_line *line, struct arena *a)
{
	struct source_line *copy = arena_take(a, sizeof *copy);

	if (copy == NULL)
		return E_NOMEM;
	*copy = *line;
	copy->next = NULL;
	if (src->last != NULL)
		src->last->next = copy;
	else
		src->first = copy;
	src->last = copy;
	src->n[line->section]++;
	return OK;
}

bool source_is_main(const struct source_line *line)
{
	return line->section == SECTION_PGWEIR || line->section == SECTION_PGBOUNCER;
}

const struct source_line *source_find(const struct source *src, const char *key)
{
	const struct source_line *found = NULL;

	for (const struct source_line *l = src->first; l != NULL; l = l->next)
		if (source_is_main(l) && strcmp(l->name, key) == 0)
			found = l;
	return found;
}

struct finding_at source_at(const struct source *src, const char *key)
{
	const struct source_line *l = source_find(src, key);

	if (l == NULL)
		return (struct finding_at){.key = key};
	return (struct finding_at){.key = key, .file = l->file, .line = l->line};
}
