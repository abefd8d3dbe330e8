/*
 * reply - builders of the messages that a server sends, for our clients and for the console in the
 * simple and the extended protocol.
 * Owns:   nothing. A message that does not fit sets w->bad; then nothing of w may be sent.
 * Source: PostgreSQL manual, "Message Formats".
 */
#ifndef PGWEIR_PROTO_REPLY_H
#define PGWEIR_PROTO_REPLY_H

#include "base/status.h"
#include "base/wr.h"

/* --- login --- */
void reply_put_auth_ok(struct wr *w);
void reply_put_auth_cleartext(struct wr *w);
void reply_put_auth_md5(struct wr *w, const uint8_t salt[4]);
void reply_put_auth_sasl(struct wr *w, bool plus); /* SCRAM-SHA-256-PLUS first, if `plus` */
void reply_put_auth_sasl_continue(struct wr *w, const uint8_t *data, size_t len);
void reply_put_auth_sasl_final(struct wr *w, const uint8_t *data, size_t len);
void reply_put_key_data(struct wr *w, uint32_t pid, const uint8_t *key, size_t key_len);
void reply_put_parameter_status(struct wr *w, const char *name, const char *value);
/* NegotiateProtocolVersion: startup_put_negotiation. ErrorResponse, NoticeResponse: report_put. */

/* --- session --- */
void reply_put_ready(struct wr *w, char txn_status); /* 'I', 'T', 'E' */
void reply_put_command_complete(struct wr *w, const char *tag);
void reply_put_command_complete_n(struct wr *w, const char *tag, uint64_t n); /* "tag n" */
void reply_put_empty_query(struct wr *w);
void reply_put_parse_complete(struct wr *w);
void reply_put_bind_complete(struct wr *w);
void reply_put_close_complete(struct wr *w);
void reply_put_no_data(struct wr *w);
void reply_put_portal_suspended(struct wr *w);
void reply_put_parameter_description(struct wr *w, const uint32_t *types, uint16_t n_types);
void reply_put_notification(struct wr *w, uint32_t pid, const char *channel, const char *payload);

/* --- rows --- */
#define REPLY_TYPE_BOOL    16u /* OIDs in pg_type.dat */
#define REPLY_TYPE_BYTEA   17u
#define REPLY_TYPE_INT8    20u
#define REPLY_TYPE_INT4    23u
#define REPLY_TYPE_TEXT    25u
#define REPLY_TYPE_NUMERIC 1700u

struct reply_column {
	const char *name;
	uint32_t type_oid;
};

/* format: 0 text, 1 binary, of all columns. */
void reply_put_row_description(
	struct wr *w, const struct reply_column *columns, uint16_t n_columns, uint16_t format);

/* DataRow: begin, n_columns times a value, end. Values are as they go out: text or binary. */
size_t reply_row_begin(struct wr *w, uint16_t n_columns) MUST_USE; /* the mark for reply_row_end */
void reply_put_value(struct wr *w, const void *p, size_t len);
void reply_put_text(struct wr *w, const char *s); /* NULL is SQL's NULL */
void reply_row_end(struct wr *w, size_t mark);

#endif
