#include "state/clean.h"

#include <stdio.h>
#include <string.h>

#define BIT(kind) (1u << (kind))

static const struct {
	const char *name, *sql;
} kinds[CLEAN_KIND_COUNT] = {
	[CLEAN_CURSORS] = {"cursors", "CLOSE ALL;"},
	[CLEAN_CHANNELS] = {"channels", "UNLISTEN *;"},
	[CLEAN_LOCKS] = {"locks", "SELECT pg_catalog.pg_advisory_unlock_all();"},
	[CLEAN_TEMP] = {"temp", "DISCARD TEMP;"},
	[CLEAN_SEED] = {"seed", NULL},
	[CLEAN_STATEMENTS] = {"statements", "DEALLOCATE ALL;"},
	[CLEAN_SETTINGS] = {"settings", "RESET ALL;"},
	[CLEAN_ALL] = {"all", "DISCARD ALL"},
	[CLEAN_RESET_QUERY] = {"reset_query", NULL},
	[CLEAN_CLOSE] = {"close", NULL},
};

const char *clean_kind_name(enum clean_kind k)
{
	return (unsigned)k < CLEAN_KIND_COUNT ? kinds[k].name : "?";
}

uint32_t clean_sql(uint32_t mask, double seed, char *out)
{
	size_t n = 0;

	mask &= CLEANED_BY_DISCARD | CLEAN(SEED);
	PANIC_IF(mask == 0);
	if (mask & CLEAN(ALL)) {
		memcpy(out, kinds[CLEAN_ALL].sql, strlen(kinds[CLEAN_ALL].sql) + 1);
		return mask & CLEANED_BY_DISCARD;
	}
	for (unsigned k = 0; k < CLEAN_ALL; k++) {
		if ((mask & BIT(k)) == 0)
			continue;
		if (k == CLEAN_SEED)
			n += (size_t)snprintf(out + n, CLEAN_SQL_MAX - n,
				"SELECT pg_catalog.setseed(%.17f);", seed);
		else
			n += (size_t)snprintf(out + n, CLEAN_SQL_MAX - n, "%s", kinds[k].sql);
		PANIC_IF(n >= CLEAN_SQL_MAX);
	}
	return mask;
}
