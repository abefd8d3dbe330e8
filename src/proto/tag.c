#include "proto/tag.h"

#include <string.h>

static const char *const names[TAG_COUNT] = {
	[TAG_OTHER] = "",
	[TAG_ALTER_ROLE] = "ALTER ROLE",
	[TAG_BEGIN] = "BEGIN",
	[TAG_CALL] = "CALL",
	[TAG_CLOSE_CURSOR] = "CLOSE CURSOR",
	[TAG_CLOSE_CURSOR_ALL] = "CLOSE CURSOR ALL",
	[TAG_COMMIT] = "COMMIT",
	[TAG_COMMIT_PREPARED] = "COMMIT PREPARED",
	[TAG_COPY] = "COPY",
	[TAG_DEALLOCATE] = "DEALLOCATE",
	[TAG_DEALLOCATE_ALL] = "DEALLOCATE ALL",
	[TAG_DECLARE_CURSOR] = "DECLARE CURSOR",
	[TAG_DELETE] = "DELETE",
	[TAG_DISCARD] = "DISCARD",
	[TAG_DISCARD_ALL] = "DISCARD ALL",
	[TAG_DISCARD_PLANS] = "DISCARD PLANS",
	[TAG_DISCARD_SEQUENCES] = "DISCARD SEQUENCES",
	[TAG_DISCARD_TEMP] = "DISCARD TEMP",
	[TAG_DO] = "DO",
	[TAG_EXECUTE] = "EXECUTE",
	[TAG_EXPLAIN] = "EXPLAIN",
	[TAG_FETCH] = "FETCH",
	[TAG_INSERT] = "INSERT",
	[TAG_LISTEN] = "LISTEN",
	[TAG_LOCK_TABLE] = "LOCK TABLE",
	[TAG_MERGE] = "MERGE",
	[TAG_MOVE] = "MOVE",
	[TAG_NOTIFY] = "NOTIFY",
	[TAG_PREPARE] = "PREPARE",
	[TAG_PREPARE_TRANSACTION] = "PREPARE TRANSACTION",
	[TAG_RELEASE] = "RELEASE",
	[TAG_RESET] = "RESET",
	[TAG_ROLLBACK] = "ROLLBACK",
	[TAG_ROLLBACK_PREPARED] = "ROLLBACK PREPARED",
	[TAG_SAVEPOINT] = "SAVEPOINT",
	[TAG_SELECT] = "SELECT",
	[TAG_SET] = "SET",
	[TAG_SET_CONSTRAINTS] = "SET CONSTRAINTS",
	[TAG_SHOW] = "SHOW",
	[TAG_START_TRANSACTION] = "START TRANSACTION",
	[TAG_UNLISTEN] = "UNLISTEN",
	[TAG_UPDATE] = "UPDATE",
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of the words before the first number. */
static size_t words_len(const char *text)
{
	size_t n = 0;

	while (text[n] != '\0' && !(text[n] == ' ' && is_digit(text[n + 1])))
		n++;
	return n;
}

static enum tag find(const char *text, size_t len)
{
	for (unsigned i = 1; i < TAG_COUNT; i++)
		if (names[i][0] == text[0] && strncmp(names[i], text, len) == 0 &&
			names[i][len] == '\0')
			return (enum tag)i;
	return TAG_OTHER;
}

/* A number that fills the rest of the text. */
static bool read_number(const char *s, uint64_t *out)
{
	uint64_t n = 0;

	for (; is_digit(*s); s++)
		if (__builtin_mul_overflow(n, 10u, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return false;
	*out = n;
	return *s == '\0';
}

struct tag_info tag_read(const char *text)
{
	size_t len = words_len(text);
	struct tag_info out = {.tag = find(text, len)};
	const char *count = strrchr(text + len, ' '); /* the second of INSERT's two numbers */
	uint64_t n;

	if (count != NULL && is_digit(count[1]) && read_number(count + 1, &n)) {
		out.has_rows = true;
		out.rows = n;
	}
	return out;
}

const char *tag_name(enum tag t)
{
	return names[t];
}
