#include "worker/activity.h"

#include "proto/frame.h"
#include "proto/frontend.h"
#include "sql/fingerprint.h"

struct text {
	const char *sql; /* NULL: not known */
	size_t len;
};

static struct text named(const struct client *c, const char *name)
{
	const struct stmt_name *n = c->verbatim ? NULL : stmt_names_find(&c->names, name);

	if (n == NULL || n->stmt == NULL)
		return (struct text){NULL, 0};
	return (struct text){n->stmt->query, n->stmt->query_len};
}

/* Of the kept Parse: a name without a letter, then the text. */
static struct text unnamed(const struct client *c)
{
	if (c->unnamed == NULL || c->unnamed->len < 2)
		return (struct text){NULL, 0};
	return (struct text){(const char *)c->unnamed->body + 1,
		strnlen((const char *)c->unnamed->body + 1, c->unnamed->len - 1)};
}

/* What follows the first string of a message whose end may be cut off. */
static struct text after_string(const uint8_t *p, size_t len)
{
	size_t n = strnlen((const char *)p, len) + 1;

	if (n > len)
		return (struct text){NULL, 0};
	return (struct text){(const char *)p + n, strnlen((const char *)p + n, len - n)};
}

static struct text of_message(const struct client *c, uint8_t type, const uint8_t *p, size_t len)
{
	struct text t = {NULL, 0};

	if (type == FRONTEND_QUERY)
		return (struct text){(const char *)p, strnlen((const char *)p, len)};
	if (type == FRONTEND_PARSE)
		return after_string(p, len);
	if (type != FRONTEND_BIND || (t = after_string(p, len)).sql == NULL)
		return t;
	return t.len == 0 ? unnamed(c) : named(c, t.sql);
}

uint64_t activity_fingerprint(const struct client *c)
{
	const struct server *s = c->server;
	char copy[ACTIVITY_LEN_MAX + 1];
	struct text t = {NULL, 0};
	struct frame f;

	for (size_t at = 0; s != NULL && t.sql == NULL && at < s->unit_head_len; at += f.total) {
		size_t left = s->unit_head_len - at;

		if (frame_peek(s->unit_head + at, left, FRAME_LEN_MAX, &f) != OK)
			break;
		t = of_message(c, f.type, s->unit_head + at + FRAME_HEAD_LEN,
			(f.total < left ? f.total : left) - FRAME_HEAD_LEN);
	}
	if (t.sql == NULL)
		return 0;
	if (t.len > ACTIVITY_LEN_MAX)
		t.len = ACTIVITY_LEN_MAX;
	memcpy(copy, t.sql, t.len);
	copy[t.len] = '\0';
	return sql_fingerprint(copy, t.len, c->sql_opts & SQL_STD_STRINGS);
}
