#include "conf/variables.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ini.h"
#include "conf/settings.h"

#define NAME_SHOWN_MAX 64u /* bytes of a name that a key is looked for */
#define FILE_SUFFIX    "_FILE"
#define PREFIX_LEN     ((ptrdiff_t)sizeof VARIABLE_PREFIX - 1)

struct variable {
	const char *name; /* with the prefix: the place that findings tell */
	const char *rest; /* behind the prefix */
	const char *value;
};

struct variables {
	const struct conf_reader *reader;
	struct arena *a;
	struct source *out;
	struct findings *found;
};

/* What a name may begin with, and the section that an entry or its lines belong to. */
static const struct kind {
	const char *entry; /* in front of an entry's name */
	const char *lines; /* the whole section */
	enum source_section section;
	enum setting_scope scope;
} kinds[] = {
	{"DATABASE_", "DATABASES", SECTION_DATABASES, SETTING_DB},
	{"USER_", "USERS", SECTION_USERS, SETTING_USER},
	{"PEER_", "PEERS", SECTION_PEERS, SETTING_PEER},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Where a value goes. */
struct target {
	const struct kind *kind; /* NULL: a global key */
	const char *entry;       /* NULL: lines of the section */
	size_t entry_len;
	const char *key;
};

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t len = strlen(s), suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(s + len - suffix_len, suffix) == 0;
}

/*
 * A service pgweir-x makes the kubelet set PGWEIR_X_SERVICE_HOST, PGWEIR_X_PORT=tcp://… and more
 * in every container of its namespace.
 * Source: Kubernetes, "Service", discovering services by environment variables.
 */
static bool is_of_kubernetes(const char *rest, const char *value)
{
	if (has_suffix(rest, "SERVICE_HOST") || has_suffix(rest, "SERVICE_PORT") ||
		strstr(rest, "SERVICE_PORT_") != NULL)
		return true;
	for (const char *p = rest; (p = strstr(p, "PORT_")) != NULL; p++)
		if (isdigit((unsigned char)p[strlen("PORT_")]))
			return true;
	return has_suffix(rest, "PORT") && strstr(value, "://") != NULL;
}

/* Is "NAME=VALUE" ours? */
static bool is_variable(const char *text, const char **value)
{
	char rest[2 * NAME_SHOWN_MAX];

	if (!has_prefix(text, VARIABLE_PREFIX) || (*value = strchr(text, '=')) == NULL)
		return false;
	(void)snprintf(
		rest, sizeof rest, "%.*s", (int)(*value - text - PREFIX_LEN), text + PREFIX_LEN);
	++*value;
	return !is_of_kubernetes(rest, *value);
}

bool variables_any(const char *const *environment)
{
	const char *value;

	for (; *environment != NULL; environment++)
		if (is_variable(*environment, &value))
			return true;
	return false;
}

/* --- what a name means --- */

/* The key that is written so in capitals, or NULL: no two variables mean the same. */
static const char *find_key(enum setting_scope scope, const char *name, size_t len)
{
	char key[NAME_SHOWN_MAX];
	const struct setting *s;

	if (len >= sizeof key)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (islower((unsigned char)name[i]))
			return NULL;
		key[i] = (char)tolower((unsigned char)name[i]);
	}
	key[len] = '\0';
	s = settings_find(scope, key);
	return s != NULL ? s->name : NULL;
}

static void capitals(char *s)
{
	for (; *s != '\0'; s++)
		*s = (char)toupper((unsigned char)*s);
}

/* name: the part of the variable's name that is no key of the scope. */
static void complain_unknown(
	struct variables *v, const struct variable *var, enum setting_scope scope, const char *name)
{
	const struct finding_at at = {.file = var->name};
	char key[NAME_SHOWN_MAX];
	const char *nearest;

	(void)snprintf(key, sizeof key, "%s", name);
	for (char *p = key; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	nearest = settings_nearest(scope, key);
	if (nearest == NULL) {
		findings_add(v->found, FINDING_ERROR, &at,
			"unknown variable; pgweir --help-config lists the known keys");
		return;
	}
	(void)snprintf(key, sizeof key, "%s", nearest);
	capitals(key);
	findings_add(v->found, FINDING_ERROR, &at, "unknown variable; expected %.*s%s?",
		(int)(name - var->name), var->name, key);
}

/* The last "__" of an entry's name, with something on its left; or NULL. */
static const char *separator(const char *name)
{
	const char *sep = NULL;

	for (const char *p = strstr(name, "__"); p != NULL; p = strstr(p + 1, "__"))
		sep = p;
	return sep != name ? sep : NULL;
}

static bool find_entry(const char *name, size_t len, struct target *t)
{
	const char *sep = separator(name);

	t->entry = name;
	t->entry_len = len;
	if (sep == NULL || sep >= name + len)
		return len != 0;
	t->entry_len = (size_t)(sep - name);
	t->key = find_key(t->kind->scope, sep + 2, (size_t)(name + len - sep - 2));
	return t->key != NULL;
}

/* The first `len` bytes of `rest`. On false t->kind still tells the section that was meant. */
static bool find_target(const char *rest, size_t len, struct target *t)
{
	*t = (struct target){.key = find_key(SETTING_GLOBAL, rest, len)};
	if (t->key != NULL)
		return true;
	for (size_t i = 0; i < KINDS; i++) {
		size_t prefix_len = strlen(kinds[i].entry);

		t->kind = &kinds[i];
		if (len == strlen(kinds[i].lines) && memcmp(rest, kinds[i].lines, len) == 0)
			return true;
		if (len > prefix_len && memcmp(rest, kinds[i].entry, prefix_len) == 0)
			return find_entry(rest + prefix_len, len - prefix_len, t);
	}
	t->kind = NULL;
	return false;
}

static bool is_whole_entry(const struct target *t)
{
	return t->kind != NULL && t->key == NULL;
}

/* A key that ends in _file is itself; any other name with that behind it names a file. */
static bool find_target_or_file(const struct variable *var, struct target *t, bool *is_file)
{
	size_t len = strlen(var->rest), suffix_len = strlen(FILE_SUFFIX);
	bool found = find_target(var->rest, len, t);
	struct target of_file;

	*is_file = false;
	if ((found && !is_whole_entry(t)) || len <= suffix_len ||
		strcmp(var->rest + len - suffix_len, FILE_SUFFIX) != 0)
		return found;
	if (find_target(var->rest, len - suffix_len, &of_file)) {
		*t = of_file;
		*is_file = true;
		return true;
	}
	return found;
}

/* --- its value --- */

/* The file's bytes, with the line's end that editors leave taken off. Errors: as conf_reader. */
static enum status read_value(struct variables *v, const char *path, char **out)
{
	char *data = NULL;
	size_t len = 0;
	enum status st;

	errno = 0;
	if ((st = v->reader->read(v->reader->arg, path, &data, &len)) != OK)
		return st;
	if (len > CONF_FILE_MAX)
		st = E_LIMIT;
	else if (memchr(data, '\0', len) != NULL)
		st = E_INVALID;
	if (len > 0 && data[len - 1] == '\n')
		len--;
	if (len > 0 && data[len - 1] == '\r')
		len--;
	if (st == OK && (*out = arena_strndup(v->a, data, len)) == NULL)
		st = E_NOMEM;
	explicit_bzero(data, len); /* passwords */
	free(data);
	return st;
}

/* Errors: E_NOTFOUND, told; E_NOMEM. */
static enum status take_value(
	struct variables *v, const struct variable *var, bool is_file, char **out)
{
	const struct finding_at at = {.file = var->name};
	enum status st;

	*out = NULL;
	if (!is_file)
		return (*out = arena_strdup(v->a, var->value)) != NULL ? OK : E_NOMEM;
	st = read_value(v, var->value, out);
	if (st == OK || st == E_NOMEM)
		return st;
	findings_add(v->found, FINDING_ERROR, &at, "cannot read %s: %s", var->value,
		st == E_IO && errno != 0 ? strerror(errno) : status_name(st));
	return E_NOTFOUND;
}

/* --- lines --- */

static enum status add_pair(
	struct variables *v, struct source_line *line, const struct ini_item *item)
{
	line->line = item->line;
	line->name = ini_name_copy(item, v->a);
	line->value = arena_strndup(v->a, item->value, item->value_len);
	if (line->name == NULL || line->value == NULL)
		return E_NOMEM;
	return source_add(v->out, line, v->a);
}

static enum status add_section(
	struct variables *v, struct source_line *line, const struct kind *kind, const char *text)
{
	struct ini ini = ini_of(text, strlen(text));
	enum status st = OK;

	while (st == OK) {
		struct ini_item item = ini_next(&ini);
		struct finding_at at = {.file = line->file, .line = item.line};

		if (item.kind == INI_END)
			break;
		if (item.kind == INI_PAIR)
			st = add_pair(v, line, &item);
		else
			findings_add(v->found, FINDING_ERROR, &at,
				"expected a line of %s: name = value",
				setting_scope_name(kind->scope));
	}
	return st;
}

static enum status add_line(
	struct variables *v, const struct target *t, const char *place, const char *value)
{
	struct source_line line = {.file = place,
		.origin = SOURCE_ENVIRONMENT,
		.section = t->kind != NULL ? t->kind->section : SECTION_PGWEIR,
		.value = value};

	if (t->kind == NULL) {
		line.name = t->key;
	} else if (t->entry == NULL) {
		return add_section(v, &line, t->kind, value);
	} else {
		line.name = arena_strndup(v->a, t->entry, t->entry_len);
		line.key = t->key;
	}
	return line.name != NULL ? source_add(v->out, &line, v->a) : E_NOMEM;
}

static void complain(struct variables *v, const struct variable *var, const struct target *t)
{
	const char *sep = t->kind != NULL ? separator(t->entry) : NULL;

	if (sep != NULL)
		complain_unknown(v, var, t->kind->scope, sep + 2);
	else
		complain_unknown(v, var, SETTING_GLOBAL, var->rest);
}

static enum status add_variable(struct variables *v, const struct variable *var, bool single_keys)
{
	struct target t;
	bool is_file;
	char *value;
	enum status st;

	if (!find_target_or_file(var, &t, &is_file)) {
		if (!single_keys)
			complain(v, var, &t);
		return OK;
	}
	if ((t.entry != NULL && t.key != NULL) != single_keys)
		return OK;
	st = take_value(v, var, is_file, &value);
	if (st == OK)
		st = add_line(v, &t, var->name, value);
	return st != E_NOTFOUND ? st : OK;
}

static int compare(const void *x, const void *y)
{
	return strcmp(((const struct variable *)x)->name, ((const struct variable *)y)->name);
}

/* Ours, sorted by name, since the order of an environment means nothing. */
static enum status collect(struct variables *v, struct variable **out, size_t *n)
{
	const char *const *env = v->reader->environment;
	const char *value;
	size_t n_all = 0;

	*n = 0;
	while (env[n_all] != NULL)
		n_all++;
	if ((*out = arena_take_array(v->a, n_all, sizeof **out)) == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < n_all; i++) {
		struct variable *var = &(*out)[*n];

		if (!is_variable(env[i], &value))
			continue;
		var->name = arena_strndup(v->a, env[i], (size_t)(value - env[i]) - 1);
		if (var->name == NULL)
			return E_NOMEM;
		var->rest = var->name + strlen(VARIABLE_PREFIX);
		var->value = value;
		++*n;
	}
	if (*n > 1)
		qsort(*out, *n, sizeof **out, compare);
	return OK;
}

enum status variables_load(const struct conf_reader *reader, struct arena *a, struct source *out,
	struct findings *found)
{
	struct variables v = {.reader = reader, .a = a, .out = out, .found = found};
	struct variable *vars;
	size_t n;
	enum status st;

	if (reader->environment == NULL)
		return OK;
	st = collect(&v, &vars, &n);
	for (size_t i = 0; st == OK && i < n; i++)
		st = add_variable(&v, &vars[i], false);
	for (size_t i = 0; st == OK && i < n; i++) /* when their entries are there */
		st = add_variable(&v, &vars[i], true);
	return st;
}
