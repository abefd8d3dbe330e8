#include "worker/set_call.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/guc.h"

/* One value of a Bind. */
struct bound {
	const char *p; /* NULL: there is none, or it is NULL */
	uint32_t len;
	bool binary;
};

static struct bound bound_value(const struct msg_bind_tail *t, uint16_t number)
{
	struct bound b = {.p = NULL};
	struct rd r;

	if (t == NULL || number == 0 || number > t->n_values)
		return b;
	/* frontend_read_bind_tail has seen that all of them are there. */
	r = rd_of(t->values, SIZE_MAX / 2);
	for (uint16_t i = 1;; i++) {
		uint32_t len = rd_u32(&r);

		if (i == number && len == UINT32_MAX)
			return b;
		if (i == number) {
			b.len = len;
			b.p = (const char *)rd_bytes(&r, len);
			break;
		}
		if (len != UINT32_MAX)
			rd_skip(&r, len);
	}
	if (t->n_formats != 0) {
		uint16_t at = t->n_formats == 1 ? 0 : (uint16_t)(number - 1);

		b.binary = t->formats[2u * at + 1] != 0;
	}
	return b;
}

/* A boolean as PostgreSQL reads it: true, yes, on, 1 and their like, or one byte. */
static enum set_local local_of(const struct bound *b)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	if (b->p == NULL || b->len == 0)
		return SET_LOCAL_UNKNOWN;
	if (b->binary)
		return b->len != 1 ? SET_LOCAL_UNKNOWN : *b->p != 0 ? SET_LOCAL_YES : SET_LOCAL_NO;
	if (b->len == 1 && (*b->p == 'o' || *b->p == 'O'))
		return SET_LOCAL_UNKNOWN;
	for (size_t i = 0; i < 4; i++) {
		if (b->len <= strlen(yes[i]) && strncasecmp(b->p, yes[i], b->len) == 0)
			return SET_LOCAL_YES;
		if (b->len <= strlen(no[i]) && strncasecmp(b->p, no[i], b->len) == 0)
			return SET_LOCAL_NO;
	}
	return SET_LOCAL_UNKNOWN;
}

static void read_name(const char *sql, uint32_t opts, const struct sql_effect *e,
	const struct msg_bind_tail *values, char name[SETTINGS_NAME_MAX + 1])
{
	struct bound b = bound_value(values, e->name_param);
	char folded[GUC_NAME_MAX + 1];
	size_t len;
	enum status st;

	name[0] = '\0';
	if (e->name_param != 0)
		st = b.p != NULL ? guc_name_fold(b.p, b.len, folded) : E_NOTFOUND;
	else
		st = sql_effect_name(sql, opts, e, folded, sizeof folded, &len);
	if (st == OK && strlen(folded) <= SETTINGS_NAME_MAX)
		memcpy(name, folded, strlen(folded) + 1);
}

static char *read_value(const char *sql, uint32_t opts, const struct sql_effect *e,
	const struct msg_bind_tail *values)
{
	struct bound b = bound_value(values, e->value_param);
	char *text;
	size_t len;

	if (e->value_param != 0) {
		if (b.p == NULL || b.len > SETTINGS_VALUE_MAX || memchr(b.p, '\0', b.len) != NULL)
			return NULL;
		return strndup(b.p, b.len);
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
		struct bound b = bound_value(values, e->local_param);

		out->local = local_of(&b);
	} else {
		out->local = e->flags & SQL_EFFECT_LOCAL ? SET_LOCAL_YES : SET_LOCAL_NO;
	}
	/* What ends with the transaction leaves no value. */
	out->value = out->local == SET_LOCAL_NO ? read_value(sql, opts, e, values) : NULL;
}
