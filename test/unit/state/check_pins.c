#include "state/pins.h"

#include <string.h>

#include "../unit.h"

static struct pin_counts counts;
static struct pins p;

static void begin(void)
{
	memset(&counts, 0, sizeof counts);
	pins_init(&p);
}

static void check_none_now(void)
{
	for (unsigned c = 0; c < PIN_CAUSE_COUNT; c++)
		ck_assert_uint_eq(counts.now[c], 0);
}

static bool add(enum pin_cause c)
{
	return pins_add(&p, &counts, c, 77, "LISTEN x", 8);
}

START_TEST(every_cause_has_a_word_of_its_own)
{
	for (unsigned c = 0; c < PIN_CAUSE_COUNT; c++) {
		ck_assert_ptr_nonnull(pin_cause_name((enum pin_cause)c));
		for (unsigned k = 0; k < c; k++)
			ck_assert_str_ne(pin_cause_name((enum pin_cause)c),
				pin_cause_name((enum pin_cause)k));
	}
	ck_assert_str_eq(pin_cause_name(PIN_ADVISORY_LOCK), "advisory_lock");
	ck_assert_str_eq(pin_cause_name(PIN_CAUSE_COUNT), "?");
}
END_TEST

START_TEST(the_first_pin_is_remembered_and_each_is_counted_once)
{
	ck_assert(!pins_any(&p));
	ck_assert(pins_add(&p, &counts, PIN_TEMP, 5, "CREATE TEMP TABLE a ()", 22));
	ck_assert(!pins_add(&p, &counts, PIN_LISTEN, 6, "LISTEN x", 8));
	ck_assert(!pins_add(&p, &counts, PIN_TEMP, 7, "CREATE TEMP TABLE b ()", 22));
	ck_assert(pins_has(&p, PIN_TEMP) && pins_has(&p, PIN_LISTEN) && !pins_has(&p, PIN_LOAD));
	ck_assert_uint_eq(p.first, PIN_TEMP);
	ck_assert_uint_eq(p.since_us, 5);
	ck_assert_str_eq(p.text, "CREATE TEMP TABLE a ()");
	ck_assert_uint_eq(counts.now[PIN_TEMP], 1);
	ck_assert_uint_eq(counts.total[PIN_TEMP], 1);
	ck_assert(!pins_remove(&p, &counts, PIN_TEMP));
	ck_assert(pins_remove(&p, &counts, PIN_LISTEN));
	ck_assert(!pins_remove(&p, &counts, PIN_LISTEN));
	check_none_now();
	ck_assert_uint_eq(counts.total[PIN_LISTEN], 1);
}
END_TEST

START_TEST(what_undoes_which)
{
	static const struct {
		enum pin_undo undo;
		uint32_t causes;
	} cases[] = {
		{PIN_UNDO_CLOSE_ALL, 1u << PIN_WITH_HOLD},
		{PIN_UNDO_ADVISORY_UNLOCK_ALL, 1u << PIN_ADVISORY_LOCK},
		{PIN_UNDO_DEALLOCATE_ALL, 1u << PIN_SQL_PREPARE | 1u << PIN_LARGE_STATEMENT},
		{PIN_UNDO_STREAM_END, 1u << PIN_STREAM},
		{PIN_UNDO_DISCARD_SEQUENCES, 1u << PIN_SEQUENCE},
		{PIN_UNDO_DISCARD_ALL,
			((1u << PIN_CAUSE_COUNT) - 1) & ~(1u << PIN_STREAM | 1u << PIN_REPLICATION |
								1u << PIN_SESSION_MODE)},
	};

	ck_assert_uint_eq(sizeof cases / sizeof cases[0], PIN_UNDO_COUNT);
	for (size_t i = 0; i < PIN_UNDO_COUNT; i++) {
		for (unsigned c = 0; c < PIN_CAUSE_COUNT; c++) {
			bool undone = (cases[i].causes >> c & 1u) != 0;

			begin();
			add((enum pin_cause)c);
			ck_assert_int_eq(pins_undo(&p, &counts, cases[i].undo), undone);
			ck_assert_int_eq(pins_any(&p), !undone);
			ck_assert_uint_eq(counts.now[c], !undone);
		}
	}
}
END_TEST

START_TEST(a_client_is_free_when_its_last_pin_is_undone)
{
	add(PIN_ADVISORY_LOCK);
	add(PIN_WITH_HOLD);
	ck_assert(!pins_undo(&p, &counts, PIN_UNDO_STREAM_END));
	ck_assert(!pins_undo(&p, &counts, PIN_UNDO_CLOSE_ALL));
	ck_assert(pins_undo(&p, &counts, PIN_UNDO_ADVISORY_UNLOCK_ALL));
	ck_assert(!pins_undo(&p, &counts, PIN_UNDO_ADVISORY_UNLOCK_ALL));
	ck_assert_uint_eq(pins_after(&p), 0);
	check_none_now();
}
END_TEST

START_TEST(what_the_server_needs_afterwards)
{
	ck_assert_uint_eq(pins_after(&p), 0);
	add(PIN_SEQUENCE);
	ck_assert(!pins_hold_state(&p));
	ck_assert_uint_eq(pins_after(&p), 0);
	ck_assert(pins_remove(&p, &counts, PIN_SEQUENCE));
	add(PIN_SESSION_MODE);
	ck_assert_uint_eq(pins_after(&p), 0);
	add(PIN_TEMP);
	ck_assert_uint_eq(pins_after(&p), CLEAN(TEMP));
	add(PIN_ADVISORY_LOCK);
	ck_assert_uint_eq(pins_after(&p), CLEAN(TEMP) | CLEAN(LOCKS));
	pins_remove(&p, &counts, PIN_TEMP);
	ck_assert_uint_eq(pins_after(&p), CLEAN(LOCKS));
	add(PIN_SETSEED);
	ck_assert(pins_hold_state(&p));
	add(PIN_CUSTOM_PARAMETER);
	ck_assert_uint_eq(pins_after(&p), CLEAN(CLOSE) | CLEAN(LOCKS) | CLEAN(SEED));
	ck_assert(!pins_undo(&p, &counts, PIN_UNDO_DISCARD_ALL));
	ck_assert(pins_remove(&p, &counts, PIN_SESSION_MODE));
	/* DISCARD ALL leaves the placeholder and the seed */
	ck_assert_uint_eq(pins_after(&p), CLEAN(CLOSE) | CLEAN(SEED));
	pins_clear(&p, &counts);
	ck_assert_uint_eq(pins_after(&p), 0);
	check_none_now();
}
END_TEST

START_TEST(clear_gives_up_all)
{
	for (unsigned c = 0; c < PIN_CAUSE_COUNT; c++)
		add((enum pin_cause)c);
	pins_clear(&p, &counts);
	ck_assert(!pins_any(&p));
	check_none_now();
}
END_TEST

START_TEST(the_text_is_short_plain_and_without_strings)
{
	static const struct {
		const char *sql, *text;
	} cases[] = {
		{"  LISTEN\n\t\x01 x ", "LISTEN x "},
		{"SELECT dblink_connect('password=secret')", "SELECT dblink_connect("},
		{"SELECT dblink_connect($$password=secret$$)", "SELECT dblink_connect("},
		{"0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789",
			"0123456789 0123456789 0123456789 0123456789 0123456789 01234567"},
		/* 61 bytes and a character of three: it is left out whole */
		{"0123456789 0123456789 0123456789 0123456789 0123456789 012345\xe2\x82\xac",
			"0123456789 0123456789 0123456789 0123456789 0123456789 012345"},
		{"caf\xc3", "caf"},
		{"caf\xc3\xa9", "caf\xc3\xa9"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin();
		pins_add(&p, &counts, PIN_UNKNOWN, 1, cases[i].sql, strlen(cases[i].sql));
		ck_assert_str_eq(p.text, cases[i].text);
	}
	begin();
	pins_add(&p, &counts, PIN_UNKNOWN, 1, NULL, 10);
	ck_assert_str_eq(p.text, "");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pins");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, every_cause_has_a_word_of_its_own);
	tcase_add_test(tc, the_first_pin_is_remembered_and_each_is_counted_once);
	tcase_add_test(tc, what_undoes_which);
	tcase_add_test(tc, a_client_is_free_when_its_last_pin_is_undone);
	tcase_add_test(tc, what_the_server_needs_afterwards);
	tcase_add_test(tc, clear_gives_up_all);
	tcase_add_test(tc, the_text_is_short_plain_and_without_strings);
	return unit_run("pins", tc);
}
