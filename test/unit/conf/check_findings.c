#include "conf/findings.h"

#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

START_TEST(finding_reads_file_line_key_value_text)
{
	char buf[FINDING_LINE_MAX];
	struct finding f = {.file = "a.ini",
		.line = 12,
		.key = "port",
		.value = "x",
		.text = "expected a port"};

	ck_assert_str_eq(
		finding_format(&f, buf, sizeof buf), "a.ini:12: port = x: expected a port");
	f.value = NULL;
	ck_assert_str_eq(finding_format(&f, buf, sizeof buf), "a.ini:12: port: expected a port");
	f.key = "";
	ck_assert_str_eq(finding_format(&f, buf, sizeof buf), "a.ini:12: expected a port");
	f.line = 0;
	ck_assert_str_eq(finding_format(&f, buf, sizeof buf), "a.ini: expected a port");
	f.file = "";
	ck_assert_str_eq(finding_format(&f, buf, sizeof buf), "expected a port");
	f.key = "port";
	f.value = "";
	ck_assert_str_eq(finding_format(&f, buf, sizeof buf), "port = : expected a port");
}
END_TEST

START_TEST(long_value_leaves_room_for_the_text)
{
	char value[2000], buf[FINDING_LINE_MAX], small[8];
	struct finding f = {.file = "f", .line = 1, .key = "k", .value = value, .text = "the end"};

	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	finding_format(&f, buf, sizeof buf);
	ck_assert_ptr_nonnull(strstr(buf, "v...: the end"));
	ck_assert_uint_lt(strlen(buf), 250);
	ck_assert_str_eq(finding_format(&f, small, sizeof small), "f:1: k ");
	ck_assert_str_eq(finding_format(&f, small, 1), "");
}
END_TEST

START_TEST(control_characters_do_not_reach_a_terminal)
{
	char buf[64];
	struct finding f = {.file = "f", .key = "k\033[2J", .value = "a\nb\x7f", .text = "t"};

	ck_assert_str_eq(finding_format(&f, buf, sizeof buf), "f: k?[2J = a?b?: t");
}
END_TEST

START_TEST(findings_beyond_the_limit_are_counted)
{
	struct findings found;

	findings_init(&found);
	for (unsigned i = 0; i < FINDINGS_MAX + 7; i++)
		findings_add(&found, i % 2 != 0 ? FINDING_ERROR : FINDING_NOTE,
			&(struct finding_at){.file = "f", .line = i}, "number %u", i);
	ck_assert_uint_eq(found.n, FINDINGS_MAX);
	ck_assert_uint_eq(found.n_left_out, 7);
	ck_assert_uint_eq(found.n_errors, (FINDINGS_MAX + 7) / 2);
	ck_assert_str_eq(found.items[FINDINGS_MAX - 1].text, "number 499");
	findings_fini(&found);
}
END_TEST

START_TEST(findings_are_sorted_by_file_and_line)
{
	static const struct {
		const char *file;
		uint32_t line;
	} given[] = {{"b", 7}, {"a", 3}, {"b", 2}, {"a", 1}, {"b", 7}, {"", 0}, {"a", 3}},
	  sorted[] = {{"b", 2}, {"b", 7}, {"b", 7}, {"a", 1}, {"a", 3}, {"a", 3}, {"", 0}};
	struct findings found;
	static const char order[] = "2043165"; /* of texts */

	findings_init(&found);
	findings_sort(&found);
	for (unsigned i = 0; i < 7; i++)
		findings_add(&found, FINDING_NOTE,
			&(struct finding_at){.file = given[i].file, .line = given[i].line}, "%u",
			i);
	findings_sort(&found);
	ck_assert_uint_eq(found.n, 7);
	for (unsigned i = 0; i < 7; i++) {
		ck_assert_str_eq(found.items[i].file, sorted[i].file);
		ck_assert_uint_eq(found.items[i].line, sorted[i].line);
		ck_assert_int_eq(found.items[i].text[0], order[i]);
	}
	findings_fini(&found);
}
END_TEST

START_TEST(error_without_memory_still_counts)
{
	struct findings found;
	size_t n, n_errors, n_left_out;

	findings_init(&found);
	failing_alloc_after(0);
	findings_add(&found, FINDING_ERROR, &(struct finding_at){.key = "k"}, "text");
	n = found.n, n_errors = found.n_errors, n_left_out = found.n_left_out;
	failing_alloc_after(-1);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(n_errors, 1);
	ck_assert_uint_eq(n_left_out, 1);
	findings_fini(&found);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("findings");

	tcase_add_test(tc, finding_reads_file_line_key_value_text);
	tcase_add_test(tc, long_value_leaves_room_for_the_text);
	tcase_add_test(tc, control_characters_do_not_reach_a_terminal);
	tcase_add_test(tc, findings_beyond_the_limit_are_counted);
	tcase_add_test(tc, findings_are_sorted_by_file_and_line);
	tcase_add_test(tc, error_without_memory_still_counts);
	return unit_run("findings", tc);
}
