#include "conf/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/value.h"
#include "conf/check.h"
#include "conf/clusters.h"
#include "conf/nodes.h"
#include "conf/pairs.h"
#include "conf/setting_text.h"
#include "conf/setting_value.h"

#define EXPECTED_MAX 512u /* bytes of setting_expected */

struct build {
	struct conf_own *own;
	struct arena *a;
	const struct conf *previous;
	struct findings *found;
	struct conf *c;
	struct conf_db *dbs;
	struct conf_user *users;
	struct conf_peer *peers;
	const struct source_line **db_lines, **user_lines, **peer_lines; /* by position */
};

/* --- one value --- */

static void complain_unknown(
	struct build *b, enum setting_scope scope, struct finding_at at, const char *name)
{
	const char *nearest = settings_nearest(scope, name);

	at.value = NULL; /* perhaps a password behind a misspelt key */
	for (enum setting_scope s = SETTING_GLOBAL; s < SETTING_SCOPES; s++) {
		if (s == scope || settings_find(s, name) == NULL)
			continue;
		findings_add(b->found, FINDING_ERROR, &at, "unknown key here; it belongs to %s",
			setting_scope_name(s));
		return;
	}
	if (nearest != NULL)
		findings_add(b->found, FINDING_ERROR, &at, "unknown key; expected %s?", nearest);
	else
		findings_add(b->found, FINDING_ERROR, &at,
			"unknown key; pgweir --help-config lists the known ones");
}

static enum status apply(struct build *b, enum setting_scope scope, void *base,
	struct finding_at at, const char *name, const char *value)
{
	const struct setting *s = settings_find(scope, name);
	char expected[EXPECTED_MAX];
	enum status st;

	if (s == NULL) {
		complain_unknown(b, scope, at, name);
		return OK;
	}
	at.value = (s->flags & SETTING_SECRET) != 0 ? NULL : value;
	if (s->type == SETTING_NONE)
		findings_add(b->found, FINDING_NOTE, &at, "no effect: %s", s->note);
	st = setting_parse(s, value, base, b->a);
	if (st != E_INVALID)
		return st;
	findings_add(b->found, FINDING_ERROR, &at, "expected %s",
		setting_expected(s, expected, sizeof expected));
	return OK;
}

static enum status set_defaults(struct build *b, enum setting_scope scope, void *base)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		enum status st;

		if (s->scope != scope || s->type == SETTING_NONE)
			continue;
		st = setting_parse(s, setting_default(s, b->c->is_pgbouncer), base, b->a);
		PANIC_IF(st == E_INVALID); /* the table's own default */
		if (st != OK)
			return st;
	}
	return OK;
}

/* --- global keys --- */

static struct finding_at at_line(const struct source_line *line)
{
	return (struct finding_at){.file = line->file, .line = line->line, .key = line->name};
}

/* What is given twice counts as it was given last. */
static void note_repetition(
	struct build *b, const struct source_line *before, const struct source_line *line)
{
	struct finding_at at = at_line(before);

	if (before->origin != line->origin) /* what the environment and SET are for */
		return;
	if (line->line != 0)
		findings_add(b->found, FINDING_NOTE, &at, "given again in %s:%u, which counts",
			line->file, line->line);
	else
		findings_add(
			b->found, FINDING_NOTE, &at, "given again in %s, which counts", line->file);
}

/* given: by row of the table, the line that gave it last. */
static void remember_line(
	struct build *b, const struct source_line **given, const struct source_line *line)
{
	const struct setting *s = settings_find(SETTING_GLOBAL, line->name);

	if (s == NULL)
		return;
	if (given[s - settings] != NULL)
		note_repetition(b, given[s - settings], line);
	given[s - settings] = line;
}

static enum status apply_globals(struct build *b)
{
	const struct source_line **given = arena_take_array(b->a, n_settings, sizeof *given);

	if (given == NULL)
		return E_NOMEM;
	for (const struct source_line *l = b->own->source.first; l != NULL; l = l->next) {
		enum status st;

		if (!source_is_main(l))
			continue;
		remember_line(b, given, l);
		st = apply(b, SETTING_GLOBAL, b->c, at_line(l), l->name, l->value);
		if (st != OK)
			return st;
	}
	return OK;
}

/* What is fixed at the start stays as it is. */
static enum status keep_fixed(struct build *b)
{
	char was[EXPECTED_MAX], is[EXPECTED_MAX];

	for (size_t i = 0; b->previous != NULL && i < n_settings; i++) {
		const struct setting *s = &settings[i];
		struct finding_at at;

		if (s->scope != SETTING_GLOBAL || (s->flags & SETTING_RESTART) == 0 ||
			setting_is_equal(s, b->previous, b->c))
			continue;
		at = source_at(&b->own->source, s->name);
		at.value = setting_format(s, b->c, is, sizeof is);
		findings_add(b->found, FINDING_RESTART, &at,
			"takes effect at the next start; until then it stays %s",
			setting_format(s, b->previous, was, sizeof was));
		if (setting_copy(s, b->previous, b->c, b->a) != OK)
			return E_NOMEM;
	}
	return OK;
}

/* --- databases, users and peers --- */

struct pair_text {
	const char *key, *value;
};

static bool is_reserved(const char *name)
{
	return strcmp(name, "pgbouncer") == 0 || strcmp(name, "pgweir") == 0;
}

static void check_name(struct build *b, const struct finding_at *at, const char *name, bool is_db)
{
	size_t len = strlen(name);

	if (len == 0 || len > CONF_NAME_MAX)
		findings_add(b->found, FINDING_ERROR, at, "expected a name of 1 to %u bytes",
			CONF_NAME_MAX);
	else if (is_db && is_reserved(name))
		findings_add(b->found, FINDING_ERROR, at,
			"expected another name: this one is the admin console's");
}

/* One key of an entry; its name is told as "entry: key". */
static enum status apply_pair(struct build *b, enum setting_scope scope, void *base,
	const struct source_line *line, const struct pair_text *pair)
{
	struct finding_at at = at_line(line);

	if ((at.key = arena_printf(b->a, "%s: %s", line->name, pair->key)) == NULL)
		return E_NOMEM;
	return apply(b, scope, base, at, pair->key, pair->value);
}

/* What one line says of its entry: a connection string, or a single key. */
static enum status apply_pairs(
	struct build *b, enum setting_scope scope, void *base, const struct source_line *line)
{
	struct finding_at at = at_line(line);
	const char *p = line->value;
	struct pair pair;
	enum status st;

	if (line->key != NULL)
		return apply_pair(
			b, scope, base, line, &(struct pair_text){line->key, line->value});
	while ((st = pairs_next(&p, &pair)) == OK) {
		struct pair_text text = {
			arena_strndup(b->a, pair.key, pair.key_len), pairs_value_copy(&pair, b->a)};

		if (text.key == NULL || text.value == NULL)
			return E_NOMEM;
		if ((st = apply_pair(b, scope, base, line, &text)) != OK)
			return st;
	}
	if (st == E_NOTFOUND)
		return OK;
	findings_add(b->found, FINDING_ERROR, &at, "%s", pair.expected);
	return OK;
}

static enum status add_db(struct build *b, const struct source_line *line)
{
	struct finding_at at = at_line(line);
	uint32_t position = (uint32_t)b->c->n_dbs;
	struct conf_db *db = &b->dbs[position];
	enum status st;

	for (size_t i = b->c->n_dbs; line->key != NULL && i-- > 0;)
		if (strcmp(b->dbs[i].name, line->name) == 0)
			return apply_pairs(b, SETTING_DB, &b->dbs[i], line);
	b->c->n_dbs++;
	db->name = line->name;
	db->position = position;
	b->db_lines[position] = line;
	check_name(b, &at, line->name, true);
	st = set_defaults(b, SETTING_DB, db);
	return st == OK ? apply_pairs(b, SETTING_DB, db, line) : st;
}

static enum status add_user(struct build *b, const struct source_line *line)
{
	struct finding_at at = at_line(line);
	uint32_t position = (uint32_t)b->c->n_users;
	struct conf_user *user = &b->users[position];
	enum status st;

	for (size_t i = b->c->n_users; line->key != NULL && i-- > 0;)
		if (strcmp(b->users[i].name, line->name) == 0)
			return apply_pairs(b, SETTING_USER, &b->users[i], line);
	b->c->n_users++;
	user->name = line->name;
	user->position = position;
	b->user_lines[position] = line;
	check_name(b, &at, line->name, false);
	st = set_defaults(b, SETTING_USER, user);
	return st == OK ? apply_pairs(b, SETTING_USER, user, line) : st;
}

static enum status add_peer(struct build *b, const struct source_line *line)
{
	struct finding_at at = at_line(line);
	uint32_t position = (uint32_t)b->c->n_peers;
	struct conf_peer *peer = &b->peers[position];
	size_t n_errors = b->found->n_errors;
	uint64_t id = 0;
	enum status st;

	for (size_t i = b->c->n_peers; line->key != NULL && i-- > 0;)
		if (strcmp(b->peers[i].name, line->name) == 0)
			return apply_pairs(b, SETTING_PEER, &b->peers[i], line);
	b->c->n_peers++;
	peer->name = line->name;
	peer->position = position;
	b->peer_lines[position] = line;
	if (!value_parse_uint(line->name, &id) || id == 0 || id > CONF_PEER_ID_MAX)
		findings_add(b->found, FINDING_ERROR, &at, "expected a peer_id from 1 to %u",
			CONF_PEER_ID_MAX);
	peer->id = (uint32_t)id;
	if ((st = set_defaults(b, SETTING_PEER, peer)) != OK ||
		(st = apply_pairs(b, SETTING_PEER, peer, line)) != OK)
		return st;
	if (b->found->n_errors == n_errors && !nodes_is_host(peer->host))
		findings_add(b->found, FINDING_ERROR, &at,
			"expected host=: one name, address or socket directory");
	return OK;
}

static bool is_too_many(struct build *b, enum source_section section, size_t max, const char *what)
{
	size_t n = b->own->source.n[section];

	if (n <= max)
		return false;
	findings_add(b->found, FINDING_ERROR, &(struct finding_at){.key = what},
		"expected at most %zu entries, found %zu", max, n);
	return true;
}

static enum status add_sections(struct build *b)
{
	const size_t *n = b->own->source.n;
	enum status st = OK;

	if (is_too_many(b, SECTION_DATABASES, CONF_DBS_MAX, "[databases]") ||
		is_too_many(b, SECTION_USERS, CONF_USERS_MAX, "[users]") ||
		is_too_many(b, SECTION_PEERS, CONF_PEERS_MAX, "[peers]"))
		return OK;
	b->dbs = arena_take_array(b->a, n[SECTION_DATABASES], sizeof *b->dbs);
	b->users = arena_take_array(b->a, n[SECTION_USERS], sizeof *b->users);
	b->peers = arena_take_array(b->a, n[SECTION_PEERS], sizeof *b->peers);
	b->peer_lines = arena_take_array(b->a, n[SECTION_PEERS], sizeof *b->peer_lines);
	b->db_lines = arena_take_array(b->a, n[SECTION_DATABASES], sizeof *b->db_lines);
	b->user_lines = arena_take_array(b->a, n[SECTION_USERS], sizeof *b->user_lines);
	if (b->dbs == NULL || b->users == NULL || b->peers == NULL || b->db_lines == NULL ||
		b->user_lines == NULL || b->peer_lines == NULL)
		return E_NOMEM;
	for (const struct source_line *l = b->own->source.first; l != NULL && st == OK;
		l = l->next) {
		if (l->section == SECTION_DATABASES)
			st = add_db(b, l);
		else if (l->section == SECTION_USERS)
			st = add_user(b, l);
		else if (l->section == SECTION_PEERS)
			st = add_peer(b, l);
	}
	return st;
}

/* --- in order, each once --- */

static int compare_dbs(const void *x, const void *y)
{
	const struct conf_db *a = x, *b = y;
	int cmp = strcmp(a->name, b->name);

	return cmp != 0 ? cmp : (a->position > b->position) - (a->position < b->position);
}

static int compare_users(const void *x, const void *y)
{
	const struct conf_user *a = x, *b = y;
	int cmp = strcmp(a->name, b->name);

	return cmp != 0 ? cmp : (a->position > b->position) - (a->position < b->position);
}

static void sort_dbs(struct build *b)
{
	struct conf *c = b->c;
	size_t kept = 0;

	if (c->n_dbs > 1)
		qsort(b->dbs, c->n_dbs, sizeof *b->dbs, compare_dbs);
	for (size_t i = 0; i < c->n_dbs; i++) {
		const struct conf_db *db = &b->dbs[i], *next = db + 1;

		if (i + 1 < c->n_dbs && strcmp(db->name, next->name) == 0)
			note_repetition(b, b->db_lines[db->position], b->db_lines[next->position]);
		else if (kept++ != i)
			b->dbs[kept - 1] = *db;
	}
	c->n_dbs = kept;
	c->dbs = b->dbs;
}

static void sort_users(struct build *b)
{
	struct conf *c = b->c;
	size_t kept = 0;

	if (c->n_users > 1)
		qsort(b->users, c->n_users, sizeof *b->users, compare_users);
	for (size_t i = 0; i < c->n_users; i++) {
		const struct conf_user *user = &b->users[i], *next = user + 1;

		if (i + 1 < c->n_users && strcmp(user->name, next->name) == 0)
			note_repetition(
				b, b->user_lines[user->position], b->user_lines[next->position]);
		else if (kept++ != i)
			b->users[kept - 1] = *user;
	}
	c->n_users = kept;
	c->users = b->users;
}

static int compare_peers(const void *x, const void *y)
{
	const struct conf_peer *a = x, *b = y;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->position > b->position) - (a->position < b->position);
}

static void sort_peers(struct build *b)
{
	struct conf *c = b->c;
	size_t kept = 0;

	if (c->n_peers > 1)
		qsort(b->peers, c->n_peers, sizeof *b->peers, compare_peers);
	for (size_t i = 0; i < c->n_peers; i++) {
		const struct conf_peer *peer = &b->peers[i], *next = peer + 1;

		if (i + 1 < c->n_peers && peer->id == next->id)
			note_repetition(
				b, b->peer_lines[peer->position], b->peer_lines[next->position]);
		else if (kept++ != i)
			b->peers[kept - 1] = *peer;
	}
	c->n_peers = kept;
	c->peers = b->peers;
}

/* --- where databases lead --- */

static enum routing_mode routing_of(const struct conf *c, const struct conf_db *db)
{
	return db->routing_key != ROUTING_UNSET ? db->routing_key : c->routing;
}

/* Are its hosts a primary and its replicas? */
static bool has_routing(const struct conf *c, const struct conf_db *db)
{
	enum routing_mode mode = routing_of(c, db);

	return mode == ROUTING_ON || mode == ROUTING_SHADOW ||
	       (mode == ROUTING_AUTO && db->n_nodes > 1);
}

/* The databases by position; *n is what is left of them. NULL: no memory. */
static struct conf_db **in_file_order(struct build *b, size_t *n)
{
	size_t n_lines = b->own->source.n[SECTION_DATABASES];
	struct conf_db **order = arena_take_array(b->a, n_lines, sizeof(void *));

	if (order == NULL)
		return NULL;
	for (size_t i = 0; i < b->c->n_dbs; i++)
		order[b->dbs[i].position] = &b->dbs[i];
	*n = 0;
	for (size_t i = 0; i < n_lines; i++)
		if (order[i] != NULL)
			order[(*n)++] = order[i];
	return order;
}

static enum status resolve_db(struct build *b, struct nodes *ns, struct conf_db *db)
{
	const struct source_line *line = b->db_lines[db->position];
	struct finding_at at = at_line(line);
	enum status st =
		nodes_resolve(ns, db, b->c->unix_socket_dir, b->c->zone, routing_of(b->c, db), &at);

	if (st != OK)
		return st;
	db->routing = has_routing(b->c, db);
	db->shadow = routing_of(b->c, db) == ROUTING_SHADOW;
	if (strcmp(db->name, "*") == 0)
		b->c->fallback = db;
	check_db(b->c, db, &at, b->found);
	return OK;
}

static enum status resolve_dbs(struct build *b)
{
	size_t n, n_errors = b->found->n_errors;
	struct conf_db **order = in_file_order(b, &n);
	const struct conf_spreads *spreads = b->own->spreads;
	struct nodes ns;
	enum status st;

	if (spreads == NULL && b->previous != NULL)
		spreads = b->previous->spreads;
	if (order == NULL || nodes_init(&ns, b->a, spreads, b->found) != OK)
		return E_NOMEM;
	for (size_t i = 0; i < n; i++)
		if ((st = resolve_db(b, &ns, order[i])) != OK)
			return st;
	if ((st = nodes_finish(&ns, b->c, b->previous)) != OK || b->found->n_errors != n_errors)
		return st;
	return clusters_build(&ns, order, n, b->c, b->previous);
}

/* --- all of it --- */

static enum status run(struct build *b)
{
	enum status st;

	if ((st = set_defaults(b, SETTING_GLOBAL, b->c)) != OK || (st = apply_globals(b)) != OK ||
		(st = keep_fixed(b)) != OK || (st = add_sections(b)) != OK)
		return st;
	if (*b->c->conffile == '\0')
		b->c->conffile = b->own->path;
	if ((st = check_globals(b->c, b->found)) != OK)
		return st;
	sort_dbs(b);
	sort_users(b);
	sort_peers(b);
	return resolve_dbs(b);
}

enum status conf_build(struct conf_own *own, const struct conf *previous, struct conf **out,
	struct findings *found)
{
	struct build b = {.own = own, .a = &own->arena, .previous = previous, .found = found};
	size_t n_errors = found->n_errors;
	enum status st;

	*out = NULL;
	if ((b.c = arena_take(b.a, sizeof *b.c)) == NULL)
		return E_NOMEM;
	b.c->own = own;
	b.c->is_pgbouncer = own->source.has_section[SECTION_PGBOUNCER];
	if (previous != NULL) {
		own->next_node_id = previous->own->next_node_id;
		own->next_cluster_id = previous->own->next_cluster_id;
	}
	if ((st = run(&b)) != OK)
		return st;
	if (found->n_errors != n_errors)
		return E_INVALID;
	*out = b.c;
	return OK;
}

/* --- of what is refused --- */

static bool is_of_log(const struct source_line *line)
{
	static const char *const names[] = {"log_format", "logfile", "syslog", "syslog_facility",
		"syslog_ident", "user", "verbose"};
	bool is = false;

	for (size_t i = 0; source_is_main(line) && i < sizeof names / sizeof *names; i++)
		is = is || strcmp(line->name, names[i]) == 0;
	return is;
}

enum status conf_build_log(struct conf_own *own, struct conf **out)
{
	struct findings found; /* they were told when the whole was refused */
	struct build b = {.own = own, .a = &own->arena, .found = &found};
	enum status st;

	*out = NULL;
	if ((b.c = arena_take(b.a, sizeof *b.c)) == NULL)
		return E_NOMEM;
	b.c->own = own;
	b.c->is_pgbouncer = own->source.has_section[SECTION_PGBOUNCER];
	findings_init(&found);
	st = set_defaults(&b, SETTING_GLOBAL, b.c);
	for (const struct source_line *l = own->source.first; l != NULL && st == OK; l = l->next)
		if (is_of_log(l))
			st = apply(&b, SETTING_GLOBAL, b.c, at_line(l), l->name, l->value);
	if (st == OK && found.n_errors != 0)
		st = E_INVALID;
	findings_fini(&found);
	if (st == OK)
		*out = b.c;
	return st;
}
