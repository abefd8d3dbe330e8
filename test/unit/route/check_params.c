#include "route/params.h"

#include <stdio.h>

#include "../unit.h"

static struct params *p;

static void params_begin(void)
{
	p = params_new();
	ck_assert_ptr_nonnull(p);
}

static void params_end(void)
{
	params_free(p);
}

static void set(const char *value, bool local, bool in_txn)
{
	ck_assert_int_eq(params_set(p, ASK_CONSISTENCY, value, local, in_txn), OK);
}

static void holds(const char *value)
{
	char text[ASK_VALUE_MAX];

	ask_format(params_now(p), ASK_CONSISTENCY, text);
	ck_assert_str_eq(text, value);
}

START_TEST(a_transaction_keeps_or_undoes)
{
	set("strong", false, true);
	ck_assert(params_is_pending(p));
	params_rollback(p);
	holds("");
	ck_assert(!params_is_pending(p));
	set("strong", false, true);
	params_commit(p);
	holds("strong");
	set("eventual", true, true);
	holds("eventual");
	params_commit(p);
	holds("strong");
	set("eventual", true, true);
	set("database", false, true); /* SET after SET LOCAL: it stays */
	params_commit(p);
	holds("database");
	set("session", false, false); /* outside: at once */
	params_rollback(p);
	holds("session");
	set("strong", true, false); /* LOCAL outside: nothing */
	holds("session");
}
END_TEST

START_TEST(savepoints_bring_back)
{
	set("strong", false, true);
	params_savepoint(p, "a");
	set("database", false, true);
	params_savepoint(p, "b");
	set("eventual", true, true);
	params_rollback_to(p, "b");
	holds("database");
	params_savepoint(p, "a"); /* hides the first */
	set("session", false, true);
	params_rollback_to(p, "a");
	holds("database");
	params_release(p, "a");
	params_rollback_to(p, "a");
	holds("strong");
	params_rollback_to(p, "older than all"); /* made before anything was set */
	holds("");
	params_commit(p);
	holds("");
}
END_TEST

START_TEST(more_savepoints_than_are_kept)
{
	char name[16];

	for (unsigned i = 0; i < PARAMS_SAVEPOINTS_MAX + 5; i++) {
		set(i < PARAMS_SAVEPOINTS_MAX ? "database" : "eventual", false, true);
		snprintf(name, sizeof name, "s%u", i);
		params_savepoint(p, name);
	}
	params_rollback_to(p, name);
	holds("database");
}
END_TEST

START_TEST(reset_goes_back_to_the_start)
{
	ck_assert_int_eq(params_start(p, ASK_CONSISTENCY, "strong"), OK);
	ck_assert_int_eq(params_start(p, ASK_CONSISTENCY, "x"), E_INVALID);
	holds("strong");
	set("eventual", false, false);
	params_reset(p, ASK_CONSISTENCY, false, false);
	holds("strong");
	set("eventual", false, false);
	params_reset_all(p, true);
	holds("strong");
	params_rollback(p);
	holds("eventual");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("params");

	tcase_add_checked_fixture(tc, params_begin, params_end);
	tcase_add_test(tc, a_transaction_keeps_or_undoes);
	tcase_add_test(tc, savepoints_bring_back);
	tcase_add_test(tc, more_savepoints_than_are_kept);
	tcase_add_test(tc, reset_goes_back_to_the_start);
	return unit_run("params", tc);
}
