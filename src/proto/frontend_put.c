/* The builders of frontend.h. */
#include "proto/frame.h"
#include "proto/frontend.h"

static void put_text(struct wr *w, char type, const char *text)
{
	size_t mark = wr_msg(w, type);

	wr_cstr(w, text);
	wr_end(w, mark);
}

static void put_target(struct wr *w, char type, uint8_t kind, const char *name)
{
	size_t mark = wr_msg(w, type);

	PANIC_IF(kind != 'S' && kind != 'P');
	wr_u8(w, kind);
	wr_cstr(w, name);
	wr_end(w, mark);
}

static void put_empty(struct wr *w, char type)
{
	wr_end(w, wr_msg(w, type));
}

/* Type and length of a message whose body does not all come from here. */
static void put_head(struct wr *w, char type, uint64_t body_len)
{
	if (body_len + 4u > FRAME_LEN_MAX)
		w->bad = true;
	wr_u8(w, (uint8_t)type);
	wr_u32(w, (uint32_t)(body_len + 4u));
}

void frontend_put_query(struct wr *w, const char *sql)
{
	put_text(w, FRONTEND_QUERY, sql);
}

void frontend_put_parse(struct wr *w, const char *name, const char *sql, uint32_t sql_len,
	const uint8_t *types, uint16_t n_types)
{
	size_t mark = wr_msg(w, FRONTEND_PARSE);

	wr_cstr(w, name);
	wr_bytes(w, sql, sql_len);
	wr_u8(w, 0);
	wr_u16(w, n_types);
	wr_bytes(w, types, 4u * (size_t)n_types);
	wr_end(w, mark);
}

void frontend_put_parse_head(
	struct wr *w, const struct msg_parse *m, uint32_t body_len, const char *name)
{
	size_t name_len = strlen(name);

	PANIC_IF(m->tail_at > body_len);
	put_head(w, FRONTEND_PARSE, (uint64_t)(body_len - m->tail_at) + name_len + 1u);
	wr_bytes(w, name, name_len + 1);
}

void frontend_put_bind_head(
	struct wr *w, const struct msg_bind *m, uint32_t body_len, const char *stmt)
{
	size_t stmt_len = strlen(stmt);
	uint64_t tail_len;

	PANIC_IF(m->tail_at > body_len);
	tail_len = body_len - m->tail_at;
	put_head(w, FRONTEND_BIND, tail_len + m->portal_len + stmt_len + 2u);
	wr_bytes(w, m->portal, m->portal_len + 1u);
	wr_bytes(w, stmt, stmt_len + 1);
}

void frontend_put_describe(struct wr *w, uint8_t kind, const char *name)
{
	put_target(w, FRONTEND_DESCRIBE, kind, name);
}

void frontend_put_close(struct wr *w, uint8_t kind, const char *name)
{
	put_target(w, FRONTEND_CLOSE, kind, name);
}

void frontend_put_execute(struct wr *w, const char *portal, uint32_t rows_max)
{
	size_t mark = wr_msg(w, FRONTEND_EXECUTE);

	wr_cstr(w, portal);
	wr_u32(w, rows_max);
	wr_end(w, mark);
}

void frontend_put_flush(struct wr *w)
{
	put_empty(w, FRONTEND_FLUSH);
}

void frontend_put_sync(struct wr *w)
{
	put_empty(w, FRONTEND_SYNC);
}

void frontend_put_terminate(struct wr *w)
{
	put_empty(w, FRONTEND_TERMINATE);
}

void frontend_put_copy_fail(struct wr *w, const char *reason)
{
	put_text(w, FRONTEND_COPY_FAIL, reason);
}

void frontend_put_password(struct wr *w, const char *password)
{
	put_text(w, FRONTEND_PASSWORD, password);
}

void frontend_put_sasl_initial(
	struct wr *w, const char *mechanism, const uint8_t *data, uint32_t data_len)
{
	size_t mark = wr_msg(w, FRONTEND_PASSWORD);

	wr_cstr(w, mechanism);
	wr_u32(w, data != NULL ? data_len : UINT32_MAX);
	if (data != NULL)
		wr_bytes(w, data, data_len);
	wr_end(w, mark);
}

void frontend_put_sasl_response(struct wr *w, const uint8_t *data, uint32_t data_len)
{
	size_t mark = wr_msg(w, FRONTEND_PASSWORD);

	wr_bytes(w, data, data_len);
	wr_end(w, mark);
}
