#include "conf/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/setting_text.h"
#include "conf/setting_value.h"

#include "../unit.h"

static struct arena arena;
static union {
	struct conf conf;
	struct conf_db db;
	struct conf_user user;
} base, other;
static char text[SETTING_TEXT_MAX], expected[SETTING_TEXT_MAX];

static void setup(void)
{
	arena_init(&arena);
	memset(&base, 0, sizeof base);
	memset(&other, 0, sizeof other);
}

static void teardown(void)
{
	arena_fini(&arena);
}

static const struct setting *find(enum setting_scope scope, const char *name)
{
	const struct setting *s = settings_find(scope, name);

	ck_assert_msg(s != NULL, "%s", name);
	return s;
}

static const struct setting *global(const char *name)
{
	return find(SETTING_GLOBAL, name);
}

START_TEST(table_is_sorted_and_each_row_is_found)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i], *prev = s - 1;

		if (i > 0 && prev->scope == s->scope)
			ck_assert_msg(strcmp(prev->name, s->name) < 0, "%s", s->name);
		if (i > 0)
			ck_assert_int_le(prev->scope, s->scope);
		if (s->alias_of == NULL)
			ck_assert_ptr_eq(settings_find(s->scope, s->name), s);
		else
			ck_assert_str_eq(find(s->scope, s->name)->name, s->alias_of);
	}
	ck_assert_ptr_null(settings_find(SETTING_GLOBAL, "nothing"));
	ck_assert_ptr_null(settings_find(SETTING_USER, "max_client_conn"));
}
END_TEST

static size_t field_len(const struct setting *s)
{
	switch (s->type) {
	case SETTING_BOOL:
		return sizeof(bool);
	case SETTING_INT:
	case SETTING_OCTAL:
	case SETTING_MASK:
	case SETTING_ENUM:
		return sizeof(uint32_t);
	case SETTING_PORT:
		return sizeof(uint16_t);
	case SETTING_TIME:
	case SETTING_SIZE:
		return sizeof(uint64_t);
	case SETTING_STRING:
		return sizeof(const char *);
	case SETTING_LIST:
		return sizeof(struct conf_list);
	case SETTING_NONE:
		return 0;
	}
	return SIZE_MAX;
}

START_TEST(each_row_has_a_field_of_its_type_and_shares_it_with_none)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];

		ck_assert_msg(s->field_len == field_len(s), "%s", s->name);
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(s->type == SETTING_NONE || settings[j].type == SETTING_NONE ||
					      settings[j].scope != s->scope ||
					      settings[j].offset != s->offset,
				"%s and %s", settings[j].name, s->name);
	}
}
END_TEST

START_TEST(each_row_says_what_it_is_in_one_line)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		const char *line = s->type == SETTING_NONE ? s->note : s->help;

		if (s->alias_of != NULL)
			continue;
		ck_assert_msg(
			line != NULL && strlen(line) >= 8 && strlen(line) <= 90, "%s", s->name);
		ck_assert_msg(line[strlen(line) - 1] != '.', "%s", s->name);
		ck_assert_msg(strchr(line, '\n') == NULL, "%s", s->name);
		ck_assert_msg(s->scope != SETTING_GLOBAL || s->def != NULL, "%s", s->name);
		ck_assert_uint_gt(strlen(setting_expected(s, text, sizeof text)), 0);
	}
}
END_TEST

START_TEST(each_default_is_read_and_shown_as_it_is_written)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];

		if (s->type == SETTING_NONE)
			continue;
		for (int is_pgbouncer = 0; is_pgbouncer < 2; is_pgbouncer++) {
			const char *def = setting_default(s, is_pgbouncer);

			ck_assert_int_eq(setting_parse(s, def, &base, &arena), OK);
			setting_format(s, &base, text, sizeof text);
			if (s->type == SETTING_SIZE)
				ck_assert_uint_eq(strtoull(text, NULL, 10) % 1024, 0);
			else
				ck_assert_str_eq(text, def != NULL ? def : "");
			ck_assert_int_eq(
				setting_parse(s, *text != '\0' ? text : def, &other, &arena), OK);
			ck_assert_msg(setting_is_equal(s, &base, &other), "%s", s->name);
		}
	}
}
END_TEST

START_TEST(numbers_end_where_their_range_does)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		char number[32];

		if (s->type != SETTING_INT && s->type != SETTING_PORT && s->type != SETTING_SIZE)
			continue;
		snprintf(number, sizeof number, "%llu", (unsigned long long)s->max);
		ck_assert_int_eq(setting_parse(s, number, &base, &arena), OK);
		ck_assert_uint_eq(setting_number(s, &base), s->max);
		snprintf(number, sizeof number, "%llu", (unsigned long long)s->min);
		ck_assert_int_eq(setting_parse(s, number, &base, &arena), OK);
		snprintf(number, sizeof number, "%llu", (unsigned long long)s->max + 1);
		ck_assert_int_eq(setting_parse(s, number, &base, &arena), E_INVALID);
		ck_assert_uint_eq(setting_number(s, &base), s->min);
		if (s->min == 0)
			continue;
		snprintf(number, sizeof number, "%llu", (unsigned long long)s->min - 1);
		ck_assert_int_eq(setting_parse(s, number, &base, &arena), E_INVALID);
	}
}
END_TEST

static void assert_value(const struct setting *s, const char *value, const char *shown)
{
	ck_assert_msg(setting_parse(s, value, &base, &arena) == OK, "%s = %s", s->name, value);
	ck_assert_str_eq(setting_format(s, &base, text, sizeof text), shown);
}

static void assert_refused(const struct setting *s, const char *value, const char *words)
{
	ck_assert_int_eq(setting_parse(s, value, &base, &arena), E_INVALID);
	setting_expected(s, expected, sizeof expected);
	ck_assert_msg(strstr(expected, words) != NULL, "%s", expected);
}

START_TEST(each_type_reads_its_forms)
{
	assert_value(global("so_reuseport"), "yes", "1");
	assert_value(global("query_wait_timeout"), "0.25", "0.25");
	assert_value(global("max_lag"), "1500 ms", "1.5");
	assert_value(global("replay_window"), "32kB", "32768");
	assert_value(global("unix_socket_mode"), "700", "0700");
	assert_value(global("pool_mode"), "Statement", "statement");
	assert_value(global("workers"), "auto", "auto");
	assert_value(global("workers"), "4", "4");
	assert_value(global("max_pinned"), "auto", "auto");
	assert_value(global("max_pinned"), "0", "0");
	assert_value(global("client_tls_protocols"), "tlsv1.2, tlsv1.3", "secure");
	assert_value(global("client_tls_protocols"), "tlsv1.0:tlsv1.2", "tlsv1.2");
	assert_value(global("client_tls_protocols"), "all", "secure");
	assert_value(global("client_tls_protocols"), "all:!tlsv1.0:!tlsv1.2", "tlsv1.3");
	assert_value(global("admin_users"), " a ,b c,, d,", "a, b c, d");
	assert_value(global("admin_users"), "", "");
	assert_value(global("monitor_password"), "secret", "***");
	assert_value(global("monitor_password"), "", "");
	assert_value(find(SETTING_DB, "pool_size"), "7", "7");
	assert_value(find(SETTING_DB, "reserve_pool"), "7", "7");
}
END_TEST

START_TEST(refusals_say_what_would_do)
{
	static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567"
					"8901234567890123456789012345678901234567890123456789012345"
					"678901234567";

	assert_refused(global("so_reuseport"), "2", "on or off");
	assert_refused(global("workers"), "65", "from 1 to 64, or auto");
	assert_refused(global("listen_port"), "0", "a port number from 1 to 65535");
	assert_refused(global("unix_socket_mode"), "1000", "in octal, from 0 to 0777");
	assert_refused(global("lag_check_interval"), "1ms", "from 10ms to 60s");
	assert_refused(global("replay_window"), "2MB", "from 1kB to 1MB");
	assert_refused(global("pool_mode"), "sesion", "one of session, transaction, statement");
	assert_refused(
		global("consistency"), "strange", "one of eventual, session, database, strong");
	assert_refused(global("routing"), "strange", "one of off, on, auto, shadow");
	assert_refused(global("auth_type"), "strange", "one of any, trust, ");
	assert_refused(global("client_tls_protocols"), "tlsv1.1", "tlsv1.3");
	assert_refused(global("client_tls_protocols"), "", "joined by commas");
	assert_refused(global("client_tls_protocols"), "all,!all", "joined by commas");
	assert_refused(global("client_tls_protocols"), "tlsv1.2,!", "joined by commas");
	assert_refused(global("tcp_keepidle"), "-1", "a whole number of s from 0 to 32767");
	assert_refused(global("auth_user"), long_name, "at most 127 bytes");
}
END_TEST

START_TEST(unset_is_shown_as_nothing)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];

		ck_assert_int_eq(setting_parse(s, NULL, &base, &arena), OK);
		setting_format(s, &base, text, sizeof text);
		if (s->def == NULL || s->type == SETTING_STRING || s->type == SETTING_LIST)
			ck_assert_str_eq(text, "");
		else if (s->type == SETTING_BOOL || s->type == SETTING_PORT)
			ck_assert_str_eq(text, "0");
	}
	ck_assert_int_eq(setting_parse(find(SETTING_DB, "pool_size"), NULL, &base, &arena), OK);
	ck_assert_uint_eq(base.db.pool_size, CONF_UNSET);
	ck_assert_int_eq(setting_parse(find(SETTING_DB, "max_lag"), NULL, &base, &arena), OK);
	ck_assert_uint_eq(base.db.max_lag_us, CONF_UNSET_US);
}
END_TEST

START_TEST(copies_are_equal_and_apart)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		const char *value = s->def != NULL ? s->def : NULL;

		if (s->type == SETTING_STRING || s->type == SETTING_LIST)
			value = "one,two";
		ck_assert_int_eq(setting_parse(s, value, &base, &arena), OK);
		memset(&other, 0xa5, sizeof other);
		ck_assert_int_eq(setting_copy(s, &base, &other, &arena), OK);
		ck_assert_msg(setting_is_equal(s, &base, &other), "%s", s->name);
		if (s->type == SETTING_STRING)
			ck_assert_ptr_ne(setting_string(s, &base), setting_string(s, &other));
		if (s->type == SETTING_LIST)
			ck_assert_ptr_ne(
				setting_list(s, &base).items[1], setting_list(s, &other).items[1]);
	}
}
END_TEST

START_TEST(lists_differ_by_length_and_by_item)
{
	const struct setting *s = global("admin_users");

	ck_assert_int_eq(setting_parse(s, "a,b", &base, &arena), OK);
	ck_assert_int_eq(setting_parse(s, "a", &other, &arena), OK);
	ck_assert(!setting_is_equal(s, &base, &other));
	ck_assert_int_eq(setting_parse(s, "a,c", &other, &arena), OK);
	ck_assert(!setting_is_equal(s, &base, &other));
	ck_assert_int_eq(setting_parse(s, "a, b", &other, &arena), OK);
	ck_assert(setting_is_equal(s, &base, &other));
}
END_TEST

START_TEST(nearest_key_is_found_or_none)
{
	ck_assert_str_eq(settings_nearest(SETTING_GLOBAL, "listen_prot"), "listen_port");
	ck_assert_str_eq(settings_nearest(SETTING_GLOBAL, "Listen_Port"), "listen_port");
	ck_assert_str_eq(settings_nearest(SETTING_GLOBAL, "pool_mod"), "pool_mode");
	ck_assert_str_eq(settings_nearest(SETTING_DB, "pasword"), "password");
	ck_assert_str_eq(settings_nearest(SETTING_DB, "db_name"), "dbname");
	ck_assert_ptr_null(settings_nearest(SETTING_GLOBAL, "xyzzy_quux"));
	memset(text, 'x', 200);
	text[200] = '\0';
	ck_assert_ptr_null(settings_nearest(SETTING_GLOBAL, text));
}
END_TEST

START_TEST(values_are_cut_to_the_space_there_is)
{
	char small[6];

	ck_assert_int_eq(setting_parse(global("admin_users"), "abc,def", &base, &arena), OK);
	ck_assert_str_eq(
		setting_format(global("admin_users"), &base, small, sizeof small), "abc, ");
	ck_assert_str_eq(setting_expected(global("admin_users"), small, sizeof small), "names");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("settings");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, table_is_sorted_and_each_row_is_found);
	tcase_add_test(tc, each_row_has_a_field_of_its_type_and_shares_it_with_none);
	tcase_add_test(tc, each_row_says_what_it_is_in_one_line);
	tcase_add_test(tc, each_default_is_read_and_shown_as_it_is_written);
	tcase_add_test(tc, numbers_end_where_their_range_does);
	tcase_add_test(tc, each_type_reads_its_forms);
	tcase_add_test(tc, refusals_say_what_would_do);
	tcase_add_test(tc, unset_is_shown_as_nothing);
	tcase_add_test(tc, copies_are_equal_and_apart);
	tcase_add_test(tc, lists_differ_by_length_and_by_item);
	tcase_add_test(tc, nearest_key_is_found_or_none);
	tcase_add_test(tc, values_are_cut_to_the_space_there_is);
	return unit_run("settings", tc);
}
