#include "conf/pattern.h"

#include <string.h>

#include "../unit.h"

static char err[PATTERN_ERR_MAX];

static struct pattern *make(const char *text)
{
	struct pattern *p = NULL;
	enum status st = pattern_new(text, &p, err);

	ck_assert_msg(st == OK, "%s: %s", text, err);
	return p;
}

START_TEST(matches_as_posix_extended_expressions_do)
{
	struct pattern *p = make("^app_[0-9]{1,3}(_ro)?$");

	ck_assert(pattern_matches(p, "app_7"));
	ck_assert(pattern_matches(p, "app_123_ro"));
	ck_assert(!pattern_matches(p, "app_1234"));
	ck_assert(!pattern_matches(p, "APP_1"));
	pattern_free(p);
	p = make("b|^$");
	ck_assert(pattern_matches(p, "abc"));
	ck_assert(pattern_matches(p, ""));
	ck_assert(!pattern_matches(p, "ac"));
	pattern_free(p);
}
END_TEST

START_TEST(the_first_group_is_told)
{
	struct pattern *p = make("^(.*)@example\\.com$");
	struct pattern_group g;

	ck_assert_uint_eq(pattern_n_groups(p), 1);
	ck_assert(pattern_match_group(p, "ann@example.com", &g));
	ck_assert_uint_eq(g.at, 0);
	ck_assert_uint_eq(g.len, 3);
	ck_assert(!pattern_match_group(p, "ann@example-com", &g));
	pattern_free(p);
	p = make("^[a-z]+[.]+[a-z]+\\)+a+b+c+d+e+f+g+h+(i+)+@");
	pattern_free(p);
	p = make("^(x)?y$");
	ck_assert(pattern_match_group(p, "y", &g));
	ck_assert_uint_eq(g.len, 0);
	pattern_free(p);
}
END_TEST

START_TEST(what_would_explode_or_mean_something_else_is_refused)
{
	static const char *const wrong[] = {"(a", "a{2,1}", "[", "^\\d+$", "(a)\\1", "\\y",
		"((a{40}){40})", "a{1001}", "(a{1,32}){1,32}", "a+++++++++++",
		"((((((((((a+)+)+)+)+)+)+)+)+)+)+", "(a{100})+++++", "^(.*)++++++x",
		"^(((((.*)+)+)+)+)+x", "^(((.*){0,9}){0,9}){0,9}x"};
	struct pattern *p;
	char text[PATTERN_MAX + 2];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		ck_assert_msg(pattern_new(wrong[i], &p, err) == E_INVALID, "%s", wrong[i]);
		ck_assert_str_ne(err, "");
	}
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	ck_assert_int_eq(pattern_new(text, &p, err), E_INVALID);
	text[PATTERN_MAX] = '\0';
	pattern_free(make(text));
	pattern_free(make("a\\\\{2}\\.\\w(a{20}){5}"));
}
END_TEST

START_TEST(subjects_beyond_the_bound_match_nothing)
{
	struct pattern *p = make("a*");
	char subject[PATTERN_SUBJECT_MAX + 2];
	struct pattern_group g;

	memset(subject, 'a', sizeof subject - 1);
	subject[sizeof subject - 1] = '\0';
	ck_assert(!pattern_matches(p, subject));
	ck_assert(!pattern_match_group(p, subject, &g));
	subject[PATTERN_SUBJECT_MAX] = '\0';
	ck_assert(pattern_matches(p, subject));
	pattern_free(p);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pattern");

	tcase_add_test(tc, matches_as_posix_extended_expressions_do);
	tcase_add_test(tc, the_first_group_is_told);
	tcase_add_test(tc, what_would_explode_or_mean_something_else_is_refused);
	tcase_add_test(tc, subjects_beyond_the_bound_match_nothing);
	return unit_run("pattern", tc);
}
