#include "state/settings_txn.h"

#include "../unit.h"

static const struct hash_key key = {9, 10};
static struct settings_table *t;
static struct settings_txn x;

static void begin(void)
{
	struct settings *none, *login;

	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &t), OK);
	none = settings_empty(t);
	ck_assert_int_eq(settings_put(t, none, "TimeZone", "UTC", &login), OK);
	settings_unref(t, none);
	settings_txn_init(&x, t, &login);
	ck_assert_ptr_null(login);
}

static void end(void)
{
	settings_txn_fini(&x);
	ck_assert_uint_eq(settings_table_n(t), 1);
	settings_table_free(t);
}

static void set(const char *name, const char *value)
{
	ck_assert_int_eq(settings_txn_set(&x, name, value), OK);
}

static void reset(const char *name)
{
	ck_assert_int_eq(settings_txn_reset(&x, name), OK);
}

static void check_now(const char *name, const char *value)
{
	const char *now = settings_get(x.current, name);

	if (value == NULL)
		ck_assert_ptr_null(now);
	else
		ck_assert_str_eq(now, value);
}

START_TEST(a_set_outside_a_transaction_stays)
{
	set("jit", "off");
	settings_txn_rollback(&x);
	check_now("jit", "off");
	ck_assert_ptr_eq(x.current, x.committed);
}
END_TEST

START_TEST(rollback_undoes_and_commit_keeps)
{
	settings_txn_begin(&x);
	set("jit", "off");
	settings_txn_begin(&x); /* BEGIN in a transaction is a warning only */
	set("jit", "on");
	check_now("jit", "on");
	ck_assert_ptr_eq(x.committed, x.login);
	settings_txn_rollback(&x);
	check_now("jit", NULL);
	ck_assert_ptr_eq(x.current, x.login);

	settings_txn_begin(&x);
	set("jit", "off");
	reset("TimeZone");
	settings_txn_commit(&x);
	settings_txn_begin(&x);
	settings_txn_reset_all(&x);
	check_now("jit", NULL);
	settings_txn_rollback(&x);
	check_now("jit", "off");
}
END_TEST

START_TEST(reset_goes_back_to_the_login)
{
	set("timezone", "Europe/Berlin");
	set("jit", "off");
	reset("TIMEZONE");
	check_now("timezone", "UTC");
	reset("jit");
	check_now("jit", NULL);
	ck_assert_ptr_eq(x.current, x.login);
	set("jit", "off");
	settings_txn_reset_all(&x);
	ck_assert_ptr_eq(x.current, x.login);
	ck_assert_ptr_eq(x.committed, x.login);
}
END_TEST

START_TEST(an_error_changes_nothing)
{
	ck_assert_int_eq(settings_txn_set(&x, "", "off"), E_INVALID);
	ck_assert_int_eq(settings_txn_reset(&x, ""), E_INVALID);
	ck_assert_ptr_eq(x.current, x.login);
	ck_assert_ptr_eq(x.committed, x.login);
}
END_TEST

START_TEST(all_three_sets_move_to_another_table)
{
	struct settings_table *away;

	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &away), OK);
	set("jit", "off");
	settings_txn_begin(&x);
	set("jit", "on");
	ck_assert_int_eq(settings_txn_adopt(&x, away), OK);
	check_now("jit", "on");
	settings_txn_rollback(&x);
	check_now("jit", "off");
	reset("jit");
	ck_assert_ptr_eq(x.current, x.login);
	settings_table_free(t);
	t = away; /* the fixture ends it and sees that nothing is left */
}
END_TEST

START_TEST(an_adoption_that_fails_halfway_can_be_ended)
{
	struct settings_table *small, *home = t;

	set("search_path", "a_rather_long_name, and_one_more_that_does_not_fit_in");
	ck_assert_int_eq(settings_table_new(&key, 300, &small), OK);
	ck_assert_int_eq(settings_txn_adopt(&x, small), E_LIMIT);
	settings_txn_fini(&x);
	ck_assert_uint_eq(settings_table_n(small), 1);
	settings_table_free(home);
	settings_table_free(small);
	begin(); /* what the fixture ends */
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("settings_txn");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, a_set_outside_a_transaction_stays);
	tcase_add_test(tc, rollback_undoes_and_commit_keeps);
	tcase_add_test(tc, reset_goes_back_to_the_login);
	tcase_add_test(tc, an_error_changes_nothing);
	tcase_add_test(tc, all_three_sets_move_to_another_table);
	tcase_add_test(tc, an_adoption_that_fails_halfway_can_be_ended);
	return unit_run("settings_txn", tc);
}
