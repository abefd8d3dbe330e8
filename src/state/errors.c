#include "state/errors.h"

#include <string.h>

const char *error_source_name(enum error_source source)
{
	static const char *const names[ERROR_SOURCES] = {
		[ERROR_SERVER] = "server",
		[ERROR_PGWEIR] = "pgweir",
		[ERROR_REPLAYED] = "replayed",
	};

	return names[source];
}

static bool is_sqlstate(const char *s)
{
	size_t n = strspn(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n == 5 && s[n] == '\0';
}

static struct error_count *find(struct errors *t, const char *sqlstate, enum error_source source)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->at[i].source == source && memcmp(t->at[i].sqlstate, sqlstate, 6) == 0)
			return &t->at[i];
	return NULL;
}

void errors_note(struct errors *t, const char *sqlstate, enum error_source source, uint64_t now_us)
{
	struct error_count *e;

	if (!is_sqlstate(sqlstate))
		sqlstate = "other";
	e = find(t, sqlstate, source);
	if (e == NULL && t->n >= ERRORS_MAX) {
		sqlstate = "other";
		e = find(t, sqlstate, source);
	}
	if (e == NULL) {
		e = &t->at[t->n++];
		memcpy(e->sqlstate, sqlstate, 6);
		e->source = (uint8_t)source;
	}
	e->n++;
	e->seen_us = now_us;
}
