/*
 * A setting that a client chose, on its way to a server: the SQL text holds exactly one statement
 * with exactly its name and value, for a server that reads single bytes, and nothing follows the
 * literal for one whose client_encoding has characters of two bytes, the second of which may look
 * like a backslash.
 */
#include "base/rd.h"
#include "state/settings_diff.h"

#include <string.h>

#define INPUT_LEN_MAX 9000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Length of the character at `p` in an encoding like SJIS, BIG5 or GBK. */
static size_t wide_len(const char *p)
{
	unsigned char lead = (unsigned char)p[0], trail = (unsigned char)p[1];

	return lead >= 0x80 && trail >= 0x40 && trail != 0x7f && trail != 0xff ? 2 : 1;
}

static size_t narrow_len(const char *p)
{
	(void)p;
	return 1;
}

/*
 * Read what stands between quotes at `p` into `out`; `escape`: a backslash quotes too. Returns what
 * follows, NULL if it does not end.
 */
static const char *read_quoted(
	const char *p, char quote, bool escape, size_t (*len)(const char *p), char *out)
{
	if (*p++ != quote)
		return NULL;
	while (*p != '\0') {
		size_t n = len(p);

		if (n == 1 && (*p == quote || (escape && *p == '\\'))) {
			if (p[1] != *p && *p == quote)
				break;
			p++;
			n = 1;
		}
		memcpy(out, p, n);
		out += n;
		p += n;
	}
	*out = '\0';
	return *p == quote ? p + 1 : NULL;
}

static void check(const char *text, const char *name, const char *value)
{
	static char got[2 * INPUT_LEN_MAX];
	const char *p = text, *literal;

	PANIC_IF(strncmp(p, "SET ", 4) != 0);
	p = read_quoted(p + 4, '"', false, narrow_len, got);
	PANIC_IF(p == NULL || strcmp(got, name) != 0);
	PANIC_IF(strncmp(p, " TO E", 5) != 0);
	literal = p + 5;
	p = read_quoted(literal, '\'', true, narrow_len, got);
	PANIC_IF(p == NULL || *p != '\0' || strcmp(got, value) != 0);
	p = read_quoted(literal, '\'', true, wide_len, got);
	PANIC_IF(p == NULL || *p != '\0' || strcmp(got, value) != 0);
}

/* The input is a name, NUL, a value. */
static void run(struct settings_table *t, char *name)
{
	static uint8_t buf[4 * INPUT_LEN_MAX];
	struct settings *none = settings_empty(t), *set;
	char *value = name + strlen(name) + 1;
	struct wr w = wr_of(buf, sizeof buf);

	if (settings_put(t, none, name, value, &set) == OK) {
		struct settings_diff d = settings_diff_write(none, set, NULL, false, &w);

		PANIC_IF(w.bad || d.n_msgs != 1 || d.n_stmts != 1);
		PANIC_IF(w.len > settings_diff_len_max(none, set, NULL));
		PANIC_IF(strcmp(settings_get(set, name), value) != 0);
		if (strncmp((const char *)buf + 5, "SELECT ", 7) != 0)
			check((const char *)buf + 5, settings_name(set, 0), value);
		settings_unref(t, set);
	}
	settings_unref(t, none);
	PANIC_IF(settings_table_n(t) != 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hash_key key = {1, 2};
	static char input[INPUT_LEN_MAX + 2];
	struct settings_table *t;

	if (size > INPUT_LEN_MAX || settings_table_new(&key, 1u << 20, &t) != OK)
		return 0;
	if (size != 0)
		memcpy(input, data, size);
	input[size] = input[size + 1] = '\0';
	run(t, input);
	settings_table_free(t);
	return 0;
}
