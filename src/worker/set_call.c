#include "worker/set_call.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/guc.h"

static struct bind_value bound_value(const struct msg_bind_tail *t, uint16_t number)
{
	static const struct msg_bind_tail none = {.n_values = 0};

	return frontend_bind_value(t != NULL ? t : &none, number);
}

/* A boolean as PostgreSQL reads it: true, yes, on, 1 and their like, or one byte. */
static enum set_local local_of(const struct bind_value *b)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};
	const char *text;

	if (b->p == NULL || b->len == 0)
		return SET_LOCAL_UNKNOWN;
	if (b->binary)
		return b->len != 1 ? SET_LOCAL_UNKNOWN : *b->p != 0 ? SET_LOCAL_YES : SET_LOCAL_NO;
	text = (const char *)b->p;
	if (b->len == 1 && (*text == 'o' || *text == 'O'))
		return SET_LOCAL_UNKNOWN;
	for (size_t i = 0; i < 4; i++) {
		if (b->len <= strlen(yes[i]) && strncasecmp(text, yes[i], b->len) == 0)
			return SET_LOCAL_YES;
		if (b->len <= strlen(no[i]) && strncasecmp(text, no[i], b->len) == 0)
			return SET_LOCAL_NO;
	}
	return SET_LOCAL_UNKNOWN;
}

static void read_name(const char *sql, uint32_t opts, const struct sql_effect *e,
	const struct msg_bind_tail *values, char name[SETTINGS_NAME_MAX + 1])
{
	struct bind_value b = bound_value(values, e->name_param);
	char folded[GUC_NAME_MAX + 1];
	size_t len;
	enum status st;

	name[0] = '\0';
	if (e->name_param != 0)
		st = b.p != NULL ? guc_name_fold((const char *)b.p, b.len, folded) : E_NOTFOUND;
	else
		st = sql_effect_name(sql, opts, e, folded, sizeof folded, &len);
	if (st == OK && strlen(folded) <= SETTINGS_NAME_MAX)
		memcpy(name, folded, strlen(folded) + 1);
}

static char *read_value(const char *sql, uint32_t opts, const struct sql_effect *e,
	const struct msg_bind_tail *values)
{
	struct bind_value b = bound_value(values, e->value_param);
	char *text;
	size_t len;

	if (e->value_param != 0) {
		if (b.p == NULL || b.len > SETTINGS_VALUE_MAX || memchr(b.p, '\0', b.len) != NULL)
			return NULL;
		return strndup((const char *)b.p, b.len);
	}
	if (e->value.len == 0 || (text = malloc(SETTINGS_VALUE_MAX + 1)) == NULL)
		return NULL;
	if (sql_effect_value(sql, opts, e, text, SETTINGS_VALUE_MAX + 1, &len) == OK) {
		char *fit = realloc(text, len + 1);

		return fit != NULL ? fit : text;
	}
	free(text);
	return NULL;
}

void set_call_read(const char *sql, uint32_t opts, const struct sql_effect *e,
	const struct msg_bind_tail *values, struct set_call *out)
{
	read_name(sql, opts, e, values, out->name);
	if ((e->flags & SQL_EFFECT_MAYBE_LOCAL) != 0) {
		out->local = SET_LOCAL_UNKNOWN;
	} else if (e->local_param != 0) {
		struct bind_value b = bound_value(values, e->local_param);

		out->local = local_of(&b);
	} else {
		out->local = e->flags & SQL_EFFECT_LOCAL ? SET_LOCAL_YES : SET_LOCAL_NO;
	}
	/* What ends with the transaction leaves no value, but what was made on its search_path. */
	out->value = out->local == SET_LOCAL_NO || strcmp(out->name, "search_path") == 0
			     ? read_value(sql, opts, e, values)
			     : NULL;
}
