#include "state/journal.h"

#include <stdio.h>
#include <string.h>

#include "../unit.h"

static struct journal j;

static void begin(void)
{
	journal_clear(&j);
}

static void put(enum journal_kind kind, const char *sql, const char *name)
{
	ck_assert_int_eq(journal_put(&j, kind, sql, strlen(sql), name), OK);
}

/* All texts, each followed by a semicolon. */
static const char *all(void)
{
	static char text[2 * JOURNAL_MAX];
	size_t len = 0;
	const char *sql;
	uint32_t at = 0, n = 0;

	text[0] = '\0';
	for (; (sql = journal_next(&j, &at)) != NULL; n++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s;", sql);
	unit_check(n == j.n);
	return text;
}

static void put_block(void)
{
	put(JOURNAL_BEGIN, "BEGIN", "");
	put(JOURNAL_BEGIN, "SET TRANSACTION DEFERRABLE", "");
	put(JOURNAL_SET, "x1", "");
	put(JOURNAL_SAVEPOINT, "S a", "a");
	put(JOURNAL_SET, "x2", "");
	put(JOURNAL_SAVEPOINT, "S b", "b");
	put(JOURNAL_SET, "x3", "");
}

START_TEST(it_tells_what_was_said_in_order)
{
	ck_assert_str_eq(all(), "");
	put_block();
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;S a;x2;S b;x3;");
	put(JOURNAL_SET, "", "");
	ck_assert_uint_eq(j.n, 8);
	journal_clear(&j);
	ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(rollback_to_takes_off_what_came_later)
{
	put_block();
	journal_rollback_to(&j, "b");
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;S a;x2;S b;");
	journal_rollback_to(&j, "nowhere");
	journal_rollback_to(&j, "A");
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;S a;x2;S b;");
	journal_rollback_to(&j, "a");
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;S a;");
	journal_rollback_to(&j, "b");
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;S a;");
}
END_TEST

START_TEST(release_leaves_what_was_set)
{
	put_block();
	journal_release(&j, "b");
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;S a;x2;x3;");
	put(JOURNAL_SAVEPOINT, "S c", "c");
	journal_release(&j, "a");
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;x2;x3;");
	journal_release(&j, "a");
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;x2;x3;");
}
END_TEST

START_TEST(of_two_savepoints_with_one_name_the_younger_is_meant)
{
	put(JOURNAL_BEGIN, "BEGIN", "");
	put(JOURNAL_SAVEPOINT, "S a", "a");
	put(JOURNAL_SET, "x1", "");
	put(JOURNAL_SAVEPOINT, "S a", "a");
	put(JOURNAL_SET, "x2", "");
	journal_rollback_to(&j, "a");
	ck_assert_str_eq(all(), "BEGIN;S a;x1;S a;");
	journal_release(&j, "a");
	ck_assert_str_eq(all(), "BEGIN;S a;x1;");
	journal_rollback_to(&j, "a");
	ck_assert_str_eq(all(), "BEGIN;S a;");
}
END_TEST

START_TEST(the_next_block_of_a_chain_has_the_modes)
{
	put_block();
	journal_chain(&j);
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;");
}
END_TEST

START_TEST(what_failed_is_cut_off)
{
	uint32_t len;

	put_block();
	len = j.len;
	put(JOURNAL_SAVEPOINT, "S c", "c");
	journal_cut(&j, len);
	ck_assert_str_eq(all(), "BEGIN;SET TRANSACTION DEFERRABLE;x1;S a;x2;S b;x3;");
}
END_TEST

START_TEST(it_is_bounded)
{
	char text[JOURNAL_MAX];

	memset(text, 'x', sizeof text);
	put(JOURNAL_BEGIN, "BEGIN", "");
	ck_assert_int_eq(journal_put(&j, JOURNAL_SET, text, sizeof text, ""), E_LIMIT);
	ck_assert_int_eq(journal_put(&j, JOURNAL_SET, text, SIZE_MAX / 2, ""), E_LIMIT);
	ck_assert_int_eq(journal_put(&j, JOURNAL_SET, "a\0b", 3, ""), E_LIMIT);
	ck_assert_str_eq(all(), "BEGIN;");
	/* kind, text, NUL, name, NUL: to the last byte */
	ck_assert_int_eq(
		journal_put(&j, JOURNAL_SAVEPOINT, text, JOURNAL_MAX - j.len - 3, "n"), E_LIMIT);
	ck_assert_int_eq(
		journal_put(&j, JOURNAL_SAVEPOINT, text, JOURNAL_MAX - j.len - 4, "n"), OK);
	ck_assert_uint_eq(j.len, JOURNAL_MAX);
	ck_assert_int_eq(journal_put(&j, JOURNAL_SET, "", 0, ""), E_LIMIT);
	journal_rollback_to(&j, "n");
	ck_assert_uint_eq(j.n, 2);
}
END_TEST

/* Against a list of what is in force, kept the simple way. */
START_TEST(random_blocks)
{
	uint64_t state = 7;

	for (unsigned round = 0; round < 2000; round++) {
		char force[64][2] = {{0}}; /* kind, name or number */
		unsigned n = 0;

		journal_clear(&j);
		for (unsigned step = 0; step < 40; step++) {
			char name[2] = {(char)('a' + unit_random(&state) % 3), '\0'};
			unsigned found = n, at = 0;
			char sql[8];
			uint32_t pos = 0;

			for (unsigned i = 0; i < n; i++)
				if (force[i][0] == 's' && force[i][1] == name[0])
					found = i;
			switch (unit_random(&state) % 4) {
			case 0:
				snprintf(sql, sizeof sql, "s%s", name);
				put(JOURNAL_SAVEPOINT, sql, name);
				memcpy(force[n++], sql, 2);
				break;
			case 1:
				snprintf(sql, sizeof sql, "x%u", step % 10);
				put(JOURNAL_SET, sql, "");
				memcpy(force[n++], sql, 2);
				break;
			case 2:
				journal_rollback_to(&j, name);
				if (found < n)
					n = found + 1;
				break;
			default:
				journal_release(&j, name);
				for (unsigned i = found; i < n; i++)
					if (force[i][0] == 'x')
						memmove(force[found + at++], force[i], 2);
				if (found < n)
					n = found + at;
				break;
			}
			unit_check(j.n == n);
			for (unsigned i = 0; i < n; i++)
				unit_check(memcmp(journal_next(&j, &pos), force[i], 2) == 0);
		}
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("journal");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, it_tells_what_was_said_in_order);
	tcase_add_test(tc, rollback_to_takes_off_what_came_later);
	tcase_add_test(tc, release_leaves_what_was_set);
	tcase_add_test(tc, of_two_savepoints_with_one_name_the_younger_is_meant);
	tcase_add_test(tc, the_next_block_of_a_chain_has_the_modes);
	tcase_add_test(tc, what_failed_is_cut_off);
	tcase_add_test(tc, it_is_bounded);
	tcase_add_test(tc, random_blocks);
	return unit_run("journal", tc);
}
