#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/build.h"
#include "conf/setting_value.h"
#include "conf/variables.h"

static struct conf_own *own_new(void)
{
	struct conf_own *own = calloc(1, sizeof *own);

	if (own == NULL)
		return NULL;
	arena_init(&own->arena);
	own->path = "";
	return own;
}

static void own_free(struct conf_own *own)
{
	if (own == NULL)
		return;
	arena_wipe(&own->arena); /* passwords */
	arena_fini(&own->arena);
	free(own);
}

void conf_free(struct conf *c)
{
	if (c != NULL)
		own_free(c->own);
}

/* All lines, of the file and of the environment. Errors: as source_load. */
static enum status read_lines(struct conf_own *own, const struct conf_reader *reader,
	const char *path, struct findings *found)
{
	enum status st = source_load(reader, path, &own->arena, &own->source, found);

	own->path = arena_strdup(&own->arena, path);
	if (st == OK && own->path == NULL)
		st = E_NOMEM;
	if (st == OK)
		st = variables_load(reader, &own->arena, &own->source, found);
	return st;
}

static enum status load(struct conf_own *own, const struct conf_reader *reader, const char *path,
	const struct conf *previous, struct conf **out, struct findings *found)
{
	size_t n_errors = found->n_errors;
	enum status st = read_lines(own, reader, path, found);

	if (st == OK)
		st = conf_build(own, previous, out, found);
	/* errors of the source come with those of the values */
	return st == OK && found->n_errors != n_errors ? E_INVALID : st;
}

enum status conf_load(const struct conf_reader *reader, const char *path,
	const struct conf *previous, struct conf **out, struct findings *found)
{
	struct conf_own *own = own_new();
	enum status st;

	*out = NULL;
	if (own == NULL)
		return E_NOMEM;
	st = load(own, reader, path, previous, out, found);
	findings_sort(found);
	if (st == OK)
		return OK;
	own_free(own);
	*out = NULL;
	return st;
}

enum status conf_load_log(const struct conf_reader *reader, const char *path, struct conf **out)
{
	struct conf_own *own = own_new();
	struct findings found; /* all were told when it was refused */
	enum status st;

	*out = NULL;
	if (own == NULL)
		return E_NOMEM;
	findings_init(&found);
	st = read_lines(own, reader, path, &found);
	findings_fini(&found);
	if (st == OK)
		st = conf_build_log(own, out);
	if (st != OK)
		own_free(own);
	return st;
}

/* --- SET --- */

static bool is_set_line(const struct source_line *line, const char *key)
{
	return line->origin == SOURCE_SET && strcmp(line->name, key) == 0;
}

static enum status copy_line(struct conf_own *own, const struct source_line *line)
{
	struct source_line copy = *line;

	copy.file = arena_strdup(&own->arena, line->file);
	copy.name = arena_strdup(&own->arena, line->name);
	copy.value = arena_strdup(&own->arena, line->value);
	copy.key = line->key != NULL ? arena_strdup(&own->arena, line->key) : NULL;
	if (copy.file == NULL || copy.name == NULL || copy.value == NULL ||
		(line->key != NULL && copy.key == NULL))
		return E_NOMEM;
	return source_add(&own->source, &copy, &own->arena);
}

/* All lines, but for an earlier SET of the same key, and the new one; set NULL: all lines. */
static enum status copy_source(
	struct conf_own *own, const struct conf_own *of, const struct source_line *set)
{
	const struct source *from = &of->source;
	enum status st;

	if ((own->path = arena_strdup(&own->arena, of->path)) == NULL)
		return E_NOMEM;
	memcpy(own->source.has_section, from->has_section, sizeof from->has_section);
	for (const struct source_line *l = from->first; l != NULL; l = l->next)
		if ((set == NULL || !is_set_line(l, set->name)) && (st = copy_line(own, l)) != OK)
			return st;
	return set != NULL ? copy_line(own, set) : OK;
}

static enum status refuse_set(
	const char *key, enum status st, const char *why, struct findings *found)
{
	findings_add(found, FINDING_ERROR, &(struct finding_at){.key = key}, "%s", why);
	return st;
}

static enum status find_settable(
	const char *key, const struct setting **out, struct findings *found)
{
	const struct setting *s = settings_find(SETTING_GLOBAL, key);

	if (s == NULL)
		return refuse_set(key, E_NOTFOUND, "unknown key", found);
	if (s->type == SETTING_NONE)
		return refuse_set(key, E_INVALID, "it has no effect here", found);
	if ((s->flags & SETTING_RESTART) != 0)
		return refuse_set(key, E_INVALID, "it cannot be changed while running", found);
	*out = s;
	return OK;
}

/* Notes on the rest of the configuration were told when it was loaded. */
static void pass_errors(const struct findings *from, struct findings *to)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct finding *f = &from->items[i];
		struct finding_at at = {f->file, f->line, f->key, f->value};

		if (f->kind == FINDING_ERROR)
			findings_add(to, FINDING_ERROR, &at, "%s", f->text);
	}
}

/* `c` built again, with one line more (or NULL) and other addresses of names (or NULL). */
static enum status build_again(const struct conf *c, const struct source_line *set,
	const struct conf_spreads *spreads, struct conf **out, struct findings *found)
{
	struct conf_own *own = own_new();
	struct findings all;
	enum status st;

	*out = NULL;
	if (own == NULL)
		return E_NOMEM;
	own->spreads = spreads;
	findings_init(&all);
	if ((st = copy_source(own, c->own, set)) == OK)
		st = conf_build(own, c, out, &all);
	if (st != OK)
		own_free(own);
	pass_errors(&all, found);
	findings_fini(&all);
	return st;
}

enum status conf_set(const struct conf *c, const char *key, const char *value, struct conf **out,
	struct findings *found)
{
	struct source_line line = {.origin = SOURCE_SET, .file = "", .value = value};
	const struct setting *s;
	enum status st;

	*out = NULL;
	if ((st = find_settable(key, &s, found)) != OK)
		return st;
	line.name = s->name;
	line.section = c->is_pgbouncer ? SECTION_PGBOUNCER : SECTION_PGWEIR;
	return build_again(c, &line, NULL, out, found);
}

/* --- addresses of names --- */

enum status conf_set_spreads(const struct conf *c, const struct conf_spreads *spreads,
	struct conf **out, struct findings *found)
{
	return build_again(c, NULL, spreads, out, found);
}

const struct conf_spread *conf_find_spread(const struct conf_spreads *s, const char *host)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (strcmp(s->of[i].host, host) == 0)
			return &s->of[i];
	return NULL;
}

/* --- where it comes from --- */

const char *conf_source(const struct conf *c, const char *key, char *buf, size_t cap)
{
	const struct source_line *l = source_find(&c->own->source, key);

	if (l == NULL)
		(void)snprintf(buf, cap, "default");
	else if (l->origin == SOURCE_SET)
		(void)snprintf(buf, cap, "console");
	else if (l->line == 0)
		(void)snprintf(buf, cap, "%s", l->file);
	else
		(void)snprintf(buf, cap, "%s:%u", l->file, l->line);
	return buf;
}

/* --- looking up --- */

static int compare_db(const void *name, const void *db)
{
	return strcmp(name, ((const struct conf_db *)db)->name);
}

static int compare_user(const void *name, const void *user)
{
	return strcmp(name, ((const struct conf_user *)user)->name);
}

const struct conf_db *conf_find_db(const struct conf *c, const char *name)
{
	const struct conf_db *db = NULL;

	if (c->n_dbs > 0)
		db = bsearch(name, c->dbs, c->n_dbs, sizeof *c->dbs, compare_db);
	return db != NULL ? db : c->fallback;
}

const struct conf_user *conf_find_user(const struct conf *c, const char *name)
{
	if (c->n_users == 0)
		return NULL;
	return bsearch(name, c->users, c->n_users, sizeof *c->users, compare_user);
}

static int compare_peer(const void *id, const void *peer)
{
	uint32_t a = *(const uint32_t *)id, b = ((const struct conf_peer *)peer)->id;

	return (a > b) - (a < b);
}

const struct conf_peer *conf_find_peer(const struct conf *c, uint32_t id)
{
	if (c->n_peers == 0)
		return NULL;
	return bsearch(&id, c->peers, c->n_peers, sizeof *c->peers, compare_peer);
}

uint32_t conf_peer_pool_size(const struct conf *c, const struct conf_peer *p)
{
	return p->pool_size != CONF_UNSET ? p->pool_size : c->default_pool_size;
}

const char *conf_dbname(const struct conf_db *db, const char *wanted)
{
	return *db->dbname != '\0' ? db->dbname : wanted;
}
