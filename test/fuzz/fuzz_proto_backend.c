/*
 * Backend messages: the input is what a server sends. Every pointer lies inside the message; what
 * is built of what was read is the message again, or, for reports, reads the same.
 */
#include "fuzz_proto.h"
#include "proto/backend.h"
#include "proto/frame.h"
#include "proto/reply.h"
#include "proto/report.h"
#include "proto/tag.h"

static uint8_t built[FUZZ_INPUT_MAX + 1024];

static struct wr writer(void)
{
	return wr_of(built, sizeof built);
}

/* What of a field goes out: all of it, up to the bound. */
static bool field_survives(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strlen(a) <= REPORT_FIELD_MAX ? strcmp(a, b) == 0
					     : strncmp(a, b, REPORT_FIELD_MAX - 3) == 0;
}

static void try_report(struct rd body, char type)
{
	struct wr w = writer();
	struct report a, b;
	enum status st = report_read(body, type, &a);

	PANIC_IF(a.severity == NULL || a.severity_v == NULL || a.message == NULL);
	PANIC_IF(strlen(a.sqlstate) != SQLSTATE_LEN);
	if (st != OK)
		return;
	report_put(&w, type, &a);
	PANIC_IF(w.bad);
	PANIC_IF(report_read(rd_of(built + 5, w.len - 5), type, &b) != OK);
	for (size_t i = 0; i < sizeof a / sizeof(char *); i++) {
		const char *const *fa = (const char *const *)(const void *)&a + i;
		const char *const *fb = (const char *const *)(const void *)&b + i;

		PANIC_IF(!field_survives(*fa, *fb));
	}
}

static void try_row_description(struct rd body)
{
	struct msg_row_description m;
	struct msg_field f;
	uint32_t n = 0;

	if (backend_read_row_description(body, &m) != OK)
		return;
	while (backend_field_next(&m.fields, &f)) {
		fuzz_inside_str(body, f.name, strlen(f.name));
		n++;
	}
	PANIC_IF(n != m.n_fields);
}

static void try_authentication(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_authentication m;

	if (backend_read_authentication(body, &m) != OK)
		return;
	fuzz_inside(body, m.data, m.data_len);
	switch (m.request) {
	case AUTH_OK:
		reply_put_auth_ok(&w);
		break;
	case AUTH_CLEARTEXT_PASSWORD:
		reply_put_auth_cleartext(&w);
		break;
	case AUTH_MD5_PASSWORD:
		reply_put_auth_md5(&w, m.data);
		break;
	case AUTH_SASL_CONTINUE:
		reply_put_auth_sasl_continue(&w, m.data, m.data_len);
		break;
	case AUTH_SASL_FINAL:
		reply_put_auth_sasl_final(&w, m.data, m.data_len);
		break;
	default:
		return;
	}
	fuzz_same(&w, msg, len);
}

static void try_key_data(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_key_data m;

	if (backend_read_key_data(body, &m) != OK)
		return;
	fuzz_inside(body, m.key, m.key_len);
	reply_put_key_data(&w, m.pid, m.key, m.key_len);
	fuzz_same(&w, msg, len);
}

static void try_command_complete(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct tag_info t;
	const char *tag;

	if (backend_read_command_complete(body, &tag) != OK)
		return;
	reply_put_command_complete(&w, tag);
	fuzz_same(&w, msg, len);
	t = tag_read(tag);
	PANIC_IF(t.tag >= TAG_COUNT || (!t.has_rows && t.rows != 0));
	PANIC_IF(strncmp(tag_name(t.tag), tag, strlen(tag_name(t.tag))) != 0);
}

static void try_parameter_status(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_parameter_status m;

	if (backend_read_parameter_status(body, &m) != OK)
		return;
	reply_put_parameter_status(&w, m.name, m.value);
	fuzz_same(&w, msg, len);
}

static void try_notification(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	struct msg_notification m;

	if (backend_read_notification(body, &m) != OK)
		return;
	reply_put_notification(&w, m.pid, m.channel, m.payload);
	fuzz_same(&w, msg, len);
}

static void try_ready(struct rd body, const uint8_t *msg, size_t len)
{
	struct wr w = writer();
	uint8_t txn_status;

	if (backend_read_ready(body, &txn_status) != OK)
		return;
	reply_put_ready(&w, (char)txn_status);
	fuzz_same(&w, msg, len);
}

static void try_parameter_description(struct rd body)
{
	struct msg_parameter_description m;

	if (backend_read_parameter_description(body, &m) == OK)
		fuzz_inside(body, m.types, 4u * (size_t)m.n_types);
}

static void try_message(const uint8_t *msg, const struct frame *f)
{
	struct rd body = frame_body(msg, f);
	struct msg_negotiate negotiate;

	switch (f->type) {
	case BACKEND_AUTHENTICATION:
		try_authentication(body, msg, f->total);
		break;
	case BACKEND_KEY_DATA:
		try_key_data(body, msg, f->total);
		break;
	case BACKEND_COMMAND_COMPLETE:
		try_command_complete(body, msg, f->total);
		break;
	case BACKEND_PARAMETER_STATUS:
		try_parameter_status(body, msg, f->total);
		break;
	case BACKEND_NOTIFICATION_RESPONSE:
		try_notification(body, msg, f->total);
		break;
	case BACKEND_READY_FOR_QUERY:
		try_ready(body, msg, f->total);
		break;
	case BACKEND_ERROR_RESPONSE:
	case BACKEND_NOTICE_RESPONSE:
		try_report(body, (char)f->type);
		break;
	case BACKEND_ROW_DESCRIPTION:
		try_row_description(body);
		break;
	case BACKEND_PARAMETER_DESCRIPTION:
		try_parameter_description(body);
		break;
	case BACKEND_NEGOTIATE_PROTOCOL_VERSION:
		if (backend_read_negotiate(body, &negotiate) == OK)
			PANIC_IF(negotiate.n_names > body.left);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f;

	if (size > FUZZ_INPUT_MAX)
		return 0;
	while (frame_peek(data, size, FRAME_LEN_MAX, &f) == OK && frame_is_complete(&f, size)) {
		try_message(data, &f);
		data += f.total;
		size -= f.total;
	}
	return 0;
}
