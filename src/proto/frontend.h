/*
 * frontend - messages that a client sends after start-up: reads those of our clients, builds those
 * that we send to servers.
 * Owns:   nothing; what is read points into the message.
 * Bounds: len_max of each type, which is PostgreSQL's.
 * Source: PostgreSQL manual, "Message Formats"; SocketBackend in postgres.c for the limits.
 */
#ifndef PGWEIR_PROTO_FRONTEND_H
#define PGWEIR_PROTO_FRONTEND_H

#include "base/rd.h"
#include "base/status.h"
#include "base/wr.h"

enum frontend_type {
	FRONTEND_BIND = 'B',
	FRONTEND_CLOSE = 'C',
	FRONTEND_COPY_DATA = 'd',
	FRONTEND_COPY_DONE = 'c',
	FRONTEND_COPY_FAIL = 'f',
	FRONTEND_DESCRIBE = 'D',
	FRONTEND_EXECUTE = 'E',
	FRONTEND_FLUSH = 'H',
	FRONTEND_FUNCTION_CALL = 'F',
	FRONTEND_PARSE = 'P',
	FRONTEND_PASSWORD =
		'p', /* PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse */
	FRONTEND_QUERY = 'Q',
	FRONTEND_SYNC = 'S',
	FRONTEND_TERMINATE = 'X',
};

/* What a type may be part of; bits. */
enum {
	FRONTEND_IN_LOGIN = 1,
	FRONTEND_IN_SESSION = 2,   /* between start-up and Terminate, COPY apart */
	FRONTEND_IN_COPY = 4,      /* while the server reads COPY data */
	FRONTEND_IS_COPY = 8,      /* d c f: outside COPY read and dropped, never forwarded */
	FRONTEND_IS_EXTENDED = 16, /* part of an extended series; an error skips to its Sync */
	FRONTEND_IS_SMALL = 32,    /* at most FRONTEND_SMALL_MAX: forwarded whole or not at all */
	FRONTEND_ENDS_UNIT = 64,   /* owed one ReadyForQuery: Query, FunctionCall, Sync */
};

#define FRONTEND_SMALL_MAX    10000u /* length field; PQ_SMALL_MESSAGE_LIMIT */
#define FRONTEND_PASSWORD_MAX 65535u /* length field; PG_MAX_AUTH_TOKEN_LENGTH */

struct frontend_info {
	uint32_t len_max; /* limit for frame_peek; 0: no such type */
	uint8_t flags;
};

extern const struct frontend_info frontend_infos[256]; /* by type byte */

/*
 * Query: one string.
 * All readers below: E_PROTO if the body is not exactly what the manual says.
 */
struct msg_query {
	const char *sql;  /* NUL-terminated */
	uint32_t sql_len; /* without the NUL */
};
enum status frontend_read_query(struct rd body, struct msg_query *out) MUST_USE;

struct msg_parse {
	const char *name; /* "" for the unnamed statement */
	const char *sql;
	const uint8_t *types; /* n_types OIDs, unaligned, in network order */
	uint32_t name_len;
	uint32_t sql_len;
	uint32_t tail_at; /* offset in the body of what follows the name: sql and types */
	uint16_t n_types;
};
enum status frontend_read_parse(struct rd body, struct msg_parse *out) MUST_USE;

/*
 * The name alone, from the part of the body that has come; of out only name, name_len and tail_at
 * are set.
 * body_len: bytes of the whole body; part.left of them are there.
 * Errors:   E_AGAIN the name is not complete; E_PROTO it never will be.
 */
enum status frontend_read_parse_head(
	struct rd part, uint32_t body_len, struct msg_parse *out) MUST_USE;

/*
 * The two names at the head of a Bind; the parameters after them are not looked at, so the body
 * need not be complete. Arguments and errors as frontend_read_parse_head.
 */
struct msg_bind {
	const char *portal;
	const char *stmt;
	uint32_t portal_len;
	uint32_t stmt_len;
	uint32_t tail_at; /* offset in the body of what follows the names */
};
enum status frontend_read_bind(struct rd part, uint32_t body_len, struct msg_bind *out) MUST_USE;

/* What follows the names of a Bind (the body from tail_at on), complete; checked to the end. */
struct msg_bind_tail {
	const uint8_t *formats; /* n_formats Int16 */
	const uint8_t *values;  /* n_values times Int32 length and bytes; length -1 is NULL */
	const uint8_t *result_formats;
	uint16_t n_formats; /* 0, 1 or n_values */
	uint16_t n_values;
	uint16_t n_result_formats;
};
enum status frontend_read_bind_tail(struct rd tail, struct msg_bind_tail *out) MUST_USE;

/* One of its values; p NULL: it is NULL, or there is none of that number (from 1). */
struct bind_value {
	const uint8_t *p;
	uint32_t len;
	bool binary;
};
struct bind_value frontend_bind_value(const struct msg_bind_tail *t, uint16_t number);

/* Describe and Close: a statement or a portal. */
struct msg_target {
	uint8_t kind; /* 'S' or 'P' */
	const char *name;
	uint32_t name_len;
};
enum status frontend_read_target(struct rd body, struct msg_target *out) MUST_USE;

struct msg_execute {
	const char *portal;
	uint32_t portal_len;
	uint32_t rows_max; /* 0: all; so are values that are negative as Int32 */
};
enum status frontend_read_execute(struct rd body, struct msg_execute *out) MUST_USE;

struct msg_function_call {
	uint32_t oid;
	uint16_t n_args;
};
enum status frontend_read_function_call(struct rd body, struct msg_function_call *out) MUST_USE;

/* PasswordMessage: exactly one string; "" is well-formed here. */
enum status frontend_read_password(struct rd body, const char **password) MUST_USE;

struct msg_sasl_initial {
	const char *mechanism;
	const uint8_t *data; /* NULL if there is none (length -1) */
	uint32_t data_len;
};
enum status frontend_read_sasl_initial(struct rd body, struct msg_sasl_initial *out) MUST_USE;
/* A SASLResponse has no structure: its body is the mechanism's message. */

/* CopyFail: the reason. */
enum status frontend_read_copy_fail(struct rd body, const char **reason) MUST_USE;

/* --- builders: one whole message each, where nothing else is said --- */
void frontend_put_query(struct wr *w, const char *sql);
/* types: n_types OIDs in network order, as in msg_parse; NULL if n_types is 0. */
void frontend_put_parse(struct wr *w, const char *name, const char *sql, uint32_t sql_len,
	const uint8_t *types, uint16_t n_types);
/*
 * The head of a Parse or Bind that was read, with another statement name; body[tail_at..body_len)
 * must follow it unchanged. Sets w->bad if the message would be longer than FRAME_LEN_MAX.
 * body_len: of the message that was read.
 */
void frontend_put_parse_head(
	struct wr *w, const struct msg_parse *m, uint32_t body_len, const char *name);
void frontend_put_bind_head(
	struct wr *w, const struct msg_bind *m, uint32_t body_len, const char *stmt);
/* kind: 'S' or 'P'. */
void frontend_put_describe(struct wr *w, uint8_t kind, const char *name);
void frontend_put_close(struct wr *w, uint8_t kind, const char *name);
void frontend_put_execute(struct wr *w, const char *portal, uint32_t rows_max);
void frontend_put_flush(struct wr *w);
void frontend_put_sync(struct wr *w);
void frontend_put_terminate(struct wr *w);
void frontend_put_copy_fail(struct wr *w, const char *reason);
void frontend_put_password(struct wr *w, const char *password);
void frontend_put_sasl_initial(
	struct wr *w, const char *mechanism, const uint8_t *data, uint32_t data_len);
void frontend_put_sasl_response(struct wr *w, const uint8_t *data, uint32_t data_len);

#endif
