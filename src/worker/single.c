#include "worker/single.h"

#include <string.h>

#include "proto/frame.h"
#include "proto/frontend.h"

/* The text of the statement that a Bind without a Parse names. */
static bool bound_text(struct client *c, const struct msg_bind *bind, struct single *out)
{
	const struct stmt_name *name;

	if (bind->stmt_len == 0)
		return false; /* rare enough for the server */
	name = c->verbatim ? NULL : stmt_names_find(&c->names, bind->stmt);
	if (name == NULL || name->stmt->is_sql)
		return false;
	out->sql = name->stmt->query;
	out->sql_len = name->stmt->query_len;
	out->is_prepared = true;
	return true;
}

/*
 * The messages Parse "" - Bind "" "" without values - [Describe] - Execute "" and what `order` has
 * behind them, or the same of a named statement without the Parse. Returns their length, 0 if there
 * are others.
 */
static uint32_t read_series(
	struct client *c, const uint8_t *data, uint32_t len, const char *order, struct single *out)
{
	const char *want = len != 0 && data[0] == 'B' ? order + 1 : order;
	bool parsed = *want == 'P';
	struct msg_bind_tail tail;
	struct msg_target target;
	struct msg_parse parse;
	struct msg_bind bind;
	struct frame f;
	uint32_t at = 0;

	for (; at < len && *want != '\0'; at += f.total) {
		struct rd body;

		if (frame_peek(data + at, len - at, FRAME_LEN_MAX, &f) != OK)
			return 0;
		if (*want == 'D' && f.type != 'D')
			want++;
		if (f.type != (uint8_t)*want)
			return 0;
		body = frame_body(data + at, &f);
		if (f.type == 'P' &&
			(frontend_read_parse(body, &parse) != OK || parse.name_len != 0))
			return 0;
		if (f.type == 'B') {
			if (frontend_read_bind(body, (uint32_t)body.left, &bind) != OK ||
				bind.portal_len != 0 || (parsed && bind.stmt_len != 0) ||
				(!parsed && !bound_text(c, &bind, out)))
				return 0;
			rd_skip(&body, bind.tail_at);
			if (frontend_read_bind_tail(body, &tail) != OK || tail.n_values != 0)
				return 0;
		}
		if (f.type == 'D') {
			if (frontend_read_target(body, &target) != OK || target.name_len != 0)
				return 0;
			out->describes_stmt = target.kind == 'S';
			out->describes_portal = target.kind == 'P';
		}
		if (f.type == 'E' && (body.left == 0 || body.p[0] != '\0'))
			return 0;
		want++;
	}
	if (*want != '\0')
		return 0;
	if (parsed) {
		out->sql = parse.sql;
		out->sql_len = parse.sql_len;
	}
	out->is_extended = true;
	return at;
}

uint32_t single_read_first(struct client *c, const uint8_t *data, struct single *out)
{
	memset(out, 0, offsetof(struct single, verdict));
	return c->busy->unit.is_simple ? 0 : read_series(c, data, c->busy->unit.len, "PBDE", out);
}

bool single_read(struct client *c, const uint8_t *data, struct single *out)
{
	struct msg_query q;
	struct frame f;

	memset(out, 0, offsetof(struct single, verdict));
	if (!c->busy->unit.is_simple)
		return read_series(c, data, c->busy->unit.len, "PBDES", out) == c->busy->unit.len;
	if (frame_peek(data, c->busy->unit.len, FRAME_LEN_MAX, &f) != OK ||
		frontend_read_query(frame_body(data, &f), &q) != OK)
		return false;
	out->sql = q.sql;
	out->sql_len = q.sql_len;
	return true;
}

bool single_sets_locally(
	const struct client *c, const struct single *u, char name[SETTINGS_NAME_MAX + 1])
{
	const struct sql_effect *e = &u->verdict.effects[0];
	size_t len;

	return (e->flags & SQL_EFFECT_LOCAL) != 0 &&
	       (e->flags & (SQL_EFFECT_UNTRACKED | SQL_EFFECT_CUSTOM)) == 0 &&
	       sql_effect_name(u->sql, c->sql_opts, e, name, SETTINGS_NAME_MAX + 1, &len) == OK &&
	       baseline_get(&c->acc->baseline, name) == NULL;
}
