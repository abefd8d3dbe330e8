#include "worker/unit_stmts.h"

#include <string.h>

#include "proto/frame.h"

static void note_parse(struct unit_stmts *u, struct rd body)
{
	struct msg_parse m;

	if (frontend_read_parse(body, &m) != OK)
		return;
	if (m.name_len == 0) {
		u->unnamed = m.sql;
		u->unnamed_len = m.sql_len;
	} else {
		u->name = m.name;
		u->named = m.sql;
		u->named_len = m.sql_len;
	}
}

static bool text_of(struct unit_stmts *u, const struct msg_bind *m, struct unit_stmt *out)
{
	struct client *c = (struct client *)(uintptr_t)u->c;
	const struct stmt_name *known;
	struct msg_parse kept;

	if (m->stmt_len == 0 && u->unnamed != NULL) {
		out->sql = u->unnamed;
		out->len = u->unnamed_len;
		out->in_unit = true;
		return true;
	}
	if (m->stmt_len == 0) {
		if (c->unnamed == NULL || c->unnamed->len == 0 ||
			frontend_read_parse(rd_of(c->unnamed->body, c->unnamed->len), &kept) != OK)
			return false;
		out->sql = kept.sql;
		out->len = kept.sql_len;
		return true;
	}
	if (u->name != NULL && strcmp(u->name, m->stmt) == 0) {
		out->sql = u->named;
		out->len = u->named_len;
		return true;
	}
	known = c->verbatim ? NULL : stmt_names_find(&c->names, m->stmt);
	if (known == NULL || known->stmt->is_sql)
		return false;
	out->sql = known->stmt->query;
	out->len = known->stmt->query_len;
	return true;
}

static bool take_bind(struct unit_stmts *u, struct rd body, struct unit_stmt *out)
{
	struct msg_bind m;

	if (frontend_read_bind(body, (uint32_t)body.left, &m) != OK || !text_of(u, &m, out))
		return false;
	rd_skip(&body, m.tail_at);
	out->bound = frontend_read_bind_tail(body, &out->values) == OK;
	return out->bound;
}

bool unit_stmts_next(struct unit_stmts *u, struct unit_stmt *out)
{
	struct msg_query q;
	struct frame f;
	struct rd body;

	for (; u->at < u->c->busy->unit.len; u->at += f.total) {
		bool found = false;

		if (frame_peek(u->data + u->at, u->c->busy->unit.len - u->at, FRAME_LEN_MAX, &f) !=
			OK)
			return false;
		body = frame_body(u->data + u->at, &f);
		*out = (struct unit_stmt){.sql = NULL};
		if (f.type == FRONTEND_PARSE) {
			note_parse(u, body);
		} else if (f.type == FRONTEND_BIND) {
			found = take_bind(u, body, out);
		} else if (f.type == FRONTEND_QUERY && frontend_read_query(body, &q) == OK) {
			out->sql = q.sql;
			out->len = q.sql_len;
			out->in_unit = true;
			found = true;
		}
		if (found && out->len <= SQL_LEN_MAX) {
			u->at += f.total;
			return true;
		}
	}
	return false;
}
