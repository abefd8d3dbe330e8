#include "state/misuse.h"

#include <stdio.h>
#include <string.h>

#include "../unit.h"

static struct misuse_table table;
static int owner_a, owner_b;

static void note(
	const void *owner, uint64_t fingerprint, const char *app, uint64_t us, uint64_t now)
{
	struct misuse_key key = {
		.owner = owner, .fingerprint = fingerprint, .kind = MISUSE_LONG_TRANSACTION};
	struct misuse_client who = {.application_name = app, .addr = "10.0.0.7", .id = now};

	misuse_note(&table, &key, &who, us, now);
}

START_TEST(each_application_and_statement_is_counted_apart)
{
	char app[200];

	note(&owner_a, 1, "web", 10, 1);
	note(&owner_a, 1, "web", 30, 2);
	note(&owner_a, 1, "job", 5, 3);
	note(&owner_a, 2, "web", 5, 4);
	note(&owner_b, 1, "web", 5, 5);
	ck_assert_uint_eq(table.n, 4);
	ck_assert_uint_eq(table.at[0].n, 2);
	ck_assert_uint_eq(table.at[0].us, 40);
	ck_assert_uint_eq(table.at[0].longest_us, 30);
	ck_assert_uint_eq(table.at[0].seen_us, 2);
	ck_assert_uint_eq(table.at[0].client, 2);
	ck_assert_str_eq(table.at[0].addr, "10.0.0.7");
	memset(app, 'x', sizeof app - 1);
	app[sizeof app - 1] = '\0';
	note(&owner_b, 9, app, 1, 6);
	note(&owner_b, 9, app, 1, 7);
	ck_assert_uint_eq(table.n, 5);
	misuse_forget(&table, &owner_a);
	ck_assert_uint_eq(table.n, 2);
	ck_assert_ptr_eq(table.at[0].key.owner, &owner_b);
	ck_assert_ptr_eq(table.at[1].key.owner, &owner_b);
}
END_TEST

START_TEST(a_kind_is_forgotten_alone)
{
	const struct misuse_client who = {.application_name = "web", .addr = ""};
	struct misuse_key key = {.owner = &owner_a};

	table.n = 0;
	for (unsigned i = 0; i < 6; i++) {
		key.kind = (uint8_t)(i % 3 + MISUSE_IDLE_IN_TRANSACTION);
		key.fingerprint = i;
		misuse_note(&table, &key, &who, 1, i);
	}
	misuse_forget_kind(&table, MISUSE_LONG_TRANSACTION);
	ck_assert_uint_eq(table.n, 4);
	for (uint32_t i = 0; i < table.n; i++)
		ck_assert_uint_ne(table.at[i].key.kind, MISUSE_LONG_TRANSACTION);
	misuse_forget_kind(&table, MISUSE_IDLE_IN_TRANSACTION);
	misuse_forget_kind(&table, MISUSE_PIN);
	ck_assert_uint_eq(table.n, 0);
}
END_TEST

START_TEST(the_one_seen_longest_ago_gives_way)
{
	for (uint64_t i = 0; i < 3 * MISUSE_MAX; i++) {
		note(&owner_a, 1000, "often", 1, 2 * i);
		note(&owner_a, i, "web", 1, 2 * i + 1);
	}
	ck_assert_uint_eq(table.n, MISUSE_MAX);
	for (uint32_t i = 0; i < table.n; i++)
		if (table.at[i].key.fingerprint == 1000)
			ck_assert_uint_eq(table.at[i].n, 3 * MISUSE_MAX);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("misuse");

	tcase_add_test(tc, each_application_and_statement_is_counted_apart);
	tcase_add_test(tc, a_kind_is_forgotten_alone);
	tcase_add_test(tc, the_one_seen_longest_ago_gives_way);
	return unit_run("misuse", tc);
}
