#include "proto/backend.h"

#include "proto/scram.h"
#include "proto/startup.h"

#define LOGIN   BACKEND_IN_LOGIN
#define SESSION BACKEND_IN_SESSION
#define ASYNC   BACKEND_IS_ASYNC
#define DATA    BACKEND_IS_DATA

const uint8_t backend_flags[256] = {
	[BACKEND_AUTHENTICATION] = LOGIN,
	[BACKEND_BIND_COMPLETE] = SESSION,
	[BACKEND_CLOSE_COMPLETE] = SESSION,
	[BACKEND_COMMAND_COMPLETE] = SESSION,
	[BACKEND_COPY_BOTH_RESPONSE] = SESSION,
	[BACKEND_COPY_DATA] = SESSION | DATA,
	[BACKEND_COPY_DONE] = SESSION,
	[BACKEND_COPY_IN_RESPONSE] = SESSION,
	[BACKEND_COPY_OUT_RESPONSE] = SESSION,
	[BACKEND_DATA_ROW] = SESSION | DATA,
	[BACKEND_EMPTY_QUERY_RESPONSE] = SESSION,
	[BACKEND_ERROR_RESPONSE] = LOGIN | SESSION,
	[BACKEND_FUNCTION_CALL_RESPONSE] = SESSION,
	[BACKEND_KEY_DATA] = LOGIN,
	[BACKEND_NEGOTIATE_PROTOCOL_VERSION] = LOGIN,
	[BACKEND_NO_DATA] = SESSION,
	[BACKEND_NOTICE_RESPONSE] = LOGIN | SESSION | ASYNC,
	[BACKEND_NOTIFICATION_RESPONSE] = SESSION | ASYNC,
	[BACKEND_PARAMETER_DESCRIPTION] = SESSION,
	[BACKEND_PARAMETER_STATUS] = LOGIN | SESSION | ASYNC,
	[BACKEND_PARSE_COMPLETE] = SESSION,
	[BACKEND_PORTAL_SUSPENDED] = SESSION,
	[BACKEND_READY_FOR_QUERY] = LOGIN | SESSION,
	[BACKEND_ROW_DESCRIPTION] = SESSION,
};

static enum status whole(const struct rd *r)
{
	return r->bad || r->left != 0 ? E_PROTO : OK;
}

enum status backend_read_parameter_status(struct rd body, struct msg_parameter_status *out)
{
	out->name = rd_cstr(&body);
	out->value = rd_cstr(&body);
	return whole(&body);
}

enum status backend_read_command_complete(struct rd body, const char **tag)
{
	*tag = rd_cstr(&body);
	return whole(&body);
}

enum status backend_read_key_data(struct rd body, struct msg_key_data *out)
{
	out->pid = rd_u32(&body);
	out->key = body.p;
	out->key_len = (uint32_t)body.left;
	if (body.bad || body.left < STARTUP_KEY_MIN)
		return E_PROTO;
	return body.left <= STARTUP_KEY_MAX ? OK : E_LIMIT;
}

/* A list of names that ends with an empty one. */
static enum status read_mechanisms(struct rd list, struct msg_authentication *out)
{
	const char *name;

	while ((name = rd_cstr(&list))[0] != '\0') {
		out->has_scram |= strcmp(name, SCRAM_MECHANISM) == 0;
		out->has_scram_plus |= strcmp(name, SCRAM_MECHANISM_PLUS) == 0;
	}
	return whole(&list);
}

enum status backend_read_authentication(struct rd body, struct msg_authentication *out)
{
	*out = (struct msg_authentication){.request = rd_u32(&body)};
	out->data = body.p;
	out->data_len = (uint32_t)body.left;
	if (body.bad)
		return E_PROTO;
	switch (out->request) {
	case AUTH_OK:
	case AUTH_CLEARTEXT_PASSWORD:
		return out->data_len == 0 ? OK : E_PROTO;
	case AUTH_MD5_PASSWORD:
		return out->data_len == 4 ? OK : E_PROTO;
	case AUTH_SASL:
		return read_mechanisms(body, out);
	default:
		return OK;
	}
}

enum status backend_read_negotiate(struct rd body, struct msg_negotiate *out)
{
	out->version = rd_u32(&body);
	out->n_names = rd_u32(&body);
	for (uint32_t i = 0; i < out->n_names && !body.bad; i++)
		(void)rd_cstr(&body);
	return whole(&body);
}

enum status backend_read_notification(struct rd body, struct msg_notification *out)
{
	out->pid = rd_u32(&body);
	out->channel = rd_cstr(&body);
	out->payload = rd_cstr(&body);
	return whole(&body);
}

enum status backend_read_parameter_description(
	struct rd body, struct msg_parameter_description *out)
{
	out->n_types = rd_u16(&body);
	out->types = rd_bytes(&body, 4u * (size_t)out->n_types);
	return whole(&body);
}

bool backend_field_next(struct rd *fields, struct msg_field *out)
{
	if (fields->bad || fields->left == 0)
		return false;
	out->name = rd_cstr(fields);
	out->table_oid = rd_u32(fields);
	out->column = rd_u16(fields);
	out->type_oid = rd_u32(fields);
	out->type_len = (int16_t)rd_u16(fields);
	out->type_mod = (int32_t)rd_u32(fields);
	out->format = rd_u16(fields);
	return !fields->bad;
}

enum status backend_read_row_description(struct rd body, struct msg_row_description *out)
{
	struct msg_field field;
	uint32_t n = 0;

	out->n_fields = rd_u16(&body);
	out->fields = body;
	while (backend_field_next(&body, &field))
		n++;
	return body.bad || n != out->n_fields ? E_PROTO : OK;
}
