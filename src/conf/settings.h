/*
 * settings - the one table of all keys: type, unit, range, defaults, whether a reload changes it,
 * one line of help. Everything that reads, shows or documents a key comes from here.
 * Owns:    nothing; the table is constant.
 * Touches: the fields of struct conf, conf_db, conf_user and conf_peer, by the row's offset.
 */
#ifndef PGWEIR_CONF_SETTINGS_H
#define PGWEIR_CONF_SETTINGS_H

#include "base/status.h"

enum setting_scope { SETTING_GLOBAL, SETTING_DB, SETTING_USER, SETTING_PEER };
#define SETTING_SCOPES 4u

#define SETTING_TIME_MAX (2147483647u * UINT64_C(1000000)) /* µs: 68 years; no limit is told */

enum setting_type {
	SETTING_BOOL,   /* bool: 0, 1, on, off, yes, no, true, false */
	SETTING_INT,    /* uint32_t */
	SETTING_OCTAL,  /* uint32_t: permission bits */
	SETTING_PORT,   /* uint16_t */
	SETTING_TIME,   /* uint64_t µs: seconds, fractions allowed, or with us, ms, s, min, h, d */
	SETTING_SIZE,   /* uint64_t bytes: or with kB, MB, GB (powers of 1024) */
	SETTING_ENUM,   /* unsigned (any enum): one of `words`, upper or lower case */
	SETTING_MASK,   /* uint32_t: `words` joined by commas or colons; their bits or'ed */
	SETTING_STRING, /* const char * */
	SETTING_LIST,   /* struct conf_list: names joined by commas */
	SETTING_NONE,   /* no field: a PgBouncer key without effect here; `note` says why */
};

enum setting_group {
	SETTING_GROUP_PROCESS,
	SETTING_GROUP_LISTEN,
	SETTING_GROUP_AUTH,
	SETTING_GROUP_POOL,
	SETTING_GROUP_SERVER,
	SETTING_GROUP_CLIENT,
	SETTING_GROUP_ROUTING,
	SETTING_GROUP_CLIENT_TLS,
	SETTING_GROUP_SERVER_TLS,
	SETTING_GROUP_LOG,
	SETTING_GROUP_NET,
	SETTING_GROUP_TARGET,  /* per database: where and as whom */
	SETTING_GROUP_LIMIT,   /* per database and user */
	SETTING_GROUP_SESSION, /* per database: what a server connection starts with */
};
#define SETTING_GROUPS 14u

enum {
	SETTING_RESTART = 1, /* fixed at the start; a reload keeps the old value */
	SETTING_SECRET = 2,  /* never shown */
	SETTING_OURS = 4,    /* not a key of PgBouncer */
};

struct setting_word {
	const char *name; /* NULL ends the list */
	uint32_t value;
};

struct setting {
	const char *name;
	enum setting_scope scope;
	enum setting_group group;
	enum setting_type type;
	uint32_t flags;
	uint32_t offset;      /* in struct conf, conf_db, conf_user or conf_peer */
	uint32_t field_len;   /* bytes of the field there; 0 for SETTING_NONE */
	const char *def;      /* as text; NULL: the field's "unset" (databases and users) */
	const char *def_weir; /* in a [pgweir] file, where it differs; else NULL */
	uint64_t min, max;    /* in the field's unit; numbers only */
	const char *unit;     /* of a number without one, for help; or NULL */
	const struct setting_word *words;
	const char *alias_of; /* another spelling of this key, without a row's other parts */
	const char *help;     /* one line, no full stop */
	const char *note;     /* told when the key is used, or NULL */
};

/* The table, sorted by scope, then name. */
extern const struct setting settings[];
extern const size_t n_settings;

/* The row of `name`, aliases followed; NULL if unknown. */
const struct setting *settings_find(enum setting_scope scope, const char *name);

/* The known key nearest to `name` by edit distance, or NULL if none is near. */
const char *settings_nearest(enum setting_scope scope, const char *name);

const char *setting_default(const struct setting *s, bool is_pgbouncer); /* NULL: unset */

/* Words for messages and documents. */
const char *setting_scope_name(enum setting_scope scope); /* "[pgweir]", "[databases]" … */
const char *setting_group_name(enum setting_group group); /* "Pools" … */

#endif
