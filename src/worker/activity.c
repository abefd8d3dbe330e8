#include "worker/activity.h"

#include "proto/frame.h"
#include "proto/frontend.h"
#include "sql/fingerprint.h"
#include "worker/unit.h"

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

/* Of the first statement in these messages, the last of which may be cut off. */
static struct text first_text(const struct client *c, const uint8_t *data, size_t len)
{
	struct text t = {NULL, 0};
	struct frame f;

	for (size_t at = 0; t.sql == NULL && at < len; at += f.total) {
		size_t left = len - at;

		if (frame_peek(data + at, left, FRAME_LEN_MAX, &f) != OK)
			break;
		t = of_message(c, f.type, data + at + FRAME_HEAD_LEN,
			(f.total < left ? f.total : left) - FRAME_HEAD_LEN);
	}
	return t;
}

uint64_t activity_fingerprint(const struct client *c)
{
	const struct server *s = c->server;
	char copy[ACTIVITY_LEN_MAX + 1];
	struct text t = {NULL, 0};

	if (s != NULL)
		t = first_text(c, s->unit_head, s->unit_head_len);
	if (t.sql == NULL)
		return 0;
	if (t.len > ACTIVITY_LEN_MAX)
		t.len = ACTIVITY_LEN_MAX;
	memcpy(copy, t.sql, t.len);
	copy[t.len] = '\0';
	return sql_fingerprint(copy, t.len, c->sql_opts & SQL_STD_STRINGS);
}

void activity_trace(const struct worker *w, const struct client *c, char out[TRACE_SIZE])
{
	size_t len;
	const uint8_t *data = unit_front(w, c, &len);
	struct text t = first_text(c, data, len);

	out[0] = '\0';
	if (t.sql != NULL && trace_read(t.sql, t.len, out))
		return;
	if (len == 0 && c->server != NULL)
		memcpy(out, c->server->trace, TRACE_SIZE);
}
