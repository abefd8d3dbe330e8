#include "state/settings.h"

#include <stdio.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"
#include "state/settings_class.h"

static const struct hash_key key = {5, 6};
static struct settings_table *t;

static void begin(void)
{
	ck_assert_int_eq(settings_table_new(&key, 1u << 22, &t), OK);
}

/* Only the empty set is left when all references were dropped. */
static void end(void)
{
	ck_assert_uint_eq(settings_table_n(t), 1);
	settings_table_free(t);
}

/* `s` with name = value; the reference to `s` is dropped. */
static struct settings *with(struct settings *s, const char *name, const char *value)
{
	struct settings *out;

	ck_assert_int_eq(settings_put(t, s, name, value, &out), OK);
	settings_unref(t, s);
	return out;
}

static struct settings *without(struct settings *s, const char *name)
{
	struct settings *out;

	ck_assert_int_eq(settings_drop(t, s, name, &out), OK);
	settings_unref(t, s);
	return out;
}

START_TEST(equal_sets_are_one_pointer_whatever_the_way)
{
	struct settings *a, *b;

	a = with(with(settings_empty(t), "search_path", "app"), "DateStyle", "ISO, DMY");
	b = with(with(settings_empty(t), "datestyle", "German"), "SEARCH_PATH", "app");
	ck_assert_ptr_ne(a, b);
	b = with(b, "dateStyle", "ISO, DMY");
	ck_assert_ptr_eq(a, b);
	b = without(b, "DATESTYLE");
	ck_assert_ptr_ne(a, b);
	b = without(without(b, "search_path"), "was_never_there");
	settings_unref(t, a);
	a = settings_empty(t);
	ck_assert_ptr_eq(a, b);
	settings_unref(t, a);
	settings_unref(t, b);
}
END_TEST

START_TEST(entries_are_read_back_in_order_and_in_any_case)
{
	struct settings *s = settings_empty(t);

	s = with(with(with(s, "TimeZone", "Europe/Berlin"), "bytea_output", ""), "jit", "off");
	ck_assert_uint_eq(settings_n(s), 3);
	ck_assert_str_eq(settings_name(s, 0), "bytea_output");
	ck_assert_str_eq(settings_value(s, 0), "");
	ck_assert_str_eq(settings_name(s, 2), "timezone");
	ck_assert_str_eq(settings_get(s, "TIMEZONE"), "Europe/Berlin");
	ck_assert_ptr_null(settings_get(s, "timezon"));
	settings_unref(t, s);
}
END_TEST

START_TEST(a_value_does_not_run_into_the_next_name)
{
	struct settings *a = with(with(settings_empty(t), "a", "b"), "c", "");
	struct settings *b = with(with(settings_empty(t), "a", ""), "b", "c");

	ck_assert_ptr_ne(a, b);
	settings_unref(t, a);
	settings_unref(t, b);
}
END_TEST

START_TEST(random_changes_agree_with_a_naive_model)
{
	static const char *const values[] = {NULL, "", "on", "off", "x"};
	struct settings *s = settings_empty(t);
	unsigned model[8] = {0};
	uint64_t random = 11;

	for (unsigned step = 0; step < 20000; step++) {
		uint64_t r = unit_random(&random);
		unsigned i = r % 8, v = (r >> 8) % 5;
		char name[] = "p0";

		name[1] = (char)('0' + i);
		s = v != 0 ? with(s, name, values[v]) : without(s, name);
		model[i] = v;
		for (i = 0; i < 8; i++) {
			const char *got;

			name[1] = (char)('0' + i);
			got = settings_get(s, name);
			ck_assert((got == NULL) == (model[i] == 0));
			if (got != NULL)
				ck_assert_str_eq(got, values[model[i]]);
		}
	}
	settings_unref(t, s);
}
END_TEST

static enum status try_put(const char *name, const char *value)
{
	struct settings *empty = settings_empty(t), *out;
	enum status st = settings_put(t, empty, name, value, &out);

	if (st == OK)
		settings_unref(t, out);
	settings_unref(t, empty);
	return st;
}

START_TEST(lengths_are_bounded)
{
	static char text[SETTINGS_VALUE_MAX + 2];

	memset(text, 'a', SETTINGS_VALUE_MAX + 1);
	ck_assert_int_eq(try_put("p", text), E_LIMIT);
	ck_assert_int_eq(try_put("p", text + 1), OK);
	text[SETTINGS_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(try_put(text, "v"), E_LIMIT);
	ck_assert_int_eq(try_put(text + 1, "v"), OK);
	ck_assert_int_eq(try_put("", "v"), E_INVALID);
	ck_assert_int_eq(try_put("gr\xc3\xb6\xc3\x9f"
				 "e",
				 "v"),
		E_INVALID);
}
END_TEST

START_TEST(a_set_is_bounded_by_entries_and_by_bytes)
{
	static char text[SETTINGS_VALUE_MAX + 1];
	struct settings *s = settings_empty(t), *out;
	char name[16];

	for (unsigned i = 0; i < SETTINGS_N_MAX; i++) {
		snprintf(name, sizeof name, "p%u", i);
		s = with(s, name, "v");
	}
	ck_assert_int_eq(settings_put(t, s, "one_more", "v", &out), E_LIMIT);
	s = with(s, "p7", "w"); /* one that is there can change */
	settings_unref(t, s);

	s = settings_empty(t);
	memset(text, 'a', SETTINGS_VALUE_MAX);
	for (unsigned i = 0; i < SETTINGS_SET_MAX / SETTINGS_VALUE_MAX - 1; i++) {
		snprintf(name, sizeof name, "p%u", i);
		s = with(s, name, text);
	}
	ck_assert_int_eq(settings_put(t, s, "one_more", text, &out), E_LIMIT);
	settings_unref(t, s);
}
END_TEST

START_TEST(values_that_another_server_may_read_differently_are_refused)
{
	struct settings *s = settings_empty(t), *out;

	ck_assert_int_eq(try_put("search_path", "\x95\\"), E_INVALID);
	ck_assert_int_eq(try_put("search_path", "a\\\x95"), OK);
	ck_assert_int_eq(try_put("search_path", "\\'"), OK);
	s = with(with(s, "client_encoding", "LATIN1"), "search_path",
		"gr\xf6\xdf"
		"e");
	ck_assert_int_eq(settings_put(t, s, "client_encoding", "UTF8", &out), E_INVALID);
	ck_assert_int_eq(settings_drop(t, s, "Client_Encoding", &out), E_INVALID);
	s = with(s, "search_path", "size");
	s = with(s, "client_encoding", "UTF8");
	settings_unref(t, s);
}
END_TEST

START_TEST(parse_key_is_the_part_that_matters_to_parsing)
{
	struct settings *a, *b, *c;

	a = with(with(settings_empty(t), "search_path", "app"), "application_name", "one");
	b = with(with(settings_empty(t), "search_path", "app"), "Application_Name", "two");
	c = with(settings_empty(t), "search_path", "app");
	ck_assert_ptr_ne(a, b);
	ck_assert_ptr_eq(settings_parse_key(a), settings_parse_key(b));
	ck_assert_ptr_eq(settings_parse_key(a), c);
	ck_assert_ptr_eq(settings_parse_key(c), c);
	settings_unref(t, c);
	c = settings_ref(settings_parse_key(a));
	settings_unref(t, a);
	settings_unref(t, b);
	ck_assert_str_eq(
		settings_get(c, "search_path"), "app"); /* outlives those it is a part of */
	settings_unref(t, c);
}
END_TEST

START_TEST(classes_of_parameters)
{
	static const struct {
		const char *name;
		enum settings_class class;
	} cases[] = {
		{"search_path", SETTINGS_CARRIED},
		{"Transaction_Isolation", SETTINGS_TXN},
		{"transaction_read_only", SETTINGS_TXN},
		{"transaction_deferrable", SETTINGS_TXN},
		{"default_transaction_read_only", SETTINGS_CARRIED},
		{"ROLE", SETTINGS_ROLE},
		{"session_authorization", SETTINGS_ROLE},
		{"seed", SETTINGS_SEED},
		{"app.user_id", SETTINGS_CUSTOM},
		{"plpgsql.role", SETTINGS_CUSTOM},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_int_eq(settings_class_of(cases[i].name), cases[i].class);
	ck_assert(settings_is_for_parsing("DateStyle"));
	ck_assert(settings_is_for_parsing("standard_conforming_strings"));
	ck_assert(settings_is_for_parsing("some_later_version"));
	ck_assert(!settings_is_for_parsing("Statement_Timeout"));
	ck_assert(!settings_is_for_parsing("extra_float_digits"));
	ck_assert(settings_may_be_refused("Role"));
	ck_assert(settings_may_be_refused("session_authorization"));
	ck_assert(settings_may_be_refused("session_replication_role"));
	ck_assert(settings_may_be_refused("default_tablespace"));
	ck_assert(settings_may_be_refused("temp_buffers"));
	ck_assert(!settings_may_be_refused("search_path"));
	ck_assert(!settings_may_be_refused("application_name"));
	ck_assert(!settings_may_be_refused("app.user_id"));
}
END_TEST

START_TEST(a_set_of_another_table_is_adopted)
{
	struct settings_table *away;
	struct settings *a, *same, *moved;

	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &away), OK);
	a = with(with(settings_empty(t), "search_path", "app"), "application_name", "one");
	moved = settings_ref(a);
	ck_assert_int_eq(settings_adopt(t, &moved), OK);
	ck_assert_ptr_eq(moved, a); /* it is at home */
	ck_assert_int_eq(settings_adopt(away, &moved), OK);
	ck_assert_ptr_ne(moved, a);
	same = settings_ref(a);
	ck_assert_int_eq(settings_adopt(away, &same), OK);
	ck_assert_ptr_eq(moved, same);
	ck_assert_str_eq(settings_get(moved, "application_name"), "one");
	settings_unref(away, same);
	settings_unref(away, moved);
	ck_assert_uint_eq(settings_table_n(away), 1);
	settings_table_free(away);
	settings_unref(t, a);
}
END_TEST

START_TEST(adoption_that_fails_leaves_the_set_as_it_was)
{
	struct settings_table *small;
	struct settings *a = with(settings_empty(t), "search_path", "app"), *moved = a;

	ck_assert_int_eq(settings_table_new(&key, 120, &small), OK);
	ck_assert_int_eq(settings_adopt(small, &moved), E_LIMIT);
	ck_assert_ptr_eq(moved, a);
	settings_table_free(small);
	settings_unref(t, a);
}
END_TEST

/* Each allocation on the way fails once; nothing may leak or change. */
START_TEST(no_memory_anywhere_changes_nothing)
{
	struct settings *base = with(settings_empty(t), "application_name", "one"), *out = NULL;
	size_t n = settings_table_n(t);
	enum status st = E_NOMEM;

	for (long fail_at = 0; st != OK; fail_at++) {
		failing_alloc_after(fail_at);
		st = settings_put(t, base, "search_path", "app", &out);
		failing_alloc_after(-1);
		ck_assert(st == OK || st == E_NOMEM);
		if (st != OK)
			ck_assert_uint_eq(settings_table_n(t), n);
		ck_assert_int_lt(fail_at, 10);
	}
	settings_unref(t, out);
	settings_unref(t, base);
}
END_TEST

START_TEST(a_table_without_room_for_the_empty_set_is_refused)
{
	struct settings_table *small;
	enum status st;

	ck_assert_int_eq(settings_table_new(&key, 10, &small), E_LIMIT);
	for (long fail_at = 0; fail_at < 3; fail_at++) {
		failing_alloc_after(fail_at);
		st = settings_table_new(&key, 1000, &small);
		failing_alloc_after(-1);
		ck_assert_int_eq(st, E_NOMEM);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("settings");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, equal_sets_are_one_pointer_whatever_the_way);
	tcase_add_test(tc, entries_are_read_back_in_order_and_in_any_case);
	tcase_add_test(tc, a_value_does_not_run_into_the_next_name);
	tcase_add_test(tc, random_changes_agree_with_a_naive_model);
	tcase_add_test(tc, lengths_are_bounded);
	tcase_add_test(tc, a_set_is_bounded_by_entries_and_by_bytes);
	tcase_add_test(tc, values_that_another_server_may_read_differently_are_refused);
	tcase_add_test(tc, parse_key_is_the_part_that_matters_to_parsing);
	tcase_add_test(tc, classes_of_parameters);
	tcase_add_test(tc, a_set_of_another_table_is_adopted);
	tcase_add_test(tc, adoption_that_fails_leaves_the_set_as_it_was);
	tcase_add_test(tc, no_memory_anywhere_changes_nothing);
	tcase_add_test(tc, a_table_without_room_for_the_empty_set_is_refused);
	return unit_run("settings", tc);
}
