#include "conf/diff.h"

#include <stdlib.h>
#include <string.h>

#include "conf/setting_text.h"
#include "conf/setting_value.h"

#define AT_ONCE      "at once"
#define NEW_CLIENTS  "new clients"
#define NEW_SERVERS  "new server connections"
#define NEW_CONNS    "new connections"
#define REPLACES     "server connections are replaced as they become free"
#define ENDS_CLIENTS "its clients are disconnected at their next statement"

struct diff {
	void (*each)(void *arg, const struct conf_change *ch);
	void *arg;
	char *from, *to; /* SETTING_TEXT_MAX bytes each */
};

/* The whole of an entry comes or goes. */
static void tell(struct diff *d, const char *what, const char *name, bool comes, const char *effect)
{
	d->each(d->arg, &(struct conf_change){.what = what,
				.name = name,
				.key = "",
				.from = comes ? "" : "configured",
				.to = comes ? "configured" : "",
				.effect = effect});
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

/* Keys whose group says it wrong come first. */
static const char *effect_of(const struct setting *s)
{
	static const char *const replaces[] = {"dbname", "host", "password", "port", "user", NULL};
	static const char *const new_clients[] = {"application_name_add_host",
		"ignore_startup_parameters", "login_notify_message", "max_client_conn",
		"max_db_client_connections", "max_user_client_connections", NULL};
	static const char *const new_conns[] = {
		"patroni_tls_ca_file", "stats_tls_cert_file", "stats_tls_key_file", NULL};

	if (s->scope == SETTING_DB && is_one_of(s->name, replaces))
		return REPLACES;
	if (is_one_of(s->name, new_clients))
		return NEW_CLIENTS;
	if (is_one_of(s->name, new_conns))
		return NEW_CONNS;
	if (strcmp(s->name, "conffile") == 0)
		return "the next reload";
	switch (s->group) {
	case SETTING_GROUP_AUTH:
	case SETTING_GROUP_CLIENT_TLS:
		return NEW_CLIENTS;
	case SETTING_GROUP_SERVER_TLS:
		return NEW_SERVERS;
	case SETTING_GROUP_SESSION:
		return REPLACES;
	case SETTING_GROUP_PROCESS:
	case SETTING_GROUP_LISTEN:
	case SETTING_GROUP_POOL:
	case SETTING_GROUP_SERVER:
	case SETTING_GROUP_CLIENT:
	case SETTING_GROUP_ROUTING:
	case SETTING_GROUP_LOG:
	case SETTING_GROUP_TARGET:
	case SETTING_GROUP_LIMIT:
		return AT_ONCE;
	case SETTING_GROUP_NET:
		return strncmp(s->name, "tcp_", 4) == 0 ? NEW_CONNS : AT_ONCE;
	}
	return AT_ONCE;
}

/* All rows of `scope`; name: of the database or user, NULL for the global ones. */
static void diff_rows(struct diff *d, enum setting_scope scope, const char *what, const char *name,
	const void *a, const void *b)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];

		if (s->scope != scope || setting_is_equal(s, a, b))
			continue;
		d->each(d->arg, &(struct conf_change){
					.what = what,
					.name = name != NULL ? name : s->name,
					.key = name != NULL ? s->name : "",
					.from = setting_format(s, a, d->from, SETTING_TEXT_MAX),
					.to = setting_format(s, b, d->to, SETTING_TEXT_MAX),
					.effect = effect_of(s),
				});
	}
}

/* Both lists are sorted by name. */
static void diff_dbs(struct diff *d, const struct conf *a, const struct conf *b)
{
	size_t i = 0, j = 0;

	while (i < a->n_dbs || j < b->n_dbs) {
		const struct conf_db *x = i < a->n_dbs ? &a->dbs[i] : NULL;
		const struct conf_db *y = j < b->n_dbs ? &b->dbs[j] : NULL;
		int cmp = x == NULL ? 1 : y == NULL ? -1 : strcmp(x->name, y->name);

		if (cmp < 0)
			tell(d, "database", x->name, false, ENDS_CLIENTS);
		else if (cmp > 0)
			tell(d, "database", y->name, true, NEW_CLIENTS);
		else
			diff_rows(d, SETTING_DB, "database", x->name, x, y);
		i += cmp <= 0;
		j += cmp >= 0;
	}
}

static void diff_users(struct diff *d, const struct conf *a, const struct conf *b)
{
	size_t i = 0, j = 0;

	while (i < a->n_users || j < b->n_users) {
		const struct conf_user *x = i < a->n_users ? &a->users[i] : NULL;
		const struct conf_user *y = j < b->n_users ? &b->users[j] : NULL;
		int cmp = x == NULL ? 1 : y == NULL ? -1 : strcmp(x->name, y->name);

		if (cmp < 0)
			tell(d, "user", x->name, false, AT_ONCE);
		else if (cmp > 0)
			tell(d, "user", y->name, true, AT_ONCE);
		else
			diff_rows(d, SETTING_USER, "user", x->name, x, y);
		i += cmp <= 0;
		j += cmp >= 0;
	}
}

static void diff_peers(struct diff *d, const struct conf *a, const struct conf *b)
{
	size_t i = 0, j = 0;

	while (i < a->n_peers || j < b->n_peers) {
		const struct conf_peer *x = i < a->n_peers ? &a->peers[i] : NULL;
		const struct conf_peer *y = j < b->n_peers ? &b->peers[j] : NULL;
		int cmp = x == NULL ? 1 : y == NULL ? -1 : (x->id > y->id) - (x->id < y->id);

		if (cmp < 0)
			tell(d, "peer", x->name, false, AT_ONCE);
		else if (cmp > 0)
			tell(d, "peer", y->name, true, AT_ONCE);
		else
			diff_rows(d, SETTING_PEER, "peer", x->name, x, y);
		i += cmp <= 0;
		j += cmp >= 0;
	}
}

static void diff_nodes(struct diff *d, const struct conf *a, const struct conf *b)
{
	for (uint32_t id = 0; id < CONF_NODES_MAX; id++) {
		const struct conf_node *x = a->node_by_id[id], *y = b->node_by_id[id];

		if (x != NULL && (y == NULL || strcmp(x->name, y->name) != 0))
			tell(d, "node", x->name, false, REPLACES);
		if (y != NULL && (x == NULL || strcmp(x->name, y->name) != 0))
			tell(d, "node", y->name, true, AT_ONCE);
	}
}

/* Files whose names are the same, with other contents. */
static void diff_files(struct diff *d, const struct conf *a, const struct conf *b)
{
	static const char *const names[] = {
		[CONF_FILE_HBA] = "auth_hba_file",
		[CONF_FILE_IDENT] = "auth_ident_file",
		[CONF_FILE_CLIENT_CA] = "client_tls_ca_file",
		[CONF_FILE_CLIENT_CERT] = "client_tls_cert_file",
		[CONF_FILE_CLIENT_KEY] = "client_tls_key_file",
		[CONF_FILE_SERVER_CA] = "server_tls_ca_file",
		[CONF_FILE_SERVER_CERT] = "server_tls_cert_file",
		[CONF_FILE_SERVER_KEY] = "server_tls_key_file",
		[CONF_FILE_STATS_CERT] = "stats_tls_cert_file",
		[CONF_FILE_STATS_KEY] = "stats_tls_key_file",
		[CONF_FILE_PATRONI_CA] = "patroni_tls_ca_file",
	};

	_Static_assert(sizeof names / sizeof *names == CONF_FILES, "each has a name");
	for (unsigned i = 0; i < CONF_FILES; i++) {
		const struct setting *s = settings_find(SETTING_GLOBAL, names[i]);

		if (s == NULL || a->file_marks[i] == 0 || b->file_marks[i] == 0 ||
			a->file_marks[i] == b->file_marks[i] || !setting_is_equal(s, a, b))
			continue;
		d->each(d->arg, &(struct conf_change){.what = "file",
					.name = s->name,
					.key = "contents",
					.from = "old",
					.to = "new",
					.effect = effect_of(s)});
	}
}

enum status conf_diff(const struct conf *a, const struct conf *b,
	void (*each)(void *arg, const struct conf_change *ch), void *arg)
{
	struct diff d = {.each = each, .arg = arg};
	char *texts = malloc((size_t)2 * SETTING_TEXT_MAX);

	if (texts == NULL)
		return E_NOMEM;
	d.from = texts;
	d.to = texts + SETTING_TEXT_MAX;
	diff_rows(&d, SETTING_GLOBAL, "setting", NULL, a, b);
	diff_files(&d, a, b);
	diff_dbs(&d, a, b);
	diff_users(&d, a, b);
	diff_peers(&d, a, b);
	diff_nodes(&d, a, b);
	free(texts);
	return OK;
}
