#include "sql/guc.h"

#include <string.h>

#include "../unit.h"

START_TEST(names_are_valid_as_the_server_says)
{
	static const char *const valid[] = {
		"work_mem", "A", "_x", "a.b", "a.b.c", "a$1", "x1", "\xc3\xa9", "DateStyle"};
	static const char *const invalid[] = {
		"", ".", "a.", ".a", "a..b", "1a", "$a", "a b", "a-b", "a.1", "a'", "a=b"};

	for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++)
		ck_assert_msg(guc_name_is_valid(valid[i], strlen(valid[i])), "%s", valid[i]);
	for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++)
		ck_assert_msg(!guc_name_is_valid(invalid[i], strlen(invalid[i])), "%s", invalid[i]);
}
END_TEST

START_TEST(names_are_folded_and_bounded)
{
	char buf[GUC_NAME_MAX + 1], long_name[GUC_NAME_MAX + 2];

	ck_assert_int_eq(guc_name_fold("DateStyle", 9, buf), OK);
	ck_assert_str_eq(buf, "datestyle");
	ck_assert_int_eq(guc_name_fold("a b", 3, buf), E_INVALID);
	memset(long_name, 'X', sizeof long_name);
	ck_assert_int_eq(guc_name_fold(long_name, GUC_NAME_MAX, buf), OK);
	ck_assert_uint_eq(strlen(buf), GUC_NAME_MAX);
	ck_assert_int_eq(guc_name_fold(long_name, GUC_NAME_MAX + 1, buf), E_LIMIT);
}
END_TEST

START_TEST(scope_follows_from_the_name)
{
	ck_assert_int_eq(guc_scope_of("work_mem"), GUC_SESSION);
	ck_assert_int_eq(guc_scope_of("app.user"), GUC_CUSTOM);
	ck_assert_int_eq(guc_scope_of("role"), GUC_ROLE);
	ck_assert_int_eq(guc_scope_of("session_authorization"), GUC_ROLE);
	ck_assert_int_eq(guc_scope_of("transaction_read_only"), GUC_TRANSACTION);
	ck_assert_int_eq(guc_scope_of("default_transaction_read_only"), GUC_SESSION);
	ck_assert_int_eq(guc_scope_of("seed"), GUC_SEED);
}
END_TEST

START_TEST(lists_of_identifiers_are_known)
{
	ck_assert(guc_is_list_quoted("search_path"));
	ck_assert(guc_is_list_quoted("temp_tablespaces"));
	ck_assert(guc_is_list_quoted("local_preload_libraries"));
	ck_assert(!guc_is_list_quoted("datestyle"));
}
END_TEST

START_TEST(settings_of_the_server_are_not_the_clients)
{
	ck_assert(guc_is_same_everywhere("search_path"));
	ck_assert(guc_is_same_everywhere("app.tenant"));
	ck_assert(guc_is_same_everywhere("default_transaction_read_only"));
	ck_assert(!guc_is_same_everywhere("transaction_read_only"));
	ck_assert(!guc_is_same_everywhere("in_hot_standby"));
	ck_assert(!guc_is_same_everywhere("port"));
	ck_assert(!guc_is_same_everywhere("no_such_setting"));
}
END_TEST

struct options {
	const char *text;
	const char *result; /* "name=value|…", then what ends it */
};

static const char *parsed(const char *text, size_t cap)
{
	static char out[512];
	struct guc_options it = {text};
	struct guc_option o;
	char buf[128];
	enum status st;

	out[0] = '\0';
	while ((st = guc_options_next(&it, buf, cap, &o)) == OK) {
		strcat(out, o.name);
		strcat(out, "=");
		strcat(out, o.value);
		strcat(out, "|");
	}
	return strcat(out, st == E_NOTFOUND ? "" : status_name(st));
}

START_TEST(options_are_split_as_the_server_splits_them)
{
	/* clang-format off */
	static const struct options cases[] = {
		{"", ""},
		{"  \t\n", ""},
		{"-c a=b", "a=b|"},
		{"-ca=b", "a=b|"},
		{"--a=b", "a=b|"},
		{" -c  a=b\t--Search-Path=x,y ", "a=b|search_path=x,y|"},
		{"-c app.user=x", "app.user=x|"},
		{"-c a=", "a=|"},
		{"-c a=b=c", "a=b=c|"},
		{"-c a=b\\ c", "a=b c|"},
		{"-c a=b\\\\c", "a=b\\c|"},
		{"-c a=b\\", "a=b|"},
		{"-c a='b'", "a='b'|"},
		{"-c", "invalid"},
		{"-c a", "invalid"},
		{"--a", "invalid"},
		{"-d 5", "invalid"},
		{"a=b", "invalid"},
		{"-c =b", "invalid"},
		{"-c 1=b", "invalid"},
		{"-c a=b -x", "a=b|invalid"},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_str_eq(parsed(cases[i].text, 128), cases[i].result);
}
END_TEST

START_TEST(options_that_do_not_fit_are_refused)
{
	ck_assert_str_eq(parsed("-c a=bcd", 6), "a=bcd|");
	ck_assert_str_eq(parsed("-c a=bcd", 5), "limit");
	ck_assert_str_eq(parsed("-c a=bcd", 1), "limit");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("guc");

	tcase_add_test(tc, names_are_valid_as_the_server_says);
	tcase_add_test(tc, names_are_folded_and_bounded);
	tcase_add_test(tc, scope_follows_from_the_name);
	tcase_add_test(tc, lists_of_identifiers_are_known);
	tcase_add_test(tc, settings_of_the_server_are_not_the_clients);
	tcase_add_test(tc, options_are_split_as_the_server_splits_them);
	tcase_add_test(tc, options_that_do_not_fit_are_refused);
	return unit_run("guc", tc);
}
