#include "proto/frontend.h"

#include "proto/frame.h"

#define SESSION  FRONTEND_IN_SESSION
#define COPY     (FRONTEND_IN_SESSION | FRONTEND_IN_COPY)
#define EXTENDED (FRONTEND_IN_SESSION | FRONTEND_IS_EXTENDED)
#define SMALL    FRONTEND_IS_SMALL
#define IS_COPY  FRONTEND_IS_COPY
#define UNIT_END FRONTEND_ENDS_UNIT

const struct frontend_info frontend_infos[256] = {
	[FRONTEND_BIND] = {FRAME_LEN_MAX, EXTENDED},
	[FRONTEND_CLOSE] = {FRONTEND_SMALL_MAX, EXTENDED | SMALL},
	[FRONTEND_COPY_DATA] = {FRAME_LEN_MAX, COPY | IS_COPY},
	[FRONTEND_COPY_DONE] = {FRONTEND_SMALL_MAX, COPY | IS_COPY | SMALL},
	[FRONTEND_COPY_FAIL] = {FRONTEND_SMALL_MAX, COPY | IS_COPY | SMALL},
	[FRONTEND_DESCRIBE] = {FRONTEND_SMALL_MAX, EXTENDED | SMALL},
	[FRONTEND_EXECUTE] = {FRONTEND_SMALL_MAX, EXTENDED | SMALL},
	[FRONTEND_FLUSH] = {FRONTEND_SMALL_MAX, EXTENDED | COPY | SMALL},
	[FRONTEND_FUNCTION_CALL] = {FRAME_LEN_MAX, SESSION | UNIT_END},
	[FRONTEND_PARSE] = {FRAME_LEN_MAX, EXTENDED},
	[FRONTEND_PASSWORD] = {FRONTEND_PASSWORD_MAX, FRONTEND_IN_LOGIN},
	[FRONTEND_QUERY] = {FRAME_LEN_MAX, SESSION | UNIT_END},
	[FRONTEND_SYNC] = {FRONTEND_SMALL_MAX, EXTENDED | COPY | SMALL | UNIT_END},
	[FRONTEND_TERMINATE] = {FRONTEND_SMALL_MAX, COPY | SMALL},
};

/* Next string and its length, without the NUL. */
static const char *read_text(struct rd *r, uint32_t *len)
{
	const uint8_t *start = r->p;
	const char *s = rd_cstr(r);

	*len = r->bad ? 0 : (uint32_t)(r->p - start) - 1u;
	return s;
}

static enum status whole(const struct rd *r)
{
	return r->bad || r->left != 0 ? E_PROTO : OK;
}

enum status frontend_read_query(struct rd body, struct msg_query *out)
{
	out->sql = read_text(&body, &out->sql_len);
	return whole(&body);
}

enum status frontend_read_parse(struct rd body, struct msg_parse *out)
{
	out->name = read_text(&body, &out->name_len);
	out->tail_at = out->name_len + 1u;
	out->sql = read_text(&body, &out->sql_len);
	out->n_types = rd_u16(&body);
	out->types = rd_bytes(&body, 4u * (size_t)out->n_types);
	return whole(&body);
}

enum status frontend_read_parse_head(struct rd part, uint32_t body_len, struct msg_parse *out)
{
	bool more = part.left < body_len;

	PANIC_IF(part.left > body_len);
	out->name = read_text(&part, &out->name_len);
	out->tail_at = out->name_len + 1u;
	if (part.bad)
		return more ? E_AGAIN : E_PROTO;
	return OK;
}

enum status frontend_read_bind(struct rd part, uint32_t body_len, struct msg_bind *out)
{
	bool more = part.left < body_len;

	PANIC_IF(part.left > body_len);
	out->portal = read_text(&part, &out->portal_len);
	out->stmt = read_text(&part, &out->stmt_len);
	out->tail_at = out->portal_len + out->stmt_len + 2u;
	if (part.bad)
		return more ? E_AGAIN : E_PROTO;
	return OK;
}

/* Int16 count and that many Int16 format codes. */
static const uint8_t *read_formats(struct rd *r, uint16_t *n)
{
	*n = rd_u16(r);
	return rd_bytes(r, 2u * (size_t)*n);
}

/* Int16 count and that many values: Int32 length and bytes, or length -1 alone. */
static const uint8_t *read_values(struct rd *r, uint16_t *n)
{
	const uint8_t *start;

	*n = rd_u16(r);
	start = r->p;
	for (uint32_t i = 0; i < *n && !r->bad; i++) {
		uint32_t len = rd_u32(r);

		if (len != UINT32_MAX)
			rd_skip(r, len);
	}
	return start;
}

/* One format for all, or one for each. */
static bool formats_fit(uint16_t n_formats, uint16_t n_values)
{
	return n_formats <= 1 || n_formats == n_values;
}

enum status frontend_read_bind_tail(struct rd tail, struct msg_bind_tail *out)
{
	out->formats = read_formats(&tail, &out->n_formats);
	out->values = read_values(&tail, &out->n_values);
	out->result_formats = read_formats(&tail, &out->n_result_formats);
	if (!formats_fit(out->n_formats, out->n_values))
		return E_PROTO;
	return whole(&tail);
}

struct bind_value frontend_bind_value(const struct msg_bind_tail *t, uint16_t number)
{
	struct bind_value v = {.p = NULL};
	struct rd r;

	if (number == 0 || number > t->n_values)
		return v;
	r = rd_of(t->values, SIZE_MAX / 2); /* frontend_read_bind_tail has seen them all */
	for (uint16_t i = 1; i < number; i++) {
		uint32_t len = rd_u32(&r);

		rd_skip(&r, len != UINT32_MAX ? len : 0);
	}
	v.len = rd_u32(&r);
	if (v.len != UINT32_MAX)
		v.p = rd_bytes(&r, v.len);
	else
		v.len = 0;
	if (t->n_formats != 0) {
		uint16_t at = t->n_formats == 1 ? 0 : (uint16_t)(number - 1);

		v.binary = t->formats[2u * at + 1] != 0;
	}
	return v;
}

enum status frontend_read_target(struct rd body, struct msg_target *out)
{
	out->kind = rd_u8(&body);
	out->name = read_text(&body, &out->name_len);
	if (out->kind != 'S' && out->kind != 'P')
		return E_PROTO;
	return whole(&body);
}

enum status frontend_read_execute(struct rd body, struct msg_execute *out)
{
	out->portal = read_text(&body, &out->portal_len);
	out->rows_max = rd_u32(&body);
	return whole(&body);
}

enum status frontend_read_function_call(struct rd body, struct msg_function_call *out)
{
	uint16_t n_formats;

	out->oid = rd_u32(&body);
	(void)read_formats(&body, &n_formats);
	(void)read_values(&body, &out->n_args);
	(void)rd_u16(&body); /* format of the result */
	if (!formats_fit(n_formats, out->n_args))
		return E_PROTO;
	return whole(&body);
}

enum status frontend_read_password(struct rd body, const char **password)
{
	*password = rd_cstr(&body);
	return whole(&body);
}

enum status frontend_read_sasl_initial(struct rd body, struct msg_sasl_initial *out)
{
	out->mechanism = rd_cstr(&body);
	out->data_len = rd_u32(&body);
	out->data = NULL;
	if (out->data_len == UINT32_MAX)
		out->data_len = 0;
	else
		out->data = rd_bytes(&body, out->data_len);
	return whole(&body);
}

enum status frontend_read_copy_fail(struct rd body, const char **reason)
{
	*reason = rd_cstr(&body);
	return whole(&body);
}
