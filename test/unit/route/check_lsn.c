#include "route/lsn.h"

#include "../unit.h"

#define MIB (1u << 20)

START_TEST(text_is_read)
{
	static const struct {
		const char *text;
		uint64_t lsn;
	} cases[] = {
		{"0/0", 0},
		{"0/3000060", 0x3000060},
		{"16/B374D848", 0x16b374d848},
		{"16/b374d848", 0x16b374d848},
		{"FFFFFFFF/FFFFFFFF", UINT64_MAX},
		{"00000001/00000002", 0x100000002},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t lsn;

		ck_assert_int_eq(lsn_parse(cases[i].text, &lsn), OK);
		ck_assert_uint_eq(lsn, cases[i].lsn);
	}
}
END_TEST

START_TEST(other_text_is_refused)
{
	static const char *const cases[] = {"", "/", "0/", "/0", "0", "0/0/", "0/0 ", " 0/0",
		"0x1/0", "100000000/0", "0/100000000", "0/-1", "g/0", "0\\0"};
	uint64_t lsn;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_int_eq(lsn_parse(cases[i], &lsn), E_INVALID);
}
END_TEST

START_TEST(what_is_written_reads_the_same)
{
	uint64_t random = 29, lsn;
	char text[LSN_TEXT_MAX];

	lsn_format(0x16b374d848, text);
	ck_assert_str_eq(text, "16/B374D848");
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t want = unit_random(&random) >> (i % 64);

		lsn_format(want, text);
		ck_assert_int_eq(lsn_parse(text, &lsn), OK);
		ck_assert_uint_eq(lsn, want);
	}
}
END_TEST

START_TEST(points_have_a_timeline)
{
	static const char *const good[] = {"16/B374D848", "16/B374D848@2", "0/0@4294967295"};
	static const char *const bad[] = {"", "@", "0/0@", "0/0@0", "0/0@-1", "0/0@4294967296",
		"0/0@1 ", "@1", "0/0@1@1", "00000000000000000000/0"};
	char text[WAL_POINT_TEXT_MAX];
	struct wal_point p;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ck_assert_int_eq(wal_point_parse(good[i], &p), OK);
		wal_point_format(p, text);
		ck_assert_str_eq(text, good[i]);
	}
	ck_assert_int_eq(wal_point_parse("1/2@3", &p), OK);
	ck_assert_uint_eq(p.lsn, 0x100000002);
	ck_assert_uint_eq(p.timeline, 3);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_int_eq(wal_point_parse(bad[i], &p), E_INVALID);
	wal_point_format((struct wal_point){UINT32_MAX, UINT64_MAX}, text);
	ck_assert_str_eq(text, "FFFFFFFF/FFFFFFFF@4294967295");
}
END_TEST

START_TEST(a_position_behind_a_page_header_is_the_page)
{
	static const struct {
		struct wal_geometry g;
		uint64_t lsn, rounded;
	} cases[] = {
		{{16 * MIB, 8192}, 0x3002018, 0x3002000},
		{{16 * MIB, 8192}, 0x3002020, 0x3002020},
		{{16 * MIB, 8192}, 0x3002017, 0x3002017},
		{{16 * MIB, 8192}, 0x3002000, 0x3002000},
		{{16 * MIB, 8192}, 0x3000028, 0x3000000}, /* a segment's first page: 40 */
		{{16 * MIB, 8192}, 0x3000018, 0x3000018},
		{{16 * MIB, 8192}, 0x3100018, 0x3100000}, /* no segment begins here */
		{{16 * MIB, 8192}, 0x3100028, 0x3100028},
		{{MIB, 8192}, 0x3100028, 0x3100000},
		{{16 * MIB, 16384}, 0x3002018, 0x3002018}, /* the middle of a page */
		{{16 * MIB, 16384}, 0x3004018, 0x3004000},
		{{0, 8192}, 0x3002018, 0x3002018},
		{{16 * MIB, 0}, 0x3002018, 0x3002018},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_uint_eq(lsn_round(cases[i].lsn, &cases[i].g), cases[i].rounded);
}
END_TEST

START_TEST(points_compare_by_timeline_and_lsn)
{
	const struct wal_point a = {1, 100}, b = {1, 200}, c = {2, 150};

	ck_assert(wal_point_covers(a, a));
	ck_assert(wal_point_covers(b, a));
	ck_assert(!wal_point_covers(a, b));
	ck_assert(wal_point_covers(c, a));
	ck_assert(!wal_point_covers(c, b)); /* maybe lost at the fork, maybe not there yet */
	ck_assert(!wal_point_covers(b, c));
	ck_assert_uint_eq(wal_point_max(a, b).lsn, 200);
	ck_assert_uint_eq(wal_point_max(c, b).lsn, 150);
	ck_assert_uint_eq(wal_point_max(b, c).lsn, 150);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("lsn");

	tcase_add_test(tc, text_is_read);
	tcase_add_test(tc, other_text_is_refused);
	tcase_add_test(tc, what_is_written_reads_the_same);
	tcase_add_test(tc, points_have_a_timeline);
	tcase_add_test(tc, a_position_behind_a_page_header_is_the_page);
	tcase_add_test(tc, points_compare_by_timeline_and_lsn);
	return unit_run("lsn", tc);
}
