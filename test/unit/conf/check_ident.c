#include "conf/ident.h"

#include "fixture.h"

static struct ident *map;

static void setup(void)
{
	fixture_init();
	map = NULL;
}

static void teardown(void)
{
	ident_free(map);
	fixture_fini();
}

static enum status parse(const char *text)
{
	ident_free(map);
	findings_fini(&fixture_found);
	findings_init(&fixture_found);
	return ident_parse(text, strlen(text), "ident", &map, &fixture_found);
}

START_TEST(names_are_mapped_by_the_lines_of_their_map)
{
	ck_assert_int_eq(parse("# map system user\n"
			       "ops ann postgres\n"
			       "ops ann backup\n"
			       "ops \"b ob\" bob\n"
			       "any root all\n"
			       "any x \"all\"\n"),
		OK);
	ck_assert(ident_allows(map, "ops", "ann", "postgres"));
	ck_assert(ident_allows(map, "ops", "ann", "backup"));
	ck_assert(ident_allows(map, "ops", "b ob", "bob"));
	ck_assert(!ident_allows(map, "ops", "ann", "ann"));
	ck_assert(!ident_allows(map, "ops", "Ann", "postgres"));
	ck_assert(!ident_allows(map, "other", "ann", "postgres"));
	ck_assert(ident_allows(map, "any", "root", "whoever"));
	ck_assert(!ident_allows(map, "any", "x", "whoever"));
	ck_assert(ident_allows(map, "any", "x", "all"));
	ck_assert(ident_has_map(map, "ops") && !ident_has_map(map, "other"));
}
END_TEST

START_TEST(without_a_map_the_names_are_equal)
{
	ck_assert_int_eq(parse(""), OK);
	ck_assert(ident_allows(map, "", "ann", "ann"));
	ck_assert(!ident_allows(map, "", "ann", "Ann"));
}
END_TEST

START_TEST(expressions_fill_in_their_first_group)
{
	ck_assert_int_eq(parse("m /^(.*)@a\\.org$ \\1\n"
			       "m /^(.*)@b\\.org$ pre_\\1_post\n"
			       "m /^guest guest\n"
			       "m boss /^(dev|test)_\n"),
		OK);
	ck_assert(ident_allows(map, "m", "ann@a.org", "ann"));
	ck_assert(!ident_allows(map, "m", "ann@a.org", "bob"));
	ck_assert(!ident_allows(map, "m", "ann@axorg", "ann"));
	ck_assert(ident_allows(map, "m", "ann@b.org", "pre_ann_post"));
	ck_assert(!ident_allows(map, "m", "ann@b.org", "pre_ann_pos"));
	ck_assert(!ident_allows(map, "m", "ann@b.org", "ann"));
	ck_assert(ident_allows(map, "m", "guest17", "guest"));
	ck_assert(ident_allows(map, "m", "boss", "test_1"));
	ck_assert(!ident_allows(map, "m", "boss", "prod_1"));
}
END_TEST

START_TEST(every_error_is_told_with_its_line)
{
	static const struct {
		const char *text, *told;
	} wrong[] = {
		{"m a", "ident:1: expected map, system name and database user"},
		{"m a b c", "ident:1: expected nothing behind the database user"},
		{"m a,b c", "ident:1: expected map, system name"},
		{"m /( c", "ident:1: system name = /(: expected a regular expression"},
		{"m a /(", "ident:1: database user = /(: expected a regular expression"},
		{"m /a \\1", "ident:1: database user = \\1: expected a /expression with a (group)"},
		{"m a \\1", "ident:1: database user = \\1: expected a /expression with a (group)"},
		{"m a +role", "ident:1: database user = +role: expected a name"},
		{"m \"a b", "ident:1: expected a closing"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		ck_assert_msg(parse(wrong[i].text) == E_INVALID, "%s", wrong[i].text);
		ck_assert_uint_eq(fixture_found.n, 1);
		ck_assert_msg(fixture_has(FINDING_ERROR, wrong[i].told), "%s", wrong[i].text);
	}
	ck_assert_int_eq(parse("x\nm a b\ny\n"), E_INVALID);
	ck_assert_uint_eq(fixture_found.n_errors, 2);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ident");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_are_mapped_by_the_lines_of_their_map);
	tcase_add_test(tc, without_a_map_the_names_are_equal);
	tcase_add_test(tc, expressions_fill_in_their_first_group);
	tcase_add_test(tc, every_error_is_told_with_its_line);
	return unit_run("ident", tc);
}
