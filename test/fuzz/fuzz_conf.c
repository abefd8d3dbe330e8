/*
 * A whole configuration. The input up to its first 0x01 is the file, the rest is what every
 * %include reads. A file without errors gives a snapshot that is consistent, loads again to the
 * same, ids included, and whose every value is read back as it is shown. No finding holds a
 * control character.
 */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf/diff.h"
#include "conf/effective.h"
#include "conf/setting_text.h"
#include "conf/setting_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *main, *include;
	size_t main_len, include_len;
};

static enum status read_input(void *arg, const char *path, char **data, size_t *len)
{
	const struct input *in = arg;
	bool is_main = strcmp(path, "main") == 0;
	const uint8_t *from = is_main ? in->main : in->include;

	*len = is_main ? in->main_len : in->include_len;
	PANIC_IF((*data = malloc(*len + 1)) == NULL);
	memcpy(*data, from, *len);
	return OK;
}

static void check_row(const struct setting *s, const void *base)
{
	static char text[2 * SETTING_TEXT_MAX];
	union {
		struct conf conf;
		struct conf_db db;
		struct conf_user user;
	} *again = calloc(1, sizeof *again);
	struct arena a;

	if (s->type == SETTING_NONE || (s->flags & SETTING_SECRET) != 0) {
		free(again);
		return;
	}
	PANIC_IF(again == NULL);
	arena_init(&a);
	setting_format(s, base, text, sizeof text);
	PANIC_IF(setting_parse(s, *text == '\0' && s->def == NULL ? NULL : text, again, &a) != OK);
	PANIC_IF(!setting_is_equal(s, base, again));
	arena_fini(&a);
	free(again);
}

static void check_rows(enum setting_scope scope, const void *base)
{
	for (size_t i = 0; i < n_settings; i++)
		if (settings[i].scope == scope)
			check_row(&settings[i], base);
}

static void check_db(const struct conf *c, const struct conf_db *db)
{
	PANIC_IF(conf_find_db(c, db->name) != db);
	PANIC_IF(db->n_nodes == 0 || db->n_nodes > CONF_DB_NODES_MAX);
	PANIC_IF((db->cluster_id != CONF_NO_CLUSTER) != db->routing);
	PANIC_IF(conf_max_pinned(c, db, NULL) >= conf_pool_size(c, db, NULL));
	for (size_t i = 0; i < db->n_nodes; i++) {
		const struct conf_node *n = db->nodes[i].node;

		PANIC_IF(c->node_by_id[n->id] != n);
		PANIC_IF(db->nodes[i].weight == 0);
		PANIC_IF(db->routing && n->cluster_id != db->cluster_id);
	}
	check_rows(SETTING_DB, db);
}

static void check(const struct conf *c)
{
	check_rows(SETTING_GLOBAL, c);
	for (size_t i = 0; i < c->n_dbs; i++)
		check_db(c, &c->dbs[i]);
	for (size_t i = 0; i < c->n_users; i++) {
		PANIC_IF(conf_find_user(c, c->users[i].name) != &c->users[i]);
		check_rows(SETTING_USER, &c->users[i]);
	}
	for (size_t i = 0; i < c->n_clusters; i++)
		PANIC_IF(c->clusters[i].n_nodes == 0 || c->clusters[i].db == NULL);
}

static void no_change(void *arg, const struct conf_change *ch)
{
	(void)arg;
	PANIC_IF(ch != NULL);
}

static void check_findings(const struct findings *found)
{
	char line[FINDING_LINE_MAX];

	for (size_t i = 0; i < found->n; i++) {
		finding_format(&found->items[i], line, sizeof line);
		for (const char *p = line; *p != '\0'; p++)
			PANIC_IF((unsigned char)*p < ' ');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = size > 0 ? memchr(data, 1, size) : NULL;
	size_t main_len = cut != NULL ? (size_t)(cut - data) : size;
	struct input in = {data, data + main_len, main_len, size - main_len};
	const struct conf_reader reader = {.read = read_input, .arg = &in};
	struct conf *c, *again;
	struct findings found;

	findings_init(&found);
	if (conf_load(&reader, "main", NULL, &c, &found) == OK) {
		PANIC_IF(found.n_errors != 0);
		check(c);
		PANIC_IF(conf_load(&reader, "main", c, &again, &found) != OK);
		PANIC_IF(conf_diff(c, again, no_change, NULL) != OK);
		conf_free(again);
		conf_free(c);
	} else {
		PANIC_IF(found.n_errors == 0);
	}
	check_findings(&found);
	findings_fini(&found);
	return 0;
}
