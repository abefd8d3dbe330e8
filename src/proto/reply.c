#include "proto/reply.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/backend.h"
#include "proto/scram.h"
#include "proto/startup.h"

static void put_empty(struct wr *w, char type)
{
	wr_end(w, wr_msg(w, type));
}

static void put_text(struct wr *w, char type, const char *text)
{
	size_t mark = wr_msg(w, type);

	wr_cstr(w, text);
	wr_end(w, mark);
}

/* AuthenticationXxx: the request and what belongs to it. */
static void put_auth(struct wr *w, enum auth_request request, const void *data, size_t len)
{
	size_t mark = wr_msg(w, BACKEND_AUTHENTICATION);

	wr_u32(w, request);
	wr_bytes(w, data, len);
	wr_end(w, mark);
}

void reply_put_auth_ok(struct wr *w)
{
	put_auth(w, AUTH_OK, NULL, 0);
}

void reply_put_auth_cleartext(struct wr *w)
{
	put_auth(w, AUTH_CLEARTEXT_PASSWORD, NULL, 0);
}

void reply_put_auth_md5(struct wr *w, const uint8_t salt[4])
{
	put_auth(w, AUTH_MD5_PASSWORD, salt, 4);
}

void reply_put_auth_sasl(struct wr *w, bool plus)
{
	static const char list[] = SCRAM_MECHANISM_PLUS "\0" SCRAM_MECHANISM "\0";
	size_t skip = plus ? 0 : sizeof SCRAM_MECHANISM_PLUS;

	put_auth(w, AUTH_SASL, list + skip, sizeof list - skip);
}

void reply_put_auth_sasl_continue(struct wr *w, const uint8_t *data, size_t len)
{
	put_auth(w, AUTH_SASL_CONTINUE, data, len);
}

void reply_put_auth_sasl_final(struct wr *w, const uint8_t *data, size_t len)
{
	put_auth(w, AUTH_SASL_FINAL, data, len);
}

void reply_put_key_data(struct wr *w, uint32_t pid, const uint8_t *key, size_t key_len)
{
	size_t mark = wr_msg(w, BACKEND_KEY_DATA);

	PANIC_IF(key_len < STARTUP_KEY_MIN || key_len > STARTUP_KEY_MAX);
	wr_u32(w, pid);
	wr_bytes(w, key, key_len);
	wr_end(w, mark);
}

void reply_put_parameter_status(struct wr *w, const char *name, const char *value)
{
	size_t mark = wr_msg(w, BACKEND_PARAMETER_STATUS);

	wr_cstr(w, name);
	wr_cstr(w, value);
	wr_end(w, mark);
}

void reply_put_ready(struct wr *w, char txn_status)
{
	size_t mark = wr_msg(w, BACKEND_READY_FOR_QUERY);

	PANIC_IF(txn_status != 'I' && txn_status != 'T' && txn_status != 'E');
	wr_u8(w, (uint8_t)txn_status);
	wr_end(w, mark);
}

void reply_put_command_complete(struct wr *w, const char *tag)
{
	put_text(w, BACKEND_COMMAND_COMPLETE, tag);
}

void reply_put_command_complete_n(struct wr *w, const char *tag, uint64_t n)
{
	size_t mark = wr_msg(w, BACKEND_COMMAND_COMPLETE);
	char digits[24];

	snprintf(digits, sizeof digits, "%" PRIu64, n);
	wr_str(w, tag);
	wr_u8(w, ' ');
	wr_cstr(w, digits);
	wr_end(w, mark);
}

void reply_put_empty_query(struct wr *w)
{
	put_empty(w, BACKEND_EMPTY_QUERY_RESPONSE);
}

void reply_put_parse_complete(struct wr *w)
{
	put_empty(w, BACKEND_PARSE_COMPLETE);
}

void reply_put_bind_complete(struct wr *w)
{
	put_empty(w, BACKEND_BIND_COMPLETE);
}

void reply_put_close_complete(struct wr *w)
{
	put_empty(w, BACKEND_CLOSE_COMPLETE);
}

void reply_put_no_data(struct wr *w)
{
	put_empty(w, BACKEND_NO_DATA);
}

void reply_put_portal_suspended(struct wr *w)
{
	put_empty(w, BACKEND_PORTAL_SUSPENDED);
}

void reply_put_parameter_description(struct wr *w, const uint32_t *types, uint16_t n_types)
{
	size_t mark = wr_msg(w, BACKEND_PARAMETER_DESCRIPTION);

	wr_u16(w, n_types);
	for (uint32_t i = 0; i < n_types; i++)
		wr_u32(w, types[i]);
	wr_end(w, mark);
}

void reply_put_notification(struct wr *w, uint32_t pid, const char *channel, const char *payload)
{
	size_t mark = wr_msg(w, BACKEND_NOTIFICATION_RESPONSE);

	wr_u32(w, pid);
	wr_cstr(w, channel);
	wr_cstr(w, payload);
	wr_end(w, mark);
}

/* pg_type.typlen of the types of reply.h; -1: of any length. */
static int16_t type_len(uint32_t oid)
{
	switch (oid) {
	case REPLY_TYPE_BOOL:
		return 1;
	case REPLY_TYPE_INT4:
		return 4;
	case REPLY_TYPE_INT8:
		return 8;
	default:
		return -1;
	}
}

void reply_put_row_description(
	struct wr *w, const struct reply_column *columns, uint16_t n_columns, uint16_t format)
{
	size_t mark = wr_msg(w, BACKEND_ROW_DESCRIPTION);

	wr_u16(w, n_columns);
	for (uint32_t i = 0; i < n_columns; i++) {
		wr_cstr(w, columns[i].name);
		wr_u32(w, 0); /* of no table, */
		wr_u16(w, 0); /* no column of it */
		wr_u32(w, columns[i].type_oid);
		wr_u16(w, (uint16_t)type_len(columns[i].type_oid));
		wr_u32(w, UINT32_MAX); /* no type modifier: -1 */
		wr_u16(w, format);
	}
	wr_end(w, mark);
}

size_t reply_row_begin(struct wr *w, uint16_t n_columns)
{
	size_t mark = wr_msg(w, BACKEND_DATA_ROW);

	wr_u16(w, n_columns);
	return mark;
}

void reply_put_value(struct wr *w, const void *p, size_t len)
{
	if (len > INT32_MAX)
		w->bad = true;
	wr_u32(w, (uint32_t)len);
	wr_bytes(w, p, len);
}

void reply_put_text(struct wr *w, const char *s)
{
	if (s == NULL)
		wr_u32(w, UINT32_MAX); /* length -1 */
	else
		reply_put_value(w, s, strlen(s));
}

void reply_row_end(struct wr *w, size_t mark)
{
	wr_end(w, mark);
}
