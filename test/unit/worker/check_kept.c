#include "worker/kept.h"

#include <stdlib.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../unit.h"

static struct kept k;

static void begin(void)
{
	kept_init(&k);
}

static void end(void)
{
	kept_fini(&k);
}

static void start(const char *database, uint64_t round)
{
	ck_assert_int_eq(kept_begin(&k, database, round, round * 100), OK);
}

static void add(const char *database, uint64_t number, uint32_t len)
{
	struct tell_notified *t = calloc(1, sizeof *t + len);

	strcpy(t->database, database);
	t->number = number;
	t->len = len;
	kept_add(&k, t);
}

static void has(const char *database, const uint64_t *numbers, unsigned n)
{
	const struct tell_notified *t = NULL;

	for (unsigned i = 0; i < n; i++) {
		t = kept_next(&k, database, t);
		ck_assert_ptr_nonnull(t);
		ck_assert_str_eq(t->database, database);
		ck_assert_uint_eq(t->number, numbers[i]);
	}
	ck_assert_ptr_null(kept_next(&k, database, t));
}

START_TEST(each_database_has_its_own_in_order)
{
	const uint64_t a[] = {kept_first(1) + 1, kept_first(1) + 1, kept_first(1) + 2};
	const uint64_t b[] = {kept_first(5) + 1};
	uint64_t since = 0;

	add("a", a[0], 3); /* nobody keeps anything */
	has("a", NULL, 0);
	start("a", 1);
	start("b", 5);
	add("a", a[0], 3);
	add("b", b[0], 3);
	add("a", a[1], 3); /* of another channel */
	add("a", a[2], 3);
	add("c", a[0], 3);
	has("a", a, 3);
	has("b", b, 1);
	has("c", NULL, 0);
	ck_assert(kept_covers(&k, "a", kept_first(1), &since));
	ck_assert_uint_eq(since, 100);
	ck_assert(kept_covers(&k, "b", kept_first(5) + 9, &since));
	ck_assert_uint_eq(since, 500);
	ck_assert(!kept_covers(&k, "a", kept_first(5), &since));
	ck_assert(!kept_covers(&k, "a", 0, &since));
	ck_assert(!kept_covers(&k, "c", kept_first(1), &since));
	kept_end(&k, "a");
	kept_end(&k, "c");
	has("a", NULL, 0);
	ck_assert(!kept_covers(&k, "a", kept_first(1), &since));
	has("b", b, 1);
}
END_TEST

START_TEST(what_came_before_the_marker_is_not_kept)
{
	const uint64_t kept[] = {kept_first(2) + 1};
	uint64_t since;

	start("a", 1);
	add("a", kept_first(1) + 1, 3);
	start("a", 2);
	has("a", NULL, 0);
	add("a", kept_first(1) + 2, 3);
	add("a", 0, 3);
	add("a", kept[0], 3);
	has("a", kept, 1);
	ck_assert(!kept_covers(&k, "a", kept_first(1) + 2, &since));
}
END_TEST

START_TEST(too_much_is_given_up)
{
	const uint32_t len = 1u << 20;
	uint64_t since, n = 0;

	start("a", 1);
	while ((n + 1) * (len + sizeof(struct tell_notified)) <= KEPT_MAX)
		add("a", kept_first(1) + ++n, len);
	ck_assert(kept_covers(&k, "a", kept_first(1), &since));
	add("a", kept_first(1) + ++n, len);
	ck_assert(!kept_covers(&k, "a", kept_first(1), &since));
	has("a", NULL, 0);
	add("a", kept_first(1) + ++n, 3); /* there is a hole before it */
	has("a", NULL, 0);
}
END_TEST

START_TEST(without_memory_nothing_is_kept)
{
	enum status st;
	uint64_t since;

	start("a", 1);
	failing_alloc_after(0);
	st = kept_begin(&k, "a", 2, 1);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	ck_assert(!kept_covers(&k, "a", kept_first(1), &since));
	ck_assert(!kept_covers(&k, "a", kept_first(2), &since));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("kept");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, each_database_has_its_own_in_order);
	tcase_add_test(tc, what_came_before_the_marker_is_not_kept);
	tcase_add_test(tc, too_much_is_given_up);
	tcase_add_test(tc, without_memory_nothing_is_kept);
	return unit_run("kept", tc);
}
