#include "proto/report.h"

static const struct {
	char code;
	size_t offset;
} fields[] = {
	{'S', offsetof(struct report, severity)},
	{'V', offsetof(struct report, severity_v)},
	{'C', offsetof(struct report, sqlstate)},
	{'M', offsetof(struct report, message)},
	{'D', offsetof(struct report, detail)},
	{'H', offsetof(struct report, hint)},
	{'P', offsetof(struct report, position)},
	{'p', offsetof(struct report, internal_position)},
	{'q', offsetof(struct report, internal_query)},
	{'W', offsetof(struct report, where)},
	{'s', offsetof(struct report, schema)},
	{'t', offsetof(struct report, table)},
	{'c', offsetof(struct report, column)},
	{'d', offsetof(struct report, data_type)},
	{'n', offsetof(struct report, constraint)},
	{'F', offsetof(struct report, file)},
	{'L', offsetof(struct report, line)},
	{'R', offsetof(struct report, routine)},
};

#define N_FIELDS (sizeof fields / sizeof fields[0])

_Static_assert(N_FIELDS * sizeof(char *) == sizeof(struct report), "every member has its code");

static void set_field(struct report *r, uint8_t code, const char *value)
{
	for (size_t i = 0; i < N_FIELDS; i++)
		if ((uint8_t)fields[i].code == code)
			*(const char **)(void *)((char *)r + fields[i].offset) = value;
}

static void set_defaults(struct report *r, char type)
{
	bool is_error = type == 'E';

	if (r->severity == NULL)
		r->severity = is_error ? "ERROR" : "NOTICE";
	if (r->severity_v == NULL)
		r->severity_v = r->severity;
	if (r->sqlstate == NULL || strlen(r->sqlstate) != SQLSTATE_LEN)
		r->sqlstate = is_error ? SQLSTATE_INTERNAL_ERROR : SQLSTATE_SUCCESSFUL_COMPLETION;
	if (r->message == NULL)
		r->message = "";
}

enum status report_read(struct rd body, char type, struct report *out)
{
	uint8_t code;

	*out = (struct report){0};
	while ((code = rd_u8(&body)) != 0) {
		const char *value = rd_cstr(&body);

		if (!body.bad)
			set_field(out, code, value);
	}
	set_defaults(out, type);
	return body.bad || body.left != 0 ? E_PROTO : OK;
}

bool report_is_fatal(const struct report *r)
{
	return strcmp(r->severity_v, "FATAL") == 0 || strcmp(r->severity_v, "PANIC") == 0;
}

bool report_has(const struct report *r, const char *sqlstate)
{
	return strcmp(r->sqlstate, sqlstate) == 0;
}

/* Length of what is sent of `s`; a UTF-8 character is not cut in two. */
static size_t cut_len(const char *s)
{
	size_t n = strnlen(s, REPORT_FIELD_MAX + 1);

	if (n <= REPORT_FIELD_MAX)
		return n;
	n = REPORT_FIELD_MAX;
	while (n > REPORT_FIELD_MAX - 3 && ((uint8_t)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void put_field(struct wr *w, char code, const char *value)
{
	if (value == NULL)
		return;
	wr_u8(w, (uint8_t)code);
	wr_bytes(w, value, cut_len(value));
	wr_u8(w, 0);
}

void report_put(struct wr *w, char type, const struct report *r)
{
	size_t mark = wr_msg(w, type);

	for (size_t i = 0; i < N_FIELDS; i++)
		put_field(w, fields[i].code,
			*(const char *const *)(const void *)((const char *)r + fields[i].offset));
	wr_u8(w, 0);
	wr_end(w, mark);
}
