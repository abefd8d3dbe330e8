#include "proto/tag.h"

#include <string.h>

#include "../unit.h"

START_TEST(tags_with_and_without_counts)
{
	static const struct {
		const char *text;
		enum tag tag;
		bool has_rows;
		uint64_t rows;
	} cases[] = {
		{"SELECT 1", TAG_SELECT, true, 1},
		{"SELECT 0", TAG_SELECT, true, 0},
		{"INSERT 0 5", TAG_INSERT, true, 5},
		{"INSERT 16384 1", TAG_INSERT, true, 1},
		{"UPDATE 18446744073709551615", TAG_UPDATE, true, UINT64_MAX},
		{"UPDATE 18446744073709551616", TAG_UPDATE, false, 0},
		{"UPDATE 99999999999999999999999", TAG_UPDATE, false, 0},
		{"DELETE 3", TAG_DELETE, true, 3},
		{"COPY 10", TAG_COPY, true, 10},
		{"COPY", TAG_COPY, false, 0},
		{"FETCH 7", TAG_FETCH, true, 7},
		{"BEGIN", TAG_BEGIN, false, 0},
		{"COMMIT", TAG_COMMIT, false, 0},
		{"COMMIT PREPARED", TAG_COMMIT_PREPARED, false, 0},
		{"START TRANSACTION", TAG_START_TRANSACTION, false, 0},
		{"DISCARD ALL", TAG_DISCARD_ALL, false, 0},
		{"DEALLOCATE ALL", TAG_DEALLOCATE_ALL, false, 0},
		{"DEALLOCATE", TAG_DEALLOCATE, false, 0},
		{"CREATE TABLE", TAG_OTHER, false, 0},
		{"SELECTED", TAG_OTHER, false, 0},
		{"SELEC", TAG_OTHER, false, 0},
		{"SELECT 5x", TAG_SELECT, false, 0},
		{"SELECT ", TAG_OTHER, false, 0},
		{"INSERT 0 ", TAG_INSERT, false, 0},
		{"select 1", TAG_OTHER, true, 1},
		{" 5", TAG_OTHER, true, 5},
		{"", TAG_OTHER, false, 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tag_info t = tag_read(cases[i].text);

		ck_assert_msg(t.tag == cases[i].tag, "%s", cases[i].text);
		ck_assert_msg(t.has_rows == cases[i].has_rows, "%s", cases[i].text);
		ck_assert_msg(t.rows == cases[i].rows, "%s", cases[i].text);
	}
}
END_TEST

START_TEST(every_tag_is_found_by_its_name)
{
	for (unsigned i = 1; i < TAG_COUNT; i++) {
		const char *name = tag_name((enum tag)i);

		ck_assert_uint_gt(strlen(name), 0);
		ck_assert_int_eq(tag_read(name).tag, i);
	}
	ck_assert_str_eq(tag_name(TAG_OTHER), "");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tag");

	tcase_add_test(tc, tags_with_and_without_counts);
	tcase_add_test(tc, every_tag_is_found_by_its_name);
	return unit_run("tag", tc);
}
