#include "state/settings_diff.h"

#include <string.h>
#include <strings.h>

#include "../unit.h"
#include "base/rd.h"

static const struct hash_key key = {7, 8};
static struct settings_table *t;
static uint8_t buf[1u << 20];

static void begin(void)
{
	ck_assert_int_eq(settings_table_new(&key, 1u << 22, &t), OK);
}

static void end(void)
{
	ck_assert_uint_eq(settings_table_n(t), 1);
	settings_table_free(t);
}

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

/* The text of the next Query message. */
static const char *next_query(struct rd *r)
{
	const char *text;
	uint32_t len;

	ck_assert_int_eq(rd_u8(r), 'Q');
	len = rd_u32(r);
	text = (const char *)rd_bytes(r, len - 4);
	ck_assert(!r->bad);
	ck_assert_uint_eq(strlen(text), len - 5);
	return text;
}

static void check_texts(const struct settings *from, const struct settings *to, unsigned n_stmts,
	const char *const *texts, unsigned n)
{
	struct wr w = wr_of(buf, sizeof buf);
	struct settings_diff d = settings_diff_write(from, to, NULL, false, &w);
	struct rd r = rd_of(buf, w.len);

	ck_assert(!w.bad);
	ck_assert_uint_eq(d.n_stmts, n_stmts);
	ck_assert_uint_eq(d.n_stmts, settings_diff_count(from, to));
	ck_assert_uint_eq(d.n_msgs, n);
	ck_assert_uint_le(w.len, settings_diff_len_max(from, to, NULL));
	for (unsigned i = 0; i < n; i++)
		ck_assert_str_eq(next_query(&r), texts[i]);
	ck_assert_uint_eq(r.left, 0);
}

static void check_text(const struct settings *from, const struct settings *to, unsigned n_stmts,
	const char *first, const char *second)
{
	const char *const texts[] = {first, second};

	check_texts(from, to, n_stmts, texts, (first != NULL) + (second != NULL));
}

START_TEST(equal_sets_need_nothing)
{
	struct settings *a = with(settings_empty(t), "jit", "off"), *none = settings_empty(t);

	check_text(a, a, 0, NULL, NULL);
	check_text(none, none, 0, NULL, NULL);
	settings_unref(t, a);
	settings_unref(t, none);
}
END_TEST

START_TEST(the_difference_is_set_and_reset)
{
	struct settings *a = settings_empty(t), *b = settings_empty(t), *none = settings_empty(t);

	a = with(with(with(a, "jit", "off"), "work_mem", "4MB"), "lock_timeout", "1s");
	b = with(with(with(b, "jit", "on"), "work_mem", "4MB"), "DateStyle", "ISO, DMY");
	check_text(a, b, 3,
		"SET \"datestyle\" TO E'ISO, DMY'; SET \"jit\" TO E'on'; RESET \"lock_timeout\"",
		NULL);
	check_text(none, a, 3,
		"SET \"jit\" TO E'off'; SET \"lock_timeout\" TO E'1s'; SET \"work_mem\" TO E'4MB'",
		NULL);
	check_text(a, none, 3, "RESET \"jit\"; RESET \"lock_timeout\"; RESET \"work_mem\"", NULL);
	settings_unref(t, a);
	settings_unref(t, b);
	settings_unref(t, none);
}
END_TEST

START_TEST(lists_of_names_go_through_set_config)
{
	struct settings *none = settings_empty(t), *a = settings_empty(t);

	a = with(with(a, "search_path", "\"A'b\", public"), "temp_tablespaces", "");
	check_text(none, a, 2,
		"SELECT pg_catalog.set_config(E'search_path', E'\"A''b\", public', false); "
		"SELECT pg_catalog.set_config(E'temp_tablespaces', E'', false)",
		NULL);
	check_text(a, none, 2, "RESET \"search_path\"; RESET \"temp_tablespaces\"", NULL);
	settings_unref(t, a);
	settings_unref(t, none);
}
END_TEST

START_TEST(client_encoding_is_first)
{
	struct settings *none = settings_empty(t), *a = settings_empty(t);

	a = with(with(a, "application_name", "x"), "client_encoding", "UTF8");
	check_text(none, a, 2,
		"SET \"client_encoding\" TO E'UTF8'; SET \"application_name\" TO E'x'", NULL);
	check_text(a, none, 2, "RESET \"client_encoding\"; RESET \"application_name\"", NULL);
	settings_unref(t, a);
	settings_unref(t, none);
}
END_TEST

START_TEST(non_ascii_text_goes_in_a_message_after_its_encoding)
{
	struct settings *none = settings_empty(t), *a = settings_empty(t);

	a = with(with(a, "client_encoding", "UTF8"), "application_name", "\xc3\xa4");
	check_text(none, a, 2, "SET \"client_encoding\" TO E'UTF8'",
		"SET \"application_name\" TO E'\xc3\xa4'");
	check_text(a, none, 2, "RESET \"client_encoding\"; RESET \"application_name\"", NULL);
	settings_unref(t, a);
	settings_unref(t, none);
}
END_TEST

/* A transaction keeps the isolation that it began with, and what has a snapshot depends on it. */
START_TEST(the_isolation_goes_in_a_message_of_its_own)
{
	static const char *const set[] = {
		"RESET \"role\"; SET \"default_transaction_isolation\" TO E'read committed'",
		"SET \"client_encoding\" TO E'UTF8'",
		("SET \"application_name\" TO E'\xc3\xa4'; "
		 "SELECT pg_catalog.set_config(E'search_path', E'a', false)")};
	static const char *const reset[] = {"RESET \"default_transaction_isolation\"",
		"RESET \"client_encoding\"; RESET \"application_name\"; RESET \"search_path\"; "
		"SET \"role\" TO E'r'"};
	static const char *const same[] = {
		"SELECT pg_catalog.set_config(E'search_path', E'b', false)"};
	struct settings *r = with(settings_empty(t), "role", "r");
	struct settings *a = with(settings_empty(t), "search_path", "a"), *b;

	a = with(with(a, "client_encoding", "UTF8"), "application_name", "\xc3\xa4");
	a = with(a, "default_transaction_isolation", "read committed");
	b = with(settings_ref(a), "search_path", "b");
	check_texts(r, a, 5, set, 3);
	check_texts(a, r, 5, reset, 2);
	check_texts(a, b, 1, same, 1);
	settings_unref(t, r);
	settings_unref(t, a);
	settings_unref(t, b);
}
END_TEST

START_TEST(quotes_and_backslashes_are_doubled)
{
	struct settings *none = settings_empty(t);
	struct settings *a = with(settings_empty(t), "x\"y", "a'b\\c;--\n");

	check_text(none, a, 1, "SET \"x\"\"y\" TO E'a''b\\\\c;--\n'", NULL);
	settings_unref(t, a);
	settings_unref(t, none);
}
END_TEST

START_TEST(what_may_be_refused_is_told)
{
	struct settings *none = settings_empty(t);
	struct settings *plain = with(settings_empty(t), "search_path", "a");
	struct settings *limited = with(settings_ref(plain), "role", "limited");
	struct settings *moved = with(settings_ref(limited), "work_mem", "5MB");

	ck_assert(!settings_diff_may_be_refused(plain, plain));
	ck_assert(!settings_diff_may_be_refused(plain, none));
	ck_assert(settings_diff_may_be_refused(plain, limited));
	ck_assert(settings_diff_may_be_refused(limited, plain)); /* its RESET */
	ck_assert(!settings_diff_may_be_refused(limited, limited));
	ck_assert(!settings_diff_may_be_refused(limited, moved));
	settings_unref(t, none);
	settings_unref(t, plain);
	settings_unref(t, limited);
	settings_unref(t, moved);
}
END_TEST

START_TEST(a_small_buffer_is_told)
{
	struct settings *none = settings_empty(t), *a = with(settings_empty(t), "jit", "off");
	struct wr w;

	for (size_t cap = 0; cap < 25; cap++) {
		w = wr_of(buf, cap);
		settings_diff_write(none, a, NULL, false, &w);
		ck_assert(w.bad);
	}
	w = wr_of(buf, 25); /* 'Q', length, SET "jit" TO E'off', NUL */
	settings_diff_write(none, a, NULL, false, &w);
	ck_assert(!w.bad);
	settings_unref(t, a);
	settings_unref(t, none);
}
END_TEST

/* --- a model server reads the text as PostgreSQL's lexer does --- */

/* What stands between quotes at *p, undoubled into `out`; escapes: E'…'. */
static void read_quoted(const char **p, char quote, bool escapes, char *out)
{
	ck_assert_int_eq(**p, quote);
	for ((*p)++;; (*p)++) {
		if (**p == quote && (*p)[1] != quote)
			break;
		ck_assert_int_ne(**p, '\0');
		if (**p == quote || (escapes && **p == '\\')) {
			(*p)++;
			ck_assert(**p == quote || **p == '\\');
		}
		*out++ = **p;
	}
	(*p)++;
	*out = '\0';
}

static bool skip(const char **p, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*p, text, n) != 0)
		return false;
	*p += n;
	return true;
}

/* Run one message on a server that has `s`. */
static struct settings *run_query(struct settings *s, const char *p, unsigned *n_stmts)
{
	static char name[256], value[SETTINGS_VALUE_MAX + 1];

	for (bool more = true; more; more = skip(&p, "; ")) {
		(*n_stmts)++;
		if (skip(&p, "RESET ")) {
			read_quoted(&p, '"', false, name);
			s = without(s, name);
		} else if (skip(&p, "SET ")) {
			read_quoted(&p, '"', false, name);
			ck_assert(skip(&p, " TO E"));
			read_quoted(&p, '\'', true, value);
			s = with(s, name, value);
		} else {
			ck_assert(skip(&p, "SELECT pg_catalog.set_config(E"));
			read_quoted(&p, '\'', true, name);
			ck_assert(skip(&p, ", E"));
			read_quoted(&p, '\'', true, value);
			ck_assert(skip(&p, ", false)"));
			s = with(s, name, value);
		}
	}
	ck_assert_int_eq(*p, '\0');
	return s;
}

static struct settings *random_set(uint64_t *random)
{
	static const char *const names[] = {"client_encoding", "search_path", "jit", "a\"b", "z;z",
		"temp_tablespaces", "TimeZone", "x'y", "default_transaction_isolation"};
	struct settings *s = settings_empty(t);
	char value[9];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		uint64_t r = unit_random(random);
		size_t len = r % 9;

		if (r >> 60 < 8)
			continue;
		for (size_t k = 0; k < len; k++)
			value[k] = "'\\\"; a$E-"[(r >> (8 + 4 * k)) % 9];
		value[len] = '\0';
		s = with(s, names[i], value);
	}
	return s;
}

START_TEST(what_is_refused_leaves_a_failed_block)
{
	struct settings *none = settings_empty(t), *a = with(settings_empty(t), "role", "r");
	struct wr w = wr_of(buf, sizeof buf);
	struct settings_diff d = settings_diff_write(none, a, NULL, true, &w);
	struct rd r = rd_of(buf, w.len);
	const char *text = next_query(&r);

	ck_assert_uint_eq(d.n_msgs, 1);
	ck_assert_uint_eq(d.n_stmts, 1);
	ck_assert_ptr_eq(strstr(text, "BEGIN; SET"), text);
	ck_assert_str_eq(text + strlen(text) - 8, "; COMMIT");
	ck_assert_uint_le(w.len, settings_diff_len_max(none, a, NULL));
	settings_unref(t, none);
	settings_unref(t, a);
}
END_TEST

START_TEST(a_server_that_runs_the_text_has_the_set)
{
	uint64_t random = 17;

	for (unsigned step = 0; step < 5000; step++) {
		struct settings *from = random_set(&random), *to = random_set(&random);
		struct settings *server = settings_ref(from);
		struct wr w = wr_of(buf, sizeof buf);
		struct settings_diff d = settings_diff_write(from, to, NULL, false, &w);
		struct rd r = rd_of(buf, w.len);
		unsigned n_stmts = 0;

		ck_assert(!w.bad);
		ck_assert_uint_le(w.len, settings_diff_len_max(from, to, NULL));
		for (unsigned i = 0; i < d.n_msgs; i++)
			server = run_query(server, next_query(&r), &n_stmts);
		ck_assert_uint_eq(r.left, 0);
		ck_assert_ptr_eq(server, to);
		ck_assert_uint_eq(n_stmts, d.n_stmts);
		ck_assert_uint_eq(n_stmts, settings_diff_count(from, to));
		settings_unref(t, server);
		settings_unref(t, from);
		settings_unref(t, to);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("settings_diff");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, equal_sets_need_nothing);
	tcase_add_test(tc, the_difference_is_set_and_reset);
	tcase_add_test(tc, lists_of_names_go_through_set_config);
	tcase_add_test(tc, client_encoding_is_first);
	tcase_add_test(tc, non_ascii_text_goes_in_a_message_after_its_encoding);
	tcase_add_test(tc, the_isolation_goes_in_a_message_of_its_own);
	tcase_add_test(tc, quotes_and_backslashes_are_doubled);
	tcase_add_test(tc, what_may_be_refused_is_told);
	tcase_add_test(tc, a_small_buffer_is_told);
	tcase_add_test(tc, what_is_refused_leaves_a_failed_block);
	tcase_add_test(tc, a_server_that_runs_the_text_has_the_set);
	return unit_run("settings_diff", tc);
}
