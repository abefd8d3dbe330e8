#include "auth/authfile.h"

#include <string.h>

#include "../unit.h"

static struct authfile of(const char *text)
{
	return authfile_of(text, strlen(text));
}

static void assert_user(struct authfile *f, uint32_t line, const char *user, const char *secret)
{
	struct authfile_item item = authfile_next(f);

	ck_assert_int_eq(item.kind, AUTHFILE_USER);
	ck_assert_uint_eq(item.line, line);
	ck_assert_uint_eq(item.user_len, strlen(user));
	ck_assert_mem_eq(item.user, user, item.user_len);
	ck_assert_uint_eq(item.secret_len, strlen(secret));
	ck_assert_mem_eq(item.secret, secret, item.secret_len);
}

static void assert_bad(struct authfile *f, uint32_t line, const char *part)
{
	struct authfile_item item = authfile_next(f);

	ck_assert_int_eq(item.kind, AUTHFILE_BAD);
	ck_assert_uint_eq(item.line, line);
	ck_assert_msg(strstr(item.expected, part) != NULL, "%s", item.expected);
}

static void assert_end(struct authfile *f)
{
	ck_assert_int_eq(authfile_next(f).kind, AUTHFILE_END);
	ck_assert_int_eq(authfile_next(f).kind, AUTHFILE_END);
}

START_TEST(lines_hold_a_user_and_a_secret)
{
	struct authfile f = of("; comment\n"
			       "# comment\n\n"
			       "\"ann\" \"secret\"\n"
			       "  \"bob\"\t  \"\" ignored \"rest\"\r\n"
			       "\"\"\"q\"\"\"\"x\"\"y\"\n" /* no blank between them */
			       "\"last\" \"no newline\"");

	assert_user(&f, 4, "ann", "secret");
	assert_user(&f, 5, "bob", "");
	assert_bad(&f, 6, "secret in double quotes"); /* all of it is one name */
	assert_user(&f, 7, "last", "no newline");
	assert_end(&f);
}
END_TEST

START_TEST(quotes_are_doubled_inside)
{
	struct authfile f = of("\"a\"\"b\" \"\"\"\"\n\"\"\"\" \"c\"\"\"\n");

	assert_user(&f, 1, "a\"\"b", "\"\"");
	assert_user(&f, 2, "\"\"", "c\"\"");
	assert_end(&f);
}
END_TEST

START_TEST(broken_line_does_not_hide_the_next)
{
	struct authfile f = of("ann \"secret\"\n"
			       "\"open\n"
			       "\"user\"\n"
			       "\"user\" secret\n"
			       "\"user\" \"open\n"
			       "\"ok\" \"x\"\n");

	assert_bad(&f, 1, "expected \"user\" \"secret\"");
	assert_bad(&f, 2, "expected \"user\" \"secret\"");
	assert_bad(&f, 3, "secret in double quotes");
	assert_bad(&f, 4, "secret in double quotes");
	assert_bad(&f, 5, "secret in double quotes");
	assert_user(&f, 6, "ok", "x");
	assert_end(&f);
}
END_TEST

START_TEST(text_may_end_anywhere)
{
	static const char *const ends[] = {
		"a", "\"", "\"a", "\"a\"", "\"a\" ", "\"a\" \"", "\"a\" \"b"};

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		struct authfile f = of(ends[i]);

		ck_assert_msg(authfile_next(&f).kind == AUTHFILE_BAD, "%s", ends[i]);
		assert_end(&f);
	}
}
END_TEST

START_TEST(zero_bytes_are_refused)
{
	static const char text[] = "\"a\0b\" \"c\"\n\"d\" \"e\0f\"\n\"g\" \"h\"";
	struct authfile f = authfile_of(text, sizeof text - 1);

	assert_bad(&f, 1, "\"user\"");
	assert_bad(&f, 2, "secret");
	assert_user(&f, 3, "g", "h");
	assert_end(&f);
	f = authfile_of(NULL, 0);
	assert_end(&f);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("authfile");

	tcase_add_test(tc, lines_hold_a_user_and_a_secret);
	tcase_add_test(tc, quotes_are_doubled_inside);
	tcase_add_test(tc, broken_line_does_not_hide_the_next);
	tcase_add_test(tc, text_may_end_anywhere);
	tcase_add_test(tc, zero_bytes_are_refused);
	return unit_run("authfile", tc);
}
