#include "conf/settings.h"

#include <string.h>

#define NEAR_LEN_MAX 64u /* bytes of a name that a nearest key is looked for */

static int compare(const struct setting *s, enum setting_scope scope, const char *name)
{
	if (s->scope != scope)
		return s->scope < scope ? -1 : 1;
	return strcmp(s->name, name);
}

const struct setting *settings_find(enum setting_scope scope, const char *name)
{
	size_t from = 0, to = n_settings;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		const struct setting *s = &settings[mid];
		int cmp = compare(s, scope, name);

		if (cmp == 0)
			return s->alias_of != NULL ? settings_find(scope, s->alias_of) : s;
		if (cmp < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

/* Levenshtein's distance; both at most NEAR_LEN_MAX long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NEAR_LEN_MAX + 1];
	size_t b_len = strlen(b);

	for (unsigned j = 0; j <= b_len; j++)
		row[j] = j;
	for (unsigned i = 1; *a != '\0'; i++, a++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned best = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			if (best > row[j] + 1)
				best = row[j] + 1;
			if (best > row[j - 1] + 1)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

const char *settings_nearest(enum setting_scope scope, const char *name)
{
	const char *nearest = NULL;
	size_t len = strlen(name);
	unsigned best = (unsigned)(len / 3 + 1); /* further away it is another word */

	if (len > NEAR_LEN_MAX)
		return NULL;
	for (size_t i = 0; i < n_settings; i++) {
		unsigned d;

		if (settings[i].scope != scope || strlen(settings[i].name) > NEAR_LEN_MAX)
			continue;
		if ((d = distance(name, settings[i].name)) <= best) {
			if (d < best || nearest == NULL)
				nearest = settings[i].name;
			best = d;
		}
	}
	return nearest;
}

const char *setting_default(const struct setting *s, bool is_pgbouncer)
{
	return !is_pgbouncer && s->def_weir != NULL ? s->def_weir : s->def;
}

const char *setting_scope_name(enum setting_scope scope)
{
	static const char *const names[SETTING_SCOPES] = {
		[SETTING_GLOBAL] = "[pgweir]",
		[SETTING_DB] = "[databases]",
		[SETTING_USER] = "[users]",
		[SETTING_PEER] = "[peers]",
	};

	return names[scope];
}

const char *setting_group_name(enum setting_group group)
{
	static const char *const names[SETTING_GROUPS] = {
		[SETTING_GROUP_PROCESS] = "Process",
		[SETTING_GROUP_LISTEN] = "Listening",
		[SETTING_GROUP_AUTH] = "Authentication",
		[SETTING_GROUP_POOL] = "Pools and limits",
		[SETTING_GROUP_SERVER] = "Server connections",
		[SETTING_GROUP_CLIENT] = "Clients and queries",
		[SETTING_GROUP_ROUTING] = "Routing",
		[SETTING_GROUP_CLIENT_TLS] = "TLS to clients",
		[SETTING_GROUP_SERVER_TLS] = "TLS to servers",
		[SETTING_GROUP_LOG] = "Log and statistics",
		[SETTING_GROUP_NET] = "Names and sockets",
		[SETTING_GROUP_TARGET] = "Where to, and as whom",
		[SETTING_GROUP_LIMIT] = "Limits",
		[SETTING_GROUP_SESSION] = "What a server connection starts with",
	};

	return names[group];
}
