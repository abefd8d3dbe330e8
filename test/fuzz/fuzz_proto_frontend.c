/*
 * Frames and frontend messages: the input is what a client sends after start-up. Every pointer
 * lies inside the message; what is built of what was read is the message again; a Bind or Parse
 * with another name differs in that alone; half of a message gives the same names or E_AGAIN.
 */
#include "fuzz_proto.h"
#include "proto/frame.h"
#include "proto/frontend.h"

static uint8_t built[FUZZ_INPUT_MAX + 64];

static struct wr writer(void)
{
	return wr_of(built, sizeof built);
}

static void try_query(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_query m;

	if (frontend_read_query(body, &m) != OK)
		return;
	fuzz_inside_str(body, m.sql, m.sql_len);
	frontend_put_query(&w, m.sql);
	fuzz_same(&w, msg, len);
}

static void try_parse_head(struct rd body, size_t part_len, const struct msg_parse *whole)
{
	struct msg_parse m;
	enum status st = frontend_read_parse_head(rd_of(body.p, part_len), (uint32_t)body.left, &m);

	PANIC_IF(st == OK ? m.tail_at != whole->tail_at || m.name != whole->name
			  : part_len >= whole->tail_at);
}

static void try_parse(struct rd body, const uint8_t *msg, size_t len)
{
	struct msg_parse m, renamed;
	struct wr w = writer();

	if (frontend_read_parse(body, &m) != OK)
		return;
	fuzz_inside_str(body, m.name, m.name_len);
	fuzz_inside_str(body, m.sql, m.sql_len);
	fuzz_inside(body, m.types, 4u * (size_t)m.n_types);
	frontend_put_parse(&w, m.name, m.sql, m.sql_len, m.types, m.n_types);
	fuzz_same(&w, msg, len);
	try_parse_head(body, body.left / 2, &m);

	w = writer();
	frontend_put_parse_head(&w, &m, (uint32_t)body.left, "another");
	wr_bytes(&w, body.p + m.tail_at, body.left - m.tail_at);
	PANIC_IF(w.bad || w.len != len - m.name_len + strlen("another"));
	PANIC_IF(frontend_read_parse(rd_of(built + 5, w.len - 5), &renamed) != OK);
	PANIC_IF(strcmp(renamed.name, "another") != 0 || strcmp(renamed.sql, m.sql) != 0);
	PANIC_IF(renamed.n_types != m.n_types);
}

/* All Int16 and lengths again, counted without the reader. */
static void check_tail(struct rd tail, const struct msg_bind_tail *t)
{
	fuzz_inside(tail, t->formats, 2u * (size_t)t->n_formats);
	fuzz_inside(tail, t->values, 4u * (size_t)t->n_values);
	fuzz_inside(tail, t->result_formats, 2u * (size_t)t->n_result_formats);
	PANIC_IF(t->formats != tail.p + 2);
	PANIC_IF(t->values != t->formats + 2u * (size_t)t->n_formats + 2);
	PANIC_IF(t->result_formats + 2u * (size_t)t->n_result_formats != tail.p + tail.left);
}

static void try_bind(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_bind m, half;
	struct msg_bind_tail t;
	struct rd tail;
	enum status st;

	if (frontend_read_bind(body, (uint32_t)body.left, &m) != OK)
		return;
	fuzz_inside_str(body, m.portal, m.portal_len);
	fuzz_inside_str(body, m.stmt, m.stmt_len);
	PANIC_IF(m.tail_at > body.left);
	tail = rd_of(body.p + m.tail_at, body.left - m.tail_at);
	if (frontend_read_bind_tail(tail, &t) == OK)
		check_tail(tail, &t);

	st = frontend_read_bind(rd_of(body.p, body.left / 2), (uint32_t)body.left, &half);
	PANIC_IF(st == OK ? half.tail_at != m.tail_at : st != E_AGAIN && body.left > 1);

	frontend_put_bind_head(&w, &m, (uint32_t)body.left, m.stmt);
	wr_bytes(&w, tail.p, tail.left);
	fuzz_same(&w, msg, len);
	w = writer();
	frontend_put_bind_head(&w, &m, (uint32_t)body.left, "another");
	wr_bytes(&w, tail.p, tail.left);
	PANIC_IF(w.bad || w.len != len - m.stmt_len + strlen("another"));
	PANIC_IF(frontend_read_bind(rd_of(built + 5, w.len - 5), (uint32_t)w.len - 5, &half) != OK);
	PANIC_IF(strcmp(half.stmt, "another") != 0 || strcmp(half.portal, m.portal) != 0);
}

static void try_target(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_target m;

	if (frontend_read_target(body, &m) != OK)
		return;
	fuzz_inside_str(body, m.name, m.name_len);
	if (msg[0] == FRONTEND_CLOSE)
		frontend_put_close(&w, m.kind, m.name);
	else
		frontend_put_describe(&w, m.kind, m.name);
	fuzz_same(&w, msg, len);
}

static void try_execute(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_execute m;

	if (frontend_read_execute(body, &m) != OK)
		return;
	fuzz_inside_str(body, m.portal, m.portal_len);
	frontend_put_execute(&w, m.portal, m.rows_max);
	fuzz_same(&w, msg, len);
}

static void try_password(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_sasl_initial m;
	const char *password;

	if (frontend_read_password(body, &password) == OK) {
		fuzz_inside_str(body, password, body.left - 1);
		frontend_put_password(&w, password);
		fuzz_same(&w, msg, len);
	}
	w = writer();
	if (frontend_read_sasl_initial(body, &m) == OK) {
		if (m.data != NULL)
			fuzz_inside(body, m.data, m.data_len);
		frontend_put_sasl_initial(&w, m.mechanism, m.data, m.data_len);
		fuzz_same(&w, msg, len);
	}
	w = writer();
	frontend_put_sasl_response(&w, body.p, (uint32_t)body.left);
	fuzz_same(&w, msg, len);
}

static void try_copy_fail(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	const char *reason;

	if (frontend_read_copy_fail(body, &reason) != OK)
		return;
	frontend_put_copy_fail(&w, reason);
	fuzz_same(&w, msg, len);
}

static void try_message(const uint8_t *msg, const struct frame *f)
{
	struct msg_function_call call;
	struct rd body = frame_body(msg, f);

	switch ((enum frontend_type)f->type) {
	case FRONTEND_QUERY:
		try_query(body, msg, f->total);
		break;
	case FRONTEND_PARSE:
		try_parse(body, msg, f->total);
		break;
	case FRONTEND_BIND:
		try_bind(body, msg, f->total);
		break;
	case FRONTEND_DESCRIBE:
	case FRONTEND_CLOSE:
		try_target(body, msg, f->total);
		break;
	case FRONTEND_EXECUTE:
		try_execute(body, msg, f->total);
		break;
	case FRONTEND_PASSWORD:
		try_password(body, msg, f->total);
		break;
	case FRONTEND_COPY_FAIL:
		try_copy_fail(body, msg, f->total);
		break;
	case FRONTEND_FUNCTION_CALL:
		if (frontend_read_function_call(body, &call) == OK)
			PANIC_IF(body.left < 10u + 4u * (size_t)call.n_args);
		break;
	case FRONTEND_COPY_DATA:
	case FRONTEND_COPY_DONE:
	case FRONTEND_FLUSH:
	case FRONTEND_SYNC:
	case FRONTEND_TERMINATE:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f;

	if (size > FUZZ_INPUT_MAX)
		return 0;
	while (size > 0 && frontend_infos[data[0]].len_max != 0) {
		if (frame_peek(data, size, frontend_infos[data[0]].len_max, &f) != OK)
			break;
		PANIC_IF(f.total < FRAME_HEAD_LEN || f.total > FRAME_LEN_MAX + 1);
		fuzz_inside(rd_of(data, size), data + 5, frame_body_part(data, &f, size).left);
		if (!frame_is_complete(&f, size))
			break;
		try_message(data, &f);
		data += f.total;
		size -= f.total;
	}
	return 0;
}
