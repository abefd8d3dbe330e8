/*
 * backend - messages that a server sends: reads the few whose body matters. (reply.h builds them
 * for our clients, report.h reads and builds ErrorResponse and NoticeResponse, tag.h reads the tag
 * of CommandComplete.)
 * Owns:   nothing; what is read points into the message.
 * Source: PostgreSQL manual, "Message Formats".
 */
#ifndef PGWEIR_PROTO_BACKEND_H
#define PGWEIR_PROTO_BACKEND_H

#include "base/rd.h"
#include "base/status.h"

enum backend_type {
	BACKEND_AUTHENTICATION = 'R',
	BACKEND_BIND_COMPLETE = '2',
	BACKEND_CLOSE_COMPLETE = '3',
	BACKEND_COMMAND_COMPLETE = 'C',
	BACKEND_COPY_BOTH_RESPONSE = 'W',
	BACKEND_COPY_DATA = 'd',
	BACKEND_COPY_DONE = 'c',
	BACKEND_COPY_IN_RESPONSE = 'G',
	BACKEND_COPY_OUT_RESPONSE = 'H',
	BACKEND_DATA_ROW = 'D',
	BACKEND_EMPTY_QUERY_RESPONSE = 'I',
	BACKEND_ERROR_RESPONSE = 'E',
	BACKEND_FUNCTION_CALL_RESPONSE = 'V',
	BACKEND_KEY_DATA = 'K',
	BACKEND_NEGOTIATE_PROTOCOL_VERSION = 'v',
	BACKEND_NO_DATA = 'n',
	BACKEND_NOTICE_RESPONSE = 'N',
	BACKEND_NOTIFICATION_RESPONSE = 'A',
	BACKEND_PARAMETER_DESCRIPTION = 't',
	BACKEND_PARAMETER_STATUS = 'S',
	BACKEND_PARSE_COMPLETE = '1',
	BACKEND_PORTAL_SUSPENDED = 's',
	BACKEND_READY_FOR_QUERY = 'Z',
	BACKEND_ROW_DESCRIPTION = 'T',
};

/* Bits of a type; 0: no such type. */
enum {
	BACKEND_IN_LOGIN = 1,   /* may come before the first ReadyForQuery */
	BACKEND_IN_SESSION = 2, /* may come after it */
	BACKEND_IS_ASYNC = 4,   /* owed to nobody; comes at any time: Notice, Notification, S */
	BACKEND_IS_DATA = 8,    /* DataRow, CopyData: bodies are never looked at */
};

extern const uint8_t backend_flags[256]; /* by type byte */

/* ReadyForQuery: 'I' idle, 'T' in a transaction, 'E' in a failed one; anything else is E_PROTO. */
static inline enum status backend_read_ready(struct rd body, uint8_t *txn_status)
{
	uint8_t s = rd_u8(&body);

	if (body.bad || body.left != 0 || (s != 'I' && s != 'T' && s != 'E'))
		return E_PROTO;
	*txn_status = s;
	return OK;
}

/* All readers below: E_PROTO if the body is not exactly what the manual says. */

struct msg_parameter_status {
	const char *name;
	const char *value;
};
enum status backend_read_parameter_status(
	struct rd body, struct msg_parameter_status *out) MUST_USE;

/* CommandComplete: the tag, for tag_read. */
enum status backend_read_command_complete(struct rd body, const char **tag) MUST_USE;

struct msg_key_data {
	uint32_t pid;
	const uint8_t *key;
	uint32_t key_len; /* STARTUP_KEY_MIN..STARTUP_KEY_MAX; E_LIMIT beyond */
};
enum status backend_read_key_data(struct rd body, struct msg_key_data *out) MUST_USE;

enum auth_request {
	AUTH_OK = 0,
	AUTH_KERBEROS_V5 = 2,
	AUTH_CLEARTEXT_PASSWORD = 3,
	AUTH_MD5_PASSWORD = 5,
	AUTH_SCM_CREDENTIAL = 6,
	AUTH_GSS = 7,
	AUTH_GSS_CONTINUE = 8,
	AUTH_SSPI = 9,
	AUTH_SASL = 10,
	AUTH_SASL_CONTINUE = 11,
	AUTH_SASL_FINAL = 12,
};

struct msg_authentication {
	uint32_t request;    /* an enum auth_request, or a number that we do not know */
	const uint8_t *data; /* what follows it: MD5 salt (4 bytes), SASL message */
	uint32_t data_len;
	bool has_scram;      /* AUTH_SASL: SCRAM-SHA-256 is among the mechanisms */
	bool has_scram_plus; /* AUTH_SASL: SCRAM-SHA-256-PLUS is */
};
enum status backend_read_authentication(struct rd body, struct msg_authentication *out) MUST_USE;

struct msg_negotiate {
	uint32_t version; /* newest that the server speaks, as major << 16 | minor */
	uint32_t n_names; /* options that it does not know; names checked, not kept */
};
enum status backend_read_negotiate(struct rd body, struct msg_negotiate *out) MUST_USE;

struct msg_notification {
	uint32_t pid;
	const char *channel;
	const char *payload;
};
enum status backend_read_notification(struct rd body, struct msg_notification *out) MUST_USE;

struct msg_parameter_description {
	const uint8_t *types; /* n_types OIDs, unaligned, in network order */
	uint16_t n_types;
};
enum status backend_read_parameter_description(
	struct rd body, struct msg_parameter_description *out) MUST_USE;

struct msg_field {
	const char *name;
	uint32_t table_oid;
	uint16_t column;
	uint32_t type_oid;
	int16_t type_len;
	int32_t type_mod;
	uint16_t format; /* 0 text, 1 binary */
};

struct msg_row_description {
	uint16_t n_fields;
	struct rd fields; /* checked; for backend_field_next on a copy */
};
enum status backend_read_row_description(struct rd body, struct msg_row_description *out) MUST_USE;
bool backend_field_next(struct rd *fields, struct msg_field *out); /* false at the end */

#endif
